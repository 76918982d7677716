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
from theory.network_sketches import (
    INDEPENDENT,
    NetworkWeights,
    SignAverage,
    distinct_weight_sets,
    is_linear,
    is_rectified,
    own_weights,
    signs,
    synflow,
)
from theory.networks import INPUT, LEAKY, LINEAR, ONE, RELU, Builder, Network, mlp
from theory.papers.sources import SKETCHING
from theory.paths import on_path, path_values, paths_of
from theory.relations import Relation, all_of, at_most, equal, positive
from theory.scalars import Array, absolute, indicator, ones, rational, sqrt, total
from theory.sketches import Sketch, SketchGain, Transfer, binary_masks, inverse, normalised, squared

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


@claim(about=Sketch, source=OURS, status=Status.PROVED)
def mean_squared_error_of_any_law(i: Sketch) -> Relation:
    r"""A law that misses features adds a squared bias.

    With $\bar w_i = w_i$ where $p_i > 0$, else 0: $E\,X'(w \odot m) = X'\bar w$ and $\mathrm{MSE}(p) =
    \|X'(w - \bar w)\|^2 + \frac1s (N_p(w)^2 - \|X'\bar w\|^2)$ for every law. The left sides by enumeration.

    Proof. Squared bias plus variance; what is never drawn enters the bias alone.
    """
    chance, masks = i.enumerate(i.p)
    _, predicted, error = i.expected(i.p, masks, chance)
    reached = i.w * indicator(i.p > 0, i.p)
    return equal(predicted, i.prediction(reached), "mean") & equal(error, i.mse(i.p), "error")


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
    $\mathrm{MSE}(p^*) \le A^2/s \le F^2\|w\|^2/s$. The gaps are $\|X'w\|^2/s$ and
    $\frac1{2s}\sum_{ij}(\|X_i\||w_j| - \|X_j\||w_i|)^2$.

    Proof. $N_{p^*}(w)^2 = A^2$; the second gap is Lagrange's identity. So the first is an equality iff
    $X'w = 0$, the second iff $\|X_i\| \propto |w_i|$.
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

    $E\,\|m\|_0 = \sum_i (1 - (1-p_i)^s) \le k\,(1 - (1-1/k)^s) \le \min(s, k)$ with
    $k = |\mathrm{supp}\,p|$, the left side by enumeration. The uniform law on $k$ features keeps most.

    Proof. Feature $i$ is missed by all draws with probability $(1-p_i)^s$; $x \mapsto 1 - (1-x)^s$ is
    concave and lies below $sx$ and 1.
    """
    chance, masks = i.enumerate(i.p)
    kept = total(total(indicator(masks != 0, i.p), axis=-1) * chance, axis=-1)
    closed = total(1 - (1 - i.p) ** i.s, axis=-1)
    support = total(indicator(i.p > 0, i.p), axis=-1)
    uniform = support * (1 - (1 - 1 / support) ** i.s)
    return all_of(
        equal(kept, closed),
        at_most(closed, uniform, "uniform law"),
        at_most(uniform, i.s, "draws"),
        at_most(uniform, support, "support"),
    )


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
    start, moved = sqrt(squared(i.w0)), sqrt(squared(i.change))
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
    \le \frac1s (F^2 (\|w_0\|_X + \|w - w_0\|_X)^2 - \|X'w\|^2)$, where $\|w\|_X^2$ sums $w_i^2$ over the
    features with $X_i \ne 0$ (the others are never drawn and cost nothing). So
    $\mathrm{MSE}(w) \le \frac{F^2}{s} (\|w_0\| + \|w - w_0\|)^2$.

    Proof. $N_p(w)^2 = F^2\|w\|_X^2$, then the triangle inequality: equality where $w - w_0$ points along
    $w_0$.
    """
    error, f2, signal = i.s * i.trained.mse(i.initial.data_law), i.initial.f_squared, i.trained.signal
    start, moved = i.norms()
    return all_of(
        equal(error + signal, f2 * squared(i.seen(i.w)), "closed form"),
        at_most(error + signal, f2 * (start + moved) ** 2, "bound"),
    )


@claim(about=Transfer, source=OURS, status=Status.PROVED, assumes=(used_weights_start_nonzero, initial_signal),
       draws={"weights": "two ratios"})  # fmt: skip
def transfer_relative(i: Transfer) -> Relation:
    r"""With the initial law, the largest relative change of a weight bounds the error.

    With $p_0$ and $\rho = \max |w_i - w_{0,i}|/|w_{0,i}|$ over the features with $X_i w_{0,i} \ne 0$, and
    $\lambda = \max(0, 1 - \rho)$: $\lambda A_0 \le A_* \le (1+\rho) A_0$, and what the initial law costs beyond
    the least error is at most $\frac1s ((1+\rho) A_0 - A_*)(A_* - \lambda A_0) \le A_0^2 \rho^2/s$. Hence
    $\mathrm{MSE}(w) \le \frac1s((1+\rho) A_0 A_* - \|X'w\|^2) \le \frac1s((1+\rho)^2 A_0^2 - \|X'w\|^2)$.

    Proof. The excess is $A_0^2 \mathrm{Var}\,r / s$ for $r_i = |w_i/w_{0,i}|$ under $p_0$, of mean
    $A_*/A_0$ and between $\lambda$ and $1 + \rho$: Bhatia and Davis. Equality iff every $r_i$ is one of the
    two ends, whatever the mean: no bound by $A_0$, $A_*$ and $\rho$ is smaller.
    """
    rho, a0, a = i.relative_change(), i.initial.a, i.trained.a
    low = (1 - rho + absolute(1 - rho)) / 2
    second_moment = i.s * i.trained.mse(i.initial.optimal) + i.trained.signal  # for the least error: A*^2
    excess = ((1 + rho) * a0 - a) * (a - low * a0)
    return all_of(
        at_most(second_moment, a * a + excess, "excess"),
        at_most(a, (1 + rho) * a0, "A* by A0"),
        at_most(low * a0, a, "A* from below"),
        at_most(excess, a0 * a0 * rho * rho, "excess by A0"),
        at_most(a * a + excess, (1 + rho) * a0 * a, "second moment"),
    )


proper_mixture = Assumption(
    "proper-mixture",
    "0 < l < 1",
    lambda i: (i.mix > 0).all(axis=-1),
    lambda c, i: i.with_(mix=i.mix * np.array(c.pick(((0, 1), (1, 0))), dtype=int)),
)


@claim(about=Transfer, source=OURS, status=Status.PROVED, assumes=(proper_mixture, initial_signal),
       draws={"mix": True, "wide": 20})  # fmt: skip
def transfer_mixture(i: Transfer) -> Relation:
    r"""Mixing the initial law with the data law bounds the error by the distance of the weights.

    With $q = (1-l)\,p_0 + l\,p_{data}$, $p_{data} = \|X_i\|^2/F^2$, and $\|\cdot\|_X$ as in `transfer-data-norm`:
    $\mathrm{MSE}_q(w) \le \frac1s\left(\frac{A_0^2}{1-l} + \frac{F^2\|w-w_0\|_X^2}{l} - \|X'w\|^2\right)$.

    Proof. $(x+y)^2/(q+r) \le x^2/q + y^2/r$ for each feature, with $|w_{0,i}| + |w_i - w_{0,i}| \ge |w_i|$.
    Neither term can be smaller for any $l$: a feature that only $w_0$ has and one that only the change has,
    of very different norms, come as near as one likes.
    """
    share, moved = i.share(), i.initial.f_squared * squared(i.seen(i.change))
    bound = i.initial.a * i.initial.a / (1 - share) + moved / share
    return at_most(i.s * i.trained.mse(i.mixture(share)) + i.trained.signal, bound)


@claim(about=Transfer, source=OURS, status=Status.PROVED, assumes=(proper_mixture, initial_signal),
       draws={"mix": True, "wide": 20})  # fmt: skip
def transfer_best_mixture(i: Transfer) -> Relation:
    r"""The best share of the data law, and what it gives.

    With $u = A_0$, $v = F\|w - w_0\|_X$ and $l = v/(u+v)$ the bound of `transfer-mixture` is
    $\mathrm{MSE}_q(w) \le \frac1s\left((u + v)^2 - \|X'w\|^2\right)$, and no share gives a smaller one.

    Proof. $u^2/(1-l) + v^2/l \ge (u+v)^2$ by Cauchy-Schwarz, with equality at this $l$. Attained when all
    weights change away from 0, each in proportion to the norm of its row.
    """
    u, v, share = i.initial.a, sqrt(i.initial.f_squared * squared(i.seen(i.change))), i.share()
    best = (u + v) ** 2
    return at_most(i.s * i.trained.mse(i.mixture(v / (u + v))) + i.trained.signal, best, "error") & at_most(
        best, u * u / (1 - share) + v * v / share, "every share"
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


linear_units = Assumption(
    "linear-units",
    "every unit is linear",
    lambda i: is_linear(i.network),
    lambda c, i: _on(c, i, mlp([1, 1, 1], kind=RELU)),
)
weights_of_their_own = Assumption(
    "weights-of-their-own",
    "every edge has a weight, and no two edges the same",
    lambda i: own_weights(i.network),
    lambda c, i: _on(c, i, _twice_on_a_path(c.pick((LINEAR, RELU)))),
)
rectified_units = Assumption(
    "linear-or-relu",
    "every unit is linear or a ReLU",
    lambda i: is_rectified(i.network),
    lambda c, i: _on(c, i, mlp([1, 1, 1], kind=LEAKY)),
)
relu_units = Assumption(
    "relu-units",
    "every hidden unit is a ReLU, and there is one",
    lambda i: (kinds := _hidden_kinds(i.network)) != [] and set(kinds) == {RELU},
)
off_kinks_on_signs = Assumption(
    "off-kinks", "no pre-activation of a ReLU is exactly 0", lambda i: np.logical_not(i.on_signs.on_kink)
)
one_hidden_unit = Assumption(
    "one-hidden-unit",
    "there is one hidden unit, and every path passes it",
    lambda i: len(_hidden_kinds(i.network)) == 1 and all(len(p) == 2 for p in paths_of(i.network).edges),
)


def _hidden_kinds(network: Network) -> list[str]:
    """The kinds of the units that are neither inputs nor outputs."""
    return [kind for u, kind in enumerate(network.units) if kind not in (INPUT, ONE) and u not in network.outputs]


def _on(c: Any, i: Any, network: Network) -> Any:
    """Another network of one input, with weights of its own and, where the setting has inputs, ones."""
    changes = {"x": ones((*i.theta.shape[:-1], 1, 1), i.theta)} if "x" in i.arrays() else {}
    return i.with_(network=network, theta=c.numbers((network.parameters,)), **changes)


def _twice_on_a_path(kind: str) -> Network:
    """The network y = w h, h = w x: one weight on both edges of the only path."""
    b = Builder(inputs=1)
    (w,), hidden = b.new_parameters(1), b.unit(kind)
    b.connect(b.inputs[0], hidden, w)
    b.connect(hidden, b.unit(LINEAR), w)
    return b.network([hidden + 1])


@claim(about=NetworkWeights, source=Source(SKETCHING, "seed: mathematically equivalent when using random data"),
       status=Status.REFUTED, assumes=(linear_units, weights_of_their_own), draws={"families": ("mlp",), "depth": 2},
       twin="sketching/synflow-l2-sign-averaged")  # fmt: skip
def synflow_deep_literal(i: NetworkWeights) -> Relation:
    r"""On deep linear networks with random data, sketch probabilities are SynFlow's normalised scores.

    Sketch probability of parameter $j \propto |w_j| \sqrt{E_x (\partial f/\partial w_j)^2}$, $x \sim N(0, I)$
    (summed over outputs), on deep linear networks, where $E_x$ is exact. Normalised scores are compared
    cross-multiplied.

    False: two paths through one parameter add up in SynFlow, but in the sketch only their squares do
    (different inputs, different outputs) or they cancel (different signs).
    """
    return _proportional(i)


def _proportional(i: NetworkWeights) -> Relation:
    """The sketch weights and SynFlow's scores agree once each is divided by its sum; cross-multiplied."""
    sketch, scores = sqrt(i.squared_sketch_weights()), i.synflow()
    return equal(scores * _last(total(sketch, axis=-1)), sketch * _last(total(scores, axis=-1)))


@claim(about=NetworkWeights, source=Source(SKETCHING, "seed: mathematically equivalent when using random data"),
       status=Status.REFUTED, assumes=(relu_units, weights_of_their_own, off_kinks_on_signs),
       draws={"kinds": (RELU,), "families": ("mlp",), "depth": 2}, twin="sketching/synflow-l2-relu")  # fmt: skip
def synflow_deep_literal_relu(i: NetworkWeights) -> Relation:
    r"""On ReLU networks with random data, sketch probabilities are SynFlow's normalised scores.

    As `synflow-deep-literal` with ReLU units and $x$ uniform on $\{-1, 1\}^d$, which has the mean and
    covariance of $N(0, I)$ and finite support, so that $E_x$ is exact. False for the same reason.
    """
    return _proportional(i)


def _pairs(a: Array) -> tuple[Array, Array]:
    """Entry j down, entry l across, each broadcasting to (..., N, N)."""
    return a[..., :, None], a[..., None, :]


@claim(about=NetworkWeights, source=OURS, status=Status.REFUTED, assumes=(linear_units, weights_of_their_own),
       draws={"families": ("mlp",)}, twin="sketching/synflow-first-power")  # fmt: skip
def synflow_deep_same_order(i: NetworkWeights) -> Relation:
    r"""On deep linear networks SynFlow and the sketch rank parameters alike.

    If SynFlow scores $j$ strictly above $l$, the sketch does not give $l$ more weight than $j$. False.
    """
    (sketch_j, sketch_l), (score_j, score_l) = _pairs(i.squared_sketch_weights()), _pairs(i.synflow())
    return at_most(sketch_l, sketch_j).when(score_j > score_l)


@claim(about=NetworkWeights, source=OURS, status=Status.REFUTED, assumes=(linear_units, weights_of_their_own),
       draws={"families": ("mlp",)}, twin="sketching/synflow-first-power")  # fmt: skip
def synflow_deep_same_first(i: NetworkWeights) -> Relation:
    r"""On deep linear networks SynFlow and the sketch put the same parameter first.

    If SynFlow scores $j$ above every other parameter, no other has more sketch weight. False.
    """
    sketch, scores = i.squared_sketch_weights(), i.synflow()
    (score_j, score_l), n = _pairs(scores), scores.shape[-1]
    first = np.asarray(((score_j > score_l) | np.eye(n, dtype=bool)).all(axis=-1))
    sketch_j, sketch_l = _pairs(sketch)
    return at_most(sketch_l, sketch_j).when(first[..., :, None])


@claim(about=NetworkWeights, source=OURS, status=Status.REFUTED, assumes=(linear_units, weights_of_their_own),
       draws={"families": ("mlp",)}, twin="sketching/synflow-first-power")  # fmt: skip
def synflow_first_has_sketch_weight(i: NetworkWeights) -> Relation:
    r"""On deep linear networks, what SynFlow ranks first has positive sketch weight.

    A parameter that SynFlow scores above 0 and every other one has $E_x (\partial f/\partial w_j)^2 > 0$.
    False: its paths may cancel.
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
no_weight_twice = Assumption(
    "no-weight-twice-on-a-path",
    "no weight stands twice on one path",
    lambda i: bool((on_path(i.network) <= 1).all()),
    lambda c, i: _on(c, i, _twice_on_a_path(LINEAR)),
)
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
    "under no signs does what arrives at a hidden unit, not all 0, sum to exactly 0",
    lambda i: np.logical_not(i.cancels()),
)


@claim(about=SignAverage, source=OURS, status=Status.PROVED,
       assumes=(linear_units, independent_signs, no_weight_twice, distinct_weights, unit_second_moments),
       twin="sketching/synflow-deep-literal")  # fmt: skip
def synflow_l2_sign_averaged(i: SignAverage) -> Relation:
    r"""Averaged over random signs of the weights, the squared sketch weight is SynFlow-L2's score.

    On a linear network of any depth, for $x = 1$ or any $x$ with $E x_i^2 = 1$:
    $E_{signs} E_x (w_j \,\partial f/\partial w_j)^2 = \sum_{p \ni j} v_p^2$. The left side by enumeration
    of all sign patterns.

    Proof. $w_j\,\partial f/\partial w_j = \sum_{p \ni j} v_p x_{s(p)}$; distinct paths differ in some
    weight, whose sign averages the cross term to 0.
    """
    return equal(i.average_squared_score(), i.synflow_l2())


@claim(about=SignAverage, source=OURS, status=Status.PROVED,
       assumes=(rectified_units, weights_of_their_own, independent_signs, no_cancellation, unit_second_moments),
       draws={"families": ("mlp", "graph"), "kinds": (RELU, RELU, LINEAR)},
       twin="sketching/synflow-deep-literal-relu")  # fmt: skip
def synflow_l2_relu(i: SignAverage) -> Relation:
    r"""With ReLU units the same, each path halved by every ReLU on it.

    On any graph of linear units and ReLUs, every edge with a weight of its own:
    $E_{signs} E_x (w_j \,\partial f/\partial w_j)^2 = \sum_{p \ni j} 2^{-g(p)} v_p^2$ with $g(p)$ the number of
    ReLUs on $p$; so $2^{-(L-1)}$ times SynFlow-L2's score on a fully connected network of $L$ layers. A sum of
    exactly 0 in a hidden unit breaks it, unless all that arrives there is 0.

    Proof. Give every ReLU one more sign, common to the weights into it. Whatever came before, that sign is
    fair, so each gate is on half of the time, and independent of the signs of those weights relative to
    each other. Two paths to one output enter the last unit at which they differ by two weights, whose relative
    sign averages their cross term to 0; the gates on one path are fair and independent.
    """
    return equal(i.average_squared_score(), i.rectified_paths())


one_path_each = Assumption(
    "one-path-each",
    "every parameter lies on at most one path, once",
    lambda i: bool((i.paths_per_parameter() <= 1).all()),
    lambda c, i: i.with_(network=(net := mlp([2, 1, 1], kind=LINEAR)), theta=c.numbers((net.parameters,))),
)
nonnegative_paths = Assumption(
    "nonnegative-paths",
    "no path has a negative value (true where no weight and no factor is negative)",
    lambda i: (path_values(i.network, i.theta) >= 0).all(axis=-1),
)
one_input = Assumption("one-input", "the network has one input", lambda i: len(i.network.inputs) == 1)
one_output = Assumption("one-output", "the network has one output", lambda i: len(i.network.outputs) == 1)


@claim(about=NetworkWeights, source=OURS, status=Status.PROVED, assumes=(linear_units, one_path_each),
       draws={"parallel": True}, twin="sketching/synflow-deep-literal")  # fmt: skip
def synflow_first_power(i: NetworkWeights) -> Relation:
    r"""If every parameter lies on one path, SynFlow's score is the sketch weight.

    $|w_j| \sqrt{E_x(\partial f/\partial w_j)^2}$ is SynFlow's score on a deep linear network whose
    parameters lie on at most one path each; any number of outputs.

    Proof. $\partial f/\partial w_j = (v_p/w_j)\,x_{s(p)}$ for the one path $p$, and $E x_s^2 = 1$.
    """
    return equal(sqrt(i.squared_sketch_weights()), i.synflow())


@claim(about=NetworkWeights, source=OURS, status=Status.PROVED,
       assumes=(linear_units, nonnegative_paths, one_input, one_output), draws={"nonnegative": True},
       twin="sketching/synflow-deep-literal")  # fmt: skip
def synflow_first_power_nonnegative(i: NetworkWeights) -> Relation:
    r"""With nonnegative weights, one input and one output, SynFlow's score is the sketch weight.

    $|w_j| \sqrt{E_x(\partial f/\partial w_j)^2}$ is SynFlow's score on a deep linear network.

    Proof. $w_j\,\partial f/\partial w_j = x \sum_{p \ni j} v_p$ with every $v_p \ge 0$.
    """
    return equal(sqrt(i.squared_sketch_weights()), i.synflow())


@claim(about=NetworkWeights, source=OURS, status=Status.REFUTED,
       assumes=(linear_units, weights_of_their_own, one_hidden_unit), draws={"bottleneck": True},
       twin="sketching/synflow-first-power")  # fmt: skip
def synflow_one_hidden_unit(i: NetworkWeights) -> Relation:
    r"""One hidden unit is enough for SynFlow to be the sketch.

    On a linear network with one hidden unit the normalised scores agree. False with two inputs, or two
    outputs: several paths meet in the unit.
    """
    return _proportional(i)


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


@claim(about=Sketch, source=Source(SKETCHING, "seed: when is sampling better?; the answer is ours"),
       status=Status.PROVED, assumes=(some_signal,), draws={"q": False},
       twin="sketching/random-always-beats-top")  # fmt: skip
def random_beats_top(i: Sketch) -> Relation:
    r"""Whether a sampled mask beats the top s is one linear inequality in the Gram matrix.

    With $z_i = X_i w_i$, $b = [m > 0]$ from $s$ draws of $p^*$ and $b_{top}$ the $s$ largest $a_i$:
    $E\,\|X'w - X'(w \odot b)\|^2 - \|X'w - X'(w \odot b_{top})\|^2 = \sum_{ij} c_{ij} \langle z_i, z_j \rangle$,
    $c_{ij} = q_{ij} - (1 - b_{top,i})(1 - b_{top,j})$ with $q$ of `binary-mask-error`: the coefficients depend on the
    norms $a$ alone. Sampling is better iff the sum is negative. The first term by enumeration.

    Proof. `binary-mask-error`, and the square of the sum of what the top $s$ drop.
    """
    chance, masks = i.enumerate(i.optimal)
    dropped, top = 1 - i.top(), i.mask_error(i.top())
    error = i.expected(i.optimal, indicator(masks != 0, i.w), chance)[2]
    coefficients = i.missed(i.optimal) - dropped[..., :, None] * dropped[..., None, :]
    products = i.gram * i.w[..., :, None] * i.w[..., None, :]
    return equal(error, top + total(coefficients * products, axis=(-2, -1)))


def _features(i: Sketch) -> np.ndarray:
    """How many features contribute, integers (...)."""
    return i.used().sum(axis=-1)


few_features = Assumption(
    "few-features",
    "at most s features contribute, or s + 1 and these are at most three",
    lambda i: (_features(i) <= i.s) | ((_features(i) == i.s + 1) & (i.s <= 2)),
)
one_draw_of_three = Assumption(
    "one-draw-of-three", "s = 1 and at least three features contribute", lambda i: (_features(i) >= 3) & (i.s == 1)
)
two_draws_of_four = Assumption(
    "two-draws-of-four", "s = 2 and at least four features contribute", lambda i: (_features(i) >= 4) & (i.s == 2)
)
three_draws_or_more = Assumption(
    "three-draws-or-more", "s >= 3 and more than s features contribute", lambda i: (_features(i) > i.s) & (i.s >= 3)
)


@claim(about=Sketch, source=OURS, status=Status.PROVED, assumes=(some_signal, few_features), draws={"q": False},
       twin="sketching/one-draw-never-beats-top")  # fmt: skip
def sampling_never_beats_top_of_few(i: Sketch) -> Relation:
    r"""If at most s features contribute, or s + 1 and at most three, sampling never beats the top s.

    $\|X'w - X'(w \odot b_{top})\|^2 \le E\,\|X'w - X'(w \odot b)\|^2$ for one or two features, and for three
    from two draws on. The right side is $a_1 a_2$ for one draw of two features, and for two draws of three,
    with $e_2 = a_1 a_2 + a_1 a_3 + a_2 a_3$ and $e_3 = a_1 a_2 a_3$,
    $\frac{1}{A^2}\left(e_2^2 + \|\sum_i \frac{e_3}{a_i^2} X_i w_i\|^2\right)$. For all other numbers of draws
    and features it can be better.

    Proof. At most $s$: the top leaves no error. One draw of two leaves $a_2^2$ with probability $a_1/A$ and
    $a_1^2$ with $a_2/A$. Two draws of three: $q_{ii} = (a_j + a_k)^2/A^2$ and $q_{ij} = a_k^2/A^2$; collect
    the square. The top leaves the least $a_3^2$, and $e_2 - a_3 A = a_1 a_2 - a_3^2 \ge 0$.
    """
    a, error = i.amplitudes, i.binary_mse(i.optimal)
    relation = at_most(i.mask_error(i.top()), error)
    squares, cubes = squared(a), total(a * a * a, axis=-1)
    pairs, triples = (i.a * i.a - squares) / 2, (i.a**3 - 3 * i.a * squares + 2 * cubes) / 6
    if i.s == 1:
        relation &= equal(error, pairs, "one draw of two").when(_features(i) == 2)
    if i.s == 2:
        along = squared(i.prediction(i.w * inverse(a * a) * _last(triples)))
        relation &= equal(i.a * i.a * error, pairs * pairs + along, "two draws of three").when(_features(i) == 3)
    return relation


clear_top = Assumption(
    "clear-top", "the s-th and the next largest |X_i| |w_i| differ: there is one top s", lambda i: i.has_clear_top()
)


def _top_is_best(i: Sketch) -> Relation:
    return at_most(i.mask_error(i.top()), i.binary_mse(i.optimal))


@claim(about=Sketch, source=OURS, status=Status.REFUTED, assumes=(one_draw_of_three, clear_top),
       draws={"q": False, "rows": "balanced", "repeats": 1},
       twin="sketching/sampling-never-beats-top-of-few")  # fmt: skip
def one_draw_never_beats_top(i: Sketch) -> Relation:
    r"""One draw never has less error than keeping the largest of three features or more.

    $\|X'w - X'(w \odot b_{top})\|^2 \le E\,\|X'w - X'(w \odot b)\|^2$ for $s = 1$, at least three features that
    contribute. False, and so for any larger number of features: add small ones.
    """
    return _top_is_best(i)


@claim(about=Sketch, source=OURS, status=Status.REFUTED, assumes=(two_draws_of_four, clear_top),
       draws={"q": False, "rows": "balanced", "repeats": 2, "most": 5},
       twin="sketching/sampling-never-beats-top-of-few")  # fmt: skip
def two_draws_never_beat_top(i: Sketch) -> Relation:
    r"""Two draws never have less error than keeping the largest two of four features or more.

    The same for $s = 2$, at least four features that contribute. False (for three it is true).
    """
    return _top_is_best(i)


@claim(about=Sketch, source=OURS, status=Status.REFUTED, assumes=(three_draws_or_more, clear_top),
       draws={"q": False, "rows": "balanced", "repeats": 4, "most": 5, "wide": 16},
       twin="sketching/sampling-never-beats-top-of-few")  # fmt: skip
def three_draws_never_beat_top(i: Sketch) -> Relation:
    r"""Three or more draws never have less error than keeping the largest, even if all others cancel.

    The same for $s \ge 3$ and more than $s$ features that contribute. False for every such number: one large
    weight and $s$ others that cancel, $w = (M, -(s-1), 1, \ldots, 1)$.
    """
    return _top_is_best(i)


@claim(about=SketchGain, source=OURS, status=Status.REFUTED, assumes=(three_draws_or_more, clear_top),
       draws={"q": False, "rows": "balanced", "repeats": 4, "most": 5, "wide": 40,
              "constants": tuple(10**k for k in range(7))},
       twin="sketching/sampling-never-beats-top-of-few")  # fmt: skip
def sampling_gains_a_factor_at_most(i: SketchGain) -> Relation:
    r"""What sampling gains over keeping the top s is at most a constant factor.

    $\|X'w - X'(w \odot b_{top})\|^2 \le C\, E\,\|X'w - X'(w \odot b)\|^2$ for $s \ge 3$. False for every $C$ (each
    instance brings its own, up to $10^6$): let all features but the largest cancel, and their norms sum to
    $T$. Then $E\,\|X'w - X'(w \odot b)\|^2 \le (1 + s/4)\,T^3/A$, which falls with the largest weight, and the
    error of the top $s$ does not depend on it.

    Proof of the rate. With the largest drawn, what is missing of the others is 0 unless one of them was
    drawn (probability at most $sT/A$), and at most $T/2$ long. Without it (probability $(T/A)^s$) the error is at
    most $A^2$.
    """
    return at_most(i.mask_error(i.top()), i.constant * i.binary_mse(i.optimal))


@claim(about=Sketch, source=SEED, status=Status.REFUTED, assumes=(some_signal,), draws={"q": False},
       twin="sketching/random-beats-top")  # fmt: skip
def random_always_beats_top(i: Sketch) -> Relation:
    r"""Sampling always beats keeping the top s, with or without rescaling.

    The smaller of $E\,\|X'w - X'(w \odot b)\|^2$ and $\mathrm{MSE}(p^*)$ is at most the error of the top
    $s$. False whenever the top $s$ are all there is: they leave no error, sampling does.
    """
    return _smaller_at_most(i.binary_mse(i.optimal), i.mse(i.optimal), i.mask_error(i.top()))


def _smaller_at_most(a: Any, b: Any, bound: Any) -> Relation:
    """min(a, b) <= bound, for rationals, balls and stacks: (a + b - |a - b|)/2 is the smaller."""
    return at_most((a + b - absolute(a - b)) / 2, bound)


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
    $\sum_i p^*_i a_i^2 \le \max_i a_i^2$.

    Proof. Keeping $i$ alone leaves $X'w - X_i w_i = -X_i w_i$, of norm $a_i$. So equality iff all nonzero
    $a_i$ are equal.
    """
    error, a = i.binary_mse(i.optimal), i.amplitudes
    return all_of(
        at_most(error, i.mask_error(i.top())),
        equal(error, total(i.optimal * a * a, axis=-1), "closed form"),
        equal(i.mask_error(i.top()), (a * a).max(axis=-1), "top"),
    )


orthogonal_rows = Assumption(
    "orthogonal-rows",
    "<X_i, X_j> = 0 for i != j",
    lambda i: (i.gram * (1 - np.eye(i.d, dtype=int)) == 0).all(axis=(-2, -1)),
    lambda c, i: i.with_(x=c.numbers(i.x.shape[-2:])),
)


@claim(about=Sketch, source=OURS, status=Status.PROVED, assumes=(orthogonal_rows,),
       draws={"rows": "orthogonal", "q": False}, twin="sketching/sampling-never-beats-top-of-few")  # fmt: skip
def top_is_best_for_orthogonal_rows(i: Sketch) -> Relation:
    r"""For orthogonal rows no mask of at most s ones beats the top s.

    $\|X'w - X'(w \odot b_{top})\|^2 \le \|X'w - X'(w \odot b)\|^2$ for every $b \in \{0,1\}^d$ with at
    most $s$ ones, by enumeration of all of them; so also no sampled unscaled mask does. The top $s$ are
    $\min(s, d)$ ones.

    Proof. By Pythagoras the error is the sum of $a_i^2$ over what is dropped.
    """
    masks = binary_masks(i.d)
    masks = masks[masks.sum(axis=1) <= i.s]
    dropped = (i.w[..., None, :] * (1 - masks)) @ i.x
    best = at_most(_last(i.mask_error(i.top())), squared(dropped), "error")
    return best & equal(total(i.top(), axis=-1), min(i.s, i.d), "ones")


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
    r"""Sampled masks train at least as well as thresholded ones.

    Of paired trials (same scores, data, sparsity, seed; test accuracy after training, sampled against
    thresholded) the sampled mask does not lose more often than it wins. Decided for each method, data
    set and sparsity by a paired sign test that may stop at any time.
    """
    return at_most(i.losses(), i.wins())
