"""Side-by-side measurement: every competitor in a process of its own, all with the same settings, in turn.

A process each keeps the state of the allocator and the peak of memory apart; runs alternate (one of each,
then the next round), so that what else the machine does hits all alike; the first round warms up. What takes
less than 0.05 s is called again until that has passed. Times are
processor seconds of the process (user and system), which on one thread equal wall seconds on an idle
machine and, unlike them, do not count the time that other processes hold the core. Ratios are medians over
the rounds of the ratio within a round. Memory is the peak of one more run, after freed pages were given back.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
PATIENCE = 5.0
LEAST = 0.05
"""Seconds of calls in one turn: a single call of milliseconds would measure a process that was just woken."""
KEEP = {"MALLOC_TRIM_THRESHOLD_": "4294967296", "MALLOC_MMAP_THRESHOLD_": "4294967296"}
"""glibc keeps all freed memory: no page faults after the first round."""
ALLOCATORS: dict[str, dict[str, str]] = {"default": {}, "keeps pages": KEEP}


@dataclass(frozen=True)
class Job:
    """A competitor: ``module:function`` is called with ``settings`` once and returns what is timed.

    Attributes:
        name: its name.
        make: "module:function".
        settings: keyword arguments, which have to be picklable.
    """

    name: str
    make: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """What came out.

    Attributes:
        seconds: processor seconds, round by round, warm-up left out.
        wall: wall seconds.
        memory: growth of resident memory during a run, bytes.
        value: what the last run returned if that is a number, else None.
        missing: why it did not run, "" if it did.
    """

    seconds: tuple[float, ...] = ()
    wall: tuple[float, ...] = ()
    memory: int = 0
    value: float | None = None
    missing: str = ""

    @property
    def median(self) -> float:
        """Median of `seconds`."""
        return statistics.median(self.seconds)

    def ratio(self, floor: Measured) -> float:
        """Median over rounds of our seconds to those of ``floor``."""
        return statistics.median(self.ratios(floor))

    def ratios(self, floor: Measured) -> list[float]:
        """The ratio in each round in which both ran."""
        return [a / b for a, b in zip(self.seconds, floor.seconds, strict=False)]

    def spread(self, floor: Measured) -> str:
        """Lowest and highest of these ratios."""
        ratios = self.ratios(floor)
        return f"{min(ratios):.3g} .. {max(ratios):.3g}"


def compare(
    jobs: Sequence[Job],
    *,
    repeats: int = 5,
    warm: int = 1,
    allocator: str = "default",
    threads: int = 1,
    patience: float = PATIENCE,
) -> dict[str, Measured]:
    """Run every job ``warm + repeats`` times, alternating, each in its own process.

    A job slower than ``patience`` runs once after it warmed up. One that cannot be set up (a peer is
    not installed), or fails, is reported with `Measured.missing`.

    Args:
        jobs: the competitors.
        repeats: rounds that count.
        warm: rounds before them.
        allocator: a name from `ALLOCATORS`, for all of them.
        threads: threads of each.
        patience: processor seconds of the first round above which a job runs in only one more.
    """
    with _environment({**dict.fromkeys(THREADS, str(threads)), **ALLOCATORS[allocator]}):
        workers = {job.name: _Worker(job, threads) for job in jobs}
    try:
        found: dict[str, list[tuple[float, float, Any]]] = {name: [] for name in workers}
        memory: dict[str, int] = {}
        slow: set[str] = set()
        missing = {name: w.receive() for name, w in workers.items()}
        for r in range(warm + repeats):
            for name, worker in workers.items():
                if missing[name] or (name in slow and r > warm):
                    continue
                result = worker.ask("time")
                if isinstance(result, str):
                    missing[name] = result
                elif r >= warm:
                    found[name].append(result)
                elif result[0] > patience:
                    slow.add(name)
        for name in [n for n in workers if not missing[n]]:
            memory[name] = workers[name].ask("memory")
    finally:
        for w in workers.values():
            w.close()
    return {name: _measured(rows, missing[name], memory.get(name)) for name, rows in found.items()}


def _measured(rows: list[tuple[float, float, Any]], missing: str, memory: Any) -> Measured:
    if missing or not rows or not isinstance(memory, int):
        return Measured(missing=missing or str(memory or "no runs"))
    cpu, wall, values = zip(*rows, strict=True)
    value = values[-1] if isinstance(values[-1], int | float) else None
    return Measured(cpu, wall, memory, value)


class _Worker:
    def __init__(self, job: Job, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, job, threads))
        self.process.start()
        theirs.close()

    def receive(self) -> Any:
        """What the process says, or that it died."""
        try:
            return self.pipe.recv()
        except EOFError:
            return "its process ended (out of memory?)"

    def ask(self, what: str) -> Any:
        """One run: its "time" or its "memory"."""
        try:
            self.pipe.send(what)
        except BrokenPipeError:
            return "its process ended (out of memory?)"
        return self.receive()

    def close(self) -> None:
        """End the process."""
        try:
            self.pipe.send("")
        except (BrokenPipeError, OSError):
            pass
        self.process.join(10)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _serve(pipe: Connection, job: Job, threads: int) -> None:
    """The loop of a worker process: set up, then run on demand."""
    try:
        import warnings

        import torch

        warnings.simplefilter("ignore")
        torch.set_num_threads(threads)
        module, name = job.make.split(":")
        call: Callable[[], Any] = getattr(import_module(module), name)(**job.settings)
        pipe.send("")
    except Exception as e:
        pipe.send(_why(e))
        return
    while what := pipe.recv():
        try:
            pipe.send(timed(call) if what == "time" else growth(call))
        except Exception as e:
            pipe.send(_why(e))
            return


def _why(e: Exception) -> str:
    first = (str(e).strip().splitlines() or [""])[0]
    if isinstance(e, ModuleNotFoundError):
        return f"not measured: {e.name} is not installed"
    return f"not measured: {type(e).__name__}: {first}"[:200]


def timed(call: Callable[[], Any], least: float = LEAST) -> tuple[float, float, Any]:
    """(processor seconds, wall seconds, what it returned) of a call, the mean over ``least`` seconds of calls."""
    calls, wall, cpu = 0, time.perf_counter(), time.process_time()
    while not calls or time.perf_counter() - wall < least:
        value = call()
        calls += 1
    cpu, wall = (time.process_time() - cpu) / calls, (time.perf_counter() - wall) / calls
    return cpu, wall, float(value) if hasattr(value, "item") and value.numel() == 1 else value


def growth(call: Callable[[], Any]) -> int:
    """By how many bytes resident memory grows at most during a call; 0 where the system does not say."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # else pages that an earlier run freed would not count
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0
    before = _status("VmRSS")
    call()
    return max(0, _status("VmHWM") - before)


def _status(name: str) -> int:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


@contextmanager
def _environment(values: Mapping[str, str]) -> Any:
    """Environment variables for the processes started inside."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def line(name: str, measured: Measured, floor: Measured, **more: Any) -> dict[str, Any]:
    """A row of a table: seconds, ratio to the floor with its range, memory; or why there is none."""
    row: dict[str, Any] = {**more, "who": name}
    if measured.missing:
        return {
            **row,
            "seconds": "",
            "ratio": "",
            "lowest .. highest": "",
            "runs": 0,
            "memory MiB": "",
            "note": measured.missing,
        }
    return {
        **row, "seconds": round(measured.median, 6), "ratio": round(measured.ratio(floor), 3),
        "lowest .. highest": measured.spread(floor), "runs": len(measured.ratios(floor)),
        "memory MiB": round(measured.memory / 2**20, 1), "note": "",
    }  # fmt: skip


def about(*packages: str) -> dict[str, str]:
    """What belongs beside measured numbers: the processor, threads, versions of torch and of ``packages``."""
    from importlib.metadata import PackageNotFoundError, version

    out = {"processor": _processor(), "threads": "1", "timing": "processor seconds, one process each, alternating"}
    for name in ("torch", *packages):
        with contextlib.suppress(PackageNotFoundError):
            out[name] = version(name)
    return out


def _processor() -> str:
    with contextlib.suppress(OSError):
        for text in Path("/proc/cpuinfo").read_text().splitlines():
            if text.startswith("model name"):
                return f"{text.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return platform.processor() or platform.machine()


__all__ = ["ALLOCATORS", "Job", "Measured", "about", "compare", "growth", "line", "timed"]
