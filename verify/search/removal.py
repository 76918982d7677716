"""A network without some of its units or edges: fewer weights, renumbered."""

from __future__ import annotations

from dataclasses import replace

from theory.networks import Edge, Network


def without_units(network: Network, gone: set[int]) -> tuple[Network, list[int]]:
    """The network without the units in ``gone`` and their edges, and the old indices of its parameters.

    Parameters on no remaining edge disappear. Input units may be removed too.
    """
    keep = [u for u in range(len(network.units)) if u not in gone]
    new_unit = {u: i for i, u in enumerate(keep)}
    edges = [e for e in network.edges if e.source in new_unit and e.target in new_unit]
    return _renumbered(network, edges, new_unit, keep)


def without_edge(network: Network, index: int) -> tuple[Network, list[int]]:
    """The network without one edge, and the old indices of its parameters."""
    edges = [e for i, e in enumerate(network.edges) if i != index]
    keep = list(range(len(network.units)))
    return _renumbered(network, edges, {u: u for u in keep}, keep)


def _renumbered(
    network: Network, edges: list[Edge], new_unit: dict[int, int], keep: list[int]
) -> tuple[Network, list[int]]:
    used = sorted({e.parameter for e in edges if e.parameter is not None})
    new_parameter = {j: i for i, j in enumerate(used)}
    return (
        Network(
            tuple(network.units[u] for u in keep),
            tuple(
                replace(
                    e,
                    source=new_unit[e.source],
                    target=new_unit[e.target],
                    parameter=None if e.parameter is None else new_parameter[e.parameter],
                )
                for e in edges
            ),
            tuple(new_unit[o] for o in network.outputs if o in new_unit),
            tuple(
                kept
                for layer in network.layers
                if (kept := tuple(new_parameter[j] for j in layer if j in new_parameter))
            ),
            network.slope,
        ),
        used,
    )


__all__ = ["without_edge", "without_units"]
