"""The scores as computed."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from theory import auxiliary
from theory.claims import PROVED, REFUTED, Assumption, claim, hints
from theory.cuts import parameter_cuts
from theory.flows import (
    flow_by_gradient,
    over,
)
from theory.networks import MAX, Builder
from theory.papers.sources import PATH_EXCLUSION, SYNAPTIC_FLOW, ours
from theory.paths import NetworkOnData
from theory.relations import Relation, all_of, equal, nonnegative
from theory.saliency import scorer_named
from theory.scalars import absolute, ones, total


@claim(
    NetworkOnData,
    REFUTED,
    PATH_EXCLUSION.at("released code for SynFlow-L2, from its description"),
    see="cut-conservation",
)
@hints(families=("mlp",))
def released_synflow_l2_conserves(instance: NetworkOnData) -> Relation:
    r"""SynFlow-L2 as released, $|\theta_j|\, \partial R/\partial\theta_j^2$, is conserved.

    Every cut (on a plain network every layer is one) would sum to the same. They do with $\theta_j^2$ in the
    place of $|\theta_j|$.
    """
    scores = scorer_named("synflow-l2-released").scores(instance.network, instance.theta, instance.x, None)
    sums = over(parameter_cuts(instance.network), scores)
    return equal(sums[..., 1:], sums[..., :-1])


def _negative_edge(c: Any, instance: NetworkOnData) -> NetworkOnData:
    b = Builder(1)
    net = b.network(b.scale(b.inputs, factor=-1))
    return NetworkOnData(net, c.numbers((net.parameters,)), c.numbers((1, 1)))


nonnegative_factors = Assumption(
    "nonnegative-factors",
    "no constant factor of an edge is negative",
    lambda i: all(Fraction(e.factor) >= 0 for e in i.network.edges),
    _negative_edge,
)


@claim(
    NetworkOnData,
    PROVED,
    SYNAPTIC_FLOW.at("definition of SynFlow; a question of users of the public code"),
    assumes=(nonnegative_factors,),
    repairs="signed-scores-are-nonnegative",
)
def why_absolute_values(instance: NetworkOnData) -> Relation:
    r"""With $|\theta|$ the scores are nonnegative, so a further absolute value changes nothing.

    $S_j = |\theta_j|\, \partial R/\partial|\theta_j| \ge 0$, so $|S_j| = S_j$, for $R$ the sum of the
    outputs of the network with weights $|\theta|$ on the input of ones, if its constant factors are nonnegative
    (a difference of two branches has one that is not, and so has the shift of a normalisation).

    Proof. $R$ is built from nonnegative numbers by sums, products and maxima: it grows with each $|\theta_j|$.
    """
    score = flow_by_gradient(instance.network, absolute(instance.theta))
    return all_of(nonnegative(score, "score"), equal(absolute(score), score, "abs(score)"))


def _pooled(c: Any, instance: NetworkOnData) -> NetworkOnData:
    b = Builder(1)
    net = b.network(b.pool(b.dense(b.inputs, 2), 2))
    return NetworkOnData(net, c.numbers((2,)), c.numbers((1, 1)))


no_maxima = Assumption("no-maxima", "no unit is a maximum", lambda i: MAX not in i.network.units, _pooled)


@claim(NetworkOnData, PROVED, ours("definitions agree"), assumes=(nonnegative_factors, no_maxima))
@hints(families=("mlp", "mlp-bias", "residual", "recurrent", "pooled-convolution"))
def score_by_gradient(instance: NetworkOnData) -> Relation:
    r"""The gradient of SynFlow sums over paths, and counts a path once for each use of the weight.

    $|\theta_j|\, \partial R/\partial|\theta_j| = \sum_p m_{pj} |v_p|$, $R$ the sum of the outputs of the network with
    weights $|\theta|$ on the input of ones, $m_{pj}$ how often $j$ stands on $p$; and SynFlow-L2's, by $\theta_j^2$.
    With max pooling the released SynFlow counts only the paths that win.

    Proof. All that arrives at a unit is nonnegative: what a gate holds back is 0. So $R = \sum_p |v_p|$, and $|v_p|$ is
    $|\theta_j|$ to the power $m_{pj}$ times what does not depend on it.
    """
    one = ones((len(instance.network.outputs),), instance.theta)
    return all_of(
        equal(flow_by_gradient(instance.network, absolute(instance.theta)), instance.saliency("synflow"), "SynFlow"),
        equal(auxiliary.saliency(instance.network, instance.theta, one), instance.saliency("synflow-l2"), "SynFlow-L2"),
    )


@claim(NetworkOnData, PROVED, ours("definitions agree"), see="cut-conservation")
@hints(families=("mlp", "mlp-bias", "residual", "convolution", "heads"))
def loss_scores_of_a_cut(instance: NetworkOnData) -> Relation:
    r"""On a cut, SNIP's signed scores sum to twice the loss, and GraSP's to squares of the gradient.

    With $L = \frac12 \sum_{n,k} f^k(x_n)^2$, $g = \nabla L$ and $H$ its Hessian, gates fixed: $\sum_{j \in C}
    \theta_j g_j = 2 L$ and $\sum_{j \in C} \theta_j (H g)_j = 2 |g|^2 - \sum_{j \in C} g_j^2$. SNIP's score is the
    absolute value.

    Proof. $f$ is linear in the weights of a cut. So $L$ has degree 2 in them, and $\partial_i L$ degree 1 where
    $i \in C$, else 2: by Euler $\sum_{j \in C} \theta_j H_{ij}$ is $g_i$ or $2 g_i$.
    """
    outputs, cuts = instance.outputs(), parameter_cuts(instance.network)
    g = total(outputs[..., None] * instance.jacobian(), axis=(-3, -2))
    loss, norm = total(outputs * outputs, axis=(-2, -1)), total(g * g, axis=-1)
    snip, signed, grasp = (
        scorer_named(name).scores(instance.network, instance.theta, instance.x, None)
        for name in ("snip", "snip-signed", "grasp")
    )
    return all_of(
        equal(snip, absolute(instance.theta * g), "SNIP"),
        equal(over(cuts, signed), np.asarray(loss)[..., None], "signed").when(bool(len(cuts))),
        equal(over(cuts, grasp), 2 * np.asarray(norm)[..., None] - over(cuts, g * g), "GraSP").when(bool(len(cuts))),
    )


@claim(NetworkOnData, REFUTED, SYNAPTIC_FLOW.at("definition of SynFlow without its absolute values"))
@hints(families=("mlp",))
def signed_scores_are_nonnegative(instance: NetworkOnData) -> Relation:
    r"""Without $|\theta|$ the score $\theta_j\, \partial R/\partial\theta_j$ is nonnegative as well.

    A path with a negative product of weights makes it negative.
    """
    return nonnegative(flow_by_gradient(instance.network, instance.theta))
