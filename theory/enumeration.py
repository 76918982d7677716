"""Every path of a network, one by one: its value, its derivatives, its gates.

Notation of the path-exclusion paper: a path p runs from an input (or the constant unit) to an output k;
v_p is the product of the weights on it; a_p(x) is 1 if every ReLU on it is on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from theory.networks import INPUT, Forward, Network, edge_values
from theory.scalars import Array, cached_array, ones, total, zeros

MAX_PATHS = 20_000


@dataclass(frozen=True)
class Paths:
    """Every path of a network: its edges, its first unit and the number of its output."""

    edges: tuple[tuple[int, ...], ...]
    sources: tuple[int, ...]
    outputs: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.edges)


@lru_cache(maxsize=4096)
def paths_of(network: Network) -> Paths:
    """All paths, depth first from the outputs.

    Raises:
        ValueError: more than `MAX_PATHS` paths: enumeration is for small networks.
    """
    found: list[tuple[tuple[int, ...], int, int]] = []
    for k, output in enumerate(network.outputs):
        stack: list[tuple[int, tuple[int, ...]]] = [(output, ())]
        while stack:
            unit, suffix = stack.pop()
            if network.units[unit] in (INPUT, "one"):
                found.append((suffix, unit, k))
                if len(found) > MAX_PATHS:
                    raise ValueError(f"more than {MAX_PATHS} paths: too many to enumerate")
            for i in reversed(network.incoming[unit]):
                stack.append((network.edges[i].source, (i, *suffix)))
    return Paths(tuple(f[0] for f in found), tuple(f[1] for f in found), tuple(f[2] for f in found))


def path_values(network: Network, theta: Array) -> Array:
    """v_p for every path, shape (..., P)."""
    values = edge_values(network, theta)
    columns = []
    for edges in paths_of(network).edges:
        product = ones((), theta)
        for i in edges:
            product = product * values[i]
        columns.append(product)
    return stacked(columns, theta.shape[:-1], theta)


def path_jacobian(network: Network, theta: Array) -> Array:
    """J_theta^v: the true derivative of every path value by every parameter, shape (..., P, N)."""
    values = edge_values(network, theta)
    factors = edge_values(network, ones(theta.shape, theta))
    paths = paths_of(network)
    out = zeros((*theta.shape[:-1], len(paths), network.parameters), theta)
    for p, edges in enumerate(paths.edges):
        for position, i in enumerate(edges):
            j = network.edges[i].parameter
            if j is None:
                continue
            rest = factors[i]
            for other, i2 in enumerate(edges):
                if other != position:
                    rest = rest * values[i2]
            out[..., p, j] = out[..., p, j] + rest
    return out


def path_gates(network: Network, run: Forward) -> Array:
    """a_p(x) for every sample and path, shape (..., n, P)."""
    shape = run.outputs.shape[:-1]
    columns = []
    for edges in paths_of(network).edges:
        gate = ones((), run.outputs)
        for i in edges:
            gate = gate * run.edge_gates[i]
        columns.append(gate)
    return stacked(columns, shape, run.outputs)


@cached_array
def on_path(network: Network) -> Array:
    """Integer array (P, N), read-only: how often each parameter stands on each path."""
    paths = paths_of(network)
    out = np.zeros((len(paths), network.parameters), dtype=int)
    for p, edges in enumerate(paths.edges):
        for i in edges:
            j = network.edges[i].parameter
            if j is not None:
                out[p, j] += 1
    return out


def stacked(columns: list[Array], shape: tuple[int, ...], like: Array) -> Array:
    """Columns (shape) side by side, (*shape, len(columns)), in the kind of number of ``like``; there may be none."""
    out = zeros((*shape, len(columns)), like)
    for p, column in enumerate(columns):
        out[..., p] = column
    return out


def source_values(network: Network, run: Forward) -> Array:
    """x_{n, s(p)} for every sample and path, shape (..., n, P); the constant unit counts as input 1."""
    return stacked([run.values[s] for s in paths_of(network).sources], run.outputs.shape[:-1], run.outputs)


def path_inputs(network: Network, run: Forward) -> Array:
    """a_p(x_n) x_{n, s(p)} for every sample and path, shape (..., n, P)."""
    return path_gates(network, run) * source_values(network, run)


def by_output(network: Network, per_path: Array) -> Array:
    """Sums over the paths that end in each output, (..., P) -> (..., K)."""
    ends = np.array(paths_of(network).outputs, dtype=int)
    parts = [total(per_path * (ends == k).astype(int), axis=-1) for k in range(len(network.outputs))]
    return np.stack([np.asarray(v) for v in parts], axis=-1)
