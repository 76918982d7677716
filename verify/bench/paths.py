"""PX scores of ResNet-20 at batch 32, and path norms, against forwards without gradients.

The floor is one forward pass of the batch without gradients. Gates have to be measured (one forward), and
the network of ones has to be evaluated on the squared inputs with these gates; the squared network needs a
batch of one, forward and backward. The *published layout* runs it, too, at the full batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from verify.bench.measure import ALLOCATORS, Job, compare, line

SAMPLES = 32
FLOOR = "forward, no gradients"
WHO = {
    "PX score": "<= 2.5",
    "PX score, half the weights masked": "",
    "PX score, published layout": "",
    "path_bound (D, R and T in float64)": "",
    "squared path norm of every output": "",
    "pathnorm_toolkit": "",
}


def job(who: str, samples: int = SAMPLES) -> Callable[[], Any]:
    """What is timed."""
    from verify.networks import zoo
    from verify.networks.paths.bound import path_bound
    from verify.networks.paths.sums import flow
    from verify.networks.recording.record import record_for
    from verify.networks.scores.methods import scores
    from verify.networks.scores.released import released

    generator = torch.Generator().manual_seed(0)
    module = zoo.build("resnet20")
    x = torch.randn(samples, 3, 32, 32, generator=generator)
    if who == FLOOR:

        def forward() -> None:
            with torch.no_grad():
                module(x)

        return forward
    if who == "PX score":
        return lambda: scores(module, "px", x)
    if who == "PX score, half the weights masked":
        masks = {n: torch.rand(p.shape, generator=generator) < 0.5 for n, p in module.named_parameters() if p.ndim > 1}
        return lambda: scores(module, "px", x, masks=masks)
    if who == "PX score, published layout":
        return lambda: released(module, x)
    if who == "path_bound (D, R and T in float64)":
        return lambda: path_bound(module, x)
    if who == "squared path norm of every output":

        def norm() -> Any:
            with torch.no_grad():
                squared = {n: p * p for n, p in module.named_parameters()}
                graph = record_for(module, x)
                return flow(graph, graph.tensors(module), squared, 2, rescale=True).value.sum()

        return norm
    if who == "pathnorm_toolkit":
        from pathnorm.compute_path_norm import get_path_norm

        return lambda: get_path_norm(module, device="cpu", exponent=2, constant_input=True)
    raise KeyError(f"no competitor is called {who!r}")


def run(
    repeats: int = 5, samples: int = SAMPLES, allocators: Iterable[str] = tuple(ALLOCATORS)
) -> list[dict[str, Any]]:
    """One row for each allocator and quantity.

    Args:
        repeats: rounds that count.
        samples: inputs.
        allocators: names from `verify.bench.measure.ALLOCATORS`.
    """
    jobs = [Job(n, "verify.bench.paths:job", {"who": n, "samples": samples}) for n in (FLOOR, *WHO)]
    rows = []
    for allocator in allocators:
        found = compare(jobs, repeats=3 * repeats, allocator=allocator)
        for who, measured in found.items():
            row = line(who, measured, found[FLOOR], samples=samples, allocator=allocator)
            if who == "pathnorm_toolkit" and measured.missing:
                row["note"] += " (it is not on PyPI; its authors' repository installs it)"
            rows.append({**row, "goal": WHO.get(who, "")})
    return rows


def about() -> dict[str, str]:
    """What belongs beside the numbers."""
    from verify.bench import measure

    return measure.about()
