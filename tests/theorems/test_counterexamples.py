"""Single facts about counterexamples that the papers' claims have, found by the search."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from theory import saliency
from theory.claims import Status, claim_named, claims
from theory.flows import UniformNetwork
from theory.paths import on_path
from verify.search.loop import falsify

EMPIRICAL = [c for c in claims() if c.status is Status.EMPIRICAL]


def test_a_schedule_as_fast_as_the_weights_allow_is_too_fast():
    """q L < a is the best condition of its kind: with q L <= a a layer can go."""
    theorem = claim_named("synaptic-flow/maximal-critical-compression")

    def as_fast(run):
        counts = (run.weights, *run.kept_by_round())
        return all(a - b <= 1 or (a - b) * run.longest_path() <= a for a, b in pairwise(counts))

    faster = tuple(replace(a, predicate=as_fast) if a.name == "slow-schedule" else a for a in theorem.assumptions)
    outcome = falsify(
        replace(theorem, assumptions=faster, draws={**theorem.draws, "schedules": ("one-shot",)}), seed=1, examples=200
    )  # not from every seed: equality has to be drawn
    assert outcome.verdict == "refuted", outcome.reasons


@pytest.mark.parametrize("stage", ["scan", "hypothesis"])
def test_exact_drawing_and_shrinking_of_a_rescaled_network(stage):
    claim = claim_named("synaptic-flow/layer-rescaling")
    outcome = falsify(claim, drop=("positive-factor",), examples=100, seed=0, stages=(stage,))
    assert outcome.verdict == "refuted"
    assert outcome.counterexample.factor == -1
    assert type(outcome.counterexample).from_json(outcome.counterexample.to_json()).factor == -1


def test_float32_loses_a_score_that_is_finite():
    small = UniformNetwork(64, 1, np.asarray(saliency.ones((), np.array(saliency.zeros((), np.zeros(1))))))
    assert (small.float32_scores(1) == 1).all()
    found = falsify("synaptic-flow/float32-range", examples=200, seed=0).counterexample
    shallower = found.with_(depth=found.depth - 1)
    assert found.exact_scores(2) > 0
    for power in (1, 2):
        scores, exact = shallower.float32_scores(power), shallower.exact_scores(power)
        assert np.isfinite(scores).all()
        assert float(scores[0]) == pytest.approx(int(exact.p) / int(exact.q), rel=1e-3)


@pytest.mark.parametrize("unit", ["gelu", "silu", "sigmoid", "tanh", "layer-norm", "softmax", "batch-statistics"])
def test_the_formal_bound_fails_for_every_smooth_unit(unit):
    claim = replace(claim_named("path-exclusion/beyond-piecewise-linear"), draws={"units": (unit,)})
    assert falsify(claim, examples=200, shrinking=False).verdict == "refuted"


def test_counted_twice_and_once_differ():
    found = falsify("path-exclusion/kernel-by-gradient", drop=("no-weight-twice",), examples=100).counterexample
    assert (on_path(found.network) == 2).any()


@pytest.mark.parametrize("exponent", range(7))
def test_no_constant_saves_the_literal_transfer(exponent):
    """Each C in 1, 10, ..., 10^6 is broken with two features."""
    literal = claim_named("sketching/transfer-literal")
    claim = replace(literal, draws={**literal.draws, "constants": (10**exponent,)})
    outcome = falsify(claim, examples=200, seed=exponent)
    assert outcome.verdict == "refuted"
    assert outcome.counterexample.constant == 10**exponent
    assert outcome.counterexample.x.shape[0] == 2


@pytest.mark.parametrize("claim", EMPIRICAL, ids=lambda c: c.id)
def test_empirical_claims_wait_for_trials(claim):
    outcome = falsify(claim)
    assert outcome.verdict == "not applicable"
    assert "experiments" in outcome.reasons[0]


def test_claims_name_others_that_exist():
    known = {c.id for c in claims()}
    for c in claims():
        assert {i for i in (c.repairs, *c.see) if i} <= known, c.id
