"""Run many claims, each with its own budget, over a few worker processes.

A `Task` says which claim on what; a `Row` is what the table, the JSON and the HTML report need of the
outcome, as plain data. Workers load torch only when a task needs a model. Ctrl-C stops the searches in
hand, which report what they have seen so far.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from theory.claims import Claim, Status, claim_named, claims_from
from verify.search.budgets import budget_named

WORKERS = 2
DRAWN = "drawn instances"


@dataclass(frozen=True)
class Task:
    """A claim, and what it is to be checked on.

    Attributes:
        claim: its id.
        budget: name of a budget.
        seed: the seed.
        model: "" for drawn instances, else what `verify.experiments.models.subject` understands.
        data: data set that the model is trained or evaluated on.
        data_dir: folder of the data set, if it is not built in.
        samples: inputs given to a model that is not trained here.
        device: where a model is trained.
        drop: assumptions not to require.
        seconds: a limit in seconds for this task, set by a person; None: none.
        claims_from: files of one's own with claims (see `theory.claims.claims_from`).
        replay: try first what earlier runs have found, and keep what this one finds (see `verify.search.examples`).
    """

    claim: str
    budget: str = "default"
    seed: int = 0
    model: str = ""
    data: str = ""
    data_dir: str = ""
    samples: int = 8
    device: str = "cpu"
    drop: tuple[str, ...] = ()
    seconds: float | None = None
    replay: bool = False
    claims_from: tuple[str, ...] = ()

    @property
    def reproduce(self) -> str:
        """The command that does this one task again."""
        words = ["python -m verify run", self.claim]
        for option, value in (
            ("--on", self.model),
            ("--data", self.data),
            ("--data-dir", self.data_dir),
            *(("--drop", name) for name in self.drop),
            *(("--claims-from", path) for path in self.claims_from),
        ):
            if value:
                words.append(f"{option} {value}")
        if self.model and self.samples != 8:
            words.append(f"--samples {self.samples}")
        if self.seconds is not None:
            words.append(f"--seconds {self.seconds:g}")
        return " ".join([*words, f"--budget {self.budget} --seed {self.seed}"])


@dataclass
class Row:
    """What is reported of one task: plain data, ready for JSON.

    Attributes:
        claim, title, statement, status, source, by_definition, repairs, repaired_by, see: of the claim.
        assumes: its assumptions, name -> sentence.
        on: what it ran on.
        verdict: "survived", "refuted", "undecided" or "not applicable".
        disagrees: why the verdict contradicts the status; empty where it does not.
        how: how the deciding instance was decided.
        examples, screened, vacuous, undecided: numbers of instances (see `verify.search.loop.Outcome`).
        margin: smallest relative margin seen; None where there is none.
        error: relative radius of the balls, or the rounding bound, in the deciding comparison.
        counterexample: the counterexample as a line, empty if there is none.
        size: its size in a few words.
        decision: its decision as a line.
        certificate: the certificate, or None.
        stages: what each stage looked at.
        reasons: remarks.
        seconds: wall time.
        seed: the seed.
        budget: the budget's name.
        reproduce: command to paste.
    """

    claim: str
    title: str = ""
    statement: str = ""
    status: str = ""
    source: str = ""
    by_definition: str = ""
    repairs: str = ""
    repaired_by: list[str] = field(default_factory=list)
    see: list[str] = field(default_factory=list)
    assumes: dict[str, str] = field(default_factory=dict)
    on: str = DRAWN
    verdict: str = ""
    disagrees: str = ""
    how: str = ""
    examples: int = 0
    screened: int = 0
    vacuous: int = 0
    undecided: int = 0
    margin: float | None = None
    error: float = 0.0
    counterexample: str = ""
    size: str = ""
    decision: str = ""
    certificate: dict[str, Any] | None = None
    stages: dict[str, str] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    seconds: float = 0.0
    seed: int = 0
    budget: str = ""
    reproduce: str = ""

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return dataclasses.asdict(self)


def row(claim: Claim, outcome: Any, task: Task) -> Row:
    """The row of an outcome of ``task``."""
    decision = outcome.decision or outcome.hardest
    found = outcome.counterexample
    margin = float(outcome.smallest_margin)
    return Row(
        claim=claim.id,
        title=claim.title,
        statement=claim.statement,
        status=str(claim.status),
        source=str(claim.source),
        by_definition=claim.by_definition,
        repairs=claim.repairs,
        repaired_by=list(claim.repaired_by),
        see=list(claim.see),
        assumes={a.name: a.sentence for a in claim.assumptions},
        on=outcome.on,
        verdict=outcome.verdict,
        disagrees=disagreement(claim, outcome, bool(task.model), bool(task.drop)),
        how=outcome.hows,
        examples=outcome.examples,
        screened=outcome.screened,
        vacuous=outcome.vacuous,
        undecided=outcome.undecided,
        margin=margin if math.isfinite(margin) else None,
        error=float(decision.error) if decision else 0.0,
        counterexample="" if found is None else found if isinstance(found, str) else found.summary(),
        size="" if found is None or isinstance(found, str) else size_in_words(found),
        decision=str(outcome.decision) if outcome.decision else "",
        certificate=outcome.certificate,
        stages=dict(outcome.stages),
        reasons=list(outcome.reasons),
        seconds=outcome.seconds,
        seed=task.seed,
        budget=task.budget,
        reproduce=task.reproduce,
    )


def disagreement(claim: Claim, outcome: Any, on_model: bool, dropped: bool = False) -> str:
    """Why the verdict contradicts the claim's status, in words; empty where it does not.

    One model that does not refute a refuted claim contradicts nothing, nor does a search that was
    interrupted or cut short or a claim whose assumptions were dropped.
    """
    if dropped:
        return ""
    if claim.status is Status.PROVED and outcome.verdict == "refuted":
        return "believed proved, but refuted here: the claim, its proof or our code is wrong"
    if on_model or outcome.cut or any(r.startswith("interrupted") for r in outcome.reasons):
        return ""
    if claim.status is Status.REFUTED and outcome.verdict != "refuted":
        return "known to be false, but no counterexample was found: the search is too weak"
    if claim.status is Status.PROVED and outcome.verdict == "undecided":
        return "believed proved, but no instance decided anything: nothing was tested"
    return ""


def size_in_words(instance: Any) -> str:
    """The size of a counterexample: weights of a network, else nonzero numbers."""
    if hasattr(instance, "network"):
        n = instance.network.parameters
        return f"{n} weight{'s' * (n != 1)}"
    entries, nonzero = instance.size()[-3:-1]
    return f"{nonzero} number{'s' * (nonzero != 1)}" if entries else f"size {sum(map(int, instance.structure_size()))}"


def run_task(task: Task) -> Row:
    """Run one task in this process; interrupting it gives what was seen so far.

    Raises:
        KeyError: no such claim or assumption.
        ValueError: a model, data set or budget that does not exist or cannot be read.
    """
    from verify.search.loop import falsify
    from verify.search.outcome import Outcome

    for path in task.claims_from:
        claims_from(path)
    claim, budget = claim_named(task.claim), budget_named(task.budget)
    options: dict[str, Any] = {"examples": budget.examples, "seconds": task.seconds, "seed": task.seed}
    on = None
    try:
        if task.model:
            from verify.experiments import models

            on = models.subject(
                task.model,
                data=task.data,
                data_dir=task.data_dir,
                seed=task.seed,
                samples=task.samples,
                device=task.device,
            )
        if task.replay and on is None:
            from verify.search.examples import database

            options["database"] = database()
        outcome = falsify(claim, on=on, drop=task.drop, rounds=budget.rounds, **options)
    except KeyboardInterrupt:
        outcome = Outcome(claim.id, verdict="undecided", seed=task.seed, reasons=["interrupted before it was decided"])
        outcome.on = getattr(on, "name", task.model) or DRAWN
    return row(claim, outcome, task)


def _quiet() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, a little later where Python would print it and go on: in finalisers and gc callbacks."""
    inner = frame
    while inner is not None:
        if inner.f_code.co_name in ("gc_callback", "__del__") and hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, _interrupt)
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            return
        inner = inner.f_back
    raise KeyboardInterrupt


def _in_worker(task: Task) -> Row:
    signal.signal(signal.SIGINT, _interrupt)
    try:
        return run_task(task)
    finally:
        _quiet()


@dataclass(frozen=True)
class Event:
    """Progress: a finished row (or none yet), how many are done of how many, and what is running."""

    row: Row | None
    done: int
    total: int
    running: tuple[str, ...]


def run(tasks: Sequence[Task], *, workers: int = WORKERS, tick: float = 0.2) -> Iterator[Event]:
    """Run all tasks and yield an event for each that finishes, and every ``tick`` seconds.

    Interrupting stops what is running, yields what it has seen, and raises KeyboardInterrupt after.

    Raises:
        KeyError, ValueError: what a task raises; the others are abandoned.
        ChildProcessError: a worker process died.
    """
    if workers < 1:
        raise ValueError(f"at least one worker is needed; got {workers}")
    if workers == 1 or len(tasks) == 1:
        yield from _in_this_process(tasks)
        return
    # Spawned, not forked: a fork of a process that has used torch's or BLAS's threads can hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context, initializer=_quiet)
    try:
        yield from _collect(pool, tasks, min(workers, len(tasks)), tick)
    except BrokenProcessPool:
        raise ChildProcessError("a worker process died, perhaps for lack of memory; try --workers 1") from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _in_this_process(tasks: Sequence[Task]) -> Iterator[Event]:
    main = threading.current_thread() is threading.main_thread()
    for done, task in enumerate(tasks):
        yield Event(None, done, len(tasks), (task.claim,))
        before = signal.signal(signal.SIGINT, _interrupt) if main else None
        try:
            result = run_task(task)
        finally:
            if main:
                signal.signal(signal.SIGINT, before)
        yield Event(result, done + 1, len(tasks), ())
        if any(r.startswith("interrupted") for r in result.reasons):
            raise KeyboardInterrupt


def _collect(pool: ProcessPoolExecutor, tasks: Sequence[Task], workers: int, tick: float) -> Iterator[Event]:
    # As many are handed out as there are workers: what is queued inside the pool could not be taken back.
    left, running, done = deque(tasks), dict[Future[Row], Task](), 0
    with _interrupts() as asked:  # after ctrl-C what is in hand reports what it has seen; a second one leaves at once
        while running or (left and not asked):
            while left and len(running) < workers and not asked:
                task = left.popleft()
                running[pool.submit(_in_worker, task)] = task
            finished, _ = wait(running, timeout=tick, return_when=FIRST_COMPLETED)
            for future in sorted(finished, key=lambda f: running[f].claim):
                del running[future]
                done += 1
                yield Event(future.result(), done, len(tasks), _names(running))
            yield Event(None, done, len(tasks), _names(running))
    if asked:
        raise KeyboardInterrupt


@contextlib.contextmanager
def handling(number: int, handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Context in which a signal calls ``handler``; does nothing outside the main thread, which alone gets signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextlib.contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Collects the first ctrl-C instead of raising it, so that no finished row is lost; the second one raises."""
    asked: list[int] = []

    def note(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    with handling(signal.SIGINT, note):
        yield asked


def _names(running: dict[Future[Row], Task]) -> tuple[str, ...]:
    return tuple(sorted({task.claim for task in running.values()}))


__all__ = ["DRAWN", "Event", "Row", "Task", "disagreement", "row", "run", "run_task", "size_in_words"]
