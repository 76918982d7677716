"""What is false is found from any seed, small."""

import numpy as np
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
    "sketching/synflow-deep-literal-relu": 3,
    "sketching/synflow-one-hidden-unit": 3,
    "synaptic-flow/positive-scores-suffice": 3,
    "path-exclusion/no-collapse-literal": 4,
    "path-exclusion/stays-alive-literal": 3,
}
MOST_FEATURES = {
    "sketching/two-draws-never-beat-top": 4,
    "sketching/three-draws-never-beat-top": 5,
    "sketching/sampling-gains-a-factor-at-most": 5,
}
SMALL = {
    "no-free-prune/noise-correlation-without-information": lambda i: i.n == 1 and len(i.functions) <= 2,
    "no-free-prune/cover-count-with-ties": lambda i: i.x.shape == (2, 1) and not i.bias,
    "no-free-prune/memorisation-exponential-literal": lambda i: i.n <= 2 and i.rule.shape[1] == 2,
    "no-free-prune/information-is-enough": lambda i: i.x.size <= 8,
    "no-free-prune/law-of-robustness-many-components": lambda i: i.log_samples <= 16 and i.log_components <= 32,
}
REFUTED = [c.id for c in claims() if c.status is Status.REFUTED]


def refuted(identity, seed, *, shrinking):
    claim = claim_named(identity)
    outcome = falsify(claim, examples=200, seed=seed, shrinking=shrinking)
    assert outcome.verdict == "refuted", f"{identity}: {outcome.verdict} with seed {seed}, {outcome.reasons}"
    again = decide(claim.check(outcome.counterexample))
    assert again.verdict is Verdict.REFUTED
    assert not claim.applies(outcome.counterexample)
    assert again.how == "rational" or again.how.startswith("ball")
    return outcome.counterexample


@pytest.mark.parametrize("identity", REFUTED)
def test_refuted_claims_are_found_from_every_seed(identity):
    for seed in range(20 if identity in FIRST else 8):
        refuted(identity, seed, shrinking=False)


@pytest.mark.parametrize("identity", REFUTED)
def test_and_shrunk_to_what_a_person_can_check(identity):
    for seed in (100,):
        found = refuted(identity, seed, shrinking=True)
        paper = identity.split("/")[0]
        if identity in SMALL:
            assert SMALL[identity](found), found.summary()
        elif hasattr(found, "network"):
            assert found.network.parameters <= MOST_WEIGHTS.get(identity, 6), found.summary()
        elif paper == "sketching":
            assert np.shape(found.w)[-1] <= MOST_FEATURES.get(identity, 3), found.summary()
