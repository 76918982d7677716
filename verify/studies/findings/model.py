"""What a finding is, and where its numbers come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from figures.style import label
from verify.studies.findings.tables import TABLES
from verify.studies.findings.witness import Witness

Row = dict[str, Any]
NAMES = {"resnet20": "ResNet-20", "vgg16_bn": "VGG-16-BN"}
"""The networks of most tables, as they are called."""


_CALLED = {"path-energy": "path energy", "px-per-sample": "PX, gates per sample", "trace-loss": "least loss of trace"}


def called(method: str) -> str:
    """What a score is called in figures and tables of the findings."""
    return _CALLED.get(method) or label(method)


class Numbers:
    """The recorded tables, asked for by name; every number of the text comes from here."""

    def __init__(self) -> None:
        self._tables: dict[str, list[Row]] = {}
        self.used: dict[str, None] = {}

    def rows(self, table: str, **where: Any) -> list[Row]:
        """The rows of a table with these values.

        Raises:
            KeyError: no such table, or no such row.
        """
        self.used[table] = None
        if table not in self._tables:
            self._tables[table] = TABLES[table].read()
        found = [r for r in self._tables[table] if all(str(r[k]) == str(v) for k, v in where.items())]
        if not found:
            raise KeyError(f"{TABLES[table].path.name} has no row with {where}")
        return found

    def all(self, table: str, column: str, **where: Any) -> list[Any]:
        """A column."""
        return [r[column] for r in self.rows(table, **where)]

    def one(self, table: str, column: str, **where: Any) -> Any:
        """One number.

        Raises:
            KeyError: several rows fit.
        """
        rows = self.rows(table, **where)
        if len(rows) > 1:
            raise KeyError(f"{TABLES[table].path.name} has {len(rows)} rows with {where}")
        return rows[0][column]

    def range(self, table: str, column: str, form: str = ".3g", **where: Any) -> str:
        """Smallest to largest, or the one value."""
        values = self.all(table, column, **where)
        low, high = format(min(values), form), format(max(values), form)
        return low if low == high else f"{low} to {high}"


def percent(v: float, digits: int = 1) -> str:
    """A share as per cent; 100 only if it is all."""
    shown = f"{100 * v:.{digits}f}"
    if float(shown) == 100 and v < 1:
        shown = f"{math.floor(1000 * v) / 10:.1f}" if v < 0.999 else "over 99.9"
    return f"{shown.rstrip('0').rstrip('.') if '.' in shown else shown} %"


def spread(values: Sequence[int]) -> str:
    """One number, or a range."""
    return str(values[0]) if min(values) == max(values) else f"{min(values)} to {max(values)}"


def power(log10: float) -> str:
    """10 to a power, one decimal."""
    return f"10^{log10:.1f}"


@dataclass(frozen=True)
class Grid:
    """A table of the page, folded away.

    Attributes:
        caption: what stands in it, with the numbers of runs and seeds.
        heads: of the columns.
        rows: cells.
    """

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True)
class Finding:
    """A finding.

    Attributes:
        name: kebab-case.
        title: what is found, in a line.
        belief: the statement tested, whose it is, and where it is known from.
        claims: ids of the claims that say it, false ones first.
        shown: counterexamples with the function that writes each out; the first is shown, the others are folded.
        instead: what is true instead; ids of proved claims stand in ``repaired``.
        practice: numbers -> what it means on real networks, in a few sentences beside the figure.
        grids: numbers -> the tables with all numbers.
        precision: numbers -> the check on the real architecture in several precisions.
        second: what the second implementation recomputes.
        limits: what the finding does not say.
    """

    name: str
    title: str
    belief: str
    claims: tuple[str, ...]
    shown: tuple[tuple[Witness, Callable[[dict[str, Any]], list[str]]], ...]
    instead: str
    practice: Callable[[Numbers], str]
    grids: Callable[[Numbers], tuple[Grid, ...]]
    precision: Callable[[Numbers], str]
    second: str
    limits: str
    repaired: tuple[str, ...] = field(default=())
