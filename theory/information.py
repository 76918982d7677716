r"""Finite laws: entropy, mutual information, divergence, effective parameter count. Nats throughout.

A law is an array of nonnegative weights, not normalised. Every quantity is a `LogSum`, a number
$a + \sum_i c_i \log b_i$ with rational $a, c_i, b_i$: its sign is decided exactly, equality included, since
such a sum of logarithms is 0 only if $\prod b_i^{c_i} = 1$, which is a question about integers, and a nonzero
logarithm of an algebraic number is never rational (Lindemann).

Definitions used by the experiments (Kumar, Luo, Sellke, arXiv 2402.01089, as summarised):

* *memorisation*: the fraction of random labels that the trained network gives back;
* *effective parameters*: $p_{eff} = E|m|_0 + I(m; D)$; where the initial weights $w_0$ are random too, the
  information is $I(m; D \mid w_0)$ (`conditional_information`);
* *same-law control*: a mask from $(w_0, x, y)$ against a mask from $(w_0, x, y')$ with fresh labels $y'$, both
  trained on $y$. The mask has the same law in both, the second has no information on $y$ (`decoupled`);
* *paired statistic* $D_i$: memorisation with the informed mask minus that with the control, same $w_0$, $x$,
  $y$ and seed of training. Only its sign enters the sequential test.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import comb, gcd
from typing import Any, ClassVar

import numpy as np
from flint import arb, ctx, fmpq

from theory.instances import Instance, array
from theory.relations import Relation, at_most, equal
from theory.scalars import (
    ONE,
    ZERO,
    Array,
    absolute,
    indicator,
    is_exact,
    is_registered,
    log,
    ones,
    precision,
    total,
    zeros,
)

# -- sums of logarithms ---------------------------------------------------------------------------


@dataclass(frozen=True)
class LogSum:
    """The number ``constant + sum_i c_i log b_i``, per instance; a term with c_i = 0 counts as 0.

    Attributes:
        c: coefficients, shape (..., L).
        b: arguments, shape (..., L), nonnegative.
        constant: shape (...), rational.
    """

    c: Array
    b: Array
    constant: Any = 0

    def __add__(self, other: LogSum) -> LogSum:
        return LogSum(
            np.concatenate([self.c, other.c], axis=-1),
            np.concatenate([self.b, other.b], axis=-1),
            self.constant + other.constant,
        )

    def __mul__(self, factor: Any) -> LogSum:
        return LogSum(self.c * np.asarray(factor)[..., None], self.b, self.constant * factor)

    def __sub__(self, other: LogSum) -> LogSum:
        return self + other * -1

    def value(self) -> Any:
        """The number: float64, or exactly 0, or a ball that excludes 0; shape (...).

        Raises:
            ZeroDivisionError: the logarithm of 0 with a coefficient that is not 0 (exact numbers only).
        """
        if not is_exact(self.c):
            with np.errstate(all="ignore"):
                return total(np.where(self.c != 0, self.c * np.log(self.b), 0.0), axis=-1) + self.constant
        shape = self.c.shape[:-1]
        constants = np.broadcast_to(np.asarray(self.constant, dtype=object), shape)
        out = np.empty(shape, dtype=object)
        for index in np.ndindex(*shape):
            out[index] = _value(list(self.c[index]), list(self.b[index]), constants[index])
        return out[()]


def _value(c: list[Any], b: list[Any], constant: Any) -> Any:
    terms = [(u, v) for u, v in zip(c, b, strict=True) if u != 0 and v != 1]
    if any(v <= 0 for _, v in terms):
        raise ZeroDivisionError("the logarithm of a number that is not positive")
    if _cancels(terms):
        return fmpq(0) + constant
    ball, bits = arb(0), ctx.prec
    while ball.contains(0):
        with precision(bits):
            ball = sum((u * log(v) for u, v in terms), arb(0)) + constant
        bits *= 2
    return ball


def _cancels(terms: list[tuple[Any, Any]]) -> bool:
    """Whether sum u log v = 0: compare exponents over a coprime base of all numerators and denominators."""
    parts = [(u, int(n)) for u, v in terms for u, n in ((u, v.p), (-u, v.q)) if int(n) > 1]
    base: list[int] = []
    todo = [n for _, n in parts]
    while todo:
        a = todo.pop()
        if a == 1:
            continue
        for i, known in enumerate(base):
            if (common := gcd(a, known)) > 1:
                base.pop(i)
                todo += [a // common, known // common, common]
                break
        else:
            base.append(a)
    return all(sum((u * _multiplicity(n, prime) for u, n in parts), ZERO) == 0 for prime in base)


def _multiplicity(n: int, divisor: int) -> int:
    count = 0
    while n % divisor == 0:
        n, count = n // divisor, count + 1
    return count


def constant_log(value: Any, like: Any) -> LogSum:
    """Logarithm of ``value`` (..., or one integer) in the kind of number of ``like`` (...)."""
    full = zeros(np.shape(like), like) + value
    return LogSum(ones(np.shape(full), full)[..., None], np.asarray(full)[..., None])


def rational_part(value: Any, like: Array) -> LogSum:
    """A `LogSum` without logarithms; ``like`` gives the kind of number."""
    shape = np.shape(value)
    return LogSum(zeros((*shape, 0), like), zeros((*shape, 0), like), value)


def at_most_logs(lhs: LogSum, rhs: LogSum, name: str = "") -> Relation:
    """``lhs <= rhs``, decided also where the two are equal."""
    return _compared(at_most, lhs, rhs, name)


def equal_logs(lhs: LogSum, rhs: LogSum, name: str = "") -> Relation:
    """``lhs == rhs``, decided also where the two are equal."""
    return _compared(equal, lhs, rhs, name)


def _snapped(a: Any) -> Array:
    """Float64 with what may be rounding of a zero set to zero, so that screening does not raise false alarms."""
    return np.where(abs(a) < 2.0**-46, 0.0, a)


def _compared(relate: Any, lhs: LogSum, rhs: LogSum, name: str) -> Relation:
    objects = [a for side in (lhs, rhs) for a in (side.c, side.b) if is_exact(a)]
    if any(is_registered(v) for a in objects for v in np.ravel(a)):
        return relate(lhs, rhs, name)  # left as they are: whoever registered the scalar compares them
    left, right = lhs.value(), rhs.value()
    if not is_exact(lhs.c):
        return relate(_snapped(left), _snapped(right), name)
    if isinstance(left, arb) and isinstance(right, arb) and isinstance(gap := (rhs - lhs).value(), fmpq):
        # Balls whose difference is known exactly; if that is 0, in units of their common size.
        return relate(ONE, ONE, name) if gap == 0 else relate(ZERO, gap, name)
    return relate(left, right, name)


# -- entropy and information ----------------------------------------------------------------------


def entropy(weights: Array) -> LogSum:
    """H of the law with these weights, shape (..., L)."""
    whole = total(weights, axis=-1)
    scaled = LogSum(-(weights / np.asarray(whole)[..., None]), weights)
    return scaled + constant_log(whole, whole)


def _flat(joint: Array) -> Array:
    return joint.reshape(*joint.shape[:-2], joint.shape[-2] * joint.shape[-1])


def mutual_information(joint: Array) -> LogSum:
    """I(A; B) for weights of (a, b), shape (..., A, B)."""
    return entropy(total(joint, axis=-1)) + entropy(total(joint, axis=-2)) - entropy(_flat(joint))


def is_decoupled(joint: Array) -> Any:
    """Whether A and B are independent under weights of (a, b), shape (..., A, B), without a logarithm."""
    whole = np.asarray(total(joint, axis=(-2, -1)))[..., None, None]
    return (joint * whole == decoupled(joint)).all(axis=(-2, -1))


def conditional_information(joint: Array) -> LogSum:
    """I(A; B | C) for weights of (c, a, b), shape (..., C, A, B): H(A,C) + H(B,C) - H(A,B,C) - H(C)."""
    cab = joint.reshape(*joint.shape[:-3], -1)
    return (
        entropy(_flat(total(joint, axis=-1)))
        + entropy(_flat(total(joint, axis=-2)))
        - entropy(cab)
        - entropy(total(joint, axis=(-2, -1)))
    )


def decoupled(joint: Array) -> Array:
    """Weights of (a, b') with b' an independent copy: the same-law control of (a, b)."""
    return total(joint, axis=-1)[..., :, None] * total(joint, axis=-2)[..., None, :]


def divergence_from_decoupled(joint: Array) -> LogSum:
    """KL(P(a, b) || P(a) P(b)) for weights of (a, b), shape (..., A, B): sum P(a, b) log(P(a, b) / (P(a) P(b)))."""
    whole = np.asarray(total(joint, axis=(-2, -1)))[..., None, None]
    independent = decoupled(joint)
    ratio = joint * whole / (independent + indicator(independent == 0, joint))
    return LogSum(_flat(joint / whole), _flat(ratio))


def conditional_entropy(joint: Array) -> LogSum:
    """H(B | A) for weights of (a, b), shape (..., A, B): sum P(a, b) log(P(a) / P(a, b))."""
    whole = np.asarray(total(joint, axis=(-2, -1)))[..., None, None]
    row = total(joint, axis=-1)[..., :, None]
    return LogSum(_flat(-joint / whole), _flat(joint / (row + indicator(row == 0, joint))))


def average_information(joint: Array) -> LogSum:
    """Mean over c of I(A; B) given C = c, for weights of (c, a, b), shape (..., C, A, B)."""
    whole = np.asarray(total(joint, axis=(-3, -2, -1)))[..., None, None, None]
    independent = decoupled(joint)
    ratio = joint * np.asarray(total(joint, axis=(-2, -1)))[..., None, None]
    ratio = ratio / (independent + indicator(independent == 0, joint))
    shape = (*joint.shape[:-3], -1)
    return LogSum((joint / whole).reshape(shape), ratio.reshape(shape))


def binary_divergence(p: Any, q: Any) -> LogSum:
    """d(p || q) = p log(p/q) + (1-p) log((1-p)/(1-q)), shapes (...)."""
    return LogSum(np.stack([p, -p, 1 - p, p - 1], axis=-1), np.stack([p, q, 1 - p, 1 - q], axis=-1))


def binary_entropy(p: Any) -> LogSum:
    """h(p) = -p log p - (1-p) log(1-p), shape (...)."""
    return LogSum(np.stack([-p, p - 1], axis=-1), np.stack([p, 1 - p], axis=-1))


def masks_at_most(n: int, k: int) -> int:
    """Number of masks of n weights with at most k ones."""
    return sum(comb(n, i) for i in range(k + 1))


# -- settings -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class MaskLaw(Instance):
    """A joint law of data and mask.

    Attributes:
        masks: the possible masks, each a tuple of zeros and ones, all different.
        weights: joint weights of (data, mask), shape (..., D, M), not normalised.
    """

    title: ClassVar[str] = "law of data and mask"

    masks: tuple[tuple[int, ...], ...]
    weights: Array = array(2)

    def __post_init__(self) -> None:
        if len(set(self.masks)) != len(self.masks) or len({len(m) for m in self.masks}) != 1:
            raise ValueError(f"masks must be different and equally long: {self.masks}")
        if any(v not in (0, 1) for m in self.masks for v in m):
            raise ValueError(f"a mask holds zeros and ones: {self.masks}")
        if np.shape(self.weights)[-1:] != (len(self.masks),):
            raise ValueError(f"{len(self.masks)} masks, but weights of shape {np.shape(self.weights)}")

    def valid(self) -> Any:
        """Whether the weights are nonnegative and not all zero."""
        return (self.weights >= 0).all(axis=(-2, -1)) & (total(self.weights, axis=(-2, -1)) > 0)

    def structure_size(self) -> tuple[int, ...]:
        """Weights of the network, masks."""
        return (len(self.masks[0]), len(self.masks))

    @property
    def n(self) -> int:
        """N, the number of weights a mask is over."""
        return len(self.masks[0])

    @cached_property
    def ones(self) -> np.ndarray:
        """Number of ones of each mask, integers (M,)."""
        return np.array([sum(m) for m in self.masks])

    def mask_weights(self) -> Array:
        """The masks' marginal weights, (..., M)."""
        return total(self.weights, axis=-2)

    def largest(self) -> np.ndarray:
        """The most ones of a mask that has positive probability, integers (...)."""
        return np.asarray((self.mask_weights() > 0) * self.ones, dtype=int).max(axis=-1)

    def information(self) -> LogSum:
        """I(m; D)."""
        return mutual_information(self.weights)

    def kept(self) -> Any:
        """E |m|_0, shape (...)."""
        p = self.mask_weights()
        return total(p * self.ones, axis=-1) / total(p, axis=-1)

    def effective_parameters(self) -> LogSum:
        """p_eff = E |m|_0 + I(m; D)."""
        return rational_part(self.kept(), self.weights) + self.information()


@dataclass(frozen=True, eq=False)
class TestedLaw(Instance):
    """A joint law of (data D, mask M) with a test function g(m, d) and a variance proxy.

    Attributes:
        weights: joint weights, shape (..., D, M).
        tests: g, shape (..., D, M).
        proxy: sigma^2, shape (...).
    """

    __test__: ClassVar[bool] = False
    title: ClassVar[str] = "law with a test function"

    weights: Array = array(2)
    tests: Array = array(2)
    proxy: Any = array(0)

    def __post_init__(self) -> None:
        if np.shape(self.weights) != np.shape(self.tests):
            raise ValueError(f"weights {np.shape(self.weights)} and tests {np.shape(self.tests)} differ in shape")
        object.__setattr__(self, "proxy", np.asarray(self.proxy))

    def valid(self) -> Any:
        """Whether this is a law, and the proxy is positive."""
        law = (self.weights >= 0).all(axis=(-2, -1)) & (total(self.weights, axis=(-2, -1)) > 0)
        return law & (np.asarray(self.proxy) > 0)

    def gap(self) -> Any:
        """E g(M, D) - E g(M, D'), D' an independent copy, shape (...)."""
        whole = np.asarray(total(self.weights, axis=(-2, -1)))[..., None, None]
        difference = self.weights / whole - decoupled(self.weights) / (whole * whole)
        return total(difference * self.tests, axis=(-2, -1))

    def total_variation(self) -> Any:
        """TV(P(M, D), P(M) P(D)), shape (...)."""
        whole = np.asarray(total(self.weights, axis=(-2, -1)))
        difference = self.weights * whole[..., None, None] - decoupled(self.weights)
        return total(absolute(difference), axis=(-2, -1)) / (2 * whole * whole)

    def likelier(self) -> Array:
        """The test that is 1 where the pair is likelier than by chance, else 0, shape (..., D, M)."""
        whole = np.asarray(total(self.weights, axis=(-2, -1)))[..., None, None]
        return indicator(self.weights * whole > decoupled(self.weights), self.weights)

    def widest(self) -> Any:
        """The largest over masks of (max_d g - min_d g), shape (...)."""
        return (self.tests.max(axis=-2) - self.tests.min(axis=-2)).max(axis=-1)

    def information(self) -> LogSum:
        """I(M; D)."""
        return mutual_information(self.weights)


@dataclass(frozen=True, eq=False)
class ConditionedLaw(Instance):
    """A joint law of initial weights, data and mask.

    Attributes:
        weights: joint weights of (initial weights, data, mask), shape (..., C, D, M), not normalised.
    """

    title: ClassVar[str] = "law of initial weights, data and mask"

    weights: Array = array(3)

    def __post_init__(self) -> None:
        if np.ndim(self.weights) < 3 or 0 in np.shape(self.weights)[-3:]:
            raise ValueError(f"weights of (initial weights, data, mask) expected; got shape {np.shape(self.weights)}")

    def valid(self) -> Any:
        """Whether this is a law."""
        return (self.weights >= 0).all(axis=(-3, -2, -1)) & (total(self.weights, axis=(-3, -2, -1)) > 0)

    def information(self) -> LogSum:
        """I(m; D | w0)."""
        return conditional_information(self.weights)


__all__ = [
    "ConditionedLaw", "LogSum", "MaskLaw", "TestedLaw", "at_most_logs", "average_information", "binary_divergence",
    "binary_entropy", "conditional_entropy", "conditional_information", "constant_log", "decoupled",
    "divergence_from_decoupled", "entropy", "equal_logs", "is_decoupled", "masks_at_most",
    "mutual_information", "rational_part",
]  # fmt: skip
