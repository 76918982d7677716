"""Eigenvalues of symmetric rational matrices: rational where they are, else balls."""

from __future__ import annotations

from typing import Any

import numpy as np
from flint import arb, fmpq, fmpq_mat

from theory.scalars import ZERO, Array, is_exact, maximum


def _matrix(a: Array) -> fmpq_mat:
    return fmpq_mat(len(a), len(a), [fmpq(v) for v in a.ravel()])


def eigenvalues(a: Array) -> list[tuple[Any, int]]:
    """Eigenvalues with multiplicities of one symmetric matrix of rationals: `fmpq`, or `arb` where irrational.

    The characteristic polynomial is factored over the rationals; the factors are separable, so that the
    roots of each are isolated in balls at the current precision.
    """
    out: list[tuple[Any, int]] = []
    for factor, power in _matrix(a).charpoly().factor()[1]:
        if factor.degree() == 1:
            out.append((-factor[0] / factor[1], power))
        else:
            roots: Any = factor.numer().complex_roots()
            out += [(arb(root.real), power) for root, _ in roots]
    return out


def largest_eigenvalue(a: Array) -> Any:
    """Lambda_max of symmetric matrices (..., m, m): floats for stacks; one matrix of rationals: `fmpq` or `arb`."""
    if not is_exact(a):
        return np.linalg.eigvalsh(a)[..., -1]
    found = [value for value, _ in eigenvalues(a)]
    best: Any = found[0] if found else ZERO
    for value in found[1:]:
        best = maximum(best, value)
    return _boxed(best)


def rank(a: Array) -> Any:
    """Rank of symmetric matrices (..., m, m), exact for rationals, shape (...)."""
    if not is_exact(a):
        return np.linalg.matrix_rank(a, hermitian=True).astype(float)
    return _boxed(fmpq(_matrix(a).rank()))


def _boxed(value: Any) -> Array:
    out = np.empty((), dtype=object)
    out[()] = value
    return out
