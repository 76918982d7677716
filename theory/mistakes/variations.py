"""Wrong variants that are right on the smallest structures: what shows them is a third sample, output, draw or layer,
a weight used twice, unequal activations, an impossible mask, or a bound that is exceeded by little.
"""

from dataclasses import replace
from math import comb

import numpy as np

from theory.claims import claim_named
from theory.enumeration import on_path
from theory.information import at_most_logs, binary_divergence, binary_entropy, constant_log, entropy, rational_part
from theory.networks import INPUT
from theory.papers.no_free_prune import information
from theory.papers.path_exclusion import collapse as px_collapse
from theory.paths import path_gates
from theory.pruning import keep_top, sampled_mask
from theory.relations import all_of, at_most, equal, holds, less, nonnegative, positive
from theory.saliency import scorer_named
from theory.scalars import absolute, indicator, rational, sqrt, total
from theory.separability import cover_number
from theory.sketches import column, inverse, normalised, sequences, squared

PLANTED = {}


def wrong(claim, note, *, keeps=None):
    """A wrong variant of a claim: another function, perhaps only with the first ``keeps`` of its assumptions."""

    def enter(function):
        right = claim_named(claim)
        name = f"{claim.split('/')[1]}: {note}"
        PLANTED[name] = replace(right, function=function, assumptions=right.assumptions[:keeps])
        return function

    return enter


def last(a):
    return total(a, axis=-1)


# -- sketching --------------------------------------------------------------------------------------------


@wrong("sketching/mean-squared-error", "right for up to two draws")
def _(i):
    return equal(i.expected(i.p, *i.enumerate(i.p)[::-1])[2], (i.weighted_norm(i.p) - i.signal) / min(i.s, 2))


@wrong("sketching/mean-squared-error", "weights not squared")
def _(i):
    norm = last(i.rows_squared * absolute(i.w) * inverse(i.p))
    return equal(i.expected(i.p, *i.enumerate(i.p)[::-1])[2], (norm - i.signal) / i.s)


@wrong("sketching/mean-squared-error-of-any-law", "bias by what is reached")
def _(i):
    return equal(i.expected(i.p, *i.enumerate(i.p)[::-1])[1], i.prediction(i.w))


@wrong("sketching/mask-size", "at most the mean of s and d, less an eighth")
def _(i):
    return at_most(last(1 - (1 - i.p) ** i.s) * 8, 4 * i.s + 4 * i.d - 1)


@wrong("sketching/mask-size", "uniform law over all features")
def _(i):
    d = last(i.p * 0 + 1)
    return equal(last(1 - (1 - i.p) ** i.s), d * (1 - (1 - 1 / d) ** i.s))


@wrong("sketching/one-over-s", "Cauchy-Schwarz with the largest row")
def _(i):
    return at_most(i.a * i.a, i.d * (i.rows_squared * i.w * i.w).max(axis=-1) * (i.d - 1) / i.d + i.signal)


@wrong("sketching/one-over-s", "second gap not halved")
def _(i):
    r, v = i.row_norms, absolute(i.w)
    gap = r[..., :, None] * v[..., None, :] - r[..., None, :] * v[..., :, None]
    return equal(i.a * i.a + total(gap * gap, axis=(-2, -1)), i.f_squared * squared(i.w))


@wrong("sketching/optimal-probabilities", "any law at least a mixture with uniform")
def _(i):
    return at_most(i.mse((i.optimal + 1 / column(last(i.p * 0 + 1))) / 2), i.mse(i.p))


@wrong("sketching/excess-is-chi-square", "chi-square with a first power")
def _(i):
    chi = last(absolute(i.optimal - i.p) * inverse(i.p))
    return equal(i.mse(i.p), i.mse(i.optimal) + i.a * i.a * chi / i.s)


@wrong("sketching/excess-is-chi-square", "a draw fewer")
def _(i):
    chi = last(i.optimal * i.optimal * inverse(i.p)) - 1
    return equal(i.mse(i.p), i.mse(i.optimal) + i.a * i.a * chi / max(1, i.s - 1))


@wrong("sketching/transfer-identity", "variance over s squared")
def _(i):
    a0 = i.initial.a
    best = i.trained.mse(i.trained.optimal)
    return equal(i.trained.mse(i.initial.optimal), best + a0 * a0 * i.ratio_variance() / i.s**2)


@wrong("sketching/transfer-data-norm", "signal added")
def _(i):
    start, moved = i.norms()
    bound = i.initial.f_squared * (start + moved) ** 2
    return at_most(i.s * i.trained.mse(i.initial.data_law) + i.trained.signal, bound - i.trained.signal)


@wrong("sketching/transfer-data-norm", "nearly the root of the sum of squares")
def _(i):
    start, moved = i.norms()
    bound = i.initial.f_squared * (start * start + moved * moved + start * moved)
    return at_most(i.s * i.trained.mse(i.initial.data_law) + i.trained.signal, bound)


@wrong("sketching/transfer-relative", "excess a twentieth smaller")
def _(i):
    rho, a0, a = i.relative_change(), i.initial.a, i.trained.a
    low = (1 - rho + absolute(1 - rho)) / 2
    second = i.s * i.trained.mse(i.initial.optimal) + i.trained.signal
    return at_most(second, a * a + ((1 + rho) * a0 - a) * (a - low * a0) * 19 / 20)


@wrong("sketching/transfer-relative", "A* at least 1 - rho/2")
def _(i):
    rho, a0, a = i.relative_change(), i.initial.a, i.trained.a
    return at_most((1 - rho / 2) * a0, a)


@wrong("sketching/transfer-mixture", "initial term only 1 - l/2")
def _(i):
    share, moved = i.share(), i.initial.f_squared * squared(i.seen(i.change))
    bound = i.initial.a * i.initial.a / (1 - share / 2) + moved / share
    return at_most(i.s * i.trained.mse(i.mixture(share)) + i.trained.signal, bound)


@wrong("sketching/transfer-mixture", "change term with the larger share")
def _(i):
    share, moved = i.share(), i.initial.f_squared * squared(i.seen(i.change))
    bound = i.initial.a * i.initial.a / (1 - share) + moved * 2 / (1 + share)
    return at_most(i.s * i.trained.mse(i.mixture(share)) + i.trained.signal, bound)


@wrong("sketching/binary-mask-error", "misses with one draw less off the diagonal")
def _(i):
    p, eye = i.p, np.eye(i.d, dtype=int)
    off = (1 - p[..., :, None] - p[..., None, :]) ** max(1, i.s - 1) * (1 - eye)
    missed = off + ((1 - p) ** i.s)[..., None, :] * eye
    closed = total(i.gram * i.w[..., :, None] * i.w[..., None, :] * missed, axis=(-2, -1))
    chance, masks = i.enumerate(p)
    return equal(i.expected(p, indicator(masks != 0, p), chance)[2], closed)


@wrong("sketching/data-independence-rate", "the error at most doubles", keeps=0)
def _(i):
    return at_most(i.mse(normalised(absolute(i.w))), 2 * i.mse(i.optimal))


@wrong("sketching/top-is-best-for-orthogonal-rows", "top by weight times norm to the fourth")
def _(i):
    keep = keep_top(i.rows_squared * i.rows_squared * i.w * i.w, min(i.s, i.d))
    return at_most(i.mask_error(indicator(keep, i.w)), i.mask_error(i.top()))


@wrong("sketching/sampling-never-beats-top-of-few", "of one feature more", keeps=0)
def _(i):
    return at_most(i.mask_error(i.top()), i.binary_mse(i.optimal))


@wrong("sketching/synflow-first-power-nonnegative", "any number of inputs", keeps=-1)
def _(i):
    return equal(sqrt(i.squared_sketch_weights()), i.synflow())


# -- no free prune ----------------------------------------------------------------------------------------


@wrong("no-free-prune/information-range", "at most a third of the entropies together")
def _(i):
    entropies = entropy(i.mask_weights()) + entropy(last(i.weights))
    return at_most_logs(i.information() * 3, entropies)


@wrong("no-free-prune/information-range", "masks of k - 1 of N - 1 weights, doubled")
def _(i):
    numbers = [2 * comb(i.n - 1, k - 1) if 0 < k < i.n else 1 for k in range(i.n + 1)]
    return at_most_logs(entropy(i.mask_weights()), information._logs_of(numbers, i))


@wrong("no-free-prune/information-range-at-most-k", "2^k masks for three weights or more")
def _(i):
    return at_most_logs(
        entropy(i.mask_weights()), information._logs_of([max(2**k, i.n + 1) for k in range(i.n + 1)], i)
    )


@wrong("no-free-prune/decoupling", "variance a twentieth too small")
def _(i):
    gap = i.gap()
    return at_most_logs(rational_part(gap * gap, i.weights), i.information() * (19 * i.proxy / 10))


@wrong("no-free-prune/decoupling-total-variation", "Pinsker a twentieth too sharp")
def _(i):
    variation = i.total_variation()
    return at_most_logs(rational_part(21 * variation * variation / 10, i.weights), i.information())


@wrong("no-free-prune/memorisation-information", "a twentieth less information")
def _(i):
    d = binary_divergence(i.memorised(), i.by_chance())
    return at_most_logs(d, i.information() * (i.one * 19 / 20))


@wrong("no-free-prune/memorisation-information", "chance over labelings that a mask realises")
def _(i):
    some = last(i.realisable.max(axis=-2))
    chance = last(i.mask_law() * i.sizes()) / (some + indicator(some == 0, some))
    return at_most_logs(binary_divergence(i.memorised(), chance), i.information())


@wrong("no-free-prune/memorisation-information", "any labels", keeps=0)
def _(i):
    return at_most_logs(i.divergence_by_mask(), i.information())


@wrong("no-free-prune/memorising-needs-parameters", "half the entropy of success")
def _(i):
    p = i.memorised()
    nats = constant_log(2, p) * i.n
    return at_most_logs(nats * p, i.information() + i.log_size_when_memorised() + binary_entropy(p) * (i.one * 9 / 10))


@wrong("no-free-prune/memorising-needs-parameters", "logarithm of the mean size")
def _(i):
    p = i.memorised()
    size = constant_log(last(i.mask_law() * i.sizes()) + indicator(last(i.sizes()) == 0, p), p)
    return at_most_logs(constant_log(2, p) * i.n * p, i.information() + size * p)


@wrong("no-free-prune/leakage-count", "the sum over labels for the largest")
def _(i):
    return at_most(i.memorised(), i.by_chance() * (1 + (i.conditional.max(axis=-2).sum(axis=-1) - 1) * 9 / 10))


@wrong("no-free-prune/data-gain", "a tenth less")
def _(i):
    gain = i.accuracy_gain()
    return at_most_logs(rational_part(gain * gain, i.labels), i.information() * (i.one * 9 / (20 * i.n)))


@wrong("no-free-prune/data-gain", "by n^2 from three points on")
def _(i):
    gain, n = i.accuracy_gain(), i.n
    return at_most_logs(rational_part(gain * gain, i.labels), i.information() * (i.one / (2 * max(n, n * (n - 1)))))


@wrong("no-free-prune/noise-correlation", "a tenth less")
def _(i):
    found = i.correlation()
    nats = (i.log_size() + i.information()) * (9 * i.one / (5 * i.n))
    return at_most_logs(rational_part(found * absolute(found), i.labels), nats)


@wrong("no-free-prune/noise-correlation", "half the information")
def _(i):
    found = i.correlation()
    nats = (i.log_size() + i.information() * (i.one / 2)) * (2 * i.one / i.n)
    return at_most_logs(rational_part(found * absolute(found), i.labels), nats)


@wrong("no-free-prune/cover-count", "without the last binomial from three inputs on")
def _(i):
    n, k = i.points().shape
    return at_most(i.realised(), cover_number(n, k if k < 3 else k - 1))


@wrong("no-free-prune/counting", "masks of at most k inputs, each counted once for all")
def _(i):
    n, inputs = i.x.shape
    return at_most(i.memorised_by_some_mask() * 2**n, max(1, comb(inputs, i.keep) - 1) * cover_number(n, i.keep))


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


@wrong("sketching/algorithm-draws-the-mask", "counts not divided by s")
def _(i):
    drawn, p = sequences(i.d, i.s), (i.p + (i.p * 0 + 1) / i.d) / 2
    return equal(sampled_mask(p, drawn[-1]) * i.s, i.enumerate(p)[1][..., -1, :])


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
