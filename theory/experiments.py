"""Outcomes of finished experiments, and the statistics that empirical claims are about.

The claims on these settings define what is measured; the decision is made from trials by sequential
tests (`verify.trials.sequential`), never by drawing numbers, so the settings have no array fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from theory.instances import Instance
from theory.reading import number
from theory.scalars import Scalar, log, rational

Pairs = tuple[tuple[str, str], ...]


def pairs(values: Sequence[tuple[Any, Any]]) -> Pairs:
    """Pairs of numbers written out as exact fractions."""
    return tuple((str(rational(a)), str(rational(b))) for a, b in values)


@dataclass(frozen=True, eq=False)
class PairedTrials(Instance):
    """Paired outcomes (treated, control): the same seed, data, sparsity and training for both.

    Attributes:
        outcomes: one pair a trial, exact fractions as strings (see `pairs`).

    Raises:
        ValueError: no trials, or something that is no number.
    """

    title: ClassVar[str] = "paired trials"
    stackable: ClassVar[bool] = False

    outcomes: Pairs

    @classmethod
    def read_field(cls, name: str, value: Any) -> Any:
        """Pairs of numbers, from JSON."""
        return _read(super().read_field(name, value))

    def __post_init__(self) -> None:
        _check(self.outcomes, 1)

    def differences(self) -> list[Scalar]:
        """Treated minus control, one a trial."""
        return [rational(a) - rational(b) for a, b in self.outcomes]

    def wins(self, level: str = "0") -> int:
        """Trials in which the treated exceeds the control by more than ``level``."""
        return sum(bool(d > rational(level)) for d in self.differences())

    def losses(self, level: str = "0") -> int:
        """Trials in which the treated exceeds the control by less than ``level`` (or falls short of it)."""
        return sum(bool(d < rational(level)) for d in self.differences())


@dataclass(frozen=True, eq=False)
class ScalingTrials(Instance):
    """Pairs (size, value), both positive: how a quantity grows with size.

    Attributes:
        points: one pair a trial, exact fractions as strings (see `pairs`).

    Raises:
        ValueError: fewer than two sizes, or something that is no positive number.
    """

    title: ClassVar[str] = "trials over sizes"
    stackable: ClassVar[bool] = False

    points: Pairs

    @classmethod
    def read_field(cls, name: str, value: Any) -> Any:
        """Pairs of numbers, from JSON."""
        return _read(super().read_field(name, value))

    def __post_init__(self) -> None:
        _check(self.points, 2)
        if any(rational(v) <= 0 for point in self.points for v in point):
            raise ValueError("sizes and values must be positive: their logarithms are fitted")
        if len({rational(size) for size, _ in self.points}) < 2:
            raise ValueError("a slope needs at least two different sizes")

    def slope(self) -> Scalar:
        """Least-squares slope of log(value) on log(size), as a ball."""
        x = [log(rational(size)) for size, _ in self.points]
        y = [log(rational(value)) for _, value in self.points]
        mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
        rise = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
        return rise / sum((a - mean_x) * (a - mean_x) for a in x)


def _read(values: Pairs) -> Pairs:
    for pair in values:
        for v in pair:
            number(v)
    return values


def _check(values: Any, least: int) -> None:
    if len(values) < least:
        raise ValueError(f"at least {least} trials are needed, got {len(values)}")
    for pair in values:
        if len(pair) != 2:
            raise ValueError(f"a trial is a pair of numbers, got {pair!r}")
        for v in pair:
            rational(v)


__all__ = ["PairedTrials", "ScalingTrials", "pairs"]
