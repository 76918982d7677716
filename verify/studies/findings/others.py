"""Findings on sketching and capacity, and what comes of the criticism: scorers with a guarantee."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
from scipy import stats

from verify.studies.findings import arithmetic
from verify.studies.findings.measures import GUARDED, SCORERS
from verify.studies.findings.model import Finding, Numbers, percent
from verify.studies.findings.witness import Witness, no_ties, no_zero_start, no_zero_weights, no_zeros
from verify.trials import sequential
from verify.trials.statistics import rank_correlation
from verify.trials.tables import markdown

NAMES = {"resnet20": "ResNet-20", "vgg16_bn": "VGG-16-BN"}


def _synflow(n: Numbers) -> str:
    parts = []
    for network, name in NAMES.items():
        shown = []
        for column, what in (
            ("plain_synflow", "SynFlow"),
            ("plain_synflow_l2", "SynFlow-L2"),
            ("signs_synflow", "SynFlow, signs averaged"),
            ("signs_synflow_l2", "SynFlow-L2, signs averaged"),
        ):
            shown.append(f"{what} {n.range('findings_synflow', column, '.2f', network=network)}")
        top = n.range("findings_synflow", "plain_synflow_top", ".2f", network=network)
        halves = n.range("findings_synflow", "signs_halves", ".2f", network=network)
        parts.append(
            f"{name}, Gaussian images, rank correlation over all weights with the squared sketch weight: "
            f"{', '.join(shown)} (two halves of the sign-averaged draws: {halves}); of the 10 % of weights that the "
            f"sketch weight ranks first SynFlow shares {top}."
        )
    return " ".join(parts)


SYNFLOW_AND_SKETCH = Finding(
    "synflow-is-not-the-sketch-on-deep-networks",
    "On deep networks SynFlow is not the optimal sketch; its square, averaged over signs, is",
    "That SynFlow and the sketch's sampling probabilities are equivalent when the data is random (summary of arXiv "
    "2305.17559).",
    (
        "sketching/synflow-deep-literal",
        "sketching/synflow-deep-literal-relu",
        "sketching/synflow-first-has-sketch-weight",
    ),
    (
        (Witness("sketching/synflow-deep-literal", (no_zero_weights,)), arithmetic.synflow_and_sketch),
        (Witness("sketching/synflow-first-has-sketch-weight", (no_zero_weights,)), arithmetic.synflow_and_sketch),
    ),
    "On one linear layer SynFlow's scores are the sketch's probabilities (proved). On deep linear networks the "
    "average of (theta_j df/dtheta_j)^2 over independent random signs of all weights is SynFlow-L2's score, for ReLU "
    "networks with L layers times 2^-(L-1) (proved). SynFlow itself is the sketch if every parameter lies on one "
    "path.",
    _synflow,
    lambda n: (
        "The correlations are Monte Carlo estimates in float32; that two halves of the plain draws agree to "
        f"{n.range('findings_synflow', 'plain_halves', '.3f', network='resnet20')} (ResNet-20) bounds what precision "
        "and sampling could change."
    ),
    "`verify.studies.findings.arithmetic` computes sketch weights by dual numbers, one unit input at a time.",
    "SynFlow may be a good pruning score without being this sketch. On residual networks paths have different "
    "lengths, so the sign-averaged identity holds there only path length by path length; the correlation is "
    "measured, not proved.",
    ("sketching/synflow-linear", "sketching/synflow-l2-sign-averaged", "sketching/synflow-l2-relu"),
)


def _transfer(n: Numbers) -> str:
    (row,) = n.rows("findings_transfer")
    return (
        f"A linear model on {row['samples']} digits from {row['starts']} Gaussian starts, trained (the weights move "
        f"{row['moved_median']:.2g} times their norm, median): with the law of the initial weights the error is "
        f"{row['initial_median']:.2g} times the least possible in the median, {row['initial_90']:.2g} times in one "
        f"case of ten, {row['initial_largest']:.3g} times at worst; with probabilities by the norms of the data alone "
        f"{row['by_norm_median']:.3g} times, {row['by_norm_largest']:.3g} at worst."
    )


TRANSFER = Finding(
    "no-transfer-by-distance-alone",
    "A mask drawn at initialisation has no 1/s error bound on trained weights by their distance alone",
    "An error bound proportional to 1/s that depends on |w* - w0| (summary of arXiv 2305.17559).",
    ("sketching/transfer-literal",),
    ((Witness("sketching/transfer-literal", (no_zero_start,)), arithmetic.transfer),),
    "The cost of the initial law is exactly (A_0^2/s) times the variance, under that law, of |w*_i / w0_i| (proved). "
    "With probabilities by data norm the distance is enough, with constant 1: error <= (F^2/s)(|w0| + |w* - w0|)^2 "
    "(proved, sharp). With the initial law the largest relative change bounds it; mixing the two laws gives a bound "
    "by the distance again (proved).",
    _transfer,
    lambda n: (
        "A statement about vectors: the certificate is decided in balls, and the table in float64. There is no deep "
        "architecture to it; a ResNet's layers are not linear in their weights."
    ),
    "`verify.studies.findings.arithmetic.transfer` computes error and bound in floating point from the certificate's "
    "fractions.",
    "A mask drawn at initialisation can still be good: in wide networks weights hardly move, though the largest "
    "relative change grows with width.",
    (
        "sketching/transfer-identity",
        "sketching/transfer-data-norm",
        "sketching/transfer-relative",
        "sketching/transfer-mixture",
    ),
)


def _information(n: Numbers) -> str:
    parts = []
    methods = dict.fromkeys(n.all("findings_same_law", "method"))
    for method in methods:
        rows = sorted(n.rows("findings_same_law", method=method), key=lambda r: int(r["seed"]))
        gains = [float(v) for r in rows for v in str(r["gains"]).split()]
        mean = sum(gains) / len(gains)
        error = math.sqrt(sum((g - mean) ** 2 for g in gains) / (len(gains) - 1) / len(gains))
        share = ALPHA / (2 * len(methods))
        more, less = sequential.paired_sign(gains, share), sequential.paired_sign([-g for g in gains], share)
        test = less if less.decided else more
        what = "fewer: " if less.decided else "more: " if more.decided else ""
        said = f"{what}decided after {test.n} of {len(gains)} pairs" if what else f"undecided by {len(gains)} pairs"
        parts.append(f"{method} {mean:+.3f} ± {error:.3f} ({said})")
    return (
        "The same-law control on perceptrons 16-32-32-1 with random labels: a mask made from the labels that are then "
        "learnt, against a mask of the same law made from fresh labels. Mean gain in training accuracy, and whether a "
        f"paired sequential sign test finds more or fewer gains than losses (error probability {ALPHA:g} for all "
        "together): " + "; ".join(parts) + "."
    )


ALPHA = 0.01
"""Error probability of what is said of the same-law control."""

INFORMATION = Finding(
    "information-is-necessary-not-sufficient",
    "Information between mask and data is necessary for memorising more, but not sufficient",
    "That effective parameters, weights plus information, govern memorisation (summary of arXiv 2402.01089).",
    ("no-free-prune/information-is-enough", "no-free-prune/memorisation-exponential-literal"),
    ((Witness("no-free-prune/information-is-enough"), arithmetic.correlation_mask),),
    "To memorise, I(M; Y) + E log2 |G_M| must be at least the number of samples (proved, attained). The chance to "
    "memorise is bounded through d(p || q) <= I (proved); the gain in accuracy by sqrt(I / 2n) (proved).",
    _information,
    lambda n: (
        "The claims are about finite laws and decided in rationals and balls; the control is an experiment on "
        "perceptrons with a sequential test, whose error probability is stated."
    ),
    "`verify.studies.findings.arithmetic.correlation_mask` enumerates all labelings by itself.",
    "The paper claims a lower bound on effective parameters, which holds here; that more information always helps is "
    "a reading of it, and that reading is what is refuted.",
    (
        "no-free-prune/memorising-needs-parameters",
        "no-free-prune/memorisation-information",
        "no-free-prune/data-gain",
    ),
)


def _memorised(n: Numbers) -> str:
    parts = []
    for scope in ("layer", "global"):
        for density in (0.2, 0.1, 0.05):
            cells = []
            theirs = _shares(n, "synflow-l2", scope, density)
            for method in ("path-energy", "synflow-l2", "snip", "synflow", "magnitude", "random"):
                shares = _shares(n, method, scope, density)
                cells.append(f"{method} {100 * sum(shares) / len(shares):.1f}")
            pairs = list(zip(_shares(n, "path-energy", scope, density), theirs, strict=True))
            wins, losses = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
            parts.append(
                f"{scope}, {percent(density)}: {', '.join(cells)} (path-energy against synflow-l2 {wins} to {losses}, "
                f"p = {sign_test(wins, losses):.1g})"
            )
    networks = len(_shares(n, "random", "layer", 0.1))
    return (
        f"Memorised: per cent of random labels on Gaussian data that perceptrons 16-32-32-1 learn, mean of {networks} "
        "networks, one ranking a layer or one for all (PX is synflow-l2 here, with its one output): "
        + "; ".join(parts)
        + "."
    )


def _shares(n: Numbers, method: str, scope: str, density: float) -> list[float]:
    rows = sorted(
        n.rows("findings_memorised", method=method, scope=scope, density=density), key=lambda r: int(r["seed"])
    )
    return [float(v) for r in rows for v in r["memorised"].split()]


def _when_trained(n: Numbers) -> str:
    rows = n.rows("findings_trained")
    found = {m: [r["accuracy"] for r in rows if r["method"] == m] for m in {r["method"] for r in rows}}
    dense, one = found.pop("dense"), rows[0]
    order = sorted(found, key=lambda m: -statistics.mean(found[m]))
    # One spread for all methods: ten seeds say little about each.
    spread = math.sqrt(statistics.mean([statistics.variance(v) for v in found.values()]) / len(dense))
    shown = ", ".join(f"{m} {100 * statistics.mean(found[m]):.1f} %" for m in order)
    kept = [statistics.median(n.all("scorers_kernel", "trace", method=m, density=0.018)) for m in order]
    level = np.array([statistics.mean(found[m]) for m in order])
    ranks = float(rank_correlation(np.array(kept), level))
    # Spearman's coefficient is the correlation of ranks; these are all orders in which they could have come.
    places = np.array(list(itertools.permutations(range(len(order))))) - (len(order) - 1) / 2
    ranked = stats.rankdata(level) - (len(order) + 1) / 2
    correlations = places @ ranked / (ranked @ ranked)
    chance = float((abs(correlations) >= abs(ranks) - 1e-9).mean())
    return (
        f"Trained: ResNet-20 with 2 % of its weights on {one['samples']} CIFAR-10 images of {one['size']} x "
        f"{one['size']}, {one['epochs']} epochs, mean test accuracy over {len(dense)} seeds {shown}; dense "
        f"{100 * statistics.mean(dense):.1f} %. The standard error of one of these means is about "
        f"{100 * spread:.1f} points (pooled over methods). Rank correlation over these {len(order)} methods of the "
        f"share of the trace that is kept at 1.8 % with that accuracy: {ranks:+.2f} (p = {chance:.2g}, all orders "
        "equally likely). Before, random masks were drawn with the seed of the weights, kept larger ones than the "
        "average, and memorised no more than magnitude; what was said of them then was wrong."
    )


def _how_sure(n: Numbers) -> str:
    parts = []
    for keep in (18, 9, 3):
        px = _traces(n, "px", keep)
        for scorer in ("path-energy", "px-per-sample", "synflow-l2"):
            pairs = list(zip(_traces(n, scorer, keep), px, strict=True))
            wins, losses = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
            parts.append(f"{scorer} {wins} against {losses} with {keep} kept (p = {sign_test(wins, losses):.1g})")
    return (
        "In how many of these networks a score keeps more of the trace than PX, against how many in which less "
        f"(two-sided sign test): {'; '.join(parts)}."
    )


def _traces(n: Numbers, scorer: str, keep: int) -> list[float]:
    return [float(v) for v in n.one("scorers_small", "traces", scorer=scorer, keep=keep, guarded=False).split()]


def sign_test(wins: int, losses: int) -> float:
    """Two-sided p-value of the sign test, ties left out."""
    count = wins + losses
    tail = sum(math.comb(count, i) for i in range(min(wins, losses) + 1))
    return min(1.0, 2 * tail / 2**count)


def _on_resnet(n: Numbers) -> list[str]:
    heads = ("score, ResNet-20", "trace, 10 %", "lambda_max, 10 %", "trace, 1.8 %", "lambda_max, 1.8 %")
    rows: list[tuple[str, ...]] = []
    for method in dict.fromkeys(n.all("scorers_kernel", "method")):
        cells = []
        for density in (0.1, 0.018):
            found = n.rows("scorers_kernel", method=method, density=density)
            for k in ("trace", "top"):
                values = [float(r[k]) for r in found]
                cells.append(f"{statistics.median(values):.2g} ({min(values):.1g} to {max(values):.1g})")
        rows.append((method, *cells))
    seeds = len(set(n.all("scorers_kernel", "seed")))
    order = sorted(
        dict.fromkeys(n.all("scorers_kernel", "method")),
        key=lambda m: -statistics.median(r["trace"] for r in n.rows("scorers_kernel", method=m, density=0.1)),
    )
    above = []
    for m, next_ in itertools.pairwise(order):
        one, two = (
            {r["seed"]: r["trace"] for r in n.rows("scorers_kernel", method=k, density=0.1)} for k in (m, next_)
        )
        above.append(str(sum(one[s] > two[s] for s in one)))
    return [
        *markdown(heads, rows),
        "",
        f"By the share of the trace at 10 %: {', '.join(order)}; each lies above the next in {', '.join(above)} of "
        f"{seeds} seeds. GraSP is made to raise the gradient's norm, and with it the trace. (ResNet-20 at "
        "initialisation, normalisations in evaluation mode, Gaussian images, "
        f"median of {seeds} seeds and the range over them: shares of the trace and of the largest eigenvalue of the "
        "NTK of four fresh images that are left with 10 % and 1.8 % of the weights. px-frozen is synflow-l2, since "
        "the last layer is dense.)",
    ]


def _scorers(n: Numbers) -> str:
    total = n.one("scorers_small", "networks", scorer="px", keep=3, guarded=False)
    heads = (
        "score",
        "dead, 9 kept",
        "dead, 3",
        "trace, 18 kept",
        "trace, 9",
        "trace, 3",
        "lambda_max, 9",
        "lambda_max, 3",
    )
    rows: list[tuple[str, ...]] = []
    for guarded, scorers in ((False, SCORERS), (True, GUARDED)):
        for s in scorers:

            def cell(column: str, keep: int, s: str = s, g: bool = guarded) -> str:
                value = n.one("scorers_small", column, scorer=s, keep=keep, guarded=g)
                return str(value) if column == "dead" else percent(value)

            shown = [("dead", 9), ("dead", 3), ("trace_mean", 18), ("trace_mean", 9), ("trace_mean", 3)]
            shown += [("lambda_max_mean", 9), ("lambda_max_mean", 3)]
            rows.append((f"{s}{', guarded' if guarded else ''}", *(cell(column, keep) for column, keep in shown)))
    lines = [
        "",
        *markdown(heads, rows),
        "",
        f"({total} perceptrons 3-4-4-2 with 36 Gaussian weights and eight inputs, decided in exact arithmetic: how "
        "many are dead on the data at the end, and mean shares of the dense network's trace and largest eigenvalue "
        "that are left; pruning can raise both.)",
        "",
        _how_sure(n),
        "",
        *_on_resnet(n),
        "",
        _memorised(n),
        "",
        _when_trained(n),
    ]
    return "\n".join(lines)


SCORERS_WITH_A_GUARANTEE = Finding(
    "scorers-with-a-guarantee",
    "What can be guaranteed: every cut, a live path, a positive trace",
    "The question that the findings above leave: is there a score with the guarantee that positive scores were taken "
    "for?",
    ("path-exclusion/energy-stays-alive", "path-exclusion/frozen-activation-stays-alive"),
    (
        (Witness("path-exclusion/energy-stays-alive", (no_zeros, no_ties)), arithmetic.pruning_run),
        (Witness("path-exclusion/frozen-activation-stays-alive", (no_zeros, no_ties)), arithmetic.pruning_run),
    ),
    "Three rules: PX with the dense network's activation keeps a whole path, so every cut (proved; it can be off on "
    "the data). Any score, guarded by skipping removals that leave no live path, keeps a live path down to the "
    "longest path's weights (proved). Removing what costs the least trace keeps the trace of a ReLU perceptron "
    "positive (proved). The energy of a weight's paths is positive exactly on live paths, which PX's score is not "
    "(proved), but iterating it does not keep the network alive.",
    _scorers,
    lambda n: (
        "Small networks in exact rationals. On ResNet-20 the guarantees of the first rule show in the table of "
        "finding 2; the second and third cost a forward pass, or a trace, for every removal that is tried, and were "
        "not run there."
    ),
    "`verify.certificates.second_opinion` and `verify.studies.findings.arithmetic` repeat the runs shown; "
    "`tests/findings` compares them on drawn networks.",
    "Keeping more of the trace is not training better: that premise is refuted in general "
    "(`path-exclusion/larger-trace-trains-faster`).",
    (
        "path-exclusion/frozen-activation-never-collapses",
        "path-exclusion/guarded-pruning-keeps-a-live-path",
        "path-exclusion/trace-greedy-stays-alive",
        "path-exclusion/energy-saliency-is-positive-on-live-paths",
    ),
)
