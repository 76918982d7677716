"""A deliberate independent implementation of the small-network quantities, sharing no code with the first.

Plain Python fractions, explicit recursion, nothing imported from this project: it reads the JSON of a
certificate's instance and computes again what the findings rest on. Paths are walked, not tabulated;
derivatives are dual numbers, not reverse accumulation; pruning sorts lists.
"""

from __future__ import annotations

import json
from fractions import Fraction
from math import prod
from pathlib import Path
from typing import Any

Dual = tuple[Fraction, dict[int, Fraction]]


def fractions_of(value: Any) -> Any:
    """Nested lists of strings as nested lists of fractions."""
    return [fractions_of(v) for v in value] if isinstance(value, list) else Fraction(value)


class Net:
    """A network read from a certificate's JSON, with weights and inputs as fractions."""

    def __init__(self, instance: dict[str, Any], theta: list[Fraction] | None = None) -> None:
        net = instance["network"]
        self.units: list[str] = net["units"]
        self.edges = [(s, t, p, Fraction(f)) for s, t, p, f in net["edges"]]
        self.outputs: list[int] = net["outputs"]
        self.layers: list[list[int]] = net["layers"]
        self.slope = Fraction(net["slope"])
        self.theta: list[Fraction] = fractions_of(instance["theta"]) if theta is None else theta
        self.x: list[list[Fraction]] = fractions_of(instance["x"])

    def edge(self, e: tuple[int, int, int | None, Fraction]) -> Fraction:
        """The value of an edge."""
        return e[3] if e[2] is None else e[3] * self.theta[e[2]]

    def walk(self, row: list[Fraction]) -> tuple[list[Dual], list[set[int]]]:
        """Value and derivative of every unit on one input, and which edges into it are open."""
        duals: list[Dual] = []
        opened: list[set[int]] = []
        inputs = iter(row)
        for u, kind in enumerate(self.units):
            if kind in ("input", "one"):
                duals.append((next(inputs) if kind == "input" else Fraction(1), {}))
                opened.append(set())
                continue
            arriving: list[tuple[int, Dual]] = []
            for i, e in enumerate(self.edges):
                if e[1] != u:
                    continue
                value, slopes = duals[e[0]]
                w = self.edge(e)
                d = {j: w * g for j, g in slopes.items()}
                if e[2] is not None:
                    d[e[2]] = d.get(e[2], Fraction(0)) + e[3] * value
                arriving.append((i, (w * value, d)))
            if kind == "max" and arriving:
                best = max(a[1][0] for a in arriving)
                arriving = [next(a for a in arriving if a[1][0] == best)]
            total = sum((a[1][0] for a in arriving), Fraction(0))
            gate = Fraction(1)
            if kind == "relu":
                gate = Fraction(int(total > 0))
            elif kind == "leaky":
                gate = Fraction(1) if total > 0 else self.slope
            slopes = {}
            for _, (_, d) in arriving:
                for j, g in d.items():
                    slopes[j] = slopes.get(j, Fraction(0)) + gate * g
            duals.append((gate * total, slopes))
            opened.append({i for i, _ in arriving} if gate else set())
            if kind == "leaky" and gate != 1:
                opened[-1] = {-1 - i for i, _ in arriving}
        return duals, opened

    def trace(self) -> Fraction:
        """The NTK's trace: the sum of squares of all derivatives."""
        return sum(
            (g * g for row in self.x for k in self.outputs for g in self.walk(row)[0][k][1].values()), Fraction(0)
        )

    def paths(self) -> list[tuple[int, list[int], int]]:
        """(first unit, edges, number of the output) of every path, by recursion from the inputs."""
        found: list[tuple[int, list[int], int]] = []

        def go(unit: int, start: int, taken: list[int]) -> None:
            for k, output in enumerate(self.outputs):
                if output == unit:
                    found.append((start, taken, k))
            for i, e in enumerate(self.edges):
                if e[0] == unit:
                    go(e[1], start, [*taken, i])

        for u, kind in enumerate(self.units):
            if kind in ("input", "one"):
                go(u, u, [])
        return found

    def value(self, path: list[int]) -> Fraction:
        """v_p."""
        return prod((self.edge(self.edges[i]) for i in path), start=Fraction(1))

    def parameters_on(self, path: list[int]) -> list[int]:
        """The parameters of a path, as often as they stand on it."""
        return [p for i in path if (p := self.edges[i][2]) is not None]

    def activation(self, kept: list[int] | None = None) -> list[Fraction]:
        """D_k, over the paths whose parameters are all in ``kept`` (None: all paths)."""
        out = [Fraction(0)] * len(self.outputs)
        for row in self.x:
            duals, opened = self.walk(row)
            every = set().union(*opened)
            for start, path, k in self.paths():
                if kept is not None and not set(self.parameters_on(path)) <= set(kept):
                    continue
                gate = Fraction(1)
                for i in path:
                    gate *= 1 if i in every else self.slope if -1 - i in every else 0
                out[k] += (gate * duals[start][0]) ** 2
        return out

    def kernel(self) -> list[Fraction]:
        """T_k: squared derivatives of path values by parameters (each parameter once on a path)."""
        out = [Fraction(0)] * len(self.outputs)
        for _, path, k in self.paths():
            for i in path:
                if self.edges[i][2] is not None:
                    rest = prod((self.edge(self.edges[j]) for j in path if j != i), start=Fraction(1))
                    out[k] += (rest * self.edges[i][3]) ** 2
        return out

    def scores(self, scorer: str, frozen: list[Fraction] | None = None) -> list[Fraction]:
        """Scores of all parameters: magnitude, synflow, synflow-l2, px, px-frozen (with ``frozen`` = D)."""
        if scorer == "magnitude":
            return [abs(t) for t in self.theta]
        d = frozen if frozen is not None else self.activation() if scorer == "px" else []
        out = [Fraction(0)] * len(self.theta)
        for _, path, k in self.paths():
            v = self.value(path)
            weight = {"synflow": abs(v), "synflow-l2": v * v}.get(scorer)
            if weight is None:
                weight = d[k] * v * v
            for j in self.parameters_on(path):
                out[j] += weight
        return out


def pruned(instance: dict[str, Any]) -> list[int]:
    """The parameters that a global run, ties broken by index, keeps at the end.

    Raises:
        ValueError: a run of another kind.
    """
    if instance["rule"] != "by-index" or instance["scope"] != "global" or instance["scored"] != "all":
        raise ValueError("only global runs over all parameters with ties broken by index are computed again")
    net = Net(instance)
    kept, keep = list(range(len(net.theta))), int(instance["keep"])
    frozen = net.activation() if instance["scorer"] == "px-frozen" else None
    scorer = "px" if frozen is not None else instance["scorer"]
    steps = {"one-at-a-time": range(len(kept) - 1, keep - 1, -1), "one-shot": [keep]}[instance["schedule"]]
    scores = net.scores(scorer, frozen)
    for left in steps:
        if instance["rescore"]:
            masked = Net(instance, [t if j in kept else Fraction(0) for j, t in enumerate(net.theta)])
            d = masked.activation(kept) if instance["scorer"] == "px" else frozen
            scores = masked.scores(scorer, d)
        kept = sorted(sorted(kept, key=lambda j: (scores[j], j))[len(kept) - left :])
    return kept


def path_survives(instance: dict[str, Any], kept: list[int]) -> bool:
    """Whether some input-output path keeps all its weights."""
    net = Net(instance)
    return any(all(j in kept for j in net.parameters_on(p)) for _, p, _ in net.paths())


def objective_after(instance: dict[str, Any], kept: list[int]) -> Fraction:
    """sum_k D_k R_k of the pruned network."""
    theta = [t if j in kept else Fraction(0) for j, t in enumerate(Net(instance).theta)]
    net = Net(instance, theta)
    d = net.activation(kept)
    return sum((d[k] * net.value(p) ** 2 for _, p, k in net.paths()), Fraction(0))


def instance_of(path: str | Path) -> dict[str, Any]:
    """The instance of a certificate, as JSON, unchecked."""
    return json.loads(Path(path).read_text())["instance"]
