"""Running many claims: order, workers, disagreement, interruption."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from theory.claims import Status, claim_named
from verify.app.runner import Task, disagreement, run, run_task
from verify.search.budgets import budget_named
from verify.search.outcome import Outcome

pytestmark = pytest.mark.load
ROOT = Path(__file__).resolve().parents[2]
IDS = ("sketching/mask-size", "sketching/mask-keeps-s-weights", "path-exclusion/objective-is-a-bound")


def decided(row):
    return (row.claim, row.verdict, row.examples, row.screened, row.margin, row.counterexample)


def test_two_workers_find_what_one_does():
    tasks = [Task(i, "quick", 5) for i in IDS]
    one, two = (sorted(decided(e.row) for e in run(tasks, workers=w) if e.row) for w in (1, 2))
    assert one == two
    assert [d[1] for d in one] == ["refuted", "refuted", "survived"]


def test_progress_counts_to_the_end():
    events = list(run([Task(i, "quick") for i in IDS], workers=1))
    assert [e.done for e in events] == sorted(e.done for e in events)
    assert events[-1].done == events[-1].total == len(IDS)


def test_errors_of_tasks_reach_the_caller():
    with pytest.raises(KeyError, match="did you mean sketching/mask-size"):
        list(run([Task("sketching/mask-sise"), Task(IDS[0])], workers=2))
    with pytest.raises(ValueError, match="at least one worker"):
        list(run([Task(IDS[0])], workers=0))
    with pytest.raises(ValueError, match="known: quick, default, thorough"):
        budget_named("huge")


@pytest.mark.parametrize(
    ("status", "verdict", "on_model", "dropped", "reasons", "loud"),
    [
        (Status.PROVED, "survived", False, False, [], False),
        (Status.PROVED, "refuted", False, False, [], True),
        (Status.PROVED, "refuted", True, False, [], True),
        (Status.PROVED, "refuted", False, True, [], False),
        (Status.PROVED, "undecided", False, False, [], True),
        (Status.PROVED, "undecided", True, False, [], False),
        (Status.PROVED, "undecided", False, False, ["interrupted: what was seen so far"], False),
        (Status.REFUTED, "refuted", False, False, [], False),
        (Status.REFUTED, "survived", False, False, [], True),
        (Status.REFUTED, "survived", True, False, [], False),
        (Status.OPEN, "refuted", False, False, [], False),
        (Status.EMPIRICAL, "not applicable", False, False, [], False),
    ],
)
def test_what_contradicts_a_status(status, verdict, on_model, dropped, reasons, loud):
    claim = replace(claim_named(IDS[0]), status=status)
    outcome = Outcome(claim.id, verdict=verdict, reasons=reasons)
    assert bool(disagreement(claim, outcome, on_model, dropped)) is loud


def test_the_command_to_reproduce_names_everything():
    task = Task("a/b", "quick", 9, "tiny-relu", "cifar10", "some/folder", drop=("off-kinks",))
    expected = "python -m verify run a/b --on tiny-relu --data cifar10 --data-dir some/folder --drop off-kinks"
    assert task.reproduce == f"{expected} --budget quick --seed 9"


def test_the_command_to_reproduce_reproduces(capsys):
    from verify.app.cli import main

    row = run_task(Task("sketching/mask-keeps-s-weights", "quick", 11))
    assert main([*row.reproduce.split()[3:], "--json"]) == 0
    assert row.counterexample.replace('"', '\\"') in capsys.readouterr().out


@pytest.mark.parametrize("model", ["linear", "tiny-relu"])
def test_trained_models_are_decided_exactly(model):
    claim = "sketching/mean-squared-error" if model == "linear" else "path-exclusion/chain-rule"
    row = run_task(Task(claim, "quick", 1, model, "digits"))
    assert row.verdict == "survived"
    assert row.how == "rational"
    assert row.examples > 5
    assert row.on.startswith(f"digits, {model}")


def test_a_network_too_large_to_enumerate_is_decided_with_rounding_bounds():
    row = run_task(Task("path-exclusion/trace-bound", "quick", 1, "relu", "digits"))
    assert row.verdict == "survived"
    assert row.how == "float64 with rounding bound"


def test_a_claim_about_something_else_does_not_apply_to_a_model():
    row = run_task(Task("sketching/mask-size", "quick", 1, "tiny-relu", "digits"))
    assert row.verdict == "not applicable"
    assert "sketch" in row.reasons[0]


SLOW = '''
"""Three claims that hold, and that say when a search has begun to decide them."""
import os
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from theory.claims import PROVED, Source, claim
from theory.instances import Instance, array
from theory.relations import nonnegative
from verify.search.strategies import draws

@dataclass(frozen=True, eq=False)
class Number(Instance):
    v: np.ndarray = array(1)

@draws(Number)
def number(c):
    return Number(c.numbers((3,)))

def square(i):
    """A square is not negative."""
    if not i.stacked:
        with Path(__file__).with_name(f"decided-{os.getpid()}").open("a") as decided:
            decided.write(".")
    return nonnegative((i.v * i.v).sum(axis=-1))

for name in ("one", "two", "three"):
    square.__name__ = name
    globals()[name] = claim(Number, PROVED, Source(None))(square)
'''


@pytest.mark.parametrize("workers", ["1", "2"])
def test_interrupting_reports_what_was_seen(tmp_path, workers):
    (tmp_path / "slow.py").write_text(SLOW)
    command = [sys.executable, "-m", "verify", "run", "slow/*", "--claims-from", str(tmp_path / "slow.py"),
               "--budget", "thorough", "--workers", workers]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    # Until each worker has decided more than what loading the file evaluates, however long that takes here.
    while process.poll() is None and sum(p.stat().st_size > 100 for p in tmp_path.glob("decided-*")) < int(workers):
        time.sleep(0.01)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert "interrupted: what was seen so far" in out
    assert "decided exactly" in out
    assert "interrupted: " in err
    assert "Traceback" not in err


def test_an_interrupt_inside_a_finaliser_is_not_lost():
    """Python prints and forgets what a finaliser raises, so the interrupt waits until it is over."""
    from verify.app import runner

    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGALRM)}
    seen = []

    class Finalised:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):
                pass
            seen.append("over")

    def wait():
        one = Finalised()
        del one
        time.sleep(5)

    signal.signal(signal.SIGINT, runner._interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert seen == ["over"]
