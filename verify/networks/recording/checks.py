"""What every quantity asks of a module and its inputs before it looks at them, and how it says what was wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from verify.networks.recording.graph import Graph, NotCovered

RUNS = "the module itself"
"""`NotCovered.by` where forward raised."""
ALL = "any quantity"
"""`NotCovered.by` where the outputs are no function of one sample that could be differentiated."""


def check_output(out: Any, count: int) -> None:
    """Raise unless a module's output is one tensor of real numbers for ``count`` samples, samples first.

    Raises:
        NotCovered: says what it is instead.
    """
    if not isinstance(out, Tensor):
        why = f"returns {type(out).__name__}, not a tensor: wrap it so that it returns one"
        raise NotCovered("", "", why, ALL)
    if out.ndim < 1 or len(out) != count:
        why = f"maps {count} samples to shape {tuple(out.shape)}: the first axis must be samples"
        raise NotCovered("", "", why, ALL)
    if not out.is_floating_point():
        raise NotCovered("", "", f"returns {out.dtype}: real numbers in floating point are needed", ALL)
    if not out.numel():
        raise NotCovered("", "", f"returns no numbers: its output has shape {tuple(out.shape)}", ALL)


def alike(one: Tensor, other: Tensor) -> bool:
    """Whether the outputs of the same samples in two batches differ by no more than rounding."""
    if one.shape != other.shape or not one.is_floating_point() or not one.numel():
        return one.shape == other.shape
    size = max(float(t.abs().nan_to_num().amax()) for t in (one, other))
    tolerance = 1e-3 if torch.finfo(one.dtype).eps > 1e-10 else 1e-8
    return torch.allclose(one, other, rtol=0, atol=tolerance * size, equal_nan=True)


def check_alone(graph: Graph) -> None:
    """Raise unless a sample's output depends on that sample alone."""
    if not graph.alone:
        raise mixes()


def does_not_run(x: Tensor, e: Exception) -> NotCovered:
    """The exception for a module whose forward raises ``e``."""
    kind = "" if isinstance(e, RuntimeError | TypeError | IndexError) else f"{type(e).__name__}: "
    line = (str(e).strip().splitlines() or [type(e).__name__])[0]
    return NotCovered("", "it", f"does not run on inputs of shape {tuple(x.shape)}: {kind}{line}", RUNS)


def hooked(modules: Iterable[tuple[str, nn.Module]], parameters: Iterable[tuple[str, Tensor]]) -> NotCovered | None:
    """The error about the first hook that may change a gradient on its way; None without one."""
    for name, m in modules:
        if m._backward_hooks or m._backward_pre_hooks:
            return NotCovered(name, type(m).__name__, "has a hook that may change its gradients")
    for name, p in parameters:
        if p._backward_hooks:
            return NotCovered("", name, "has a hook that may change its gradient")
    return None


def mixes() -> NotCovered:
    """The exception for a module that mixes samples."""
    why = "for a sample depends on the rest of the batch: there is no function of one sample"
    return NotCovered("", "its output", why, ALL)


def check_module(module: nn.Module) -> None:
    """Raise unless the parameters are real numbers that are there.

    Raises:
        ValueError: says which is not.
    """
    for name, p in module.named_parameters():
        if isinstance(p, nn.parameter.UninitializedParameter):
            raise ValueError(f"parameter {name} is not initialised yet: run the module once")
        if p.is_meta:
            raise ValueError(f"parameter {name} is on the meta device: it has no numbers")
        if not p.is_floating_point():
            raise ValueError(f"parameter {name} holds {p.dtype}: real numbers in floating point are needed")


def check_finite(module: nn.Module, x: Tensor, *, buffers: bool = True) -> None:
    """Raise unless parameters, inputs and (an attention mask may not be) ``buffers`` are finite.

    Raises:
        ValueError: says which are not.
    """
    held = [("x", x), *((f"parameter {n}", p) for n, p in module.named_parameters())]
    held += [(f"buffer {n}", b) for n, b in module.named_buffers()] if buffers else []
    for name, t in held:
        if t.is_floating_point() and not all_finite(t.detach()):
            raise ValueError(f"{name} holds NaN or infinite numbers")


def all_finite(t: Tensor) -> bool:
    """Whether all numbers are finite; a finite sum has finite terms, and is had sooner."""
    return math.isfinite(float(t.sum())) or bool(torch.isfinite(t).all())


def check_inputs(x: Any) -> None:
    """Raise unless ``x`` can be an input: floating-point numbers, samples first.

    Raises:
        ValueError: says what was wrong.
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise ValueError(f"x must be a floating-point tensor; got {getattr(x, 'dtype', type(x).__name__)}")
    if x.ndim < 1 or len(x) == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}; at least one sample is needed")
    if x.is_meta:
        raise ValueError("x is on the meta device: it has no numbers")
    if x.layout != torch.strided:
        raise ValueError(f"x has the layout {x.layout}: a dense tensor is needed")
