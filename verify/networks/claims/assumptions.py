"""Which assumptions of the claims hold of a torch module, and which submodule breaks which, and why.

Every reason is listed, not only the first. An operation that is not understood is named as such; nothing
is guessed.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from verify.networks.exact.fixed_point import WORK, Forward, forward
from verify.networks.exact.rounding import Kink
from verify.networks.recording.checks import ALL, RUNS, check_inputs, check_module
from verify.networks.recording.coverage import not_understood, twice_on_a_path
from verify.networks.recording.graph import LINEAR, SHAPE, Graph, Operation
from verify.networks.recording.graph import NotCovered as NotCovered
from verify.networks.recording.modes import untouched
from verify.networks.recording.record import record
from verify.networks.recording.windows import SMOOTH

ASSUMPTIONS = {
    "single-input": "the module takes one tensor",
    "tensor-output": "the module returns one tensor, samples first",
    "static-graph": "the operations do not change with the data",
    "finite": "parameters, buffers, inputs and outputs are finite",
    "evaluation-mode": "normalisation and dropout are in evaluation mode",
    "piecewise-linear": "only linear maps, ReLU, maxima and averages",
    "no-shared-parameters-on-a-path": "no parameter stands twice on one path",
    "off-kinks": "no pre-activation is within rounding of 0 and no maximum within rounding of a tie",
}
"""What the claims about paths need."""
PROPERTIES = {
    "dense-last-layer": "the last operation is a linear map without zero weights",
    "no-biases": "there are no biases, and no normalisation with a shift",
}
"""What makes some claims sharper; nothing fails without them."""

_BECAUSE = {
    "relu6": "is not homogeneous: it saturates at 6",
    "hardtanh": "is not homogeneous: it saturates",
    "prelu": "has a slope that is a parameter, which the path sums do not cover",
    "layer_norm": "divides by a statistic of its own input",
    "group_norm": "divides by a statistic of its own input",
    "instance_norm": "divides by a statistic of its own input",
    "normalize": "divides by a statistic of its own input",
    "softmax": "is not piecewise linear",
    "log_softmax": "is not piecewise linear",
    "scaled_dot_product_attention": "multiplies activations with each other",
    "multi_head_attention_forward": "multiplies activations with each other",
    "matmul": "multiplies activations with each other",
    "bmm": "multiplies activations with each other",
    "batch_norm": "uses the statistics of the batch",
    "detach": "stops the gradient",
}


@dataclass(frozen=True)
class Finding:
    """An assumption that fails: where and why."""

    assumption: str
    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where or 'the module'}: {self.why}"


@dataclass(frozen=True)
class Report:
    """Which assumptions hold.

    Attributes:
        findings: every reason for which one fails; properties included.
        unknown: assumptions that could not be checked because an earlier one fails.
        graph: the recorded operations, None where the module could not be recorded.
        forward: the forward evaluation by which gates were told apart, None where there is none.
    """

    findings: tuple[Finding, ...] = ()
    unknown: tuple[str, ...] = ()
    graph: Graph | None = field(default=None, compare=False)
    forward: Forward | None = field(default=None, compare=False)

    def holds(self, name: str) -> bool:
        """Whether an assumption or property is known to hold.

        Raises:
            KeyError: no such assumption.
        """
        if name not in ASSUMPTIONS and name not in PROPERTIES:
            raise KeyError(f"no assumption {name!r}; known: {', '.join((*ASSUMPTIONS, *PROPERTIES))}")
        return name not in self.unknown and all(f.assumption != name for f in self.findings)

    def why(self, name: str) -> tuple[str, ...]:
        """Every reason why an assumption does not hold."""
        return tuple(str(f) for f in self.findings if f.assumption == name)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Every reason, assumption by assumption; properties left out."""
        return tuple(f"{name}: {reason}" for name in ASSUMPTIONS for reason in self.why(name))

    def __str__(self) -> str:
        lines = []
        for name, sentence in (ASSUMPTIONS | PROPERTIES).items():
            mark = "yes" if self.holds(name) else "not checked" if name in self.unknown else "no"
            lines.append(f"{name}: {mark} ({sentence})")
            lines += [f"    {reason}" for reason in self.why(name)]
        return "\n".join(lines)


@untouched
def assumptions(module: nn.Module, x: Tensor, *, limit: float = WORK) -> Report:
    """Check every assumption on a module with inputs.

    Args:
        module: the module; left as it was.
        x: inputs (N, ...), samples first.
        limit: floating-point operations to spend on gates that float64 leaves open.
    """
    check_module(module)
    check_inputs(x)
    found = [*_signature(module), *_modes(module), *_numbers(module, x)]
    rest = ("piecewise-linear", "no-shared-parameters-on-a-path", "off-kinks", *PROPERTIES)
    try:
        graph = record(module, x)
    except NotCovered as e:
        why = f"{e.what} {e.why}" if e.where or e.by == RUNS else str(e)
        if e.by == RUNS:
            found.append(Finding("single-input", "", why))
            return Report(tuple(found), ("tensor-output", "static-graph", *rest))
        found.append(Finding("tensor-output" if e.by == ALL else "static-graph", e.where, why))
        return Report(tuple(found), rest)
    if not graph.reproduces(module, x):
        found.append(Finding("static-graph", "", "replaying its recorded operations does not give its output"))
    unclear = _piecewise_linear(module, graph)
    if not graph.alone and not unclear:
        unclear = [Finding("piecewise-linear", "", "its output for a sample depends on the rest of the batch")]
    found += [*unclear, *_shared(graph), *_last_layer(module, graph), *_biases(graph)]
    if unclear or any(f.assumption == "finite" for f in found):
        return Report(tuple(found), ("off-kinks",), graph)
    kinks, run = _kinks(module, graph, x, limit)
    return Report((*found, *kinks), (), graph, run)


def _signature(module: nn.Module) -> list[Finding]:
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return []
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p.name for p in parameters if p.kind in positional and p.default is inspect.Parameter.empty]
    if len(needed) > 1:
        return [Finding("single-input", "", f"forward needs {len(needed)} inputs ({', '.join(needed)})")]
    return []


def _modes(module: nn.Module) -> list[Finding]:
    found = []
    for name, m in module.named_modules():
        kind = type(m).__name__
        if isinstance(m, nn.modules.batchnorm._NormBase):
            if m.running_mean is None:
                found.append(Finding("evaluation-mode", name, f"{kind} keeps no running statistics"))
            elif m.training:
                found.append(Finding("evaluation-mode", name, f"{kind} in training mode uses the batch's statistics"))
        elif isinstance(m, nn.modules.dropout._DropoutNd) and m.training and m.p > 0:
            found.append(Finding("evaluation-mode", name, f"{kind} in training mode is random"))
    return found


def _numbers(module: nn.Module, x: Tensor) -> list[Finding]:
    found = []
    for kind, named in (("parameter", module.named_parameters()), ("buffer", module.named_buffers())):
        for name, t in named:
            if t.is_floating_point() and not bool(torch.isfinite(t).all()):
                found.append(Finding("finite", name, f"this {kind} holds NaN or infinity"))
    if not bool(torch.isfinite(x).all()):
        found.append(Finding("finite", "x", "the inputs hold NaN or infinity"))
    return found


def _piecewise_linear(module: nn.Module, graph: Graph) -> list[Finding]:
    return [Finding("piecewise-linear", op.where, _why(module, op)) for op in not_understood(graph)]


def _why(module: nn.Module, op: Operation) -> str:
    """Why an operation is not one of a piecewise-linear network."""
    name = op.name.strip("_")
    owner = module.get_submodule(op.where) if op.where else module
    leaf = bool(op.where) and not list(owner.children())
    called = type(owner).__name__ if leaf else f"`{name}`"
    if name in _BECAUSE:
        return f"{called} {_BECAUSE[name]}"
    if name in SMOOTH:
        return f"{called} is not piecewise linear"
    if not op.by_sample and op.inputs:
        return f"{called} moves the samples away from the first axis, where they are not followed"
    if "same" in (*op.args, *op.kwargs.values()) and name.startswith("conv"):
        return f"{called} pads unevenly (padding='same' with an even window), which is not followed"
    if op.parameters and name in ("linear", "conv1d", "conv2d", "conv3d", "batch_norm"):
        return f"{called} has a weight that is computed, not a parameter itself"
    if name in ("mul", "imul", "rmul") and len(op.inputs) == 2:
        return f"{called} multiplies activations with each other"
    if op.parameters:
        return f"{called} uses the parameter {op.parameters[0]} in a way that is not understood"
    return f"{called}{f' (`{name}`)' if leaf else ''} is not an operation that is understood"


def _shared(graph: Graph) -> list[Finding]:
    return [
        Finding("no-shared-parameters-on-a-path", name, f"stands twice on a path, in {one.label} and in {other.label}")
        for name, one, other in twice_on_a_path(graph)
    ]


def _last_layer(module: nn.Module, graph: Graph) -> list[Finding]:
    index = graph.output.index
    while index >= 0 and graph.operations[index].kind == SHAPE and len(graph.operations[index].inputs) == 1:
        index = graph.operations[index].inputs[0].index
    op = graph.operations[index] if index >= 0 else None
    if op is not None and op.kind == LINEAR:
        zeros = int((graph.tensors(module)[op.settings["weight"]] == 0).sum())
        return [Finding("dense-last-layer", op.where, f"{zeros} of its weights are 0")] if zeros else []
    return [Finding("dense-last-layer", op.where if op else "", f"the last operation is {op.name if op else 'none'}")]


def _biases(graph: Graph) -> list[Finding]:
    found = []
    for op in graph.operations:
        if op.settings.get("bias") is not None:
            found.append(Finding("no-biases", op.where, f"has the bias {graph.base(op.settings['bias'])}"))
    return found


def _kinks(module: nn.Module, graph: Graph, x: Tensor, limit: float) -> tuple[list[Finding], Forward | None]:
    run = forward(graph, graph.tensors(module, torch.float64), x.detach().double(), limit)
    if not bool(torch.isfinite(run.values[graph.output]).all()):
        return [Finding("finite", "", "the outputs are not finite")], None
    return [Finding("off-kinks", k.where.split(": ")[0], _kink(k)) for k in run.kinks], run


def _kink(k: Kink) -> str:
    on = f"{k.count - k.open} of {k.total} gates are exactly on a kink"
    near = f"{k.open} of {k.total} gates are within rounding of a kink"
    return ", ".join(text for text, there in ((on, k.open < k.count), (near, k.open)) if there)


__all__ = ["ASSUMPTIONS", "PROPERTIES", "Finding", "Report", "assumptions"]
