"""Layers with other weights, and windows of convolutions and pools, for any number of dimensions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from verify.networks.recording.graph import Operation

SMOOTH = (
    "gelu", "silu", "sigmoid", "tanh", "elu", "selu", "celu", "softplus", "hardswish", "mish", "relu6", "hardtanh",
)  # fmt: skip
"""Elementwise activations that formal sums gate by the sign of their input."""
RESHAPES = ("view", "reshape", "flatten", "squeeze", "unsqueeze", "contiguous", "clone", "dropout", "dropout2d")


"""Operations of kind `SHAPE` that keep the order of the entries of a sample."""


def apply_layer(op: Operation, a: Any, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A linear map, convolution or product with a matrix with the settings of ``op`` and another weight and bias."""
    s = op.settings
    if "stride" not in s:
        return F.linear(a, weight.mT if s.get("transposed") else weight, bias)
    convolve = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[len(op.shape)]
    return convolve(a, weight, bias, s["stride"], s["padding"], s["dilation"], s["groups"])


def patches(a: Tensor, op: Operation) -> Tensor:
    """The unfolded input of a convolution, (S, groups, C k / groups, P), for any number of dimensions."""
    s = op.settings
    d, groups = a.ndim - 2, s["groups"]
    kernel = s["kernel"]
    out = op.shape[2:]
    if math.prod(kernel) == 1 and set(s["stride"]) == {1} and not any(s["padding"]):
        return a.reshape(len(a), groups, a.shape[1] // groups, -1)
    if any(s["padding"]):
        a = F.pad(a, [q for p in reversed(s["padding"]) for q in (p, p)])
    a = a.contiguous()
    steps = a.stride()[2:]
    windows = a.as_strided(
        (len(a), a.shape[1], *kernel, *out),
        (
            *a.stride()[:2],
            *(step * dilation for step, dilation in zip(steps, s["dilation"], strict=True)),
            *(step * stride for step, stride in zip(steps, s["stride"], strict=True)),
        ),
    )
    assert windows.ndim == 2 + 2 * d
    return windows.reshape(len(a), groups, -1, math.prod(out))


def largest(a: Tensor, settings: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Max pooling and the flat positions of its maxima."""
    pool = {3: F.max_pool1d, 4: F.max_pool2d, 5: F.max_pool3d}[a.ndim]
    return pool(
        a, settings["window"], settings["stride"], settings["padding"], settings["dilation"],
        ceil_mode=settings["ceil"], return_indices=True,
    )  # fmt: skip


def chosen(a: Tensor, where: Tensor) -> Tensor:
    """The entries of ``a`` at the flat positions that `largest` gave."""
    return a.flatten(2).gather(-1, where.flatten(2)).reshape(where.shape)


def window_sum(a: Any, op: Operation) -> Tensor:
    """The sum over each window of a max pooling operation."""
    s, d, channels = op.settings, a.ndim - 2, a.shape[1]
    if d == 2 and set(s["dilation"]) == {1}:
        return F.avg_pool2d(a, s["window"], s["stride"], s["padding"], s["ceil"], divisor_override=1)
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


def fan_in(op: Operation, weight: Tensor) -> int:
    """How many products a layer with this weight sums to one number."""
    return len(weight) if op.settings.get("transposed") else weight[0].numel()


def laid_out(x: Tensor) -> Tensor:
    """A batch of images with the channels last, which convolutions on the CPU prefer."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 and len(x) > 1 and not x.is_cuda else x
