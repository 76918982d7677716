"""How gradients with respect to activations pass back through each kind of operation.

Gradients have shape (S, K, ...): S samples (1 while they are the same for all), K outputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from verify.networks.recording.graph import (
    ADD,
    AVERAGE,
    LINEAR,
    MAXIMUM,
    NORMALISATION,
    SCALE,
    SHAPE,
    SHIFT,
    Operation,
    Ref,
    replay,
)
from verify.networks.recording.windows import RESHAPES, largest


def input_gradient(op: Operation, g: Tensor, weight: Tensor, shape: Sequence[int]) -> Tensor:
    """Gradient with respect to the input of a linear map, a convolution or a normalisation.

    Args:
        op: the operation.
        g: (S, K, *output shape).
        weight: its weight (for a normalisation, the scale of each channel).
        shape: shape of its input.
    """
    if op.kind == LINEAR:
        return g @ weight
    if op.kind == NORMALISATION:
        return g * weight.reshape(-1, *[1] * (g.ndim - 3))
    s = op.settings
    size = (g.shape[0] * g.shape[1], *shape[1:])
    d = len(shape) - 2
    flat = g.reshape(-1, *g.shape[2:])
    # Only its shape matters, but torch would copy one that is expanded.
    blank = flat if flat.shape == size else flat.new_empty(size)
    back = torch.ops.aten.convolution_backward(
        flat, blank, weight, None, s["stride"], s["padding"], s["dilation"], False, [0] * d, s["groups"],
        [True, False, False],
    )[0]  # fmt: skip
    return back.reshape(*g.shape[:2], *shape[1:])


def pass_back(
    index: int,
    op: Operation,
    parts: Mapping[Ref, Tensor],
    values: Mapping[Ref, Tensor],
    tensors: Mapping[str, Tensor],
    wanted: Sequence[Ref],
    batch: int,
) -> list[tuple[Ref, Tensor]]:
    """Gradients with respect to the inputs ``wanted`` of an operation without parameters.

    Args:
        index: the operation's number.
        op: the operation.
        parts: gradient (S, K, ...) of each of its results.
        values: forward values.
        tensors: parameters, buffers, constants.
        wanted: which inputs.
        batch: samples of the forward values.
    """
    g = next(iter(parts.values()))
    if op.kind == ADD:
        if len(op.settings["terms"]) == 1:
            return [(op.inputs[0], g * op.settings["factor"])]
        signs = dict(zip(op.settings["terms"], op.settings.get("signs", (1.0, 1.0)), strict=True))
        return [(r, g if signs[r] > 0 else -g) for r in wanted]
    if op.kind == SHIFT:
        return [(op.inputs[0], g if op.settings.get("signs", (1.0,))[0] > 0 else -g)]
    if op.kind == SCALE:
        return [(op.inputs[0], g * op.settings["factor"])]
    source = values[op.inputs[0]]
    if op.kind == MAXIMUM:
        _, where = largest(source, op.settings)
        spread = g.expand(batch, *g.shape[1:]).flatten(3)
        blank = spread.new_zeros(*spread.shape[:3], math.prod(source.shape[2:]))
        back = blank.scatter_add_(-1, where.flatten(2)[:, None].expand(spread.shape), spread)
        return [(op.inputs[0], back.reshape(batch, g.shape[1], *source.shape[1:]))]
    if op.kind == SHAPE and op.name in RESHAPES:
        return [(op.inputs[0], g.reshape(*g.shape[:2], *source.shape[1:]))]
    if op.kind == AVERAGE and op.settings["divisor"].numel() == 1 and g[0, 0].numel() == source.shape[1]:
        # Everything but the channels is averaged away.
        spread = (g / float(op.settings["divisor"])).reshape(*g.shape[:3], *[1] * (source.ndim - 2))
        if spread.shape[2] == source.shape[1] and source[0, 0].numel() == int(op.settings["divisor"]):
            return [(op.inputs[0], spread.expand(*g.shape[:2], *source.shape[1:]))]
    return _by_autograd(index, op, parts, values, tensors, wanted, batch)


def _by_autograd(
    index: int,
    op: Operation,
    parts: Mapping[Ref, Tensor],
    values: Mapping[Ref, Tensor],
    tensors: Mapping[str, Tensor],
    wanted: Sequence[Ref],
    batch: int,
) -> list[tuple[Ref, Tensor]]:
    """The general rule: replay the operation on K copies of its inputs, and differentiate it."""
    g0 = next(iter(parts.values()))
    k = g0.shape[1]
    linear = op.kind in (SHAPE, AVERAGE)
    samples = max(g.shape[0] for g in parts.values()) if linear else batch
    copies: dict[Ref, Tensor] = {}
    for r in op.inputs:
        v = values[r]
        # A linear map's derivative does not depend on where it is taken.
        one = torch.zeros_like(v[:1]).expand(samples, *v.shape[1:]) if linear else v
        copies[r] = one[:, None].expand(samples, k, *v.shape[1:]).reshape(-1, *v.shape[1:]).clone()
    wanted = [r for r in wanted if copies[r].is_floating_point()]
    with torch.enable_grad():
        for r in wanted:
            copies[r].requires_grad_()
        result = replay(op, tensors, copies, samples * k)
        results = (
            {Ref(index): result} if isinstance(result, Tensor) else {Ref(index, j): t for j, t in enumerate(result)}
        )
        pairs = [(results[r], g.expand(samples, *g.shape[1:]).reshape(results[r].shape)) for r, g in parts.items()]
        pairs = [(t, g) for t, g in pairs if t.requires_grad]
        leaves = [copies[r] for r in wanted]
        grads: Sequence[Tensor | None] = [None] * len(leaves)
        if pairs:
            grads = torch.autograd.grad([t for t, _ in pairs], leaves, [g for _, g in pairs], allow_unused=True)
    return [(r, g.reshape(samples, k, *g.shape[1:])) for r, g in zip(wanted, grads, strict=True) if g is not None]


__all__ = ["input_gradient", "pass_back"]
