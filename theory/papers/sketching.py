r"""Pruning as sketching (Bar & Giryes, arXiv 2305.17559).

A linear model with features $X \in R^{d \times n}$ (rows $X_i$) and weights $w$ predicts $X'w$. A mask
comes from $s$ independent draws $i_t \sim p$ with replacement, $m = \sum_t e_{i_t} / (s\,p_{i_t})$, and
the sketched prediction is $X'(w \odot m)$. Throughout: $a_i = \|X_i\|\,|w_i|$, $A = \sum_i a_i$,
$p^* = a/A$, $F = \|X\|_F$, $N_p(v)^2 = \sum_i \|X_i\|^2 v_i^2/p_i$ over the features with $p_i > 0$, and
$\mathrm{MSE}(p) = E\,\|X'w - X'(w \odot m)\|^2$.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from theory.claims import Assumption, Source, Status, claim
from theory.experiments import PairedTrials, ScalingTrials
from theory.network_sketches import INDEPENDENT, NetworkWeights, SignAverage, distinct_weight_sets, signs, synflow
from theory.networks import LINEAR, RELU, Builder, mlp
from theory.papers.sources import SKETCHING
from theory.relations import Relation, all_of, at_most, equal, positive
from theory.scalars import Array, absolute, indicator, ones, rational, sqrt, total
from theory.sketches import Sketch, Transfer, binary_masks, cube_root, inverse, normalised, squared

SEED = Source(SKETCHING, "seed")
OURS = Source(None, "beside the sketching paper")


def _zero_first(weights: Array) -> Array:
    """``weights`` (..., d) with the first entry 0 and, so that they stay a law, the last one not."""
    d = weights.shape[-1]
    out = weights * (np.arange(d) > 0)
    return out + indicator(np.broadcast_to(np.arange(d) == d - 1, out.shape), out)


every_feature_can_be_drawn = Assumption(
    "every-feature-can-be-drawn",
    "p_i > 0 for every i",
    lambda i: (i.p > 0).all(axis=-1),
    lambda c, i: i.with_(q=_zero_first(i.q)),
)
used_features_can_be_drawn = Assumption(
    "used-features-can-be-drawn",
    "p_i > 0 wherever X_i w_i is not 0",
    lambda i: ((i.p > 0) | ~i.used()).all(axis=-1),
    lambda c, i: i.with_(q=_zero_first(i.q)),
)
some_signal = Assumption(
    "some-signal",
    "A > 0: some X_i w_i is not 0, so that p* exists",
    lambda i: i.used().any(axis=-1),
    lambda c, i: i.with_(w=i.w * 0),
)


# -- Sampling features ------------------------------------------------------------------------------------


@claim(about=Sketch, source=SEED, status=Status.PROVED, assumes=(every_feature_can_be_drawn,),
       twin="sketching/optimal-mask-is-unbiased")  # fmt: skip
def unbiased_mask(i: Sketch) -> Relation:
    r"""The mask is unbiased, and with it the sketched prediction.

    $E\,m = 1$, so $E\,X'(w \odot m) = X'w$. The left sides by enumeration of all $d^s$ sequences.

    Proof. $E\,e_{i_t}/(s\,p_{i_t}) = \sum_i p_i\, e_i/(s\,p_i) = 1/s$ in every entry; add $s$ of them.
    """
    chance, masks = i.enumerate(i.p)
    mean, predicted, _ = i.expected(i.p, masks, chance)
    return equal(mean, 1, "mask") & equal(predicted, i.prediction(i.w), "prediction")


@claim(about=Sketch, source=SEED, status=Status.PROVED, assumes=(used_features_can_be_drawn,))
def unbiased_prediction(i: Sketch) -> Relation:
    r"""The sketched prediction is unbiased if every feature that contributes can be drawn.

    $E\,X'(w \odot m) = X'w$ if $p_i > 0$ wherever $X_i w_i \ne 0$; this is all that $p^*$ itself satisfies.

    Proof. As for the mask; the other features contribute 0 to both sides.
    """
    chance, masks = i.enumerate(i.p)
    return equal(i.expected(i.p, masks, chance)[1], i.prediction(i.w))


@claim(about=Sketch, source=OURS, status=Status.REFUTED, assumes=(some_signal,), draws={"q": False},
       twin="sketching/unbiased-mask")  # fmt: skip
def optimal_mask_is_unbiased(i: Sketch) -> Relation:
    r"""The mask drawn from the optimal probabilities is unbiased.

    $E_{p^*}\,m = 1$. False wherever $w_i = 0$ or $X_i = 0$: that feature is never drawn. Only the
    prediction is unbiased.
    """
    return equal(i.optimal * inverse(i.optimal), 1)


@claim(about=Sketch, source=SEED, status=Status.PROVED, assumes=(used_features_can_be_drawn,))
def mean_squared_error(i: Sketch) -> Relation:
    r"""The mean squared error in closed form.

    $\mathrm{MSE}(p) = \frac1s \left(N_p(w)^2 - \|X'w\|^2\right)$, the left side by enumeration of all
    $d^s$ sequences of draws.

    Proof. The sketch is a mean of $s$ independent copies of $X_i w_i/p_i$, whose mean is $X'w$ and whose
    second moment is $N_p(w)^2$; variances of independent terms add.
    """
    chance, masks = i.enumerate(i.p)
    return equal(i.expected(i.p, masks, chance)[2], (i.weighted_norm(i.p) - i.signal) / i.s)


@claim(about=Sketch, source=SEED, status=Status.PROVED, assumes=(some_signal, used_features_can_be_drawn),
       draws={"rows": "any"})  # fmt: skip
def optimal_probabilities(i: Sketch) -> Relation:
    r"""Probabilities proportional to norm times weight have the least error.

    $\mathrm{MSE}(p^*) \le \mathrm{MSE}(p)$ for every law $p$ that can draw what contributes. A law that
    never draws a small feature is biased and can have less error: so that assumption is needed.

    Proof. $N_p(w)^2 = \sum a_i^2/p_i \ge (\sum a_i)^2$ by Cauchy-Schwarz, equality iff $p \propto a$.
    """
    return at_most(i.mse(i.optimal), i.mse(i.p))


@claim(about=Sketch, source=OURS, status=Status.PROVED, assumes=(some_signal, used_features_can_be_drawn))
def excess_is_chi_square(i: Sketch) -> Relation:
    r"""What a law costs beyond the optimum is its chi-square distance.

    $\mathrm{MSE}(p) - \mathrm{MSE}(p^*) = \frac{A^2}{s}\,\chi^2(p^* \| p)$, $\chi^2(q\|p) = \sum q_i^2/p_i - 1$.

    Proof. $N_p(w)^2 = \sum a_i^2/p_i = A^2 \sum p_i^{*2}/p_i$, and $N_{p^*}(w)^2 = A^2$.
    """
    return equal(i.mse(i.p), i.mse(i.optimal) + i.a * i.a * chi_square(i.optimal, i.p) / i.s)


def chi_square(q: Array, p: Array) -> Any:
    """chi2(q || p) over the features that p can draw, (...)."""
    return total(q * q * inverse(p), axis=-1) - 1


@claim(about=Sketch, source=SEED, status=Status.PROVED, assumes=(some_signal,), draws={"q": False})
def one_over_s(i: Sketch) -> Relation:
    r"""The least error falls exactly like 1/s, and is at most the product of norms over s.

    $s\,\mathrm{MSE}(p^*)$ does not depend on $s$, and
    $\mathrm{MSE}(p^*) \le A^2/s \le F^2\|w\|^2/s$. The gaps are $\|X'w\|^2/s$ (so the first is an equality
    iff $X'w = 0$) and $\frac1{2s}\sum_{ij}(\|X_i\||w_j| - \|X_j\||w_i|)^2$ (the second iff
    $\|X_i\| \propto |w_i|$).

    Proof. $N_{p^*}(w)^2 = A^2$; the second gap is Lagrange's identity.
    """
    once, least, r, v = i.with_(s=1), i.mse(i.optimal), i.row_norms, absolute(i.w)
    lagrange = r[..., :, None] * v[..., None, :] - r[..., None, :] * v[..., :, None]
    return all_of(
        equal(i.s * least, once.mse(i.optimal), "s MSE"),
        at_most(least, i.a * i.a / i.s, "A^2/s"),
        equal(least + i.signal / i.s, i.a * i.a / i.s, "first gap"),
        at_most(i.a * i.a, i.f_squared * squared(i.w), "Cauchy-Schwarz"),
        equal(i.a * i.a + total(lagrange * lagrange, axis=(-2, -1)) / 2, i.f_squared * squared(i.w), "second gap"),
    )


@claim(about=Sketch, source=OURS, status=Status.PROVED, twin="sketching/mask-keeps-s-weights")
def mask_size(i: Sketch) -> Relation:
    r"""How many weights the mask keeps, on average.

    $E\,\|m\|_0 = \sum_i (1 - (1-p_i)^s) \le \min(s, |\mathrm{supp}\,p|)$, the left side by enumeration.

    Proof. Feature $i$ is missed by all draws with probability $(1-p_i)^s \ge 1 - s p_i$; sum over $i$.
    """
    chance, masks = i.enumerate(i.p)
    kept = total(total(indicator(masks != 0, i.p), axis=-1) * chance, axis=-1)
    closed = total(1 - (1 - i.p) ** i.s, axis=-1)
    support = total(indicator(i.p > 0, i.p), axis=-1)
    return equal(kept, closed) & at_most(closed, i.s, "draws") & at_most(closed, support, "support")


enough_features = Assumption(
    "enough-features", "at least s features can be drawn", lambda i: (i.p > 0).sum(axis=-1) >= i.s
)


@claim(about=Sketch, source=OURS, status=Status.REFUTED, assumes=(enough_features,), twin="sketching/mask-size")
def mask_keeps_s_weights(i: Sketch) -> Relation:
    r"""A mask of s draws keeps s weights.

    $E\,\|m\|_0 = s$ when at least $s$ features can be drawn. False: draws repeat.
    """
    return equal(total(1 - (1 - i.p) ** i.s, axis=-1), i.s)


# -- From initial to trained weights ------------------------------------------------------------------------


def _first_removed(i: Transfer) -> Transfer:
    return i.with_(w0=i.w0 * (np.arange(i.w0.shape[-1]) > 0))


used_weights_start_nonzero = Assumption(
    "used-weights-start-nonzero",
    "w0_i is not 0 wherever X_i w_i is not 0",
    lambda i: ((i.w0 != 0) | ~i.trained.used()).all(axis=-1),
    lambda c, i: _first_removed(i),
)
weights_start_nonzero = Assumption(
    "weights-start-nonzero",
    "w0_i is not 0 for every i, so that every relative change exists",
    lambda i: (i.w0 != 0).all(axis=-1),
    lambda c, i: _first_removed(i),
)
initial_signal = Assumption(
    "initial-signal",
    "A0 > 0: some X_i w0_i is not 0, so that p0 exists",
    lambda i: i.initial.used().any(axis=-1),
    lambda c, i: i.with_(w0=i.w0 * 0),
)
trained_signal = Assumption(
    "trained-signal",
    "A* > 0: some X_i w_i is not 0, so that p*(w) exists",
    lambda i: i.trained.used().any(axis=-1),
    lambda c, i: i.with_(w=i.w * 0),
)
some_data = Assumption(
    "some-data",
    "F > 0, so that the data law exists",
    lambda i: i.initial.f_squared > 0,
    lambda c, i: i.with_(x=i.x * 0),
)


@claim(about=Transfer, source=Source(SKETCHING, "seed: an error bound proportional to 1/s that depends on |w* - w0|"),
       status=Status.REFUTED, assumes=(used_weights_start_nonzero, initial_signal),
       draws={"wide": 40, "constants": tuple(10**k for k in range(7))},
       twin="sketching/transfer-data-norm")  # fmt: skip
def transfer_literal(i: Transfer) -> Relation:
    r"""A mask drawn at initialisation has error O(1/s) on trained weights, by their distance alone.

    With $p_0 \propto \|X_i\||w_{0,i}|$ and trained weights $w$:
    $\mathrm{MSE}_{p_0}(w) \le \frac{C}{s} F^2 (\|w_0\| + \|w - w_0\|)^2$ for a constant $C$.

    False for every $C$ (each instance brings its own, up to $10^6$): a weight that starts near 0 is
    almost never drawn, and when it has grown it is divided by its tiny probability. No finite
    $B(X, \|w_0\|, \|w - w_0\|)$ will do.
    """
    start, moved = i.norms()
    bound = i.constant * i.initial.f_squared * (start + moved) ** 2 / i.s
    return at_most(i.trained.mse(i.initial.optimal), bound)


@claim(about=Transfer, source=OURS, status=Status.PROVED, assumes=(used_weights_start_nonzero, trained_signal))
def transfer_identity(i: Transfer) -> Relation:
    r"""What the initial law costs on trained weights, exactly.

    $\mathrm{MSE}_{p_0}(w) - \mathrm{MSE}_{p^*(w)}(w) = \frac{A_0^2}{s} \mathrm{Var}_{i \sim p_0}|w_i/w_{0,i}|
    = \frac{A_*^2}{s}\,\chi^2(p^*(w) \| p_0)$.

    Proof. $N_{p_0}(w)^2 = A_0^2\,E_{p_0} r^2$ with $r_i = |w_i/w_{0,i}|$, and $A_* = A_0\,E_{p_0} r$.
    """
    p0, best = i.initial.optimal, i.trained.optimal
    error, least = i.s * i.trained.mse(p0), i.s * i.trained.mse(best)
    a0, a = i.initial.a, i.trained.a
    return all_of(
        equal(error, least + a0 * a0 * i.ratio_variance(), "variance of the ratio"),
        equal(error, least + a * a * chi_square(best, p0), "chi-square"),
    )


@claim(about=Transfer, source=OURS, status=Status.PROVED, assumes=(some_data,), draws={"weights": "rational"},
       twin="sketching/transfer-literal")  # fmt: skip
def transfer_data_norm(i: Transfer) -> Relation:
    r"""With probabilities by data norm alone, the error is O(1/s) by the distance of the weights.

    With $p_i = \|X_i\|^2/F^2$: $\mathrm{MSE}(w) = \frac1s (F^2\|w\|_X^2 - \|X'w\|^2)
    \le \frac{F^2}{s} (\|w_0\| + \|w - w_0\|)^2$, where $\|w\|_X^2$ sums $w_i^2$ over the features with
    $X_i \ne 0$ (the others are never drawn and cost nothing); the constant 1 is sharp.

    Proof. $N_p(w)^2 = F^2\|w\|_X^2$, then the triangle inequality. Equality when $X'w = 0$ and $w - w_0$
    points along $w_0$.
    """
    error = i.trained.mse(i.initial.data_law)
    start, moved = i.norms()
    seen = squared(i.w * indicator(i.initial.rows_squared > 0, i.w))
    return all_of(
        equal(error, (i.initial.f_squared * seen - i.trained.signal) / i.s, "closed form"),
        at_most(error, i.initial.f_squared * (start + moved) ** 2 / i.s, "bound"),
    )


@claim(about=Transfer, source=OURS, status=Status.PROVED, assumes=(weights_start_nonzero, initial_signal))
def transfer_relative(i: Transfer) -> Relation:
    r"""With the initial law, the largest relative change of a weight bounds the error.

    With $p_0$ and $\rho = \max_i |w_i - w_{0,i}|/|w_{0,i}|$:
    $\mathrm{MSE}(w) \le \frac1s((1+\rho) A_0 A_* - \|X'w\|^2) \le \frac1s((1+\rho)^2 A_0^2 - \|X'w\|^2)$,
    and the excess over the least error is at most $A_0^2 \rho^2/s$, also for $\rho \ge 1$.

    Proof. $r_i = |w_i/w_{0,i}| \le 1 + \rho$ in $N_{p_0}(w)^2 = A_0 \sum a^*_i r_i$. The excess is
    $A_0^2 \mathrm{Var}\,r / s$ and $|r_i - 1| \le \rho$. Attained by $w = (1+\rho) w_0$, and by half of
    $p_0$ at $1+\rho$ and half at $1-\rho$.
    """
    grown, a0, a = 1 + i.relative_change(), i.initial.a, i.trained.a
    second_moment = i.s * i.trained.mse(i.initial.optimal) + i.trained.signal  # for the least error: A*^2
    return all_of(
        at_most(second_moment, grown * a0 * a, "by A0 A*"),
        at_most(grown * a0 * a, grown * grown * a0 * a0, "A* by A0"),
        at_most(second_moment, a * a + a0 * a0 * (grown - 1) ** 2, "excess"),
    )


proper_mixture = Assumption(
    "proper-mixture",
    "0 < l < 1",
    lambda i: (i.legs > 0).all(axis=-1),
    lambda c, i: i.with_(legs=i.legs * np.array(c.pick(((0, 1), (1, 0))), dtype=int)),
)


@claim(about=Transfer, source=OURS, status=Status.PROVED, assumes=(proper_mixture, initial_signal),
       draws={"mix": True, "wide": 20})  # fmt: skip
def transfer_mixture(i: Transfer) -> Relation:
    r"""Mixing the initial law with the data law bounds the error by the distance of the weights.

    With $q = (1-l)\,p_0 + l\,p_{data}$, $p_{data} = \|X_i\|^2/F^2$:
    $\mathrm{MSE}_q(w) \le \frac1s\left(\left(\frac{A_0}{\sqrt{1-l}} + \frac{F\|w-w_0\|}{\sqrt l}\right)^2
    - \|X'w\|^2\right)$.

    Proof. $N_q$ is a norm, $N_q(w_0)^2 \le N_{p_0}(w_0)^2/(1-l)$ and
    $N_q(w-w_0)^2 \le N_{p_{data}}(w-w_0)^2/l$.
    """
    b, c = i.share_roots()
    bound = (i.initial.a / b + sqrt(i.initial.f_squared * squared(i.change)) / c) ** 2
    return at_most(i.s * i.trained.mse(i.mixture(i.share())) + i.trained.signal, bound)


@claim(about=Transfer, source=OURS, status=Status.PROVED, assumes=(proper_mixture, initial_signal),
       draws={"mix": True, "wide": 20})  # fmt: skip
def transfer_best_mixture(i: Transfer) -> Relation:
    r"""The best share of the data law, and what it gives.

    With $u = A_0$, $v = F\|w - w_0\|$ and $l = v^{2/3}/(u^{2/3} + v^{2/3})$ the bound of
    `transfer-mixture` is $\frac1s\left((u^{2/3} + v^{2/3})^3 - \|X'w\|^2\right)$, and no share gives less.

    Proof. Hoelder: $u^{2/3} + v^{2/3} \le (u/\sqrt{1-l} + v/\sqrt l)^{2/3} ((1-l) + l)^{1/3}$.
    """
    b, c = i.share_roots()
    u2, v2 = i.initial.a * i.initial.a, i.initial.f_squared * squared(i.change)
    r, t = cube_root(u2), cube_root(v2)
    best = u2 + 3 * r * r * t + 3 * r * t * t + v2
    return at_most(i.s * i.trained.mse(i.mixture(t / (r + t))) + i.trained.signal, best, "error") & at_most(
        best, (sqrt(u2) / b + sqrt(v2) / c) ** 2, "every share"
    )


# -- The mask that practice uses --------------------------------------------------------------------------


@claim(about=Sketch, source=OURS, status=Status.PROVED, twin="sketching/binary-mask-is-the-sketch")
def binary_mask_error(i: Sketch) -> Relation:
    r"""Bias and error of the unscaled mask, which practice uses.

    For $b = [m > 0]$: $E\,X'(w \odot b) - X'w = -\sum_i X_i w_i (1-p_i)^s$ and
    $E\,\|X'w - X'(w \odot b)\|^2 = \sum_{ij} \langle X_i, X_j\rangle w_i w_j q_{ij}$ with
    $q_{ii} = (1-p_i)^s$, $q_{ij} = (1-p_i-p_j)^s$. The left sides by enumeration.

    Proof. $q_{ij}$ is the probability that no draw is $i$ or $j$.
    """
    chance, masks = i.enumerate(i.p)
    _, predicted, error = i.expected(i.p, indicator(masks != 0, i.p), chance)
    return equal(predicted - i.prediction(i.w), i.binary_bias(i.p), "bias") & equal(error, i.binary_mse(i.p), "error")


@claim(about=Sketch, source=SEED, status=Status.REFUTED, assumes=(some_signal,), draws={"q": False},
       twin="sketching/binary-mask-error")  # fmt: skip
def binary_mask_is_the_sketch(i: Sketch) -> Relation:
    r"""The unscaled mask of practice has the error of the sketch.

    $E\,\|X'w - X'(w \odot b)\|^2 = \mathrm{MSE}(p^*)$ for $b = [m > 0]$ drawn from $p^*$. False: the
    unscaled mask is biased, and its error falls geometrically in $s$, not like $1/s$.
    """
    return equal(i.binary_mse(i.optimal), i.mse(i.optimal))


# -- When data does not matter ----------------------------------------------------------------------------


def _last(per_instance: Any) -> Array:
    """A number per instance, with one axis more."""
    return np.asarray(per_instance)[..., None]


def _extreme_norms(i: Sketch) -> tuple[Any, Any]:
    """Largest and smallest |X_i| over the support of w, each (...)."""
    support, r = indicator(i.w != 0, i.rows_squared), i.rows_squared
    beyond = _last(total(r, axis=-1)) * (1 - support)
    return sqrt((r * support).max(axis=-1)), sqrt((r * support + beyond).min(axis=-1))


equal_norms = Assumption(
    "equal-norms",
    "|X_i| is the same for every i with w_i != 0",
    lambda i: (
        (i.rows_squared[..., :, None] == i.rows_squared[..., None, :])
        | (i.w[..., :, None] == 0)
        | (i.w[..., None, :] == 0)
    ).all(axis=(-2, -1)),
    lambda c, i: i.with_(x=i.x * c.positives((i.d,))[..., None]),
)


@claim(about=Sketch, source=SEED, status=Status.PROVED, assumes=(equal_norms, some_signal),
       draws={"rows": "equal", "q": False})  # fmt: skip
def data_independence(i: Sketch) -> Relation:
    r"""If all rows have one norm, the optimal probabilities are the magnitudes.

    If $\|X_i\|$ is constant on the support of $w$ then $p^* = |w|/\|w\|_1$.

    Proof. The constant cancels in $a/A$.
    """
    return equal(i.optimal, normalised(absolute(i.w)))


positive_norms = Assumption(
    "positive-norms",
    "|X_i| > 0 wherever w_i is not 0 (some spread e < 1)",
    lambda i: ((i.rows_squared > 0) | (i.w == 0)).all(axis=-1),
    lambda c, i: i.with_(x=i.x * (np.arange(i.d) > 0)[:, None]),
)


@claim(about=Sketch, source=SEED, status=Status.PROVED, assumes=(positive_norms, some_signal),
       draws={"q": False})  # fmt: skip
def data_independence_rate(i: Sketch) -> Relation:
    r"""If the rows' norms are nearly equal, magnitudes are nearly optimal.

    If $\|X_i\| \in [c(1-e), c(1+e)]$, $e < 1$, on the support of $w$, then
    $TV(p^*, |w|/\|w\|_1) \le (1 - \sqrt{1-e^2})/e$ and
    $\mathrm{MSE}(|w|/\|w\|_1) - \mathrm{MSE}(p^*) \le \frac{A^2}{s} \frac{e^2}{1-e^2}$. Checked with the
    smallest such $e$: with $M$ and $\mu$ the largest and smallest norm the bounds are
    $(\sqrt M - \sqrt \mu)/(\sqrt M + \sqrt \mu)$ and $\frac{A^2}{s}\frac{(M-\mu)^2}{4M\mu}$.

    Proof. $TV$ is $E|r - Er|/(2 Er)$ with $r = \|X_i\|$ under $|w|/\|w\|_1$, largest for two values, and
    then at mass $\sqrt\mu/(\sqrt M+\sqrt\mu)$ on $M$; the second is Kantorovich's inequality
    $E r^2 \le (Er)^2 (M+\mu)^2/(4M\mu)$. For Gaussian $X$: $c = \sqrt n$ and
    $e = \sqrt{2\ln(2d/\eta)/n}$ with probability $1 - \eta$.
    """
    magnitude, best = normalised(absolute(i.w)), i.optimal
    high, low = _extreme_norms(i)
    tv = total(absolute(best - magnitude), axis=-1) / 2
    price = i.mse(magnitude) - i.mse(best)
    return all_of(
        at_most(tv, (high - low) / (sqrt(high) + sqrt(low)) ** 2, "total variation"),
        at_most(price, i.a * i.a * (high - low) ** 2 / (4 * high * low) / i.s, "price"),
    )


# -- SynFlow ----------------------------------------------------------------------------------------------


def _one_layer(i: Sketch, inputs: Array | None) -> Array:
    """SynFlow's scores of the one-layer network with weights w, by its path sums, (..., d)."""
    return synflow(mlp([i.d, 1]), i.w, inputs)


@claim(about=Sketch, source=SEED, status=Status.PROVED, assumes=(some_signal,), draws={"q": False},
       twin="sketching/synflow-mean-absolute-input")  # fmt: skip
def synflow_linear(i: Sketch) -> Relation:
    r"""On one linear layer SynFlow's scores are sketch probabilities.

    $f(x) = w'x$. SynFlow's normalised score is $|w|/\|w\|_1$ with the all-ones input; with the input
    $|x|$ it is $p^*$ of the sketch on the one sample $x$; with the input $(\sum_n x_n^2)^{1/2}$ it is
    $p^*$ of the batch.

    Proof. The score of $w_j$ is $|w_j|$ times the input $j$, and $\|X_j\| = (\sum_n x_{n,j}^2)^{1/2}$.
    """
    first = i.with_(x=i.x[..., :1])
    by_sample, by_batch = _one_layer(i, absolute(first.x[..., 0])), _one_layer(i, i.row_norms)
    return all_of(
        equal(normalised(_one_layer(i, None)), normalised(absolute(i.w)), "ones"),
        equal(by_sample * _last(first.a), first.amplitudes * _last(total(by_sample, axis=-1)), "one sample"),
        equal(normalised(by_batch), i.optimal, "batch"),
    )


@claim(about=Sketch, source=OURS, status=Status.REFUTED, assumes=(some_signal,), draws={"q": False},
       twin="sketching/synflow-linear")  # fmt: skip
def synflow_mean_absolute_input(i: Sketch) -> Relation:
    r"""On one linear layer, SynFlow with the mean absolute input is the sketch of the batch.

    With input $\frac1n \sum_n |x_n|$ the normalised score is $p^*$. False: the sketch has the root of
    the mean square, which weighs rare large inputs more.
    """
    scores = _one_layer(i, total(absolute(i.x), axis=-1) / i.x.shape[-1])
    return equal(normalised(scores), i.optimal)


@claim(about=NetworkWeights, source=Source(SKETCHING, "seed: mathematically equivalent when using random data"),
       status=Status.REFUTED, draws={"families": ("mlp",), "depth": 2},
       twin="sketching/synflow-l2-sign-averaged")  # fmt: skip
def synflow_deep_literal(i: NetworkWeights) -> Relation:
    r"""On deep networks with random data, sketch probabilities are SynFlow's normalised scores.

    Sketch probability of parameter $j \propto |w_j| \sqrt{E_x (\partial f/\partial w_j)^2}$, $x \sim N(0, I)$
    (summed over outputs), on deep linear networks, where $E_x$ is exact. Normalised scores are compared
    cross-multiplied.

    False: two paths through one parameter add up in SynFlow, but in the sketch only their squares do
    (different inputs, different outputs) or they cancel (different signs).
    """
    sketch, scores = sqrt(i.squared_sketch_weights()), i.synflow()
    return equal(scores * _last(total(sketch, axis=-1)), sketch * _last(total(scores, axis=-1)))


off_kinks_on_signs = Assumption(
    "off-kinks", "no pre-activation of a ReLU is exactly 0", lambda i: np.logical_not(i.on_signs.on_kink)
)


@claim(about=NetworkWeights, source=Source(SKETCHING, "seed: mathematically equivalent when using random data"),
       status=Status.REFUTED, assumes=(off_kinks_on_signs,), draws={"kinds": (RELU,), "families": ("mlp",), "depth": 2},
       twin="sketching/synflow-l2-relu")  # fmt: skip
def synflow_deep_literal_relu(i: NetworkWeights) -> Relation:
    r"""On ReLU networks with random data, sketch probabilities are SynFlow's normalised scores.

    As `synflow-deep-literal` with ReLU units and $x$ uniform on $\{-1, 1\}^d$, which has the mean and
    covariance of $N(0, I)$ and finite support, so that $E_x$ is exact. False for the same reason.
    """
    sketch, scores = sqrt(i.squared_sketch_weights_on_signs()), i.synflow()
    return equal(scores * _last(total(sketch, axis=-1)), sketch * _last(total(scores, axis=-1)))


def _pairs(a: Array) -> tuple[Array, Array]:
    """Entry j down, entry l across, each broadcasting to (..., N, N)."""
    return a[..., :, None], a[..., None, :]


@claim(
    about=NetworkWeights,
    source=OURS,
    status=Status.REFUTED,
    draws={"families": ("mlp",)},
    twin="sketching/synflow-first-power",
)
def synflow_deep_same_order(i: NetworkWeights) -> Relation:
    r"""On deep linear networks SynFlow and the sketch rank parameters alike.

    If SynFlow scores $j$ strictly above $l$, the sketch does not give $l$ more weight than $j$. False.
    """
    (sketch_j, sketch_l), (score_j, score_l) = _pairs(i.squared_sketch_weights()), _pairs(i.synflow())
    return at_most(sketch_l, sketch_j).when(score_j > score_l)


@claim(
    about=NetworkWeights,
    source=OURS,
    status=Status.REFUTED,
    draws={"families": ("mlp",)},
    twin="sketching/synflow-first-power",
)
def synflow_deep_same_first(i: NetworkWeights) -> Relation:
    r"""On deep linear networks SynFlow and the sketch put the same parameter first.

    If SynFlow scores $j$ above every other parameter, no other has more sketch weight. False.
    """
    sketch, scores = i.squared_sketch_weights(), i.synflow()
    (score_j, score_l), n = _pairs(scores), scores.shape[-1]
    first = np.asarray(((score_j > score_l) | np.eye(n, dtype=bool)).all(axis=-1))
    sketch_j, sketch_l = _pairs(sketch)
    return at_most(sketch_l, sketch_j).when(first[..., :, None])


@claim(about=NetworkWeights, source=OURS, status=Status.REFUTED, twin="sketching/synflow-first-power")
def synflow_first_has_sketch_weight(i: NetworkWeights) -> Relation:
    r"""What SynFlow ranks first has positive sketch weight.

    A parameter that SynFlow scores above 0 and every other one has $E_x (\partial f/\partial w_j)^2 > 0$ (on a
    deep linear network). False: its paths may cancel.
    """
    sketch, scores = i.squared_sketch_weights(), i.synflow()
    (score_j, score_l), n = _pairs(scores), scores.shape[-1]
    first = ((score_j > score_l) | np.eye(n, dtype=bool)).all(axis=-1) & (scores > 0)
    return positive(sketch).when(first)


def _unsigned(c: Any, i: SignAverage) -> SignAverage:
    return i.with_(signs="fixed")


def _averaging_inputs(c: Any, i: SignAverage) -> SignAverage:
    """Two inputs, averaged before the first weight: their paths carry the same weights."""
    b = Builder(inputs=2)
    net = b.network(b.dense(b.pool(b.inputs, 2, kind=LINEAR), 1))
    data = ones((*i.theta.shape[:-1], 1, 2), i.theta)
    return i.with_(network=net, theta=c.numbers((net.parameters,)), x=data)


independent_signs = Assumption(
    "independent-signs", "the signs of all weights are uniform and independent", lambda i: i.signs == INDEPENDENT,
    _unsigned,
)  # fmt: skip
distinct_weights = Assumption(
    "distinct-weight-sets",
    "no two paths to one output carry the same weights (true where every weight is on one edge and every edge has one)",
    lambda i: distinct_weight_sets(i.network),
    _averaging_inputs,
)
unit_second_moments = Assumption(
    "unit-second-moments",
    "E x_i^2 = 1 for every input (all ones, for example)",
    lambda i: (i.second_moments() == 1).all(axis=-1),
    lambda c, i: i.with_(x=c.numbers(i.x.shape[-2:])),
)
no_cancellation = Assumption(
    "no-cancelling-pre-activation",
    "under no signs a ReLU's inputs, not all 0, sum to exactly 0",
    lambda i: np.logical_not(i.cancels()),
)


@claim(about=SignAverage, source=OURS, status=Status.PROVED,
       assumes=(independent_signs, distinct_weights, unit_second_moments),
       twin="sketching/synflow-deep-literal")  # fmt: skip
def synflow_l2_sign_averaged(i: SignAverage) -> Relation:
    r"""Averaged over random signs of the weights, the squared sketch weight is SynFlow-L2's score.

    On a deep linear network, for $x = 1$ or any $x$ with $E x_i^2 = 1$:
    $E_{signs} E_x (w_j \,\partial f/\partial w_j)^2 = \sum_{p \ni j} v_p^2$. The left side by enumeration
    of all sign patterns.

    Proof. $w_j\,\partial f/\partial w_j = \sum_{p \ni j} v_p x_{s(p)}$; distinct paths differ in some
    weight, whose sign averages the cross term to 0.
    """
    return equal(i.average_squared_score(), i.synflow_l2())


@claim(about=SignAverage, source=OURS, status=Status.PROVED,
       assumes=(independent_signs, no_cancellation, unit_second_moments),
       draws={"families": ("mlp",), "kinds": (RELU,)}, twin="sketching/synflow-deep-literal-relu")  # fmt: skip
def synflow_l2_relu(i: SignAverage) -> Relation:
    r"""With ReLU units the same, times 2^-(L-1).

    On a fully connected ReLU network of $L$ weight layers:
    $E_{signs} E_x (w_j \,\partial f/\partial w_j)^2 = 2^{-(L-1)} \sum_{p \ni j} v_p^2$. A pre-activation
    of exactly 0 breaks it, unless all that arrives there is 0.

    Proof. Flipping the signs of all weights into a unit flips its pre-activation: each gate is on half
    of the time, and $E\,\mathrm{relu}(z)^2 = \frac12 E z^2$; go through the layers.
    """
    return equal(i.average_squared_score() * 2 ** max(0, i.layers() - 1), i.synflow_l2())


one_path_each = Assumption(
    "one-path-each",
    "every parameter lies on at most one path",
    lambda i: bool((i.paths_per_parameter() <= 1).all()),
)
nonnegative_weights = Assumption("nonnegative-weights", "no weight is negative", lambda i: (i.theta >= 0).all(axis=-1))
one_input = Assumption("one-input", "the network has one input", lambda i: len(i.network.inputs) == 1)
one_output = Assumption("one-output", "the network has one output", lambda i: len(i.network.outputs) == 1)


@claim(about=NetworkWeights, source=OURS, status=Status.PROVED, assumes=(one_path_each,), draws={"parallel": True},
       twin="sketching/synflow-deep-literal")  # fmt: skip
def synflow_first_power(i: NetworkWeights) -> Relation:
    r"""If every parameter lies on one path, SynFlow's score is the sketch weight.

    $|w_j| \sqrt{E_x(\partial f/\partial w_j)^2}$ is SynFlow's score on a deep linear network whose
    parameters lie on at most one path each; any number of outputs.

    Proof. $\partial f/\partial w_j = (v_p/w_j)\,x_{s(p)}$ for the one path $p$, and $E x_s^2 = 1$.
    """
    return equal(sqrt(i.squared_sketch_weights()), i.synflow())


@claim(about=NetworkWeights, source=OURS, status=Status.PROVED,
       assumes=(nonnegative_weights, one_input, one_output), draws={"nonnegative": True},
       twin="sketching/synflow-deep-literal")  # fmt: skip
def synflow_first_power_nonnegative(i: NetworkWeights) -> Relation:
    r"""With nonnegative weights, one input and one output, SynFlow's score is the sketch weight.

    $|w_j| \sqrt{E_x(\partial f/\partial w_j)^2}$ is SynFlow's score on a deep linear network.

    Proof. $w_j\,\partial f/\partial w_j = x \sum_{p \ni j} v_p$ with every $v_p \ge 0$.
    """
    return equal(sqrt(i.squared_sketch_weights()), i.synflow())


@claim(about=NetworkWeights, source=OURS, status=Status.REFUTED, draws={"bottleneck": True},
       twin="sketching/synflow-first-power")  # fmt: skip
def synflow_one_hidden_unit(i: NetworkWeights) -> Relation:
    r"""One hidden unit is enough for SynFlow to be the sketch.

    On a linear network with one hidden unit the normalised scores agree. False with two inputs, or two
    outputs: several paths meet in the unit.
    """
    sketch, scores = sqrt(i.squared_sketch_weights()), i.synflow()
    return equal(scores * _last(total(sketch, axis=-1)), sketch * _last(total(scores, axis=-1)))


# -- Training ---------------------------------------------------------------------------------------------


@claim(about=ScalingTrials, source=SEED, status=Status.EMPIRICAL, draws={"stack": False})
def lazy_weights(i: ScalingTrials) -> Relation:
    r"""In wide networks weights hardly move: their relative distance falls like width^(-1/2).

    NTK-parametrised two-layer ReLU networks fitted to a fixed set: the least-squares slope of
    $\log(\|w^* - w_0\|/\|w_0\|)$ on $\log(\mathrm{width})$ is within 1/8 of $-1/2$.
    """
    margin = rational("1/8")
    slope = i.slope()
    return at_most(-margin - rational("1/2"), slope, "not steeper") & at_most(
        slope, margin - rational("1/2"), "not flatter"
    )


@claim(about=ScalingTrials, source=OURS, status=Status.EMPIRICAL, draws={"stack": False}, twin="sketching/lazy-weights")
def lazy_weights_relative_change_grows(i: ScalingTrials) -> Relation:
    r"""The largest relative change of a weight grows with width.

    In the same networks the slope of $\log \rho$, $\rho = \max_i |w^*_i - w_{0,i}|/|w_{0,i}|$, on
    $\log(\mathrm{width})$ is positive: `transfer-relative` says less and less there.
    """
    return positive(i.slope())


@claim(about=ScalingTrials, source=OURS, status=Status.EMPIRICAL, draws={"stack": False}, twin="sketching/lazy-weights")
def lazy_weights_ratio_variance_falls(i: ScalingTrials) -> Relation:
    r"""The variance of the weights' ratios under the initial law falls with width.

    In the same networks the slope of $\log \mathrm{Var}_{i \sim p_0}|w^*_i/w_{0,i}|$ on
    $\log(\mathrm{width})$ is negative: by `transfer-identity` the initial law becomes optimal.
    """
    return positive(-i.slope())


# -- Sampling against thresholding ----------------------------------------------------------------------------


@claim(about=Sketch, source=SEED, status=Status.OPEN, assumes=(some_signal,), draws={"q": False},
       twin="sketching/random-beats-top-when-opposed")  # fmt: skip
def random_beats_top(i: Sketch) -> Relation:
    r"""A sampled mask has less error than keeping the top s.

    $E\,\|X'w - X'(w \odot b)\|^2 \le \|X'w - X'(w \odot b_{top})\|^2$, $b = [m > 0]$ drawn from $p^*$ with
    $s$ draws, $b_{top}$ the $s$ largest $a_i$. When? It is so for opposed features, where what is kept
    and what is dropped cancel (`random-beats-top-when-opposed`), and never for orthogonal ones
    (`top-is-best-for-orthogonal-rows`); a characterisation is open.
    """
    return at_most(i.binary_mse(i.optimal), i.mask_error(i.top()))


@claim(about=Sketch, source=SEED, status=Status.REFUTED, assumes=(some_signal,), draws={"q": False},
       twin="sketching/top-always-beats-random")  # fmt: skip
def random_always_beats_top(i: Sketch) -> Relation:
    r"""Sampling always beats keeping the top s, with or without rescaling.

    The smaller of $E\,\|X'w - X'(w \odot b)\|^2$ and $\mathrm{MSE}(p^*)$ is at most the error of the top
    $s$. False whenever the top $s$ are all there is: they leave no error, sampling does.
    """
    return _smaller_at_most(i.binary_mse(i.optimal), i.mse(i.optimal), i.mask_error(i.top()))


def _smaller_at_most(a: Any, b: Any, bound: Any) -> Relation:
    """min(a, b) <= bound, for rationals, balls and stacks: (a + b - |a - b|)/2 is the smaller."""
    return at_most((a + b - absolute(a - b)) / 2, bound)


@claim(about=Sketch, source=OURS, status=Status.REFUTED, assumes=(some_signal,), draws={"q": False},
       twin="sketching/random-always-beats-top")  # fmt: skip
def top_always_beats_random(i: Sketch) -> Relation:
    r"""Keeping the top s always has at most the error of a sampled mask.

    $\|X'w - X'(w \odot b_{top})\|^2 \le E\,\|X'w - X'(w \odot b)\|^2$. False for opposed features.
    """
    return at_most(i.mask_error(i.top()), i.binary_mse(i.optimal))


one_draw = Assumption("one-draw", "s = 1", lambda i: i.s == 1, lambda c, i: i.with_(s=2))
opposed_features = Assumption(
    "opposed-features",
    "X'w = 0",
    lambda i: (i.prediction(i.w) == 0).all(axis=-1),
    lambda c, i: i.with_(x=i.x * np.array([c.pick((1, -1)) for _ in range(i.d)], dtype=int)[:, None]),
)


@claim(about=Sketch, source=OURS, status=Status.PROVED, assumes=(one_draw, opposed_features, some_signal),
       draws={"q": False, "rows": "opposed"}, twin="sketching/random-always-beats-top")  # fmt: skip
def random_beats_top_when_opposed(i: Sketch) -> Relation:
    r"""If the features cancel entirely, keeping the one largest is the worst choice of one.

    If $X'w = 0$ and $s = 1$, the unscaled sampled mask has at most the error of the top one:
    $\sum_i p^*_i a_i^2 \le \max_i a_i^2$, equality iff all nonzero $a_i$ are equal.

    Proof. Keeping $i$ alone leaves $X'w - X_i w_i = -X_i w_i$, of norm $a_i$.
    """
    error = i.binary_mse(i.optimal)
    return at_most(error, i.mask_error(i.top())) & equal(
        error, total(i.optimal * i.amplitudes * i.amplitudes, axis=-1), "closed form"
    )


orthogonal_rows = Assumption(
    "orthogonal-rows",
    "<X_i, X_j> = 0 for i != j",
    lambda i: (i.gram * (1 - np.eye(i.d, dtype=int)) == 0).all(axis=(-2, -1)),
    lambda c, i: i.with_(x=c.numbers(i.x.shape[-2:])),
)


@claim(about=Sketch, source=OURS, status=Status.PROVED, assumes=(orthogonal_rows,),
       draws={"rows": "orthogonal", "q": False}, twin="sketching/random-beats-top")  # fmt: skip
def top_is_best_for_orthogonal_rows(i: Sketch) -> Relation:
    r"""For orthogonal rows no mask of at most s ones beats the top s.

    $\|X'w - X'(w \odot b_{top})\|^2 \le \|X'w - X'(w \odot b)\|^2$ for every $b \in \{0,1\}^d$ with at
    most $s$ ones, by enumeration of all of them; so also no sampled unscaled mask does.

    Proof. By Pythagoras the error is the sum of $a_i^2$ over what is dropped.
    """
    masks = binary_masks(i.d)
    masks = masks[masks.sum(axis=1) <= i.s]
    dropped = (i.w[..., None, :] * (1 - masks)) @ i.x
    return at_most(_last(i.mask_error(i.top())), squared(dropped))


@claim(about=Sketch, source=OURS, status=Status.PROVED, draws={"q": False},
       twin="sketching/random-beats-top")  # fmt: skip
def top_is_best_on_sign_average(i: Sketch) -> Relation:
    r"""Averaged over random signs of the weights, no mask of at most s ones beats the top s.

    With independent uniform signs $\varepsilon$, for every $b \in \{0,1\}^d$ with at most $s$ ones:
    $E_\varepsilon \|X'(\varepsilon w \odot (1 - b_{top}))\|^2 \le E_\varepsilon \|X'(\varepsilon w \odot (1 - b))\|^2$.
    So what sampling wins over the top it wins by the signs at hand, not by the scores.

    Proof. Signs average the cross terms to 0: the sides are sums of $a_i^2$ over what is dropped.
    """
    masks = binary_masks(i.d)
    masks = masks[masks.sum(axis=1) <= i.s]
    if i.d > 6:
        raise ValueError(f"2^{i.d} signs times {len(masks)} masks are too many to enumerate (at most 6 features)")
    flipped = i.w[..., None, :] * signs(i.d)
    top = squared((flipped * (1 - i.top()[..., None, :])) @ i.x)
    other = squared((flipped[..., None, :, :] * (1 - masks[:, None, :])) @ i.x[..., None, :, :])
    return at_most(_last(total(top, axis=-1)), total(other, axis=-1))


@claim(about=PairedTrials, source=Source(SKETCHING, "seed: randomly sampled masks often improve"),
       status=Status.EMPIRICAL, draws={"stack": False})  # fmt: skip
def random_masks_train_better(i: PairedTrials) -> Relation:
    r"""Sampled masks train at least as well as thresholded ones, up to 1/100 of accuracy.

    Of paired trials (same scores, data, sparsity, seed; test accuracy after training, sampled minus
    thresholded) the difference is not more often below -1/100 than above. Decided for each method
    and sparsity by a paired sign test that may stop at any time.
    """
    return at_most(i.losses("-1/100"), i.wins("-1/100"))
