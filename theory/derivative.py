"""True derivatives by the parameters, on kinks too, where the automatic gradient is only formal.

Networks of these units have one-sided derivatives everywhere, and those obey the chain rule:
ReLU has at 0 in the direction d the derivative max(d, 0), a tied maximum that of its largest direction.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from theory.networks import LEAKY, MAX, RELU, Network, edge_values, factor_of, forward
from theory.scalars import Array, indicator, is_exact, zeros


def one_sided(network: Network, theta: Array, x: Array, sign: int) -> Array:
    """Derivative of every output at every sample along ``sign`` times each parameter's axis, (..., n, K, N).

    Args:
        network: the structure.
        theta: parameters, (..., N).
        x: inputs, (..., n, d).
        sign: 1 or -1.
    """
    run, weights = forward(network, theta, x), edge_values(network, theta)
    shape = (*run.outputs.shape[:-1], network.parameters)
    exactly = is_exact(theta)
    slope = factor_of(network.slope, exactly)
    out: list[Any] = []
    for u, kind in enumerate(network.units):
        if not network.incoming[u]:
            out.append(zeros(shape, theta))
            continue
        values, slopes = [], []
        for i in network.incoming[u]:
            e, w = network.edges[i], np.asarray(weights[i])[..., None]
            d = w[..., None] * out[e.source]
            if e.parameter is not None:
                factor = factor_of(e.factor, exactly)
                d[..., e.parameter] = d[..., e.parameter] + run.values[e.source] * factor * sign
            values.append(w * run.values[e.source])
            slopes.append(d)
        z = run.pre[u][..., None]
        if kind == MAX:
            best = zeros(shape, theta)
            found = np.zeros((*shape[:-1], 1), dtype=bool)
            for v, d in zip(values, slopes, strict=True):
                reached = np.asarray(v[..., None] == z, dtype=bool)
                best = np.where(reached & (~found | np.asarray(d > best, dtype=bool)), d, best)
                found |= reached
            out.append(best)
            continue
        d = sum(slopes[1:], slopes[0])
        if kind in (RELU, LEAKY):
            on = np.asarray((z > 0) | ((z == 0) & (d > 0)), dtype=bool)
            gate = indicator(on, theta)
            d = d * (gate if kind == RELU else gate + (1 - gate) * slope)
        out.append(d)
    return np.stack([out[o] for o in network.outputs], axis=-2)


def derivative(network: Network, theta: Array, x: Array) -> tuple[Array, np.ndarray]:
    """The derivative (..., n, K, N), and whether each instance has one in every parameter, bool (...).

    Where there is none the one-sided derivative stands.
    """
    right, left = one_sided(network, theta, x, 1), one_sided(network, theta, x, -1)
    return right, np.asarray(np.asarray(right == -left, dtype=bool).all(axis=(-3, -2, -1)))
