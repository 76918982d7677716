"""Findings on public code and floating point: PX as released, and scores beyond float32."""

from __future__ import annotations

from verify.studies.findings import arithmetic
from verify.studies.findings.collapse import DENSITY, without_path
from verify.studies.findings.model import NAMES, Finding, Grid, Numbers, percent, power
from verify.studies.findings.witness import Witness, no_zeros

RELEASED = "github.com/iurada/px-ntk-pruning at commit ed6c40ea"
_TORCH = "released_px_batchnorm_torch"


def _released(n: Numbers) -> str:
    sums = [power(n.one(_TORCH, "log10 sum", network="resnet20", scores=k)) for k in ("float32", "float64")]
    stored = power(n.one(_TORCH, "log10 sum", network="resnet20", scores="float64, stored statistics"))
    return (
        f"On ResNet-20 with 16 CIFAR-10 images the released scores sum to {sums[0]} in float32 and to {sums[1]} in "
        f"float64: the finer the arithmetic, the smaller the score. With the stored statistics of normalisation they "
        f"would sum to {stored}."
    )


def _released_numbers(n: Numbers) -> tuple[Grid, ...]:
    sums, runs = [], []
    for network, name in NAMES.items():

        def of(column: str, scores: str, network: str = network) -> float:
            return float(n.one(_TORCH, column, network=network, scores=scores))

        formula = "rank correlation with formula, float64"
        sums.append(
            (
                name,
                power(of("log10 sum", "float32")),
                power(of("log10 sum", "float64")),
                power(of("log10 sum", "float64, stored statistics")),
                f"{of('rank correlation with float64', 'float32'):.2f}",
                f"{of(formula, 'float64'):.2f}",
            )
        )
        runs.append((name, *(without_path(n, network, "px-released", d) for d in (0.018, 0.001))))
    return (
        Grid(
            "The released scores on 16 CIFAR-10 images, one seed. The factor θ² of both scores orders most weights, so "
            "the rank correlations are high.",
            (
                "network",
                "sum, float32",
                "sum, float64",
                "sum, float64, stored statistics",
                "ranks, float32 with float64",
                "ranks, float64 with the formula",
            ),
            tuple(sums),
        ),
        Grid(
            "Runs pruned by the released score that leave no whole path.",
            ("network", DENSITY[0.018], DENSITY[0.001]),
            tuple(runs),
        ),
    )


def _released_precision(n: Numbers) -> str:
    where = {"network": "resnet20 width 16", "statistics": "batch (as released)"}
    shown = ", ".join(
        f"{power(n.one('released_px_batchnorm', 'log10 |output - bias|', arithmetic=k, **where))} ({k})"
        for k in ("float32", "float64", "longdouble")
    )
    balls = n.rows("released_px_batchnorm", arithmetic="balls", statistics="batch (as released)")
    widest = ", ".join(f"{power(r['log10 largest score'])} at {r['bits']} bits" for r in balls)
    return (
        f"ResNet-20, distance of the second network's output from its bias: {shown}. It follows the rounding unit. In "
        f"interval arithmetic, on a ResNet-20 of width 2, every one of the {balls[0]['weights']} scores is enclosed by "
        f"an interval that contains 0, the largest {widest}; with stored statistics none is."
    )


RELEASED_SCORE = Finding(
    "released-px-score-under-batch-normalisation",
    "The released PX score is not the formula's, and under batch normalisation it is rounding error",
    f"The public code computes the saliency of the paper: `lib/pruners.py` of {RELEASED}.",
    ("path-exclusion/released-scorer",),
    ((Witness("path-exclusion/released-scorer", (no_zeros,)), arithmetic.released_score),),
    "The code leaves parameters unsquared whose names contain `bn` or `fc`. And it runs both auxiliary networks in "
    "training mode, the second one without activations on a batch of identical inputs. Normalised by the statistics of "
    "such a batch, a channel has exactly its shift as its mean, whatever the weights before it. The average pooling at "
    "the end sees nothing else. So every derivative by a convolution weight is 0, in exact arithmetic. On networks "
    "without normalisation whose last layer is not called `fc`, the code agrees with the formula.",
    _released,
    _released_numbers,
    _released_precision,
    "Three implementations agree: `verify.networks.scores.methods.released` (torch), `verify.studies.released_px` "
    "(numpy and interval arithmetic, backward pass by hand), and the claim's own on small networks.",
    "Nothing is said of how networks pruned by the public code train, of which code computed the paper's tables, or of "
    "the paper's formula. A ranking by rounding error times θ² still favours large weights; in the table it keeps "
    "ResNet-20 connected at 1.8 %.",
    ("path-exclusion/released-score-with-batch-norm", "path-exclusion/saliency"),
)

_NETWORKS = {**NAMES, "resnet50": "ResNet-50"}


def _ranges(n: Numbers) -> str:
    (row,) = n.rows("float32_ranges", network="resnet20", method="px", dtype="float32")
    (wide,) = n.rows("float32_ranges", network="resnet20", method="px", dtype="float64")
    return (
        f"PX's largest score of ResNet-20 is {power(wide['plain_log10_largest'])}, and in float32 "
        f"{percent(row['plain_not_finite'] / row['weights'])} of its scores are not finite. SynFlow leaves float32 on "
        "ResNet-50."
    )


def _range_table(n: Numbers) -> tuple[Grid, ...]:
    rows = []
    for network, name in _NETWORKS.items():
        for method, called in (("synflow", "SynFlow"), ("synflow-l2", "SynFlow-L2"), ("px", "PX")):
            (row,) = n.rows("float32_ranges", network=network, method=method, dtype="float32")
            (wide,) = n.rows("float32_ranges", network=network, method=method, dtype="float64")
            shares = (percent(row[f"{k}_not_finite"] / row["weights"]) for k in ("plain", "rescaled"))
            rows.append((f"{name}, {called}", power(wide["plain_log10_largest"]), *shares))
    return (
        Grid(
            "Scores of the dense networks on 16 images, one seed.",
            ("network, score", "largest score", "not finite in float32", "after rescaling"),
            tuple(rows),
        ),
    )


def _range_precision(n: Numbers) -> str:
    parts = []
    for network, name in NAMES.items():
        for method, called in (("synflow", "SynFlow"), ("px", "PX")):
            shown = ", ".join(
                f"{power(n.one('float32_ranges', 'plain_log10_largest', network=network, method=method, dtype=d))} "
                f"({d})"
                for d in ("float64", "longdouble")
            )
            parts.append(f"{name}, largest {called} score: {shown}")
    raw = [n.one("findings_path_quantities", "unscaled_bad", network=k, dtype="float32", seed=0) for k in NAMES]
    weights = [n.one("findings_path_quantities", "weights", network=k, dtype="float32", seed=0) for k in NAMES]
    return (
        "; ".join(parts)
        + f". The plain implementation in float32, without rescaling: {raw[0]} of {weights[0]} PX scores "
        f"of ResNet-20 and {raw[1]} of {weights[1]} of VGG-16-BN are 0 or not finite."
    )


FLOAT32 = Finding(
    "float32-ranges",
    "Path scores leave the range of float32 on the papers' own networks",
    "Scores that are products along whole paths can be computed in float32 as they stand (public code of SynFlow and "
    "of PX).",
    ("synaptic-flow/float32-range",),
    (),
    "Divide by one positive constant at a cut, the same for all samples and outputs. All scores are then divided by "
    "one constant, and the ranking stays. With powers of two at every layer nothing overflows.",
    _ranges,
    _range_table,
    _range_precision,
    "`verify.studies.findings.plain` overflows at the same place without rescaling, and not with it.",
    "The scores of SynFlow and SynFlow-L2 on ResNet-20 and VGG-16-BN fit into float32. Code that checks for overflow "
    "will notice it.",
    ("synaptic-flow/layer-rescaling",),
)
