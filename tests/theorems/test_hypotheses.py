"""Every hypothesis of every proved claim is needed, and every constant is seen."""

import pytest

from theory.claims import Status, claims
from verify.power.ablation import ablate, needed
from verify.power.sharpness import sharpness

PROVED = {c.id: c for c in claims() if c.status is Status.PROVED}


@pytest.mark.parametrize("name", [i for i, c in PROVED.items() if c.assumptions])
def test_every_assumption_is_needed(name):
    for assumption, outcome in ablate(PROVED[name], examples=200).items():
        assert needed(outcome).startswith("needed"), f"without {assumption}: {needed(outcome)}"
        if outcome.counterexample is not None:
            assert [a.name for a in PROVED[name].applies(outcome.counterexample)] == [assumption]
            assert outcome.certificate["violates"] == [assumption]


@pytest.mark.parametrize("name", PROVED)
def test_an_error_of_a_thousandth_is_seen(name):
    """Equality cases are drawn, or cases so near to them that 0.999 times the bound is too little."""
    measured = sharpness(PROVED[name], changes=(0.001,), examples=200)
    assert not measured.parts or measured.smallest_change == 0.001 or PROVED[name].slack, measured
