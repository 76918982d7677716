"""What trained networks decide."""

from __future__ import annotations

from theory.claims import EMPIRICAL, claim, hints
from theory.experiments import PairedTrials, ScalingTrials
from theory.papers.sources import SKETCHING, ours
from theory.relations import Relation, at_most, positive
from theory.scalars import rational

SEED = SKETCHING.at("seed")
OURS = ours("beside the sketching paper")


@claim(ScalingTrials, EMPIRICAL, SEED)
@hints(stack=False)
def lazy_weights(i: ScalingTrials) -> Relation:
    r"""In wide networks weights hardly move: their relative distance falls like width^(-1/2).

    NTK-parametrised two-layer ReLU networks fitted to a fixed set: the least-squares slope of
    $\log(\|w^* - w_0\|/\|w_0\|)$ on $\log(\mathrm{width})$ is within 1/8 of $-1/2$.
    """
    margin = rational("1/8")
    slope = i.slope()
    return at_most(-margin - rational("1/2"), slope, "not steeper") & at_most(
        slope, margin - rational("1/2"), "not flatter"
    )


@claim(ScalingTrials, EMPIRICAL, OURS, see="lazy-weights")
@hints(stack=False)
def lazy_weights_relative_change_grows(i: ScalingTrials) -> Relation:
    r"""The largest relative change of a weight grows with width.

    In the same networks the slope of $\log \rho$, $\rho = \max_i |w^*_i - w_{0,i}|/|w_{0,i}|$, on
    $\log(\mathrm{width})$ is positive: `transfer-relative` says less and less there.
    """
    return positive(i.slope())


@claim(ScalingTrials, EMPIRICAL, OURS, see="lazy-weights")
@hints(stack=False)
def lazy_weights_ratio_variance_falls(i: ScalingTrials) -> Relation:
    r"""Under the initial law, the variance of the ratios of trained to initial weights falls with width.

    In the same networks the slope of $\log \mathrm{Var}_{i \sim p_0}|w^*_i/w_{0,i}|$ on
    $\log(\mathrm{width})$ is negative: by `transfer-identity` the initial law becomes optimal.
    """
    return positive(-i.slope())


@claim(PairedTrials, EMPIRICAL, SKETCHING.at("seed: randomly sampled masks often improve"))
@hints(stack=False)
def random_masks_train_better(i: PairedTrials) -> Relation:
    r"""Sampled masks train to the accuracy of thresholded ones or more, within one percentage point.

    Of paired trials (same scores, data, sparsity, seed; test accuracy after training, sampled minus
    thresholded) the difference is not more often below -1/100 than above. Decided for each method
    and sparsity by a paired sign test that may stop at any time.
    """
    return at_most(i.losses("-1/100"), i.wins("-1/100"))
