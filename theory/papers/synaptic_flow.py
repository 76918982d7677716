r"""Synaptic flow and layer collapse (Tanaka, Kunin, Yamins, Ganguli 2020, arXiv 2006.05467).

Scores of the form $S = \theta \odot \partial R/\partial\theta$, with $R$ a function of the outputs, are
conserved: at units and over cuts. A *layer* of a graph with skips is a cut, a set of edges that every
path from an input (or the constant unit) to an output crosses once. *Layer collapse*: a cut loses all
its weights although the target density still allows a whole path. SynFlow:
$R = \sum_p |v_p|$, the network with weights $|\theta|$ on the input of ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from theory.claims import Assumption, Source, Status, claim
from theory.cuts import by_edge, cut_matrix, parameter_cuts
from theory.instances import Instance, array, per_instance
from theory.networks import Builder, Network, forward, jacobian, mlp
from theory.papers.sources import PATH_EXCLUSION, SYNAPTIC_FLOW
from theory.paths import NetworkOnData, on_path
from theory.pruning import PruningRun, released_count
from theory.relations import Relation, all_of, equal, holds, nonnegative
from theory.saliency import scorer_named
from theory.scalars import Array, absolute, indicator, ones, rational, total

CONSERVED = ("synflow", "synflow-l2", "px")
"""The scorers whose cuts sum to their objective."""


# -- conservation ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ObjectiveOnNetwork(NetworkOnData):
    """A network on data, and the gradient dR/dy of an objective of its outputs, shape (..., n, K)."""

    title: ClassVar[str] = "objective of a network's outputs"

    gradient: Array = array(2)

    def valid(self) -> Any:
        """Whether ``gradient`` has one entry for each sample and output."""
        return self.gradient.shape[-2:] == (self.x.shape[-2], len(self.network.outputs))

    @cached_property
    def edge_scores(self) -> Array:
        """Value of each edge times the derivative of R by it, shape (..., E)."""
        network, values = by_edge(self.network, self.theta)
        j = jacobian(network, values, forward(network, values, self.x))
        return values * total(self.gradient[..., None] * j, axis=(-3, -2))


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
    parts = [equal(_over(cuts, instance.edge_scores), np.asarray(flow)[..., None], "dR/dy, y")]
    network, values = by_edge(instance.network, instance.theta)
    for name in CONSERVED:
        scorer = scorer_named(name)
        objective = total(scorer.path_weights(network, values, instance.x, None), axis=-1)
        edge_scores = scorer.scores(network, values, instance.x, None)
        parts.append(equal(_over(cuts, edge_scores), np.asarray(objective)[..., None], name))
    return all_of(*parts)


def _over(sets: np.ndarray, scores: Array) -> Array:
    """Sums of scores (..., E) over sets (C, E), shape (..., C)."""
    return total(scores[..., None, :] * sets, axis=-1)


def _layer_sums(network: Network, scores: Array) -> Array:
    return np.stack([np.asarray(total(scores[..., list(layer)], axis=-1)) for layer in network.layers], axis=-1)


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
    return equal(_layer_sums(instance.network, scores), np.asarray(flow)[..., None]).when(
        per_instance(_every_weight_flows(instance), 1)
    )


def _every_weight_flows(instance: Any) -> Any:
    """Whether no weight is 0 and each stands on a path; without that a score of 0 would be no news."""
    on_paths = bool((on_path(instance.network) > 0).any(axis=0).all())
    return np.asarray(instance.theta != 0, dtype=bool).all(axis=-1) & on_paths


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
    return _no_layer_collapse(run).when(_every_weight_flows(run))


def _scores_of_each_round(run: PruningRun) -> Array:
    """Scores computed anew on the network that each round starts from, whether or not the run uses them."""
    before = run.masks_before()
    return np.stack([run.scores_at(before[..., r, :]) for r in range(before.shape[-2])], axis=-2)


def _nonnegative(run: PruningRun) -> Any:
    return np.asarray(_scores_of_each_round(run) >= 0, dtype=bool).all(axis=(-2, -1))


def _nonzero(run: PruningRun) -> Any:
    on_some_path = (on_path(run.network) > 0).any(axis=0)
    return np.asarray((run.scores_by_round()[..., 0, :] != 0) | ~on_some_path, dtype=bool).all(axis=-1)


def _conserved(run: PruningRun) -> Any:
    sums = _over(parameter_cuts(run.network), _scores_of_each_round(run))
    return np.asarray(sums == run.objective_by_round()[..., None], dtype=bool).all(axis=(-2, -1))


def _paths_unchanged(run: PruningRun) -> Any:
    before = run.masks_before()
    whole = (before[..., None, :] | ~(on_path(run.network) > 0)).all(axis=-1)
    dense = run.path_weights_at(np.ones(run.theta.shape, dtype=bool))
    expected = dense[..., None, :] * indicator(whole, run.theta)
    return np.asarray(run.path_weights_by_round() == expected, dtype=bool).all(axis=(-2, -1))


def _slow(run: PruningRun) -> bool:
    counts = (run.weights, *run.kept_by_round())
    longest = run.longest_path()
    return all(a - b <= 1 or (a - b) * longest < a for a, b in pairwise(counts))


def _on(c: Any, run: PruningRun, network: Network, **changes: Any) -> PruningRun:
    """The run on another network, its weights drawn anew and none of them zero."""
    theta = c.numbers((network.parameters,))
    theta = theta + indicator(theta == 0, theta) * c.positives((network.parameters,))
    changed = run.with_(network=network, theta=theta, x=c.numbers((1, len(network.inputs))), keep=1, **changes)
    return changed.with_(keep=c.integer(1, max(1, changed.weights - 1)))


def _plain(c: Any) -> Network:
    return mlp([c.integer(1, 2), c.integer(1, 2), c.integer(1, 3)])


def _biased(c: Any) -> Network:
    return mlp([c.integer(1, 2), c.integer(1, 3), c.integer(1, 2)], bias=True)


def _with_shortcut(c: Any) -> Network:
    b = Builder(c.integer(1, 2))
    hidden = b.dense(b.inputs, c.integer(1, 2), kind="relu")
    return b.network(b.dense((*hidden, *b.inputs), 1))


nonnegative_scores = Assumption(
    "nonnegative-scores",
    "no score is negative in any round",
    _nonnegative,
    lambda c, run: run.with_(scorer="synflow-signed"),
)
nonzero_scores = Assumption(
    "nonzero-scores",
    "in the dense network no weight that stands on a path has score 0",
    _nonzero,
    lambda c, run: run.with_(theta=run.theta * c.integers((run.network.parameters,), 0, 1)),
)
conserved_scores = Assumption(
    "conserved-scores",
    "in every round the scores of each cut sum to the objective",
    _conserved,
    lambda c, run: run.with_(scorer=c.pick(("magnitude", "snip"))),
)
global_masking = Assumption(
    "global-masking",
    "weights of all layers compete with one another",
    lambda run: run.scope == "global",
    lambda c, run: _on(c, run, mlp([c.integer(2, 3), 2, c.integer(1, 3)]), scope="layerwise"),
)
rescored = Assumption(
    "rescored",
    "the scores are computed anew in every round",
    lambda run: run.rescore,
    lambda c, run: _on(c, run, _plain(c), rescore=False),
)
slow_schedule = Assumption(
    "slow-schedule",
    "a round prunes one weight, or q with q times the longest path below the weights it starts with",
    _slow,
    lambda c, run: run.with_(schedule=c.pick(("one-shot", "linear", "exponential")), rounds=c.integer(1, 2)),
)
ties_broken = Assumption(
    "ties-broken",
    "of tied weights only as many go as are to be pruned",
    lambda run: run.rule == "by-index",
    lambda c, run: run.with_(rule="threshold-released"),
)
everything_scored = Assumption(
    "everything-scored",
    "every parameter is scored and can be pruned, biases included",
    lambda run: bool(run.prunable.all()),
    lambda c, run: _on(c, run, _biased(c), scored="weights"),
)
objective_of_surviving_paths = Assumption(
    "objective-of-surviving-paths",
    "the objective of the pruned network is that of the surviving paths: path weights do not depend on the mask",
    _paths_unchanged,
    lambda c, run: _on(c, run, _plain(c), scorer="px"),
)
equal_path_lengths = Assumption(
    "equal-path-lengths",
    "every input-output path holds the same number of weights",
    lambda run: run.smallest_path() == run.longest_path(),
    lambda c, run: _on(c, run, _with_shortcut(c) if c.flip() else _biased(c)),
)
THEOREM = (
    nonnegative_scores, nonzero_scores, conserved_scores, global_masking, rescored, slow_schedule, ties_broken,
    everything_scored, objective_of_surviving_paths, equal_path_lengths,
)  # fmt: skip
"""The assumptions of the theorem of maximal critical compression."""


@claim(
    about=PruningRun,
    source=Source(SYNAPTIC_FLOW, "theorem on maximal critical compression (seed); three assumptions are ours"),
    status=Status.PROVED,
    assumes=THEOREM,
    twin="synaptic-flow/positive-scores-suffice",
    draws={
        "scorers": ("synflow", "synflow-l2", "px-frozen"),
        "schedules": ("one-at-a-time", "one-at-a-time", "linear", "exponential"),
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
    return equal(_kept(run), run.keep).when(_every_weight_flows(run))


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


def _miscounted(c: Any, run: PruningRun) -> PruningRun:
    """One dense layer of a few weights, and a number to keep at which float64 miscounts."""
    wrong = [(n, k) for n in range(2, 9) for k in range(1, n) if released_count(k / n, n) != n - k]
    count, keep = c.pick(wrong)
    return _on(c, run, mlp([1, count])).with_(keep=keep)


def _negative(c: Any, run: PruningRun) -> PruningRun:
    """One dense layer of negative weights, scored with their sign."""
    changed = _on(c, run, mlp([c.integer(1, 2), c.integer(2, 3)]), scorer="synflow-signed", rounds=c.integer(2, 4))
    return changed.with_(theta=-absolute(changed.theta), schedule="linear")


def _distinct(run: PruningRun) -> Any:
    ordered = np.sort(run.scores_by_round()[..., 0, run.prunable], axis=-1)
    return np.asarray(ordered[..., 1:] != ordered[..., :-1], dtype=bool).all(axis=-1)


@claim(
    about=PruningRun,
    source=Source(None, "the repaired form of synaptic-flow/released-threshold-keeps-the-target"),
    status=Status.PROVED,
    assumes=(
        Assumption(
            "distinct-scores", "no two scores are equal", _distinct, lambda c, run: run.with_(theta=0 * run.theta + 1)
        ),
        Assumption(
            "count-is-exact",
            "int((1 - k/N) * N) is N - k in float64",
            lambda run: released_count(run.keep / run.weights, run.weights) == run.weights - run.keep,
            _miscounted,
        ),
    ),
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


def _vanishing(run: PruningRun) -> Any:
    return np.asarray((run.scores_by_round() == 0) | run.masks_before(), dtype=bool).all(axis=(-2, -1))


@claim(
    about=PruningRun,
    source=Source(SYNAPTIC_FLOW, "released code, from its description"),
    status=Status.PROVED,
    assumes=(
        Assumption(
            "nonnegative-scores",
            "no score is negative",
            lambda run: np.asarray(run.scores_by_round() >= 0, dtype=bool).all(axis=(-2, -1)),
            _negative,
        ),
        Assumption(
            "scores-vanish-when-masked",
            "a masked weight has score 0",
            _vanishing,
            lambda c, run: _on(
                c, run, _plain(c), scorer=c.pick(("synflow-without-theta", "synflow-l2-without-theta")), rounds=3
            ),
        ),
    ),
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
    sums = _layer_sums(instance.network, scores)
    return equal(sums[..., 1:], sums[..., :-1])


@claim(
    about=NetworkOnData,
    source=Source(SYNAPTIC_FLOW, "definition of SynFlow; a question of users of the public code"),
    status=Status.PROVED,
    twin="synaptic-flow/signed-scores-are-nonnegative",
)
def why_absolute_values(instance: NetworkOnData) -> Relation:
    r"""With $|\theta|$ the score is nonnegative, and another abs() around it changes nothing.

    $S_j = |\theta_j|\, \partial R/\partial|\theta_j| \ge 0$, so $|S_j| = S_j$, for $R$ the sum of the
    outputs of the network with weights $|\theta|$ on the input of ones.

    Proof. $R$ is built from nonnegative numbers by sums, products and maxima: it grows with each $|\theta_j|$.
    """
    score = _flow_by_gradient(instance.network, absolute(instance.theta))
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
    return nonnegative(_flow_by_gradient(instance.network, instance.theta))


def _flow_by_gradient(network: Network, theta: Array) -> Array:
    """Theta * d(sum of outputs)/dtheta on the input of ones, shape (..., N)."""
    x = ones((*theta.shape[:-1], 1, len(network.inputs)), theta)
    return theta * total(jacobian(network, theta, forward(network, theta, x)), axis=(-3, -2))


# -- the range of floating point ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class RescaledNetwork(NetworkOnData):
    """A network on data and a factor by which one cut is scaled, shape (...)."""

    title: ClassVar[str] = "network rescaled at a cut"

    factor: Array = array(0)


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
    return all_of(*parts)


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
    return all_of(*parts).when(per_instance(_every_weight_flows(instance), 1))


@dataclass(frozen=True, eq=False)
class UniformNetwork(Instance):
    """A deep MLP without biases, ``width`` units in every layer, every weight of size ``scale``.

    The size is that of a Kaiming initialisation, 1 <= width * scale^2 <= 4 (it sets 2).
    """

    title: ClassVar[str] = "deep network with weights of one size"
    stackable: ClassVar[bool] = False

    depth: int
    width: int
    scale: Array = array(0)

    def valid(self) -> Any:
        """Whether the weights have the size of an initialisation and float32 holds them exactly."""
        w = rational(np.asarray(self.scale)[()])
        held = np.float32(float(int(w.p)) / float(int(w.q)))
        return bool(
            self.depth >= 1
            and self.width >= 1
            and w > 0
            and 1 <= self.width * w * w <= 4
            and rational(float(held)) == w
        )

    def exact_scores(self, power: int) -> Any:
        """SynFlow (power 1) or SynFlow-L2 (power 2) score of every weight, the same for all: exact."""
        w = rational(np.asarray(self.scale)[()]) ** power
        return (self.width * w) ** self.depth / self.width

    def float32_scores(self, power: int) -> np.ndarray:
        """The same by a forward and a backward pass in float32, one entry a layer."""
        w = rational(np.asarray(self.scale)[()])
        weight = np.float32(float(int(w.p)) / float(int(w.q)))
        with np.errstate(all="ignore"):
            weight = np.float32(weight**power)
            activations = [np.float32(1)]
            for _ in range(self.depth):
                activations.append(_sum32(weight * activations[-1], self.width))
            # By symmetry the gradients of the layers, from the last to the first, repeat the activations.
            gradients = activations[: self.depth][::-1]
            scores = [weight * g * a for g, a in zip(gradients, activations, strict=False)]
            return np.array(scores, dtype=np.float32)


def _sum32(term: np.float32, count: int) -> np.float32:
    return np.float32(np.full(count, term, dtype=np.float32).sum(dtype=np.float32))


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
