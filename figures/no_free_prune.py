"""Figures of the capacity paper (Kumar, Luo & Sellke, arXiv 2402.01089)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures.registry import STUDENT, Rows, figure
from figures.style import (
    BLACK,
    BLUE,
    GREEN,
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
    pooled,
    select,
    series,
    summary,
)
from verify.experiments import counts
from verify.experiments import decide as empirical
from verify.experiments.protocol import ALPHA
from verify.trials import Configuration, Trial, sequential
from verify.trials.statistics import rank_correlation


def _memorisation_rows(trials: Sequence[Trial]) -> Rows:
    return [
        {
            "method": "dense" if d == 1 else m,
            "density": d,
            "scope": s,
            **summary(100 * v for v in pooled(found, "memorised")),
            "live": float(np.mean(pooled(found, "live")) / np.mean(pooled(found, "weights"))),
        }
        for (m, d, s), found in grouped(trials, "method", "density", "scope").items()
    ]


def _memorisation_news(rows: Rows) -> str:
    part = sorted(select(rows, density=0.1, scope="layer"), key=lambda r: -r["mean"])
    return "Labels memorised by 10 % of the weights, layerwise: " + ", ".join(
        f"{label(r['method'])} {r['mean']:.0f} %" for r in part
    )


@figure(
    configurations=empirical.memorisation_configurations, table=_memorisation_rows, news=_memorisation_news,
    interval=STUDENT,
)  # fmt: skip
def memorisation(rows: Rows) -> Figure:
    """Memorisation of random labels against sparsity, each method, both ways of thresholding.

    Share of 192 random labels on Gaussian inputs that 16-32-32-1 perceptrons learn in 600 full-batch Adam steps;
    half would be guessed. Left: the same share of weights kept in every layer. Right: one global ranking. Below:
    share of the kept weights that lie on a path from input to output. With one output PX has SynFlow-L2's
    masks. Bands are 95 % intervals over networks.
    """
    fig, axes = canvas(2, 2, height=2.4)
    for column, scope in enumerate(("layer", "global")):
        for method in (m for m in distinct(rows, "method") if m != "dense"):
            part = select(rows, method=method, scope=scope)
            x = [r["density"] for r in part]
            series(axes[column], method, x, part)
            live = [{"mean": 100 * r["live"], "low": 100 * r["live"], "high": 100 * r["live"]} for r in part]
            series(axes[2 + column], method, x, live)
        (dense,) = select(rows, method="dense")
        axes[column].axhline(dense["mean"], color=BLACK, lw=0.8)
        axes[column].text(0.05, dense["mean"] - 1, "dense", va="top", ha="right", fontsize=7)
        axes[column].set(title={"layer": "layerwise", "global": "global"}[scope], ylim=(50, 101))
        axes[2 + column].set(ylim=(0, 103))
        for ax in (axes[column], axes[2 + column]):
            densities(ax, empirical.MEMORISED_DENSITIES)
        axes[column].set_xlabel("")
    axes[0].set_ylabel("labels memorised (%)")
    axes[2].set_ylabel("kept weights on paths (%)")
    legend_below(fig, axes[0], 5)
    return fig


def _same_law_rows(trials: Sequence[Trial]) -> Rows:
    rows = []
    for (method,), found in grouped(trials, "method").items():
        found = sorted(found, key=lambda t: t["seed"])
        gains = np.subtract(pooled(found, "own"), pooled(found, "foreign"))
        signs = np.sign(gains)
        more, less = sequential._mixture(signs), sequential._mixture(-signs)
        # Every pair at first, then as many as the picture can show.
        for i in sorted({*range(min(100, len(gains))), *range(99, len(gains), 5), len(gains) - 1}):
            logs = {"log10_e_more": more[i] / math.log(10), "log10_e_less": less[i] / math.log(10)}
            rows.append(
                {"method": method, "pair": i + 1, **{k: round(v, 4) for k, v in logs.items()}, **summary(gains)}
            )
    return rows


def _same_law_news(rows: Rows) -> str:
    said: dict[str, list[str]] = {"helps": [], "hurts": [], "undecided": []}
    for method in distinct(rows, "method"):
        part = select(rows, method=method)
        helps, hurts = (max(r[k] for r in part) >= -math.log10(ALPHA) for k in ("log10_e_more", "log10_e_less"))
        verdict = "undecided" if helps == hurts else "helps" if helps else "hurts"
        said[verdict].append(f"{label(method)} ({100 * part[0]['mean']:+.1f})")
    return "Knowing the labels (points of training accuracy): " + "; ".join(
        f"{k} {', '.join(v)}" for k, v in said.items() if v
    )


@figure(
    configurations=empirical.same_law_configurations, table=_same_law_rows, news=_same_law_news,
    interval="mean and 95 % Student interval over pairs",
)  # fmt: skip
def same_law(rows: Rows) -> Figure:
    """The same-law control: masks that know the labels against masks that know others.

    One mask is made from (w0, x, y), the other by the same rule from (w0, x, y') with fresh labels; both networks
    are trained on y. The masks have the same law, only the first has information on y. Left: gain in training
    accuracy, mean and 95 % interval over pairs (n = 192, 156 of 1568 weights, 16-32-32-1, layerwise, 600 steps).
    Right: paired sign e-processes, solid for "the own labels help", dotted for "they hurt"; above the line the opposite
    is rejected with error probability 0.01 a test. Where both stay below, nothing is decided. Curves are cut off at 12.
    """
    fig, (left, right) = canvas(2, height=3.0)
    methods = distinct(rows, "method")
    for i, method in enumerate(methods):
        color, marker, _, _ = LOOKS[method]
        part = select(rows, method=method)
        gain = part[0]
        left.errorbar(gain["mean"], i, xerr=gain["mean"] - gain["low"], fmt=marker, ms=5, color=color, capsize=2)
        x = [r["pair"] for r in part]
        right.plot(x, [r["log10_e_more"] for r in part], color=color, label=label(method))
        right.plot(x, [r["log10_e_less"] for r in part], color=color, ls=":")
    left.axvline(0, color=BLACK, lw=0.8)
    left.set_yticks(range(len(methods)), [label(m) for m in methods])
    left.invert_yaxis()
    left.set(xlabel="gain in share of labels memorised")
    left.grid(axis="y", visible=False)
    right.axhline(2, color=BLACK, lw=0.8)
    right.set(xlabel="pairs", ylabel="log₁₀ e-value", ylim=(-3, 12), xscale="log")
    legend_below(fig, right, 5)
    return fig


def _noise_rows(trials: Sequence[Trial]) -> Rows:
    rows = []
    for (data, method), found in grouped(trials, "data", "method").items():
        curves = np.array(pooled(found, "correlation"))
        memory = summary(100 * v for v in pooled(found, "memorised"))["mean"]
        for i, step in enumerate(found[0]["at"]):
            rows.append({"data": data, "method": method, "step": step, **summary(curves[:, i]), "memorised": memory})
    return rows


def _noise_news(rows: Rows) -> str:
    found = []
    for data in distinct(rows, "data"):
        end = max(r["step"] for r in select(rows, data=data))
        part = select(rows, data=data, step=end)
        value = float(rank_correlation(np.array([r["mean"] for r in part]), np.array([r["memorised"] for r in part])))
        found.append(f"{data} {value:.2f}")
    return "Rank correlation over methods of noise learnt with labels memorised: " + ", ".join(found)


@figure(
    configurations=empirical.noise_configurations, table=_noise_rows, news=_noise_news, interval=STUDENT
)  # fmt: skip
def noise_correlation(rows: Rows) -> Figure:
    """Correlation with the label noise while training, and memorisation at its end.

    Mean of f(x_i) z_i over 192 samples, f the tanh of the output and z the label noise (a quarter of the labels
    flipped), for 10 % of the weights, layerwise. Gaussian inputs with linear labels; digits ("at least five"); and,
    where the data set was found, CIFAR-10 averaged down to 8 x 8 ("an animal"). Last: at the end of training, against
    the share of noisy labels memorised (filled: Gaussian, hollow: digits, half filled: CIFAR-10). Both axes of it are
    measured on the same networks and labels, so that they agree is not surprising. With one output PX has
    SynFlow-L2's masks. Bands are 95 % intervals over networks.
    """
    data_sets = distinct(rows, "data")
    fig, axes = canvas(len(data_sets) + 1, height=2.6)
    titles = {"gaussian": "Gaussian inputs", "digits": "digits", "cifar10": "CIFAR-10, 8 × 8"}
    fills: dict[str, Any] = {"gaussian": "full", "digits": "none", "cifar10": "left"}
    for ax, data in zip(axes, data_sets, strict=False):
        for method in distinct(rows, "method"):
            part = select(rows, data=data, method=method)
            series(ax, method, [r["step"] for r in part], part, markevery=5)
            color, marker, _, _ = LOOKS[method]
            axes[-1].plot(
                part[-1]["memorised"], part[-1]["mean"], marker, color=color, fillstyle=fills[data], ms=6,
                markerfacecoloralt="white",
            )  # fmt: skip
        ax.set(xlabel="training step", title=titles[data])
    axes[0].set_ylabel("correlation with the noise")
    axes[-1].set(xlabel="memorised (%)", title="at the end")
    legend_below(fig, axes[0], 3)
    return fig


WITHOUT_LABELS = ("random", "magnitude", "synflow", "synflow-l2")


def _bounds(scale: str) -> list[Configuration]:
    kept = [c for c in empirical.memorisation_configurations(scale) if c["density"] == 0.1 and c["scope"] == "layer"]
    return empirical.same_law_configurations(scale) + [c for c in kept if c["method"] in WITHOUT_LABELS]


def _bound_rows(trials: Sequence[Trial]) -> Rows:
    rows = []
    for (method,), found in grouped(trials, "method").items():
        n, kept = found[0]["samples"], pooled([{"w": np.atleast_1d(t["weights"])} for t in found], "w")
        least = most = 0.0
        own = pooled(found, "memorised" if method in WITHOUT_LABELS else "own")
        if method not in WITHOUT_LABELS:
            least, most = sequential.information_at_least(own, pooled(found, "foreign")), float(n)
        k = float(np.mean(kept))
        rows.append(
            {"method": method, "kept": k, "least": k + least, "most": k + most, **summary(100 * v for v in own)}
        )
    return rows


def _bound_news(rows: Rows) -> str:
    free = sorted((r for r in rows if r["most"] <= r["kept"]), key=lambda r: r["mean"])
    return (
        f"Without information on the labels the same {free[0]['kept']:.0f} weights memorise {free[0]['mean']:.0f} % "
        f"({label(free[0]['method'])}) to {free[-1]['mean']:.0f} % ({label(free[-1]['method'])})"
    )


@figure(configurations=_bounds, table=_bound_rows, news=_bound_news, interval=STUDENT)
def effective_parameter_bounds(rows: Rows) -> Figure:
    """Memorisation against the effective parameter count, where only bounds on it are known.

    Random labels memorised (16-32-32-1, 192 samples, 156 of 1568 weights kept, layerwise; mean and 95 % interval)
    against weights kept plus the mask's information on the labels in bits. Methods that see no labels have
    information 0: exact points. For the others the bar runs from a lower bound (data processing on the same-law
    control, error probability 0.01 each) to the trivial upper one, 192 bits for 192 random labels. Methods without
    information differ widely at the same count: it is no sufficient statistic for what a mask memorises here.
    """
    fig, (left, right) = canvas(2, height=2.8)
    for r in rows:
        color, marker, _, _ = LOOKS[r["method"]]
        error = [[r["mean"] - r["low"]], [r["high"] - r["mean"]]]
        for ax in (left, right):
            if r["most"] > r["kept"]:
                ax.plot([r["least"], r["most"]], [r["mean"]] * 2, color=color, lw=1.2)
            ax.errorbar(
                r["least"], r["mean"], error, fmt=marker, color=color, ms=5, elinewidth=0.8, label=label(r["method"])
            )
    left.set(title="lower and upper bounds", ylabel="labels memorised (%)")
    kept = rows[0]["kept"]
    right.set(title="lower bounds, enlarged", xlim=(kept - 0.5, max(r["least"] for r in rows) + 1))
    for ax in (left, right):
        ax.set_xlabel("effective parameters k + I (bits)")
    legend_below(fig, left, 4)
    return fig


RULES = {"fixed": (GREY, "x"), "snip": (ORANGE, "s"), "snip-opposite": (RED, "v"), "best": (GREEN, "o")}


def _effective_rows(trials: Sequence[Trial]) -> Rows:
    return [{"world": t["seed"], "n": t["samples"], **r} for t in trials for r in t["rows"]]


def _effective_news(rows: Rows) -> str:
    def correlation(part: Rows) -> float:
        return float(
            rank_correlation(
                np.array([r["k"] + r["information"] for r in part]), np.array([r["memorised"] for r in part])
            )
        )

    worlds = distinct(rows, "world")
    across = [correlation(select(rows, world=w)) for w in worlds]
    within = [
        np.mean([correlation(select(rows, world=w, k=k)) for k in distinct(rows, "k")]) for w in worlds
    ]  # fmt: skip
    return (
        f"Rank correlation of effective parameters with labelings memorised, mean of {len(worlds)} worlds: "
        f"{np.mean(across):+.2f} over all rules and sizes, {np.mean(within):+.2f} among rules of one size"
    )


@figure(configurations=empirical.effective_configurations, table=_effective_rows, news=_effective_news)
def effective_parameters(rows: Rows) -> Figure:
    """Memorisation against the effective parameter count, where it can be counted exactly.

    All 64 labelings of 6 Gaussian points in 6 dimensions; a rule keeps k inputs of a linear threshold unit. The
    effective parameter count is k plus the mask's information on the labels in bits, I = H(mask). Left: share of
    labelings memorised. Right: I plus the mean log2 of the number of labelings the mask can realise, against
    the least that Fano's inequality asks for that share; no point can lie below the line.
    """
    fig, (left, right) = canvas(2, height=2.8)
    for rule, (color, marker) in RULES.items():
        part = select(rows, rule=rule)
        look: dict[str, Any] = {"color": color, "marker": marker, "s": 11, "lw": 0.7, "alpha": 0.6}
        share = [100 * r["memorised"] for r in part]
        left.scatter([r["k"] + r["information"] for r in part], share, label=rule, **look)
        right.scatter(
            [_fano(r) for r in part],
            [r["information"] + r["memorised_log2_labelings"] for r in part],
            **look,
        )
    ends = right.get_xlim()
    right.plot(ends, ends, color=BLACK, lw=0.8)
    left.set(xlabel="effective parameters k + I (bits)", ylabel="labelings memorised (%)")
    right.set(xlabel="p n − h(p): what memorising needs (bits)", ylabel="I + E[1 log₂ |G|]: what there is (bits)")
    legend_below(fig, left)
    return fig


def _fano(row: dict[str, Any]) -> float:
    p, n = row["memorised"], row["n"]
    h = -sum(q * math.log2(q) for q in (p, 1 - p) if q > 0)
    return p * n - h


def _cover(scale: str) -> list[Configuration]:
    repeats = {"smoke": 200, "small": 1000, "full": 10000}[scale]
    return [
        counts.cover.configuration(kept=k, samples=[max(2, round(k * f)) for f in FACTORS], repeats=repeats, seed=0)
        for k in (3, 6, 12)
    ]


FACTORS = (0.5, 1, 1.5, 1.75, 2, 2.25, 2.5, 3, 4)


def _cover_rows(trials: Sequence[Trial]) -> Rows:
    return [
        {"kept": t["kept"], "samples": n, "share": hits / t["repeats"], "exact": exact, "repeats": t["repeats"]}
        for t in trials
        for n, hits, exact in zip(t["samples"], t["memorised"], t["exact"], strict=True)
    ]


def _cover_news(rows: Rows) -> str:
    spread = [math.sqrt(r["exact"] * (1 - r["exact"]) / r["repeats"]) for r in rows]
    off = [abs(r["share"] - r["exact"]) / s for r, s in zip(rows, spread, strict=True) if s > 0]
    return f"No simulated share is further than {max(off):.1f} standard deviations from Cover's count"


@figure(
    configurations=_cover, table=_cover_rows, news=_cover_news, interval="two standard deviations of the simulation"
)  # fmt: skip
def cover(rows: Rows) -> Figure:
    """Cover's theorem: how many random labels a linear threshold unit on k kept inputs memorises.

    Probability that random labels of n Gaussian points are linearly separable. Lines: Cover's count
    2 sum_{i<k} C(n-1, i) / 2^n, exact. Points: simulated, each decided by a linear program, with two standard
    errors. All curves pass one half at n = 2k.
    """
    fig, (ax,) = canvas(1, width=4.6, height=2.8)
    for k, (color, marker) in zip((3, 6, 12), ((ORANGE, "s"), (BLUE, "o"), (BLACK, "^")), strict=True):
        part = select(rows, kept=k)
        n = range(1, 4 * k + 1)
        exact = [2 * sum(math.comb(m - 1, i) for i in range(min(k, m))) / 2**m for m in n]
        ax.plot([m / k for m in n], exact, color=color, lw=1)
        error = [2 * math.sqrt(r["exact"] * (1 - r["exact"]) / r["repeats"]) for r in part]
        x = [r["samples"] / k for r in part]
        ax.errorbar(x, [r["share"] for r in part], error, fmt=marker, color=color, label=f"k = {k}", elinewidth=0.8)
    ax.axvline(2, color=GREY, lw=0.8, ls="--")
    ax.set(xlabel="samples per kept input, n / k", ylabel="probability of memorising")
    ax.legend()
    return fig
