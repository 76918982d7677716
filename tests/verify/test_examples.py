"""Counterexamples are kept and tried again, and a seed does again what it did; profiles are budgets."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.database import InMemoryExampleDatabase

from tests.forked import python
from theory.claims import claim_named
from theory.relations import holds
from verify.search import examples
from verify.search.budgets import BUDGETS
from verify.search.loop import falsify

ROOT = Path(__file__).resolve().parents[2]
CLAIM = claim_named("path-exclusion/objective-is-a-bound")
NAMES = ("sketching/mask-keeps-s-weights", "--budget", "quick", "--json")


def verify(tmp_path, *arguments):
    here = {"PYTHONPATH": str(ROOT), "PATH": "", "OMP_NUM_THREADS": "1"}
    done = python("-m", "verify", *arguments, cwd=tmp_path, env=here)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_was_found_is_tried_first():
    store = InMemoryExampleDatabase()
    first = falsify(CLAIM, examples=50, database=store)
    assert first.stage == "scan"
    again = falsify(CLAIM, examples=50, seed=1, database=store)
    assert again.stage == "replay"
    assert again.examples == 1
    assert again.counterexample.key() == first.counterexample.key()
    assert again.certificate is not None
    assert "an earlier run found this" in again.reasons[0]


def test_without_a_database_the_seed_decides():
    store = InMemoryExampleDatabase()
    kept = falsify(CLAIM, examples=50, database=store)
    assert falsify(CLAIM, examples=50, seed=0).certificate == kept.certificate
    assert falsify(CLAIM, examples=50, seed=1).stage == "scan"


def test_what_refutes_nothing_any_more_is_forgotten():
    store = InMemoryExampleDatabase()
    falsify(CLAIM, examples=50, database=store)
    mended = replace(CLAIM, function=lambda i: holds(True))
    outcome = falsify(mended, examples=50, database=store)
    assert outcome.verdict == "survived"
    assert outcome.stages["replay"] == "1 kept by earlier runs"
    assert not list(examples.kept(store, CLAIM, ()))


def test_damaged_values_and_other_settings_are_forgotten():
    store = InMemoryExampleDatabase()
    for value in (b"\xff", b"{", b'{"setting": "Nothing", "instance": {}}', b'{"setting": "Sketch", "instance": {}}'):
        store.save(examples.key(CLAIM), value)
    assert falsify(CLAIM, examples=50, database=store).stage == "scan"
    assert len(set(store.fetch(examples.key(CLAIM)))) == 1


def test_assumptions_that_were_dropped_have_a_place_of_their_own():
    claim, store = claim_named("path-exclusion/kernel-by-gradient"), InMemoryExampleDatabase()
    assert falsify(claim, drop=("no-weight-twice",), examples=50, database=store).verdict == "refuted"
    assert falsify(claim, examples=50, database=store).verdict == "survived"


@pytest.mark.parametrize("seeded", [False, True])
def test_the_command_line_keeps_and_replays_unless_a_seed_is_named(tmp_path, seeded):
    seed = ("--seed", "3") if seeded else ()
    (first,), (again,) = (json.loads(verify(tmp_path, "run", *NAMES, *seed)) for _ in range(2))
    assert first["verdict"] == again["verdict"] == "refuted"
    assert "replay" not in first["stages"]
    assert ("replay" in again["stages"]) is not seeded
    assert (tmp_path / ".hypothesis" / "examples").exists() is not seeded
    assert again["counterexample"] == first["counterexample"]


def test_the_reproduce_line_finds_the_same_counterexample(tmp_path):
    (first,) = json.loads(verify(tmp_path, "run", "path-exclusion/stays-alive-literal", "--budget", "quick", "--json"))
    assert first["reproduce"].startswith("python -m verify run path-exclusion/stays-alive-literal")
    (again,) = json.loads(verify(tmp_path, *first["reproduce"].split()[3:], "--json"))
    assert again["counterexample"] == first["counterexample"]
    assert again["stages"] == first["stages"]
    assert again["reproduce"] in verify(tmp_path, *first["reproduce"].split()[3:])


def test_profiles_are_budgets_and_change_nobodys_default():
    before = settings.get_profile("default").max_examples
    examples.register_profiles()
    for name in examples.PROFILES:
        assert settings.get_profile(name).max_examples == BUDGETS[name].examples
    assert settings.get_profile("default").max_examples == before
    assert set(BUDGETS) == {*examples.PROFILES, "default"}


@pytest.mark.parametrize(("options", "budget"), [
    ((), "quick"), (("--hypothesis-profile", "thorough"), "thorough"),
    (("--hypothesis-profile", "thorough", "--theorem-budget", "default"), "default"),
    (("--hypothesis-profile", "default"), "quick"),
])  # fmt: skip
def test_pytest_takes_the_profile_for_the_budget(tmp_path, options, budget):
    chosen = ("-m", "theorem", "--architecture", "zoo:resnet20", "--claims", "sketching/mask-size")
    done = python("-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *chosen, *options, cwd=tmp_path)
    assert f"budget {budget}" in done.stdout, done.stdout + done.stderr
