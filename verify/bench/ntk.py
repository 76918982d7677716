"""Exact NTK trace: seconds as a ratio to K plain backward passes, beside torch.func's vmap of jacrev."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from verify.networks import zoo
from verify.networks.ntk import ntk_trace

CASES = (("mlp 784-200-200-10", 128, 0.35), ("resnet20", 32, 0.75), ("vgg16_bn", 4, 0.40))
"""What, samples, and the ratio aimed at."""


def _module(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    if name.startswith("mlp"):
        widths = [int(w) for w in name.split()[1].split("-")]
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [nn.Linear(a, b), nn.ReLU()]
        return nn.Sequential(*layers[:-1]), (widths[0],)
    return zoo.build(name), (3, 32, 32)


def backward_passes(module: nn.Module, x: Tensor) -> None:
    """The floor: one forward, then a backward pass of the whole batch for each output."""
    y = module(x).sum(0)
    parameters = list(module.parameters())
    for k in range(len(y)):
        torch.autograd.grad(y[k], parameters, retain_graph=k + 1 < len(y))


def per_sample_jacobian(module: nn.Module, x: Tensor) -> Tensor:
    """The trace from torch.func: a Jacobian for each sample."""
    parameters = {n: p.detach() for n, p in module.named_parameters()}
    buffers = dict(module.named_buffers())

    def one(p: dict[str, Tensor], sample: Tensor) -> Tensor:
        return functional_call(module, (p, buffers), (sample[None],))[0]

    j = vmap(jacrev(one), (None, 0))(parameters, x)
    return torch.stack([v.double().square().sum() for v in j.values()]).sum()


def run(repeats: int = 5, peer: bool = True) -> list[dict[str, Any]]:
    """Medians over ``repeats`` runs, the competitors in turn; float32, one thread, weights and inputs drawn.

    Args:
        repeats: runs of each.
        peer: whether to run vmap(jacrev) (one warm run for each: it is slow and takes much memory).
    """
    torch.set_num_threads(1)
    rows = []
    for name, samples, goal in CASES:
        module, shape = _module(name)
        module.eval()
        x = torch.randn(samples, *shape, generator=torch.Generator().manual_seed(0))
        jobs: dict[str, Callable[[], Any]] = {
            "floor": partial(backward_passes, module, x),
            "ours": partial(ntk_trace, module, x),
        }
        times: dict[str, list[float]] = {job: [] for job in jobs}
        for r in range(repeats + 1):
            for job, call in jobs.items():
                start = time.perf_counter()
                call()
                if r:  # the first run warms up
                    times[job].append(time.perf_counter() - start)
        floor = statistics.median(times["floor"])
        row: dict[str, Any] = {
            "network": name, "samples": samples, "K backward passes (s)": floor,
            "ntk_trace (s)": statistics.median(times["ours"]),
            "ratio": statistics.median(times["ours"]) / floor, "goal": goal,
            "lowest and highest ratio": f"{min(times['ours']) / floor:.2f} .. {max(times['ours']) / floor:.2f}",
        }  # fmt: skip
        if peer:
            per_sample_jacobian(module, x)
            start = time.perf_counter()
            per_sample_jacobian(module, x)
            row["vmap(jacrev) ratio"] = (time.perf_counter() - start) / floor
        rows.append(row)
    return rows
