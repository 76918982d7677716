"""The operations of a torch module, recorded as it runs.

The module runs twice, on two samples and on another number with different data, under a
`TorchFunctionMode` that sees every torch call before autograd does. Numbers that follow the batch size
are told from constants by comparing the two runs; a module whose calls differ otherwise changes its
graph with its data. This sees what runs, in-place calls and calls in Python control flow included,
where symbolic tracing would have to guess; `Graph.reproduces` then checks the record against the module.

Every call becomes an `Operation` of one of a few kinds. A call that is not understood is "unknown": it
still replays and differentiates, and whoever needs to understand it names it. What is computed from
neither data nor parameters nor the batch size is a constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from verify.networks.recording.graph import UNKNOWN, Batch, Graph, Named, NotCovered, Operation, Ref, in_place, store
from verify.networks.recording.modes import evaluation_mode, scripted
from verify.networks.recording.operations import classify

DECISIONS = (
    "__bool__", "item", "tolist", "__int__", "__float__", "__index__", "__contains__", "nonzero", "numpy", "__array__",
    "__dlpack__", "to_dlpack", "data_ptr",
)  # fmt: skip
"""Calls that let a program act on the values of its data, or take them where they cannot be followed."""
REQUIRES_GRAD = Tensor.requires_grad.__get__  # type: ignore[attr-defined]
GRADIENT_HOOKS = ("register_hook", "register_post_accumulate_grad_hook")
RANDOM = (
    "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "rand", "randn",
    "rand_like", "randn_like", "randint", "randperm", "bernoulli", "bernoulli_", "normal", "normal_", "uniform_",
    "multinomial", "rrelu", "gumbel_softmax", "fractional_max_pool2d",
)  # fmt: skip
VIEWS = (
    "t", "transpose", "permute", "view", "reshape", "unsqueeze", "squeeze", "flatten", "__get__", "contiguous",
    "swapaxes", "movedim", "__getitem__",
)  # fmt: skip
"""Calls that put a parameter into another shape, each entry in one place."""
CHANGES = "calls other operations for other data: its operations change with the data, a static graph is needed"
RUNS = "the module itself"
"""`NotCovered.by` where forward raised."""
ALL = "any quantity"
"""`NotCovered.by` where the outputs are no function of one sample that could be differentiated."""


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
    def __init__(self, names: _Names, path: list[str], x: Tensor) -> None:
        super().__init__()
        self.names, self.parameters, self.path = dict(names.of), names.parameters, path
        self.calls: list[_Call] = []
        self.refs: dict[int, Ref] = {id(x): Ref(-1)}
        self.constants: dict[str, Tensor] = {}
        self.results: list[Any] = []
        self.versions: dict[int, int] = {}
        self.alive: list[Any] = []
        self.input_shape, self.device = tuple(x.shape), x.device.type
        self.followed: set[int] = {id(x), *(id(p) for p in names.parameters.values())}
        """Tensors that depend on the input or on a parameter."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        # Templates first: an in-place call gives its argument a new meaning.
        tensors = _tensors((args, kwargs))
        before = [id(t) for t in tensors]
        known = [i in self.refs or i in self.names for i in before]
        name = getattr(func, "__name__", "")
        followed = any(i in self.followed for i in before)
        if followed and func == REQUIRES_GRAD:
            # As it would be without the recorder, which records no gradients.
            return torch.is_grad_enabled() and args[0].is_floating_point()
        if followed:
            self.check(name, any(i in self.refs for i in before))
        for t in tensors:
            self.check_unwritten(t, name)
        out, stopped = _without_gradients(func, args, kwargs)
        results = _tensors(out)
        if stopped and followed and results and results[0].is_floating_point():
            why = "runs with gradients switched off (torch.no_grad, or in a torch.autograd.Function)"
            raise self.refusal(name, f"{why}, which is not followed")
        if not results or (name in ("__get__", "__set__") and not any(known)):
            return out
        shape, floating = tuple(results[0].shape), results[0].is_floating_point()
        call = _Call(func, self._template(args), self._template(kwargs), self.path[-1], shape, floating)
        self.calls.append(call)
        # A constant may be written to before it is looked at again.
        self.results.append(out if followed or not isinstance(out, Tensor) else out.detach().clone())
        self.alive += [args, kwargs, out]
        index = len(self.calls) - 1
        if isinstance(out, Tensor):
            self.refs[id(out)] = Ref(index)
        else:
            for part, t in enumerate(out):
                if isinstance(t, Tensor):
                    self.refs[id(t)] = Ref(index, part)
        if followed:
            self.followed.update(id(t) for t in results)
        self.versions.update({id(t): _version(t) for t in results})
        return out

    def refusal(self, name: str, why: str) -> NotCovered:
        """The exception for a call of the running submodule."""
        return NotCovered(self.path[-1], f"`{name}`", why)

    def check(self, name: str, on_data: bool) -> None:
        """Raise if a call on data or parameters makes a record of calls wrong."""
        if name in DECISIONS and on_data:
            raise self.refusal(name, "decides on a value: the operations change with the data")
        if name in GRADIENT_HOOKS:
            raise self.refusal(name, "changes or watches gradients, which is not followed")
        if torch.is_autocast_enabled(self.device):
            raise self.refusal(name, "runs under torch.autocast, in another precision than its arguments'")

    def check_unwritten(self, t: Tensor, reader: str) -> None:
        """Raise if ``t`` was changed by a call that did not return it: it no longer holds what was recorded."""
        if self.versions.get(id(t), _version(t)) == _version(t):
            return
        if id(t) in self.followed:
            why = "reads a tensor that was written through a view or by an indexed assignment, which is not followed"
            raise self.refusal(reader, why)
        # A constant that was written to is another constant.
        self.refs.pop(id(t), None)
        self.names.pop(id(t), None)
        self.versions[id(t)] = _version(t)

    def _template(self, a: Any) -> Any:
        if isinstance(a, Tensor):
            if id(a) in self.refs:
                return self.refs[id(a)]
            if id(a) not in self.names:
                self.names[id(a)] = f"constant {len(self.constants)}"
                self.constants[self.names[id(a)]] = a.detach().clone()
                self.versions[id(a)] = _version(a)
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

    def __init__(self, module: nn.Module, x: Tensor) -> None:
        self.inputs = x
        self.module, self.submodules = module, {id(m): n for n, m in module.named_modules() if n}
        self.parameters: dict[str, Tensor] = dict(module.named_parameters())
        self.buffers: dict[str, Tensor] = dict(module.named_buffers())
        self.tensors: dict[str, Tensor] = {**self.buffers, **self.parameters}
        self.of = {id(t): n for n, t in self.tensors.items()}
        for name, m in module.named_modules():
            if scripted(m):
                raise NotCovered(name, type(m).__name__, "is scripted or traced: its operations cannot be seen")
            if m._backward_hooks or m._backward_pre_hooks:
                raise NotCovered(name, type(m).__name__, "has a hook that may change its gradients")
        for name, p in self.parameters.items():
            if p._backward_hooks:
                raise NotCovered("", name, "has a hook that may change its gradient")


@contextmanager
def _paths(names: _Names, path: list[str]) -> Iterator[None]:
    """Inside, ``path`` ends with the path of the submodule that is running."""

    def enter(m: nn.Module, _: Any) -> None:
        if id(m) in names.submodules:
            path.append(names.submodules[id(m)])

    def leave(m: nn.Module, _: Any, __: Any) -> None:
        if id(m) in names.submodules:
            path.pop()

    # Hooks of all modules: those of somebody's module stay as they are.
    handles = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave, always_call=True)]
    try:
        yield
    finally:
        for h in handles:
            h.remove()


@contextmanager
def _same_tensors(names: _Names) -> Iterator[None]:
    """Inside, forward may write to buffers, which are put back; not to parameters."""
    versions = {n: _version(t) for n, t in names.tensors.items()}
    before = {n: b.detach().clone() for n, b in names.buffers.items()}
    try:
        yield
        for n, p in names.parameters.items():
            if _version(p) != versions[n]:
                raise NotCovered("", n, "is a parameter that forward writes to, which is not followed")
    finally:
        with torch.no_grad():
            for n, b in names.buffers.items():
                if _version(b) != versions[n]:
                    b.copy_(before[n])


def _record(names: _Names, x: Tensor) -> tuple[_Recorder, Any]:
    path = [""]
    recorder, generator = _Recorder(names, path, x), torch.get_rng_state()
    # Gradients are on for the module, so that it shows where it switches them off, and off in every call.
    with torch.enable_grad(), evaluation_mode(names.module), _same_tensors(names), _paths(names, path), recorder:
        try:
            out = names.module(x)
        except NotCovered:
            raise
        except Exception as e:
            # Whatever somebody's forward raises.
            raise does_not_run(names.inputs, e) from e
    for t in _tensors(out):
        recorder.check_unwritten(t, "return")
    if not torch.equal(torch.get_rng_state(), generator):
        calls = [(c.where, c.function.__name__) for c in recorder.calls if hasattr(c.function, "__name__")]
        where, name = next(((w, n) for w, n in calls if n in RANDOM), ("", "forward"))
        raise NotCovered(where, f"`{name}`", "draws random numbers: there is no function of one sample", ALL)
    return recorder, out


def record(module: nn.Module, x: Tensor) -> Graph:
    """The operations that ``module`` performs on inputs like ``x``, in evaluation mode.

    Args:
        module: the module; its modes, parameters and buffers are left as they were.
        x: example input, samples first.

    Raises:
        NotCovered: the module does not return one tensor with the samples first, its operations change with the
            data, or a record of its calls would not be what it does.
    """
    return _small(_first(module, x), x)


def _small(start: _Start, x: Tensor) -> Graph:
    """The record from a second run on three samples."""
    few = x.detach()[torch.tensor([0, 1 % len(x), len(x) - 1])]
    return _graph(start, _compared(start, few))[0]


def record_and_run(
    module: nn.Module, x: Tensor, limit: int, *, once: bool = False
) -> tuple[Graph, dict[Ref, Tensor] | None]:
    """`record`, and the value of every operation on ``x`` if the second run can be on all of ``x``.

    Args:
        module: the module.
        x: inputs.
        limit: bytes that the largest result may take on all of ``x``, once for each output; with ``once``, bytes
            that all results may take together.
        once: see ``limit``.

    Returns:
        The record, and what `Graph.run` would return; None if it was not had on the way: the limit, an operation
        that writes to its argument, or a batch of two.

    Raises:
        NotCovered: as `record`.
    """
    start = _first(module, x)
    shapes = [math.prod(c.shape[1:]) for c in start.run.calls]
    numbers = sum(shapes) if once else math.prod(start.shape) * max(shapes, default=0)
    fits = x.element_size() * len(x) * numbers <= limit
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
    names, x = _Names(module, x), x.detach()
    several = len(x) > 2
    run, out = _record(names, torch.stack([x[-1], x[1] if several else -x[0]]))
    _check_output(out, 2)
    if id(out) not in run.refs:
        raise NotCovered("", "its output", "does not come from torch operations on its input")
    start = _Start(names, run, run.refs[id(out)], tuple(out.shape[1:]), out.detach()[: 1 + several].clone())
    # Its values make room for those of the second run.
    run.results.clear()
    run.alive.clear()
    return start


def _check_output(out: Any, count: int) -> None:
    if not isinstance(out, Tensor):
        why = f"returns {type(out).__name__}, not a tensor: wrap it so that it returns one"
        raise NotCovered("", "", why, ALL)
    if out.ndim < 1 or len(out) != count:
        why = f"maps {count} samples to shape {tuple(out.shape)}: the first axis must be samples"
        raise NotCovered("", "", why, ALL)
    if not out.is_floating_point():
        raise NotCovered("", "", f"returns {out.dtype}: real numbers in floating point are needed", ALL)
    if not out.numel():
        raise NotCovered("", "", f"returns no numbers: its output has shape {tuple(out.shape)}", ALL)


def alike(one: Tensor, other: Tensor) -> bool:
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
        raise NotCovered("", "", CHANGES)
    templates = []
    for a, b in zip(first.calls, second.calls, strict=True):
        if (a.function is not b.function and a.function != b.function) or a.where != b.where:
            raise NotCovered(a.where, "", CHANGES)
        templates.append((_merge(a.args, b.args, a.where, count), _merge(a.kwargs, b.kwargs, a.where, count)))
    for name, constant in first.constants.items():
        if not _equal(constant, second.constants.get(name)):
            raise NotCovered("", name, "that forward makes or takes from elsewhere changes with the data")
    pairs = zip(first.calls, second.calls, strict=True)
    by_sample = [a.shape[:1] == (2,) and b.shape[:1] == (count,) for a, b in pairs]
    again = out.detach()[[-1, 1][: len(start.shared)]]
    return _Comparison(templates, by_sample, alike(start.shared, again), second)


def _equal(one: Tensor, other: Tensor | None) -> bool:
    if other is None or one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(one, other) or bool(((one == other) | ((one != one) & (other != other))).all())


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
    raise NotCovered(where, "an argument", f"is {a!r} and then {b!r}: the operations change with the data")


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
    constants = _constants(start, both, found)
    _check_indices(start, both, found, constants)
    views = _views(start, both, found, constants)
    order = [i for i in sorted(found) if i not in constants and i not in views]
    renumber = {-1: -1, **{i: j for j, i in enumerate(order)}}
    named = {i: f"{bases[0]} as of call {i}" for i, bases in views.items()}
    others = {r: n for i in constants for r in [r for r, _ in _parts(i, both.run.results[i])] for n in [_result(r)]}
    others |= {Ref(i): n for i, n in named.items()}
    held = {**recorder.constants, **{_result(r): t for i in constants for r, t in _parts(i, both.run.results[i])}}
    shapes_of_views = {n: recorder.calls[i].shape for i, n in named.items()}
    shapes = {renumber[j]: recorder.calls[j].shape for j in order} | {-1: recorder.input_shape}
    sizes = {n: tuple(t.shape) for n, t in (names.tensors | held).items()} | shapes_of_views
    operations, seen = [], {}
    for i in sorted([*order, *views]):
        call, (args, kwargs) = recorder.calls[i], _renumbered(both.templates[i], renumber, others)
        read_from = [r for r in found[i] if isinstance(r, Ref) and r.index in renumber]
        refs = tuple(dict.fromkeys(Ref(renumber[r.index], r.part) for r in read_from))
        used = tuple(dict.fromkeys(_parameters(found[i], names, views)))
        name = getattr(call.function, "__name__", str(call.function))
        if name == "__get__":
            name = getattr(getattr(call.function, "__self__", None), "__name__", name)
        op = Operation(
            UNKNOWN, call.function, name, call.where, args, kwargs, refs, used, {}, call.shape, both.by_sample[i]
        )
        op.floating = call.floating
        if i in views:
            seen[named[i]] = op
            continue
        op.kind, op.settings = classify(op, shapes, sizes, frozenset(named.values()))
        operations.append(op)
    end = Ref(renumber[output.index], output.part)
    parameters = tuple(names.parameters)
    graph = Graph(operations, end, parameters, held, recorder.input_shape[1:], start.shape, both.alone, seen)
    return graph, order


def _constants(start: _Start, both: _Comparison, found: Mapping[int, list[Any]]) -> set[int]:
    """The calls whose results depend on neither the data nor a parameter nor the batch size."""
    out: set[int] = set()
    for i in sorted(found):
        fixed = all(r.index in out if isinstance(r, Ref) else r.name not in start.names.parameters for r in found[i])
        if fixed and i != start.output.index and not _follows_batch(both.templates[i]):
            out.add(i)
    return out


def _views(
    start: _Start, both: _Comparison, found: Mapping[int, list[Any]], constants: set[int]
) -> dict[int, tuple[str, ...]]:
    """The calls that put one parameter into another shape, and that parameter."""
    out: dict[int, tuple[str, ...]] = {}
    for i in sorted(found):
        call = start.run.calls[i]
        data = any(isinstance(r, Ref) and r.index not in out and r.index not in constants for r in found[i])
        name = getattr(call.function, "__name__", "")
        if data or i == start.output.index or name not in VIEWS or _follows_batch(both.templates[i]):
            continue
        args, _ = both.templates[i]
        bases = _parameters(found[i], start.names, out)
        first = args[0] if args else None
        source = isinstance(first, Named) or (isinstance(first, Ref) and first.index in out)
        alone = len(bases) == 1 and source and len(found[i]) == 1 and isinstance(both.run.results[i], Tensor)
        if alone and (name != "__getitem__" or _plain_index(args[1])):
            out[i] = (bases[0],)
    return out


def _parameters(found: list[Any], names: _Names, views: Mapping[int, tuple[str, ...]]) -> list[str]:
    """The parameters among what a call reads, those seen through a view included."""
    out = [r.name for r in found if isinstance(r, Named) and r.name in names.parameters]
    return out + [n for r in found if isinstance(r, Ref) for n in views.get(r.index, ())]


def _plain_index(index: Any) -> bool:
    """Whether an index takes no entry twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(p is None or p is Ellipsis or type(p) in (int, slice) for p in parts)


def _result(r: Ref) -> str:
    """The name of a constant that a call made."""
    return f"result of call {r.index}" + ("" if r.part is None else f", part {r.part}")


def _check_indices(start: _Start, both: _Comparison, found: Mapping[int, list[Any]], constants: set[int]) -> None:
    """Raise if data are read by integers that forward makes for a batch: samples by their number, which may change."""
    made: set[int] = set()
    for i in sorted(found):
        call, refs = start.run.calls[i], [r for r in found[i] if isinstance(r, Ref)]
        named = [r.name for r in found[i] if isinstance(r, Named)]
        on_data = any(r.index not in made and r.index not in constants for r in refs)
        if not on_data and not any(n in start.names.parameters for n in named):
            made.add(i)
        elif any(r.index in made - constants and not start.run.calls[r.index].floating for r in refs):
            name = getattr(call.function, "__name__", "a call")
            raise NotCovered(call.where, f"`{name}`", "reads integers that follow the number of samples")


def _follows_batch(a: Any) -> bool:
    if isinstance(a, dict):
        a = tuple(a.values())
    if isinstance(a, slice):
        a = (a.start, a.stop, a.step)
    return any(_follows_batch(b) for b in a) if isinstance(a, tuple | list) else isinstance(a, Batch)


def _parts(index: int, result: Any) -> list[tuple[Ref, Tensor]]:
    """Each tensor of a call's result."""
    parts = enumerate(result) if isinstance(result, tuple | list) else [(None, result)]
    return [(Ref(index, j), t.detach()) for j, t in parts if isinstance(t, Tensor)]


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


def _renumbered(a: Any, new: Mapping[int, int], others: Mapping[Ref, str]) -> Any:
    """A template in the numbers of the graph; constants and views of parameters have names instead."""
    if isinstance(a, Ref):
        return Named(others[a]) if a in others else Ref(new[a.index], a.part)
    if isinstance(a, dict):
        return {k: _renumbered(v, new, others) for k, v in a.items()}
    if isinstance(a, tuple | list):
        return type(a)(_renumbered(b, new, others) for b in a)
    if isinstance(a, slice):
        return slice(*(_renumbered(b, new, others) for b in (a.start, a.stop, a.step)))
    return a


def record_for(module: nn.Module, x: Tensor) -> Graph:
    """`record` with the checks that every fast quantity makes of its arguments.

    Raises:
        ValueError: inputs or parameters that cannot be used.
        NotCovered: as `record`, or an output that depends on other samples.
    """
    check_module(module)
    check_inputs(x)
    graph = record(module, x)
    check_alone(graph)
    return graph


def check_alone(graph: Graph) -> None:
    """Raise unless a sample's output depends on that sample alone."""
    if not graph.alone:
        raise mixes()


def does_not_run(x: Tensor, e: Exception) -> NotCovered:
    """The exception for a module whose forward raises ``e``."""
    kind = "" if isinstance(e, RuntimeError | TypeError | IndexError) else f"{type(e).__name__}: "
    line = (str(e).strip().splitlines() or [type(e).__name__])[0]
    return NotCovered("", "it", f"does not run on inputs of shape {tuple(x.shape)}: {kind}{line}", RUNS)


def mixes() -> NotCovered:
    """The exception for a module that mixes samples."""
    why = "for a sample depends on the rest of the batch: there is no function of one sample"
    return NotCovered("", "its output", why, ALL)


def check_module(module: nn.Module) -> None:
    """Raise unless the parameters are real numbers that are there.

    Raises:
        ValueError: says which is not.
    """
    for name, p in module.named_parameters():
        if isinstance(p, nn.parameter.UninitializedParameter):
            raise ValueError(f"parameter {name} is not initialised yet: run the module once")
        if p.is_meta:
            raise ValueError(f"parameter {name} is on the meta device: it has no numbers")
        if not p.is_floating_point():
            raise ValueError(f"parameter {name} holds {p.dtype}: real numbers in floating point are needed")


def check_finite(module: nn.Module, x: Tensor) -> None:
    """Raise unless parameters, buffers and inputs are finite.

    Raises:
        ValueError: says which are not.
    """
    if not bool(torch.isfinite(x).all()):
        raise ValueError("x holds NaN or infinite numbers")
    for kind, named in (("parameter", module.named_parameters()), ("buffer", module.named_buffers())):
        for name, t in named:
            if t.is_floating_point() and not bool(torch.isfinite(t.detach()).all()):
                raise ValueError(f"{kind} {name} holds NaN or infinite numbers")


def check_inputs(x: Any) -> None:
    """Raise unless ``x`` can be an input: floating-point numbers, samples first.

    Raises:
        ValueError: says what was wrong.
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise ValueError(f"x must be a floating-point tensor; got {getattr(x, 'dtype', type(x).__name__)}")
    if x.ndim < 1 or len(x) == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}; at least one sample is needed")
    if x.is_meta:
        raise ValueError("x is on the meta device: it has no numbers")
    if x.layout != torch.strided:
        raise ValueError(f"x has the layout {x.layout}: a dense tensor is needed")
