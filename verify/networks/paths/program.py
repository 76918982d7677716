r"""Path scores of one module under many masks: its auxiliary evaluations as a short list of calls.

`verify.networks.paths.sums` goes through the operations one by one. A pruning run does that a hundred times on
the same module, and on one sample the looking costs as much as the arithmetic. Here what does not change
from round to round is multiplied into the weights: normalisations, and the powers of two that keep values in
range. A score
$\tilde\theta_j\, \partial R / \partial \tilde\theta_j$ does not see a constant factor in
$\tilde\theta_j = c_j |\theta_j|^q$, so what is left of SynFlow is convolutions and sums, without gates or
normalisations; path exclusion adds, for the activation $D_k$, the module itself and its network of ones,
walked together so that no gate is stored.

It agrees with `sums` up to rounding (tests compare them); a module that cannot be put this way raises
`NotCovered`, and its scores are then evaluated operation by operation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from verify.networks.paths.sums import Scaled, gated, gradients, out_of_scale, power_of_two
from verify.networks.recording.graph import (
    ADD,
    AVERAGE,
    CONVOLUTION,
    GATE,
    LINEAR,
    MAXIMUM,
    NORMALISATION,
    SCALE,
    SHAPE,
    NotCovered,
    Operation,
    Ref,
    replay,
    store,
)
from verify.networks.recording.record import record_for
from verify.networks.recording.windows import apply_layer, chosen, laid_out, largest, window_sum

RANGE = 40
"""Binary orders of magnitude by which the outputs may leave 1 before powers of two are chosen anew."""
FLOW, ONES, REAL = "flow", "ones", "real"


@dataclass
class _Affine:
    """v -> factor v + shift for each channel, in one of the evaluations; None is 1 or 0."""

    factor: Tensor | None = None
    shift: Tensor | None = None

    def then(self, other: _Affine) -> _Affine:
        """This map followed by another."""
        shift = self.shift if self.shift is None or other.factor is None else self.shift * other.factor
        if other.shift is not None:
            shift = other.shift if shift is None else shift + other.shift
        if self.factor is None or other.factor is None:
            return _Affine(self.factor if other.factor is None else other.factor, shift)
        return _Affine(self.factor * other.factor, shift)


@dataclass
class _Step:
    """One operation, what is constant about it, and the powers of two chosen for it."""

    op: Operation
    index: int
    out: Ref
    source: tuple[Ref, ...] = ()
    weight: str = ""
    maps: dict[str, _Affine] = field(default_factory=dict)
    gains: dict[str, int] = field(default_factory=dict)
    shifts: dict[str, Tensor | None] = field(default_factory=dict)
    lifts: dict[str, tuple[float, ...]] = field(default_factory=dict)
    dead: frozenset[Ref] = frozenset()
    free: frozenset[Ref] = frozenset()


class PathProgram:
    """SynFlow, SynFlow-L2 and PX of one module, for masks that only ever lose weights.

    Args:
        module: the module; read once, in evaluation mode.
        x: inputs; without ``data`` only the shape of a sample is read.
        names: the parameters that are scored and masked.
        power: q, 1 for SynFlow and 2 for SynFlow-L2 and PX.
        biases: whether paths from the constant input count.
        data: whether `activation` will be asked for.

    Raises:
        NotCovered: something in the module does not fit; the message names it.
        ValueError: as `verify.networks.recording.record.record`.
    """

    def __init__(
        self, module: nn.Module, x: Tensor, names: Sequence[str], power: int, *, biases: bool = True, data: bool = False
    ) -> None:
        self.graph = record_for(module, x)
        self.tensors = self.graph.tensors(module)
        self.names, self.power, self.biases, self.data = list(names), power, biases, data
        self.x = laid_out(x.detach()) if data else x.detach()[:1]
        self.one = torch.ones_like(x.detach()[:1])
        sizes = [self.tensors[n].numel() for n in self.names]
        ends = torch.tensor([0, *sizes]).cumsum(0).tolist()
        self.spans = {n: slice(a, b) for n, a, b in zip(self.names, ends, ends[1:], strict=False)}
        kinds = [FLOW, ONES, REAL] if data else [FLOW]
        self.steps = self._steps(kinds)
        self.flat = {k: self._weights(k) for k in kinds}
        self.exponents = dict.fromkeys(kinds, 0)
        for k in kinds[:2]:
            self._calibrate(k)

    # -- compiling -------------------------------------------------------------------------------------

    def _steps(self, kinds: Sequence[str]) -> list[_Step]:
        graph, uses = self.graph, self.graph.uses()
        self._check()
        steps: list[_Step] = []
        alias: dict[Ref, Ref] = {}
        for i, op in enumerate(graph.operations):
            source = tuple(alias.get(r, r) for r in op.inputs)
            step = _Step(op, i, Ref(i), source)
            if op.kind in (LINEAR, CONVOLUTION):
                step.weight = op.settings["weight"]
                step.maps = {k: self._bias(op, k) for k in kinds}
            elif op.kind == NORMALISATION:
                maps = {k: self._normalisation(op, k) for k in kinds}
                before = next((s for s in steps if s.out == source[0]), None)
                layer = before is not None and before.op.kind in (LINEAR, CONVOLUTION)
                if before is not None and layer and uses[op.inputs[0]] == [i] and graph.output != op.inputs[0]:
                    before.maps = {k: before.maps[k].then(m) for k, m in maps.items()}
                    alias[Ref(i)] = before.out
                    continue
                step.maps = maps
            steps.append(step)
        self.output = alias.get(graph.output, graph.output)
        last = {r: s.index for s in steps for r in s.source}
        # Results that are new tensors, no views: once nobody reads them, they may be overwritten.
        new = {s.out for s in steps if s.op.kind in (LINEAR, CONVOLUTION, ADD, GATE, AVERAGE)}
        for s in steps:
            s.dead = frozenset(r for r in s.source if last[r] == s.index and r != self.output)
            s.free = s.dead & new
        return steps

    def _check(self) -> None:
        """Raise unless every parameter is read by one understood operation, and scored ones as its weight."""
        readers, kinds = self.graph.readers(), (LINEAR, CONVOLUTION)
        known = (*kinds, NORMALISATION, GATE, MAXIMUM, AVERAGE, SHAPE, ADD, SCALE)
        for op in self.graph.operations:
            if op.kind not in known or not op.inputs:
                raise NotCovered(op.where, op.name, "is not among the operations that are compiled")
        for name in self.names:
            for i in readers.get(name, []):
                op = self.graph.operations[i]
                if len(readers[name]) > 1 or op.kind not in kinds or op.settings["weight"] != name:
                    raise NotCovered(op.where, op.name, f"reads {name}, which is not the weight of one layer")
        for op in self.graph.operations:
            weight = op.settings.get("weight")
            if op.kind in kinds and weight not in self.names:
                raise NotCovered(op.where, op.name, "has a weight that is not scored")

    def _bias(self, op: Operation, kind: str) -> _Affine:
        bias = op.settings["bias"]
        if bias is None or (kind != REAL and not self.biases):
            return _Affine()
        b = self.tensors[bias]
        return _Affine(None, b if kind == REAL else torch.ones_like(b) if kind == ONES else b.abs() ** self.power)

    def _normalisation(self, op: Operation, kind: str) -> _Affine:
        s, t = op.settings, self.tensors
        mean, sigma = t[s["mean"]], (t[s["variance"]] + s["eps"]).sqrt()
        gamma = torch.ones_like(sigma) if s["weight"] is None else t[s["weight"]]
        beta = None if s["bias"] is None else t[s["bias"]]
        if kind == REAL:
            factor = gamma / sigma
            return _Affine(factor, -mean * factor if beta is None else beta - mean * factor)
        q = self.power
        if kind == ONES:
            # Constant factors do not count; the running mean is a path where it is not 0.
            drift = (mean != 0).to(gamma)
            shift = drift if beta is None else drift + 1
            factor = None
        else:
            factor = (gamma / sigma).abs() ** q
            shift = factor * mean.abs() ** q + (0 if beta is None else beta.abs() ** q)
        return _Affine(factor, shift if self.biases and bool(shift.any()) else None)

    def _weights(self, kind: str) -> Tensor:
        """The scored weights of one evaluation, flat, with their layers' constant factors."""
        parts = {n: torch.zeros_like(self.tensors[n]) for n in self.names}
        for step in self.steps:
            if not step.weight:
                continue
            w = self.tensors[step.weight]
            w = torch.ones_like(w) if kind == ONES else w if kind == REAL else w.abs() if self.power == 1 else w * w
            factor = step.maps[kind].factor
            parts[step.weight] = w if factor is None else w * factor.reshape(-1, *[1] * (w.ndim - 1))
            step.gains[kind], step.shifts[kind] = 0, step.maps[kind].shift
        return torch.cat([parts[n].flatten() for n in self.names])

    # -- evaluating ------------------------------------------------------------------------------------

    def drop(self, indices: Tensor) -> None:
        """Mask the scored weights with these indices (in the order of ``names``), for good."""
        for flat in self.flat.values():
            flat.index_fill_(0, indices, 0)

    def _layers(self, kind: str) -> dict[str, Tensor]:
        """The weight of every layer, detached, by name."""
        flat = self.flat[kind].detach()
        return {n: flat[span].view(self.tensors[n].shape) for n, span in self.spans.items()}

    @torch.no_grad()
    def _calibrate(self, kind: str) -> None:
        """Choose the powers of two of one evaluation by its values under the masks as they are."""
        layers = self._layers(kind)
        values: dict[Ref, Tensor] = {Ref(-1): self.one if kind == FLOW else self.x * self.x}
        exponents: dict[Ref, int] = {Ref(-1): 0}
        real: dict[Ref, Tensor] = {Ref(-1): self.x}
        masked = self._layers(REAL) if kind == ONES else {}
        for s in self.steps:
            below = [exponents[Ref(r.index)] for r in s.source]
            top = max(below)
            s.lifts[kind] = tuple(power_of_two(e - top) for e in below)
            if s.maps:
                shift = s.maps[kind].shift
                level = top if shift is None else max(top, 0)
                weight = layers.get(s.weight)
                if weight is not None:
                    # Undo the old power of two, which is exact.
                    weight.mul_(power_of_two(-s.gains[kind] + top - level))
                else:
                    s.lifts[kind] = (power_of_two(top - level),)
                s.shifts[kind] = None if shift is None else shift * power_of_two(-level)
                out = self._apply(s, kind, values, weight, real)
                k = out_of_scale(float(out.amax()))
                scale = power_of_two(-k)
                if weight is not None:
                    weight.mul_(scale)
                else:
                    s.lifts[kind] = (s.lifts[kind][0] * scale,)
                s.gains[kind] = top - level - k
                if (lowered := s.shifts[kind]) is not None:
                    s.shifts[kind] = lowered * scale
                values[s.out], exponents[s.out] = out * scale, level + k
            else:
                store(values, s.index, self._apply(s, kind, values, None, real))
                exponents[s.out] = top
            if masked:
                store(real, s.index, self._apply(s, REAL, real, masked.get(s.weight), real))
        self.exponents[kind] = exponents[Ref(self.output.index)]

    def _apply(
        self, s: _Step, kind: str, values: dict[Ref, Tensor], weight: Tensor | None, real: Mapping[Ref, Tensor],
        last: bool = False,
    ) -> Any:  # fmt: skip
        """The result of one step in one evaluation.

        Args:
            s: the step.
            kind: FLOW, ONES or REAL.
            values: results so far.
            weight: the layer's weight, for layers.
            real: results of the module itself, whose signs and maxima are the gates of ONES.
            last: arguments that nobody else reads may be overwritten.
        """
        op, settings = s.op, s.op.settings
        v = values[s.source[0]]
        free = last and s.source[0] in s.free
        if weight is not None:
            return apply_layer(op, v, weight, s.shifts[kind])
        if op.kind == NORMALISATION:
            factor, shift = s.maps[kind].factor, s.shifts.get(kind, s.maps[kind].shift)
            shape = (-1, *[1] * (v.ndim - 2))
            lift = s.lifts.get(kind, (1.0,))[0]
            v = v if factor is None else v * factor.view(shape)
            v = v if lift == 1 else v * lift
            return v if shift is None else v + shift.view(shape)
        if op.kind == GATE:
            return self._gate(settings["slope"], kind, v, real.get(s.source[0]), free)
        if op.kind == MAXIMUM:
            return self._maximum(s, kind, v, real.get(s.source[0]))
        lifts = s.lifts.get(kind, ())
        lifted = {
            r: values[r] if kind == REAL or f == 1 else values[r] * f
            for r, f in zip(s.source, lifts or [1.0] * len(s.source), strict=True)
        }
        if op.kind == ADD:
            return self._sum(s, kind, lifted, last)
        if op.kind == SCALE:
            factor_here = settings["factor"]
            power = {FLOW: self.power, ONES: 0, REAL: 1}[kind]
            return v * (factor_here if kind == REAL else abs(factor_here) ** power)
        given = {r: lifted[q] for r, q in zip(op.inputs, s.source, strict=True)}
        out = replay(op, self.tensors, given, len(v))
        if op.kind == AVERAGE and kind != REAL:
            divisor = settings["divisor"].to(v)
            out = out * (divisor if kind == ONES else divisor ** (1 - self.power))
        return out

    def _gate(self, slope: float, kind: str, v: Tensor, real: Tensor | None, free: bool) -> Tensor:
        if kind == FLOW:
            return v
        if kind == REAL:
            return F.leaky_relu(v, slope) if slope else v.relu_() if free else v.relu()
        assert real is not None
        if free and not slope:
            return torch.ops.aten.threshold_backward.grad_input(v, real, 0, grad_input=v)
        return gated(v, real, slope * slope)

    def _maximum(self, s: _Step, kind: str, v: Tensor, real: Tensor | None) -> Tensor:
        settings = s.op.settings
        if kind == FLOW:
            return window_sum(v, s.op)
        if kind == REAL:
            return largest(v, settings)[0]
        assert real is not None
        return chosen(v, largest(real, settings)[1])

    def _sum(self, s: _Step, kind: str, lifted: Mapping[Ref, Tensor], last: bool) -> Tensor:
        refs = [s.source[s.op.inputs.index(r)] for r in s.op.settings["terms"]]
        if len(refs) == 1:
            return 2 * lifted[refs[0]]
        signs = s.op.settings.get("signs", (1.0, 1.0))
        (a, b), sign = (lifted[r] for r in refs), signs[1] if kind == REAL else 1.0
        if refs[0] == refs[1]:
            return a + sign * b
        if last and refs[0] in s.free:
            return a.add_(b, alpha=sign)
        if last and sign == 1 and refs[1] in s.free:
            return b.add_(a)
        return a.add(b, alpha=sign)

    # -- what is asked for -----------------------------------------------------------------------------

    @torch.no_grad()
    def activation(self) -> Scaled:
        """D_k under the masks, shape (K,): `verify.networks.scores.methods.activation_per_output`."""
        d = self._activation()
        if self._out_of_range(d):
            self._calibrate(ONES)
            d = self._activation()
        return Scaled(d, self.exponents[ONES])

    def _activation(self) -> Tensor:
        real: dict[Ref, Tensor] = {Ref(-1): self.x}
        ones: dict[Ref, Tensor] = {Ref(-1): self.x * self.x}
        weights, counts = self._layers(REAL), self._layers(ONES)
        for s in self.steps:
            gate = s.op.kind in (GATE, MAXIMUM)
            # The ones look at what a gate reads before the gate overwrites it.
            if gate:
                store(ones, s.index, self._apply(s, ONES, ones, None, real, last=True))
            store(real, s.index, self._apply(s, REAL, real, weights.get(s.weight), real, last=True))
            if not gate:
                store(ones, s.index, self._apply(s, ONES, ones, counts.get(s.weight), real, last=True))
            for r in s.dead:
                real.pop(r, None)
                ones.pop(r, None)
        out = ones[self.output]
        return out.reshape(len(out), -1).sum(0)

    def scores(self, weights: Scaled | None = None) -> tuple[Tensor, float]:
        """Scores of all scored weights, flat, and log10 of the objective (-inf for 0).

        Args:
            weights: what each output counts (D_k of PX); without it 1.
        """
        found, objective, top = self._flow(weights)
        if self._out_of_range(top):
            self._calibrate(FLOW)
            found, objective, _ = self._flow(weights)
        exponent = self.exponents[FLOW] + (0 if weights is None else weights.exponent)
        return found, Scaled(objective, exponent).log10()

    def _flow(self, weights: Scaled | None) -> tuple[Tensor, Tensor, Tensor]:
        layers = {n: w.requires_grad_() for n, w in self._layers(FLOW).items()}
        values: dict[Ref, Tensor] = {Ref(-1): self.one}
        with torch.enable_grad():
            for s in self.steps:
                store(values, s.index, self._apply(s, FLOW, values, layers.get(s.weight), values))
            r = values[self.output].reshape(-1)
            objective = r.sum() if weights is None else (r * weights.value).sum()
            found = torch.cat([g.flatten() for g in gradients(objective, list(layers.values()))])
        return found.mul_(self.flat[FLOW]), objective.detach(), r.detach()

    @staticmethod
    def _out_of_range(values: Tensor) -> bool:
        top = float(values.amax())
        return not 2.0**-RANGE < top < 2.0**RANGE
