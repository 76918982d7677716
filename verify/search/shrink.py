"""Make a counterexample small: fewer units, samples and nonzeros, smaller numbers, still refuted exactly."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial, singledispatch
from itertools import product
from typing import Any

import numpy as np
from flint import fmpq

from theory.instances import Instance
from theory.network_sketches import NetworkWeights, SignAverage
from theory.networks import mlp
from theory.paths import NetworkOnData
from theory.pruning import PruningRun
from theory.scalars import exact, zeros
from theory.sketches import Sketch, Transfer
from verify.search.budgets import Limit
from verify.search.removal import without_edge, without_units

StillRefuted = Callable[[Any], bool]


def shrink(instance: Any, refuted: StillRefuted, evaluations: int = 20_000, limit: Limit | None = None) -> Any:
    """The smallest instance that greedy reduction reaches, by `Instance.size`.

    Args:
        instance: an exact single instance for which ``refuted`` is true.
        refuted: the exact decision, assumptions included; must not raise.
        evaluations: limit on exact decisions.
        limit: a person's limit in seconds, if there is one.
    """
    tried: set[str] = set()

    def better(best: Any, kind: Callable[[Any], Iterator[Any]]) -> Any:
        """The first reduction of a kind that is smaller and still refuted, or None."""
        size = best.size()
        for candidate in kind(best):
            if len(tried) > evaluations or (limit is not None and limit.passed()):
                return None
            if candidate.size() < size and (key := candidate.key()) not in tried:
                tried.add(key)
                if refuted(candidate):
                    return candidate
        return None

    best, before = instance, None
    while best is not before:
        before = best
        for kind in (structural, whole_arrays, entries):  # the boldest first, each as far as it leads
            while (smaller := better(best, kind)) is not None:
                best = smaller
    return best


@singledispatch
def structural(instance: Any) -> Iterator[Any]:
    """Instances with less structure; register an implementation for each setting that has some."""
    yield from integers(instance)


def integers(instance: Any) -> Iterator[Any]:
    """Smaller values of the integer fields (number of draws, of rounds, ...)."""
    for f in dataclasses.fields(instance):
        value = getattr(instance, f.name)
        if "axes" in f.metadata or type(value) is not int:
            continue
        for smaller in dict.fromkeys((1, value // 2, value - 1)):
            if 0 < smaller < value:
                yield from _try(partial(instance.with_, **{f.name: smaller}))


def _try(make: Callable[[], Any]) -> Iterator[Any]:
    try:
        made = make()
        if made is not None and bool(made.valid()):
            yield made
    except (ValueError, IndexError, ZeroDivisionError):
        return


@structural.register
def _(instance: NetworkOnData) -> Iterator[Any]:
    yield from network_reductions(instance)
    yield from drop_rows(instance, "x")
    yield from integers(instance)


@structural.register
def _(instance: PruningRun) -> Iterator[Any]:
    yield from _tiny_runs(instance)
    for less in range(min(4, instance.keep)):
        yield from network_reductions(instance.with_(keep=instance.keep - less))
    yield from drop_rows(instance, "x")
    yield from integers(instance)
    yield from _try(lambda: instance.with_(keep=instance.keep + 1))


@structural.register
def _(instance: SignAverage) -> Iterator[Any]:
    yield from network_reductions(instance)
    yield from drop_rows(instance, "x")


@structural.register
def _(instance: NetworkWeights) -> Iterator[Any]:
    data = zeros((1, len(instance.network.inputs)), instance.theta)
    for smaller in network_reductions(NetworkOnData(instance.network, instance.theta, data)):
        yield NetworkWeights(smaller.network, smaller.theta)


@structural.register
def _(instance: Sketch) -> Iterator[Any]:
    yield from drop_rows(instance, "x", "w", *(() if instance.q is None else ("q",)))
    yield from drop_rows(instance, "x", axis=1)
    yield from _same_constant(instance)


def _same_constant(instance: Any) -> Iterator[Any]:
    """Fewer draws: the constant of a proposed bound is the adversary's."""
    before = getattr(instance, "constant", 1)
    yield from (smaller for smaller in integers(instance) if getattr(smaller, "constant", 1) == before)


@structural.register
def _(instance: Transfer) -> Iterator[Any]:
    yield from drop_rows(instance, "x", "w", "w0")
    yield from drop_rows(instance, "x", axis=1)
    yield from _same_constant(instance)


def _tiny_runs(instance: PruningRun) -> Iterator[Any]:
    """The same kind of run on every smaller MLP of at most two hidden-to-output layers, widths 1 to 3."""
    small = [mlp(widths) for depth in (2, 3) for widths in product((1, 2, 3), repeat=depth)]
    for net in sorted(small, key=lambda n: n.parameters):
        count = net.parameters
        if count >= instance.network.parameters:
            return
        for keep in range(count - 1, 0, -1):
            for theta in (exact(np.ones(count)), exact(instance.theta)[:count]):
                x = exact(np.ones((1, len(net.inputs))))
                yield from _try(partial(instance.with_, network=net, theta=theta, x=x, keep=keep))


def network_reductions(instance: Any) -> Iterator[Any]:
    """Remove a unit, or an edge, from ``instance.network``; ``theta`` and ``x`` follow."""
    net = instance.network

    def smaller(make: Callable[..., tuple[Any, list[int]]], gone: Any, x_columns: list[int] | None) -> Any:
        reduced, kept = make(net, gone)
        if reduced.parameters == 0 or not reduced.outputs or not reduced.inputs:
            return None
        x = instance.x if x_columns is None else instance.x[..., x_columns]
        return instance.with_(network=reduced, theta=instance.theta[..., kept], x=x)

    for u in range(len(net.units)):
        columns = [i for i, v in enumerate(net.inputs) if v != u]
        yield from _try(partial(smaller, without_units, {u}, columns))
    for i in range(len(net.edges)):
        yield from _try(partial(smaller, without_edge, i, None))


def drop_rows(instance: Any, *names: str, axis: int = 0) -> Iterator[Any]:
    """Remove index i of ``axis`` from all the named arrays together (they must agree in it)."""
    length = getattr(instance, names[0]).shape[axis]
    for i in range(length):
        if length > 1:
            shorter = {n: np.delete(getattr(instance, n), i, axis=axis) for n in names}
            yield from _try(partial(instance.with_, **shorter))


def whole_arrays(instance: Instance) -> Iterator[Any]:
    """Change all entries of one array at once: to zeros and ones, to signs, rounded, scaled to integers."""
    for name in instance.arrays():
        a = getattr(instance, name)
        if a is None or not np.size(a):
            continue
        a = exact(a)
        for change in _WHOLE:
            yield from _try(partial(_with_mapped, instance, name, a, change))


def entries(instance: Instance) -> Iterator[Any]:
    """Change one entry: to 0, 1, -1, its sign, half, rounded, one nearer to 0; or two equal entries together."""
    for name in instance.arrays():
        a = getattr(instance, name)
        if a is None or not np.size(a):
            continue
        a = exact(a)
        for index in np.ndindex(*a.shape):
            v = a[index]
            steps = (v - _rounded(v / k) for k in (4, 16, 64, 256) if abs(v) > k)
            for smaller in dict.fromkeys(
                (fmpq(0), fmpq(1), fmpq(-1), fmpq(2), abs(v), _rounded(v), v / 2, *steps, v - _sign(v), _rounded(v / 2))
            ):
                if smaller != v:
                    yield from _try(lambda: _replaced(instance, name, a, index, smaller))


def _replaced(instance: Instance, name: str, a: np.ndarray, index: tuple[int, ...], value: fmpq) -> Any:
    changed = a.copy()
    changed[index] = value
    return instance.with_(**{name: changed})


def _with_mapped(instance: Instance, name: str, a: np.ndarray, change: Callable[[Any], Any]) -> Any:
    out = np.empty(a.shape, dtype=object)
    for i, v in np.ndenumerate(a):
        out[i] = change(v)
    return instance.with_(**{name: out})


def _sign(v: Any) -> fmpq:
    return fmpq((v > 0) - (v < 0))


def _rounded(v: Any) -> fmpq:
    p, q = int(v.p), int(v.q)
    magnitude = abs(p) // q or (1 if p else 0)
    return fmpq(magnitude if p > 0 else -magnitude)


_WHOLE: tuple[Callable[[Any], Any], ...] = (
    lambda v: fmpq(0),
    lambda v: fmpq(1),
    lambda v: fmpq(int(v != 0)),
    _sign,
    _rounded,
    lambda v: v / 2,
    lambda v: v * 2,
    abs,
)
