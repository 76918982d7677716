"""Wrong variants of the claims on sketching and capacity that are right on the smallest structures.

What shows them is a third draw, point or mask, an impossible mask, or a bound that is exceeded by little.
"""

from dataclasses import replace
from math import comb

import numpy as np

from theory.claims import claim_named
from theory.information import at_most_logs, binary_divergence, binary_entropy, constant_log, entropy, rational_part
from theory.papers.no_free_prune import information
from theory.pruning import keep_top, sampled_mask
from theory.relations import at_most, equal
from theory.scalars import absolute, indicator, sqrt, total
from theory.separability import cover_number
from theory.sketches import column, inverse, normalised, sequences, squared

PLANTED = {}


def wrong_in(planted):
    """A decorator that enters wrong variants of claims in ``planted``."""

    def wrong(claim, note, *, keeps=None):
        """A wrong variant: another function, perhaps only with the first ``keeps`` of the claim's assumptions."""

        def enter(function):
            right = claim_named(claim)
            name = f"{claim.split('/')[1]}: {note}"
            planted[name] = replace(right, function=function, assumptions=right.assumptions[:keeps])
            return function

        return enter

    return wrong


wrong = wrong_in(PLANTED)


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
    keep = keep_top(i.rows_squared * i.rows_squared * i.w * i.w, min(i.s, i.d), np.ones(i.w.shape, dtype=bool))
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


@wrong("sketching/algorithm-draws-the-mask", "counts not divided by s")
def _(i):
    drawn, p = sequences(i.d, i.s), (i.p + (i.p * 0 + 1) / i.d) / 2
    return equal(sampled_mask(p, drawn[-1]) * i.s, i.enumerate(p)[1][..., -1, :])


@wrong("sketching/minimax-law-is-unique", "with the share of the initial law")
def _(i):
    u, v = i.a, i.step * i.f_squared
    share = column(u / (u + v))
    best = np.asarray(i.weighted_norm(i.p, i.worst()) <= (u + v) ** 2, dtype=bool)
    return equal(i.p, (1 - share) * i.optimal + share * i.data_law).when(best[..., None])
