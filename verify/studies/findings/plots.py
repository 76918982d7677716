"""The drawings of the findings, each from the recorded tables alone; `charts` has their captions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.style import BLACK, BLUE, GREEN, GREY, LOOKS, ORANGE, RED, canvas, densities, label, legend_below
from verify.studies.findings.model import NAMES, Numbers, called

WIDTH = 5.6
"""In inches: on a page of 400 pixels letters are still readable."""
WHITE = "#fefefe"
"""White on light and on dark: pure white is taken for the colour of the page."""


def _column(n: Numbers, table: str, column: str, **where: object) -> list[float]:
    return [float(v) for v in n.all(table, column, **where)]


def _strip(ax: Axes, places: Sequence[float], groups: Sequence[Sequence[float]], colours: Sequence[str]) -> None:
    """One dot a value, side by side where there are several, and a bar at the median."""
    for place, values, colour in zip(places, groups, colours, strict=True):
        spread = np.linspace(-0.16, 0.16, len(values)) if len(values) > 1 else np.zeros(1)
        ax.plot(values, place + spread, "o", color=colour, ms=3.5, mew=0, alpha=0.8)
        ax.plot([statistics.median(values)] * 2, [place - 0.3, place + 0.3], color=colour, lw=1.6)


def _named_rows(ax: Axes, names: Sequence[str]) -> None:
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")


# -- 1 ----------------------------------------------------------------------------------------------------

HEAT = ("px", "synflow", "synflow-l2", "snip", "magnitude", "grasp")
_LEVELS = (0.1, 0.018, 0.001, "critical")


def layers(n: Numbers) -> Figure:
    """How much of each layer of ResNet-20 methods keep, as heat maps with crosses where nothing is left."""
    fig, axes = canvas(3, 2, width=WIDTH, height=3.0)
    final = {d: max(_column(n, "collapse_resnet20_rounds", "round", method="px", density=d)) for d in _LEVELS}
    dense = dense_layers()
    for ax, method in zip(axes, HEAT, strict=True):
        share, without = [], []
        for d in _LEVELS:
            rows = n.rows("collapse_resnet20_rounds", method=method, density=d, round=int(final[d]))
            sizes = np.array([[int(v) for v in str(r["layers"]).split()] for r in rows])
            share.append(sizes)
            ends = n.rows("collapse_resnet20", method=method, density=d)
            without.append(sum(r["on_live_paths"] == 0 for r in ends))
        shown = np.array([np.log10(np.maximum(np.median(s, axis=0), 1e-9) / dense) for s in share]).T
        emptied = np.array([(s == 0).any(axis=0) for s in share]).T
        image = ax.imshow(np.maximum(shown, -4.5), aspect="auto", cmap="viridis", vmin=-4.5, vmax=0)
        for layer, column in zip(*np.nonzero(emptied), strict=True):
            ax.plot(column, layer, "x", color=WHITE, ms=4, mew=1.1)
        for column, lost in enumerate(without):
            if lost:
                ax.plot(column, -1.2, "x", color=RED, ms=5, mew=1.6, clip_on=False)
        ax.set_xticks(range(len(_LEVELS)), ["10", "1.8", "0.1", "crit."], fontsize=6)
        ax.set_title(label(method).replace(", no temperature", ""), fontsize=8, pad=12)
        ax.set_ylim(len(dense) - 0.5, -0.5)
        ax.grid(visible=False)
        ax.set_yticks([0, 4, 9, 14, 21], ["1", "5", "10", "15", "22"] if ax in axes[::3] else [])
    for ax in axes[::3]:
        ax.set_ylabel("layer")
    fig.supxlabel("weights kept (%)", fontsize=8)
    bar = fig.colorbar(image, ax=axes, fraction=0.03, pad=0.01)
    bar.set_ticks([0, -1, -2, -3, -4], labels=["100 %", "10 %", "1 %", "0.1 %", "0.01 %"])
    bar.set_label("share of the layer's weights kept", fontsize=7)
    return fig


def dense_layers() -> np.ndarray:
    """Weights of the 22 layers of ResNet-20: the first, six of each width with two projections, the last."""
    sizes = [3 * 16 * 9]
    for block, width in enumerate((16, 32, 64)):
        into = width if block == 0 else width // 2
        sizes += [into * width * 9, width * width * 9]
        sizes += [into * width] if block else []
        sizes += [width * width * 9] * 4
    return np.array([*sizes, 640])


# -- 2 ----------------------------------------------------------------------------------------------------

_DEATHS = ("magnitude", "synflow", "px-frozen", "px", "snip", "path-energy")


def dead(n: Numbers) -> Figure:
    """Dead perceptrons against the weights kept."""
    fig, (ax,) = canvas(1, width=WIDTH, height=2.7)
    for method in _DEATHS:
        rows = sorted(n.rows("scorers_small", scorer=method, guarded=False), key=lambda r: -r["keep"])
        colour, marker, line, name = LOOKS.get(method, (GREEN, "h", "-", "path energy"))
        name = {"px-frozen": "PX with fixed activation, and SynFlow-L2"}.get(method, name)
        ax.plot([r["keep"] for r in rows], [r["dead"] for r in rows], color=colour, marker=marker, ls=line, label=name)
    rows = sorted(n.rows("scorers_small", scorer="px", guarded=True), key=lambda r: -r["keep"])
    ax.plot([r["keep"] for r in rows], [r["dead"] for r in rows], color=BLACK, marker="s", mfc="none", ls="-",
            label="PX with a guard")  # fmt: skip
    ax.set(xlabel="weights kept, of 36", ylabel="dead on the data, of 60", xlim=(19, 2), ylim=(-2, 62))
    ax.set_xticks([18, 9, 4, 3])
    legend_below(fig, ax, 3)
    return fig


# -- 3 ----------------------------------------------------------------------------------------------------


def shared(n: Numbers) -> Figure:
    """What PX's mask shares with other masks, against density."""
    fig, axes = canvas(2, width=WIDTH, height=2.6)
    for ax, (network, name) in zip(axes, NAMES.items(), strict=True):
        rows = n.rows("findings_data_overlap", network=network)
        x = [r["density"] for r in rows]
        ax.plot(x, [r["other_data"] for r in rows], "o", color=RED, label="PX on other images")
        ax.plot(x, [r["synflow_l2"] for r in rows], "s", color=BLUE, mfc="none", label="SynFlow-L2, no data")
        ax.plot(x, [r["chance"] for r in rows], "x", color=GREY, label="chance")
        densities(ax, [d for d in x if d in (0.1, 0.018, 0.001)])
        ax.set(title=name, ylim=(-0.03, 1.03))
    axes[0].set_ylabel("share of PX's final mask\nthat is common")
    legend_below(fig, axes, 3)
    return fig


# -- 4 ----------------------------------------------------------------------------------------------------


def lost_outputs(n: Numbers) -> Figure:
    """Outputs without a path against density."""
    fig, (left, right) = canvas(2, width=WIDTH, height=2.6)
    looks = (("px", RED, "o"), ("synflow-l2", BLUE, "s"))
    for method, colour, marker in looks:
        x, y = [], []
        for row in n.rows("findings_outputs_lost_small", method=method):
            for d in (0.5, 0.2, 0.1, 0.05, 0.02, 0.01):
                x.append(d)
                y.append(row[f"lost_{d}"] / row["networks"])
        left.plot(x, y, marker, color=colour, mfc="none", label=label(method))
        rows = n.rows("findings_outputs_lost", method=method)
        right.plot([r["density"] for r in rows], [r["lost"] for r in rows], marker, color=colour, mfc="none")
    densities(left, [0.5, 0.2, 0.1, 0.05, 0.02, 0.01])
    densities(right, [0.018, 0.005, 0.001])
    left.set(title="perceptrons on digits", ylabel="outputs without a path, of 10", ylim=(-0.3, 7))
    right.set(title="ResNet-20", ylim=(-0.3, 7))
    legend_below(fig, left, 2)
    return fig


# -- 5 ----------------------------------------------------------------------------------------------------

_TRACED = ("snip", "px-per-sample", "path-energy", "synflow-l2", "px", "magnitude", "synflow", "random")


def traces(n: Numbers) -> Figure:
    """The share of the trace that scores leave, a dot a seed."""
    fig, (ax,) = canvas(1, width=WIDTH, height=2.9)
    groups = [_column(n, "scorers_kernel", "trace", method=m, density=0.1) for m in _TRACED]
    colours = [LOOKS[m][0] if m in LOOKS else GREEN for m in _TRACED]
    _strip(ax, range(len(_TRACED)), groups, colours)
    ax.set_xscale("log")
    _named_rows(ax, [called(m) for m in _TRACED])
    ax.axvline(1, color=BLACK, lw=0.8)
    ax.set_xlabel("share of the NTK's trace that is left (1: as before pruning)")
    return fig


# -- 6 ----------------------------------------------------------------------------------------------------


def decades(n: Numbers) -> Figure:
    """Trace, objective and bounds in decades."""
    fig, axes = canvas(2, width=WIDTH, height=1.9)
    columns = (
        ("log10_trace", "trace of the NTK", BLACK),
        ("log10_objective", "objective ΣD R", ORANGE),
        ("log10_per_output", "bound ΣD T", BLUE),
        ("log10_product", "bound ΣD · ΣT", RED),
    )
    for ax, (network, name) in zip(axes, NAMES.items(), strict=True):
        for place, (column, _, colour) in enumerate(columns):
            values = _column(n, "findings_path_quantities", column, network=network, dtype="float64")
            ax.plot([0, max(values)], [place, place], color=colour, lw=1)
            ax.plot(values, [place] * len(values), "o", color=colour, ms=4)
        _named_rows(ax, [c[1] for c in columns] if ax is axes[0] else [""] * len(columns))
        ax.set(title=name, xlim=(0, 60), xlabel="decades (log10)")
    return fig


# -- 7 ----------------------------------------------------------------------------------------------------


def rounding(n: Numbers) -> Figure:
    """The largest released score against the bits of the arithmetic."""
    fig, (ax,) = canvas(1, width=WIDTH, height=2.8)
    looks = (("resnet20 width 16", RED, "o", "width 16"), ("resnet20 width 2", BLUE, "s", "width 2"))
    for network, colour, marker, name in looks:
        for statistics_, fill, what in (("batch (as released)", "full", "as released"), ("stored", "none", "stored")):
            rows = n.rows("released_px_batchnorm", network=network, statistics=statistics_)
            ax.plot([r["bits"] for r in rows], [r["log10 largest score"] for r in rows], marker, color=colour,
                    fillstyle=fill, ls="-" if fill == "full" else ":", lw=0.8,
                    label=f"{name}, {what if fill == 'full' else 'stored statistics'}")  # fmt: skip
    bits = np.geomspace(24, 1024, 50)
    ax.plot(bits, -bits * math.log10(2), color=GREY, lw=0.9, ls="--", label="2 to the power −bits")
    ax.set_xscale("log", base=2)
    ax.set_xticks([24, 53, 64, 256, 512, 1024], ["24", "53", "   64", "256", "512", "1024"])
    ax.minorticks_off()
    ax.set(xlabel="bits of the arithmetic", ylabel="log10 of the largest score")
    legend_below(fig, ax, 2)
    return fig


# -- 8 ----------------------------------------------------------------------------------------------------


def correlations(n: Numbers) -> Figure:
    """Rank correlations with the sketch weight."""
    fig, (ax,) = canvas(1, width=WIDTH, height=2.1)
    columns = (
        ("plain_synflow", "SynFlow"),
        ("plain_synflow_l2", "SynFlow-L2"),
        ("signs_synflow", "SynFlow, signs averaged"),
        ("signs_synflow_l2", "SynFlow-L2, signs averaged"),
    )
    for network, name, marker, colour in (("resnet20", "ResNet-20", "o", RED), ("vgg16_bn", "VGG-16-BN", "s", BLUE)):
        for place, (column, _) in enumerate(columns):
            values = _column(n, "findings_synflow", column, network=network)
            ax.plot(values, [place] * len(values), marker, color=colour, mfc="none", label=name if not place else None)
    _named_rows(ax, [c[1] for c in columns])
    ax.set(xlim=(0, 1), xlabel="rank correlation with the squared sketch weight")
    legend_below(fig, ax, 2)
    return fig


# -- 9 ----------------------------------------------------------------------------------------------------


def transfer(n: Numbers) -> Figure:
    """Errors of sketches on trained weights."""
    fig, (ax,) = canvas(1, width=WIDTH, height=1.7)
    (row,) = n.rows("findings_transfer")
    lines = (
        ("initial weights, worst start", "initial_largest", RED),
        ("initial weights, worst tenth", "initial_90", RED),
        ("initial weights, median", "initial_median", RED),
        ("data norms alone, worst start", "by_norm_largest", BLUE),
        ("data norms alone, median", "by_norm_median", BLUE),
    )
    for place, (_, column, colour) in enumerate(lines):
        ax.plot([1, row[column]], [place, place], color=colour, lw=1)
        ax.plot(row[column], place, "o", color=colour)
    _named_rows(ax, [name for name, _, _ in lines])
    ax.set_xscale("log")
    ax.set_xticks([1, 2, 5, 10, 20, 50, 100, 200], ["1", "2", "5", "10", "20", "50", "100", "200"])
    ax.minorticks_off()
    ax.set_xlabel("error of the sketch, in multiples of the least possible")
    return fig


# -- 10 ---------------------------------------------------------------------------------------------------

LAWS = ("imp", "magnitude-after-training", "grasp-200", "snip", "grasp")


def gains(n: Numbers) -> Figure:
    """What knowing the labels gains, a dot a seed."""
    fig, (ax,) = canvas(1, width=WIDTH, height=2.3)
    groups = [[100 * v for v in _column(n, "findings_same_law", "gain_mean", method=m)] for m in LAWS]
    _strip(ax, range(len(LAWS)), groups, [LOOKS[m][0] for m in LAWS])
    _named_rows(ax, [label(m) for m in LAWS])
    ax.axvline(0, color=BLACK, lw=0.8)
    ax.set_xlabel("gain in training accuracy by knowing the labels (points)")
    return fig


# -- 11 ---------------------------------------------------------------------------------------------------

_NETWORKS = {**NAMES, "resnet50": "ResNet-50"}
_METHODS = ("synflow", "synflow-l2", "px")


def ranges(n: Numbers) -> Figure:
    """Ranges of scores with the limits of float32."""
    fig, (ax,) = canvas(1, width=WIDTH, height=3.0)
    names: list[str] = []
    for network, name in _NETWORKS.items():
        for method in _METHODS:
            (row,) = n.rows("float32_ranges", network=network, method=method, dtype="float64")
            place = len(names)
            names.append(f"{name}, {label(method)}")
            ax.plot([row["plain_log10_smallest"], row["plain_log10_largest"]], [place - 0.15] * 2, color=RED, lw=4,
                    solid_capstyle="butt", label=None if place else "as computed")  # fmt: skip
            ax.plot([row["rescaled_log10_smallest"], row["rescaled_log10_largest"]], [place + 0.2] * 2, color=BLUE,
                    lw=2.5, solid_capstyle="butt", label=None if place else "rescaled layer by layer")  # fmt: skip
    _named_rows(ax, names)
    low, high = np.log10(float(np.finfo(np.float32).smallest_subnormal)), np.log10(float(np.finfo(np.float32).max))
    for limit in (low, high):
        ax.axvline(limit, color=BLACK, lw=0.9, ls="--", label="limits of float32" if limit == low else None)
    ax.set_xlabel("log10 of the scores, smallest to largest")
    legend_below(fig, ax, 3)
    return fig


# -- 12 ---------------------------------------------------------------------------------------------------

_TRAINED = ("px", "synflow-l2", "path-energy", "synflow", "magnitude", "snip", "random")


def guarantees(n: Numbers) -> Figure:
    """Dead perceptrons by score; accuracy against the share of the trace that is left."""
    fig, (left, right) = canvas(1, 2, width=WIDTH, height=2.6)
    names: list[str] = []
    for guarded, scorers in ((False, ("random", "magnitude", *_DEATHS[1:], "grasp", "trace-loss")),
                             (True, ("magnitude", "path-energy", "px"))):  # fmt: skip
        for s in scorers:
            dead = n.one("scorers_small", "dead", scorer=s, keep=3, guarded=guarded)
            colour = BLACK if guarded else LOOKS[s][0] if s in LOOKS else GREEN
            left.plot([0, dead], [len(names)] * 2, color=colour, lw=1)
            left.plot(dead, len(names), "o", color=colour)
            names.append(f"{called(s)}{', guarded' if guarded else ''}")
    _named_rows(left, names)
    left.set(xlabel="dead on the data, of 60, 3 weights kept", xlim=(-2, 62))
    for method in _TRAINED:
        trace = statistics.median(_column(n, "scorers_kernel", "trace", method=method, density=0.018))
        values = [100 * v for v in _column(n, "findings_trained", "accuracy", method=method)]
        colour = LOOKS[method][0] if method in LOOKS else GREEN
        right.plot([trace] * len(values), values, ".", color=colour, ms=3, alpha=0.7)
        right.plot(trace, statistics.mean(values), "o", color=colour, ms=6, label=called(method))
    right.set_xscale("log")
    right.set(xlabel="share of the trace that is left", ylabel="accuracy after training (%)")
    legend_below(fig, right, 4)
    return fig
