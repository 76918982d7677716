r"""Sums over the paths of a recorded module, without paths: path activation, path kernel, flows and scores.

For every output k (path-exclusion paper, notation of `theory.papers.path_exclusion`):

* $D_k = \sum_n \sum_{p \to k} a_p(x_n)^2 x_{n,s(p)}^2$: one evaluation with squared inputs, every weight
  1, and the gates of the real forward (the argmax of a maximum included);
* $R_k = \sum_{p \to k} v_p^2$: one evaluation, of a single sample of ones, with squared weights and
  without ReLU, where a maximum becomes a sum over its window;
* $T_k = \sum_{p \to k} \|\nabla_\theta v_p\|^2 = \sum_j \partial R_k / \partial \theta_j^2$: the derivative
  of that evaluation in the direction in which every squared weight grows equally, carried along it.

Biases are paths from a constant input 1. Normalisation in evaluation mode is affine: its scale a weight,
its shift a path from the constant, its running mean (where it is not 0) another. Constant factors (1/window
of an average, 1/sigma of a normalisation) belong to path values, not to gates. Everything summed is
nonnegative, so the relative rounding error of each number is at most gamma_n with n = `roundings`; all of
it is a polynomial in the weights, of which autograd gives the derivatives.

Values may leave the range of float32, so a `Pass` can carry an exponent with each: dividing by one power of
two, the same for all samples and outputs, changes no ranking and no rounding.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.autograd.forward_ad as forward_mode
from torch import Tensor

from verify.networks.recording.graph import (
    ADD,
    AVERAGE,
    CONVOLUTION,
    GATE,
    LINEAR,
    MATRIX,
    MAXIMUM,
    NORMALISATION,
    PRODUCT,
    SCALE,
    SHIFT,
    Graph,
    NotCovered,
    Operation,
    Ref,
    replay,
)
from verify.networks.recording.roundings import gamma
from verify.networks.recording.walk import Values, Walk
from verify.networks.recording.windows import SMOOTH, apply_layer, chosen, laid_out, largest, window_sum

Masks = Mapping[str, Tensor]


@dataclass(frozen=True)
class Scaled:
    """``value * 2**exponent``: a tensor whose true size may lie outside the range of its dtype."""

    value: Tensor
    exponent: int

    def log10(self) -> float:
        """log10 of the sum of all entries, -inf for 0."""
        total = float(self.value.detach().double().sum())
        return -math.inf if total <= 0 else math.log10(total) + self.exponent * math.log10(2)

    def true(self) -> Tensor:
        """The numbers themselves in float64 (inf or 0 where even that does not reach)."""
        # In two steps, since 2**exponent alone may overflow where the product does not.
        half = self.exponent // 2
        return self.value.double() * power_of_two(half) * power_of_two(self.exponent - half)


def power_of_two(exponent: int) -> float:
    """2**exponent; the largest there is where that overflows, so that 0 times it is 0."""
    return math.ldexp(1.0, min(exponent, 1023))


def out_of_scale(top: float) -> int:
    """By how many powers of two to divide what has ``top`` as its largest number; 0 where it is not worth it."""
    k = math.frexp(top)[1] if 0 < top < math.inf else 0
    return k if abs(k) > 12 else 0


class Pass(Walk):
    """Sums over the paths to each value of products of weights: one evaluation of the module otherwise.

    Args:
        graph: the record.
        tensors: its tensors by name, for constant factors.
        weights: what a parameter counts on a path, by name.
        power: the power with which constant factors count.
        gates: forward values whose gates and maxima count; None: every gate is on, a maximum is a sum.
        slopes: the power with which slopes of leaky gates count (0: an open gate counts 1).
        constant: whether paths from biases and shifts count.
        rescale: whether values are kept in range by powers of two, see ``exponents``.
        formal: treat smooth activations as ReLU gates.
        ones: parameters whose weights are known to be 1 throughout.

    Attributes:
        exponents: for each operation, the power of two by which its value was divided.
    """

    def __init__(
        self, graph: Graph, tensors: Mapping[str, Tensor], weights: Mapping[str, Tensor], power: int, *,
        gates: Values | None = None, slopes: int = 2, constant: bool = True, rescale: bool = False,
        formal: bool = False, ones: Sequence[str] = (),
    ) -> None:  # fmt: skip
        super().__init__(graph, tensors)
        self.weights = graph.with_views({**self.tensors, **weights})
        self.power, self.gates, self.slopes, self.constant = power, gates, slopes, constant
        self.rescale, self.formal, self.ones = rescale, formal, frozenset(ones)
        self.exponents: dict[int, int] = {-1: 0}
        self.exponent = 0

    def sums(self, start: Tensor) -> Scaled:
        """The sums at the outputs, (samples, K), from what each input counts."""
        return self.scaled(self.at_output(start))

    def scaled(self, out: Tensor) -> Scaled:
        """The value at the output after a run, with its exponent."""
        return Scaled(out.reshape(len(out), -1), self.exponents.get(self.graph.output.index, 0))

    def step(self, index: int, op: Operation, values: Values) -> Any:
        """The value of one operation, its inputs taken to their largest exponent."""
        if not self.rescale:
            return super().step(index, op, values)
        below = [self.exponents[r.index] for r in op.inputs]
        self.exponent = max(below, default=0)
        if len(set(below)) > 1:
            lifts = {r: power_of_two(e - self.exponent) for r, e in zip(op.inputs, below, strict=True)}
            values = {r: values[r] * f for r, f in lifts.items()} | {Ref(-1): values[Ref(-1)]}
        out = super().step(index, op, values)
        self.exponents[index] = self.exponent
        return out

    def weight(self, name: str) -> Tensor:
        """What a parameter, or a constant in the place of one, counts."""
        if self.graph.base(name) in self.graph.names:
            return self.weights[name]
        return powered(self.tensors[name], self.power)

    def rescaled(self, out: Tensor) -> Tensor:
        """``out`` divided by a power of two, if it has grown or shrunk a lot."""
        if self.rescale:
            seen = out.detach()
            top = float(seen[:1].amax())
            k = out_of_scale(top if top > 0 else float(seen.amax()))
            if k:
                out, self.exponent = out * power_of_two(-k), self.exponent + k
        return out

    def plus(self, out: Tensor, shift: Tensor | None) -> Tensor:
        """Add what paths from the constant input bring, where those count."""
        if shift is None or not self.constant:
            return self.rescaled(out)
        if self.exponent > 0:
            shift = shift * power_of_two(-self.exponent)
        elif self.exponent < 0:
            out, self.exponent = out * power_of_two(self.exponent), 0
        return self.rescaled(out + shift)

    def layer(self, op: Operation, values: Values) -> Tensor:
        """A layer with other weights."""
        s, a = op.settings, values[op.inputs[0]]
        narrow = s["weight"] in self.ones and op.kind != MATRIX
        out = _count(op, a, self.tensors[s["weight"]]) if narrow else apply_layer(op, a, self.weight(s["weight"]), None)
        if s["bias"] is None or not self.constant:
            return self.rescaled(out)
        bias = self.weight(s["bias"])
        return self.plus(out, bias.reshape(-1, *[1] * (out.ndim - 2)) if "stride" in s else bias)

    def product(self, op: Operation, values: Values) -> Tensor:
        """Entries times a weight."""
        return self.rescaled(values[op.inputs[0]] * self.weight(op.settings["weight"]))

    def shift(self, op: Operation, values: Values) -> Tensor:
        """Paths that begin here."""
        return self.plus(values[op.inputs[0]], self.weight(op.settings["bias"]))

    def normalisation(self, op: Operation, values: Values) -> Tensor:
        """Its constant factor, its mean, its weight and its shift."""
        s, a, shape = op.settings, values[op.inputs[0]], (-1, *[1] * (len(op.shape) - 2))
        scale = None if s["weight"] is None or s["weight"] in self.ones else self.weight(s["weight"])
        if self.power:
            factor = powered((self.tensors[s["variance"]] + s["eps"]).rsqrt(), self.power)
            scale = factor if scale is None else factor * scale
        shift = None if s["bias"] is None or not self.constant else self.weight(s["bias"])
        if self.constant and bool(self.tensors[s["mean"]].any()):
            drift = powered(self.tensors[s["mean"]], self.power)
            drift = drift if scale is None else scale * drift
            shift = drift if shift is None else shift + drift
        out = a if scale is None else a * scale.reshape(shape)
        return self.plus(out, None if shift is None else shift.reshape(shape))

    def gate(self, op: Operation, values: Values) -> Tensor:
        """Open, or as in the forward."""
        a, slope = values[op.inputs[0]], op.settings.get("slope", 0.0)
        if self.gates is None:
            return a
        a, forward = torch.broadcast_tensors(a, self.gates[op.inputs[0]].detach())
        return gated(a, forward, abs(slope) ** self.slopes if slope else 0.0)

    def maximum(self, op: Operation, values: Values) -> Tensor:
        """The sum over each window, or the entry that the forward chose."""
        a = values[op.inputs[0]]
        if self.gates is None:
            return self.rescaled(window_sum(a, op))
        return chosen(a, largest(self.gates[op.inputs[0]], op.settings)[1])

    def average(self, op: Operation, values: Values) -> Tensor:
        """The sum over each window times a constant factor."""
        out = replay(op, self.tensors, values, len(values[op.inputs[0]]))
        return out if self.power == 1 else out * op.settings["divisor"].to(out) ** (1 - self.power)

    def scale(self, op: Operation, values: Values) -> Tensor:
        """A constant factor."""
        return values[op.inputs[0]] * abs(op.settings["factor"]) ** self.power

    def add(self, op: Operation, values: Values) -> Tensor:
        """The paths of both."""
        terms = [values[r] for r in op.settings["terms"]]
        return terms[0] + terms[1] if len(terms) == 2 else terms[0] * 2

    def unknown(self, op: Operation, values: Values) -> Any:
        """Smooth activations are gates if formally wanted; numbers made for a batch are paths from the constant."""
        if self.formal and op.name.rstrip("_") in SMOOTH and len(op.inputs) == 1:
            return self.gate(op, values)
        made = powered(super().unknown(op, values).to(values[Ref(-1)]), self.power)
        return made if self.constant else torch.zeros_like(made)


def powered(t: Tensor, power: int) -> Tensor:
    """|t|^power, where a constant of 0 is no edge."""
    size = t.abs()
    return size if power == 1 else size**power if power else (t != 0).to(t)


def gated(a: Tensor, forward: Tensor, slope: float) -> Tensor:
    """``a`` where ``forward`` is positive, ``slope`` times it elsewhere: in one pass over both."""
    if slope:
        return torch.ops.aten.leaky_relu_backward(a, forward, slope, False)
    return torch.ops.aten.threshold_backward(a, forward, 0)


def _count(op: Operation, a: Tensor, weight: Tensor) -> Tensor:
    """A layer with every weight 1: all outputs of a group are the same number, the sum over its inputs."""
    if op.kind == LINEAR:
        one = a.sum(-1, keepdim=True)
        return one.expand(*one.shape[:-1], len(weight))
    groups = op.settings["groups"]
    one = a.unflatten(1, (groups, -1)).sum(2)
    one = apply_layer(op, one, torch.ones(groups, 1, *weight.shape[2:], dtype=a.dtype, device=a.device), None)
    if groups > 1:
        return one.repeat_interleave(len(weight) // groups, dim=1)
    out = one.expand(len(one), len(weight), *one.shape[2:])
    # In the layout of the gates that it will meet: products across layouts are slow.
    return laid_out(out) if a.ndim == 4 and not a.is_contiguous() else out


# -- of a graph ---------------------------------------------------------------------------------------


class Sums:
    """Sums over the paths of one recorded module in float64, with a bound on their rounding errors.

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

    def run(self, weights: Mapping[str, Tensor], start: Tensor, power: int, **settings: Any) -> Tensor:
        """Sums over the paths to each output of products of ``weights``, (samples, K); settings of `Pass`."""
        return Pass(self.graph, self.tensors, weights, power, **settings).sums(start).value

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
            got = gradients((out[0] * directions).sum(), leaves)
        return {n: g * w.detach() if weighted else g for n, g, w in zip(names, got, leaves, strict=True)}

    def growth(self, start: Tensor, learned: Mapping[str, Tensor], **settings: Any) -> Tensor:
        """The derivative of `run` with squared weights as all of them grow at the rates ``learned``, (samples, K)."""
        return grown(self.graph, self.tensors, self.powers(2), learned, start, **settings)[1]

    def ones(self) -> Tensor:
        """The input of ones for one sample."""
        return torch.ones(1, *self.graph.input_shape, dtype=torch.float64)

    def carried(self, seen: Tensor) -> dict[str, Tensor]:
        """For each parameter, which entries stand on a path of nonzero weights to an output with ``seen``_k (bool).

        Raises:
            NotCovered: more paths than float64 can count.
        """
        there = {n: (self.tensors[n] != 0).double() for n in self.graph.parameters}
        leaves = [t.requires_grad_() for t in there.values()]
        with torch.enable_grad():
            out = self.run(there, self.ones(), 0)
            got = gradients((out[0] * seen.double()).sum(), leaves)
        if not all(bool(torch.isfinite(g).all()) for g in got):
            raise NotCovered("", "", "has more paths than float64 can count", "path sums")
        return {n: (g > 0) & (self.tensors[n] != 0) for n, g in zip(there, got, strict=True)}


def gradients(of: Tensor, by: Sequence[Tensor], create_graph: bool = False) -> tuple[Tensor, ...]:
    """Derivatives, 0 where there is none: the output may not depend on any weight at all."""
    if not of.requires_grad:
        return tuple(torch.zeros_like(t) for t in by)
    return torch.autograd.grad(of, list(by), create_graph=create_graph, materialize_grads=True)


def grown(
    graph: Graph, tensors: Mapping[str, Tensor], weights: Mapping[str, Tensor], rates: Mapping[str, Tensor],
    start: Tensor, power: int = 2, **settings: Any,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Sums and their derivative as the weights grow at ``rates``, each (samples, K), in one evaluation."""
    _load_forward_mode()
    with forward_mode.dual_level():
        duals = {n: forward_mode.make_dual(w, rates[n].to(w)) if n in rates else w for n, w in weights.items()}
        out = forward_mode.unpack_dual(Pass(graph, tensors, duals, power, **settings).sums(start).value)
        slope = torch.zeros_like(out.primal) if out.tangent is None else out.tangent
        return out.primal, slope


@functools.cache
def _load_forward_mode() -> None:
    """Have torch load its rules for forward derivatives, which warns of a deprecated part of torch itself."""
    with warnings.catch_warnings(), forward_mode.dual_level():
        warnings.simplefilter("ignore")
        forward_mode.make_dual(torch.ones(1), torch.ones(1))


def activation(
    graph: Graph, tensors: Mapping[str, Tensor], values: Values, *, masks: Masks | None = None, **settings: Any
) -> Scaled:
    """sum_{p -> k} a_p(x_n)^2 x_{n,s(p)}^2 over the paths through unmasked weights, (n, K); its sum over n is D_k.

    Args:
        graph: the record.
        tensors: its tensors.
        values: forward values, whose gates count and whose input is x.
        masks: 0/1 tensors by name; a masked weight is no edge.
        settings: of `Pass`.
    """
    x, masks = values[Ref(-1)], masks or {}
    weights = {n: masks[n].to(tensors[n]) if n in masks else torch.ones_like(tensors[n]) for n in graph.parameters}
    ones = [n for n in graph.parameters if n not in masks]
    found = Pass(graph, tensors, weights, 0, gates=values, ones=ones, **settings).sums(x * x)
    # What is no number opens no gates.
    return Scaled(found.value * math.nan, 0) if bool(values[graph.output].isnan().any()) else found


def path_activation(
    graph: Graph, tensors: Mapping[str, Tensor], values: Values, *, masks: Masks | None = None, formal: bool = False
) -> Tensor:
    """D_k, shape (K,), with the gates of the forward values ``values``."""
    return activation(graph, tensors, values, masks=masks, formal=formal).value.sum(0)


def path_kernel(
    graph: Graph, tensors: Mapping[str, Tensor], *, masks: Masks | None = None, formal: bool = False
) -> tuple[Tensor, Tensor]:
    """(R_k, T_k), each of shape (K,); ``masks`` say which weights are edges."""
    squares = {n: tensors[n].square() for n in graph.parameters}
    rates = {n: torch.ones_like(w) if masks is None or n not in masks else masks[n] for n, w in squares.items()}
    one = torch.ones(1, *graph.input_shape, dtype=torch.float64, device=next(iter(squares.values())).device)
    r, t = grown(graph, tensors, squares, rates, one, formal=formal)
    return r[0], t[0]


def flow(
    graph: Graph, tensors: Mapping[str, Tensor], weights: Mapping[str, Tensor], power: int, **settings: Any
) -> Scaled:
    """R_k = sum_{p -> k} of the products of ``weights``, shape (1, K), differentiable in the weights."""
    like = next(iter(weights.values()))
    one = torch.ones(1, *graph.input_shape, dtype=like.dtype, device=like.device)
    return Pass(graph, tensors, weights, power, **settings).sums(one)


def roundings(graph: Graph, tensors: Mapping[str, Tensor], samples: int) -> int:
    """An upper bound on the rounding errors that compound on any path through an auxiliary evaluation.

    Sums are counted by their length, so the bound holds for every order of summation (blocked, fused
    multiply-add); it does not cover Winograd or FFT convolutions, which float64 on the CPU does not use.
    """
    count, tensors = samples + 8, graph.with_views(tensors)
    for op in graph.operations:
        s = op.settings
        if op.kind in (LINEAR, CONVOLUTION, MATRIX):
            shape = tensors[s["weight"]].shape
            count += (shape[0] if s.get("transposed") else math.prod(shape[1:])) + 4
        elif op.kind == NORMALISATION:
            count += 10
        elif op.kind == MAXIMUM:
            count += math.prod(s["window"])
        elif op.kind == AVERAGE:
            count += s["count"] + 3
        elif op.kind in (ADD, SCALE, GATE, PRODUCT, SHIFT):
            count += 3
    return count


__all__ = [
    "Masks", "Pass", "Scaled", "Sums", "activation", "flow", "gated", "gradients", "grown", "out_of_scale",
    "path_activation", "path_kernel", "power_of_two", "powered", "roundings",
]  # fmt: skip
