r"""The exact trace of the empirical NTK of a torch module, in one sweep.

$\operatorname{tr}\Theta(X, X) = \sum_{n,k} \|\nabla_\theta f^k(x_n)\|^2$. Only gradients with respect to
*activations* are propagated, for all outputs of all samples at once (sample-major, so that what belongs
to a sample is one matrix); the squared norm of a layer's parameter gradient is then read off the layer's
input $A$ and output gradient $G$ without forming it per sample and parameter:

* a linear map: $\|g\|^2 \|a\|^2$; over several positions, or a convolution with unfolded input $U$, either
  the rows of $G U^\top$ (one matrix product a sample, freed at once) or the Gram form
  $\sum (G (U^\top U)) \circ G$, whichever is cheaper; biases ride along as a row of ones;
* normalisation in evaluation mode folds into the convolution before it: its own parameters' gradients
  are inner products of that layer's weights with the same rows;
* what the sweep does not cover (a parameter used twice, or by an operation it does not know) makes the
  whole trace fall back to per-sample Jacobians, and `trace_plan` says why; so does a module that
  cannot be recorded (`verify.networks.recording.graph.NotCovered`).

Squares are accumulated in float64.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from verify.networks.ntk.adjoints import Adjoints, Found, input_gradient, times
from verify.networks.ntk.jacobians import all_jacobians
from verify.networks.ntk.layers import (
    Folded,
    folded,
    layer_squares,
    normalisation_squares,
    rows_times,
    unfolded_size,
)
from verify.networks.recording.checks import ALL, check_alone, check_finite, check_inputs, check_module
from verify.networks.recording.graph import (
    CONVOLUTION,
    GATE,
    LINEAR,
    NORMALISATION,
    Graph,
    Operation,
    Ref,
)
from verify.networks.recording.graph import NotCovered as NotCovered
from verify.networks.recording.modes import untouched
from verify.networks.recording.record import record_and_run, record_for
from verify.networks.recording.walk import Values

LEARNED = (LINEAR, CONVOLUTION, NORMALISATION)
"""Kinds whose parameters the sweep has rules for."""
MEMORY = 1 << 30
"""Default limit, in bytes, on what one chunk of samples may occupy."""
CACHE = 12 << 20
"""Bytes of gradient maps per chunk at which splitting further stops paying."""
FIXED = 4 << 20
"""Bytes that a sweep takes however few samples a chunk has (measured)."""
FRAGMENTS = 2
"""Resident memory over what is alive at one time (measured: free blocks between others, oneDNN's own copies)."""
SPARE = 5 << 19
"""Bytes that are not worth a chunk of their own."""


@dataclass(frozen=True)
class Plan:
    """How a trace is computed: ``method`` "sweep" or "jacobian", and for the latter why."""

    method: str
    reasons: tuple[str, ...] = ()


COMPLEX = ("fft", "complex", "polar")
"""Parts of the names of operations that give or take complex numbers."""


def trace_plan(graph: Graph) -> Plan:
    """How `ntk_trace` computes the trace of a recorded module."""
    reasons = []
    for op in graph.operations:
        if op.kind not in LEARNED and op.parameters:
            reasons.append(f"{op.label}: no rule for its parameters ({', '.join(op.parameters)})")
        if not op.by_sample and (op.inputs or op.parameters):
            reasons.append(f"{op.label}: its first axis is not the samples")
        if any(word in op.name for word in COMPLEX):
            reasons.append(f"{op.label}: complex numbers, whose gradients are not passed back one operation at a time")
        if not op.inputs and op.parameters:
            reasons.append(f"{op.label}: acts on the parameter {op.parameters[0]} itself")
    for name, ops in graph.readers().items():
        if len(ops) > 1:
            reasons.append(f"{name}: used by {len(ops)} operations")
    return Plan("jacobian" if reasons else "sweep", tuple(dict.fromkeys(reasons)))


@untouched
def ntk_trace(
    module: nn.Module,
    x: Tensor,
    *,
    per_output: bool = False,
    per_sample: bool = False,
    memory: int = MEMORY,
    graph: Graph | None = None,
) -> Tensor:
    """The exact NTK trace, in the module's precision with float64 sums.

    Args:
        module: the module, evaluated in evaluation mode; its state is left as it was.
        x: inputs (N, ...), samples first. Outputs with further axes count each entry as an output.
        per_output: the trace output by output.
        per_sample: the trace sample by sample.
        memory: bytes that one chunk of samples may take.
        graph: the module's record, if it was made already.

    Returns:
        float64: a scalar, (K,), (N,) or, with both, (N, K).

    Raises:
        ValueError: no samples, no parameters, or a module that `verify.networks.recording.record.record` refuses.
    """
    check_arguments(module, x, memory)
    values = None
    if graph is None:
        try:
            graph, values = record_and_run(module, x, CACHE)
            check_alone(graph)
        except NotCovered as e:
            if e.by == ALL:
                raise
    if graph is None or trace_plan(graph).method != "sweep":
        return _summed(all_jacobians(module, x, memory, alone=graph is not None), per_output, per_sample)
    sweep = Sweep(graph, graph.tensors(module), math.prod(graph.output_shape))
    sweep.check_memory(memory)
    chunks = x.detach().tensor_split(math.ceil(len(x) / sweep.chunk(memory, len(x))))
    if len(chunks) > 1:
        values = None
    with torch.no_grad():
        parts = [sweep.squares(c, values) for c in chunks]
    return _summed(torch.cat(parts), per_output, per_sample)


def check_arguments(module: nn.Module, x: Tensor, memory: int) -> None:
    """Raise ValueError unless there can be a trace: parameters, inputs, and memory to use."""
    check_module(module)
    check_inputs(x)
    if next(module.parameters(), None) is None:
        raise ValueError("the module has no parameters: its tangent kernel is empty")
    check_finite(module, x, buffers=False)
    if memory <= 0:
        raise ValueError(f"memory is a limit in bytes and must be positive; got {memory}")


@dataclass(frozen=True)
class Estimate:
    """An unbiased estimate and its standard error (nan for a single probe, 0 where the number is exact)."""

    value: float
    standard_error: float


@untouched
def ntk_trace_estimate(
    module: nn.Module, x: Tensor, *, probes: int = 2, seed: int = 0, memory: int = MEMORY
) -> Estimate:
    r"""An unbiased estimate of the NTK trace whose cost does not grow with the number of outputs.

    For independent signs $\varepsilon_k$, $\mathbb{E} \|\nabla_\theta \sum_k \varepsilon_k f^k(x)\|^2 = \sum_k
    \|\nabla_\theta f^k(x)\|^2$. Every sample and probe has signs of its own, so that errors average out over samples
    as well. Worth it from a few dozen outputs; with fewer, `ntk_trace` is exact at the same cost.

    Args:
        module: the module, evaluated in evaluation mode; its state is left as it was.
        x: inputs (N, ...), samples first.
        probes: sign vectors for each sample.
        seed: seed of the signs.
        memory: bytes that one chunk of samples may take.

    Raises:
        ValueError: fewer than one probe, or as `ntk_trace`.
    """
    if probes < 1:
        raise ValueError(f"probes must be at least 1; got {probes}")
    check_arguments(module, x, memory)
    graph = None
    try:
        graph = record_for(module, x)
    except NotCovered as e:
        if e.by == ALL:
            raise
    if graph is None or trace_plan(graph).method != "sweep":
        return Estimate(float(all_jacobians(module, x, memory, alone=graph is not None).sum()), 0.0)
    tensors = graph.tensors(module)
    sweep = Sweep(graph, tensors, probes)
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (len(x), probes, *graph.output_shape), generator=generator) * 2 - 1
    signs = signs.to(tensors[graph.parameters[0]])
    size = sweep.chunk(memory, len(x))
    pairs = zip(x.detach().split(size), signs.split(size), strict=True)
    with torch.no_grad():
        squares = torch.cat([sweep.squares(c, weights=s) for c, s in pairs])
    # Samples are not alike, so the error is that of the probes within each.
    error = math.nan if probes == 1 else float((squares.var(dim=1).sum() / probes).sqrt())
    return Estimate(float(squares.mean(dim=1).sum()), error)


def _summed(squares: Tensor, per_output: bool, per_sample: bool) -> Tensor:
    axes = [i for i, keep in ((0, per_sample), (1, per_output)) if not keep]
    return squares.sum(dim=axes) if axes else squares


class Sweep(Adjoints):
    """The sweep over one graph; see the module's docstring."""

    def __init__(self, graph: Graph, tensors: Mapping[str, Tensor], outputs: int) -> None:
        super().__init__(graph, tensors)
        self.outputs, uses = outputs, graph.uses()
        self.folded: dict[int, Folded] = {}
        self.normalisations: set[int] = set()
        for i, op in enumerate(graph.operations):
            # A part of a result (of chunk, say) is not what a layer returns.
            whole = op.kind == NORMALISATION and op.inputs[0].part is None
            source = op.inputs[0].index if whole else -1
            before = graph.operations[source] if source >= 0 else None
            alone = before is not None and uses[Ref(source)] == [i] and graph.output != Ref(source)
            if before is not None and alone and before.kind == CONVOLUTION:
                self.folded[source] = folded(op, tensors)
                self.normalisations.add(i)

    def chunk(self, memory: int, samples: int | None = None) -> int:
        """Samples a chunk: within the limit, in the cache, and in twice what a plain backward pass would take.

        Args:
            memory: the limit in bytes; one sample is taken even where that does not fit.
            samples: samples in all; without it what a backward pass would take is not looked at.
        """
        size, shapes, sample = self._size(), self._shapes(), self._sample()
        sizes = [(memory - FIXED) // (FRAGMENTS * sample), CACHE // (size * self.outputs * max([1, *shapes]))]
        if samples is not None:
            parameters = sum(self.tensors[n].numel() for n in self.graph.parameters)
            sizes.append((2 * size * (samples * sum(shapes) + parameters) + SPARE) // sample)
        return max(1, min(sizes))

    def _size(self) -> int:
        return 8 if any(t.dtype == torch.float64 for t in self.tensors.values()) else 4

    def _shapes(self) -> list[int]:
        """Numbers in each result, one sample."""
        return [math.prod(op.shape[1:]) for op in self.graph.operations]

    def _sample(self) -> int:
        """Bytes that one sample takes."""
        shapes = self._shapes()
        unfolded = max([_unfolded(self.graph, i) for i in range(len(shapes))] or [0])
        return max(1, self._size() * (sum(shapes) + 4 * self.outputs * max([1, *shapes]) + 2 * unfolded))

    def check_memory(self, memory: int) -> None:
        """Warn where a single sample takes more than the limit, which is then exceeded."""
        if memory < FIXED + FRAGMENTS * self._sample():
            needed = (FIXED + FRAGMENTS * self._sample()) / 2**20
            warnings.warn(
                f"one sample takes about {needed:.0f} MiB, more than the limit of {memory / 2**20:.3g} MiB: it is "
                "taken all the same; ntk_trace_estimate needs less for many outputs",
                stacklevel=3,
            )

    def squares(
        self, x: Tensor, values: dict[Ref, Tensor] | None = None, gates: Mapping[Ref, Tensor] | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Squared gradient norms (S, K) in float64.

        Args:
            x: inputs.
            values: forward values to use instead of evaluating (they are consumed).
            gates: forward values whose signs and maxima are the gates, if other than ``values``.
            weights: (S, M, *output shape): the gradients of M weighted sums of the outputs, sample by sample,
                instead of those of each output; then the result has shape (S, M).
        """
        graph = self.graph
        self.forward = graph.run(self.tensors, x) if values is None else values
        self.values, self.batch = self.forward if gates is None else gates, len(x)
        self.total = torch.zeros(len(x), self.outputs, dtype=torch.float64, device=x.device)
        if weights is None:
            # The leading axis is 1 for as long as the gradients are the same for every sample.
            unit = torch.eye(self.outputs, dtype=self.forward[graph.output].dtype, device=x.device)
            weights = unit.reshape(1, self.outputs, *graph.output_shape)
        adjoint = Adjoint()
        adjoint.add(graph.output, weights, own=False)
        for i in reversed(range(len(graph.operations))):
            op = graph.operations[i]
            parts = adjoint.take(i)
            if not parts:
                continue
            moves = op.kind in LEARNED or any(r in self.moving for r in op.inputs)
            for r, g, own in self.step(i, op, parts) if moves else ():
                adjoint.add(r, g, own)
            if op.kind != GATE:
                self.forward.pop(Ref(i), None)
        total, self.forward, self.values = self.total, {}, {}
        return total

    def layer(self, op: Operation, values: Values) -> Found:
        """Its parameters' squared norms."""
        i, s = self.index, op.settings
        (g, own), a = values[Ref(i)], self.forward[op.inputs[0]]
        learned = (s["weight"] in op.parameters, s["bias"] in op.parameters)
        weight = self.tensors[s["weight"]]
        self.total += layer_squares(op, g, a, self.forward[Ref(i)], weight, learned, self.folded.get(i))
        if op.inputs[0] not in self.moving:
            return []
        return [(op.inputs[0], self._input_gradient(i, g, own, a.shape), True)]

    def normalisation(self, op: Operation, values: Values) -> Found:
        """Those of its own parameters, where they are not the layer's before it."""
        g, own = values[Ref(self.index)]
        if self.index in self.normalisations:
            return [(op.inputs[0], g, own)]
        self.total += normalisation_squares(op, g, self.forward[op.inputs[0]], self.tensors)
        if op.inputs[0] not in self.moving:
            return []
        return [(op.inputs[0], times(g, _by_channel(folded(op, self.tensors).factor, g), own), True)]

    def _input_gradient(self, i: int, g: Tensor, own: bool, shape: torch.Size) -> Tensor:
        op = self.graph.operations[i]
        weight, after = self.tensors[op.settings["weight"]], self.folded.get(i)
        if after is not None:
            # The smaller of the two is scaled.
            if weight.numel() > g.numel():
                g = times(g, _by_channel(after.factor, g), own)
            else:
                weight = weight * after.factor.reshape(-1, *[1] * (weight.ndim - 1))
        if op.kind == LINEAR:
            return rows_times(g.reshape(1, -1, g.shape[-1]), weight.mT[None]).reshape(*g.shape[:-1], -1)
        if _thins(op):
            return _spread(op, g, weight, shape)
        return input_gradient(op, g, weight, shape)


def _thins(op: Operation) -> bool:
    """Whether a convolution only looks at some of its input's positions: windows of one, strides above one."""
    s = op.settings
    return math.prod(s["kernel"]) == 1 and max(s["stride"]) > 1 and not any(s["padding"])


def _spread(op: Operation, g: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
    """`input_gradient` of such a convolution: that of stride one, put where it belongs (oneDNN is slow at this)."""
    s = op.settings
    ones = (1,) * len(s["stride"])
    narrow = replace(op, settings={**s, "stride": ones})
    small = input_gradient(narrow, g, weight, (*shape[:2], *g.shape[3:]))
    out = small.new_zeros(*g.shape[:2], *shape[1:])
    places = [slice(None)] * 3 + [slice(0, step * n, step) for step, n in zip(s["stride"], g.shape[3:], strict=True)]
    out[tuple(places)] = small
    return out


class Adjoint:
    """Gradients on their way back, and whether each tensor is used by nobody else and can be overwritten."""

    def __init__(self) -> None:
        self.parts: dict[Ref, tuple[Tensor, bool]] = {}

    def add(self, ref: Ref, g: Tensor, own: bool) -> None:
        """Add ``g`` to the gradient of a value, in place where one of the two can be overwritten."""
        if ref not in self.parts:
            self.parts[ref] = g, own
            return
        other, owned = self.parts[ref]
        if owned and other.shape[0] >= g.shape[0]:
            self.parts[ref] = other.add_(g), True
        elif own and g.shape[0] >= other.shape[0]:
            self.parts[ref] = g.add_(other), True
        else:
            self.parts[ref] = other + g, True

    def take(self, index: int) -> dict[Ref, tuple[Tensor, bool]]:
        """Remove and return the gradients of an operation's results."""
        return {r: self.parts.pop(r) for r in [r for r in self.parts if r.index == index]}


def _by_channel(factor: Tensor, g: Tensor) -> Tensor:
    """A factor (C,) in the axes of a gradient (S, K, C, ...)."""
    return factor.reshape(1, 1, -1, *[1] * (g.ndim - 3))


def _unfolded(graph: Graph, i: int) -> int:
    op = graph.operations[i]
    if op.kind != CONVOLUTION:
        return 0
    source = op.inputs[0].index
    return unfolded_size(op, (2, *graph.input_shape)[1:] if source < 0 else graph.operations[source].shape[1:])
