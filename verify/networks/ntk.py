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
  whole trace fall back to per-sample Jacobians, and `trace_plan` says why.

Squares are accumulated in float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from verify.networks.operations import (
    CONVOLUTION,
    GATE,
    LINEAR,
    NORMALISATION,
    UNKNOWN,
    Graph,
    Ref,
    evaluation_mode,
    record,
    store,
)
from verify.networks.rules import input_gradient, pass_back, patches

MEMORY = 1 << 30
"""Default limit, in bytes, on what one chunk of samples may occupy."""
CACHE = 24 << 20
"""Bytes of gradient maps per chunk at which splitting further stops paying."""


@dataclass(frozen=True)
class Plan:
    """How a trace is computed: ``method`` "sweep" or "jacobian", and for the latter why."""

    method: str
    reasons: tuple[str, ...] = ()


def trace_plan(graph: Graph) -> Plan:
    """How `ntk_trace` computes the trace of a recorded module."""
    reasons = []
    for op in graph.operations:
        if op.kind == UNKNOWN and op.parameters:
            reasons.append(f"{op.label}: no rule for its parameters ({', '.join(op.parameters)})")
        if not op.by_sample and (op.inputs or op.parameters):
            reasons.append(f"{op.label}: its first axis is not the samples")
        if not op.inputs and op.parameters:
            reasons.append(f"{op.label}: acts on the parameter {op.parameters[0]} itself")
    for name, ops in graph.readers().items():
        if len(ops) > 1:
            reasons.append(f"{name}: used by {len(ops)} operations")
    return Plan("jacobian" if reasons else "sweep", tuple(dict.fromkeys(reasons)))


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
        ValueError: no samples, no parameters, or a module that `verify.networks.operations.record` refuses.
    """
    graph = record_for(module, x) if graph is None else graph
    if not graph.parameters:
        raise ValueError("the module has no parameters: its tangent kernel is empty")
    outputs = math.prod(graph.output_shape)
    tensors = graph.tensors(module)
    sweep = Sweep(graph, tensors, outputs) if trace_plan(graph).method == "sweep" else None
    size = sweep.chunk(memory) if sweep else _jacobian_chunk(tensors, graph, outputs, memory)
    chunks = [x.detach()[i : i + size] for i in range(0, len(x), size)]
    with torch.no_grad():
        parts = [sweep.squares(c) if sweep else jacobian_squares(module, c) for c in chunks]
    squares = torch.cat(parts)
    axes = [i for i, keep in ((0, per_sample), (1, per_output)) if not keep]
    return squares.sum(dim=axes) if axes else squares


def record_for(module: nn.Module, x: Tensor) -> Graph:
    """`record` with the checks that every fast quantity makes of its arguments."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise ValueError(f"x must be a floating-point tensor; got {getattr(x, 'dtype', type(x).__name__)}")
    if x.ndim < 1 or len(x) == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}; at least one sample is needed")
    return record(module, x)


class Sweep:
    """The sweep over one graph; see the module's docstring."""

    def __init__(self, graph: Graph, tensors: Mapping[str, Tensor], outputs: int) -> None:
        self.graph, self.tensors, self.outputs = graph, tensors, outputs
        uses, self.folded = graph.uses(), {}
        for i, op in enumerate(graph.operations):
            source = op.inputs[0].index if op.kind == NORMALISATION else -1
            before = graph.operations[source] if source >= 0 else None
            alone = before is not None and uses[Ref(source)] == [i] and graph.output != Ref(source)
            if before is not None and alone and _channels_second(before):
                self.folded[source] = i
        self.normalisations = set(self.folded.values())
        self.moving = self._moving()

    def _moving(self) -> set[Ref]:
        """The values that depend on a parameter: only they need a gradient."""
        out: set[int] = set()
        for i, op in enumerate(self.graph.operations):
            if op.parameters or any(r.index in out for r in op.inputs):
                out.add(i)
        return {r for op in self.graph.operations for r in op.inputs if r.index in out}

    def chunk(self, memory: int) -> int:
        """Samples a chunk: within the limit, and no more than keeps gradient maps near the cache."""
        size = 8 if any(t.dtype == torch.float64 for t in self.tensors.values()) else 4
        shapes = [math.prod(op.shape[1:]) for op in self.graph.operations]
        unfolded = max([_unfolded(self.graph, i) for i in range(len(shapes))] or [0])
        largest = max(shapes or [1])
        sample = size * (sum(shapes) + 4 * self.outputs * largest + 2 * unfolded)
        return max(1, min(memory // max(1, sample), CACHE // max(1, size * self.outputs * largest)))

    def squares(
        self, x: Tensor, values: dict[Ref, Tensor] | None = None, gates: Mapping[Ref, Tensor] | None = None
    ) -> Tensor:
        """Squared gradient norms (S, K) in float64.

        Args:
            x: inputs.
            values: forward values to use instead of evaluating (they are consumed).
            gates: forward values whose signs and maxima are the gates, if other than ``values``.
        """
        graph, tensors = self.graph, self.tensors
        values = graph.run(tensors, x) if values is None else values
        out = torch.zeros(len(x), self.outputs, dtype=torch.float64, device=x.device)
        unit = torch.eye(self.outputs, dtype=values[graph.output].dtype, device=x.device)
        # The leading axis is 1 for as long as the gradients are the same for every sample.
        adjoint: dict[Ref, Tensor] = {graph.output: unit.reshape(1, self.outputs, *graph.output_shape)}
        for i in reversed(range(len(graph.operations))):
            op = graph.operations[i]
            parts = {r: adjoint.pop(r) for r in [r for r in adjoint if r.index == i]}
            if not parts:
                continue
            if i in self.normalisations:
                store(adjoint, op.inputs[0].index, parts[Ref(i)])
                continue
            if op.kind in (LINEAR, CONVOLUTION, NORMALISATION):
                g, r = parts[Ref(i)], op.inputs[0]
                a, scale = values[r], self._scale(self.folded.get(i))
                weight = self._weight(op, scale)
                if op.kind == NORMALISATION:
                    out += self._normalisation(op, g, a)
                else:
                    out += self._layer(i, g, a, values[Ref(i)], scale)
                given = [(r, input_gradient(op, g, weight, a.shape))] if r in self.moving else []
            else:
                wanted = [r for r in op.inputs if r in self.moving]
                given = (
                    pass_back(i, op, parts, values if gates is None else gates, tensors, wanted, len(x))
                    if wanted
                    else []
                )
            for r, g in given:
                adjoint[r] = adjoint[r] + g if r in adjoint else g
            if op.kind != GATE:
                values.pop(Ref(i), None)
        return out

    def _scale(self, normalisation: int | None) -> Any:
        """(gamma / sigma, gamma, mean, 1 / sigma, affine?, shift?) of a folded normalisation."""
        if normalisation is None:
            return None
        s = self.graph.operations[normalisation].settings
        inverse = (self.tensors[s["variance"]] + s["eps"]).rsqrt()
        gamma = self.tensors[s["weight"]] if s["weight"] else None
        return (inverse if gamma is None else gamma * inverse), self.tensors[s["mean"]], inverse, s

    def _weight(self, op: Any, scale: Any) -> Tensor:
        if op.kind == NORMALISATION:
            s = op.settings
            inverse = (self.tensors[s["variance"]] + s["eps"]).rsqrt()
            return self.tensors[s["weight"]] * inverse if s["weight"] else inverse
        weight = self.tensors[op.settings["weight"]]
        return weight if scale is None else weight * scale[0].reshape(-1, *[1] * (weight.ndim - 1))

    def _learned(self, name: str | None) -> bool:
        return name is not None and name in self.graph.parameters

    def _normalisation(self, op: Any, g: Tensor, z: Tensor) -> Tensor:
        s = op.settings
        flat, zs = g.flatten(3) if g.ndim > 3 else g[..., None], z.flatten(2) if z.ndim > 2 else z[..., None]
        total = torch.zeros((), dtype=torch.float64, device=g.device)
        if self._learned(s["weight"]):
            inverse = (self.tensors[s["variance"]] + s["eps"]).rsqrt()
            hat = (zs - self.tensors[s["mean"]][:, None]) * inverse[:, None]
            total = total + _squares((flat * hat[:, None]).sum(-1))
        if self._learned(s["bias"]):
            total = total + _squares(flat.sum(-1))
        return total

    def _layer(self, i: int, g: Tensor, a: Tensor, z: Tensor, scale: Any) -> Tensor:
        """Squared norms of the gradients of a layer's weight and bias, and of a folded normalisation's."""
        op, n = self.graph.operations[i], len(a)
        s, weight = op.settings, self.tensors[op.settings["weight"]]
        if op.kind == LINEAR and a.ndim == 2 and scale is None:
            # One position: an outer product.
            rows = _squares(g)
            factor = self._learned(s["weight"]) * a.double().square().sum(-1, keepdim=True)
            return rows * (factor + self._learned(s["bias"]))
        groups = s.get("groups", 1)
        if op.kind == LINEAR:
            g, u = g.movedim(-1, 2).flatten(3) if a.ndim > 2 else g[..., None], a.reshape(n, 1, -1, a.shape[-1]).mT
        else:
            g, u = g.flatten(3), patches(a, op)
        g = g.expand(n, *g.shape[1:])
        return _rows(g, u, z, weight, scale, groups, self._which(s, scale), s)

    def _which(self, s: Mapping[str, Any], scale: Any) -> dict[str, bool]:
        norm = scale[3] if scale is not None else {"weight": None, "bias": None}
        return {
            "weight": self._learned(s["weight"]), "bias": self._learned(s["bias"]),
            "gamma": self._learned(norm["weight"]), "beta": self._learned(norm["bias"]),
        }  # fmt: skip


def _rows(
    g: Tensor, u: Tensor, z: Tensor, weight: Tensor, scale: Any, groups: int, which: dict[str, bool], s: Any
) -> Tensor:
    """Squared gradient norms (S, K) of a layer from its output gradient and its unfolded input.

    Args:
        g: (S, K, C, P), with respect to the output of the normalisation if one is folded in.
        u: (S, groups, C_in k / groups, P), the unfolded input.
        z: the layer's own output (S, C, ...).
        weight: its weight.
        scale: its folded normalisation (see `Sweep._scale`), or None.
        groups: its groups.
        which: which of weight, bias, gamma, beta are learned.
        s: its settings.
    """
    n, k, c, p = g.shape
    inner = u.shape[2]
    per = g.reshape(n, k, groups, c // groups, p)
    per = per.transpose(1, 2).reshape(n * groups, -1, p) if groups > 1 else per.reshape(n, -1, p)
    flat = u.reshape(n * groups, inner, p)
    if gram_is_cheaper(k * c // groups, inner, p):
        rows = (torch.bmm(per, torch.bmm(flat.mT, flat)) * per).sum(-1)
        along = None
    else:
        product = torch.bmm(per, flat.mT)
        along = product.reshape(n, groups, k, c // groups, inner)
        rows = product.square().sum(-1)

    def by_channel(t: Tensor) -> Tensor:
        return t.reshape(n, groups, k, c // groups).transpose(1, 2).reshape(n, k, c)

    squares = by_channel(rows).double()
    total = torch.zeros(n, k, dtype=torch.float64, device=g.device)
    factor = scale[0].double() if scale is not None else None
    if which["weight"]:
        total += (squares * factor.square() if factor is not None else squares).sum(-1)
    if not (which["bias"] or which["beta"] or which["gamma"]):
        return total
    sums = g.sum(-1)
    if which["bias"]:
        total += _squares(sums * scale[0] if scale is not None else sums)
    if which["beta"]:
        total += _squares(sums)
    if which["gamma"]:
        zs = z.flatten(2)
        if along is not None and s["bias"] is None:
            inner_product = by_channel((along * weight.reshape(1, groups, 1, c // groups, inner)).sum(-1))
        else:
            inner_product = (g * zs[:, None]).sum(-1)
        total += _squares((inner_product - scale[1] * sums) * scale[2])
    return total


def gram_is_cheaper(rows: int, inner: int, positions: int) -> bool:
    """Whether the Gram form over positions costs fewer multiplications than the product with the unfolded input."""
    return positions * (inner + rows) < rows * inner


def _squares(t: Tensor) -> Tensor:
    """Sums of squares over everything but the first two axes, in float64."""
    return t.double().square().flatten(2).sum(-1)


def _channels_second(op: Any) -> bool:
    return op.kind == CONVOLUTION


def _unfolded(graph: Graph, i: int) -> int:
    op = graph.operations[i]
    if op.kind != CONVOLUTION:
        return 0
    source = op.inputs[0].index
    shape = graph.operations[source].shape if source >= 0 else (2, *graph.input_shape)
    return shape[1] * math.prod(op.shape[2:]) * 9


def _jacobian_chunk(tensors: Mapping[str, Tensor], graph: Graph, outputs: int, memory: int) -> int:
    parameters = sum(tensors[n].numel() for n in graph.parameters)
    return max(1, memory // (16 * max(1, parameters * outputs)))


def jacobian_squares(module: nn.Module, x: Tensor) -> Tensor:
    """Squared gradient norms (S, K) from per-sample Jacobians: slow, general, and the peer of the sweep.

    ``vmap(jacrev)`` where the module allows it, else one backward pass per sample and output.
    """
    parameters = {n: p.detach() for n, p in module.named_parameters()}
    buffers = {n: b.detach() for n, b in module.named_buffers()}

    def one(p: dict[str, Tensor], sample: Tensor) -> Tensor:
        return torch.func.functional_call(module, (p, buffers), (sample[None],))[0].reshape(-1)

    with torch.enable_grad(), evaluation_mode(module):
        try:
            jacobian = torch.func.vmap(torch.func.jacrev(one), in_dims=(None, 0))(parameters, x)
        except RuntimeError:
            return torch.stack([_one_by_one(one, parameters, sample) for sample in x])
    return sum(j.double().square().flatten(2).sum(-1) for j in jacobian.values())


def _one_by_one(one: Any, parameters: Mapping[str, Tensor], sample: Tensor) -> Tensor:
    leaves = {n: p.clone().requires_grad_() for n, p in parameters.items()}
    out = one(leaves, sample)
    rows = []
    for k in range(len(out)):
        grads = torch.autograd.grad(out[k], list(leaves.values()), retain_graph=True, allow_unused=True)
        rows.append(
            sum((g.double().square().sum() for g in grads if g is not None), torch.zeros((), dtype=torch.float64))
        )
    return torch.stack(rows)
