"""Polynomials with rational coefficients: generators, factors, substitution, keys."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from flint import Ordering, fmpq, fmpq_mpoly, fmpq_mpoly_ctx

Polynomial = fmpq_mpoly
Signs = frozenset[int]
ANY: Signs = frozenset((-1, 0, 1))
ZERO: Signs = frozenset((0,))
NONZERO: Signs = frozenset((-1, 1))
POSITIVE: Signs = frozenset((1,))
NEGATIVE: Signs = frozenset((-1,))
NONNEGATIVE: Signs = frozenset((0, 1))
NONPOSITIVE: Signs = frozenset((-1, 0))

ROOTS = 10
"""Generators kept for square and cube roots, beside the variables of a shape."""


MOST_TERMS = 500
"""Terms of the largest polynomial that is factored."""


class TooLarge(Exception):
    """More than the budget allows; the message says what."""


WORK_LIMIT = "work limit reached"


class Space:
    """The ring that the numbers of a shape live in: its variables, and generators for roots.

    Attributes:
        names: names of the variables, then of the roots.
        count: number of variables.
        combinations: those that were found, see `verify.proofs.goals.combination`.
        work: terms handled so far; see `spend`.
        most_work: how much may be done.
    """

    def __init__(self, names: tuple[str, ...], most_work: int = 1 << 62) -> None:
        self.count, self.work, self.most_work = len(names), 0, most_work
        self.names = (*names, *(f"root{i}" for i in range(ROOTS)))
        self.context = fmpq_mpoly_ctx.get(self.names, Ordering.lex)
        self.gens: tuple[Any, ...] = tuple(self.context.gens())
        self.zero, self.one = self.context.from_dict({}), self.gens[0] ** 0
        self.combinations: dict[Any, list[Any]] = {}
        self._sparse: dict[str, tuple[tuple[Signs, tuple[tuple[str, bool], ...]], ...]] = {}
        self._factors: dict[str, tuple[fmpq, tuple[tuple[Any, int], ...]]] = {}

    def spend(self, work: int) -> None:
        """Count work: about one unit for each term of a polynomial that is read or made.

        Raises:
            TooLarge: more than the budget has been done.
        """
        self.work += work
        if self.work > self.most_work:
            raise TooLarge(WORK_LIMIT)

    def constant(self, value: Any) -> Any:
        """A rational as a polynomial."""
        return self.one * value

    def factored(self, p: Any) -> tuple[fmpq, tuple[tuple[Any, int], ...]]:
        """``c`` and irreducible ``(f, e)`` with p = c prod f^e; each f has integer content 1 and a positive lead."""
        if len(p) > MOST_TERMS:
            raise TooLarge(f"a polynomial of {len(p)} terms; at most {MOST_TERMS} are factored")
        key = str(p)
        found = self._factors.get(key)
        self.spend(len(p))
        if found is None:
            self.spend(20 * len(p) * max(1, int(p.total_degree())))
            c, factors = p.factor()
            c, out = fmpq(c), []
            for f, e in factors:
                lead = f.leading_coefficient()
                if lead < 0:
                    f = -f
                    c = -c if e % 2 else c
                out.append((f, int(e)))
            found = self._factors[key] = (c, tuple(sorted(out, key=lambda t: str(t[0]))))
        return found

    def sparse(self, key: str, f: Any) -> tuple[tuple[Signs, tuple[tuple[str, bool], ...]], ...]:
        """For each term of ``f`` (``key`` as text): the sign of its coefficient; its variables, which to odd powers."""
        found = self._sparse.get(key)
        if found is None:
            found = self._sparse[key] = tuple(
                (
                    POSITIVE if c > 0 else NEGATIVE,
                    tuple((self.names[v], bool(e % 2)) for v, e in enumerate(map(int, m)) if e),
                )
                for m, c in zip(f.monoms(), f.coeffs(), strict=True)
            )
        return found

    def index(self, f: Any) -> int | None:
        """The number of the generator that ``f`` is, or None."""
        return self._index.get(str(f))

    @property
    def _index(self) -> dict[str, int]:
        return _index_of(self.names)

    def evaluate(self, p: Any, points: np.ndarray) -> np.ndarray:
        """Values of ``p`` in float64 at ``points`` of shape (n, generators): a screen, never an answer."""
        self.spend(20 * len(p))
        out = np.zeros(len(points))
        for exponents, c in zip(p.monoms(), p.coeffs(), strict=True):
            term = np.full(len(points), float(int(c.p)) / float(int(c.q)))
            for i, e in enumerate(exponents):
                if e:
                    term = term * (points[:, i] if e == 1 else points[:, i] ** int(e))
            out += term
        return out


@lru_cache(maxsize=512)
def _index_of(names: tuple[str, ...]) -> dict[str, int]:
    return {name: i for i, name in enumerate(names)}


def by_power(space: Space, p: Any, v: int) -> list[Any]:
    """Coefficients of the powers 0, 1, ... of generator ``v``, as polynomials without it."""
    space.spend(2 * len(p))
    parts: dict[int, dict[tuple[int, ...], fmpq]] = {}
    for exponents, c in zip(p.monoms(), p.coeffs(), strict=True):
        e = list(exponents)
        power, e[v] = int(e[v]), 0
        parts.setdefault(power, {})[tuple(e)] = c
    return [space.context.from_dict(parts.get(k, {})) for k in range(max(parts, default=0) + 1)]


def substituted(space: Space, p: Any, v: int, num: Any, den: Any) -> Any:
    """``p`` at v = num/den, times an even power of ``den``: the same sign wherever ``den`` is not 0."""
    parts = by_power(space, p, v)
    if len(parts) == 1:
        return p
    top = len(parts) - 1
    if den.is_one():
        out = space.zero
        for part in reversed(parts):
            space.spend(len(out) * len(num) // 10)
            out = out * num + part
        return out
    top += top % 2
    out = space.zero
    for k, part in enumerate(parts):
        if not part.is_zero():
            factor = num**k * den ** (top - k)
            space.spend(len(part) * len(factor) // 10 + len(out))
            out = out + part * factor
    return out


def variables_of(p: Any) -> list[int]:
    """The generators that occur in ``p``."""
    return [i for i, d in enumerate(p.degrees()) if d > 0]
