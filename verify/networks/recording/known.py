"""The last record of a module, and the one run that shows whether it still holds.

A module's program follows from more than can be watched: attributes, globals, numbers in buffers, objects that its
forward asks. So a record is never taken on trust. It is kept while the module lives, and serves again after one run
of the module, on the inputs that are to be looked at, made the same calls with the same arguments; where that run is
on all inputs, its values are the forward pass that most quantities begin with. Whatever else that run does refuses
the record, and the module is recorded anew.

What two runs of the first recording showed and one run cannot show again is kept only where it follows from the
calls alone: that samples do not mix (`apart`), and that the calls do not depend on the data (every one of them was
compared under other data and another number of samples). No number of a parameter or buffer is part of a record.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from verify.networks.recording.assemble import VIEWS, parts
from verify.networks.recording.checks import check_output
from verify.networks.recording.graph import SHAPE, UNKNOWN, Batch, Graph, NotCovered, Operation, Ref
from verify.networks.recording.recorder import Call, Names, Recorder, run_recorded
from verify.networks.recording.walk import Walk

MOVES = (
    "view", "reshape", "flatten", "permute", "transpose", "squeeze", "unsqueeze", "contiguous", "clone", "movedim",
    "swapaxes", "swapdims", "unflatten", "pixel_shuffle", "pixel_unshuffle", "view_as", "reshape_as", "cat", "concat",
    "concatenate", "stack", "dropout", "dropout1d", "dropout2d", "dropout3d",
)  # fmt: skip
"""Operations of kind `SHAPE` whose result has the samples first only if each stays where it is."""


@dataclass(frozen=True)
class Known:
    """A record with what another run is compared with.

    Attributes:
        graph: the record.
        order: which calls its operations are.
        calls: all calls, with the templates of their arguments and their shapes on two samples.
        by_sample: which results run over the samples.
        output: which result the module returns.
        fixed: the calls that gave constants.
        tensors: shape, type and device of every parameter and buffer, by name.
        paths: names of the submodules.
        inputs: shape of a sample, type and device.
    """

    graph: Graph
    order: list[int]
    calls: list[Call]
    by_sample: list[bool]
    output: Ref
    fixed: list[int]
    tensors: dict[str, Any]
    paths: list[str]
    inputs: Any

    def again(self, names: Names, x: Tensor, walk: Walk | None = None) -> Recorder | None:
        """A run of the module on ``x`` that makes the calls of the record; None where it does not.

        Args:
            names: what a run looks up.
            x: inputs.
            walk: what to compute at each operation in place of its value, from ``x`` on.
        """
        if self.paths != list(names.submodules.values()) or self.tensors != kinds(names.tensors):
            return None
        if self.graph.parameters != tuple(names.parameters) or self.inputs != kind(x[:1]):
            return None
        try:
            recorder = Recorder(names, [""], x) if walk is None else _Walking(names, x, self, walk)
            run, out = run_recorded(names, x, recorder)
            check_output(out, len(x))
        except NotCovered:
            # Recording it will say so, and where.
            return None
        if run.refs.get(id(out)) != self.output or out.shape[1:] != self.graph.output_shape:
            return None
        return run if self._made_by(run, len(x)) else None

    def _made_by(self, run: Recorder, count: int) -> bool:
        if len(run.calls) != len(self.calls):
            return False
        for old, new, by_sample in zip(self.calls, run.calls, self.by_sample, strict=True):
            if new.shape != ((count, *old.shape[1:]) if by_sample else old.shape) or new.floating != old.floating:
                return False
            if new.function is not old.function and new.function != old.function:
                return False
            if not (fits(old.args, new.args, count) and fits(old.kwargs, new.kwargs, count)):
                return False
        held = {**run.constants, **parts(run, self.fixed)}
        return all(same_numbers(t, held.get(n)) for n, t in self.graph.constants.items())


class _Walking(Recorder):
    """A run in which each operation gives what a walk computes: values of the same shapes, which the module passes on.

    Where a call is not the one that the record has next, what follows is wrong, and the comparison shows it.
    """

    def __init__(self, names: Names, x: Tensor, record: Known, walk: Walk) -> None:
        super().__init__(names, [""], x)
        self.walk, self.operations = walk, record.graph.operations
        self.numbers = {i: j for j, i in enumerate(record.order)}
        self.values: dict[Ref, Any] = {Ref(-1): x}

    def call(self, func: Callable[..., Any], args: Any, kwargs: Any) -> tuple[Any, bool]:
        j = self.numbers.get(len(self.calls))
        if j is None or (func is not self.operations[j].function and func != self.operations[j].function):
            return super().call(func, args, kwargs)
        out = self.values[Ref(j)] = self.walk.step(j, self.operations[j], self.values)
        return out, not torch.is_grad_enabled()


_known: weakref.WeakKeyDictionary[nn.Module, Known] = weakref.WeakKeyDictionary()
"""One for each module that is alive."""


def known(module: nn.Module) -> Known | None:
    """What was kept of a module."""
    return _known.get(module)


def keep(module: nn.Module, record: Known) -> None:
    """Keep a record in place of an earlier one, if its calls alone say that samples do not mix."""
    if apart(record.graph):
        _known[module] = record
    else:
        _known.pop(module, None)


def apart(graph: Graph) -> bool:
    """Whether the calls by themselves say that samples do not mix, and that views of parameters are views.

    Whether a product with a parameter masks it, as `torch.nn.utils.prune` does, depends on numbers.
    """
    moved = all(getattr(op.function, "__name__", "") in VIEWS for op in graph.views.values())
    return graph.alone and moved and all(_keeps_apart(op) for op in graph.operations)


def _keeps_apart(op: Operation) -> bool:
    if op.kind == UNKNOWN or not op.by_sample or not op.floating or any(r.part is not None for r in op.inputs):
        return False
    if op.kind != SHAPE or op.name.rstrip("_") in MOVES:
        return True
    if op.name == "__getitem__":
        index = op.args[1] if isinstance(op.args[1], tuple) else (op.args[1],)
        return all(p is None or p is Ellipsis or type(p) in (int, slice) for p in index)
    # Padding as many axes as there are would move samples.
    return op.name == "pad" and len(op.args) > 1 and len(op.args[1]) < 2 * len(op.shape)


def kind(t: Tensor) -> tuple[Any, ...]:
    """Shape, type and device."""
    return t.shape, t.dtype, t.device


def kinds(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """`kind` of each."""
    return {n: kind(t) for n, t in tensors.items()}


def fits(template: Any, a: Any, count: int) -> bool:
    """Whether an argument is what a template says for ``count`` samples."""
    if isinstance(template, Batch):
        return type(a) is int and a == template.times * count
    if isinstance(template, dict):
        return (
            isinstance(a, dict)
            and template.keys() == a.keys()
            and all(fits(v, a[k], count) for k, v in template.items())
        )
    if isinstance(template, tuple | list):
        alike = isinstance(a, tuple | list) and len(a) == len(template)
        return alike and all(fits(t, b, count) for t, b in zip(template, a, strict=True))
    if isinstance(template, slice):
        return isinstance(a, slice) and fits(_ends(template), _ends(a), count)
    return template is a or (type(template) is type(a) and bool(template == a))


def _ends(s: slice) -> tuple[Any, Any, Any]:
    return s.start, s.stop, s.step


def same_numbers(one: Tensor, other: Tensor | None) -> bool:
    """Whether two tensors hold the same, NaN included."""
    if other is None or one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(one, other) or bool(((one == other) | ((one != one) & (other != other))).all())


__all__ = ["Known", "apart", "fits", "keep", "kinds", "known", "same_numbers"]
