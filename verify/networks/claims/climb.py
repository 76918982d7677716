"""Gradient ascent towards a violation, over the inputs, the scales and the masks of a torch module.

The relative margin of an inequality about the NTK's trace, path activation and path kernel is differentiable
almost everywhere in the inputs, in one factor for each parameter tensor and in relaxed masks (a factor in
[0, 1] for each weight). Floating point only leads the way: where it ends up is decided with rounding bounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from theory.claims import Claim
from verify.networks.claims.undecided import Undecided
from verify.networks.paths.sums import path_activation, path_kernel
from verify.networks.recording.graph import Graph, Ref

LEGS, STEPS = 10, 80
"""Legs of an ascent, after each of which masks are rounded, and steps a leg; at most."""
ROUNDED = (0.1, 0.5, 0.9)
"""Thresholds at which relaxed masks are rounded to 0 and 1."""
OUTPUTS = 12
"""Up to so many outputs the trace is differentiated output by output, else along random signs of them."""


class FloatOnData:
    """What claims ask of a module on data, as torch scalars that can be differentiated.

    Args:
        graph: the record.
        tensors: its tensors, of which some require gradients.
        x: inputs.
        generator: for the random signs that stand for many outputs.
    """

    rounding, stacked = "", False

    def __init__(self, graph: Graph, tensors: Mapping[str, Tensor], x: Tensor, generator: torch.Generator) -> None:
        self.graph, self.tensors, self.x, self.generator = graph, dict(tensors), x, generator
        self.sums = SimpleNamespace(outputs=int(np.prod(graph.output_shape)))

    def __getattr__(self, name: str) -> Any:
        raise Undecided(f"{name} is not differentiated")

    @cached_property
    def values(self) -> dict[Ref, Tensor]:
        """The forward evaluation."""
        return self.graph.run(self.tensors, self.x)

    @cached_property
    def _trace(self) -> Tensor:
        out = self.values[self.graph.output].reshape(len(self.x), -1)
        count = out.shape[1]
        directions = torch.eye(count, dtype=out.dtype)
        if count > OUTPUTS:
            signs = torch.randint(0, 2, (4, count), generator=self.generator).to(out) * 2 - 1
            directions = signs / 2
        leaves = [self.tensors[n] for n in self.graph.parameters]
        total = out.new_zeros(())
        for n in range(len(self.x)):
            for d in directions:
                g = torch.autograd.grad((out[n] * d).sum(), leaves, create_graph=True, allow_unused=True)
                total = total + torch.stack([a.square().sum() for a in g if a is not None]).sum()
        return total

    def ntk_trace(self) -> Tensor:
        """Tr Theta(X, X)."""
        return self._trace

    def activation_per_output(self) -> np.ndarray:
        """D_k."""
        return _objects(path_activation(self.graph, self.tensors, self.values))

    @cached_property
    def _kernel(self) -> tuple[Tensor, Tensor]:
        return path_kernel(self.graph, self.tensors)

    def kernel_per_output(self) -> np.ndarray:
        """T_k."""
        return _objects(self._kernel[1])

    def objective_per_output(self) -> np.ndarray:
        """R_k."""
        return _objects(self._kernel[0])

    def path_activation(self) -> Tensor:
        """Sum of D_k."""
        return path_activation(self.graph, self.tensors, self.values).sum()

    def path_kernel_trace(self) -> Tensor:
        """Sum of T_k."""
        return self._kernel[1].sum()

    def unsquared_activation(self) -> Tensor:
        """The activation fed with |x|, per output."""
        run = {**self.values, Ref(-1): self.x.abs().sqrt()}
        return path_activation(self.graph, self.tensors, run)


def _objects(t: Tensor) -> np.ndarray:
    out = np.empty(len(t), dtype=object)
    for i, v in enumerate(t):
        out[i] = v
    return out


def _unsquared(i: FloatOnData) -> Tensor:
    return _excess(i.ntk_trace(), (i.unsquared_activation() * i._kernel[1]).sum())


EXCESS: dict[str, Callable[[FloatOnData], Tensor]] = {"path-exclusion/unsquared-data-bounds": _unsquared}
"""Claims whose form is not made of differentiable parts: log of the left over the right side."""


def excess(claim: Claim, i: FloatOnData) -> Tensor:
    """Log of the left over the right side of the tightest inequality: positive where the claim looks violated.

    Raises:
        Undecided: the claim is no inequality between quantities that are differentiated here.
    """
    if claim.id in EXCESS:
        return EXCESS[claim.id](i)
    found = []
    try:
        parts = claim.function(i).parts
    except (TypeError, ValueError, IndexError, AttributeError) as e:
        raise Undecided(f"the claim does not take torch scalars: {e}") from None
    for part in parts:
        if part.kind not in ("<=", "<"):
            raise Undecided("only inequalities are climbed")
        left, right = np.broadcast_arrays(_boxed(part.lhs), _boxed(part.rhs))
        found += [_excess(a, b) for a, b in zip(left.ravel(), right.ravel(), strict=True)]
    return torch.stack(found).max()


def _boxed(side: Any) -> np.ndarray:
    if isinstance(side, np.ndarray):
        return side
    out = np.empty((), dtype=object)
    out[()] = side
    return out


def _excess(a: Any, b: Any) -> Tensor:
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        raise Undecided("a side does not depend on the module")
    tiny = torch.finfo(a.dtype).tiny
    return a.clamp_min(tiny).log() - b.clamp_min(tiny).log()


@dataclass(frozen=True)
class Point:
    """Where an ascent got: tensors, inputs, and what floating point says of it."""

    tensors: dict[str, Tensor]
    x: Tensor
    excess: float
    steps: int


def climb(
    claim: Claim, graph: Graph, tensors: Mapping[str, Tensor], x: Tensor, *, steps: int = LEGS * STEPS, seed: int = 0,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Point]:  # fmt: skip
    """Ascend from a module on inputs; yields the best point, if there is any to go to.

    Args:
        claim: an inequality.
        graph: the record.
        tensors: its tensors in float64.
        x: inputs in float64, few of them.
        steps: how many gradient steps to take, over all legs.
        seed: of what little is random.
        stopped: whether somebody's limit in seconds has struck; asked before each step.

    Raises:
        Undecided: see `excess`.
        NotCovered: an operation through which there are no paths.
    """
    best = Point(dict(tensors), x.clone(), -math.inf, 0)
    # At least three legs: where masks are rounded, the next one starts anew.
    leg_steps = min(STEPS, max(1, steps // 3))
    for leg in range(min(LEGS, max(1, steps // leg_steps))):
        generator = torch.Generator().manual_seed(seed)
        before = best
        best, masks = _leg(claim, graph, best, generator, leg_steps, stopped)
        for threshold in ROUNDED:
            kept = {**best.tensors, **{n: best.tensors[n] * (m > threshold) for n, m in masks.items()}}
            value = _value(claim, graph, kept, best.x, generator)
            if value >= best.excess:
                best = Point(kept, best.x, value, best.steps)
        if stopped() or (leg and best.excess <= before.excess):
            break
    if best.excess > -math.inf:
        yield best


def _value(claim: Claim, graph: Graph, tensors: Mapping[str, Tensor], x: Tensor, generator: torch.Generator) -> float:
    here = {n: t.detach().requires_grad_(n in graph.parameters) for n, t in tensors.items()}
    with torch.enable_grad():
        value = float(excess(claim, FloatOnData(graph, here, x, generator)).detach())
    return value if math.isfinite(value) else -math.inf


def _leg(
    claim: Claim, graph: Graph, start: Point, generator: torch.Generator, steps: int,
    stopped: Callable[[], bool],
) -> tuple[Point, dict[str, Tensor]]:  # fmt: skip
    """Some steps of Adam from a point: the best point met, and the relaxed masks there."""
    names = list(graph.parameters)
    scales = {n: torch.zeros((), dtype=torch.float64, requires_grad=True) for n in names}
    masks = {n: (start.tensors[n] != 0).double().requires_grad_() for n in names}
    inputs = start.x.clone().requires_grad_()
    size = torch.zeros((), dtype=torch.float64, requires_grad=True)
    spread = float(start.x.square().mean().sqrt()) or 1.0
    optimizer = torch.optim.Adam([
        {"params": [*scales.values(), size], "lr": 0.3},
        {"params": list(masks.values()), "lr": 0.03},
        {"params": [inputs], "lr": 0.05 * spread},
    ])  # fmt: skip
    best, relaxed = start, {n: m.detach().clone() for n, m in masks.items()}
    for step in range(steps):
        if step > 1 and stopped():
            break
        with torch.enable_grad():
            here = {n: start.tensors[n] * scales[n].exp() * masks[n] for n in names}
            now = inputs * size.exp()
            value = excess(claim, FloatOnData(graph, {**start.tensors, **here}, now, generator))
        if not bool(torch.isfinite(value.detach())):
            break
        if float(value.detach()) > best.excess:
            kept = {**start.tensors, **{n: t.detach().clone() for n, t in here.items()}}
            best = Point(kept, now.detach().clone(), float(value.detach()), start.steps + step)
            relaxed = {n: m.detach().clone() for n, m in masks.items()}
        optimizer.zero_grad()
        (-value).backward()
        optimizer.step()
        with torch.no_grad():
            for m in masks.values():
                m.clamp_(0, 1)
    return best, relaxed


__all__ = ["FloatOnData", "Point", "climb", "excess"]
