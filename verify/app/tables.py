"""What a person reads: the live progress line, the table, and the remarks under it."""

from __future__ import annotations

import re
import sys
import textwrap
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from theory.claims import claim_named
from verify.app.runner import DRAWN, Event, Row
from verify.app.summary import BELIEVED, Summary, by_experiment, counted, counts, in_words, left_open
from verify.networks.claims.plain import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDTH = 100
AGREES, CONTRADICTS = "green", "bold red"
"""The only colours: whether a verdict agrees with what is believed of the claim."""
SHOWN_AT_ONCE = 8
"""Finished rows that stand above the progress bar."""


def console(*, error: bool = False, width: int | None = None) -> Console:
    """A console with colours on a terminal only, 100 columns wide elsewhere."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    return Console(stderr=error, width=width if width or stream.isatty() else WIDTH, highlight=False, soft_wrap=False)


def watched(events: Iterator[Event], *, quiet: bool = False) -> Iterator[Row]:
    """Rows as they come in; on a terminal the latest are shown above a bar: what runs, how many are done, time left."""
    screen = console(error=True)
    if quiet or not screen.is_terminal:
        for event in events:
            if event.row is not None:
                yield event.row
        return
    from rich.console import Group
    from rich.live import Live
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
    progress = Progress(*columns, console=screen)
    bar = progress.add_task("", total=None)
    latest: deque[Row] = deque(maxlen=SHOWN_AT_ONCE)
    with Live(progress, console=screen, transient=True) as live:
        for event in events:
            running = ", ".join(name.split("/")[-1] for name in event.running)
            progress.update(bar, total=event.total, completed=event.done, description=running[:40])
            if event.row is not None:
                latest.append(event.row)
                live.update(Group(*(_finished(row) for row in latest), progress))
                yield event.row


def _finished(row: Row) -> Text:
    from rich.text import Text

    name = row.claim.split("/")[-1]
    line = Text(f" {name:41} {_short(row.on):14} ", no_wrap=True, overflow="ellipsis")
    return line.append(in_words(row), style=_colour(row.disagrees == "", row.verdict))


def _colour(agrees: bool | None, verdict: str = "survived") -> str:
    if agrees is None or (agrees and verdict not in ("survived", "refuted")):
        return ""
    return AGREES if agrees else CONTRADICTS


def number(value: float | None) -> str:
    """A margin in few characters."""
    return "" if value is None else "0" if value == 0 else f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")


def how(row: Row) -> str:
    """How it was decided, in a word."""
    return {"rational": "exact"}.get(row.how, row.how.split(" ")[0].replace("float64", "float"))


def print_table(found: Sequence[Summary], screen: Console | None = None) -> None:
    """One line a claim, paper by paper; narrower than 100 columns only what was found."""
    from rich.table import Table
    from rich.text import Text

    screen = screen or console()
    wide = screen.width >= WIDTH
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("claim", no_wrap=True, overflow="ellipsis")
    table.add_column("found", no_wrap=True, overflow="ellipsis")
    if wide:
        table.add_column("evidence", no_wrap=True, justify="right")
        table.add_column("models", no_wrap=True, justify="right")
    paper = ""
    for one in found:
        if one.paper != paper:
            paper = one.paper
            table.add_row(Text(paper, style="bold"))
        models = one.on_models
        decided = sum(r.verdict in ("survived", "refuted") for r in models)
        found_now = Text(one.found + " !!" * (one.agrees is False), style=_colour(one.agrees))
        more = (one.evidence, f"{decided}/{len(models)}" if models else "") if wide else ()
        table.add_row(f" {one.name}", found_now, *more)
    screen.print(table)
    screen.print()
    for words in LEGEND + WIDE_LEGEND * wide:
        screen.print(_wrapped(words, screen), style="dim")


def print_details(rows: Sequence[Row], screen: Console | None = None) -> None:
    """One line for each claim and thing it ran on, paper by paper; at 100 columns nothing wraps."""
    from rich.table import Table
    from rich.text import Text

    screen = screen or console()
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for name, justify in (("claim", "left"), ("believed", "left"), ("on", "left"), ("verdict", "left"), ("by", "left"),
                          ("instances", "right"), ("margin", "right")):  # fmt: skip
        table.add_column(name, no_wrap=True, overflow="ellipsis", justify=justify)  # type: ignore[arg-type]
    before: Row | None = None
    for row in rows:
        paper, name = row.claim.split("/", 1)
        if before is None or before.claim.split("/")[0] != paper:
            table.add_row(Text(paper, style="bold"))
        verdict = Text({"not applicable": "n/a"}.get(row.verdict, row.verdict))
        verdict.stylize(_colour(not row.disagrees, row.verdict if row.on == DRAWN else ""))
        if row.disagrees:
            verdict.append(" !!", style=CONTRADICTS)
        again = before is not None and before.claim == row.claim
        table.add_row(
            "" if again else f" {name}", "" if again else BELIEVED.get(row.status, row.status), _short(row.on), verdict,
            how(row), counted(row), row.size if row.verdict == "refuted" and row.size else number(row.margin),
        )  # fmt: skip
        before = row
    screen.print(table)
    screen.print()
    for words in DETAILS_LEGEND:
        screen.print(_wrapped(words, screen), style="dim")


def _short(on: str) -> str:
    """What it ran on in 14 characters: "drawn", "tiny-relu" (of digits), "cifar10 linear"."""
    words = on.replace(" instances", "").replace(",", "").split()
    return (" ".join(words[1:2]) if words[0] == "digits" else " ".join(words[:2]).replace("tiny-relu", "tiny"))[:14]


def print_remarks(found: Sequence[Summary], screen: Console | None = None) -> None:
    """What was not decided and why, counts, and what contradicts a belief with the line that reproduces it."""
    screen = screen or console()
    for on, reasons in left_open(found).items():
        screen.print(f"\nOn {on}:", style="bold", markup=False)
        for reason, names in reasons:
            listed = ", ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} more"
            screen.print(f"  {len(names):3} {reason} ({listed})", markup=False, no_wrap=True, overflow="ellipsis")
    for one in found:
        for row in one.rows:
            if by_experiment(row):
                screen.print()
                print_tests(row, screen)
    screen.print()
    checks = sum(len(one.rows) for one in found)
    screen.print(f"{_many(len(found), 'claim')}, {_many(checks, 'check')}", style="bold")
    for line in counts(found):
        screen.print(_wrapped(f"  {line}", screen))
    origins = {one.recorded.origin.split(", ", 1)[1] for one in found if one.recorded}
    if origins:
        screen.print(_wrapped(f"  recorded: {'; '.join(sorted(origins))}. --scale decides anew.", screen), style="dim")
    wrong = [(one, row) for one in found for row in one.rows if row.disagrees]
    if not wrong:
        screen.print("No verdict contradicts what is believed.", style=AGREES)
    for one, row in wrong:
        screen.print()
        screen.print(f"!! {one.claim} on {row.on}: {row.disagrees}", style=CONTRADICTS, markup=False)
        print_counterexample(row, screen)


LEGEND = (
    "found: the strongest that is known. Small shapes: the claim's code was run on symbols.",
    "survived: no counterexample was found, which is no proof. confirmed: by an exact counterexample.",
)
DETAILS_LEGEND = (
    "on: instances that the search drew, or models trained here (on digits where no data set is named).",
    "by: exact rationals, balls, or float64 with a rounding bound. instances: decided so + screened.",
    "margin: least (right - left) / max(|left|, |right|) of the inequality; 0 is equality, negative violation.",
    "Where a claim is refuted, the size of the counterexample stands there.",
)
WIDE_LEGEND = (
    "evidence: instances decided exactly + screened in float64, size of the counterexample, or trials.",
    "models: on how many of the models trained here something was decided.",
)


def _wrapped(line: str, screen: Console) -> str:
    return textwrap.fill(line, screen.width, subsequent_indent="    ", break_long_words=False)


def _many(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def print_tests(row: Row, screen: Console) -> None:
    """The sequential tests behind the verdict on a claim about training."""
    screen.print(f"{row.claim}: [bold]{row.verdict}[/] from {row.on}, {row.how}")
    for line in row.reasons:
        screen.print(f"  {line}", style="dim", markup=False, soft_wrap=True)


def print_counterexample(row: Row, screen: Console | None = None) -> None:
    """The counterexample, its decision and how to get it again."""
    screen = screen or console()
    if row.counterexample:
        screen.print(f"  {row.counterexample}", soft_wrap=True, markup=False)
    if row.decision:
        asked = re.fullmatch(r"refuted: (.*) (\(.*\))", row.decision)
        said = f"the claim asks for {asked[1]}, which is false {asked[2]}" if asked else row.decision
        screen.print(f"  {said}", soft_wrap=True, markup=False)
    for reason in row.reasons:
        screen.print(f"  {reason}", soft_wrap=True, markup=False)
    if row.reproduce:
        screen.print(f"  reproduce: {row.reproduce}", soft_wrap=True, markup=False, style="dim")


def print_rows(rows: Iterable[Row], screen: Console | None = None) -> None:
    """Rows of benchmarks and the like: any dictionaries would do; here full details of each `Row`."""
    screen = screen or console()
    for row in rows:
        screen.print(f"{row.claim} on {row.on}: [bold]{in_words(row, claim_named(row.claim))}[/]", soft_wrap=True)
        screen.print(f"  {plain(row.title)}", markup=False, soft_wrap=True)
        if row.examples or row.screened:
            screen.print(
                f"  {row.examples:,} decided exactly ({row.how or 'none'}), "
                f"{row.screened:,} screened in floating point, {row.seconds:.1f} s"
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
