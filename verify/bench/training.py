"""Training many small perceptrons: as one stack, one at a time, and in two processes.

Every competitor trains the same networks on the same data with Adam (fused), full batches; one at a time
means a `torch.nn.Sequential` each, as one would write it. Processor seconds say what the work costs; two
processes need the same and can at best halve the wall time, so their ratio is that of wall seconds.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from typing import Any

import torch
from torch import Tensor, nn

from verify.bench.measure import Job, compare, line

CASES = (((8, 16, 1), 32), ((64, 32, 32, 10), 64), ((784, 100, 10), 128))
"""Widths and samples."""
COPIES, STEPS = 32, 50
WHO = ("one at a time", "two processes", "stack")


def data(widths: Sequence[int], samples: int) -> tuple[Tensor, Tensor]:
    """Normal inputs and random labels."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(samples, widths[0], generator=g)
    if widths[-1] == 1:
        return x, torch.randint(0, 2, (samples,), generator=g) * 2.0 - 1
    return x, torch.randint(0, widths[-1], (samples,), generator=g)


def one_by_one(widths: Sequence[int], samples: int, seeds: Sequence[int], steps: int) -> float:
    """Train a module for each seed; the mean of the last losses."""
    torch.set_num_threads(1)
    x, y = data(widths, samples)
    last = []
    for seed in seeds:
        g = torch.Generator().manual_seed(seed)
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layer = nn.Linear(a, b, bias=False)
            with torch.no_grad():
                layer.weight.copy_(torch.randn(b, a, generator=g) * (2 / a) ** 0.5)
            layers += [layer, nn.ReLU()]
        net = nn.Sequential(*layers[:-1])
        optimiser = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
        for _ in range(steps):
            optimiser.zero_grad()
            out = net(x)
            one = widths[-1] == 1
            loss = nn.functional.softplus(-out[:, 0] * y).mean() if one else nn.functional.cross_entropy(out, y)
            loss.backward()
            optimiser.step()
        last.append(float(loss.detach()))
    return statistics.fmean(last)


def job(who: str, widths: Sequence[int], samples: int, copies: int = COPIES, steps: int = STEPS) -> Callable[[], Any]:
    """What is timed; it returns the mean of the last losses."""
    seeds = range(copies)
    if who == "one at a time":
        return lambda: one_by_one(widths, samples, seeds, steps)
    if who == "two processes":
        pool = ProcessPoolExecutor(2, mp_context=get_context("spawn"))
        halves = [seeds[: copies // 2], seeds[copies // 2 :]]

        def both() -> float:
            parts = [pool.submit(one_by_one, widths, samples, half, steps) for half in halves]
            return statistics.fmean(p.result() for p in parts)

        return both
    from verify.trials.training import Recipe, initial, train

    x, y = data(widths, samples)
    seen: list[Tensor] = []

    def watch(step: int, outputs: Tensor) -> None:
        if step == steps - 1:
            seen.append(outputs)

    def stacked() -> float:
        from verify.trials.training import losses

        train(initial(widths, list(seeds)), x, y, Recipe(steps=steps), watch=watch)
        return float(losses(seen.pop(), y).mean())

    return stacked


def run(repeats: int = 5, copies: int = COPIES, steps: int = STEPS) -> list[dict[str, Any]]:
    """One row for each shape and way of training; every ratio is to one at a time.

    Args:
        repeats: rounds that count.
        copies: networks.
        steps: optimiser steps of each.
    """
    rows = []
    for widths, samples in CASES:
        settings = {"widths": widths, "samples": samples, "copies": copies, "steps": steps}
        found = compare([Job(w, "verify.bench.training:job", {"who": w, **settings}) for w in WHO], repeats=repeats)
        floor = found[WHO[0]]
        for who, measured in found.items():
            shape = "-".join(map(str, widths))
            row = line(who, measured, floor, widths=shape, samples=samples, copies=copies, steps=steps)
            if not measured.missing:
                row["wall seconds"] = round(statistics.median(measured.wall), 4)
                pairs = zip(measured.wall, floor.wall, strict=True)
                row["wall ratio"] = round(statistics.median(a / b for a, b in pairs), 3)
                row["mean last loss"] = round(measured.value or 0.0, 4)
            if who == "two processes":
                # What the children compute is not in the parent's processor time.
                row |= {"seconds": "", "ratio": "", "lowest .. highest": "", "memory MiB": ""}
            rows.append(row)
    return rows


def about() -> dict[str, str]:
    """What belongs beside the numbers."""
    from verify.bench import measure

    return measure.about()
