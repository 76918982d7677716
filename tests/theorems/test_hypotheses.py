"""Every hypothesis of every proved claim is needed, and every constant is seen."""

from dataclasses import replace

import pytest

from theory.claims import Status, claims
from verify.power.ablation import ablate, needed
from verify.power.sharpness import sharpness
from verify.search.loop import falsify

PROVED = {c.id: c for c in claims() if c.status is Status.PROVED}


@pytest.mark.parametrize("name", [i for i, c in PROVED.items() if c.assumptions])
def test_every_assumption_is_needed(name):
    for assumption, outcome in ablate(PROVED[name], examples=60, shrinking=False).items():
        assert needed(outcome).startswith("needed"), f"without {assumption}: {needed(outcome)}"
        if outcome.counterexample is not None:
            assert [a.name for a in PROVED[name].applies(outcome.counterexample)] == [assumption]
            assert outcome.certificate["violates"] == [assumption]


@pytest.mark.parametrize("name", [i for i, c in PROVED.items() if c.assumptions])
def test_a_deleted_assumption_is_found_from_the_draws_that_are_left(name):
    """The claim without it, as somebody would have written it who forgot: nobody tells the search what is missing."""
    claim = PROVED[name]
    for a in claim.assumptions:
        without = replace(claim, assumptions=tuple(b for b in claim.assumptions if b is not a))
        for seed in range(5):
            assert _found(without, seed), f"without {a.name}, seed {seed}"


def _found(claim, seed):
    """Whether the search finds an instance on which the claim is false, or has no meaning."""
    scan = {"examples": 10, "rounds": 12, "stages": ("scan",)}
    budgets = (scan, {"examples": 40, "rounds": 4}, {"examples": 200, "rounds": 16})
    found = (falsify(claim, seed=seed, shrinking=False, **b) for b in budgets)
    return any(o.verdict == "refuted" or o.undefined for o in found)


@pytest.mark.parametrize("name", PROVED)
def test_an_error_of_a_thousandth_is_seen(name):
    """Equality cases are drawn, or cases so near to them that 0.999 times the bound is too little."""
    measured = sharpness(PROVED[name], changes=(0.001,), examples=200)
    assert not measured.parts or measured.smallest_change == 0.001 or PROVED[name].slack, measured
