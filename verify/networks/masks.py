"""Iterative pruning of a torch module: masks from scores, round by round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from theory.pruning import kept_by_round
from verify.networks.saliency import (
    activation_per_output,
    check_data,
    check_masks,
    constant_on,
    live_paths,
    scored_names,
    unchecked_scores,
)

SELECTIONS, SCOPES = ("top", "sample"), ("global", "layerwise")


@dataclass(frozen=True)
class Round:
    """What one round left.

    Attributes:
        kept: number of weights left.
        layers: number of weights left in each scored parameter.
        log10_objective: log10 of the R by which the round pruned, -inf for 0 (None for methods without one).
        log10_paths: log10 of the number of input-output paths left, -inf for none (None if not asked for).
        constant: whether the outputs are the same for every sample (None if not asked for).
    """

    kept: int
    layers: dict[str, int]
    log10_objective: float | None = None
    log10_paths: float | None = None
    constant: bool | None = None

    @property
    def alive(self) -> bool | None:
        """Whether an input-output path is left (None if not asked for)."""
        return None if self.log10_paths is None else self.log10_paths > float("-inf")

    @property
    def emptied(self) -> tuple[str, ...]:
        """The parameters that have lost all their weights."""
        return tuple(n for n, k in self.layers.items() if k == 0)


@dataclass(frozen=True)
class Masks(Mapping[str, Tensor]):
    """Boolean masks by parameter name, True where a weight stays, and how they came about.

    Attributes:
        masks: the masks.
        method: the method that chose them.
        rounds: one record a round.
    """

    masks: dict[str, Tensor]
    method: str = ""
    rounds: tuple[Round, ...] = field(default=())

    def __getitem__(self, name: str) -> Tensor:
        return self.masks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.masks)

    def __len__(self) -> int:
        return len(self.masks)

    @property
    def kept(self) -> int:
        """Number of weights that stay."""
        return sum(int(m.sum()) for m in self.masks.values())

    @property
    def total(self) -> int:
        """Number of weights."""
        return sum(m.numel() for m in self.masks.values())

    @property
    def density(self) -> float:
        """Fraction of the weights that stays."""
        return self.kept / self.total

    def layers(self) -> dict[str, int]:
        """Number of weights that stay in each parameter."""
        return {n: int(m.sum()) for n, m in self.masks.items()}

    @torch.no_grad()
    def apply(self, module: nn.Module) -> nn.Module:
        """Set the masked weights of ``module`` to 0, in place, and return it.

        Raises:
            KeyError: a mask for a parameter that the module does not have.
            ValueError: a mask whose shape is not its parameter's.
        """
        check_masks(module, self.masks)
        for n, p in module.named_parameters():
            if n in self.masks:
                p.mul_(self.masks[n].to(p))
        return module


def prune(
    module: nn.Module, method: str, *, density: float | None = None, keep: int | None = None, rounds: int = 100,
    select: str = "top", x: Tensor | None = None, y: Tensor | None = None, scope: str = "global", seed: int = 0,
    schedule: str = "exponential", scored: str = "weights", biases: bool = True, rescale: bool = True,
    study: bool = False,
) -> Masks:  # fmt: skip
    """Masks that keep a share of the weights of ``module``, scored anew in each round; the module is not changed.

    Exactly the number asked for is kept ("layerwise": in each layer the same share, rounded up); masked
    weights stay masked; of equal scores the weight with the higher index stays.

    Args:
        module: the module.
        method: a name from `verify.networks.saliency.METHODS`.
        density: share of the weights to keep, in (0, 1]; or
        keep: number of weights to keep.
        rounds: number of rounds.
        select: "top" keeps the largest scores; "sample" draws weights one by one without replacement with
            probabilities proportional to |score|, weights of score 0 last.
        x: inputs, where the method needs them.
        y: labels or targets, where the method needs them.
        scope: "global" or "layerwise".
        seed: seed of every random choice.
        schedule: "exponential", "linear", "one-at-a-time" or "one-shot".
        scored: "weights" (tensors with two axes or more) or "all" parameters.
        biases: whether paths from the constant input count in path scores.
        rescale: keep path sums in range by powers of two.
        study: also record the number of live paths and whether the network is constant on ``x``, each round.

    Raises:
        KeyError: unknown method.
        ValueError: bad settings or data, or scores that are not finite.
    """
    check_data(module, method, x, y)
    for name, value, known in (("select", select, SELECTIONS), ("scope", scope, SCOPES)):
        if value not in known:
            raise ValueError(f"{name} is one of {', '.join(known)}; got {value!r}")
    if study and x is None:
        raise ValueError("study needs data: give x")
    own = dict(module.named_parameters())
    names = scored_names(module, scored)
    count = sum(own[n].numel() for n in names)
    goal = _goal(count, density, keep)
    masks = {n: torch.ones_like(own[n], dtype=torch.bool) for n in names}
    frozen = None
    if method == "px-frozen":
        assert x is not None
        frozen = activation_per_output(module, x, biases=biases, rescale=rescale).value
    generator = torch.Generator().manual_seed(seed)
    records = []
    for r, kept in enumerate(kept_by_round(count, goal, rounds, schedule)):
        found = unchecked_scores(
            module, method, x, y, masks=masks if r else None, scored=scored, biases=biases, frozen=frozen,
            rescale=rescale, seed=seed if method == "random" else seed + r,
        )  # fmt: skip
        masks = select_weights(found.values, masks, kept, select=select, scope=scope, generator=generator)
        layers = {n: int(torch.count_nonzero(m)) for n, m in masks.items()}
        more = {}
        if study:
            assert x is not None
            more = {"log10_paths": live_paths(module, x, masks), "constant": constant_on(module, x, masks)}
        records.append(Round(sum(layers.values()), layers, found.log10_objective, **more))  # type: ignore[arg-type]
    return Masks(masks, method, tuple(records))


def _goal(count: int, density: float | None, keep: int | None) -> int:
    if (density is None) == (keep is None):
        raise ValueError("give either density or keep")
    if keep is not None:
        if not 1 <= keep <= count:
            raise ValueError(f"keep must be between 1 and the {count} weights; got {keep}")
        return keep
    assert density is not None
    if not 0 < density <= 1:
        raise ValueError(f"density must be above 0 and at most 1; got {density}")
    return max(1, round(density * count))


def select_weights(
    found: Mapping[str, Tensor], masks: Mapping[str, Tensor], kept: int, *, select: str = "top",
    scope: str = "global", generator: torch.Generator | None = None,
) -> dict[str, Tensor]:  # fmt: skip
    """The masks after a round that keeps ``kept`` weights by the scores ``found``.

    Raises:
        ValueError: scores that are not finite, or not of the masks' shapes.
    """
    for n, m in masks.items():
        if n not in found or found[n].shape != m.shape:
            raise ValueError(f"the scores of {n} do not have the shape {tuple(m.shape)} of its mask")
    flat_scores = torch.cat([found[n].flatten() for n in masks])
    flat_masks = torch.cat([m.flatten() for m in masks.values()])
    if not bool(torch.isfinite(flat_scores).all()):
        raise ValueError("scores are not finite: use rescale=True, float64, or smaller weights")
    if select == "sample":
        uniform = torch.rand(flat_scores.shape, generator=generator, dtype=torch.float64).to(flat_scores.device)
        # Exponential clocks: the first to ring are a sample without replacement.
        flat_scores = flat_scores.abs().double().log() - (-uniform.log()).log()
    sizes = [m.numel() for m in masks.values()]
    if scope == "global":
        left = keep_top(flat_scores, flat_masks, kept)
    else:
        shares = [-(-s * kept // len(flat_scores)) for s in sizes]
        pieces = zip(flat_scores.split(sizes), flat_masks.split(sizes), shares, strict=True)
        left = torch.cat([keep_top(s, m, k) for s, m, k in pieces])
    return {n: part.view(m.shape) for (n, m), part in zip(masks.items(), left.split(sizes), strict=True)}


def keep_top(found: Tensor, mask: Tensor, kept: int) -> Tensor:
    """The mask of the ``kept`` largest scores among the weights in ``mask``; of equal ones the higher index stays.

    Args:
        found: scores, shape (N,).
        mask: bool, shape (N,); what is outside stays outside.
        kept: how many to keep; all of ``mask`` where it has no more.
    """
    drop = int(torch.count_nonzero(mask)) - kept
    if drop <= 0:
        return mask.clone()
    threshold = _smallest(found[mask], drop)
    out = mask & (found > threshold)
    spare = kept - int(torch.count_nonzero(out))
    if spare:
        tied = (mask & (found == threshold)).nonzero().flatten()
        out[tied[len(tied) - spare :]] = True
    return out


def _smallest(values: Tensor, position: int) -> Tensor:
    """The ``position``-th smallest value, counted from 1."""
    if values.device.type != "cpu":
        return values.kthvalue(position).values
    # Torch's own selection takes seconds on 10^7 numbers on a CPU.
    array = values.detach().numpy()
    return torch.as_tensor(np.partition(array, position - 1)[position - 1])


__all__ = ["Masks", "Round", "keep_top", "prune", "select_weights"]
