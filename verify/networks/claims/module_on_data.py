"""A torch module with inputs as what the claims about networks are checked on.

`ModuleOnData` answers to the methods of `theory.paths.NetworkOnData` that do not enumerate paths, and to
what the forms of `verify.networks.claims.restated` ask. Its numbers are balls: float64 values with rigorous rounding
bounds (`verify.networks.exact.rounding`), gates told apart in exact digits (`verify.networks.exact.fixed_point`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from flint import arb
from torch import Tensor, nn

from verify.networks.claims.budget import TRACE, flops
from verify.networks.claims.undecided import Undecided
from verify.networks.exact.fixed_point import WORK, Forward, forward
from verify.networks.exact.rounding import Kink, absolute_graph, absolute_values
from verify.networks.ntk.trace import MEMORY, Sweep, trace_plan
from verify.networks.paths.sums import Sums, path_activation, path_kernel, roundings
from verify.networks.recording.graph import LINEAR, Graph, Ref
from verify.networks.recording.record import record_for
from verify.networks.recording.roundings import gamma

PASSES = 200
"""Backward passes that a trace may take."""


class ModuleOnData:
    """A recorded module with tensors and inputs, in float64 with rounding bounds.

    Args:
        graph: the record.
        tensors: its tensors in float64.
        x: inputs in float64, samples first.
        masks: factors of the parameters in the sums over paths.
        formal: whether gates are the signs of what float64 gives, and no number has a bound.
        what: how outcomes call it.
        run: the forward evaluation, if there is one.
        limit: floating-point operations that telling gates apart in fixed point may take; 0: they are taken as
            float64 gives them, and those within rounding of a kink are listed.

    Attributes:
        rounding: how its numbers are bounded, for verdicts.
    """

    title: ClassVar[str] = "torch module on data"
    rounding: ClassVar[str] = "float64 with rounding bound"
    stacked: ClassVar[bool] = False

    def __init__(
        self, graph: Graph, tensors: Mapping[str, Tensor], x: Tensor, *, masks: Mapping[str, Tensor] | None = None,
        formal: bool = False, what: str = "as given", run: Forward | None = None, limit: float = WORK,
    ) -> None:  # fmt: skip
        self.graph, self.tensors, self.x = graph, dict(tensors), x
        self.masks, self.formal, self.what = dict(masks or {}), formal, what
        self._run, self.limit = run, limit
        self._px: dict[str, Tensor] | None = None

    @classmethod
    def of(cls, module: nn.Module, x: Tensor, graph: Graph | None = None) -> ModuleOnData:
        """The module as it is, in evaluation mode."""
        graph = record_for(module, x) if graph is None else graph
        return cls(graph, graph.tensors(module, torch.float64), x.detach().double())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise Undecided(f"{name!r} needs every path by itself: only small piecewise-linear modules are enumerated")

    def valid(self) -> bool:
        """Whether all numbers are finite."""
        return bool(torch.isfinite(self.values[self.graph.output]).all())

    def summary(self) -> str:
        """A line a person reads."""
        return (
            f"{self.what}: {len(self.x)} inputs, {sum(self.tensors[n].numel() for n in self.graph.parameters)} weights"
        )

    @cached_property
    def run(self) -> Forward:
        """The forward evaluation with its error bounds, in digits where float64 leaves gates open."""
        return forward(self.graph, self.tensors, self.x, self.limit) if self._run is None else self._run

    @cached_property
    def certain(self) -> ModuleOnData:
        """The same with gates told apart in fixed point, as far as that is affordable."""
        if not self.run.open or self.run.digits:
            return self
        return ModuleOnData(self.graph, self.tensors, self.x, what=self.what)

    @cached_property
    def values(self) -> dict[Ref, Tensor]:
        """The forward evaluation."""
        if not self.formal:
            return self.run.values
        with torch.no_grad():
            return self.graph.run(self.tensors, self.x)

    def on_kink(self) -> np.ndarray:
        """Whether some gate or maximum is not certain: it is within its rounding bound of a kink."""
        return np.asarray(bool(self.run.kinks))

    @property
    def kinks(self) -> tuple[Kink, ...]:
        """The gates that are not certain."""
        return self.run.kinks

    def outputs(self) -> np.ndarray:
        """f^k(x_n), shape (n, K)."""
        value, error = self.values[self.graph.output], self.run.errors[self.graph.output]
        return _balls(value.reshape(len(self.x), -1), error.reshape(len(self.x), -1))

    # -- the tangent kernel -------------------------------------------------------------------

    @cached_property
    def _trace(self) -> tuple[Tensor, Tensor]:
        """Trace per output and its absolute error bound."""
        outputs = int(np.prod(self.graph.output_shape))
        if (cost := 4.0 * outputs * len(self.x) * flops(self.graph, self.tensors)) > TRACE:
            raise Undecided(f"the trace of {outputs} outputs on {len(self.x)} inputs takes about {cost:.0e} operations")
        plan = trace_plan(self.graph)
        if plan.method != "sweep":
            return self._trace_by_gradients(plan.reasons[0])
        with torch.no_grad():
            sweep = Sweep(self.graph, self.tensors, outputs)
            size = sweep.chunk(MEMORY)
            rows = [slice(n, n + size) for n in range(0, len(self.x), size)]
            total = torch.stack([sweep.squares(self.x[r], self._rows(self.values, r)).sum(0) for r in rows]).sum(0)
            if self.formal:
                return total, torch.zeros_like(total)
            graph, tensors = absolute_graph(self.graph, self.tensors)
            sizes = absolute_values(graph, tensors, self.values)
            self._check_run(sizes)
            absolute = Sweep(graph, tensors, outputs)
            majorant = torch.stack([
                absolute.squares(self.x[r], self._rows(sizes, r), self._rows(self.values, r)).sum(0) for r in rows
            ]).sum(0)  # fmt: skip
        terms = sum(t.numel() for t in self.tensors.values()) + max(int(np.prod(op.shape)) for op in graph.operations)
        return total, gamma(4 * roundings(self.graph, self.tensors, len(self.x)) + terms) * majorant

    def _trace_by_gradients(self, why: str) -> tuple[Tensor, Tensor]:
        """The same where parameters are shared: a backward pass for each input and output.

        An entry g of the Jacobian is at most G, the same polynomial of absolute values, and known to gamma G; its
        square to 3 gamma G^2.
        """
        outputs = int(np.prod(self.graph.output_shape))
        if outputs * len(self.x) > PASSES:
            raise Undecided(f"the trace would take {outputs * len(self.x)} backward passes: {why}")
        names = list(self.graph.parameters)
        leaves = {n: self.tensors[n].detach().requires_grad_() for n in names}
        with torch.enable_grad():
            out = self.graph.run({**self.tensors, **leaves}, self.x)[self.graph.output].reshape(len(self.x), -1)
            total = _gradient_squares(out, list(leaves.values()))
            if self.formal:
                return total, torch.zeros_like(total)
            sizes = {n: t.requires_grad_() for n, t in self.sums.powers(1).items()}
            largest = self.sums.run(sizes, self.x.abs(), 1, gates=self.values, slopes=1)
            majorant = _gradient_squares(largest, list(sizes.values()))
        terms = sum(t.numel() for t in leaves.values())
        return total, 3 * gamma(self.sums.roundings + terms) * majorant

    def _check_run(self, sizes: Mapping[Ref, Tensor]) -> None:
        """Values that come from digits must be as good as the majorant ``sizes`` takes those of float64 to be."""
        bound = gamma(roundings(self.graph, self.tensors, len(self.x)))
        for r, error in self.run.errors.items() if self.run.digits else ():
            if bool((error > bound * sizes[r]).logical_and(sizes[r] > 0).any()):
                raise Undecided("the trace has no rounding bound here: too few digits for a forward value")

    def ntk_trace_per_output(self) -> np.ndarray:
        """The trace output by output, shape (K,)."""
        return _balls(*self._trace)

    def ntk_trace(self) -> Any:
        """Tr Theta(X, X)."""
        return _sum(self.ntk_trace_per_output())

    def trace_over(self, names: Sequence[str]) -> np.ndarray:
        """The trace output by output over some of the parameters, shape (K,)."""
        kept = [
            dataclasses.replace(op, parameters=tuple(n for n in op.parameters if n in names))
            for op in self.graph.operations
        ]
        graph = dataclasses.replace(self.graph, operations=kept, parameters=tuple(names))
        return ModuleOnData(graph, self.tensors, self.x, run=self.run, limit=self.limit).ntk_trace_per_output()

    # -- the same module otherwise ------------------------------------------------------------

    def one(self, n: int) -> ModuleOnData:
        """The module on one of its inputs."""
        return self._on(slice(n, n + 1))

    def first(self, count: int) -> ModuleOnData:
        """The module on its first inputs."""
        return self if count >= len(self.x) else self._on(slice(0, count))

    def _on(self, rows: slice) -> ModuleOnData:
        values, errors = self._rows(self.run.values, rows), self._rows(self.run.errors, rows)
        run = dataclasses.replace(self.run, values=values, errors=errors)
        return ModuleOnData(self.graph, self.tensors, self.x[rows], what=self.what, run=run, limit=self.limit)

    def _rows(self, values: Mapping[Ref, Tensor], rows: slice) -> dict[Ref, Tensor]:
        """Forward values of some of the samples."""
        size = len(self.x)
        return {r: t[rows] if t.ndim and len(t) == size else t for r, t in values.items()}

    def with_last(self, tensors: Mapping[str, Tensor]) -> ModuleOnData:
        """The module with other weights in its last layer: what comes before it stays as it was."""
        # The outputs are others, which nothing that is asked of it reads.
        errors = {r: e for r, e in self.run.errors.items() if r != self.graph.output}
        run = dataclasses.replace(self.run, errors=errors)
        return ModuleOnData(self.graph, tensors, self.x, what=self.what, run=run, limit=self.limit)

    def on_ones(self) -> ModuleOnData:
        """The module on one input of ones."""
        ones = torch.ones_like(self.x[:1])
        return ModuleOnData(self.graph, self.tensors, ones, what=self.what, limit=self.limit)

    def with_outputs(self, count: int) -> ModuleOnData:
        """The module with the first ``count`` of its outputs, if a linear map of its own weights gives them.

        Raises:
            Undecided: something else gives the outputs.
        """
        index = self.graph.output.index
        op = self.graph.operations[index] if index >= 0 else None
        readers = self.graph.readers()
        if op is None or op.kind != LINEAR or len(op.shape) != 2:
            raise Undecided("the outputs are given by no linear map, of which some could be taken")
        names = [n for n in (op.settings["weight"], op.settings["bias"]) if n is not None]
        if any(len(readers.get(n, ())) > 1 for n in names):
            raise Undecided("what gives the outputs is read elsewhere as well")
        operations = list(self.graph.operations)
        operations[index] = dataclasses.replace(op, shape=torch.Size((op.shape[0], count)))
        graph = dataclasses.replace(self.graph, operations=operations, output_shape=(count,))
        tensors = {**self.tensors, **{n: self.tensors[n][:count] for n in names}}
        what = f"{self.what}, {count} of its {op.shape[1]} outputs"
        return ModuleOnData(graph, tensors, self.x, what=what, limit=self.limit)

    # -- paths --------------------------------------------------------------------------------

    def _nonnegative(self, value: Tensor) -> np.ndarray:
        bound = 0.0 if self.formal else gamma(roundings(self.graph, self.tensors, len(self.x)))
        return _balls(value, value * bound)

    @cached_property
    def _activation(self) -> Tensor:
        with torch.no_grad():
            return path_activation(self.graph, self.tensors, self.values, masks=self.masks, formal=self.formal)

    @cached_property
    def _kernel(self) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            return path_kernel(self.graph, self.tensors, masks=self.masks, formal=self.formal)

    @cached_property
    def sums(self) -> Sums:
        """Sums over paths that can be differentiated."""
        return Sums(self.graph, self.tensors, len(self.x))

    def activation_values(self) -> Tensor:
        """D_k in float64, shape (K,), to a relative error of ``sums.unit``."""
        return self._activation

    def kernel_values(self) -> tuple[Tensor, Tensor]:
        """(R_k, T_k) in float64, each of shape (K,), to a relative error of ``sums.unit``."""
        return self._kernel

    def px(self) -> dict[str, Tensor]:
        """The PX scores of all parameters in float64, to a relative error of twice ``sums.unit``."""
        if self._px is None:
            self._px = self.sums.scores(2, self._activation)
        return self._px

    def activation_per_output(self) -> np.ndarray:
        """D_k, shape (K,)."""
        return self._nonnegative(self._activation)

    def kernel_per_output(self) -> np.ndarray:
        """T_k, shape (K,)."""
        return self._nonnegative(self._kernel[1])

    def objective_per_output(self) -> np.ndarray:
        """R_k, shape (K,)."""
        return self._nonnegative(self._kernel[0])

    def path_activation(self) -> Any:
        """|J_v^f(X)|_F^2."""
        return _sum(self.activation_per_output())

    def path_kernel_trace(self) -> Any:
        """|J_theta^v|_F^2."""
        return _sum(self.kernel_per_output())


def _gradient_squares(out: Tensor, leaves: list[Tensor]) -> Tensor:
    """For each column of (n, K) the squared gradient norms of its entries, summed."""
    total = torch.zeros(out.shape[1], dtype=torch.float64)
    for n, k in np.ndindex(*out.shape):
        found = torch.autograd.grad(out[n, k], leaves, retain_graph=True, allow_unused=True)
        total[k] += sum(float(g.square().sum()) for g in found if g is not None)
    return total


def _balls(value: Tensor, error: Tensor) -> np.ndarray:
    out = np.empty(tuple(value.shape), dtype=object)
    for index in np.ndindex(*out.shape):
        v, e = float(value[index]), float(error[index])
        # Underflow adds less than this to any of these sums.
        out[index] = arb(v, e + 1e-290) if np.isfinite(v) and np.isfinite(e) else arb("nan")
    return out


def _sum(balls: np.ndarray) -> Any:
    return sum(balls.ravel()[1:], balls.ravel()[0])


__all__ = ["ModuleOnData"]
