"""What experiments decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from theory.claims import EMPIRICAL, claim
from theory.instances import Instance
from theory.papers.sources import NO_FREE_PRUNE
from theory.relations import Relation


@dataclass(frozen=True, eq=False)
class MemorisationTrials(Instance):
    """Trained networks; nothing here is drawn. See `theory.information` for what is measured."""

    title: ClassVar[str] = "trained networks"
    stackable: ClassVar[bool] = False


def _by_experiment() -> Relation:
    return Relation((), undefined="decided by experiments")


@claim(MemorisationTrials, EMPIRICAL, NO_FREE_PRUNE.at("seed"))
def training_based_memorises_more(instance: MemorisationTrials) -> Relation:
    r"""At equal sparsity, masks found by training memorise more than masks found at initialisation.

    Memorisation is the fraction of random training labels given back. With a global threshold one mostly measures
    layer collapse, so raw rankings, the number of weights on live input-output paths, and both ways of thresholding
    (global, layerwise) belong to the answer. At small scale SynFlow with layerwise thresholds ties iterative
    magnitude pruning. Decided layerwise at 10 % for iterative magnitude pruning and magnitude after training, each
    above each method at initialisation.
    """
    return _by_experiment()


@claim(MemorisationTrials, EMPIRICAL, NO_FREE_PRUNE.at("same-law control, ours"))
def information_raises_capacity(instance: MemorisationTrials) -> Relation:
    r"""A mask that has seen the labels memorises more than one of the same distribution that has not.

    Mask from $(w_0, x, y)$ against mask from $(w_0, x, y')$ with fresh labels $y'$, both trained on $y$ from $w_0$.
    Labels are independent of $(w_0, x)$, so the masks have the same law and the second has $I(m; y \mid w_0, x) = 0$.
    With $D_i$ the difference in memorisation of pair $i$: $H_0$: $P(D_i > 0)
    \le P(D_i < 0)$, tested by the paired sign e-process $E_t = \mathrm{mean}_\lambda \prod_{i \le t} (1 + \lambda\,
    \mathrm{sign} D_i)$, stopped at $E_t \ge 1/\alpha$ (error probability at most $\alpha$ at any stopping time, by
    Ville's inequality). Decided for iterative magnitude pruning; other methods are shown beside it.
    """
    return _by_experiment()


@claim(MemorisationTrials, EMPIRICAL, NO_FREE_PRUNE.at("seed"))
def initial_masks_have_lower_counts(instance: MemorisationTrials) -> Relation:
    r"""Masks found at initialisation have lower effective parameter counts than training-based ones.

    At equal sparsity the masks differ in $I(m; y \mid w_0, x)$ alone. In small worlds all $2^n$ labelings of the same
    points are pruned from the same $w_0$: for a rule without randomness of its own the information is the entropy of
    its masks over the labelings, counted exactly. Compared with each training-based rule: random, magnitude and
    SynFlow (which have none), SNIP and GraSP.
    """
    return _by_experiment()


@claim(MemorisationTrials, EMPIRICAL, NO_FREE_PRUNE.at("seed"))
def initial_tickets_need_the_same_count(instance: MemorisationTrials) -> Relation:
    r"""Masks found at initialisation need the same effective parameter count to memorise as trained ones.

    In the same small worlds: the least $p_{eff}$ (weights kept plus bits of information, interpolated over densities)
    at which a rule memorises half as many labelings entirely as the dense network, for SNIP and GraSP against each
    training-based rule. The same count: their difference is within 1/10 of the dense network's weights.
    """
    return _by_experiment()


@claim(MemorisationTrials, EMPIRICAL, NO_FREE_PRUNE.at("seed"))
def noise_correlation_ranking(instance: MemorisationTrials) -> Relation:
    r"""Correlation with label noise ranks pruning methods as their memorisation does.

    $\frac1n \sum_i f(x_i) z_i$ with $z$ the label noise, on Gaussian data, the digits and CIFAR-10 with noisy labels:
    in each the rank correlation over methods is more often positive than negative.
    """
    return _by_experiment()


@claim(MemorisationTrials, EMPIRICAL, NO_FREE_PRUNE.at("seed"))
def capacity_tracks_effective_parameters(instance: MemorisationTrials) -> Relation:
    r"""Memorisation is rank-correlated with the effective number of parameters.

    $p_{eff} = E\|m\|_0 + I(m; D \mid w_0)$, across methods and sparsities. In small discrete worlds (all labelings
    and a finite law of $w_0$ enumerated) $I$ is computed exactly with `theory.information.conditional_information`;
    at scale there are only bounds: $0 \le I \le \log \binom{N}{k}$, and $I \ge d(p \,\|\, q)$ from
    `memorisation-information`.
    """
    return _by_experiment()
