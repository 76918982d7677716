"""Pruning runs on small networks, and the other settings of the synaptic-flow claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import fmpq

from theory.flows import ObjectiveOnNetwork, RescaledNetwork, UniformNetwork
from theory.networks import LINEAR, RELU, mlp
from theory.paths import paths_of
from theory.pruning import RULES, SCHEDULES, SCOPES, SCORED, PruningRun
from theory.saliency import SCORERS
from theory.scalars import exact, indicator
from verify.search.strategies import draws
from verify.search.strategies.choosers import Chooser
from verify.search.strategies.networks import BEYOND, network, network_on_data, on_paths_only

BEYOND_RUNS = {
    **BEYOND,
    "scorers": tuple(SCORERS), "schedules": SCHEDULES, "rules": RULES, "scopes": SCOPES,
    "rescore": (True, True, False), "scored": SCORED, "rounds": 4,
}  # fmt: skip
"""Hints that limit nothing but size: every network, scorer, schedule and rule."""


@draws(PruningRun, beyond=BEYOND_RUNS)
def pruning_run(
    c: Chooser,
    *,
    scorers: Sequence[str] = ("synflow", "synflow-l2"),
    schedules: Sequence[str] = ("one-at-a-time",),
    rules: Sequence[str] = ("by-index",),
    scopes: Sequence[str] = ("global",),
    rescore: Sequence[bool] = (True,),
    scored: Sequence[str] = ("all",),
    families: Sequence[str] = ("mlp",),
    kinds: Sequence[str] = (RELU, LINEAR),
    outputs: int = 3,
    depth: int = 2,
    width: int = 3,
    layers: int = 1,
    samples: int = 2,
    rounds: int = 3,
    nonzero: bool = False,
    stack: bool = True,
) -> PruningRun:
    """A network, weights, data and a run; ``nonzero`` weights where a claim asks for it.

    ``layers`` is the least number of layers. ``stack`` is read by the search: False where it is the
    structures that should vary, more than the numbers.
    """
    net = on_paths_only(network(c, families=families, kinds=kinds, outputs=outputs, depth=depth, width=width))
    if net.parameters < 2 or not len(paths_of(net)) or len(net.layers) < layers:
        net = mlp([c.integer(1, width), c.integer(1, width), c.integer(1, outputs)])
    theta = c.numbers((net.parameters,))
    if nonzero:
        theta = theta + indicator(theta == 0, theta) * c.positives((net.parameters,))
    schedule, few = c.pick(schedules), c.integer(1, net.parameters - 1)
    return PruningRun(
        net,
        theta,
        c.numbers((c.integer(1, samples), len(net.inputs))),
        keep=net.parameters - few if c.flip() else few,
        rounds=c.integer(1, rounds) if schedule in ("linear", "exponential") else 1,
        scorer=c.pick(scorers),
        schedule=schedule,
        rule=c.pick(rules),
        scope=c.pick(scopes),
        rescore=c.pick(rescore),
        scored=c.pick(scored),
    )


@draws(ObjectiveOnNetwork, beyond=BEYOND)
def objective_on_network(c: Chooser, **hints: Any) -> ObjectiveOnNetwork:
    """A network on data, and any gradient of an objective of its outputs."""
    base = network_on_data(c, **hints)
    shape = (base.x.shape[-2], len(base.network.outputs))
    return ObjectiveOnNetwork(base.network, base.theta, base.x, c.numbers(shape))


@draws(RescaledNetwork, beyond=BEYOND)
def rescaled_network(c: Chooser, **hints: Any) -> RescaledNetwork:
    """A network on data and a positive factor."""
    base = network_on_data(c, **hints)
    return RescaledNetwork(base.network, base.theta, base.x, c.positives((1,))[..., 0])


@draws(UniformNetwork)
def uniform_network(c: Chooser, rounded: bool = False) -> UniformNetwork:
    """A deep network, of up to 64 units a layer and 160 layers; weights of the size of an initialisation.

    ``rounded``: mostly smaller, with weights whose products float32 rounds.
    """
    if rounded:
        width, depth = c.pick((1, 3, 2)), c.pick((2, 1, 3, 6, 160))
        scale = 1 + c.pick((fmpq(1, 2**12), fmpq(c.integer(2**21, 2**23 - 1), 2**23)))
    else:
        width, depth = 4 ** c.integer(0, 3), c.pick((8, 16, 32, 64, 96, 128, 160))
        scale = fmpq(c.pick((4, 5, 6, 8)), 4)
    return UniformNetwork(depth, width, exact(np.asarray(scale / 2 ** (width.bit_length() // 2))))
