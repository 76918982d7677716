"""Claims and tests are one thing: the protocol tests what the EMPIRICAL claims say, with their margins."""

from fractions import Fraction

import numpy as np
import pytest

from theory.claims import Status, claim_named, claims
from theory.experiments import PairedTrials, ScalingTrials, pairs
from theory.relations import decide
from verify import trials
from verify.experiments import decide as empirical
from verify.experiments import protocol

CHECKED = [c.id for c in claims() if c.status is Status.EMPIRICAL and c.setting in (PairedTrials, ScalingTrials)]
SIGN = {"sketching/lazy-weights-ratio-variance-falls": -1.0}
"""The observation is minus the slope."""


def test_every_empirical_claim_has_a_protocol_and_a_study_and_nothing_else_has():
    ids = {c.id for c in claims() if c.status is Status.EMPIRICAL}
    assert set(protocol.PROTOCOLS) == set(empirical.STUDIES) == ids
    assert len(CHECKED) == 6


@pytest.mark.parametrize("claim", protocol.PROTOCOLS)
def test_a_protocol_is_complete(claim):
    rule = protocol.PROTOCOLS[claim]
    assert rule.test in protocol.TESTS
    assert (rule.bound > 0) == (rule.test in ("not less", "within"))
    assert len(set(rule.lines)) == len(rule.lines) > 0
    assert rule.share * 2 * len(rule.lines) == pytest.approx(rule.alpha)
    stated = claim_named(claim)
    assert rule.bound == 0 or rule.margin in f"{stated.title} {stated.statement}"


def instance_at(claim, value):
    """Trials all of whose observations are ``value``, as the claim's own setting."""
    if claim_named(claim).setting is PairedTrials:
        return PairedTrials(pairs([(value, 0)] * 5))
    slope = SIGN.get(claim, 1.0) * float(value) - (0.5 if claim == "sketching/lazy-weights" else 0.0)
    return ScalingTrials(pairs([(w, Fraction(float(w) ** slope)) for w in (64, 256, 1024)]))


@pytest.mark.parametrize("claim", CHECKED)
def test_the_claim_and_its_test_agree_on_both_sides_of_the_margin(claim):
    """E.g. a claim with margin 1/8 whose test uses 1/10, or one that says "not worse" and tests "better", fails."""
    rule = protocol.PROTOCOLS[claim]
    margin = Fraction(rule.margin)
    edges = {"greater": [0], "not less": [-margin], "within": [-margin, margin]}[rule.test]
    for edge in edges:
        for value in (edge - Fraction(1, 500), edge + Fraction(1, 500)):
            says = decide(claim_named(claim).check(instance_at(claim, value))).verdict
            line = empirical._line(rule, rule.lines[0], [float(value)] * 400)
            assert line.verdict == {"holds": "yes", "refuted": "no"}[str(says)], (value, says, str(line))


def test_lines_of_studies_are_the_protocols(tmp_path):
    """Observations of a line that the protocol does not know decide nothing."""
    with pytest.raises(ValueError, match="differ in 'another', 'slope of log rho above 0'"):
        empirical.decide_lines("sketching/lazy-weights-relative-change-grows", {"another": [1.0]})
    rng = np.random.default_rng(0)
    made = {"accuracy": 0.9, "own": 0.8, "foreign": 0.7, "memorised": 0.6, "trace": 1.0, "per_output": 2.0}
    for claim, study in empirical.STUDIES.items():
        done = []
        for c in study.configurations("smoke"):
            found = {k: [v + 0.01 * rng.standard_normal()] for k, v in made.items()}
            found |= {k: float(np.exp(rng.standard_normal())) for k in ("distance", "rho", "variance")}
            found |= {"correlation": [[float(rng.random())]], "rows": world(rng)}
            if "densities" in c and claim in WORLDS:
                found |= {"weights": 20, **{k: sorted(rng.random(len(c["densities"]))) for k in WORLD}}
            done.append(trials.Trial(c, found))
        lines = empirical.decide_lines(claim, study.observations(done))
        assert [line.name for line in lines] == list(protocol.PROTOCOLS[claim].lines)


WORLDS = ("no-free-prune/initial-masks-have-lower-counts",
          "no-free-prune/initial-tickets-need-the-same-count")  # fmt: skip
WORLD = ("kept", "information", "memorised")


def world(rng):
    return [{"k": k, "information": float(rng.random()), "memorised": float(rng.random())} for k in (1, 1, 2, 2)]


def test_failed_trials_leave_a_claim_undecided_and_say_why(tmp_path):
    store = trials.Store(tmp_path)
    first, *_ = empirical.STUDIES["path-exclusion/bound-tightness"].configurations("smoke")
    store.write_failure(trials.Failure(first, "diverged: trace is nan"))
    found = empirical.decide_empirical("path-exclusion/bound-tightness", store=store, jobs=1, quiet=True)
    assert found.verdict == "undecided"
    assert "1 of 64 trials failed" in found.reason
    assert "diverged" in found.sentence
    again = trials.run(empirical.tightness_configurations("smoke"), store, jobs=1, quiet=True, retry=True)
    whole = empirical.decide_empirical("path-exclusion/bound-tightness", store=store, jobs=1, quiet=True)
    assert len(again) == whole.trials == 64
    assert whole.provenance["protocol"] == protocol.digest()
    assert len(whole.lines) == 3
