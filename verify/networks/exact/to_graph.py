"""A small torch module as an exact network of `theory.networks`, unit by unit.

This is how the fast side is compared with the enumeration, and how every claim about paths can run on a
tiny module in exact rationals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from theory.networks import LEAKY, MAX, RELU, Builder, Network
from theory.networks import LINEAR as LINEAR_UNIT
from theory.paths import NetworkOnData
from theory.scalars import exact
from verify.networks.ntk.adjoints import patches
from verify.networks.ntk.trace import record_for
from verify.networks.recording.record import (
    ADD,
    AVERAGE,
    CONVOLUTION,
    GATE,
    LINEAR,
    MAXIMUM,
    NORMALISATION,
    SCALE,
    SHAPE,
    Graph,
    Operation,
    Ref,
    replay,
    store,
)

MAX_EDGES = 5_000


def network_on_data(module: nn.Module, x: Tensor, graph: Graph | None = None) -> NetworkOnData:
    """The module on its inputs as an exact instance (the binary values of its numbers, as rationals).

    Raises:
        ValueError: an operation that is not piecewise linear, or more than `MAX_EDGES` edges.
    """
    graph = record_for(module, x) if graph is None else graph
    network, theta = to_network(graph, graph.tensors(module, torch.float64))
    return NetworkOnData(network, theta, exact(x.detach().double().reshape(len(x), -1).numpy()))


def to_network(graph: Graph, tensors: Mapping[str, Tensor]) -> tuple[Network, np.ndarray]:
    """The units and edges of a recorded module, and its parameters as rationals.

    Parameters stand in the order of the module's ``named_parameters``, each in row-major order.
    """
    made = _Translation(graph, tensors)
    return made.network(), exact(np.concatenate([tensors[n].numpy().ravel() for n in graph.parameters]))


class _Translation:
    """Values are arrays of unit numbers plus one; 0 is "no unit" (padding)."""

    def __init__(self, graph: Graph, tensors: Mapping[str, Tensor]) -> None:
        self.graph, self.tensors = graph, tensors
        self.builder = Builder(inputs=math.prod(graph.input_shape))
        self.numbers: dict[str, np.ndarray] = {}
        owners: dict[str, list[int]] = {}
        for name in graph.parameters:
            start = self.builder.parameters
            shape = tuple(tensors[name].shape)
            count = math.prod(shape)
            self.builder.parameters += count
            self.numbers[name] = np.arange(start, start + count).reshape(shape)
            owners.setdefault(name.rpartition(".")[0], []).extend(range(start, start + count))
        self.builder.layers = [tuple(v) for v in owners.values()]
        self.slope: Fraction | None = None

    def network(self) -> Network:
        inputs = torch.arange(1, len(self.builder.inputs) + 1, dtype=torch.float64)
        values: dict[Ref, Tensor] = {Ref(-1): inputs.reshape(1, *self.graph.input_shape)}
        for i, op in enumerate(self.graph.operations):
            store(values, i, self.step(op, values))
            if len(self.builder.edges) > MAX_EDGES:
                raise ValueError(f"more than {MAX_EDGES} edges: too large to enumerate")
        outputs = [int(u) - 1 for u in values[self.graph.output].reshape(-1)]
        return self.builder.network(outputs, self.slope if self.slope is not None else Fraction(1, 4))

    def step(self, op: Operation, values: dict[Ref, Tensor]) -> Any:
        if op.kind == SHAPE or (not op.inputs and not op.parameters):
            return replay(op, self.tensors, values, 1)
        rule = {
            LINEAR: self.layer, CONVOLUTION: self.layer, NORMALISATION: self.normalisation, GATE: self.gate,
            MAXIMUM: self.maximum, AVERAGE: self.average, ADD: self.add, SCALE: self.scale,
        }.get(op.kind)  # fmt: skip
        if rule is None:
            raise ValueError(f"{op.label} is not piecewise linear, or not understood")
        return rule(op, values)

    def units(self, shape: tuple[int, ...], kind: str = LINEAR_UNIT) -> np.ndarray:
        made = np.empty(shape, dtype=int)
        for index in np.ndindex(*shape):
            made[index] = self.builder.unit(kind)
        return made

    def edge(self, source: Any, target: Any, name: str | None = None, index: Any = (), factor: Any = 1) -> None:
        """An edge from a unit number plus one (nothing for 0), of value ``factor * tensor[index]``."""
        if int(source) == 0:
            return
        parameter = None
        factor = Fraction(factor)
        if name is not None and name in self.numbers:
            parameter = int(self.numbers[name][index])
        elif name is not None:
            factor *= Fraction(float(self.tensors[name][index]))
        self.builder.connect(int(source) - 1, int(target), parameter, factor)

    def done(self, units: np.ndarray) -> Tensor:
        return torch.as_tensor(units + 1, dtype=torch.float64)

    def layer(self, op: Operation, values: dict[Ref, Tensor]) -> Tensor:
        s = op.settings
        shape = tuple(self.tensors[s["weight"]].shape)
        a = values[op.inputs[0]]
        one = self.builder.one + 1 if s["bias"] is not None else 0
        if op.kind == LINEAR:
            sources = a.reshape(1, 1, -1, a.shape[-1]).mT.numpy()
        else:
            sources = patches(a, op).numpy()
        groups, positions = sources.shape[1], sources.shape[3]
        made = self.units((shape[0], positions))
        for c, p in np.ndindex(*made.shape):
            group = c // (shape[0] // groups)
            for inner, index in enumerate(np.ndindex(*shape[1:])):
                self.edge(sources[0, group, inner, p], made[c, p], s["weight"], (c, *index))
            self.edge(one, made[c, p], s["bias"], (c,))
        if op.kind == LINEAR:
            return self.done(made.T.reshape(1, *op.shape[1:]))
        return self.done(made.reshape(1, *op.shape[1:]))

    def normalisation(self, op: Operation, values: dict[Ref, Tensor]) -> Tensor:
        s, a = op.settings, values[op.inputs[0]].numpy()
        one = self.builder.one + 1
        made = self.units(a.shape)
        mean, variance = self.tensors[s["mean"]], self.tensors[s["variance"]] + s["eps"]
        for index in np.ndindex(*a.shape):
            c = index[1]
            inverse = Fraction(1.0 / math.sqrt(float(variance[c])))
            self.edge(a[index], made[index], s["weight"], (c,), inverse)
            if float(mean[c]) != 0:
                self.edge(one, made[index], s["weight"], (c,), -Fraction(float(mean[c])) * inverse)
            if s["bias"] is not None:
                self.edge(one, made[index], s["bias"], (c,))
        return self.done(made)

    def gate(self, op: Operation, values: dict[Ref, Tensor]) -> Tensor:
        slope = Fraction(op.settings["slope"])
        if slope and self.slope not in (None, slope):
            raise ValueError(f"{op.label}: leaky units of two different slopes")
        self.slope = slope or self.slope
        a = values[op.inputs[0]].numpy()
        made = self.units(a.shape, LEAKY if slope else RELU)
        for index in np.ndindex(*a.shape):
            self.edge(a[index], made[index])
        return self.done(made)

    def maximum(self, op: Operation, values: dict[Ref, Tensor]) -> Tensor:
        s, a = op.settings, values[op.inputs[0]].numpy()
        made = self.units((1, *op.shape[1:]), MAX)
        for index in np.ndindex(*made.shape):
            for offset in np.ndindex(*s["window"]):
                at = [
                    i * stride - padding + o * dilation
                    for i, stride, padding, o, dilation in zip(
                        index[2:], s["stride"], s["padding"], offset, s["dilation"], strict=True
                    )
                ]
                if all(0 <= i < n for i, n in zip(at, a.shape[2:], strict=True)):
                    self.edge(a[(*index[:2], *at)], made[index])
        return self.done(made)

    def average(self, op: Operation, values: dict[Ref, Tensor]) -> Tensor:
        a = values[op.inputs[0]]
        count = a.numel()
        basis = torch.eye(count, dtype=torch.float64).reshape(count, *a.shape[1:])
        response = replay(op, self.tensors, {op.inputs[0]: basis}, count)
        sources, made = a.reshape(-1), self.units((1, *op.shape[1:]))
        for index in np.ndindex(*made.shape):
            for j in range(count):
                share = float(response[(j, *index[1:])])
                if share:
                    # Shares are reciprocals of integers that float64 rounds; this is the integer meant.
                    self.edge(sources[j], made[index], factor=Fraction(1, round(1 / share)))
        return self.done(made)

    def add(self, op: Operation, values: dict[Ref, Tensor]) -> Tensor:
        terms = op.settings["terms"] * (2 if len(op.settings["terms"]) == 1 else 1)
        signs = op.settings.get("signs", (1.0,) * len(terms))
        made = self.units((1, *op.shape[1:]))
        for index in np.ndindex(*made.shape):
            for r, sign in zip(terms, signs, strict=True):
                self.edge(values[r][index], made[index], factor=Fraction(sign))
        return self.done(made)

    def scale(self, op: Operation, values: dict[Ref, Tensor]) -> Tensor:
        a = values[op.inputs[0]].numpy()
        made = self.units(a.shape)
        for index in np.ndindex(*a.shape):
            self.edge(a[index], made[index], factor=Fraction(op.settings["factor"]))
        return self.done(made)
