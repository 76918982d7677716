"""The claims about networks in forms that need no path by itself, for modules too large to enumerate.

Each form states the claim of the same id through sums over paths: an auxiliary evaluation, its gradient, a
grouping of the paths by their first unit or by the weights they cross. Where the claim is about all
weights or outputs and a form takes some of them, a refutation refutes the claim; what holds, holds for
those. Forms are checked against the claims themselves on modules small enough to enumerate.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from theory.claims import Assumption, Claim
from theory.relations import Relation, all_of, at_most, equal, holds
from verify.networks.claims.undecided import Undecided
from verify.networks.exact.balls import ball, compared, flat
from verify.networks.exact.fixed_point import Evaluation, digits_needed, work
from verify.networks.paths.sums import path_kernel
from verify.networks.recording.graph import CONVOLUTION, LINEAR, MAXIMUM, NORMALISATION, Operation, Ref

if TYPE_CHECKING:
    from verify.networks.claims.module_on_data import ModuleOnData

    Form = Callable[[ModuleOnData], Relation]

FORMS: dict[str, Form] = {}
HOW: dict[str, str] = {}
"""How each form does without enumeration, in a few words."""
SAMPLED = 12
"""Layers of which a form takes a weight where it cannot take all."""
MANY = 5_000_000
"""From so many weights on, forms take less."""
DECOMPOSED = 5e9
"""Operations in fixed point that a decomposition into paths may take on more than one input."""
GROUPS = 16
"""Outputs, or groups of outputs, that cost a backward pass each."""


def form(identity: str, how: str) -> Callable[[Form], Form]:
    """Register a form of the claim ``identity``."""

    def register(f: Form) -> Form:
        FORMS[identity], HOW[identity] = f, how
        return f

    return register


def without_enumeration(claim: Claim) -> Claim:
    """The claim as its form states it, or the claim itself where it has none."""
    if claim.id not in FORMS:
        return claim
    predicates: dict[str, Any] = {
        "equal-activations": equal_activations,
        "no-weight-twice": lambda i: True,
        "positive-factor": lambda i: True,
        "nonnegative-factors": nonnegative_factors,
    }
    assumed = tuple(Assumption(a.name, a.sentence, predicates.get(a.name, a.predicate)) for a in claim.assumptions)
    return dataclasses.replace(claim, function=FORMS[claim.id], assumptions=assumed)


def nonnegative_factors(i: ModuleOnData) -> bool:
    """Whether no constant on the way is negative: no difference, no shift of a normalisation, no frozen weight below 0.

    A running mean of whatever sign is taken for one that is.
    """
    for op in i.graph.operations:
        s = op.settings
        if float(s.get("factor", 1)) < 0 or min(s.get("signs", (1,))) < 0:
            return False
        if op.kind == NORMALISATION and bool((i.tensors[s["mean"]] != 0).any()):
            return False
        held = [n for n in (s.get("weight"), s.get("bias")) if n is not None]
        named = [n for n in held if i.graph.base(n) not in i.graph.parameters]
        if any(bool((i.tensors[n] < 0).any()) for n in named):
            return False
    return True


def equal_activations(i: ModuleOnData) -> bool:
    """Whether all D_k are equal because the last operation is a dense linear map (zero weights are edges too)."""
    op = last_layer(i)
    return op is not None


def last_layer(i: ModuleOnData) -> Operation | None:
    """The linear map that gives the outputs, if that is what gives them."""
    op = i.graph.operations[i.graph.output.index] if i.graph.output.index >= 0 else None
    flat_ = op is not None and op.kind == LINEAR and len(op.shape) == 2
    return op if flat_ else None


def _groups(i: ModuleOnData) -> list[Tensor]:
    """Up to `GROUPS` 0/1 directions that together count every output once; fewer on modules of many weights."""
    count = i.sums.outputs
    most = GROUPS if sum(t.numel() for t in i.tensors.values()) < MANY else GROUPS // 4
    parts = np.array_split(np.arange(count), min(most, count))
    out = []
    for part in parts:
        d = torch.zeros(count, dtype=torch.float64)
        d[torch.as_tensor(part)] = 1.0
        out.append(d)
    return out


def sum_ball(t: Tensor, unit: float) -> Any:
    """The sum of nonnegative numbers with relative errors of at most ``unit``, as a ball."""
    total = float(t.sum())
    return ball(total, total * unit)


# -- the decomposition into paths -------------------------------------------------------------------


@form("path-exclusion/path-decomposition", "paths grouped by their first unit: two halves of the inputs, and biases")
def path_decomposition(i: ModuleOnData) -> Relation:
    """The output is what the paths from each part of the inputs add, and those from biases, with copied gates."""
    # Evaluated in fixed point three times: on one input where that takes long.
    i = i.first(max(1, int(DECOMPOSED // (3 * work(i.graph, i.tensors, 1, 8)))))
    digits = i.run.digits or digits_needed(i.run.values, i.run.errors)
    generator = torch.Generator().manual_seed(0)
    half = torch.rand(i.graph.input_shape, generator=generator) < 0.5
    parts = ((i.x * half, False), (i.x * ~half, False), (i.x * 0, True))
    lhs: Any = 0.0
    error: Any = 0.0
    with torch.no_grad():
        for x, constant in parts:
            evaluation = Evaluation(i.graph, i.tensors, digits, gates=i.values, constant=constant)
            values, errors = evaluation.evaluate(x)
            lhs, error = lhs + values[i.graph.output], error + errors[i.graph.output]
    out = i.graph.output
    return compared("==", lhs, error + 4e-16 * lhs.abs(), i.values[out], i.run.errors[out])


# -- bounds -------------------------------------------------------------------------------------------


@form("path-exclusion/trace-bound-divided-by-outputs", "the number of outputs is read off the module")
def trace_bound_divided_by_outputs(i: ModuleOnData) -> Relation:
    """As the claim, with K from the shape of the output."""
    return at_most(i.ntk_trace(), i.path_activation() * i.path_kernel_trace() / i.sums.outputs)


def _per_sample(i: ModuleOnData) -> tuple[Tensor, Tensor]:
    """(n, K): sum_p (a_p x)^2 and sum_p [a_p != 0] |grad v_p|^2 over the paths to k."""
    sums, squares = i.sums, i.sums.powers(2)
    with torch.no_grad():
        activation = sums.run(sums.powers(0), i.x * i.x, 0, gates=i.values)
    ones = torch.ones(len(i.x), *i.graph.input_shape, dtype=torch.float64)
    learned = {n: torch.ones_like(t) for n, t in squares.items()}
    return activation, sums.growth(ones, learned, gates=i.values, slopes=0)


@form("path-exclusion/trace-bound-per-sample", "auxiliary networks with the gates of each sample, and their gradients")
def trace_bound_per_sample(i: ModuleOnData) -> Relation:
    """As the claim; the bound per parameter is the inner product of two gradients, output by output."""
    k = i.sums.outputs
    weights = sum(i.tensors[n].numel() for n in i.graph.parameters)
    if k > 40 or weights > 5_000_000:
        raise Undecided(f"one gradient of {weights} weights for each sample and each of {k} outputs is too much")
    i = i.first(max(1, 20 // k))
    sums, unit = i.sums, 2 * i.sums.unit
    activation, kernel = _per_sample(i)
    products, names = [], list(i.graph.parameters)
    for n in range(len(i.x)):
        one = i.one(n)
        counts, squares = ({m: t.requires_grad_() for m, t in sums.powers(q).items()} for q in (0, 2))
        with torch.enable_grad():
            a = sums.run(counts, one.x * one.x, 0, gates=one.values)[0]
            p = sums.run(squares, torch.ones_like(one.x), 2, gates=one.values, slopes=0)[0]
            for j in range(k):
                left = torch.autograd.grad(a[j], [counts[m] for m in names], retain_graph=True, materialize_grads=True)
                right = torch.autograd.grad(
                    p[j], [squares[m] for m in names], retain_graph=True, materialize_grads=True
                )
                products.append(sum(float((u * v).sum()) for u, v in zip(left, right, strict=True)))
    per_parameter, per_sample = (
        sum_ball(torch.tensor(products, dtype=torch.float64), unit),
        sum_ball(activation * kernel, unit),
    )
    return all_of(
        at_most(i.ntk_trace(), per_parameter, "per parameter"),
        at_most(per_parameter, per_sample, "per sample"),
        at_most(per_sample, _total(i.activation_per_output() * i.kernel_per_output()), "per output"),
    )


def _total(balls: np.ndarray) -> Any:
    return sum(balls.ravel()[1:], balls.ravel()[0])


@form("path-exclusion/bias-paths", "auxiliary evaluations without biases and shifts")
def bias_paths(i: ModuleOnData) -> Relation:
    """The trace over all parameters but biases and shifts, against the bound over paths from inputs only."""
    sums = i.sums
    shifts = [op.settings["bias"] for op in i.graph.operations if op.settings.get("bias") is not None]
    constants = {i.graph.base(name) for name in shifts}
    moved = [op for op in i.graph.operations if op.kind == NORMALISATION and i.tensors[op.settings["mean"]].any()]
    if moved:
        raise Undecided(f"{moved[0].label}: a running mean makes its scale start paths as well")
    left = tuple(n for n in i.graph.parameters if n not in constants)
    learned = {n: torch.full_like(i.tensors[n], float(n in left)) for n in i.graph.parameters}
    with torch.no_grad():
        d = sums.run(sums.powers(0), i.x * i.x, 0, gates=i.values, constant=False).sum(0)
    t = sums.growth(sums.ones(), learned, constant=False)[0]
    return at_most(_total(i.trace_over(left)), sum_ball(d * t, 2 * sums.unit))


@form("path-exclusion/unsquared-data-bounds", "the first auxiliary network fed with |x|")
def unsquared_data_bounds(i: ModuleOnData) -> Relation:
    """As the claim."""
    with torch.no_grad():
        d = i.sums.run(i.sums.powers(0), i.x.abs(), 0, gates=i.values, slopes=1).sum(0)
    t = np.array([ball(float(v), float(v) * i.sums.unit) for v in d] + [None], dtype=object)[:-1]
    return at_most(i.ntk_trace(), _total(t * i.kernel_per_output()))


@form("path-exclusion/auxiliary-same-architecture", "without maxima the two architectures are the same")
def auxiliary_same_architecture(i: ModuleOnData) -> Relation:
    """Without max pooling the same architecture gives T_k itself."""
    if any(op.kind == MAXIMUM for op in i.graph.operations):
        raise Undecided("maxima of squares on the input of ones are tied within rounding")
    return at_most(i.ntk_trace(), _total(i.activation_per_output() * i.kernel_per_output()))


# -- without enumeration --------------------------------------------------------------------------------


@form(
    "path-exclusion/kernel-by-gradient", "one backward pass for each group of outputs, against the forward derivative"
)
def kernel_by_gradient(i: ModuleOnData) -> Relation:
    """The gradient of R summed over all weights, against T carried forward; for groups of outputs."""
    forward = i.kernel_values()[1]
    lhs, rhs = [], []
    for d in _groups(i):
        lhs.append(float(flat(i.sums.scores(2, d, weighted=False)).sum()))
        rhs.append(float((forward * d).sum()))
    a, b = torch.tensor(lhs, dtype=torch.float64), torch.tensor(rhs, dtype=torch.float64)
    return compared("==", a, a * 2 * i.sums.unit, b, b * i.sums.unit)


@form("path-exclusion/auxiliary-networks", "paths grouped by their first unit, each group by itself")
def auxiliary_networks(i: ModuleOnData) -> Relation:
    """D and R of all paths, against the sums over the paths from each part of the inputs and from biases."""
    sums = i.sums
    generator = torch.Generator().manual_seed(0)
    half = (torch.rand(i.graph.input_shape, generator=generator) < 0.5).double()
    counts, squares, one = sums.powers(0), sums.powers(2), sums.ones()
    parts = ((half, False), (1 - half, False), (half * 0, True))
    with torch.no_grad():
        d = sum(sums.run(counts, i.x**2 * m, 0, gates=i.values, constant=c).sum(0) for m, c in parts)
        r = sum(sums.run(squares, one * m, 2, constant=c)[0] for m, c in parts)
    unit = sums.unit
    assert isinstance(d, Tensor)
    assert isinstance(r, Tensor)
    return all_of(
        compared("==", d, d * unit, i.activation_values(), i.activation_values() * unit, "D"),
        compared("==", r, r * unit, i.kernel_values()[0], i.kernel_values()[0] * unit, "R"),
    )


@form("path-exclusion/gradient-kernel-bounds-the-trace", "one backward pass for the kernels of all outputs")
def gradient_kernel_bounds_the_trace(i: ModuleOnData) -> Relation:
    """As the claim: sum_k D_k |grad R_k|_1 is the gradient of sum_k D_k R_k, summed."""
    bound = flat(i.sums.scores(2, i.activation_values(), weighted=False))
    return at_most(i.ntk_trace(), sum_ball(bound, 3 * i.sums.unit))


# -- the saliency -------------------------------------------------------------------------------------


def _px(i: ModuleOnData) -> Tensor:
    return flat(i.px())


@form("path-exclusion/saliency", "a weight of each of twelve layers: the backward pass against a forward one for each")
def saliency(i: ModuleOnData) -> Relation:
    """The gradient's score of a weight against the forward derivative of sum_k D_k R_k in it alone."""
    found, d = i.px(), i.activation_values()
    rng = np.random.default_rng(0)
    lhs, rhs = [], []
    names = list(i.graph.parameters)
    some = sorted(set(np.linspace(0, len(names) - 1, min(SAMPLED, len(names))).astype(int).tolist()))
    for turn, name in enumerate(names[k] for k in some):
        s, theta = found[name].flatten(), i.tensors[name].flatten()
        # The largest score of a layer, and any of the next.
        for j in [int(s.argmax()) if turn % 2 else int(rng.integers(0, len(s)))]:
            masks = {n: torch.zeros_like(i.tensors[n]) for n in i.graph.parameters}
            masks[name].view(-1)[j] = 1.0
            with torch.no_grad():
                _, grown = path_kernel(i.graph, i.tensors, masks=masks)
            lhs.append(float(s[j]))
            rhs.append(float((grown * d).sum() * theta[j] ** 2))
    a, b = torch.tensor(lhs, dtype=torch.float64), torch.tensor(rhs, dtype=torch.float64)
    return compared("==", a, a * 2 * i.sums.unit, b, b * 2 * i.sums.unit)


def _carried(i: ModuleOnData) -> tuple[Tensor, Tensor]:
    """Scores of all weights, and which of them stand on a path that can carry the objective."""
    s, carried = _px(i), flat(i.sums.carried(i.activation_values() > 0))
    if bool(((s == 0) & carried).any()):
        raise Undecided("some scores are below the range of float64")
    return s, carried


@form("path-exclusion/saliency-nonnegative", "which weights stand on paths is counted by an evaluation with 0 and 1")
def saliency_nonnegative(i: ModuleOnData) -> Relation:
    """As the claim: sums of nonnegative numbers, positive exactly where a path carries them."""
    s, carried = _carried(i)
    return compared("<=", torch.zeros(()), 0.0, s, s * i.sums.unit * 2) & holds(bool(((s > 0) == carried).all()))


@form("path-exclusion/positive-literal", "which weights stand on paths is counted by an evaluation with 0 and 1")
def positive_literal(i: ModuleOnData) -> Relation:
    """A weight that no path of nonzero weights to an output with D_k > 0 runs through has score 0."""
    s, carried = _carried(i)
    # On no such path the score is an empty sum: 0 without rounding.
    return compared("<", torch.zeros(()), 0.0, s, torch.where(carried, s * i.sums.unit * 2, 0.0))


@form("path-exclusion/data-enters-through-outputs", "the scores of groups of outputs with one D_k, added up")
def data_enters_through_outputs(i: ModuleOnData) -> Relation:
    """S against the sum over groups of outputs of the scores with D_k of that group alone."""
    d = i.activation_values()
    parts = [flat(i.sums.scores(2, g * d)) for g in _groups(i)]
    total = torch.stack(parts).sum(0)
    unit = 2 * i.sums.unit
    return compared("==", _px(i), _px(i) * unit, total, total * unit)


@form("path-exclusion/reduces-to-synflow-l2", "two backward passes")
def reduces_to_synflow_l2(i: ModuleOnData) -> Relation:
    """As the claim."""
    d = i.activation_values()
    l2 = flat(i.sums.scores(2, torch.ones_like(d))) * d[0]
    unit = 2 * i.sums.unit
    return compared("==", _px(i), _px(i) * unit, l2, l2 * unit)


def cuts(i: ModuleOnData) -> dict[str, tuple[str, ...]]:
    """Sets of parameters that every path crosses once: a layer that no connection skips, and the biases behind it.

    By the name of the layer's weight.
    """
    operations, out = i.graph.operations, {}
    before: list[set[int]] = []
    for op in operations:
        before.append(set().union(*({r.index} | (before[r.index] if r.index >= 0 else set()) for r in op.inputs)))
    readers = i.graph.readers()
    for j, op in enumerate(operations):
        weight = str(op.settings.get("weight"))
        if op.kind not in (LINEAR, CONVOLUTION) or len(readers.get(weight, ())) != 1 or _skipped(i, j):
            continue
        behind = [o for m, o in enumerate(operations) if m not in before[j] and "bias" in o.settings]
        moved = any(o.kind == NORMALISATION and bool(i.tensors[o.settings["mean"]].any()) for o in behind)
        biases = [i.graph.base(o.settings["bias"]) for o in behind if o.settings["bias"] is not None]
        # Constants that are added, or made for a batch, begin paths that cross no parameter of the cut.
        moved = moved or any(b not in i.graph.parameters for b in biases)
        moved = moved or any(not o.inputs for m, o in enumerate(operations) if m not in before[j])
        if not moved and all(len(readers.get(b, ())) == 1 for b in biases):
            out[weight] = (weight, *biases)
    return out


def _skipped(i: ModuleOnData, j: int) -> bool:
    """Whether some path gets from the input to the output without operation ``j``."""
    reached = {Ref(-1).index}
    for m, op in enumerate(i.graph.operations):
        if m != j and any(r.index in reached for r in op.inputs):
            reached.add(m)
    return i.graph.output.index in reached


@form("path-exclusion/saliency-conservation", "layers that no connection skips, with the biases behind them")
def saliency_conservation(i: ModuleOnData) -> Relation:
    """The scores of each such cut against sum_k D_k R_k."""
    objective = _total(i.activation_per_output() * i.objective_per_output())
    return over_cuts(i, i.px(), objective)


def over_cuts(i: ModuleOnData, scores: dict[str, Tensor], objective: Any) -> Relation:
    """The scores of each cut sum to ``objective``.

    Raises:
        Undecided: there is no cut of parameters.
    """
    parts = []
    for weight, names in cuts(i).items():
        total = sum(float(scores[n].sum()) for n in names)
        parts.append((weight, ball(total, 3 * total * i.sums.unit)))
    if not parts:
        raise Undecided("every layer is skipped by a connection: no layer with its biases is a cut")
    return all_of(*(equal(s, objective, name) for name, s in parts))


@form("path-exclusion/score-without-theta-ranks-the-same", "two weights whose order changes, looked for among all")
def score_without_theta_ranks_the_same(i: ModuleOnData) -> Relation:
    """Of the pairs in the order of the scores, the one whose derivatives are most in the other order."""
    d = i.activation_values()
    with_theta, without = _px(i), flat(i.sums.scores(2, d, weighted=False))
    order = torch.argsort(with_theta)
    s, g = with_theta[order], without[order]
    # For each weight the largest derivative among those of smaller score.
    highest, where = torch.cummax(g, 0)
    unit = 2 * i.sums.unit
    certain = s[where] * (1 + unit) <= s * (1 - unit)
    return compared("<=", highest, highest * unit, g, g * unit, where=certain)


# -- what the trace needs -----------------------------------------------------------------------------


@form("path-exclusion/pruning-keeps-the-trace", "pairs of weights of the last layer, one trace for each")
def pruning_keeps_the_trace(i: ModuleOnData) -> Relation:
    """Of two weights of the last layer, removing that of smaller PX score loses no more of the trace."""
    return _pairs(i, lambda j: float(i.px()[last_linear(i).settings["weight"]].view(-1)[j]), 4 * i.sums.unit)


def last_linear(i: ModuleOnData) -> Operation:
    """The linear map that gives the outputs, its weight a parameter.

    Raises:
        Undecided: there is none.
    """
    op = last_layer(i)
    if op is None or op.settings["weight"] not in i.graph.parameters:
        raise Undecided("the last operation is no linear map, whose gradients have a closed form")
    return op


def _pairs(i: ModuleOnData, score: Callable[[int], float], unit: float) -> Relation:
    op = last_linear(i)
    name, values = op.settings["weight"], i.values[op.inputs[0]]
    theta = i.tensors[name]
    squares = values.square().sum(0)
    # What a removal loses is about its own gradient; a small weight behind a large activation loses most.
    own = squares.expand(theta.shape).reshape(-1)
    s = i.px()[name].reshape(-1)
    low = int(torch.where(s <= s.median(), own, -1.0).argmax())
    high = int(torch.where(s > s[low], -own, -math.inf).argmax())
    if not s[high] * (1 - unit) > s[low] * (1 + unit):
        raise Undecided("no two weights of the last layer have scores that are certainly different")
    after = {}
    for j in (low, high):
        tensors = dict(i.tensors)
        tensors[name] = theta.clone()
        tensors[name].view(-1)[j] = 0.0
        column = j % theta.shape[1]
        error = float(i.run.errors[op.inputs[0]][:, column].max())
        gradient = ball(float(squares[column]), float(squares[column]) * 1e-12 + error * float(values.abs().sum()) * 2)
        after[j] = i.with_last(tensors).ntk_trace() - gradient
    return at_most(after[high], after[low])


__all__ = [
    "FORMS",
    "HOW",
    "cuts",
    "equal_activations",
    "form",
    "last_linear",
    "over_cuts",
    "sum_ball",
    "without_enumeration",
]
