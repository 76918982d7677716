"""Assumptions on networks, and networks that break them."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory.claims import Assumption
from theory.network_sketches import INDEPENDENT, SignAverage, distinct_weight_sets, is_linear, is_rectified, own_weights
from theory.networks import INPUT, LEAKY, LINEAR, ONE, RELU, Builder, Network, mlp
from theory.paths import on_path, path_values, paths_of
from theory.scalars import ones

linear_units = Assumption(
    "linear-units",
    "every unit is linear",
    lambda i: is_linear(i.network),
    lambda c, i: on_network(c, i, mlp([1, 1, 1], kind=RELU)),
)


weights_of_their_own = Assumption(
    "weights-of-their-own",
    "every edge has a weight, and no two edges the same",
    lambda i: own_weights(i.network),
    lambda c, i: on_network(c, i, weight_twice(c.pick((LINEAR, RELU)))),
)


rectified_units = Assumption(
    "linear-or-relu",
    "every unit is linear or a ReLU",
    lambda i: is_rectified(i.network),
    lambda c, i: on_network(c, i, mlp([1, 1, 1], kind=LEAKY)),
)


relu_units = Assumption(
    "relu-units",
    "every hidden unit is a ReLU, and there is one",
    lambda i: (kinds := _hidden_kinds(i.network)) != [] and set(kinds) == {RELU},
)


off_kinks_on_signs = Assumption(
    "off-kinks", "no pre-activation of a ReLU is exactly 0", lambda i: np.logical_not(i.on_signs.on_kink)
)


one_hidden_unit = Assumption(
    "one-hidden-unit",
    "there is one hidden unit, and every path passes it",
    lambda i: len(_hidden_kinds(i.network)) == 1 and all(len(p) == 2 for p in paths_of(i.network).edges),
)


def _hidden_kinds(network: Network) -> list[str]:
    """The kinds of the units that are neither inputs nor outputs."""
    return [kind for u, kind in enumerate(network.units) if kind not in (INPUT, ONE) and u not in network.outputs]


def on_network(c: Any, i: Any, network: Network) -> Any:
    """Another network of one input, with weights of its own and, where the setting has inputs, ones."""
    changes = {"x": ones((*i.theta.shape[:-1], 1, 1), i.theta)} if "x" in i.arrays() else {}
    return i.with_(network=network, theta=c.numbers((network.parameters,)), **changes)


def weight_twice(kind: str) -> Network:
    """The network y = w h, h = w x: one weight on both edges of the only path."""
    b = Builder(inputs=1)
    (w,), hidden = b.new_parameters(1), b.unit(kind)
    b.connect(b.inputs[0], hidden, w)
    b.connect(hidden, b.unit(LINEAR), w)
    return b.network([hidden + 1])


def _unsigned(c: Any, i: SignAverage) -> SignAverage:
    return i.with_(signs="fixed")


def _averaging_inputs(c: Any, i: SignAverage) -> SignAverage:
    """Two inputs, averaged before the first weight: their paths carry the same weights."""
    b = Builder(inputs=2)
    net = b.network(b.dense(b.pool(b.inputs, 2, kind=LINEAR), 1))
    data = ones((*i.theta.shape[:-1], 1, 2), i.theta)
    return i.with_(network=net, theta=c.numbers((net.parameters,)), x=data)


independent_signs = Assumption(
    "independent-signs", "the signs of all weights are uniform and independent", lambda i: i.signs == INDEPENDENT,
    _unsigned,
)  # fmt: skip


no_weight_twice = Assumption(
    "no-weight-twice-on-a-path",
    "no weight stands twice on one path",
    lambda i: bool((on_path(i.network) <= 1).all()),
    lambda c, i: on_network(c, i, weight_twice(LINEAR)),
)


distinct_weights = Assumption(
    "distinct-weight-sets",
    "no two paths to one output carry the same weights (true where every weight is on one edge and every edge has one)",
    lambda i: distinct_weight_sets(i.network),
    _averaging_inputs,
)


unit_second_moments = Assumption(
    "unit-second-moments",
    "E x_i^2 = 1 for every input (all ones, for example)",
    lambda i: (i.second_moments() == 1).all(axis=-1),
    lambda c, i: i.with_(x=c.numbers(i.x.shape[-2:])),
)


no_cancellation = Assumption(
    "no-cancelling-pre-activation",
    "under no signs does what arrives at a hidden unit, not all 0, sum to exactly 0",
    lambda i: np.logical_not(i.cancels()),
)


one_path_each = Assumption(
    "one-path-each",
    "every parameter lies on at most one path, once",
    lambda i: bool((i.paths_per_parameter() <= 1).all()),
    lambda c, i: i.with_(network=(net := mlp([2, 1, 1], kind=LINEAR)), theta=c.numbers((net.parameters,))),
)


nonnegative_paths = Assumption(
    "nonnegative-paths",
    "no path has a negative value (true where no weight and no factor is negative)",
    lambda i: (path_values(i.network, i.theta) >= 0).all(axis=-1),
)


one_input = Assumption("one-input", "the network has one input", lambda i: len(i.network.inputs) == 1)


one_output = Assumption("one-output", "the network has one output", lambda i: len(i.network.outputs) == 1)
