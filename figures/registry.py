"""What a figure is, and the list of all of them.

A figure is three functions: the trials it needs at a scale, the table computed from them, and the drawing
of that table. The drawing sees the table's rows and nothing else, so the CSV beside a picture holds every
number in it.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Canvas

from theory.names import did_you_mean
from verify import trials
from verify.experiments.scores import METHODS
from verify.trials import Configuration, Trial

MODULES = ("sketching", "synaptic_flow", "path_exclusion", "no_free_prune", "accuracy", "ours", "papers")
SCALES = ("smoke", "small", "full")
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        name: "module/function" with dashes.
        title: one line.
        caption: what is drawn and how to read it.
        configurations: scale -> the trials it needs.
        table: trials -> the rows behind the picture.
        draw: rows -> the picture.
        news: rows -> what they say in one sentence, which stands above the picture.
        interval: what bands and bars are; "" where there are none.
        scales: how large it can be made; what has "papers" is made only by name.
    """

    name: str
    title: str
    caption: str
    configurations: Callable[[str], list[Configuration]] = field(compare=False)
    table: Callable[[Sequence[Trial]], Rows] = field(compare=False)
    draw: Callable[[Rows], Canvas] = field(compare=False)
    news: Callable[[Rows], str] = field(compare=False)
    interval: str = ""
    scales: tuple[str, ...] = SCALES


@dataclass(frozen=True)
class Made:
    """Where a figure went, and the trials it came from."""

    figure: Figure
    png: Path
    pdf: Path
    csv: Path
    rows: int
    provenance: dict[str, Any]
    failures: tuple[trials.Failure, ...] = ()


_REGISTRY: dict[str, Figure] = {}


STUDENT = "mean and 95 % Student interval over networks"
"""What `figures.style.summary` computes."""


def figure(
    *, configurations: Callable[[str], list[Configuration]], table: Callable[[Sequence[Trial]], Rows],
    news: Callable[[Rows], str], interval: str = "", scales: tuple[str, ...] = SCALES,
) -> Callable[[Callable[[Rows], Canvas]], Figure]:  # fmt: skip
    """Register the decorated drawing function; name from module and function, title and caption from its docstring.

    Arguments are the fields of `Figure`.

    Raises:
        ValueError: no docstring.
    """

    def register(draw: Callable[[Rows], Canvas]) -> Figure:
        title, _, caption = (inspect.getdoc(draw) or "").partition("\n")
        if not caption.strip():
            raise ValueError(f"figure {draw.__name__} needs a docstring: its title and caption")
        name = f"{draw.__module__.rsplit('.', 1)[-1]}/{draw.__name__}".replace("_", "-")
        made = Figure(
            name, title.strip(), " ".join(caption.split()), configurations, table, draw, news, interval, scales
        )  # fmt: skip
        _REGISTRY[name] = made
        return made

    return register


def figures() -> tuple[Figure, ...]:
    """All figures, by paper."""
    for module in MODULES:
        importlib.import_module(f"figures.{module}")
    return tuple(_REGISTRY.values())


def figures_named(names: Sequence[str]) -> tuple[Figure, ...]:
    """The figures with those names; a module's name stands for all of its figures.

    No names stand for all but the papers' tables, which are made by name.

    Raises:
        KeyError: there is none of that name; the message names near misses.
    """
    known = {f.name: f for f in figures()}
    if not names:
        return tuple(f for f in known.values() if "papers" not in f.scales)
    found: dict[str, Figure] = {}
    for name in names:
        wanted = name.replace("_", "-").strip("/")
        ends = [n for n in known if wanted in (n, n.split("/")[0], n.split("/")[1])]
        if not ends:
            hint = did_you_mean(wanted, known, "`python -m figures list` shows all", count=4)
            raise KeyError(f"no figure is called {name!r}; {hint}")
        found.update({n: known[n] for n in ends})
    return tuple(found.values())


def make(
    wanted: Figure,
    *,
    scale: str = "smoke",
    store: trials.Store,
    out: str | Path = "figures/out",
    jobs: int | None = None,
    scheduler: str | None = None,
    quiet: bool = False,
    finished: bool = False,
    retry: bool = False,
) -> Made:
    """Run the trials that are missing, write the CSV, and draw it as PNG, SVG and PDF.

    With ``finished`` nothing is run: the figure is drawn from the trials that are there, and says how many were not.
    Trials that failed are left out, and the CSV and `Made` say how many; with ``retry`` they are run again first.

    Raises:
        ValueError: an unknown scale, or no finished trial to draw from.
        TrialsFailed: all trials failed.
    """
    import matplotlib

    from figures.style import STYLE, framed

    if scale not in wanted.scales:
        raise ValueError(f"{wanted.name}: scale is {', '.join(wanted.scales)}, not {scale!r}")
    wished = wanted.configurations(scale)
    missing: dict[str, Any] = {}
    if finished:
        there = [c for c in wished if c in store]
        missing = {"missing trials": len(wished) - len(there)} if len(there) < len(wished) else {}
        if not there:
            raise ValueError(f"{wanted.name}: none of its {len(wished)} trials is finished")
        wished = there
    failures: list[trials.Failure] = []
    try:
        done = trials.run(
            wished, store, jobs=jobs, scheduler=scheduler, quiet=quiet, label=wanted.name, retry=retry
        )  # fmt: skip
    except trials.TrialsFailed as e:
        if not e.finished:
            raise
        done, failures = e.finished, e.failures
        missing["failed trials"] = len(failures)
    with _gaps(wanted, sum(missing.values()), failures):
        table = wanted.table(done)
        rows = [{k: float(f"{v:.7g}") if isinstance(v, float) else v for k, v in r.items()} for r in table]
        news = wanted.news(rows)
    stem = Path(out) / wanted.name.replace("/", "-")
    said = f"{wanted.title} {wanted.caption}"
    provenance = {
        "figure": wanted.name, "scale": scale, "news": news, "caption": said, **missing, **_about(done, rows),
        **({"interval": wanted.interval} if wanted.interval else {}), **trials.provenance(done),
    }  # fmt: skip
    csv = trials.write_csv(rows, stem.with_suffix(".csv"), provenance=provenance)
    with matplotlib.rc_context(STYLE):
        # Drawn from the file, so that the picture cannot show what the file does not hold.
        with _gaps(wanted, sum(missing.values()), failures):
            canvas = framed(wanted.draw(trials.read_csv(csv)), provenance)
        png, pdf = stem.with_suffix(".png"), stem.with_suffix(".pdf")
        canvas.savefig(png, dpi=160)
        canvas.savefig(pdf, metadata={"CreationDate": None})
        canvas.savefig(stem.with_suffix(".svg"), metadata={"Date": None})
    return Made(wanted, png, pdf, csv, len(rows), provenance, tuple(failures))


def _about(done: Sequence[Trial], rows: Rows) -> dict[str, Any]:
    """What a reader of the CSV needs beside the caption: settings, observations a point, how methods score."""
    parameters = [{k: v for k, v in t.configuration.items() if k not in ("experiment", "code", "seed")} for t in done]
    shared = {k: v for k, v in parameters[0].items() if all(k in p and p[k] == v for p in parameters)}
    methods = dict.fromkeys(p["method"] for p in parameters if p.get("method") in METHODS)
    counts = sorted({r["n"] for r in rows if "n" in r})
    found: dict[str, Any] = {"settings": shared} if shared else {}
    if methods and all(t.configuration["experiment"] != "verify.experiments.cifar:resnet20" for t in done):
        found["scores"] = {m: METHODS[m].settings for m in methods}
    if counts:
        found["n"] = counts[0] if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return found


@contextmanager
def _gaps(wanted: Figure, missing: int, failures: Sequence[trials.Failure]) -> Iterator[None]:
    """Some figures need all their trials: say so, rather than where the gap was met."""
    try:
        yield
    except (ArithmeticError, LookupError, ValueError) as e:
        if not missing:
            raise
        why = f": {failures[0]}" if failures else ""
        raise ValueError(f"{wanted.name} cannot be drawn without the {missing} trials that have no results{why}") from e
