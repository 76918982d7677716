"""Wrong variants of the claims on sketching."""

from __future__ import annotations

from dataclasses import replace

from flint import fmpq

from theory.claims import Status, claims
from theory.network_sketches import rectifiers_on_paths
from theory.network_sketches import synflow as synflow_scores
from theory.papers.sketching import binary_mask, data_independence, sampling, sampling_or_top, synflow, transfer
from theory.relations import at_most, equal, less
from theory.scalars import absolute, indicator, sqrt, total
from theory.sketches import binary_masks, column, normalised, squared

HERE = [c for c in claims() if c.id.startswith("sketching/")]
PROVED = [c for c in HERE if c.status is Status.PROVED]
REFUTED = [c for c in HERE if c.status is Status.REFUTED]
EMPIRICAL = [c for c in HERE if c.status is Status.EMPIRICAL]
last = column

MUTANTS = {
    "mask not divided by s": (
        sampling.unbiased_mask,
        lambda i: equal(i.s * i.expected(i.p, *i.enumerate(i.p)[::-1])[0], 1),
    ),
    "mask not divided by p": (
        sampling.unbiased_mask,
        lambda i: equal(i.expected(i.p, i.enumerate(i.p)[1] * i.p[..., None, :], i.enumerate(i.p)[0])[0], 1),
    ),
    "prediction of the wrong sign": (
        sampling.unbiased_prediction,
        lambda i: equal(i.expected(i.p, *i.enumerate(i.p)[::-1])[1], -i.prediction(i.w)),
    ),
    "prediction of |w|": (
        sampling.unbiased_prediction,
        lambda i: equal(i.expected(i.p, *i.enumerate(i.p)[::-1])[1], i.prediction(absolute(i.w))),
    ),
    "plus |X'w|^2": (
        sampling.mean_squared_error,
        lambda i: equal(i.expected(i.p, *i.enumerate(i.p)[::-1])[2], (i.weighted_norm(i.p) + i.signal) / i.s),
    ),
    "no 1/s": (
        sampling.mean_squared_error,
        lambda i: equal(i.expected(i.p, *i.enumerate(i.p)[::-1])[2], i.weighted_norm(i.p) - i.signal),
    ),
    "1/s^2": (
        sampling.mean_squared_error,
        lambda i: equal(i.expected(i.p, *i.enumerate(i.p)[::-1])[2], (i.weighted_norm(i.p) - i.signal) / i.s**2),
    ),
    "no squared bias": (
        sampling.mean_squared_error_of_any_law,
        lambda i: equal(i.expected(i.p, *i.enumerate(i.p)[::-1])[2], (i.weighted_norm(i.p) - i.signal) / i.s),
    ),
    "bias not squared with the variance of all weights": (
        sampling.mean_squared_error_of_any_law,
        lambda i: equal(
            i.expected(i.p, *i.enumerate(i.p)[::-1])[2],
            squared(i.prediction(i.w * indicator(i.p == 0, i.p))) + (i.weighted_norm(i.p) - i.signal) / i.s,
        ),
    ),
    "probabilities by a^2": (
        sampling.optimal_probabilities,
        lambda i: at_most(i.mse(normalised(i.amplitudes * i.amplitudes)), i.mse(i.p)),
    ),
    "probabilities by magnitude": (
        sampling.optimal_probabilities,
        lambda i: at_most(i.mse(normalised(absolute(i.w))), i.mse(i.p)).when(i.w.all(axis=-1)),
    ),
    "chi-square the other way round": (
        sampling.excess_is_chi_square,
        lambda i: equal(i.mse(i.p), i.mse(i.optimal) + i.a * i.a * sampling.chi_square(i.p, i.optimal) / i.s),
    ),
    "A instead of A^2": (
        sampling.excess_is_chi_square,
        lambda i: equal(i.mse(i.p), i.mse(i.optimal) + i.a * sampling.chi_square(i.optimal, i.p) / i.s),
    ),
    "s^2 MSE is constant": (
        sampling.one_over_s,
        lambda i: equal(i.s**2 * i.mse(i.optimal), i.with_(s=1).mse(i.optimal)),
    ),
    "A^2 / s^2": (sampling.one_over_s, lambda i: at_most(i.mse(i.optimal), i.a * i.a / i.s**2)),
    "sum of a_i^2 for A^2": (
        sampling.one_over_s,
        lambda i: at_most(i.mse(i.optimal), total(i.amplitudes * i.amplitudes, axis=-1) / i.s),
    ),
    "mask size s p_i": (
        sampling.mask_size,
        lambda i: equal(
            total(total(indicator(i.enumerate(i.p)[1] != 0, i.p), axis=-1) * i.enumerate(i.p)[0], axis=-1),
            total(i.s * i.p, axis=-1),
        ),
    ),
    "mask size at most s - 1/8": (
        sampling.mask_size,
        lambda i: at_most(8 * total(1 - (1 - i.p) ** i.s, axis=-1), 8 * i.s - 1),
    ),
    "one feature fewer for the uniform law": (
        sampling.mask_size,
        lambda i: at_most(
            total(1 - (1 - i.p) ** i.s, axis=-1), (i.d - 1) * (1 - (1 - fmpq(1, max(i.d - 1, 1))) ** i.s)
        ).when(i.d > 1),
    ),
    "second moment for the variance": (
        transfer.transfer_identity,
        lambda i: equal(
            i.trained.mse(i.initial.optimal) - i.trained.mse(i.trained.optimal),
            i.initial.a**2 * total(i.initial.optimal * i.ratios * i.ratios, axis=-1) / i.s,
        ),
    ),
    "A0 for A* before chi-square": (
        transfer.transfer_identity,
        lambda i: equal(
            i.trained.mse(i.initial.optimal) - i.trained.mse(i.trained.optimal),
            i.initial.a**2 * sampling.chi_square(i.trained.optimal, i.initial.optimal) / i.s,
        ),
    ),
    "|w0| - |w - w0|": (
        transfer.transfer_data_norm,
        lambda i: at_most(
            i.trained.mse(i.initial.data_law), i.initial.f_squared * (i.norms()[0] - i.norms()[1]) ** 2 / i.s
        ),
    ),
    "|w|^2 also where X_i = 0": (
        transfer.transfer_data_norm,
        lambda i: equal(
            i.trained.mse(i.initial.data_law), (i.initial.f_squared * squared(i.w) - i.trained.signal) / i.s
        ),
    ),
    "squares of norms added": (
        transfer.transfer_data_norm,
        lambda i: at_most(
            i.trained.mse(i.initial.data_law), i.initial.f_squared * (squared(i.w0) + squared(i.change)) / i.s
        ),
    ),
    "rho for 1 + rho": (
        transfer.transfer_relative,
        lambda i: at_most(
            i.trained.mse(i.initial.optimal),
            (i.relative_change() * i.initial.a * i.trained.a - i.trained.signal) / i.s,
        ),
    ),
    "excess by rho^4": (
        transfer.transfer_relative,
        lambda i: at_most(
            i.s * (i.trained.mse(i.initial.optimal) - i.trained.mse(i.trained.optimal)),
            i.initial.a**2 * i.relative_change() ** 4,
        ),
    ),
    "second moment a_i for the least error": (
        transfer.transfer_relative,
        lambda i: at_most(
            i.s * i.trained.mse(i.initial.optimal) + i.trained.signal,
            i.trained.a**2 + (i.initial.a - i.trained.a) * (i.trained.a - i.initial.a * (1 - i.relative_change())),
        ),
    ),
    "shares exchanged": (
        transfer.transfer_mixture,
        lambda i: at_most(second(i), i.initial.a**2 / i.share() + moved(i) / (1 - i.share())),
    ),
    "no shares": (transfer.transfer_mixture, lambda i: at_most(second(i), i.initial.a**2 + moved(i))),
    "change over all features for those with X_i": (
        transfer.transfer_mixture,
        lambda i: at_most(i.initial.f_squared * squared(i.change), moved(i)),
    ),
    "a share of the initial term only": (
        transfer.transfer_mixture,
        lambda i: at_most(second(i), i.initial.a**2 / (1 - i.share()) + moved(i)),
    ),
    "squares of A0 and F|w - w0| added": (
        transfer.transfer_best_mixture,
        lambda i: at_most(i.initial.a**2 / (1 - i.share()) + moved(i) / i.share(), (i.initial.a + sqrt(moved(i))) ** 2),
    ),
    "best share by squares": (
        transfer.transfer_best_mixture,
        lambda i: at_most(
            i.s * i.trained.mse(i.mixture(moved(i) / (i.initial.a**2 + moved(i)))) + i.trained.signal,
            (i.initial.a + sqrt(moved(i))) ** 2,
        ),
    ),
    "the data law alone": (
        transfer.mixture_is_minimax,
        lambda i: equal(i.weighted_norm(i.data_law, i.worst()), (i.a + i.step * i.f_squared) ** 2),
    ),
    "as if the law knew where the weights go": (
        transfer.mixture_is_minimax,
        lambda i: at_most(i.weighted_norm(i.p, i.worst()), (i.a + i.step * i.f_squared) ** 2),
    ),
    "squares of the two terms": (
        transfer.mixture_is_minimax,
        lambda i: at_most((i.a + 2 * i.step * i.f_squared) ** 2, i.weighted_norm(i.p, i.worst())),
    ),
    "bias of the wrong sign": (
        binary_mask.binary_mask_error,
        lambda i: equal(
            i.expected(i.p, indicator(i.enumerate(i.p)[1] != 0, i.p), i.enumerate(i.p)[0])[1] - i.prediction(i.w),
            -i.binary_bias(i.p),
        ),
    ),
    "misses counted as independent": (
        binary_mask.binary_mask_error,
        lambda i: equal(
            i.binary_mse(i.p),
            squared(i.binary_bias(i.p))
            + total(i.rows_squared * i.w * i.w * (1 - i.p) ** i.s * (1 - (1 - i.p) ** i.s), axis=-1),
        ),
    ),
    "squared magnitudes": (data_independence.data_independence, lambda i: equal(i.optimal, normalised(i.w * i.w))),
    "signed weights": (
        data_independence.data_independence,
        lambda i: equal(i.optimal, i.w / last(total(absolute(i.w), axis=-1))),
    ),
    "fourth roots of the norms": (
        data_independence.data_independence_rate,
        lambda i: at_most(total(absolute(i.optimal - normalised(absolute(i.w))), axis=-1) / 2, _fourth_roots(i)),
    ),
    "price without the 4": (
        data_independence.data_independence_rate,
        lambda i: at_most(8 * i.s * (i.mse(normalised(absolute(i.w))) - i.mse(i.optimal)), i.a * i.a * _spread(i)),
    ),
    "input not rooted": (
        synflow.synflow_linear,
        lambda i: equal(normalised(synflow._one_layer(i, i.rows_squared)), i.optimal),
    ),
    "first power": (
        synflow.synflow_l2_sign_averaged,
        lambda i: equal(i.average_squared_score(), synflow_scores(i.network, i.theta)),
    ),
    "squared gradient, not multiplied by w^2": (
        synflow.synflow_l2_sign_averaged,
        lambda i: equal(i.average_squared_score(), i.synflow_l2() * i.theta * i.theta),
    ),
    "no factor for the gates": (synflow.synflow_l2_relu, lambda i: equal(i.average_squared_score(), i.synflow_l2())),
    "one half for each layer": (
        synflow.synflow_l2_relu,
        lambda i: equal(i.average_squared_score() * 2, i.rectified_paths()),
    ),
    "the longest path for every path": (
        synflow.synflow_l2_relu,
        lambda i: equal(
            i.average_squared_score() * 2 ** int(rectifiers_on_paths(i.network).max(initial=0)), i.synflow_l2()
        ),
    ),
    "SynFlow-L2": (
        synflow.synflow_first_power,
        lambda i: equal(sqrt(i.squared_sketch_weights()), synflow_scores(i.network, i.theta, power=2)),
    ),
    "not rooted": (synflow.synflow_first_power_nonnegative, lambda i: equal(i.squared_sketch_weights(), i.synflow())),
    "diagonal of the misses only": (
        sampling_or_top.random_beats_top,
        lambda i: equal(
            i.binary_mse(i.optimal) - i.mask_error(i.top()),
            total(i.amplitudes**2 * ((1 - i.optimal) ** i.s - 1 + i.top()), axis=-1),
        ),
    ),
    "one square too few": (
        sampling_or_top.sampling_never_beats_top_of_few,
        lambda i: at_most(4 * i.a * i.a * i.binary_mse(i.optimal), (i.a * i.a - squared(i.amplitudes)) ** 2).when(
            (i.used().sum(axis=-1) == 3) & (i.s == 2)
        ),
    ),
    "never equal": (
        sampling_or_top.sampling_never_beats_top_of_few,
        lambda i: less(i.mask_error(i.top()), i.binary_mse(i.optimal)),
    ),
    "the top has the smaller error": (
        sampling_or_top.random_beats_top_when_opposed,
        lambda i: at_most(i.mask_error(i.top()), i.binary_mse(i.optimal)),
    ),
    "uniform law": (
        sampling_or_top.random_beats_top_when_opposed,
        lambda i: equal(i.binary_mse(i.optimal), total(i.amplitudes**2, axis=-1) / i.d),
    ),
    "the bottom s": (
        sampling_or_top.top_is_best_for_orthogonal_rows,
        lambda i: at_most(last(i.mask_error(1 - i.with_(s=max(1, i.d - i.s)).top())), _kept(i, i.s)),
    ),
    "no average over signs": (
        sampling_or_top.top_is_best_on_sign_average,
        lambda i: at_most(last(i.mask_error(i.top())), _kept(i, i.s)),
    ),
    "s + 1 ones": (
        sampling_or_top.top_is_best_for_orthogonal_rows,
        lambda i: at_most(last(i.mask_error(i.top())), _kept(i, i.s + 1)),
    ),
}


def second(i):
    return i.s * i.trained.mse(i.mixture(i.share())) + i.trained.signal


def moved(i):
    return i.initial.f_squared * squared(i.seen(i.change))


def _fourth_roots(i):
    high, low = (sqrt(sqrt(norm)) for norm in data_independence._extreme_norms(i))
    return (high - low) / (high + low)


def _spread(i):
    high, low = data_independence._extreme_norms(i)
    return (high - low) ** 2 / (high * low)


def _kept(i, most):
    masks = binary_masks(i.d)
    masks = masks[masks.sum(axis=1) <= most]
    return squared((i.w[..., None, :] * (1 - masks)) @ i.x)


PLANTED = {name: replace(claim, function=wrong) for name, (claim, wrong) in MUTANTS.items()}
