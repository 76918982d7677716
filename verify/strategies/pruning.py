"""Pruning runs on small networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from theory.networks import LINEAR, RELU, mlp
from theory.paths import paths_of
from theory.pruning import PruningRun
from theory.scalars import indicator
from verify.strategies import draws
from verify.strategies.choosers import Chooser
from verify.strategies.networks import network


@draws(PruningRun)
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
    samples: int = 2,
    rounds: int = 3,
    nonzero: bool = False,
) -> PruningRun:
    """A network, weights, data and a run; ``nonzero`` weights where a claim asks for it."""
    net = network(c, families=families, kinds=kinds, outputs=outputs, depth=depth, width=width)
    if net.parameters < 2 or not len(paths_of(net)):
        net = mlp([1, c.integer(1, 2), 1])
    theta = c.numbers((net.parameters,))
    if nonzero:
        theta = theta + indicator(theta == 0, theta) * c.positives((net.parameters,))
    schedule = c.pick(schedules)
    return PruningRun(
        net,
        theta,
        c.numbers((c.integer(1, samples), len(net.inputs))),
        keep=c.integer(1, net.parameters - 1),
        rounds=c.integer(1, rounds) if schedule in ("linear", "exponential") else 1,
        scorer=c.pick(scorers),
        schedule=schedule,
        rule=c.pick(rules),
        scope=c.pick(scopes),
        rescore=c.pick(rescore),
        scored=c.pick(scored),
    )
