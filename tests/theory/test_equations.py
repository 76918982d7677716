"""Summaries of networks: everything that a person needs to check a counterexample by hand."""

from theory.networks import LEAKY, RELU, Builder, equations, mlp
from theory.scalars import exact


def test_weights_of_their_own_are_numbers():
    assert equations(mlp([2, 1, 1]), exact([-3, 2, 1])) == "h1 = relu(-3 x1 + 2 x2), y1 = h1"


def test_a_weight_on_several_edges_is_named():
    b = Builder(1)
    (w,), hidden, out = b.new_parameters(1), b.unit(RELU), b.unit("linear")
    b.connect(0, hidden, w)
    b.connect(hidden, out, w)
    assert equations(b.network((out,)), exact([2])) == "w1 = 2, h1 = relu(w1 x1), y1 = w1 h1"


def test_shared_weights_beside_others_with_factors_and_biases():
    b = Builder(1)
    (own, shared), one, out = b.new_parameters(2), b.one, b.unit("linear")
    b.connect(0, out, own, 2)
    b.connect(0, out, shared, "-1/2")
    b.connect(one, out, shared)
    assert equations(b.network((out,)), exact([3, 1])) == "w1 = 1, y1 = 6 x1 + -1/2 w1 x1 + w1"


def test_the_slope_of_leaky_units_is_said():
    assert equations(mlp([1, 1, 1], kind=LEAKY), exact([-1, 1])) == "h1 = leaky(-1 x1), y1 = h1, leaky slope 1/4"
