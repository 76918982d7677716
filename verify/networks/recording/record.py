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
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from verify.networks.recording.assemble import assembled
from verify.networks.recording.checks import alike, check_alone, check_inputs, check_module, check_output
from verify.networks.recording.graph import Batch, Graph, NotCovered, Ref, in_place, store
from verify.networks.recording.known import Known, keep, kind, kinds, known, same_numbers
from verify.networks.recording.recorder import Call, Comparison, Names, Recorder, Start, run_recorded
from verify.networks.recording.walk import Walk

AnyWalk = TypeVar("AnyWalk", bound=Walk)
CHANGES = "calls other operations for other data: its operations change with the data, a static graph is needed"


def record(module: nn.Module, x: Tensor) -> Graph:
    """The operations that ``module`` performs on inputs like ``x``, in evaluation mode.

    Args:
        module: the module; its modes, parameters and buffers are left as they were.
        x: example input, samples first.

    Raises:
        NotCovered: the module does not return one tensor with the samples first, its operations change with the
            data, or a record of its calls would not be what it does.
    """
    return record_and_run(module, x, 0)[0]


def record_and_run(
    module: nn.Module, x: Tensor, limit: int, *, once: bool = False
) -> tuple[Graph, dict[Ref, Tensor] | None]:
    """`record`, and the value of every operation on ``x`` if a run for the record can be on all of ``x``.

    Args:
        module: the module.
        x: inputs.
        limit: bytes that the largest result may take on all of ``x``, once for each output; with ``once``, bytes
            that all results may take together.
        once: see ``limit``.

    Returns:
        The record, and what `Graph.run` would return; None if it was not had on the way: the limit, an operation
        that writes to its argument, or a first recording with a batch of two.

    Raises:
        NotCovered: as `record`.
    """
    names, before, x = Names(module, x), known(module), x.detach()
    if before is not None:
        whole = _fits(before.calls, before.graph.output_shape, x, limit, once)
        run = before.again(names, x if whole else x[:1])
        if run is not None:
            return before.graph, _values(x, run, before.order) if whole else None
    start = _first(names, x)
    whole = len(x) != 2 and _fits(start.run.calls, start.shape, x, limit, once)
    try:
        both = _compared(start, x) if whole else None
    except ValueError:
        # It may be this number of samples, one say, that the module treats differently.
        both = None
    if both is None:
        whole, both = False, _compared(start, x[torch.tensor([0, 1 % len(x), len(x) - 1])])
    graph, order, constants = assembled(start, both)
    pairs = zip(start.run.calls, both.templates, strict=True)
    calls = [replace(c, args=args, kwargs=kwargs) for c, (args, kwargs) in pairs]
    paths, inputs = list(names.submodules.values()), kind(x[:1])
    found = Known(graph, order, calls, both.by_sample, start.output, constants, kinds(names.tensors), paths, inputs)
    keep(module, found)
    return graph, _values(x, both.run, order) if whole else None


def record_and_walk(
    module: nn.Module, x: Tensor, start: Tensor, walk: Callable[[Graph], AnyWalk]
) -> tuple[AnyWalk, Tensor]:
    """A walk over the record, and its value at the output; where a record is kept, the run that checks it is the walk.

    Args:
        module: the module.
        x: example input, samples first.
        start: the value of the input of one sample, (1, ...), of the type of ``x``.
        walk: makes the walk, whose values have the shapes of the operations' results.

    Raises:
        NotCovered: as `record_for`, and what ``walk`` raises.
    """
    before = known(module)
    if before is not None and not any(in_place(c.function, c.kwargs) for c in before.calls):
        made = walk(before.graph)
        run = before.again(Names(module, x), start, made)
        if run is not None:
            return made, run.results[before.output.index]
    graph = record_for(module, x)
    made = walk(graph)
    return made, made.at_output(start)


def _fits(calls: Sequence[Call], outputs: Sequence[int], x: Tensor, limit: int, once: bool) -> bool:
    """Whether all results of ``calls`` may be had on all of ``x``, see `record_and_run`."""
    shapes = [math.prod(c.shape[1:]) for c in calls]
    numbers = sum(shapes) if once else math.prod(outputs) * max(shapes, default=0)
    return x.element_size() * len(x) * numbers <= limit and not any(in_place(c.function, c.kwargs) for c in calls)


def _values(x: Tensor, run: Recorder, order: Sequence[int]) -> dict[Ref, Tensor]:
    """The value of every operation of the graph in a run on ``x``."""
    values: dict[Ref, Tensor] = {Ref(-1): x}
    for j, i in enumerate(order):
        store(values, j, run.results[i])
    return values


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


def _first(names: Names, x: Tensor) -> Start:
    """Run on two samples that the second run meets again, in other company: the last one, and of several the second.

    Where there is no such second sample, another that the module has not seen takes its place.
    """
    several = len(x) > 2
    run, out = run_recorded(names, torch.stack([x[-1], x[1] if several else -x[0]]))
    check_output(out, 2)
    if id(out) not in run.refs:
        raise NotCovered("", "its output", "does not come from torch operations on its input")
    start = Start(names, run, run.refs[id(out)], tuple(out.shape[1:]), out.detach()[: 1 + several].clone())
    # Its values make room for those of the second run.
    run.results.clear()
    run.alive.clear()
    return start


def _compared(start: Start, x: Tensor) -> Comparison:
    """A second run on ``x``, and what it has in common with the first."""
    first, count = start.run, len(x)
    second, out = run_recorded(start.names, x)
    check_output(out, count)
    if len(first.calls) != len(second.calls):
        raise NotCovered("", "", CHANGES)
    templates = []
    for a, b in zip(first.calls, second.calls, strict=True):
        if (a.function is not b.function and a.function != b.function) or a.where != b.where:
            raise NotCovered(a.where, "", CHANGES)
        templates.append((_merge(a.args, b.args, a.where, count), _merge(a.kwargs, b.kwargs, a.where, count)))
    for name, constant in first.constants.items():
        if not same_numbers(constant, second.constants.get(name)):
            raise NotCovered("", name, "that forward makes or takes from elsewhere changes with the data")
    pairs = zip(first.calls, second.calls, strict=True)
    by_sample = [a.shape[:1] == (2,) and b.shape[:1] == (count,) for a, b in pairs]
    again = out.detach()[[-1, 1][: len(start.shared)]]
    return Comparison(templates, by_sample, alike(start.shared, again), second)


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
