"""A module small enough to enumerate, as exact instances of the settings of the claims."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from theory.claims import Claim
from theory.networks import LINEAR, Edge, Network
from theory.paths import NetworkOnData, paths_of
from theory.scalars import exact
from verify.networks.exact.to_graph import to_network
from verify.networks.recording.graph import Graph
from verify.search.strategies import StackChooser, draw

PATHS = 2_000
"""More paths than this, or more parameters, are not enumerated."""
INPUTS = 4
"""Inputs of which an exact instance holds at most so many."""


def enumerated(graph: Graph, tensors: dict[str, Tensor], x: Tensor) -> Enumerated | None:
    """The module on up to `INPUTS` of its inputs as an exact network; None if it has too many paths.

    Args:
        graph: the record.
        tensors: its tensors in float64.
        x: the inputs, samples first.
    """
    if sum(tensors[n].numel() for n in graph.parameters) > PATHS:
        return None
    try:
        network, theta = to_network(graph, tensors)
        network = contracted(network)
        if len(paths_of(network)) > PATHS:
            return None
    except ValueError:
        return None
    return Enumerated(NetworkOnData(network, theta, exact(x[:INPUTS].detach().double().flatten(1).numpy())))


def contracted(network: Network) -> Network:
    """The same network in which a linear unit that only one activation reads, with weight 1, is that activation.

    A layer of a module is a linear map and its activations apart; as units that do both it has far fewer cuts.
    """
    reads: dict[int, list[int]] = {}
    for i, e in enumerate(network.edges):
        reads.setdefault(e.source, []).append(i)
    into: dict[int, int] = {}
    for u, kind in enumerate(network.units):
        if kind != LINEAR or u in network.outputs or len(reads.get(u, ())) != 1:
            continue
        e = network.edges[reads[u][0]]
        alone = len(network.incoming[e.target]) == 1 and e.parameter is None and e.factor == "1"
        if alone and network.units[e.target] in ("relu", "leaky"):
            into[u] = e.target
    place = {u: i for i, u in enumerate(u for u in range(len(network.units)) if u not in into)}
    edges = tuple(
        Edge(place[e.source], place[into.get(e.target, e.target)], e.parameter, e.factor)
        for e in network.edges
        if e.source not in into
    )
    return replace(
        network,
        units=tuple(kind for u, kind in enumerate(network.units) if u not in into),
        edges=edges,
        outputs=tuple(place[u] for u in network.outputs),
    )


@dataclass(frozen=True)
class Enumerated:
    """A module on data in exact rationals, and what else is searched over: its inputs and weights."""

    given: NetworkOnData

    def instances(self, claim: Claim, seed: int) -> Iterator[Any]:
        """The module as an instance of the claim's setting, then other inputs and weights of it."""
        for turn in itertools.count():
            rng = np.random.default_rng([seed, 7, turn])
            theta, x = (self.given.theta, self.given.x) if turn == 0 else self._varied(rng)
            if issubclass(NetworkOnData, claim.setting):
                yield self.given.with_(theta=theta, x=x)
            else:
                yield self._in_setting(claim, rng, theta, x)

    def _varied(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        theta, x = self.given.theta, self.given.x
        x = x[: int(rng.integers(1, len(x) + 1))]
        if rng.random() < 0.5:
            signs = rng.choice([-1.0, 1.0], x.shape)
            x = exact(rng.integers(0, 9, x.shape) / 4.0 * signs)
        choice = rng.random()
        if choice < 0.4:
            theta = exact(rng.integers(-8, 9, theta.shape) / 4.0)
        elif choice < 0.8:
            theta = theta * exact((rng.random(theta.shape) < rng.choice([0.8, 0.5, 0.3])).astype(float))
        return theta, x

    def _in_setting(self, claim: Claim, rng: np.random.Generator, theta: np.ndarray, x: np.ndarray) -> Any:
        """The module in another setting: what there is besides weights and data is drawn as for any instance."""
        drawn = draw(claim, StackChooser(rng, None))
        known = {f.name for f in dataclasses.fields(claim.setting)}
        network = self.given.network
        new = {"network": network, "theta": theta, "x": x}
        if "gradient" in known:
            new["gradient"] = exact(rng.integers(-4, 5, (len(x), len(network.outputs))) / 2.0)
        made = {f.name: getattr(drawn, f.name) for f in dataclasses.fields(drawn)}
        made |= {k: v for k, v in new.items() if k in known}
        if "keep" in known:
            made["keep"] = int(rng.integers(1, network.parameters + 1))
        return claim.setting(**made)


__all__ = ["INPUTS", "PATHS", "Enumerated", "contracted", "enumerated"]
