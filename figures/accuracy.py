"""Figures of accuracy under masks: every method side by side, on the digits and on a part of CIFAR-10."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures.registry import STUDENT, Rows, figure
from figures.style import (
    BLACK,
    BLUE,
    GREY,
    LOOKS,
    ORANGE,
    RED,
    canvas,
    densities,
    distinct,
    grouped,
    label,
    legend_below,
    named,
    plain_ticks,
    pooled,
    select,
    series,
    summary,
)  # fmt: skip
from verify.experiments import cifar, digits
from verify.experiments.protocol import ALPHA
from verify.experiments.scores import METHODS
from verify.trials import Configuration, Trial, data, sequential

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


TRAINED = ("magnitude-after-training", "imp", "imp-rewind")
"""Methods that train before they prune."""


def _accuracy_news(rows: Rows) -> str:
    least = min(r["density"] for r in rows)
    part = sorted(select(rows, density=least), key=lambda r: -r["mean"])
    start = [r for r in part if r["method"] not in TRAINED]
    trained = [r for r in part if r["method"] in TRAINED]
    return (
        f"Accuracy at {100 * least:g} %: at initialisation {_spoken(start[:3])}; "
        f"after training {_spoken(trained[:2])}; random {select(rows, method='random', density=least)[0]['mean']:.0f} %"
    )


def _spoken(rows: Rows) -> str:
    return ", ".join(f"{label(r['method'])} {r['mean']:.0f} %" for r in rows)


@figure(configurations=_accuracy, table=_accuracy_rows, news=_accuracy_news, interval=STUDENT)
def accuracy_against_sparsity(rows: Rows) -> Figure:
    """Accuracy of all methods on the digits against the weights that remain.

    Test accuracy of 64-64-64-10 perceptrons trained under each method's mask (Adam, 300 steps), one global
    ranking; bands are 95 % intervals over networks; 10 % would be guessed. The methods that train before they
    prune, and the dense network, are in both panels. PX with the activation frozen has SynFlow-L2's masks here.
    This is the small form of the papers' CIFAR-10 figure, on a task that a CPU trains in seconds: it shows the order
    of methods there, not the papers' numbers.
    """
    fig, axes = canvas(2, height=3.0)
    halves = (("random", "magnitude", "snip", "force", "grasp-200"), ("synflow", "synflow-l2", "px"))
    for ax, half in zip(axes, halves, strict=True):
        for method in (*half, *TRAINED):
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
    arms = grouped(trials, "method", "score_data", "density", "seed")
    reference = ARMS["SynFlow-L2 (no data)"]
    rows = []
    for arm, (method, seen) in ARMS.items():
        for density in sorted({key[2] for key in arms}, reverse=True):
            pairs = [
                (mine, plain)
                for m, s, d, seed in arms
                if (m, s, d) == (method, seen, density) and (*reference, d, seed) in arms
                for mine, plain in zip(
                    arms[m, s, d, seed][0]["accuracy"], arms[(*reference, d, seed)][0]["accuracy"], strict=True
                )
            ]
            rows.append(
                {"arm": arm, "density": density, "accuracy": 100 * float(np.mean([a for a, _ in pairs])),
                 **summary(100 * (a - b) for a, b in pairs)}
            )  # fmt: skip
    return rows


def _ablation_news(rows: Rows) -> str:
    def said(arm: str) -> str:
        return ", ".join(f"{r['mean']:+.1f}" for r in select(rows, arm=arm))

    kept = ", ".join(f"{100 * d:g}" for d in distinct(rows, "density"))
    return (
        f"Points above SynFlow-L2 at {kept} % of the weights: PX on the data {said('PX, own data')}; PX on noise "
        f"{said('PX, noise')}"
    )


@figure(configurations=_ablation, table=_ablation_rows, news=_ablation_news, interval=STUDENT)
def data_and_frozen_activation(rows: Rows) -> Figure:
    """What the data adds to Path eXclusion, and what freezing the activation does.

    Test accuracy on the digits with masks by PX on the task's own images, PX on Gaussian noise, and PX with the
    dense network's activation held fixed through all rounds, minus that by SynFlow-L2, which sees no data, in points,
    network by network. With a dense last layer PX's first round cannot depend on the data, and the frozen activation,
    the same for all outputs, leaves SynFlow-L2: its difference is 0. "accuracy" in the CSV is that of the arm.
    """
    fig, (ax,) = canvas(1, width=5.4, height=2.8)
    looks = ((RED, "o"), (ORANGE, "s"), (BLACK, "P"))
    arms = [arm for arm in ARMS if arm != "SynFlow-L2 (no data)"]
    for i, (arm, (color, marker)) in enumerate(zip(arms, looks, strict=True)):
        part = select(rows, arm=arm)
        x = np.arange(len(part)) + (i - 1) * 0.12
        error = [[r["mean"] - r["low"] for r in part], [r["high"] - r["mean"] for r in part]]
        means = [r["mean"] for r in part]
        ax.errorbar(x, means, error, fmt=marker, color=color, label=arm, elinewidth=1, capsize=2, ls="")
    ticks = [r["density"] for r in select(rows, arm=arms[0])]
    ax.set_xticks(range(len(ticks)), [f"{100 * t:g}" for t in ticks])
    ax.axhline(0, color=BLUE, lw=0.8)
    ax.set(xlabel="weights remaining (%)", ylabel="test accuracy minus SynFlow-L2's (points)")
    ax.legend()
    return fig


def _layer_rows(trials: Sequence[Trial]) -> Rows:
    rows = []
    for (method, density), found in grouped(trials, "method", "density").items():
        if density in (0.1, 0.01):
            shares = np.array([pooled([{"s": t["layers"][i]} for t in found], "s") for i in range(3)])
            for i in range(3):
                rows.append({"method": method, "density": density, "layer": i + 1, **summary(100 * shares[i])})
    return rows


def _layer_news(rows: Rows) -> str:
    least = min(r["density"] for r in rows)
    part = select(rows, density=least)
    empty = [m for m in distinct(part, "method") if min(r["mean"] for r in select(part, method=m)) < 5 * least]
    return (
        f"At {100 * least:g} % of the weights some layer keeps less than a twentieth of its share under: {named(empty)}"
    )


@figure(configurations=_accuracy, table=_layer_rows, news=_layer_news, interval=STUDENT)
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
    axes[0].set_ylabel("kept in the layer (%)")
    legend_below(fig, axes[0])
    return fig


def _cifar(scale: str) -> list[Configuration]:
    data.folder("cifar10")  # says so where there is none
    return cifar.configurations(scale)


def _cifar_rows(trials: Sequence[Trial]) -> Rows:
    rows = []
    modes = ("method", "density", "statistics", "temperature", "absolute", "draws")
    for (method, density, *_), found in grouped(trials, *modes).items():
        one = found[0]
        rows.append(
            {"method": method, "scoring": cifar.scoring(one), "density": density,
             **summary(100 * t["accuracy"] for t in found),
             "accuracies": " ".join(f"{100 * t['accuracy']:.2f}" for t in found),
             "constant": sum(t["constant"] for t in found),
             "classes_lost": float(np.mean([t["classes_lost"] for t in found])),
             **{k: one[k] for k in ("samples", "size", "epochs", "test")}}
        )  # fmt: skip
    return rows


def _drawn_as(method: str, scoring: str) -> str:
    """Module scores called "grasp" at temperature 200 are those called "grasp-200" of perceptrons."""
    if method != "grasp" or "temperature 200" not in scoring:
        return method
    return "grasp-200-absolute" if "absolute" in scoring else "grasp-200"


def _cifar_news(rows: Rows) -> str:
    published = [(arm["method"], cifar.scoring(arm)) for arm in cifar.PUBLISHED]
    density = cifar.DENSITIES[0]
    part = [r for r in select(rows, density=density) if (r["method"], r["scoring"]) in published]
    order = sorted(part, key=lambda r: -r["mean"])
    (dense,) = select(rows, method="dense")
    return (
        f"{100 * density:g} % of the weights, as published: "
        + ", ".join(f"{label(_drawn_as(r['method'], r['scoring']))} {r['mean']:.1f}" for r in order)
        + f" %; dense {dense['mean']:.1f} %"
    )


@figure(
    configurations=_cifar, table=_cifar_rows, news=_cifar_news, interval="mean and 95 % Student interval over seeds"
)  # fmt: skip
def cifar10_resnet20(rows: Rows) -> Figure:
    """ResNet-20 on a part of CIFAR-10: accuracy of every method in its published mode, and in other modes.

    Test accuracy of ResNet-20 (270,896 weights) pruned at initialisation and trained on so many images for so many
    epochs as the line below the title says; 10 % would be guessed. Dots are seeds. After this little training nothing
    here bears on the papers' accuracies. Above the line the modes of the releases: GraSP with the statistics of the
    batch at temperature 200, NTK-SAP with those of its batch held fixed and five draws of the weights, SNIP with the
    stored statistics, which normalise nothing before training; SynFlow and PX: stored statistics. Below it other modes
    of the same scores; |GraSP| ranks by size. A cross: the pruned network's outputs were the same for all images that
    it was scored on, for at least one seed. PX with the activation frozen has SynFlow-L2's masks here.
    """
    arms = [(arm["method"], cifar.scoring(arm)) for arm in cifar.ARMS]
    kept = sorted((d for d in distinct(rows, "density") if d < 1), reverse=True)
    (dense,) = select(rows, method="dense")
    fig, axes = canvas(len(kept), height=3.6)
    names = []
    for method, scoring in arms:
        beside = [s for m, s in arms if m == method]
        names.append(label(_drawn_as(method, scoring)) + (f" ({scoring})" if len(beside) > 1 else ""))
    for ax, density in zip(axes, kept, strict=True):
        for i, (method, scoring) in enumerate(arms):
            for r in select(rows, method=method, scoring=scoring, density=density):
                color, marker, _, _ = LOOKS[_drawn_as(method, scoring)]
                points = [float(v) for v in str(r["accuracies"]).split()]
                ax.plot(points, [i] * len(points), ".", color=color, ms=3, alpha=0.5)
                ax.errorbar(
                    r["mean"], i, xerr=[[r["mean"] - r["low"]], [r["high"] - r["mean"]]], fmt=marker, color=color, ms=5,
                    capsize=2,
                )  # fmt: skip
                if r["constant"]:
                    ax.plot(r["mean"], i, "x", color=BLACK, ms=9)
        ax.axvline(dense["mean"], color=BLACK, lw=0.8)
        ax.axvspan(dense["low"], dense["high"], color=BLACK, alpha=0.08, lw=0)
        ax.text(dense["mean"], len(arms) - 0.6, " dense", va="bottom", fontsize=7)
        ax.axhline(len(cifar.PUBLISHED) - 0.5, color=GREY, lw=0.8)
        ax.set_yticks(range(len(arms)), names if ax is axes[0] else [])
        ax.set(ylim=(len(arms) - 0.5, -0.8))
        ax.set_title(f"{100 * density:g} % of the weights")
    said = "{samples} images of {size} × {size}, {epochs} epochs, {test} test images"
    fig.supxlabel(f"test accuracy (%); {said.format(**dense)}", fontsize=8)
    return fig


SANITY_METHODS = (
    "random", "erk", "magnitude", "snip", "snip-iterative", "force", "grasp-200", "grasp-200-absolute", "synflow",
    "synflow-l2", "px", "magnitude-after-training", "imp", "imp-rewind",
)  # fmt: skip
CHECKS = ("shuffle", "reinitialise", "invert", "relabel")


def _applies(method: str, check: str) -> bool:
    """Whether there are scores to invert, or labels to permute."""
    found = METHODS[method]
    return {"invert": found.score is not None, "relabel": found.needs == "data and labels"}.get(check, True)


def _sanity(scale: str) -> list[Configuration]:
    seeds = {"smoke": 2, "small": 6, "full": 40}[scale]
    return [
        digits.classify.configuration(method=m, density=0.1, sanity=check, seed=s)
        for s in range(seeds)
        for m in SANITY_METHODS
        for check in ("none", *CHECKS)
        if _applies(m, check)
    ]


def _paired(plain: dict[int, list[float]], found: dict[int, list[float]], alpha: float) -> dict[str, Any]:
    """Change of accuracy in points, network by network, decided both ways; a seed without a result makes no pair."""
    change = [b - a for s in sorted(plain) if s in found for a, b in zip(plain[s], found[s], strict=True)]
    worse, better = (sequential.paired_sign([sign * v for v in change], alpha / 2) for sign in (-1.0, 1.0))
    return {
        **summary(100 * v for v in change),
        "verdict": "worse" if worse.decided else "better" if better.decided else "undecided",
        "e-value worse": float(f"{worse.e_value:.4g}"),
        "e-value better": float(f"{better.e_value:.4g}"),
        "error probability": alpha,
    }


def _sanity_rows(trials: Sequence[Trial]) -> Rows:
    rows = []
    for (method,), of_method in grouped(trials, "method").items():
        by_check: dict[str, dict[int, list[float]]] = {}
        for t in of_method:
            by_check.setdefault(t["sanity"], {})[t["seed"]] = t["accuracy"]
        for check in CHECKS:
            if check in by_check and "none" in by_check:
                plain = by_check["none"]
                level = 100 * float(np.mean([v for values in plain.values() for v in values]))
                live = {c: float(np.mean(pooled([t for t in of_method if t["sanity"] == c], "live")))
                        for c in ("none", check)}  # fmt: skip
                rows.append(
                    {"method": method, "check": check, **_paired(plain, by_check[check], ALPHA), "accuracy": level,
                     "live": live["none"], "live under check": live[check]}
                )  # fmt: skip
    return rows


def _sanity_news(rows: Rows) -> str:
    said = []
    for check in distinct(rows, "check"):
        part = select(rows, check=check)
        worse = [r["method"] for r in part if r["verdict"] == "worse"]
        better = [r["method"] for r in part if r["verdict"] == "better"]
        said.append(
            f"{check} worse for {len(worse)} of {len(part)}" + (f", better for {named(better)}" if better else "")
        )
    return "; ".join(said)


@figure(configurations=_sanity, table=_sanity_rows, news=_sanity_news, interval=STUDENT)
def sanity_checks(rows: Rows) -> Figure:
    """What of a mask matters: shuffled within layers, on fresh weights, with inverted scores, with other labels.

    Change of test accuracy on the digits, in points, paired network by network: 64-64-64-10 perceptrons with 10 % of
    their weights, one global ranking (ERK: its own share of each layer), each method's own number of rounds. Shuffle:
    each layer keeps as many weights, elsewhere. Reinitialise: the same mask on weights drawn anew, in law a mask of
    other weights. Invert: the lowest scores are kept. Relabel: the mask of the same data with permuted labels, of the
    same law but for what it knows of these. Mean and 95 % interval over networks. Filled: the paired sign test decides
    for worse or better, error probability 0.01 a row; hollow: it does not. Random masks have nothing to lose. Methods
    that train have no scores to invert. "live" in the CSV: the share of kept weights on paths from input to output.
    """
    return _checks(rows, CHECKS)


def _checks(rows: Rows, checks: Sequence[str]) -> Figure:
    names = distinct(rows, "method")
    fig, axes = canvas(len(checks), width=6.8, height=1.1 + 0.2 * len(names))
    for ax, check in zip(axes, checks, strict=True):
        for r in select(rows, check=check):
            color, marker, _, _ = LOOKS[r["method"]]
            half = [[r["mean"] - r["low"]], [r["high"] - r["mean"]]]
            fill = color if r["verdict"] != "undecided" else "white"
            ax.errorbar(r["mean"], names.index(r["method"]), xerr=half, fmt=marker, color=color, mfc=fill, ms=5)
        ax.axvline(0, color=GREY, lw=0.8)
        ax.set(title=check, ylim=(len(names) - 0.5, -0.5))
        ax.set_yticks(range(len(names)), [label(m) for m in names] if check == checks[0] else [])
    fig.supxlabel("change of test accuracy (points)", fontsize=8)
    return fig


RESNET_ALPHA = 0.05
"""Ten pairs of networks cannot decide at 0.01: ten signs of ten reach an e-value of 93."""


def _resnet_sanity(scale: str) -> list[Configuration]:
    data.folder("cifar10")  # says so where there is none
    return cifar.sanity_configurations(scale)


def _resnet_sanity_rows(trials: Sequence[Trial]) -> Rows:
    rows = []
    for (method,), of_method in grouped(trials, "method").items():
        by_check: dict[str, dict[int, list[float]]] = {}
        for t in of_method:
            by_check.setdefault(t["sanity"], {})[t["seed"]] = [t["accuracy"]]
        drawn = "grasp-200" if method == "grasp" else method
        rows += [
            {"method": drawn, "check": check, **_paired(by_check["none"], by_check[check], RESNET_ALPHA),
             "accuracy": 100 * float(np.mean([v for (v,) in by_check["none"].values()]))}
            for check in CHECKS
            if check in by_check and "none" in by_check
        ]  # fmt: skip
    return rows


@figure(
    configurations=_resnet_sanity, table=_resnet_sanity_rows, news=_sanity_news,
    interval="mean and 95 % Student interval over pairs",
)  # fmt: skip
def sanity_checks_resnet20(rows: Rows) -> Figure:
    """What of a mask matters on ResNet-20: shuffled within layers, on fresh weights, inverted, other labels.

    Change of test accuracy on a part of CIFAR-10, in points, paired seed by seed: ResNet-20 with 2 % of its weights,
    one global ranking, each method in its published mode; the settings in the CSV say how many images of what size and
    how many epochs. Shuffle: each layer keeps as many weights, elsewhere. Reinitialise: the same mask on weights drawn
    anew. Invert: the lowest scores are kept. Relabel: the mask of the same images with permuted labels. Mean and 95 %
    interval over seeds. Filled: the paired sign test decides for worse or better, error probability 0.05 a row;
    hollow: it does not.
    """
    return _checks(rows, CHECKS)


def _live_rows(trials: Sequence[Trial]) -> Rows:
    return [
        {"method": m, "density": d, **summary(100 * v for v in pooled(found, "accuracy")),
         "effective density": d * float(np.mean(pooled(found, "live")))}
        for (m, d), found in grouped([t for t in trials if t["density"] < 1], "method", "density").items()
    ]  # fmt: skip


def _live_news(rows: Rows) -> str:
    least = min(r["density"] for r in rows)
    shares = ", ".join(
        f"{label(r['method'])} {100 * r['effective density'] / least:.0f} %" for r in select(rows, density=least)
    )
    return f"Kept weights that lie on a path, at {100 * least:g} %: {shares}"


@figure(configurations=_accuracy, table=_live_rows, news=_live_news, interval=STUDENT)
def effective_density(rows: Rows) -> Figure:
    """Accuracy against the weights that lie on a path from input to output.

    Test accuracy on the digits of 64-64-64-10 perceptrons, one global ranking. Left: against the share of the weights
    that a method keeps. Right: against the share that lie on some path of kept weights from an input to an output
    (effective density, Vysogorets & Kempe 2023); a kept weight on no path takes no part. Bands are 95 % intervals over
    networks.
    """
    fig, (left, right) = canvas(2, height=3.0)
    for method in distinct(rows, "method"):
        part = select(rows, method=method)
        series(left, method, [r["density"] for r in part], part)
        series(right, method, [max(r["effective density"], 1e-4) for r in part], part)
    for ax in (left, right):
        densities(ax, distinct(rows, "density"))
        ax.set(ylim=(0, 100))
    right.set(xlim=(left.get_xlim()[0], 0.001), xlabel="weights on paths (%)")
    left.set_ylabel("test accuracy (%)")
    legend_below(fig, left, 4)
    return fig
