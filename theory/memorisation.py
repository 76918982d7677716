r"""Settings of the memorisation claims: labels $y$ on n points, a rule $P(m \mid y)$ for the mask, and what each
mask can realise.

Labelings are numbered 0 .. 2^n - 1; point i of labeling y has the sign +1 if bit i of y is set, else -1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from theory.information import LogSum, mutual_information
from theory.instances import Instance, array
from theory.scalars import Array, indicator, ones, total
from theory.separability import dichotomies, signs, with_bias


def _is_zero_one(a: Array) -> Any:
    return ((a == 0) | (a == 1)).all(axis=(-2, -1))


def agreements(n: int) -> np.ndarray:
    """Number of points at which two labelings of n points agree, integers (Y, Y)."""
    s = signs(n)
    return (n + s @ s.T) // 2


@dataclass(frozen=True, eq=False)
class LabelledMasks(Instance):
    """Labels with a law, and a rule that chooses a mask from them.

    Attributes:
        labels: weights of the 2^n labelings, shape (..., Y), not normalised.
        rule: weights of the masks for each labeling, shape (..., Y, M), not normalised.
    """

    title: ClassVar[str] = "labels and masks"

    labels: Array = array(1)
    rule: Array = array(2)

    def __post_init__(self) -> None:
        count = np.shape(self.labels)[-1] if np.ndim(self.labels) else 0
        if count < 2 or count & (count - 1):
            raise ValueError(f"labels need 2^n weights with n >= 1; got {count}")
        if np.ndim(self.rule) < 2 or np.shape(self.rule)[-2] != count:
            raise ValueError(f"rule of shape {np.shape(self.rule)} does not fit {count} labelings")
        for name, (rows, columns) in self._shapes().items():
            if np.shape(getattr(self, name))[-2:] != (rows, columns):
                raise ValueError(f"{name} must be ({rows}, {columns}); got {np.shape(getattr(self, name))[-2:]}")

    def _shapes(self) -> dict[str, tuple[int, int]]:
        """Expected trailing shapes of further array fields."""
        return {}

    @property
    def n(self) -> int:
        """Number of points."""
        return int(np.shape(self.labels)[-1]).bit_length() - 1

    def structure_size(self) -> tuple[int, ...]:
        """Points, masks."""
        return (self.n, int(np.shape(self.rule)[-1]))

    def valid(self) -> Any:
        """Whether labels have a law and every labeling gets a mask."""
        nonnegative = (self.labels >= 0).all(axis=-1) & (self.rule >= 0).all(axis=(-2, -1))
        return nonnegative & (total(self.labels, axis=-1) > 0) & (total(self.rule, axis=-1) > 0).all(axis=-1)

    @cached_property
    def conditional(self) -> Array:
        """P(m | y), shape (..., Y, M)."""
        return self.rule / np.asarray(total(self.rule, axis=-1))[..., None]

    @cached_property
    def label_law(self) -> Array:
        """P(y), shape (..., Y)."""
        return self.labels / np.asarray(total(self.labels, axis=-1))[..., None]

    @cached_property
    def joint(self) -> Array:
        """P(y, m), shape (..., Y, M)."""
        return self.label_law[..., None] * self.conditional

    @property
    def one(self) -> Any:
        """The number 1 in the kind of number of the instance, shape (...)."""
        return total(self.label_law, axis=-1)

    def mask_law(self) -> Array:
        """P(m), shape (..., M)."""
        return total(self.joint, axis=-2)

    def information(self) -> LogSum:
        """I(M; Y)."""
        return mutual_information(self.joint)

    def independent(self) -> Any:
        """Whether the labels of different points are independent, shape (...)."""
        whole = np.asarray(total(self.labels, axis=-1))
        positive = signs(self.n) > 0
        product = ones(np.shape(self.labels), self.labels)
        for i in range(self.n):
            up = np.asarray(total(np.where(positive[:, i], self.labels, self.labels * 0), axis=-1))
            product = product * np.where(positive[:, i], up[..., None], np.asarray(whole - up)[..., None])
        return (product == self.labels * np.asarray(whole ** (self.n - 1))[..., None]).all(axis=-1)


@dataclass(frozen=True, eq=False)
class MemorisingMasks(LabelledMasks):
    """Beside labels and rule, the set G_m of labelings that can be realised with each mask.

    Attributes:
        realisable: zeros and ones, shape (..., M, Y).
    """

    title: ClassVar[str] = "labels, masks and what they realise"

    realisable: Array = array(2)

    def _shapes(self) -> dict[str, tuple[int, int]]:
        return {"realisable": (np.shape(self.rule)[-1], np.shape(self.labels)[-1])}

    def valid(self) -> Any:
        """As `LabelledMasks`, and G_m is a set."""
        return super().valid() & _is_zero_one(self.realisable)

    def sizes(self) -> Array:
        """|G_m|, shape (..., M)."""
        return total(self.realisable, axis=-1)

    def hits(self) -> Array:
        """P(m, y) where y is in G_m, else 0; shape (..., M, Y)."""
        return np.swapaxes(self.joint, -1, -2) * self.realisable

    def memorised(self) -> Any:
        """The probability p = P(Y in G_M), shape (...)."""
        return total(self.hits(), axis=(-2, -1))

    def by_chance(self) -> Any:
        """The chance q = E |G_M| / 2^n, shape (...): the same with fresh uniform labels."""
        return total(self.mask_law() * self.sizes(), axis=-1) / 2**self.n

    def by_mask(self) -> tuple[Array, Array, Array]:
        """P(M = m and Y in G_m), P(M = m and Y not in G_m), P(M = m), each (..., M)."""
        joint = np.swapaxes(self.joint, -1, -2)
        hit, missed = total(joint * self.realisable, axis=-1), total(joint * (1 - self.realisable), axis=-1)
        return hit, missed, hit + missed

    def divergence_by_mask(self) -> LogSum:
        """E_M d(P(Y in G_M | M) || |G_M| / 2^n), d the binary divergence."""
        (hit, missed, whole), size = self.by_mask(), self.sizes() / 2**self.n
        return LogSum(
            np.concatenate([hit, -hit, missed, -missed], axis=-1),
            np.concatenate([hit, whole * size, missed, whole * (1 - size)], axis=-1),
        )

    def doubt_given_mask(self) -> LogSum:
        """H(S | M) with S the event that Y is in G_M."""
        hit, missed, whole = self.by_mask()
        return LogSum(np.concatenate([-hit, -missed, whole], axis=-1), np.concatenate([hit, missed, whole], axis=-1))

    def log_size_when_not(self) -> LogSum:
        """E[1_{not S} log(2^n - |G_M|)] with S the event that Y is in G_M."""
        return LogSum(self.by_mask()[1], 2**self.n - self.sizes())

    def log_size_when_memorised(self) -> LogSum:
        """E[1_S log |G_M|] with S the event that Y is in G_M."""
        return LogSum(total(self.hits(), axis=-1), self.sizes())


@dataclass(frozen=True, eq=False)
class FittedMasks(MemorisingMasks):
    """Beside G_m, the labeling that is fitted with mask m to labels y.

    Attributes:
        answers: the number of a labeling, shape (..., M, Y).
    """

    title: ClassVar[str] = "labels, masks and fits"

    answers: Array = array(2)

    def _shapes(self) -> dict[str, tuple[int, int]]:
        shape = super()._shapes()["realisable"]
        return {"realisable": shape, "answers": shape}

    @cached_property
    def chosen(self) -> np.ndarray:
        """One-hot answers, bool (..., M, Y, G)."""
        return np.asarray(self.answers[..., None] == np.arange(2**self.n), dtype=bool)

    def valid(self) -> Any:
        """As `MemorisingMasks`, and every answer is in G_m."""
        allowed = (self.chosen & np.asarray(self.realisable[..., None, :] == 1)).any(axis=-1)
        return super().valid() & allowed.all(axis=(-2, -1))

    def correct(self) -> Array:
        """Number of points fitted with mask m when the labels are y, shape (..., M, Y)."""
        return total(indicator(self.chosen, self.labels) * agreements(self.n), axis=-1)

    def best(self) -> Array:
        """The most points any labeling of G_m gets right, shape (..., M, Y)."""
        return np.where(self.realisable[..., None, :] == 1, agreements(self.n), -1).max(axis=-1)

    def accuracy_gain(self) -> Any:
        """E A(M, Y) - E A(M, Y') for the accuracy A = correct / n, shape (...)."""
        difference = self.joint - self.label_law[..., None] * self.mask_law()[..., None, :]
        return total(np.swapaxes(difference, -1, -2) * self.correct(), axis=(-2, -1)) / self.n


@dataclass(frozen=True, eq=False)
class NoisyFits(LabelledMasks):
    """Functions on n fixed points, the classes F_m, and noise signs e (the labels).

    Attributes:
        functions: f(x_i), shape (..., F, n).
        member: whether f is in F_m, zeros and ones, shape (..., M, F).
    """

    title: ClassVar[str] = "functions, masks and noise"

    functions: Array = array(2)
    member: Array = array(2)

    def _shapes(self) -> dict[str, tuple[int, int]]:
        count = np.shape(self.functions)[-2]
        return {"functions": (count, self.n), "member": (np.shape(self.rule)[-1], count)}

    def valid(self) -> Any:
        """As `LabelledMasks`, and every F_m is a set that is not empty."""
        return super().valid() & _is_zero_one(self.member) & (total(self.member, axis=-1) > 0).all(axis=-1)

    def sizes(self) -> Array:
        """|F_m|, shape (..., M)."""
        return total(self.member, axis=-1)

    def correlation(self) -> Any:
        """E max_{f in F_M} (1/n) sum_i f(x_i) e_i, shape (...)."""
        each = np.swapaxes(self.functions @ signs(self.n).T, -1, -2)  # (..., Y, F)
        lowest = each.min(axis=-1)[..., None]
        best = np.where(self.member[..., None, :, :] == 1, each[..., None, :], lowest[..., None]).max(axis=-1)
        return total(self.joint * best, axis=(-2, -1)) / self.n

    def log_size(self) -> LogSum:
        """E log |F_M|."""
        return LogSum(self.mask_law(), self.sizes())


@dataclass(frozen=True, eq=False)
class CorrelationMask(Instance):
    """Top-1 of N weights by |sum_i y_i x_ij|: SNIP's choice on a linear model at equal initial weights.

    The unit on the kept input realises the signs of that column and their negatives. Labels are uniform;
    of equal scores the first wins.

    Attributes:
        x: points, shape (..., n, N).
    """

    title: ClassVar[str] = "top-1 mask by correlation"

    x: Array = array(2)

    def __post_init__(self) -> None:
        if np.ndim(self.x) < 2 or 0 in np.shape(self.x)[-2:]:
            raise ValueError(f"x needs points and inputs; got shape {np.shape(self.x)}")

    def valid(self) -> Any:
        """Whether no input is 0 (it would have no sign)."""
        return (self.x != 0).all(axis=(-2, -1))

    def structure_size(self) -> tuple[int, ...]:
        """Points, inputs."""
        return tuple(np.shape(self.x)[-2:])

    @cached_property
    def law(self) -> MemorisingMasks:
        """Labels, rule and realisable labelings."""
        n, inputs = np.shape(self.x)[-2:]
        y = signs(n)
        top = np.argmax(abs(np.einsum("yi,...ij->...yj", y, self.x)), axis=-1)
        agreeing = np.einsum("...ij,yi->...jyi", self.x, y) > 0
        realised = agreeing.all(axis=-1) | ~agreeing.any(axis=-1)
        return MemorisingMasks(
            labels=ones((*np.shape(self.x)[:-2], 2**n), self.x),
            rule=indicator(top[..., None] == np.arange(inputs), self.x),
            realisable=indicator(realised, self.x),
        )


@dataclass(frozen=True, eq=False)
class ThresholdUnit(Instance):
    """Points x (n, k) in front of one linear threshold unit, with or without a bias; decided exactly."""

    title: ClassVar[str] = "linear threshold unit"
    stackable: ClassVar[bool] = False

    bias: bool
    x: Array = array(2)

    def __post_init__(self) -> None:
        if np.ndim(self.x) < 2 or 0 in np.shape(self.x)[-2:]:
            raise ValueError(f"x needs points and inputs; got shape {np.shape(self.x)}")

    def structure_size(self) -> tuple[int, ...]:
        """Points, inputs, bias."""
        return (*np.shape(self.x)[-2:], int(self.bias))

    def points(self) -> Array:
        """The points with the constant input, if there is a bias."""
        return with_bias(self.x) if self.bias else self.x

    def realised(self, *, weak: bool = False) -> int:
        """Number of labelings realised (see `theory.separability.separate` for ``weak``)."""
        return int(dichotomies(self.points(), weak=weak).sum())


@dataclass(frozen=True, eq=False)
class PrunedUnit(Instance):
    """A linear threshold unit on N inputs of which any k are kept; labels with a law; decided exactly.

    Attributes:
        keep: k.
        x: points, shape (n, N).
        labels: weights of the 2^n labelings.
    """

    title: ClassVar[str] = "pruned linear threshold unit"
    stackable: ClassVar[bool] = False

    keep: int
    x: Array = array(2)
    labels: Array = array(1)

    def __post_init__(self) -> None:
        if np.ndim(self.x) < 2 or 0 in np.shape(self.x)[-2:] or not 1 <= self.keep <= np.shape(self.x)[-1]:
            raise ValueError(f"cannot keep {self.keep} inputs of x with shape {np.shape(self.x)}")
        if np.shape(self.labels)[-1] != 2 ** np.shape(self.x)[-2]:
            raise ValueError(f"{np.shape(self.x)[-2]} points need 2^n label weights, not {np.shape(self.labels)[-1]}")

    def valid(self) -> Any:
        """Whether labels have a law."""
        return (self.labels >= 0).all(axis=-1) & (total(self.labels, axis=-1) > 0)

    def structure_size(self) -> tuple[int, ...]:
        """Points, inputs, k."""
        return (*np.shape(self.x)[-2:], self.keep)

    def realisable(self) -> np.ndarray:
        """Which labelings each of the C(N, k) masks realises, bool (M, Y)."""
        columns = combinations(range(self.x.shape[-1]), self.keep)
        return np.array([dichotomies(self.x[:, list(kept)]) for kept in columns])

    def memorised_by_some_mask(self) -> Any:
        """P(some mask realises the labels)."""
        some = self.realisable().any(axis=0)
        return total(self.labels * indicator(some, self.labels), axis=-1) / total(self.labels, axis=-1)
