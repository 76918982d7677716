"""The operations of a torch module, recorded as it runs.

The module runs twice, on two samples and on another number with different data, under a
`TorchFunctionMode` that sees every torch call before autograd does. Numbers that follow the batch size
are told from constants by comparing the two runs; a module whose calls differ otherwise changes its
graph with its data. This sees what runs, in-place calls and calls in Python control flow included,
where symbolic tracing would have to guess; `Graph.reproduces` then checks the record against the module.

Every call becomes an `Operation` of one of a few kinds. A call that is not understood is "unknown": it
still replays and differentiates, and whoever needs to understand it names it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from verify.networks.recording.operations import classify

LINEAR, CONVOLUTION, NORMALISATION, GATE, MAXIMUM = "linear", "convolution", "normalisation", "gate", "maximum"
AVERAGE, SHAPE, ADD, SCALE, UNKNOWN = "average", "shape", "add", "scale", "unknown"

DECISIONS = ("__bool__", "item", "tolist", "__int__", "__float__", "__index__", "__contains__", "nonzero", "numpy")
"""Calls that let a program act on the values of its data."""
IN_PLACE = ("__iadd__", "__isub__", "__imul__", "__idiv__", "__itruediv__", "__ipow__", "__setitem__")
"""Operators that write to their first argument."""


class NotFollowed(ValueError):
    """A module does something that a record of its calls would get wrong, though the module itself is fine.

    It writes to a tensor through a view of it and reads that later, or stops gradients by `torch.no_grad` or in a
    `torch.autograd.Function`; the message names the place.
    """


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
    """

    operations: list[Operation]
    output: Ref
    parameters: tuple[str, ...]
    constants: dict[str, Tensor]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    alone: bool = True

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

    def run(self, tensors: Mapping[str, Tensor], x: Tensor) -> dict[Ref, Tensor]:
        """The value of every operation on ``x``."""
        values: dict[Ref, Tensor] = {Ref(-1): x}
        for i, op in enumerate(self.operations):
            store(values, i, replay(op, tensors, values, len(x)))
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


class evaluation_mode:
    """Context in which ``module`` is in evaluation mode; every submodule's own mode is restored after."""

    def __init__(self, module: nn.Module) -> None:
        modules = list(module.modules())
        self.module, self.changed = module, [m for m in modules if m.training]
        # Modules that keep what they computed drop it when their mode is set, to the same one as well.
        self.told = any(type(m).train is not nn.Module.train or type(m).eval is not nn.Module.eval for m in modules)

    def __enter__(self) -> nn.Module:
        if self.told:
            return self.module.eval()
        # Past nn.Module.__setattr__, which looks whether it is a parameter.
        for m in self.changed:
            m.__dict__["training"] = False
        return self.module

    def __exit__(self, *_: object) -> None:
        if self.told:
            self.module.eval()
        for m in self.changed:
            m.__dict__["training"] = True


@dataclass
class _Call:
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    where: str
    shape: tuple[int, ...]
    floating: bool


def _without_gradients(func: Callable[..., Any], args: Any, kwargs: Any) -> tuple[Any, bool]:
    """The result of a call that records no gradients, and whether they were switched off before."""
    if func is torch._C._set_grad_enabled:
        return func(*args, **kwargs), False
    enabled = torch.is_grad_enabled()
    if not enabled:
        return func(*args, **kwargs), True
    torch._C._set_grad_enabled(False)
    try:
        return func(*args, **kwargs), False
    finally:
        torch._C._set_grad_enabled(True)


class _Recorder(TorchFunctionMode):
    def __init__(self, names: dict[int, str], parameters: Mapping[str, Tensor], path: list[str]) -> None:
        super().__init__()
        self.names, self.parameters, self.path = names, parameters, path
        self.calls: list[_Call] = []
        self.refs: dict[int, Ref] = {}
        self.constants: dict[str, Tensor] = {}
        self.results: list[Any] = []
        self.versions: dict[int, int] = {}
        self.alive: list[Any] = []
        self.input_shape: tuple[int, ...] = ()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        # Templates first: an in-place call gives its argument a new meaning.
        tensors = _tensors((args, kwargs))
        before = [id(t) for t in tensors]
        known = [i in self.refs or i in self.names for i in before]
        name = getattr(func, "__name__", "")
        if name in DECISIONS and any(i in self.refs for i in before):
            where = self.path[-1] or "the module"
            raise ValueError(f"{where}: the operations change with the data: it decides on a value (`{name}`)")
        for t in tensors:
            self.check_unwritten(t, name)
        out, stopped = _without_gradients(func, args, kwargs)
        results = _tensors(out)
        followed = any(i in self.refs or self.names.get(i) in self.parameters for i in before)
        if stopped and followed and results and results[0].is_floating_point():
            raise NotFollowed(
                f"{self.path[-1] or 'the module'}: `{name}` runs with gradients switched off (torch.no_grad, or in a "
                "torch.autograd.Function), which is not followed"
            )
        if not results or (name in ("__get__", "__set__") and not any(known)):
            return out
        shape, floating = tuple(results[0].shape), results[0].is_floating_point()
        call = _Call(func, self._template(args), self._template(kwargs), self.path[-1], shape, floating)
        self.calls.append(call)
        self.results.append(out)
        self.alive += [args, kwargs]
        index = len(self.calls) - 1
        if isinstance(out, Tensor):
            self.refs[id(out)] = Ref(index)
        else:
            for part, t in enumerate(out):
                if isinstance(t, Tensor):
                    self.refs[id(t)] = Ref(index, part)
        self.versions.update({id(t): _version(t) for t in results})
        return out

    def check_unwritten(self, t: Tensor, reader: str) -> None:
        """Raise if ``t`` was changed by a call that did not return it: it no longer holds what was recorded."""
        if self.versions.get(id(t), _version(t)) != _version(t):
            raise NotFollowed(
                f"{self.path[-1] or 'the module'}: `{reader}` reads a tensor that was written through a view or by an "
                "indexed assignment, which is not followed"
            )

    def _template(self, a: Any) -> Any:
        if isinstance(a, Tensor):
            if id(a) in self.refs:
                return self.refs[id(a)]
            if id(a) not in self.names:
                self.names[id(a)] = f"constant {len(self.constants)}"
                self.constants[self.names[id(a)]] = a.detach()
                self.alive.append(a)
            return Named(self.names[id(a)])
        if isinstance(a, dict):
            return {k: self._template(v) for k, v in a.items()}
        if isinstance(a, slice):
            return slice(self._template(a.start), self._template(a.stop), self._template(a.step))
        if isinstance(a, tuple | list):
            made = [self._template(b) for b in a]
            return list(made) if isinstance(a, list) else tuple(made)
        return a


def _version(t: Tensor) -> int:
    return -1 if t.is_inference() else t._version


def _tensors(a: Any) -> list[Tensor]:
    if isinstance(a, Tensor):
        return [a]
    if isinstance(a, dict):
        a = list(a.values())
    if isinstance(a, tuple | list):
        return [t for b in a for t in _tensors(b)]
    return []


class _Names:
    """What of a module both runs look up: its submodules' paths and its tensors' names."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.submodules = module, [(n, m) for n, m in module.named_modules() if n]
        self.parameters: dict[str, Tensor] = dict(module.named_parameters())
        self.tensors: dict[str, Tensor] = {**dict(module.named_buffers()), **self.parameters}
        self.of = {id(t): n for n, t in self.tensors.items()}


def _record(names: _Names, x: Tensor) -> tuple[_Recorder, Any]:
    path = [""]
    handles = []
    for name, sub in names.submodules:

        def enter(_m: Any, _i: Any, name: str = name) -> None:
            path.append(name)

        def leave(_m: Any, _i: Any, _o: Any) -> None:
            path.pop()

        handles += [sub.register_forward_pre_hook(enter), sub.register_forward_hook(leave, always_call=True)]
    recorder = _Recorder(dict(names.of), names.parameters, path)
    recorder.refs[id(x)], recorder.input_shape = Ref(-1), tuple(x.shape)
    try:
        # Gradients are on for the module, so that it shows where it switches them off, and off in every call.
        with torch.enable_grad(), evaluation_mode(names.module), recorder:
            out = names.module(x)
    finally:
        for h in handles:
            h.remove()
    for t in _tensors(out):
        recorder.check_unwritten(t, "return")
    return recorder, out


def record(module: nn.Module, x: Tensor) -> Graph:
    """The operations that ``module`` performs on inputs like ``x``, in evaluation mode.

    Args:
        module: the module; its modes, parameters and buffers are left as they were.
        x: example input, samples first.

    Raises:
        NotFollowed: see there.
        ValueError: the module does not return one tensor with the samples first, or its operations
            change with the data.
    """
    return _small(_first(module, x), x)


def _small(start: _Start, x: Tensor) -> Graph:
    """The record from a second run on three samples."""
    few = x.detach()[torch.tensor([0, 1 % len(x), len(x) - 1])]
    return _graph(start, _compared(start, few))[0]


def record_and_run(module: nn.Module, x: Tensor, limit: int) -> tuple[Graph, dict[Ref, Tensor] | None]:
    """`record`, and the value of every operation on ``x`` if the second run can be on all of ``x``.

    Args:
        module: the module.
        x: inputs.
        limit: bytes that the largest result may take on all of ``x``, once for each output.

    Returns:
        The record, and what `Graph.run` would return; None if it was not had on the way: the limit, an operation
        that writes to its argument, or a batch of two.

    Raises:
        ValueError: as `record`.
    """
    start = _first(module, x)
    largest = max((math.prod(c.shape[1:]) for c in start.run.calls), default=0)
    fits = x.element_size() * len(x) * math.prod(start.shape) * largest <= limit
    if fits and len(x) != 2 and not any(in_place(c.function, c.kwargs) for c in start.run.calls):
        try:
            both = _compared(start, x.detach())
        except ValueError:
            # It may be this number of samples, one say, that the module treats differently.
            return _small(start, x), None
        graph, order = _graph(start, both)
        values: dict[Ref, Tensor] = {Ref(-1): x.detach()}
        for j, i in enumerate(order):
            store(values, j, both.run.results[i])
        return graph, values
    return _small(start, x), None


@dataclass(frozen=True)
class _Start:
    """The first run.

    Attributes:
        names: what both runs look up.
        run: the run, without its values.
        output: which result the module returned.
        shape: of one sample's output.
        shared: the outputs of the samples that are the last and (of several) the second of the second run.
    """

    names: _Names
    run: _Recorder
    output: Ref
    shape: tuple[int, ...]
    shared: Tensor


def _first(module: nn.Module, x: Tensor) -> _Start:
    """Run on two samples that the second run meets again, in other company: the last one, and of several the second.

    Where there is no such second sample, another that the module has not seen takes its place.
    """
    names, x = _Names(module), x.detach()
    several = len(x) > 2
    run, out = _record(names, torch.stack([x[-1], x[1] if several else -x[0]]))
    _check_output(out, 2)
    if id(out) not in run.refs:
        raise ValueError("the module's output does not come from torch operations on its input")
    start = _Start(names, run, run.refs[id(out)], tuple(out.shape[1:]), out.detach()[: 1 + several].clone())
    # Its values make room for those of the second run.
    run.results.clear()
    run.alive.clear()
    return start


def _check_output(out: Any, count: int) -> None:
    if not isinstance(out, Tensor):
        raise ValueError(f"the module returns {type(out).__name__}, not a tensor: wrap it so that it returns one")
    if out.ndim < 1 or len(out) != count:
        raise ValueError(f"the module maps {count} samples to shape {tuple(out.shape)}: the first axis must be samples")


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether the outputs of the same samples in two batches differ by no more than rounding."""
    if one.shape != other.shape or not one.is_floating_point() or not one.numel():
        return one.shape == other.shape
    size = max(float(t.abs().nan_to_num().amax()) for t in (one, other))
    tolerance = 1e-3 if torch.finfo(one.dtype).eps > 1e-10 else 1e-8
    return torch.allclose(one, other, rtol=0, atol=tolerance * size, equal_nan=True)


@dataclass(frozen=True)
class _Comparison:
    """What two runs have in common.

    Attributes:
        templates: arguments of every call.
        by_sample: which results run over samples.
        alone: whether samples that were in both have the same output in both.
        run: the second run.
    """

    templates: list[tuple[Any, Any]]
    by_sample: list[bool]
    alone: bool
    run: _Recorder


def _compared(start: _Start, x: Tensor) -> _Comparison:
    """A second run on ``x``, and what it has in common with the first."""
    first, count = start.run, len(x)
    second, out = _record(start.names, x)
    _check_output(out, count)
    if len(first.calls) != len(second.calls):
        raise ValueError("the operations change with the data: a static graph is needed")
    templates = []
    for a, b in zip(first.calls, second.calls, strict=True):
        if (a.function is not b.function and a.function != b.function) or a.where != b.where:
            raise ValueError(
                f"{a.where or 'the module'}: the operations change with the data: a static graph is needed"
            )
        templates.append((_merge(a.args, b.args, a.where, count), _merge(a.kwargs, b.kwargs, a.where, count)))
    pairs = zip(first.calls, second.calls, strict=True)
    by_sample = [a.shape[:1] == (2,) and b.shape[:1] == (count,) for a, b in pairs]
    again = out.detach()[[-1, 1][: len(start.shared)]]
    return _Comparison(templates, by_sample, _alike(start.shared, again), second)


def _merge(a: Any, b: Any, where: str, count: int) -> Any:
    """A template of arguments that were ``a`` on two samples and ``b`` on ``count``."""
    if isinstance(a, dict) and isinstance(b, dict):
        return {k: _merge(v, b.get(k), where, count) for k, v in a.items()}
    if isinstance(a, tuple | list) and isinstance(b, tuple | list) and len(a) == len(b):
        return type(a)(_merge(c, d, where, count) for c, d in zip(a, b, strict=True))
    if isinstance(a, slice) and isinstance(b, slice):
        pairs = ((a.start, b.start), (a.stop, b.stop), (a.step, b.step))
        return slice(*(_merge(c, d, where, count) for c, d in pairs))
    if isinstance(a, int) and isinstance(b, int) and not isinstance(a, bool) and a != b and a * count == b * 2:
        return Batch(a // 2)
    if a is b or a == b:
        return a
    raise ValueError(f"{where or 'the module'}: the operations change with the data ({a!r} and {b!r})")


def _graph(start: _Start, both: _Comparison) -> tuple[Graph, list[int]]:
    """The graph of what leads to the output, and the numbers of its operations among the calls."""
    names, recorder, output = start.names, start.run, start.output
    found: dict[int, list[Any]] = {}
    stack = [output.index]
    while stack:
        i = stack.pop()
        if i >= 0 and i not in found:
            found[i] = []
            _look(both.templates[i], found[i])
            stack += [r.index for r in found[i] if isinstance(r, Ref)]
    order = sorted(found)
    renumber = {-1: -1, **{i: j for j, i in enumerate(order)}}
    shapes = {renumber[j]: recorder.calls[j].shape for j in order} | {-1: recorder.input_shape}
    sizes = {n: tuple(t.shape) for n, t in (names.tensors | recorder.constants).items()}
    operations = []
    for i in order:
        call, (args, kwargs) = recorder.calls[i], _renumbered(both.templates[i], renumber)
        refs = tuple(dict.fromkeys(Ref(renumber[r.index], r.part) for r in found[i] if isinstance(r, Ref)))
        read = [r.name for r in found[i] if isinstance(r, Named)]
        used = tuple(dict.fromkeys(n for n in read if n in names.parameters))
        name = getattr(call.function, "__name__", str(call.function))
        if name == "__get__":
            name = getattr(getattr(call.function, "__self__", None), "__name__", name)
        op = Operation(
            UNKNOWN, call.function, name, call.where, args, kwargs, refs, used, {}, call.shape, both.by_sample[i]
        )
        op.floating = call.floating
        op.kind, op.settings = classify(op, shapes, sizes)
        operations.append(op)
    end = Ref(renumber[output.index], output.part)
    parameters = tuple(names.parameters)
    graph = Graph(operations, end, parameters, recorder.constants, recorder.input_shape[1:], start.shape, both.alone)
    return graph, order


def _look(a: Any, found: list[Any]) -> None:
    """Put every `Ref` and `Named` of a template into ``found``."""
    if isinstance(a, Ref | Named):
        found.append(a)
    elif isinstance(a, tuple | list):
        for b in a:
            _look(b, found)
    elif isinstance(a, dict):
        for b in a.values():
            _look(b, found)
    elif isinstance(a, slice):
        for b in (a.start, a.stop, a.step):
            _look(b, found)


def _renumbered(a: Any, new: Mapping[int, int]) -> Any:
    if isinstance(a, Ref):
        return Ref(new[a.index], a.part)
    if isinstance(a, dict):
        return {k: _renumbered(v, new) for k, v in a.items()}
    if isinstance(a, tuple | list):
        return type(a)(_renumbered(b, new) for b in a)
    if isinstance(a, slice):
        return slice(_renumbered(a.start, new), _renumbered(a.stop, new), _renumbered(a.step, new))
    return a
