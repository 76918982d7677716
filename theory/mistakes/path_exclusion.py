"""Wrong variants of the claims on path exclusion."""

from dataclasses import replace

import numpy as np

from theory import auxiliary
from theory.claims import Status, claims
from theory.cuts import parameter_cuts
from theory.derivative import one_sided
from theory.flows import over
from theory.paths import on_path, path_gates
from theory.relations import at_most, equal, holds, less, nonnegative, positive, within
from theory.saliency import masked_trace
from theory.scalars import ones, total

HERE = [c for c in claims() if c.id.startswith("path-exclusion/")]
PROVED = {c.id.split("/")[1]: c for c in HERE if c.status is Status.PROVED}
REFUTED = [c for c in HERE if c.status is Status.REFUTED]


def last(a):
    return total(a, axis=-1)


def outputs_by_paths(i, values):
    return (i.path_activation_matrix() @ values[..., None])[..., 0].reshape(i.outputs().shape)


def per_output(i, d, t):
    return at_most(i.ntk_trace(), last(d * t))


def chained(i, kernel):
    j = i.path_activation_matrix()
    return equal(j @ kernel @ np.swapaxes(j, -1, -2), i.ntk())


def unsquared_paths(i):
    return i._sum_by_output(total(np.abs(i.path_jacobian()), axis=-1))


def roots(i):
    j = i.path_jacobian()
    return total(np.abs(j), axis=-1)[..., :, None] * total(np.abs(j), axis=-1)[..., None, :]


def ungated(i):
    a = i.source_values()
    return i._sum_by_output(total(a * a, axis=-2))


def unsquared_slopes(i):
    gates = path_gates(i.network, i.run)
    return i._sum_by_output(total(gates * i.source_values() ** 2, axis=-2))


def once(i):
    """PX scores that count a path once, however often it uses the weight."""
    v, member = i.path_values(), on_path(i.network) > 0
    c = v * v * i.activation_per_output()[..., list(i.paths.outputs)]
    return total(c[..., :, None] * member.astype(int), axis=-2)


MISTAKES = {
    "path-decomposition": {
        "sign": lambda i: equal(outputs_by_paths(i, -i.path_values()), i.outputs()),
        "squared values": lambda i: equal(outputs_by_paths(i, i.path_values() ** 2), i.outputs()),
        "gates left out": lambda i: equal(last(i._by_output(i.source_values()) * i.path_values()[..., None, None, :]),
                                          i.outputs()),
    },
    "chain-rule": {
        "path values instead of derivatives": lambda i: chained(
            i, i.path_values()[..., :, None] * i.path_values()[..., None, :]),
        "absolute derivatives": lambda i: chained(i, roots(i)),
        "factor 2": lambda i: chained(i, 2 * i.path_kernel()),
    },
    "trace-by-kernel": {
        "without the third sample": lambda i: equal(i.with_(x=i.x[..., :2, :]).ntk_trace(), i.ntk_trace()),
        "every entry": lambda i: equal(total(i.ntk(), axis=(-2, -1)), i.ntk_trace()),
        "the first output's": lambda i: equal(i.ntk_trace_per_output()[..., 0], i.ntk_trace()),
    },
    "activation-by-matrix": {
        "slopes not squared": lambda i: equal(unsquared_slopes(i), i.activation_per_output()),
        "not squared": lambda i: equal(total(i.path_activation_matrix(), axis=(-2, -1)), i.path_activation()),
        "the largest sample": lambda i: equal(
            total(i.path_activation_matrix() ** 2, axis=-1).reshape(i.outputs().shape).max(axis=-2),
            i.activation_per_output()),
    },
    "kernel-by-matrix": {
        "every entry": lambda i: equal(total(i.path_kernel(), axis=(-2, -1)), i.path_kernel_trace()),
        "objective": lambda i: equal(i.objective_per_output(), i.kernel_per_output()),
    },
    "trace-bound-by-operator-norm": {
        "both operator norms": lambda i: at_most(
            i.ntk_trace(), last(i.activation_norm_per_output() * i.kernel_norm_per_output())),
        "objective for the kernel": lambda i: at_most(
            i.ntk_trace(), last(i.activation_norm_per_output() * i.objective_per_output())),
        "divided by the samples": lambda i: at_most(
            i.ntk_trace(), last(i.bound_per_output()) / i.x.shape[-2]),
    },
    "trace-bound-is-attained": {
        "objective for the kernel": lambda i: equal(
            i.ntk_trace(), i.path_activation() * last(i.objective_per_output())),
        "D T^2": lambda i: equal(i.ntk_trace(), i.path_activation() * i.path_kernel_trace() ** 2),
    },
    "saliency-counts-uses": {
        "a path counted once": lambda i: equal(i.saliency_by_gradient(), once(i)),
        "SynFlow-L2": lambda i: equal(i.saliency_by_gradient(), i.saliency("synflow-l2")),
    },
    "residual-decay-at-any-step": {
        "the slowest": lambda i: at_most(
            i.after(i.larger), (1 - np.asarray(i.eta) * i.slowest()) ** (2 * i.steps) * last(i.residual**2)),
        "the fastest": lambda i: at_most(
            i.after(i.larger), (1 - np.asarray(i.eta) * i.fastest()) ** (2 * i.steps) * last(i.residual**2)),
    },
    "eigenvalue-bounds-by-squares": {
        "rank forgotten": lambda i: at_most(i.ntk_trace() ** 2, total(i.ntk() ** 2, axis=(-2, -1))),
        "the mean": lambda i: at_most(i.largest_eigenvalue() * i.ntk_trace(), total(i.ntk() ** 2, axis=(-2, -1))),
    },
    "trace-bound": {
        "half": lambda i: at_most(2 * i.ntk_trace(), i.path_activation() * i.path_kernel_trace()),
        "path kernel not squared": lambda i: at_most(i.ntk_trace(), i.path_activation() * last(unsquared_paths(i))),
        "objective for the kernel": lambda i: at_most(
            i.ntk_trace(), i.path_activation() * last(i.objective_per_output())),
    },
    "trace-bound-per-output": {
        "one output for all": lambda i: at_most(
            i.ntk_trace(), i.activation_per_output()[..., 0] * i.path_kernel_trace()),
        "outputs in the wrong order": lambda i: per_output(
            i, i.activation_per_output()[..., ::-1], i.kernel_per_output()),
        "objective for the kernel": lambda i: per_output(i, i.activation_per_output(), i.objective_per_output()),
    },
    "trace-bound-divided-by-outputs": {
        "divided by K + 1": lambda i: at_most(
            i.ntk_trace(), i.path_activation() * i.path_kernel_trace() / (len(i.network.outputs) + 1)),
        "divided by K^2": lambda i: at_most(
            i.ntk_trace(), i.path_activation() * i.path_kernel_trace() / len(i.network.outputs) ** 2),
    },
    "trace-bound-per-sample": {
        "the other way round": lambda i: at_most(i.bound_per_sample(), i.bound_per_parameter()),
        "half": lambda i: at_most(2 * i.ntk_trace(), i.bound_per_parameter()),
    },
    "kernel-sum-is-over-the-path": {
        "over the others": lambda i: equal(
            total(i.path_jacobian() ** 2, axis=-1),
            total(i.path_jacobian() ** 2 * (on_path(i.network) == 0).astype(int), axis=-1)),
    },
    "kernel-by-gradient": {
        "objective": lambda i: equal(i.objective_by_forward(), i.kernel_per_output()),
        "factor 2": lambda i: equal(2 * i.kernel_by_gradient(), i.kernel_per_output()),
    },
    "auxiliary-networks": {
        "inputs not squared": lambda i: equal(
            auxiliary.activation(i.network, i.run, i.x * i.x, ones(i.theta.shape, i.theta)), i.activation_per_output()),
        "gates left out": lambda i: equal(ungated(i), i.activation_per_output()),
        "weights not squared": lambda i: equal(
            auxiliary.squared_forward(i.network, i.theta)[0], i.objective_per_output()),
        "maxima kept": lambda i: equal(
            auxiliary.objective(i.network, i.theta, same_architecture=True), i.objective_per_output()),
    },
    "rank-by-weights": {
        "full rank": lambda i: equal(i.ntk_rank(), np.prod(i.outputs().shape[-2:])),
    },
    "layers-by-their-formulas": {
        "linear in the input": lambda i: equal(-i.outputs(), i.with_(x=-i.x).outputs()),
    },
    "one-sided-derivatives-are-quotients": {
        "the automatic gradient": lambda i: equal(one_sided(i.network, i.theta, i.x, 1), i.jacobian()),
        "the same on both sides": lambda i: equal(
            one_sided(i.network, i.theta, i.x, 1), -one_sided(i.network, i.theta, i.x, -1)),
    },
    "smooth-units-by-their-symmetries": {
        "outputs are odd": lambda i: within(i.outputs(), -i.with_(x=-i.x).outputs()),
    },
    "smooth-outputs-have-their-derivative": {
        "homogeneous of degree 1": lambda i: equal(i.outputs(), last(i.theta * i.jacobian())),
    },
    "released-objective-has-its-derivative": {
        "homogeneous of degree 1": lambda i: equal(i.evaluated({})[0], last(i.theta * i.evaluated({})[1])),
    },
    "tanh-with-every-gate-on": {
        "gates by sign": lambda i: at_most(i.ntk_trace(), i.formal_bound()),
        "half": lambda i: at_most(2 * i.ntk_trace(), i.formal_bound(every_gate_on=True)),
    },
    "saliency": {
        "theta once": lambda i: equal(i.saliency("px-without-theta"), i.saliency_by_gradient()),
        "SynFlow-L2": lambda i: equal(i.saliency("synflow-l2"), i.saliency_by_gradient()),
        "as released": lambda i: equal(i.saliency("px-released"), i.saliency_by_gradient()),
    },
    "saliency-nonnegative": {
        "positive": lambda i: positive(i.saliency_by_gradient()),
        "sign": lambda i: nonnegative(-i.saliency_by_gradient()),
    },
    "data-enters-through-outputs": {
        "one number for all": lambda i: equal(
            i.saliency("px"), i.activation_per_output()[..., :1] * i.saliency("synflow-l2")),
        "their sum": lambda i: equal(i.saliency("px"), last(i.activation_per_output())[..., None]
                                     * i.saliency("synflow-l2") if i.stacked else
                                     last(i.activation_per_output()) * i.saliency("synflow-l2")),
    },
    "reduces-to-synflow-l2": {
        "SynFlow": lambda i: equal(i.saliency("px"), i.activation_per_output()[..., :1] * i.saliency("synflow")),
        "no factor": lambda i: equal(i.saliency("px"), i.saliency("synflow-l2")),
    },
    "saliency-conservation": {
        "D R summed apart": lambda i: equal(
            over(parameter_cuts(i.network), i.saliency("px")),
            np.asarray(last(i.activation_per_output()) * last(i.objective_per_output()))[..., None]),
        "as released": lambda i: equal(
            over(parameter_cuts(i.network), i.saliency("px-released")),
            np.asarray(last(i.activation_per_output() * i.objective_per_output()))[..., None]),
    },
    "frozen-activation-never-collapses": {
        "two paths": lambda run: holds(
            (run.surviving_paths().sum(axis=-1) >= 2) | (np.array(run.kept_by_round()) < run.smallest_path() + 1)),
        "below the critical compression": lambda run: holds(
            run.alive_by_round() | (np.array(run.kept_by_round()) < run.smallest_path() - 1)),
    },
    "guarded-pruning-keeps-a-live-path": {
        "reaches one weight less": lambda run: holds(run.final_mask().sum() < run.longest_path()),
        "keeps what it was asked to": lambda run: holds(run.final_mask().sum() == run.keep),
    },
    "collapse-only-after-death": {
        "the objective of the end": lambda run: holds(
            run.alive_by_round() | (np.array(run.kept_by_round()) < run.smallest_path())),
        "two paths": lambda run: holds(
            (run.surviving_paths().sum(axis=-1) >= 2) | np.asarray(run.objective_by_round() == 0, dtype=bool)
            | (np.array(run.kept_by_round()) < run.smallest_path() + 1)),
    },
    "trace-greedy-stays-alive": {
        "below the critical compression": lambda run: positive(
            masked_trace(run.network, run.masked(run.final_mask()), run.x)),
        "by PX": lambda run: positive(masked_trace(
            run.network, run.masked(run.with_(scorer="px").final_mask()), run.x)).when(
                run.keep >= run.smallest_path()),
    },
    "energy-saliency-is-positive-on-live-paths": {
        "PX's score": lambda i: equal(
            np.asarray(i.saliency("path-energy") > 0, dtype=bool).astype(int),
            np.asarray(i.saliency("px") > 0, dtype=bool).astype(int)),
        "every weight": lambda i: positive(i.saliency("path-energy")),
    },
    "released-scorer-agrees-without-fc": {
        "last layer skipped": lambda i: equal(i.saliency("px-released"), i.saliency("px")),
    },
    "residual-decay-only-if": {
        "twice the margin": lambda i: less(
            2 - 2 * np.asarray(i.eta) * i.slowest(), abs(1 - np.asarray(i.eta) * i.fastest())),
        "the slowest": lambda i: less(
            1 - np.asarray(i.eta) * i.slowest(), abs(1 - np.asarray(i.eta) * i.slowest())),
    },
    "released-score-with-batch-norm": {
        "every score": lambda i: equal(i.scores(), 0 * i.scores()),
    },
    "removal-by-trace-is-best": {
        "the weight of the largest score": lambda i: at_most(
            i.trace_without(), np.asarray(i.trace_without().min(axis=-1))[..., None]).when(
                np.asarray(i.saliency("px") == i.saliency("px").min(axis=-1, keepdims=True), dtype=bool)),
    },
    "eigenvalue-bounds": {
        "rank left out": lambda i: at_most(i.ntk_trace(), i.largest_eigenvalue()),
        "trace of one sample": lambda i: at_most(i.largest_eigenvalue(), i.ntk_trace() / i.x.shape[-2]),
    },
    "residual-decay": {
        "lambda_max": lambda i: at_most(
            i.after(i.larger), (1 - np.asarray(i.eta) * i.fastest()) ** (2 * i.steps) * total(i.residual**2, axis=-1)),
        "t + 1 steps": lambda i: at_most(
            i.after(i.larger),
            (1 - np.asarray(i.eta) * i.slowest()) ** (2 * i.steps + 2) * total(i.residual**2, axis=-1)),
    },
}  # fmt: skip

PLANTED = {
    f"{name}: {mistake}": replace(PROVED[name], function=wrong)
    for name, group in MISTAKES.items()
    for mistake, wrong in group.items()
}
