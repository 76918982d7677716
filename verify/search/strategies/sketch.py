"""Sketches: rows whose norms are rational, laws near the optimum, and the cases in which bounds are attained.

Equalities that contain norms are decided in rationals because rows are small multiples of integer
vectors of integer length (3, 4), (1, 2, 2), ...; inequalities are also drawn with arbitrary rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import fmpq

from theory.experiments import PairedTrials, ScalingTrials
from theory.network_sketches import NetworkWeights, SignAverage
from theory.networks import LINEAR, Builder, Network, mlp
from theory.scalars import Array, absolute, indicator, is_exact, sqrt, total
from theory.sketches import MovingSketch, Sketch, SketchGain, Transfer
from verify.search.strategies import draws
from verify.search.strategies.choosers import Chooser
from verify.search.strategies.networks import BEYOND, network

DIRECTIONS: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((1,),),
    2: ((1, 0), (0, 1), (3, 4), (4, -3), (-4, 3), (5, 12)),
    3: ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 2, 2), (2, 1, -2), (2, -2, 1), (0, 3, 4), (2, 3, 6)),
    4: ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1, 1, 1, 1), (1, -1, 1, -1), (1, 1, -1, -1)),
}
"""Integer vectors of integer length."""

SMALL: dict[str, Any] = {"families": ("mlp", "residual"), "kinds": (LINEAR,), "width": 2, "outputs": 2, "depth": 3}
"""Networks small enough for every sign pattern to be tried."""


BEYOND_SKETCHES: dict[str, Any] = {"rows": "any", "q": True, "most": 5, "repeats": 4}
BEYOND_NETWORKS: dict[str, Any] = {k: v for k, v in BEYOND.items() if k != "samples"}


def vector(c: Chooser, length: int) -> Array:
    """An integer vector of integer length (structural: the same for a whole stack)."""
    return np.array(c.pick(DIRECTIONS[length]), dtype=int)


def rational_rows(c: Chooser, d: int, n: int) -> Array:
    """Rows with rational norms, (..., d, n)."""
    directions = np.array([vector(c, n) for _ in range(d)], dtype=int)
    return c.numbers((d,))[..., None] * directions


def opposed(c: Chooser, w: Array, n: int) -> Array:
    """Rows with rational norms and X'w = 0: each pair of features cancels (an odd last row is 0)."""
    d = w.shape[-1]
    partner = np.array([i ^ 1 if i ^ 1 < d else i for i in range(d)])
    sign = np.array([0 if partner[i] == i else (1 if i % 2 == 0 else -1) for i in range(d)], dtype=int)
    rows = np.array([vector(c, n)] * 2 * ((d + 1) // 2), dtype=int)[:d]
    return (w[..., partner] * sign)[..., None] * rows


def features(c: Chooser, w: Array, n: int, rows: str) -> Array:
    """The matrix X, (..., d, n), of one of the kinds "rational", "any", "equal", "orthogonal", "opposed"."""
    d = w.shape[-1]
    if rows == "equal":
        directions = np.array([vector(c, n)] * d, dtype=int)
        turned = directions[:, ::-1] if c.flip() else directions
        flips = np.array([c.pick((1, -1)) for _ in range(d)], dtype=int)
        mixed = np.where(np.arange(d)[:, None] % 2 == 0, directions, turned) * flips[:, None]
        return c.numbers((1,))[..., None] * mixed
    if rows == "orthogonal":
        if n == 2 and c.flip():
            basis = np.array([(3, 4), (-4, 3)] + [(0, 0)] * d, dtype=int)[:d]
        else:
            basis = np.eye(max(d, n), dtype=int)[:d, :n]
        return c.numbers((d,))[..., None] * basis
    if rows == "opposed" or c.flip(0.3):
        return opposed(c, w, n)
    if rows == "any" and n > 1 and c.flip():
        return c.numbers((d, n))
    return rational_rows(c, d, n)


def law(c: Chooser, x: Array, w: Array) -> Array:
    """Weights of a law: free, optimal, by magnitude or uniform."""
    kind = c.pick(("free", "free", "optimal", "magnitude", "uniform"))
    d = w.shape[-1]
    free = c.weights((d,))
    if kind == "free":
        return free
    q = absolute(w)
    if kind == "uniform":
        q = indicator(np.ones(np.shape(w), dtype=bool), w)
    if kind == "optimal":
        norms = sqrt(total(x * x, axis=-1))
        if not is_exact(norms) or all(isinstance(v, fmpq) for v in np.ravel(norms)):
            q = norms * q
    return np.where((q > 0).any(axis=-1)[..., None], q, free)


def tiny(c: Chooser, d: int, exponent: int) -> Array:
    """Powers of two from 2^-exponent to 1, (..., d)."""
    k = c.integers((d,), 0, exponent)
    if not is_exact(k):
        return 2.0**-k
    out = np.empty(k.shape, dtype=object)
    for i, v in np.ndenumerate(k):
        out[i] = fmpq(1, 2 ** int(v.p))
    return out


@draws(Sketch, beyond=BEYOND_SKETCHES)
def sketch(
    c: Chooser, *, rows: str = "rational", q: bool = True, most: int = 4, repeats: int = 3, samples: int = 3,
    wide: int = 0, **_: Any,
) -> Sketch:  # fmt: skip
    """A linear model, with a law if ``q``; at most ``most`` features, ``repeats`` draws, ``samples`` samples."""
    d, n, s = c.integer(1, most), c.integer(1, samples), c.integer(1, repeats)
    if rows == "balanced" and c.flip(0.8):
        s = repeats
        d = max(d, c.pick((3, s + 1, most)))
        x, w = balanced(c, d, n, wide)
    elif rows == "two norms" and c.flip():
        x, w = two_norms(c, n)
    else:
        w = c.numbers((d,))
        x = features(c, w, n, rows)
    return Sketch(s, x, w, law(c, x, w) if q else None)


def two_norms(c: Chooser, n: int) -> tuple[Array, Array]:
    """Two features in one direction, weighed by the inverse of their norm or of its root; and one with weight 0."""
    roots = c.integers((3,), 1, 3)
    w = (1 / roots if c.flip() else 1 / (roots * roots)) * np.array([1, c.pick((1, -1)), 0], dtype=int)
    return (roots * roots)[..., None] * vector(c, n), w


def balanced(c: Chooser, d: int, n: int, wide: int) -> tuple[Array, Array]:
    """One direction, a first weight up to 2^``wide`` times as large, the others cancelling or cancelling it too."""
    w = c.integers((d,), 1, 3) * np.where(np.arange(d) < 2, 1, -1)
    rest = w * (np.arange(d) > 1)
    first = -np.asarray(total(rest, axis=-1))[..., None]
    if c.flip() or wide:  # the second cancels the rest, and the first stands alone
        size = 1 / tiny(c, 1, wide) if wide else c.integers((1,), 1, 99)
        w = np.where(np.arange(d) == 0, size, np.where(np.arange(d) == 1, first, rest))
    else:
        w = np.where(np.arange(d) == 0, first, np.where(np.arange(d) == 1, 0 * first, rest))
    return indicator(np.ones(np.shape(w), dtype=bool), w)[..., None] * vector(c, n), w


@draws(SketchGain, beyond=BEYOND_SKETCHES)
def sketch_gain(c: Chooser, *, constants: Sequence[int] = (1,), **hints: Any) -> SketchGain:
    """The same with a constant."""
    i = sketch(c, **hints)
    return SketchGain(i.s, i.x, i.w, i.q, int(c.pick(tuple(constants))))


@draws(MovingSketch, beyond=BEYOND_SKETCHES)
def moving_sketch(c: Chooser, **hints: Any) -> MovingSketch:
    """The same with a step; often with the law that is best for it, or one near to it."""
    i, step = sketch(c, **hints), c.weights((1,))[..., 0] * c.pick((1, 1, 0))
    moving = MovingSketch(i.s, i.x, i.w, i.q, step)
    best = moving.row_norms * absolute(moving.worst())
    if c.flip() and (not is_exact(best) or all(isinstance(v, fmpq) for v in np.ravel(best))):
        q = best * (1 + c.pick((0, 1)) / (64 * c.positives((i.d,))))
        moving = moving.with_(q=np.where((q > 0).any(axis=-1)[..., None], q, moving.q))
    return moving


@draws(Transfer, beyond={"mix": True, "wide": 6, "weights": "any"})
def transfer(
    c: Chooser, *, mix: bool = False, wide: int = 0, constants: Sequence[int] = (1,), weights: str = "any", **_: Any
) -> Transfer:
    """Initial and trained weights; ``wide`` lets initial weights be as small as 2^-wide times the others."""
    d, n, s = c.integer(1, 4), c.integer(1, 3), c.integer(1, 3)
    w0, w = (rational_weights if weights == "rational" else related_weights)(c, d, weights)
    if wide and c.flip():
        w0 = w0 * tiny(c, d, wide)
        w = c.pick((w, w0, w + w0))
    x = opposed(c, w, n) if c.flip(0.3) else rational_rows(c, d, n)
    if wide and c.flip():
        x = x / tiny(c, d, wide // 2)[..., None]
    shares = None
    if mix:
        shares = c.positives((2,))
        if c.flip(0.4):
            w, shares = along(w0, x, c.positives((1,)))
    return Transfer(s, x, w0, w, shares, int(c.pick(tuple(constants))))


def along(w0: Array, x: Array, step: Array) -> tuple[Array, Array]:
    """Weights that move away from 0 by ``step`` times the norm of their row, and the best mix of laws for that."""
    norms = sqrt(total(x * x, axis=-1))
    sign = indicator(w0 >= 0, w0) * 2 - 1
    a0, f2 = total(norms * absolute(w0), axis=-1), total(norms * norms, axis=-1)
    return w0 + sign * norms * step, np.stack([np.asarray(a0), np.asarray(f2) * step[..., 0]], axis=-1)


def related_weights(c: Chooser, d: int, weights: str = "any") -> tuple[Array, Array]:
    """Initial weights, and trained ones: unrelated, scaled, or moved by one relative change up or down."""
    w0, kind = c.numbers((d,)), c.pick(("free", "scaled", "moved", "same"))
    if kind != "moved" and weights == "two ratios" and c.flip():
        kind = "moved"
    if kind == "free":
        return w0, c.numbers((d,))
    if kind == "same":
        return w0, w0
    step = c.positives((1,))
    signs = 2 * c.integers((d,), 0, 1) - 1
    return w0, w0 * (1 + step * (signs if kind == "moved" else 1))


def rational_weights(c: Chooser, d: int, _: str = "") -> tuple[Array, Array]:
    """Initial and trained weights with rational norms, parallel or one of them axis-aligned."""
    direction = vector(c, d)
    w0, scale = c.numbers((1,)) * direction, c.numbers((1,))
    if c.flip(0.6):
        return w0, scale * direction
    if c.flip():
        return w0, w0 + scale * vector(c, d)
    return related_weights(c, d)


def chains(c: Chooser) -> Network:
    """Parallel chains of linear units, one from each input, added in one output."""
    b = Builder(inputs=c.integer(1, 2))
    length = c.integer(1, 3)
    ends = []
    for start in b.inputs:
        unit = start
        for _ in range(length - 1):
            unit = b.dense((unit,), 1)[0]
        ends.append(unit)
    return b.network(b.dense(ends, 1))


@draws(NetworkWeights, beyond={**BEYOND_NETWORKS, "nonnegative": False, "parallel": False, "bottleneck": False})
def network_weights(
    c: Chooser, *, nonnegative: bool = False, parallel: bool = False, bottleneck: bool = False, **hints: Any
) -> NetworkWeights:
    """A small network without biases; ``parallel`` chains, or one hidden unit (``bottleneck``), where asked for."""
    if bottleneck:
        net = mlp([c.integer(1, 2), 1, c.integer(1, 2)], kind=LINEAR)
    elif parallel and c.flip(0.7):
        net = chains(c)
    else:
        net = network(c, **{**SMALL, **hints})
    theta = c.weights((net.parameters,)) if nonnegative and c.flip(0.8) else c.numbers((net.parameters,))
    return NetworkWeights(net, theta)


def graph(c: Chooser, kinds: Sequence[str]) -> Network:
    """Any graph of a few units, each reading one or two earlier ones, every edge with a weight of its own."""
    b = Builder(inputs=c.integer(1, 2))
    hidden = c.integer(1, 3)
    for k in range(hidden + 1):
        before = len(b.units)
        unit = b.unit(c.pick(tuple(kinds)) if k < hidden else LINEAR)
        sources = {before - 1, c.integer(0, before - 1)} if k else set(b.inputs)
        for source, j in zip(sorted(sources), b.new_parameters(len(sources)), strict=True):
            b.connect(source, unit, j)
    return b.network((len(b.units) - 1,) if c.flip(0.7) else (len(b.units) - 2, len(b.units) - 1))


@draws(SignAverage, beyond={**BEYOND_NETWORKS, "any_input": True})
def sign_average(c: Chooser, *, any_input: bool = False, **hints: Any) -> SignAverage:
    """A network of at most 9 weights; inputs with E x_i^2 = 1, or any (``any_input``)."""
    hints = {**SMALL, "depth": 4, **hints}
    family = c.pick(hints.pop("families"))
    if family == "graph":
        net = graph(c, hints["kinds"])
    else:
        net = network(c, families=(family,), **hints)
    while net.parameters > 9:
        net = mlp([c.integer(1, 2), c.integer(1, 2), 1], kind=c.pick(hints["kinds"]))
    d = len(net.inputs)
    if any_input and c.flip(0.7):
        x = c.numbers((c.integer(1, 2), d))
    else:
        x = unit_second_moments(c, d)
    return SignAverage(net, c.numbers((net.parameters,)), x)


def unit_second_moments(c: Chooser, d: int) -> Array:
    """Inputs (..., n, d) with mean square 1 in every column: signs, or all of a column in one sample."""
    n = c.pick((1, 2, 4))
    spikes = np.eye(4, dtype=int) * 2
    ones = np.ones(n, dtype=int)
    columns = [spikes[c.integer(0, 3)] if n == 4 and c.flip() else ones for _ in range(d)]
    signs = c.integers((n, d), 0, 1) * 2 - 1
    return signs * np.stack(columns, axis=-1)


@draws(PairedTrials)
def paired_trials(c: Chooser, **_: Any) -> PairedTrials:
    """Made-up outcomes: they test the statistic, never the claim."""
    return PairedTrials(tuple((str(c.integer(0, 9)), str(c.integer(0, 9))) for _ in range(c.integer(1, 4))))


@draws(ScalingTrials)
def scaling_trials(c: Chooser, **_: Any) -> ScalingTrials:
    """Made-up outcomes over sizes 1, 2, 4, ...: they test the statistic, never the claim."""
    return ScalingTrials(tuple((str(2**k), str(c.integer(1, 9))) for k in range(c.integer(2, 4))))
