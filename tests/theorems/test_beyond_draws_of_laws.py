"""What is proved holds wherever its assumptions do, not only where the strategies draw.

For every proved claim of the sketching and capacity papers, instances are made here without the claim's ``draws``
hints and without `verify.search.strategies`: zero rows, zero and equal weights, laws that miss features, up to 5
features and 4 draws, weights on several edges or twice on a path, every kind of unit, biases, repeated masks, three
samples and three data values. What is valid and satisfies the assumptions must not be refuted.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from flint import fmpq

from theory.claims import Status, claims
from theory.information import ConditionedLaw, MaskLaw, TestedLaw
from theory.memorisation import FittedMasks, MemorisingMasks, NoisyFits, PrunedUnit, ThresholdUnit
from theory.network_sketches import FIXED, INDEPENDENT, NetworkWeights, SignAverage
from theory.networks import LEAKY, LINEAR, MAX, RELU, Builder, mlp
from theory.relations import Verdict, decide
from theory.robustness import BestDirection, LinearEnsemble
from theory.scalars import exact
from theory.sketches import MovingSketch, Sketch, Transfer
from verify.search.strategies import StackChooser, draw

PROVED = [c for c in claims() if c.status is Status.PROVED and c.id.split("/")[0] in ("sketching", "no-free-prune")]
TRIED, WANTED = 400, 40
"""Instances made at most, and of those that apply, how many are decided."""


class Maker:
    """Small numbers with many coincidences, from one generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def integer(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def of(self, *options):
        return options[self.integer(0, len(options) - 1)]

    def numbers(self, *shape: int):
        kind = self.integer(0, 3)
        if kind == 0:
            values = self.rng.integers(-1, 2, shape)
        elif kind == 1:
            values = self.rng.choice([-1, 1, 2, -2], shape)
        elif kind == 2:
            values = self.rng.integers(-9, 10, shape) * (self.rng.random(shape) < 0.7)
        else:
            return exact(self.rng.integers(-30, 31, shape)) / self.integer(1, 12)
        return exact(values)

    def weights(self, *shape: int):
        """Nonnegative, often with zeros, in any row possibly a single one."""
        out = abs(self.numbers(*shape))
        if self.rng.random() < 0.3:
            out = exact(np.ones(shape, dtype=int)) * self.integer(1, 3)
        if self.rng.random() < 0.2:
            out = exact(self.rng.integers(100, 103, shape))
        for index in np.ndindex(*shape[:-1]):
            if all(v == 0 for v in out[index]):
                out[(*index, self.integer(0, shape[-1] - 1))] = fmpq(1)
        return out


def matrix(m, d, n):
    """Any rows, rows of one norm, orthogonal rows, rows with rational norms."""
    kind = m.integer(0, 4)
    if kind == 0:
        return m.numbers(d, n)
    if kind == 1:
        rows = [m.rng.permutation(np.array(m.of((3, 4, 0), (1, 2, 2), (1, 0, 0)))[:n]) for _ in range(d)]
        return exact(np.array(rows).reshape(d, -1)[:, :n] * m.rng.choice([-1, 1], (d, 1)))
    if kind == 2:
        return m.numbers(d)[:, None] * exact(np.eye(max(d, n), dtype=int)[m.rng.permutation(max(d, n))][:d, :n])
    return m.numbers(d)[:, None] * exact(m.rng.integers(0, 2, (d, n)) if kind == 3 else np.eye(1, n, 0, dtype=int))


def sketch(m):
    d = m.integer(1, 5)
    s = m.integer(1, 4 if d < 5 else 3)
    w = m.numbers(d)
    x = matrix(m, d, m.integer(1, 3))
    if d > 1 and m.rng.random() < 0.4:  # the features cancel
        w = np.where(np.arange(d) == d - 1, fmpq(1), w)
        x[-1] = -(x[:-1] * w[:-1, None]).sum(axis=0)
    return Sketch(s, x, w, m.weights(d))


def moving_sketch(m):
    i = sketch(m)
    return MovingSketch(i.s, i.x, i.w, i.q, abs(m.numbers(1))[0])


def transfer(m):
    d = m.integer(1, 5)
    x, w0, w = matrix(m, d, m.integer(1, 3)), m.numbers(d), m.numbers(d)
    if m.rng.random() < 0.5:
        w = w0 * m.numbers(d if m.rng.random() < 0.5 else 1)
    made = Transfer(m.integer(1, 4), x, w0, w)
    (mixed,) = [name for name in made.arrays() if name not in ("x", "w0", "w")]
    return made.with_(**{mixed: m.weights(2)})


def network(m):
    """A random graph: shared and repeated weights, constant edges, factors, any units, sometimes a bias."""
    if m.rng.random() < 0.35:
        return mlp([m.integer(1, 2) for _ in range(m.integer(2, 4))], kind=m.of(LINEAR, RELU))
    b = Builder(inputs=m.integer(1, 2))
    own = m.rng.random() < 0.4
    parameters = () if own else b.new_parameters(m.integer(1, 5))
    kinds = m.of((LINEAR,), (LINEAR, RELU), (RELU,), (LINEAR, RELU, LEAKY, MAX))
    for _ in range(m.integer(1, 4)):
        before = len(b.units)
        unit = b.unit(m.of(*kinds))
        for source in m.rng.choice(before, min(before, m.integer(1, 2)), replace=m.rng.random() < 0.2):
            if own:
                (chosen,) = b.new_parameters(1)
            else:
                chosen = None if m.rng.random() < 0.2 else m.of(*parameters)
            b.connect(int(source), unit, chosen, m.of(1, 1, 1, -1, "1/2"))
        if not own and m.rng.random() < 0.1:
            b.connect(b.one, b.unit(LINEAR))
    outputs = [len(b.units) - 1] if m.rng.random() < 0.6 else [len(b.units) - 2, len(b.units) - 1]
    return b.network(outputs)


def network_weights(m):
    net = network(m)
    theta = m.weights(net.parameters) if m.rng.random() < 0.5 else m.numbers(net.parameters)
    return NetworkWeights(net, theta)


def sign_average(m):
    net = network(m)
    while net.parameters > 6:
        net = network(m)
    d = len(net.inputs)
    x = m.rng.choice([-1, 1], (m.integer(1, 3), d)) if m.rng.random() < 0.8 else m.numbers(m.integer(1, 3), d)
    if m.rng.random() < 0.2:
        x = np.eye(4, d, dtype=int) * 2
    return SignAverage(net, m.numbers(net.parameters), exact(x), m.of(INDEPENDENT, INDEPENDENT, INDEPENDENT, FIXED))


def mask_law(m):
    n = m.integer(1, 4)
    every = list(product((0, 1), repeat=n))
    if m.rng.random() < 0.5:
        k = m.integer(0, n)
        every = [v for v in every if sum(v) == k]
    pick = m.rng.permutation(len(every))[: m.integer(1, 5)]
    masks = tuple(every[int(i)] for i in pick)
    data = m.integer(1, 4)
    if m.rng.random() < 0.3:
        return MaskLaw(masks, m.weights(data)[:, None] * m.weights(len(masks))[None, :])
    return MaskLaw(masks, m.weights(data, len(masks)))


def law_with_a_test(m):
    shape = (m.integer(1, 5), m.integer(1, 5))
    tests = m.numbers(*shape)
    widest = max(max(column) - min(column) for column in tests.T)
    proxy = m.of(widest**2 / 4, widest**2, fmpq(1)) or fmpq(1)
    return TestedLaw(m.weights(*shape), tests, np.array(proxy, dtype=object))


def labels(m, n):
    if m.rng.random() < 0.7:
        return exact(np.ones(2**n, dtype=int)) * m.integer(1, 3)
    law = exact(np.ones(2**n, dtype=int))
    for i in range(n):
        pair = m.weights(2)
        law = law * np.where((np.arange(2**n) >> i) & 1 == 1, pair[1], pair[0])
    return law if any(v != 0 for v in law) else m.weights(2**n)


def rule(m, n, masks):
    """Any rule; masks that are never chosen, and two masks that stand for one."""
    weights = m.weights(2**n, masks)
    if masks > 1 and m.rng.random() < 0.3:
        weights[:, -1] = weights[:, 0]
    return weights


def sets(m, n, masks):
    out = exact(m.rng.integers(0, 2, (masks, 2**n)) * (m.rng.random((masks, 1)) < 0.9))
    if masks > 1 and m.rng.random() < 0.3:
        out[-1] = out[0]  # the same mask again
    return out


def memorising(m):
    n, masks = m.integer(1, 3), m.integer(1, 5)
    return MemorisingMasks(labels(m, n), rule(m, n, masks), sets(m, n, masks))


def fitted(m):
    n, masks = m.integer(1, 3), m.integer(1, 4)
    realisable = sets(m, n, masks)
    realisable[:, m.integer(0, 2**n - 1)] = fmpq(1)
    points = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    answers = np.zeros((masks, 2**n), dtype=int)
    for k, y in np.ndindex(masks, 2**n):
        allowed = [g for g in range(2**n) if realisable[k, g] == 1]
        best = max(int((points[g] == points[y]).sum()) for g in allowed)
        ties = [g for g in allowed if (points[g] == points[y]).sum() == best]
        answers[k, y] = m.of(*ties)
    return FittedMasks(labels(m, n), rule(m, n, masks), realisable, exact(answers))


def noisy(m):
    n, masks, count = m.integer(1, 3), m.integer(1, 4), m.integer(1, 4)
    functions = exact(m.rng.integers(-4, 5, (count, n))) / 4
    if m.rng.random() < 0.5:
        functions = exact(m.rng.choice([-1, 1], (count, n)))
    member = exact(m.rng.integers(0, 2, (masks, count)))
    member[:, m.integer(0, count - 1)] = fmpq(1)
    return NoisyFits(labels(m, n), rule(m, n, masks), functions, member)


def threshold_unit(m):
    return ThresholdUnit(m.of(True, False), m.numbers(m.integer(1, 4), m.integer(1, 4)))


def pruned_unit(m):
    n, inputs = m.integer(1, 3), m.integer(1, 4)
    return PrunedUnit(m.integer(1, inputs), m.numbers(n, inputs), labels(m, n))


def linear_ensemble(m):
    d = m.integer(1, 40)
    epsilon = fmpq(m.integer(1, 12), 12)
    return LinearEnsemble(m.integer(1, 300), d, m.integer(1, d), epsilon, fmpq(m.integer(1, 400), m.integer(1, 40)))


MAKERS = {
    Sketch: sketch, MovingSketch: moving_sketch,
    Transfer: transfer, NetworkWeights: network_weights, SignAverage: sign_average, MaskLaw: mask_law,
    TestedLaw: law_with_a_test, MemorisingMasks: memorising, FittedMasks: fitted, NoisyFits: noisy,
    ThresholdUnit: threshold_unit, PrunedUnit: pruned_unit, LinearEnsemble: linear_ensemble,
    ConditionedLaw: lambda m: ConditionedLaw(m.weights(m.integer(1, 3), m.integer(1, 4), m.integer(1, 5))),
    BestDirection: lambda m: BestDirection(m.integer(2, 5000)),
}  # fmt: skip


@pytest.mark.parametrize("claim", PROVED, ids=lambda c: c.id)
def test_a_proved_claim_holds_wherever_its_assumptions_do(claim):
    decided = 0
    for seed in range(TRIED):
        instance = MAKERS[claim.setting](Maker(np.random.default_rng([seed, 77])))
        if not bool(instance.valid()) or claim.applies(instance):
            continue
        decision = decide(claim.check(instance))
        assert decision.verdict is not Verdict.REFUTED, f"{instance.summary()}: {decision}"
        decided += decision.verdict is Verdict.HOLDS and not decision.vacuous
        if decided == WANTED:
            break
    assert decided >= 10, f"only {decided} instances satisfied the assumptions"


@pytest.mark.parametrize("claim", PROVED, ids=lambda c: c.id)
def test_nor_is_it_refuted_where_its_strategy_draws_without_the_hints(claim):
    decided = 0
    for seed in range(100):
        instance = draw(claim, StackChooser(np.random.default_rng([seed, 78]), None, seed % 8), beyond=True)
        if not bool(instance.valid()) or claim.applies(instance):
            continue
        decision = decide(claim.check(instance))
        assert decision.verdict is not Verdict.REFUTED, f"{instance.summary()}: {decision}"
        decided += decision.verdict is Verdict.HOLDS
        if decided == 20:
            break
    assert decided
