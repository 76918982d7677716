"""SNIP, GraSP and NTK-SAP of torch modules with every mode a setting: on purpose a second implementation.

`verify.networks.scores` scores with normalisations in evaluation mode, as the theory is about; there the two agree
(`tests/verify/test_published.py`). At initialisation the stored statistics are those of no data, so that this is no
normalisation at all. What the releases do:

* SNIP (namhoonlee/snip-public, commit b00bef00): stored statistics (it feeds ``is_train: False``), one batch.
* GraSP (alecwangcq/GraSP, commit f1660545): statistics of the batch, outputs divided by 200, signed. It takes the two
  halves of the batch one after the other and draws the last layer anew; here it is one batch and the same weights.
* NTK-SAP (YiteWang/NTK-SAP, commit e23682bc): statistics taken from the Gaussian batch and then held fixed, weights
  drawn anew for each of 5 batches, perturbation 0.01.
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
from verify.networks import zoo
from verify.trials.streams import stream, stream_seed

STATISTICS = {"batch": "batch statistics", "held": "statistics of the batch, held", "evaluation": "stored statistics"}


@dataclass(frozen=True)
class Mode:
    """How a module is scored.

    Attributes:
        statistics: of normalisations: "batch" (training mode), "held" (those of the batch, as constants), or
            "evaluation" (the stored ones).
        temperature: what the outputs are divided by.
        absolute: keep the largest |score|, rather than the largest score.
        draws: fresh initial weights (`verify.networks.zoo.initialise`) on which NTK-SAP's derivatives are summed; 0
            takes the module's own.

    Raises:
        ValueError: unknown statistics, a temperature that is not positive, or a negative number of draws.
    """

    statistics: str = "batch"
    temperature: float = 1.0
    absolute: bool = False
    draws: int = 0

    def __post_init__(self) -> None:
        if self.statistics not in STATISTICS:
            raise ValueError(f"statistics are {' or '.join(STATISTICS)}, not {self.statistics!r}")
        if not self.temperature > 0 or self.draws < 0:
            raise ValueError(
                f"a temperature is positive and draws are 0 or more; got {self.temperature} and {self.draws}"
            )

    def __str__(self) -> str:
        parts = [STATISTICS[self.statistics]]
        parts += [f"temperature {self.temperature:g}"] if self.temperature != 1 else []
        parts += ["absolute value"] if self.absolute else []
        return ", ".join([*parts, *([f"{self.draws} draws of the weights"] if self.draws else [])])


@dataclass
class _Scored:
    """A copy of a module, in the mode in which it is scored."""

    module: nn.Module
    mode: Mode
    masks: Mapping[str, Tensor] | None

    def weights(self) -> dict[str, Tensor]:
        """The masked weights, as leaves."""
        own = {n: p.detach() for n, p in self.module.named_parameters() if p.ndim > 1}
        masked = {n: p * self.masks[n].to(p) if self.masks and n in self.masks else p.clone() for n, p in own.items()}
        return {n: p.requires_grad_() for n, p in masked.items()}

    def prepare(self, weights: Mapping[str, Tensor], x: Tensor) -> None:
        """Set the module's mode, and with "held" its statistics."""
        self.module.train(self.mode.statistics != "evaluation")
        if self.mode.statistics == "held":
            for m in self.module.modules():
                if isinstance(m, nn.modules.batchnorm._BatchNorm):
                    m.reset_running_stats()
                    m.momentum = 1.0
            with torch.no_grad():
                self(weights, x)
            self.module.eval()

    def __call__(self, weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        fixed = {n: p.detach() for n, p in self.module.named_parameters()}
        return functional_call(self.module, {**fixed, **weights}, (x,)) / self.mode.temperature


def _of_loss(scored: _Scored, x: Tensor, y: Tensor, twice: bool) -> dict[str, Tensor]:
    theta = scored.weights()
    scored.prepare(theta, x)
    gradients = torch.autograd.grad(
        functional.cross_entropy(scored(theta, x), y), list(theta.values()), create_graph=twice
    )  # fmt: skip
    if twice:
        product = torch.stack([(g * g.detach()).sum() for g in gradients]).sum()
        gradients = torch.autograd.grad(product, list(theta.values()))
    return {n: (p * g).detach() for (n, p), g in zip(theta.items(), gradients, strict=True)}


def _snip(scored: _Scored, x: Tensor, y: Tensor, seed: int) -> dict[str, Tensor]:
    return {n: s.abs() for n, s in _of_loss(scored, x, y, False).items()}


def _grasp(scored: _Scored, x: Tensor, y: Tensor, seed: int) -> dict[str, Tensor]:
    return _of_loss(scored, x, y, True)  # the highest -theta * Hg is dropped


def _ntk_sap(scored: _Scored, x: Tensor, y: Tensor, seed: int) -> dict[str, Tensor]:
    generator, epsilon = stream("ntk-sap", seed), 1e-2

    def normal(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like)

    total: dict[str, Tensor] = {}
    for draw in range(max(1, scored.mode.draws)):
        if scored.mode.draws:
            zoo.initialise(scored.module, stream_seed(f"ntk-sap weights {draw}", seed))
        theta = {n: p.detach() for n, p in scored.weights().items()}
        inputs, shifts = normal(x), {n: normal(p) for n, p in theta.items()}
        scored.prepare(theta, inputs)
        masks = scored.masks or {}
        present = {n: masks.get(n, p != 0) for n, p in theta.items()}
        here = {n: present[n].to(p).requires_grad_() for n, p in theta.items()}
        dense = scored({n: p * here[n] for n, p in theta.items()}, inputs)
        moved = scored({n: (p + epsilon * shifts[n]) * here[n] for n, p in theta.items()}, inputs)
        gradients = torch.autograd.grad(((dense - moved) ** 2).sum(), list(here.values()))
        for (n, h), g in zip(here.items(), gradients, strict=True):
            total[n] = total.get(n, torch.zeros_like(g)) + (g * h).detach()
    return {n: s.abs() for n, s in total.items()}


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
        seed: of NTK-SAP's inputs, perturbations and weights.

    Raises:
        ValueError: an unknown method, or draws of the weights for another than NTK-SAP.
    """
    if method not in METHODS:
        raise ValueError(f"no method is called {method!r}; {did_you_mean(method, METHODS)} known: {', '.join(METHODS)}")
    if mode.draws and method != "ntk-sap":
        raise ValueError(f"{method} scores the module's own weights: draws is 0")
    # A copy: in training mode a forward pass moves the stored statistics.
    scored = _Scored(copy.deepcopy(module), mode, masks)
    with torch.enable_grad():
        found = METHODS[method](scored, x, y, seed)
    return {n: s.abs() if mode.absolute else s for n, s in found.items()}


def prune(
    module: nn.Module, method: str, mode: Mode, density: float, x: Tensor, y: Tensor, *, rounds: int = 1,
    seed: int = 0, invert: bool = False,
) -> dict[str, Tensor]:  # fmt: skip
    """Boolean masks by the scores of `scores`; arguments as there and in `prune_by`."""

    def score(masks: Mapping[str, Tensor], r: int) -> dict[str, Tensor]:
        found = scores(module, method, mode, x, y, masks=masks, seed=seed + r - 1)
        if not all(bool(torch.isfinite(s).all()) for s in found.values()):
            raise ValueError(f"{method} ({mode}): scores of round {r} are not finite")
        return found

    return prune_by(module, score, density, rounds=rounds, invert=invert)


def prune_by(
    module: nn.Module, score: Callable[[Mapping[str, Tensor], int], Mapping[str, Tensor]], density: float, *,
    rounds: int = 1, invert: bool = False,
) -> dict[str, Tensor]:  # fmt: skip
    """Boolean masks with the ``density`` of highest scores in one global ranking, in exponential rounds.

    Exactly as many as asked are kept; of equal scores the later weight stays, as in `verify.networks.scores.prune`.

    Args:
        module: a classifier; its tensors with two axes or more are pruned.
        score: masks of what is left and the round, from 1 -> scores.
        density: share kept.
        rounds: how many.
        invert: keep the lowest scores.

    Raises:
        ValueError: a density outside (0, 1], or fewer than one round.
    """
    if not 0 < density <= 1 or rounds < 1:
        raise ValueError(f"a density in (0, 1] and at least one round are needed; got {density} and {rounds}")
    masks = {n: torch.ones_like(p, dtype=torch.bool) for n, p in module.named_parameters() if p.ndim > 1}
    total = sum(m.numel() for m in masks.values())
    for r in range(1, rounds + 1):
        found = score(masks, r)
        flat = torch.cat([found[n].flatten().double() for n in masks])
        flat = -flat if invert else flat
        there = torch.cat([m.flatten() for m in masks.values()])
        flat[~there] = -torch.inf
        order = torch.sort(flat, stable=True).indices
        kept = torch.zeros(total, dtype=torch.bool)
        kept[order[total - max(1, round(density ** (r / rounds) * total)) :]] = True
        parts = (kept & there).split([m.numel() for m in masks.values()])
        masks = {n: part.view(m.shape) for (n, m), part in zip(masks.items(), parts, strict=True)}
    return masks


__all__ = ["METHODS", "Mode", "prune", "prune_by", "scores"]
