"""Every planted mistake is refuted, and what only looks wrong survives."""

import pytest

from theory.claims import Status, claims
from theory.mistakes import planted, truths
from verify.search.loop import falsify

PLANTED, TRUTHS = dict(planted()), dict(truths())
SEEDS = (0, 1)


def test_names_are_unique():
    assert len(PLANTED) == len(list(planted()))


def test_every_proved_claim_has_a_planted_mistake():
    wrong = {c.id for c in PLANTED.values()}
    assert {c.id for c in claims() if c.status is Status.PROVED} <= wrong


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_refuted(name):
    for seed in SEEDS:
        outcome = falsify(PLANTED[name], examples=1000, rounds=96, seed=seed, shrinking=False)
        assert outcome.verdict == "refuted", f"seed {seed}: {outcome.verdict}, {outcome.reasons}"


@pytest.mark.parametrize("name", TRUTHS)
def test_what_only_looks_wrong_survives(name):
    outcome = falsify(TRUTHS[name], examples=200, shrinking=False)
    assert outcome.verdict == "survived", outcome.decision
