"""Counting: Cover's theorem by simulation, and small worlds where the effective parameter count is exact."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from scipy.optimize import linprog

from verify.trials import experiment


def separable(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether some w has y_i <w, x_i> >= 1 for all i: x (n, k), y (n,) of signs. By linear programming (HiGHS)."""
    if not x.shape[1]:
        return False
    found = linprog(np.zeros(x.shape[1]), A_ub=-x * y[:, None], b_ub=-np.ones(len(y)), bounds=(None, None))
    return found.status == 0


@experiment
def cover(kept: int, samples: list[int], *, repeats: int = 200, seed: int) -> dict[str, Any]:
    """How often random labels of n Gaussian points are memorised by a linear threshold unit on ``kept`` inputs.

    Returns:
        memorised: count out of ``repeats`` for each n; exact: 2 sum_{i<k} C(n-1, i) / 2^n.
    """
    rng = np.random.default_rng([seed, kept])
    hits, exact = [], []
    for n in samples:
        hits.append(sum(separable(rng.standard_normal((n, kept)), rng.choice([-1.0, 1.0], n)) for _ in range(repeats)))
        exact.append(2 * sum(math.comb(n - 1, i) for i in range(min(kept, n))) / 2**n)
    return {"memorised": hits, "exact": exact}


RULES = ("fixed", "snip", "snip-opposite", "best")


@experiment
def effective_parameters(*, samples: int = 6, inputs: int = 6, seed: int) -> dict[str, Any]:
    """All 2^n labelings of n Gaussian points; a rule keeps k of N inputs of a linear threshold unit.

    Rules: "fixed" ignores the labels; "snip" keeps the largest |sum_i y_i x_ij|; "snip-opposite" the smallest;
    "best" the first subset that separates the labels, else the fixed one. A deterministic rule has
    I(m; y) = H(m), so the effective parameter count k + H(m) (bits) and the memorised share are exact for these
    points, up to the linear program's decisions.

    Returns:
        rows: rule, k, information in bits, memorised share, mean log2 |G_m| over labelings, and over those memorised
        (the rest counting 0).
    """
    rng = np.random.default_rng([seed, 21])
    x = rng.standard_normal((samples, inputs))
    labels = [np.array(y) for y in itertools.product([-1.0, 1.0], repeat=samples)]
    half = labels[: len(labels) // 2]  # y and -y are memorised alike and scored alike
    rows = []
    for k in range(1, inputs):
        subsets = list(itertools.combinations(range(inputs), k))
        good = {s: np.array([separable(x[:, s], y) for y in half]) for s in subsets}
        for rule in RULES:
            chosen = [_choose(rule, x, y, k, good, i) for i, y in enumerate(half)]
            shares = np.array([chosen.count(s) for s in subsets]) / len(half)
            information = float(-(shares[shares > 0] * np.log2(shares[shares > 0])).sum())
            logs = [math.log2(2 * good[s].sum()) for s in chosen]
            rows.append(
                {
                    "rule": rule,
                    "k": k,
                    "information": abs(information),
                    "memorised": float(np.mean([good[s][i] for i, s in enumerate(chosen)])),
                    "log2_labelings": float(np.mean(logs)),
                    "memorised_log2_labelings": float(
                        np.mean([v * good[s][i] for i, (s, v) in enumerate(zip(chosen, logs, strict=True))])
                    ),
                }
            )
    return {"rows": rows}


def _choose(rule: str, x: np.ndarray, y: np.ndarray, k: int, good: dict, at: int) -> tuple[int, ...]:
    subsets = list(good)
    if rule == "fixed":
        return subsets[0]
    if rule == "best":
        return next((s for s in subsets if good[s][at]), subsets[0])
    order = np.argsort(np.abs(y @ x) * (-1 if rule == "snip" else 1), kind="stable")
    return tuple(sorted(int(i) for i in order[:k]))
