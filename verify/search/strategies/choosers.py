"""One way to write a strategy, three ways to run it.

A strategy is a function ``draw(chooser, **hints) -> instance``. The chooser answers structural
questions (sizes, kinds) with one value, and fills arrays:

* `StackChooser` with a count fills float64 stacks of many instances at once, from one generator;
* `StackChooser` without a count fills one instance with exact rationals;
* `HypothesisChooser` draws everything through Hypothesis, so that it shrinks and replays.

All numbers are small dyadic rationals: float64 holds them exactly, and a person can check them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from flint import fmpq

from theory.scalars import Array, exact

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

T = TypeVar("T")


class Chooser(Protocol):
    """What a strategy may ask for."""

    limit: int | None

    def integer(self, low: int, high: int) -> int:
        """A structural integer in [low, high], small ones preferred."""
        ...

    def pick(self, options: Sequence[T]) -> T:
        """A structural choice, earlier ones preferred."""
        ...

    def flip(self, probability: float = 0.5) -> bool:
        """A structural yes or no."""
        ...

    def numbers(self, shape: tuple[int, ...]) -> Array:
        """Signed numbers, zeros among them."""
        ...

    def positives(self, shape: tuple[int, ...]) -> Array:
        """Positive numbers."""
        ...

    def weights(self, shape: tuple[int, ...]) -> Array:
        """Nonnegative numbers, zeros among them, not all zero along the last axis."""
        ...

    def integers(self, shape: tuple[int, ...], low: int, high: int) -> Array:
        """Integers in [low, high] as an array of numbers."""
        ...


class StackChooser:
    """Fills stacks of ``count`` instances (or one exact instance, count None) from a seeded generator.

    Args:
        rng: the only source of randomness.
        count: instances in a stack; None for one exact instance.
        limit: structural integers stay within ``low + limit``: the search starts small.
        uniform: structural integers are uniform; otherwise small ones are preferred.
    """

    def __init__(
        self, rng: np.random.Generator, count: int | None, limit: int | None = None, *, uniform: bool = False
    ) -> None:
        self.rng, self.count, self.limit, self.uniform = rng, count, limit, uniform

    def integer(self, low: int, high: int) -> int:
        if self.limit is not None:
            high = min(high, low + self.limit)
        return int(min(self.rng.integers(low, high + 1, 1 if self.uniform else 2)))

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.rng.integers(len(options)))]

    def flip(self, probability: float = 0.5) -> bool:
        return bool(self.rng.random() < probability)

    def numbers(self, shape: tuple[int, ...]) -> Array:
        return self._finish(self._magnitudes(shape) * self._signs(shape) * self._mask(shape))

    def positives(self, shape: tuple[int, ...]) -> Array:
        return self._finish(self._magnitudes(shape))

    def weights(self, shape: tuple[int, ...]) -> Array:
        out = self._magnitudes(shape) * self._mask(shape)
        empty = (out == 0).all(axis=-1)
        out[..., 0] = np.where(empty, 1.0, out[..., 0])
        return self._finish(out)

    def integers(self, shape: tuple[int, ...], low: int, high: int) -> Array:
        return self._finish(self.rng.integers(low, high + 1, (self._n, *shape)).astype(float))

    @property
    def _n(self) -> int:
        return 1 if self.count is None else self.count

    def _finish(self, a: Array) -> Array:
        return exact(a[0]) if self.count is None else a

    def _per_instance(self, options: Sequence[float], shape: tuple[int, ...]) -> Array:
        chosen = np.asarray(options, dtype=float)[self.rng.integers(0, len(options), self._n)]
        return chosen.reshape(-1, *([1] * len(shape)))

    def _magnitudes(self, shape: tuple[int, ...]) -> Array:
        full = (self._n, *shape)
        kind = self._per_instance([0, 1, 2, 3, 4], shape)
        small = self.rng.integers(1, 4, full).astype(float)
        dyadic = self.rng.integers(1, 17, full) / 4.0
        wide = 2.0 ** self.rng.integers(-6, 7, full)
        return np.where(kind <= 2, np.where(kind == 0, 1.0, small), np.where(kind == 3, dyadic, wide))

    def _signs(self, shape: tuple[int, ...]) -> Array:
        negative = self.rng.random((self._n, *shape)) < self._per_instance([0.0, 0.3, 0.5], shape)
        return np.where(negative, -1.0, 1.0)

    def _mask(self, shape: tuple[int, ...]) -> Array:
        return (self.rng.random((self._n, *shape)) >= self._per_instance([0.0, 0.0, 0.3, 0.7], shape)).astype(float)


class HypothesisChooser:
    """Draws one exact instance through Hypothesis; simpler choices come first, so it shrinks."""

    limit: int | None = None

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        from hypothesis import strategies as st

        self._draw, self._st = draw, st

    def integer(self, low: int, high: int) -> int:
        return self._draw(_integers(low, high))

    def pick(self, options: Sequence[T]) -> T:
        return self._draw(self._st.sampled_from(list(options)))

    def flip(self, probability: float = 0.5) -> bool:
        return self._draw(self._st.booleans())

    def numbers(self, shape: tuple[int, ...]) -> Array:
        return self._fill(shape, lambda: self._dyadic(-12, 12))

    def positives(self, shape: tuple[int, ...]) -> Array:
        return self._fill(shape, lambda: self._dyadic(1, 12))

    def weights(self, shape: tuple[int, ...]) -> Array:
        out = self._fill(shape, lambda: self._dyadic(0, 12))
        for index in np.ndindex(*shape[:-1]):
            if all(v == 0 for v in out[index]):
                out[(*index, 0)] = fmpq(1)
        return out

    def integers(self, shape: tuple[int, ...], low: int, high: int) -> Array:
        return self._fill(shape, lambda: fmpq(self._draw(_integers(low, high))))

    def _dyadic(self, low: int, high: int) -> fmpq:
        q = self._draw(_denominators())
        return fmpq(self._draw(_integers(low, high)), q)

    def _fill(self, shape: tuple[int, ...], one: Callable[[], fmpq]) -> Array:
        out = np.empty(shape, dtype=object)
        for index in np.ndindex(*shape):
            out[index] = one()
        return out


@cache
def _integers(low: int, high: int) -> SearchStrategy[int]:
    """Strategies are checked when first drawn from: made once each."""
    from hypothesis import strategies as st

    return st.integers(low, high)


@cache
def _denominators() -> SearchStrategy[int]:
    from hypothesis import strategies as st

    return st.sampled_from([1, 1, 2, 4])
