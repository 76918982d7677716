"""A counterexample written out for pencil and paper, in at most ten lines, by the second implementation.

Every function reads the instance of a certificate as JSON and returns Markdown lines; the numbers are
fractions computed by `verify.certificates.second_opinion`, which shares no code with what decided the certificate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from verify.certificates.second_opinion import Net, fractions_of, pruned

Instance = dict[str, Any]
MOST_LINES = 10


class Written(Net):
    """A network that can say its name: units x1, h1, y1, weights by the two units they join."""

    def __init__(self, instance: Instance, theta: list[Fraction] | None = None) -> None:
        super().__init__(instance, theta)
        self.names, counts = [], {"x": 0, "h": 0, "y": 0}
        for u, kind in enumerate(self.units):
            letter = "y" if u in self.outputs else "x" if kind == "input" else "h"
            counts[letter] += 1
            self.names.append("1" if kind == "one" else f"{letter}{counts[letter]}")

    def equations(self) -> str:
        """One equation a unit."""
        parts = []
        for u, kind in enumerate(self.units):
            if kind in ("input", "one"):
                continue
            terms = [self._term(e) for e in self.edges if e[1] == u]
            inside = ", ".join(terms) if kind == "max" else " + ".join(terms).replace("+ -", "- ") or "0"
            parts.append(f"{self.names[u]} = {inside if kind == 'linear' else f'{kind}({inside})'}")
        return "; ".join(parts)

    def _term(self, e: tuple[int, int, int | None, Fraction]) -> str:
        value = self.edge(e)
        return self.names[e[0]] if value == 1 else f"{'-' if value == -1 else f'{value} '}{self.names[e[0]]}"

    def parameter(self, j: int) -> str:
        """The name of a parameter."""
        s, t = next((e[0], e[1]) for e in self.edges if e[2] == j)
        return f"{self.names[s]}→{self.names[t]}"

    def inputs(self) -> str:
        """The data."""
        return ", ".join(f"({_row(row)})" for row in self.x)

    def values(self, row: list[Fraction]) -> str:
        """Values of all units that are not inputs."""
        duals, _ = self.walk(row)
        named = [(self.names[u], duals[u][0]) for u, k in enumerate(self.units) if k not in ("input", "one")]
        return ", ".join(f"{n} = {v}" for n, v in named)

    def scored(self, scores: Sequence[Fraction], kept: Sequence[int]) -> str:
        """Scores of the weights that are left."""
        return ", ".join(f"{self.parameter(j)}: {scores[j]}" for j in kept)


def _row(values: Sequence[Fraction]) -> str:
    return ", ".join(map(str, values))


def masked(instance: Instance, kept: Sequence[int]) -> Written:
    """The network with only the weights ``kept``."""
    return Written(instance, [t if j in kept else Fraction(0) for j, t in enumerate(Written(instance).theta)])


def pruning_run(instance: Instance) -> list[str]:
    """One weight a round: scores, which goes, and what is left."""
    net = Written(instance)
    scorer, kept = instance["scorer"], list(range(len(net.theta)))
    frozen = net.activation() if scorer == "px-frozen" else None
    lines = [f"Network: `{net.equations()}`; data x = {net.inputs()}: {'; '.join(net.values(r) for r in net.x)}."]
    while len(kept) > int(instance["keep"]):
        now = masked(instance, kept)
        scores, how = _scores(now, scorer, kept, frozen)
        goes = min(kept, key=lambda j: (scores[j], j))
        tie = " (all tied)" if len({scores[j] for j in kept}) == 1 else ""
        lines.append(f"{how}Scores: {now.scored(scores, kept)}. {now.parameter(goes)} is removed{tie}.")
        kept = [j for j in kept if j != goes]
        left = masked(instance, kept)
        lines.append(f"Left: `{_left(left, kept)}`: {'; '.join(left.values(r) for r in left.x)}.")
    sizes = [sum(j in kept for j in layer) for layer in net.layers]
    whole = [p for _, p, _ in net.paths() if set(net.parameters_on(p)) <= set(kept)]
    end = f"{len(kept)} weights are left: {by_layer(sizes)}"
    last = masked(instance, kept)
    d = frozen if frozen is not None else last.activation(kept)
    objective = sum((d[k] * last.value(p) ** 2 for _, p, k in last.paths()), Fraction(0))
    extra = f"; the objective is {objective}" if scorer in ("px", "px-frozen") else ""
    lines.append(f"{end}; {'some path keeps' if whole else 'no path keeps'} all its weights{extra}.")
    return lines


def outputs_compared(instance: Instance) -> list[str]:
    """The run, and the run by SynFlow-L2 beside it: to how many outputs a path is left."""
    lines = pruning_run(instance)[:-1]
    for scorer in (instance["scorer"], "synflow-l2"):
        run = {**instance, "scorer": scorer}
        kept = pruned(run)
        net = Written(run)
        reached = {k for _, p, k in net.paths() if set(net.parameters_on(p)) <= set(kept)}
        if scorer == "synflow-l2":
            every = list(range(len(net.theta)))
            lines.append(f"SynFlow-L2 on the same network: {net.scored(net.scores(scorer), every)}.")
        names = ", ".join(net.names[net.outputs[k]] for k in sorted(reached))
        lines.append(
            f"Kept by {scorer}: {', '.join(map(net.parameter, kept))}; a path is left to {names or 'no output'}."
        )
    return lines


def _left(net: Written, kept: Sequence[int]) -> str:
    parts = []
    for u, kind in enumerate(net.units):
        if kind in ("input", "one"):
            continue
        terms = [net._term(e) for e in net.edges if e[1] == u and (e[2] is None or e[2] in kept)]
        inside = " + ".join(terms).replace("+ -", "- ") or "0"
        parts.append(f"{net.names[u]} = {inside if kind == 'linear' else f'{kind}({inside})'}")
    return "; ".join(parts)


def _scores(
    net: Written, scorer: str, kept: Sequence[int], frozen: list[Fraction] | None
) -> tuple[list[Fraction], str]:
    if scorer in ("px", "px-frozen"):
        d = frozen if frozen is not None else net.activation(list(kept))
        return net.scores("px", d), f"{'D (of the dense network)' if frozen else 'D'} = ({_row(d)}). "
    if scorer == "path-energy":
        return path_energy(net), ""
    return net.scores(scorer), ""


def path_energy(net: Net) -> list[Fraction]:
    """The energy of every parameter's paths, by the second implementation's own walk."""
    out = [Fraction(0)] * len(net.theta)
    for row in net.x:
        duals, opened = net.walk(row)
        every = set().union(*opened)
        for start, path, _ in net.paths():
            gate = Fraction(int(all(i in every for i in path)))
            for j in net.parameters_on(path):
                out[j] += (gate * duals[start][0] * net.value(path)) ** 2
    return out


def _opening(net: Written) -> str:
    return f"Network: `{net.equations()}`; data x = {net.inputs()}: {'; '.join(net.values(r) for r in net.x)}."


def derivatives(net: Written, kept: Sequence[int] | None = None) -> str:
    """The derivatives whose squares sum to the trace."""
    names = [net.parameter(j) for j in range(len(net.theta))]
    shown = []
    for n, row in enumerate(net.x):
        duals, _ = net.walk(row)
        for output in net.outputs:
            g = [duals[output][1].get(j, Fraction(0)) for j in range(len(net.theta)) if kept is None or j in kept]
            at = f" at sample {n + 1}" if len(net.x) > 1 else ""
            shown.append(f"of {net.names[output]}{at}: ({_row(g)})" if len(net.outputs) > 1 or at else f"({_row(g)})")
    chosen = [names[j] for j in range(len(names)) if kept is None or j in kept]
    return f"Derivatives by {', '.join(chosen)}: {'; '.join(shown)}"


def trace_of(net: Net, kept: Sequence[int]) -> Fraction:
    """The trace over the weights that are left."""
    total = Fraction(0)
    for row in net.x:
        duals, _ = net.walk(row)
        for output in net.outputs:
            total += sum((g * g for j, g in duals[output][1].items() if j in kept), Fraction(0))
    return total


def objective_below_trace(instance: Instance) -> list[str]:
    """Trace against the objective and against the bound."""
    net = Written(instance)
    d, t = net.activation(), net.kernel()
    r = [sum((net.value(p) ** 2 for _, p, k in net.paths() if k == o), Fraction(0)) for o in range(len(net.outputs))]
    objective, bound = sum(a * b for a, b in zip(d, r, strict=True)), sum(a * b for a, b in zip(d, t, strict=True))
    return [
        _opening(net),
        f"{derivatives(net)}; trace = {net.trace()}.",
        f"D = ({_row(d)}), R = ({_row(r)}): objective = sum of D R = {objective}, below the trace.",
        f"T = ({_row(t)}): bound = sum of D T = {bound}, not below it.",
    ]


def maximum_of_squares(instance: Instance) -> list[str]:
    """The bound with a maximum kept a maximum, against the trace."""
    net = Written(instance)
    d, t, same = net.activation(), net.kernel(), same_architecture_kernel(net)
    return [
        _opening(net),
        f"{derivatives(net)}; trace = {net.trace()}.",
        f"D = ({_row(d)}), with the argmax copied.",
        f"Kernel with the window summed, T = ({_row(t)}): bound {sum(a * b for a, b in zip(d, t, strict=True))}.",
        "Squared weights in the same architecture: the maximum of squares picks another branch than the maximum, and "
        f"the derivatives by theta^2 sum to ({_row(same)}): {sum(a * b for a, b in zip(d, same, strict=True))}, "
        "below the trace.",
    ]


def same_architecture_kernel(net: Net) -> list[Fraction]:
    """Sum of the derivatives by theta^2 of each output of the squared network on ones, maxima kept, ReLUs gone."""
    body = {
        "network": {
            "units": ["linear" if u in ("relu", "leaky") else u for u in net.units],
            "edges": [[s, t, p, str(f * f)] for s, t, p, f in net.edges],
            "outputs": net.outputs, "layers": net.layers, "slope": "1",
        },
        "theta": [str(t * t) for t in net.theta],
        "x": [["1"] * sum(u == "input" for u in net.units)],
    }  # fmt: skip
    squared = Net(body)
    duals, _ = squared.walk(squared.x[0])
    return [sum(duals[o][1].values(), Fraction(0)) for o in net.outputs]


def trace_dropped(instance: Instance) -> list[str]:
    """PX's first removal against the best one, by the trace that is left."""
    net = Written(instance)
    every = list(range(len(net.theta)))
    d, scores = net.activation(), net.scores("px")
    lines = [_opening(net), f"D = ({_row(d)}). PX: {net.scored(scores, every)}; trace = {net.trace()}."]
    for j in sorted(every, key=lambda j: (scores[j], j)):
        kept = [i for i in every if i != j]
        lines.append(f"Without {net.parameter(j)} (score {scores[j]}): trace {trace_of(masked(instance, kept), kept)}.")
    return lines[: MOST_LINES - 1]


def zero_score(instance: Instance) -> list[str]:
    """PX scores, one of them 0."""
    net = Written(instance)
    every = list(range(len(net.theta)))
    return [_opening(net), f"D = ({_row(net.activation())}). PX: {net.scored(net.scores('px'), every)}."]


def released_threshold(instance: Instance) -> list[str]:
    """One round of the published thresholding: every score up to the k-th smallest goes."""
    net = Written(instance)
    every, keep = list(range(len(net.theta))), int(instance["keep"])
    scores, count = net.scores(instance["scorer"]), len(net.theta)
    density = keep / count
    k = int((1.0 - density) * count)
    threshold = sorted(scores)[k - 1] if k else None
    left = [j for j in every if threshold is None or scores[j] > threshold]
    lines = [
        f"Network: `{net.equations()}`. Scores by {instance['scorer']}: {net.scored(scores, every)}.",
        f"To keep {keep} of {count}, density {density:.4g}: k = int((1 - {density:.4g}) * {count}) = {k}.",
    ]
    if threshold is None:
        return [*lines, f"k is below 1, so nothing goes: {count} weights are left instead of {keep}."]
    gone = ", ".join(net.parameter(j) for j in every if j not in left)
    return [*lines, f"The k-th smallest score is {threshold}; every score up to it goes: {gone}. "
            f"{len(left)} of {count} weights are left instead of {keep}."]  # fmt: skip


def residual_run(instance: Instance) -> list[str]:
    """A run by SynFlow or SynFlow-L2 on a network with a skip connection."""
    return pruning_run({**instance, "x": [["1"] * len(row) for row in instance["x"]]})


def released_score(instance: Instance) -> list[str]:
    """The released score, the last layer (``fc``) unsquared, against the formula's."""
    net = Written(instance)
    every, fc = list(range(len(net.theta))), set(net.layers[-1])
    d = [Fraction(0)] * len(net.outputs)
    for row in net.x:
        duals, opened = net.walk(row)
        on = set().union(*opened)
        for start, path, k in net.paths():
            gate = Fraction(int(all(i in on for i in path)))
            kept = Fraction(1)
            for j in net.parameters_on(path):
                kept *= net.theta[j] if j in fc else 1
            d[k] += gate * duals[start][0] ** 2 * kept
    out = [Fraction(0)] * len(net.theta)
    for _, path, k in net.paths():
        on_path = net.parameters_on(path)
        for j in on_path:
            rest = math.prod(net.theta[i] if i in fc else net.theta[i] ** 2 for i in on_path if i != j)
            out[j] += d[k] * rest
    released = [abs(g) * t * t for g, t in zip(out, net.theta, strict=True)]
    return [
        _opening(net),
        f"By the formula, D = ({_row(net.activation())}); scores {net.scored(net.scores('px'), every)}.",
        "As released, with the last layer (`fc`) left as it is in both auxiliary networks: outputs of the first "
        f"({_row(d)}), derivatives of the second ({_row(out)}), scores {net.scored(released, every)}.",
    ]


def bound_kept(instance: Instance) -> list[str]:
    """Two masks, each lacking one weight: the bound and the trace that each keeps, largest bound first."""
    net = Written(instance)
    every, rows = list(range(len(net.theta))), []
    for j in every:
        kept = [i for i in every if i != j]
        left = masked(instance, kept)
        d = left.activation(kept)
        t = [Fraction(0)] * len(net.outputs)
        for _, p, k in left.paths():
            on = left.parameters_on(p)
            if set(on) <= set(kept):
                t[k] += sum(math.prod((left.theta[i] ** 2 for i in on if i != q), start=Fraction(1)) for q in on)
        bound = sum(a * b for a, b in zip(d, t, strict=True))
        rows.append((bound, f"Without {net.parameter(j)}: bound {bound}, trace {trace_of(left, kept)}."))
    shown = [text for _, text in sorted(rows, key=lambda r: -r[0])]
    return [_opening(net), *shown][:MOST_LINES]


def synflow_and_sketch(instance: Instance) -> list[str]:
    """SynFlow's scores against squared sketch weights, on a linear network with x ~ N(0, I)."""
    ones = {**instance, "x": [["1"] * sum(u == "input" for u in instance["network"]["units"])]}
    net = Written(ones)
    every = list(range(len(net.theta)))
    synflow, sketch = net.scores("synflow"), squared_sketch_weights(net)
    total = sum(synflow, Fraction(0))
    roots = [math.sqrt(v) for v in sketch]
    shares = ", ".join(f"{net.parameter(j)}: {_decimal(roots[j] / sum(roots))}" for j in every)
    return [
        f"Network: `{net.equations()}` (no ReLUs), x ~ N(0, I).",
        f"SynFlow, all-ones input: {net.scored(synflow, every)}; normalised "
        f"{', '.join(str(s / total) for s in synflow)}.",
        "Squared sketch weights, theta_j^2 E (df/dtheta_j)^2 with independent inputs of mean square 1: "
        f"{net.scored(sketch, every)}.",
        f"Sketch probabilities, their roots normalised: {shares}.",
    ]


def squared_sketch_weights(net: Net) -> list[Fraction]:
    """theta_j^2 E sum_k (df^k/dtheta_j)^2, x ~ N(0, I), on a linear network: one unit input at a time."""
    inputs = sum(u == "input" for u in net.units)
    out = [Fraction(0)] * len(net.theta)
    for i in range(inputs):
        duals, _ = net.walk([Fraction(int(i == j)) for j in range(inputs)])
        for output in net.outputs:
            for j, g in duals[output][1].items():
                out[j] += (net.theta[j] * g) ** 2
    return out


def _decimal(v: float) -> str:
    return f"{v:.4g}"


def transfer(instance: Instance) -> list[str]:
    """The error of the initial law on trained weights, against a constant times the distance bound."""
    x, w0, w = (fractions_of(instance[k]) for k in ("x", "w0", "w"))
    s, constant = int(instance["s"]), Fraction(instance["constant"])
    norms = [sum(v * v for v in row) for row in x]
    a0 = [math.sqrt(n) * abs(float(v)) for n, v in zip(norms, w0, strict=True)]
    p = [v / sum(a0) for v in a0]
    terms = [float(n * v * v) / q for n, v, q in zip(norms, w, p, strict=True)]
    signal = sum(sum(row[t] * v for row, v in zip(x, w, strict=True)) ** 2 for t in range(len(x[0])))
    start = math.sqrt(sum(float(v * v) for v in w0))
    moved = math.sqrt(sum(float((a - b) ** 2) for a, b in zip(w, w0, strict=True)))
    f = float(sum(norms))
    error, bound = (sum(terms) - float(signal)) / s, float(constant) * f * (start + moved) ** 2 / s
    features = ", ".join(f"({_row(row)})" for row in x)
    return [
        f"Features X = {features}; initial weights ({_row(w0)}), trained weights ({_row(w)}), s = {s}.",
        f"Law of the initial weights: p = ({', '.join(map(_decimal, p))}).",
        f"Error = (1/s)(sum of |X_i|^2 w_i^2 / p_i - |X'w|^2) = {' + '.join(map(_decimal, terms))} - {signal} = "
        f"{_decimal(error)}.",
        f"|X|_F^2 = {_decimal(f)}, |w0| = {_decimal(start)}, |w - w0| = {_decimal(moved)}: with C = {constant} the "
        f"bound is {constant} * {_decimal(f)} * ({_decimal(start)} + {_decimal(moved)})^2 = {_decimal(bound)}.",
        "A larger C needs a smaller start of the weight that grows: its probability is in the denominator.",
    ]


def correlation_mask(instance: Instance) -> list[str]:
    """All labelings of a few points: which input the top-1 rule keeps, and whether its sign fits them."""
    x = fractions_of(instance["x"])
    n, inputs = len(x), len(x[0])
    lines = [f"Points (rows) with {inputs} inputs: {', '.join(f'({_row(r)})' for r in x)}; labels uniform."]
    kept, fits = [], 0
    for y in itertools.product((-1, 1), repeat=n):
        scores = [abs(sum(a * row[j] for a, row in zip(y, x, strict=True))) for j in range(inputs)]
        j = scores.index(max(scores))
        agree = [a * row[j] > 0 for a, row in zip(y, x, strict=True)]
        kept.append((y, j))
        fits += all(agree) or not any(agree)
    for j in range(inputs):
        of_j = [y for y, c in kept if c == j]
        if of_j:
            shown = ", ".join("".join("+" if v > 0 else "-" for v in y) for y in of_j)
            lines.append(f"Input {j + 1} is kept for the labels {shown}; by its sign it fits {_signs(x, j)} alone.")
    shares = [Fraction(sum(c == j for _, c in kept), 2**n) for j in range(inputs)]
    bits = -sum(float(q) * math.log2(q) for q in shares if q)
    lines.append(
        f"The mask tells {_decimal(bits)} bits of the labels (the entropy of {', '.join(map(str, shares))}), and fits "
        f"{fits} of {2**n} labelings: as many as a fixed input, 2 of {2**n}."
    )
    return lines[:MOST_LINES]


def _signs(x: list[list[Fraction]], j: int) -> str:
    column = "".join("+" if row[j] > 0 else "-" for row in x)
    return f"{column} and {column.translate(str.maketrans('+-', '-+'))}"


def by_layer(sizes: Sequence[int]) -> str:
    """How many weights each layer has: '0 in layer 1, 2 in layer 2'."""
    return ", ".join(f"{n} in layer {i}" for i, n in enumerate(sizes, 1))
