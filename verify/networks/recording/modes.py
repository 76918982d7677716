"""How somebody's module is used and given back as it was.

`untouched` holds for every public function: whatever its forward or an interruption does, the module leaves with
the parameters, buffers, modes, hooks, gradients and attributes that it came with, and the random generators with
the states that they had.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class evaluation_mode:
    """Context in which ``module`` is in evaluation mode; every submodule's own mode is restored after."""

    def __init__(self, module: nn.Module) -> None:
        modules = list(module.modules())
        self.module, self.changed = module, [m for m in modules if m.training]
        # Modules that keep what they computed drop it when their mode is set, to the same one as well; scripted ones
        # keep their mode where Python does not see it.
        self.told = any(type(m).train is not nn.Module.train or type(m).eval is not nn.Module.eval for m in modules)
        self.told = self.told or any(scripted(m) for m in self.changed)

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
            if scripted(m):
                m.training = True
            else:
                m.__dict__["training"] = True


def scripted(module: nn.Module) -> bool:
    """Whether a submodule runs outside Python, where calls are not seen and parameters cannot be exchanged."""
    return isinstance(module, torch.jit.ScriptModule)


@contextmanager
def substituted(module: nn.Module, parameters: Mapping[str, Tensor]) -> Iterator[nn.Module]:
    """The module in evaluation mode with other tensors as its parameters, shared ones wherever they stand.

    `torch.func.functional_call` puts back what it found name by name, which loses the parameters of a module that
    stands under two names; here a parameter is known by its identity.

    Raises:
        ValueError: a parameter of a scripted module, which cannot be exchanged.
    """
    others = {id(p): parameters[n] for n, p in module.named_parameters() if n in parameters}
    held = [(m, {k: p for k, p in m._parameters.items() if id(p) in others}) for m in module.modules()]
    if any(found and scripted(m) for m, found in held):
        raise ValueError("the parameters of a scripted or traced module cannot be exchanged")
    with evaluation_mode(module):
        try:
            for m, found in held:
                for k, p in found.items():
                    m._parameters[k] = others[id(p)]  # type: ignore[assignment]
            yield module
        finally:
            for m, found in held:
                m._parameters.update(found)


@dataclass(frozen=True)
class _Held:
    """A tensor as it was: itself, the memory and the numbers that it had, and what autograd knows of it."""

    tensor: Tensor
    alias: Tensor
    value: Tensor
    requires_grad: bool
    grad: Tensor | None

    @classmethod
    def of(cls, t: Tensor) -> _Held:
        return cls(t, t.detach(), t.detach().clone(), t.requires_grad, t.grad if t.is_leaf else None)

    def restore(self) -> None:
        t = self.tensor
        if t.data_ptr() != self.alias.data_ptr() or t.shape != self.alias.shape or t.dtype != self.alias.dtype:
            t.data = self.alias
        if not _same(self.alias, self.value):
            self.alias.copy_(self.value)
        if t.is_leaf and t.requires_grad != self.requires_grad:
            t.requires_grad_(self.requires_grad)
        if t.is_leaf and t.grad is not self.grad:
            t.grad = self.grad


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one, other) or (
        one.is_floating_point() and bool(((one == other) | (one.isnan() & other.isnan())).all())
    )


class _Snapshot:
    """A module with everything that belongs to it, and the generators."""

    def __init__(self, module: nn.Module) -> None:
        modules = list(module.modules())
        self.modes = [(m, m.training) for m in modules]
        self.attributes = [(m, _copied(m.__dict__)) for m in modules if not scripted(m)]
        known = {id(t): t for m in modules for t in (*m._parameters.values(), *m._buffers.values()) if t is not None}
        uninitialised = (nn.parameter.UninitializedParameter, nn.parameter.UninitializedBuffer)
        self.tensors = [_Held.of(t) for t in known.values() if not isinstance(t, uninitialised) and not t.is_meta]
        self.generators = _generators()

    @torch.no_grad()
    def restore(self) -> None:
        for m, attributes in self.attributes:
            _put_back(m.__dict__, attributes)
        for m, mode in self.modes:
            if m.training != mode:
                m.training = mode
        for held in self.tensors:
            held.restore()
        for restore in self.generators:
            restore()


_CONTAINERS = (dict, list, set)


def _copied(attributes: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Each attribute, and for containers what they hold (nothing, where they are empty)."""
    return {k: (v, (v.copy() if v else ()) if isinstance(v, _CONTAINERS) else None) for k, v in attributes.items()}


def _put_back(attributes: dict[str, Any], before: Mapping[str, tuple[Any, Any]]) -> None:
    for k in [k for k in attributes if k not in before]:
        del attributes[k]
    for k, (value, held) in before.items():
        if held is not None and (value or held) and not _holds_same(value, held):
            value.clear()
            value.extend(held) if isinstance(value, list) else value.update(held)
        if attributes.get(k, _CONTAINERS) is not value:
            attributes[k] = value


def _holds_same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(one[k] is v for k, v in other.items())
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def _generators() -> list[Callable[[], Any]]:
    """For each global generator that is in use, what puts it back."""
    state, python, numpy = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    out = [lambda: torch.set_rng_state(state), lambda: random.setstate(python), lambda: np.random.set_state(numpy)]  # noqa: NPY002
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        devices = torch.cuda.get_rng_state_all()
        out.append(lambda: torch.cuda.set_rng_state_all(devices))
    return out


_lent: set[int] = set()
"""Modules of which an outer call has a snapshot."""


@contextmanager
def lent(module: nn.Module) -> Iterator[nn.Module]:
    """Context after which ``module`` is as it was before, whatever happened inside; see this module's first lines."""
    if not isinstance(module, nn.Module) or id(module) in _lent:
        yield module
        return
    snapshot = _Snapshot(module)
    _lent.add(id(module))
    try:
        yield module
    finally:
        _lent.discard(id(module))
        snapshot.restore()


def untouched(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A function that gives its first argument, a module, back as it was."""

    @functools.wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        module = args[0] if args else kwargs.get("module")
        if not isinstance(module, nn.Module):
            name = type(module).__name__
            raise TypeError(f"{function.__name__} needs a torch.nn.Module as its first argument; got {name}")
        # Derivatives are needed, whatever mode the caller is in.
        with lent(module), torch.inference_mode(False):
            return function(*args, **kwargs)

    return call


__all__ = ["evaluation_mode", "lent", "scripted", "substituted", "untouched"]
