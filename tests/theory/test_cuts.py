"""Cuts against their definition, by trying every set of edges."""

from itertools import combinations, pairwise

import numpy as np
import pytest

from theory.cuts import by_edge, cuts_of, parameter_cuts
from theory.networks import MAX, RELU, Builder, forward, mlp
from theory.paths import paths_of
from theory.scalars import exact


def residual():
    b = Builder(2)
    h = b.add(b.inputs, b.dense(b.inputs, 2, kind=RELU))
    return b.network(b.dense(h, 1))


def pooled():
    b = Builder(1)
    return b.network(b.dense(b.pool(b.dense(b.inputs, 2, kind=RELU), 2, kind=MAX), 1))


def two_depths():
    """An output that also feeds another output."""
    b = Builder(1)
    h = b.dense(b.inputs, 1)
    return b.network((*h, *b.dense(h, 1)))


NETWORKS = {
    "chain": mlp([1, 1, 1, 1]),
    "2-2-1": mlp([2, 2, 1]),
    "1-2-2": mlp([1, 2, 2]),
    "bias": mlp([1, 2, 1], bias=True),
    "residual": residual(),
    "pooled": pooled(),
    "two-depths": two_depths(),
}


@pytest.mark.parametrize("net", NETWORKS.values(), ids=NETWORKS)
def test_cuts_are_the_sets_that_every_path_crosses_once(net):
    live = sorted({i for path in paths_of(net).edges for i in path})
    expected = {
        chosen
        for size in range(len(live) + 1)
        for chosen in combinations(live, size)
        if all(len(set(path) & set(chosen)) == 1 for path in paths_of(net).edges)
    }
    found = cuts_of(net)
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert found


def test_layers_of_a_plain_network_are_cuts_of_parameters():
    net = mlp([2, 2, 1])
    rows = {tuple(row) for row in parameter_cuts(net)}
    for layer in net.layers:
        assert tuple(int(j in layer) for j in range(net.parameters)) in rows


def test_the_kernel_of_a_convolution_is_a_cut_if_all_its_positions_are_crossed_once():
    b = Builder(4)
    net = b.network(b.convolution(b.convolution(b.inputs, 2, kind="relu"), 2))
    assert {tuple(row) for row in parameter_cuts(net)} == {(1, 1, 0, 0), (0, 0, 1, 1)}
    b = Builder(1)
    (w,) = b.new_parameters(1)
    twice = [0, b.unit("linear"), b.unit("linear")]
    for source, target in pairwise(twice):
        b.connect(source, target, w)
    assert not len(parameter_cuts(b.network(twice[-1:])))


def test_a_residual_branch_is_no_cut():
    net = residual()
    branch = tuple(int(j in net.layers[0]) for j in range(net.parameters))
    assert branch not in {tuple(row) for row in parameter_cuts(net)}


@pytest.mark.parametrize("net", NETWORKS.values(), ids=NETWORKS)
def test_a_parameter_on_every_edge_changes_no_output(net):
    rng = np.random.default_rng(1)
    theta, x = exact(rng.integers(-3, 4, net.parameters)), exact(rng.integers(-3, 4, (2, len(net.inputs))))
    wide, values = by_edge(net, theta)
    assert wide.parameters == len(net.edges)
    assert (forward(wide, values, x).outputs == forward(net, theta, x).outputs).all()
