"""Sequential tests: exact values, error probabilities by simulation, and that they can fail."""

import itertools
import math

import numpy as np
import pytest

from verify.bench import sequential as bench
from verify.trials import sequential


def test_paired_sign_is_the_mean_of_products():
    differences = [0.5, -1.0, 2.0, 0.0, 3.0]
    expected = np.mean([np.prod([1 + b * np.sign(d) for d in differences]) for b in sequential.BETS])
    test = sequential.paired_sign(differences, 0.01)
    assert math.isclose(test.e_value, expected, rel_tol=1e-12)
    assert (test.decided, test.n) == (False, 5)


def test_paired_sign_is_a_martingale_under_the_null():
    """Over all sign patterns, equally likely, the mean of E is exactly 1."""
    values = [sequential.paired_sign(s, 1e-300).e_value for s in itertools.product([-1.0, 1.0], repeat=8)]
    assert math.isclose(np.mean(values), 1.0, rel_tol=1e-12)


def test_bounded_mean_is_a_martingale_for_coins_at_the_tested_mean():
    """P(1) = 1/4: the weighted mean of E over all outcomes is 1, on both sides."""
    for alternative in ("greater", "less"):
        total = 0.0
        for outcome in itertools.product([0.0, 1.0], repeat=7):
            weight = math.prod(0.25 if x else 0.75 for x in outcome)
            total += weight * sequential.bounded_mean(outcome, 0.25, alpha=1e-300, alternative=alternative).e_value
        assert math.isclose(total, 1.0, rel_tol=1e-12)


def test_all_positive_differences_decide_and_say_when():
    test = sequential.paired_sign([1.0] * 50, 0.01)
    assert test.decided
    assert test.n < 15
    assert test.e_value >= 100
    assert not sequential.paired_sign([-1.0] * 50, 0.01).decided


def test_later_data_does_not_undo_a_decision():
    assert sequential.paired_sign([1.0] * 20 + [-1.0] * 500, 0.01).decided


def test_no_effect_is_shown_against_a_margin_and_not_by_failing_to_reject():
    rng = np.random.default_rng(3)
    noise = 0.01 * rng.standard_normal(200)
    assert sequential.equivalent(noise, 0.03, 0.01).decided
    assert not sequential.equivalent(noise + 0.05, 0.03, 0.01).decided
    assert not sequential.equivalent(noise[:3], 0.03, 0.01).decided


def test_slopes_are_least_squares():
    x = [0.0, 1.0, 2.0, 5.0]
    y = np.random.default_rng(1).standard_normal((3, 4))
    assert np.allclose(sequential.slopes(x, y), [np.polyfit(x, row, 1)[0] for row in y])


def test_slope_decides_the_right_side():
    rng = np.random.default_rng(5)
    x = np.arange(5.0)
    lines = [-0.5 * x + 0.1 * rng.standard_normal(5) for _ in range(40)]
    assert sequential.slope(x, lines, 0.0, alternative="less").decided
    assert not sequential.slope(x, lines, 0.0, alternative="greater").decided
    assert not sequential.slope(x, lines, -1.0, alternative="less").decided


def test_intervals_hold_the_truth_and_shrink():
    rng = np.random.default_rng(7)
    x = rng.random(400)
    low, high = sequential.mean_interval(x)
    assert low < 0.5 < high
    assert high - low < 0.3
    low, high = sequential.median_interval(x)
    assert low < 0.5 < high
    assert high - low < 0.3
    assert sequential.median_interval([1.0]) == (-math.inf, math.inf)


@pytest.fixture(scope="module")
def rows():
    """A simulation, small, for the tests of the benchmark."""
    return bench.run(runs=2000, length=200, seed=1)


def test_false_alarms_stay_below_alpha_and_effects_are_seen(rows):
    ours = [r for r in rows if not r["test"].startswith("z-test")]
    assert "broken" not in {r["stated error"] for r in ours}
    nulls = [r for r in ours if r["effect"] == bench.NONE]
    assert len(nulls) == 12
    # At the stated 5 % this many runs are enough to see it held, and that the tests are no more careful than need be.
    assert {r["stated error"] for r in nulls if r["alpha"] == 0.05} <= {"held", "not contradicted"}
    assert max(r["rejected"] for r in nulls if r["alpha"] == 0.05) > 0.01
    strong = [r for r in rows if r["effect"] in ("P(D > 0) = 0.9", "shift 0.2", "mean 0.3", "slope -0.5, noise 1")]
    assert len(strong) == 8
    assert min(r["rejected"] for r in strong) > 0.99


def test_a_test_made_for_one_look_is_seen_to_break_its_error(rows):
    """The benchmark can fail."""
    assert {r["stated error"] for r in rows if r["test"].startswith("z-test")} == {"broken"}
    assert bench.summary(rows)["tests made for one look, nulls"] == "0 held, 0 not contradicted, 4 broken"


def test_binomial_limits():
    low, high = bench.limits(3, 10, 0.025)
    assert math.isclose(low, 0.06674, rel_tol=1e-3)  # Clopper and Pearson's 95 % interval of 3 in 10
    assert math.isclose(high, 0.65245, rel_tol=1e-3)
    assert bench.limits(0, 10)[0] == 0.0
    assert bench.limits(10, 10)[1] == 1.0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: sequential.paired_sign([1.0], 0.0), "alpha"),
        (lambda: sequential.paired_sign([float("nan")], 0.1), "finite"),
        (lambda: sequential.bounded_mean([2.0], 0.5), "must lie in"),
        (lambda: sequential.bounded_mean([0.5], 1.0), "strictly between"),
        (lambda: sequential.bounded_mean([0.5], 0.5, alternative="more"), "'greater' or 'less'"),
        (lambda: sequential.equivalent([0.5], 0.0), "margin"),
        (lambda: sequential.slope([1.0, 1.0], [[0.0, 1.0]]), "two different x"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_information_bound_is_below_the_information_and_above_none():
    """A mask that holds one bit: own labels give 1, foreign ones a fair coin; I = 1 bit."""
    rng = np.random.default_rng(5)
    own, coin = np.ones(4000), rng.integers(0, 2, 4000).astype(float)
    found = sequential.information_at_least(own, coin, 0.01)
    assert 0.8 < found <= 1.0
    often = (rng.random(4000) < 0.9).astype(float)
    assert 0.3 < sequential.information_at_least(often, coin, 0.01) < 0.532  # kl(0.9 || 0.5) = 0.531 bits


def test_information_bound_errs_with_the_stated_probability():
    rng = np.random.default_rng(6)
    wrong = sum(sequential.information_at_least(*rng.normal(size=(2, 60)), 0.2) > 0 for _ in range(300))
    assert wrong <= 0.2 * 300


def test_information_bound_refuses_bad_input():
    with pytest.raises(ValueError, match="at least 4 pairs"):
        sequential.information_at_least([1.0] * 3, [1.0] * 3)
    with pytest.raises(ValueError, match="at least 4 pairs"):
        sequential.information_at_least([1.0] * 8, [1.0] * 7)
