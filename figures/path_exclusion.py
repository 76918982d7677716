"""Figures of the Path eXclusion paper (Iurada, Ciccone & Tommasi, arXiv 2406.01820)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from figures.registry import Rows, figure
from figures.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    RED,
    canvas,
    densities,
    distinct,
    grouped,
    label,
    legend_below,
    plain_ticks,
    pooled,
    proportion,
    select,
    series,
    summary,
)
from verify.experiments import cifar, digits, spectra
from verify.trials import Configuration, Trial, data

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


@figure(configurations=_bounds, table=_bound_rows)
def bound_and_trace(rows: Rows) -> Figure:
    """The bound exceeds the trace by many orders of magnitude, more with depth and width, less when sparse.

    Logarithm (base 10) of the ratio of Path eXclusion's bound to the NTK's trace on random Kaiming perceptrons
    with 4 outputs; bands are 95 % intervals over networks. Left: dense, as many inputs as hidden units, the bound
    per output, with the ratios that another computation found before (crosses). Right: three layers of width 64,
    pruned in three ways; solid is the bound per output, dashed the product bound, which is looser by the number of
    outputs while the last layer is dense. Pruned networks whose trace is 0 have no ratio and are left out, and a line
    ends where all of them are: a narrow ratio under magnitude is not a live network.
    """
    fig, (left, right) = canvas(2)
    looks = dict(zip(WIDTHS, ((ORANGE, "s"), (BLUE, "o"), (BLACK, "^")), strict=True))
    known = {8: {2: 1.8, 5: 4.5, 20: 20.7}, 32: {2: 3.0, 5: 7.6, 20: 30.4}, 128: {2: 4.2, 5: 10.5, 20: 42.1}}
    for width, (color, marker) in looks.items():
        part = select(rows, panel="depth", quantity="per_output", width=width)
        series(left, "", [r["depth"] for r in part], part, color=color, marker=marker, label=f"width {width}")
        left.plot(list(known[width]), list(known[width].values()), "x", color=color, ms=6, mew=1.2)
    left.plot([], [], "x", color=GREY, ms=6, mew=1.2, label="found before")
    left.set(xscale="log", yscale="log", ylim=(1.2, 60), xlabel="layers", ylabel="log₁₀ (bound / trace)", title="dense")
    left.set_xticks(DEPTHS, [str(d) for d in DEPTHS])
    left.set_yticks((2, 5, 10, 20, 50), ["2", "5", "10", "20", "50"])
    left.minorticks_off()
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


@figure(configurations=_spectra, table=_spectrum_rows)
def spectra_dense_and_pruned(rows: Rows) -> Figure:
    """The NTK's spectrum on the digits, dense and with 10 % of the weights.

    Eigenvalues of the empirical NTK (24 digits, 10 outputs) at initialisation, largest first, for a
    64-64-64-10 perceptron, dense and pruned by each method with one global ranking; geometric mean and 95 %
    interval over networks. A line ends where the mean falls below 1e-6: there some networks have lost the rank;
    PX's at 216 = 24 × 9, where an output has lost all its paths.
    PX with the activation frozen has SynFlow-L2's masks here (all outputs share one activation).
    """
    fig, (ax,) = canvas(1, width=5.2, height=3.2)
    for method in distinct(rows, "method"):
        part = [r for r in select(rows, method=method) if r["mean"] > 1e-6]
        series(ax, method, [r["rank"] for r in part], part, marker=None, lw=2 if method == "dense" else 1.3)
    ax.set(yscale="log", xlabel="rank of the eigenvalue", ylabel="eigenvalue")
    ax.legend(ncols=2)
    return fig


def _cifar(scale: str) -> list[Configuration]:
    data.folder("cifar10")  # says so where there is none
    return cifar.configurations(scale)


def _cifar_rows(trials: Sequence[Trial]) -> Rows:
    rows = []
    modes = ("method", "density", "statistics", "temperature", "absolute", "draws")
    for (method, density, *_), found in grouped(trials, *modes).items():
        one = found[0]
        lost = float(np.mean([t["classes_lost"] for t in found]))
        shares = {
            "constant": sum(t["constant"] for t in found),
            "classes_lost": lost,
            "images": one["samples"],
            "epochs": one["epochs"],
        }
        rows.append(
            {"method": method, "scoring": cifar.scoring(one), "density": density,
             **summary(100 * t["accuracy"] for t in found), **shares,
             "size": one["size"], "test": one["test"]}
        )  # fmt: skip
    return rows


@figure(configurations=_cifar, table=_cifar_rows)
def cifar10_resnet20(rows: Rows) -> Figure:
    """ResNet-20 on a part of CIFAR-10: accuracy against the weights that remain, few epochs on a CPU.

    Test accuracy of ResNet-20 (270,896 weights) pruned at initialisation and trained on the images, epochs and
    number of seeds that the title says; bands are 95 % intervals over seeds (none for a single one), 10 % would be
    guessed. 6.88 % is the
    sparsity of the Path eXclusion paper's headline; after this little training nothing here bears on its accuracy.
    Circled: the pruned network's outputs were the same for all images it was scored on, for at least one seed. PX with
    the activation frozen has SynFlow-L2's masks here. On the left the modes of the releases: GraSP with the statistics
    of the batch at temperature 200, NTK-SAP with those of its batch held fixed and five draws of the weights, SNIP with
    the stored statistics, which normalise nothing before training. On the right other modes of the same scores; |GraSP|
    ranks by size. SynFlow and PX: stored statistics. "scoring" in the CSV says it line by line.
    """
    fig, axes = canvas(3, height=3.0)
    modes = [cifar.scoring(arm) for arm in cifar.ARMS]
    arms = list(zip((arm["method"] for arm in cifar.ARMS), modes, strict=True))
    paths = ("px", "px-released", "synflow", "synflow-l2")
    groups = (
        [a for a in arms[:9] if a[0] not in paths],
        [a for a in arms[:9] if a[0] in paths],
        arms[9:],
    )
    (dense,) = select(rows, method="dense")
    for ax, group in zip(axes, groups, strict=True):
        for method, scoring in group:
            part = sorted(select(rows, method=method, scoring=scoring), key=lambda r: -r["density"])
            # Module scores called "grasp" at temperature 200 are those called "grasp-200" of perceptrons.
            size, warm = "absolute" in scoring, "temperature 200" in scoring
            drawn = "grasp-200-absolute" if size else "grasp-200" if warm else method
            series(ax, drawn, [r["density"] for r in part], part)
            dead = [r for r in part if r["constant"]]
            ax.plot([r["density"] for r in dead], [r["mean"] for r in dead], "o", ms=8, mfc="none", mec=BLACK, mew=0.7)
        ax.axhline(dense["mean"], color=BLACK, lw=0.8, label="dense")
        ax.axhspan(dense["low"], dense["high"], color=BLACK, alpha=0.08, lw=0)
        densities(ax, cifar.DENSITIES)
        ax.set(ylim=(0, None))
    axes[0].set(ylabel="test accuracy (%)", title="by chance, magnitude, loss or kernel")
    axes[1].set_title("by paths")
    axes[2].set_title("in other modes")
    counts = sorted({r["n"] for r in rows})
    seeds = f"{counts[0]} to {counts[-1]} seeds" if len(counts) > 1 else f"{counts[0]} seed{'s' * (counts[0] > 1)}"
    parts = ("{images} images of {size} × {size}", "{epochs} epochs", seeds, "{test} test images")
    fig.suptitle(", ".join(parts).format(**dense), fontsize=8)
    legend_below(fig, axes, 5)
    return fig


ALL = (
    "random", "magnitude", "snip", "force", "grasp-200", "synflow", "synflow-l2", "px", "magnitude-after-training",
    "imp", "imp-rewind",
)  # fmt: skip
DENSITIES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)


def _accuracy(scale: str) -> list[Configuration]:
    seeds = {"smoke": 1, "small": 3, "full": 25}[scale]
    dense = [digits.classify.configuration(method="magnitude", density=1.0, seed=s) for s in range(seeds)]
    return dense + [
        digits.classify.configuration(method=m, density=d, seed=s) for s in range(seeds) for m in ALL for d in DENSITIES
    ]


def _accuracy_rows(trials: Sequence[Trial]) -> Rows:
    return [
        {"method": "dense" if d == 1 else m, "density": d, **summary(100 * v for v in pooled(found, "accuracy"))}
        for (m, d), found in grouped(trials, "method", "density").items()
    ]


@figure(configurations=_accuracy, table=_accuracy_rows)
def accuracy_against_sparsity(rows: Rows) -> Figure:
    """Accuracy of all methods on the digits against the weights that remain.

    Test accuracy of 64-64-64-10 perceptrons trained under each method's mask (Adam, 300 steps), one global
    ranking; bands are 95 % intervals over networks; 10 % would be guessed. The two methods that train before they
    prune, and the dense network, are in both panels. PX with the activation frozen has SynFlow-L2's masks here.
    This is the small form of the papers' CIFAR-10 figure, on a task that a CPU trains in seconds: it shows the order
    of methods there, not the papers' numbers.
    """
    fig, axes = canvas(2, height=3.0)
    halves = (("random", "magnitude", "snip", "grasp-200"), ("synflow", "synflow-l2", "px"))
    for ax, half in zip(axes, halves, strict=True):
        for method in (*half, "imp", "magnitude-after-training"):
            part = select(rows, method=method)
            series(ax, method, [r["density"] for r in part], part)
        (dense,) = select(rows, method="dense")
        ax.axhline(dense["mean"], color=BLACK, lw=0.8, label="dense")
        densities(ax, DENSITIES)
        ax.set(ylim=(0, 100))
    axes[0].set(ylabel="test accuracy (%)", title="by chance, magnitude or loss")
    axes[1].set_title("by paths")
    legend_below(fig, axes, 4)
    return fig


ARMS = {
    "PX, own data": ("px", "digits"),
    "PX, noise": ("px", "noise"),
    "PX, activation frozen": ("px-frozen", "digits"),
    "SynFlow-L2 (no data)": ("synflow-l2", "digits"),
}


def _ablation(scale: str) -> list[Configuration]:
    seeds = {"smoke": 1, "small": 3, "full": 25}[scale]
    return [
        digits.classify.configuration(method=m, density=d, score_data=data, seed=s)
        for s in range(seeds)
        for m, data in ARMS.values()
        for d in (0.1, 0.05, 0.02, 0.01)
    ]


def _ablation_rows(trials: Sequence[Trial]) -> Rows:
    names = {v: k for k, v in ARMS.items()}
    return [
        {"arm": names[m, data], "density": d, **summary(100 * v for v in pooled(found, "accuracy"))}
        for (m, data, d), found in grouped(trials, "method", "score_data", "density").items()
    ]


@figure(configurations=_ablation, table=_ablation_rows)
def data_and_frozen_activation(rows: Rows) -> Figure:
    """What the data adds to Path eXclusion, and what freezing the activation does.

    Test accuracy on the digits with masks by PX on the task's own images, PX on Gaussian noise, PX with the
    dense network's activation held fixed through all rounds, and SynFlow-L2, which sees no data; 95 % intervals
    over networks. With a dense last layer PX's first round cannot depend on the data, and the frozen activation,
    the same for all outputs, leaves SynFlow-L2: the last two are one method here, and differ where outputs do. At
    scale small, PX on images and PX on noise are nowhere further apart than their intervals.
    """
    fig, (ax,) = canvas(1, width=5.4, height=2.8)
    looks = ((RED, "o"), (ORANGE, "s"), (BLACK, "P"), (BLUE, "^"))
    arms = list(ARMS)
    for i, (arm, (color, marker)) in enumerate(zip(arms, looks, strict=True)):
        part = select(rows, arm=arm)
        x = np.arange(len(part)) + (i - 1.5) * 0.12
        error = [[r["mean"] - r["low"] for r in part], [r["high"] - r["mean"] for r in part]]
        means = [r["mean"] for r in part]
        ax.errorbar(x, means, error, fmt=marker, color=color, label=arm, elinewidth=1, capsize=2, ls="")
    ticks = [r["density"] for r in select(rows, arm=arms[0])]
    ax.set_xticks(range(len(ticks)), [f"{100 * t:g}" for t in ticks])
    ax.set(xlabel="weights remaining (%)", ylabel="test accuracy (%)", ylim=(0, 100))
    ax.legend(loc="lower left")
    return fig


def _layer_rows(trials: Sequence[Trial]) -> Rows:
    rows = []
    for (method, density), found in grouped(trials, "method", "density").items():
        if density in (0.1, 0.01):
            shares = np.array([pooled([{"s": t["layers"][i]} for t in found], "s") for i in range(3)])
            for i in range(3):
                rows.append({"method": method, "density": density, "layer": i + 1, **summary(100 * shares[i])})
    return rows


@figure(configurations=_accuracy, table=_layer_rows)
def remaining_weights_per_layer(rows: Rows) -> Figure:
    """Where the weights remain: share kept in each layer.

    Share of each layer's weights that each method keeps in a 64-64-64-10 perceptron, with one global ranking;
    mean over networks; the line is the share kept of all weights. A bar that is missing is a layer that lost all its
    weights, or all but a twentieth of its share.
    """
    fig, axes = canvas(2, height=2.8)
    for ax, density in zip(axes, (0.1, 0.01), strict=True):
        methods = distinct(rows, "method")
        for i, color in enumerate((BLUE, ORANGE, BLACK)):
            part = [select(rows, method=m, density=density, layer=i + 1)[0] for m in methods]
            x = np.arange(len(methods)) + (i - 1) * 0.27
            names = ("layer 1 (64 × 64)", "layer 2 (64 × 64)", "layer 3 (64 × 10)")
            ax.bar(x, [r["mean"] for r in part], 0.25, color=color, label=names[i])
        ax.set_xticks(range(len(methods)), [label(m) for m in methods], rotation=40, ha="right")
        ax.set(yscale="log", ylim=(100 * density / 20, 110), title=f"{100 * density:g} % of all weights")
        plain_ticks(ax, 5 * density, 110)
        ax.minorticks_off()
        ax.axhline(100 * density, color=GREY, lw=0.8)
        ax.grid(axis="x", visible=False)
    axes[0].set_ylabel("weights kept in the layer (%)")
    legend_below(fig, axes[0])
    return fig


LOSERS = ("px", "px-frozen", "synflow-l2", "synflow", "snip", "magnitude", "random")


def _lost(scale: str) -> list[Configuration]:
    seeds = {"smoke": 1, "small": 3, "full": 25}[scale]
    return [
        spectra.outputs_lost.configuration(method=m, densities=list(DENSITIES), seed=s)
        for s in range(seeds)
        for m in LOSERS
    ]


def _lost_rows(trials: Sequence[Trial]) -> Rows:
    return [
        {"method": m, "density": d, **summary(v for t in found for v in t["lost"][i])}
        for (m,), found in grouped(trials, "method").items()
        for i, d in enumerate(found[0]["densities"])
    ]


@figure(configurations=_lost, table=_lost_rows)
def outputs_lost(rows: Rows) -> Figure:
    """Iterated Path eXclusion gives up whole outputs; with the activation frozen it hardly does.

    Outputs, of ten, that have no path of kept weights left from any input, in 64-64-64-10 perceptrons pruned on the
    digits with one global ranking; mean and 95 % interval over networks. The class of such an output cannot be learnt
    any more. PX weighs each output by its activation on the pruned network: an output that loses paths weighs less in
    the next round and loses more. PX with the activation frozen has SynFlow-L2's masks here.
    """
    fig, (ax,) = canvas(1, width=4.8, height=3.0)
    for method in distinct(rows, "method"):
        part = select(rows, method=method)
        series(ax, method, [r["density"] for r in part], part, zorder=3 if method == "px-frozen" else 2)
    densities(ax, DENSITIES)
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
                share = proportion(sum(t[quantity][i] for t in found), copies)
                rows.append({"method": method, "samples": samples, "weights": kept, "quantity": quantity, **share})
    return rows


@figure(configurations=_survival, table=_survival_rows)
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
