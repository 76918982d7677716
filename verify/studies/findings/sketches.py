"""Findings on sketching: SynFlow as a sketch, and masks drawn at initialisation."""

from __future__ import annotations

from verify.studies.findings import arithmetic
from verify.studies.findings.model import NAMES, Finding, Grid, Numbers
from verify.studies.findings.witness import Witness, no_zero_start, no_zero_weights


def _synflow(n: Numbers) -> str:
    plain = n.range("findings_synflow", "plain_synflow", ".2f", network="resnet20")
    signs = n.range("findings_synflow", "signs_synflow_l2", ".2f", network="resnet20")
    return (
        f"On ResNet-20 SynFlow's ranking correlates with that of the sketch by {plain} only. Averaged over random "
        f"signs, SynFlow-L2's correlates by {signs}."
    )


def _correlations(n: Numbers) -> tuple[Grid, ...]:
    columns = (
        ("plain_synflow", "SynFlow"),
        ("plain_synflow_l2", "SynFlow-L2"),
        ("signs_synflow", "SynFlow, signs averaged"),
        ("signs_synflow_l2", "SynFlow-L2, signs averaged"),
        ("signs_halves", "two halves of the sign-averaged draws with each other"),
        ("plain_synflow_top", "share of the sketch's first 10 % of weights that SynFlow ranks first too"),
    )
    rows = tuple(
        (what, *(n.range("findings_synflow", column, ".2f", network=network) for network in NAMES))
        for column, what in columns
    )
    return (
        Grid(
            "Rank correlation over all weights with the squared sketch weight; Gaussian images. ResNet-20: three "
            "seeds, VGG-16-BN: one.",
            ("score", *NAMES.values()),
            rows,
        ),
    )


SYNFLOW_AND_SKETCH = Finding(
    "synflow-is-not-the-sketch-on-deep-networks",
    "On deep networks SynFlow is not the optimal sketch; averaged over signs, SynFlow-L2 is",
    "With random data, SynFlow's scores and the sampling probabilities of the sketch are equivalent (known here from a "
    "summary of arXiv 2305.17559).",
    (
        "sketching/synflow-deep-literal",
        "sketching/synflow-deep-literal-relu",
        "sketching/synflow-first-has-sketch-weight",
    ),
    (
        (Witness("sketching/synflow-deep-literal", (no_zero_weights,)), arithmetic.synflow_and_sketch),
        (Witness("sketching/synflow-first-has-sketch-weight", (no_zero_weights,)), arithmetic.synflow_and_sketch),
    ),
    "On one linear layer the statement is true. On deeper networks paths share weights: SynFlow adds absolute values "
    "where the sketch adds squares with signs, which can cancel. Averaged over independent random signs of all "
    "weights, the squared sketch weight $(\\theta_j\\, \\partial f/\\partial\\theta_j)^2$ is SynFlow-L2's score, "
    "exactly on linear networks, and times $2^{-(L-1)}$ on ReLU networks with $L$ layers. SynFlow itself is the sketch "
    "where every parameter lies on one path.",
    _synflow,
    _correlations,
    lambda n: (
        "The correlations are Monte Carlo estimates in float32. Two halves of the draws agree to "
        f"{n.range('findings_synflow', 'plain_halves', '.3f', network='resnet20')} (ResNet-20), which bounds what "
        "precision and sampling could change."
    ),
    "`verify.studies.findings.arithmetic` computes sketch weights by dual numbers, one unit input at a time.",
    "SynFlow may be a good pruning score without being this sketch. On residual networks paths have different lengths, "
    "and the identity holds for each length by itself; there the correlation is measured, not proved.",
    ("sketching/synflow-linear", "sketching/synflow-l2-sign-averaged", "sketching/synflow-l2-relu"),
)


def _transfer(n: Numbers) -> str:
    (row,) = n.rows("findings_transfer")
    return (
        "A linear model was trained on digits. Masks drawn by its initial weights have "
        f"{row['initial_median']:.2g} times the least possible error in the median and {row['initial_largest']:.3g} "
        f"times at worst; masks drawn by the norms of the data alone at most {row['by_norm_largest']:.3g} times."
    )


def _transfers(n: Numbers) -> tuple[Grid, ...]:
    (row,) = n.rows("findings_transfer")
    return (
        Grid(
            f"{row['samples']} digits, {row['starts']} Gaussian starts. The weights move {row['moved_median']:.2g} "
            "times their norm (median). Error in multiples of the least possible.",
            ("law of the mask", "median", "exceeded by one start in ten", "worst"),
            (
                (
                    "initial weights",
                    f"{row['initial_median']:.2g}",
                    f"{row['initial_90']:.2g}",
                    f"{row['initial_largest']:.3g}",
                ),
                ("data norms alone", f"{row['by_norm_median']:.3g}", "", f"{row['by_norm_largest']:.3g}"),
            ),
        ),
    )


TRANSFER = Finding(
    "no-transfer-by-distance-alone",
    "A mask drawn by the initial weights can fail on the trained ones, however near they are",
    "A mask drawn at initialisation has an error on the trained weights that is proportional to $1/s$ and bounded by "
    "their distance $|w^* - w_0|$ (known here from a summary of arXiv 2305.17559).",
    ("sketching/transfer-literal",),
    ((Witness("sketching/transfer-literal", (no_zero_start,)), arithmetic.transfer),),
    "A weight that starts near 0 is almost never drawn; when it grows, it is divided by a tiny probability. The cost "
    "of the initial law has an exact form: $A_0^2/s$ times the variance, under that law, of $|w^*_i / w_{0,i}|$. So "
    "the largest *relative* change of a weight bounds it. A bound by the distance needs another law. With "
    "probabilities by data norm, the error is at most $(F^2/s)(|w_0| + |w^* - w_0|)^2$, which is sharp. "
    "A mixture of the two laws has such a bound too.",
    _transfer,
    _transfers,
    lambda n: (
        "A statement about vectors: the certificate is decided in interval arithmetic, and the table in float64. It is "
        "not about deep networks, whose layers are not linear in their weights."
    ),
    "`verify.studies.findings.arithmetic.transfer` computes error and bound in floating point from the certificate's "
    "fractions.",
    "A mask drawn at initialisation can still be good. In wide networks weights hardly move, though the largest "
    "relative change grows with width.",
    (
        "sketching/transfer-identity",
        "sketching/transfer-data-norm",
        "sketching/transfer-relative",
        "sketching/transfer-mixture",
    ),
)
