"""Findings on what the data does in PX's score: one number an output, and the outputs that are lost."""

from __future__ import annotations

from verify.studies.findings import arithmetic
from verify.studies.findings.model import NAMES, Finding, Grid, Numbers, called, percent, spread
from verify.studies.findings.witness import Witness, no_ties, no_zeros

_DENSITIES = {"resnet20": (0.1, 0.0688, 0.018, 0.001), "vgg16_bn": (0.1, 0.018)}


def _overlap(n: Numbers) -> str:
    first = min(n.all("findings_path_quantities", "other_data", dtype="float64"))
    return (
        f"In the first round, masks from two different images have {percent(first, 2)} of their weights in common. In "
        "later rounds the masks differ only by how far pruning has thinned the last layer: the figure shows the final "
        "ones."
    )


def _overlaps(n: Numbers) -> tuple[Grid, ...]:
    rows = []
    for network, name in NAMES.items():
        for d in _DENSITIES[network]:
            found = n.rows("findings_data_overlap", network=network, density=d)
            other, squares = (min(r[k] for r in found) for k in ("other_data", "synflow_l2"))
            rows.append((name, percent(d, 2), len(found), percent(other, 2), percent(squares, 2)))
    return (
        Grid(
            "Share of PX's final mask that is common, smallest over seeds. ResNet-20 in 30 rounds, VGG-16-BN in 10.",
            ("network", "weights kept", "seeds", "with PX on other images", "with SynFlow-L2"),
            tuple(rows),
        ),
    )


def _spreads(n: Numbers) -> str:
    parts = []
    for network, name in NAMES.items():
        shown = ", ".join(
            f"{n.one('findings_path_quantities', 'spread_d', network=network, dtype=d, seed=0):.1g} ({d})"
            for d in ("float32", "float64", "longdouble")
        )
        parts.append(f"{name}: {shown}")
    return (
        "Relative spread of D_1, ..., D_10 in the dense network, by the plain implementation: "
        + "; ".join(parts)
        + ". In exact arithmetic it is 0."
    )


DATA_THROUGH_K_NUMBERS = Finding(
    "px-data-enters-through-k-numbers",
    "The data enter PX's score through one number per output",
    "PX's score is driven by the data (title and summary of arXiv 2406.01820).",
    ("path-exclusion/data-enters-through-outputs", "path-exclusion/reduces-to-synflow-l2"),
    (),
    "PX's score is a sum of $K$ scores that do not depend on the data: those of SynFlow-L2 for each of the $K$ "
    "outputs alone. Its coefficients are $D_1, \\dots, D_K$, and nothing else in the score depends on the data. If the "
    "last layer is dense, every output sees the same hidden units with the same gates. Then all $D_k$ are equal, and "
    "PX ranks as SynFlow-L2 does, whatever the data. With one output this is so in every round. A score that keeps the "
    "gates of single paths is the energy of the paths, or that of the bound sample by sample (finding 12).",
    _overlap,
    _overlaps,
    _spreads,
    "The plain implementation and `verify.networks.scores.methods` compute D and the scores without sharing code. The "
    "share of common weights in the first round is the same.",
    "The mask does depend on the data, a little, and data could help another score. What is shown is how much of the "
    "data reaches this one.",
    ("path-exclusion/data-enters-through-outputs", "path-exclusion/reduces-to-synflow-l2"),
)

_METHODS = ("px", "synflow-l2")


def _outputs(n: Numbers) -> str:
    lost = [r["lost"] for r in n.rows("findings_outputs_lost", method="px", density=0.001)]
    return (
        "On perceptrons with ten outputs PX loses some from 10 % of the weights on, SynFlow-L2 hardly any. On "
        f"ResNet-20 at 0.1 % of the weights PX loses {spread(lost)} of ten, SynFlow-L2 none."
    )


def _outputs_lost(n: Numbers) -> tuple[Grid, ...]:
    small, real = [], []
    for density in (0.5, 0.2, 0.1, 0.05, 0.02, 0.01):
        cells = []
        for method in _METHODS:
            rows = n.rows("findings_outputs_lost_small", method=method)
            cells.append(f"{sum(r[f'lost_{density}'] for r in rows) / sum(r['networks'] for r in rows):.2f}")
        small.append((percent(density), *cells))
    for density in (0.018, 0.005, 0.001):
        lost = [
            spread([r["lost"] for r in n.rows("findings_outputs_lost", method=m, density=density)]) for m in _METHODS
        ]
        real.append((percent(density), *lost))
    heads = ("weights kept", *map(called, _METHODS))
    networks = sum(r["networks"] for r in n.rows("findings_outputs_lost_small", method="px"))
    return (
        Grid(
            f"Outputs without a path, of ten: perceptrons 64-64-64-10 on the digits, mean of {networks} networks.",
            heads,
            tuple(small),
        ),
        Grid(
            "The same on ResNet-20, Gaussian images, three seeds.",
            ("weights kept", *map(called, _METHODS)),
            tuple(real),
        ),
    )


OUTPUTS_LOST = Finding(
    "px-gives-up-outputs",
    "Iterated PX gives up whole outputs",
    "The activation, which is measured anew in each round, keeps what the data needs (from a summary of arXiv "
    "2406.01820: the scores are driven by the data).",
    ("path-exclusion/leaves-as-many-outputs-as-synflow-l2",),
    (
        (
            Witness("path-exclusion/leaves-as-many-outputs-as-synflow-l2", (no_zeros, no_ties)),
            arithmetic.outputs_compared,
        ),
    ),
    "$D_k$ sums over the paths that pruning has left to output $k$. So an output that has lost paths weighs less in "
    "the next round, and loses more. With the activation of the dense network held fixed this feedback is gone. Under "
    "a dense last layer the masks are then those of SynFlow-L2.",
    _outputs,
    _outputs_lost,
    lambda n: (
        "That an output has no path left is a count of weights, the same in every precision; the scores that decide "
        "it agree between float32, float64 and extended precision (findings 3 and 11)."
    ),
    "`verify.certificates.second_opinion` prunes the network above by its own walk over the paths and leaves the same "
    "weights.",
    "A class whose output is lost can still be predicted by its bias alone. The last layer of ResNet-20 is a small "
    "part of the network, so there it shows only at densities far below the paper's.",
    ("path-exclusion/frozen-activation-never-collapses", "path-exclusion/reduces-to-synflow-l2"),
)
