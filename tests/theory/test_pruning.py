"""Thresholds, schedules, sampling and whole runs against their definitions."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from flint import fmpq

from theory.networks import Builder, mlp
from theory.paths import on_path
from theory.pruning import (
    PruningRun,
    keep_above_threshold,
    keep_top,
    keep_top_layerwise,
    kept_by_round,
    released_count,
    sampled_mask,
)
from theory.saliency import SCORERS
from theory.scalars import exact, floats


def run_on(widths, theta, x=None, **options):
    """A run on an MLP, on inputs of ones unless given."""
    net = mlp(widths, bias=options.pop("bias", False))
    return PruningRun(net, exact(theta), exact([[1] * widths[0]] if x is None else x), **options)


# -- schedules ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "keep", "rounds"), [(10, 1, 1), (36, 4, 100), (7, 3, 5), (1000, 10, 3)])
def test_the_exponential_schedule_rounds_its_density_up(count, keep, rounds):
    kept = kept_by_round(count, keep, rounds, "exponential")
    assert len(kept) == rounds
    assert kept[-1] == keep
    for r, k in enumerate(kept, 1):
        exactly = Fraction(count) ** (rounds - r) * Fraction(keep) ** r
        assert Fraction(k) ** rounds >= exactly > Fraction(k - 1) ** rounds


def test_the_other_schedules():
    assert kept_by_round(10, 4, 3, "linear") == (8, 6, 4)
    assert kept_by_round(10, 3, 3, "linear") == (8, 6, 3)
    assert kept_by_round(5, 2, 9, "one-at-a-time") == (4, 3, 2)
    assert kept_by_round(5, 2, 9, "one-shot") == (2,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 4, 1, "linear"), "cannot keep 4 of 3"),
        ((3, 1, 0, "linear"), "at least one round"),
        ((3, 1, 1, "cubic"), "unknown schedule 'cubic'; known: one-at-a-time"),
    ],
)
def test_bad_schedules_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        kept_by_round(*arguments)


# -- thresholds -----------------------------------------------------------------------------------------


def test_keep_top_keeps_what_sorting_pairs_keeps():
    for values in product((0, 1, 2), repeat=4):
        scores = exact(values)
        for kept in range(5):
            best = sorted(range(4), key=lambda j: (values[j], j))[4 - kept :]
            expected = [j in best for j in range(4)]
            everything = np.ones(4, dtype=bool)
            assert list(keep_top(scores, kept, everything)) == expected
            assert list(keep_top(floats(scores)[None], kept, everything[None])[0]) == expected


def test_masked_weights_go_first_whatever_their_score():
    mask = np.array([True, False, True, True])
    assert list(keep_top(exact([-1, 9, -2, -3]), 2, mask)) == [True, False, True, False]
    assert list(keep_top(exact([-1, 9, -2, -3]), 4, mask)) == list(mask)


def test_layerwise_keeps_the_density_in_every_layer():
    mask = keep_top_layerwise(exact([5, 6, 7, 8, 1, 2]), 3, ((0, 1, 2, 3), (4, 5)), np.ones(6, dtype=bool))
    assert list(mask) == [False, False, True, True, False, True]


def test_the_released_threshold_drops_every_tie():
    assert not keep_above_threshold(exact([1, 1, 1, 1]), 1).any()
    assert list(keep_above_threshold(exact([1, 2, 2, 3]), 2)) == [False, False, False, True]


def test_the_released_threshold_revives_masked_weights_of_signed_scores():
    # The second weight is masked: its score is 0, above the threshold of -2.
    assert list(keep_above_threshold(exact([-2, 0, -1]), 1)) == [False, True, True]
    assert list(keep_above_threshold(np.array([3.0, np.nan, 1.0]), 2)) == [False, True, False]


def test_released_count_is_off_by_one_where_float64_rounds_down():
    assert released_count(4 / 5, 5) == 0
    wrong = [(n, k) for n in range(1, 30) for k in range(1, n) if released_count(k / n, n) != n - k]
    assert all(released_count(k / n, n) == n - k - 1 for n, k in wrong)
    assert len(wrong) > 10


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({"schedule": "one-shot", "rule": "threshold-released"}, [0, 2]),
        ({"schedule": "exponential", "rounds": 100, "rule": "threshold-released"}, [0, 0]),
        ({"schedule": "one-shot"}, [1, 2]),
        ({"schedule": "one-at-a-time"}, None),
    ],
)
def test_layer_sizes_on_a_network_of_ones(options, sizes):
    run = run_on([2, 2, 1], [1] * 6, keep=3, **options)
    if sizes is None:
        assert run.alive()
        assert run.layer_sizes().sum() == 3
    else:
        assert list(run.layer_sizes()) == sizes


# -- sampling -------------------------------------------------------------------------------------------


def test_sampling_is_unbiased_over_all_sequences():
    p = exact(["1/2", "1/3", "1/6"])
    mean = exact([0, 0, 0])
    for draws in product(range(3), repeat=2):
        mean = mean + p[draws[0]] * p[draws[1]] * sampled_mask(p, np.array(draws))
    assert list(mean) == [1, 1, 1]


def test_sampling_counts_repeated_draws():
    assert list(sampled_mask(exact(["1/2", "1/2"]), np.array([0, 0, 1]))) == [fmpq(4, 3), fmpq(2, 3)]


@pytest.mark.parametrize(("draws", "message"), [([], "at least one draw"), ([0], "probability 0")])
def test_impossible_samples_are_refused(draws, message):
    with pytest.raises(ValueError, match=message):
        sampled_mask(exact([0, 1]), np.array(draws, dtype=int))


# -- runs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scorer", ["synflow", "synflow-l2", "px-frozen"])
def test_one_weight_a_round_keeps_a_path_to_the_end_exhaustively(scorer):
    for widths in ([1, 2, 1], [2, 1, 2], [2, 2, 1]):
        count = mlp(widths).parameters
        for theta in product((1, 2, -3), repeat=count):
            run = run_on(widths, theta, keep=2, scorer=scorer)
            if scorer == "px-frozen" and not (run.dense_activation > 0).all():
                continue
            assert run.alive_by_round().all()
            kept = np.flatnonzero(run.final_mask())
            assert any(set(kept) == set(np.flatnonzero(row)) for row in on_path(run.network))


def test_path_exclusion_dies_where_its_remaining_paths_are_switched_off():
    run = run_on([2, 1, 2], [-2, 1, -1, -1], [[1, 3]], keep=2, scorer="px")
    assert list(run.scores_by_round()[0]) == [80, 20, 50, 50]
    assert list(run.objective_by_round()) == [100, 0]
    assert not run.alive()
    frozen = run.with_(scorer="px-frozen")
    assert frozen.alive()
    assert frozen.objective_by_round()[1] > 0


def test_scores_once_or_in_every_round():
    once = run_on([1, 2, 1], [1, 1, 1, 1], keep=2, rescore=False)
    assert (once.scores_by_round() == exact([1, 1, 1, 1])).all()
    assert not once.alive()
    assert once.with_(rescore=True).alive()


def test_unscored_biases_stay():
    run = run_on([1, 1, 1], [1, 1, 1, 1], bias=True, keep=1, scored="weights")
    assert run.weights == 2
    assert list(run.prunable) == [True, False, True, False]
    assert run.final_mask()[~run.prunable].all()
    assert run.final_mask().sum() == 3
    assert not run.alive()
    assert run.smallest_path() == 2


def test_shortest_and_longest_path_with_a_shortcut():
    b = Builder(1)
    net = b.network(b.dense((*b.dense(b.inputs, 1), *b.inputs), 1))
    run = PruningRun(net, exact([1, 2, 1]), exact([[1]]), keep=1)
    assert (run.smallest_path(), run.longest_path()) == (1, 2)
    # The longer path wins round one, and then no path of one weight is left.
    assert list(run.masks()[0]) == [True, True, False]
    assert not run.alive()


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize("rule", ["by-index", "threshold-released"])
@pytest.mark.parametrize("scope", ["global", "layerwise"])
def test_a_stack_prunes_as_its_exact_members(scorer, rule, scope):
    rng = np.random.default_rng(7)
    theta, x = rng.integers(-3, 4, (8, 7)).astype(float), rng.integers(-2, 4, (8, 2, 1)).astype(float)
    net = mlp([1, 2, 1], bias=True)
    for schedule, scored in (("one-at-a-time", "all"), ("linear", "weights")):
        run = PruningRun(net, theta, x, 2, 2, scorer, schedule, rule, scope, True, scored)
        for i in range(len(theta)):
            one = run.at(i)
            assert (one.masks() == run.masks()[i]).all()
            assert (floats(one.scores_by_round()) == run.scores_by_round()[i]).all()
            assert (floats(one.objective_by_round()) == run.objective_by_round()[i]).all()
            assert floats(one.final_objective()) == run.final_objective()[i]
            assert (one.alive_by_round() == run.alive_by_round()[i]).all()
            assert (one.layer_sizes() == run.layer_sizes()[i]).all()


def test_runs_survive_json_and_refuse_unknown_options():
    run = run_on([2, 1, 1], [1, -2, 3], keep=2, scorer="px", rescore=False)
    back = PruningRun.from_json(run.to_json())
    assert back.to_json() == run.to_json()
    assert (back.masks() == run.masks()).all()
    with pytest.raises(ValueError, match="unknown rule 'dice'; known: by-index"):
        run.with_(rule="dice")
    with pytest.raises(ValueError, match="unknown scorer"):
        PruningRun.from_json({**run.to_json(), "scorer": "nothing"})
    assert not run.with_(keep=4).valid()
    assert "px keeps 2 of 3" in run.summary()
