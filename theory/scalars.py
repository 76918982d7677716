"""Scalar types and the few operations that differ between them.

An array here is a numpy array of one of three kinds:

* ``float64``: fast, possibly stacked over a leading axis; it screens, it never gives a verdict;
* ``object`` holding ``flint.fmpq``: exact rationals;
* ``object`` holding ``flint.arb`` (alone or mixed with ``fmpq``): balls, real numbers with a rigorous radius.

Every other module writes ordinary numpy and asks this one for roots, logarithms and comparisons.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache, wraps
from typing import Any

import numpy as np
from flint import arb, ctx, fmpq, fmpz

Array = np.ndarray
Scalar = Any  # float | fmpq | arb
"""One number of any of the three kinds."""

ZERO, ONE = fmpq(0), fmpq(1)

_REGISTERED: list[type] = []


def register(kind: type) -> None:
    """Accept ``kind`` as one more exact scalar.

    It brings arithmetic with rationals, comparisons, ``abs`` and ``root(degree)``; arrays of it are object arrays.
    """
    if kind not in _REGISTERED:
        _REGISTERED.append(kind)


def is_registered(value: Any) -> bool:
    """Whether ``value`` is a scalar of a kind that was registered (neither a rational nor a ball nor a float)."""
    return isinstance(value, tuple(_REGISTERED))


ctx.prec = 128  # balls start at the precision that `theory.relations.decide` reports; flint's own default is 53


def is_exact(a: Any) -> bool:
    """Whether ``a`` is an object array or a flint scalar (rationals or balls), not floating point."""
    return isinstance(a, fmpq | arb | fmpz) or (isinstance(a, np.ndarray) and a.dtype == object) or is_registered(a)


def rational(value: Any) -> fmpq:
    """``value`` as an exact rational.

    A float is taken at its exact binary value; a string may be ``"3/4"``, ``"-2"`` or ``"0.125"``.

    Raises:
        ValueError: NaN, infinite or unreadable.
    """
    if isinstance(value, fmpq):
        return value
    if isinstance(value, fmpz | int | np.integer):
        return fmpq(int(value))
    if isinstance(value, str):
        return _read(value)
    if isinstance(value, Fraction):
        return fmpq(value.numerator, value.denominator)
    if isinstance(value, float | np.floating):
        if not np.isfinite(value):
            raise ValueError(f"not a finite number: {value!r}")
        return fmpq(*float(value).as_integer_ratio())
    raise ValueError(f"not a number: {value!r} ({type(value).__name__})")


@lru_cache(maxsize=4096)
def _read(text: str) -> fmpq:
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"not a rational number: {text!r}; write it as '3/4' or '-2'") from None
    return fmpq(value.numerator, value.denominator)


def exact(values: Any) -> Array:
    """``values`` (any nesting of numbers) as an object array of rationals, value for value."""
    a = np.asarray(values) if not is_exact(values) else np.asarray(values, dtype=object)
    out = np.empty(a.shape, dtype=object)
    for i, v in np.ndenumerate(a):
        out[i] = v if isinstance(v, fmpq | arb) or is_registered(v) else rational(v)
    return out


def floats(a: Any) -> Array:
    """The nearest float64 to each entry (midpoints of balls)."""
    if isinstance(a, np.ndarray) and a.dtype != object:
        return a.astype(float)
    a = np.asarray(a, dtype=object)
    return np.vectorize(to_float, otypes=[float])(a) if a.size else np.zeros(a.shape)


def to_float(value: Any) -> float:
    """The nearest float64 (the midpoint of a ball); infinite where the rational is too large."""
    if isinstance(value, fmpq):
        try:
            return int(value.p) / int(value.q)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    if isinstance(value, arb):
        return float(value.mid())
    return float(value)


def zeros(shape: tuple[int, ...], like: Array) -> Array:
    """Zeros of the same kind of number as ``like``."""
    return np.full(shape, ZERO, dtype=object) if is_exact(like) else np.zeros(shape)


def ones(shape: tuple[int, ...], like: Array) -> Array:
    """Ones of the same kind of number as ``like``."""
    return np.full(shape, ONE, dtype=object) if is_exact(like) else np.ones(shape)


def cached_array(function: Callable[[Any], Array]) -> Callable[[Any], Array]:
    """The function with its last results kept; they are read-only, since all callers share them."""

    @lru_cache(maxsize=4096)
    @wraps(function)
    def kept(structure: Any) -> Array:
        out = function(structure)
        out.flags.writeable = False
        return out

    return kept


def indicator(condition: Any, like: Array) -> Array:
    """1 where ``condition`` holds and 0 elsewhere, in the kind of number of ``like``."""
    condition = np.asarray(condition, dtype=bool)
    if not is_exact(like):
        return condition.astype(float)
    out = np.full(condition.shape, ZERO, dtype=object)
    out[condition] = ONE
    return out


def gate(a: Array, like: Array) -> Array:
    """1 where ``a`` is above 0, 0 where it is not, and where a ball leaves that open the ball [0, 1]."""
    on = indicator(a > 0, like)
    on[~np.asarray((a > 0) | (a <= 0), dtype=bool)] = arb(0.5, 0.5)
    return on


def _elementwise(on_floats: Callable[[Array], Array], on_scalar: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def apply(a: Any) -> Any:
        if isinstance(a, np.ndarray):
            if a.dtype != object:
                return on_floats(a)
            out = np.empty(a.shape, dtype=object)
            for i, v in np.ndenumerate(a):
                out[i] = on_scalar(v)
            return out
        if is_exact(a):
            return on_scalar(a)
        return on_floats(a)

    return apply


def _square_root(v: Any) -> Any:
    if isinstance(v, arb):
        return v.sqrt()
    if is_registered(v):
        return v.root(2)
    v = rational(v)
    if v < 0:
        raise ValueError(f"square root of the negative number {v}")
    (p, rp), (q, rq) = fmpz(v.p).sqrtrem(), fmpz(v.q).sqrtrem()
    return fmpq(p, q) if rp == 0 and rq == 0 else arb(v).sqrt()


def _silent(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def quiet(a: Any) -> Any:
        with np.errstate(all="ignore"):
            return f(a)

    return quiet


sqrt = _elementwise(_silent(np.sqrt), _square_root)
"""Square root: rational where it is, else a ball."""
log = _elementwise(_silent(np.log), lambda v: ZERO if v == 1 else arb(v).log())
"""Natural logarithm, as a ball."""
exp = _elementwise(_silent(np.exp), lambda v: ONE if v == 0 else arb(v).exp())
"""Exponential, as a ball."""
absolute = _elementwise(np.abs, abs)


def _xlogx(a: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.where(a > 0, a * np.log(np.where(a > 0, a, 1.0)), 0.0)


xlogx = _elementwise(_xlogx, lambda v: ZERO if v == 0 or v == 1 else v * arb(v).log())
"""x log x in nats, with 0 log 0 = 0."""


def maximum(a: Any, b: Any) -> Any:
    """The larger of two scalars, rigorous for balls."""
    if isinstance(a, arb) or isinstance(b, arb):
        return arb(a).max(arb(b))
    return a if a >= b else b


def total(a: Array, axis: int | tuple[int, ...] | None = None) -> Any:
    """Sum over ``axis``; an empty exact sum is the rational 0."""
    result = np.asarray(a).sum(axis=axis)
    return ZERO if is_exact(a) and isinstance(result, int) else result


@contextlib.contextmanager
def precision(bits: int) -> Iterator[None]:
    """Ball arithmetic inside runs at ``bits`` bits."""
    before, ctx.prec = ctx.prec, bits
    try:
        yield
    finally:
        ctx.prec = before


def text(value: Any) -> str:
    """The exact value as a short string: ``3/4``, ``-2``, ``[1.41 +/- 4e-3]``."""
    if isinstance(value, arb):
        return value.str(15)
    if isinstance(value, fmpq | fmpz) or is_registered(value):
        return str(value)
    if isinstance(value, np.generic):
        value = value.item()
    return repr(value)
