"""Statements about experiments."""

from __future__ import annotations

from theory.claims import EMPIRICAL, claim, hints
from theory.experiments import PairedTrials
from theory.papers.sources import PATH_EXCLUSION, ours
from theory.relations import (
    Relation,
    at_most,
    less,
)


@claim(PairedTrials, EMPIRICAL, ours("measured"))
@hints(stack=False)
def bound_tightness(instance: PairedTrials) -> Relation:
    r"""The ratio of the per-output bound to the trace grows with depth and width.

    Of pairs ($\log_{10}$ of bound over trace of the deeper or wider network, of the other): the first is larger in
    most.
    """
    return less(instance.losses(), instance.wins())


@claim(PairedTrials, EMPIRICAL, PATH_EXCLUSION.at("ResNet-20, CIFAR-10, 93.12 % sparsity (seed)"))
@hints(stack=False)
def matches_dense_accuracy(instance: PairedTrials) -> Relation:
    r"""PX at 93.12 % sparsity trains to the dense network's accuracy, within two percentage points.

    Of paired runs (pruned minus dense; same seed) the difference is not more often below -1/50 than above.
    """
    return at_most(instance.losses("-1/50"), instance.wins("-1/50"))
