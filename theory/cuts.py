"""Cuts: the layers of a graph with biases and skip connections.

A cut is a set of *edges* that every path from an input (or the constant unit) to an output crosses
exactly once. Its edges are those that leave a set of units closed under predecessors, so cuts are
enumerated as such sets. Skip connections and biases are edges like any other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache

import numpy as np

from theory.enumeration import paths_of, stacked
from theory.networks import INPUT, ONE, Network, edge_values
from theory.scalars import Array, cached_array

MAX_CUTS = 4096


@lru_cache(maxsize=4096)
def cuts_of(network: Network) -> tuple[tuple[int, ...], ...]:
    """Every cut, as indices of edges on some path; the cut nearest to the inputs comes first.

    There is none when an output is itself an input: its path has no edge to cross.

    Raises:
        ValueError: more than `MAX_CUTS`: enumeration is for small networks.
    """
    paths = paths_of(network)
    if any(not edges for edges in paths.edges):
        return ()
    live = sorted({i for edges in paths.edges for i in edges})
    if not live:
        return ()
    before: dict[int, set[int]] = {}
    for i in live:
        e = network.edges[i]
        before.setdefault(e.target, set()).add(e.source)
        before.setdefault(e.source, set())
    sources = {u for u in before if network.units[u] in (INPUT, ONE)}
    inner = sorted(u for u in before if u not in sources and u not in network.outputs)
    found = [sources]
    for u in inner:
        found += [s | {u} for s in found if before[u] <= s]
        if len(found) > MAX_CUTS:
            raise ValueError(f"more than {MAX_CUTS} cuts: too many to enumerate")
    return tuple(
        tuple(i for i in live if network.edges[i].source in s and network.edges[i].target not in s) for s in found
    )


@cached_array
def cut_matrix(network: Network) -> Array:
    """Integer array (cuts, E), read-only: 1 where an edge belongs to a cut."""
    cuts = cuts_of(network)
    out = np.zeros((len(cuts), len(network.edges)), dtype=int)
    for row, cut in enumerate(cuts):
        out[row, list(cut)] = 1
    return out


@cached_array
def parameter_cuts(network: Network) -> Array:
    """Integer array (cuts, N), read-only: the cuts of parameters only, each with all its edges that are on a path.

    The kernel of a convolution is one, if no path passes it by: its weights stand on an edge for each position.
    """
    live = {i for edges in paths_of(network).edges for i in edges}
    uses = Counter(network.edges[i].parameter for i in live)
    rows: dict[tuple[int, ...], None] = {}
    for cut in cuts_of(network):
        own = Counter(network.edges[i].parameter for i in cut)
        if None not in own and all(uses[j] == count for j, count in own.items()):
            rows[tuple(int(j in own) for j in range(network.parameters))] = None
    return np.array(list(rows), dtype=int).reshape(len(rows), network.parameters)


@lru_cache(maxsize=4096)
def _by_edge(network: Network) -> Network:
    edges = tuple(replace(e, parameter=i, factor="1") for i, e in enumerate(network.edges))
    return Network(network.units, edges, network.outputs, (tuple(range(len(edges))),), network.slope)


def by_edge(network: Network, theta: Array) -> tuple[Network, Array]:
    """The same network with a parameter of its own on every edge, and their values, shape (..., E)."""
    return _by_edge(network), stacked(edge_values(network, theta), theta.shape[:-1], theta)
