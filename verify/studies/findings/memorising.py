"""The finding on information: what a mask must know to memorise, and why knowing is not enough."""

from __future__ import annotations

import math

from figures.style import label
from verify.studies.findings import arithmetic
from verify.studies.findings.model import Finding, Grid, Numbers
from verify.studies.findings.witness import Witness
from verify.trials import sequential

ALPHA = 0.01
"""Error probability of what is said of the same-law control."""


def _gains(n: Numbers, method: str) -> list[float]:
    rows = sorted(n.rows("findings_same_law", method=method), key=lambda r: int(r["seed"]))
    return [float(v) for r in rows for v in str(r["gains"]).split()]


def _decided(n: Numbers) -> dict[str, tuple[str, int, int]]:
    """Method -> what the sequential test says, after how many pairs, and of how many."""
    methods = dict.fromkeys(n.all("findings_same_law", "method"))
    found = {}
    for method in methods:
        gains = _gains(n, method)
        share = ALPHA / (2 * len(methods))
        more, less = sequential.paired_sign(gains, share), sequential.paired_sign([-g for g in gains], share)
        test = less if less.decided else more
        what = "fewer gains" if less.decided else "more gains" if more.decided else "undecided"
        found[method] = (what, test.n, len(gains))
    return found


def _information(n: Numbers) -> str:
    fewer = [label(m) for m, (what, _, _) in _decided(n).items() if what == "fewer gains"]
    return (
        "The control compares a mask made from the labels that are then learnt with a mask made in the same way from "
        "fresh labels. Both follow the same law, and only the first knows the labels. Iterative magnitude pruning "
        f"memorises more by knowing them. {' and '.join(fewer)} memorise less."
    )


def _same_law(n: Numbers) -> tuple[Grid, ...]:
    rows = []
    for method, (what, after, pairs) in _decided(n).items():
        gains = _gains(n, method)
        mean = sum(gains) / len(gains)
        error = math.sqrt(sum((g - mean) ** 2 for g in gains) / (len(gains) - 1) / len(gains))
        rows.append((label(method), f"{mean:+.3f} ± {error:.3f}", what, f"{after} of {pairs}"))
    return (
        Grid(
            "Perceptrons 16-32-32-1 with random labels: mean gain in training accuracy with its standard error, and "
            "whether a paired sequential sign test finds more or fewer gains than losses (error probability "
            f"{ALPHA:g} for all methods together).",
            ("method", "mean gain", "test", "pairs until decided"),
            tuple(rows),
        ),
    )


INFORMATION = Finding(
    "information-is-necessary-not-sufficient",
    "To memorise more, a mask must know the labels; but knowing them is not enough",
    "The effective number of parameters, weights plus information of the mask, governs memorisation (known here from a "
    "summary of arXiv 2402.01089).",
    ("no-free-prune/information-is-enough", "no-free-prune/memorisation-exponential-literal"),
    ((Witness("no-free-prune/information-is-enough"), arithmetic.correlation_mask),),
    "Necessary it is. To memorise $n$ labels, the information $I(M; Y)$ plus the expected number of bits $E \\log_2 "
    "|G_M|$ that the masked network can fit must be at least $n$, and equality occurs. The chance $p$ to memorise is "
    "bounded through $d(p \\,\\|\\, q) \\le I$, with $q$ the chance of a mask that has not seen the labels. The gain "
    "in accuracy is at most $\\sqrt{I/2n}$. The converse is false: a mask can know nearly a bit of the labels "
    "and memorise no more.",
    _information,
    _same_law,
    lambda n: (
        "The claims are about finite laws and decided in rationals and in interval arithmetic. The control is an "
        "experiment on perceptrons with a sequential test, whose error probability is stated."
    ),
    "`verify.studies.findings.arithmetic.correlation_mask` enumerates all labelings by itself.",
    "The paper claims a lower bound on the effective number of parameters, and this holds. That more information "
    "always helps is a reading of it; that reading is false.",
    (
        "no-free-prune/memorising-needs-parameters",
        "no-free-prune/memorisation-information",
        "no-free-prune/data-gain",
    ),
)
