"""Networks: a grid of small architectures, filled with small numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from theory.networks import LEAKY, LINEAR, MAX, ONE, RELU, Builder, Network, mlp
from theory.paths import NetworkOnData, paths_of
from verify.search.removal import without_edge
from verify.search.strategies import draws
from verify.search.strategies.choosers import Chooser

EVERY_FAMILY = ("mlp", "mlp-bias", "residual", "pool", "convolution", "normalised", "heads")
"""Families of architectures a claim may ask for with ``draws={"families": (...)}``."""
OTHER_FAMILIES = ("deep-pool", "pooled-convolution", "recurrent", "chains", "window", "any")
"""Families that are drawn only where a claim asks for them, or beyond its hints."""
FACTORS = (1, 1, 1, "1/2", 2, -1, "-3/2")
SLOPES = ("1/4", "1/4", "1/2", 0, 1, 2, "-1/2")
BEYOND = {
    "families": ("any", "any", "any", *EVERY_FAMILY, "deep-pool", "pooled-convolution", "recurrent"),
    "kinds": (RELU, LINEAR, LEAKY),
    "outputs": 4, "depth": 3, "width": 3, "samples": 3,
}  # fmt: skip
"""Hints that limit nothing but size: every family, kind of unit and sharing of weights."""


def network(
    c: Chooser,
    *,
    families: Sequence[str] = EVERY_FAMILY,
    kinds: Sequence[str] = (RELU, LINEAR, LEAKY),
    outputs: int = 3,
    depth: int = 3,
    width: int = 3,
) -> Network:
    """A small network of one of the families.

    Args:
        c: the chooser.
        families: which builders to choose from.
        kinds: kinds of hidden units.
        outputs: largest number of outputs.
        depth: largest number of weight layers.
        width: most units a layer.
    """
    family, kind = c.pick(families), c.pick(kinds)
    if family == "any":
        return anything(c, outputs, width)
    layers = c.integer(1, depth)
    if family in ("mlp", "mlp-bias"):
        widths = [c.integer(1, width) for _ in range(layers)] + [c.integer(1, outputs)]
        return mlp(widths, kind=kind, bias=family == "mlp-bias")
    b = Builder(inputs=1 if family == "recurrent" else c.integer(1, width))
    if family == "residual":
        h = b.dense(b.inputs, c.integer(1, 2), kind=kind) if c.flip() else b.inputs
        for _ in range(c.integer(1, 2)):
            h = b.add(h, b.dense(h, len(h), kind=kind))
        return b.network(b.dense(h, c.integer(1, outputs)))
    if family == "pool":
        h = b.dense(b.inputs, 2 * c.integer(1, 2), kind=kind)
        h = b.pool(h, 2, kind=c.pick((MAX, LINEAR)))
        return b.network(b.dense(h, c.integer(1, outputs)))
    if family == "chains":
        # Side by side, of one or two weights each: what goes with a chain goes whole.
        b = Builder(inputs=1 + c.integer(1, width))
        ends = [b.dense((x,), 1, kind=kind) if c.flip() else (x,) for x in b.inputs]
        return b.network(b.dense([u for (u,) in ends], 1))
    if family == "window":
        # A maximum over weighted inputs: which of them it lets through depends on the weights.
        b = Builder(inputs=1 + c.integer(1, width))
        largest = b.unit(MAX)
        for u, w in zip(b.inputs, b.new_parameters(len(b.inputs)), strict=True):
            b.connect(u, largest, w)
        return b.network((largest,))
    if family == "heads":
        # Each output reads units of its own: with a dense last layer all outputs have the same activation.
        heads = c.pick((2, 2, 3))
        h = b.dense(b.inputs, heads, kind=kind) if c.flip() else (b.inputs * heads)[:heads]
        own = [b.dense((u,), 1, kind=kind) if c.flip() else (u,) for u in h]
        return b.network([o for group in own for o in b.dense(group, 1)])
    if family == "deep-pool":
        h = b.dense(b.dense(b.inputs, c.integer(1, 2), kind=kind), 2, kind=kind)
        return b.network(b.pool(h, 2, kind=MAX))
    if family == "pooled-convolution":
        # Positions are added, so that paths over different positions carry the same weights.
        h, whole = b.convolution(b.inputs, c.integer(1, len(b.inputs)), kind=kind), b.unit(LINEAR)
        for u in h:
            b.connect(u, whole)
        return b.network(b.dense((whole,), c.integer(1, outputs)) if c.flip() else (whole,))
    if family == "recurrent":
        (w,), units = b.new_parameters(1), [b.inputs[0]]
        for i in range(c.integer(1, 2) + 1):
            units.append(b.unit(kind if i == 0 else LINEAR))
            b.connect(units[-2], units[-1], w)
        return b.network(units[-1:])
    if family == "convolution":
        kernel = c.integer(1, len(b.inputs))
        h = b.convolution(b.inputs, kernel, kind=kind)
        return b.network(b.dense(h, c.integer(1, outputs)))
    if family == "normalised":
        h = b.dense(b.inputs, c.integer(1, 2))
        h = b.scale(h, kind=kind, factor=c.pick((1, "1/2", 2)))
        return b.network(b.dense(h, c.integer(1, outputs)))
    raise ValueError(f"unknown family {family!r}; known: {', '.join((*EVERY_FAMILY, *OTHER_FAMILIES))}")


def anything(c: Chooser, outputs: int = 4, width: int = 3) -> Network:
    """Any network of a few units: edges from anywhere before, weights on several edges, constants, no edges at all.

    Args:
        c: the chooser.
        outputs: largest number of outputs.
        width: most inputs, and most edges into a unit.
    """
    b = Builder(inputs=c.integer(1, width))
    before = list(b.inputs) + ([b.one] if c.flip(0.4) else [])
    for number in range(c.integer(1, 5)):
        unit = b.unit(c.pick((RELU, RELU, LINEAR, LINEAR, LEAKY, MAX)))
        for _ in range(c.pick(range(0 if number else 1, width + 1))):
            source = c.pick(before)
            if b.parameters and c.flip(0.2):
                parameter: int | None = c.integer(0, b.parameters - 1)
            elif b.parameters and c.flip(0.15):
                parameter = None
            else:
                parameter = b.new_parameters(1)[0]
            b.connect(source, unit, parameter, c.pick(FACTORS))
        before.append(unit)
    count = c.pick(range(1, min(outputs, len(before)) + 1))
    ends = [before[-1], *(c.pick(before) for _ in range(count - 1))]
    return b.network([u for u in dict.fromkeys(ends) if b.units[u] != ONE], c.pick(SLOPES))


def on_paths_only(net: Network) -> Network:
    """The network without the edges that are on no path from an input or the constant unit to an output."""
    used = {i for edges in paths_of(net).edges for i in edges}
    for i in sorted(set(range(len(net.edges))) - used, reverse=True):
        net, _ = without_edge(net, i)
    return net


@draws(NetworkOnData, beyond=BEYOND)
def network_on_data(
    c: Chooser, *, samples: int = 3, nonnegative: bool = False, units: bool = False, **hints: Any
) -> NetworkOnData:
    """A network with weights and inputs.

    Args:
        c: the chooser.
        samples: most inputs.
        nonnegative: no negative weights.
        units: weights and inputs from -1, 0, 1 only: kinks and cancellations are frequent.
        hints: for `network`.
    """
    net = network(c, **hints)
    n = c.integer(1, samples)
    if units:
        x = c.integers((n, len(net.inputs)), -1, 1)
        return NetworkOnData(net, c.integers((net.parameters,), -1, 1), x)
    theta = c.weights((net.parameters,)) if nonnegative else c.numbers((net.parameters,))
    return NetworkOnData(net, theta, c.numbers((n, len(net.inputs))))
