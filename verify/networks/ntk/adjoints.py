"""How gradients with respect to activations pass back through each kind of operation.

Gradients have shape (S, K, ...): S samples (1 while they are the same for all), K outputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from verify.networks.recording.graph import LINEAR, NORMALISATION, SHAPE, Graph, Operation, Ref, replay, store
from verify.networks.recording.walk import Values, Walk
from verify.networks.recording.windows import RESHAPES, largest

Found = list[tuple[Ref, Tensor, bool]]
"""For each input that wants one a gradient, and whether nobody else has it, so that it may be overwritten."""


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


class Adjoints(Walk):
    """Gradients of an operation's inputs from those of its results, for operations without parameters.

    What a method takes in the place of values are the gradients (S, K, ...) of the results, each with whether it may
    be overwritten.

    Attributes:
        values: forward values, whose signs and maxima are the gates.
        batch: samples that they are of.
        index: the number of the operation.
        moving: the values that depend on a parameter: only they need a gradient.
    """

    def __init__(self, graph: Graph, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(graph, tensors)
        self.values: Values = {}
        self.batch, self.index = 0, -1
        after: set[int] = set()
        for i, op in enumerate(graph.operations):
            if op.floating and (op.parameters or any(r.index in after for r in op.inputs)):
                after.add(i)
        self.moving = {r for op in graph.operations for r in op.inputs if r.index in after}

    def step(self, index: int, op: Operation, values: Values) -> Found:
        """Gradients of the inputs of one operation."""
        self.index = index
        return super().step(index, op, values)

    def add(self, op: Operation, values: Values) -> Found:
        """Each term's, with its sign; summed over the axes along which it was repeated."""
        g, _ = values[Ref(self.index)]
        if len(op.settings["terms"]) == 1:
            return [(op.inputs[0], g * op.settings["factor"], False)]
        signs = dict(zip(op.settings["terms"], op.settings.get("signs", (1.0, 1.0)), strict=True))
        terms = [(r, narrowed(g, self.values[r].shape[1:])) for r in op.inputs if r in self.moving]
        return [(r, g if signs[r] > 0 else -g, False) for r, g in terms]

    def shift(self, op: Operation, values: Values) -> Found:
        """The same, or its negative."""
        g = narrowed(values[Ref(self.index)][0], self.values[op.inputs[0]].shape[1:])
        return [(op.inputs[0], g if op.settings.get("signs", (1.0,))[0] > 0 else -g, False)]

    def scale(self, op: Operation, values: Values) -> Found:
        """A multiple."""
        return [(op.inputs[0], values[Ref(self.index)][0] * op.settings["factor"], False)]

    def gate(self, op: Operation, values: Values) -> Found:
        """A factor in the values' precision, since mixed products are slow."""
        (g, own), forward, slope = values[Ref(self.index)], self.values[op.inputs[0]], op.settings["slope"]
        if slope == 0:
            factor = forward.clamp_min(0).sign_()
        else:
            # Scalars would make it float32, in which 0.01 is another number.
            factor = torch.where(forward > 0, forward.new_ones(()), forward.new_tensor(slope))
        return [(op.inputs[0], times(g, factor[:, None], own), True)]

    def maximum(self, op: Operation, values: Values) -> Found:
        """To the entries that were chosen."""
        (g, _), source = values[Ref(self.index)], self.values[op.inputs[0]]
        _, where = largest(source, op.settings)
        spread = g.expand(self.batch, *g.shape[1:]).flatten(3)
        blank = spread.new_zeros(*spread.shape[:3], math.prod(source.shape[2:]))
        back = blank.scatter_add_(-1, where.flatten(2)[:, None].expand(spread.shape), spread)
        return [(op.inputs[0], back.reshape(self.batch, g.shape[1], *source.shape[1:]), True)]

    def shape(self, op: Operation, values: Values) -> Found:
        """Entries moved back."""
        if op.name not in RESHAPES:
            return self.replayed(op, values)
        g, own = values[Ref(self.index)]
        # As much this operation's own as it was.
        return [(op.inputs[0], g.reshape(*g.shape[:2], *self.values[op.inputs[0]].shape[1:]), own)]

    def average(self, op: Operation, values: Values) -> Found:
        """Shares."""
        (g, _), source, divisor = values[Ref(self.index)], self.values[op.inputs[0]], op.settings["divisor"]
        if divisor.numel() == 1 and g[0, 0].numel() == source.shape[1]:
            # Everything but the channels is averaged away.
            spread = (g / float(divisor)).reshape(*g.shape[:3], *[1] * (source.ndim - 2))
            if spread.shape[2] == source.shape[1] and source[0, 0].numel() == int(divisor):
                return [(op.inputs[0], spread.expand(*g.shape[:2], *source.shape[1:]), False)]
        return self.replayed(op, values, linear=True)

    def matrix(self, op: Operation, values: Values) -> Found:
        """By a constant."""
        return self.replayed(op, values)

    def product(self, op: Operation, values: Values) -> Found:
        """By a constant."""
        return self.replayed(op, values)

    def unknown(self, op: Operation, values: Values) -> Found:
        """Whatever it is."""
        return self.replayed(op, values)

    def replayed(self, op: Operation, values: Values, linear: bool = False) -> Found:
        """The general rule: replay the operation on K copies of its inputs, and differentiate it.

        Args:
            op: the operation.
            values: gradients of its results.
            linear: whether its derivative does not depend on where it is taken.
        """
        parts, linear = {r: g for r, (g, _) in values.items()}, linear or op.kind == SHAPE
        k = next(iter(parts.values())).shape[1]
        samples = max(g.shape[0] for g in parts.values()) if linear else self.batch
        copies: dict[Ref, Tensor] = {}
        for r in op.inputs:
            v = self.values[r]
            one = torch.zeros_like(v[:1]).expand(samples, *v.shape[1:]) if linear else v
            copies[r] = one[:, None].expand(samples, k, *v.shape[1:]).reshape(-1, *v.shape[1:]).clone()
        wanted = [r for r in op.inputs if r in self.moving and copies[r].is_floating_point()]
        with torch.enable_grad():
            leaves = [copies[r].requires_grad_() for r in wanted]
            results: dict[Ref, Tensor] = {}
            store(results, self.index, replay(op, self.tensors, copies, samples * k))
            pairs = [(results[r], g.expand(samples, *g.shape[1:]).reshape(results[r].shape)) for r, g in parts.items()]
            pairs = [(t, g) for t, g in pairs if t.requires_grad]
            grads: Sequence[Tensor | None] = [None] * len(leaves)
            if pairs:
                grads = torch.autograd.grad([t for t, _ in pairs], leaves, [g for _, g in pairs], allow_unused=True)
        found = zip(wanted, grads, strict=True)
        return [(r, g.reshape(samples, k, *g.shape[1:]), False) for r, g in found if g is not None]


def narrowed(g: Tensor, shape: Sequence[int]) -> Tensor:
    """The gradient (S, K, ...) of what was repeated from ``shape``: its sum over the axes of length 1 there."""
    repeated = [i + 2 for i, (a, b) in enumerate(zip(shape, g.shape[2:], strict=True)) if a == 1 != b]
    return g.sum(repeated, keepdim=True) if repeated else g


def times(g: Tensor, factor: Tensor, own: bool) -> Tensor:
    """Their product, in place if ``g`` can be overwritten and has its shape."""
    return g.mul_(factor) if own and g.shape[0] >= factor.shape[0] else g * factor


__all__ = ["Adjoints", "Found", "input_gradient", "narrowed", "times"]
