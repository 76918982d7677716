r"""Rigorous rounding bounds for float64 evaluations of a recorded module.

Two tools, both for the standard model of floating point (Higham, Accuracy and Stability of Numerical
Algorithms, chapter 3; u = 2^-53, gamma_n = n u / (1 - n u)):

* `forward_errors` carries an absolute error bound along the forward evaluation, operation by operation;
  it decides which gates and maxima are certain;
* `absolute_values` and `absolute_graph` give the same evaluation with every number replaced by its
  absolute value. What is computed is a polynomial in weights and inputs (gates fixed), each of whose
  monomials meets at most m roundings, so its error is at most gamma_m times that polynomial of absolute
  values. For the NTK trace that majorant is itself at most $\sum_k D_k T_k$, so that the trace bound can
  be decided however much cancellation there is.

Bounds hold for every order of summation and with fused multiply-add; float64 convolutions on the CPU
are matrix products, to which they apply.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from verify.networks.paths.sums import Pass
from verify.networks.recording.graph import GATE, NORMALISATION, SCALE, Graph, Operation, Ref, replay
from verify.networks.recording.roundings import SAFE, UNIT, gamma
from verify.networks.recording.walk import Values, Walk
from verify.networks.recording.windows import apply_layer, fan_in, largest


@dataclasses.dataclass(frozen=True)
class Kink:
    """Gates or maxima that are not certainly off their kink: where, and how many of how many.

    Attributes:
        where: the operation.
        count: how many are within rounding of a kink.
        total: of how many.
        open: for how many of these rounding leaves open what they do (the others are exactly on it).
    """

    where: str
    count: int
    total: int
    open: int

    def __str__(self) -> str:
        return f"{self.where}: {self.count} of {self.total} gates are within rounding of a kink"


def forward_errors(
    graph: Graph, tensors: Mapping[str, Tensor], values: Mapping[Ref, Tensor]
) -> tuple[dict[Ref, Tensor], list[Kink]]:
    """Absolute error bounds of forward values, and the gates that they leave open.

    Args:
        graph: the record.
        tensors: parameters, buffers and constants in float64.
        values: the float64 forward values.

    Raises:
        NotCovered: an operation without a bound; names it.
    """
    walk = _Errors(graph, tensors, values)
    return walk.run(torch.zeros_like(values[Ref(-1)])), walk.kinks


class _Errors(Walk):
    """Absolute error bounds, operation by operation."""

    def __init__(self, graph: Graph, tensors: Mapping[str, Tensor], forward: Mapping[Ref, Tensor]) -> None:
        super().__init__(graph, tensors)
        self.forward, self.kinks, self.index = forward, list[Kink](), -1

    def step(self, index: int, op: Operation, values: Values) -> Any:
        """As `Walk.step`; methods look up the forward value of the operation itself."""
        self.index = index
        return super().step(index, op, values)

    @property
    def result(self) -> Tensor:
        """The forward value of the operation that is looked at."""
        return self.forward[Ref(self.index)]

    def layer(self, op: Operation, values: Values) -> Tensor:
        """Errors of the input, and those of a sum of products."""
        s, a, e = op.settings, self.forward[op.inputs[0]], values[op.inputs[0]]
        weight = self.tensors[s["weight"]].abs()
        bias = None if s["bias"] is None else self.tensors[s["bias"]].abs()
        carried = apply_layer(op, e, weight, None)
        sizes = apply_layer(op, a.abs() + e, weight, bias)
        return (carried + gamma(fan_in(op, weight) + 2) * sizes) * SAFE

    def product(self, op: Operation, values: Values) -> Tensor:
        """One rounding."""
        e, weight = values[op.inputs[0]], self.tensors[op.settings["weight"]].abs()
        return (e * weight + 4 * UNIT * self.result.abs()) * SAFE

    def shift(self, op: Operation, values: Values) -> Tensor:
        """One rounding."""
        return (values[op.inputs[0]] + 2 * UNIT * self.result.abs()) * SAFE

    def normalisation(self, op: Operation, values: Values) -> Tensor:
        """A few roundings of an affine map."""
        a, e = self.forward[op.inputs[0]], values[op.inputs[0]]
        scale, shift = _affine(op, self.tensors, absolute=True)
        return (scale * e + gamma(10) * (scale * (a.abs() + e) + shift)) * SAFE

    def gate(self, op: Operation, values: Values) -> Tensor:
        """Nothing where it is certainly closed."""
        a, e, slope = self.forward[op.inputs[0]], values[op.inputs[0]], op.settings["slope"]
        open_ = a.abs() <= e
        if bool(open_.any()):
            self.kinks.append(Kink(op.label, int(open_.sum()), a.numel(), int((open_ & (e > 0)).sum())))
        return torch.where(a > -e, e, slope * (e + 2 * UNIT * a.abs()) * SAFE)

    def maximum(self, op: Operation, values: Values) -> Tensor:
        """At most the largest error in the window."""
        a, e, source = self.forward[op.inputs[0]], values[op.inputs[0]], op.inputs[0].index
        self.kinks += ties(op, a, e, source >= 0 and self.graph.operations[source].kind == GATE)
        return largest(e, op.settings)[0]

    def average(self, op: Operation, values: Values) -> Tensor:
        """A sum and a division."""
        a, e = self.forward[op.inputs[0]], values[op.inputs[0]]
        absolute = replay(op, self.tensors, {op.inputs[0]: a.abs() + e}, len(a))
        return (replay(op, self.tensors, values, len(a)) + gamma(op.settings["count"] + 3) * absolute) * SAFE

    def add(self, op: Operation, values: Values) -> Tensor:
        """The exact sum is within the errors of the computed one's operands."""
        terms = op.settings["terms"]
        total = sum(values[r] for r in terms) * (2 if len(terms) == 1 else 1)
        return (total + 2 * UNIT * self.result.abs()) * SAFE

    def scale(self, op: Operation, values: Values) -> Tensor:
        """One rounding, and one of the factor."""
        return (abs(op.settings["factor"]) * values[op.inputs[0]] + 4 * UNIT * self.result.abs()) * SAFE

    def unknown(self, op: Operation, values: Values) -> Any:
        """Constants are exact."""
        made = super().unknown(op, values)
        return torch.zeros_like(made) if isinstance(made, Tensor) else [torch.zeros_like(t) for t in made]


def ties(op: Operation, a: Tensor, e: Tensor, after_gate: bool) -> list[Kink]:
    """Windows whose largest entry is not certainly the largest.

    Entries that a ReLU certainly holds at 0 may tie: whichever is chosen, its paths are off.
    """
    best, where = largest(a, op.settings)
    lower = best - e.flatten(2).gather(-1, where.flatten(2)).reshape(best.shape)
    dead = (a == 0) & (e == 0) if after_gate else torch.zeros_like(a, dtype=torch.bool)
    upper = torch.where(dead, -math.inf, a + e)
    # The winner's own upper end always reaches its lower end; a second one that does may be the largest.
    open_ = (_windows(upper, op) >= lower[..., None]).sum(-1) > 1
    count = int(open_.sum())
    return [Kink(op.label, count, best.numel(), count)] if count else []


def _windows(a: Tensor, op: Operation) -> Tensor:
    """The entries of every pooling window along a last axis, -inf outside; (N, C, ..., window)."""
    s = op.settings
    pads, out = [], op.shape[2:]
    for size, o, w, stride, p, d in zip(
        a.shape[2:], out, s["window"], s["stride"], s["padding"], s["dilation"], strict=True
    ):
        pads.append((p, max(0, (o - 1) * stride + d * (w - 1) + 1 - size - p)))
    a = F.pad(a, [q for p in reversed(pads) for q in p], value=-math.inf).contiguous()
    steps = a.stride()[2:]
    view = a.as_strided(
        (*a.shape[:2], *out, *s["window"]),
        (
            *a.stride()[:2],
            *(step * stride for step, stride in zip(steps, s["stride"], strict=True)),
            *(step * d for step, d in zip(steps, s["dilation"], strict=True)),
        ),
    )
    return view.flatten(2 + len(out))


def _affine(op: Operation, tensors: Mapping[str, Tensor], absolute: bool) -> tuple[Tensor, Tensor]:
    s = op.settings
    shape = (-1, *[1] * (len(op.shape) - 2))
    mean = tensors[s["mean"]]
    scale = (tensors[s["variance"]] + s["eps"]).rsqrt()
    if s["weight"] is not None:
        scale = scale * tensors[s["weight"]]
    if absolute:
        scale, mean = scale.abs(), mean.abs()
    shift = scale * mean
    if s["bias"] is not None:
        shift = shift + tensors[s["bias"]].abs()
    return scale.reshape(shape), shift.reshape(shape)


def absolute_graph(graph: Graph, tensors: Mapping[str, Tensor]) -> tuple[Graph, dict[str, Tensor]]:
    """The network whose weights, constants and factors are the absolute values of the given one's."""
    operations, out = [], {n: t.abs() if t.is_floating_point() else t for n, t in tensors.items()}
    for op in graph.operations:
        settings = {k: v for k, v in op.settings.items() if k != "signs"}
        if op.kind == SCALE:
            settings["factor"] = abs(settings["factor"])
        if op.kind == NORMALISATION:
            # (z - mean) becomes (|z| + |mean|).
            out[settings["mean"]] = -tensors[settings["mean"]].abs()
        operations.append(dataclasses.replace(op, settings=settings))
    return dataclasses.replace(graph, operations=operations), out


def absolute_values(graph: Graph, tensors: Mapping[str, Tensor], values: Mapping[Ref, Tensor]) -> dict[Ref, Tensor]:
    """Forward values of the absolute network with the gates of ``values``; arguments from `absolute_graph`."""
    weights = {n: tensors[n] for n in graph.parameters}
    return Pass(graph, tensors, weights, 1, gates=values, slopes=1).run(values[Ref(-1)].abs())
