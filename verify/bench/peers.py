"""What one would use without this project, for the benchmark of the search: three kinds of peer.

* *fixed*: a property test as it is usually written: one architecture of moderate size (the largest that
  the strategies here would draw), every array from `hypothesis.extra.numpy` with floats, or from numpy's
  normal law; one instance at a time, screened in float64 and confirmed exactly.
* *dense*: the same with the structure drawn as well, down to the smallest, from the grid used here.
* *strict*: instances of the strategies of this project, which know that small sparse numbers are where
  counterexamples live: against them only stacking, smallest-first order and climbing are measured.

All of them stop at the first counterexample; nothing is shrunk. Seconds are of processor time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

import numpy as np

from theory.relations import Verdict, decide, margins
from theory.scalars import Array, exact
from verify.power.planted import Planted
from verify.search.screening import suspicious
from verify.search.strategies import StackChooser, draw, instances

T = TypeVar("T")
KINDS = ("fixed", "dense", "strict")
METHODS = ("hypothesis", "target", "random")
LARGEST = 8.0
"""Floats are drawn from [-8, 8]: wide enough for every claim, and kind to the peer (no overflow)."""


class _Done(BaseException):
    """Leaves Hypothesis at once."""


class DenseNormal:
    """A chooser of dense normal numbers: what ``rng.normal(size=shape)`` gives.

    Args:
        rng: the only source of randomness.
        single: fill one exact instance instead of a float64 stack of one.
        largest: structural integers are the largest allowed, not drawn.
    """

    limit: int | None = None

    def __init__(self, rng: np.random.Generator, single: bool, largest: bool) -> None:
        self.rng, self.single, self.largest = rng, single, largest

    def integer(self, low: int, high: int) -> int:
        """Uniform."""
        return high if self.largest else int(self.rng.integers(low, high + 1))

    def pick(self, options: Sequence[T]) -> T:
        """Uniform."""
        return options[int(self.rng.integers(len(options)))]

    def flip(self, probability: float = 0.5) -> bool:
        """A coin."""
        return bool(self.rng.random() < probability)

    def numbers(self, shape: tuple[int, ...]) -> Array:
        """Standard normal."""
        return self._finish(self.rng.standard_normal((1, *shape)))

    def positives(self, shape: tuple[int, ...]) -> Array:
        """Absolute values of normal numbers."""
        return self._finish(np.abs(self.rng.standard_normal((1, *shape))) + 1e-6)

    def weights(self, shape: tuple[int, ...]) -> Array:
        """Absolute values of normal numbers."""
        return self.positives(shape)

    def integers(self, shape: tuple[int, ...], low: int, high: int) -> Array:
        """Uniform."""
        return self._finish(self.rng.integers(low, high + 1, (1, *shape)).astype(float))

    def _finish(self, a: Array) -> Array:
        return exact(a[0]) if self.single else a


class DenseHypothesis:
    """A chooser that draws through Hypothesis as its documentation teaches: `arrays` of `floats`.

    Args:
        draw_: the draw function of a composite strategy.
        single: fill one exact instance instead of a float64 stack of one.
        largest: structural integers are the largest allowed, not drawn.
    """

    limit: int | None = None

    def __init__(self, draw_: Callable[[Any], Any], single: bool, largest: bool) -> None:
        from hypothesis import strategies as st
        from hypothesis.extra import numpy as hnp

        self._draw, self._st, self._arrays = draw_, st, hnp.arrays
        self.single, self.largest = single, largest

    def integer(self, low: int, high: int) -> int:
        """`integers`."""
        return high if self.largest else self._draw(self._st.integers(low, high))

    def pick(self, options: Sequence[T]) -> T:
        """`sampled_from`."""
        return self._draw(self._st.sampled_from(list(options)))

    def flip(self, probability: float = 0.5) -> bool:
        """`booleans`."""
        return self._draw(self._st.booleans())

    def numbers(self, shape: tuple[int, ...]) -> Array:
        """`arrays(float, shape, elements=floats(-8, 8))`."""
        return self._floats(shape, -LARGEST)

    def positives(self, shape: tuple[int, ...]) -> Array:
        """The same from 1/8 to 8."""
        return self._floats(shape, 0.125)

    def weights(self, shape: tuple[int, ...]) -> Array:
        """The same from 0 to 8, not all 0."""
        out = np.array(self._floats(shape, 0.0))
        empty = np.asarray(out == 0, dtype=bool).all(axis=-1)
        out[..., 0] = np.where(empty, exact(np.asarray(1)) if self.single else 1.0, out[..., 0])
        return out

    def integers(self, shape: tuple[int, ...], low: int, high: int) -> Array:
        """`arrays(int, shape, elements=integers(low, high))`."""
        drawn = self._draw(self._arrays(np.int64, (1, *shape), elements=self._st.integers(low, high)))
        return self._finish(drawn.astype(float))

    def _floats(self, shape: tuple[int, ...], low: float) -> Array:
        return self._finish(self._draw(self._arrays(np.float64, (1, *shape), elements=self._st.floats(low, LARGEST))))

    def _finish(self, a: Array) -> Array:
        return exact(a[0]) if self.single else a


# -- the check ------------------------------------------------------------------------------------


def unstackable(p: Planted) -> bool:
    """Whether instances of the claim cannot be evaluated in stacked float64, so that all methods decide exactly."""
    return not p.claim.setting.stackable or not p.claim.draws.get("stack", True)


def decider(p: Planted) -> Callable[[Any], tuple[bool, float]]:
    """``instance -> (whether it is a counterexample, margin)``; single exact instances, or float64 stacks of one."""
    kept = [a for a in p.claim.assumptions if a.name not in p.drop]

    def exactly(instance: Any) -> tuple[bool, float]:
        if not bool(instance.valid()) or not all(bool(a.predicate(instance)) for a in kept):
            return False, float("inf")
        decision = decide(p.claim.check(instance))
        meaningless = bool(p.drop) and decision.how.startswith("undefined")
        return decision.verdict is Verdict.REFUTED or meaningless, decision.margin

    def check(instance: Any) -> tuple[bool, float]:
        if not instance.stacked:
            return exactly(instance)
        with np.errstate(all="ignore"):
            if not np.all(instance.valid()) or not all(np.all(a.predicate(instance)) for a in kept):
                return False, float("inf")
            relation = p.claim.check(instance)
            m = np.full(1, np.nan) if relation.undefined else np.broadcast_to(margins(relation), (1,))
        # What float64 calls violated counts once it is so in rationals.
        return exactly(instance.at(0)) if suspicious(m)[0] else (False, float(m[0]))

    return check


# -- the methods ----------------------------------------------------------------------------------


def hypothesis_search(p: Planted, seed: int, limit: float, *, kind: str, targeted: bool) -> float | None:
    """Seconds until `hypothesis.find` sees a counterexample (it does not get to shrink it); None: not in ``limit``."""
    from hypothesis import HealthCheck, Phase, Verbosity, find, settings, target
    from hypothesis.errors import NoSuchExample, Unsatisfiable

    refuted, hit = decider(p), False
    clock = _Clock(limit)

    def look(instance: Any) -> bool:
        nonlocal hit
        hit, margin = refuted(instance)
        if targeted and np.isfinite(margin):
            target(-margin)
        if hit or clock.over():
            raise _Done
        return False

    options = settings(
        max_examples=10_000_000,
        database=None,
        verbosity=Verbosity.quiet,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.target) if targeted else (Phase.generate,),
    )
    strategy = instances(p.claim, p.drop) if kind == "strict" else _dense_instances(p, kind == "fixed")
    with contextlib.suppress(_Done, NoSuchExample, Unsatisfiable):
        find(strategy, look, settings=options, random=Random(seed))  # Hypothesis takes its seed in this form
    return clock.seconds() if hit else None


class _Clock:
    """Processor seconds since it was made; read, which can take a tenth of a millisecond, only when it must be."""

    def __init__(self, limit: float) -> None:
        self.limit, self.wall, self.start = limit, time.perf_counter(), time.process_time()

    def seconds(self) -> float:
        return time.process_time() - self.start

    def over(self) -> bool:
        """Whether the limit has passed, which on this one thread it cannot have while it has not on the wall."""
        return time.perf_counter() - self.wall > self.limit and self.seconds() > self.limit


def _dense_instances(p: Planted, largest: bool) -> Any:
    from hypothesis import strategies as st

    single = unstackable(p)
    dropped = [a for a in p.claim.assumptions if a.name in p.drop and a.breaks is not None]

    @st.composite
    def one(draw_: Any) -> Any:
        chooser = DenseHypothesis(draw_, single, largest)
        return draw(p.claim, chooser, chooser.pick([None, *dropped]) if dropped else None)

    return one()


def search(p: Planted, seed: int, limit: float, kind: str, method: str) -> float | None:
    """Seconds that a peer needs, by the names in `KINDS` and `METHODS`; None if it finds nothing in ``limit``.

    Raises:
        ValueError: no such kind or method.
    """
    if kind not in KINDS or method not in METHODS:
        raise ValueError(f"no peer is called {kind} {method}; known: {', '.join(KINDS)} with {', '.join(METHODS)}")
    if method == "random":
        return random_search(p, seed, limit, kind=kind)
    return hypothesis_search(p, seed, limit, kind=kind, targeted=method == "target")


def random_search(p: Planted, seed: int, limit: float, *, kind: str) -> float | None:
    """Seconds until drawing single instances at random finds a counterexample; None: not in ``limit``."""
    refuted, rng = decider(p), np.random.default_rng([seed, 77])
    dropped = [p.claim.assumption(n) for n in p.drop]
    single = unstackable(p)
    clock = _Clock(limit)
    while not clock.over():
        broken = dropped[0] if dropped and rng.random() < 0.75 else None
        strict = kind == "strict"
        chooser: Any = StackChooser(rng, None) if strict else DenseNormal(rng, single, kind == "fixed")
        if refuted(draw(p.claim, chooser, broken))[0]:
            return clock.seconds()
    return None
