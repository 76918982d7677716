"""Scores as sums over paths against derivatives of the graph, exhaustively on small networks."""

from itertools import product

import numpy as np
import pytest
from flint import fmpq

from theory.networks import LINEAR, RELU, Builder, forward, jacobian, mlp
from theory.paths import NetworkOnData
from theory.saliency import SCORERS, activation, path_exclusion_released, scorer_named, scores
from theory.scalars import absolute, exact, floats, ones, total


def residual():
    """One input, h = x + relu(w x), two outputs."""
    b = Builder(1)
    h = b.add(b.inputs, b.dense(b.inputs, 1, kind=RELU))
    return b.network(b.dense(h, 2))


def convolution():
    """A shared kernel of two weights over three positions, then a dense layer."""
    b = Builder(3)
    return b.network(b.dense(b.convolution(b.inputs, 2, kind=RELU), 1))


NETWORKS = {
    "chain": mlp([1, 1, 1]),
    "1-2-1": mlp([1, 2, 1]),
    "2-1-1": mlp([2, 1, 1]),
    "bias": mlp([1, 1, 1], bias=True),
    "residual": residual(),
    "convolution": convolution(),
}


def flow_by_derivative(net, theta):
    """Theta times the derivative of the sum of outputs on all-ones inputs."""
    x = ones((1, len(net.inputs)), theta)
    return theta * total(jacobian(net, theta, forward(net, theta, x)), axis=(-3, -2))


def every_filling(net):
    """All weights in {-1, 0, 2}."""
    return [exact(v) for v in product((-1, 0, 2), repeat=net.parameters)]


@pytest.mark.parametrize("net", NETWORKS.values(), ids=NETWORKS)
def test_synflow_is_the_derivative_at_absolute_weights(net):
    for theta in every_filling(net):
        assert (scores(net, theta, ones((1, len(net.inputs)), theta)) == flow_by_derivative(net, absolute(theta))).all()


@pytest.mark.parametrize("net", NETWORKS.values(), ids=NETWORKS)
def test_synflow_l2_is_the_derivative_at_squared_weights(net):
    for theta in every_filling(net):
        assert (
            scores(net, theta, ones((1, len(net.inputs)), theta), "synflow-l2")
            == flow_by_derivative(net, theta * theta)
        ).all()


@pytest.mark.parametrize("net", NETWORKS.values(), ids=NETWORKS)
def test_path_exclusion_weighs_the_outputs_of_the_squared_network(net):
    x = exact(np.arange(1, len(net.inputs) + 1)[None] * 2 - 3)
    for theta in every_filling(net):
        d = NetworkOnData(net, theta, x).activation_per_output()
        squared = theta * theta
        j = jacobian(net, squared, forward(net, squared, ones((1, len(net.inputs)), theta)))[0]
        assert (scores(net, theta, x, "px") == squared * total(d[:, None] * j, axis=0)).all()


@pytest.mark.parametrize("method", ["synflow", "synflow-l2", "synflow-signed", "px-frozen"])
@pytest.mark.parametrize("name", ["1-2-1", "2-1-1", "bias", "residual"])
def test_the_score_is_what_the_objective_loses_with_the_weight(name, method):
    net = NETWORKS[name]
    x = exact([[3] * len(net.inputs)])
    for theta in every_filling(net):
        d, scorer = activation(net, theta, x), scorer_named(method)
        whole = total(scorer.path_weights(net, theta, x, d))
        found = scorer.scores(net, theta, x, d)
        for j in range(net.parameters):
            without = theta.copy()
            without[j] = fmpq(0)
            assert found[j] == whole - total(scorer.path_weights(net, without, x, d))


def loss(net, theta, x):
    """Squared error against labels 0, halved."""
    out = forward(net, theta, x).outputs
    return total(out * out) / 2


def test_snip_is_the_exact_difference_quotient_of_the_loss():
    net, x = mlp([2, 2, 1], kind=LINEAR), exact([[1, 2], [-1, 3]])
    theta = exact([1, -2, 3, 1, 2, -1])
    signed, plain = scores(net, theta, x, "snip-signed"), scores(net, theta, x, "snip")
    for j in range(net.parameters):
        step = exact(np.eye(net.parameters, dtype=int)[j])
        # The loss is quadratic in one weight, so its central difference is its derivative.
        slope = (loss(net, theta + step, x) - loss(net, theta - step, x)) / 2
        assert signed[j] == theta[j] * slope
        assert plain[j] == abs(signed[j])
    assert (signed != 0).any()


def test_grasp_differentiates_the_gradient_along_itself():
    net, x = mlp([2, 2, 1], kind=LINEAR), exact([[1, 2], [-1, 3]])
    theta = exact([1, -2, 3, 1, 2, -1])

    def gradient(at):
        run = forward(net, at, x)
        return total(run.outputs[..., None] * jacobian(net, at, run), axis=(-3, -2))

    g = gradient(theta)
    # Along a line the gradient is a cubic; this difference is exact up to degree four.
    near, far = gradient(theta + g) - gradient(theta - g), gradient(theta + 2 * g) - gradient(theta - 2 * g)
    along = (8 * near - far) / 12
    assert (scores(net, theta, x, "grasp") == theta * along).all()
    assert (along != 0).any()


def test_without_theta_differs_by_the_factor():
    net, x, theta = mlp([2, 2, 2]), exact([[1, 2]]), exact([1, -2, 3, 1, 2, -1, 1, 4])
    assert (absolute(theta) * scores(net, theta, x, "synflow-without-theta") == scores(net, theta, x)).all()
    for method in ("synflow-l2", "px"):
        assert (theta * theta * scores(net, theta, x, f"{method}-without-theta") == scores(net, theta, x, method)).all()
    l2 = scores(net, theta, x, "synflow-l2")
    assert (scores(net, theta, x, "synflow-l2-released") * absolute(theta) == l2).all()


def test_released_path_exclusion_on_the_nets_of_its_description():
    one = exact([[1]])
    assert list(scores(mlp([1, 1, 1]), exact([2, 3]), one, "px-released")) == [36, 108]
    assert list(scores(mlp([1, 1, 1]), exact([2, 3]), one, "px")) == [36, 36]
    assert list(scores(mlp([1, 2, 1]), exact([1, 2, 1, -1]), one, "px-released")) == [0, 0, 0, 0]
    assert list(scores(mlp([1, 2, 1]), exact([1, 2, 1, -1]), one, "px")) == [2, 8, 2, 8]


def test_released_path_exclusion_agrees_when_no_layer_is_called_fc():
    rng = np.random.default_rng(3)
    for net in NETWORKS.values():
        theta, x = exact(rng.integers(-3, 4, net.parameters)), exact(rng.integers(-3, 4, (2, len(net.inputs))))
        assert (path_exclusion_released(net, theta, x, unsquared=()) == scores(net, theta, x, "px")).all()


@pytest.mark.parametrize("method", SCORERS)
def test_a_stack_scores_as_its_exact_members(method):
    rng = np.random.default_rng(5)
    for net in NETWORKS.values():
        theta = rng.integers(-3, 4, (6, net.parameters)).astype(float)
        x = rng.integers(-3, 4, (6, 2, len(net.inputs))).astype(float)
        stacked = scores(net, theta, x, method)
        for i in range(len(theta)):
            assert (stacked[i] == floats(scores(net, exact(theta[i]), exact(x[i]), method))).all()


def test_an_unknown_scorer_names_near_misses_and_all():
    with pytest.raises(ValueError, match=r"unknown scorer 'synflw'; did you mean synflow.*magnitude"):
        scorer_named("synflw")


def test_the_energy_of_a_path_is_the_square_of_what_it_adds_to_the_output():
    # y = relu(x1 + 2 x2) * 3 on (1, 1) and (1, -1): the unit is off on the second sample.
    theta, x = exact([1, 2, 3]), exact([[1, 1], [1, -1]])
    assert list(scores(mlp([2, 1, 1]), theta, x, "path-energy")) == [9, 36, 45]


def test_per_sample_px_counts_gates_in_both_factors():
    # Unit 1 is on at x = 1 only, unit 2 at x = -1 only: A = 1 at either sample, v^2 = 4 and 9.
    theta, x = exact([1, -1, 2, 3]), exact([[1], [-1]])
    assert list(scores(mlp([1, 2, 1]), theta, x, "px-per-sample")) == [4, 9, 4, 9]
    assert list(scores(mlp([1, 2, 1]), theta, x, "px")) == [8, 18, 8, 18]


def test_the_loss_of_trace_is_the_difference_of_traces():
    # First layer (-3, 2) on (1, 2): trace 1 + 4 + 1 = 6; without the first weight the unit is 4: 4 + 16 = 20;
    # without the second it is off, without the last nothing is left.
    theta, x = exact([-3, 2, 1]), exact([[1, 2]])
    assert list(scores(mlp([2, 1, 1]), theta, x, "trace-loss")) == [-14, 6, 6]
