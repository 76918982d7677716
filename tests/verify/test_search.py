"""The search: finds, shrinks, repeats itself, and says what it did."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from theory.claims import Assumption, Claim, Source, Status, claim_named
from theory.instances import Instance, array
from theory.relations import Relation, Verdict, at_most, decide, equal, holds, less, positive
from verify.power.ablation import ablate, needed
from verify.power.sharpness import perturbed, sharpness
from verify.search import strategies
from verify.search.loop import falsify
from verify.search.shrink import shrink

pytestmark = pytest.mark.load


@dataclass(frozen=True, eq=False)
class Pair(Instance):
    """Two numbers and a vector."""

    a: np.ndarray = array(0)
    b: np.ndarray = array(0)
    v: np.ndarray = array(1)


@pytest.fixture(autouse=True)
def pair_strategy(monkeypatch):
    def pair(c, **hints):
        return Pair(c.numbers(()), c.numbers(()), c.numbers((c.integer(1, 4),)))

    monkeypatch.setitem(strategies._DRAWERS, Pair, pair)


def made(function, status=Status.PROVED, assumes=()):
    return Claim("test/made", "t", "", Source(None), status, assumes, Pair, function)


nonzero = Assumption("nonzero", "a is not 0", lambda i: i.a != 0, lambda c, i: i.with_(a=i.a * 0))
SQUARE = made(lambda i: at_most(2 * i.a * i.b, i.a * i.a + i.b * i.b))
FALSE = made(lambda i: less((i.v * i.v).sum(axis=-1), i.a * i.a + 100), Status.REFUTED)


def test_a_true_claim_survives_and_equality_is_seen():
    outcome = falsify(SQUARE, examples=100)
    assert outcome.verdict == "survived"
    assert outcome.smallest_margin == 0
    assert outcome.examples >= 90
    assert outcome.screened > 10_000
    assert outcome.hows == "rational"


@pytest.mark.parametrize("seed", range(5))
def test_a_false_claim_is_refuted_and_shrunk(seed):
    outcome = falsify(FALSE, examples=100, seed=seed)
    assert outcome.verdict == "refuted"
    small = outcome.counterexample
    assert small.v.shape == (1,)
    assert small.a == 0
    assert small.b == 0
    assert abs(small.v[0]) == 10
    assert outcome.decision.verdict is Verdict.REFUTED


@pytest.mark.parametrize("stage", ["scan", "hypothesis"])
def test_each_stage_finds_alone(stage):
    wrong = made(lambda i: at_most(3 * i.a * i.b, i.a * i.a + i.b * i.b))
    outcome = falsify(wrong, examples=400, stages=(stage,))
    assert outcome.verdict == "refuted"
    assert outcome.stage == stage


def test_climbing_finds_what_the_scan_does_not():
    # A window of relative width 1e-3 around a = 37 b: no drawn number lies in it.
    narrow = made(lambda i: at_most(i.b * i.b, 1000 * (i.a - 37 * i.b) * (i.a - 37 * i.b)))
    narrow = replace(narrow, assumptions=(Assumption("b", "b is not 0", lambda i: i.b != 0),))
    assert falsify(narrow, examples=50, stages=("scan",)).verdict == "survived"
    assert falsify(narrow, examples=50, stages=("scan", "climb"), rounds=60).verdict == "refuted"


def test_the_same_seed_gives_the_same_outcome():
    first, second = (falsify(FALSE, examples=100, seed=3) for _ in range(2))
    assert first.certificate == second.certificate


def test_a_strategy_that_never_fits_is_not_a_survivor():
    never = Assumption("never", "nothing is like that", lambda i: i.a > 10**9)
    outcome = falsify(replace(SQUARE, assumptions=(never,)), examples=20)
    assert outcome.verdict == "undecided"
    assert "strategy is too weak" in outcome.reasons[0]


def test_ablation_tells_needed_undefined_and_superfluous_apart():
    needs = made(lambda i: positive(i.a * i.a), assumes=(nonzero,))
    assert needed(ablate(needs, examples=50)["nonzero"]) == "needed"
    divides = made(lambda i: equal(i.b / i.a * i.a, i.b), assumes=(nonzero,))
    assert needed(ablate(divides, examples=50)["nonzero"]) == "needed: undefined without it"
    idle = replace(SQUARE, assumptions=(nonzero,))
    assert needed(ablate(idle, examples=50)["nonzero"]).startswith("no counterexample")


def test_sharpness_sees_small_errors_and_says_where_there_is_slack():
    assert sharpness(SQUARE, examples=50).smallest_change <= 0.001
    slack = made(lambda i: at_most(i.a * i.a, 4 * i.a * i.a + i.b * i.b))
    assert sharpness(slack, examples=50).smallest_change == float("inf")
    assert "slack" in sharpness(slack, examples=50).reason


def test_sharpness_of_a_claim_that_is_a_plain_yes_on_some_instances():
    def sometimes(instance):
        return holds(True) if instance.v.shape[-1] % 2 else SQUARE.function(instance)

    assert sharpness(made(sometimes), examples=50).smallest_change <= 0.001


def test_a_claim_without_assumptions_has_nothing_to_ablate():
    assert ablate(SQUARE) == {}


def test_a_perturbed_equality_is_refuted_exactly():
    same = made(lambda i: equal(i.a * i.b, i.b * i.a))
    outcome = falsify(perturbed(same, 0.001), examples=50)
    assert outcome.verdict == "refuted"
    assert outcome.decision.how == "rational"


def test_shrinking_never_leaves_the_refuted_set():
    start = falsify(FALSE, examples=100, shrinking=False).counterexample
    seen = []

    def refuted(i):
        ok = decide(FALSE.check(i)).verdict is Verdict.REFUTED
        seen.append(ok)
        return ok

    end = shrink(start, refuted)
    assert decide(FALSE.check(end)).verdict is Verdict.REFUTED
    assert end.size() <= start.size()
    assert seen


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="unknown stage 'guess'"):
        falsify(SQUARE, stages=("guess",))
    with pytest.raises(ValueError, match="must be at least 1; got 0"):
        falsify(SQUARE, examples=0)
    with pytest.raises(KeyError, match="has no assumption 'nonsense'"):
        falsify(SQUARE, drop=("nonsense",))


def test_an_undefined_relation_is_neither_true_nor_false():
    divides = made(lambda i: equal(i.b / i.a, i.b))
    relation = divides.check(Pair(*(np.array(0) * x for x in (1, 1)), np.array([1])).exact())
    assert isinstance(relation, Relation)
    assert decide(relation).verdict is Verdict.UNDECIDED
    assert "undefined" in decide(relation).how


def test_unknown_claims_name_near_misses():
    with pytest.raises(KeyError, match="path-exclusion/trace-bound"):
        claim_named("path-exclusion/trace-bond")
