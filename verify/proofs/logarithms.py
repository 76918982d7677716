"""Sums of logarithms: that ``K + sum_f C_f log f`` is 0 or not negative on a path.

Over a common positive denominator every coefficient is a sum of monomials that are not negative, so the sum is
``K + sum_m m log prod_f f^(e_fm)``. With ``t_m = prod_f f^(-e_fm)`` and ``-log t >= 1 - t`` it is at least
``K + sum_m m (1 - t_m)``, which has no logarithm. Gibbs' inequality, data processing and Fano are of this form.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm
from typing import Any

from flint import fmpq, fmpz

from theory.information import LogSum
from verify.proofs.polynomials import NONNEGATIVE, POSITIVE
from verify.proofs.symbols import Quotient, expanded
from verify.proofs.world import World, living_in

Monomial = tuple[int, ...]


@dataclass(frozen=True)
class Bound:
    """``K + sum_m m (1 - t_m)``: a number without logarithms that is at most the sum.

    Attributes:
        value: the number (times a positive denominator).
        scale: that denominator, a polynomial.
        terms: for each m, the logarithm's coefficient ``m`` and the factors of 1/t_m with their powers.
    """

    value: Any
    scale: Any
    terms: tuple[tuple[Any, tuple[tuple[Any, int], ...]], ...]


@dataclass(frozen=True)
class Logarithms:
    """``constant + sum_f c_f log |f|``, f irreducible polynomials and primes; key of f -> (f, c_f)."""

    constant: Any
    coefficients: dict[str, tuple[Any, Any]]


def difference(world: World, lhs: Any, rhs: Any) -> Logarithms:
    """``rhs - lhs`` where one of them is a sum of logarithms; asks which coefficients are 0.

    Raises:
        ZeroDivisionError: the logarithm of a number that is not positive, with a coefficient that is not 0.
    """
    total = rhs - lhs if isinstance(rhs, LogSum) else (lhs - rhs) * -1
    out: dict[str, tuple[Any, Any]] = {}
    terms = [(c, b) for c, b in zip(total.c.ravel(), total.b.ravel(), strict=True) if c != 0]
    if not all(bool(b > 0) for _, b in terms):
        raise ZeroDivisionError("the logarithm of a number that is not positive")
    for c, b in terms:  # all is decided by now, so that every number has its last form
        c = settled(world, c)
        for f, e in _factors(world, settled(world, b)):
            key = str(f)
            out[key] = (f, out[key][1] + c * e) if key in out else (f, c * e)
    constant = total.constant
    return Logarithms(settled(world, constant[()] if hasattr(constant, "ndim") else constant), out)


def settled(world: World, value: Any) -> Any:
    """The number with the substitutions made in numerator and denominator."""
    if not isinstance(value, Quotient):
        return value
    top, above = world.valued(value.num)
    den, below = world.valued(expanded(value.den)) if value.den else (world.space.one, world.space.one)
    return Quotient(top * below, {}) / Quotient(den * above, {})


def _factors(world: World, b: Any) -> list[tuple[Any, int]]:
    """Factors of |b| with their powers: polynomials, and primes as constants."""
    parts = [(b.num, 1), *((f, -e) for f, e in b.den.values())] if isinstance(b, Quotient) else [(b, 1)]
    out: list[tuple[Any, int]] = []
    for p, e in parts:
        c, factors = world.space.factored(world.space.constant(1) * p)
        out += [(f, e * m) for f, m in factors]
        for number, sign in ((fmpq(c).p, 1), (fmpq(c).q, -1)):
            out += [(world.space.constant(int(r)), e * sign * int(m)) for r, m in abs(fmpz(number)).factor()]
    return out


def _vanishes(world: World, c: Any) -> bool:
    return world.reduced(c.num).is_zero() if isinstance(c, Quotient) else bool(c == 0)


def is_zero(world: World, total: Logarithms) -> bool:
    """Whether the sum is 0 term by term."""
    return _vanishes(world, total.constant) and all(_vanishes(world, c) for _, c in total.coefficients.values())


def bound(world: World, total: Logarithms) -> Bound | None:
    """A lower bound without logarithms; None where a term or a factor has no known sign."""
    space = world.space
    coefficients = [(f, c) for f, c in total.coefficients.values() if not _vanishes(world, c)]
    with living_in(world):
        below: dict[str, tuple[Any, int]] = {}
        for _, c in coefficients:
            for key, (f, e) in (c.den if isinstance(c, Quotient) else {}).items():
                if key not in below or below[key][1] < e:
                    below[key] = (f, e)
        scale = Quotient(expanded(below) if below else space.one, {})
        if not world.compare(scale.num, POSITIVE):
            scale = -scale
        exponents: dict[Monomial, list[tuple[Any, fmpq]]] = {}
        for f, c in coefficients:
            scaled = c * scale
            top = scaled.num if isinstance(scaled, Quotient) else space.constant(scaled)
            if len(world.signs(f)) > 1:
                return None
            for m, e in zip(top.monoms(), top.coeffs(), strict=True):
                exponents.setdefault(tuple(map(int, m)), []).append((f, fmpq(e)))
        value, terms = total.constant * scale, []
        for m, powers in exponents.items():
            p = space.context.from_dict({m: fmpq(1)})
            if not world.signs_of_product(p) <= NONNEGATIVE:
                return None
            shared = lcm(*(int(k.q) for _, k in powers))
            whole = tuple((f, int((k * shared).p)) for f, k in powers)
            t: Any = fmpq(1)
            for f, n in whole:
                t = t * Quotient(f * max(world.signs(f)), {}) ** -n
            value = value + Quotient(p, {}) / shared * (1 - t)
            terms.append((p / shared, whole))
    return Bound(value, scale.num, tuple(terms))
