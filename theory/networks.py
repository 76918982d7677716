"""Piecewise-linear networks as graphs of units, over any scalar type.

A network is a directed acyclic graph. Its units are inputs, one constant unit, hidden units and
outputs; its edges carry a parameter (possibly shared by several edges, as in a convolution), a
constant factor, or both. Everything the papers need is built from that: linear maps, biases (edges
from the constant unit), ReLU and leaky ReLU, additions and skip connections (edges of weight 1),
average pools (edges of weight 1/window), max pools (units that let their largest input through),
normalisation in evaluation mode (an edge with a scale, and an edge from the constant unit).

`forward` evaluates; `jacobian` differentiates by reverse accumulation through the same gates. Neither
enumerates paths, so `theory.paths` and this module check each other.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache, partial
from typing import Any, Self

import numpy as np

from theory import reading
from theory.instances import Instance, array, shown
from theory.scalars import Array, exact, indicator, is_exact, rational, text, zeros

INPUT, ONE, LINEAR, RELU, LEAKY, MAX = "input", "one", "linear", "relu", "leaky", "max"
KINDS = (INPUT, ONE, LINEAR, RELU, LEAKY, MAX)


@dataclass(frozen=True)
class Edge:
    """An edge between units, of value ``factor * theta[parameter]`` (``factor`` alone if it has none).

    ``factor`` is a string such as "1" or "1/4", exact and hashable.
    """

    source: int
    target: int
    parameter: int | None
    factor: str = "1"


@dataclass(frozen=True)
class Network:
    """The structure of a network: units in topological order, and edges.

    Attributes:
        units: the kind of each unit; every edge goes from a lower to a higher index.
        edges: the edges.
        outputs: the output units.
        layers: parameter indices grouped as the layers of the architecture (for layerwise masking,
            layer collapse and tables); together they are 0..N-1.
        slope: slope of leaky ReLU below zero, an exact string.

    Raises:
        ValueError: an edge that goes backwards, an unknown kind, parameters that are in no layer.
    """

    units: tuple[str, ...]
    edges: tuple[Edge, ...]
    outputs: tuple[int, ...]
    layers: tuple[tuple[int, ...], ...]
    slope: str = "1/4"

    def __post_init__(self) -> None:
        for u in self.units:
            if u not in KINDS:
                raise ValueError(f"unknown unit {u!r}; known: {', '.join(KINDS)}")
        for e in self.edges:
            if not 0 <= e.source < e.target < len(self.units):
                raise ValueError(f"edge {e.source} -> {e.target} does not go forward among {len(self.units)} units")
            if self.units[e.target] in (INPUT, ONE):
                raise ValueError(f"edge {e.source} -> {e.target} ends in an {self.units[e.target]} unit")
        used = sorted({e.parameter for e in self.edges if e.parameter is not None})
        if sorted(j for layer in self.layers for j in layer) != list(range(self.parameters)):
            raise ValueError(f"layers {self.layers} do not number the parameters 0..{self.parameters - 1} once each")
        for j in used:
            if not 0 <= j < self.parameters:
                raise ValueError(f"edge parameter {j} is in no layer")
        for o in self.outputs:
            if not 0 <= o < len(self.units):
                raise ValueError(f"output {o} is not a unit")

    @cached_property
    def _hash(self) -> int:
        return hash((self.units, self.edges, self.outputs, self.layers, self.slope))

    def __hash__(self) -> int:
        return self._hash  # computed once: everything that is enumerated is cached by network

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: hashes of strings differ between processes."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    @cached_property
    def parameters(self) -> int:
        """Number of parameters N."""
        return sum(len(layer) for layer in self.layers)

    @cached_property
    def inputs(self) -> tuple[int, ...]:
        """The input units."""
        return tuple(i for i, kind in enumerate(self.units) if kind == INPUT)

    @cached_property
    def incoming(self) -> tuple[tuple[int, ...], ...]:
        """For each unit, the indices of the edges into it."""
        into: list[list[int]] = [[] for _ in self.units]
        for i, e in enumerate(self.edges):
            into[e.target].append(i)
        return tuple(map(tuple, into))

    def describe(self) -> str:
        """Short description: counts of units of each kind."""
        counts = {k: self.units.count(k) for k in KINDS if k in self.units}
        return f"{self.parameters} weights, " + ", ".join(f"{n} {k}" for k, n in counts.items())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "units": list(self.units),
            "edges": [[e.source, e.target, e.parameter, e.factor] for e in self.edges],
            "outputs": list(self.outputs),
            "layers": [list(layer) for layer in self.layers],
            "slope": self.slope,
        }

    @staticmethod
    def from_json(data: Any) -> Network:
        """The network that `to_json` wrote.

        Raises:
            ValueError: it is no network, or one without units, without outputs or with an empty layer.
        """
        read = reading.fields(data, [f.name for f in dataclasses.fields(Network)], "network")
        if type(read["edges"]) is not list:
            raise ValueError(f"edges: expected a list, found {reading.brief(read['edges'])}")
        edges = tuple(Edge(*reading.typed(e, tuple[int, int, int | None, str])) for e in read["edges"])
        for factor in (*(e.factor for e in edges), read["slope"]):
            reading.number(factor)
        layers = reading.typed(read["layers"], tuple[tuple[int, ...], ...])
        outputs = reading.typed(read["outputs"], tuple[int, ...])
        if not outputs:
            raise ValueError("a network has at least one output")
        if not all(layers):
            raise ValueError("a layer without parameters")
        return Network(reading.typed(read["units"], tuple[str, ...]), edges, outputs, layers, read["slope"])


class Builder:
    """Builds a `Network` unit by unit.

    >>> b = Builder(inputs=2)
    >>> h = b.dense(b.inputs, 1, kind="relu")
    >>> net = b.network(outputs=b.dense(h, 1))
    """

    def __init__(self, inputs: int) -> None:
        self.units: list[str] = [INPUT] * inputs
        self.edges: list[Edge] = []
        self.layers: list[tuple[int, ...]] = []
        self.inputs = tuple(range(inputs))
        self.parameters = 0
        self._one: int | None = None

    @property
    def one(self) -> int:
        """The constant unit."""
        if self._one is None:
            self._one = self.unit(ONE)
        return self._one

    def unit(self, kind: str) -> int:
        """A new unit."""
        self.units.append(kind)
        return len(self.units) - 1

    def new_parameters(self, count: int) -> tuple[int, ...]:
        """A new layer of ``count`` parameters."""
        made = tuple(range(self.parameters, self.parameters + count))
        self.parameters += count
        self.layers.append(made)
        return made

    def connect(self, source: int, target: int, parameter: int | None = None, factor: Any = 1) -> None:
        """An edge."""
        self.edges.append(Edge(source, target, parameter, str(Fraction(factor))))

    def dense(self, sources: Sequence[int], width: int, *, kind: str = LINEAR, bias: bool = False) -> tuple[int, ...]:
        """A dense layer: weights in row-major order (unit by unit), then biases, one layer of parameters."""
        one = self.one if bias else None
        made = tuple(self.unit(kind) for _ in range(width))
        weights = self.new_parameters(width * len(sources) + (width if bias else 0))
        for i, u in enumerate(made):
            for j, s in enumerate(sources):
                self.connect(s, u, weights[i * len(sources) + j])
        if one is not None:
            for i, u in enumerate(made):
                self.connect(one, u, weights[width * len(sources) + i])
        return made

    def convolution(self, sources: Sequence[int], kernel: int, *, kind: str = LINEAR) -> tuple[int, ...]:
        """A one-channel convolution over positions, stride 1, no padding: weights shared by positions."""
        weights = self.new_parameters(kernel)
        made = tuple(self.unit(kind) for _ in range(len(sources) - kernel + 1))
        for p, u in enumerate(made):
            for k in range(kernel):
                self.connect(sources[p + k], u, weights[k])
        return made

    def scale(self, sources: Sequence[int], *, kind: str = LINEAR, factor: Any = 1) -> tuple[int, ...]:
        """Normalisation in evaluation mode: each unit scaled by ``factor * gamma_i`` and shifted by ``beta_i``."""
        one = self.one
        made = tuple(self.unit(kind) for _ in sources)
        parameters = self.new_parameters(2 * len(sources))
        for i, (s, u) in enumerate(zip(sources, made, strict=True)):
            self.connect(s, u, parameters[i], factor)
            self.connect(one, u, parameters[len(sources) + i])
        return made

    def add(self, a: Sequence[int], b: Sequence[int], *, kind: str = LINEAR) -> tuple[int, ...]:
        """Elementwise sum of two groups of units (a skip connection)."""
        made = tuple(self.unit(kind) for _ in a)
        for u, s, t in zip(made, a, b, strict=True):
            self.connect(s, u)
            self.connect(t, u)
        return made

    def pool(self, sources: Sequence[int], window: int, *, kind: str = MAX) -> tuple[int, ...]:
        """Pools over consecutive windows: MAX lets the largest through, LINEAR averages."""
        made = []
        for start in range(0, len(sources) - window + 1, window):
            u = self.unit(kind)
            for s in sources[start : start + window]:
                self.connect(s, u, None, 1 if kind == MAX else Fraction(1, window))
            made.append(u)
        return tuple(made)

    def network(self, outputs: Sequence[int], slope: Any = "1/4") -> Network:
        """The finished network."""
        return Network(tuple(self.units), tuple(self.edges), tuple(outputs), tuple(self.layers), str(Fraction(slope)))


@dataclass(frozen=True, eq=False)
class NetworkInstance(Instance):
    """Base of the settings that hold a network and its weights ``theta`` (..., N).

    Raises:
        ValueError: ``theta`` does not fit the network.
    """

    network: Network
    theta: Array = array(1)

    def __post_init__(self) -> None:
        if np.shape(self.theta)[-1:] != (self.network.parameters,):
            raise ValueError(
                f"theta has shape {np.shape(self.theta)}, the network {self.network.parameters} parameters"
            )

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The instance that `to_json` wrote; inputs ``x``, where the setting has any, fit the network.

        Raises:
            ValueError: see `Instance.from_json`.
        """
        made = super().from_json(data)
        x, inputs = getattr(made, "x", None), len(made.network.inputs)
        if x is not None and (x.shape[0] == 0 or x.shape[1] != inputs):
            raise ValueError(f"{cls.__name__}: x has shape {x.shape}; expected (samples, {inputs})")
        return made

    @classmethod
    def read_field(cls, name: str, value: object) -> object:
        """Networks are read by `Network.from_json`."""
        return Network.from_json(value) if name == "network" else super().read_field(name, value)

    def structure_size(self) -> tuple[int, ...]:
        """Parameters, units, edges."""
        return (self.network.parameters, len(self.network.units), len(self.network.edges))

    def summary(self) -> str:
        """The network as equations, then the other fields."""
        if self.stacked:
            return super().summary()
        rest = [
            f"{f.name} = {shown(value) if 'axes' in f.metadata else value}"
            for f in dataclasses.fields(self)
            if f.name not in ("network", "theta") and (value := getattr(self, f.name)) is not None
        ]
        return "; ".join([equations(self.network, exact(self.theta)), *rest])


def mlp(widths: Sequence[int], *, kind: str = RELU, bias: bool = False) -> Network:
    """A fully connected network ``widths[0]-...-widths[-1]`` with a linear last layer.

    Raises:
        ValueError: fewer than two widths, or one below 1.
    """
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"an MLP needs at least two widths, each at least 1; got {list(widths)}")
    b = Builder(widths[0])
    h = b.inputs
    for i, width in enumerate(widths[1:], 1):
        h = b.dense(h, width, kind=kind if i < len(widths) - 1 else LINEAR, bias=bias)
    return b.network(h)


def equations(network: Network, theta: Array) -> str:
    """A single network as equations a person can check: ``h1 = relu(-3 x1 + 2 x2), y1 = h1``.

    Inputs are x1.., outputs y1.., other units h1... A parameter on several edges is named, and its value stands in
    front: ``w1 = 2, h1 = relu(w1 x1), y1 = w1 h1``.
    """
    names: dict[int, str] = {u: f"x{i + 1}" for i, u in enumerate(network.inputs)}
    outputs = set(network.outputs)
    hidden = [u for u, kind in enumerate(network.units) if kind not in (INPUT, ONE) and u not in outputs]
    names.update({u: f"h{i + 1}" for i, u in enumerate(hidden)})
    names.update({u: f"y{k + 1}" for k, u in enumerate(network.outputs) if u not in names})
    values = edge_values(network, theta)
    uses = Counter(e.parameter for e in network.edges if e.parameter is not None)
    shared = {j: f"w{n + 1}" for n, j in enumerate(sorted(j for j, count in uses.items() if count > 1))}
    lines = [f"{name} = {text(theta[j])}" for j, name in shared.items()]
    for u, kind in enumerate(network.units):
        if kind in (INPUT, ONE):
            continue
        terms = []
        for i in network.incoming[u]:
            e = network.edges[i]
            source, value = e.source, text(values[i])
            if e.parameter in shared:
                value = shared[e.parameter] if e.factor == "1" else f"{e.factor} {shared[e.parameter]}"
            if network.units[source] == ONE:
                terms.append(value)
            else:
                terms.append(names[source] if value == "1" else f"{value} {names[source]}")
        inside = (", " if kind == MAX else " + ").join(terms) or "0"
        lines.append(f"{names[u]} = {inside}" if kind == LINEAR else f"{names[u]} = {kind}({inside})")
    if LEAKY in network.units:
        lines.append(f"leaky slope {network.slope}")
    return ", ".join(lines)


def edge_values(network: Network, theta: Array) -> list[Any]:
    """The value of each edge; entries of shape ``theta.shape[:-1]`` (scalars for a single instance)."""
    exactly = is_exact(theta)
    out = []
    for e in network.edges:
        factor = factor_of(e.factor, exactly)
        if e.parameter is None:
            out.append(zeros(theta.shape[:-1], theta) + factor)
        else:
            value = theta[..., e.parameter][()]
            out.append(value if e.factor == "1" else value * factor)
    return out


@lru_cache(maxsize=1024)
def factor_of(written: str, exactly: bool) -> Any:
    """A constant factor of an edge, or a slope, as a rational or as a float64."""
    return rational(written) if exactly else float(Fraction(written))


@dataclass(frozen=True)
class Forward:
    """What one evaluation of a network leaves behind.

    Attributes:
        pre: for each unit, its pre-activation, shape (..., n) (None for inputs and the constant unit).
        values: for each unit, its value, shape (..., n).
        edge_gates: for each edge, the gate of its target as this edge sees it, shape (..., n): for
            ReLU 1 if the pre-activation is positive, else 0 (leaky: the slope); for a linear unit 1;
            for a max unit 1 on the first largest input, else 0.
        outputs: shape (..., n, K).
        kinks: for each ReLU and each maximum, what tells where it is on a kink, bool (..., n).
    """

    pre: tuple[Any, ...]
    values: tuple[Any, ...]
    edge_gates: tuple[Any, ...]
    outputs: Array
    kinks: tuple[Callable[[], np.ndarray], ...]

    @cached_property
    def on_kink(self) -> Any:
        """Bool, shape (...): some pre-activation of a ReLU is exactly 0, or a maximum is tied. Compared when asked."""
        out = np.zeros(self.outputs.shape[:-2], dtype=bool)
        for kink in self.kinks:
            out = out | np.asarray(kink(), dtype=bool).any(axis=-1)
        return out


def forward(network: Network, theta: Array, x: Array, gates: Sequence[Any] | None = None) -> Forward:
    """Evaluate on inputs ``x`` of shape (..., n, d) with parameters ``theta`` of shape (..., N).

    Args:
        network: the structure.
        theta: parameters.
        x: inputs.
        gates: edge gates to use instead of computing them (the network is then linear).

    Raises:
        ValueError: ``theta`` or ``x`` do not fit the network; there are no samples.
    """
    _check(network, theta, x)
    values_of_edges = edge_values(network, theta)
    shape = np.broadcast_shapes(theta.shape[:-1], x.shape[:-2]) + x.shape[-2:-1]
    pre: list[Any] = [None] * len(network.units)
    values: list[Any] = [None] * len(network.units)
    edge_gates: list[Any] = [None] * len(network.edges)
    kinks: list[Callable[[], np.ndarray]] = []
    seen = 0
    for u, kind in enumerate(network.units):
        if kind == INPUT:
            values[u] = np.broadcast_to(x[..., seen], shape)
            seen += 1
            continue
        if kind == ONE:
            values[u] = zeros(shape, theta) + 1
            continue
        into = network.incoming[u]
        arriving = [np.asarray(values_of_edges[i])[..., None] * values[network.edges[i].source] for i in into]
        z = sum(arriving[1:], arriving[0]) if arriving else zeros(shape, theta)
        if kind == MAX and arriving:
            z, own = _largest(arriving, theta)
            kinks.append(partial(_tied, arriving, z))
        else:
            own = [_gate(kind, z, theta, network.slope)] * len(into)
            if kind in (RELU, LEAKY):
                kinks.append(partial(np.equal, z, 0))
        if gates is None:
            pre[u] = z
            values[u] = z if kind == MAX or not into else own[0] * z
            for i, g in zip(into, own, strict=True):
                edge_gates[i] = g
        else:
            gated = [gates[i] * a for i, a in zip(into, arriving, strict=True)]
            pre[u] = values[u] = sum(gated[1:], gated[0]) if gated else z
            for i in into:
                edge_gates[i] = gates[i]
    outputs = np.stack([values[o] for o in network.outputs], axis=-1)
    return Forward(tuple(pre), tuple(values), tuple(edge_gates), outputs, tuple(kinks))


def _gate(kind: str, z: Any, like: Array, slope: str) -> Any:
    if kind not in (RELU, LEAKY):
        return indicator(np.ones(np.shape(z), dtype=bool), like)
    on = indicator(z > 0, like)
    if kind == RELU:
        return on
    return on + (1 - on) * factor_of(slope, is_exact(like))


def _largest(arriving: list[Any], like: Array) -> tuple[Any, list[Any]]:
    """The largest, and the gate of each: 1 on the first of the largest, else 0."""
    best, first = arriving[0], np.zeros(np.shape(arriving[0]), dtype=int)
    for i, a in enumerate(arriving[1:], 1):
        larger = np.asarray(a > best, dtype=bool)
        best, first = np.where(larger, a, best), np.where(larger, i, first)
    return best, [indicator(first == i, like) for i in range(len(arriving))]


def _tied(arriving: list[Any], best: Any) -> np.ndarray:
    return np.asarray(sum(np.asarray(a == best, dtype=int) for a in arriving) > 1)


def jacobian(network: Network, theta: Array, run: Forward) -> Array:
    """Derivative of every output at every sample by every parameter, shape (..., n, K, N).

    Reverse accumulation with the gates of ``run``: the formal derivative, which is the derivative
    wherever no pre-activation is exactly 0.
    """
    values_of_edges = edge_values(network, theta)
    exactly = is_exact(theta)
    shape = run.outputs.shape[:-1]
    out = zeros((*shape, len(network.outputs), network.parameters), theta)
    for k, output in enumerate(network.outputs):
        adjoint: list[Any] = [None] * len(network.units)  # None: no path from there to this output
        adjoint[output] = 1
        for u in reversed(range(output + 1)):
            if adjoint[u] is None:
                continue
            for i in network.incoming[u]:
                e = network.edges[i]
                passed = adjoint[u] * run.edge_gates[i]
                if e.parameter is not None:
                    part = passed * run.values[e.source]
                    part = part if e.factor == "1" else part * factor_of(e.factor, exactly)
                    out[..., k, e.parameter] = out[..., k, e.parameter] + part
                if network.units[e.source] not in (INPUT, ONE):
                    arriving = passed * np.asarray(values_of_edges[i])[..., None]
                    before = adjoint[e.source]
                    adjoint[e.source] = arriving if before is None else before + arriving
    return out


def _check(network: Network, theta: Array, x: Array) -> None:
    if theta.shape[-1:] != (network.parameters,):
        raise ValueError(
            f"theta has {theta.shape[-1] if theta.ndim else 'no'} parameters, the network {network.parameters}"
        )
    if x.ndim < 2 or x.shape[-1] != len(network.inputs):
        raise ValueError(f"x has shape {x.shape}; expected (samples, {len(network.inputs)})")
    if x.shape[-2] == 0:
        raise ValueError("x holds zero samples; at least one is needed")


__all__ = [
    "INPUT", "LEAKY", "LINEAR", "MAX", "ONE", "RELU", "Builder", "Edge", "Forward", "Network", "NetworkInstance",
    "edge_values", "equations", "factor_of", "forward", "jacobian", "mlp",
]  # fmt: skip
