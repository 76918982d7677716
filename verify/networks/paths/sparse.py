"""Scores of the few weights that a long pruning run leaves, in rationals: there ties are exact.

Near the critical compression weights on the same paths have the same score, which no rounding bound can tell
from nearly the same. For chains of linear maps and (leaky) ReLUs the remaining weights are few edges of a
sparse network, whose sums over paths are computed exactly, layer by layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flint import fmpq
from torch import Tensor

from theory.scalars import rational
from verify.networks.recording.graph import GATE, LINEAR, SHAPE, Graph, Ref

MOST = 600
"""Weights up to which a network is scored so."""
Vector = dict[int, fmpq]


@dataclass(frozen=True)
class Link:
    """A linear map of a chain: its weight and bias, the value behind it if a gate follows, and that gate's slope."""

    weight: str
    bias: str | None
    gate: Ref | None = None
    slope: float = 0.0


def chain(graph: Graph) -> list[Link] | None:
    """The linear maps of a module that is a chain of linear maps, gates and reshapes of whole samples; else None."""
    links: list[Link] = []
    last = Ref(-1)
    for i, op in enumerate(graph.operations):
        if op.inputs != (last,):
            return None
        if op.kind == LINEAR and len(op.shape) == 2:
            links.append(Link(op.settings["weight"], op.settings["bias"]))
        elif op.kind == GATE and links and links[-1].gate is None:
            links[-1] = Link(links[-1].weight, links[-1].bias, last, op.settings["slope"])
        elif not (op.kind == SHAPE and op.name.rstrip("_") in ("flatten", "view", "reshape", "dropout") and not links):
            return None
        last = Ref(i)
    return links if links and graph.output == last and links[-1].gate is None else None


@dataclass(frozen=True)
class _Read:
    """The value of a unit: of a vector with few entries, of a list, or one number for all."""

    few: Vector
    all: list[fmpq] | None = None
    other: int = 0

    def __call__(self, j: int) -> Any:
        return self.all[j] if self.all is not None else self.few.get(j, self.other)


class Sparse:
    """What a mask leaves of a chain.

    Args:
        links: from `chain`.
        tensors: the weights by name.
        masks: 0/1 tensors by name; a bias without a mask is not there.
    """

    def __init__(self, links: list[Link], tensors: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> None:
        self.links = links
        self.edges: list[list[tuple[int, int, fmpq]]] = []
        self.biases: list[Vector] = []
        for link in links:
            left = masks[link.weight].nonzero().tolist()
            self.edges.append([(i, j, rational(float(tensors[link.weight][i, j]))) for i, j in left])
            there = (
                masks[link.bias].nonzero().flatten().tolist() if link.bias is not None and link.bias in masks else []
            )
            self.biases.append({i: rational(float(tensors[str(link.bias)][i])) for i in there})

    def _layer(self, number: int, values: Any, power: int) -> Vector:
        out = {i: abs(b) ** power if power else fmpq(1) for i, b in self.biases[number].items()}
        for i, j, w in self.edges[number]:
            v = values(j)
            if v:
                out[i] = out.get(i, fmpq(0)) + (abs(w) ** power * v if power else v)
        return out

    def activation(self, x: Tensor, gates: Mapping[Ref, Tensor]) -> Vector:
        """D_k: the paths that are left, weights 1, the gates of ``gates``."""
        total: Vector = {}
        for n in range(len(x)):
            row = x[n].flatten()
            values: Any = _Read({}, [rational(float(v)) ** 2 for v in row])
            for number, link in enumerate(self.links):
                out = self._layer(number, values, 0)
                if link.gate is not None:
                    on, slope = gates[link.gate][n], rational(link.slope) ** 2
                    out = {i: v if float(on[i]) > 0 else v * slope for i, v in out.items()}
                values = _Read(out)
            for k, v in out.items():
                total[k] = total.get(k, fmpq(0)) + v
        return total

    def scores(self, power: int, directions: Vector | None) -> list[tuple[str, tuple[int, ...], fmpq]]:
        """(name, index, score) of every weight that is left; ``directions`` None counts every output once."""
        before = [_Read({}, None, 1)]
        for number in range(len(self.links)):
            out = self._layer(number, before[-1], power)
            before.append(_Read(out))
        back = _Read({}, None, 1) if directions is None else _Read(directions)
        found: list[tuple[str, tuple[int, ...], fmpq]] = []
        for number in reversed(range(len(self.links))):
            link = self.links[number]
            g: Vector = {}
            for i, j, w in self.edges[number]:
                share = abs(w) ** power * back(i)
                found.append((link.weight, (i, j), fmpq(1) * share * before[number](j)))
                g[j] = g.get(j, fmpq(0)) + share
            found += [(str(link.bias), (i,), abs(b) ** power * back(i)) for i, b in self.biases[number].items()]
            back = _Read(g)
        return found


__all__ = ["MOST", "Link", "Sparse", "chain"]
