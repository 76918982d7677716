"""Sweeps: run the trials of a store that are missing, on as many processes and machines as there are.

A sweep may be killed at any moment: started again it continues, inside a training run too where that keeps
checkpoints. A trial that raises or diverges is recorded as failed and stops nothing else. Several drivers on one
folder share the work (`verify.trials.leases`), or split it beforehand (``shard``).
"""

from __future__ import annotations

import importlib
import json
import math
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from verify.trials import checkpoints, leases, workers
from verify.trials.data import DataError
from verify.trials.origin import machine
from verify.trials.store import RESERVED, Configuration, Failure, Store, Trial, experiment_of, identity

WORTH_IT = 30.0
"""Seconds of work left from which other processes are worth their start, each a few seconds."""
Job = tuple[Configuration, Path | None]


class TrialsFailed(RuntimeError):
    """Some trials have no results; all others were run first.

    Attributes:
        failures: which and why.
        finished: the trials asked for that have results, in the order asked for.
    """

    def __init__(self, failures: Sequence[Failure], finished: Sequence[Trial]) -> None:
        self.failures, self.finished = list(failures), list(finished)
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        super().__init__(
            f"{len(failures)} of {len(failures) + len(finished)} trials failed: {failures[0]}{more}; "
            "`python -m verify trials show` says more, `python -m verify trials retry` lets them run again"
        )


# -- one trial --------------------------------------------------------------------------------------


def attempt(job: Job) -> Trial | Failure:
    """Run one trial here and now, on one thread; ``job`` is its configuration and where its checkpoints are kept."""
    configuration, place = job
    start = time.monotonic()
    made = {**machine(), "device": configuration.get("device", "cpu")}
    try:
        experiment = experiment_of(configuration)
        with _one_thread(), checkpoints.kept_at(place):
            results = experiment(**{k: v for k, v in configuration.items() if k not in RESERVED})
        if where := _not_finite(results):
            return Failure(configuration, f"diverged: {where}", provenance=made)
        json.dumps(results, allow_nan=False)
    except Exception as e:
        lasting = not isinstance(e, OSError | MemoryError | DataError | ImportError)
        return Failure(configuration, _reason(e), traceback.format_exc(), lasting, made)
    return Trial(configuration, results, {**made, "seconds": time.monotonic() - start})


def perform(configuration: Configuration) -> Trial:
    """Run one trial here and now, without a store.

    Raises:
        TrialsFailed: it raised or diverged.
    """
    found = attempt((configuration, None))
    if isinstance(found, Failure):
        raise TrialsFailed([found], [])
    return found


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'without a message'}"


def _not_finite(results: Any, at: str = "") -> str:
    """Where the first NaN or infinity in the results is, in words; "" if all numbers are finite."""
    if isinstance(results, float) and not math.isfinite(results):
        return f"{at or 'the result'} is {results}"
    inner: Iterable[tuple[str, Any]] = ()
    if isinstance(results, dict):
        inner = ((f"{at}.{k}" if at else str(k), v) for k, v in results.items())
    elif isinstance(results, list | tuple):
        inner = ((f"{at}[{i}]", v) for i, v in enumerate(results))
    return next((found for name, value in inner if (found := _not_finite(value, name))), "")


class _one_thread:
    """One torch thread inside, so that results do not depend on how many run beside each other."""

    def __enter__(self) -> None:
        self.torch = importlib.import_module("torch")
        self.before = self.torch.get_num_threads()
        self.torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        self.torch.set_num_threads(self.before)


# -- sweeps -----------------------------------------------------------------------------------------


class Progress:
    """Says on stderr how far a sweep is and how long it will take: in place on a terminal, else now and then."""

    def __init__(self, total: int, quiet: bool = False, every: float = 15.0, label: str = "") -> None:
        self.total, self.done, self.quiet = total, 0, quiet
        self.label = f"{label}: " if label else ""
        self.start = self.last = time.monotonic()
        self.live = sys.stderr.isatty()
        self.every = 0.2 if self.live else every

    def step(self) -> None:
        """One more is finished."""
        self.done += 1
        now = time.monotonic()
        if self.quiet or (now - self.last < self.every and self.done < self.total):
            return
        self.last = now
        print(("\r" if self.live else "") + self.line(now), end="" if self.live else "\n", file=sys.stderr, flush=True)
        if self.live and self.done == self.total:
            print(file=sys.stderr)

    def say(self, text: str) -> None:
        """A line of its own."""
        if not self.quiet:
            print(("\n" if self.live and self.done else "") + self.label + text, file=sys.stderr, flush=True)

    def line(self, now: float) -> str:
        """E.g. "12 of 40 trials, 31 s, about 72 s to go"."""
        spent = now - self.start
        left = spent / max(self.done, 1) * (self.total - self.done)
        rest = f"about {_duration(left)} to go" if self.done < self.total else "done"
        return f"{self.label}{self.done} of {self.total} trials, {_duration(spent)}, {rest}   "


def _duration(seconds: float) -> str:
    """E.g. "72 s", "14 min", "3.5 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def parse_shard(text: str) -> tuple[int, int]:
    """The i and n of "i/n".

    Raises:
        ValueError: it is not of that form, or i is not in 1..n.
    """
    i, slash, n = text.partition("/")
    if not (slash and i.isdecimal() and n.isdecimal() and 1 <= int(i) <= int(n)):
        raise ValueError(f"a shard is i/n with i from 1 to n, such as 2/8; got {text!r}")
    return int(i), int(n)


def run(
    configurations: Iterable[Configuration],
    store: Store,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    shard: tuple[int, int] | None = None,
    retry: bool = False,
    quiet: bool = False,
    label: str = "",
) -> list[Trial]:
    """Run those trials that are not finished yet, and return all of them in the order asked for.

    Args:
        configurations: what to run; duplicates run once.
        store: where finished trials are.
        jobs: processes on this machine; 1 runs in this process; None: this process, and one a processor once the
            work left is worth starting them.
        scheduler: address of a Dask scheduler ("tcp://host:8786"); needs the extra ``[cluster]``.
        shard: (i, n) runs and returns the i-th of n parts, i from 1; together they are everything.
        retry: run trials again that failed before.
        quiet: print no progress.
        label: what the trials are for; stands before the progress.

    Raises:
        ValueError: a configuration is malformed, or the scheduler cannot be used.
        TrialsFailed: some trials failed, now or before; the others are finished.
        OSError: a finished trial cannot be written; what was finished before is kept.
    """
    wanted = list(configurations)
    if shard is not None:
        i, n = shard
        wanted = [c for c in wanted if int(identity(c), 16) % n == i - 1]
    known: set[str] = set()
    for c in wanted:
        name = f"{c.get('experiment')} {c.get('code')}"
        if name not in known:
            experiment_of(c)
            known.add(name)
    unique = {identity(c): c for c in wanted}
    if retry:
        for c in unique.values():
            store.forget_failure(c)
    passing = _finish(list(unique.values()), store, jobs, scheduler, quiet, label)
    failures = [f for i, c in unique.items() if (f := passing.get(i) or (None if c in store else store.failure(c)))]
    finished = [store.read(c) for c in wanted if c in store]
    if failures:
        raise TrialsFailed(failures, finished)
    return finished


def _finish(
    wanted: Sequence[Configuration], store: Store, jobs: int | None, scheduler: str | None, quiet: bool, label: str
) -> dict[str, Failure]:  # fmt: skip
    """Run what is missing; failures that are not recorded, by identity."""
    todo = [c for c in wanted if c not in store and store.failure(c) is None]
    passing: dict[str, Failure] = {}
    if not todo:
        return passing
    for old in store.leftovers():
        old.unlink(missing_ok=True)
    progress = Progress(len(todo), quiet, label=label)

    def over(c: Configuration) -> bool:
        return c in store or store.failure(c) is not None or identity(c) in passing

    with leases.Leases() as held:
        pause = 0.05
        while todo:
            before = progress.done
            for job, found in _attempts(_leased(todo, over, store, held), len(todo), jobs, scheduler):
                configuration = job[0]
                if isinstance(found, Trial):
                    store.write(found)
                elif isinstance(found, Failure) and found.lasting:
                    store.write_failure(found)
                else:
                    passing[identity(configuration)] = _unrecorded(configuration, found)
                held.release(store.path(configuration, leases.SUFFIX))
                progress.step()
                if not isinstance(found, Trial):
                    progress.say(f"failed, going on: {passing.get(identity(configuration), found)}")
            todo = [c for c in todo if not over(c)]
            if todo:
                # The rest is in the hands of other drivers: wait until it is finished, or they are dead.
                if progress.done == before and pause == 0.05:
                    progress.say(f"waiting for {len(todo)} trials that other drivers have in hand")
                time.sleep(pause)
                pause = min(2 * pause, 2.0)
    return passing


def _unrecorded(configuration: Configuration, found: Failure | BaseException) -> Failure:
    return found if isinstance(found, Failure) else Failure(configuration, _reason(found), lasting=False)


def _leased(todo: Sequence[Configuration], over: Any, store: Store, held: leases.Leases) -> Iterator[Job]:
    """The trials that nobody has done or has in hand, leased one by one as they are taken."""
    for c in todo:
        lease = store.path(c, leases.SUFFIX)
        if over(c) or not held.take(lease):
            continue
        if over(c):
            held.release(lease)  # finished between the two looks
            continue
        yield c, store.path(c, "").absolute()


def _attempts(
    jobs_of: Iterator[Job], most: int, jobs: int | None, scheduler: str | None
) -> Iterator[tuple[Job, Trial | Failure | BaseException]]:
    """Trials as they finish. The caller writes them: workers need no shared folder but for checkpoints."""
    if scheduler is not None:
        yield from _dask(jobs_of, scheduler)
        return
    if jobs is None:
        cores, start = workers.processors(), time.monotonic()
        # The first ones here: they say whether others are worth their start. Who works changes no result.
        for done, job in enumerate(jobs_of, 1):
            yield job, attempt(job)
            if cores > 1 and (time.monotonic() - start) / done * (most - done) > WORTH_IT:
                break
        jobs = cores
    yield from workers.each(attempt, jobs_of, min(jobs, most))


def _dask(jobs_of: Iterator[Job], scheduler: str) -> Iterator[tuple[Job, Trial | Failure | BaseException]]:
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise ValueError("a Dask scheduler needs the extra: pip install 'pruning-theorems[cluster]'") from None
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError, TimeoutError) as e:
        raise ValueError(f"no Dask scheduler answers at {scheduler!r}: {e}") from None
    with client:
        # As many in hand as there are threads, and as many waiting: the rest stays for other drivers.
        width = 2 * max(1, sum(client.nthreads().values()))
        pool, in_hand = as_completed(), {}

        def submit() -> None:
            for job in jobs_of:
                future = client.submit(_here, job, pure=False)
                in_hand[future] = job
                pool.add(future)
                return

        for _ in range(width):
            submit()
        while in_hand:
            future = next(pool)
            submit()
            yield in_hand.pop(future), future.exception() or future.result()


def _here(job: Job) -> Trial | Failure:
    """`attempt` on another machine: with a checkpoint where the store's folder is shared."""
    configuration, place = job
    return attempt((configuration, place if place is not None and place.parent.is_dir() else None))


__all__ = ["Progress", "TrialsFailed", "attempt", "parse_shard", "perform", "run"]
