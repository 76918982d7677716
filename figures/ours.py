"""Figures of our own: what the search of `verify` does with the claims, and what of a mask matters."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np
from matplotlib.figure import Figure

from figures.registry import Rows, figure
from figures.style import BLUE, GREEN, GREY, METHODS, ORANGE, RED, canvas, distinct, grouped, label, select, summary
from theory.claims import Status, claims
from verify.experiments import digits, searches
from verify.experiments.protocol import ALPHA
from verify.trials import Configuration, Trial, sequential

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


def _times(scale: str) -> list[Configuration]:
    seeds = {"smoke": 2, "small": 10, "full": 50}[scale]
    return [
        searches.time_to_falsify.configuration(claim=c.id, seed=s)
        for c in claims()
        if c.status is Status.REFUTED
        for s in range(seeds)
    ]


def _time_rows(trials: Sequence[Trial]) -> Rows:
    return [
        {"claim": c, "seed": t["seed"], "seconds": t["seconds"], "found": int(t["found"])}
        for (c,), found in grouped(trials, "claim").items()
        for t in found
    ]


@figure(configurations=_times, table=_time_rows)
def time_to_falsify(rows: Rows) -> Figure:
    """How long the search takes to break each claim that is false as stated.

    Wall-clock seconds from the call of `falsify` to a counterexample decided in exact arithmetic, before it is
    shrunk; a point a seed, a bar for the median. Crosses are searches that gave up. Times depend on the machine and
    on what else it did.
    """
    names = sorted(distinct(rows, "claim"), key=lambda c: median(r["seconds"] for r in select(rows, claim=c)))
    fig, (ax,) = canvas(1, width=6.4, height=1.0 + 0.15 * len(names))
    for i, name in enumerate(names):
        part = select(rows, claim=name)
        color = PAPERS[name.split("/")[0]]
        for found, marker in ((1, "o"), (0, "x")):
            x = [r["seconds"] for r in part if r["found"] == found]
            ax.plot(x, np.full(len(x), i), marker, color=color, alpha=0.6, ms=4)
        ax.plot(median(r["seconds"] for r in part), i, "|", color=color, ms=9, mew=1.5)
    for paper, color in PAPERS.items():
        ax.plot([], [], "o", color=color, label=paper)
    ax.set_yticks(range(len(names)), names, fontsize=6.5)
    ax.set(xscale="log", ylim=(len(names) - 0.4, -0.6), xlabel="seconds to a counterexample")
    fig.legend(loc="outside upper center", ncols=4)
    return fig


SANITY_METHODS = ("random", "erk", "magnitude", "snip", "grasp-200", "synflow", "px")
CHECKS = ("shuffle", "reinitialise", "invert")


def _sanity(scale: str) -> list[Configuration]:
    seeds = {"smoke": 2, "small": 10, "full": 40}[scale]
    return [
        digits.classify.configuration(method=m, density=0.1, sanity=check, seed=s)
        for s in range(seeds)
        for m in SANITY_METHODS
        for check in ("none", *CHECKS)
    ]


def _sanity_rows(trials: Sequence[Trial]) -> Rows:
    def accuracy(method: str, check: str) -> dict[int, list[float]]:
        return {t["seed"]: t["accuracy"] for t in trials if (t["method"], t["sanity"]) == (method, check)}

    rows = []
    for m in distinct(({"method": t["method"]} for t in trials), "method"):
        plain = accuracy(m, "none")
        for check in CHECKS:
            found = accuracy(m, check)
            # Pairs of networks; a seed of which one side has no result is no pair.
            change = [b - a for s in sorted(plain) if s in found for a, b in zip(plain[s], found[s], strict=True)]
            worse, better = (sequential.paired_sign([sign * v for v in change], ALPHA / 2) for sign in (-1.0, 1.0))
            rows.append(
                {"method": m, "check": check, **summary(100 * v for v in change),
                 "verdict": "worse" if worse.decided else "better" if better.decided else "undecided",
                 "e-value worse": float(f"{worse.e_value:.4g}"), "e-value better": float(f"{better.e_value:.4g}")}
            )  # fmt: skip
    return rows


@figure(configurations=_sanity, table=_sanity_rows)
def sanity_checks(rows: Rows) -> Figure:
    """What of a mask matters: shuffled within layers, on fresh weights, with inverted scores.

    Change of test accuracy on the digits, in points, paired network by network: 64-64-64-10 perceptrons with 10 % of
    their weights, one global ranking (ERK: its own share of each layer), each method's own number of rounds. Shuffle:
    each layer keeps as many weights, elsewhere. Reinitialise: the same mask on weights drawn anew. Invert: the lowest
    scores are kept. Mean and 95 % interval over networks. Filled: the paired sign test decides for worse or better,
    error probability 0.01 a row; hollow: it does not. Random masks have nothing to lose by any of the three.
    """
    fig, axes = canvas(3, width=6.8, height=0.9 + 0.28 * len(distinct(rows, "method")))
    names = distinct(rows, "method")
    for ax, check in zip(axes, CHECKS, strict=True):
        for r in select(rows, check=check):
            color, marker, _, _ = METHODS[r["method"]]
            half = [[r["mean"] - r["low"]], [r["high"] - r["mean"]]]
            fill = color if r["verdict"] != "undecided" else "white"
            ax.errorbar(r["mean"], names.index(r["method"]), xerr=half, fmt=marker, color=color, mfc=fill, ms=5)
        ax.axvline(0, color=GREY, lw=0.8)
        ax.set(title=check, ylim=(len(names) - 0.5, -0.5))
        ax.set_yticks(range(len(names)), [label(m) for m in names] if check == CHECKS[0] else [])
    axes[1].set_xlabel("change of test accuracy (points)")
    return fig
