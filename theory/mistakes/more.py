"""Wrong variants of other kinds, over all papers.

Quantifiers exchanged (every draw for the average, one sample for all, some output for every output), totals for
means, strict for weak, off by one in K, n, s or N, the Gram matrix of the wrong side, dropped biases and square
roots, a neighbouring quantity in the place of the right one. Some variants look wrong and are true: `TRUTHS`.
"""

from dataclasses import replace
from math import comb

import numpy as np
from flint import fmpq

from theory.claims import claim_named
from theory.flows import over
from theory.guarded import live
from theory.information import at_most_logs, binary_divergence, binary_entropy, constant_log, entropy, rational_part
from theory.information import equal_logs as same_logs
from theory.networks import ONE, jacobian
from theory.papers.no_free_prune import information, noise
from theory.papers.sketching import data_independence, synflow
from theory.paths import on_path, path_gates
from theory.relations import at_most, equal, equivalent, holds, less
from theory.scalars import absolute, indicator, log, sqrt, total
from theory.separability import cover_number
from theory.sketches import binary_masks, inverse, normalised, squared

MISTAKES, TRUTHS = {}, {}


def _enter(where, claim, note):
    def enter(function):
        where[f"{claim.split('/')[1]}: {note or function.__name__.replace('_', ' ')}"] = replace(
            claim_named(claim), function=function)  # fmt: skip
        return function

    return enter


def wrong(claim, note=""):
    """A wrong variant of a claim."""
    return _enter(MISTAKES, claim, note)


def true(claim, note=""):
    """A variant that looks wrong, and is true."""
    return _enter(TRUTHS, claim, note)


def last(a):
    return total(a, axis=-1)


def column(a):
    return np.asarray(a)[..., None]


# -- sketching --------------------------------------------------------------------------------------------


@wrong("sketching/unbiased-mask")
def every_mask_sums_to_d(i):
    return equal(last(i.enumerate(i.p)[1]), i.d)


@true("sketching/unbiased-mask", "every mask, weighted by the law, sums to 1")
def every_mask_is_normalised(i):
    return equal(last(i.enumerate(i.p)[1] * i.p[..., None, :]), 1)


@wrong("sketching/unbiased-prediction")
def every_sequence_of_draws(i):
    masks = i.enumerate(i.p)[1]
    return equal((i.w[..., None, :] * masks) @ i.x, i.prediction(i.w)[..., None, :])


@wrong("sketching/mean-squared-error")
def diagonal_of_the_gram_matrix(i):
    return equal(i.mse(i.p), (i.weighted_norm(i.p) - last(i.amplitudes**2)) / i.s)


@wrong("sketching/mean-squared-error")
def gram_matrix_of_samples(i):
    g = np.swapaxes(i.x, -1, -2) @ i.x
    return equal(i.mse(i.p), (i.weighted_norm(i.p) - total(g, axis=(-2, -1))) / i.s)


@wrong("sketching/mean-squared-error")
def mean_over_samples(i):
    return equal(i.mse(i.p), (i.weighted_norm(i.p) - i.signal) / (i.s * i.x.shape[-1]))


@wrong("sketching/mean-squared-error")
def s_plus_one(i):
    return equal(i.mse(i.p), (i.weighted_norm(i.p) - i.signal) / (i.s + 1))


@wrong("sketching/optimal-probabilities")
def strictly_best(i):
    return less(i.mse(i.optimal), i.mse(i.p))


@wrong("sketching/optimal-probabilities")
def squared_norms_times_magnitude(i):
    return at_most(i.mse(normalised(i.rows_squared * absolute(i.w))), i.mse(i.p))


@wrong("sketching/optimal-probabilities")
def best_for_the_unscaled_mask_too(i):
    return at_most(i.binary_mse(i.optimal), i.binary_mse(i.p))


@wrong("sketching/one-over-s")
def strictly_below_a_squared(i):
    return less(i.mse(i.optimal), i.a * i.a / i.s)


@wrong("sketching/one-over-s")
def d_minus_one_terms(i):
    return at_most(i.a * i.a, max(i.d - 1, 1) * last(i.amplitudes**2))


@true("sketching/one-over-s", "A^2 is at most d times the sum of a_i^2")
def d_terms(i):
    return at_most(i.a * i.a, i.d * last(i.amplitudes**2))


@wrong("sketching/mask-size")
def at_least_half_of_s(i):
    return at_most(min(i.s, i.d), 2 * last(1 - (1 - i.p) ** i.s))


@wrong("sketching/mask-size")
def strictly_less_than_s(i):
    return less(last(1 - (1 - i.p) ** i.s), i.s)


@wrong("sketching/transfer-identity")
def variance_under_the_trained_law(i):
    p, r = i.trained.optimal, i.ratios
    variance = last(p * r * r) - last(p * r) ** 2
    gap = i.s * (i.trained.mse(i.initial.optimal) - i.trained.mse(i.trained.optimal))
    return equal(gap, i.initial.a**2 * variance)


@wrong("sketching/transfer-data-norm")
def strictly_below_the_distance_bound(i):
    start, moved = i.norms()
    return less(i.trained.mse(i.initial.data_law), i.initial.f_squared * (start + moved) ** 2 / i.s)


@wrong("sketching/transfer-data-norm")
def largest_row_for_the_frobenius_norm(i):
    start, moved = i.norms()
    largest = i.initial.rows_squared.max(axis=-1)
    return at_most(i.trained.mse(i.initial.data_law), largest * (start + moved) ** 2 / i.s)


@wrong("sketching/transfer-relative")
def mean_relative_change_for_the_largest(i):
    mean = last(absolute(i.change) * inverse(absolute(i.w0))) / i.w.shape[-1]
    second = i.s * i.trained.mse(i.initial.optimal) + i.trained.signal
    return at_most(second, (1 + mean) * i.initial.a * i.trained.a)


@wrong("sketching/transfer-relative")
def relative_to_all_weights(i):
    rho = sqrt(squared(i.change) / squared(i.w0))
    second = i.s * i.trained.mse(i.initial.optimal) + i.trained.signal
    return at_most(second, (1 + rho) * i.initial.a * i.trained.a)


def mixed(i):
    """What `transfer-mixture` bounds, and its two terms."""
    u, v = i.initial.a**2, i.initial.f_squared * squared(i.seen(i.change))
    return i.s * i.trained.mse(i.mixture(i.share())) + i.trained.signal, u / (1 - i.share()), v / i.share()


@wrong("sketching/transfer-mixture")
def shares_squared(i):
    error, u, v = mixed(i)
    return at_most(u / (1 - i.share()) + v / i.share(), 4 * error)


@wrong("sketching/transfer-mixture")
def largest_of_the_two_for_their_sum(i):
    error, u, v = mixed(i)
    return at_most(error, (u + v + absolute(u - v)) / 2)


@wrong("sketching/transfer-best-mixture")
def a_share_by_square_roots(i):
    u, v = i.initial.a, sqrt(i.initial.f_squared * squared(i.seen(i.change)))
    return at_most((sqrt(u) + sqrt(v)) * (u * sqrt(u) + v * sqrt(v)), (u + v) ** 2)


@wrong("sketching/binary-mask-error")
def not_scaling_is_better(i):
    return at_most(i.binary_mse(i.p), i.mse(i.p))


@wrong("sketching/binary-mask-error")
def the_bias_is_the_error(i):
    return equal(i.binary_mse(i.p), squared(i.binary_bias(i.p)))


@wrong("sketching/data-independence")
def not_normalised(i):
    return equal(i.optimal, absolute(i.w))


@wrong("sketching/data-independence-rate")
def half_the_relative_spread(i):
    high, low = data_independence._extreme_norms(i)
    tv = last(absolute(i.optimal - normalised(absolute(i.w)))) / 2
    return at_most(tv, (high - low) / (2 * (high + low)))


@wrong("sketching/synflow-linear")
def another_sample(i):
    first, other = i.with_(x=i.x[..., :1]), i.with_(x=i.x[..., -1:])
    scores = synflow._one_layer(i, absolute(other.x[..., 0]))
    return equal(scores * column(first.a), first.amplitudes * column(last(scores)))


@wrong("sketching/synflow-l2-sign-averaged")
def mean_over_outputs(i):
    return equal(i.average_squared_score() / len(i.network.outputs), i.synflow_l2())


@wrong("sketching/synflow-l2-sign-averaged")
def under_every_sign_pattern(i):
    scores = jacobian(i.network, i.signed, i.runs) * i.signed[..., None, None, :]
    return at_most(total(scores * scores, axis=(-3, -2)) / i.x.shape[-2], i.synflow_l2()[..., None, :])


@wrong("sketching/synflow-first-power")
def summed_over_outputs_before_squaring(i):
    return equal(sqrt(i.squared_sketch_weights() * len(i.network.outputs)), i.synflow())


@wrong("sketching/random-beats-top-when-opposed")
def strictly_better(i):
    return less(i.binary_mse(i.optimal), i.mask_error(i.top()))


@wrong("sketching/random-beats-top-when-opposed")
def scaled_masks_too(i):
    return at_most(i.mse(i.optimal), i.mask_error(i.top()))


@wrong("sketching/top-is-best-for-orthogonal-rows")
def the_top_is_the_only_best(i):
    masks = binary_masks(i.d)
    masks = masks[(masks.sum(axis=1) <= i.s)]
    other = (masks != np.asarray(i.top()[..., None, :] == 1, dtype=int)).any(axis=-1)
    return less(column(i.mask_error(i.top())), squared((i.w[..., None, :] * (1 - masks)) @ i.x)).when(other)


@wrong("sketching/top-is-best-on-sign-average")
def top_by_magnitude_of_weights(i):
    rank = np.argsort(np.argsort(-absolute(i.w), axis=-1, kind="stable"), axis=-1, kind="stable")
    kept = indicator(rank < i.s, i.w)
    return at_most(last(i.amplitudes**2 * (1 - kept)), last(i.amplitudes**2 * (1 - i.top())))


# -- synaptic flow ----------------------------------------------------------------------------------------


@wrong("synaptic-flow/neuron-conservation")
def outputs_conserve_as_well(i):
    net, s = i.network, i.edge_scores
    rows = [u for u in range(len(net.units)) if net.incoming[u]]
    into = np.array([[int(e.target == u) for e in net.edges] for u in rows], dtype=int).reshape(-1, len(net.edges))
    out = np.array([[int(e.source == u) for e in net.edges] for u in rows], dtype=int).reshape(-1, len(net.edges))
    return equal(last(s[..., None, :] * into), last(s[..., None, :] * out))


@wrong("synaptic-flow/cut-conservation")
def mean_over_the_batch(i):
    flow = total(i.gradient * i.outputs(), axis=(-2, -1)) / i.x.shape[-2]
    return equal(last(i.edge_scores[..., None, :] * _cuts(i.network)), column(flow))


@wrong("synaptic-flow/cut-conservation")
def without_the_last_output(i):
    flow = total((i.gradient * i.outputs())[..., : max(1, len(i.network.outputs) - 1)], axis=(-2, -1))
    return equal(last(i.edge_scores[..., None, :] * _cuts(i.network)), column(flow))


def _cuts(network):
    from theory.cuts import cut_matrix

    return cut_matrix(network)


@wrong("synaptic-flow/maximal-critical-compression")
def every_output_keeps_a_path(run):
    ends = np.array(run.paths.outputs)
    alive = np.stack([run.surviving_paths()[..., ends == k].any(axis=-1) for k in range(len(run.network.outputs))], -1)
    return holds(alive.all(axis=-1) | (np.array(run.kept_by_round()) < len(run.network.outputs) * run.longest_path()))


@wrong("synaptic-flow/maximal-critical-compression")
def the_largest_path_survives(run):
    values = run.path_weights_at(np.ones(run.theta.shape, dtype=bool))
    best = np.asarray(values == column(values.max(axis=-1)), dtype=bool)
    kept = (run.surviving_paths()[..., -1, :] & best).any(axis=-1)
    return holds(kept | (run.keep < run.longest_path()))


@wrong("synaptic-flow/maximal-critical-compression")
def layers_keep_their_share(run):
    return at_most(run.keep // len(run.network.layers), run.layer_sizes().min(axis=-1))


@wrong("synaptic-flow/masked-weights-stay-masked")
def every_round_prunes_something(run):
    return holds((run.masks().sum(axis=-1) < run.masks_before().sum(axis=-1)).all(axis=-1))


@wrong("synaptic-flow/threshold-keeps-the-target")
def layers_keep_the_density(run):
    sizes = np.array([len(layer) for layer in run.network.layers])
    return equal(run.layer_sizes() * run.weights, sizes * run.keep)


@wrong("synaptic-flow/why-absolute-values")
def larger_weights_score_higher_in_a_layer(i):
    score, size = i.saliency("synflow"), absolute(i.theta)
    layer = np.zeros(i.network.parameters, dtype=int)
    for number, members in enumerate(i.network.layers):
        layer[list(members)] = number
    premise = np.asarray(size[..., :, None] >= size[..., None, :], dtype=bool) & (layer[:, None] == layer)
    return at_most(score[..., None, :], score[..., :, None]).when(premise)


@wrong("synaptic-flow/layer-rescaling")
def the_whole_network_scaled_once(i):
    factor = column(i.factor)
    scaled = i.with_(theta=i.theta * factor)
    return equal(scaled.saliency("synflow"), i.saliency("synflow") * factor)


# -- path exclusion ---------------------------------------------------------------------------------------


@wrong("path-exclusion/path-decomposition")
def gates_of_the_first_sample(i):
    gated = path_gates(i.network, i.run)[..., :1, :] * i.source_values() * i.path_values()[..., None, :]
    return equal(last(i._by_output(gated)), i.outputs())


@wrong("path-exclusion/path-decomposition")
def biases_dropped(i):
    weights = np.array([int(i.network.units[s] != ONE) for s in i.paths.sources])
    return equal(last(i._by_output(i.path_inputs() * weights * i.path_values()[..., None, :])), i.outputs())


@wrong("path-exclusion/chain-rule")
def diagonal_path_kernel(i):
    j, d = i.path_activation_matrix(), last(i.path_jacobian() ** 2)
    return equal((j * d[..., None, :]) @ np.swapaxes(j, -1, -2), i.ntk())


@wrong("path-exclusion/trace-bound")
def per_sample_mean(i):
    return at_most(i.ntk_trace(), i.path_activation() * i.path_kernel_trace() / i.x.shape[-2])


@wrong("path-exclusion/trace-bound")
def strictly(i):
    return less(i.ntk_trace(), i.path_activation() * i.path_kernel_trace())


@wrong("path-exclusion/trace-bound")
def zero_weights_left_out(i):
    used = indicator(np.asarray(i.theta != 0, dtype=bool), i.theta)
    kernel = total(i.path_jacobian() ** 2 * used[..., None, :], axis=(-2, -1))
    return at_most(i.ntk_trace(), i.path_activation() * kernel)


@wrong("path-exclusion/trace-bound-per-output")
def largest_output_for_their_sum(i):
    return at_most(i.ntk_trace(), (i.activation_per_output() * i.kernel_per_output()).max(axis=-1))


@true("path-exclusion/trace-bound-per-output", "largest D_k times the sum of T_k")
def largest_activation(i):
    return at_most(i.ntk_trace(), i.activation_per_output().max(axis=-1) * i.path_kernel_trace())


@true("path-exclusion/trace-bound-per-output", "largest T_k times the sum of D_k")
def largest_kernel(i):
    return at_most(i.ntk_trace(), i.path_activation() * i.kernel_per_output().max(axis=-1))


@wrong("path-exclusion/trace-bound-per-output")
def smallest_kernel(i):
    return at_most(i.ntk_trace(), i.path_activation() * i.kernel_per_output().min(axis=-1))


@true("path-exclusion/trace-bound-per-sample", "only paths with a nonzero input in both factors")
def nonzero_inputs(i):
    return at_most(i.ntk_trace(), _where_inputs_are_not_zero(i))


def _where_inputs_are_not_zero(i):
    a, gradients = i.path_inputs(), last(i.path_jacobian() ** 2)
    seen = indicator(np.asarray(a != 0, dtype=bool), i.theta)
    d, t = i._by_output(a * a), i._by_output(seen * gradients[..., None, :])
    return total(last(d) * last(t), axis=(-2, -1))


@wrong("path-exclusion/trace-bound-per-sample")
def largest_sample_for_their_sum(i):
    a, gradients = i.path_inputs(), last(i.path_jacobian() ** 2)
    d = last(i._by_output(a * a)).max(axis=-2)
    return at_most(i.ntk_trace(), last(d * i._sum_by_output(gradients)))


@wrong("path-exclusion/trace-bound-divided-by-outputs")
def layers_for_outputs(i):
    depth = int(on_path(i.network).sum(axis=1).max(initial=1))
    return at_most(i.ntk_trace(), i.path_activation() * i.path_kernel_trace() / depth)


@wrong("path-exclusion/kernel-by-gradient")
def mean_of_the_outputs(i):
    return equal(i.kernel_by_gradient(), column(i.path_kernel_trace()) / len(i.network.outputs))


@wrong("path-exclusion/auxiliary-networks")
def constant_unit_at_zero(i):
    weights = np.array([int(i.network.units[s] != ONE) for s in i.paths.sources])
    return equal(i.activation_by_forward(), i._sum_by_output(total((i.path_inputs() * weights) ** 2, axis=-2)))


@wrong("path-exclusion/saliency")
def scores_sum_to_the_objective(i):
    return equal(last(i.saliency("px")), last(i.activation_per_output() * i.objective_per_output()))


@wrong("path-exclusion/saliency-nonnegative")
def positive_where_the_weight_is_not_zero(i):
    alive = np.asarray(last(i.activation_per_output()) > 0, dtype=bool)[..., None]
    return equivalent(i.saliency_by_gradient() > 0, np.asarray(i.theta != 0, dtype=bool) & alive)


@wrong("path-exclusion/reduces-to-synflow-l2")
def order_by_magnitude(i):
    s, size = i.saliency("px"), absolute(i.theta)
    return at_most(s[..., None, :], s[..., :, None]).when(
        np.asarray(size[..., :, None] >= size[..., None, :], dtype=bool)
    )


@wrong("path-exclusion/saliency-conservation")
def kernel_for_the_objective(i):
    from theory.cuts import parameter_cuts

    cuts = parameter_cuts(i.network)
    flow = last(i.activation_per_output() * i.kernel_per_output())
    return equal(over(cuts, i.saliency("px")), column(flow)).when(bool(len(cuts)))


@wrong("path-exclusion/eigenvalue-bounds")
def samples_for_the_rank(i):
    return at_most(i.ntk_trace(), i.x.shape[-2] * i.largest_eigenvalue())


@true("path-exclusion/eigenvalue-bounds", "parameters for the rank")
def parameters_for_the_rank(i):
    return at_most(i.ntk_trace(), i.network.parameters * i.largest_eigenvalue())


@wrong("path-exclusion/eigenvalue-bounds")
def outputs_for_the_rank(i):
    return at_most(i.ntk_trace(), len(i.network.outputs) * i.largest_eigenvalue())


@wrong("path-exclusion/residual-decay")
def mean_eigenvalue(i):
    mean = last(i.larger) / i.larger.shape[-1]
    return at_most(i.after(i.larger), (1 - np.asarray(i.eta) * mean) ** (2 * i.steps) * last(i.residual**2))


@wrong("path-exclusion/residual-decay")
def strictly_smaller(i):
    return less(i.after(i.larger), last(i.residual**2))


@wrong("path-exclusion/removal-by-trace-is-best")
def losses_of_trace_do_not_interact(i):
    own = total(i.jacobian() ** 2, axis=(-3, -2))
    return equal(i.trace_without(), column(i.ntk_trace()) - own)


@wrong("path-exclusion/removal-by-trace-is-best")
def removing_a_weight_cannot_raise_the_trace(i):
    return at_most(i.trace_without(), column(i.ntk_trace()))


@wrong("path-exclusion/frozen-activation-never-collapses")
def every_input_keeps_a_path(run):
    starts = np.array(run.paths.sources)
    alive = np.stack([run.surviving_paths()[..., starts == s].any(axis=-1) for s in sorted(set(run.paths.sources))], -1)
    return holds(alive.all(axis=-1) | (np.array(run.kept_by_round()) < len(run.network.inputs) * run.longest_path()))


@wrong("path-exclusion/guarded-pruning-keeps-a-live-path")
def live_on_every_sample(run):
    def each(mask):
        return [bool(live(run.with_(x=run.x[n : n + 1]), mask)) for n in range(run.x.shape[-2])]

    start = each(np.ones(run.theta.shape, dtype=bool))
    return holds(np.array(each(run.final_mask()))).when(np.array(start))


@wrong("path-exclusion/tanh-with-every-gate-on")
def strictly_below_the_formal_bound(i):
    return less(i.ntk_trace(), i.formal_bound(every_gate_on=True))


@wrong("path-exclusion/released-score-with-batch-norm")
def scores_of_shifts_too(i):
    silent = [j for name, group in i.groups.items() if not name.startswith("head") for j in group]
    return equal(i.scores()[silent], 0 * i.scores()[silent])


# -- no free prune ----------------------------------------------------------------------------------------


@wrong("no-free-prune/information-range")
def strictly_less_information_than_entropy(i):
    lhs, rhs = i.information().value(), entropy(i.mask_weights()).value()
    return less(lhs, rhs)


@wrong("no-free-prune/information-range")
def one_bit_for_each_weight_kept(i):
    return at_most_logs(entropy(i.mask_weights()), information._logs_of([2**k for k in range(i.n + 1)], i))


@wrong("no-free-prune/information-range-at-most-k")
def k_ones_only(i):
    return at_most_logs(entropy(i.mask_weights()), information._logs_of([comb(i.n, k) for k in range(i.n + 1)], i))


@wrong("no-free-prune/information-range")
def information_of_the_data_for_that_of_the_mask(i):
    return at_most_logs(entropy(total(i.weights, axis=-1)), entropy(i.mask_weights()))


@wrong("no-free-prune/data-independent-mask")
def most_weights_for_the_mean(i):
    kept = total(indicator(i.mask_weights() > 0, i.weights) * i.ones, axis=-1) * 0 + i.largest()
    return same_logs(i.effective_parameters(), rational_part(kept, i.weights))


@wrong("no-free-prune/decoupling")
def what_the_mask_does_not_know(i):
    unknown = entropy(total(i.weights, axis=-1)) - i.information()
    return at_most_logs(rational_part(i.gap() ** 2, i.weights), unknown * (2 * i.proxy))


@wrong("no-free-prune/decoupling")
def the_deviation_for_the_variance(i):
    return at_most_logs(rational_part(absolute(i.gap()), i.weights), i.information() * (2 * i.proxy))


@wrong("no-free-prune/noise-correlation")
def the_smallest_class(i):
    smallest = constant_log(i.sizes().min(axis=-1), total(i.label_law, axis=-1))
    return noise._noise_correlation(i, smallest + i.information())


@true("no-free-prune/noise-correlation", "the union of the classes for the information")
def the_union_of_the_classes(i):
    every = indicator(np.asarray((i.member == 1).any(axis=-2), dtype=bool), i.labels)
    return noise._noise_correlation(i, constant_log(last(every), total(i.label_law, axis=-1)))


@wrong("no-free-prune/cover-count")
def bias_not_counted(i):
    return at_most(fmpq(i.realised()), fmpq(cover_number(*i.x.shape)))


@wrong("no-free-prune/cover-count")
def n_minus_one_points(i):
    n, k = i.points().shape
    return at_most(fmpq(i.realised()), fmpq(cover_number(max(n - 1, 1), k)))


@wrong("no-free-prune/counting")
def masks_through_one_input(i):
    n, inputs = i.x.shape
    bound = fmpq(comb(inputs - 1, i.keep - 1) * cover_number(n, i.keep), 2**n)
    return at_most(i.memorised_by_some_mask(), bound)


@wrong("no-free-prune/counting")
def one_mask_at_a_time(i):
    each = (i.realisable().sum(axis=-1)).max()
    return at_most(i.memorised_by_some_mask(), fmpq(int(each), 2 ** i.x.shape[0]))


@wrong("no-free-prune/memorisation-information")
def chance_of_the_largest_class(i):
    q = i.sizes().max(axis=-1) / (i.one * 2**i.n)
    inside = np.asarray((q > 0) & (q < 1), dtype=bool)
    return at_most_logs(binary_divergence(i.memorised(), np.where(inside, q, i.by_chance())), i.information())


@true("no-free-prune/memorising-needs-parameters", "p times the logarithm of the mean size, memorised or not")
def mean_size_whether_or_not_it_memorises(i):
    p = i.memorised()
    mean = i.by_chance() * 2**i.n
    some = np.asarray(mean > 0, dtype=bool)
    allowed = i.information() + constant_log(np.where(some, mean, mean * 0 + 1), p) * p + binary_entropy(p)
    return at_most_logs(constant_log(2, p) * (p * i.n), allowed).when(some)


@wrong("no-free-prune/memorising-needs-parameters")
def one_sample_fewer(i):
    p = i.memorised()
    allowed = i.information() + i.log_size_when_memorised() + binary_entropy(p)
    return at_most_logs(constant_log(2, p) * (p * (i.n + 1)), allowed)


@true("no-free-prune/leakage-count", "the largest only over the labelings that the mask fits")
def leakage_where_it_fits(i):
    fits = np.swapaxes(i.realisable, -1, -2)
    return at_most(i.memorised(), last((i.conditional * fits).max(axis=-2) * i.sizes()) / 2**i.n)


@wrong("no-free-prune/leakage-count")
def every_mask_is_leaked_alike(i):
    leaked = i.conditional.max(axis=(-2, -1))
    return at_most(i.memorised(), leaked * i.sizes().max(axis=-1) / 2**i.n)


@wrong("no-free-prune/data-gain")
def seeing_the_labels_never_hurts(i):
    return at_most(-i.accuracy_gain(), 0 * i.accuracy_gain())


@wrong("no-free-prune/data-gain")
def correct_points_for_accuracy(i):
    gain = i.accuracy_gain() * i.n
    return at_most_logs(rational_part(gain * gain, i.labels), i.information() * (i.one / (2 * i.n)))


@wrong("no-free-prune/law-of-robustness-effective")
def without_the_factor_two(i):
    best = i.correlation()
    return at_most(best * best, log(fmpq(i.directions)))


PLANTED = MISTAKES
