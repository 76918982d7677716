"""The scalar that proofs run on: a quotient of polynomials whose comparisons ask the world they live in.

A `Quotient` is num / prod f^e with irreducible f that are not 0 on the path at hand. A comparison is answered
by the active `World`; what the world does not know yet it decides, and the run is repeated for the other
answer (`verify.proofs.explore`). Symbols are not hashable: nothing may be cached by their value.
"""

from __future__ import annotations

from typing import Any

from flint import arb, fmpq, fmpz

from theory import scalars
from verify.proofs.polynomials import NEGATIVE, NONNEGATIVE, NONPOSITIVE, POSITIVE, ZERO, Signs
from verify.proofs.world import World, active

Denominator = dict[str, tuple[Any, int]]
"""Key of an irreducible polynomial -> the polynomial and its power."""


class Quotient:
    """A number of the current path."""

    __slots__ = ("den", "num")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, num: Any, den: Denominator) -> None:
        self.num, self.den = num, den

    # -- arithmetic -------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Quotient):
            if not self.den and not other.den:
                return Quotient(self.num + other.num, self.den)
            return _sum(self, other)
        constant = _constant(other)
        if constant is None:
            return NotImplemented
        if not self.den:
            return Quotient(self.num + constant, self.den)
        return Quotient(self.num + constant * expanded(self.den), self.den)

    __radd__ = __add__

    def __neg__(self) -> Quotient:
        return Quotient(-self.num, self.den)

    def __pos__(self) -> Quotient:
        return self

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, Quotient):
            return self + (-other)
        constant = _constant(other)
        return NotImplemented if constant is None else self + (-constant)

    def __rsub__(self, other: Any) -> Any:
        return (-self) + other

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Quotient):
            if (terms := len(self.num) * len(other.num)) > 20:
                active().space.spend(terms // 10)
            num = self.num * other.num
            if not self.den and not other.den:
                return Quotient(num, self.den)
            den = dict(self.den)
            for key, (f, e) in other.den.items():
                den[key] = (f, den[key][1] + e) if key in den else (f, e)
            return cancelled(num, den)
        constant = _constant(other)
        if constant is None:
            return NotImplemented
        return fmpq(0) if constant == 0 else Quotient(self.num * constant, self.den)

    __rmul__ = __mul__

    def inverse(self) -> Quotient:
        """One over the number.

        Raises:
            ZeroDivisionError: it is 0 on this path.
        """
        world = active()
        if world.compare(self.num, ZERO):
            raise ZeroDivisionError("division by zero")
        c, factors = world.space.factored(self.num)
        num = expanded(self.den) if self.den else world.space.one
        return cancelled(num / c, {str(f): (f, e) for f, e in factors})

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, Quotient):
            return self * other.inverse()
        constant = _constant(other)
        if constant is None:
            return NotImplemented
        if constant == 0:
            raise ZeroDivisionError("division by zero")
        return Quotient(self.num / constant, self.den)

    def __rtruediv__(self, other: Any) -> Any:
        constant = _constant(other)
        return NotImplemented if constant is None else self.inverse() * constant

    def __pow__(self, power: Any) -> Any:
        if not isinstance(power, int) and int(power) != power:
            raise TypeError(f"powers of symbols are integers, not {power!r}")
        power = int(power)
        if power < 0:
            return self.inverse() ** -power
        if power == 0:
            return fmpq(1)
        return Quotient(self.num**power, {k: (f, e * power) for k, (f, e) in self.den.items()})

    # -- comparisons ------------------------------------------------------------------------------

    def _is(self, other: Any, signs: Signs) -> bool:
        if other is None or isinstance(other, str):
            return False
        gap = self if type(other) is int and other == 0 else self - other
        if not isinstance(gap, Quotient):
            return (0 if gap == 0 else 1 if gap > 0 else -1) in signs
        return active().compare(signed(gap), signs)

    def __eq__(self, other: object) -> bool:
        return self._is(other, ZERO)

    def __ne__(self, other: object) -> bool:
        return not self._is(other, ZERO)

    def __lt__(self, other: Any) -> bool:
        return self._is(other, NEGATIVE)

    def __le__(self, other: Any) -> bool:
        return self._is(other, NONPOSITIVE)

    def __gt__(self, other: Any) -> bool:
        return self._is(other, POSITIVE)

    def __ge__(self, other: Any) -> bool:
        return self._is(other, NONNEGATIVE)

    def __abs__(self) -> Quotient:
        return self if self >= 0 else -self

    def __bool__(self) -> bool:
        raise TypeError("a symbol is no truth value")

    def __float__(self) -> float:
        raise TypeError("a symbol has no floating-point value")

    def __str__(self) -> str:
        below = " * ".join(f"({f})^{e}" for f, e in self.den.values())
        return f"({self.num}) / ({below})" if below else str(self.num)

    __repr__ = __str__

    # -- what theory.scalars asks of a scalar -------------------------------------------------------

    def root(self, degree: int) -> Any:
        """The square (2) or cube (3) root: a polynomial where it is one, else a generator r >= 0 with r^degree = ...

        Raises:
            ValueError: the number is negative on this path.
        """
        world = active()
        world.deduce_nonnegative(signed(self))
        if self < 0:
            raise ValueError("root of a negative number")
        num, below = self.num, world.space.one
        den: Denominator = {}
        for key, (f, e) in self.den.items():
            num = num * f ** (-e % degree)
            den[key] = (f, -(-e // degree))
            below = below * f ** -(-e // degree)
        # The root of a square in the denominator is its absolute value.
        flip = degree == 2 and bool(den) and not world.compare(below, POSITIVE)
        top, positive = world.root(num, degree)
        out = cancelled(-top if flip else top, den)
        return out if positive.is_one() else out / Quotient(positive, {})


def signed(q: Quotient) -> Any:
    """A polynomial with the sign of ``q``."""
    out = q.num
    for f, e in q.den.values():
        if e % 2:
            out = out * f
    return out


def expanded(den: Denominator) -> Any:
    """The denominator as one polynomial."""
    out: Any = None
    for f, e in den.values():
        out = f**e if out is None else out * f**e
    return out


def cancelled(num: Any, den: Denominator) -> Quotient:
    """The quotient num / den without the factors of ``den`` that divide ``num``."""
    out: Denominator = {}
    if num.is_zero():
        return Quotient(num, out)
    for key, (f, e) in den.items():
        while e:
            if len(num) > 20:
                active().space.spend(len(num))
            q, r = divmod(num, f)
            if not r.is_zero():
                break
            num, e = q, e - 1
        if e:
            out[key] = (f, e)
    return Quotient(num, out)


def _sum(a: Quotient, b: Quotient) -> Quotient:
    common: Denominator = dict(a.den)
    for key, (f, e) in b.den.items():
        if key not in common or common[key][1] < e:
            common[key] = (f, e)
    left, right = a.num, b.num
    for key, (f, e) in common.items():
        if (more := e - (a.den[key][1] if key in a.den else 0)) > 0:
            left = left * f**more
        if (more := e - (b.den[key][1] if key in b.den else 0)) > 0:
            right = right * f**more
    return cancelled(left + right, common)


def _constant(value: Any) -> Any:
    if isinstance(value, (fmpq, int, fmpz)):
        return value
    if isinstance(value, arb | float) or value is None:
        return None
    try:
        return scalars.rational(value)
    except ValueError:
        return None


def variable(world_space: Any, index: int) -> Quotient:
    """The generator ``index`` as a number."""
    return Quotient(world_space.gens[index], {})


scalars.register(Quotient)

__all__ = ["Quotient", "World", "cancelled", "expanded", "signed", "variable"]
