"""SNIP, GraSP and NTK-SAP of torch modules with every mode a setting: on purpose a second implementation.

`verify.networks.scores` scores with normalisations in evaluation mode, as the theory is about. At initialisation the
stored statistics are those of no data, so that this is no normalisation at all; the releases of SNIP and GraSP score
in training mode, with the statistics of the batch. In evaluation mode the two implementations agree
(`tests/verify/test_published.py`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from theory.names import did_you_mean

STATISTICS = ("batch", "evaluation")


@dataclass(frozen=True)
class Mode:
    """How a module is scored.

    Attributes:
        statistics: of normalisations: "batch" (training mode) or "evaluation" (the stored ones).
        temperature: what the outputs are divided by.
        absolute: keep the largest |score|, rather than the largest score.

    Raises:
        ValueError: unknown statistics, or a temperature that is not positive.
    """

    statistics: str = "batch"
    temperature: float = 1.0
    absolute: bool = False

    def __post_init__(self) -> None:
        if self.statistics not in STATISTICS:
            raise ValueError(f"statistics are {' or '.join(STATISTICS)}, not {self.statistics!r}")
        if not self.temperature > 0:
            raise ValueError(f"a temperature is positive, not {self.temperature}")

    def __str__(self) -> str:
        parts = [{"batch": "batch statistics", "evaluation": "stored statistics"}[self.statistics]]
        parts += [f"temperature {self.temperature:g}"] if self.temperature != 1 else []
        return ", ".join([*parts, *(["absolute value"] if self.absolute else [])])


Outputs = Callable[[Mapping[str, Tensor], Tensor], Tensor]


def _snip(outputs: Outputs, theta: dict[str, Tensor], x: Tensor, y: Tensor, seed: int) -> dict[str, Tensor]:
    loss = functional.cross_entropy(outputs(theta, x), y)
    gradients = torch.autograd.grad(loss, list(theta.values()))
    return {n: (p * g).detach().abs() for (n, p), g in zip(theta.items(), gradients, strict=True)}


def _grasp(outputs: Outputs, theta: dict[str, Tensor], x: Tensor, y: Tensor, seed: int) -> dict[str, Tensor]:
    loss = functional.cross_entropy(outputs(theta, x), y)
    gradients = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
    product = torch.stack([(g * g.detach()).sum() for g in gradients]).sum()
    # -theta * Hg is what GraSP drops the highest of.
    return {
        n: (p * h).detach()
        for (n, p), h in zip(theta.items(), torch.autograd.grad(product, list(theta.values())), strict=True)
    }


def _ntk_sap(outputs: Outputs, theta: dict[str, Tensor], x: Tensor, y: Tensor, seed: int) -> dict[str, Tensor]:
    generator, epsilon = torch.Generator().manual_seed(seed), 1e-2
    inputs = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x)
    shifts = {n: torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p) for n, p in theta.items()}
    here = {n: (p.detach() != 0).to(p).requires_grad_() for n, p in theta.items()}
    dense = outputs({n: p.detach() * here[n] for n, p in theta.items()}, inputs)
    moved = outputs({n: (p.detach() + epsilon * shifts[n]) * here[n] for n, p in theta.items()}, inputs)
    gradients = torch.autograd.grad(((dense - moved) ** 2).sum(), list(here.values()))
    return {n: (g * here[n]).detach().abs() for n, g in zip(here, gradients, strict=True)}


METHODS = {"snip": _snip, "grasp": _grasp, "ntk-sap": _ntk_sap}


def scores(
    module: nn.Module, method: str, mode: Mode, x: Tensor, y: Tensor, *, masks: Mapping[str, Tensor] | None = None,
    seed: int = 0,
) -> dict[str, Tensor]:  # fmt: skip
    """Scores of the weights (tensors with two axes or more), larger is kept; the module is left as it was.

    Args:
        module: a classifier.
        method: a key of `METHODS`.
        mode: how it is scored.
        x: inputs (n, ...).
        y: classes (n,).
        masks: weights that are there (nonzero).
        seed: of NTK-SAP's inputs and perturbation.

    Raises:
        ValueError: an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"no method is called {method!r}; {did_you_mean(method, METHODS)} known: {', '.join(METHODS)}")
    # A copy: in training mode a forward pass moves the stored statistics.
    own = copy.deepcopy(module).train(mode.statistics == "batch")
    fixed = {n: p.detach() for n, p in own.named_parameters()}
    theta = {
        n: (p * masks[n].to(p) if masks and n in masks else p.clone()).requires_grad_()
        for n, p in fixed.items()
        if p.ndim > 1
    }

    def outputs(weights: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        return functional_call(own, {**fixed, **weights}, (inputs,)) / mode.temperature

    with torch.enable_grad():
        found = METHODS[method](outputs, theta, x, y, seed)
    return {n: s.abs() if mode.absolute else s for n, s in found.items()}


def prune(
    module: nn.Module, method: str, mode: Mode, density: float, x: Tensor, y: Tensor, *, rounds: int = 1, seed: int = 0
) -> dict[str, Tensor]:
    """Boolean masks with the ``density`` of highest scores in one global ranking, in exponential rounds.

    Exactly as many as asked are kept; of equal scores the later weight stays, as in `verify.networks.scores.prune`.

    Raises:
        ValueError: an unknown method, a density outside (0, 1], fewer than one round, scores that are not finite.
    """
    if not 0 < density <= 1 or rounds < 1:
        raise ValueError(f"a density in (0, 1] and at least one round are needed; got {density} and {rounds}")
    masks = {n: torch.ones_like(p, dtype=torch.bool) for n, p in module.named_parameters() if p.ndim > 1}
    total = sum(m.numel() for m in masks.values())
    for r in range(1, rounds + 1):
        found = scores(module, method, mode, x, y, masks=masks, seed=seed + r - 1)
        flat = torch.cat([found[n].flatten().double() for n in masks])
        if not bool(torch.isfinite(flat).all()):
            raise ValueError(f"{method} ({mode}): scores of round {r} are not finite")
        there = torch.cat([m.flatten() for m in masks.values()])
        flat[~there] = -torch.inf
        order = torch.sort(flat, stable=True).indices
        kept = torch.zeros(total, dtype=torch.bool)
        kept[order[total - max(1, round(density ** (r / rounds) * total)) :]] = True
        parts = (kept & there).split([m.numel() for m in masks.values()])
        masks = {n: part.view(m.shape) for (n, m), part in zip(masks.items(), parts, strict=True)}
    return masks


__all__ = ["METHODS", "Mode", "prune", "scores"]
