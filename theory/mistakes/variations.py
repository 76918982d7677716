"""Wrong variants of the claims on networks that are right on the smallest structures.

What shows them is a third sample, output or layer, a weight used several times, or unequal activations.
"""

import numpy as np

from theory.cuts import parameter_cuts
from theory.derivative import derivative
from theory.enumeration import on_path
from theory.mistakes.variations_of_laws import wrong_in
from theory.networks import INPUT
from theory.papers.path_exclusion import collapse as px_collapse
from theory.paths import path_gates
from theory.relations import all_of, at_most, equal, holds, less, nonnegative, positive
from theory.saliency import masked_trace, scorer_named
from theory.scalars import absolute, indicator, rational, total
from theory.sketches import column

PLANTED = {}
wrong = wrong_in(PLANTED)


def last(a):
    return total(a, axis=-1)


# -- synaptic flow ----------------------------------------------------------------------------------------


@wrong("synaptic-flow/score-by-gradient", "a weight counts at most twice on a path")
def _(i):
    v, member = absolute(i.path_values()), np.minimum(on_path(i.network), 2)
    return equal(total(v[..., :, None] * member, axis=-2), i.saliency("synflow"))


@wrong("synaptic-flow/maximal-critical-compression", "a path to two outputs once there are two")
def _(run):
    whole, ends = run.surviving_paths()[..., -1, :], np.array(run.paths.outputs)
    kept = sum(whole[..., ends == k].any(axis=-1).astype(int) for k in range(len(run.network.outputs)))
    return holds((kept >= 2) | (len(run.network.outputs) < 2) | (run.keep < 2 * run.longest_path()))


@wrong("synaptic-flow/schedules-reach-the-target", "linear, rounded to the nearest")
def _(run):
    n, k, kept = run.weights, run.keep, run.kept_by_round()
    fine = [2 * abs(m * len(kept) - (n * len(kept) - (n - k) * r)) <= len(kept) for r, m in enumerate(kept, 1)]
    return holds(all(fine) or run.schedule != "linear")


@wrong("synaptic-flow/runs-keep-the-target", "layers rounded to the nearest")
def _(run):
    masks, kept = run.masks(), np.array(run.kept_by_round())
    parts = [holds(masks[..., ~run.prunable], "unscored weights stay")]
    for layer in run.network.layers if run.scope == "layerwise" else ():
        columns = [j for j in layer if run.prunable[j]]
        expected = (2 * len(columns) * kept + run.weights) // (2 * run.weights)
        parts.append(equal(masks[..., columns].sum(axis=-1), expected))
    return all_of(*parts)


@wrong("synaptic-flow/threshold-keeps-the-target", "with ties", keeps=-1)
def _(run):
    return equal(run.final_mask()[..., run.prunable].sum(axis=-1), run.keep)


@wrong("synaptic-flow/layer-rescaling", "cuts scaled by any factor", keeps=0)
def _(i):
    scorer, factor = scorer_named("px"), np.asarray(i.factor)[..., None]
    before = scorer.scores(i.network, i.theta, i.x, None) * factor * factor
    inside = np.array([int(j in i.network.layers[0]) for j in range(i.network.parameters)])
    theta = i.theta * (1 - inside) + i.theta * factor * inside
    return equal(scorer.scores(i.network, theta, i.x, None), before)


# -- path exclusion ---------------------------------------------------------------------------------------


@wrong("path-exclusion/path-decomposition", "the first two samples")
def _(i):
    x = np.concatenate([i.x[..., :2, :], i.x[..., 2:, :] * 0], axis=-2)
    rows = i.path_activation_matrix() @ i.path_values()[..., None]
    return equal(rows[..., 0].reshape(i.outputs().shape), i.with_(x=x).outputs())


@wrong("path-exclusion/path-decomposition", "gates of zero or one")
def _(i):
    open_ = indicator(path_gates(i.network, i.run) != 0, i.theta) * i.source_values()
    return equal(last(open_ * i.path_values()[..., None, :]), last(i.outputs()))


@wrong("path-exclusion/trace-by-kernel", "the first two outputs")
def _(i):
    return equal(last(i.ntk_trace_per_output()[..., :2]), i.ntk_trace())


@wrong("path-exclusion/trace-bound-per-output", "by the mean of D")
def _(i):
    return at_most(i.ntk_trace() * len(i.network.outputs), i.path_activation() * i.path_kernel_trace())


@wrong("path-exclusion/trace-bound-per-output", "by the median of three D")
def _(i):
    d, t = i.activation_per_output(), i.kernel_per_output()
    k = d.shape[-1]
    middle = np.sort(d, axis=-1)[..., k // 2 if k > 2 else -1]
    return at_most(i.ntk_trace(), middle * last(t))


@wrong("path-exclusion/trace-bound-per-sample", "a sample fewer of three")
def _(i):
    n = i.x.shape[-2]
    return at_most(i.ntk_trace() * n, i.bound_per_sample() * max(1, n - 1) if n > 2 else i.bound_per_sample() * n)


@wrong("path-exclusion/kernel-by-gradient", "weights used at most twice", keeps=0)
def _(i):
    return at_most(i.kernel_per_output(), 2 * i.kernel_by_gradient())


@wrong("path-exclusion/saliency", "the first sample for every one of three")
def _(i):
    one = i.with_(x=i.x[..., :1, :])
    n = i.x.shape[-2]
    return equal(i.saliency("px"), one.saliency("px") * n) if n > 2 else nonnegative(i.saliency("px"))


@wrong("path-exclusion/saliency-conservation", "the third output halved")
def _(i):
    d = i.activation_per_output()
    k = d.shape[-1]
    share = np.array([2 if j < 2 else 1 for j in range(k)])
    return equal(last(d * i.objective_per_output() * 2), last(d * i.objective_per_output() * share))


@wrong("path-exclusion/reduces-to-synflow-l2", "with the mean of D", keeps=0)
def _(i):
    d = column(last(i.activation_per_output())) / len(i.network.outputs)
    return equal(i.saliency("px"), d * i.saliency("synflow-l2"))


@wrong("path-exclusion/eigenvalue-bounds", "rank at most two")
def _(i):
    return at_most(i.ntk_trace(), 2 * i.largest_eigenvalue())


@wrong("path-exclusion/eigenvalue-bounds-by-squares", "rank at most the inputs")
def _(i):
    kernel = i.ntk()
    inputs = sum(u == INPUT for u in i.network.units)
    return at_most(i.ntk_trace() ** 2, (inputs + 1) * total(kernel * kernel, axis=(-2, -1)))


@wrong("path-exclusion/trace-greedy-stays-alive", "paths of any length", keeps=-1)
def _(run):
    after = last(run.scores_by_round()[..., -1, :])
    return positive(after).when(run.keep >= run.smallest_path())


@wrong("path-exclusion/collapse-only-after-death", "objective of the round before")
def _(run):
    kept = np.array(run.kept_by_round())
    dead = np.asarray(run.objective_by_round() == 0, dtype=bool)
    return holds(run.alive_by_round() | (dead & (kept > 1)) | (kept < run.smallest_path() - 1))


@wrong("path-exclusion/frozen-activation-never-collapses", "as many outputs as weights allow")
def _(run):
    left = px_collapse._outputs_left(run)
    return at_most(np.minimum(run.keep // run.longest_path(), len(run.network.outputs)), left)


@wrong("path-exclusion/energy-saliency-is-positive-on-live-paths", "at most the n-th part by samples")
def _(i):
    return at_most(i.saliency("path-energy"), i.saliency("px-per-sample") / i.x.shape[-2])


@wrong("path-exclusion/residual-decay", "with the second smallest eigenvalue")
def _(i):
    ordered = np.sort(i.larger, axis=-1)
    second = ordered[..., min(1, ordered.shape[-1] - 1)]
    factor = (1 - np.asarray(i.eta) * second) ** (2 * i.steps)
    return at_most(i.after(i.larger), factor * total(i.residual**2, axis=-1))


@wrong("path-exclusion/residual-decay-at-any-step", "a step fewer from three steps on")
def _(i):
    eta, power = np.asarray(i.eta), 2 * (i.steps + (i.steps > 2))
    slowest, fastest = (1 - eta * i.slowest()) ** power, (1 - eta * i.fastest()) ** power
    larger = np.where(np.asarray(slowest >= fastest, dtype=bool), slowest, fastest)
    return at_most(i.after(i.larger), larger * total(i.residual**2, axis=-1))


@wrong("path-exclusion/residual-decay-only-if", "by the mean of the extremes")
def _(i):
    eta = np.asarray(i.eta)
    return less(2 - eta * (i.slowest() + i.fastest()) + 1, absolute(1 - eta * i.fastest()))


@wrong("synaptic-flow/loss-scores-of-a-cut", "GraSP without the curvature of the paths")
def _(i):
    g = total(i.outputs()[..., None] * i.jacobian(), axis=(-3, -2))
    along = total(i.jacobian() * g[..., None, None, :], axis=-1)
    gauss_newton = i.theta * total(along[..., None] * i.jacobian(), axis=(-3, -2))
    return equal(scorer_named("grasp").scores(i.network, i.theta, i.x, None), gauss_newton)


@wrong("path-exclusion/scores-without-theta", "PX times the weight once")
def _(i):
    return equal(absolute(i.theta) * i.saliency("px-without-theta"), i.saliency("px"))


@wrong("path-exclusion/scores-by-matrix", "energy for PX by samples")
def _(i):
    return equal(i.saliency("path-energy"), i.saliency("px-per-sample"))


@wrong("path-exclusion/trace-loss-is-what-removal-costs", "a removal never raises the trace")
def _(i):
    return nonnegative(i.saliency("trace-loss"))


@wrong("synaptic-flow/float32-is-accurate-in-range", "exact scores not divided by the width")
def _(i):
    computed, exact = float(i.float32_scores(1)[0]), i.exact_scores(1)
    near = rational(computed if np.isfinite(computed) else 0)
    return at_most(absolute(near - exact * i.width), exact / 1000)


@wrong("path-exclusion/gradient-off-kinks", "on kinks too")
def _(i):
    return equal(i.jacobian(), derivative(i.network, i.theta, i.x)[0])


@wrong("path-exclusion/guarded-pruning-keeps-the-trace-positive", "at least one")
def _(run):
    return at_most(1, masked_trace(run.network, run.masked(run.final_mask()), run.x))


@wrong("path-exclusion/guarded-pruning-keeps-every-cut", "two weights of every cut")
def _(run):
    cuts, left = parameter_cuts(run.network), run.final_mask()
    return holds(np.array([(left & (cut > 0)).sum() > 1 for cut in cuts] or [True]))


@wrong("path-exclusion/smallest-score-is-at-most-its-share", "the largest score")
def _(i):
    objective = last(i.activation_per_output() * i.objective_per_output())
    return at_most(
        i.saliency("px").max(axis=-1) * i.network.parameters, objective * on_path(i.network).sum(axis=1).max()
    )


@wrong("path-exclusion/linear-removal-never-raises-the-bound", "halves the bound")
def _(i):
    return at_most(2 * i.bound_without(), column(last(i.bound_per_output())))


@wrong("synaptic-flow/a-path-survives-down-to-the-longest", "down to one weight less")
def _(run):
    return holds(run.alive_by_round() | (np.array(run.kept_by_round()) < run.longest_path() - 1))
