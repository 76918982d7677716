r"""Path eXclusion (Iurada, Ciccone, Tommasi, arXiv 2406.01820).

A piecewise-linear network $f$ with weights $\theta$ on inputs $X$. A path $p$ from an input $s$ to an
output $k$ has the value $v_p$, the product of its weights, and is active, $a_p(x) = 1$, if every ReLU
on it is on: $f^k(x) = \sum_s \sum_{p \in P(s \to k)} v_p(\theta)\, a_p(x, \theta)\, x_s$. Rows of $J_v^f$:
$a_p(x) x_s$ on the paths that end in $k$; $J_\theta^v$: $\partial v_p/\partial\theta_j$; $\Theta = JJ'$ with
$J = \partial f/\partial\theta$. $D_k = \|J_v^{f_k}\|_F^2$, $T_k = \|J_\theta^{v,k}\|_F^2$, $R_k = \sum_{p \to k}
v_p^2$. PX scores a weight by $S_j = \theta_j^2\, \partial_{\theta_j^2} \sum_k D_k R_k$, $D$ held fixed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from theory import auxiliary
from theory.claims import Assumption, Source, Status, claim
from theory.collapse import (
    THEOREM,
    conserved_scores,
    equal_path_lengths,
    everything_scored,
    global_masking,
    nonnegative_scores,
    nonzero_scores,
    rescored,
    slow_schedule,
    ties_broken,
)
from theory.cuts import parameter_cuts
from theory.descent import KernelDescent
from theory.experiments import PairedTrials
from theory.flows import over
from theory.guarded import GuardedRun, live, own_edges
from theory.instances import per_instance
from theory.networks import INPUT, LINEAR, RELU, Builder
from theory.papers.sources import PATH_EXCLUSION, SYNAPTIC_FLOW
from theory.paths import NetworkOnData, on_path
from theory.pruning import PruningRun
from theory.relations import Relation, all_of, at_most, equal, equivalent, holds, less, nonnegative, positive
from theory.released import NormalisedNetwork
from theory.saliency import masked_trace, path_exclusion_released
from theory.scalars import Array, absolute, indicator, total
from theory.smooth import SmoothNetwork

PIECEWISE = {"kinds": (RELU, LINEAR, "leaky")}
SMALL = {"families": ("mlp",), "depth": 2, "outputs": 2}


def _last(a: Array) -> Array:
    return total(a, axis=-1)


# -- the decomposition into paths -------------------------------------------------------------------


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "the formula of path decomposition"), status=Status.PROVED)
def path_decomposition(instance: NetworkOnData) -> Relation:
    r"""The output is a sum over active paths.

    $f^k(x) = \sum_s \sum_{p \in P(s \to k)} v_p(\theta)\, a_p(x,\theta)\, x_s$.

    Proof. With the gates fixed the network is linear in its units; expand the product layer by layer.
    Biases are paths from a constant input 1, the gate of a maximum is its argmax, normalisation in
    evaluation mode is affine. A leaky ReLU's gate is 1 or its slope.
    """
    rows = instance.path_activation_matrix() @ instance.path_values()[..., None]
    return equal(rows[..., 0].reshape(instance.outputs().shape), instance.outputs())


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "the NTK in terms of paths (seed)"), status=Status.PROVED)
def chain_rule(instance: NetworkOnData) -> Relation:
    r"""The neural tangent kernel is the path kernel seen through the active paths.

    $\Theta(X,X) = J_v^f\, \Pi_\theta\, {J_v^f}'$ with $\Pi_\theta = J_\theta^v {J_\theta^v}'$; $J_\theta^v$ is the true
    derivative of $v_p$ where a weight is used on several edges.

    Proof. $J = J_v^f J_\theta^v$, the gates being locally constant. On a kink both sides are formal, and still agree.
    """
    j = instance.path_activation_matrix()
    return equal(j @ instance.path_kernel() @ np.swapaxes(j, -1, -2), instance.ntk())


@claim(about=NetworkOnData, source=Source(None, "what an automatic gradient is taken for"), status=Status.REFUTED,
       draws={"families": ("convolution",), "kinds": (RELU,), "outputs": 1, "samples": 1, "width": 2,
              "units": True})  # fmt: skip
def kinks(instance: NetworkOnData) -> Relation:
    r"""Where the network is differentiable in its weights, the automatic gradient is the derivative.

    False where a pre-activation is exactly 0: $f = \mathrm{relu}(wx) - \mathrm{relu}(-wx) = wx$ at $w = 0$ has the
    formal gradient 0 and the derivative $x$. Instances on a kink are recognised and set apart.
    """
    return equal(instance.jacobian(), instance.derivative()).when(per_instance(instance.differentiable(), 3))


# -- the bound on the trace ---------------------------------------------------------------------------


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "the trace bound (seed)"), status=Status.PROVED)
def trace_bound(instance: NetworkOnData) -> Relation:
    r"""The NTK's trace is at most path activation times path kernel.

    $\operatorname{tr}\Theta(X, X) \le \|J_v^f(X)\|_F^2 \, \|J_\theta^v\|_F^2$.

    Proof. $J = J_v^f J_\theta^v$ by the chain rule, and the Frobenius norm is submultiplicative.
    Equality on networks with a single path. With formal gradients it holds on kinks as well.
    """
    return at_most(instance.ntk_trace(), instance.path_activation() * instance.path_kernel_trace())


@claim(about=NetworkOnData, source=Source(None, "sharper than the trace bound"), status=Status.PROVED)
def trace_bound_per_output(instance: NetworkOnData) -> Relation:
    r"""The bound holds output by output.

    $\operatorname{tr}\Theta \le \sum_k D_k T_k \le (\sum_k D_k)(\sum_k T_k)$.

    Proof. The trace is the sum of the traces of single outputs, and the trace bound holds for each.
    """
    per_output = instance.activation_per_output() * instance.kernel_per_output()
    return all_of(
        at_most(instance.ntk_trace(), _last(per_output), "per output"),
        at_most(_last(per_output), instance.path_activation() * instance.path_kernel_trace(), "product"),
    )


def _equal_activations(instance: NetworkOnData) -> Any:
    d = instance.activation_per_output()
    return np.asarray(d == d[..., :1], dtype=bool).all(axis=-1)


def _separate_heads(c: Any, instance: NetworkOnData) -> NetworkOnData:
    b = Builder(2)
    net = b.network((*b.dense(b.dense(b.inputs[:1], 1), 1), *b.dense(b.inputs[1:], 1)))
    return NetworkOnData(net, c.numbers((3,)), c.numbers((1, 2)))


equal_activations = Assumption(
    "equal-activations",
    "D_k is the same for all outputs, as under a dense last layer",
    _equal_activations,
    _separate_heads,
)


@claim(about=NetworkOnData, source=Source(None, "the product bound is loose by the number of outputs"),
       status=Status.PROVED, assumes=(equal_activations,), draws={"families": ("mlp", "mlp-bias")},
       twin="path-exclusion/trace-bound")  # fmt: skip
def trace_bound_divided_by_outputs(instance: NetworkOnData) -> Relation:
    r"""With a dense last layer the bound can be divided by the number of outputs.

    $\operatorname{tr}\Theta \le \frac1K (\sum_k D_k)(\sum_k T_k)$ if all $D_k$ are equal.

    Proof. $\sum_k D_k T_k = D \sum_k T_k$ with $D = \frac1K \sum_k D_k$.
    """
    outputs = len(instance.network.outputs)
    return at_most(instance.ntk_trace(), instance.path_activation() * instance.path_kernel_trace() / outputs)


@claim(about=NetworkOnData, source=Source(None, "Cauchy-Schwarz path by path"), status=Status.PROVED,
       draws={"samples": 2, "width": 2})  # fmt: skip
def trace_bound_per_sample(instance: NetworkOnData) -> Relation:
    r"""Gates can be kept in both factors, sample by sample and parameter by parameter.

    $\operatorname{tr}\Theta \le B_{param} \le B_{sample} \le \sum_k D_k T_k$,
    $B_{sample} = \sum_{n,k} (\sum_p (a_p x)^2)(\sum_p [a_p \ne 0] |\nabla v_p|^2)$ over the paths to $k$, and
    $B_{param}$ the same with only the paths through $j$ in both factors, summed over $j$.

    Proof. Cauchy-Schwarz for each entry of $J$; then more nonnegative terms at each step.
    """
    per_output = _last(instance.bound_per_output())
    return all_of(
        at_most(instance.ntk_trace(), instance.bound_per_parameter(), "per parameter"),
        at_most(instance.bound_per_parameter(), instance.bound_per_sample(), "per sample"),
        at_most(instance.bound_per_sample(), per_output, "per output"),
    )


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "the objective taken for a bound"), status=Status.REFUTED,
       twin="path-exclusion/trace-bound-per-output", draws={"families": ("mlp",)})  # fmt: skip
def objective_is_a_bound(instance: NetworkOnData) -> Relation:
    r"""The objective $\sum_k D_k R_k$ itself bounds the trace.

    False: $f = wx$ with $w = 1/2$, $x = 1$ has trace 1 and objective 1/4. The bound needs $T_k$, the sum of the
    derivatives of $R_k$ by $\theta_j^2$.
    """
    return at_most(instance.ntk_trace(), _last(instance.activation_per_output() * instance.objective_per_output()))


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "paths start at inputs"), status=Status.REFUTED,
       twin="path-exclusion/trace-bound-per-output", draws={"families": ("mlp-bias",), "depth": 2})  # fmt: skip
def bias_paths(instance: NetworkOnData) -> Relation:
    r"""The bound for the weights holds when the paths from biases are left out.

    False: $f = \mathrm{relu}(wx + b)\,v$ at $x = 0$, $w = b = v = 1$: $\partial f/\partial v = 1$, and no path from the
    input is active with a nonzero input.
    """
    bias = {e.parameter for e in instance.network.edges if instance.network.units[e.source] == "one"}
    weights = [j for j in range(instance.network.parameters) if j not in bias]
    from_input = np.array([int(instance.network.units[s] == INPUT) for s in instance.paths.sources])
    inputs = instance.path_inputs() * from_input
    gradient = total(instance.path_jacobian() ** 2, axis=-1) * from_input
    d, t = instance._sum_by_output(total(inputs * inputs, axis=-2)), instance._sum_by_output(gradient)
    j = instance.jacobian()[..., weights]
    return at_most(total(j * j, axis=(-3, -2, -1)), _last(d * t))


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "a question of users of the public code"),
       status=Status.PROVED)  # fmt: skip
def kernel_sum_is_over_the_path(instance: NetworkOnData) -> Relation:
    r"""In the path kernel it does not matter whether one sums over all parameters or those on the path.

    $\sum_j (\partial v_p/\partial\theta_j)^2 = \sum_{j \in p} (\partial v_p/\partial\theta_j)^2$.

    Proof. $v_p$ does not depend on the others.
    """
    squares = instance.path_jacobian() ** 2
    return equal(total(squares, axis=-1), total(squares * (on_path(instance.network) > 0).astype(int), axis=-1))


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "a question of users of the public code"),
       status=Status.REFUTED, twin="path-exclusion/trace-bound-per-output", draws={"families": ("mlp",)})  # fmt: skip
def unsquared_data_bounds(instance: NetworkOnData) -> Relation:
    r"""The bound holds when the first auxiliary network is fed the absolute values of the data instead of its squares.

    False: $f = wx$ at $x = 2$ has the trace 4, and $|x| T = 2$.
    """
    unsquared = instance._sum_by_output(total(np.abs(instance.path_inputs()), axis=-2))
    return at_most(instance.ntk_trace(), _last(unsquared * instance.kernel_per_output()))


# -- without enumeration ------------------------------------------------------------------------------


def _twice(c: Any, instance: NetworkOnData) -> NetworkOnData:
    b = Builder(1)
    (w,) = b.new_parameters(1)
    hidden, out = b.unit(RELU), b.unit(LINEAR)
    b.connect(0, hidden, w)
    b.connect(hidden, out, w)
    return NetworkOnData(b.network((out,)), c.positives((1,)), c.positives((1, 1)))


no_weight_twice = Assumption(
    "no-weight-twice", "no weight stands twice on one path",
    lambda i: bool((on_path(i.network) <= 1).all()), _twice,
)  # fmt: skip


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "the path kernel by one gradient (seed)"),
       status=Status.PROVED, assumes=(no_weight_twice,))  # fmt: skip
def kernel_by_gradient(instance: NetworkOnData) -> Relation:
    r"""The path kernel is the gradient of the squared network, summed.

    $T_k = \|\nabla_{\theta^2} R_k\|_1$, at zero weights too, if no weight stands twice on one path. With $f = w\,
    \mathrm{relu}(wx)$ it is not, and the bound computed so is below the trace.

    Proof. $R_k$ is then linear in each $\theta_j^2$, with coefficient $\sum_{p \ni j} (v_p/\theta_j)^2$.
    """
    return equal(instance.kernel_by_gradient(), instance.kernel_per_output())


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "the path kernel by one gradient, on recurrent networks"),
       status=Status.REFUTED, twin="path-exclusion/kernel-by-gradient", draws={"families": ("recurrent",)})  # fmt: skip
def gradient_kernel_bounds_the_trace(instance: NetworkOnData) -> Relation:
    r"""The bound with the kernel by gradient holds whatever weights are shared.

    $\operatorname{tr}\Theta \le \sum_k D_k \|\nabla_{\theta^2} R_k\|_1$. False if a weight stands twice on a path: for
    $f = w\,\mathrm{relu}(wx)$, $w = x = 1$, the trace is 4 and this bound 2.
    """
    return at_most(instance.ntk_trace(), _last(instance.activation_per_output() * instance.kernel_by_gradient()))


@claim(about=NetworkOnData, source=Source(None, "convolutions: paths over positions, kernels over weights"),
       status=Status.REFUTED, twin="path-exclusion/trace-bound-per-output",
       draws={"families": ("pooled-convolution",), "outputs": 1})  # fmt: skip
def kernel_over_distinct_weights(instance: NetworkOnData) -> Relation:
    r"""In the kernel of a convolutional network, paths with the same weights count once.

    False: activations are counted over positions, so kernels must be; a kernel of one weight on two positions that are
    added has trace 4 at $x = (1, 1)$, activation 2, and 1 as its only weight's share.
    """
    paths, edges = instance.paths, instance.network.edges
    first: dict[Any, int] = {}
    for p in range(len(paths)):
        weights = tuple(sorted(q for i in paths.edges[p] if (q := edges[i].parameter) is not None))
        first.setdefault((weights, paths.outputs[p]), p)
    counted = np.array([int(p in first.values()) for p in range(len(paths))])
    t = instance._sum_by_output(total(instance.path_jacobian() ** 2, axis=-1) * counted)
    return at_most(instance.ntk_trace(), _last(instance.activation_per_output() * t))


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "the two auxiliary networks (seed)"), status=Status.PROVED,
       twin="path-exclusion/auxiliary-same-architecture")  # fmt: skip
def auxiliary_networks(instance: NetworkOnData) -> Relation:
    r"""Two forward passes give $D_k$ and $R_k$.

    $D_k$: weights 1, input $x^2$, gates copied (squared), the argmax of a maximum with them. $R_k$: weights squared,
    input 1, every gate on, a maximum replaced by the sum over its window.

    Proof. Both networks are linear; expand them over paths.
    """
    return all_of(
        equal(instance.activation_by_forward(), instance.activation_per_output(), "D"),
        equal(instance.objective_by_forward(), instance.objective_per_output(), "R"),
    )


@claim(about=NetworkOnData, source=Source(None, "running the same architecture with squared weights"),
       status=Status.REFUTED, twin="path-exclusion/auxiliary-networks",
       draws={"families": ("deep-pool",), "kinds": (LINEAR,), "outputs": 1, "width": 2, "samples": 1})  # fmt: skip
def auxiliary_same_architecture(instance: NetworkOnData) -> Relation:
    r"""The same architecture with squared weights gives a bound on the trace.

    False with max pooling: the maximum of squares drops paths that are active on the data, and the bound falls below
    the trace.
    """
    kernel = auxiliary.kernel(instance.network, instance.theta, same_architecture=True)
    return at_most(instance.ntk_trace(), _last(instance.activation_per_output() * kernel))


# -- beyond piecewise-linear networks -------------------------------------------------------------------


@claim(about=SmoothNetwork, source=Source(None, "the bound used where its assumption fails"), status=Status.REFUTED,
       twin="path-exclusion/tanh-with-every-gate-on")  # fmt: skip
def beyond_piecewise_linear(instance: SmoothNetwork) -> Relation:
    r"""The formal bound (gate $[z > 0]$) holds for GELU, SiLU, sigmoid, tanh, layer norm, softmax, batch statistics.

    False for each of them: below 0 they pass something on, and their slope or value can exceed the identity's.
    """
    return at_most(instance.ntk_trace(), instance.formal_bound())


@claim(about=SmoothNetwork, source=Source(None, "slope and value of tanh against the identity"), status=Status.PROVED,
       draws={"units": ("tanh",)}, twin="path-exclusion/beyond-piecewise-linear",
       slack="tanh stays below the identity except at 0; equality is approached as the inputs go to 0")  # fmt: skip
def tanh_with_every_gate_on(instance: SmoothNetwork) -> Relation:
    r"""For tanh the bound holds if every gate counts as on.

    Proof. $|\tanh z| \le |z|$ and $|\tanh'| \le 1$: write $\tanh z = g z$ with $g \in [0, 1]$. Each entry of $J$ is a
    sum over paths with factors in $[0, 1]$ in place of gates; Cauchy-Schwarz as before.
    """
    return at_most(instance.ntk_trace(), instance.formal_bound(every_gate_on=True))


@claim(about=SmoothNetwork, source=Source(None, "slope and value of GELU and SiLU against the identity"),
       status=Status.REFUTED, draws={"units": ("gelu", "silu")},
       twin="path-exclusion/tanh-with-every-gate-on")  # fmt: skip
def gelu_with_every_gate_on(instance: SmoothNetwork) -> Relation:
    r"""For GELU and SiLU, too, the bound holds if every gate counts as on.

    False: their slope exceeds 1 for moderate arguments.
    """
    return at_most(instance.ntk_trace(), instance.formal_bound(every_gate_on=True))


# -- the saliency -------------------------------------------------------------------------------------


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "the saliency (seed)"), status=Status.PROVED,
       assumes=(no_weight_twice,))  # fmt: skip
def saliency(instance: NetworkOnData) -> Relation:
    r"""The PX score of a weight is the share of the objective that runs through it.

    $\theta_j^2 \, \partial_{\theta_j^2} \sum_k D_k R_k = \sum_k D_k \sum_{p \to k,\, p \ni j} v_p^2$.

    Proof. $R_k$ is linear in $\theta_j^2$ if no weight stands twice on one path, and $D$ is held fixed.
    """
    v, member = instance.path_values(), on_path(instance.network) > 0
    weight = v * v * instance.activation_per_output()[..., list(instance.paths.outputs)]
    return equal(instance.saliency_by_gradient(), total(weight[..., :, None] * member.astype(int), axis=-2))


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "positive scores (seed)"), status=Status.PROVED,
       twin="path-exclusion/positive-literal")  # fmt: skip
def saliency_nonnegative(instance: NetworkOnData) -> Relation:
    r"""PX scores are nonnegative, and positive exactly on the paths that can carry the objective.

    $S_j \ge 0$; $S_j > 0$ iff $j$ lies on a path with nonzero weights to an output $k$ with $D_k > 0$.

    Proof. A sum of products of squares.
    """
    s = instance.saliency_by_gradient()
    carried = np.asarray(instance.path_values() != 0, dtype=bool)
    seen = np.asarray(instance.activation_per_output() > 0, dtype=bool)[..., list(instance.paths.outputs)]
    carries = ((carried & seen)[..., None] & (on_path(instance.network) > 0)).any(axis=-2)
    return nonnegative(s, "nonnegative") & equivalent(s > 0, carries, "positive where")


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "assigns only positive scores (seed)"),
       status=Status.REFUTED, twin="path-exclusion/saliency-nonnegative", draws={"families": ("mlp",)})  # fmt: skip
def positive_literal(instance: NetworkOnData) -> Relation:
    r"""PX assigns only positive scores.

    False: weights on no path of nonzero weights, and networks with every gate off on the data, have score 0.
    """
    return positive(instance.saliency_by_gradient())


@claim(about=NetworkOnData, source=Source(None, "how the data enters PX"), status=Status.PROVED)
def data_enters_through_outputs(instance: NetworkOnData) -> Relation:
    r"""The data enters the PX scores only through the $K$ numbers $D_1, \dots, D_K$.

    $S = \sum_k D_k S^{(k)}$, with $S^{(k)}$ the SynFlow-L2 scores of output $k$ alone.

    Proof. The definition, with $R = R_k$ alone.
    """
    v, member, ends = instance.path_values(), on_path(instance.network), np.array(instance.paths.outputs)
    parts = []
    for k in range(len(instance.network.outputs)):
        alone = total((v * v * (ends == k).astype(int))[..., :, None] * member, axis=-2)
        parts.append(instance.activation_per_output()[..., k, None] * alone)
    return equal(instance.saliency("px"), sum(parts[1:], parts[0]))


@claim(about=NetworkOnData, source=Source(None, "consequence of data-enters-through-outputs"), status=Status.PROVED,
       assumes=(equal_activations,), draws={"families": ("mlp", "mlp-bias", "pool", "convolution")})  # fmt: skip
def reduces_to_synflow_l2(instance: NetworkOnData) -> Relation:
    r"""If all $D_k$ are equal, as under a dense last layer, PX ranks weights as SynFlow-L2 does.

    $S = D\, S^{\text{SynFlow-L2}}$: the first PX round on a network with a dense last layer does not depend on the
    data. Later rounds do only as far as pruning has thinned the last layer.
    """
    d = instance.activation_per_output()[..., :1]
    return equal(instance.saliency("px"), d * instance.saliency("synflow-l2"))


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "conservation (seed)"), status=Status.PROVED)
def saliency_conservation(instance: NetworkOnData) -> Relation:
    r"""PX scores sum to the objective on every cut.

    $\sum_{j \in C} S_j = \sum_k D_k R_k$ for every set $C$ of weights that every path meets once, $D$ held fixed.

    Proof. Every path is counted once.
    """
    objective = _last(instance.activation_per_output() * instance.objective_per_output())
    cuts = parameter_cuts(instance.network)
    return equal(over(cuts, instance.saliency("px")), np.asarray(objective)[..., None]).when(bool(len(cuts)))


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "a question of users of the public code"),
       status=Status.REFUTED, twin="path-exclusion/saliency-conservation", draws={"families": ("mlp",)})  # fmt: skip
def score_without_theta_ranks_the_same(instance: NetworkOnData) -> Relation:
    r"""Multiplying by $\theta_j^2$ does not change the ranking: $\partial_{\theta_j^2} \sum_k D_k R_k$ ranks alike.

    False already on a chain: with weights $a$, $b$ both scores are $D a^2 b^2$, the derivatives $D b^2$ and $D a^2$.
    Without the factor the scores of a cut no longer sum to the objective, and a weight of 0 can have a large one.
    """
    with_theta, without = instance.saliency("px"), instance.saliency("px-without-theta")
    (low, high), (low_without, high_without) = _pairwise(with_theta), _pairwise(without)
    return at_most(low_without, high_without).when(np.asarray(low <= high, dtype=bool))


# -- layer collapse -----------------------------------------------------------------------------------

LITERAL = (nonnegative_scores, nonzero_scores, conserved_scores, global_masking, rescored, slow_schedule, ties_broken,
           everything_scored, equal_path_lengths)  # fmt: skip
"""The theorem's assumptions as its source states them: without the one that PX does not satisfy."""
RUNS = {"layers": 2, "nonzero": True, "width": 2, "samples": 2}


def _keeps_a_path(run: PruningRun) -> Relation:
    kept = np.array(run.kept_by_round())
    return holds(run.alive_by_round() | (kept < run.smallest_path()), "some path keeps all its weights")


@claim(about=PruningRun, source=Source(PATH_EXCLUSION, "positive saliency scores prevent layer collapse (seed)"),
       status=Status.REFUTED, assumes=LITERAL, twin="path-exclusion/frozen-activation-never-collapses",
       draws={**RUNS, "scorers": ("px",)})  # fmt: skip
def no_collapse_literal(run: PruningRun) -> Relation:
    r"""Iterated PX never empties a layer before the critical compression.

    False. The gates are measured on the pruned network: pruning can switch off every remaining path, all scores are
    then 0, and the next round empties a layer. The theorem of maximal critical compression assumes, in silence, that
    the objective of the pruned network is that of its surviving paths.
    """
    return _keeps_a_path(run)


@claim(about=PruningRun, source=Source(PATH_EXCLUSION, "positive saliency scores prevent layer collapse (seed)"),
       status=Status.REFUTED, assumes=LITERAL, twin="path-exclusion/guarded-pruning-keeps-a-live-path",
       draws={**RUNS, "scorers": ("px",), "outputs": 2, "samples": 1})  # fmt: skip
def stays_alive_literal(run: PruningRun) -> Relation:
    r"""Iterated PX never reaches an objective of 0 before the critical compression.

    False: with a first layer $(-3, 2)$ on $x = (1, 2)$ the smaller weight is what keeps the ReLU on. The network is
    then constant on the data.
    """
    return positive(run.final_objective()).when(run.keep >= run.smallest_path())


@claim(about=PruningRun, source=Source(None, "what is left of the theorem for PX"), status=Status.PROVED,
       assumes=tuple(a for a in LITERAL if a is not nonzero_scores), twin="path-exclusion/no-collapse-literal",
       draws={**RUNS, "scorers": ("px",)})  # fmt: skip
def collapse_only_after_death(run: PruningRun) -> Relation:
    r"""A round of PX that starts with a positive objective leaves a whole path.

    So PX empties a cut only after the network has died on the data, when all scores are 0 and what goes next is a
    matter of how ties are broken. Proof. Within a round the path weights $D_k v_p^2$ are fixed numbers; what is removed
    scores less than a cut, the objective, so by the union bound some path of positive weight keeps all its weights.
    """
    kept = np.array(run.kept_by_round())
    dead = np.asarray(run.objective_by_round() == 0, dtype=bool)
    return holds(run.alive_by_round() | dead | (kept < run.smallest_path()), "a path is left, or the objective was 0")


@claim(about=PruningRun, source=Source(SYNAPTIC_FLOW, "the theorem, applied to PX with frozen activation"),
       status=Status.PROVED, assumes=THEOREM, twin="path-exclusion/no-collapse-literal",
       draws={**RUNS, "scorers": ("px-frozen",), "nonzero": False})  # fmt: skip
def frozen_activation_never_collapses(run: PruningRun) -> Relation:
    r"""PX with the activations $D_k$ of the dense network, held fixed, keeps a path up to the critical compression.

    Proof. Its path weights $D_k v_p^2$ do not depend on the mask, so `synaptic-flow/maximal-critical-compression`
    applies. It keeps every cut; it does not keep the network alive on the data.
    """
    return _keeps_a_path(run)


@claim(about=PruningRun, source=Source(None, "frozen activation and live paths"), status=Status.REFUTED,
       assumes=LITERAL, twin="path-exclusion/guarded-pruning-keeps-a-live-path",
       draws={**RUNS, "scorers": ("px-frozen",), "samples": 1})  # fmt: skip
def frozen_activation_stays_alive(run: PruningRun) -> Relation:
    r"""PX with frozen activation keeps a path that is active on the data.

    False: the ReLUs of the surviving path may be off.
    """
    return holds(live(run, run.final_mask())).when(run.keep >= run.smallest_path())


def _dead(c: Any, run: PruningRun) -> PruningRun:
    return run.with_(x=run.x * 0)


starts_live = Assumption(
    "starts-live", "some path of the dense network is live: nonzero weights, gates on, nonzero input",
    lambda run: live(run, np.ones(run.theta.shape, dtype=bool)), _dead,
)  # fmt: skip


@claim(about=GuardedRun, source=Source(None, "a rule with a guarantee"), status=Status.PROVED, assumes=(starts_live,),
       twin="path-exclusion/stays-alive-literal",
       draws={"scorers": ("px", "magnitude", "synflow-l2"), "layers": 2, "width": 2})  # fmt: skip
def guarded_pruning_keeps_a_live_path(run: GuardedRun) -> Relation:
    r"""A run that skips removals which leave no live path stays live, and still reaches its target.

    One weight a round: of the remaining ones by rising score, the first whose removal leaves some path live on the
    data. On networks in which every edge has a weight of its own and no unit is a maximum it reaches every target of
    at least the longest path.

    Proof. At a unit that is on, some contribution is positive; following these back gives a path $P$ that is live by
    itself. If weights outside $P$ enter its units, take the unit nearest to the output: a negative contribution may go,
    or, if there is none, a positive one, since what $P$ contributes stays positive; units of $P$ behind it receive only
    $P$. If none enters, any other weight may go. So a removal exists until only $P$ is left.
    """
    masks = run.masks()
    stays = [bool(live(run, masks[r])) for r in range(len(masks))]
    reached = masks[-1].sum() <= max(run.keep, run.longest_path()) or not run.own_edges()
    return holds(np.array(stays), "stays live") & holds(reached, "reaches the target")


def _outputs_left(run: PruningRun) -> Array:
    """Number of outputs to which some path keeps all its weights at the end, shape (...)."""
    whole, ends = run.surviving_paths()[..., -1, :], np.array(run.paths.outputs)
    kept = np.stack([whole[..., ends == k].any(axis=-1) for k in range(len(run.network.outputs))], axis=-1)
    return np.asarray(total(indicator(kept, run.theta), axis=-1))


@claim(about=PruningRun, source=Source(None, "what iterating PX does to outputs"), status=Status.REFUTED,
       twin="path-exclusion/data-enters-through-outputs",
       draws={**RUNS, "scorers": ("px",), "outputs": 2, "layers": 1, "depth": 2, "samples": 1})  # fmt: skip
def leaves_as_many_outputs_as_synflow_l2(run: PruningRun) -> Relation:
    r"""Iterated PX leaves paths to at least as many outputs as SynFlow-L2, if its objective stays positive.

    False: $D_k$ counts the paths that pruning has left to output $k$, so an output that loses paths weighs less in the
    next round, and loses more.
    """
    ours, theirs = _outputs_left(run), _outputs_left(run.with_(scorer="synflow-l2"))
    return at_most(theirs, ours).when(np.asarray(run.final_objective() > 0, dtype=bool))


def _hidden_relu(run: PruningRun) -> bool:
    n = run.network
    hidden = [u for i, u in enumerate(n.units) if i not in n.inputs and i not in n.outputs]
    return own_edges(n) and all(u == RELU for u in hidden) and len(set(run.path_lengths())) == 1


@claim(about=PruningRun, source=Source(None, "a scorer with a guarantee, on the trace itself"), status=Status.PROVED,
       assumes=(starts_live,), twin="path-exclusion/stays-alive-literal",
       draws={**RUNS, "scorers": ("trace-loss",), "families": ("mlp",), "kinds": (RELU,), "samples": 2,
              "nonzero": True})  # fmt: skip
def trace_greedy_stays_alive(run: PruningRun) -> Relation:
    r"""On a ReLU network, removing one at a time what costs the least trace never brings the trace to 0.

    Down to the critical compression, for perceptrons of ReLU units with nonzero weights and a live path.

    Proof. While a live path and more weights than one path's are left, some removal leaves a live path (the proof of
    `guarded-pruning-keeps-a-live-path`). A live path makes the trace positive: its last hidden unit is on, so the
    derivative by the path's last weight is that unit's value, above 0. And a positive trace needs a live path. So the
    largest trace after one removal is positive.
    """
    after = masked_trace(run.network, run.masked(run.final_mask()), run.x)
    return positive(after).when(_hidden_relu(run) and run.keep >= run.smallest_path())


@claim(about=NetworkOnData, source=Source(None, "the share of a path in the outputs"), status=Status.PROVED,
       draws=SMALL)  # fmt: skip
def energy_saliency_is_positive_on_live_paths(instance: NetworkOnData) -> Relation:
    r"""The energy $\sum_{n}\sum_{p \ni j} (a_p(x_n) x_n v_p)^2$ of a weight is positive exactly on live paths.

    It is never negative, and it is 0 for a weight on no path that is open on the data with nonzero weights: what PX's
    score asks of two paths, one active and one with nonzero weights, it asks of one. Proof. A sum of squares.
    """
    s = instance.saliency("path-energy")
    live_paths = np.asarray(instance.path_inputs() != 0, dtype=bool).any(axis=-2)
    live_paths = live_paths & np.asarray(instance.path_values() != 0, dtype=bool)
    member = on_path(instance.network) > 0
    on_live = (live_paths[..., :, None] & member).any(axis=-2)
    return nonnegative(s) & equivalent(np.asarray(s > 0, dtype=bool), on_live, "positive")


@claim(about=PruningRun, source=Source(None, "the energy, iterated"), status=Status.REFUTED, assumes=LITERAL,
       twin="path-exclusion/trace-greedy-stays-alive",
       draws={**RUNS, "scorers": ("path-energy",), "width": 3})  # fmt: skip
def energy_stays_alive(run: PruningRun) -> Relation:
    r"""Iterated pruning by the energy of the paths through a weight keeps a live path.

    False: contributions 2, 2 and -3 keep a ReLU on, and of them one of the two smallest goes first. With PX two inputs
    False with three inputs: contributions 2, 2 and -3 keep a ReLU on, and one of the two smallest goes first.
    """
    return positive(run.final_objective()).when(run.keep >= run.smallest_path())


# -- the released code --------------------------------------------------------------------------------


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "the released code against the saliency"),
       status=Status.REFUTED, twin="path-exclusion/saliency", draws={**SMALL, "kinds": (RELU, LINEAR)})  # fmt: skip
def released_scorer(instance: NetworkOnData) -> Relation:
    r"""The released code computes the saliency of the paper.

    False on networks whose last layer is called fc: its weights are neither squared in the one auxiliary network nor
    set to one in the other. With a signed last layer the sum can cancel to 0.
    """
    return equal(instance.saliency("px-released"), instance.saliency("px"))


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "the released code where nothing is called fc or bn"),
       status=Status.PROVED, twin="path-exclusion/released-scorer",
       draws={"families": ("mlp", "mlp-bias", "residual"), "kinds": (RELU, LINEAR)})  # fmt: skip
def released_scorer_agrees_without_fc(instance: NetworkOnData) -> Relation:
    r"""Without normalisation and with no layer called fc the released code computes the saliency of the paper.

    Proof. Then every parameter is set to one in the one auxiliary network and squared in the other, whose derivative is
    nonnegative.
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


@claim(about=NormalisedNetwork, source=Source(PATH_EXCLUSION, "the released code under batch normalisation"),
       status=Status.PROVED, assumes=(batch_statistics, activations_removed, average_pooled))  # fmt: skip
def released_score_with_batch_norm(instance: NormalisedNetwork) -> Relation:
    r"""On a network with batch normalisation before its pooled head, the released score of every convolution is 0.

    In exact arithmetic, with batch statistics, activations removed and average pooling (residual blocks included): the
    scores of convolutions and of normalisation scales are 0, and those of the last layer only see the shifts.

    Proof. A normalised batch has mean 0 in every channel, whatever came before it; sums over the batch and the
    positions of the features are the sums of the shifts, which do not depend on convolutions or scales.
    """
    s = instance.scores()
    silent = [j for name, group in instance.groups.items() if name.startswith(("conv", "scale")) for j in group]
    return equal(s[silent], 0 * s[silent])


# -- what the trace needs -----------------------------------------------------------------------------


def trace_without(instance: NetworkOnData) -> Array:
    """The trace over the remaining weights after removing each weight alone, shape (..., N)."""
    columns = []
    for j in range(instance.network.parameters):
        keep = np.array([int(i != j) for i in range(instance.network.parameters)])
        masked = NetworkOnData(instance.network, instance.theta * keep, instance.x)
        jac = masked.jacobian() * keep
        columns.append(np.asarray(total(jac * jac, axis=(-3, -2, -1))))
    return np.stack(columns, axis=-1)


def bound_without(instance: NetworkOnData) -> Array:
    """The per-output bound over the remaining weights after removing each weight alone, shape (..., N)."""
    columns = []
    for j in range(instance.network.parameters):
        keep = np.array([int(i != j) for i in range(instance.network.parameters)])
        whole = np.array([int(not row[j]) for row in on_path(instance.network)])
        masked = NetworkOnData(instance.network, instance.theta * keep, instance.x)
        inputs = masked.path_inputs() * whole
        d = masked._sum_by_output(total(inputs * inputs, axis=-2))
        t = masked._sum_by_output(total((masked.path_jacobian() * keep) ** 2, axis=-1) * whole)
        columns.append(np.asarray(_last(d * t)))
    return np.stack(columns, axis=-1)


def _pairwise(a: Array) -> tuple[Array, Array]:
    return a[..., :, None], a[..., None, :]


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "keeps what mostly influences the trace (seed)"),
       status=Status.REFUTED, draws={**SMALL, "samples": 1})  # fmt: skip
def pruning_keeps_the_trace(instance: NetworkOnData) -> Relation:
    r"""Removing a weight of smaller PX score loses no more of the trace than removing one of larger score.

    False: $f = w_1 x_1 + w_2 x_2$ with $w = (1, 2)$, $x = (10, 0)$: PX drops $w_1$, and the trace goes from 100 to 0.
    """
    low, high = _pairwise(instance.saliency("px"))
    after_low, after_high = _pairwise(trace_without(instance))
    return at_most(after_high, after_low).when(np.asarray(low < high, dtype=bool))


@claim(about=NetworkOnData, source=Source(None, "a scorer on the trace itself"), status=Status.PROVED,
       draws={**SMALL, "samples": 2})  # fmt: skip
def removal_by_trace_is_best(instance: NetworkOnData) -> Relation:
    r"""Of all single removals, the one by least loss of trace keeps at least as much of the trace as PX's.

    $\max_j \operatorname{tr}\Theta_{-j} \ge \operatorname{tr}\Theta_{-j_{PX}}$, $j_{PX}$ the weight of the smallest PX
    score. Proof. By definition. It costs one trace a weight; over several rounds it is greedy, see
    `trace-gradient-saliency`.
    """
    after = trace_without(instance)
    s = instance.saliency("px")
    first = np.asarray(s == s.min(axis=-1, keepdims=True), dtype=bool)
    return at_most(after, np.asarray(after.max(axis=-1))[..., None]).when(first)


@claim(about=NetworkOnData, source=Source(None, "ours"), status=Status.OPEN,
       draws={**SMALL, "samples": 2, "stack": False})  # fmt: skip
def trace_gradient_saliency(instance: NetworkOnData) -> Relation:
    r"""Greedy removal by least loss of trace keeps at least as much of the trace as PX, after two rounds.

    Not a theorem: a greedy first step can be wrong for the second. Whatever is found is reported.
    """
    return at_most(_two_rounds(instance, by_trace=False), _two_rounds(instance, by_trace=True)).when(
        instance.network.parameters > 2
    )


def _two_rounds(instance: NetworkOnData, *, by_trace: bool) -> Any:
    keep = np.ones(instance.network.parameters, dtype=int)
    for _ in range(min(2, instance.network.parameters - 1)):
        masked = NetworkOnData(instance.network, instance.theta * keep, instance.x)
        best: Any = None
        px = masked.saliency("px")
        for j in np.flatnonzero(keep):
            without = keep.copy()
            without[j] = 0
            rank = -_masked_trace(instance, without) if by_trace else px[j]
            if best is None or rank < best[0]:
                best = (rank, j)
        keep[best[1]] = 0
    return _masked_trace(instance, keep)


def _masked_trace(instance: NetworkOnData, keep: np.ndarray) -> Any:
    j = NetworkOnData(instance.network, instance.theta * keep, instance.x).jacobian() * keep
    return total(j * j, axis=(-3, -2, -1))


@claim(about=NetworkOnData, source=Source(None, "linear algebra"), status=Status.PROVED,
       draws={"samples": 2, "width": 2, "outputs": 2, "depth": 2})  # fmt: skip
def eigenvalue_bounds(instance: NetworkOnData) -> Relation:
    r"""The trace bounds the largest eigenvalue, and is bounded by it.

    $\lambda_{max} \le \operatorname{tr}\Theta \le \operatorname{rank}\Theta \cdot \lambda_{max}$.

    Proof. $\Theta$ is positive semidefinite.
    """
    top, trace = instance.largest_eigenvalue(), instance.ntk_trace()
    return at_most(top, trace, "lambda_max") & at_most(trace, instance.ntk_rank() * top, "rank lambda_max")


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "preserving the trace bound preserves the spectrum (seed)"),
       status=Status.REFUTED, draws={**SMALL, "samples": 2})  # fmt: skip
def trace_preserves_eigenvalues(instance: NetworkOnData) -> Relation:
    r"""Of two masks, the one that keeps more of the trace bound keeps at least as much of the trace.

    False already for masks that remove one weight.
    """
    more, less_ = _pairwise(bound_without(instance))
    trace_more, trace_less = _pairwise(trace_without(instance))
    return at_most(trace_less, trace_more).when(np.asarray(more > less_, dtype=bool))


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "preserving the trace bound preserves the spectrum (seed)"),
       status=Status.REFUTED, twin="path-exclusion/eigenvalue-bounds",
       draws={"families": ("mlp",), "depth": 2, "outputs": 1, "samples": 1})  # fmt: skip
def bound_keeps_the_largest_eigenvalue(instance: NetworkOnData) -> Relation:
    r"""Of two masks, the one that keeps more of the trace bound keeps at least as much of the largest eigenvalue.

    False already with one output and one sample, where the trace is the only eigenvalue.
    """
    more, less_ = _pairwise(bound_without(instance))
    top_more, top_less = _pairwise(trace_without(instance))
    single = len(instance.network.outputs) == 1 and instance.x.shape[-2] == 1
    return at_most(top_less, top_more).when(np.asarray(more > less_, dtype=bool) & single)


# -- what the trace is for ----------------------------------------------------------------------------


@claim(about=KernelDescent, source=Source(PATH_EXCLUSION, "premise of the method (seed)"), status=Status.REFUTED,
       twin="path-exclusion/residual-decay")  # fmt: skip
def larger_trace_trains_faster(instance: KernelDescent) -> Relation:
    r"""Of two kernels, the one with the larger trace has the smaller residual after each step.

    False: $\mathrm{diag}(4, 0)$ against the identity with residual $(0, 1)$; with large steps even in one dimension.
    """
    larger = np.asarray(_last(instance.larger) > _last(instance.smaller), dtype=bool)
    return at_most(instance.after(instance.larger), instance.after(instance.smaller)).when(larger)


def _too_large(c: Any, instance: KernelDescent) -> KernelDescent:
    return instance.with_(eta=np.asarray(instance.eta * 0 + 4))


small_steps = Assumption(
    "small-steps", "eta <= 2 / (lambda_min + lambda_max)",
    lambda i: np.asarray(i.eta * (i.slowest() + i.fastest()) <= 2, dtype=bool), _too_large,
)  # fmt: skip


@claim(about=KernelDescent, source=Source(None, "gradient descent on a quadratic"), status=Status.PROVED,
       assumes=(small_steps,), twin="path-exclusion/larger-trace-trains-faster")  # fmt: skip
def residual_decay(instance: KernelDescent) -> Relation:
    r"""The smallest eigenvalue governs the worst residual.

    $|r_t| \le (1 - \eta\lambda_{min})^t |r_0|$ if $\eta \le 2/(\lambda_{min} + \lambda_{max})$.

    Proof. $|1 - \eta\lambda| \le 1 - \eta\lambda_{min}$ for every eigenvalue exactly then.
    """
    factor = (1 - np.asarray(instance.eta) * instance.slowest()) ** (2 * instance.steps)
    return at_most(instance.after(instance.larger), factor * total(instance.residual**2, axis=-1))


large_steps = Assumption(
    "large-steps", "eta > 2 / (lambda_min + lambda_max)",
    lambda i: np.asarray(i.eta * (i.slowest() + i.fastest()) > 2, dtype=bool),
    lambda c, i: i.with_(eta=np.asarray(1 / (1 + i.slowest() + i.fastest()))),
)  # fmt: skip


@claim(about=KernelDescent, source=Source(None, "gradient descent on a quadratic"), status=Status.PROVED,
       assumes=(large_steps,), twin="path-exclusion/residual-decay")  # fmt: skip
def residual_decay_only_if(instance: KernelDescent) -> Relation:
    r"""With larger steps the residual along the largest eigenvalue misses that rate at once.

    $|1 - \eta\lambda_{max}| > 1 - \eta\lambda_{min}$ if $\eta > 2/(\lambda_{min} + \lambda_{max})$, so the bound of
    `residual-decay` holds for every residual only if the steps are as small as it asks. Proof. Then
    $\eta\lambda_{max} - 1 > 1 - \eta\lambda_{min}$.
    """
    eta = np.asarray(instance.eta)
    return less(1 - eta * instance.slowest(), absolute(1 - eta * instance.fastest()))


# -- statements about experiments -----------------------------------------------------------------------


@claim(about=PairedTrials, source=Source(None, "measured"), status=Status.EMPIRICAL, draws={"stack": False})
def bound_tightness(instance: PairedTrials) -> Relation:
    r"""The per-output bound exceeds the trace by a factor that grows with depth and width.

    Of pairs ($\log_{10}$ of bound over trace of the deeper or wider network, of the other): the first is larger in
    most.
    """
    return less(instance.losses(), instance.wins())


@claim(about=PairedTrials, source=Source(PATH_EXCLUSION, "ResNet-20, CIFAR-10, 93.12 % sparsity (seed)"),
       status=Status.EMPIRICAL, draws={"stack": False})  # fmt: skip
def matches_dense_accuracy(instance: PairedTrials) -> Relation:
    r"""PX at 93.12 % sparsity trains to the accuracy of the dense network, up to 1/50.

    Of paired runs (pruned minus dense; same seed) the difference is not more often below -1/50 than above.
    """
    return at_most(instance.losses("-1/50"), instance.wins("-1/50"))
