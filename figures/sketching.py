"""Figures of the sketching paper (Bar & Giryes, arXiv 2305.17559)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from figures.registry import STUDENT, Rows, figure
from figures.style import (
    BLACK,
    BLUE,
    GREEN,
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
    select,
    series,
    summary,
)
from verify.experiments import sketches
from verify.experiments.decide import sampled_configurations
from verify.experiments.protocol import SAMPLED_DENSITIES
from verify.trials import Configuration, Trial

DRAWS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


def _errors(scale: str) -> list[Configuration]:
    repeats = {"smoke": 2000, "small": 20000, "full": 200000}[scale]
    return [
        sketches.error_against_draws.configuration(data=d, draws=DRAWS, repeats=repeats, seed=0)
        for d in ("gaussian", "digits")
    ]


def _error_rows(trials: Sequence[Trial]) -> Rows:
    columns = ("exact", "limit", "magnitude", "sampled", "sampled_se", "binary", "binary_sampled", "binary_sampled_se")
    return [
        {"data": t["data"], "draws": s, **{c: t[c][i] / t["scale"] for c in columns}}
        for t in trials
        for i, s in enumerate(t["draws"])
    ]


def _error_news(rows: Rows) -> str:
    off = max(
        abs(r[name] - r[exact]) / r[f"{name}_se"]
        for r in rows
        for name, exact in (("sampled", "exact"), ("binary_sampled", "binary"))
        if r[f"{name}_se"] > 0 and r[name] > 2 * r[f"{name}_se"]
    )
    return f"No simulated error is further than {off:.1f} standard errors from the exact one"


@figure(
    configurations=_errors, table=_error_rows, news=_error_news, interval="two standard errors of the simulation"
)  # fmt: skip
def error_against_draws(rows: Rows) -> Figure:
    """The error of a sketch falls exactly as 1/s, that of its binary mask geometrically.

    Mean squared error of the sketched prediction relative to |X'w|^2 against the number of draws s. Lines are
    exact: the sketch with optimal probabilities, (A^2 - |X'w|^2)/s, its bound A^2/s, the same with
    probabilities |w|/|w|_1 (magnitude), and the unscaled binary mask that is used in practice. Points are
    simulated, with two standard errors.
    """
    fig, axes = canvas(2)
    for ax, data in zip(axes, distinct(rows, "data"), strict=True):
        part = select(rows, data=data)
        s = [r["draws"] for r in part]
        ax.plot(s, [r["limit"] for r in part], color=GREY, ls=":", label="A²/s")
        ax.plot(s, [r["exact"] for r in part], color=BLUE, label="sketch, optimal p (exact)")
        ax.plot(s, [r["magnitude"] for r in part], color=GREEN, ls="--", label="sketch, p from magnitude (exact)")
        ax.plot(s, [r["binary"] for r in part], color=RED, ls="-.", label="binary mask (exact)")
        for name, color in (("sampled", BLUE), ("binary_sampled", RED)):
            # Binary errors far out are rare events: a point whose interval reaches 0 says nothing on this axis.
            shown = [r for r in part if r[name] > 2 * r[f"{name}_se"]]
            ax.errorbar(
                [r["draws"] for r in shown], [r[name] for r in shown], [2 * r[f"{name}_se"] for r in shown],
                fmt="o", ms=3, color=color, elinewidth=0.8, label="simulated" if name == "sampled" else None,
            )  # fmt: skip
        ax.set(
            xscale="log",
            yscale="log",
            xlabel="draws s",
            title={"digits": "ridge regression on digits", "gaussian": "Gaussian features"}[data],
        )
        ax.set_ylim(bottom=min(r["exact"] for r in part) / 30)
    axes[0].set_ylabel("mean squared error / |X'w|²")
    legend_below(fig, axes[0])
    return fig


KINDS = {
    "linear": "one linear layer,\nSynFlow",
    "deep": "deep linear,\nSynFlow",
    "deep-relu": "deep ReLU,\nSynFlow",
    "sign-averaged": "deep, SynFlow-L2,\nsigns averaged",
}


def _scores(scale: str) -> list[Configuration]:
    samples = {"smoke": 4000, "small": 20000, "full": 100000}[scale]
    seeds = {"smoke": 2, "small": 10, "full": 40}[scale]
    return [sketches.synflow_scores.configuration(kind=k, samples=samples, seed=s) for s in range(seeds) for k in KINDS]


def _score_rows(trials: Sequence[Trial]) -> Rows:
    return [
        {"kind": t["kind"], "seed": t["seed"], "synflow": a, "sketch": b}
        for t in trials
        for a, b in zip(t["synflow"], t["sketch"], strict=True)
    ]


def _ratios(rows: Rows, kind: str) -> list[float]:
    """The largest factor between score and sketch of any parameter, one a network."""
    part = [r for r in select(rows, kind=kind) if r["synflow"] > 0 and r["sketch"] > 0]
    return [
        math.exp(max(abs(math.log(r["sketch"] / r["synflow"])) for r in select(part, seed=s)))
        for s in distinct(part, "seed")
    ]


def _score_news(rows: Rows) -> str:
    def said(kind: str) -> str:
        found = _ratios(rows, kind)
        return f"{min(found):.3g} to {max(found):.3g}"

    return (
        f"Score against sketch, largest factor in {len(_ratios(rows, 'deep'))} networks each: one layer "
        f"{said('linear')}, deep linear {said('deep')}, deep ReLU {said('deep-relu')}, "
        f"SynFlow-L2 {said('sign-averaged')}"
    )


@figure(configurations=_scores, table=_score_rows, news=_score_news)
def synflow_against_sketch(rows: Rows) -> Figure:
    """SynFlow's score is the sketch probability for one linear layer, not for deep networks.

    Each point is a parameter: its normalised SynFlow score against the probability that sketching gives it on
    random normal inputs. On the diagonal the two agree. They do for one linear layer; they do not in deep
    networks; they do again for SynFlow-L2 of a deep linear network when the squared saliency is averaged over random
    signs of all weights. Remaining scatter in the first and last panel is the simulation's. Both axes are shares of
    the sum over a network's parameters; the numbers are the largest factor between the two of any parameter, smallest
    and largest over the networks, one a seed.
    """
    fig, axes = canvas(4, height=2.2)
    for ax, kind in zip(axes, distinct(rows, "kind"), strict=True):
        part = [r for r in select(rows, kind=kind) if r["synflow"] > 0 and r["sketch"] > 0]
        x, y = np.array([r["synflow"] for r in part]), np.array([r["sketch"] for r in part])
        ends = [min(x.min(), y.min()) / 1.5, max(x.max(), y.max()) * 1.5]
        ax.plot(ends, ends, color=GREY, lw=0.8)
        good = kind in ("linear", "sign-averaged")
        ax.scatter(x, y, s=7, color=BLUE if good else RED, marker="o" if good else "^", lw=0)
        ax.set(xscale="log", yscale="log", xlabel="SynFlow score", title=KINDS[kind], xlim=ends, ylim=ends)
        ax.minorticks_off()
        largest = _ratios(rows, kind)
        said = f"largest ratio\n{min(largest):.3g} to {max(largest):.3g}"
        ax.text(0.05, 0.95, said, transform=ax.transAxes, fontsize=7, va="top")
    axes[0].set_ylabel("sketch probability")
    return fig


def _lazy(scale: str) -> list[Configuration]:
    seeds = {"smoke": 10, "small": 24, "full": 60}[scale]
    return [
        sketches.lazy_weights.configuration(width=w, seed=s)
        for w in (64, 128, 256, 512, 1024, 2048, 4096)
        for s in range(seeds)
    ]


def _lazy_rows(trials: Sequence[Trial]) -> Rows:
    rows = []
    for quantity in ("distance", "variance", "rho"):
        for (width,), found in grouped(trials, "width").items():
            values = summary(math.log10(t[quantity]) for t in found)
            powers = {k: 10 ** values[k] for k in ("mean", "low", "high")}
            rows.append({"quantity": quantity, "width": width, **powers, "n": values["n"]})
    return rows


def _slope(rows: Rows, quantity: str) -> tuple[float, float]:
    """Slope and intercept of the logarithm on the logarithm of the width."""
    part = select(rows, quantity=quantity)
    slope, at = np.polyfit(np.log([r["width"] for r in part]), np.log([r["mean"] for r in part]), 1)
    return float(slope), float(at)


def _lazy_news(rows: Rows) -> str:
    slopes = [_slope(rows, q)[0] for q in ("distance", "variance", "rho")]
    said = "The distance goes as width^{:+.2f}, the variance of ratios as ^{:+.2f}, the largest ratio as ^{:+.2f}"
    return said.format(*slopes)


@figure(
    configurations=_lazy, table=_lazy_rows, news=_lazy_news,
    interval="geometric mean and 95 % Student interval of the logarithm over seeds",
)  # fmt: skip
def lazy_weights(rows: Rows) -> Figure:
    """Wide networks move little as a whole, yet single weights change by ever larger factors.

    Two-layer ReLU networks in NTK parametrisation fitted to a fixed set, geometric mean over seeds with 95 %
    interval; dashed: least-squares line, with its slope. The distance |w*-w0|/|w0| falls about like width^(-1/2).
    What the transfer bound needs on average, the variance of |w*_i/w0_i| under the sketch's probabilities, falls
    faster. The largest relative change of one weight, rho, grows: a bound in rho is vacuous where a bound in the
    variance is not.
    """
    fig, axes = canvas(3, height=2.4)
    titles = {
        "distance": "distance |w*−w₀| / |w₀|",
        "variance": "variance of |w*ᵢ/w₀ᵢ| under p₀",
        "rho": "ρ = max |w*ᵢ−w₀ᵢ| / |w₀ᵢ|",
    }
    for ax, (quantity, title) in zip(axes, titles.items(), strict=True):
        part = select(rows, quantity=quantity)
        x = [r["width"] for r in part]
        slope, at = _slope(rows, quantity)
        series(ax, "", x, part, color=BLUE if quantity != "rho" else RED, marker="o", label=None)
        ax.plot(x, np.exp(at) * np.array(x) ** slope, color=GREY, ls="--", lw=0.9, label=f"slope {slope:+.2f}")
        ax.set(xscale="log", yscale="log", title=title, xlabel="width")
        ax.set_xticks([64, 256, 1024, 4096], ["64", "256", "1024", "4096"])
        plain_ticks(ax, min(r["low"] for r in part), max(r["high"] for r in part))
        ax.minorticks_off()
        ax.legend()
    axes[0].set_ylabel("geometric mean over seeds")
    return fig


def _thresholded_rows(trials: Sequence[Trial]) -> Rows:
    rows = [
        {"method": m, "density": d, "select": s, **summary(100 * v for v in pooled(found, "accuracy"))}
        for (m, d, s), found in grouped(trials, "method", "density", "select").items()
    ]
    for (m, d), found in grouped(trials, "method", "density").items():
        by_seed = {(t["select"], t["seed"]): t["accuracy"] for t in found}
        gains = [
            100 * (b - a)
            for (how, s), drawn in by_seed.items()
            if how == "sample" and ("top", s) in by_seed
            for a, b in zip(by_seed["top", s], drawn, strict=True)
        ]
        rows.append({"method": m, "density": d, "select": "sampled minus thresholded", **summary(gains)})
    return rows


def _thresholded_news(rows: Rows) -> str:
    gains = sorted(select(rows, select="sampled minus thresholded"), key=lambda r: r["mean"])
    worst, best = (
        f"{label(r['method'])} at {100 * r['density']:g} % ({r['mean']:+.1f} points)" for r in (gains[0], gains[-1])
    )
    better, worse = sum(r["low"] > 0 for r in gains), sum(r["high"] < 0 for r in gains)
    return (
        f"Sampling gains most for {best} and loses most for {worst}; of {len(gains)} intervals "
        f"{better} lie above 0 and {worse} below"
    )


@figure(configurations=sampled_configurations, table=_thresholded_rows, news=_thresholded_news, interval=STUDENT)
def thresholded_and_sampled(rows: Rows) -> Figure:
    """Sampled masks against thresholded ones: which trains better depends on score and sparsity.

    Test accuracy on the digits, 64-64-64-10 perceptrons, one-shot scores with one global ranking, the same for
    both (GraSP by its size: signed scores are no probabilities). Solid: the largest scores are kept. Dashed: weights
    are drawn with probability proportional to their score until as many are kept. Below: the difference, network by
    network, in points. Bands are 95 % intervals over networks.
    """
    fig, both = canvas(4, 2, height=1.9)
    axes, differences = both[:4], both[4:]
    for ax, method in zip(differences, distinct(rows, "method"), strict=True):
        part = select(rows, method=method, select="sampled minus thresholded")
        series(ax, method, [r["density"] for r in part], part, color=ORANGE, marker="s", linestyle="-", label=None)
        ax.axhline(0, color=BLACK, lw=0.8)
        densities(ax, SAMPLED_DENSITIES)
    differences[0].set_ylabel("sampled − thresholded")
    for ax, method in zip(axes, distinct(rows, "method"), strict=True):
        for how, line in (("top", "-"), ("sample", "--")):
            part = select(rows, method=method, select=how)
            name = {"top": "thresholded", "sample": "sampled"}[how]
            series(
                ax, method, [r["density"] for r in part], part, linestyle=line,
                color=BLACK if how == "top" else ORANGE, marker="o" if how == "top" else "s", label=name,
            )  # fmt: skip
        densities(ax, SAMPLED_DENSITIES)
        ax.set(title=label(method), ylim=(0, 100), xlabel="")
    axes[0].set_ylabel("test accuracy (%)")
    legend_below(fig, axes[0])
    return fig
