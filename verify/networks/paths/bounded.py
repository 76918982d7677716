r"""Sums over the paths of a recorded module as polynomials that autograd differentiates, with rounding bounds.

Everything here is a polynomial in weights, inputs and constant factors, with gates fixed, all of whose
terms are nonnegative. So is its derivative by any weight. Each term meets at most `Sums.roundings`
roundings, so a computed number v is within gamma_m v of the exact one (`verify.networks.exact.rounding`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from flint import arb, fmpq
from torch import Tensor

from theory.relations import Comparison, Relation
from verify.networks.exact.rounding import SAFE, gamma
from verify.networks.ntk.adjoints import apply_layer, largest
from verify.networks.paths.sums import NoPathSums, roundings, window_sum
from verify.networks.recording.record import (
    ADD,
    AVERAGE,
    CONVOLUTION,
    GATE,
    LINEAR,
    MAXIMUM,
    NORMALISATION,
    SCALE,
    SHAPE,
    Graph,
    Operation,
    Ref,
    replay,
    store,
)


class Sums:
    """Sums over the paths of one recorded module.

    Args:
        graph: the record.
        tensors: its tensors in float64.
        samples: how many samples it will be asked about.
    """

    def __init__(self, graph: Graph, tensors: Mapping[str, Tensor], samples: int) -> None:
        self.graph, self.tensors = graph, tensors
        self.outputs = math.prod(graph.output_shape)
        # Forward and back, a product with another such sum, and the sums over samples and places of a gradient.
        places = sum(math.prod(op.shape[2:]) * samples for op in graph.operations if op.parameters)
        self.roundings = 4 * roundings(graph, tensors, samples) + places
        self.unit = gamma(self.roundings)

    def powers(self, q: int) -> dict[str, Tensor]:
        """|theta|^q by name."""
        return {n: self.tensors[n].abs() ** q if q else torch.ones_like(self.tensors[n]) for n in self.graph.parameters}

    def run(
        self, weights: Mapping[str, Tensor], start: Tensor, power: int, *, gates: Mapping[Ref, Tensor] | None = None,
        slopes: int = 2, constant: bool = True,
    ) -> Tensor:  # fmt: skip
        """Sums over the paths to each output of products of ``weights``, (samples, K).

        Args:
            weights: what a parameter counts on a path, by name.
            start: what an input counts, (samples, ...).
            power: the power with which constant factors of averages and normalisations count.
            gates: forward values whose gates and maxima count; None: every gate is on, a maximum is a sum.
            slopes: the power with which slopes of leaky gates count (0: an open gate counts 1).
            constant: whether paths from biases and shifts count.
        """
        values: dict[Ref, Tensor] = {Ref(-1): start}
        for i, op in enumerate(self.graph.operations):
            store(values, i, self._step(op, values, weights, power, gates, slopes, constant))
        out = values[self.graph.output]
        return out.reshape(len(out), -1)

    def _step(
        self, op: Operation, values: Mapping[Ref, Tensor], weights: Mapping[str, Tensor], power: int,
        gates: Mapping[Ref, Tensor] | None, slopes: int, constant: bool,
    ) -> Any:  # fmt: skip
        s = op.settings
        a: Any = values[op.inputs[0]] if op.inputs else None
        if op.kind in (LINEAR, CONVOLUTION):
            bias = weights[s["bias"]] if s["bias"] is not None and constant else None
            return apply_layer(op, a, weights[s["weight"]], bias)
        if op.kind == NORMALISATION:
            return self._normalisation(op, a, weights, power, constant)
        if op.kind == GATE:
            if gates is None:
                return a
            off = a * float(abs(s["slope"]) ** slopes if s["slope"] else 0.0)
            return torch.where(gates[op.inputs[0]] > 0, a, off)
        if op.kind == MAXIMUM:
            if gates is None:
                return window_sum(a, op)
            _, where = largest(gates[op.inputs[0]], s)
            return a.flatten(2).gather(-1, where.flatten(2)).reshape(where.shape)
        if op.kind == SHAPE:
            return replay(op, self.tensors, values, len(a))
        if op.kind == AVERAGE:
            return replay(op, self.tensors, values, len(a)) * s["divisor"] ** (1 - power)
        if op.kind == SCALE:
            return a * abs(s["factor"]) ** power
        if op.kind == ADD:
            terms = [values[r] for r in s["terms"]]
            return terms[0] + terms[1] if len(terms) == 2 else terms[0] * 2
        raise NoPathSums(f"{op.label} has no paths: it is no linear map, ReLU, maximum or average that is understood")

    def _normalisation(
        self, op: Operation, a: Tensor, weights: Mapping[str, Tensor], power: int, constant: bool
    ) -> Tensor:
        s, shape = op.settings, (-1, *[1] * (len(op.shape) - 2))
        factor = (self.tensors[s["variance"]] + s["eps"]).rsqrt() ** power
        mean = self.tensors[s["mean"]].abs()
        entering = a
        if constant:
            entering = entering + (mean**power if power else (mean != 0).double()).reshape(shape)
        entering = entering * factor.reshape(shape)
        if s["weight"] is not None:
            entering = entering * weights[s["weight"]].reshape(shape)
        return entering + weights[s["bias"]].reshape(shape) if s["bias"] is not None and constant else entering

    def scores(
        self, power: int, directions: Tensor, names: Sequence[str] | None = None, *, weighted: bool = True
    ) -> dict[str, Tensor]:
        """Sum over k of ``directions``_k times the sum over the paths p through j to k of |v_p|^power.

        Args:
            power: 1 (SynFlow) or 2 (SynFlow-L2, PX).
            directions: (K,), nonnegative.
            names: parameters; all of them if None.
            weighted: whether |theta_j|^power is a factor (else: the derivative by it).
        """
        names = list(self.graph.parameters) if names is None else list(names)
        weights = self.powers(power)
        leaves = [weights[n].requires_grad_() for n in names]
        with torch.enable_grad():
            out = self.run(weights, self.ones(), power)
            got = torch.autograd.grad((out[0] * directions).sum(), leaves, materialize_grads=True)
        return {n: g * w.detach() if weighted else g for n, g, w in zip(names, got, leaves, strict=True)}

    def growth(self, start: Tensor, learned: Mapping[str, Tensor], **settings: Any) -> Tensor:
        """The derivative of `run` with squared weights as all of them grow at the rates ``learned``, (samples, K).

        Two backward passes: the product of the Jacobian with a vector is linear in the vector, and its
        derivative by it is the Jacobian's product with the rates.
        """
        weights = {n: t.requires_grad_() for n, t in self.powers(2).items()}
        with torch.enable_grad():
            out = self.run(weights, start, 2, **settings)
            v = torch.zeros_like(out, requires_grad=True)
            g = torch.autograd.grad(out, list(weights.values()), v, create_graph=True, materialize_grads=True)
            along = torch.stack([(a * learned[n]).sum() for n, a in zip(weights, g, strict=True)]).sum()
            return torch.autograd.grad(along, v)[0]

    def ones(self) -> Tensor:
        """The input of ones for one sample."""
        return torch.ones(1, *self.graph.input_shape, dtype=torch.float64)

    def carried(self, seen: Tensor) -> dict[str, Tensor]:
        """For each parameter, which entries stand on a path of nonzero weights to an output with ``seen``_k (bool).

        Raises:
            NoPathSums: more paths than float64 can count.
        """
        there = {n: (self.tensors[n] != 0).double() for n in self.graph.parameters}
        leaves = [t.requires_grad_() for t in there.values()]
        with torch.enable_grad():
            out = self.run(there, self.ones(), 0)
            got = torch.autograd.grad((out[0] * seen.double()).sum(), leaves, materialize_grads=True)
        if not all(bool(torch.isfinite(g).all()) for g in got):
            raise NoPathSums("more paths than float64 can count")
        return {n: (g > 0) & (self.tensors[n] != 0) for n, g in zip(there, got, strict=True)}


def flat(values: Mapping[str, Tensor], names: Sequence[str] | None = None) -> Tensor:
    """Entries of several tensors in one row."""
    return torch.cat([values[n].detach().flatten() for n in (values if names is None else names)])


def ball(value: float, error: float) -> Any:
    """A ball; exact 0 where both are 0."""
    if value == 0 and error == 0:
        return fmpq(0)
    # Underflow adds less than this to any of these sums.
    return arb(value, error + 1e-290) if np.isfinite(value) and np.isfinite(error) else arb("nan")


def compared(
    kind: str, lhs: Tensor, lhs_error: Tensor | float, rhs: Tensor, rhs_error: Tensor | float, name: str = "",
    where: Tensor | None = None,
) -> Relation:  # fmt: skip
    """``lhs kind rhs`` for every entry, as the two entries that decide it.

    Of all entries the one that may be furthest violated, and the one that certainly is most: if those
    hold, all do; if any is refuted, the second is.

    Args:
        kind: "<=", "<" or "==".
        lhs: numbers, of one shape with ``rhs`` or a scalar.
        lhs_error: absolute error bounds of ``lhs``.
        rhs: numbers.
        rhs_error: absolute error bounds of ``rhs``.
        name: of the comparison.
        where: bool; entries elsewhere say nothing.
    """
    shape = torch.broadcast_shapes(lhs.shape, rhs.shape)
    a, b, ea, eb = (
        torch.as_tensor(t, dtype=torch.float64).expand(shape).flatten() for t in (lhs, rhs, lhs_error, rhs_error)
    )
    every = torch.ones(shape, dtype=torch.bool) if where is None else where.expand(shape)
    chosen = every.flatten().nonzero().flatten()
    if not len(chosen):
        return Relation((Comparison(kind, fmpq(0), fmpq(0), name, np.asarray(False)),))
    a, b, ea, eb = a[chosen], b[chosen], ea[chosen], eb[chosen]
    scale = torch.maximum(a.abs(), b.abs())
    scale = torch.where(scale > 0, scale, 1.0)
    gap, slack = (b - a) / scale, (ea + eb) / scale * SAFE
    if kind == "==":
        worst, surest = (gap.abs() + slack).argmax(), (gap.abs() - slack).argmax()
    else:
        worst, surest = (gap - slack).argmin(), (gap + slack).argmin()
    bad = (~torch.isfinite(gap + slack)).nonzero().flatten()
    picked = [int(i) for i in dict.fromkeys([int(worst), int(surest), *bad[:1].tolist()])]
    sides = [
        np.array([ball(float(v[i]), float(e[i])) for i in picked] + [None], dtype=object)[:-1]
        for v, e in ((a, ea), (b, eb))
    ]
    return Relation((Comparison(kind, sides[0], sides[1], name),))


__all__ = ["Sums", "ball", "compared", "flat"]
