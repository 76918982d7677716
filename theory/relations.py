"""Relations between two sides, and how they are decided.

A claim returns a `Relation`: one or more comparisons that must all hold. `decide` turns it into a
verdict. Rationals are compared exactly. Balls that overlap are recomputed at higher precision.
Floating point gives no verdict here: stacked float64 relations are only *screened* (`margins`), and
what looks violated is recomputed in rationals by the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from flint import arb, fmpq

from theory.scalars import absolute, floats, is_exact, maximum, precision, text, to_float

MAX_BITS = 2048


class Verdict(StrEnum):
    """What is known of one instance."""

    HOLDS = "holds"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Comparison:
    """``lhs kind rhs``, elementwise over the trailing axes; ``where`` limits it (vacuous elsewhere)."""

    kind: str  # "<=", "<", "==", "!="
    lhs: Any
    rhs: Any
    name: str = ""
    where: Any = True


@dataclass(frozen=True)
class Relation:
    """A conjunction of comparisons.

    Attributes:
        parts: the comparisons, all of which must hold.
        stacked: whether the leading axis of every side runs over instances.
        again: recomputes the relation (at the current ball precision).
        undefined: why the two sides do not exist (a division by zero), or empty.
        source: for values with a rounding bound, how the bound was had.
    """

    parts: tuple[Comparison, ...]
    stacked: bool = False
    again: Callable[[], Relation] | None = field(default=None, compare=False)
    undefined: str = ""
    source: str = ""

    def __and__(self, other: Relation) -> Relation:
        return replace(self, parts=self.parts + other.parts)

    def when(self, condition: Any) -> Relation:
        """The relation where ``condition`` holds; elsewhere it says nothing (and counts as vacuous)."""
        return replace(self, parts=tuple(replace(p, where=_both(p.where, condition)) for p in self.parts))


def _both(a: Any, b: Any) -> Any:
    return b if a is True else np.logical_and(a, b)


def at_most(lhs: Any, rhs: Any, name: str = "") -> Relation:
    """``lhs <= rhs``."""
    return Relation((Comparison("<=", lhs, rhs, name),))


def less(lhs: Any, rhs: Any, name: str = "") -> Relation:
    """``lhs < rhs``."""
    return Relation((Comparison("<", lhs, rhs, name),))


def equal(lhs: Any, rhs: Any, name: str = "") -> Relation:
    """``lhs == rhs``."""
    return Relation((Comparison("==", lhs, rhs, name),))


def nearly(value: Any) -> Any:
    """A positive ``value``, larger by 2^-40 of itself: beside it balls decide an inequality that is attained."""
    return value * (1 + fmpq(1, 2**40))


def nearly_equal(a: Any, b: Any, name: str = "") -> Relation:
    """Two positive balls are equal to 40 bits; that they are equal no ball decides."""
    return all_of(at_most(a, nearly(b), name), at_most(b, nearly(a), f"{name}, exchanged"))


def different(lhs: Any, rhs: Any, name: str = "") -> Relation:
    """``lhs != rhs``."""
    return Relation((Comparison("!=", lhs, rhs, name),))


def positive(value: Any, name: str = "") -> Relation:
    """``value > 0``."""
    return less(_zero(value), value, name)


def nonnegative(value: Any, name: str = "") -> Relation:
    """``value >= 0``."""
    return at_most(_zero(value), value, name)


def holds(condition: Any, name: str = "") -> Relation:
    """A statement that is true or false; ``condition`` is a bool or an array of bools."""
    return equal(np.asarray(condition, dtype=bool).astype(int), 1, name)


def within(value: Any, enclosure: Any, name: str = "") -> Relation:
    """``value`` lies in ``enclosure``, an array of balls: between the ends of each."""
    ends = np.asarray(enclosure, dtype=object)
    low, high = np.empty(ends.shape, dtype=object), np.empty(ends.shape, dtype=object)
    for i, ball in np.ndenumerate(ends):
        low[i], high[i] = (ball.lower(), ball.upper()) if isinstance(ball, arb) else (ball, ball)
    return all_of(at_most(low, value, name), at_most(value, high, name))


def equivalent(a: Any, b: Any, name: str = "") -> Relation:
    """Two statements are both true or both false."""
    return equal(np.asarray(a, dtype=bool).astype(int), np.asarray(b, dtype=bool).astype(int), name)


def all_of(*relations: Relation) -> Relation:
    """Every one of the relations."""
    return Relation(tuple(p for r in relations for p in r.parts))


def every_pair(a: Any) -> tuple[Any, Any]:
    """``a`` (..., N) twice, to compare each entry with every other: (..., N, 1) and (..., 1, N)."""
    return a[..., :, None], a[..., None, :]


def _zero(value: Any) -> Any:
    return fmpq(0) if is_exact(value) else 0.0


@dataclass(frozen=True)
class Decision:
    """The verdict on one instance.

    Attributes:
        verdict: holds, refuted or undecided.
        margin: relative margin of the tightest comparison: (rhs - lhs) / max(|lhs|, |rhs|), a float
            for display; negative when violated. For equalities -|lhs - rhs| / max(|lhs|, |rhs|).
        how: "rational", "ball (128 bits)", "float64 with rounding bound", or why there is no verdict.
        error: radius of the balls in that comparison, relative; 0.0 for rationals.
        lhs, rhs: the two sides of the comparison that decided, exact or as balls.
        name: the name of that comparison.
        vacuous: no comparison applied (every premise was false): nothing was tested.
        agrees: where all that stays undecided are equalities of balls, a bound on |lhs - rhs| relative to the
            largest entry of the two sides: how well they are known to agree. No verdict follows.
    """

    verdict: Verdict
    margin: float
    how: str
    error: float = 0.0
    lhs: Any = None
    rhs: Any = None
    kind: str = ""
    name: str = ""
    vacuous: bool = False
    agrees: float | None = None

    def __str__(self) -> str:
        sides = f": {text(self.lhs)} {self.kind} {text(self.rhs)}" if self.kind else ""
        known = f"; {agreement(self.agrees)}" if self.agrees is not None else ""
        return f"{self.verdict}{sides} ({self.how}{known})"


def agreement(gap: float) -> str:
    """What is known of an equality that balls leave open, in words."""
    return f"the sides agree within the rounding bound (relative gap at most {gap:.2g}), which decides no equality"


def margins(relation: Relation) -> np.ndarray:
    """Relative margin for each instance of a stacked float64 relation; shape (stack,).

    Negative: looks violated. NaN: a side does not exist. +inf: vacuous. Strict comparisons and ``!=``
    that are violated with equality have margin ``-tiny`` so that they are seen.
    """
    if relation.undefined:
        raise ValueError(f"no margins of an undefined relation: {relation.undefined}")
    worst: np.ndarray | None = None
    with np.errstate(all="ignore"):
        for part in relation.parts:
            m = _reduce(_margin(part), relation.stacked)
            worst = m if worst is None else np.fmin(worst, m) + np.where(np.isnan(m) | np.isnan(worst), np.nan, 0)
    if worst is None:
        raise ValueError("a relation without comparisons decides nothing")
    return worst


def _margin(part: Comparison) -> np.ndarray:
    lhs, rhs = floats(part.lhs), floats(part.rhs)
    scale = np.maximum(np.abs(lhs), np.abs(rhs))
    scale = np.where(scale > 0, scale, 1.0)
    gap = rhs / scale - lhs / scale
    if part.kind == "==":
        gap = -np.abs(gap)
    elif part.kind == "!=":
        gap = np.where(gap == 0, -1e-300, np.abs(gap))
    elif part.kind == "<":
        gap = np.where(gap == 0, -1e-300, gap)
    return np.where(part.where, gap, np.inf)


def _reduce(m: np.ndarray, stacked: bool) -> np.ndarray:
    axes = tuple(range(1 if stacked else 0, m.ndim))
    return np.asarray(m.min(axis=axes, initial=np.inf))


def decide(relation: Relation) -> Decision:
    """The verdict on one instance (not a stack), raising the ball precision while it is undecided.

    Raises:
        TypeError: the relation is a float64 stack, which `margins` screens and nothing decides.
    """
    if relation.stacked:
        raise TypeError("decide takes one instance; a float64 stack is screened by margins()")
    bits, current = 128, relation
    while True:
        decision = _decide(current, bits)
        if decision.verdict is not Verdict.UNDECIDED or relation.again is None or bits >= MAX_BITS:
            return decision
        if current.undefined or (current.source and decision.agrees is not None):
            return decision  # a rounding bound of the values does not shrink with the precision of balls
        bits *= 4
        with precision(bits):
            current = relation.again()


def _decide(relation: Relation, bits: int) -> Decision:
    if relation.undefined:
        return Decision(Verdict.UNDECIDED, float("nan"), f"undefined: {relation.undefined}")
    worst: Decision | None = None
    for part in relation.parts:
        lhs, rhs, where = np.broadcast_arrays(_boxed(part.lhs), _boxed(part.rhs), np.asarray(part.where, dtype=bool))
        entries = [
            (_number(left), _number(right))
            for left, right, relevant in zip(lhs.ravel(), rhs.ravel(), where.ravel(), strict=True)
            if relevant
        ]
        largest = max((abs(to_float(side)) for entry in entries for side in entry), default=0.0)
        for left, right in entries:
            one = _compare(part, left, right, bits, relation.source)
            if one.verdict is Verdict.UNDECIDED and part.kind == "==":
                one = replace(one, agrees=_relative_gap(left, right, largest))
            if worst is None or _order(one) < _order(worst):
                worst = one
    if worst is None:
        return Decision(Verdict.HOLDS, float("inf"), "vacuous", vacuous=True)
    return worst


def _order(decision: Decision) -> tuple[int, float, float]:
    """The comparison that comes first speaks for all: refuted, open, agreeing least, holding with the least margin."""
    rank = {Verdict.REFUTED: 0, Verdict.UNDECIDED: 1, Verdict.HOLDS: 2}
    gap = -float("inf") if decision.agrees is None else -decision.agrees
    return (rank[decision.verdict], gap, decision.margin)


def _boxed(side: Any) -> np.ndarray:
    if isinstance(side, np.ndarray):
        return side
    out = np.empty((), dtype=object)
    out[()] = side
    return out


def _compare(part: Comparison, lhs: Any, rhs: Any, bits: int, source: str) -> Decision:
    ball = isinstance(lhs, arb) or isinstance(rhs, arb)
    gap = rhs - lhs
    true, false = _truth(part.kind, gap)
    verdict = Verdict.HOLDS if true else Verdict.REFUTED if false else Verdict.UNDECIDED
    scale = to_float(maximum(absolute(lhs), absolute(rhs))) or 1.0
    relative = to_float(gap / arb(scale)) if np.isfinite(scale) else float("nan")
    relative = -abs(relative) if part.kind == "==" else abs(relative) if part.kind == "!=" else relative
    error = to_float(arb(gap).rad()) / scale if ball else 0.0
    how = source or (f"ball ({bits} bits)" if ball else "rational")
    return Decision(verdict, relative, how, error, lhs, rhs, part.kind, part.name)


def _relative_gap(lhs: Any, rhs: Any, largest: float) -> float | None:
    """A bound on |rhs - lhs| relative to ``largest``; None where it does not even tell ``largest`` from 0."""
    bound = to_float(arb(rhs - lhs).abs_upper())
    return max(bound / largest, float(np.finfo(float).tiny)) if bound < largest < float("inf") else None


def _number(v: Any) -> Any:
    if isinstance(v, fmpq | arb):
        return v
    if isinstance(v, bool | np.bool_ | int | np.integer):
        return fmpq(int(v))
    if isinstance(v, float | np.floating):
        raise TypeError(
            "a float64 side has no verdict: recompute in rationals (instance.exact()), or give the value "
            "with a rounding bound as flint.arb(value, bound)"
        )
    raise TypeError(f"not a number: {v!r}")


def _truth(kind: str, gap: Any) -> tuple[bool, bool]:
    """(certainly true, certainly false) for ``kind`` given ``rhs - lhs``."""
    if kind == "<=":
        return bool(gap >= 0), bool(gap < 0)
    if kind == "<":
        return bool(gap > 0), bool(gap <= 0)
    equal_, unequal = bool(gap == 0), bool(gap > 0) or bool(gap < 0)
    if kind == "==":
        return equal_, unequal
    if kind == "!=":
        return unequal, equal_
    raise ValueError(f"unknown comparison {kind!r}")
