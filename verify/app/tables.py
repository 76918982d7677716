"""What a person reads: the live progress line, the table, and the remarks under it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from verify.app.runner import Event, Row

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 100
COLOURS = {
    "survived": "green",
    "supported": "green",
    "refuted": "yellow",
    "contradicted": "yellow",
    "undecided": "magenta",
    "not applicable": "dim",
}


def console(*, error: bool = False, width: int | None = None) -> Console:
    """A console with colours on a terminal only, 100 columns wide elsewhere."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    return Console(stderr=error, width=width if width or stream.isatty() else WIDTH, highlight=False, soft_wrap=False)


def watched(events: Iterator[Event], *, quiet: bool = False) -> Iterator[Row]:
    """Rows as they come in, with a live line on a terminal (what runs, how many are done, time left)."""
    screen = console(error=True)
    if quiet or not screen.is_terminal:
        for event in events:
            if event.row is not None:
                yield event.row
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
               TextColumn("[dim]{task.description}"))  # fmt: skip
    with Progress(*columns, console=screen, transient=True) as progress:
        bar = progress.add_task("", total=None)
        for event in events:
            running = ", ".join(name.split("/")[-1] for name in event.running)
            progress.update(bar, total=event.total, completed=event.done, description=running[:40])
            if event.row is not None:
                yield event.row


def number(value: float | None) -> str:
    """A margin in few characters."""
    return "" if value is None else "0" if value == 0 else f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")


def how(row: Row) -> str:
    """How it was decided, in a word."""
    return {"rational": "exact"}.get(row.how, row.how.split(" ")[0].replace("float64", "float"))


def counted(row: Row) -> str:
    """Instances decided exactly + screened."""
    return f"{row.examples}" + (f" +{_thousands(row.screened)}" if row.screened else "")


def _thousands(n: int) -> str:
    return f"{n / 1000:.0f}k" if n >= 10_000 else str(n)


def print_table(rows: Sequence[Row], screen: Console | None = None) -> None:
    """One line for each claim and thing it ran on, paper by paper; at 100 columns nothing wraps."""
    from rich.table import Table
    from rich.text import Text

    screen = screen or console()
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for name, justify in (("claim", "left"), ("status", "left"), ("on", "left"), ("verdict", "left"), ("by", "left"),
                          ("instances", "right"), ("margin", "right")):  # fmt: skip
        table.add_column(name, no_wrap=True, overflow="ellipsis", justify=justify)  # type: ignore[arg-type]
    before: Row | None = None
    for row in rows:
        paper, name = row.claim.split("/", 1)
        if before is None or before.claim.split("/")[0] != paper:
            table.add_row(Text(paper, style="bold"))
        verdict = Text({"not applicable": "n/a"}.get(row.verdict, row.verdict))
        verdict.stylize("bold red" if row.disagrees else COLOURS.get(row.verdict, ""))
        if row.disagrees:
            verdict.append(" !!", style="bold red")
        again = before is not None and before.claim == row.claim
        table.add_row(
            "" if again else f" {name}", "" if again else row.status, _short(row.on), verdict, how(row),
            counted(row) if row.examples or row.screened else "",
            row.size if row.verdict == "refuted" and row.size else number(row.margin),
        )  # fmt: skip
        before = row
    screen.print(table)


def _short(on: str) -> str:
    """What it ran on in 14 characters: "drawn", "tiny-relu" (of digits), "cifar10 linear"."""
    words = on.replace(" instances", "").replace(",", "").split()
    return (" ".join(words[1:2]) if words[0] == "digits" else " ".join(words[:2]).replace("tiny-relu", "tiny"))[:14]


def print_remarks(rows: Sequence[Row], screen: Console | None = None) -> None:
    """Counts, what contradicts a status, and the line that reproduces it."""
    screen = screen or console()
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.verdict] = counts.get(row.verdict, 0) + 1
    claims = len({r.claim for r in rows})
    screen.print()
    screen.print(
        f"{claims} claims, {len(rows)} checks: " + ", ".join(f"{n} {v}" for v, n in sorted(counts.items())) + "."
    )
    screen.print(
        "on: drawn instances, or models trained here (on digits where no data set is named).\n"
        "by: exact rationals, balls, or float64 with a rounding bound. instances: decided + screened.\n"
        "margin: the smallest relative one seen, or the size of the counterexample. survived is not a proof.\n"
        "n/a: not applicable, or decided by experiments (--scale); the report says why.",
        style="dim",
    )
    for row in rows:
        if row.verdict in DECIDED:
            screen.print()
            print_tests(row, screen)
    for row in rows:
        if row.disagrees:
            screen.print()
            screen.print(f"!! {row.claim} on {row.on}: {row.disagrees}", style="bold red")
            print_counterexample(row, screen)


DECIDED = ("supported", "contradicted", "undecided")
"""Verdicts on EMPIRICAL claims; of the others an undecided one has no tests to show."""


def print_tests(row: Row, screen: Console) -> None:
    """The sequential tests behind the verdict on an EMPIRICAL claim; nothing for other claims."""
    if row.how.startswith("e-process"):
        screen.print(f"{row.claim}: [bold]{row.verdict}[/] from {row.on}, {row.how}")
        for line in row.reasons:
            screen.print(f"  {line}", style="dim", markup=False, soft_wrap=True)


def print_counterexample(row: Row, screen: Console | None = None) -> None:
    """The counterexample, its decision and how to get it again."""
    screen = screen or console()
    if row.counterexample:
        screen.print(f"  {row.counterexample}", soft_wrap=True, markup=False)
    if row.decision:
        screen.print(f"  {row.decision}", soft_wrap=True, markup=False)
    for reason in row.reasons:
        screen.print(f"  {reason}", soft_wrap=True, markup=False)
    if row.reproduce:
        screen.print(f"  reproduce: {row.reproduce}", soft_wrap=True, markup=False, style="dim")


def print_rows(rows: Iterable[Row], screen: Console | None = None) -> None:
    """Rows of benchmarks and the like: any dictionaries would do; here full details of each `Row`."""
    screen = screen or console()
    for row in rows:
        screen.print(f"{row.claim} on {row.on}: [bold]{row.verdict}[/] ({row.status})")
        if row.examples or row.screened:
            screen.print(
                f"  {row.examples} decided exactly ({row.how or 'none'}), {row.screened} screened, {row.seconds:.1f} s"
            )
        for name, what in row.stages.items():
            screen.print(f"  {name}: {what}", style="dim")
        print_counterexample(row, screen)


def print_dicts(rows: Sequence[dict[str, object]], title: str = "") -> None:
    """Rows with the same keys as a table."""
    from rich.table import Table

    screen = console()
    if not rows:
        screen.print(f"{title}: nothing measured")
        return
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for key in rows[0]:
        table.add_column(str(key), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(v) for v in row.values()))
    screen.print(table)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
