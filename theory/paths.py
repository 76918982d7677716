"""A network on data: its path values, path kernel, path activation matrix and empirical NTK, by enumeration.

    f^k(x) = sum_{p -> k} v_p(theta) a_p(x, theta) x_{s(p)}

with the paths p of `theory.enumeration`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from theory import auxiliary, spectrum
from theory.derivative import derivative
from theory.enumeration import (
    MAX_PATHS,
    Paths,
    by_output,
    on_path,
    path_gates,
    path_inputs,
    path_jacobian,
    path_values,
    paths_of,
    source_values,
)  # fmt: skip
from theory.instances import array
from theory.networks import Forward, NetworkInstance, forward, jacobian
from theory.saliency import scores
from theory.scalars import Array, indicator, ones, total, zeros


@dataclass(frozen=True, eq=False)
class NetworkOnData(NetworkInstance):
    """A piecewise-linear network with weights ``theta`` (..., N) and inputs ``x`` (..., n, d).

    This is the setting of the path-exclusion claims, here by enumeration; `verify.networks` answers
    to the same methods for a `torch.nn.Module`, by automatic differentiation.
    """

    title: ClassVar[str] = "network on data"

    x: Array = array(2)

    # -- evaluation ---------------------------------------------------------------------------

    @cached_property
    def run(self) -> Forward:
        """One forward evaluation."""
        return forward(self.network, self.theta, self.x)

    def outputs(self) -> Array:
        """f^k(x_n), shape (..., n, K)."""
        return self.run.outputs

    @cached_property
    def _jacobian(self) -> Array:
        return jacobian(self.network, self.theta, self.run)

    def jacobian(self) -> Array:
        """J = d f / d theta, shape (..., n, K, N)."""
        return self._jacobian

    def on_kink(self) -> np.ndarray:
        """Whether a pre-activation is exactly 0 or a maximum is tied, shape (...)."""
        return np.asarray(self.run.on_kink)

    @cached_property
    def _ntk(self) -> Array:
        j = self._rows(self.jacobian())
        return j @ np.swapaxes(j, -1, -2)

    def ntk(self) -> Array:
        """Theta(X, X) = J J', shape (..., nK, nK), rows ordered sample by sample."""
        return self._ntk

    def ntk_trace(self) -> Array:
        """Tr Theta(X, X), shape (...)."""
        j = self.jacobian()
        return total(j * j, axis=(-3, -2, -1))

    def ntk_trace_per_output(self) -> Array:
        """The trace output by output, shape (..., K)."""
        j = self.jacobian()
        return total(j * j, axis=(-3, -1))

    @cached_property
    def _derivative(self) -> tuple[Array, np.ndarray]:
        return derivative(self.network, self.theta, self.x)

    def derivative(self) -> Array:
        """The true d f / d theta, on kinks too, shape (..., n, K, N); see `differentiable`."""
        return self._derivative[0]

    def differentiable(self) -> np.ndarray:
        """Whether every output has a derivative in every parameter, bool (...)."""
        return self._derivative[1]

    def largest_eigenvalue(self) -> Array:
        """Lambda_max of Theta(X, X), shape (...): rational, or a ball."""
        return spectrum.largest_eigenvalue(self.ntk())

    def ntk_rank(self) -> Array:
        """Rank of Theta(X, X), shape (...)."""
        return spectrum.rank(self.ntk())

    # -- paths --------------------------------------------------------------------------------

    @property
    def paths(self) -> Paths:
        """The paths of the network."""
        return paths_of(self.network)

    def path_values(self) -> Array:
        """v_p, shape (..., P)."""
        return self._path_values

    @cached_property
    def _path_values(self) -> Array:
        return path_values(self.network, self.theta)

    def path_jacobian(self) -> Array:
        """J_theta^v, shape (..., P, N)."""
        return self._path_jacobian

    @cached_property
    def _path_jacobian(self) -> Array:
        return path_jacobian(self.network, self.theta)

    def path_kernel(self) -> Array:
        """Pi_theta = J_theta^v J_theta^v', shape (..., P, P)."""
        j = self.path_jacobian()
        return j @ np.swapaxes(j, -1, -2)

    def path_inputs(self) -> Array:
        """a_p(x_n) x_{n, s(p)}, shape (..., n, P); the constant unit counts as input 1."""
        return self._path_inputs

    @cached_property
    def _path_inputs(self) -> Array:
        return path_inputs(self.network, self.run)

    def source_values(self) -> Array:
        """x_{n, s(p)}, shape (..., n, P)."""
        return source_values(self.network, self.run)

    def path_activation_matrix(self) -> Array:
        """J_v^f, shape (..., nK, P): a_p(x_n) x_{n, s(p)} where p ends in k, else 0."""
        return self._rows(self._by_output(self.path_inputs()))

    def activation_per_output(self) -> Array:
        """D_k = |J_v^{f_k}|_F^2, shape (..., K)."""
        return self._activation

    @cached_property
    def _activation(self) -> Array:
        a = self.path_inputs()
        return self._sum_by_output(total(a * a, axis=-2))

    def kernel_per_output(self) -> Array:
        """T_k = |J_theta^{v,k}|_F^2, shape (..., K)."""
        return self._kernel

    @cached_property
    def _kernel(self) -> Array:
        j = self.path_jacobian()
        return self._sum_by_output(total(j * j, axis=-1))

    def objective_per_output(self) -> Array:
        """R_k = sum_{p -> k} v_p^2, shape (..., K)."""
        v = self.path_values()
        return self._sum_by_output(v * v)

    def path_activation(self) -> Array:
        """|J_v^f(X)|_F^2, shape (...)."""
        return total(self.activation_per_output(), axis=-1)

    def path_kernel_trace(self) -> Array:
        """|J_theta^v|_F^2 = tr Pi, shape (...)."""
        return total(self.kernel_per_output(), axis=-1)

    def bound_per_output(self) -> Array:
        """D_k T_k, shape (..., K)."""
        return self.activation_per_output() * self.kernel_per_output()

    def activation_norm_per_output(self) -> Array:
        """|J_v^{f_k}|_2^2, the largest eigenvalue of J_v^{f_k} J_v^{f_k}', shape (..., K): rational or a ball."""
        rows = np.swapaxes(self._by_output(self.path_inputs()), -3, -2)
        return self._largest_by_output(rows @ np.swapaxes(rows, -1, -2))

    def kernel_norm_per_output(self) -> Array:
        """|J_theta^{v,k}|_2^2, shape (..., K): rational or a ball."""
        rows = self.path_jacobian()[..., None, :, :] * self._ends_in()[:, :, None]
        return self._largest_by_output(np.swapaxes(rows, -1, -2) @ rows)

    def bound_per_sample(self) -> Array:
        """sum_{n,k} (sum_p (a_p x)^2) (sum_p |grad v_p|^2), sums over the paths to k active at x_n; shape (...)."""
        gradients = total(self.path_jacobian() ** 2, axis=-1)
        per_output = [
            total(a, axis=-1) * total(active * gradients[..., None, p], axis=-1)
            for p, a, active in self._active_by_output()
        ]
        return total(sum(per_output[1:], per_output[0]), axis=-1)

    def bound_per_parameter(self) -> Array:
        """The same split by parameters: in each term only paths through j, shape (...)."""
        squares, through = self.path_jacobian() ** 2, on_path(self.network) > 0
        out = zeros(self.run.outputs.shape[:-1], self.theta)
        for p, a, active in self._active_by_output():
            for j in range(self.network.parameters):
                mine = through[p, j].astype(int)
                out = out + total(a * mine, axis=-1) * total(active * squares[..., None, p, j], axis=-1)
        return total(out, axis=-1)

    def _active_by_output(self) -> list[tuple[list[int], Array, Array]]:
        """For each output: its paths, (a_p(x_n) x_{n,s(p)})^2 and [a_p(x_n) != 0] for them, (..., n, P_k)."""
        inputs, gates = self.path_inputs(), path_gates(self.network, self.run)
        out = []
        for k in range(len(self.network.outputs)):
            p = [i for i, o in enumerate(self.paths.outputs) if o == k]
            out.append((p, inputs[..., p] ** 2, indicator(gates[..., p] != 0, self.theta)))
        return out

    def activation_by_forward(self) -> Array:
        """D_k by the auxiliary network with weights 1 and copied gates, shape (..., K)."""
        return auxiliary.activation(self.network, self.run, self.x, ones(self.theta.shape, self.theta))

    def objective_by_forward(self) -> Array:
        """R_k by the auxiliary network with squared weights, shape (..., K)."""
        return auxiliary.objective(self.network, self.theta)

    def kernel_by_gradient(self) -> Array:
        """|grad_{theta^2} R_k|_1 by the auxiliary network with squared weights, shape (..., K)."""
        return auxiliary.kernel(self.network, self.theta)

    def saliency_by_gradient(self) -> Array:
        """PX as defined: theta_j^2 d/d theta_j^2 of sum_k D_k R_k, by the auxiliary networks, shape (..., N)."""
        return auxiliary.saliency(self.network, self.theta, self.activation_by_forward())

    def saliency(self, method: str = "px") -> Array:
        """The scores of all parameters by a scorer of `theory.saliency`, shape (..., N)."""
        return scores(self.network, self.theta, self.x, method)

    # -- after removals -----------------------------------------------------------------------

    def without(self, j: int) -> tuple[NetworkOnData, np.ndarray]:
        """The network with weight j at 0, and the weights that it still has: integers (N,)."""
        left = np.array([int(i != j) for i in range(self.network.parameters)])
        return NetworkOnData(self.network, self.theta * left, self.x), left

    def trace_without(self) -> Array:
        """The trace over the remaining weights after removing each weight alone, shape (..., N)."""
        columns = []
        for j in range(self.network.parameters):
            masked, left = self.without(j)
            jac = masked.jacobian() * left
            columns.append(np.asarray(total(jac * jac, axis=(-3, -2, -1))))
        return np.stack(columns, axis=-1)

    def largest_eigenvalue_without(self) -> Array:
        """Lambda_max of the kernel over the remaining weights after removing each weight alone, shape (..., N)."""
        columns = []
        for j in range(self.network.parameters):
            masked, left = self.without(j)
            rows = self._rows(masked.jacobian() * left)
            columns.append(np.asarray(spectrum.largest_eigenvalue(rows @ np.swapaxes(rows, -1, -2))))
        return np.stack(columns, axis=-1)

    def bound_without(self) -> Array:
        """The per-output bound over what remains after removing each weight alone, shape (..., N)."""
        columns = []
        for j in range(self.network.parameters):
            masked, _ = self.without(j)
            whole = np.array([int(not row[j]) for row in on_path(self.network)])
            inputs = masked.path_inputs() * whole
            d = masked._sum_by_output(total(inputs * inputs, axis=-2))
            t = masked._sum_by_output(total(masked.path_jacobian() ** 2, axis=-1) * whole)
            columns.append(np.asarray(total(d * t, axis=-1)))
        return np.stack(columns, axis=-1)

    def _largest_by_output(self, a: Array) -> Array:
        """Lambda_max of each of K symmetric matrices (..., K, m, m), shape (..., K)."""
        found = [spectrum.largest_eigenvalue(a[..., k, :, :]) for k in range(a.shape[-3])]
        return np.stack([np.asarray(v) for v in found], axis=-1)

    def _rows(self, a: Array) -> Array:
        return a.reshape(*a.shape[:-3], a.shape[-3] * a.shape[-2], a.shape[-1])

    def _ends_in(self) -> np.ndarray:
        return np.array(
            [[int(o == k) for o in self.paths.outputs] for k in range(len(self.network.outputs))], dtype=int
        ).reshape(len(self.network.outputs), len(self.paths))

    def _by_output(self, a: Array) -> Array:
        """(..., n, P) -> (..., n, K, P), zero where the path ends elsewhere."""
        return a[..., None, :] * self._ends_in()

    def _sum_by_output(self, a: Array) -> Array:
        """(..., P) -> (..., K)."""
        return by_output(self.network, a)


__all__ = ["MAX_PATHS", "NetworkOnData", "Paths", "on_path", "path_gates", "path_jacobian", "path_values", "paths_of"]
