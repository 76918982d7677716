"""The released code."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb

from theory.claims import PROVED, REFUTED, Assumption, claim, hints
from theory.networks import LEAKY, LINEAR, RELU, Builder, mlp
from theory.papers.path_exclusion.assumptions import SMALL, STEP
from theory.papers.sources import PATH_EXCLUSION, ours
from theory.paths import NetworkOnData
from theory.relations import Relation, all_of, equal, within
from theory.released import Added, NormalisedNetwork
from theory.saliency import path_exclusion_released
from theory.scalars import Array, absolute, indicator, total


def _leaky(c: Any, instance: NetworkOnData) -> NetworkOnData:
    net = mlp((1, c.integer(1, 2), 1), kind=LEAKY)
    return NetworkOnData(net, c.numbers((net.parameters,)), c.numbers((1, 1)))


def _averaged(c: Any, instance: NetworkOnData) -> NetworkOnData:
    b = Builder(1)
    weights, out = b.new_parameters(2), b.unit(LINEAR)
    for w, factor in zip(weights, (1, "1/2"), strict=True):
        b.connect(0, out, w, factor)
    return NetworkOnData(b.network((out,)), c.numbers((2,)), c.numbers((1, 1)))


zero_one_gates = Assumption(
    "zero-one-gates", "every gate is 0 or 1: no unit is leaky",
    lambda i: LEAKY not in i.network.units, _leaky,
)  # fmt: skip

unit_factors = Assumption(
    "unit-factors", "every constant factor is 1: no average pooling, no normalisation",
    lambda i: all(Fraction(e.factor) == 1 for e in i.network.edges), _averaged,
)  # fmt: skip


@claim(
    NetworkOnData,
    REFUTED,
    PATH_EXCLUSION.at("the released code against the saliency"),
    assumes=(zero_one_gates, unit_factors),
    see="saliency",
)
@hints(SMALL, kinds=(RELU, LINEAR))
def released_scorer(instance: NetworkOnData) -> Relation:
    r"""The released code computes the PX score of the paper.

    False on networks whose last layer is called fc: its weights are neither squared in the one auxiliary network nor
    set to one in the other. With a signed last layer the sum can cancel to 0.
    """
    return equal(instance.saliency("px-released"), instance.saliency("px"))


@claim(
    NetworkOnData,
    PROVED,
    PATH_EXCLUSION.at("the released code where nothing is called fc or bn"),
    assumes=(zero_one_gates, unit_factors),
    repairs="released-scorer",
)
@hints(families=("mlp", "mlp-bias", "residual"), kinds=(RELU, LINEAR))
def released_scorer_agrees_without_fc(instance: NetworkOnData) -> Relation:
    r"""With no layer called fc and gates of 0 or 1, the released code computes the PX score of the paper.

    And if constant factors are 1: the code copies the slopes of leaky units and the factors of average pools into its
    first auxiliary network, and into the second, as they are; the paper's $D_k$ has squared slopes and no factors, its
    $v_p^2$ squared factors. For $f = \mathrm{leaky}(wx)$ with slope $1/4$ at $w = -1$, $x = 1$: $1/4$ and $1/16$.

    Nor does it go wrong where the weights of the last layer, called fc, are all 1.

    Proof. Then every parameter is set to one in the one auxiliary network and squared in the other, whose derivative is
    nonnegative. A weight of 1 is both as it is.
    """
    released = path_exclusion_released(instance.network, instance.theta, instance.x, unsquared=())
    last = np.isin(np.arange(instance.network.parameters), instance.network.layers[-1])
    theta = np.where(last, indicator(last, instance.theta), instance.theta)
    of_ones = NetworkOnData(instance.network, theta, instance.x)
    return all_of(
        equal(released, instance.saliency("px"), "no fc"),
        equal(of_ones.saliency("px-released"), of_ones.saliency("px"), "fc of ones"),
    )


@claim(NetworkOnData, REFUTED, PATH_EXCLUSION.at("the released code where nothing is called fc or bn"), see="saliency")
@hints(families=("mlp", "chains", "pool"), kinds=(LEAKY, RELU))
def released_scorer_agrees_beyond_relus(instance: NetworkOnData) -> Relation:
    r"""With no layer called fc, the released code computes the PX score of the paper for any units.

    False with leaky units, whose slopes it does not square, and where average pools and skip connections meet.
    """
    released = path_exclusion_released(instance.network, instance.theta, instance.x, unsquared=())
    return equal(released, instance.saliency("px"))


def _flag(name: str, sentence: str, field: str, value: bool) -> Assumption:
    return Assumption(
        name, sentence, lambda i: getattr(i, field) is value, lambda c, i: i.with_(**{field: not value})
    )  # fmt: skip


def _unpooled(c: Any, i: NormalisedNetwork) -> NormalisedNetwork:
    changed = i.with_(pooled=False)
    return changed.with_(theta=c.numbers((changed.parameters,)))


batch_statistics = _flag("batch-statistics", "normalisation uses the statistics of the batch", "training", True)
activations_removed = _flag("activations-removed", "no activation follows the normalisation", "activations", False)
average_pooled = Assumption(
    "average-pooled", "the last layer reads averages over positions", lambda i: bool(i.pooled), _unpooled
)


@claim(
    NormalisedNetwork,
    PROVED,
    PATH_EXCLUSION.at("the released code under batch normalisation"),
    assumes=(batch_statistics, activations_removed, average_pooled),
)
def released_score_with_batch_norm(instance: NormalisedNetwork) -> Relation:
    r"""With batch normalisation before the pooled head, the released score of every convolution is 0.

    In exact arithmetic, with batch statistics, activations removed and average pooling (residual blocks included): the
    scores of convolutions and of normalisation scales are 0, and those of the last layer only see the shifts: with
    $\beta_c$ the sum of the shifts of channel $c$, and $n$ samples, the weight from $c$ to output $k$ scores
    $n |D_k \beta_c|$ times its square, a shift of $c$ $n |\sum_k D_k w_{kc}|$ times its, a bias $n |D_k|$ times its.

    Proof. A normalised batch has mean 0 in every channel, whatever came before it; sums over the batch and the
    positions of the features are the sums of the shifts, which do not depend on convolutions or scales.
    """
    s, groups = instance.scores(), instance.groups
    silent = [j for name, group in groups.items() if name.startswith(("conv", "scale")) for j in group]
    says = equal(s[silent], 0 * s[silent], "convolutions and scales")
    return says & equal(s, _seen_scores(instance), "what is seen") if instance.pooled else says


@claim(
    NormalisedNetwork,
    PROVED,
    ours("definitions agree"),
    see="released-score-with-batch-norm",
    proof_gap="about derivatives at points between two others, which are roots of no polynomial that is given",
)
@hints(modes=True, blocks=2, least_positions=1)
def released_objective_has_its_derivative(instance: NormalisedNetwork) -> Relation:
    r"""Between two points on a ray the released objective changes by its derivative at a point between them.

    $G = \sum_k D_k \sum_n f^k(x_n)$ as a function of $\sigma$, the squares of the convolutions' weights and the other
    parameters: $G(c\sigma) - G(\sigma) = (c - 1) \sum_j \sigma_j\, \partial_j G$ at some point between, for
    $c = (1 + 2^{-48})^2$; the derivatives at all these points are enclosed in one ball. With batch statistics or
    running ones, pooled or not, activations removed or not; what is added to a variance is a constant. With $c$
    channels, $b$ blocks, $K$ outputs and $F$ features ($c$, or $c$ for each position) there are
    $3c + 3bc^2 + 2(b + 1)c + K(F + 1)$ parameters.

    Proof. The mean value theorem. With activations $G$ has its derivative almost everywhere on the ray, and the gate of
    a unit that may be on or off counts as the ball $[0, 1]$.
    """
    squared = [j for name, group in instance.groups.items() if name.startswith("conv") for j in group]
    factor = np.full(instance.parameters, (1 + STEP) ** 2, dtype=object)
    around = np.full(instance.parameters, arb(1, 4 * STEP), dtype=object)
    sigma = instance.theta.copy()
    factor[squared], around[squared] = 1 + STEP, arb(1, 2 * STEP)
    sigma[squared] = sigma[squared] * sigma[squared]
    added: Added = {}
    before, _ = instance.evaluated(added)
    after, _ = instance.with_(theta=instance.theta * factor).evaluated(added)
    _, enclosed = instance.with_(theta=instance.theta * around).evaluated(added)
    c, features = instance.channels, instance.channels * (1 if instance.pooled else instance.x.shape[-1])
    convolutions, scales = 3 * c + 3 * instance.blocks * c * c, 2 * (instance.blocks + 1) * c
    return all_of(
        within((after - before) / (2 * STEP + STEP * STEP), total(sigma * enclosed), "derivative"),
        equal(instance.parameters, convolutions + scales + instance.outputs * (features + 1), "parameters"),
    )


def _seen_scores(instance: NormalisedNetwork) -> Array:
    """The score of every parameter by the shifts alone, shape (N)."""
    groups, slopes = instance.groups, 0 * instance.theta
    shifts = [list(groups[f"shift{b}"]) for b in range(instance.blocks + 1)]
    beta = sum(instance.theta[group] for group in shifts)
    last = instance.theta[list(groups["last"])].reshape(instance.outputs, instance.channels)
    slopes[list(groups["last"])] = (instance.d[:, None] * beta).ravel()
    for group in shifts:
        slopes[group] = instance.d @ last
    slopes[list(groups["bias"])] = instance.d
    return len(instance.x) * absolute(slopes) * instance.theta**2
