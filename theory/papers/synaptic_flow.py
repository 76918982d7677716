r"""Synaptic flow and layer collapse (Tanaka, Kunin, Yamins, Ganguli 2020, arXiv 2006.05467).

Scores of the form $S = \theta \odot \partial R/\partial\theta$, with $R$ a function of the outputs, are
conserved: at units and over cuts. A *layer* of a graph with skips is a cut, a set of edges that every
path from an input (or the constant unit) to an output crosses once. *Layer collapse*: a cut loses all
its weights although the target density still allows a whole path. SynFlow:
$R = \sum_p |v_p|$, the network with weights $|\theta|$ on the input of ones.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from theory.claims import Assumption, Source, Status, claim
from theory.collapse import (
    THEOREM,
    count_is_exact,
    distinct_scores,
    one_round,
    published_threshold,
    unsigned_scores,
    vanishing_scores,
)
from theory.cuts import by_edge, cut_matrix
from theory.flows import (
    ObjectiveOnNetwork,
    RescaledNetwork,
    UniformNetwork,
    every_weight_flows,
    flow_by_gradient,
    layer_sums,
    over,
)
from theory.instances import per_instance
from theory.networks import Builder
from theory.papers.sources import PATH_EXCLUSION, SYNAPTIC_FLOW
from theory.paths import NetworkOnData
from theory.pruning import PruningRun, released_count
from theory.relations import Relation, all_of, equal, holds, nonnegative
from theory.saliency import scorer_named
from theory.scalars import Array, absolute, total

CONSERVED = ("synflow", "synflow-l2", "px")
"""The scorers whose cuts sum to their objective."""


# -- conservation ---------------------------------------------------------------------------------------


@claim(
    about=ObjectiveOnNetwork,
    source=Source(SYNAPTIC_FLOW, "theorem on neuron-wise conservation (seed)"),
    status=Status.PROVED,
)
def neuron_conservation(instance: ObjectiveOnNetwork) -> Relation:
    r"""At every hidden unit the scores coming in sum to the scores going out.

    $\sum_{e \to u} S_e = \sum_{u \to e} S_e$ for $S_e = w_e\, \partial R/\partial w_e$, biases
    included as edges from a constant input, for any objective $R$ of the outputs.

    Proof. Units are homogeneous of degree 1 (linear, ReLU, leaky ReLU, maximum), so by Euler both sides
    are $\partial R/\partial a_u \cdot a_u$, $a_u$ the unit's value.
    """
    net, scores = instance.network, instance.edge_scores
    hidden = [u for u in range(len(net.units)) if net.incoming[u] and u not in net.outputs]
    into = np.array([[int(e.target == u) for e in net.edges] for u in hidden], dtype=int).reshape(-1, len(net.edges))
    out = np.array([[int(e.source == u) for e in net.edges] for u in hidden], dtype=int).reshape(-1, len(net.edges))
    return equal(total(scores[..., None, :] * into, axis=-1), total(scores[..., None, :] * out, axis=-1))


@claim(
    about=ObjectiveOnNetwork,
    source=Source(SYNAPTIC_FLOW, "theorem on network-wise conservation (seed)"),
    status=Status.PROVED,
    twin="synaptic-flow/every-layer-conserves",
)
def cut_conservation(instance: ObjectiveOnNetwork) -> Relation:
    r"""The scores of every cut sum to the same number.

    $\sum_{e \in C} S_e = \langle \partial R/\partial y, y\rangle$ for every cut $C$; for SynFlow,
    SynFlow-L2 and PX $\sum_{e \in C} S_e = R = \sum_p c_p$ with $c_p = |v_p|$, $v_p^2$, $D_k v_p^2$.
    A cut is a set of edges: skip connections count (with weight 1), and so do biases.

    Proof. Add `neuron-conservation` over the units before the cut. For sums over paths: each path is
    counted on exactly one edge of the cut.
    """
    cuts = cut_matrix(instance.network)
    flow = total(instance.gradient * instance.outputs(), axis=(-2, -1))
    parts = [equal(over(cuts, instance.edge_scores), np.asarray(flow)[..., None], "dR/dy, y")]
    network, values = by_edge(instance.network, instance.theta)
    for name in CONSERVED:
        scorer = scorer_named(name)
        objective = total(scorer.path_weights(network, values, instance.x, None), axis=-1)
        edge_scores = scorer.scores(network, values, instance.x, None)
        parts.append(equal(over(cuts, edge_scores), np.asarray(objective)[..., None], name))
    return all_of(*parts)


@claim(
    about=NetworkOnData,
    source=Source(SYNAPTIC_FLOW, "network-wise conservation, read for layers (seed)"),
    status=Status.REFUTED,
    twin="synaptic-flow/cut-conservation",
    draws={"families": ("mlp-bias", "residual")},
)
def every_layer_conserves(instance: NetworkOnData) -> Relation:
    r"""SynFlow's scores of every layer of the architecture sum to R.

    $\sum_{j \in \text{layer}} S_j = R$ for each layer (weights and biases). True of plain networks
    without biases. A bias starts paths that no earlier layer is on; a skip connection carries paths
    around a layer.
    """
    scorer = scorer_named("synflow")
    flow = total(scorer.path_weights(instance.network, instance.theta, instance.x, None), axis=-1)
    scores = scorer.scores(instance.network, instance.theta, instance.x, None)
    return equal(layer_sums(instance.network, scores), np.asarray(flow)[..., None]).when(
        per_instance(every_weight_flows(instance), 1)
    )


# -- layer collapse -------------------------------------------------------------------------------------


@claim(
    about=PruningRun,
    source=Source(PATH_EXCLUSION, "positive saliency scores, preventing layer collapse (seed)"),
    status=Status.REFUTED,
    twin="synaptic-flow/maximal-critical-compression",
    draws={
        "scorers": ("magnitude", "magnitude", "synflow-l2-released", "synflow"), "nonzero": True,
        "layers": 2,
    },
)  # fmt: skip
def positive_scores_suffice(run: PruningRun) -> Relation:
    r"""Positive scores prevent layer collapse.

    If $S_j > 0$ for every remaining weight in every round, every layer keeps a weight as long as there
    is one for each. Magnitude is positive and collapses: scores must be conserved too.
    """
    remaining = run.scores_by_round()
    positive_scores = np.asarray((remaining > 0) | ~run.masks_before(), dtype=bool).all(axis=(-2, -1))
    return _no_layer_collapse(run).when(positive_scores)


def _no_layer_collapse(run: PruningRun) -> Relation:
    enough = run.keep >= len(run.network.layers)
    return holds((run.layer_sizes() > 0).all(axis=-1) | (not enough), "every layer keeps a weight")


@claim(
    about=PruningRun,
    source=Source(SYNAPTIC_FLOW, "maximal critical compression, read for residual networks (seed)"),
    status=Status.REFUTED,
    twin="synaptic-flow/maximal-critical-compression",
    draws={"families": ("residual",), "nonzero": True, "outputs": 2},
)
def residual_layers_survive(run: PruningRun) -> Relation:
    r"""On residual networks positive, conserved, iterated scores keep every layer.

    One weight a round, re-scored: every layer keeps a weight as long as there is one for each. The
    weights of a residual branch are no cut (the skip connection belongs to it), so the theorem does
    not protect them.
    """
    return _no_layer_collapse(run).when(every_weight_flows(run))


@claim(
    about=PruningRun,
    source=Source(SYNAPTIC_FLOW, "theorem on maximal critical compression (seed); three assumptions are ours"),
    status=Status.PROVED,
    assumes=THEOREM,
    twin="synaptic-flow/positive-scores-suffice",
    draws={
        "scorers": ("synflow", "synflow-l2", "px-frozen"),
        "schedules": ("one-at-a-time", "one-at-a-time", "linear", "exponential"),
        "families": ("mlp", "mlp", "pool", "convolution"),
        "nonzero": True,
        "outputs": 2,
        "depth": 3,
    },
)
def maximal_critical_compression(run: PruningRun) -> Relation:
    r"""Positive, conserved, iterated scores never collapse before the critical compression.

    After every round that keeps at least as many weights as a path has, some input-output path keeps
    all its weights; so every cut keeps one. The source is silent on three assumptions: tied weights,
    path weights $c_p$ that do not depend on the mask, and paths of equal length (with shortcuts or
    biases the shortest path may be gone when only longer ones are left).

    Proof. $S_j = \sum_{p \ni j} c_p$, so pruning a set $P$ leaves $R \ge R_0 - S(P)$ by the union bound.
    With $L$ weights on every path, $\sum_j S_j = L R_0$, and the $q$ smallest of $a$ scores sum to at
    most $q L R_0 / a < R_0$ as soon as $qL < a$; for $q = 1$ that is every $a > L$.
    """
    kept = np.array(run.kept_by_round())
    return holds(run.alive_by_round() | (kept < run.smallest_path()), "a path keeps all its weights")


# -- the released thresholding ------------------------------------------------------------------------


def _kept(run: PruningRun) -> Array:
    return run.final_mask()[..., run.prunable].sum(axis=-1)


@claim(
    about=PruningRun,
    source=Source(SYNAPTIC_FLOW, "released code, from its description"),
    status=Status.REFUTED,
    twin="synaptic-flow/threshold-keeps-the-target",
    draws={"rules": ("threshold-released",), "schedules": ("one-shot",)},
)
def released_threshold_keeps_the_target(run: PruningRun) -> Relation:
    r"""The published thresholding keeps the number of weights that was asked for.

    It drops every score $\le$ the $k$-th smallest, $k$ = `int((1 - s) * N)`. All ties go with the
    $k$-th; and $k$ is one too small for many $(N, s)$, in float64.
    """
    return equal(_kept(run), run.keep).when(every_weight_flows(run))


@claim(
    about=PruningRun,
    source=Source(SYNAPTIC_FLOW, "released code, from its description"),
    status=Status.REFUTED,
    twin="synaptic-flow/threshold-keeps-the-target",
    draws={
        "rules": ("threshold-released",), "schedules": ("one-shot",), "scorers": ("magnitude",), "nonzero": True,
        "stack": False,
    },
)  # fmt: skip
def released_count_is_exact(run: PruningRun) -> Relation:
    r"""`int((1 - s) * N)` with $s = k/N$ in float64 is $N - k$.

    Rounding leaves the product just below the integer, and `int` cuts it off: one weight more is kept.
    """
    return equal(released_count(run.keep / run.weights, run.weights), run.weights - run.keep)


@claim(
    about=PruningRun,
    source=Source(None, "the repaired form of synaptic-flow/released-threshold-keeps-the-target"),
    status=Status.PROVED,
    assumes=(published_threshold, one_round, distinct_scores, count_is_exact),
    twin="synaptic-flow/released-threshold-keeps-the-target",
    draws={
        "rules": ("threshold-released",), "schedules": ("one-shot",), "scorers": ("magnitude", "synflow-signed"),
        "nonzero": True,
    },
)  # fmt: skip
def threshold_keeps_the_target(run: PruningRun) -> Relation:
    r"""Dropping every score up to the $k$-th smallest keeps $N - k$ weights, if there are no ties.

    Proof. Of distinct scores exactly $k$ are at most the $k$-th smallest.
    """
    return equal(_kept(run), run.keep)


@claim(
    about=PruningRun,
    source=Source(SYNAPTIC_FLOW, "released code, from its description"),
    status=Status.PROVED,
    assumes=(unsigned_scores, vanishing_scores),
    draws={
        "rules": ("threshold-released",), "schedules": ("linear", "exponential"),
        "scorers": ("synflow", "synflow-l2", "magnitude", "snip", "px"), "rounds": 4,
    },
)  # fmt: skip
def masked_weights_stay_masked(run: PruningRun) -> Relation:
    r"""Under the published thresholding, in which masked weights compete, none of them returns.

    Proof. A masked weight scores 0, no score is below 0, so the threshold is at least 0 and drops it.
    """
    return holds((~run.masks() | run.masks_before()).all(axis=(-2, -1)), "no weight returns")


# -- the scores as computed -----------------------------------------------------------------------------


@claim(
    about=NetworkOnData,
    source=Source(PATH_EXCLUSION, "released code for SynFlow-L2, from its description"),
    status=Status.REFUTED,
    twin="synaptic-flow/cut-conservation",
    draws={"families": ("mlp",)},
)
def released_synflow_l2_conserves(instance: NetworkOnData) -> Relation:
    r"""SynFlow-L2 as released, $|\theta_j|\, \partial R/\partial\theta_j^2$, is conserved.

    On a plain network every layer is a cut, so all layers would sum to the same. They do with
    $\theta_j^2$ in the place of $|\theta_j|$.
    """
    scores = scorer_named("synflow-l2-released").scores(instance.network, instance.theta, instance.x, None)
    sums = layer_sums(instance.network, scores)
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
    about=NetworkOnData,
    source=Source(SYNAPTIC_FLOW, "definition of SynFlow; a question of users of the public code"),
    status=Status.PROVED,
    assumes=(nonnegative_factors,),
    twin="synaptic-flow/signed-scores-are-nonnegative",
)
def why_absolute_values(instance: NetworkOnData) -> Relation:
    r"""With $|\theta|$ the score is nonnegative, and another abs() around it changes nothing.

    $S_j = |\theta_j|\, \partial R/\partial|\theta_j| \ge 0$, so $|S_j| = S_j$, for $R$ the sum of the
    outputs of the network with weights $|\theta|$ on the input of ones, if its constant factors are nonnegative
    (a difference of two branches has one that is not, and so has the shift of a normalisation).

    Proof. $R$ is built from nonnegative numbers by sums, products and maxima: it grows with each $|\theta_j|$.
    """
    score = flow_by_gradient(instance.network, absolute(instance.theta))
    return all_of(nonnegative(score, "score"), equal(absolute(score), score, "abs(score)"))


@claim(
    about=NetworkOnData,
    source=Source(SYNAPTIC_FLOW, "definition of SynFlow without its absolute values"),
    status=Status.REFUTED,
    twin="synaptic-flow/why-absolute-values",
    draws={"families": ("mlp",)},
)
def signed_scores_are_nonnegative(instance: NetworkOnData) -> Relation:
    r"""Without $|\theta|$ the score $\theta_j\, \partial R/\partial\theta_j$ is nonnegative as well.

    A path with a negative product of weights makes it negative.
    """
    return nonnegative(flow_by_gradient(instance.network, instance.theta))


# -- the range of floating point ------------------------------------------------------------------------


def _negative_factor(c: Any, instance: RescaledNetwork) -> RescaledNetwork:
    return instance.with_(factor=-instance.factor)


positive_factor = Assumption(
    "positive-factor",
    "the factor is positive",
    lambda i: np.asarray(i.factor > 0, dtype=bool),
    _negative_factor,
)


def _factor_of_scores(name: str, factor: Any) -> Any:
    return factor if name == "synflow" else factor * factor


@claim(
    about=RescaledNetwork,
    source=Source(None, "what keeps deep networks in the range of float32"),
    status=Status.PROVED,
    assumes=(positive_factor,),
    twin="synaptic-flow/float32-range",
    draws={"width": 2, "outputs": 2, "samples": 2},
)
def layer_rescaling(instance: RescaledNetwork) -> Relation:
    r"""Scaling a cut by one positive constant multiplies all scores by one constant.

    If the edges of a cut are scaled by $c > 0$, every score of SynFlow becomes $c\,S_j$, of SynFlow-L2
    and PX $c^2 S_j$: the ranking stays. In a residual network the cut is the whole block with its skip
    connection; biases of later layers belong to it.

    Proof. Every path crosses the cut once, so $v_p$ becomes $c\,v_p$; units after the cut are scaled by
    $c > 0$, so every gate, and $D_k$ with it, stays.
    """
    network, values = by_edge(instance.network, instance.theta)
    factor = per_instance(np.asarray(instance.factor), 1)
    cuts = cut_matrix(instance.network)
    parts = []
    for name in CONSERVED:
        scorer = scorer_named(name)
        before = scorer.scores(network, values, instance.x, None) * _factor_of_scores(name, factor)
        for cut in cuts:
            after = scorer.scores(network, values * (1 - cut) + values * factor * cut, instance.x, None)
            parts.append(equal(after, before, name))
    return all_of(*parts) if parts else equal(instance.theta, instance.theta).when(False)


@claim(
    about=RescaledNetwork,
    source=Source(None, "what does not keep deep networks in the range of float32"),
    status=Status.REFUTED,
    assumes=(positive_factor,),
    twin="synaptic-flow/layer-rescaling",
    draws={"families": ("mlp-bias", "residual")},
)
def any_layer_rescaling(instance: RescaledNetwork) -> Relation:
    r"""Scaling any one layer of the architecture multiplies all SynFlow scores by one constant.

    True where the layer is a cut; not with biases in later layers or skip connections around it.
    """
    scorer = scorer_named("synflow")
    factor = per_instance(np.asarray(instance.factor), 1)
    before = scorer.scores(instance.network, instance.theta, instance.x, None) * factor
    parts = []
    for layer in instance.network.layers:
        inside = np.array([int(j in layer) for j in range(instance.network.parameters)])
        theta = instance.theta * (1 - inside) + instance.theta * factor * inside
        parts.append(equal(scorer.scores(instance.network, theta, instance.x, None), before))
    return all_of(*parts).when(per_instance(every_weight_flows(instance), 1))


@claim(
    about=UniformNetwork,
    source=Source(None, "float32 evaluation of SynFlow and SynFlow-L2"),
    status=Status.REFUTED,
    twin="synaptic-flow/layer-rescaling",
)
def float32_range(instance: UniformNetwork) -> Relation:
    r"""The scores of deep networks stay finite and nonzero in float32.

    The exact score $(m\,|w|^q)^L/m$ of depth $L$, width $m$ ($q = 1$: SynFlow, $q = 2$: SynFlow-L2) is a
    positive number; in float32 it overflows, or underflows, from some depth on.
    """
    fine = [
        bool(np.all(np.isfinite(s) & (s > 0))) and instance.exact_scores(q) > 0
        for q in (1, 2)
        for s in (instance.float32_scores(q),)
    ]
    return holds(all(fine), "finite and nonzero")
