"""The graph of a module from two runs of it: what leads to the output, constants and views of parameters apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from verify.networks.recording.graph import UNKNOWN, Batch, Graph, Named, NotCovered, Operation, Ref
from verify.networks.recording.operations import classify
from verify.networks.recording.recorder import Comparison, Names, Recorder, Start

VIEWS = (
    "t", "transpose", "permute", "view", "reshape", "unsqueeze", "squeeze", "flatten", "__get__", "contiguous",
    "swapaxes", "movedim", "__getitem__",
)  # fmt: skip
"""Calls that put a parameter into another shape, each entry in one place."""


def assembled(start: Start, both: Comparison) -> tuple[Graph, list[int], list[int]]:
    """The graph of what leads to the output, and which calls its operations and its constants are."""
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
    results = {r: t for i in constants for r, t in _parts(i, both.run.results[i])}
    others = {r: _result(r) for r in results} | {Ref(i): n for i, n in named.items()}
    held = {**recorder.constants, **parts(both.run, constants)}
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
    return graph, order, sorted(constants)


def _constants(start: Start, both: Comparison, found: Mapping[int, list[Any]]) -> set[int]:
    """The calls whose results depend on neither the data nor a parameter nor the batch size."""
    out: set[int] = set()
    for i in sorted(found):
        fixed = all(r.index in out if isinstance(r, Ref) else r.name not in start.names.parameters for r in found[i])
        if fixed and i != start.output.index and not _follows_batch(both.templates[i]):
            out.add(i)
    return out


def _views(
    start: Start, both: Comparison, found: Mapping[int, list[Any]], constants: set[int]
) -> dict[int, tuple[str, ...]]:
    """The calls that put one parameter into another shape, or mask it, and that parameter."""
    out: dict[int, tuple[str, ...]] = {}
    for i in sorted(found):
        name, (args, _) = getattr(start.run.calls[i].function, "__name__", ""), both.templates[i]
        data = any(isinstance(r, Ref) and r.index not in out and r.index not in constants for r in found[i])
        bases = _parameters(found[i], start.names, out)
        if data or len(bases) != 1 or i == start.output.index or _follows_batch(both.templates[i]):
            continue
        if not isinstance(both.run.results[i], Tensor):
            continue
        sources = [r for r in found[i] if _parameters([r], start.names, out)]
        moved = name in VIEWS and found[i] == sources[:1] and args[0] == sources[0]
        if (moved and (name != "__getitem__" or _plain_index(args[1]))) or _masked(name, args, sources, start, both):
            out[i] = (bases[0],)
    return out


def _masked(name: str, args: Any, sources: list[Any], start: Start, both: Comparison) -> bool:
    """Whether a call multiplies a parameter by zeros and ones, as `torch.nn.utils.prune` does."""
    if name not in ("mul", "__mul__", "multiply") or len(args) != 2 or sources[0] not in args:
        return False
    mask = args[1] if args[0] == sources[0] else args[0]
    if isinstance(mask, Named):
        value = start.names.tensors.get(mask.name, start.run.constants.get(mask.name))
    else:
        value = both.run.results[mask.index] if isinstance(mask, Ref) else None
    return isinstance(value, Tensor) and bool(((value == 0) | (value == 1)).all())


def _parameters(found: list[Any], names: Names, views: Mapping[int, tuple[str, ...]]) -> list[str]:
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


def _check_indices(start: Start, both: Comparison, found: Mapping[int, list[Any]], constants: set[int]) -> None:
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


def parts(run: Recorder, constants: Iterable[int]) -> dict[str, Tensor]:
    """What the calls that make constants gave in a run, by the names that the graph has for them."""
    return {_result(r): t for i in constants for r, t in _parts(i, run.results[i])}


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
