"""Figures of the Path eXclusion paper (Iurada, Ciccone & Tommasi, arXiv 2406.01820)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from figures.registry import STUDENT, Rows, figure
from figures.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    canvas,
    densities,
    distinct,
    grouped,
    label,
    legend_below,
    pooled,
    proportion,
    select,
    series,
    share,
    summary,
)  # fmt: skip
from verify.experiments import spectra
from verify.trials import Configuration, Trial

DEPTHS, WIDTHS = (2, 3, 5, 10, 20), (8, 32, 128)
SPARSE = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02)


def _bounds(scale: str) -> list[Configuration]:
    seeds = {"smoke": 1, "small": 4, "full": 10}[scale]
    depth = [
        spectra.bound_and_trace.configuration(depth=d, width=w, inputs=w, copies=4, seed=s)
        for s in range(seeds)
        for w in WIDTHS
        for d in DEPTHS
    ]
    sparse = [
        spectra.bound_and_trace.configuration(depth=3, width=64, density=p, method=m, seed=s)
        for s in range(seeds)
        for m in ("px", "snip", "magnitude")
        for p in SPARSE
    ]
    return depth + sparse


def _bound_rows(trials: Sequence[Trial]) -> Rows:
    rows = []
    for (depth, width, density, method), found in grouped(trials, "depth", "width", "density", "method").items():
        trace = [math.log10(v) if v > 0 else math.nan for v in pooled(found, "trace")]
        for quantity in ("bound", "per_output"):
            ratios = [
                math.log10(b) - t
                for b, t in zip(pooled(found, quantity), trace, strict=True)
                if b > 0 and not math.isnan(t)
            ]
            if ratios:
                panel = "depth" if width != 64 else "density"
                key = {"panel": panel, "depth": depth, "width": width, "density": density, "method": method}
                rows.append({**key, "quantity": quantity, **summary(ratios)})
    return rows


def _bound_news(rows: Rows) -> str:
    dense = select(rows, panel="depth", quantity="per_output")
    least, most = (f(dense, key=lambda r: r["mean"]) for f in (min, max))
    return "Dense networks: the bound exceeds the trace {}-fold ({}) to {}-fold ({})".format(
        *(v for r in (least, most) for v in (f"10^{r['mean']:.1f}", f"{r['depth']} layers of width {r['width']}"))
    )


@figure(
    configurations=_bounds, table=_bound_rows, news=_bound_news,
    interval="mean and 95 % Student interval of the logarithm over networks",
)  # fmt: skip
def bound_and_trace(rows: Rows) -> Figure:
    """How far Path eXclusion's bound is above the trace, by depth, width and sparsity.

    Ratio of Path eXclusion's bound to the NTK's trace, in orders of magnitude, on random Kaiming perceptrons with 4
    outputs; bands are 95 % intervals over networks. Left: dense, as many inputs as hidden units, the bound per output.
    Right: three layers of width 64,
    pruned in three ways; solid is the bound per output, dashed the product bound, which is looser by the number of
    outputs while the last layer is dense. Pruned networks whose trace is 0 have no ratio and are left out, and a line
    ends where all of them are: a narrow ratio under magnitude is not a live network.
    """
    fig, (left, right) = canvas(2)
    looks = dict(zip(WIDTHS, ((ORANGE, "s"), (BLUE, "o"), (BLACK, "^")), strict=True))
    for width, (color, marker) in looks.items():
        part = select(rows, panel="depth", quantity="per_output", width=width)
        series(left, "", [r["depth"] for r in part], part, color=color, marker=marker, label=f"width {width}")
    left.set(ylim=(0, None), xlabel="layers", ylabel="bound over trace (orders of magnitude)", title="dense")
    left.set_xticks(DEPTHS, [str(d) for d in DEPTHS])
    left.legend()
    for method in distinct(select(rows, panel="density"), "method"):
        for quantity, line in (("per_output", "-"), ("bound", "--")):
            part = select(rows, panel="density", method=method, quantity=quantity)
            name = label(method) if quantity == "per_output" else None
            series(right, method, [r["density"] for r in part], part, linestyle=line, label=name)
    densities(right, SPARSE)
    right.plot([], [], color=GREY, ls="-", label="bound per output")
    right.plot([], [], color=GREY, ls="--", label="product bound")
    right.set(title="pruned, three layers of width 64", ylim=(0, None))
    right.legend()
    return fig


SPECTRA = ("dense", "px", "synflow-l2", "snip", "magnitude", "random")


def _spectra(scale: str) -> list[Configuration]:
    seeds = {"smoke": 1, "small": 4, "full": 10}[scale]
    return [
        spectra.spectrum.configuration(method=m, density=0.1, samples=24, seed=s) for s in range(seeds) for m in SPECTRA
    ]


def _spectrum_rows(trials: Sequence[Trial]) -> Rows:
    rows = []
    for (method,), found in grouped(trials, "method").items():
        values = np.log10(np.clip(np.array(pooled(found, "eigenvalues")), 1e-12, None))
        for i in sorted({*range(20), *(int(v) for v in np.linspace(0, values.shape[1] - 1, 60))}):
            s = summary(values[:, i])
            rows.append(
                {"method": method, "rank": i + 1, **{k: 10 ** s[k] for k in ("mean", "low", "high")}, "n": s["n"]}
            )
    return rows


def _spectrum_news(rows: Rows) -> str:
    top = {r["method"]: r["mean"] for r in select(rows, rank=1)}
    dense = top.pop("dense")
    shares = ", ".join(f"{label(m)} {share(100 * v / dense)} %" for m, v in sorted(top.items(), key=lambda i: -i[1]))
    return f"What 10 % of the weights keep of the largest eigenvalue: {shares}"


@figure(
    configurations=_spectra, table=_spectrum_rows, news=_spectrum_news,
    interval="geometric mean and 95 % Student interval of the logarithm over networks",
)  # fmt: skip
def spectra_dense_and_pruned(rows: Rows) -> Figure:
    """The NTK's spectrum on the digits, dense and with 10 % of the weights.

    Eigenvalues of the empirical NTK (24 digits, 10 outputs) at initialisation, largest first, for a
    64-64-64-10 perceptron, dense and pruned by each method with one global ranking; geometric mean and 95 %
    interval over networks. A line ends where the mean falls below 1e-6: there some networks have lost the rank, as
    they do at 216 = 24 × 9 where an output has lost all its paths. PX with the activation frozen has SynFlow-L2's
    masks here (all outputs share one activation).
    """
    fig, (ax,) = canvas(1, width=5.2, height=3.2)
    for method in distinct(rows, "method"):
        part = [r for r in select(rows, method=method) if r["mean"] > 1e-6]
        series(ax, method, [r["rank"] for r in part], part, marker=None, lw=2 if method == "dense" else 1.3)
    ax.set(yscale="log", xlabel="rank of the eigenvalue", ylabel="eigenvalue")
    ax.legend(ncols=2)
    return fig


LOST_DENSITIES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
LOSERS = ("px", "px-frozen", "synflow-l2", "synflow", "snip", "magnitude", "random")


def _lost(scale: str) -> list[Configuration]:
    seeds = {"smoke": 1, "small": 3, "full": 25}[scale]
    return [
        spectra.outputs_lost.configuration(method=m, densities=list(LOST_DENSITIES), seed=s)
        for s in range(seeds)
        for m in LOSERS
    ]


def _lost_rows(trials: Sequence[Trial]) -> Rows:
    return [
        {"method": m, "density": d, **summary(v for t in found for v in t["lost"][i])}
        for (m,), found in grouped(trials, "method").items()
        for i, d in enumerate(found[0]["densities"])
    ]


def _lost_news(rows: Rows) -> str:
    least = min(r["density"] for r in rows)
    lost = ", ".join(f"{label(r['method'])} {share(r['mean'])}" for r in select(rows, density=least))
    return f"Outputs of ten without a path, at {100 * least:g} % of the weights: {lost}"


@figure(configurations=_lost, table=_lost_rows, news=_lost_news, interval=STUDENT)
def outputs_lost(rows: Rows) -> Figure:
    """Outputs that pruning leaves without a path.

    Outputs, of ten, that have no path of kept weights left from any input, in 64-64-64-10 perceptrons pruned on the
    digits with one global ranking; mean and 95 % interval over networks. The class of such an output cannot be learnt
    any more. PX weighs each output by its activation on the pruned network: an output that loses paths weighs less in
    the next round and loses more. PX with the activation frozen has SynFlow-L2's masks here.
    """
    fig, (ax,) = canvas(1, width=4.8, height=3.0)
    for method in distinct(rows, "method"):
        part = select(rows, method=method)
        series(ax, method, [r["density"] for r in part], part, zorder=3 if method == "px-frozen" else 2)
    densities(ax, LOST_DENSITIES)
    ax.set(ylabel="outputs without a path (of 10)", ylim=(-0.2, 10))
    ax.legend(loc="upper left")
    return fig


SURVIVORS = ("px", "px-frozen", "synflow-l2", "synflow", "snip", "magnitude", "random")


def _survival(scale: str) -> list[Configuration]:
    seeds = {"smoke": 2, "small": 10, "full": 50}[scale]
    return [
        spectra.survival.configuration(method=m, samples=n, seed=s)
        for s in range(seeds)
        for n in (30, 1)
        for m in SURVIVORS
    ]


def _survival_rows(trials: Sequence[Trial]) -> Rows:
    rows = []
    for (method, samples), found in grouped(trials, "method", "samples").items():
        copies = sum(t["copies"] for t in found)
        for i, kept in enumerate(found[0]["weights"]):
            for quantity in ("alive", "connected"):
                found_share = proportion(sum(t[quantity][i] for t in found), copies)
                rows.append(
                    {"method": method, "samples": samples, "weights": kept, "quantity": quantity, **found_share}
                )
    return rows


def _survival_news(rows: Rows) -> str:
    part = select(rows, samples=30, quantity="alive")
    kept = min({r["weights"] for r in part}, key=lambda w: abs(w - 9))
    alive = ", ".join(f"{label(r['method'])} {100 * r['mean']:.0f} %" for r in select(part, weights=kept))
    return f"Alive on 30 inputs with {kept} of 36 weights: {alive}"


@figure(
    configurations=_survival, table=_survival_rows, news=_survival_news, interval="Wilson's 95 % interval of a share"
)  # fmt: skip
def survival(rows: Rows) -> Figure:
    """How often pruning leaves a network that still responds to its data.

    Random 3-4-4-2 perceptrons pruned in 100 rounds, by every method, from 36 weights to 4. Above: share in which some
    path with all its ReLUs on for some sample is left; a network without one is constant on its data. Below: share in
    which some path of kept weights leads from input to output at all. SynFlow, SynFlow-L2 and PX with the
    activation frozen never disconnect a network that can be scored; iterated PX does, because its gates are
    measured on the pruned network. Being connected is not being alive: with 30 inputs SynFlow-L2 leaves more networks
    dead on their data than PX, and SNIP the fewest. With one input some dense networks are dead to begin with, and
    their scores that see data are all 0. Bands are 95 % intervals (Wilson) of the shares.
    """
    fig, axes = canvas(2, 2, height=2.2)
    for row, quantity in enumerate(("alive", "connected")):
        for column, samples in enumerate((30, 1)):
            ax = axes[2 * row + column]
            for method in distinct(rows, "method"):
                part = select(rows, method=method, samples=samples, quantity=quantity)
                series(ax, method, [r["weights"] for r in part], part, markevery=4)
            ax.set(xlim=(36, 3.5), ylim=(-0.03, 1.05))
            if row:
                ax.set_xlabel("weights remaining (of 36)")
            else:
                ax.set_title(f"{samples} input{'s' if samples > 1 else ''}")
            if not column:
                ax.set_ylabel({"alive": "alive on the data", "connected": "connected"}[quantity])
    legend_below(fig, axes[0], 4)
    return fig
