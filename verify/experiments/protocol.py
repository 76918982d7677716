"""The protocol: for every EMPIRICAL claim what is observed, which tests are made, with which margin and error.

It was fixed before the trials were looked at, and its digest goes into every result. `tests/verify/test_protocol.py`
holds it against the claims: a claim's own `check` and the test made here agree on which observations speak for it.

Every test is an e-process over observations in the order of their seeds, stopped at its first crossing of
1/(error probability). A claim's error probability is shared by its lines, leading or not, and by the test of each
line's opposite. A claim is *supported* when all of its leading lines are, *contradicted* when the opposite of one is.
It holds for one claim; of all claims together nothing is promised beyond the sum of their error probabilities.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from fractions import Fraction

ALPHA = 0.01
"""The probability that anything decided about one claim is wrong."""
TESTS = {
    "greater": "the median is above 0",
    "not less": "the median is above minus the margin",
    "within": "the median is within the margin of 0",
}


@dataclass(frozen=True)
class Protocol:
    """How a claim is tested.

    Attributes:
        observation: what one observation is; they are independent.
        test: a key of `TESTS`.
        margin: exact, in the observation's unit; "0" where the test has none.
        leading: the lines that the verdict needs, by name.
        beside: lines that are shown and decide nothing.
        alpha: error probability of everything said about the claim.
    """

    observation: str
    test: str
    margin: str = "0"
    leading: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    alpha: float = ALPHA

    @property
    def bound(self) -> float:
        """The margin as a number."""
        return float(Fraction(self.margin))

    @property
    def lines(self) -> tuple[str, ...]:
        """All lines, leading ones first."""
        return (*self.leading, *self.beside)

    @property
    def share(self) -> float:
        """The error probability of one test of one line."""
        return self.alpha / (2 * len(self.lines))


# -- what is compared --------------------------------------------------------------------------------

WIDTHS = (64, 128, 256, 512, 1024, 2048, 4096)
SAMPLED = ("magnitude", "snip", "grasp-200-absolute", "synflow")
"""Scores that are not negative: sampled from exactly what thresholding ranks."""
SAMPLED_DENSITIES = (0.5, 0.2, 0.1, 0.05, 0.02)
SAME_LAW = ("imp", "magnitude-after-training", "snip", "grasp", "grasp-200")
AT_START = ("random", "magnitude", "snip", "grasp-200", "synflow", "synflow-l2")
"""Without PX: these networks have one output, so its activation is one common factor and its masks SynFlow-L2's."""
TRAINED = ("imp", "magnitude-after-training")
SCOPES = ("layer", "global")
NOISE_METHODS = ("random", "snip", "synflow", "synflow-l2", "magnitude-after-training", "imp")
NOISE_DATA = ("gaussian", "digits", "cifar10")
INFORMED = ("snip", "grasp-200")
"""Rules at initialisation whose masks depend on the labels."""
WORLD_METHODS = ("random", "magnitude", "synflow", *INFORMED, *TRAINED)
WORLD_DENSITIES = (0.3, 0.5, 0.7, 0.85, 1.0)
DEEPER = ((2, 32), (3, 32)), ((3, 32), (4, 32)), ((3, 32), (3, 64))
"""Pairs of (depth, width) of perceptrons, the larger one second."""
DENSITIES_MATCHED = (0.5, 0.2, 0.1)


def sampled_line(method: str, density: float) -> str:
    """Name of a line of `sketching/random-masks-train-better`."""
    return f"{method} at {100 * density:g} %: sampled no worse"


def trained_line(trained: str, method: str, scope: str) -> str:
    """Name of a line of `no-free-prune/training-based-memorises-more`."""
    return f"{trained} above {method}, {scope}, 10 %"


def world_line(trained: str, method: str, density: float) -> str:
    """Name of a line of `no-free-prune/initial-masks-have-lower-counts`."""
    return f"{trained} above {method}, {100 * density:g} %"


def needs_line(method: str, trained: str) -> str:
    """Name of a line of `no-free-prune/initial-tickets-need-the-same-count`."""
    return f"{method} needs what {trained} needs"


def deeper_line(small: tuple[int, int], large: tuple[int, int]) -> str:
    """Name of a line of `path-exclusion/bound-tightness`."""
    return "depth {} width {} above depth {} width {}".format(*large, *small)


def matched_line(density: float) -> str:
    """Name of a line of `path-exclusion/matches-dense-accuracy`."""
    return f"digits, not the claim's CIFAR-10: PX at {100 * density:g} % at most 2 points below dense"


PROTOCOLS: dict[str, Protocol] = {
    "sketching/lazy-weights": Protocol(
        "slope of log |w*-w0|/|w0| on log width, plus 1/2, one seed",
        "within",
        "1/8",
        ("slope of log |w*-w0|/|w0| within 1/8 of -1/2",),
    ),
    "sketching/lazy-weights-relative-change-grows": Protocol(
        "slope of log rho on log width, one seed", "greater", leading=("slope of log rho above 0",)
    ),
    "sketching/lazy-weights-ratio-variance-falls": Protocol(
        "minus the slope of log Var |w*/w0| on log width, one seed",
        "greater",
        leading=("slope of log variance below 0",),
    ),
    "sketching/random-masks-train-better": Protocol(
        "test accuracy on the digits, sampled mask minus thresholded one, one network",
        "not less",
        "1/100",
        tuple(sampled_line(m, d) for m in SAMPLED for d in SAMPLED_DENSITIES),
    ),
    "no-free-prune/training-based-memorises-more": Protocol(
        "share of random labels memorised, one method's mask minus the other's, one network",
        "greater",
        leading=tuple(trained_line(t, m, "layer") for t in TRAINED for m in AT_START),
        beside=tuple(trained_line(t, m, "global") for t in TRAINED for m in AT_START),
    ),
    "no-free-prune/information-raises-capacity": Protocol(
        "share of labels memorised, mask of these labels minus mask of fresh ones, one network",
        "greater",
        leading=("imp: own labels memorised better",),
        beside=tuple(f"{m}: own labels memorised better" for m in SAME_LAW if m != "imp"),
    ),
    "no-free-prune/initial-masks-have-lower-counts": Protocol(
        "bits of the mask about the labels, trained method minus method at initialisation, one world",
        "greater",
        leading=tuple(
            world_line(t, m, d) for d in WORLD_DENSITIES[:2] for t in TRAINED for m in WORLD_METHODS if m not in TRAINED
        ),
    ),
    "no-free-prune/initial-tickets-need-the-same-count": Protocol(
        "effective parameters that memorise half as much as the dense network, as a share of its weights: "
        "method at initialisation minus trained method, one world",
        "within",
        "1/10",
        tuple(needs_line(m, t) for t in TRAINED for m in INFORMED),
    ),
    "no-free-prune/noise-correlation-ranking": Protocol(
        "rank correlation over methods of noise learnt with labels memorised, one network",
        "greater",
        leading=tuple(f"{name}: ranks agree" for name in NOISE_DATA),
    ),
    "no-free-prune/capacity-tracks-effective-parameters": Protocol(
        "rank correlation of effective parameters with share memorised, one world",
        "greater",
        leading=("across rules and sizes",),
        beside=("among rules of one size",),
    ),
    "path-exclusion/bound-tightness": Protocol(
        "log10 of per-output bound over trace, the larger perceptron minus the smaller, one seed",
        "greater",
        leading=tuple(deeper_line(a, b) for a, b in DEEPER),
    ),
    "path-exclusion/matches-dense-accuracy": Protocol(
        "test accuracy, pruned minus dense, one network",
        "not less",
        "1/50",
        beside=tuple(matched_line(d) for d in DENSITIES_MATCHED),
    ),
}
"""Claim -> protocol, for every EMPIRICAL claim. Where no line leads, the trials bear on the claim and cannot decide."""


def digest() -> str:
    """Twelve hexadecimal digits of the SHA-256 of the whole table."""
    text = json.dumps({claim: asdict(p) for claim, p in PROTOCOLS.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


__all__ = ["ALPHA", "PROTOCOLS", "TESTS", "Protocol", "digest"]
