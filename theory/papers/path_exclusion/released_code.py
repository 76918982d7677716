"""The released code."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from theory.claims import PROVED, REFUTED, Assumption, claim, hints
from theory.networks import LEAKY, LINEAR, RELU, Builder, mlp
from theory.papers.path_exclusion.assumptions import SMALL
from theory.papers.sources import PATH_EXCLUSION
from theory.paths import NetworkOnData
from theory.relations import (
    Relation,
    equal,
)
from theory.released import NormalisedNetwork
from theory.saliency import path_exclusion_released
from theory.scalars import Array, absolute


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

    Proof. Then every parameter is set to one in the one auxiliary network and squared in the other, whose derivative is
    nonnegative.
    """
    released = path_exclusion_released(instance.network, instance.theta, instance.x, unsquared=())
    return equal(released, instance.saliency("px"))


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
