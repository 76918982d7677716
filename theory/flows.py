"""Settings and sums of the conservation laws: an objective's scores, networks rescaled, deep networks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from theory.cuts import by_edge
from theory.instances import Instance, array
from theory.networks import Network, forward, jacobian
from theory.paths import NetworkOnData
from theory.scalars import Array, ones, rational, total


@dataclass(frozen=True, eq=False)
class ObjectiveOnNetwork(NetworkOnData):
    """A network on data, and the gradient dR/dy of an objective of its outputs, shape (..., n, K)."""

    title: ClassVar[str] = "objective of a network's outputs"

    gradient: Array = array(2)

    def valid(self) -> Any:
        """Whether ``gradient`` has one entry for each sample and output."""
        return self.gradient.shape[-2:] == (self.x.shape[-2], len(self.network.outputs))

    @cached_property
    def edge_scores(self) -> Array:
        """Value of each edge times the derivative of R by it, shape (..., E)."""
        network, values = by_edge(self.network, self.theta)
        j = jacobian(network, values, forward(network, values, self.x))
        return values * total(self.gradient[..., None] * j, axis=(-3, -2))


@dataclass(frozen=True, eq=False)
class RescaledNetwork(NetworkOnData):
    """A network on data and a factor by which one cut is scaled, shape (...)."""

    title: ClassVar[str] = "network rescaled at a cut"

    factor: Array = array(0)

    def __post_init__(self) -> None:
        super().__post_init__()
        # Arithmetic on an array without axes gives a bare number; fields are always arrays.
        object.__setattr__(self, "factor", np.asarray(self.factor))


@dataclass(frozen=True, eq=False)
class UniformNetwork(Instance):
    """A deep MLP without biases, ``width`` units in every layer, every weight of size ``scale``.

    The size is that of a Kaiming initialisation, 1 <= width * scale^2 <= 4 (it sets 2).
    """

    title: ClassVar[str] = "deep network with weights of one size"
    stackable: ClassVar[bool] = False

    depth: int
    width: int
    scale: Array = array(0)

    def __post_init__(self) -> None:
        # As for RescaledNetwork.
        object.__setattr__(self, "scale", np.asarray(self.scale))

    def valid(self) -> Any:
        """Whether the weights have the size of an initialisation and float32 holds them exactly."""
        w = rational(self.scale[()])
        held = np.float32(float(int(w.p)) / float(int(w.q)))
        return bool(
            self.depth >= 1
            and self.width >= 1
            and w > 0
            and 1 <= self.width * w * w <= 4
            and rational(float(held)) == w
        )

    def exact_scores(self, power: int) -> Any:
        """SynFlow (power 1) or SynFlow-L2 (power 2) score of every weight, the same for all: exact."""
        w = rational(self.scale[()]) ** power
        return (self.width * w) ** self.depth / self.width

    def float32_scores(self, power: int) -> np.ndarray:
        """The same by a forward and a backward pass in float32, one entry a layer."""
        w = rational(self.scale[()])
        weight = np.float32(float(int(w.p)) / float(int(w.q)))
        with np.errstate(all="ignore"):
            weight = np.full(power, weight).prod(dtype=np.float32)
            activations = [np.float32(1)]
            for _ in range(self.depth):
                activations.append(_sum32(weight * activations[-1], self.width))
            # By symmetry the gradients of the layers, from the last to the first, repeat the activations.
            gradients = activations[: self.depth][::-1]
            scores = [weight * g * a for g, a in zip(gradients, activations, strict=False)]
            return np.array(scores, dtype=np.float32)


def _sum32(term: np.float32, count: int) -> np.float32:
    return np.float32(np.full(count, term, dtype=np.float32).sum(dtype=np.float32))


def over(sets: np.ndarray, scores: Array) -> Array:
    """Sums of scores (..., E) over sets (C, E), shape (..., C)."""
    return total(scores[..., None, :] * sets, axis=-1)


def layer_sums(network: Network, scores: Array) -> Array:
    """Sums of scores (..., N) over the layers of the architecture, shape (..., layers)."""
    return np.stack([np.asarray(total(scores[..., list(layer)], axis=-1)) for layer in network.layers], axis=-1)


def flow_by_gradient(network: Network, theta: Array) -> Array:
    """Theta * d(sum of outputs)/dtheta on the input of ones, shape (..., N)."""
    x = ones((1, len(network.inputs)), theta)
    return theta * total(jacobian(network, theta, forward(network, theta, x)), axis=(-3, -2))


def every_weight_flows(scores: Array) -> Any:
    """Whether no score (..., N) is 0: every weight stands on a path of nonzero weights; else 0 would be no news."""
    return np.asarray(scores != 0, dtype=bool).all(axis=-1)
