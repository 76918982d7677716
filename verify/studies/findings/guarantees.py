"""What comes of the criticism: scores and rules with a guarantee, and what they are worth."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
from scipy import stats

from verify.studies.findings import arithmetic
from verify.studies.findings.measures import GUARDED, SCORERS
from verify.studies.findings.model import Finding, Grid, Numbers, called, percent
from verify.studies.findings.witness import Witness, no_ties, no_zeros
from verify.trials.statistics import rank_correlation

_MEMORISERS = ("path-energy", "synflow-l2", "snip", "synflow", "magnitude", "random")


def _practice(n: Numbers) -> str:
    total = n.one("scorers_small", "networks", scorer="px", keep=3, guarded=False)
    px, energy = (n.one("scorers_small", "dead", scorer=s, keep=3, guarded=False) for s in ("px", "path-energy"))
    order, correlation, chance = _trace_and_accuracy(n)
    return (
        f"Of {total} perceptrons, PX leaves {px} dead with 3 weights, the energy of paths {energy}, and any score with "
        "the guard none. Keeping more of the trace did not mean training better: over "
        f"{len(order)} methods on ResNet-20 the rank correlation is {correlation:+.2f} (p = {chance:.2g})."
    )


def _small(n: Numbers) -> Grid:
    total = n.one("scorers_small", "networks", scorer="px", keep=3, guarded=False)
    shown = [("dead", 9), ("dead", 3), ("trace_mean", 18), ("trace_mean", 9), ("trace_mean", 3)]
    shown += [("lambda_max_mean", 9), ("lambda_max_mean", 3)]
    rows: list[tuple[object, ...]] = []
    for guarded, scorers in ((False, SCORERS), (True, GUARDED)):
        for s in scorers:
            values = [
                (column, n.one("scorers_small", column, scorer=s, keep=k, guarded=guarded)) for column, k in shown
            ]
            cells = [str(v) if column == "dead" else percent(v) for column, v in values]
            rows.append((f"{called(s)}{', guarded' if guarded else ''}", *cells))
    return Grid(
        f"{total} perceptrons 3-4-4-2 with 36 Gaussian weights and eight inputs, decided in exact arithmetic: how many "
        "are dead on the data at the end, and the mean share of the dense network's trace and largest eigenvalue that "
        "is left. Pruning can raise both.",
        ("score", "dead, 9 kept", "dead, 3", "trace, 18 kept", "trace, 9", "trace, 3", "λ max, 9", "λ max, 3"),
        tuple(rows),
    )


def _against_px(n: Numbers) -> Grid:
    rows = []
    for scorer in ("path-energy", "px-per-sample", "synflow-l2"):
        cells = []
        for keep in (18, 9, 3):
            pairs = list(zip(_traces(n, scorer, keep), _traces(n, "px", keep), strict=True))
            wins, losses = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
            cells.append(f"{wins} to {losses} (p = {sign_test(wins, losses):.1g})")
        rows.append((called(scorer), *cells))
    return Grid(
        "In how many of these networks a score keeps more of the trace than PX, and in how many less (two-sided sign "
        "test).",
        ("score", "18 kept", "9", "3"),
        tuple(rows),
    )


def _traces(n: Numbers, scorer: str, keep: int) -> list[float]:
    return [float(v) for v in n.one("scorers_small", "traces", scorer=scorer, keep=keep, guarded=False).split()]


def sign_test(wins: int, losses: int) -> float:
    """Two-sided p-value of the sign test, ties left out."""
    count = wins + losses
    tail = sum(math.comb(count, i) for i in range(min(wins, losses) + 1))
    return min(1.0, 2 * tail / 2**count)


def _on_resnet(n: Numbers) -> Grid:
    order = sorted(
        dict.fromkeys(n.all("scorers_kernel", "method")),
        key=lambda m: -statistics.median(r["trace"] for r in n.rows("scorers_kernel", method=m, density=0.1)),
    )
    above = {}
    for m, below in itertools.pairwise(order):
        one, two = (
            {r["seed"]: r["trace"] for r in n.rows("scorers_kernel", method=k, density=0.1)} for k in (m, below)
        )
        above[m] = sum(one[s] > two[s] for s in one)
    rows: list[tuple[object, ...]] = []
    for method in order:
        cells = []
        for density in (0.1, 0.018):
            found = n.rows("scorers_kernel", method=method, density=density)
            for k in ("trace", "top"):
                values = [float(r[k]) for r in found]
                cells.append(f"{statistics.median(values):.2g} ({min(values):.1g} to {max(values):.1g})")
        rows.append((called(method), *cells, above.get(method, "")))
    seeds = len(set(n.all("scorers_kernel", "seed")))
    return Grid(
        "ResNet-20 at initialisation, normalisation in evaluation mode, Gaussian images: shares of the trace and of "
        f"the largest eigenvalue of the NTK of four fresh images, median of {seeds} seeds and range. The last column: "
        f"in how many of the {seeds} seeds the trace at 10 % is larger than that of the next row. PX with frozen "
        "activation is SynFlow-L2 here, since the last layer is dense. GraSP is made to raise the gradient's norm, and "
        "so the trace.",
        ("score", "trace, 10 %", "λ max, 10 %", "trace, 1.8 %", "λ max, 1.8 %", "above the next"),
        tuple(rows),
    )


def _shares(n: Numbers, method: str, scope: str, density: float) -> list[float]:
    rows = sorted(
        n.rows("findings_memorised", method=method, scope=scope, density=density), key=lambda r: int(r["seed"])
    )
    return [float(v) for r in rows for v in r["memorised"].split()]


def _memorised(n: Numbers) -> Grid:
    rows = []
    for scope in ("layer", "global"):
        for density in (0.2, 0.1, 0.05):
            shares = {m: _shares(n, m, scope, density) for m in _MEMORISERS}
            pairs = list(zip(shares["path-energy"], shares["synflow-l2"], strict=True))
            wins, losses = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
            means = (f"{100 * sum(v) / len(v):.1f}" for v in shares.values())
            rows.append(
                (f"{scope}, {percent(density)}", *means, f"{wins} to {losses} (p = {sign_test(wins, losses):.1g})")
            )
    networks = len(_shares(n, "random", "layer", 0.1))
    return Grid(
        "Per cent of random labels on Gaussian data that perceptrons 16-32-32-1 memorise, mean of "
        f"{networks} networks, with one ranking for each layer or one for all. With one output PX is SynFlow-L2. The "
        "last column compares path energy with SynFlow-L2, network by network (two-sided sign test).",
        ("ranking, weights kept", *map(called, _MEMORISERS), "path energy against SynFlow-L2"),
        tuple(rows),
    )


def _trace_and_accuracy(n: Numbers) -> tuple[dict[str, float], float, float]:
    """Accuracy by method, best first; its rank correlation with the share of the trace at 1.8 %, and the p-value."""
    rows = n.rows("findings_trained")
    found = {m: [r["accuracy"] for r in rows if r["method"] == m] for m in {r["method"] for r in rows} - {"dense"}}
    order = sorted(found, key=lambda m: (-statistics.mean(found[m]), m))
    kept = [statistics.median(n.all("scorers_kernel", "trace", method=m, density=0.018)) for m in order]
    level = np.array([statistics.mean(found[m]) for m in order])
    ranks = float(rank_correlation(np.array(kept), level))
    # Spearman's coefficient is the correlation of ranks; these are all orders in which they could have come.
    places = np.array(list(itertools.permutations(range(len(order))))) - (len(order) - 1) / 2
    ranked = stats.rankdata(level) - (len(order) + 1) / 2
    correlations = places @ ranked / (ranked @ ranked)
    chance = float((abs(correlations) >= abs(ranks) - 1e-9).mean())
    return {m: statistics.mean(found[m]) for m in order}, ranks, chance


def _trained(n: Numbers) -> Grid:
    means, _, _ = _trace_and_accuracy(n)
    rows = n.rows("findings_trained")
    dense = [r["accuracy"] for r in rows if r["method"] == "dense"]
    spreads = [statistics.variance([r["accuracy"] for r in rows if r["method"] == m]) for m in means]
    # One spread for all methods: ten seeds say little about each.
    error = math.sqrt(statistics.mean(spreads) / len(dense))
    one = rows[0]
    shown = [(called(m), f"{100 * v:.1f} %") for m, v in means.items()]
    return Grid(
        f"Test accuracy of ResNet-20 with 2 % of its weights after {one['epochs']} epochs on {one['samples']} CIFAR-10 "
        f"images of {one['size']} x {one['size']} pixels, mean of {len(dense)} seeds; the standard error of a mean is "
        f"about {100 * error:.1f} points (pooled over methods).",
        ("method", "accuracy"),
        (*shown, ("dense", f"{100 * statistics.mean(dense):.1f} %")),
    )


SCORERS_WITH_A_GUARANTEE = Finding(
    "scorers-with-a-guarantee",
    "What can be guaranteed: a whole path, a live path, or a positive trace",
    "Some score gives the guarantee that positive scores were taken for. This is a question of ours: the findings "
    "above leave it open.",
    ("path-exclusion/energy-stays-alive", "path-exclusion/frozen-activation-stays-alive"),
    (
        (Witness("path-exclusion/energy-stays-alive", (no_zeros, no_ties)), arithmetic.pruning_run),
        (Witness("path-exclusion/frozen-activation-stays-alive", (no_zeros, no_ties)), arithmetic.pruning_run),
    ),
    "Three rules have proved guarantees. PX with the activation of the dense network keeps a whole path, and so a "
    "weight of every cut; but that path can be off on the data. Any score with a guard, which skips removals that "
    "leave no live path, keeps a live path until one path's weights are left. Removing what costs the least trace "
    "keeps the trace of a ReLU perceptron positive. The energy of the paths through a weight is positive exactly on "
    "live paths, which PX's score is not; but even so, iterating it does not keep every network alive.",
    _practice,
    lambda n: (_small(n), _against_px(n), _on_resnet(n), _memorised(n), _trained(n)),
    lambda n: (
        "Small networks in exact rationals. On ResNet-20 the first guarantee shows in the tables of finding 2. The "
        "second and third cost a forward pass, or a trace, for every removal that is tried, and were not run there."
    ),
    "`verify.certificates.second_opinion` and `verify.studies.findings.arithmetic` repeat the runs shown; "
    "`tests/findings` compares them on drawn networks.",
    "Keeping more of the trace is not training better: that premise is false in general "
    "(`path-exclusion/larger-trace-trains-faster`).",
    (
        "path-exclusion/frozen-activation-never-collapses",
        "path-exclusion/guarded-pruning-keeps-a-live-path",
        "path-exclusion/trace-greedy-stays-alive",
        "path-exclusion/energy-saliency-is-positive-on-live-paths",
    ),
)
