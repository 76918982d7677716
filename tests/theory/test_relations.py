"""Relations: every verdict, on every kind of number, and none from floating point."""

import numpy as np
import pytest
from flint import arb, fmpq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from theory.relations import (
    Relation,
    Verdict,
    all_of,
    at_most,
    decide,
    different,
    equal,
    equivalent,
    holds,
    less,
    margins,
    nonnegative,
    positive,
    within,
)
from theory.scalars import exact, sqrt

untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Nothing is asserted about time: beside busy loops one example may take long."""
rationals = st.fractions(max_denominator=50).map(lambda f: fmpq(f.numerator, f.denominator))


@untimed
@given(rationals, rationals)
def test_rationals_are_decided_exactly(a, b):
    truth = {at_most: a <= b, less: a < b, equal: a == b, different: a != b}
    for relation, expected in truth.items():
        decision = decide(relation(a, b))
        assert decision.verdict is (Verdict.HOLDS if expected else Verdict.REFUTED)
        assert decision.how == "rational"


@untimed
@given(rationals)
def test_signs(a):
    assert (decide(positive(a)).verdict is Verdict.HOLDS) == (a > 0)
    assert (decide(nonnegative(a)).verdict is Verdict.HOLDS) == (a >= 0)


def test_balls_are_recomputed_until_they_separate():
    def relation():
        close = sqrt(fmpq(2)) * (1 + fmpq(1, 10**200))
        return Relation(at_most(close, sqrt(fmpq(2))).parts, again=relation)

    decision = decide(relation())
    assert decision.verdict is Verdict.REFUTED
    assert decision.how.startswith("ball (")


def test_equal_irrationals_stay_undecided_and_never_hold():
    def relation():
        return Relation(equal(sqrt(fmpq(2)) * sqrt(fmpq(3)), sqrt(fmpq(6))).parts, again=relation)

    assert decide(relation()).verdict is Verdict.UNDECIDED


def test_floating_point_gives_no_verdict():
    with pytest.raises(TypeError, match="float64 side"):
        decide(equal(0.1 + 0.2, 0.3))
    with pytest.raises(TypeError, match="stack"):
        decide(Relation(equal(np.ones(2), np.ones(2)).parts, stacked=True))


def test_the_worst_entry_of_an_array_decides():
    decision = decide(at_most(exact([1, 5, 2]), exact([2, 4, 2])))
    assert (decision.verdict, decision.lhs, decision.rhs) == (Verdict.REFUTED, 5, 4)


def test_a_conjunction_needs_every_part():
    good, bad = at_most(fmpq(1), fmpq(2), "first"), at_most(fmpq(3), fmpq(2), "second")
    assert decide(all_of(good, bad)).name == "second"
    assert decide(good & good).verdict is Verdict.HOLDS


def test_premises_that_never_hold_are_reported_as_vacuous():
    decision = decide(at_most(fmpq(3), fmpq(2)).when(False))
    assert decision.vacuous
    assert decision.verdict is Verdict.HOLDS


def test_yes_or_no_statements():
    assert decide(holds(True)).verdict is Verdict.HOLDS
    assert decide(holds(False)).verdict is Verdict.REFUTED
    assert decide(equivalent(True, False)).verdict is Verdict.REFUTED


def test_margins_see_what_decide_sees():
    lhs, rhs = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])
    stack = Relation(at_most(lhs, rhs).parts, stacked=True)
    assert margins(stack).tolist() == [0.5, 0.0, pytest.approx(-1 / 3)]
    strict = Relation(less(lhs, rhs).parts, stacked=True)
    assert (margins(strict) < 0).tolist() == [False, True, True]


def test_margins_keep_missing_values():
    stack = Relation(
        (at_most(np.array([np.nan, 1.0]), np.array([1.0, 1.0])) & at_most(np.ones(2), np.ones(2))).parts, True
    )
    assert np.isnan(margins(stack)).tolist() == [True, False]


def bounded(a, b):
    return decide(Relation(equal(a, b).parts, source="float64 with rounding bound"))


def test_rounding_bounds_refute_only_beyond_the_bound():
    assert bounded(arb(1, 1e-12), arb(1.001)).verdict is Verdict.REFUTED
    assert bounded(arb(1, 0.1), arb(1)).verdict is Verdict.UNDECIDED


def test_an_equality_known_to_a_rounding_bound_agrees_and_never_holds():
    decision = bounded(arb(1, 1e-12), arb(1))
    assert decision.verdict is Verdict.UNDECIDED
    assert 1e-12 <= decision.agrees < 1.1e-12
    assert "agree within the rounding bound (relative gap at most 1e-12)" in str(decision)


def test_two_exact_sides_are_decided_whatever_the_bound_of_others():
    decision = bounded(fmpq(1, 3), fmpq(1, 3))
    assert (decision.verdict, decision.agrees) == (Verdict.HOLDS, None)


def test_the_widest_agreement_speaks_for_a_conjunction_of_equalities():
    parts = equal(arb(1, 1e-12), arb(1)) & equal(arb(2, 1e-6), arb(2)) & equal(fmpq(1), fmpq(1))
    assert decide(Relation(parts.parts, source="float64 with rounding bound")).agrees == pytest.approx(5e-7)
    parts = equal(arb(1, 1e-12), arb(1)) & at_most(arb(1, 1e-12), arb(1))
    mixed = decide(Relation(parts.parts, source="float64 with rounding bound"))
    assert (mixed.verdict, mixed.agrees) == (Verdict.UNDECIDED, None)


def test_a_value_within_a_ball_is_decided_by_its_ends():
    balls = np.array([arb(1, 0.5), fmpq(3)], dtype=object)
    assert decide(within(exact([1, 3]), balls)).verdict is Verdict.HOLDS
    assert decide(within(exact([1, 2]), balls)).verdict is Verdict.REFUTED
    assert decide(within(exact([2, 3]), balls)).verdict is Verdict.REFUTED
    assert decide(within(sqrt(exact([2, 9])), balls)).verdict is Verdict.HOLDS
