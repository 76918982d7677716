"""A module's operations as data: values, operations, and the graph of what leads to the output.

`verify.networks.recording.record` makes graphs, `verify.networks.recording.operations` says of what kind each
operation is, and `verify.networks.recording.walk` goes through one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from verify.networks.recording.modes import evaluation_mode

LINEAR, CONVOLUTION, NORMALISATION, GATE, MAXIMUM = "linear", "convolution", "normalisation", "gate", "maximum"
AVERAGE, SHAPE, ADD, SCALE, UNKNOWN = "average", "shape", "add", "scale", "unknown"
MATRIX, PRODUCT, SHIFT = "matrix", "product", "shift"

IN_PLACE = ("__iadd__", "__isub__", "__imul__", "__idiv__", "__itruediv__", "__ipow__", "__setitem__")
"""Operators that write to their first argument."""


class NotCovered(ValueError):
    """A module does something that a quantity is not defined for, or cannot be computed through.

    Attributes:
        where: path of the submodule, "" for the module itself.
        what: the operation or the part of the module, "" for the submodule as a whole.
        why: what is the matter with it.
        by: what does not cover it: "recording", "path sums", ...
    """

    def __init__(self, where: str, what: str, why: str = "", by: str = "recording") -> None:
        self.where, self.what, self.why, self.by = where, what, why, by
        super().__init__(f"{where or 'the module'}{': ' if what else ''}{what}{' ' if why else ''}{why}")


@dataclass(frozen=True)
class Ref:
    """The value of an earlier operation; -1 is the module's input."""

    index: int
    part: int | None = None


@dataclass(frozen=True)
class Named:
    """A parameter, buffer or constant, by name."""

    name: str


@dataclass(frozen=True)
class Batch:
    """An integer that is ``times`` the batch size."""

    times: int


@dataclass
class Operation:
    """One call.

    Attributes:
        kind: one of the constants above.
        function: the callable that was called.
        name: its name, for people.
        where: path of the submodule that called it, "" for the module itself.
        args, kwargs: its arguments as templates of `Ref`, `Named` and `Batch`.
        inputs: the data it reads, `Ref` by `Ref`.
        parameters: the parameters that occur anywhere among its arguments.
        settings: what `verify.networks.recording.operations.classify` read off the arguments.
        shape: shape of its (first) result on two samples.
        by_sample: whether the first axis of its result runs over the samples.
        floating: whether its (first) result holds floating-point numbers, which alone can have gradients.
    """

    kind: str
    function: Callable[..., Any]
    name: str
    where: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[Ref, ...]
    parameters: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    by_sample: bool = True
    floating: bool = True

    @property
    def label(self) -> str:
        """Where and what: ``blocks.3.act: gelu``."""
        return f"{self.where or 'the module'}: {self.name}"


@dataclass
class Graph:
    """The operations that lead from the input to the output, in the order in which they ran.

    Attributes:
        operations: the operations.
        output: the value that the module returns.
        parameters: names of the module's parameters, each once.
        constants: tensors that are neither parameters nor buffers.
        input_shape: shape of one sample.
        output_shape: shape of one sample's output.
        alone: whether the output for a sample does not depend on the rest of the batch (seen on two samples).
        views: parameters in other shapes, by names of their own, which operations read like parameters.
        has_paths: whether `verify.networks.recording.coverage.check_paths` has found that sums over paths are defined.
    """

    operations: list[Operation]
    output: Ref
    parameters: tuple[str, ...]
    constants: dict[str, Tensor]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    alone: bool = True
    views: dict[str, Operation] = field(default_factory=dict)
    has_paths: bool = field(default=False, init=False, compare=False, repr=False)

    def base(self, name: str) -> str:
        """The parameter of which a name is a view; any other name as it is."""
        while name in self.views:
            name = self.views[name].parameters[0]
        return name

    @property
    def names(self) -> frozenset[str]:
        """Names of the parameters."""
        return frozenset(self.parameters)

    def learned(self, op: Operation, what: str) -> bool:
        """Whether an operation's weight or bias is a parameter, or a view of one."""
        name = op.settings[what]
        return name is not None and self.base(name) in op.parameters

    def with_views(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``tensors`` and every view of a parameter among them, by name."""
        out = dict(tensors)
        for name, op in self.views.items():
            out[name] = replay(op, out, {}, 0)
        return out

    def tensors(self, module: nn.Module, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
        """Every parameter, buffer and constant by name, floating ones in ``dtype`` where it is given."""
        out = {**dict(module.named_buffers()), **dict(module.named_parameters()), **self.constants}
        return {n: t.detach().to(dtype) if dtype and t.is_floating_point() else t.detach() for n, t in out.items()}

    def uses(self) -> dict[Ref, list[int]]:
        """For each value, the operations that read it."""
        out: dict[Ref, list[int]] = {}
        for i, op in enumerate(self.operations):
            for r in op.inputs:
                out.setdefault(r, []).append(i)
        return out

    def readers(self) -> dict[str, list[int]]:
        """For each parameter, the operations that read it."""
        out: dict[str, list[int]] = {}
        for i, op in enumerate(self.operations):
            for name in op.parameters:
                out.setdefault(name, []).append(i)
        return out

    def last_reads(self) -> dict[Ref, int]:
        """For each value, the last operation that reads it; the input and the output are never done with."""
        out = {r: i for i, op in enumerate(self.operations) for r in op.inputs}
        return {r: i for r, i in out.items() if r not in (Ref(-1), self.output)}

    def gated(self) -> set[Ref]:
        """The values whose signs and maxima may be gates (of what is unknown, too), the input and the output."""
        gates = (op for op in self.operations if op.kind in (GATE, MAXIMUM, UNKNOWN))
        return {Ref(-1), self.output, *(r for op in gates for r in op.inputs)}

    def run(self, tensors: Mapping[str, Tensor], x: Tensor, only: Collection[Ref] | None = None) -> dict[Ref, Tensor]:
        """The value of every operation on ``x``, or of those in ``only``."""
        values: dict[Ref, Tensor] = {Ref(-1): x}
        tensors, last = self.with_views(tensors), {} if only is None else self.last_reads()
        for i, op in enumerate(self.operations):
            made = replay(op, tensors, values, len(x))
            if not op.inputs and isinstance(made, Tensor) and made.dtype == torch.float32:
                # What forward makes for a batch is as wide as the module was.
                made = made.to(x.dtype)
            store(values, i, made)
            for r in [r for r in op.inputs if last.get(r) == i]:
                if only is not None and r not in only:
                    values.pop(r, None)
        return values

    def reproduces(self, module: nn.Module, x: Tensor) -> bool:
        """Whether replaying the record gives the module's output on ``x`` (in evaluation mode)."""
        with torch.no_grad(), evaluation_mode(module):
            expected = module(x)
            got = self.run(self.tensors(module), x)[self.output]
        return got.shape == expected.shape and torch.allclose(got, expected, rtol=1e-4, atol=1e-6, equal_nan=True)


def store(values: dict[Ref, Tensor], index: int, result: Any) -> None:
    """Put an operation's result, or each part of it, among the values."""
    if isinstance(result, tuple | list):
        values.update({Ref(index, part): r for part, r in enumerate(result)})
    else:
        values[Ref(index)] = result


def in_place(function: Callable[..., Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call writes to its first argument."""
    name = getattr(function, "__name__", "")
    written = name.endswith("_") and not name.endswith("__")
    return written or kwargs.get("inplace") is True or name in IN_PLACE


def replay(op: Operation, tensors: Mapping[str, Tensor], values: Mapping[Ref, Tensor], batch: int) -> Any:
    """The operation's result on other values, never writing to its arguments."""

    def fill(a: Any) -> Any:
        if isinstance(a, Ref):
            return values[a]
        if isinstance(a, Named):
            return tensors[a.name]
        if isinstance(a, Batch):
            return a.times * batch
        if isinstance(a, slice):
            return slice(fill(a.start), fill(a.stop), fill(a.step))
        if isinstance(a, tuple | list):
            return type(a)(fill(b) for b in a)
        return a

    args, kwargs = [fill(a) for a in op.args], {k: fill(v) for k, v in op.kwargs.items()}
    if in_place(op.function, op.kwargs) and args and isinstance(args[0], Tensor):
        args[0] = args[0].clone()
    return op.function(*args, **kwargs)


def no_paths(op: Operation) -> NotCovered:
    """The exception for an operation through which there are no paths."""
    why = "has no paths: it is no linear map, ReLU, maximum or average that is understood"
    return NotCovered(op.where, op.name, why, "path sums")
