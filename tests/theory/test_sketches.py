"""The closed forms of sketches against enumeration, and small cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from flint import fmpq

from theory.experiments import PairedTrials, ScalingTrials, pairs
from theory.network_sketches import NetworkWeights, SignAverage, distinct_weight_sets, own_weights, signs, synflow
from theory.networks import LINEAR, RELU, Builder, mlp
from theory.papers.sketching import data_independence, experiments, sampling, transfer
from theory.relations import decide
from theory.saliency import scores
from theory.scalars import ZERO, exact, floats, total
from theory.sketches import MovingSketch, Sketch, SketchGain, Transfer, inverse, normalised, sequences
from verify.search.strategies import StackChooser, draw

CASES = [(seed, limit) for limit in (1, 2, 3) for seed in range(8)]


def drawn(claim, seed, limit):
    return draw(claim, StackChooser(np.random.default_rng([seed, limit]), None, limit))


def model(x, w, s=1, q=None):
    return Sketch(s, exact(x), exact(w), None if q is None else exact(q))


@pytest.mark.parametrize(("seed", "limit"), CASES)
def test_moments_in_closed_form_are_those_of_all_sequences(seed, limit):
    """Any law, zeros included: bias and error of the sketch and of the unscaled mask, exactly."""
    i = drawn(sampling.mean_squared_error, seed, limit)
    chance, masks = i.enumerate(i.p)
    assert total(chance) == 1
    _, _, error = i.expected(i.p, masks, chance)
    assert error == i.mse(i.p)
    kept = np.where(masks != 0, fmpq(1), ZERO)
    _, predicted, binary = i.expected(i.p, kept, chance)
    assert binary == i.binary_mse(i.p)
    assert (predicted - i.prediction(i.w) == i.binary_bias(i.p)).all()


@pytest.mark.parametrize(("seed", "limit"), CASES)
def test_moments_of_a_sequence_written_out(seed, limit):
    """The enumeration itself against loops over draws, one sequence at a time."""
    i = drawn(sampling.mean_squared_error, seed, limit)
    error = ZERO
    for drawn_features in sequences(i.d, i.s):
        chance, m = fmpq(1), [ZERO] * i.d
        for j in drawn_features:
            chance *= i.p[j]
            m[j] += 1 / (i.s * i.p[j]) if i.p[j] else ZERO
        gap = [sum((i.x[j, k] * i.w[j] * (1 - m[j]) for j in range(i.d)), ZERO) for k in range(i.x.shape[1])]
        error += chance * sum((g * g for g in gap), ZERO)
    assert error == i.mse(i.p)


@pytest.mark.parametrize("seed", range(6))
def test_a_stack_agrees_with_its_exact_instances(seed):
    stack = draw(sampling.mean_squared_error, StackChooser(np.random.default_rng(seed), 5, 2))
    for k in range(5):
        one = stack.at(k)
        assert np.isclose(stack.mse(stack.p)[k], floats(one.mse(one.p)), rtol=1e-12, atol=1e-12)
        assert np.isclose(stack.binary_mse(stack.p)[k], floats(one.binary_mse(one.p)), rtol=1e-12, atol=1e-12)
        assert (stack.top()[k] == floats(one.top())).all()


def test_unscaled_mask_of_opposed_features_by_hand():
    """w = (-3, 2, 2, 2), one sample: the top one leaves 36, a sampled one 38/3."""
    i = model([[1]] * 4, [-3, 2, 2, 2])
    assert i.mask_error(i.top()) == 36
    assert i.binary_mse(i.optimal) == fmpq(38, 3)


def test_least_error_by_hand():
    i = model([[1, 0], [0, 1]], [3, 1], s=2)
    assert i.mse(i.optimal) == fmpq(16 - 10, 2)
    assert (i.optimal == exact(["3/4", "1/4"])).all()


def test_a_law_that_omits_a_small_feature_may_have_less_error():
    """Why `optimal-probabilities` needs that what contributes can be drawn."""
    i = model([[1], [-1]], [4, 1], q=[1, 0])
    assert i.mse(i.p) == 1 < i.mse(i.optimal) == 16


def test_spread_rates_are_attained():
    """Total variation 1/3 at e = 0.6 (norms 4 and 1), Kantorovich's price at norms 2 and 1."""
    at_tv = model([[4, 0], [0, 1]], [1, 2])
    assert decide(data_independence.data_independence_rate.check(at_tv)).margin == 0
    assert total(abs(at_tv.optimal - normalised(at_tv.w))) / 2 == fmpq(1, 3)
    i = model([[2, 0], [0, 1]], [1, 2])
    assert i.mse(normalised(i.w)) - i.mse(i.optimal) == i.a * i.a * fmpq(1, 8)


def test_data_law_never_draws_an_empty_row():
    """F^2 |w|^2 - |X'w|^2 is wrong where X_i = 0 and w_i is not: the sketch costs nothing there."""
    i = Transfer(1, exact([[0], [1]]), exact([1, 1]), exact([1, 0]))
    assert i.trained.mse(i.initial.data_law) == 0
    assert decide(transfer.transfer_data_norm.check(i)).verdict == "holds"


def test_transfer_statistics_by_hand():
    i = Transfer(1, exact([[1, 0], [0, 1]]), exact([1, 1]), exact([2, 0]))
    assert i.relative_change() == 1
    assert i.ratio_variance() == 1
    assert (i.norms()[1] ** 2).contains(2)


def test_excess_is_bounded_by_the_relative_change_beyond_one():
    """`transfer-relative` needs no rho < 1: |r - 1| <= rho for the ratio r = |w/w0| whatever rho is."""
    i = Transfer(1, exact([[1, 0], [0, 1]]), exact([1, 1]), exact([5, -3]))
    assert i.relative_change() == 4
    assert decide(transfer.transfer_relative.check(i)).verdict == "holds"


def test_the_mixture_bound_is_attained():
    """Weights that move away from 0 by the norm of their row: (u + v)^2."""
    i = Transfer(2, exact([[3, 4], [0, 1]]), exact([1, -2]), exact([6, -3]), exact([7, 26]))
    assert decide(transfer.transfer_mixture.check(i)).margin == 0
    assert decide(transfer.transfer_best_mixture.check(i)).margin == 0


def test_a_weight_that_starts_at_zero_and_stays_there_changes_nothing_relatively():
    i = Transfer(1, exact([[1], [1]]), exact([1, 0]), exact([2, 0]))
    assert i.relative_change() == 1
    assert not transfer.transfer_relative.applies(i)
    assert decide(transfer.transfer_relative.check(i)).verdict == "holds"


@pytest.mark.parametrize("seed", range(4))
def test_no_law_and_no_weights_do_better_than_the_minimax_ones(seed):
    """On a grid of laws for two features and of directions, in floating point."""
    rng = np.random.default_rng(seed)
    x, w0, delta = rng.integers(1, 5, (2, 2)).astype(float), rng.integers(0, 4, 2) + 0.5, 0.75
    norms = np.linalg.norm(x, axis=1)
    best = np.inf
    turn = np.linspace(0, 2 * np.pi, 721)
    moved = w0 + delta * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for p in np.linspace(0.001, 0.999, 999):
        best = min(best, ((norms * moved) ** 2 / np.array([p, 1 - p])).sum(axis=1).max())
    value = ((norms * w0).sum() + np.linalg.norm(norms) * delta) ** 2
    assert value * 0.999 <= best <= value * 1.01


@pytest.mark.parametrize("s", range(1, 6))
def test_sampling_gains_without_bound_from_three_draws_on(s):
    """One weight M and s others that cancel: the sampled error falls like 1/M, the top's is that of one unit."""
    w = [None, -(s - 1), *[1] * (s - 1)] if s > 1 else [None, 1]
    for m in (100, 10_000, 10**6):
        i = model([[1]] * len(w), [m, *w[1:]], s=s)
        t, a = sum(map(abs, w[1:])), i.a
        if s >= 3:
            assert i.binary_mse(i.optimal) <= (1 + fmpq(s, 4)) * t**3 / a
            assert i.mask_error(i.top()) == 1
        else:
            assert i.binary_mse(i.optimal) >= i.mask_error(i.top())


@pytest.mark.parametrize(("s", "d"), [(s, d) for d in range(2, 8) for s in range(1, d)])
def test_where_sampling_can_be_strictly_better(s, d):
    """Exactly one draw of three or more features, two of four or more, three or more of any number beyond."""
    better = (s == 1 and d >= 3) or (s == 2 and d >= 4) or s >= 3
    core = {1: [2, -1, -1], 2: [2, 2, -1, -1]}.get(s, [10**6, -(s - 1), *[1] * (s - 1)])
    small = [fmpq(1, 10**9)] * (d - len(core))
    i = model([[1]] * d, [*core, *small][:d], s=s)
    assert (i.binary_mse(i.optimal) < i.mask_error(i.top())) == better


def test_inverse_of_what_is_never_drawn_is_zero():
    assert list(inverse(exact([0, "1/4"]))) == [0, 4]


# -- networks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("widths", [(2, 1, 1), (1, 1, 2), (2, 2, 2), (1, 2, 2, 1)])
def test_path_sums_are_synflow(widths):
    net = mlp(widths)
    theta = exact([(-1) ** j * (j + 1) for j in range(net.parameters)])
    assert (synflow(net, theta) == scores(net, theta, exact([[1] * widths[0]]))).all()
    assert (synflow(net, theta, power=2) == scores(net, theta, exact([[1] * widths[0]]), "synflow-l2")).all()


@pytest.mark.parametrize("widths", [(2, 1, 1), (1, 1, 2), (2, 2, 2), (2, 2, 1, 2)])
def test_gaussian_second_moments_are_those_of_random_signs(widths):
    """On linear networks only E xx' = I enters: the path formula against derivatives on all sign inputs."""
    net = mlp(widths, kind=LINEAR)
    i = NetworkWeights(net, exact([(-2) ** (j % 3) for j in range(net.parameters)]))
    assert (i.squared_sketch_weights() == i.squared_sketch_weights_on_signs()).all()


@pytest.mark.parametrize("widths", [(2, 2), (2, 1, 1), (1, 1, 2), (1, 2, 2, 1), (1, 1, 1, 2, 1)])
def test_sign_average_by_loops(widths):
    """The average over all sign patterns, depth 1 to 4, against one evaluation per pattern."""
    net = mlp(widths, kind=LINEAR)
    theta = exact([j + 1 for j in range(net.parameters)])
    i = SignAverage(net, theta, exact([[1] * widths[0]]))
    patterns = signs(net.parameters)
    each = [NetworkWeights(net, theta * p).theta for p in patterns]
    average = sum(SignAverage(net, t, i.x, "fixed").average_squared_score() for t in each) / len(patterns)
    assert (i.average_squared_score() == average).all()
    assert (average == i.synflow_l2()).all()


def test_relu_factor_for_three_layers():
    net = mlp([2, 1, 2, 1], kind=RELU)
    i = SignAverage(net, exact([3, 1, 2, 1, 1, 2]), exact([[1, 1]]))
    assert not i.cancels()
    assert (4 * i.average_squared_score() == i.synflow_l2()).all()
    assert (i.rectified_paths() == i.average_squared_score()).all()


def test_a_linear_unit_that_cancels_is_seen():
    """A ReLU behind it gets exactly 0, and its gate is off under every sign."""
    b = Builder(inputs=2)
    net = b.network(b.dense(b.dense(b.dense(b.inputs, 1), 1, kind=RELU), 1))
    assert SignAverage(net, exact([1, 1, 1, 1]), exact([[1, 1]])).cancels()
    assert not SignAverage(net, exact([2, 1, 1, 1]), exact([[1, 1]])).cancels()


def test_weights_of_their_own():
    b = Builder(inputs=1)
    assert own_weights(mlp([2, 2, 1]))
    assert not own_weights(b.network(b.add(b.inputs, b.dense(b.inputs, 1))))
    b = Builder(inputs=2)
    assert not own_weights(b.network(b.convolution(b.inputs, 1)))


def test_a_cancelling_pre_activation_is_seen():
    net = mlp([2, 1, 1], kind=RELU)
    assert SignAverage(net, exact([1, 1, 1]), exact([[1, 1]])).cancels()
    assert not SignAverage(net, exact([2, 1, 1]), exact([[1, 1]])).cancels()


def test_averaged_inputs_share_their_weights():
    b = Builder(inputs=2)
    assert not distinct_weight_sets(b.network(b.dense(b.pool(b.inputs, 2, kind=LINEAR), 1)))
    assert distinct_weight_sets(mlp([2, 2, 2]))


# -- trials and bad input -----------------------------------------------------------------------------------


def test_slope_of_a_power_law():
    i = ScalingTrials(pairs([(w, f"1/{w**2}") for w in (2, 8, 32)]))
    assert i.slope().contains(-2)
    assert i.slope().rad() < 1e-20


def test_lazy_weights_decides_the_slope():
    """Values that fall like width^(-1/2) satisfy the claim; constant ones and width^(-1) do not."""

    def verdict(value):
        return decide(
            experiments.lazy_weights.check(ScalingTrials(pairs([(w, value(w)) for w in (4, 16, 64)])))
        ).verdict

    assert verdict(lambda w: f"1/{int(w**0.5)}") == "holds"
    assert verdict(lambda w: 1) == "refuted"
    assert verdict(lambda w: f"1/{w}") == "refuted"


def test_wins_and_losses():
    i = PairedTrials(pairs([(0.5, 0.25), (0.5, 0.5), (0, 1), (0, 1)]))
    assert (i.wins(), i.losses()) == (1, 2)
    assert decide(experiments.random_masks_train_better.check(i)).verdict == "holds"  # a tie is no loss beyond 1/100
    worse = PairedTrials(pairs([(0.5, 0.25), (0, 1), (0, 1)]))
    assert decide(experiments.random_masks_train_better.check(worse)).verdict == "refuted"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: model([[1], [2]], [1]), "expected \\(d, n\\) and \\(d,\\)"),
        (lambda: model([[1]], [1], s=0), "number of draws"),
        (lambda: SketchGain(1, exact([[1]]), exact([1]), None, 0), "constant is an integer"),
        (lambda: MovingSketch(1, exact([[1]]), exact([1])), "give step"),
        (lambda: Transfer(1, exact([[1]]), exact([1]), exact([1])).share(), "nothing is mixed"),
        (lambda: model([[1]], [1], q=[1, 2]), "2 weights for 1 features"),
        (lambda: Transfer(1, exact([[1]]), exact([1, 1]), exact([1])), "must agree"),
        (lambda: NetworkWeights(mlp([1, 1]), exact([1, 2])), "theta has shape"),
        (lambda: SignAverage(mlp([1, 1]), exact([1]), exact([[1, 1]])), "x has shape"),
        (lambda: SignAverage(mlp([1, 1]), exact([1]), exact([[1]]), "some"), "'independent' or 'fixed'"),
        (lambda: ScalingTrials(pairs([(2, 1), (2, 3)])), "two different sizes"),
        (lambda: ScalingTrials(pairs([(2, 1), (4, 0)])), "must be positive"),
        (lambda: PairedTrials(()), "at least 1"),
        (lambda: sequences(10, 10), "too many to enumerate"),
    ],
)
def test_bad_input_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_json_round_trip():
    i = drawn(transfer.transfer_mixture, 1, 3)
    again = Transfer.from_json(i.to_json())
    assert again.to_json() == i.to_json()
    assert (again.w == i.w).all()
