"""Sketching and SynFlow on networks: sketch weights of parameters under random inputs or random signs.

The sketch probability of parameter j is proportional to |w_j| sqrt(E |df/dw_j|^2), the expectation over
a random input (sketching paper, for one layer; the summary known here claims it for deep networks).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import Any, ClassVar

import numpy as np

from theory.enumeration import on_path, path_jacobian, path_values, paths_of
from theory.instances import array
from theory.networks import INPUT, LINEAR, ONE, RELU, Network, NetworkInstance, edge_values, forward, jacobian
from theory.saliency import through
from theory.scalars import Array, absolute, total, zeros

MAX_SIGNS = 12


@lru_cache(maxsize=16)
def signs(count: int) -> np.ndarray:
    """All 2^count patterns of +1 and -1, shape (2^count, count).

    Raises:
        ValueError: more than `MAX_SIGNS` of them.
    """
    if count > MAX_SIGNS:
        raise ValueError(f"2^{count} sign patterns are too many to enumerate (at most 2^{MAX_SIGNS})")
    return np.array(list(product((1, -1), repeat=count)), dtype=int).reshape(2**count, count)


def synflow(network: Network, theta: Array, inputs: Array | None = None, power: int = 1) -> Array:
    """Sum of |v_p|^power inputs_{s(p)} over the paths p through each parameter, (..., N).

    With ``inputs`` None (all ones) this is SynFlow's score (power 1) and SynFlow-L2's (power 2).
    """
    v = absolute(path_values(network, theta)) ** power
    if inputs is not None:
        position = {u: i for i, u in enumerate(network.inputs)}
        v = v * inputs[..., [position[s] for s in paths_of(network).sources]]
    return through(network, v)


def network_reads_inputs(network: Network) -> bool:
    """Whether every path starts at an input (none at the constant unit)."""
    return all(network.units[s] == INPUT for s in paths_of(network).sources)


def is_linear(network: Network) -> bool:
    """Whether no unit is nonlinear."""
    return all(kind in (INPUT, ONE, LINEAR) for kind in network.units)


def is_rectified(network: Network) -> bool:
    """Whether every unit is linear or a ReLU."""
    return all(kind in (INPUT, ONE, LINEAR, RELU) for kind in network.units)


def own_weights(network: Network) -> bool:
    """Whether every edge has a weight, and no two edges the same."""
    used = [e.parameter for e in network.edges]
    return None not in used and len(set(used)) == len(used)


def rectifiers_on_paths(network: Network) -> np.ndarray:
    """How many ReLU units each path passes, integers (P,)."""
    rectified = [network.units[e.target] == RELU for e in network.edges]
    return np.array([sum(rectified[i] for i in edges) for edges in paths_of(network).edges], dtype=int)


@dataclass(frozen=True, eq=False)
class NetworkWeights(NetworkInstance):
    """A network without biases and its weights ``theta`` (..., N); the inputs are random."""

    title: ClassVar[str] = "network with random inputs"

    def valid(self) -> Any:
        """No biases."""
        return network_reads_inputs(self.network)

    def synflow(self) -> Array:
        """SynFlow's scores, (..., N)."""
        return synflow(self.network, self.theta)

    def squared_sketch_weights(self) -> Array:
        """w_j^2 E |df/dw_j|^2, (..., N): x ~ N(0, I) for a linear network, uniform on {-1, 1}^d for others.

        In a linear network df^k/dw_j is linear in x, sum_i c_{kji} x_i, and E x_i x_l = [i = l]: the expectation is
        sum_{k,i} c_{kji}^2, with c_{kji} the sum of dv_p/dw_j over the paths from i to k. Inputs of +1 and -1 have the
        same mean and covariance.
        """
        if not is_linear(self.network):
            return self.squared_sketch_weights_on_signs()
        by_path = path_jacobian(self.network, self.theta)  # (..., P, N)
        paths = paths_of(self.network)
        out = zeros(self.theta.shape, self.theta)
        for ends in set(zip(paths.sources, paths.outputs, strict=True)):
            here = [p for p in range(len(paths)) if (paths.sources[p], paths.outputs[p]) == ends]
            c = total(by_path[..., here, :], axis=-2)
            out = out + c * c
        return self.theta * self.theta * out

    def sign_inputs(self) -> Array:
        """All inputs of +1 and -1, (2^d, d): the uniform law on them has mean 0 and covariance I."""
        inputs = signs(len(self.network.inputs))
        return np.broadcast_to(inputs, (*self.theta.shape[:-1], *inputs.shape))

    @cached_property
    def on_signs(self) -> Any:
        """The network evaluated on every input of +1 and -1."""
        return forward(self.network, self.theta, self.sign_inputs())

    def squared_sketch_weights_on_signs(self) -> Array:
        """w_j^2 E |df/dw_j|^2 for x uniform on {-1, 1}^d and any kind of unit, (..., N)."""
        g = jacobian(self.network, self.theta, self.on_signs)
        return self.theta * self.theta * total(g * g, axis=(-3, -2)) / 2 ** len(self.network.inputs)

    def paths_per_parameter(self) -> np.ndarray:
        """On how many paths each parameter lies, (N,)."""
        return on_path(self.network).sum(axis=0)


INDEPENDENT, FIXED = "independent", "fixed"


@dataclass(frozen=True, eq=False)
class SignAverage(NetworkInstance):
    """A network whose weights have random signs, on inputs ``x`` (..., n, d), each row with probability 1/n.

    Attributes:
        network: the structure.
        theta: weights, (..., N); only their absolute values matter if the signs are independent.
        x: inputs.
        signs: "independent": every weight's sign is uniform and independent; "fixed": as in theta.
    """

    title: ClassVar[str] = "network with random signs"

    x: Array = array(2)
    signs: str = INDEPENDENT

    def __post_init__(self) -> None:
        super().__post_init__()
        if np.ndim(self.x) < 2 or np.shape(self.x)[-1] != len(self.network.inputs) or np.shape(self.x)[-2] == 0:
            raise ValueError(f"x has shape {np.shape(self.x)}; expected (samples, {len(self.network.inputs)})")
        if self.signs not in (INDEPENDENT, FIXED):
            raise ValueError(f"signs are {INDEPENDENT!r} or {FIXED!r}, not {self.signs!r}")

    def valid(self) -> Any:
        """No biases."""
        return network_reads_inputs(self.network)

    @cached_property
    def signed(self) -> Array:
        """The weights under every sign pattern, (..., 2^N, N)."""
        if self.signs == FIXED:
            return self.theta[..., None, :]
        return self.theta[..., None, :] * signs(self.network.parameters)

    @cached_property
    def runs(self) -> Any:
        """The network evaluated under every sign pattern."""
        return forward(self.network, self.signed, self.x[..., None, :, :])

    def average_squared_score(self) -> Array:
        """Average over signs and inputs of sum_k (w_j df^k/dw_j)^2, (..., N)."""
        scores = jacobian(self.network, self.signed, self.runs) * self.signed[..., None, None, :]
        patterns, n = self.signed.shape[-2], self.x.shape[-2]
        return total(scores * scores, axis=(-4, -3, -2)) / (patterns * n)

    def synflow_l2(self) -> Array:
        """SynFlow-L2's scores, (..., N)."""
        return synflow(self.network, self.theta, power=2)

    def second_moments(self) -> Array:
        """E x_i^2, (..., d)."""
        return total(self.x * self.x, axis=-2) / self.x.shape[-2]

    def rectified_paths(self) -> Array:
        """Sum over the paths p through each parameter of v_p^2 / 2^(number of ReLUs on p), (..., N)."""
        v = path_values(self.network, self.theta)
        return through(self.network, v * v / 2 ** rectifiers_on_paths(self.network))

    def cancels(self) -> np.ndarray:
        """Whether under some signs what arrives at a hidden unit is not all 0 but sums to exactly 0, (...)."""
        values = edge_values(self.network, self.signed)
        out = np.zeros(np.shape(self.theta)[:-1], dtype=bool)
        read = {e.source for e in self.network.edges}
        for u, kind in enumerate(self.network.units):
            if kind == LINEAR and u not in read:
                continue
            arriving = [
                np.asarray(values[i])[..., None] * self.runs.values[self.network.edges[i].source]
                for i in self.network.incoming[u]
            ]
            if arriving:
                some = np.any([np.asarray(a != 0, dtype=bool) for a in arriving], axis=0)
                zero = np.asarray(sum(arriving[1:], arriving[0]) == 0, dtype=bool)
                out = out | (some & zero).any(axis=(-2, -1))
        return out


def distinct_weight_sets(network: Network) -> bool:
    """Whether no two paths to one output carry the same weights, each as often."""
    counts = on_path(network).tolist()
    keys = [(k, *row) for k, row in zip(paths_of(network).outputs, counts, strict=True)]
    return len(set(keys)) == len(keys)


__all__ = [
    "FIXED", "INDEPENDENT", "NetworkWeights", "SignAverage", "distinct_weight_sets", "is_linear", "is_rectified",
    "network_reads_inputs", "own_weights", "rectifiers_on_paths", "signs", "synflow",
]  # fmt: skip
