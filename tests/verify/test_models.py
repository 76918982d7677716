"""Trained models as subjects: the same answer from the same seed, and the user's threads as they were."""

import dataclasses

import pytest
import torch

from theory.claims import claim_named
from verify.experiments import models
from verify.search.loop import falsify


def told(outcome):
    return {f.name: repr(getattr(outcome, f.name)) for f in dataclasses.fields(outcome) if f.name != "seconds"}


def fresh(model, identity, **settings):
    models._trained.cache_clear()
    return falsify(identity, on=models.subject(model), **settings)


@pytest.mark.parametrize(
    ("model", "identity"),
    [("tiny-relu", "path-exclusion/trace-bound"), ("tiny-relu", "path-exclusion/stays-alive-literal"),
     ("linear", "sketching/optimal-probabilities"), ("relu", "path-exclusion/trace-bound")],
)  # fmt: skip
def test_same_seed_same_outcome_whatever_the_threads(model, identity):
    threads = torch.get_num_threads()
    one = fresh(model, identity, examples=6, seed=2)
    torch.set_num_threads(2)
    try:
        two = fresh(model, identity, examples=6, seed=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert told(one) == told(two)


def test_what_a_limit_cuts_short_is_said_of_the_instances_asked_for(monkeypatch):
    on = models.subject("tiny-relu")
    monkeypatch.setattr("verify.search.budgets.Limit.passed", lambda self: setattr(self, "struck", True) or True)
    outcome = on.falsify(claim_named("path-exclusion/trace-bound"), examples=20, seconds=1e-9)
    assert outcome.cut == "cut short after 1 of 20 instances decided exactly"
    assert outcome.verdict == "survived"


def test_claims_about_other_settings_say_so():
    outcome = falsify("path-exclusion/trace-bound", on=models.subject("linear"), examples=3)
    assert outcome.verdict == "not applicable"
    assert outcome.reasons[0].startswith("it is about a network on data; this model is a")
