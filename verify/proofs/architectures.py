"""Small networks, one of each structure: perceptrons, biases, skips, shared weights, maxima, averages, scales."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from theory.networks import LEAKY, LINEAR, MAX, RELU, Builder, Network, mlp

KINDS = (RELU, LINEAR, LEAKY)


def widths_up_to(weights: int, *, bias: bool = False, most_layers: int = 4) -> Iterator[tuple[int, ...]]:
    """Widths of the perceptrons of at most so many parameters."""

    def grow(widths: tuple[int, ...], used: int) -> Iterator[tuple[int, ...]]:
        if len(widths) > 1:
            yield widths
        if len(widths) > most_layers:
            return
        for width in range(1, weights + 1):
            cost = used + widths[-1] * width + (width if bias else 0)
            if cost <= weights:
                yield from grow((*widths, width), cost)

    for first in range(1, weights + 1):
        yield from grow((first,), 0)


@lru_cache(maxsize=8)
def architectures(weights: int) -> tuple[tuple[str, Network], ...]:
    """Every network of the families here with at most ``weights`` parameters, the smallest first, with its name.

    Perceptrons (with and without biases, of each kind of hidden unit), residual networks, maxima and averages over
    two units, convolutions (alone, dense on top, positions added), a weight used twice on a path, outputs with units
    of their own, a shortcut past the hidden units, and scaled (normalised) units.
    """
    found: dict[str, Network] = {}
    for name, net in _families(weights):
        if net.parameters <= weights and net.parameters > 0 and net not in found.values():
            found.setdefault(name, net)
    ranked = sorted(found.items(), key=lambda t: (t[1].parameters, len(t[1].units), len(t[1].edges), t[0]))
    return tuple(ranked)


def _families(weights: int) -> Iterator[tuple[str, Network]]:
    for bias in (False, True):
        for widths in widths_up_to(weights, bias=bias):
            for kind in KINDS if len(widths) > 2 else (LINEAR,):
                label = "-".join(map(str, widths))
                yield f"{kind} {label}{' with biases' if bias else ''}", mlp(widths, kind=kind, bias=bias)
    for kind in KINDS:
        for inputs in (1, 2):
            yield from _with_skips(inputs, kind)
            yield from _pooled(inputs, kind)
            yield from _shared(inputs + 1, kind)
        yield f"{kind} weight used twice", _twice(kind)
        yield from _heads(kind)
        yield f"{kind} scaled unit", _scaled(kind)


def _with_skips(inputs: int, kind: str) -> Iterator[tuple[str, Network]]:
    for outputs in (1, 2):
        b = Builder(inputs)
        h = b.add(b.inputs, b.dense(b.inputs, inputs, kind=kind))
        yield f"{kind} residual {inputs}-{outputs}", b.network(b.dense(h, outputs))
        b = Builder(inputs)
        hidden = b.dense(b.inputs, 1, kind=kind)
        yield f"{kind} shortcut {inputs}-{outputs}", b.network(b.dense((*hidden, *b.inputs), outputs))
    b = Builder(inputs)
    h = b.dense(b.inputs, 1, kind=kind)
    h = b.add(h, b.dense(h, 1, kind=kind))
    yield f"{kind} stem and residual {inputs}-1", b.network(b.dense(h, 1))


def _pooled(inputs: int, kind: str) -> Iterator[tuple[str, Network]]:
    for pool, name in ((MAX, "maximum"), (LINEAR, "average")):
        for outputs in (1, 2):
            b = Builder(inputs)
            h = b.pool(b.dense(b.inputs, 2, kind=kind), 2, kind=pool)
            yield f"{kind} {name} {inputs}-{outputs}", b.network(b.dense(h, outputs))
        b = Builder(inputs)
        yield f"{kind} {name} last {inputs}", b.network(b.pool(b.dense(b.inputs, 2, kind=kind), 2, kind=pool))


def _shared(inputs: int, kind: str) -> Iterator[tuple[str, Network]]:
    for kernel in (1, 2):
        for outputs in (1, 2):
            b = Builder(inputs)
            h = b.convolution(b.inputs, kernel, kind=kind)
            yield f"{kind} convolution {kernel} of {inputs}, {outputs} outputs", b.network(b.dense(h, outputs))
        b = Builder(inputs)
        h, whole = b.convolution(b.inputs, kernel, kind=kind), b.unit(LINEAR)
        for u in h:
            b.connect(u, whole)
        yield f"{kind} convolution {kernel} of {inputs}, added", b.network((whole,))


def _twice(kind: str) -> Network:
    b = Builder(1)
    (w,) = b.new_parameters(1)
    hidden, out = b.unit(kind), b.unit(LINEAR)
    b.connect(0, hidden, w)
    b.connect(hidden, out, w)
    return b.network((out,))


def _heads(kind: str) -> Iterator[tuple[str, Network]]:
    b = Builder(2)
    yield "linear heads", b.network((*b.dense(b.inputs[:1], 1), *b.dense(b.inputs[1:], 1)))
    b = Builder(2)
    h = b.dense(b.inputs, 2, kind=kind)
    yield f"{kind} heads on hidden units", b.network((*b.dense(h[:1], 1), *b.dense(h[1:], 1)))
    b = Builder(2)
    one = b.dense(b.dense(b.inputs[:1], 1, kind=kind), 1)
    yield f"{kind} heads of two depths", b.network((*one, *b.dense(b.inputs[1:], 1)))


def _scaled(kind: str) -> Network:
    b = Builder(1)
    h = b.scale(b.dense(b.inputs, 1), kind=kind, factor="1/2")
    return b.network(b.dense(h, 1))
