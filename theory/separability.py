r"""Linear separability decided exactly, with a rational certificate for either answer.

For rows $a_i$ and right-hand sides $b_i$ exactly one of the following has a solution (Farkas):

* weights $w$ with $a_i \cdot w \ge b_i$ for every $i$;
* a combination $\lambda \ge 0$ with $\sum_i \lambda_i a_i = 0$ and $\sum_i \lambda_i b_i > 0$.

A linear threshold unit memorises labels $y$ on points $x$ iff $y_i\, w \cdot x_i > 0$ for all $i$, which by
scaling $w$ is the first alternative with $a_i = y_i x_i$ and $b_i = 1$. One run of the simplex method
in rationals (Bland's rule, so it ends) finds one or the other, and what it finds is checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from flint import fmpq, fmpq_mat

from theory.scalars import ONE, ZERO, Array, exact, is_registered
from theory.spectrum import rank_by_minors

MAX_POINTS = 12
"""Most points for which all $2^n$ labelings are decided one by one."""


@dataclass(frozen=True)
class Separation:
    """The answer, and what proves it.

    Attributes:
        weights: w with a_i . w >= b_i for all rows, or None.
        combination: nonnegative multipliers with sum_i l_i a_i = 0 and sum_i l_i b_i > 0, or None.
    """

    weights: tuple[Any, ...] | None
    combination: tuple[Any, ...] | None

    @property
    def feasible(self) -> bool:
        """Whether weights exist."""
        return self.weights is not None

    def proves(self, rows: Array, sides: Array) -> bool:
        """Whether the certificate is right for ``rows`` (n, k) and ``sides`` (n,), rational."""
        if (self.weights is None) == (self.combination is None):
            return False
        if self.weights is not None:
            return len(self.weights) == rows.shape[1] and all(
                _dot(row, self.weights) >= b for row, b in zip(rows, sides, strict=True)
            )
        assert self.combination is not None
        return (
            len(self.combination) == len(rows)
            and all(c >= 0 for c in self.combination)
            and all(_dot(column, self.combination) == 0 for column in rows.T)
            and _dot(sides, self.combination) > 0
        )


def separate(points: Any, labels: Any, *, weak: bool = False) -> Separation:
    """Whether a linear threshold unit gives ``points`` their ``labels``.

    Args:
        points: shape (n, k), numbers that are taken exactly.
        labels: n signs, each 1 or -1.
        weak: the unit answers +1 also at w . x = 0 (otherwise an input at 0 has no label).

    Raises:
        ValueError: the shapes disagree, or a label is not 1 or -1.
    """
    x, y = exact(points), [int(v) for v in labels]
    if x.ndim != 2 or len(x) != len(y):
        raise ValueError(f"expected points (n, k) and n labels; got shape {x.shape} and {len(y)} labels")
    if any(v not in (1, -1) for v in y):
        raise ValueError(f"labels are 1 or -1; got {y}")
    signs = np.array([fmpq(v) for v in y], dtype=object)
    sides = np.array([ZERO if weak and v == 1 else ONE for v in y], dtype=object)
    return solve(x * signs[:, None], sides)


def solve(rows: Array, sides: Array) -> Separation:
    """Weights or a Farkas combination for ``rows @ w >= sides``; shapes (n, k) and (n,), rational.

    Raises:
        ValueError: the shapes disagree.
        ArithmeticError: the certificate fails its own check (a defect of this module).
    """
    if rows.ndim != 2 or sides.shape != rows.shape[:1]:
        raise ValueError(f"expected rows (n, k) and n sides; got shapes {rows.shape} and {sides.shape}")
    found = _simplex(rows, sides)
    if not found.proves(rows, sides):
        raise ArithmeticError("a separability certificate failed its own check")
    return found


def _simplex(rows: Array, sides: Array) -> Separation:
    """Phase one for { l >= 0 : rows' l = 0, sides' l = 1 }, minimising the sum of artificial variables.

    Optimum 0: ``l`` is the Farkas combination. Otherwise the multipliers (u, v) of the equations satisfy
    rows u + sides v <= 0 with v > 0, and -u/v separates.
    """
    n, k = rows.shape
    m = k + 1
    tableau = [[*rows[:, j], *(ONE if i == j else ZERO for i in range(m)), ZERO] for j in range(k)]
    tableau.append([*sides, *(ONE if i == k else ZERO for i in range(m)), ONE])
    basis = list(range(n, n + m))
    cost = [-sum((tableau[r][j] for r in range(m)), ZERO) for j in range(n)] + [ZERO] * m + [-ONE]
    while (entering := next((j for j in range(n) if cost[j] < 0), None)) is not None:
        candidates = [
            (tableau[r][-1] / tableau[r][entering], basis[r], r) for r in range(m) if tableau[r][entering] > 0
        ]
        _, _, leaving = min(candidates)
        pivot = tableau[leaving] = [v / tableau[leaving][entering] for v in tableau[leaving]]
        for row in [cost, *(tableau[r] for r in range(m) if r != leaving)]:
            factor = row[entering]
            if factor != 0:
                row[:] = [a - factor * b for a, b in zip(row, pivot, strict=True)]
        basis[leaving] = entering
    if cost[-1] == 0:
        combination = [ZERO] * n
        for r, j in enumerate(basis):
            if j < n:
                combination[j] = tableau[r][-1]
        return Separation(None, tuple(combination))
    multipliers = [ONE - cost[n + i] for i in range(m)]
    return Separation(tuple(-u / multipliers[k] for u in multipliers[:k]), None)


def _dot(a: Any, b: Any) -> fmpq:
    return sum((u * v for u, v in zip(a, b, strict=True)), ZERO)


def with_bias(x: Array) -> Array:
    """``x`` (n, k) with a column of ones appended."""
    return np.concatenate([x, np.full((len(x), 1), ONE, dtype=object)], axis=1)


def signs(n: int) -> np.ndarray:
    """All labelings of n points as signs, shape (2^n, n): point i of labeling y is bit i of y."""
    return 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1) - 1


def dichotomies(points: Any, *, weak: bool = False) -> np.ndarray:
    """Which labelings of ``points`` (n, k) a linear threshold unit without bias realises, bool (2^n,).

    Raises:
        ValueError: more than `MAX_POINTS` points.
    """
    x = exact(points)
    if len(x) > MAX_POINTS:
        raise ValueError(f"{len(x)} points have 2^{len(x)} labelings; at most {MAX_POINTS} points are enumerated")
    if any(is_registered(v) for v in x.ravel()):  # these have no hash
        return np.array(_realised(x, weak), dtype=bool)
    return np.array(_dichotomies(tuple(map(tuple, x.tolist())), x.shape[1], weak), dtype=bool)


@lru_cache(maxsize=4096)
def _dichotomies(rows: tuple[tuple[Any, ...], ...], k: int, weak: bool) -> tuple[bool, ...]:
    return _realised(np.array(rows, dtype=object).reshape(len(rows), k), weak)


def _realised(x: Array, weak: bool) -> tuple[bool, ...]:
    return tuple(separate(x, y, weak=weak).feasible for y in signs(len(x)))


def cover_number(n: int, k: int) -> int:
    r"""Cover's count $2 \sum_{i<k} \binom{n-1}{i}$ of the dichotomies of n >= 1 points in general position.

    Raises:
        ValueError: n < 1 or k < 0.
    """
    if n < 1 or k < 0:
        raise ValueError(f"Cover's count needs n >= 1 and k >= 0; got n = {n}, k = {k}")
    return 2 * sum(comb(n - 1, i) for i in range(k))


def in_general_position(points: Any) -> bool:
    """Whether every min(n, k) of the ``points`` (n, k) are linearly independent."""
    x = exact(points)
    n, k = x.shape
    size = min(n, k)
    if any(is_registered(v) for v in x.ravel()):
        return all(rank_by_minors(x[list(rows)]) == size for rows in combinations(range(n), size))
    return all(
        fmpq_mat(size, k, [v for i in rows for v in x[i]]).rank() == size for rows in combinations(range(n), size)
    )
