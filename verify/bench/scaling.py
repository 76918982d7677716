"""How time and memory of the exact trace grow with samples, outputs, width and depth; and whether a limit holds.

Exponents are least-squares slopes of logarithms. Expected: time grows with samples, outputs and depth as
the first power and with the width of a perceptron as the second, up to what does not grow (recording is
excluded; forward and Python are not), which makes small cases flatter. Memory is bounded by the chunk, so
it grows with neither samples nor outputs once there are several chunks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from verify.bench.measure import Job, compare

BASE = {"samples": 64, "outputs": 16, "width": 256, "depth": 4}
ALONG: dict[str, tuple[tuple[int, ...], float, float]] = {
    "samples": ((32, 64, 128, 256), 1.0, 1.0),
    "outputs": ((8, 16, 32, 64), 1.0, 1.0),
    "width": ((128, 256, 512, 1024), 2.0, 1.0),
    "depth": ((3, 6, 12, 24), 1.0, 1.0),
}
"""Values, expected exponent of time, and of K plain backward passes in the same quantity."""
LIMITS = (16, 32, 64, 128, 256)
"""MiB."""
FLOOR, OURS = "K backward passes", "ntk_trace"


def network(width: int, depth: int, outputs: int) -> nn.Module:
    """A ReLU perceptron: ``depth`` layers of ``width``, a last one to ``outputs``; seeded."""
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(depth):
            layers += [nn.Linear(width, width), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(width, outputs)).eval()


def job(who: str, samples: int, outputs: int, width: int, depth: int) -> Callable[[], Any]:
    """What is measured."""
    from verify.bench.ntk import backward_passes, inputs
    from verify.networks.ntk.trace import ntk_trace
    from verify.networks.recording.record import record_for

    module = network(width, depth, outputs)
    x = inputs(samples, (width,))
    if who == FLOOR:
        return lambda: backward_passes(module, x)
    graph = record_for(module, x)
    return lambda: ntk_trace(module, x, graph=graph)


def limited(name: str, samples: int, mebibytes: int) -> Callable[[], Any]:
    """The trace of a network of the zoo within a limit."""
    from verify.bench.ntk import inputs
    from verify.networks import zoo
    from verify.networks.ntk.trace import ntk_trace
    from verify.networks.recording.record import record_for

    module, x = zoo.build(name), inputs(samples, (3, 32, 32))
    graph = record_for(module, x)
    return lambda: ntk_trace(module, x, graph=graph, memory=mebibytes << 20)


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Slope of log values against log sizes by least squares.

    Raises:
        ValueError: fewer than two sizes, or a value that is not positive.
    """
    if len(sizes) < 2 or min(*sizes, *values) <= 0:
        raise ValueError("an exponent needs two sizes or more and positive values")
    xs, ys = [math.log(s) for s in sizes], [math.log(v) for v in values]
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / sum((x - mx) ** 2 for x in xs)


def run(repeats: int = 5) -> list[dict[str, Any]]:
    """One row for each size, for each exponent, and for each limit.

    Args:
        repeats: rounds that count.
    """
    rows = []
    for axis, (sizes, expected, _) in ALONG.items():
        times: dict[str, list[float]] = {FLOOR: [], OURS: []}
        memory: dict[str, list[float]] = {FLOOR: [], OURS: []}
        for size in sizes:
            settings = {**BASE, axis: size}
            jobs = [Job(w, "verify.bench.scaling:job", {"who": w, **settings}) for w in (FLOOR, OURS)]
            found = compare(jobs, repeats=repeats, allocator="keeps pages")
            for who, m in found.items():
                times[who].append(m.median)
                memory[who].append(m.memory / 2**20)
            rows.append(_row(f"{axis} = {size}", found[OURS].ratio(found[FLOOR]), times, memory, ""))
        fits = {w: exponent(sizes, times[w]) for w in times}
        rows.append(
            {
                "what": f"exponent in {axis}", "expected": expected, FLOOR + " (s)": round(fits[FLOOR], 2),
                OURS + " (s)": round(fits[OURS], 2), "ratio": "", FLOOR + " (MiB)": _exponent(sizes, memory[FLOOR]),
                OURS + " (MiB)": _exponent(sizes, memory[OURS]), "memory ratio": "",
            }
        )  # fmt: skip
    return rows + limits(repeats=1)


def limits(name: str = "resnet20", samples: int = 32, repeats: int = 1) -> list[dict[str, Any]]:
    """Peak memory of the trace under limits, beside each limit."""
    rows = []
    for limit in LIMITS:
        settings = {"name": name, "samples": samples, "mebibytes": limit}
        m = compare([Job(OURS, "verify.bench.scaling:limited", settings)], repeats=repeats)[OURS]
        used = m.memory / 2**20
        rows.append(
            {
                "what": f"{name}, {samples} samples, limit {limit} MiB", "expected": f"<= {limit} MiB",
                FLOOR + " (s)": "", OURS + " (s)": round(m.median, 4), "ratio": "", FLOOR + " (MiB)": "",
                OURS + " (MiB)": round(used, 1), "memory ratio": "holds" if used <= limit else "does not hold",
            }
        )  # fmt: skip
    return rows


def _exponent(sizes: Sequence[float], values: Sequence[float]) -> float | str:
    return round(exponent(sizes, values), 2) if min(values) > 0 else ""


def _row(
    what: str, ratio: float, times: dict[str, list[float]], memory: dict[str, list[float]], expected: str
) -> dict[str, Any]:
    last = {w: memory[w][-1] for w in memory}
    return {
        "what": what, "expected": expected, FLOOR + " (s)": round(times[FLOOR][-1], 5),
        OURS + " (s)": round(times[OURS][-1], 5), "ratio": round(ratio, 3), FLOOR + " (MiB)": round(last[FLOOR], 1),
        OURS + " (MiB)": round(last[OURS], 1),
        "memory ratio": round(last[OURS] / last[FLOOR], 2) if last[FLOOR] else "",
    }  # fmt: skip


def about() -> dict[str, str]:
    """What belongs beside the numbers."""
    from verify.bench import measure

    return measure.about()
