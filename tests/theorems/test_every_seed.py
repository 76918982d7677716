"""What is false is found from any seed, small; what is proved survives any seed."""

import pytest

from theory.claims import Status, claim_named, claims
from theory.relations import Verdict, decide
from verify.search.loop import falsify

FIRST = (
    "sketching/transfer-literal",
    "sketching/synflow-deep-literal",
    "synaptic-flow/positive-scores-suffice",
    "path-exclusion/no-collapse-literal",
    "path-exclusion/stays-alive-literal",
)
MOST_WEIGHTS = {
    "sketching/synflow-deep-literal": 3,
    "synaptic-flow/positive-scores-suffice": 3,
    "path-exclusion/no-collapse-literal": 4,
    "path-exclusion/stays-alive-literal": 3,
}
OTHERS = [c.id for c in claims() if c.status is Status.REFUTED and c.id not in FIRST]
PROVED = [c.id for c in claims() if c.status is Status.PROVED]


def refuted_small(identity, seed):
    claim = claim_named(identity)
    outcome = falsify(claim, examples=200, seed=seed)
    assert outcome.verdict == "refuted", f"{identity}: {outcome.verdict} with seed {seed}, {outcome.reasons}"
    again = decide(claim.check(outcome.counterexample))
    assert again.verdict is Verdict.REFUTED
    assert not claim.applies(outcome.counterexample)
    assert again.how == "rational" or again.how.startswith("ball")
    return outcome.counterexample


@pytest.mark.parametrize("identity", FIRST)
def test_found_from_twenty_seeds_out_of_twenty(identity):
    for seed in range(20):
        found = refuted_small(identity, seed)
        if identity in MOST_WEIGHTS:
            assert found.network.parameters <= MOST_WEIGHTS[identity], f"seed {seed}: {found.summary()}"


@pytest.mark.parametrize("identity", OTHERS)
def test_every_other_refuted_claim_is_found_from_five_seeds(identity):
    for seed in range(100, 105):
        refuted_small(identity, seed)


@pytest.mark.parametrize("identity", PROVED)
def test_every_proved_claim_survives_five_seeds(identity):
    claim = claim_named(identity)
    for seed in range(200, 205):
        outcome = falsify(claim, examples=40, seed=seed, rounds=8)
        assert outcome.verdict == "survived", f"{identity}, seed {seed}: {outcome.verdict}, {outcome.decision}"
        assert outcome.examples > outcome.vacuous + outcome.undecided
