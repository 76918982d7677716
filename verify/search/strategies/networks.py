"""Networks: a grid of small architectures, filled with small numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from theory.networks import LEAKY, LINEAR, MAX, RELU, Builder, Network, mlp
from theory.paths import NetworkOnData
from verify.search.strategies import draws
from verify.search.strategies.choosers import Chooser

EVERY_FAMILY = ("mlp", "mlp-bias", "residual", "pool", "convolution", "normalised", "heads")
"""Families of architectures a claim may ask for with ``draws={"families": (...)}``."""
OTHER_FAMILIES = ("deep-pool", "pooled-convolution", "recurrent")
"""Families that are drawn only where a claim asks for them."""


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
    if family == "heads":
        # Each output reads units of its own: with a dense last layer all outputs have the same activation.
        h = b.dense(b.inputs, 2, kind=kind) if c.flip() else (b.inputs * 2)[:2]
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


@draws(NetworkOnData)
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
