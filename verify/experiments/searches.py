"""The search itself as trials: ablations, sharpness, work to falsify.

Unlike other trials these depend on the claims, the strategies and the search as they are in the source: their code
is hashed with all of that, and any change to it makes new trials.
"""

from __future__ import annotations

import math
from typing import Any

from verify.trials import experiment


@experiment(also=("theory.papers", "verify.search.strategies"))
def ablation(claim: str, assumption: str, *, examples: int = 300, seed: int) -> dict[str, Any]:
    """Is the claim false without one of its assumptions? The verdict of a search.

    Returns:
        verdict: "needed", "undefined without it" or "not found"; how: how it was decided.
    """
    from verify.search.loop import falsify

    found = falsify(claim, drop=(assumption,), examples=examples, seed=seed)
    verdict = "needed" if found.verdict == "refuted" else "undefined without it" if found.undefined else "not found"
    return {"verdict": verdict, "how": found.hows}


@experiment(also=("theory.papers", "verify.search.strategies"))
def smallest_change(claim: str, *, examples: int = 200, seed: int) -> dict[str, Any]:
    """The smallest relative error in the claim's constant that the search refutes; None if it has no constant.

    Returns:
        change: 2 stands for "not even one half"; reason: in words, where there is no small number.
    """
    from verify.power.sharpness import sharpness

    found = sharpness(claim, examples=examples, seed=seed)
    change = found.smallest_change
    return {
        "change": None if math.isnan(change) else 2.0 if math.isinf(change) else change,
        "reason": found.reason,
    }


@experiment(also=("theory.papers", "verify.search.strategies"))
def work_to_falsify(claim: str, *, examples: int = 1000, seed: int) -> dict[str, Any]:
    """How many instances the search looks at until it refutes a claim, before shrinking what it found.

    Returns:
        found; screened: instances looked at in stacked float64; examples: instances decided exactly; stage.
    """
    from verify.search.loop import falsify

    found = falsify(claim, examples=examples, seed=seed, shrinking=False)
    return {
        "found": found.verdict == "refuted",
        "screened": found.screened,
        "examples": found.examples,
        "stage": found.stage,
    }
