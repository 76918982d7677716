"""Squared norms of a layer's parameter gradients, per sample and output, from its input and output gradient.

The products that this needs are those of a convolution's weight gradient with every sample a group of its
own: the (K, C) axes of a sample-major gradient are then the output channels of that group, as they lie in
memory. On the CPU oneDNN does such a product without unfolding the input, and its matrix product is used for
what remains, because the BLAS of the torch wheels runs at less than half its rate on processors that are not
Intel's. Where either is missing, the same is computed by unfolding and `torch.bmm`.

Squares are summed in the module's precision over at most `BLOCK` consecutive numbers, then in float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from verify.networks.recording.graph import LINEAR, NORMALISATION, Operation
from verify.networks.recording.windows import patches

BLOCK = 512
"""Longest run of squares that is summed in the module's own precision."""
UNFOLD = 512
"""Weights a channel from which unfolding and a matrix product is the faster way (measured: 288 no, 576 yes)."""
SMALL = 1 << 18
"""Multiplications in one matrix product below which calling oneDNN for each sample does not pay."""
ROOM = 31 << 20
"""Bytes; glibc adapts its thresholds to freed maps of at most 32 MiB."""


def keep_pages() -> None:
    """Have glibc keep freed memory of the size of gradient maps, instead of giving it back page by page.

    glibc maps large blocks afresh and unmaps them when freed, each page costing a fault, until a block of
    that size was freed once: its thresholds follow the largest such block, up to 32 MiB. One block that is
    never touched teaches it; a convolution over 10 outputs of 4 samples of ResNet-20 then takes a third of
    the time. Other allocators do not mind.
    """
    torch.empty(ROOM, dtype=torch.uint8)


@dataclass(frozen=True)
class Folded:
    """A normalisation in evaluation mode, z -> gamma (z - mean) / sigma + beta, folded into the layer before it.

    Attributes:
        factor: gamma / sigma, shape (C,).
        mean: (C,).
        inverse: 1 / sigma, (C,).
        learned: whether gamma and beta are parameters.
    """

    factor: Tensor
    mean: Tensor
    inverse: Tensor
    learned: tuple[bool, bool]


def layer_squares(
    op: Operation, g: Tensor, a: Tensor, z: Tensor, weight: Tensor, learned: tuple[bool, bool], folded: Folded | None
) -> Tensor:
    """Squared norms of the gradients of a linear map's or convolution's parameters, (S, K) in float64.

    Args:
        op: the layer.
        g: (S or 1, K, *output shape), with respect to the output of the normalisation if one is folded in.
        a: the layer's input (S, ...).
        z: the layer's output (S, ...).
        weight: its weight.
        learned: whether its weight and its bias are parameters.
        folded: the normalisation after it, if it is folded in.
    """
    n, k = len(a), g.shape[1]
    if op.kind == LINEAR and a.ndim == 2:
        # One position: an outer product.
        factor = learned[0] * squares(a)[:, None] + learned[1]
        return squares(g.flatten(2)) * factor
    groups = op.settings.get("groups", 1)
    if op.kind == LINEAR:
        g, u = g.movedim(-1, 2).flatten(3), a.reshape(n, 1, -1, a.shape[-1]).mT
    else:
        u = None
    g = g.expand(n, *g.shape[1:])
    positions = g[0, 0, 0].numel()
    gamma, beta = folded.learned if folded is not None else (False, False)
    rows: Tensor | None = None
    along: Tensor | None = None
    sums: Tensor | None = None
    if not (learned[0] or gamma):
        sums = g.flatten(3).sum(-1)
    elif gram_is_cheaper(k * g.shape[2] // groups, weight[0].numel(), positions):
        rows = _by_position(g.flatten(3), patches(a, op) if u is None else u, groups)
        sums = g.flatten(3).sum(-1) if learned[1] or gamma or beta else None
    else:
        gradient, sums = parameter_gradients(op, g, a, u, groups)
        along, rows = gradient, squares(gradient)
    total = torch.zeros(n, k, dtype=torch.float64, device=g.device)
    if learned[0]:
        assert rows is not None
        total += (rows if folded is None else rows * folded.factor.double().square()).sum(-1)
    if learned[1]:
        assert sums is not None
        total += squares(sums if folded is None else sums * folded.factor)
    if beta:
        assert sums is not None
        total += squares(sums)
    if gamma:
        assert folded is not None
        assert sums is not None
        inner = _inner(op, g, z, along, weight)
        total += squares((inner - folded.mean * sums) * folded.inverse)
    return total


def _inner(op: Operation, g: Tensor, z: Tensor, along: Tensor | None, weight: Tensor) -> Tensor:
    """Inner products (S, K, C) of g and the layer's output over positions."""
    if along is not None and op.settings["bias"] is None:
        # The output is linear in the weight, so they are those of the weight with its own gradient.
        return along.mul_(weight.reshape(len(weight), -1)).sum(-1)
    return (g.flatten(3) * z.flatten(2)[:, None]).sum(-1)


def parameter_gradients(op: Operation, g: Tensor, a: Tensor, u: Tensor | None, groups: int) -> tuple[Tensor, Tensor]:
    """Gradients (S, K, C, weights of a channel) of the weight and (S, K, C) of the bias, without a folded scale.

    Args:
        op: the layer.
        g: (S, K, C, ...).
        a: its input (S, ...).
        u: its input unfolded, (S, groups, inner, P), if that is at hand.
        groups: its groups.
    """
    n, k, c = g.shape[:3]
    weights = a.shape[1] // groups * math.prod(op.settings.get("kernel", ()))
    split = g.reshape(n, k, groups, c // groups, *g.shape[3:])
    if groups > 1:
        split = split.transpose(1, 2)
    if u is None and _grouped_is_fast(op, g, weights):
        # Every sample and group of channels is a group of one convolution.
        s = op.settings
        flat = split.reshape(1, -1, *g.shape[3:])
        shape = (flat.shape[1], a.shape[1] // groups, *s["kernel"])
        weight = flat.new_empty(1).expand(shape)
        along, sums = torch.ops.aten.convolution_backward(
            flat, a.reshape(1, -1, *a.shape[2:]), weight, [len(weight)], s["stride"], s["padding"], s["dilation"],
            False, [0] * (a.ndim - 2), n * groups, [False, True, True],
        )[1:]  # fmt: skip
    else:
        u = patches(a, op) if u is None else u
        flat = split.reshape(n * groups, k * c // groups, -1)
        along = rows_times(flat, u.reshape(n * groups, u.shape[2], -1))
        sums = flat.sum(-1)
    along, sums = along.reshape(n, groups, k, c // groups, -1), sums.reshape(n, groups, k, c // groups)
    return along.transpose(1, 2).reshape(n, k, c, -1), sums.transpose(1, 2).reshape(n, k, c)


def _grouped_is_fast(op: Operation, g: Tensor, weights: int) -> bool:
    """Whether torch gives the grouped convolution to oneDNN (float32, two dimensions, several groups) and it pays."""
    known = g.dtype == torch.float32 and g.device.type == "cpu" and g.ndim == 5 and len(g) > 1
    return known and weights < UNFOLD and torch.backends.mkldnn.is_available() and bool(torch.backends.mkldnn.enabled)


def _by_position(g: Tensor, u: Tensor, groups: int) -> Tensor:
    """Squared norms (S, K, C) of the rows of g u^T from the Gram matrix of u over positions."""
    n, k, c, p = g.shape
    split = g.reshape(n, k, groups, c // groups, p)
    flat = (split.transpose(1, 2) if groups > 1 else split).reshape(n * groups, -1, p)
    turned = u.reshape(n * groups, -1, p).mT
    rows = rows_times(flat, rows_times(turned, turned)).mul_(flat).sum(-1)
    return rows.reshape(n, groups, k, c // groups).transpose(1, 2).reshape(n, k, c).double()


def normalisation_squares(op: Operation, g: Tensor, z: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
    """Squared norms (S, K) of the gradients of a normalisation's scale and shift, where it is not folded.

    Args:
        op: the normalisation.
        g: (S or 1, K, *shape), with respect to its output.
        z: its input.
        tensors: parameters and buffers.
    """
    s = op.settings
    flat = g.flatten(3) if g.ndim > 3 else g[..., None]
    zs = z.flatten(2) if z.ndim > 2 else z[..., None]
    total = torch.zeros((), dtype=torch.float64, device=g.device)
    if s["weight"] in op.parameters:
        inverse = (tensors[s["variance"]] + s["eps"]).rsqrt()
        hat = (zs - tensors[s["mean"]][:, None]) * inverse[:, None]
        total = total + squares((flat * hat[:, None]).sum(-1))
    if s["bias"] in op.parameters:
        total = total + squares(flat.sum(-1))
    return total


def folded(op: Operation, tensors: Mapping[str, Tensor]) -> Folded:
    """What folding the normalisation ``op`` needs."""
    assert op.kind == NORMALISATION
    s = op.settings
    inverse = (tensors[s["variance"]] + s["eps"]).rsqrt()
    factor = tensors[s["weight"]] * inverse if s["weight"] else inverse
    return Folded(factor, tensors[s["mean"]], inverse, (s["weight"] in op.parameters, s["bias"] in op.parameters))


def squares(t: Tensor) -> Tensor:
    """Sums of squares over the last axis, in float64."""
    if t.dtype != torch.float32:
        return t.double().square().sum(-1)
    last = t.shape[-1]
    if last > BLOCK:
        whole = last // BLOCK * BLOCK
        out = squares(t[..., :whole].reshape(*t.shape[:-1], -1, BLOCK)).sum(-1)
        return out if whole == last else out + squares(t[..., whole:])
    return torch.linalg.vector_norm(t, dim=-1).double().square()


def rows_times(a: Tensor, b: Tensor) -> Tensor:
    """Products a b^T for each member of a batch: (B, m, p) and (B, q, p) give (B, m, q)."""
    small = a.shape[1] * a.shape[2] * b.shape[1] < SMALL
    if small or not _ONEDNN or a.dtype != torch.float32 or a.device.type != "cpu" or not torch.backends.mkldnn.enabled:
        return torch.bmm(a, b.mT)
    out = a.new_empty(len(a), a.shape[1], b.shape[1])
    for i in range(len(a)):
        out[i] = torch.ops.mkldnn._linear_pointwise(a[i], b[i], None, "none", [], "")
    return out


def _has_linear() -> bool:
    """Whether this torch has oneDNN's matrix product, and it gives what it should."""
    try:
        a = torch.arange(12.0).reshape(3, 4)
        b = torch.arange(8.0).reshape(2, 4)
        return bool(torch.equal(torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], ""), a @ b.mT))
    except (AttributeError, RuntimeError, TypeError):
        return False


_ONEDNN = torch.backends.mkldnn.is_available() and _has_linear()


def gram_is_cheaper(rows: int, inner: int, positions: int) -> bool:
    """Whether the Gram form over positions costs fewer multiplications than the product with the unfolded input."""
    return positions * (inner + rows) < rows * inner


def unfolded_size(op: Operation, samples_shape: tuple[int, ...]) -> int:
    """Numbers in a convolution's unfolded input, one sample of shape ``samples_shape``."""
    return samples_shape[0] * math.prod(op.settings["kernel"]) * math.prod(op.shape[2:])


__all__ = [
    "Folded", "folded", "gram_is_cheaper", "keep_pages", "layer_squares", "normalisation_squares",
    "parameter_gradients", "rows_times", "squares", "unfolded_size",
]  # fmt: skip
