"""The saliency."""

from __future__ import annotations

import numpy as np

from theory.claims import PROVED, REFUTED, claim, hints
from theory.cuts import parameter_cuts
from theory.enumeration import on_path, path_gates
from theory.flows import over
from theory.papers.path_exclusion.assumptions import equal_activations, no_weight_twice
from theory.papers.sources import PATH_EXCLUSION, ours
from theory.paths import NetworkOnData
from theory.relations import (
    Relation,
    all_of,
    at_most,
    equal,
    equivalent,
    every_pair,
    nonnegative,
    positive,
)
from theory.saliency import scorer_named
from theory.scalars import Array, absolute, indicator, total


@claim(NetworkOnData, PROVED, PATH_EXCLUSION.at("the saliency (seed)"), assumes=(no_weight_twice,))
def saliency(instance: NetworkOnData) -> Relation:
    r"""The PX score of a weight is the part of the objective that the paths through it carry.

    $\theta_j^2 \, \partial_{\theta_j^2} \sum_k D_k R_k = \sum_k D_k \sum_{p \to k,\, p \ni j} v_p^2$.

    Proof. $R_k$ is linear in $\theta_j^2$ if no weight stands twice on one path, and $D$ is held fixed.
    """
    v, member = instance.path_values(), on_path(instance.network) > 0
    weight = v * v * instance.activation_per_output()[..., list(instance.paths.outputs)]
    return equal(instance.saliency_by_gradient(), total(weight[..., :, None] * member.astype(int), axis=-2))


@claim(NetworkOnData, PROVED, ours("definitions agree"), see="saliency")
@hints(families=("recurrent", "mlp", "residual", "pooled-convolution"))
def saliency_counts_uses(instance: NetworkOnData) -> Relation:
    r"""In a PX score, a path counts once for each time that it uses the weight.

    $\theta_j^2\, \partial_{\theta_j^2} \sum_k D_k R_k = \sum_k D_k \sum_{p \to k} m_{pj} v_p^2$ with $m_{pj}$ how often
    $j$ stands on $p$, whatever is shared.

    Proof. $v_p^2$ is $\theta_j^2$ to the power $m_{pj}$ times what does not depend on it.
    """
    return equal(instance.saliency_by_gradient(), instance.saliency("px"))


@claim(NetworkOnData, PROVED, ours("definitions agree"), assumes=(no_weight_twice,), see="saliency")
def scores_without_theta(instance: NetworkOnData) -> Relation:
    r"""A score is its derivative times the weight: $\theta_j^2$ for PX and SynFlow-L2, $|\theta_j|$ for SynFlow.

    SynFlow-L2 as released has $|\theta_j|$ where its definition has $\theta_j^2$.

    Proof. $|v_p|$ is $|\theta_j|$ times $|\partial v_p/\partial\theta_j|$ if $j$ stands on $p$ once.
    """
    size, d = absolute(instance.theta), instance.activation_per_output()
    given = scorer_named("px-without-theta").scores(instance.network, instance.theta, instance.x, 2 * d)
    return all_of(
        equal(size * size * given, 2 * instance.saliency("px"), "PX, twice D"),
        equal(size * size * instance.saliency("px-without-theta"), instance.saliency("px"), "PX"),
        equal(size * instance.saliency("synflow-without-theta"), instance.saliency("synflow"), "SynFlow"),
        equal(size * instance.saliency("synflow-l2-released"), instance.saliency("synflow-l2"), "SynFlow-L2"),
    )


@claim(NetworkOnData, PROVED, ours("definitions agree"), by_definition="two ways to write the same sum")
@hints(samples=3, width=2, outputs=2)
def scores_by_matrix(instance: NetworkOnData) -> Relation:
    r"""The scores that are taken sample by sample follow from the path activation matrix.

    With $A = J_v^f$: the energy is $\sum_{p \ni j} v_p^2 \sum_{n,k} A_{(n,k),p}^2$; PX by samples is $\sum_{p \ni j}
    v_p^2 \sum_{n,k} a_p(x_n)^2 \sum_{q: v_q \ne 0} A_{(n,k),q}^2$, for each $p$ with its own output $k$; SNIP without
    its absolute value, which counts uses, is $\sum_p m_{pj} v_p \sum_{n,k} A_{(n,k),p} f^k(x_n)$.
    """
    v, ends = instance.path_values(), np.array(instance.paths.outputs)
    shape = (*instance.outputs().shape, len(instance.paths))
    squares = (instance.path_activation_matrix() ** 2).reshape(shape)
    gates = path_gates(instance.network, instance.run) ** 2
    mine = (ends == np.arange(shape[-2])[:, None]).astype(int)
    carried = total(squares * indicator(v != 0, v)[..., None, None, :], axis=-1)
    by_sample = total(carried[..., None] * mine * gates[..., None, :], axis=(-3, -2))
    member = on_path(instance.network)
    signed = scorer_named("snip-signed")
    snip = signed.path_weights(instance.network, instance.theta, instance.x, None)
    return all_of(
        equal(instance.saliency("snip-signed"), _over(snip, member), "SNIP"),
        equal(instance.saliency("path-energy"), _over(total(squares, axis=(-3, -2)) * v * v, member), "energy"),
        equal(instance.saliency("px-per-sample"), _over(by_sample * v * v, member), "by samples"),
    )


def _over(path_weights: Array, member: np.ndarray) -> Array:
    return np.asarray(total(path_weights[..., :, None] * member, axis=-2))


@claim(NetworkOnData, PROVED, PATH_EXCLUSION.at("positive scores (seed)"), repairs="positive-literal")
def saliency_nonnegative(instance: NetworkOnData) -> Relation:
    r"""PX scores are nonnegative, and positive exactly on nonzero paths to outputs with $D_k > 0$.

    $S_j \ge 0$; $S_j > 0$ iff $j$ lies on a path with nonzero weights to an output $k$ with $D_k > 0$.

    Proof. A sum of products of squares.
    """
    s = instance.saliency_by_gradient()
    carried = np.asarray(instance.path_values() != 0, dtype=bool)
    seen = np.asarray(instance.activation_per_output() > 0, dtype=bool)[..., list(instance.paths.outputs)]
    carries = ((carried & seen)[..., None] & (on_path(instance.network) > 0)).any(axis=-2)
    return nonnegative(s, "nonnegative") & equivalent(s > 0, carries, "positive where")


@claim(NetworkOnData, REFUTED, PATH_EXCLUSION.at("assigns only positive scores (seed)"))
@hints(families=("mlp",))
def positive_literal(instance: NetworkOnData) -> Relation:
    r"""All PX scores are positive.

    False: weights on no path of nonzero weights, and networks with every gate off on the data, have score 0.
    """
    return positive(instance.saliency_by_gradient())


@claim(
    NetworkOnData,
    PROVED,
    ours("how the data enters PX"),
    by_definition="the objective is linear in D_1, ..., D_K, and so are its derivatives",
)
def data_enters_through_outputs(instance: NetworkOnData) -> Relation:
    r"""PX scores depend on the data only through the $K$ numbers $D_1, \dots, D_K$.

    $S = \sum_k D_k S^{(k)}$, with $S^{(k)}$ the SynFlow-L2 scores of output $k$ alone.

    Proof. The definition, with $R = R_k$ alone.
    """
    v, member, ends = instance.path_values(), on_path(instance.network), np.array(instance.paths.outputs)
    parts = []
    for k in range(len(instance.network.outputs)):
        alone = total((v * v * (ends == k).astype(int))[..., :, None] * member, axis=-2)
        parts.append(instance.activation_per_output()[..., k, None] * alone)
    return equal(instance.saliency("px"), sum(parts[1:], parts[0]))


@claim(NetworkOnData, PROVED, ours("consequence of data-enters-through-outputs"), assumes=(equal_activations,))
@hints(families=("mlp", "mlp-bias", "pool", "convolution"))
def reduces_to_synflow_l2(instance: NetworkOnData) -> Relation:
    r"""If all $D_k$ are equal, as under a dense last layer, PX scores are proportional to SynFlow-L2's.

    $S = D\, S^{\text{SynFlow-L2}}$, and PX ranks alike if $D > 0$: its first round on a network with a dense last layer
    does not depend on the data. Later rounds do only as far as pruning has thinned the last layer.
    """
    d = instance.activation_per_output()[..., :1]
    return equal(instance.saliency("px"), d * instance.saliency("synflow-l2"))


@claim(NetworkOnData, PROVED, PATH_EXCLUSION.at("conservation (seed)"))
def saliency_conservation(instance: NetworkOnData) -> Relation:
    r"""PX scores sum to the objective on every cut.

    $\sum_{j \in C} S_j = \sum_k D_k R_k$ for every set $C$ of weights that every path meets once, $D$ held fixed.

    Proof. Every path is counted once.
    """
    objective = total(instance.activation_per_output() * instance.objective_per_output(), axis=-1)
    cuts = parameter_cuts(instance.network)
    return equal(over(cuts, instance.saliency("px")), np.asarray(objective)[..., None]).when(bool(len(cuts)))


@claim(NetworkOnData, REFUTED, PATH_EXCLUSION.at("a question of users of the public code"), see="saliency-conservation")
@hints(families=("mlp",))
def score_without_theta_ranks_the_same(instance: NetworkOnData) -> Relation:
    r"""Leaving out the factor $\theta_j^2$ does not change the ranking by PX score.

    False already on a chain: with weights $a$, $b$ both scores are $D a^2 b^2$, the derivatives $D b^2$ and $D a^2$.
    Without the factor the scores of a cut no longer sum to the objective, and a weight of 0 can have a large one.
    """
    with_theta, without = instance.saliency("px"), instance.saliency("px-without-theta")
    (low, high), (low_without, high_without) = every_pair(with_theta), every_pair(without)
    return at_most(low_without, high_without).when(np.asarray(low <= high, dtype=bool))
