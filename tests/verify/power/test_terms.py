"""Terms are scaled one by one, on instances of the structure that was asked for."""

import math

import pytest

from theory.relations import Verdict, decide
from verify.power.terms import BOUNDS, by_term, wrong
from verify.search.loop import falsify


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda b: f"{b.claim}: {b.names[0]}")
def test_the_terms_add_up_to_a_bound_that_holds(bound):
    whole = wrong(bound, 0, 0.0, lambda i: True)
    assert falsify(whole, examples=60, rounds=4, shrinking=False).verdict == "survived"


def test_an_error_in_either_term_is_seen_where_both_are_there():
    rows = by_term(BOUNDS[:1], changes=(0.5,))
    assert {r["term"] for r in rows} == set(BOUNDS[0].names)
    assert all(math.isfinite(r["smallest change"]) for r in rows)


def test_only_instances_of_the_structure_count():
    bound = BOUNDS[0]
    claim = wrong(bound, 0, 0.5, bound.structures["both terms"])
    found = falsify(claim, examples=200, shrinking=False).counterexample
    first, second = bound.sides(found)[1]
    assert 9 * first >= second
    assert 9 * second >= first
    assert decide(claim.check(found)).verdict is Verdict.REFUTED
