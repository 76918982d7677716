"""Figures of the SynFlow paper (Tanaka, Kunin, Yamins & Ganguli, arXiv 2006.05467)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from figures.registry import STUDENT, Rows, figure
from figures.style import (
    BLACK,
    GREY,
    LOOKS,
    canvas,
    distinct,
    grouped,
    label,
    legend_below,
    named,
    pooled,
    select,
    series,
    summary,
)  # fmt: skip
from verify.experiments import digits, spectra
from verify.trials import Configuration, Trial

METHODS = ("random", "magnitude", "snip", "grasp-200", "synflow")
EXPONENTS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
HIDDEN = [64, 64, 64, 64]


def _compression(scale: str) -> list[Configuration]:
    seeds = {"smoke": 1, "small": 3, "full": 25}[scale]
    dense = [
        digits.classify.configuration(method="magnitude", density=1.0, hidden=HIDDEN, seed=s) for s in range(seeds)
    ]
    return dense + [
        digits.classify.configuration(method=m, density=round(10**-e, 6), hidden=HIDDEN, seed=s)
        for s in range(seeds)
        for m in METHODS
        for e in EXPONENTS
    ]


def _compression_rows(trials: Sequence[Trial]) -> Rows:
    rows = []
    for (method, density), found in grouped(trials, "method", "density").items():
        # A layer's share is 0 when it lost all of its weights; one number a layer and copy.
        empty = [min(shares) == 0 for t in found for shares in zip(*t["layers"], strict=True)]
        rows.append(
            {"method": "dense" if density == 1 else method, "compression": 1 / density,
             **summary(100 * v for v in pooled(found, "accuracy")), "collapsed": float(np.mean(empty))}
        )  # fmt: skip
    return rows


def _compression_news(rows: Rows) -> str:
    most = max(r["compression"] for r in rows)
    first = {}
    for method in (m for m in distinct(rows, "method") if m != "dense"):
        gone = [r["compression"] for r in select(rows, method=method) if r["collapsed"] >= 0.5]
        first[method] = f"from {min(gone):.0f}" if gone else f"not up to {most:.0f}"
    return "Compression at which a layer is lost in half of the networks: " + ", ".join(
        f"{label(m)} {v}" for m, v in first.items()
    )


@figure(configurations=_compression, table=_compression_rows, news=_compression_news, interval=STUDENT)
def compression(rows: Rows) -> Figure:
    """Accuracy against compression, and where a layer collapses.

    Test accuracy on the digits of perceptrons with four hidden layers of 64 units (17,024 weights, five layers of
    weights), trained under each method's mask with one global ranking; compression is all weights over those kept.
    Bands are 95 % intervals over networks; 10 % would be guessed. Circled: in at least half of the networks some layer
    lost all of its weights, so that the output is constant. SynFlow takes 100 rounds, all others one.
    """
    fig, (ax,) = canvas(1, width=5.6, height=3.2)
    for method in (m for m in distinct(rows, "method") if m != "dense"):
        part = sorted(select(rows, method=method), key=lambda r: r["compression"])
        x = [r["compression"] for r in part]
        series(ax, method, x, part)
        gone = [r for r in part if r["collapsed"] >= 0.5]
        ax.plot([r["compression"] for r in gone], [r["mean"] for r in gone], "o", ms=8, mfc="none", mec=BLACK, mew=0.7)
    (dense,) = select(rows, method="dense")
    ax.axhline(dense["mean"], color=BLACK, lw=0.8, label="dense")
    ax.set(xscale="log", xlabel="compression (all weights / weights kept)", ylabel="test accuracy (%)", ylim=(0, 100))
    legend_below(fig, ax, 3)
    return fig


LAYERS = [64, 128, 96, 64, 48, 32, 16, 10]
SCORED = ("magnitude", "snip", "grasp", "synflow", "synflow-l2", "px")


def _layers(scale: str) -> list[Configuration]:
    seeds = {"smoke": 1, "small": 3, "full": 10}[scale]
    return [spectra.layer_scores.configuration(method=m, widths=LAYERS, seed=s) for s in range(seeds) for m in SCORED]


def _layer_rows(trials: Sequence[Trial]) -> Rows:
    rows = []
    for (method,), found in grouped(trials, "method").items():
        for i, size in enumerate(found[0]["sizes"]):
            logs = summary(float(np.log10(v)) for t in found for v in t["mean"][i])
            powers = {k: 10 ** logs[k] for k in ("mean", "low", "high")}
            rows.append({"method": method, "layer": i + 1, "size": size, **powers, "n": logs["n"]})
    return rows


def _layer_slope(part: Rows) -> float:
    return float(np.polyfit(np.log([r["size"] for r in part]), np.log([r["mean"] for r in part]), 1)[0])


def _layer_news(rows: Rows) -> str:
    slopes = {m: _layer_slope(select(rows, method=m)) for m in distinct(rows, "method")}
    near = [m for m, v in slopes.items() if abs(v + 1) < 0.02]
    others = ", ".join(f"{label(m)} {v:+.2f}" for m, v in slopes.items() if m not in near)
    return f"Slope −1, as a conserved score has: {named(near)}; others: {others}"


@figure(
    configurations=_layers, table=_layer_rows, news=_layer_news,
    interval="geometric mean and 95 % Student interval of the logarithm over networks",
)  # fmt: skip
def score_and_layer_size(rows: Rows) -> Figure:
    """The mean score of a weight against the size of its layer: where a score is conserved it is one over the size.

    Mean of |score| over the weights of each layer of a 64-128-96-64-48-32-16-10 perceptron at initialisation, on 256
    Gaussian inputs with random labels; scores sum to 1 over the network. Geometric mean over networks with 95 %
    intervals. The grey line has slope -1: scores whose sum is the same in every layer lie on it. The sums of SynFlow,
    SynFlow-L2 and PX are the same by theorem; so are SNIP's signed sums, but not the sums of their sizes.
    """
    fig, axes = canvas(3, 2, height=2.1)
    for ax, method in zip(axes, distinct(rows, "method"), strict=True):
        part = sorted(select(rows, method=method), key=lambda r: r["size"])
        x, y = np.array([r["size"] for r in part], dtype=float), np.array([r["mean"] for r in part])
        color, marker, _, _ = LOOKS[method]
        error = [[r["mean"] - r["low"] for r in part], [r["high"] - r["mean"] for r in part]]
        ax.errorbar(x, y, error, fmt=marker, color=color, elinewidth=0.8)
        ends = np.array([x.min(), x.max()])
        ax.plot(ends, float(np.exp(np.mean(np.log(x * y)))) / ends, color=GREY, lw=0.9)
        ax.set(xscale="log", yscale="log", title=f"{label(method)}: slope {_layer_slope(part):+.2f}")
        ax.minorticks_off()
    for ax in axes[3:]:
        ax.set_xlabel("weights in the layer")
    for ax in (axes[0], axes[3]):
        ax.set_ylabel("mean |score|")
    return fig
