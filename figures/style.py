"""The look of all figures: print-ready, colour-blind safe, one colour and marker a method everywhere.

Colours are Okabe and Ito's; every series also differs in its marker, so that nothing depends on colour.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

STYLE: Any = {
    "figure.dpi": 160,
    "font.size": 8,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.linewidth": 0.4,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
}

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PINK, GREY = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#D9C400", "#0072B2", "#D55E00", "#CC79A7", "#888888",
)  # fmt: skip

WINE, TEAL, BROWN = "#882255", "#44AA99", "#999933"
"""Three of Tol's muted colours, for more methods than Okabe and Ito have colours."""

LOOKS: dict[str, tuple[str, str, str, str]] = {
    "random": (GREY, "x", ":", "random"),
    "magnitude": (YELLOW, "v", "-", "magnitude"),
    "snip": (ORANGE, "s", "-", "SNIP"),
    "snip-iterative": (ORANGE, "s", "--", "SNIP, iterative"),
    "force": (BROWN, "h", "-", "FORCE"),
    "grasp": (WINE, "d", ":", "GraSP, no temperature"),
    "grasp-200": (PINK, "D", "-", "GraSP"),
    "grasp-200-absolute": (PINK, "D", "--", "|GraSP|"),
    "erk": (GREY, "+", "-", "random, ERK"),
    "synflow": (SKY, "^", "-", "SynFlow"),
    "synflow-l2": (BLUE, "o", "--", "SynFlow-L2"),
    "px": (RED, "o", "-", "PX"),
    "px-frozen": (RED, "P", ":", "PX, activation frozen"),
    "px-released": (RED, "P", "--", "PX as released"),
    "ntk-sap": (BLACK, "D", ":", "NTK-SAP"),
    "magnitude-after-training": (TEAL, "<", "--", "magnitude after training"),
    "imp": (GREEN, "*", "-", "iterative magnitude"),
    "imp-rewind": (GREEN, "*", ":", "iterative magnitude, rewound early"),
    "dense": (BLACK, "", "-", "dense"),
}
"""Method -> colour, marker, line style, label."""


def label(method: str) -> str:
    """What a method is called in a legend."""
    return LOOKS[method][3] if method in LOOKS else method


def canvas(columns: int = 1, rows: int = 1, *, width: float = 6.8, height: float = 2.7) -> tuple[Figure, list[Axes]]:
    """A figure of a text column's width with its axes in one list."""
    fig = Figure(figsize=(width, height * rows), layout="constrained")
    return fig, list(np.atleast_1d(fig.subplots(rows, columns)).ravel())


def framed(fig: Figure, provenance: dict[str, Any]) -> Figure:
    """The figure with its news above it, and under that how many observations, seeds and what the interval is."""
    width, height = (float(v) for v in fig.get_size_inches())
    parts = [f"scale {provenance['scale']}"]
    parts += [f"n = {provenance['n']} a point"] if "n" in provenance else []
    parts += [f"seeds {provenance['seeds']}"] if "seeds" in provenance else []
    parts += [provenance["interval"]] if "interval" in provenance else []
    parts += [f"{provenance[k]} {k}" for k in ("missing trials", "failed trials") if k in provenance]
    news, said = (
        textwrap.wrap(provenance["news"], round(12.5 * width)),
        textwrap.wrap("; ".join(parts), round(17 * width)),
    )
    # Blank lines of the title keep the place of the smaller ones; its lines are 1.2 x 8.5 points high.
    extra = len(news) + len(said)
    fig.set_size_inches(width, height + 0.15 * extra)
    fig.suptitle("\n".join([*news, *([" "] * len(said))]), fontsize=8.5, fontweight="bold")
    top = 1 - (0.06 + 0.142 * len(news)) / (height + 0.15 * extra)
    fig.text(0.5, top, "\n".join(said), ha="center", va="top", fontsize=6.5, color=GREY)
    return fig


def share(value: float) -> str:
    """A number of per cent or points as text: two digits."""
    return f"{value:.2g}" if abs(value) < 10 else f"{value:.0f}"


def named(methods: Iterable[str]) -> str:
    """Methods by their labels, in a sentence; "none" where there are none."""
    return ", ".join(label(m) for m in methods) or "none"


def series(ax: Axes, method: str, x: Sequence[float], rows: Sequence[dict[str, Any]], **more: Any) -> None:
    """A method's line through ``mean`` with its band ``low`` .. ``high``."""
    color, marker, line, name = LOOKS.get(method, (BLACK, ".", "-", method))
    look = {"color": color, "marker": marker or None, "linestyle": line, "label": name, **more}
    ax.plot(x, [r["mean"] for r in rows], **look)
    ax.fill_between(x, [r["low"] for r in rows], [r["high"] for r in rows], color=look["color"], alpha=0.15, lw=0)


def summary(values: Iterable[float]) -> dict[str, Any]:
    """Mean and 95 % Student interval over independent repetitions: mean, low, high, n."""
    v = np.asarray(list(values), dtype=float)
    half = float(stats.t.ppf(0.975, len(v) - 1) * v.std(ddof=1) / math.sqrt(len(v))) if len(v) > 1 else 0.0
    return {"mean": float(v.mean()), "low": float(v.mean()) - half, "high": float(v.mean()) + half, "n": len(v)}


def proportion(count: int, n: int) -> dict[str, Any]:
    """A share with Wilson's 95 % interval: mean, low, high, n."""
    p, z = count / n, 1.959964
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return {"mean": p, "low": max(0.0, (middle - half) / scale), "high": min(1.0, (middle + half) / scale), "n": n}


def legend_below(fig: Figure, axes: Axes | Sequence[Axes], columns: int = 5) -> None:
    """One legend for the whole figure, under it."""
    unique: dict[Any, Any] = {}
    for ax in [axes] if isinstance(axes, Axes) else axes:
        handles, labels = ax.get_legend_handles_labels()
        unique.update(zip(labels, handles, strict=True))
    fig.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=columns)


def densities(ax: Axes, values: Iterable[float]) -> None:
    """A logarithmic axis of the share of weights that remain, dense on the left, in per cent."""
    ticks = sorted(set(values), reverse=True)
    ax.set_xscale("log")
    ax.set_xlim(max(ticks) * 1.15, min(ticks) / 1.15)
    ax.set_xticks(ticks, [f"{100 * t:g}" for t in ticks])
    ax.minorticks_off()
    ax.set_xlabel("weights remaining (%)")


def plain_ticks(ax: Axes, low: float, high: float) -> None:
    """Ticks 1, 2, 5, 10, ... between two positive values on a logarithmic y-axis, written as plain numbers."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if math.log10(high / low) < 2.5 else (1,)
    ticks = [v for p in powers for s in steps if low <= (v := s * 10.0**p) <= high]
    ax.set_yticks(ticks, [f"{t:.15g}" for t in ticks])


def select(rows: Iterable[dict[str, Any]], **where: Any) -> list[dict[str, Any]]:
    """The rows whose columns have these values."""
    return [r for r in rows if all(r[k] == v for k, v in where.items())]


def distinct(rows: Iterable[dict[str, Any]], column: str) -> list[Any]:
    """The values of a column in order of appearance."""
    return list(dict.fromkeys(r[column] for r in rows))


def grouped(trials: Iterable[Any], *columns: str) -> dict[tuple[Any, ...], list[Any]]:
    """Trials by the values of some of their parameters or results."""
    out: dict[tuple[Any, ...], list[Any]] = {}
    for t in trials:
        out.setdefault(tuple(t[c] for c in columns), []).append(t)
    return out


def pooled(trials: Iterable[Any], result: str) -> list[float]:
    """A list-valued result of several trials, put together."""
    return [v for t in trials for v in t[result]]
