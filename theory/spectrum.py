"""Eigenvalues of symmetric rational matrices: rational where they are, else balls."""

from __future__ import annotations

from functools import reduce
from itertools import combinations, product
from typing import Any

import numpy as np
from flint import arb, fmpq, fmpq_mat

from theory.scalars import ONE, Array, is_exact, is_registered, maximum, sqrt


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
    if len(a) <= 2:
        return _boxed(_largest_of_two(a))
    if any(is_registered(v) for v in a.ravel()):
        raise NotImplementedError(f"eigenvalues of {len(a)} rows of symbols; closed forms end at 2")
    return _boxed(reduce(maximum, [value for value, _ in eigenvalues(a)]))


def rank(a: Array) -> Any:
    """Rank of symmetric matrices (..., m, m), exact for rationals, shape (...)."""
    if not is_exact(a):
        return np.linalg.matrix_rank(a).astype(float)
    if len(a) <= 3 or any(is_registered(v) for v in a.ravel()):
        return _boxed(fmpq(rank_by_minors(a)))
    return _boxed(fmpq(_matrix(a).rank()))


def _largest_of_two(a: Array) -> Any:
    """Lambda_max of a symmetric matrix of one or two rows, over any scalar."""
    if len(a) == 1:
        return a[0, 0]
    trace, gap = a[0, 0] + a[1, 1], a[0, 0] - a[1, 1]
    return (trace + sqrt(gap * gap + 4 * a[0, 1] * a[0, 1])) / 2


def determinant(a: Array) -> Any:
    """Determinant of a square matrix over any scalar, by expansion along the first row."""
    if not len(a):
        return ONE
    minors = [a[0, j] * determinant(np.delete(a[1:], j, axis=1)) * (-1) ** j for j in range(len(a))]
    return sum(minors[1:], minors[0])


def rank_by_minors(a: Array) -> int:
    """Rank of a matrix over any scalar: the size of the largest minor that is not 0."""
    for size in range(min(a.shape), 0, -1):
        for entries in product(*(combinations(range(length), size) for length in a.shape)):
            if determinant(a[np.ix_(*entries)]) != 0:
                return size
    return 0


def _boxed(value: Any) -> Array:
    out = np.empty((), dtype=object)
    out[()] = value
    return out
