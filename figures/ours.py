"""Figures of our own: what the search of `verify` does with the claims."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np
from matplotlib.figure import Figure

from figures.registry import Rows, figure
from figures.style import BLUE, GREEN, GREY, ORANGE, RED, canvas, distinct, grouped, select
from theory.claims import Status, claims
from verify.experiments import searches
from verify.trials import Configuration, Trial

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


def _assumption_news(rows: Rows) -> str:
    counts = {v: len(select(rows, verdict=v)) for v in ("needed", "undefined without it", "not found")}
    return (
        f"Of {len(rows)} hypotheses {counts['needed']} are needed, without {counts['undefined without it']} the claim "
        f"has no meaning, for {counts['not found']} no counterexample was found"
    )


@figure(configurations=_assumptions, table=_assumption_rows, news=_assumption_news)
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
    fig.legend(loc="outside lower center", ncols=3)
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


def _sharpness_news(rows: Rows) -> str:
    small, unseen = sum(r["change"] <= 0.01 for r in rows), sum(r["change"] > 1 for r in rows)
    return f"Of {len(rows)} constants an error of 1 % is refuted in {small}, none up to one half in {unseen}"


@figure(configurations=_sharpness, table=_sharpness_rows, news=_sharpness_news)
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
    fig.legend(loc="outside lower center", ncols=4)
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


def _work_news(rows: Rows) -> str:
    broken = sum(r["found"] for r in rows)
    middle = median(r["screened"] + r["examples"] for r in rows if r["found"])
    return (
        f"{broken} of {len(rows)} searches found a counterexample, half of them after {middle:.0f} instances or fewer"
    )


@figure(configurations=_work, table=_work_rows, news=_work_news)
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
    fig.legend(loc="outside lower center", ncols=4)
    return fig
