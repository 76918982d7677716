"""Sampling features."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory.claims import PROVED, REFUTED, Assumption, claim, hints
from theory.papers.sketching.assumptions import every_feature_can_be_drawn, some_signal, used_features_can_be_drawn
from theory.papers.sources import SKETCHING, ours
from theory.pruning import sampled_mask
from theory.relations import Relation, all_of, at_most, equal
from theory.scalars import Array, absolute, indicator, total
from theory.sketches import Sketch, inverse, normalised, sequences, squared

SEED = SKETCHING.at("seed")
OURS = ours("beside the sketching paper")


@claim(Sketch, PROVED, SEED, assumes=(every_feature_can_be_drawn,), see="optimal-mask-is-unbiased")
def unbiased_mask(i: Sketch) -> Relation:
    r"""If every feature can be drawn, the mask is unbiased, and so is the sketched prediction.

    $E\,m = 1$, so $E\,X'(w \odot m) = X'w$. The left sides by enumeration of all $d^s$ sequences.

    Proof. $E\,e_{i_t}/(s\,p_{i_t}) = \sum_i p_i\, e_i/(s\,p_i) = 1/s$ in every entry; add $s$ of them.
    """
    chance, masks = i.enumerate(i.p)
    mean, predicted, _ = i.expected(i.p, masks, chance)
    return equal(mean, 1, "mask") & equal(predicted, i.prediction(i.w), "prediction")


@claim(Sketch, PROVED, SKETCHING.at("algorithm 1"))
def algorithm_draws_the_mask(i: Sketch) -> Relation:
    r"""Algorithm 1 computes the mask of the sequence of draws.

    $m = \sum_t e_{i_t} / (s\,p_{i_t})$ for each of the $d^s$ sequences: entry by entry, and $\sum_i p_i m_i = 1$.
    Decided for the law mixed with the uniform one, so that all can be drawn.

    Proof. Each of $s$ draws adds $1/s$ to $\sum_i p_i m_i$.
    """
    p = normalised(i.p + 1)
    masks = np.stack([sampled_mask(p, drawn) for drawn in sequences(i.d, i.s)], axis=-2)
    return equal(masks, i.enumerate(p)[1], "entries") & equal(total(masks * p[..., None, :], axis=-1), 1, "sum")


@claim(Sketch, PROVED, SEED, assumes=(used_features_can_be_drawn,), repairs="optimal-mask-is-unbiased")
def unbiased_prediction(i: Sketch) -> Relation:
    r"""The sketched prediction is unbiased if every feature that contributes can be drawn.

    $E\,X'(w \odot m) = X'w$ if $p_i > 0$ wherever $X_i w_i \ne 0$; this is all that $p^*$ itself satisfies.

    Proof. As for the mask; the other features contribute 0 to both sides.
    """
    chance, masks = i.enumerate(i.p)
    return equal(i.expected(i.p, masks, chance)[1], i.prediction(i.w))


@claim(Sketch, REFUTED, OURS, assumes=(some_signal,))
@hints(q=False)
def optimal_mask_is_unbiased(i: Sketch) -> Relation:
    r"""The mask drawn from the optimal probabilities is unbiased.

    $E_{p^*}\,m = 1$. False wherever $w_i = 0$ or $X_i = 0$: that feature is never drawn. Only the
    prediction is unbiased.
    """
    return equal(indicator(i.optimal > 0, i.optimal), 1)


@claim(Sketch, PROVED, SEED, assumes=(used_features_can_be_drawn,))
def mean_squared_error(i: Sketch) -> Relation:
    r"""The mean squared error of the sketch in closed form.

    $\mathrm{MSE}(p) = \frac1s \left(N_p(w)^2 - \|X'w\|^2\right)$, the left side by enumeration of all
    $d^s$ sequences of draws.

    Proof. The sketch is a mean of $s$ independent copies of $X_i w_i/p_i$, whose mean is $X'w$ and whose
    second moment is $N_p(w)^2$; variances of independent terms add.
    """
    chance, masks = i.enumerate(i.p)
    return equal(i.expected(i.p, masks, chance)[2], (i.weighted_norm(i.p) - i.signal) / i.s)


@claim(Sketch, PROVED, OURS, see="mean-squared-error")
def mean_squared_error_of_any_law(i: Sketch) -> Relation:
    r"""If some features can never be drawn, the error gains a squared bias.

    With $\bar w_i = w_i$ where $p_i > 0$, else 0: $E\,X'(w \odot m) = X'\bar w$ and $\mathrm{MSE}(p) =
    \|X'(w - \bar w)\|^2 + \frac1s (N_p(w)^2 - \|X'\bar w\|^2)$ for every law. The left sides by enumeration.

    Proof. Squared bias plus variance; what is never drawn enters the bias alone.
    """
    chance, masks = i.enumerate(i.p)
    _, predicted, error = i.expected(i.p, masks, chance)
    reached = i.w * indicator(i.p > 0, i.p)
    return equal(predicted, i.prediction(reached), "mean") & equal(error, i.mse(i.p), "error")


@claim(Sketch, PROVED, SEED, assumes=(some_signal, used_features_can_be_drawn))
@hints(rows="any")
def optimal_probabilities(i: Sketch) -> Relation:
    r"""Drawing features in proportion to row norm times weight has the least mean squared error.

    $\mathrm{MSE}(p^*) \le \mathrm{MSE}(p)$ for every law $p$ that can draw what contributes. A law that
    never draws a small feature is biased and can have less error: so that assumption is needed.

    Proof. $N_p(w)^2 = \sum a_i^2/p_i \ge (\sum a_i)^2$ by Cauchy-Schwarz, equality iff $p \propto a$.
    """
    return at_most(i.mse(i.optimal), i.mse(i.p))


@claim(Sketch, PROVED, OURS, assumes=(some_signal, used_features_can_be_drawn))
def excess_is_chi_square(i: Sketch) -> Relation:
    r"""The excess error of a law is proportional to its chi-square divergence from the optimal one.

    $\mathrm{MSE}(p) - \mathrm{MSE}(p^*) = \frac{A^2}{s}\,\chi^2(p^* \| p)$, $\chi^2(q\|p) = \sum q_i^2/p_i - 1$.

    Proof. $N_p(w)^2 = \sum a_i^2/p_i = A^2 \sum p_i^{*2}/p_i$, and $N_{p^*}(w)^2 = A^2$.
    """
    return equal(i.mse(i.p), i.mse(i.optimal) + i.a * i.a * chi_square(i.optimal, i.p) / i.s)


def chi_square(q: Array, p: Array) -> Any:
    """chi2(q || p) over the features that p can draw, (...)."""
    return total(q * q * inverse(p), axis=-1) - 1


@claim(Sketch, PROVED, SEED, assumes=(some_signal,))
@hints(q=False)
def one_over_s(i: Sketch) -> Relation:
    r"""The least error is exactly proportional to 1/s, and at most the product of the squared norms divided by s.

    $s\,\mathrm{MSE}(p^*)$ does not depend on $s$, and
    $\mathrm{MSE}(p^*) \le A^2/s \le F^2\|w\|^2/s$. The gaps are $\|X'w\|^2/s$ and
    $\frac1{2s}\sum_{ij}(\|X_i\||w_j| - \|X_j\||w_i|)^2$.

    Proof. $N_{p^*}(w)^2 = A^2$; the second gap is Lagrange's identity. So the first is an equality iff
    $X'w = 0$, the second iff $\|X_i\| \propto |w_i|$.
    """
    once, least, r, v = i.with_(s=1), i.mse(i.optimal), i.row_norms, absolute(i.w)
    lagrange = r[..., :, None] * v[..., None, :] - r[..., None, :] * v[..., :, None]
    square, product = i.a * i.a, i.f_squared * squared(i.w)
    bound = square / i.s
    return all_of(
        equal(i.s * least, once.mse(i.optimal), "s MSE"),
        at_most(least, bound, "A^2/s"),
        equal(least + i.signal / i.s, bound, "first gap"),
        at_most(square, product, "Cauchy-Schwarz"),
        equal(square + total(lagrange * lagrange, axis=(-2, -1)) / 2, product, "second gap"),
    )


@claim(Sketch, PROVED, OURS, repairs="mask-keeps-s-weights")
def mask_size(i: Sketch) -> Relation:
    r"""The expected number of weights that the mask keeps, in closed form.

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


@claim(Sketch, REFUTED, OURS, assumes=(enough_features,))
def mask_keeps_s_weights(i: Sketch) -> Relation:
    r"""A mask of s draws keeps s weights.

    $E\,\|m\|_0 = s$ when at least $s$ features can be drawn. False: draws repeat.
    """
    return equal(total(1 - (1 - i.p) ** i.s, axis=-1), i.s)
