"""Sampling against thresholding."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory.claims import PROVED, REFUTED, Assumption, claim, hints
from theory.network_sketches import signs
from theory.papers.sketching.assumptions import some_signal
from theory.papers.sources import SKETCHING, ours
from theory.relations import Relation, all_of, at_most, equal
from theory.scalars import absolute, indicator, total
from theory.sketches import Sketch, SketchGain, binary_masks, column, inverse, squared

SEED = SKETCHING.at("seed")
OURS = ours("beside the sketching paper")


@claim(
    Sketch,
    PROVED,
    SKETCHING.at("seed: when is sampling better?; the answer is ours"),
    assumes=(some_signal,),
    repairs="random-always-beats-top",
)
@hints(q=False)
def random_beats_top(i: Sketch) -> Relation:
    r"""Whether a sampled mask has less error than the top s is one linear inequality in the Gram matrix.

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


def _one_draw_of_three(i: Sketch) -> Any:
    return (_features(i) >= 3) & (i.s == 1)


def _two_draws_of_four(i: Sketch) -> Any:
    return (_features(i) >= 4) & (i.s == 2)


def _three_draws_or_more(i: Sketch) -> Any:
    return (_features(i) > i.s) & (i.s >= 3)


one_draw_of_three = Assumption("one-draw-of-three", "s = 1 and at least three features contribute", _one_draw_of_three)

two_draws_of_four = Assumption("two-draws-of-four", "s = 2 and at least four features contribute", _two_draws_of_four)

three_draws_or_more = Assumption(
    "three-draws-or-more", "s >= 3 and more than s features contribute", _three_draws_or_more
)

few_features = Assumption(
    "few-features",
    "at most s features contribute, or s + 1 and these are at most three",
    lambda i: ~(_one_draw_of_three(i) | _two_draws_of_four(i) | _three_draws_or_more(i)),
)


@claim(
    Sketch,
    PROVED,
    OURS,
    assumes=(some_signal, few_features),
    see=("one-draw-never-beats-top", "two-draws-never-beat-top", "three-draws-never-beat-top"),
)
@hints(q=False, most=3, repeats=2)
def sampling_never_beats_top_of_few(i: Sketch) -> Relation:
    r"""With few contributing features (at most s, or s + 1 if that is at most 3), sampling never beats the top s.

    $\|X'w - X'(w \odot b_{top})\|^2 \le E\,\|X'w - X'(w \odot b)\|^2$ for one or two features, and for three
    from two draws on. The right side is $a_1 a_2$ for one draw of two features, and for two draws of three,
    with $e_2 = a_1 a_2 + a_1 a_3 + a_2 a_3$ and $e_3 = a_1 a_2 a_3$,
    $\frac{1}{A^2}\left(e_2^2 + \|\sum_i \frac{e_3}{a_i^2} X_i w_i\|^2\right)$.

    Proof. At most $s$: the top leaves no error. One draw of two leaves $a_2^2$ with probability $a_1/A$ and
    $a_1^2$ with $a_2/A$. Two draws of three: $q_{ii} = (a_j + a_k)^2/A^2$ and $q_{ij} = a_k^2/A^2$; collect
    the square. The top leaves the least $a_3^2$, and $e_2 - a_3 A = a_1 a_2 - a_3^2 \ge 0$. For all other
    numbers of draws and features sampling can be better: the claims beside this one.
    """
    a, left, error = i.amplitudes, i.mask_error(i.top()), i.binary_mse(i.optimal)
    squares, cubes = squared(a), total(a * a * a, axis=-1)
    pairs, triples = (i.a * i.a - squares) / 2, (i.a**3 - 3 * i.a * squares + 2 * cubes) / 6
    along = squared(i.prediction(i.w * inverse(a * a) * column(triples)))
    features = _features(i)
    return all_of(
        at_most(left, error),
        equal(left, 0 * left, "as many features as draws").when(features == i.s),
        equal(error, pairs, "one draw of two").when((features == 2) & (i.s == 1)),
        equal(i.a * i.a * error, pairs * pairs + along, "two draws of three").when((features == 3) & (i.s == 2)),
    )


clear_top = Assumption(
    "clear-top", "the s-th and the next largest |X_i| |w_i| differ: there is one top s", lambda i: i.has_clear_top()
)


def _top_is_best(i: Sketch) -> Relation:
    return at_most(i.mask_error(i.top()), i.binary_mse(i.optimal))


@claim(Sketch, REFUTED, OURS, assumes=(one_draw_of_three, clear_top), see="sampling-never-beats-top-of-few")
@hints(q=False, rows="balanced", repeats=1)
def one_draw_never_beats_top(i: Sketch) -> Relation:
    r"""With three or more features, one draw never has less error than keeping the largest.

    $\|X'w - X'(w \odot b_{top})\|^2 \le E\,\|X'w - X'(w \odot b)\|^2$ for $s = 1$, at least three features that
    contribute. False, and so for any larger number of features: add small ones.
    """
    return _top_is_best(i)


@claim(Sketch, REFUTED, OURS, assumes=(two_draws_of_four, clear_top), see="sampling-never-beats-top-of-few")
@hints(q=False, rows="balanced", repeats=2, most=5)
def two_draws_never_beat_top(i: Sketch) -> Relation:
    r"""With four or more features, two draws never have less error than keeping the largest two.

    The same for $s = 2$, at least four features that contribute. False (for three it is true).
    """
    return _top_is_best(i)


@claim(Sketch, REFUTED, OURS, assumes=(three_draws_or_more, clear_top), see="sampling-never-beats-top-of-few")
@hints(q=False, rows="balanced", repeats=4, most=5, wide=16)
def three_draws_never_beat_top(i: Sketch) -> Relation:
    r"""With more than s contributing features, three or more draws never have less error than the top s.

    The same for $s \ge 3$ and more than $s$ features that contribute. False for every such number: one large
    weight and $s$ others that cancel, $w = (M, -(s-1), 1, \ldots, 1)$.
    """
    return _top_is_best(i)


@claim(SketchGain, REFUTED, OURS, assumes=(three_draws_or_more, clear_top), see="sampling-never-beats-top-of-few")
@hints(q=False, rows="balanced", repeats=4, most=5, wide=40, constants=tuple(10**k for k in range(7)))
def sampling_gains_a_factor_at_most(i: SketchGain) -> Relation:
    r"""The error of the top s is at most a constant times the error of sampling.

    $\|X'w - X'(w \odot b_{top})\|^2 \le C\, E\,\|X'w - X'(w \odot b)\|^2$ for $s \ge 3$. False for every $C$ (each
    instance brings its own, up to $10^6$): let all features but the largest cancel, and their norms sum to
    $T$. Then $E\,\|X'w - X'(w \odot b)\|^2 \le (1 + s/4)\,T^3/A$, which falls with the largest weight, and the
    error of the top $s$ does not depend on it.

    Proof of the rate. With the largest drawn, what is missing of the others is 0 unless one of them was
    drawn (probability at most $sT/A$), and at most $T/2$ long. Without it (probability $(T/A)^s$) the error is at
    most $A^2$.
    """
    return at_most(i.mask_error(i.top()), i.constant * i.binary_mse(i.optimal))


@claim(Sketch, REFUTED, SEED, assumes=(some_signal,))
@hints(q=False)
def random_always_beats_top(i: Sketch) -> Relation:
    r"""Sampling, with or without rescaling, never has more error than keeping the top s.

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


@claim(Sketch, PROVED, OURS, assumes=(one_draw, opposed_features, some_signal), see="random-always-beats-top")
@hints(q=False, rows="opposed")
def random_beats_top_when_opposed(i: Sketch) -> Relation:
    r"""If the contributions cancel entirely, the largest feature is the worst one to keep alone.

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


@claim(Sketch, PROVED, OURS, assumes=(orthogonal_rows,), see="random-beats-top")
@hints(rows="orthogonal", q=False)
def top_is_best_for_orthogonal_rows(i: Sketch) -> Relation:
    r"""For orthogonal rows, the top s are the best mask of at most s ones.

    $\|X'w - X'(w \odot b_{top})\|^2 \le \|X'w - X'(w \odot b)\|^2$ for every $b \in \{0,1\}^d$ with at
    most $s$ ones, by enumeration of all of them; so also no sampled unscaled mask does. The top $s$ are
    $\min(s, d)$ ones.

    Proof. By Pythagoras the error is the sum of $a_i^2$ over what is dropped.
    """
    masks = binary_masks(i.d)
    masks = masks[masks.sum(axis=1) <= i.s]
    dropped = (i.w[..., None, :] * (1 - masks)) @ i.x
    best = at_most(column(i.mask_error(i.top())), squared(dropped), "error")
    return best & equal(total(i.top(), axis=-1), min(i.s, i.d), "ones")


@claim(Sketch, PROVED, OURS, see="random-beats-top")
@hints(q=False)
def top_is_best_on_sign_average(i: Sketch) -> Relation:
    r"""Averaged over random signs of the weights, the top s are the best mask of at most s ones.

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
    return at_most(column(total(top, axis=-1)), total(other, axis=-1))
