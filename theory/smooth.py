"""Networks with smooth units, and the bound of path exclusion applied to them all the same.

A dense network without biases; after each hidden layer stands a unit that is not piecewise linear:
elementwise (GELU, SiLU, sigmoid, tanh) or over a group (layer norm and softmax over the units of the
layer, batch statistics over the samples). Values and derivatives are balls, by forward differentiation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from flint import arb
from scipy.special import erf

from theory.enumeration import path_jacobian, paths_of
from theory.instances import Instance, array
from theory.networks import Network, mlp
from theory.scalars import Array, exp, indicator, is_exact, sqrt, total, zeros

ELEMENTWISE = ("gelu", "silu", "sigmoid", "tanh")
GROUPED = ("layer-norm", "softmax", "batch-statistics")
UNITS = (*ELEMENTWISE, *GROUPED)
EPSILON = 100_000
"""One over the number that normalisations add to a variance."""


def _erf(a: Array) -> Array:
    if not is_exact(a):
        return np.asarray(erf(a))
    out = np.empty(a.shape, dtype=object)
    for i, v in np.ndenumerate(a):
        out[i] = arb(v).erf()
    return out


def _sigmoid(z: Array) -> Array:
    return 1 / (1 + exp(-z))  # where exp overflows in float64, the limit 0


def elementwise(unit: str, z: Array) -> tuple[Array, Array]:
    """Value and slope of a unit at pre-activations ``z``.

    Raises:
        ValueError: unknown unit.
    """
    if unit in ("sigmoid", "silu"):
        s = _sigmoid(z)
        return (s, s * (1 - s)) if unit == "sigmoid" else (z * s, s + z * s * (1 - s))
    if unit == "tanh":
        t = 2 * _sigmoid(2 * z) - 1
        return t, 1 - t * t
    if unit == "gelu":
        two, pi = (arb(2), arb.pi()) if is_exact(z) else (2.0, np.pi)
        phi = (1 + _erf(z / sqrt(two))) / 2
        density = exp(-z * z / 2) / sqrt(two * pi)
        return z * phi, phi + z * density
    raise ValueError(f"unknown unit {unit!r}; known: {', '.join(UNITS)}")


def grouped(unit: str, z: Array, dz: Array, axis: int) -> tuple[Array, Array]:
    """Value and derivative of a unit over the groups along ``axis`` of z (..., n, m), with dz (..., n, m, N)."""
    side = axis - 1  # the same axis of dz, which has one axis more

    def mean(a: Array, ax: int) -> Array:
        return np.expand_dims(np.asarray(total(a, axis=ax)), ax) / a.shape[ax]

    if unit == "softmax":
        e = exp(z) if is_exact(z) else np.exp(z - z.max(axis=axis, keepdims=True))
        y = e / np.expand_dims(np.asarray(total(e, axis=axis)), axis)
        along = y[..., None] * dz
        return y, along - y[..., None] * np.expand_dims(np.asarray(total(along, axis=side)), side)
    centred = z - mean(z, axis)
    spread = sqrt(mean(centred * centred, axis) + indicator(np.ones(1, dtype=bool), z) / EPSILON)
    y = centred / spread
    d = dz - mean(dz, side)
    return y, (d - y[..., None] * mean(y[..., None] * d, side)) / spread[..., None]


@dataclass(frozen=True, eq=False)
class SmoothNetwork(Instance):
    """A dense network ``widths`` with one kind of unit after each hidden layer, theta (..., N), x (..., n, d)."""

    title: ClassVar[str] = "network with smooth units"

    widths: tuple[int, ...]
    unit: str
    theta: Array = array(1)
    x: Array = array(2)

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(f"unknown unit {self.unit!r}; known: {', '.join(UNITS)}")

    def structure_size(self) -> tuple[int, ...]:
        """Parameters, then layers."""
        return (self.network.parameters, len(self.widths))

    def valid(self) -> Any:
        """Whether the arrays fit the widths."""
        return bool(
            self.theta.shape[-1] == self.network.parameters
            and self.x.shape[-1] == self.widths[0]
            and self.x.shape[-2] > 0
        )

    @property
    def network(self) -> Network:
        """The dense network, for its paths."""
        return mlp(self.widths)

    def _weights(self) -> list[tuple[Array, tuple[int, ...]]]:
        """Weight matrices (..., out, in) and the indices of their entries."""
        out = []
        for layer, (m, k) in zip(self.network.layers, zip(self.widths[1:], self.widths, strict=False), strict=True):
            w = self.theta[..., list(layer)]
            out.append((w.reshape(*w.shape[:-1], m, k), layer))
        return out

    @property
    def _run(self) -> tuple[list[Array], Array, Array]:
        """Pre-activations of the hidden layers, outputs (..., n, K), derivatives (..., n, K, N).

        Not kept: what is asked again is asked at a higher precision of balls.
        """
        count, h = self.network.parameters, self.x
        dh = zeros((*h.shape, count), self.theta)
        pre: list[Array] = []
        weights = self._weights()
        for number, (w, layer) in enumerate(weights):
            z = np.einsum("...ni,...oi->...no", h, w)
            dz = np.einsum("...nij,...oi->...noj", dh, w)
            k = w.shape[-1]
            for o in range(w.shape[-2]):
                for i in range(k):
                    dz[..., o, layer[o * k + i]] = h[..., i]
            if number == len(weights) - 1:
                return pre, z, dz
            pre.append(z)
            if self.unit in ELEMENTWISE:
                h, slope = elementwise(self.unit, z)
                dh = slope[..., None] * dz
            else:
                h, dh = grouped(self.unit, z, dz, -2 if self.unit == "batch-statistics" else -1)
        raise AssertionError("a network has at least one layer")

    def jacobian(self) -> Array:
        """J = d f / d theta, shape (..., n, K, N)."""
        return self._run[2]

    def ntk_trace(self) -> Array:
        """Tr Theta(X, X), shape (...)."""
        j = self.jacobian()
        return total(j * j, axis=(-3, -2, -1))

    def outputs(self) -> Array:
        """f^k(x_n), shape (..., n, K)."""
        return self._run[1]

    def formal_activation(self, *, every_gate_on: bool = False) -> Array:
        """D_k with the gate [z > 0] (on where a ball leaves it open), or with every gate on: one for all, (..., 1)."""
        squares = self.x * self.x
        for z in self._run[0]:
            reaching = np.broadcast_to(total(squares, axis=-1)[..., None], z.shape)
            on = np.ones(z.shape, dtype=bool) if every_gate_on else ~np.asarray(z <= 0, dtype=bool)
            squares = reaching * indicator(on, self.theta)
        per_sample = total(squares, axis=-1)
        return np.asarray(total(per_sample, axis=-1))[..., None]

    def kernel(self) -> Array:
        """T_k of the dense network, shape (..., K)."""
        j = path_jacobian(self.network, self.theta)
        squares = total(j * j, axis=-1)
        ends = np.array(paths_of(self.network).outputs)
        return np.stack([np.asarray(total(squares[..., ends == k], axis=-1)) for k in range(self.widths[-1])], axis=-1)

    def formal_bound(self, *, every_gate_on: bool = False) -> Array:
        """sum_k D_k T_k with formal gates, shape (...)."""
        return total(self.formal_activation(every_gate_on=every_gate_on) * self.kernel(), axis=-1)


__all__ = ["ELEMENTWISE", "GROUPED", "UNITS", "SmoothNetwork", "elementwise", "grouped"]
