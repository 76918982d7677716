"""What is known on one path: signs of polynomials, substitutions, roots; and what was decided on the way.

Facts are sign conditions on irreducible polynomials. An equality that is linear in a variable whose
coefficient is not 0 is substituted everywhere; a sum of terms of one sign that is 0 has all its terms 0;
other equalities stay facts. Every question that the facts do not answer forks: the world takes the first
answer that its prefix does not overrule, and notes the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flint import fmpq, fmpz

from verify.proofs.goals import combination
from verify.proofs.polynomials import (
    ANY,
    NONNEGATIVE,
    NONZERO,
    POSITIVE,
    ROOTS,
    ZERO,
    Signs,
    Space,
    TooLarge,
    by_power,
    substituted,
    variables_of,
)


class Empty(Exception):
    """The conditions of this path contradict each other."""


class Undecided(Exception):
    """A comparison at the end of a path, where nothing may fork, that the facts leave open."""


@dataclass(frozen=True)
class Decision:
    """One fork: ``polynomial`` had its sign among ``yes`` or ``no``; ``answer`` is the branch taken."""

    polynomial: Any
    yes: Signs
    no: Signs
    answer: bool

    @property
    def signs(self) -> Signs:
        """The signs of this branch."""
        return self.yes if self.answer else self.no


MOST_DECISIONS = 400

_ACTIVE: list[World] = []


def active() -> World:
    """The world of the run at hand.

    Raises:
        RuntimeError: symbols are used outside of a run.
    """
    if not _ACTIVE:
        raise RuntimeError("symbols can be compared only inside a run")
    return _ACTIVE[-1]


@contextmanager
def living_in(world: World) -> Iterator[World]:
    """Comparisons inside ask ``world``."""
    _ACTIVE.append(world)
    try:
        yield world
    finally:
        _ACTIVE.pop()


class World:
    """One path; see the module."""

    def __init__(self, space: Space, prefix: tuple[bool, ...] = (), terms: int = 2000) -> None:
        self.space, self.prefix, self.terms = space, prefix, terms
        self.trail: list[Decision] = []
        self.facts: dict[str, tuple[Any, Signs]] = {}
        self.substitutions: list[tuple[int, Any, Any]] = []
        self.roots: list[tuple[int, Any, int]] = []
        self.root_values: dict[int, Any] = {}
        self.used_roots = 0
        self.broken: Exception | None = None
        self.frozen = False
        self.deduced: list[tuple[Any, Any]] = []

    # -- normal forms -----------------------------------------------------------------------------

    def reduced(self, p: Any) -> Any:
        """``p`` after the substitutions (times an even power of what is not 0) and with low powers of roots."""
        if not self.substitutions and not self.roots:
            return p
        for _ in range(64):
            before = p
            degrees = p.degrees()
            for v, num, den in self.substitutions:
                if degrees[v] > 0:
                    p = substituted(self.space, p, v, num, den)
                    degrees = p.degrees()
            for v, g, degree in self.roots:
                if degrees[v] >= degree:
                    p = self._low_powers(p, v, g, degree)
                    degrees = p.degrees()
            if p == before:
                return p
            if len(p) > self.terms:
                raise self._break(TooLarge(f"a polynomial of more than {self.terms} terms"))
        raise self._break(TooLarge("substitutions that do not end"))

    def _low_powers(self, p: Any, v: int, g: Any, degree: int) -> Any:
        out, root = self.space.zero, self.space.gens[v]
        for k, part in enumerate(by_power(self.space, p, v)):
            if not part.is_zero():
                out = out + part * g ** (k // degree) * root ** (k % degree)
        return out

    def equalities(self) -> tuple[Any, ...]:
        """The substitutions and roots, as a key."""
        made = tuple((v, str(num), str(den)) for v, num, den in self.substitutions)
        return made + tuple((v, str(g), degree) for v, g, degree in self.roots)

    # -- what is known ----------------------------------------------------------------------------

    def signs_of_variable(self, v: int) -> Signs:
        """The signs that generator ``v`` may have."""
        known = self.facts.get(self.space.names[v])
        return known[1] if known else ANY

    def by_terms(self, f: Any) -> Signs:
        """What the signs of its terms say about a polynomial."""
        return self._by_terms(str(f), f)

    def _by_terms(self, key: str, f: Any) -> Signs:
        terms = self.space.sparse(key, f)
        self.space.spend(len(terms))
        out = ZERO
        for sign, powers in terms:
            term = sign
            for name, odd in powers:
                known = self.facts.get(name)
                term = _times(term, known[1] if known else ANY, odd)
            out = _added(out, term)
            if out == ANY:
                return ANY
        return out

    def signs(self, f: Any) -> Signs:
        """The signs that an irreducible polynomial may have.

        Raises:
            Empty: none is left.
        """
        if f.is_constant():
            c = f.leading_coefficient() if not f.is_zero() else fmpq(0)
            return frozenset(((c > 0) - (c < 0),))
        key = str(f)
        known = self.facts.get(key)
        out = self._by_terms(key, f)
        if known:
            out = out & known[1]
        if (
            len(out) > 1
            and self.roots
            and (root := self._root_at(f)) is not None
            and 0 not in self.signs_of_product(root[1])
        ):
            out = out & NONZERO
        if not out:
            raise self._break(Empty)
        return out

    def signs_of_product(self, p: Any) -> Signs:
        """The signs that a reduced polynomial may have, by its factors."""
        if p.is_zero():
            return ZERO
        if p.is_constant():
            return self.signs(p)
        c, factors = self.space.factored(p)
        out = {1 if c > 0 else -1}
        for f, e in factors:
            out = {a * (b if e % 2 else b * b) for a in out for b in self.signs(f)}
        return frozenset(out)

    # -- questions --------------------------------------------------------------------------------

    def compare(self, p: Any, wanted: Signs) -> bool:
        """Whether the sign of ``p`` is among ``wanted``; forks where the facts leave it open."""
        if self.broken is not None:
            raise self.broken
        while True:
            self.space.spend(5)
            p = self.reduced(p)
            possible = self.signs_of_product(p)
            if possible <= wanted:
                return True
            if not possible & wanted:
                return False
            c, factors = self.space.factored(p)
            open_ = [(f, e, s) for f, e in factors if len(s := self.signs(f)) > 1 and (e % 2 or 0 in s)]
            whole_zero = wanted in (ZERO, NONZERO)
            if len(open_) == 1 and not whole_zero:
                (f, e, s) = open_[0]
                rest = 1 if c > 0 else -1
                for g, k in factors:
                    if g is not f and k % 2:
                        rest *= next(iter(self.signs(g)))
                yes = frozenset(t for t in s if (t if e % 2 else t * t) * rest in wanted)
                return self.ask(f, yes)
            zero = [f for f, _, s in open_ if 0 in s]
            if whole_zero or zero:
                self.ask(zero[0], ZERO)
            else:
                self.ask(open_[0][0], POSITIVE)

    def ask(self, f: Any, yes: Signs) -> bool:
        """Decide whether the sign of the irreducible ``f`` is among ``yes``, and learn it."""
        possible = self.signs(f)
        a, b = possible & yes, possible - yes
        if not b or not a:
            return not b
        if (at := self._root_at(f)) is not None:
            # A root is 0 exactly where its radicand is: asked of that, so that both are known.
            return self.compare(at[1], ZERO) is (0 in a)
        if self.frozen:
            raise Undecided(f"the sign of {f} is open on this path")
        if len(self.trail) >= MOST_DECISIONS:
            raise self._break(TooLarge(f"a path of more than {MOST_DECISIONS} decisions"))
        place = len(self.trail)
        answer = self.prefix[place] if place < len(self.prefix) else True
        self.trail.append(Decision(f, a, b, answer))
        self.learn(f, a if answer else b)
        return answer

    def _root_at(self, f: Any) -> tuple[int, Any, int] | None:
        v = self.space.index(f)
        if v is None or v < self.space.count:
            return None
        return next((r for r in self.roots if r[0] == v), None)

    # -- learning ---------------------------------------------------------------------------------

    def learn(self, f: Any, signs: Signs) -> None:
        """Add a fact on an irreducible polynomial.

        Raises:
            Empty: it contradicts what is known.
        """
        signs = signs & self.signs(f)
        if not signs:
            raise self._break(Empty)
        self.facts[str(f)] = (f, signs)
        if signs == ZERO:
            self._vanishes(f)
            for v, g, _ in list(self.roots):
                if any(v == r for r, _, _ in self.roots) and self.signs_of_product(self.reduced(g)) == ZERO:
                    self.learn(self.space.gens[v], ZERO)
            return
        # A root that was learned to be positive, or 0, says so of its radicand.
        if (root := self._root_at(f)) is not None and 0 not in signs:
            self.restrict(root[1], signs)

    def restrict(self, p: Any, signs: Signs) -> None:
        """Add a condition that follows on any polynomial, forking over its factors where it is a product."""
        if self.broken is not None:
            raise self.broken
        while True:
            self.space.spend(5)
            p = self.reduced(p)
            possible = self.signs_of_product(p)
            if possible <= signs:
                return
            if not possible & signs:
                raise self._break(Empty)
            c, factors = self.space.factored(p)
            open_ = [(f, e) for f, e in factors if len(s := self.signs(f)) > 1 and (e % 2 or 0 in s)]
            f, e = open_[0]
            if len(open_) > 1:
                self.ask(f, ZERO if 0 in self.signs(f) else POSITIVE)
                continue
            rest = 1 if c > 0 else -1
            for g, k in factors:
                if g is not f and k % 2:
                    rest *= next(iter(self.signs(g)))
            self.learn(f, frozenset(t for t in self.signs(f) if (t if e % 2 else t * t) * rest in signs))

    def deduce_nonnegative(self, p: Any) -> None:
        """Learn that ``p`` is not negative where it is a sum of squares or of what else is not negative."""
        p = self.reduced(p)
        if self.frozen or self.signs_of_product(p) <= NONNEGATIVE:
            return
        c, factors = self.space.factored(p)
        open_ = [f for f, e in factors if e % 2 and len(self.signs(f)) > 1]
        if len(open_) == 1:
            f = open_[0]
            rest = 1 if c > 0 else -1
            for g, e in factors:
                if e % 2 and g is not f:
                    rest *= next(iter(self.signs(g)))
            if rest and (found := combination(self, f * rest, False, 400)) is not None:
                self.deduced.append((f * rest, found))
                self.learn(f, NONNEGATIVE if rest > 0 else frozenset((-1, 0)))

    def _vanishes(self, f: Any) -> None:
        """Use f = 0: substitute a variable, or set all terms to 0, or keep it."""
        if (linear := self._linear(f, known=True)) is not None:
            self._substitute(linear, f)
            return
        if self.by_terms(f) in (NONNEGATIVE, frozenset((-1, 0))):
            for exponents in f.monoms():
                self._term_vanishes([v for v, e in enumerate(exponents) if e])
            return
        if (linear := self._linear(f, known=False)) is not None:
            parts = by_power(self.space, f, linear)
            if self.compare(parts[1], ZERO):
                self.restrict(parts[0], ZERO)
            else:
                self._substitute(linear, f)

    def _term_vanishes(self, variables: list[int]) -> None:
        for v in variables:
            p = self.reduced(self.space.gens[v])
            if p.is_zero() or self.compare(p, ZERO):
                return
        raise self._break(Empty)

    def _linear(self, f: Any, *, known: bool) -> int | None:
        """A variable in which ``f`` is linear, with a coefficient known not to be 0 (if ``known``): the simplest."""
        best: tuple[Any, ...] | None = None
        for v, degree in enumerate(f.degrees()):
            if degree != 1:
                continue
            coefficient = by_power(self.space, f, v)[1]
            if known and 0 in self.signs_of_product(self.reduced(coefficient)):
                continue
            rank = (v >= self.space.count, len(coefficient), int(coefficient.total_degree()), -v)
            if best is None or rank < best:
                best = rank
        return None if best is None else -best[-1]

    def _substitute(self, v: int, f: Any) -> None:
        rest, coefficient = by_power(self.space, f, v)
        if coefficient.is_constant():
            rest, coefficient = rest / coefficient.leading_coefficient(), self.space.one
        self.substitutions.append((v, -rest, coefficient))
        old, self.facts = self.facts, {}
        waiting: list[tuple[Any, Signs]] = []
        for key, (g, signs) in old.items():
            if g.degrees()[v] > 0:
                waiting.append((g, signs))
            else:
                self.facts[key] = (g, signs)
        self._normalise_roots(v)
        for g, signs in waiting:
            if g != f:
                self.restrict(g, signs)

    # -- roots ------------------------------------------------------------------------------------

    def valued(self, p: Any) -> tuple[Any, Any]:
        """``p`` after the substitutions, as a numerator and a positive denominator: the same value."""
        below = self.space.one
        for _ in range(64):
            degrees = p.degrees()
            changed = False
            for v, num, den in self.substitutions:
                if degrees[v] > 0:
                    if not den.is_constant():
                        below = below * den ** (degrees[v] + degrees[v] % 2)
                    p, changed = substituted(self.space, p, v, num, den), True
                    degrees = p.degrees()
            for v, g, degree in self.roots:
                if degrees[v] >= degree:
                    p, changed = self._low_powers(p, v, g, degree), True
                    degrees = p.degrees()
            if not changed:
                return p, below
        raise self._break(TooLarge("substitutions that do not end"))

    def root(self, p: Any, degree: int = 2) -> tuple[Any, Any]:
        """The root of a polynomial that is not negative: a polynomial over a positive one."""
        p, below = self.valued(p)
        if p.is_zero():
            return p, self.space.one
        c, factors = self.space.factored(p * below ** (degree - 1))
        scale, left = _root_of_rational(fmpq(c), degree)
        outside, inside = self.space.constant(scale), self.space.constant(left)
        for f, e in factors:
            if e >= degree:
                power = f ** (e // degree)
                if degree == 2 and (e // degree) % 2 and not self.compare(f, NONNEGATIVE):
                    power = -power
                outside = outside * power
            if e % degree:
                inside = inside * f ** (e % degree)
        if not inside.is_one():
            outside = outside * self._generator(inside, degree)
        return outside, below

    def _generator(self, g: Any, degree: int) -> Any:
        for v, known, k in self.roots:
            if k == degree and known == g:
                return self.space.gens[v]
        if self.used_roots == ROOTS:
            raise self._break(TooLarge(f"more than {ROOTS} roots"))
        v = self.space.count + self.used_roots
        self.used_roots += 1
        self.roots.append((v, g, degree))
        self.facts[self.space.names[v]] = (self.space.gens[v], NONNEGATIVE)
        return self.space.gens[v]

    def _normalise_roots(self, gone: int) -> None:
        """After a substitution: radicands that became squares, equal or 0, and roots that were substituted."""
        old, self.roots = self.roots, []
        for v, g, degree in old:
            if v == gone:
                _, num, den = self.substitutions[-1]
                self.restrict(num**degree - g * den**degree, ZERO)
                self.restrict(num * den, NONNEGATIVE)
                continue
            if self.reduced(g) == g:
                self.roots.append((v, g, degree))
                continue
            value, below = self.root(g, degree)
            self.substitutions.append((v, value, below))
            self.facts.pop(self.space.names[v], None)

    def _break(self, error: Any) -> Exception:
        self.broken = error() if isinstance(error, type) else error
        return self.broken

    def conditions(self) -> list[tuple[Any, Signs]]:
        """The facts that say something, in a fixed order."""
        return [(f, s) for _, (f, s) in sorted(self.facts.items()) if s != ANY and not f.is_constant()]

    def contradictory(self) -> bool:
        """Whether the facts contradict each other at first sight."""
        return any(not self.by_terms(f) & s for f, s in self.facts.values())


@lru_cache(maxsize=256)
def _added(a: Signs, b: Signs) -> Signs:
    out: set[int] = set()
    for s in a:
        for t in b:
            out |= {s or t} if not (s and t) or s == t else {-1, 0, 1}
    return frozenset(out)


@lru_cache(maxsize=256)
def _times(a: Signs, b: Signs, odd: bool) -> Signs:
    return frozenset(s * (t if odd else t * t) for s in a for t in b)


def _root_of_rational(c: fmpq, degree: int) -> tuple[fmpq, fmpq]:
    """``(a, b)`` with c = a^degree b, b an integer without such powers of small primes; c is positive."""
    c = fmpq(c)
    number = fmpz(c.p) * fmpz(c.q) ** (degree - 1)
    outside, sign = fmpz(1), 1 if number > 0 else -1
    rest = fmpz(1)
    for prime, e in abs(number).factor():
        outside *= prime ** (e // degree)
        rest *= prime ** (e % degree)
    return fmpq(outside, c.q), fmpq(sign * rest)


__all__ = ["Decision", "Empty", "TooLarge", "Undecided", "World", "active", "living_in", "variables_of"]
