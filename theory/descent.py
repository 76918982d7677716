"""Gradient descent on a squared loss with a fixed kernel: residuals along eigenvectors, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from theory.instances import Instance, array, per_instance
from theory.scalars import Array, total


@dataclass(frozen=True, eq=False)
class KernelDescent(Instance):
    """Two kernels with the same eigenvectors, one residual, one step size.

    Attributes:
        steps: number of steps t.
        larger: eigenvalues of the one kernel, (..., m).
        smaller: eigenvalues of the other, (..., m).
        residual: r_0 along the eigenvectors, (..., m).
        eta: the step size, (...).
    """

    title: ClassVar[str] = "descent with a fixed kernel"

    steps: int
    larger: Array = array(1)
    smaller: Array = array(1)
    residual: Array = array(1)
    eta: Array = array(0)

    def valid(self) -> Any:
        """Eigenvalues are nonnegative, the step size is positive, the sizes agree."""
        same = self.larger.shape[-1] == self.smaller.shape[-1] == self.residual.shape[-1]
        if not same or self.steps < 1:
            return False
        nonnegative = np.asarray((self.larger >= 0) & (self.smaller >= 0), dtype=bool).all(axis=-1)
        return nonnegative & np.asarray(np.asarray(self.eta) > 0, dtype=bool)

    def after(self, eigenvalues: Array) -> Array:
        """|r_t|^2 with r_t = (1 - eta lambda)^t r_0 along each eigenvector, shape (...)."""
        decay = (1 - per_instance(self.eta, 1) * eigenvalues) ** self.steps
        return total((decay * self.residual) ** 2, axis=-1)

    def slowest(self) -> Array:
        """lambda_min of the first kernel, shape (...)."""
        return np.asarray(self.larger).min(axis=-1)

    def fastest(self) -> Array:
        """lambda_max of the first kernel, shape (...)."""
        return np.asarray(self.larger).max(axis=-1)
