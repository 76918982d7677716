"""Paths, auxiliary networks and derivatives against each other and against finite differences."""

import numpy as np
import pytest
from flint import fmpq

from theory.derivative import derivative, one_sided
from theory.networks import LINEAR, MAX, RELU, Builder, forward, mlp
from theory.paths import MAX_PATHS, NetworkOnData, on_path, paths_of
from theory.scalars import exact, floats
from theory.spectrum import eigenvalues, largest_eigenvalue, rank
from verify.search.strategies import StackChooser
from verify.search.strategies.networks import EVERY_FAMILY, network_on_data

STEP = fmpq(1, 10**9)


def drawn(family, seed, kinds=("relu", "linear", "leaky")):
    chooser = StackChooser(np.random.default_rng([seed, 11]), None, None)
    return network_on_data(chooser, families=(family,), kinds=kinds, width=3, depth=3, samples=2)


def off_kinks(family, seed):
    return next(i for s in range(seed * 50, seed * 50 + 50) if not (i := drawn(family, s)).on_kink())


def interpolated(network, theta, x, j, degree):
    """The derivative by theta_j of a function that is a polynomial of ``degree`` in theta_j near theta.

    Lagrange interpolation through degree + 1 points within the piece: exact, and independent of any
    product rule.
    """
    nodes = [fmpq(i) * STEP for i in range(degree + 1)]
    total = 0
    for a, node in enumerate(nodes):
        moved = theta.copy()
        moved[j] = moved[j] + node
        slope = fmpq(0)
        for b in range(degree + 1):
            if b == a:
                continue
            term = fmpq(1) / (node - nodes[b])
            for c in range(degree + 1):
                if c not in (a, b):
                    term *= -nodes[c] / (node - nodes[c])
            slope += term
        total = total + forward(network, moved, x).outputs * slope
    return total


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_the_gradient_is_the_slope_of_the_polynomial_piece(family, seed):
    i = off_kinks(family, seed)
    j = i.jacobian()
    for n in range(i.network.parameters):
        degree = max(1, int(on_path(i.network)[:, n].max(initial=0)))
        assert (interpolated(i.network, i.theta, i.x, n, degree) == j[..., n]).all()
    assert (i.derivative() == j).all()
    assert i.differentiable()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_chain_rule_entry_by_entry(family, seed):
    i = off_kinks(family, seed)
    rows = i.path_activation_matrix() @ i.path_jacobian()
    assert (rows.reshape(i.jacobian().shape) == i.jacobian()).all()


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_stacks_agree_with_rationals(family):
    i = off_kinks(family, 1)
    stack = i.stack(2)
    for name in ("bound_per_sample", "bound_per_parameter", "bound_per_output", "kernel_by_gradient", "derivative",
                 "activation_by_forward", "objective_by_forward", "saliency_by_gradient", "saliency",
                 "largest_eigenvalue", "ntk_rank", "differentiable"):  # fmt: skip
        single, stacked = floats(exact(np.asarray(getattr(i, name)(), dtype=object) * fmpq(1))), getattr(stack, name)()
        assert np.allclose(single, np.asarray(stacked, dtype=float)[1], rtol=1e-9, atol=1e-9), name


def test_paths_are_counted():
    assert len(paths_of(mlp([2, 3, 4, 2]))) == 2 * 3 * 4 * 2
    assert len(paths_of(mlp([2, 3, 1], bias=True))) == 2 * 3 + 3 + 1
    b = Builder(2)
    h = b.add(b.inputs, b.dense(b.inputs, 2, kind=RELU))
    assert len(paths_of(b.network(b.dense(h, 1)))) == 2 + 4
    with pytest.raises(ValueError, match=f"more than {MAX_PATHS} paths"):
        paths_of(mlp([9, 9, 9, 9, 9]))


def test_a_convolution_shares_its_weights_over_positions():
    b = Builder(3)
    h = b.convolution(b.inputs, 2, kind=LINEAR)
    net = b.network(b.pool(h, 2, kind=LINEAR))
    i = NetworkOnData(net, exact([2, 3]), exact([[1, 10, 100]]))
    # f = (w1 (x1 + x2) + w2 (x2 + x3)) / 2
    assert i.outputs()[0, 0] == 2 * fmpq(11, 2) + 3 * fmpq(110, 2)
    assert i.jacobian().ravel().tolist() == [fmpq(11, 2), fmpq(55)]
    assert i.path_activation() == 1 + 100 + 100 + 10000
    assert i.path_kernel_trace() == 1  # four paths, each with derivative 1/2


def test_a_maximum_lets_its_argmax_through_and_the_auxiliary_network_sums():
    b = Builder(1)
    net = b.network(b.pool(b.dense(b.inputs, 2), 2, kind=MAX))
    i = NetworkOnData(net, exact([3, 2]), exact([[1]]))
    assert i.outputs()[0, 0] == 3
    assert i.activation_per_output()[0] == i.activation_by_forward()[0] == 1
    assert i.objective_per_output()[0] == i.objective_by_forward()[0] == 9 + 4


def test_biases_are_paths_from_a_constant_input():
    i = NetworkOnData(mlp([1, 1], bias=True), exact([2, 5]), exact([[3]]))
    assert i.path_activation() == 9 + 1
    assert i.path_kernel_trace() == 2
    assert i.ntk_trace() == 10


def test_bounds_on_a_worked_example():
    """1-2-1, w = (1, 2), v = (3, -1), x = 2: both units on, trace 9*4 + 4 + 1*4 + 16 = 60."""
    i = NetworkOnData(mlp([1, 2, 1]), exact([1, 2, 3, -1]), exact([[2]]))
    assert i.ntk_trace() == 60
    assert i.activation_per_output()[0] == 8
    assert i.kernel_per_output()[0] == (9 + 1) + (1 + 4)
    assert i.objective_per_output()[0] == 9 + 4
    assert i.bound_per_output()[0] == 120
    assert i.bound_per_sample() == 120
    assert i.bound_per_parameter() == 60
    assert i.saliency().tolist() == [72, 32, 72, 32]


def test_one_sided_derivatives_on_kinks():
    relu = mlp([1, 1, 1])
    theta, x = exact([0, 2]), exact([[3]])
    assert one_sided(relu, theta, x, 1).ravel().tolist() == [6, 0]
    assert one_sided(relu, theta, x, -1).ravel().tolist() == [0, 0]
    assert not derivative(relu, theta, x)[1]


def test_the_kink_of_the_claims():
    """f = relu(w x) - relu(-w x) = w x: at w = 0 the derivative is x, the automatic gradient 0."""
    b = Builder(1)
    (j,) = b.new_parameters(1)
    up, down, out = b.unit(RELU), b.unit(RELU), b.unit(LINEAR)
    b.connect(0, up, j)
    b.connect(0, down, j, -1)
    b.connect(up, out)
    b.connect(down, out, None, -1)
    i = NetworkOnData(b.network((out,)), exact([0]), exact([[1]]))
    assert i.on_kink()
    assert i.differentiable()
    assert i.derivative().ravel().tolist() == [1]
    assert i.ntk_trace() == 0


def test_eigenvalues_are_rational_where_they_are():
    a = exact([[2, 1], [1, 2]])
    assert sorted(eigenvalues(a)) == [(1, 1), (3, 1)]
    assert largest_eigenvalue(a)[()] == 3
    golden = largest_eigenvalue(exact([[1, 1], [1, 0]]))[()]
    assert abs(golden * golden - golden - 1) < fmpq(1, 10**20)
    assert rank(exact([[1, 1], [1, 1]]))[()] == 1
    assert largest_eigenvalue(exact([[0]]))[()] == 0
