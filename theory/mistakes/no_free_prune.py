"""Wrong variants of the claims on capacity."""

from dataclasses import replace
from math import comb

import numpy as np
from flint import fmpq

from theory.claims import Status, claims
from theory.information import (
    at_most_logs,
    binary_divergence,
    binary_entropy,
    conditional_entropy,
    constant_log,
    decoupled,
    divergence_from_decoupled,
    entropy,
    equal_logs,
    mutual_information,
    rational_part,
)
from theory.papers.no_free_prune import counting, information, memorising, noise, robustness
from theory.relations import at_most, equal
from theory.scalars import exp, log, total
from theory.separability import cover_number

PROVED = [c for c in claims() if c.id.startswith("no-free-prune/") and c.status is Status.PROVED]
PLANTED = {}


def mistake(claim):
    def plant(function):
        PLANTED[f"{claim.id.split('/')[1]}: {function.__name__}"] = replace(claim, function=function)
        return function

    return plant


def squared(instance, value):
    return rational_part(value * abs(value), getattr(instance, "labels", getattr(instance, "weights", None)))


@mistake(information.information_range)
def information_is_negative(i):
    return at_most_logs(i.information(), i.information() * 0)


@mistake(information.information_range)
def entropy_below_information(i):
    return at_most_logs(entropy(i.mask_weights()), i.information())


@mistake(information.information_range)
def one_mask_too_few(i):
    counts = [max(comb(i.n, k) - 1, 1) for k in range(i.n + 1)]
    return at_most_logs(entropy(i.mask_weights()), information._logs_of(counts, i))


@mistake(information.information_range_at_most_k)
def fewer_than_k(i):
    counts = [max(sum(comb(i.n, j) for j in range(k)), 1) for k in range(i.n + 1)]
    return at_most_logs(entropy(i.mask_weights()), information._logs_of(counts, i))


@mistake(information.information_range)
def information_below_half_the_entropy_of_the_data(i):
    return at_most_logs(i.information() * 2, entropy(total(i.weights, axis=-1)))


@mistake(information.information_is_divergence)
def divergence_the_other_way_round(i):
    joint = i.weights
    whole = np.asarray(total(joint, axis=(-2, -1)))[..., None, None]
    swapped = decoupled(joint) / (whole * whole)
    return equal_logs(i.information(), divergence_from_decoupled(swapped))


@mistake(information.information_is_divergence)
def uncertainty_of_the_data_given_the_mask(i):
    left = conditional_entropy(np.swapaxes(i.weights, -1, -2))
    return equal_logs(i.information(), entropy(i.mask_weights()) - left)


@mistake(information.conditional_information_is_an_average)
def information_without_the_initial_weights(i):
    return equal_logs(i.information(), mutual_information(total(i.weights, axis=-3)))


@mistake(information.conditional_information_is_an_average)
def knowing_the_initial_weights_never_adds_information(i):
    return at_most_logs(i.information(), mutual_information(total(i.weights, axis=-3)))


@mistake(information.decoupling_total_variation)
def half_the_variation(i):
    return at_most(i.gap() ** 2, i.proxy * i.total_variation() ** 2)


@mistake(information.decoupling_total_variation)
def pinsker_with_four(i):
    return at_most_logs(rational_part(4 * i.total_variation() ** 2, i.weights), i.information())


@mistake(information.decoupling_total_variation)
def less_likely_pairs(i):
    return equal(i.with_(tests=1 - i.likelier()).gap(), i.total_variation())


@mistake(memorising.memorisation_information)
def by_mask_is_no_more_than_on_average(i):
    return at_most_logs(i.divergence_by_mask(), binary_divergence(i.memorised(), i.by_chance()))


@mistake(memorising.memorising_needs_parameters)
def no_doubt_given_the_mask(i):
    allowed = i.information() + i.log_size_when_memorised() + i.log_size_when_not()
    return at_most_logs(constant_log(2, i.memorised()) * i.n, allowed)


@mistake(memorising.memorising_needs_parameters)
def every_labeling_without_those_missed(i):
    allowed = i.information() + i.log_size_when_memorised() + i.doubt_given_mask()
    return at_most_logs(constant_log(2, i.memorised()) * i.n, allowed)


@mistake(information.data_independent_mask)
def entropy_instead_of_information(i):
    kept = rational_part(i.kept(), i.weights)
    return equal_logs(entropy(i.mask_weights()) + kept, kept)


@mistake(information.decoupling)
def constant_a_little_too_small(i):
    return at_most_logs(squared(i, i.gap()), i.information() * (i.proxy * 19 / 10))


@mistake(information.decoupling)
def proxy_squared(i):
    return at_most_logs(squared(i, i.gap()), i.information() * (i.proxy * i.proxy * 2))


@mistake(noise.noise_correlation)
def without_the_factor_two(i):
    return at_most_logs(squared(i, i.correlation()), (i.log_size() + i.information()) * (i.one / i.n))


@mistake(noise.noise_correlation)
def without_the_class(i):
    return at_most_logs(squared(i, i.correlation()), i.information() * (2 * i.one / i.n))


@mistake(noise.noise_correlation)
def divided_by_n_squared(i):
    nats = i.log_size() + i.information()
    return at_most_logs(squared(i, i.correlation()), nats * (2 * i.one / i.n**2))


@mistake(counting.cover_count)
def one_dimension_less(i):
    n, k = i.points().shape
    return at_most(i.realised(), cover_number(n, k - 1))


@mistake(counting.cover_count)
def without_the_factor_of_signs(i):
    return at_most(2 * i.realised(), cover_number(*i.points().shape))


@mistake(counting.counting)
def without_counting_masks(i):
    n = i.x.shape[0]
    return at_most(i.memorised_by_some_mask(), fmpq(cover_number(n, i.keep), 2**n))


@mistake(counting.counting)
def one_label_more(i):
    n, inputs = i.x.shape
    return at_most(i.memorised_by_some_mask(), fmpq(comb(inputs, i.keep) * cover_number(n, i.keep), 2 ** (n + 1)))


@mistake(memorising.memorisation_information)
def divergence_the_other_way(i):
    p, q = i.memorised(), i.by_chance()
    inside = np.asarray((p > 0) & (p < 1), dtype=bool)
    p = np.where(inside, p, q)
    return at_most_logs(binary_divergence(q, p), i.information()).when(inside)


@mistake(memorising.memorisation_information)
def half_the_information(i):
    return at_most_logs(binary_divergence(i.memorised(), i.by_chance()) * 2, i.information())


@mistake(memorising.memorising_needs_parameters)
def without_the_entropy_of_success(i):
    p = i.memorised()
    return at_most_logs(constant_log(2, p) * (p * i.n), i.information() + i.log_size_when_memorised())


@mistake(memorising.memorising_needs_parameters)
def without_the_information(i):
    p = i.memorised()
    return at_most_logs(constant_log(2, p) * (p * i.n), i.log_size_when_memorised() + binary_entropy(p))


@mistake(memorising.memorising_needs_parameters)
def bits_and_nats_confused(i):
    p = i.memorised()
    allowed = i.information() + i.log_size_when_memorised() + binary_entropy(p)
    return at_most_logs(rational_part(p * i.n, i.labels), allowed)


@mistake(memorising.leakage_count)
def mean_instead_of_largest(i):
    leaked = total(i.conditional, axis=-2) / 2**i.n
    return at_most(i.memorised(), total(leaked * i.sizes(), axis=-1) / 2**i.n)


@mistake(memorising.leakage_count)
def divided_once_more(i):
    return at_most(i.memorised(), total(i.conditional.max(axis=-2) * i.sizes(), axis=-1) / 2 ** (i.n + 1))


@mistake(memorising.data_gain)
def four_instead_of_two(i):
    return at_most_logs(squared(i, i.accuracy_gain()), i.information() * (i.one / (4 * i.n)))


@mistake(memorising.data_gain)
def over_n_squared(i):
    return at_most_logs(squared(i, i.accuracy_gain()), i.information() * (i.one / (2 * i.n**2)))


@mistake(robustness.law_of_robustness_finite)
def without_the_64(i):
    return at_most(i.linear_success(), i.directions * exp(-8 * i.threshold_squared))


@mistake(robustness.law_of_robustness_finite)
def multiplied_instead_of_divided(i):
    rate = i.samples * i.epsilon[()] ** 2
    return at_most(i.constant_success(), exp(-rate * 32) + 2 * exp(-rate * 128))


@mistake(robustness.law_of_robustness_effective)
def without_two(i):
    return at_most(i.correlation() ** 2, log(fmpq(i.directions)))
