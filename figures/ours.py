"""Figures of our own: what the search of `verify` does with the claims, and what of a mask matters."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures import path_exclusion
from figures.registry import Rows, figure
from figures.style import (
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
)  # fmt: skip
from theory.claims import Status, claims
from verify.experiments import cifar, digits, searches
from verify.experiments.protocol import ALPHA
from verify.experiments.scores import METHODS
from verify.trials import Configuration, Trial, data, sequential

PAPERS = {"sketching": BLUE, "no-free-prune": GREEN, "synaptic-flow": ORANGE, "path-exclusion": RED}


def _assumptions(scale: str) -> list[Configuration]:
    examples = {"smoke": 30, "small": 300, "full": 3000}[scale]
    return [
        searches.ablation.configuration(claim=c.id, assumption=a.name, examples=examples, seed=0)
        for c in claims()
        if c.status is Status.PROVED
        for a in c.assumptions
    ]


def _assumption_rows(trials: Sequence[Trial]) -> Rows:
    return [{"claim": t["claim"], "assumption": t["assumption"], "verdict": t["verdict"]} for t in trials]


@figure(configurations=_assumptions, table=_assumption_rows)
def assumptions(rows: Rows) -> Figure:
    """Which hypotheses each theorem needs: drop one, search for a counterexample.

    Rows are proved claims, columns their assumptions. Filled: without the assumption the search found a
    counterexample. Half: the statement has no meaning without it. Hollow: none was found in the time given, so the
    assumption is superfluous, or the search too weak.
    """
    names, held = distinct(rows, "claim"), distinct(rows, "assumption")
    fig, (ax,) = canvas(1, width=min(3.6 + 0.2 * len(held), 9.5), height=1.6 + 0.16 * len(names))
    looks = {"needed": ("o", "full", "needed"), "undefined without it": ("o", "left", "undefined without it"),
             "not found": ("o", "none", "no counterexample found")}  # fmt: skip
    for verdict, (marker, fill, text) in looks.items():
        part = select(rows, verdict=verdict)
        x, y = [held.index(r["assumption"]) for r in part], [names.index(r["claim"]) for r in part]
        ax.plot(x, y, marker, fillstyle=fill, color=BLUE, ms=6, ls="", label=text)
    ax.set_xticks(range(len(held)), held, rotation=60, ha="right", fontsize=6.5)
    ax.set_yticks(range(len(names)), names, fontsize=6.5)
    ax.set(xlim=(-0.7, len(held) - 0.3), ylim=(len(names) - 0.4, -0.6))
    fig.legend(loc="outside upper center", ncols=3)
    return fig


def _sharpness(scale: str) -> list[Configuration]:
    examples = {"smoke": 30, "small": 200, "full": 2000}[scale]
    return [
        searches.smallest_change.configuration(claim=c.id, examples=examples, seed=0)
        for c in claims()
        if c.status is Status.PROVED
    ]


def _sharpness_rows(trials: Sequence[Trial]) -> Rows:
    return [{"claim": t["claim"], "change": t["change"]} for t in trials if t["change"] is not None]


@figure(configurations=_sharpness, table=_sharpness_rows)
def sharpness(rows: Rows) -> Figure:
    """How small an error in each claim's constant the search still sees.

    The smallest relative change of a proved claim's bound that the search refutes, of 0.5, 0.1, 0.01, 0.001 and
    0.0001. On the right, in grey: not even a change of one half was refuted; such a claim has slack, or the search
    is too weak for it.
    """
    rows = sorted(rows, key=lambda r: (r["change"], r["claim"]))
    fig, (ax,) = canvas(1, width=6.4, height=1.0 + 0.15 * len(rows))
    for i, r in enumerate(rows):
        seen = r["change"] < 1
        ax.plot(
            r["change"] if seen else 2,
            i,
            "o" if seen else "x",
            color=PAPERS[r["claim"].split("/")[0]] if seen else GREY,
        )
    for paper, color in PAPERS.items():
        ax.plot([], [], "o", color=color, label=paper)
    ax.set_yticks(range(len(rows)), [r["claim"] for r in rows], fontsize=6.5)
    ax.set(xscale="log", xlim=(5e-5, 4), ylim=(len(rows) - 0.4, -0.6), xlabel="smallest relative error that is refuted")
    ax.set_xticks([1e-4, 1e-3, 1e-2, 0.1, 0.5, 2], ["0.0001", "0.001", "0.01", "0.1", "0.5", "unseen"])
    ax.minorticks_off()
    fig.legend(loc="outside upper center", ncols=4)
    return fig


def _work(scale: str) -> list[Configuration]:
    seeds = {"smoke": 2, "small": 10, "full": 50}[scale]
    return [
        searches.work_to_falsify.configuration(claim=c.id, seed=s)
        for c in claims()
        if c.status is Status.REFUTED
        for s in range(seeds)
    ]


def _work_rows(trials: Sequence[Trial]) -> Rows:
    return [
        {"claim": c, "seed": t["seed"], "screened": t["screened"], "examples": t["examples"], "found": int(t["found"])}
        for (c,), found in grouped(trials, "claim").items()
        for t in found
    ]


@figure(configurations=_work, table=_work_rows)
def work_to_falsify(rows: Rows) -> Figure:
    """How many instances the search looks at until it breaks each claim that is false as stated.

    Instances screened in stacks of floating-point numbers and decided in exact arithmetic, together, up to the first
    counterexample, before it is shrunk; a point a seed, a bar for the median. Crosses are searches that gave up.
    """
    work = {(r["claim"], r["seed"]): max(1, r["screened"] + r["examples"]) for r in rows}
    names = sorted(distinct(rows, "claim"), key=lambda c: median(v for (claim, _), v in work.items() if claim == c))
    fig, (ax,) = canvas(1, width=6.4, height=1.0 + 0.15 * len(names))
    for i, name in enumerate(names):
        part = select(rows, claim=name)
        color = PAPERS[name.split("/")[0]]
        for found, marker in ((1, "o"), (0, "x")):
            x = [work[name, r["seed"]] for r in part if r["found"] == found]
            ax.plot(x, np.full(len(x), i), marker, color=color, alpha=0.6, ms=4)
        ax.plot(median(work[name, r["seed"]] for r in part), i, "|", color=color, ms=9, mew=1.5)
    for paper, color in PAPERS.items():
        ax.plot([], [], "o", color=color, label=paper)
    ax.set_yticks(range(len(names)), names, fontsize=6.5)
    ax.set(xscale="log", ylim=(len(names) - 0.4, -0.6), xlabel="instances looked at until a counterexample")
    fig.legend(loc="outside upper center", ncols=4)
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


@figure(configurations=_sanity, table=_sanity_rows)
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


@figure(configurations=_resnet_sanity, table=_resnet_sanity_rows)
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


@figure(configurations=path_exclusion._accuracy, table=_live_rows)
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
