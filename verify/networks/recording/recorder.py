"""One run of a module under a mode that sees every torch call before autograd does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from verify.networks.recording.checks import ALL, does_not_run, hooked
from verify.networks.recording.graph import Named, NotCovered, Ref
from verify.networks.recording.modes import evaluation_mode, scripted

DECISIONS = (
    "__bool__", "item", "tolist", "__int__", "__float__", "__index__", "__contains__", "nonzero", "numpy", "__array__",
    "__dlpack__", "to_dlpack", "data_ptr",
)  # fmt: skip
"""Calls that let a program act on the values of its data, or take them where they cannot be followed."""
PLAIN = frozenset((int, float, bool, str, type(None)))
"""Types of most arguments, which hold no tensors."""
REQUIRES_GRAD = Tensor.requires_grad.__get__  # type: ignore[attr-defined]
GRADIENT_HOOKS = ("register_hook", "register_post_accumulate_grad_hook")
RANDOM = (
    "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "rand", "randn",
    "rand_like", "randn_like", "randint", "randperm", "bernoulli", "bernoulli_", "normal", "normal_", "uniform_",
    "multinomial", "rrelu", "gumbel_softmax", "fractional_max_pool2d",
)  # fmt: skip


@dataclass
class Call:
    """One call: what was called where, with templates as arguments; shape and kind of its (first) result."""

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


class Recorder(TorchFunctionMode):
    """The mode: every call with its result, and which tensors depend on the input or on a parameter."""

    def __init__(self, names: Names, path: list[str], x: Tensor) -> None:
        super().__init__()
        self.names, self.parameters, self.path = dict(names.of), names.parameters, path
        self.calls: list[Call] = []
        self.refs: dict[int, Ref] = {id(x): Ref(-1)}
        self.constants: dict[str, Tensor] = {}
        self.results: list[Any] = []
        self.versions: dict[int, int] = {}
        self.alive: list[Any] = []
        self.input_shape, self.device = tuple(x.shape), x.device.type
        self.followed: set[int] = {id(x), *(id(p) for p in names.parameters.values())}
        """Tensors that depend on the input or on a parameter."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        # Templates first: an in-place call gives its argument a new meaning.
        tensors = _tensors((args, kwargs)) if kwargs else _tensors(args)
        before = [id(t) for t in tensors]
        followed = not self.followed.isdisjoint(before)
        if followed and func == REQUIRES_GRAD:
            # As it would be without the recorder, which records no gradients.
            return torch.is_grad_enabled() and args[0].is_floating_point()
        if followed:
            self.check(name, any(i in self.refs for i in before))
        for t in tensors:
            self.check_unwritten(t, name)
        attribute = name in ("__get__", "__set__")
        strange = attribute and not any(i in self.refs or i in self.names for i in before)
        out, stopped = self.call(func, args, kwargs)
        results = _tensors(out)
        if stopped and followed and results and results[0].is_floating_point():
            why = "runs with gradients switched off (torch.no_grad, or in a torch.autograd.Function)"
            raise self.refusal(name, f"{why}, which is not followed")
        if not results or strange:
            return out
        shape, floating = tuple(results[0].shape), results[0].is_floating_point()
        call = Call(func, self._template(args), self._template(kwargs), self.path[-1], shape, floating)
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
        for t in results:
            self.versions[id(t)] = _version(t)
        return out

    def call(self, func: Callable[..., Any], args: Any, kwargs: Any) -> tuple[Any, bool]:
        """The result of a call, and whether gradients were switched off."""
        return _without_gradients(func, args, kwargs)

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
        now = _version(t)
        if self.versions.get(id(t), now) == now:
            return
        if id(t) in self.followed:
            why = "reads a tensor that was written through a view or by an indexed assignment, which is not followed"
            raise self.refusal(reader, why)
        # A constant that was written to is another constant.
        self.refs.pop(id(t), None)
        self.names.pop(id(t), None)
        self.versions[id(t)] = now

    def _template(self, a: Any) -> Any:
        if type(a) in PLAIN:
            return a
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
            return made if isinstance(a, list) else tuple(made)
        return a


def _version(t: Tensor) -> int:
    return -1 if t.is_inference() else t._version


def _tensors(a: Any) -> list[Tensor]:
    """Every tensor of a nest of tuples, lists and dictionaries, in order."""
    if isinstance(a, Tensor):
        return [a]
    if isinstance(a, dict):
        a = a.values()
    elif not isinstance(a, tuple | list):
        return []
    out: list[Tensor] = []
    for b in a:
        if isinstance(b, Tensor):
            out.append(b)
        elif type(b) not in PLAIN:
            out += _tensors(b)
    return out


class Names:
    """What of a module both runs look up: its submodules' paths and its tensors' names."""

    def __init__(self, module: nn.Module, x: Tensor) -> None:
        self.inputs = x
        modules = list(module.named_modules())
        self.module, self.submodules = module, {id(m): n for n, m in modules if n}
        self.parameters: dict[str, Tensor] = dict(module.named_parameters())
        self.buffers: dict[str, Tensor] = dict(module.named_buffers())
        self.tensors: dict[str, Tensor] = {**self.buffers, **self.parameters}
        self.of = {id(t): n for n, t in self.tensors.items()}
        for name, m in modules:
            if scripted(m):
                raise NotCovered(name, type(m).__name__, "is scripted or traced: its operations cannot be seen")
        hook = hooked(modules, self.parameters.items())
        if hook is not None:
            raise hook


@contextmanager
def _paths(names: Names, path: list[str]) -> Iterator[None]:
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
def _same_tensors(names: Names) -> Iterator[None]:
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


def run_recorded(names: Names, x: Tensor, recorder: Recorder | None = None) -> tuple[Recorder, Any]:
    """The calls of one run on ``x``, and what the module returns.

    Args:
        names: what is looked up.
        x: inputs.
        recorder: a new one, which will not know the submodules that make its calls; without it one that does.

    Raises:
        NotCovered: forward fails, or does what a list of its calls would get wrong.
    """
    path, generator = [""], torch.get_rng_state()
    hooks = _paths(names, path) if recorder is None else nullcontext()
    recorder = Recorder(names, path, x) if recorder is None else recorder
    # Gradients are on for the module, so that it shows where it switches them off, and off in every call.
    with torch.enable_grad(), evaluation_mode(names.module), _same_tensors(names), hooks, recorder:
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


@dataclass(frozen=True)
class Start:
    """The first run.

    Attributes:
        names: what both runs look up.
        run: the run, without its values.
        output: which result the module returned.
        shape: of one sample's output.
        shared: the outputs of the samples that are the last and (of several) the second of the second run.
    """

    names: Names
    run: Recorder
    output: Ref
    shape: tuple[int, ...]
    shared: Tensor


@dataclass(frozen=True)
class Comparison:
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
    run: Recorder
