"""Assumptions and hints that several sections share."""

from __future__ import annotations

from typing import Any

import numpy as np
from flint import fmpq

from theory.claims import Assumption
from theory.enumeration import on_path
from theory.guarded import live
from theory.networks import LINEAR, RELU, Builder
from theory.paths import NetworkOnData
from theory.pruning import PruningRun

SMALL = {"families": ("mlp",), "depth": 2, "outputs": 2}
"""Hints: perceptrons of up to two layers and two outputs."""

GRAPHS = {"families": ("mlp", "mlp-bias", "residual", "pool", "convolution", "normalised", "heads", "recurrent", "any")}
"""Hints: every family, any graph with weights on several edges among them."""

STEP = fmpq(1, 2**48)
"""How far apart the two ends of a difference quotient are, relative to the weights."""


def _equal_activations(instance: NetworkOnData) -> Any:
    d = instance.activation_per_output()
    return np.asarray(d == d[..., :1], dtype=bool).all(axis=-1)


def _separate_heads(c: Any, instance: NetworkOnData) -> NetworkOnData:
    b = Builder(2)
    net = b.network((*b.dense(b.dense(b.inputs[:1], 1), 1), *b.dense(b.inputs[1:], 1)))
    return NetworkOnData(net, c.numbers((3,)), c.numbers((1, 2)))


equal_activations = Assumption(
    "equal-activations",
    "D_k is the same for all outputs, as under a dense last layer",
    _equal_activations,
    _separate_heads,
)


def _twice(c: Any, instance: NetworkOnData) -> NetworkOnData:
    b = Builder(1)
    (w,), last = b.new_parameters(1), 0
    for kind in (RELU, LINEAR, LINEAR)[: c.integer(2, 3)]:
        b.connect(last, b.unit(kind), w)
        last += 1
    return NetworkOnData(b.network((last,)), c.positives((1,)), c.positives((1, 1)))


no_weight_twice = Assumption(
    "no-weight-twice", "no weight stands twice on one path",
    lambda i: bool((on_path(i.network) <= 1).all()), _twice,
)  # fmt: skip


def _dead(c: Any, run: PruningRun) -> PruningRun:
    return run.with_(x=run.x * 0)


starts_live = Assumption(
    "starts-live", "some path of the dense network is live: nonzero weights, gates on, nonzero input",
    lambda run: live(run, np.ones(run.theta.shape, dtype=bool)), _dead,
)  # fmt: skip
