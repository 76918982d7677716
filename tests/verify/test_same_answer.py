"""The same seed gives the same answer on any machine: budgets count work, and the clock decides nothing."""

import itertools
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from tests.forked import python
from theory.claims import Status, claim_named
from verify.app.runner import Task, disagreement, run_task
from verify.power.ablation import ablate
from verify.power.sharpness import sharpness
from verify.search import budgets
from verify.search.loop import Search, falsify
from verify.search.outcome import Outcome

pytestmark = pytest.mark.load
ROOT = Path(__file__).resolve().parents[2]
CLAIMS = ("path-exclusion/no-collapse-literal", "sketching/optimal-probabilities", "no-free-prune/decoupling")


def told(outcome):
    """All of an outcome but its wall time."""
    return {f.name: getattr(outcome, f.name) for f in fields(Outcome) if f.name not in ("seconds", "counterexample")}


def slow_clock(monkeypatch, step=1e6):
    """A clock that leaps at every look."""
    ticks = itertools.count()
    monkeypatch.setattr(budgets.time, "monotonic", lambda: step * next(ticks))


@pytest.mark.parametrize("identity", CLAIMS)
def test_a_slow_clock_changes_nothing(identity, monkeypatch):
    before = falsify(identity, examples=60, rounds=8)
    slow_clock(monkeypatch)
    after = falsify(identity, examples=60, rounds=8)
    assert told(before) == told(after)
    assert not after.cut


def test_nor_for_hypotheses_and_constants(monkeypatch):
    before = (
        {k: told(o) for k, o in ablate(CLAIMS[1], examples=20).items()},
        sharpness(CLAIMS[1], examples=20, changes=(0.1,)).parts,
    )
    slow_clock(monkeypatch)
    after = (
        {k: told(o) for k, o in ablate(CLAIMS[1], examples=20).items()},
        sharpness(CLAIMS[1], examples=20, changes=(0.1,)).parts,
    )
    assert before == after


@pytest.mark.parametrize("status", list(Status))
def test_what_a_limit_cuts_short_is_said_and_contradicts_nothing(status, monkeypatch):
    slow_clock(monkeypatch)
    outcome = falsify(CLAIMS[1], examples=60, seconds=1.0)
    assert outcome.cut == f"cut short after {outcome.examples} of 60 instances decided exactly"
    assert outcome.cut in outcome.reasons
    assert not any("too weak" in r for r in outcome.reasons)
    claim = claim_named(CLAIMS[1])
    outcome.verdict = "undecided"
    assert disagreement(type(claim)(**{**vars(claim), "status": status}), outcome, False) == ""


def test_a_row_that_was_cut_short_reproduces_with_its_limit(monkeypatch):
    slow_clock(monkeypatch)
    row = run_task(Task(CLAIMS[0], "quick", seconds=2.5))
    assert row.disagrees == ""
    assert "--seconds 2.5" in row.reproduce
    with pytest.raises(ValueError, match="seconds must be positive"):
        falsify(CLAIMS[0], seconds=0)


def test_exact_decisions_come_early():
    """One of the first stack: not after the whole scan."""
    seen = []
    claim = claim_named(CLAIMS[1])

    def watched(instance):
        seen.append(instance.stacked)
        return claim.function(instance)

    falsify(type(claim)(**{**vars(claim), "function": watched}), examples=8, rounds=4, stages=("scan",))
    assert False in seen[:3]


def test_no_instance_is_decided_twice(monkeypatch):
    keys, look = [], Search.look
    monkeypatch.setattr(Search, "look", lambda self, instance: (keys.append(instance.key()), look(self, instance))[1])
    falsify("sketching/synflow-linear", examples=100, rounds=4)
    assert len(keys) == len(set(keys)) > 50


@contextmanager
def busy(loops):
    """Other processes that want the processor."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def printed(tmp_path, workers):
    """What the main job prints as JSON, less timings."""
    words = ("--claims", "path-exclusion/[ab]*", "--budget", "quick", "--seed", "3", "--json", "--no-models")
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = python("-m", "verify", *words, "--workers", str(workers), cwd=tmp_path, env=here)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    for row in rows:
        row.pop("seconds")
    return json.dumps(rows, indent=1)


def test_one_worker_alone_and_four_beside_busy_loops_print_the_same(tmp_path):
    alone = printed(tmp_path, 1)
    with busy(2):
        assert printed(tmp_path, 4) == alone


def test_what_is_drawn_does_not_depend_on_what_was_imported(monkeypatch):
    """Hypothesis draws numbers that stand in imported modules, too; another process has imported others."""
    from hypothesis.internal.conjecture import providers
    from hypothesis.internal.constants_ast import Constants

    def found(numbers):
        known = Constants(integers=set(numbers), floats=set(map(float, numbers)))
        monkeypatch.setattr(providers, "_get_local_constants", lambda: known)
        providers.CONSTANTS_CACHE.cache.clear()
        outcome = told(falsify("no-free-prune/data-gain", examples=200))
        providers.CONSTANTS_CACHE.cache.clear()
        return outcome

    assert found([]) == found(range(2, 9))
