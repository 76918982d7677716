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

from verify.networks.ntk.adjoints import apply_layer, largest
from verify.networks.recording.record import (
    ADD,
    AVERAGE,
    CONVOLUTION,
    GATE,
    LINEAR,
    MAXIMUM,
    NORMALISATION,
    SCALE,
    SHAPE,
    Graph,
    Operation,
    Ref,
    replay,
    store,
)

UNIT = 2.0**-53
SAFE = 1.0 + 1e-9
"""Inflates a computed nonnegative bound by more than its own rounding error."""


def gamma(n: int) -> float:
    """gamma_n, rounded up.

    Raises:
        ValueError: n u is not below 1/2.
    """
    if n * UNIT >= 0.5:
        raise ValueError(f"{n} roundings are too many for a bound in float64")
    return n * UNIT / (1 - n * UNIT) * SAFE


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
        ValueError: an operation without a bound; names it.
    """
    errors: dict[Ref, Tensor] = {Ref(-1): torch.zeros_like(values[Ref(-1)])}
    kinks: list[Kink] = []
    for i, op in enumerate(graph.operations):
        store(errors, i, _error_step(graph, i, op, tensors, values, errors, kinks))
    return errors, kinks


def _error_step(
    graph: Graph,
    i: int,
    op: Operation,
    tensors: Mapping[str, Tensor],
    values: Mapping[Ref, Tensor],
    errors: Mapping[Ref, Tensor],
    kinks: list[Kink],
) -> Any:
    s = op.settings
    e: Any = errors[op.inputs[0]] if op.inputs else None
    a: Any = values[op.inputs[0]] if op.inputs else None
    if op.kind in (LINEAR, CONVOLUTION):
        weight = tensors[s["weight"]].abs()
        bias = None if s["bias"] is None else tensors[s["bias"]].abs()
        fan = weight[0].numel() + 2
        return (apply_layer(op, e, weight, None) + gamma(fan) * apply_layer(op, a.abs() + e, weight, bias)) * SAFE
    if op.kind == NORMALISATION:
        scale, shift = _affine(op, tensors, absolute=True)
        return (scale * e + gamma(10) * (scale * (a.abs() + e) + shift)) * SAFE
    if op.kind == GATE:
        open_ = a.abs() <= e
        if bool(open_.any()):
            kinks.append(Kink(op.label, int(open_.sum()), a.numel(), int((open_ & (e > 0)).sum())))
        slope = s["slope"]
        return torch.where(a > -e, e, slope * (e + 2 * UNIT * a.abs()) * SAFE)
    if op.kind == MAXIMUM:
        source = graph.operations[op.inputs[0].index].kind == GATE if op.inputs[0].index >= 0 else False
        kinks += ties(op, a, e, source)
        pool = {3: F.max_pool1d, 4: F.max_pool2d, 5: F.max_pool3d}[a.ndim]
        return pool(e, s["window"], s["stride"], s["padding"], s["dilation"], ceil_mode=s["ceil"])
    if op.kind == AVERAGE:
        n = int(s["divisor"].max()) + 3
        absolute = replay(op, tensors, {op.inputs[0]: a.abs() + e}, len(a))
        return (replay(op, tensors, errors, len(a)) + gamma(n) * absolute) * SAFE
    if op.kind == SHAPE:
        return replay(op, tensors, errors, len(a))
    if op.kind == ADD:
        # The exact sum is within the errors of the computed one's operands.
        total = sum(errors[r] for r in s["terms"]) * (2 if len(s["terms"]) == 1 else 1)
        return (total + 2 * UNIT * values[Ref(i)].abs()) * SAFE
    if op.kind == SCALE:
        return (abs(s["factor"]) * e + 4 * UNIT * values[Ref(i)].abs()) * SAFE
    raise ValueError(f"{op.label} has no rounding bound")


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
    x = values[Ref(-1)]
    out: dict[Ref, Tensor] = {Ref(-1): x.abs()}
    for i, op in enumerate(graph.operations):
        s = op.settings
        if op.kind == GATE:
            a = out[op.inputs[0]]
            result: Any = torch.where(values[op.inputs[0]] > 0, a, a * s["slope"])
        elif op.kind == MAXIMUM:
            _, where = largest(values[op.inputs[0]], s)
            result = out[op.inputs[0]].flatten(2).gather(-1, where.flatten(2)).reshape(where.shape)
        elif op.kind == ADD:
            result = sum(out[r] for r in s["terms"]) * (2 if len(s["terms"]) == 1 else 1)
        elif op.kind == SCALE:
            result = out[op.inputs[0]] * s["factor"]
        else:
            result = replay(op, tensors, out, len(x))
        store(out, i, result)
    return out
