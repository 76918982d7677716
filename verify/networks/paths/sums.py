r"""Path activation, path kernel and their bound on the NTK trace, for a torch module, without paths.

For every output k (path-exclusion paper, notation of `theory.papers.path_exclusion`):

* $D_k = \sum_n \sum_{p \to k} a_p(x_n)^2 x_{n,s(p)}^2$: one evaluation with squared inputs, every weight
  1, and the gates of the real forward (the argmax of a maximum included);
* $R_k = \sum_{p \to k} v_p^2$: one evaluation, of a single sample of ones, with squared weights and
  without ReLU, where a maximum becomes a sum over its window;
* $T_k = \sum_{p \to k} \|\nabla_\theta v_p\|^2 = \sum_j \partial R_k / \partial \theta_j^2$: the derivative
  of that evaluation in the direction in which every squared weight grows equally, carried along it, so
  that all outputs cost one evaluation together.

Biases are paths from a constant input 1. Normalisation in evaluation mode is affine: its scale a weight,
its shift a path from the constant, its running mean (where it is not 0) another. Averages contribute
their 1/window to path values, not to gates. Everything summed is nonnegative, so the relative rounding
error of each number is at most gamma_n with n = `roundings`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from verify.networks.ntk.adjoints import apply_layer, largest
from verify.networks.ntk.trace import record_for
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

SMOOTH = (
    "gelu",
    "silu",
    "sigmoid",
    "tanh",
    "elu",
    "selu",
    "celu",
    "softplus",
    "hardswish",
    "mish",
    "relu6",
    "hardtanh",
)
"""Elementwise activations that `formal` sums gate by the sign of their input."""

Masks = Mapping[str, Tensor]


class NoPathSums(ValueError):
    """The module has an operation through which there are no paths; the message names it."""


@dataclass(frozen=True)
class PathBound:
    """The bound tr Theta(X, X) <= sum_k D_k T_k <= (sum_k D_k)(sum_k T_k) and its factors, in float64.

    Attributes:
        activation_per_output: D_k, shape (K,).
        kernel_per_output: T_k, shape (K,).
        objective_per_output: R_k, shape (K,).
        roundings: n such that each of these numbers has relative error at most n u / (1 - n u), u = 2^-53.
    """

    activation_per_output: Tensor
    kernel_per_output: Tensor
    objective_per_output: Tensor
    roundings: int

    @property
    def activation(self) -> Tensor:
        """The squared Frobenius norm of J_v^f(X)."""
        return self.activation_per_output.sum()

    @property
    def kernel(self) -> Tensor:
        """The trace of the path kernel."""
        return self.kernel_per_output.sum()

    @property
    def bound(self) -> Tensor:
        """Activation times kernel."""
        return self.activation * self.kernel

    @property
    def per_output(self) -> Tensor:
        """D_k T_k, shape (K,); its sum is the sharper bound."""
        return self.activation_per_output * self.kernel_per_output

    @property
    def objective(self) -> Tensor:
        """sum_k D_k R_k, what path exclusion differentiates."""
        return (self.activation_per_output * self.objective_per_output).sum()


def path_bound(
    module: nn.Module,
    x: Tensor,
    *,
    masks: Masks | None = None,
    formal: bool = False,
    graph: Graph | None = None,
) -> PathBound:
    """Path activation, kernel and bound of a module on inputs.

    Args:
        module: the module, in evaluation mode for this; computed in float64.
        x: inputs, samples first.
        masks: 0/1 tensors by parameter name: masked weights are no edges.
        formal: treat smooth activations as ReLU gates (the sums then bound nothing by themselves).
        graph: the module's record, if it was made already.

    Raises:
        NoPathSums: an operation through which there are no paths; names it.
        ValueError: as `verify.networks.ntk.trace.ntk_trace`.
    """
    graph = record_for(module, x) if graph is None else graph
    tensors = graph.tensors(module, torch.float64)
    x = x.detach().double()
    with torch.no_grad():
        if masks:
            tensors = {n: t * masks[n] if n in masks else t for n, t in tensors.items()}
        values = graph.run(tensors, x)
        activation = path_activation(graph, tensors, values, masks=masks, formal=formal)
        objective, kernel = path_kernel(graph, tensors, masks=masks, formal=formal)
    return PathBound(activation, kernel, objective, roundings(graph, tensors, len(x)))


def path_activation(
    graph: Graph,
    tensors: Mapping[str, Tensor],
    values: Mapping[Ref, Tensor],
    *,
    masks: Masks | None = None,
    formal: bool = False,
) -> Tensor:
    """D_k, shape (K,), with the gates of the forward values ``values``."""
    x = values[Ref(-1)]
    sums: dict[Ref, Tensor] = {Ref(-1): x * x}
    for i, op in enumerate(graph.operations):
        store(sums, i, _activation_step(op, tensors, values, sums, masks or {}, formal, len(x)))
    return sums[graph.output].reshape(len(x), -1).sum(0)


def _activation_step(
    op: Operation,
    tensors: Mapping[str, Tensor],
    values: Mapping[Ref, Tensor],
    sums: Mapping[Ref, Tensor],
    masks: Masks,
    formal: bool,
    batch: int,
) -> Any:
    s = op.settings
    d: Any = sums[op.inputs[0]] if op.inputs else None
    if op.kind in (LINEAR, CONVOLUTION):
        return _count(op, tensors, masks, d)
    if op.kind == NORMALISATION:
        shape = (-1, *[1] * (len(op.shape) - 2))
        mean = (tensors[s["mean"]] != 0).double()
        scale = masks[s["weight"]] if s["weight"] in masks else torch.ones_like(mean)
        shift = 0.0 if s["bias"] is None else masks.get(s["bias"], torch.ones_like(mean)) + 0.0 * mean
        return d * scale.reshape(shape) + (mean * scale + shift).reshape(shape)
    if op.kind == GATE or (formal and op.name.rstrip("_") in SMOOTH and len(op.inputs) == 1):
        slope = s.get("slope", 0.0)
        return torch.where(values[op.inputs[0]] > 0, d, d * (slope * slope))
    if op.kind == MAXIMUM:
        _, where = largest(values[op.inputs[0]], s)
        return d.flatten(2).gather(-1, where.flatten(2)).reshape(where.shape)
    return _linear_step(op, tensors, sums, batch, lambda t, divisor: t * divisor, lambda t, factor: t)


def _linear_step(
    op: Operation, tensors: Mapping[str, Tensor], sums: Mapping[Ref, Tensor], batch: int, average: Any, scale: Any
) -> Any:
    """Operations without parameters that treat both kinds of sums alike, but for their constant factors."""
    if op.kind == SHAPE:
        return replay(op, tensors, sums, batch)
    if op.kind == AVERAGE:
        return average(replay(op, tensors, sums, batch), op.settings["divisor"])
    if op.kind == SCALE:
        return scale(sums[op.inputs[0]], op.settings["factor"])
    if op.kind == ADD:
        terms = [sums[r] for r in op.settings["terms"]]
        return terms[0] + terms[1] if len(terms) == 2 else 2 * terms[0]
    if not op.inputs and not op.parameters:
        return replay(op, tensors, sums, batch)
    raise NoPathSums(f"{op.label} has no paths: it is no linear map, ReLU, maximum or average that is understood")


def _count(op: Operation, tensors: Mapping[str, Tensor], masks: Masks, a: Any) -> Tensor:
    """A layer with every weight 1 (its mask where it has one)."""
    s = op.settings
    weight = tensors[s["weight"]]
    bias = None if s["bias"] is None else masks.get(s["bias"], torch.ones_like(tensors[s["bias"]])).to(weight.dtype)
    if s["weight"] in masks:
        return apply_layer(op, a, masks[s["weight"]].to(weight.dtype), bias)
    # Without a mask all outputs of a group are the same number.
    groups = s.get("groups", 1)
    one = apply_layer(op, a, torch.ones(groups, *weight.shape[1:], dtype=weight.dtype, device=weight.device), None)
    if op.kind == LINEAR:
        out = one.expand(*one.shape[:-1], len(weight))
    else:
        out = one.repeat_interleave(len(weight) // groups, dim=1)
    if bias is None:
        return out
    return out + (bias if op.kind == LINEAR else bias.reshape(-1, *[1] * (len(op.shape) - 2)))


def path_kernel(
    graph: Graph, tensors: Mapping[str, Tensor], *, masks: Masks | None = None, formal: bool = False
) -> tuple[Tensor, Tensor]:
    """(R_k, T_k), each of shape (K,); one evaluation of a batch of one, with its derivative."""
    masks = masks or {}
    like = next(iter(tensors[n] for n in graph.parameters))
    one = torch.ones(1, *graph.input_shape, dtype=like.dtype, device=like.device)
    values: dict[Ref, Tensor] = {Ref(-1): one}
    slopes: dict[Ref, Tensor] = {Ref(-1): torch.zeros_like(one)}
    for i, op in enumerate(graph.operations):
        for part, result in zip(
            (values, slopes), _kernel_step(op, tensors, values, slopes, masks, formal), strict=True
        ):
            store(part, i, result)
    return values[graph.output].reshape(-1), slopes[graph.output].reshape(-1)


def _kernel_step(
    op: Operation,
    tensors: Mapping[str, Tensor],
    values: Mapping[Ref, Tensor],
    slopes: Mapping[Ref, Tensor],
    masks: Masks,
    formal: bool,
) -> tuple[Any, Any]:
    s = op.settings
    r, t = (values[op.inputs[0]], slopes[op.inputs[0]]) if op.inputs else (None, None)
    if op.kind in (LINEAR, CONVOLUTION):
        weight = tensors[s["weight"]].square()
        bias = None if s["bias"] is None else tensors[s["bias"]].square()
        # d(w r) = w dr + dw r, with dw = 1 for every weight that is an edge.
        learned = [n for n in (s["weight"], s["bias"]) if n is not None and n not in op.parameters]
        grown = _count(op, tensors, masks, r) if not learned else _count_learned(op, tensors, masks, r)
        return apply_layer(op, r, weight, bias), apply_layer(op, t, weight, None) + grown
    if op.kind == NORMALISATION:
        return _normalisation_step(op, tensors, r, t, masks)
    if op.kind == GATE or (formal and op.name.rstrip("_") in SMOOTH and len(op.inputs) == 1):
        return r, t
    if op.kind == MAXIMUM:
        return window_sum(r, op), window_sum(t, op)
    value, slope = (
        _linear_step(op, tensors, sums, 1, lambda a, divisor: a / divisor, lambda a, factor: a * factor**2)
        for sums in (values, slopes)
    )
    return value, slope


def _count_learned(op: Operation, tensors: Mapping[str, Tensor], masks: Masks, a: Any) -> Tensor:
    """`_count` where some of the layer's tensors are constants, which do not grow."""
    constant = {n: torch.zeros_like(tensors[n]) for n in (op.settings["weight"], op.settings["bias"]) if n is not None}
    constant = {n: z for n, z in constant.items() if n not in op.parameters}
    return _count(op, tensors, {**masks, **constant}, a)


def _normalisation_step(
    op: Operation, tensors: Mapping[str, Tensor], r: Any, t: Any, masks: Masks
) -> tuple[Tensor, Tensor]:
    s = op.settings
    shape = (-1, *[1] * (len(op.shape) - 2))
    mean, variance = tensors[s["mean"]], tensors[s["variance"]] + s["eps"]
    entering, squared_mean = r / variance.reshape(shape), (mean * mean / variance).reshape(shape)
    scale = torch.ones_like(mean) if s["weight"] is None else tensors[s["weight"]].square()
    value = (entering + squared_mean) * scale.reshape(shape)
    slope = t / variance.reshape(shape) * scale.reshape(shape)
    if s["weight"] in op.parameters:
        slope = slope + (entering + squared_mean) * masks.get(s["weight"], torch.ones_like(mean)).reshape(shape)
    if s["bias"] is not None:
        value = value + tensors[s["bias"]].square().reshape(shape)
        if s["bias"] in op.parameters:
            slope = slope + masks.get(s["bias"], torch.ones_like(mean)).reshape(shape)
    return value, slope


def window_sum(a: Any, op: Operation) -> Tensor:
    """The sum over each window of a max pooling operation."""
    s, d, channels = op.settings, a.ndim - 2, a.shape[1]
    pads = []
    for size, out, window, stride, padding, dilation in zip(
        a.shape[2:], op.shape[2:], s["window"], s["stride"], s["padding"], s["dilation"], strict=True
    ):
        needed = (out - 1) * stride + dilation * (window - 1) + 1
        pads.append((padding, max(0, needed - size - padding)))
    a = F.pad(a, [q for p in reversed(pads) for q in p])
    ones = torch.ones(channels, 1, *s["window"], dtype=a.dtype, device=a.device)
    convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[d]
    out = convolve(a, ones, None, s["stride"], 0, s["dilation"], channels)
    return out[(slice(None), slice(None), *(slice(0, n) for n in op.shape[2:]))]


def roundings(graph: Graph, tensors: Mapping[str, Tensor], samples: int) -> int:
    """An upper bound on the rounding errors that compound on any path through an auxiliary evaluation.

    Sums are counted by their length, so the bound holds for every order of summation (blocked, fused
    multiply-add); it does not cover Winograd or FFT convolutions, which float64 on the CPU does not use.
    """
    count = samples + 8
    for op in graph.operations:
        s = op.settings
        if op.kind in (LINEAR, CONVOLUTION):
            count += tensors[s["weight"]][0].numel() + 4
        elif op.kind == NORMALISATION:
            count += 10
        elif op.kind == MAXIMUM:
            count += math.prod(s["window"])
        elif op.kind == AVERAGE:
            count += int(s["divisor"].max()) + 3
        elif op.kind in (ADD, SCALE, GATE):
            count += 3
    return count


__all__ = [
    "Masks",
    "NoPathSums",
    "PathBound",
    "path_activation",
    "path_bound",
    "path_kernel",
    "roundings",
    "window_sum",
]
