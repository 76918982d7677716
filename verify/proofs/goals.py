"""Closing a goal: that a polynomial has one of the wanted signs wherever the facts of a path hold.

Cheapest first: it is 0 after the substitutions; its factors have known signs; it is a nonnegative combination
of products of facts, monomials of known sign and squares of binomials (found by linear programming in floating
point, solved again exactly on the support). What is left goes to `verify.proofs.solver`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations_with_replacement
from typing import Any, Protocol

import numpy as np
from flint import fmpq, fmpq_mat

from verify.proofs.polynomials import (
    ANY,
    NEGATIVE,
    NONNEGATIVE,
    NONPOSITIVE,
    NONZERO,
    POSITIVE,
    ZERO,
    Signs,
    by_power,
)


class Facts(Protocol):
    """What a goal may use of a path: the signs and equalities met on it (see `verify.proofs.world.World`)."""

    space: Any
    roots: Any

    def equalities(self) -> tuple[Any, ...]:
        """The substitutions and roots of the path, as a key."""
        ...

    def reduced(self, p: Any) -> Any:
        """``p`` modulo the equalities."""
        ...

    def signs(self, f: Any) -> Signs:
        """The signs that a factor may have."""
        ...

    def signs_of_variable(self, v: int) -> Signs:
        """The signs that a variable may have."""
        ...

    def signs_of_product(self, p: Any) -> Signs:
        """The signs that a polynomial may have, by its factors."""
        ...

    def conditions(self) -> list[tuple[Any, Signs]]:
        """What is known, as polynomials and their signs."""
        ...


CONSTANT, IDENTITY, SIGNS, COMBINATION = "constant", "identity", "signs", "combination"
DISCRIMINANT, CONJUGATE, SOLVER = "discriminant", "conjugate", "solver"
METHODS = (CONSTANT, IDENTITY, SIGNS, COMBINATION, DISCRIMINANT, CONJUGATE, SOLVER)
WANTED: dict[str, Signs] = {"<=": NONNEGATIVE, "<": POSITIVE, "==": ZERO, "!=": NONZERO}
"""The signs that rhs - lhs must have."""

Monomial = tuple[int, ...]
MOST_TERMS = 150
"""Terms of a polynomial for which combinations are looked for."""


@dataclass(frozen=True)
class Term:
    """``coefficient * (product of facts) * sign * monomial * (u + ratio v)^2``, not negative on the path.

    Attributes:
        coefficient: positive.
        facts: polynomials, each with the sign that makes it nonnegative; one that is not 0 may stand there twice.
        monomial: exponents; with ``sign`` nonnegative on the path, but beside an equation.
        sign: 1 or -1.
        square: u, v, ratio; None where there is no square.
    """

    coefficient: fmpq
    facts: tuple[tuple[Any, int], ...]
    monomial: Monomial
    sign: int = 1
    square: tuple[Monomial, Monomial, fmpq] | None = None


@dataclass(frozen=True)
class Closed:
    """How a goal was closed.

    Attributes:
        method: one of `METHODS`.
        signs: the factors of the polynomial with the signs they may have, where their signs matter.
        target: for a combination, discriminant or conjugate, the polynomial that is not negative: a product of factors
            of open sign, or its negative.
        terms: the combination.
        variable: for a discriminant: target = a v^2 + b v + c with a, c and 4 a c - b^2 not negative; for a conjugate:
            target = A + B R with R this product of roots, and B and B^2 R^2 - A^2 not negative.
        parts: how these are closed, each with its polynomial.
    """

    method: str
    signs: tuple[tuple[Any, int, Signs], ...] = ()
    target: Any = None
    terms: tuple[Term, ...] = field(default=())
    variable: Monomial = ()
    parts: tuple[tuple[Any, Closed], ...] = ()


def close(world: Facts, p: Any, wanted: Signs, columns: int, depth: int = 1) -> Closed | None:
    """A proof that the reduced polynomial ``p`` has a sign in ``wanted`` on the path of ``world``, or None.

    Args:
        world: the facts.
        p: the polynomial, reduced.
        wanted: signs.
        columns: most columns of a linear program; 0 for none.
        depth: how often a discriminant or a conjugate may be taken.
    """
    if p.is_zero():
        return Closed(IDENTITY) if 0 in wanted else None
    if p.is_constant():
        return Closed(CONSTANT) if world.signs(p) <= wanted else None
    c, factors = world.space.factored(p)
    known = tuple((f, e, world.signs(f)) for f, e in factors)
    if world.signs_of_product(p) <= wanted:
        return Closed(SIGNS, known)
    if not columns or wanted == ZERO:
        return None
    for side in (wanted,) if wanted != NONZERO else (POSITIVE, NEGATIVE):
        target, flip = world.space.constant(1 if c > 0 else -1), 1
        strict = 0 not in side
        for f, e, s in known:
            if s != ANY and s != NONZERO and (not strict or 0 not in s):
                flip *= sum(s) if e % 2 else 1  # a factor that is never negative, or never positive
            elif e % 2:
                target = target * f
            elif strict and 0 in s:
                break
        else:
            target = target * flip * (1 if 1 in side else -1)
            found = combination(world, target, strict, columns)
            if found is not None:
                return Closed(COMBINATION, known, target, found)
            if not strict and depth:
                for split in (_conjugate, _discriminant):
                    closed = split(world, target, columns, depth - 1)
                    if closed is not None:
                        return replace(closed, signs=known)
    return None


def _discriminant(world: Facts, target: Any, columns: int, depth: int) -> Closed | None:
    for v, degree in enumerate(target.degrees()):
        if degree != 2 or len(target) > 30:
            continue
        c, b, a = by_power(world.space, target, v)
        parts = _all_nonnegative(world, (a, c, 4 * a * c - b * b), columns, depth)
        if parts is not None:
            variable = tuple(int(i == v) for i in range(len(world.space.gens)))
            return Closed(DISCRIMINANT, target=target, variable=variable, parts=parts)
    return None


def _conjugate(world: Facts, target: Any, columns: int, depth: int) -> Closed | None:
    roots = [v for v, _, _ in world.roots]
    if len(target) > 60:
        return None
    groups = {tuple(e if v in roots else 0 for v, e in enumerate(map(int, m))) for m in target.monoms()}
    groups.discard((0,) * len(world.space.gens))
    for r in sorted(groups):
        with_r = {m: c for m, c in target.terms() if all(m[v] == r[v] for v in roots)}
        b = world.space.context.from_dict(
            {tuple(int(x) - y for x, y in zip(m, r, strict=True)): c for m, c in with_r.items()}
        )
        root = world.space.context.from_dict({r: fmpq(1)})
        a = target - b * root
        parts = _all_nonnegative(world, (b, b * b * root * root - a * a), columns, depth)
        if parts is not None:
            return Closed(CONJUGATE, target=target, variable=r, parts=parts)
    return None


def _all_nonnegative(
    world: Facts, polynomials: tuple[Any, ...], columns: int, depth: int
) -> tuple[tuple[Any, Closed], ...] | None:
    out = []
    for p in polynomials:
        p = world.reduced(p)
        closed = close(world, p, NONNEGATIVE, columns, depth) if len(p) <= MOST_TERMS else None
        if closed is None:
            return None
        out.append((p, closed))
    return tuple(out)


def inconsistent(world: Facts, columns: int) -> tuple[Term, ...] | None:
    """A combination that shows that the facts of a path contradict each other: a positive number that is 0."""
    return combination(world, world.space.zero, True, columns)


# -- combinations ---------------------------------------------------------------------------------


def combination(world: Facts, target: Any, strict: bool, columns: int) -> tuple[Term, ...] | None:
    """Terms that sum to ``target``, one of them positive if ``strict``; None if none were found.

    What was found on another path with the same substitutions and roots is used again where its signs hold here.
    """
    if len(target) > MOST_TERMS:
        return None
    space = world.space
    key = (str(target), strict, world.equalities())
    known: list[tuple[Term, ...]] = space.combinations.setdefault(key, [])
    for terms in known:
        if _holds(world, terms, strict):
            return terms
    program = _Program(world, target, columns)
    program.fill()
    found = program.solve(strict)
    if found is not None:
        known.append(found)
    return found


def _holds(world: Facts, terms: tuple[Term, ...], strict: bool) -> bool:
    """Whether no term is negative on the path, and one is positive if ``strict``."""
    positive = not strict
    for t in terms:
        world.space.spend(5)
        own = [(world.signs(f), s) for f, s in t.facts]
        if any(signs == ZERO for signs, _ in own):
            continue
        possible = {t.sign}
        for v, e in enumerate(t.monomial):
            if e:
                possible = {a * (b if e % 2 else b * b) for a in possible for b in world.signs_of_variable(v)}
        if len(t.facts) == 2 and t.facts[0] == t.facts[1]:
            own = [(frozenset(a * a for a in own[0][0]), 1)]
        for signs, s in own:
            possible = {a * b * s for a in possible for b in signs}
        if not possible <= NONNEGATIVE:
            return False
        positive = positive or (t.square is None and 0 not in possible)
    return positive


class _Program:
    def __init__(self, world: Facts, target: Any, most: int) -> None:
        self.world, self.space, self.target, self.most = world, world.space, target, most
        self.terms: list[Term] = []
        self.columns: list[dict[Monomial, fmpq]] = []
        self.strict: list[bool] = []
        self.seen: set[str] = set()
        self.tried = 0
        self.monomials: dict[Monomial, Signs] = {}
        self.width = len(self.space.gens)
        self.variable_signs = [world.signs_of_variable(v) for v in range(self.width)]
        self.facts = []
        for f, s in world.conditions():
            if s == ZERO or len(f) == 1:
                continue
            if s <= NONNEGATIVE or s <= NONPOSITIVE:
                self.facts.append((f, 1 if s <= NONNEGATIVE else -1, 0 not in s))
        self.nonzero = [f for f, s in world.conditions() if s == NONZERO and len(f) > 1]
        self.equations = [f for f, s in world.conditions() if s == ZERO and len(f) > 1]

    def signs(self, m: Monomial) -> Signs:
        known = self.monomials.get(m)
        if known is None:
            out = {1}
            for v, e in enumerate(m):
                if e:
                    out = {s * (t if e % 2 else t * t) for s in out for t in self.variable_signs[v]}
            known = self.monomials[m] = frozenset(out)
        return known

    def add(self, term: Term, p: Any, strict: bool) -> None:
        self.tried += 1
        self.space.spend(len(p))
        if len(self.columns) >= self.most or self.tried > 4 * self.most:
            return
        p = self.world.reduced(p)
        if p.is_zero():
            return
        key = str(p)
        if key in self.seen:
            return
        self.seen.add(key)
        self.terms.append(term)
        self.columns.append({tuple(map(int, m)): fmpq(c) for m, c in zip(p.monoms(), p.coeffs(), strict=True)})
        self.strict.append(strict)

    def polynomial(self, m: Monomial) -> Any:
        return self.space.context.from_dict({m: fmpq(1)})

    def fill(self) -> None:
        """Columns: products of facts that share monomials with the target, squares, monomials."""
        support = [tuple(map(int, m)) for m in self.target.monoms()]
        one = (0,) * self.width
        if not support:
            support = [one]
            for f in (*self.equations, *(f for f, _, _ in self.facts)):
                support += [tuple(map(int, m)) for m in f.monoms()]
            support = list(dict.fromkeys(support))[:60]
        singles: list[tuple[Any, Any, bool]] = [(((f, s),), f * s, k) for f, s, k in self.facts]
        singles += [(((f, 1), (f, 1)), f * f, True) for f in self.nonzero]
        for facts, p, strict in singles:
            self.add(Term(fmpq(1), facts, one), p, strict)
        self._monomials(support)
        for f in self.equations:
            for sign in (1, -1):
                self._multiples(((f, sign),), f * sign, False, support, any_sign=True)
        for facts, p, strict in singles:
            self._multiples(facts, p, strict, support)
        self._squares(support)
        degree = max((sum(m) for m in support), default=0)
        for i, j in combinations_with_replacement(range(len(self.facts)), 2) if len(self.facts) <= 14 else ():
            (f, s, a), (g, t, b) = self.facts[i], self.facts[j]
            if int(f.total_degree()) + int(g.total_degree()) <= max(degree, 2):
                self._multiples(((f, s), (g, t)), f * g * (s * t), a and b, support)
        rows = list(dict.fromkeys([*support, *(m for c in self.columns for m in c)]))
        self._squares(rows)
        self._monomials(list(dict.fromkeys([*rows, *(m for c in self.columns for m in c)])))

    def _monomials(self, rows: list[Monomial]) -> None:
        for m in rows:
            s = self.signs(m)
            if s <= NONNEGATIVE or s <= NONPOSITIVE:
                sign = 1 if s <= NONNEGATIVE else -1
                self.add(Term(fmpq(1), (), m, sign), self.polynomial(m) * sign, 0 not in s)

    def _multiples(self, facts: Any, p: Any, strict: bool, support: list[Monomial], any_sign: bool = False) -> None:
        for own in [tuple(map(int, m)) for m in p.monoms()]:
            for m in support:
                rest = tuple(a - b for a, b in zip(m, own, strict=True))
                if min(rest) < 0:
                    continue
                s = self.signs(rest)
                if any_sign or s <= NONNEGATIVE or s <= NONPOSITIVE:
                    sign = -1 if not any_sign and not s <= NONNEGATIVE else 1
                    self.add(Term(fmpq(1), facts, rest, sign), p * self.polynomial(rest) * sign, strict and 0 not in s)

    def _squares(self, rows: list[Monomial]) -> None:
        coefficients = {tuple(map(int, m)): fmpq(c) for m, c in self.target.terms()}
        good = [m for m in rows if self.signs(m) <= NONNEGATIVE][:120]
        inside = set(rows)
        for i, a in enumerate(good):
            for b in good[:i]:
                if all((x + y) % 2 == 0 for x, y in zip(a, b, strict=True)):
                    middle = tuple((x + y) // 2 for x, y in zip(a, b, strict=True))
                    if middle in inside and middle not in (a, b):
                        self._square(a, b, [coefficients.get(m, fmpq(0)) for m in (a, middle, b)])
        for m in rows[:120] if self.world.roots else ():
            if any(m[v] for v, _, _ in self.world.roots):
                for half in _splits(m)[:64]:
                    other = tuple(x - y for x, y in zip(m, half, strict=True))
                    self._square(tuple(2 * x for x in half), tuple(2 * x for x in other))

    def _square(self, a: Monomial, b: Monomial, coefficients: Any = ()) -> None:
        """N (u + ratio v)^2 with n u^2 and n v^2 the monomials ``a`` and ``b``; ratios 1, and those of the target."""
        n = tuple(x % 2 for x in a)
        u, v = (tuple((x - y) // 2 for x, y in zip(m, n, strict=True)) for m in (a, b))
        ratios = [fmpq(1), fmpq(-1)]
        if coefficients:
            first, middle, last = coefficients
            ratios += [middle / (2 * first)] if first > 0 and middle != 0 else []
            ratios += [2 * last / middle] if last > 0 and middle != 0 else []
        for ratio in ratios:
            p = self.polynomial(n) * (self.polynomial(u) + self.polynomial(v) * ratio) ** 2
            self.add(Term(fmpq(1), (), n, 1, (u, v, ratio)), p, False)

    def solve(self, strict: bool) -> tuple[Term, ...] | None:
        """Solve in floating point, then exactly on the support."""
        from scipy.optimize import linprog
        from scipy.sparse import coo_array

        if not self.columns or (strict and not any(self.strict)):
            return None
        goal = {tuple(map(int, m)): fmpq(c) for m, c in zip(self.target.monoms(), self.target.coeffs(), strict=True)}
        rows = {m: i for i, m in enumerate(dict.fromkeys([*goal, *(m for c in self.columns for m in c)]))}
        entries = [(rows[m], j, float(int(c.p)) / float(int(c.q))) for j, col in enumerate(self.columns)
                   for m, c in col.items()]  # fmt: skip
        i, j, v = zip(*entries, strict=True)
        n = len(self.columns)
        b = np.zeros(len(rows))
        for m, c in goal.items():
            b[rows[m]] = float(int(c.p)) / float(int(c.q))
        if not goal:  # nothing gives the scale: the strict terms sum to 1
            strictly = [k for k in range(n) if self.strict[k]]
            i, j, v = (*i, *[len(rows)] * len(strictly)), (*j, *strictly), (*v, *[1.0] * len(strictly))
            b = np.append(b, 1.0)
        self.space.spend(10 * len(v))
        matrix = coo_array((v, (i, j)), shape=(len(b), n)).tocsr()
        cost = np.array([-1.0 if strict and s else 0.001 for s in self.strict])
        found: Any = linprog(cost, A_eq=matrix, b_eq=b, bounds=(0, 1000), method="highs-ds")  # type: ignore[call-overload]
        if found.status != 0 or found.x is None:
            return None
        support = [k for k in range(n) if found.x[k] > 1e-9]
        values = self._exactly(goal, rows, support)
        if values is None or any(v < 0 for v in values):
            return None
        if strict and not any(self.strict[k] and v > 0 for k, v in zip(support, values, strict=True)):
            return None
        return tuple(
            Term(v, t.facts, t.monomial, t.sign, t.square)
            for k, v in zip(support, values, strict=True)
            if v != 0
            for t in (self.terms[k],)
        )

    def _exactly(self, goal: dict[Monomial, fmpq], rows: dict[Monomial, int], support: list[int]) -> list[fmpq] | None:
        used = sorted({rows[m] for k in support for m in self.columns[k]} | {rows[m] for m in goal})
        place = {r: i for i, r in enumerate(used)}
        table = [[fmpq(0)] * (len(support) + 1) for _ in used]
        for k, column in enumerate(support):
            for m, c in self.columns[column].items():
                table[place[rows[m]]][k] = c
        for m, c in goal.items():
            table[place[rows[m]]][-1] = c
        if not goal:
            table.append([fmpq(int(self.strict[k])) for k in support] + [fmpq(1)])
        if not table or not support:
            return None
        self.space.spend(len(table) * len(support) ** 2 // 10)
        # Fewer unknowns than the rank leave room: those without a pivot keep a rounded value of 0 (a vertex has none).
        reduced, rank = fmpq_mat(len(table), len(support) + 1, [v for row in table for v in row]).rref()
        values = [fmpq(0)] * len(support)
        for r in range(rank):
            pivot = next(k for k in range(len(support) + 1) if reduced[r, k] != 0)
            if pivot == len(support):
                return None
            values[pivot] = reduced[r, len(support)]
        return values


def _splits(m: Monomial) -> list[Monomial]:
    """The divisors of a monomial."""
    out: list[Monomial] = [()]
    for e in m:
        out = [(*part, k) for part in out for k in range(e + 1)]
        if len(out) > 512:
            break
    return [part for part in out if len(part) == len(m)]
