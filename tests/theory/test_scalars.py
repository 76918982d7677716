"""Scalars: exactness, roots, refusals."""

import numpy as np
import pytest
from flint import arb, fmpq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from theory.scalars import (
    cached_array,
    exact,
    floats,
    gate,
    indicator,
    log,
    maximum,
    precision,
    rational,
    sqrt,
    text,
    to_float,
    xlogx,
)

untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Nothing is asserted about time: beside busy loops one example may take long."""


@untimed
@given(st.fractions())
def test_square_root_of_a_square_is_rational_and_exact(f):
    q = rational(f)
    assert sqrt(q * q) == abs(q)


def test_square_root_of_two_is_a_ball_that_shrinks_with_precision():
    coarse = sqrt(fmpq(2))
    with precision(512):
        fine = sqrt(fmpq(2))
    assert isinstance(coarse, arb)
    assert fine.rad() < coarse.rad()
    with precision(512):
        assert abs(fine * fine - 2) < fmpq(1, 10**100)


@untimed
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_taken_at_their_exact_value(x):
    assert to_float(rational(x)) == x


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), "x", "1/0", None, [1]])
def test_what_is_no_number_is_refused(bad):
    with pytest.raises(ValueError, match="not a"):
        rational(bad)


def test_negative_roots_are_refused():
    with pytest.raises(ValueError, match="negative"):
        sqrt(fmpq(-1))


def test_logarithms_are_rational_where_they_can_be():
    assert log(fmpq(1)) == 0
    assert xlogx(exact([0, 1])).tolist() == [0, 0]
    assert xlogx(fmpq(1, 2)).contains(arb(fmpq(1, 2)) * arb(fmpq(1, 2)).log())
    assert np.allclose(xlogx(np.array([0.0, 0.5])), [0, 0.5 * np.log(0.5)])


def test_arrays_keep_their_kind():
    a = exact([[1, 2], ["3/4", -1]])
    assert indicator(a > 0, a).tolist() == [[1, 1], [1, 0]]
    assert indicator(a > 0, floats(a)).dtype == float
    assert floats(a)[1, 0] == 0.75


def test_maximum_of_balls_is_rigorous():
    two = sqrt(fmpq(2))
    assert maximum(two, fmpq(1)).contains(two.mid())
    assert maximum(fmpq(3), fmpq(2)) == 3


def test_text_is_exact_for_rationals():
    assert text(fmpq(-3, 4)) == "-3/4"
    assert "+/-" in text(sqrt(fmpq(2)))


def test_a_gate_is_open_closed_or_between():
    a = np.array([fmpq(2), fmpq(0), arb(-1, 0.5), arb(0, 1)], dtype=object)
    on = gate(a, a)
    assert list(on[:3]) == [1, 0, 0]
    assert on[3].contains(arb(0.5, 0.5))
    assert not on[3].contains(2)
    assert list(gate(np.array([3.0, -1.0]), np.zeros(1))) == [1.0, 0.0]


def test_cached_arrays_are_computed_once_and_read_only():
    calls = []

    @cached_array
    def ones_for(count):
        calls.append(count)
        return np.ones(count)

    assert ones_for(2) is ones_for(2)
    assert calls == [2]
    with pytest.raises(ValueError, match="read-only"):
        ones_for(2)[0] = 5
