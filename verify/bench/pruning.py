"""Pruning of ResNet-20 in 100 rounds: SynFlow against 100 batch-one forward-backwards, PX against its published layout.

The floor of a round is a forward and a backward pass of a single sample with gradients for all weights:
what any score by a derivative needs, without selecting weights or masking. The *published layout* of
SynFlow is that of its authors' code (absolute values written into the module, a backward pass, signs
restored, `kthvalue` over all scores, masks multiplied in); that of PX is `verify.networks.scores.methods.released`
(both auxiliary networks at the full batch), with the same selection.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from verify.bench.measure import ALLOCATORS, Job, compare, line

ROUNDS = 100
DENSITY = 0.1
SAMPLES = 32
"""Inputs of PX; SynFlow has none."""


def job(who: str, rounds: int = ROUNDS, samples: int = SAMPLES) -> Callable[[], Any]:
    """What is timed: all rounds."""
    from verify.networks import zoo
    from verify.networks.scores.methods import scores
    from verify.networks.scores.prune import prune

    module = zoo.build("resnet20")
    x = torch.randn(samples, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    if who == "batch-one forward-backwards":
        return lambda: forward_backwards(module, x[:1], rounds)
    if who == "SynFlow":
        return lambda: prune(module, "synflow", density=DENSITY, rounds=rounds, x=x[:1])
    if who == "one forward-backward":
        return lambda: forward_backwards(module, x[:1], 1)
    if who == "SynFlow, one score":
        return lambda: scores(module, "synflow", x[:1])
    if who == "SynFlow, published layout":
        return lambda: published_synflow(module, rounds)
    if who == "PX":
        return lambda: prune(module, "px", density=DENSITY, rounds=rounds, x=x)
    if who == "PX, published layout":
        return lambda: published_px(module, x, rounds)
    raise KeyError(f"no competitor is called {who!r}")


def forward_backwards(module: nn.Module, x: Tensor, rounds: int) -> None:
    """The floor."""
    for _ in range(rounds):
        torch.autograd.grad(module(x).sum(), list(module.parameters()))


def published_synflow(module: nn.Module, rounds: int) -> dict[str, Tensor]:
    """SynFlow as its authors' code does it, on a copy."""
    import copy

    net = copy.deepcopy(module).eval()
    weights = {n: p for n, p in net.named_parameters() if p.ndim > 1}
    masks = {n: torch.ones_like(p) for n, p in weights.items()}
    x = torch.ones(1, 3, 32, 32)
    for r in range(rounds):
        with torch.no_grad():
            for n, p in weights.items():
                p.mul_(masks[n])
            signs = {n: t.sign() for n, t in net.state_dict().items()}
            for t in net.state_dict().values():
                t.abs_()
        net(x).sum().backward()
        scores = {}
        for n, p in weights.items():
            assert p.grad is not None
            scores[n] = (p.grad * p).detach().abs()
        net.zero_grad()
        with torch.no_grad():
            for n, t in net.state_dict().items():
                t.mul_(signs[n])
        masks = _threshold(scores, DENSITY ** ((r + 1) / rounds))
    return masks


def published_px(module: nn.Module, x: Tensor, rounds: int) -> Mapping[str, Tensor]:
    """PX with both auxiliary networks at the full batch, selected as SynFlow's authors do."""
    from verify.networks.scores.released import released

    names = [n for n, p in module.named_parameters() if p.ndim > 1]
    masks: dict[str, Tensor] | None = None
    for r in range(rounds):
        scores = released(module, x, masks)
        masks = _threshold({n: scores[n] for n in names}, DENSITY ** ((r + 1) / rounds))
    assert masks is not None
    return masks


def _threshold(scores: Mapping[str, Tensor], density: float) -> dict[str, Tensor]:
    every = torch.cat([s.flatten() for s in scores.values()])
    k = int((1 - density) * every.numel())
    limit = torch.kthvalue(every, k).values if k >= 1 else every.new_tensor(-1.0)
    return {n: (s > limit).to(s.dtype) for n, s in scores.items()}


def run(
    repeats: int = 5, rounds: int = ROUNDS, samples: int = SAMPLES, allocators: Iterable[str] = tuple(ALLOCATORS)
) -> list[dict[str, Any]]:
    """One row for each allocator and way of pruning.

    Args:
        repeats: runs of all rounds that count.
        rounds: rounds.
        samples: inputs of PX.
        allocators: names from `verify.bench.measure.ALLOCATORS`.
    """
    rows = []
    for allocator, (names, goal) in itertools.product(
        allocators,
        (
            (("batch-one forward-backwards", "SynFlow", "SynFlow, published layout"), "<= 1.4"),
            (("PX, published layout", "PX"), "<= 0.333"),
            (("one forward-backward", "SynFlow, one score"), ""),
        ),
    ):
        jobs = [Job(n, "verify.bench.pruning:job", {"who": n, "rounds": rounds, "samples": samples}) for n in names]
        found = compare(jobs, repeats=repeats, allocator=allocator, patience=60)
        for who, measured in found.items():
            row = line(who, measured, found[names[0]], rounds=rounds, allocator=allocator)
            rows.append({**row, "ratio to": names[0], "goal": goal if who in ("SynFlow", "PX") else ""})
    return rows


def about() -> dict[str, str]:
    """What belongs beside the numbers."""
    from verify.bench import measure

    return measure.about()
