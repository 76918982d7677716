"""Path activation and path kernel without enumeration: two forwards through auxiliary networks.

* activation: weights 1, input x^2, gates copied from the run on x. Gives D_k.
* squared: weights squared, input 1, every gate on; a maximum becomes a sum over its window. Gives R_k,
  and its derivative by theta_j^2 the path kernel T_k and the saliency. One forward serves all samples.

`same_architecture` is the tempting wrong variant of the second: maxima stay maxima.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import numpy as np

from theory.networks import INPUT, LINEAR, ONE, Forward, Network, forward, jacobian
from theory.scalars import Array, ones, total


@lru_cache(maxsize=4096)
def squared_network(network: Network, *, keep_maxima: bool = False) -> Network:
    """The network with squared constant factors and every unit linear; maxima stay if ``keep_maxima``."""
    units = tuple(u if u in (INPUT, ONE) or (keep_maxima and u == "max") else LINEAR for u in network.units)
    edges = tuple(replace(e, factor=str(Fraction(e.factor) ** 2)) for e in network.edges)
    return replace(network, units=units, edges=edges)


@lru_cache(maxsize=4096)
def _with_unit_factors(network: Network) -> Network:
    # Constant factors (1/window of an average pool) belong to v_p, not to the activation: they become 1 here.
    return replace(network, edges=tuple(replace(e, factor="1") for e in network.edges))


def activation(network: Network, run: Forward, x: Array, weights: Array) -> Array:
    """D_k, shape (..., K), by one forward with the (squared) gates of ``run``, the forward on x.

    ``weights`` (..., N) are ones; or 0 for those that are pruned, to count only the paths without them.
    """
    gates = tuple(g * g for g in run.edge_gates)
    out = forward(_with_unit_factors(network), weights, x * x, gates=gates)
    return total(out.outputs, axis=-2)


def squared_forward(network: Network, squares: Array, *, same_architecture: bool = False) -> tuple[Array, Array]:
    """R_k (..., K) and its derivative by each theta_j^2 (..., K, N), from theta^2 of shape (..., N).

    Args:
        network: the structure.
        squares: theta^2.
        same_architecture: keep maxima as they are (wrong: a maximum of squares is not the sum over paths).
    """
    auxiliary = squared_network(network, keep_maxima=same_architecture)
    run = forward(auxiliary, squares, ones((1, len(network.inputs)), squares))
    return run.outputs[..., 0, :], jacobian(auxiliary, squares, run)[..., 0, :, :]


def objective(network: Network, theta: Array, *, same_architecture: bool = False) -> Array:
    """R_k, shape (..., K)."""
    return squared_forward(network, theta * theta, same_architecture=same_architecture)[0]


def kernel(network: Network, theta: Array, *, same_architecture: bool = False) -> Array:
    """|d R_k / d theta^2|_1, shape (..., K): T_k wherever no parameter stands twice on one path."""
    return total(squared_forward(network, theta * theta, same_architecture=same_architecture)[1], axis=-1)


def saliency(network: Network, theta: Array, d: Array) -> Array:
    """theta_j^2 d/d theta_j^2 of sum_k D_k R_k, D held fixed at ``d`` (..., K); shape (..., N)."""
    gradient = squared_forward(network, theta * theta)[1]
    return theta * theta * total(np.asarray(d)[..., None] * gradient, axis=-2)
