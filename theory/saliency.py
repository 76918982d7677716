"""The scores by which weights are ranked, as the papers define them, over any scalar type.

Every scorer maps a network, its (masked) parameters and the data to one score a parameter. Those that
are sums over paths are written so: S_j = sum of c_p over the paths p through j, with the path weight
c_p = |v_p| (SynFlow), v_p^2 (SynFlow-L2), D_k v_p^2 (PX). A path that uses a parameter m times counts
m times: that is what differentiating gives.

The scorers that need a loss (SNIP, GraSP) use the squared error against labels 0,
L = 1/2 sum_{n,k} f^k(x_n)^2, so that an instance needs no labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from theory.enumeration import by_output, on_path, path_gates, path_inputs, path_jacobian, path_values, paths_of
from theory.names import did_you_mean
from theory.networks import Network, edge_values, forward, jacobian
from theory.scalars import Array, absolute, indicator, ones, total, zeros

Score = Callable[[Network, Array, Array, Array | None], Array]


@dataclass(frozen=True)
class Scorer:
    """A way to score parameters.

    Attributes:
        name: its name in the registry.
        sentence: what it computes.
        scores: (network, theta (..., N), x (..., n, d), activation (..., K) or None) -> (..., N).
        path_weights: the same arguments -> c_p, shape (..., P), the path weights whose sum R the scores
            ought to conserve. For scorers that are no sums over paths, SynFlow's |v_p|.
        frozen: whether `activation` is measured once, on the dense network, and then held fixed.
    """

    name: str
    sentence: str
    scores: Score
    path_weights: Score
    frozen: bool = False


SCORERS: dict[str, Scorer] = {}
"""Every scorer by name."""


def scorer_named(name: str) -> Scorer:
    """The scorer called ``name``.

    Raises:
        ValueError: there is none; names near misses and all known names.
    """
    if name in SCORERS:
        return SCORERS[name]
    raise ValueError(f"unknown scorer {name!r}; {did_you_mean(name, SCORERS)} known: {', '.join(SCORERS)}")


def scores(network: Network, theta: Array, x: Array, method: str = "synflow", activation: Array | None = None) -> Array:
    """The scores of all parameters, shape (..., N).

    Args:
        network: the structure.
        theta: parameters, shape (..., N).
        x: inputs, shape (..., n, d).
        method: name of a scorer.
        activation: D_k, shape (..., K), to use instead of measuring it (PX only).

    Raises:
        ValueError: unknown scorer, or arrays that do not fit the network.
    """
    return scorer_named(method).scores(network, theta, x, activation)


def through(network: Network, path_weights: Array) -> Array:
    """S_j = sum of c_p over the paths p through j, counted as often as j stands on p: (..., P) -> (..., N)."""
    return np.asarray(total(path_weights[..., :, None] * on_path(network), axis=-2))


def activation(network: Network, theta: Array, x: Array) -> Array:
    """D_k = sum_n sum_{p -> k} a_p(x_n) x_{n, s(p)}^2, shape (..., K) (path exclusion)."""
    a = path_inputs(network, forward(network, theta, x))
    return by_output(network, total(a * a, axis=-2))


def _spread(network: Network, per_output: Array) -> Array:
    """(..., K) -> (..., P): the number of the output each path ends in."""
    return per_output[..., list(paths_of(network).outputs)]


# -- path weights -----------------------------------------------------------------------------------


def _flow(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
    return absolute(path_values(network, theta))


def _signed_flow(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
    return path_values(network, theta)


def _squared_flow(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
    v = path_values(network, theta)
    return v * v


def _path_exclusion(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
    v = path_values(network, theta)
    return _spread(network, activation(network, theta, x) if d is None else d) * v * v


def _energy(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
    """c_p = sum_n (a_p(x_n) x_{n,s(p)} v_p)^2: the square of what a path adds to the output, over the samples."""
    v, inputs = path_values(network, theta), path_inputs(network, forward(network, theta, x))
    return total(inputs * inputs, axis=-2) * v * v


def _data_flow(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
    """Path weights of theta * dL/dtheta: sum_n f^k(x_n) a_p(x_n) x_{n,s(p)} v_p."""
    run = forward(network, theta, x)
    ends = run.outputs[..., list(paths_of(network).outputs)]
    return total(path_inputs(network, run) * ends, axis=-2) * path_values(network, theta)


# -- scores that are no plain sums over paths ----------------------------------------------------------


def _magnitude(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
    return absolute(theta)


def _loss_gradient(network: Network, theta: Array, x: Array) -> Array:
    run = forward(network, theta, x)
    return total(run.outputs[..., None] * jacobian(network, theta, run), axis=(-3, -2))


def _signed_snip(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
    return theta * _loss_gradient(network, theta, x)


def _snip(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
    return absolute(_signed_snip(network, theta, x, d))


def _grasp(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
    """Theta * (H g): g the gradient of the loss, H its Hessian, both for fixed gates."""
    run = forward(network, theta, x)
    j = jacobian(network, theta, run)
    g = total(run.outputs[..., None] * j, axis=(-3, -2))
    along = total(j * g[..., None, None, :], axis=-1)
    gauss_newton = total(along[..., None] * j, axis=(-3, -2))
    ends = run.outputs[..., list(paths_of(network).outputs)]
    weight = total(path_inputs(network, run) * ends, axis=-2)
    curved = total(weight[..., None] * _path_hessian_along(network, theta, g), axis=-2)
    return theta * (gauss_newton + curved)


def _path_hessian_along(network: Network, theta: Array, direction: Array) -> Array:
    """(d^2 v_p / d theta^2) direction for every path, shape (..., P, N)."""
    values, factors = edge_values(network, theta), edge_values(network, ones(theta.shape, theta))
    paths = paths_of(network)
    out = zeros((*theta.shape[:-1], len(paths), network.parameters), theta)
    for p, edges in enumerate(paths.edges):
        for a, first in enumerate(edges):
            for b, second in enumerate(edges):
                i, j = network.edges[first].parameter, network.edges[second].parameter
                if a == b or i is None or j is None:
                    continue
                rest = factors[first] * factors[second] * direction[..., j]
                for c, other in enumerate(edges):
                    if c not in (a, b):
                        rest = rest * values[other]
                out[..., p, i] = out[..., p, i] + rest
    return out


def _flow_without_theta(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
    return total(absolute(path_jacobian(network, theta)), axis=-2)


def _squared_flow_without_theta(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
    j = path_jacobian(network, theta)
    return total(j * j, axis=-2)


def _path_exclusion_without_theta(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
    j = path_jacobian(network, theta)
    d = activation(network, theta, x) if d is None else d
    return total(_spread(network, d)[..., None] * j * j, axis=-2)


def masked_trace(network: Network, theta: Array, x: Array) -> Array:
    """The NTK's trace of a masked network, shape (...): a weight of 0 is no weight and has no derivative."""
    present = jacobian(network, theta, forward(network, theta, x)) * indicator(theta != 0, theta)[..., None, None, :]
    return total(present * present, axis=(-3, -2, -1))


def _trace_loss(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
    """The trace minus the trace without j, in the network that is left: gates and all, shape (..., N)."""
    whole, out = masked_trace(network, theta, x), np.empty_like(theta)
    for j in range(network.parameters):
        without = theta.copy()
        without[..., j] = 0
        out[..., j] = whole - masked_trace(network, without, x)
    return out


def _per_sample(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
    """c_p = sum_n A_{n,k(p)} a_p(x_n)^2 v_p^2, A_{nk} the activation of output k at x_n: gates in both factors."""
    run, v = forward(network, theta, x), path_values(network, theta)
    gates = path_gates(network, run)
    a = by_output(network, (path_inputs(network, run) * indicator(v != 0, v)[..., None, :]) ** 2)
    return total(_spread(network, a) * gates * gates, axis=-2) * v * v


def _squared_flow_released(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
    return absolute(theta) * _squared_flow_without_theta(network, theta, x, d)


def path_exclusion_released(
    network: Network, theta: Array, x: Array, unsquared: tuple[int, ...] | None = None
) -> Array:
    """What the released PX code computes on a network without batch normalisation, shape (..., N).

    Parameters named ``fc`` are neither set to one in the first auxiliary network (input x^2, gates
    copied) nor squared in the second (input 1); the score is |gradient in the second| * theta^2, the
    outputs of the first held constant.

    Args:
        network: the structure.
        theta: parameters.
        x: inputs.
        unsquared: indices of the parameters named ``fc``; None for the last layer.
    """
    named = set(network.layers[-1] if unsquared is None else unsquared)
    left = np.array([j in named for j in range(network.parameters)], dtype=bool)
    run = forward(network, theta, x)
    first = forward(network, np.where(left, theta, ones(theta.shape, theta)), x * x, gates=run.edge_gates)
    d = total(first.outputs, axis=-2)
    squared = np.where(left, theta, theta * theta)
    gradient = total(_spread(network, d)[..., None] * path_jacobian(network, squared), axis=-2)
    return absolute(gradient) * theta * theta


def _path_exclusion_released(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
    return path_exclusion_released(network, theta, x)


def _sum_of(path_weights: Score) -> Score:
    def score(network: Network, theta: Array, x: Array, d: Array | None) -> Array:
        return through(network, path_weights(network, theta, x, d))

    return score


def _register(
    name: str, sentence: str, score: Score | None = None, weights: Score = _flow, *, frozen: bool = False
) -> None:
    SCORERS[name] = Scorer(name, sentence, score or _sum_of(weights), weights, frozen)


_register("synflow", "sum of |v_p| over the paths through j: SynFlow, all-ones input", None, _flow)
_register("synflow-l2", "sum of v_p^2 over the paths through j: SynFlow-L2", None, _squared_flow)
_register("px", "sum_k D_k sum of v_p^2 over the paths through j: Path eXclusion", None, _path_exclusion)
_register("px-frozen", "PX with D_k of the dense network in every round", None, _path_exclusion, frozen=True)
_register("path-energy", "sum_n sum of (a_p(x_n) x_n v_p)^2 over the paths through j (ours)", None, _energy)
_register(
    "px-per-sample", "PX with the gates of each sample in both factors of the bound (ours)", None, _per_sample
)  # fmt: skip
_register("trace-loss", "tr Theta minus tr Theta without j (ours)", _trace_loss)
_register("magnitude", "|theta_j|", _magnitude)
_register("snip", "|theta_j dL/dtheta_j|: SNIP", _snip)
_register("snip-signed", "theta_j dL/dtheta_j: SNIP without its absolute value", _signed_snip, _data_flow)
_register("grasp", "theta_j (H g)_j: GraSP, in the sign in which large scores are kept", _grasp)
_register("synflow-signed", "sum of v_p: SynFlow without absolute values", None, _signed_flow)
_register("synflow-without-theta", "dR/d|theta_j|: SynFlow's derivative, not multiplied", _flow_without_theta)
_register(
    "synflow-l2-without-theta", "dR/dtheta_j^2 of SynFlow-L2", _squared_flow_without_theta, _squared_flow
)  # fmt: skip
_register("px-without-theta", "dR/dtheta_j^2 of PX", _path_exclusion_without_theta, _path_exclusion)
_register(
    "synflow-l2-released", "|theta_j| dR/dtheta_j^2: as the PX repository computes it", _squared_flow_released,
    _squared_flow,
)  # fmt: skip
_register("px-released", "PX as released: last layer (fc) unsquared", _path_exclusion_released, _path_exclusion)
