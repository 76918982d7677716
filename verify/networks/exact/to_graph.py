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
from verify.networks.recording.graph import Graph, Operation, replay
from verify.networks.recording.record import record_for
from verify.networks.recording.walk import Values, Walk
from verify.networks.recording.windows import patches

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


class _Translation(Walk):
    """Values are arrays of unit numbers plus one; 0 is "no unit" (padding)."""

    def __init__(self, graph: Graph, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(graph, tensors)
        self.builder = Builder(inputs=math.prod(graph.input_shape))
        numbers: dict[str, Tensor] = {}
        owners: dict[str, list[int]] = {}
        for name in graph.parameters:
            start = self.builder.parameters
            shape = tuple(tensors[name].shape)
            count = math.prod(shape)
            self.builder.parameters += count
            # Plus one: masked entries, which are no edges, become 0.
            numbers[name] = torch.arange(start + 1, start + count + 1, dtype=torch.float64).reshape(shape)
            owners.setdefault(name.rpartition(".")[0], []).extend(range(start, start + count))
        constants = {n: t for n, t in self.tensors.items() if n not in numbers}
        # Views move the numbers of a parameter's entries like the entries.
        seen = graph.with_views({**constants, **numbers})
        self.numbers = {n: t.numpy() for n, t in seen.items() if graph.base(n) in numbers}
        self.builder.layers = [tuple(v) for v in owners.values()]
        self.slope: Fraction | None = None

    def network(self) -> Network:
        """The network of units."""
        inputs = torch.arange(1, len(self.builder.inputs) + 1, dtype=torch.float64)
        values = self.run(inputs.reshape(1, *self.graph.input_shape))
        outputs = [int(u) - 1 for u in values[self.graph.output].reshape(-1)]
        return self.builder.network(outputs, self.slope if self.slope is not None else Fraction(1, 4))

    def step(self, index: int, op: Operation, values: Values) -> Any:
        """As `Walk.step`, as long as the network is small."""
        out = super().step(index, op, values)
        if len(self.builder.edges) > MAX_EDGES:
            raise ValueError(f"more than {MAX_EDGES} edges: too large to enumerate")
        return out

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
            parameter = int(self.numbers[name][index]) - 1
            if parameter < 0:
                return
        elif name is not None:
            factor *= Fraction(float(self.tensors[name][index]))
        if factor == 0:
            return
        self.builder.connect(int(source) - 1, int(target), parameter, factor)

    def done(self, units: np.ndarray) -> Tensor:
        return torch.as_tensor(units + 1, dtype=torch.float64)

    def layer(self, op: Operation, values: Values) -> Tensor:
        s = op.settings
        shape = tuple(self.tensors[s["weight"]].shape)
        a = values[op.inputs[0]]
        one = self.builder.one + 1 if s["bias"] is not None else 0
        if "stride" in s:
            sources = patches(a, op).numpy()
        else:
            sources = a.reshape(1, 1, -1, a.shape[-1]).mT.numpy()
        turned = bool(s.get("transposed"))
        shape = shape[::-1] if turned else shape
        groups, positions = sources.shape[1], sources.shape[3]
        made = self.units((shape[0], positions))
        for c, p in np.ndindex(*made.shape):
            group = c // (shape[0] // groups)
            for inner, index in enumerate(np.ndindex(*shape[1:])):
                entry = (*index, c) if turned else (c, *index)
                self.edge(sources[0, group, inner, p], made[c, p], s["weight"], entry)
            self.edge(one, made[c, p], s["bias"], (c,))
        return self.done((made if "stride" in s else made.T).reshape(1, *op.shape[1:]))

    def product(self, op: Operation, values: Values) -> Tensor:
        a, weight = values[op.inputs[0]].numpy(), op.settings["weight"]
        made, entries = self.units(a.shape), self._entries(weight, a.shape)
        for index in np.ndindex(*a.shape):
            self.edge(a[index], made[index], weight, entries[index])
        return self.done(made)

    def shift(self, op: Operation, values: Values) -> Tensor:
        a, bias, one = values[op.inputs[0]].numpy(), op.settings["bias"], self.builder.one + 1
        made, entries = self.units(a.shape), self._entries(bias, a.shape)
        first, second = op.settings.get("signs", (1.0, 1.0))
        for index in np.ndindex(*a.shape):
            self.edge(a[index], made[index], factor=Fraction(first))
            self.edge(one, made[index], bias, entries[index], Fraction(second))
        return self.done(made)

    def unknown(self, op: Operation, values: Values) -> Tensor:
        """Numbers made for a batch are edges from the constant."""
        numbers, one = super().unknown(op, values).numpy(), self.builder.one + 1
        made = self.units(numbers.shape)
        for index in np.ndindex(*numbers.shape):
            self.edge(one, made[index], factor=Fraction(float(numbers[index])))
        return self.done(made)

    def _entries(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Which entry of a tensor stands at each place that it is broadcast to."""
        own = tuple(self.tensors[name].shape)
        out = np.empty(own, dtype=object)
        for index in np.ndindex(*own):
            out[index] = index
        return np.broadcast_to(out, shape)

    def normalisation(self, op: Operation, values: Values) -> Tensor:
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

    def gate(self, op: Operation, values: Values) -> Tensor:
        slope = Fraction(op.settings["slope"])
        if slope and self.slope not in (None, slope):
            raise ValueError(f"{op.label}: leaky units of two different slopes")
        self.slope = slope or self.slope
        a = values[op.inputs[0]].numpy()
        made = self.units(a.shape, LEAKY if slope else RELU)
        for index in np.ndindex(*a.shape):
            self.edge(a[index], made[index])
        return self.done(made)

    def maximum(self, op: Operation, values: Values) -> Tensor:
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

    def average(self, op: Operation, values: Values) -> Tensor:
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

    def add(self, op: Operation, values: Values) -> Tensor:
        terms = op.settings["terms"] * (2 if len(op.settings["terms"]) == 1 else 1)
        signs = op.settings.get("signs", (1.0,) * len(terms))
        made = self.units((1, *op.shape[1:]))
        for index in np.ndindex(*made.shape):
            for r, sign in zip(terms, signs, strict=True):
                self.edge(values[r][index], made[index], factor=Fraction(sign))
        return self.done(made)

    def scale(self, op: Operation, values: Values) -> Tensor:
        a = values[op.inputs[0]].numpy()
        made = self.units(a.shape)
        for index in np.ndindex(*a.shape):
            self.edge(a[index], made[index], factor=Fraction(op.settings["factor"]))
        return self.done(made)
