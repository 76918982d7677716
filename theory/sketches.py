"""Pruning a linear model as sketching: sampling features with replacement.

Rows X_i of ``x`` are the features over n samples, the model predicts X'w. A mask is drawn by s
independent draws i_1, ..., i_s from p, with replacement: m = sum_t e_{i_t} / (s p_{i_t}). The sketched
prediction is X'(w * m). Source: Bar & Giryes, arXiv 2305.17559; Frieze, Kannan, Vempala and Drineas et
al. for the moments.

A law p is held as nonnegative weights q with p = q / sum q, so that stacks and shrinking stay valid.
Sums over 1/p run over the features that can be drawn, p_i > 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import Any, ClassVar

import numpy as np

from theory.instances import Instance, array
from theory.scalars import Array, absolute, indicator, ones, sqrt, total

MAX_SEQUENCES, MAX_DRAWS = 20_000, 64


def normalised(weights: Array) -> Array:
    """``weights`` (..., d) divided by their sum.

    Raises:
        ZeroDivisionError: exact weights that sum to 0 (in float64: NaN).
    """
    with np.errstate(all="ignore"):
        return weights / total(weights, axis=-1)[..., None] if weights.ndim > 1 else weights / total(weights)


def inverse(p: Array) -> Array:
    """1 / p where p > 0, and 0 where p = 0: such a feature is never drawn."""
    drawn = indicator(p > 0, p)
    with np.errstate(all="ignore"):
        return drawn / (p + (1 - drawn))


def column(per_instance: Any) -> Array:
    """A number per instance, with one axis more."""
    return np.asarray(per_instance)[..., None]


def squared(v: Array) -> Any:
    """|v|^2 over the last axis."""
    return total(v * v, axis=-1)


@lru_cache(maxsize=256)
def sequences(d: int, s: int) -> np.ndarray:
    """All d^s sequences of draws, shape (d^s, s).

    Raises:
        ValueError: more than `MAX_SEQUENCES`, or `MAX_DRAWS` draws: enumeration is the slow reference for
            small sketches.
    """
    if s > MAX_DRAWS or d**s > MAX_SEQUENCES:
        raise ValueError(f"{d}^{s} sequences are too many to enumerate (at most {MAX_SEQUENCES}, of {MAX_DRAWS} draws)")
    return np.array(list(product(range(d), repeat=s)), dtype=int).reshape(d**s, s)


@lru_cache(maxsize=64)
def binary_masks(d: int) -> np.ndarray:
    """All 2^d masks of zeros and ones, shape (2^d, d).

    Raises:
        ValueError: more than `MAX_SEQUENCES`.
    """
    if 2**d > MAX_SEQUENCES:
        raise ValueError(f"2^{d} masks are too many to enumerate (at most {MAX_SEQUENCES})")
    return np.array(list(product((0, 1), repeat=d)), dtype=int)


@dataclass(frozen=True, eq=False)
class Sketch(Instance):
    """A linear model on data, and a law to draw its features from.

    Attributes:
        s: number of draws.
        x: features by samples, (..., d, n).
        w: weights, (..., d).
        q: weights of the law p = q / sum q, (..., d); None where a claim brings its own law.

    Raises:
        ValueError: shapes that do not fit, no draws.
    """

    title: ClassVar[str] = "sketch of a linear model"

    s: int
    x: Array = array(2)
    w: Array = array(1)
    q: Array | None = array(1, default=None)

    def __post_init__(self) -> None:
        if np.ndim(self.x) < 2 or np.shape(self.x)[-2] != np.shape(self.w)[-1] or 0 in np.shape(self.x):
            raise ValueError(f"x has shape {np.shape(self.x)} and w {np.shape(self.w)}; expected (d, n) and (d,)")
        if self.q is not None and np.shape(self.q)[-1] != self.d:
            raise ValueError(f"q holds {np.shape(self.q)[-1]} weights for {self.d} features")
        if type(self.s) is not int or self.s < 1:
            raise ValueError(f"s, the number of draws, is an integer of at least 1; got {self.s!r}")

    def valid(self) -> Any:
        """Weights of a law: nonnegative, not all zero."""
        if self.q is None:
            return True
        return (self.q >= 0).all(axis=-1) & (self.q > 0).any(axis=-1)

    @property
    def d(self) -> int:
        """Number of features."""
        return int(np.shape(self.x)[-2])

    # -- the model ----------------------------------------------------------------------------

    @cached_property
    def p(self) -> Array:
        """The law that draws, (..., d)."""
        if self.q is None:
            raise ValueError("this sketch has no law: give q")
        return normalised(self.q)

    @cached_property
    def rows_squared(self) -> Array:
        """|X_i|^2, (..., d)."""
        return squared(self.x)

    @cached_property
    def row_norms(self) -> Array:
        """|X_i|, (..., d): rational where the roots are, else balls."""
        return sqrt(self.rows_squared)

    @cached_property
    def amplitudes(self) -> Array:
        """a_i = |X_i| |w_i|, (..., d)."""
        return self.row_norms * absolute(self.w)

    @property
    def a(self) -> Any:
        """A = sum of a_i, (...)."""
        return total(self.amplitudes, axis=-1)

    @property
    def f_squared(self) -> Any:
        """|X|_F^2, (...)."""
        return total(self.rows_squared, axis=-1)

    def prediction(self, w: Array) -> Array:
        """X'w, (..., n)."""
        return total(self.x * w[..., None], axis=-2)

    @property
    def signal(self) -> Any:
        """|X'w|^2, (...)."""
        return squared(self.prediction(self.w))

    @property
    def gram(self) -> Array:
        """<X_i, X_j>, (..., d, d)."""
        return self.x @ np.swapaxes(self.x, -1, -2)

    @property
    def optimal(self) -> Array:
        """p* = a / A, (..., d)."""
        return normalised(self.amplitudes)

    @property
    def data_law(self) -> Array:
        """|X_i|^2 / |X|_F^2, (..., d)."""
        return normalised(self.rows_squared)

    def used(self) -> np.ndarray:
        """Which features contribute, X_i w_i != 0, (..., d)."""
        return np.asarray(self.rows_squared * self.w * self.w != 0, dtype=bool)

    # -- moments in closed form -------------------------------------------------------------------

    def weighted_norm(self, p: Array, w: Array | None = None) -> Any:
        """N_p(w)^2 = sum of |X_i|^2 w_i^2 / p_i over the features that can be drawn, (...)."""
        w = self.w if w is None else w
        return total(self.rows_squared * w * w * inverse(p), axis=-1)

    def mse(self, p: Array) -> Any:
        """E |X'w - X'(w * m)|^2 for any law, also where p_i = 0: squared bias plus variance, (...)."""
        reached = self.w * indicator(p > 0, p)
        bias = squared(self.prediction(self.w - reached))
        return bias + (self.weighted_norm(p) - squared(self.prediction(reached))) / self.s

    def binary_bias(self, p: Array) -> Array:
        """E X'(w * b) - X'w for the mask b = [m > 0], (..., n)."""
        return -self.prediction(self.w * (1 - p) ** self.s)

    def binary_mse(self, p: Array) -> Any:
        """E |X'w - X'(w * b)|^2 for the mask b = [m > 0], (...)."""
        w = self.w
        return total(self.gram * w[..., :, None] * w[..., None, :] * self.missed(p), axis=(-2, -1))

    def missed(self, p: Array) -> Array:
        """The probability that no draw is i or j: (1 - p_i - p_j)^s, (1 - p_i)^s on the diagonal; (..., d, d)."""
        return (1 - p[..., :, None] - p[..., None, :] * (1 - np.eye(self.d, dtype=int))) ** self.s

    # -- the slow reference -----------------------------------------------------------------------

    def enumerate(self, p: Array) -> tuple[Array, Array]:
        """Probability (..., S) and mask (..., S, d) of each of the S = d^s sequences of draws."""
        drawn = sequences(self.d, self.s)
        chance = ones((*p.shape[:-1], len(drawn)), p)
        for t in range(self.s):
            chance = chance * p[..., drawn[:, t]]
        counts = (drawn[:, :, None] == np.arange(self.d)).sum(axis=1)
        return chance, counts * inverse(p)[..., None, :] / self.s

    def expected(self, p: Array, masks: Array, chance: Array) -> tuple[Any, Array, Any]:
        """By enumeration: E mask (..., d), E X'(w * mask) (..., n), E |X'w - X'(w * mask)|^2 (...)."""
        predicted = (self.w[..., None, :] * masks) @ self.x
        error = squared(predicted - self.prediction(self.w)[..., None, :])
        return (
            total(chance[..., None] * masks, axis=-2),
            total(chance[..., None] * predicted, axis=-2),
            total(chance * error, axis=-1),
        )

    # -- masks that are not drawn -------------------------------------------------------------------

    def mask_error(self, mask: Array) -> Any:
        """|X'w - X'(w * mask)|^2, (...)."""
        return squared(self.prediction(self.w * (1 - mask)))

    def top(self) -> Array:
        """The mask that keeps the s largest a_i (the first of equals), (..., d)."""
        scores = self.rows_squared * self.w * self.w
        order = np.argsort(-scores, axis=-1, kind="stable")
        rank = np.argsort(order, axis=-1, kind="stable")
        return indicator(rank < self.s, scores)

    def has_clear_top(self) -> Any:
        """Whether no feature outside the top s is as large as one inside, (...)."""
        scores, kept = self.rows_squared * self.w * self.w, np.asarray(self.top() == 1)
        larger = np.asarray(scores[..., :, None] > scores[..., None, :], dtype=bool)
        return (larger | ~kept[..., :, None] | kept[..., None, :]).all(axis=(-2, -1))


@dataclass(frozen=True, eq=False)
class SketchGain(Sketch):
    """A sketch, and how much sampling is said to gain at most over the top s.

    Attributes:
        constant: the constant of the proposed bound; it is the adversary's, so shrinking leaves it.

    Raises:
        ValueError: as `Sketch`, and a constant below 1.
    """

    title: ClassVar[str] = "sketch and a proposed bound on what sampling gains"

    constant: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_constant(self.constant)


@dataclass(frozen=True, eq=False)
class MovingSketch(Sketch):
    """A sketch whose weights may move after the law was chosen.

    Attributes:
        step: t, (...): weights move by at most t |X|_F in Euclidean norm.

    Raises:
        ValueError: as `Sketch`, and no step.
    """

    title: ClassVar[str] = "sketch whose weights may move"

    step: Any = array(0, default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step is None:
            raise ValueError("give step: how far the weights may move, in units of the norm of X")
        object.__setattr__(self, "step", np.asarray(self.step))

    def valid(self) -> Any:
        """As `Sketch`, and the step is not negative."""
        return super().valid() & (self.step >= 0)

    def worst(self) -> Array:
        """Weights moved away from 0, each by t |X_i|, (..., d)."""
        sign = indicator(self.w >= 0, self.w) * 2 - 1
        return self.w + self.step[..., None] * sign * self.row_norms


def _check_constant(constant: Any) -> None:
    if type(constant) is not int or constant < 1:
        raise ValueError(f"the constant is an integer of at least 1; got {constant!r}")


@dataclass(frozen=True, eq=False)
class Transfer(Instance):
    """A law made from initial weights w0 and applied to trained weights w.

    Attributes:
        s: number of draws.
        x: features by samples, (..., d, n).
        w0: initial weights, (..., d).
        w: trained weights, (..., d).
        mix: weights of the initial law and of the data law where the two are mixed, else None.
        constant: the constant of a proposed bound; it is the adversary's, so shrinking leaves it.

    Raises:
        ValueError: shapes that do not fit, no draws, a constant below 1.
    """

    title: ClassVar[str] = "law from initial weights, applied to trained weights"

    s: int
    x: Array = array(2)
    w0: Array = array(1)
    w: Array = array(1)
    mix: Array | None = array(1, default=None)
    constant: int = 1

    def __post_init__(self) -> None:
        if np.shape(self.w0) != np.shape(self.w):
            raise ValueError(f"w0 has shape {np.shape(self.w0)} and w {np.shape(self.w)}; they must agree")
        if self.mix is not None and np.shape(self.mix)[-1] != 2:
            raise ValueError(f"mix holds the weights of two laws, got {np.shape(self.mix)[-1]}")
        _check_constant(self.constant)
        assert self.trained.s == self.initial.s  # builds both, so that their shapes are checked

    def valid(self) -> Any:
        """The weights of the two laws are nonnegative and not both zero."""
        if self.mix is None:
            return True
        return (self.mix >= 0).all(axis=-1) & (self.mix > 0).any(axis=-1)

    @cached_property
    def trained(self) -> Sketch:
        """The model with trained weights."""
        return Sketch(self.s, self.x, self.w)

    @cached_property
    def initial(self) -> Sketch:
        """The model with initial weights: p0 is its optimal law."""
        return Sketch(self.s, self.x, self.w0)

    def second_moment(self, p: Array) -> Any:
        """The sum s MSE_p(w) + |X'w|^2, (...): N_p(w)^2 where every feature that contributes can be drawn."""
        return self.s * self.trained.mse(p) + self.trained.signal

    @property
    def change(self) -> Array:
        """The change w - w0, (..., d)."""
        return self.w - self.w0

    @property
    def ratios(self) -> Array:
        """|w_i / w0_i|, and 0 where w0_i = 0, (..., d)."""
        return absolute(self.w) * inverse(absolute(self.w0))

    def ratio_variance(self) -> Any:
        """Variance of |w_i / w0_i| under p0, (...)."""
        p0, r = self.initial.optimal, self.ratios
        mean = total(p0 * r, axis=-1)
        return total(p0 * r * r, axis=-1) - mean * mean

    def relative_change(self) -> Any:
        """rho, the largest |w_i - w0_i| / |w0_i| over the features with X_i w0_i != 0, (...)."""
        start = absolute(self.seen(self.w0))
        return (absolute(self.change) * inverse(start)).max(axis=-1)

    def seen(self, v: Array) -> Array:
        """``v`` (..., d) with 0 where X_i = 0: no model depends on those entries."""
        return v * indicator(self.initial.rows_squared > 0, v)

    def norms(self) -> tuple[Any, Any]:
        """|w0| and |w - w0| over the features with X_i != 0, each (...)."""
        return sqrt(squared(self.seen(self.w0))), sqrt(squared(self.seen(self.change)))

    def share(self) -> Any:
        """The mixing share l of the data law, (...)."""
        if self.mix is None:
            raise ValueError("nothing is mixed here: give mix, the weights of the initial and of the data law")
        return self.mix[..., 1] / total(self.mix, axis=-1)

    def mixture(self, share: Any) -> Array:
        """(1 - l) p0 + l p_data, (..., d)."""
        share = np.asarray(share)[..., None]
        return (1 - share) * self.initial.optimal + share * self.initial.data_law


__all__ = [
    "MovingSketch", "Sketch", "SketchGain", "Transfer", "binary_masks", "column", "inverse", "normalised", "sequences",
    "squared",
]  # fmt: skip
