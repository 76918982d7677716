from itertools import product
from math import log

import numpy as np
import pytest
from flint import arb, fmpq

from theory.information import (
    MaskLaw,
    TestedLaw,
    _value,
    binary_divergence,
    conditional_information,
    constant_log,
    decoupled,
    is_decoupled,
    mutual_information,
    rational_part,
)
from theory.memorisation import CorrelationMask, FittedMasks, MemorisingMasks, NoisyFits
from theory.relations import Verdict, decide
from theory.robustness import BestDirection, FarComponents, chance_of_large_mean, expected_maximum
from theory.scalars import exact, to_float


def information_by_definition(joint):
    p = joint / joint.sum()
    return sum(p[a, b] * log(p[a, b] / (p[a].sum() * p[:, b].sum())) for a, b in np.ndindex(*p.shape) if p[a, b] > 0)


@pytest.mark.parametrize("seed", range(5))
def test_information_is_its_definition(seed):
    joint = np.random.default_rng(seed).integers(0, 5, (3, 4)).astype(float) + np.eye(3, 4)
    expected = information_by_definition(joint)
    assert to_float(mutual_information(exact(joint)).value()) == pytest.approx(expected, abs=1e-12)
    assert mutual_information(np.stack([joint, joint])).value() == pytest.approx([expected] * 2, abs=1e-12)


def test_conditional_information_is_the_average_over_the_condition():
    joint = np.random.default_rng(7).integers(1, 6, (2, 3, 3)).astype(float)
    shares = joint.sum(axis=(1, 2)) / joint.sum()
    expected = sum(s * information_by_definition(j) for s, j in zip(shares, joint, strict=True))
    assert to_float(conditional_information(exact(joint)).value()) == pytest.approx(expected, abs=1e-12)


def test_equal_sums_of_logarithms_are_exactly_equal():
    copied = mutual_information(exact(np.eye(4)))
    assert (copied - constant_log(4, fmpq(1))).value() == fmpq(0)
    assert mutual_information(exact(np.outer([1, 2, 3], [5, 7]))).value() == fmpq(0)
    assert _value([fmpq(2), fmpq(-1)], [fmpq(6), fmpq(36)], fmpq(3, 2)) == fmpq(3, 2)


def test_a_tiny_difference_is_not_taken_for_zero():
    """2^50 log(1 + 2^-200) differs from 0 although its ball at 53 bits does not show it."""
    tiny = _value([fmpq(1), fmpq(-1)], [fmpq(2**200 + 1), fmpq(2**200)], fmpq(0))
    assert isinstance(tiny, arb)
    assert tiny > 0


def test_the_logarithm_of_zero_is_undefined_unless_its_coefficient_is_zero():
    assert binary_divergence(fmpq(1), fmpq(1)).value() == 0
    with pytest.raises(ZeroDivisionError, match="logarithm"):
        binary_divergence(fmpq(1, 2), fmpq(1)).value()


def test_same_law_control_has_the_mask_law_and_no_information():
    joint = exact(np.array([[3, 1], [0, 2]]))
    control = decoupled(joint)
    assert is_decoupled(control)
    assert not is_decoupled(joint)
    assert list(control.sum(axis=0) / control.sum()) == list(joint.sum(axis=0) / joint.sum())


def test_effective_parameters_of_a_deterministic_rule():
    law = MaskLaw(((1, 0), (1, 1)), exact(np.eye(2)))
    assert law.kept() == fmpq(3, 2)
    assert (law.effective_parameters() - rational_part(law.kept(), law.weights) - constant_log(2, fmpq(1))).value() == 0


def test_decoupled_gap_against_enumeration():
    rng = np.random.default_rng(3)
    w, g = rng.integers(1, 5, (3, 2)).astype(float), rng.integers(-3, 4, (3, 2)).astype(float)
    p = w / w.sum()
    expected = sum((p[d, m] - p[d].sum() * p[:, m].sum()) * g[d, m] for d, m in np.ndindex(3, 2))
    assert to_float(TestedLaw(exact(w), exact(g), fmpq(1)).gap()) == pytest.approx(expected, abs=1e-12)


def labelled(seed, n=2, masks=2):
    rng = np.random.default_rng(seed)
    rule = rng.integers(1, 4, (2**n, masks))
    realisable = rng.integers(0, 2, (masks, 2**n))
    realisable[:, 0] = 1
    return rng.integers(1, 3, 2**n), rule, realisable


@pytest.mark.parametrize("seed", range(3))
def test_memorisation_probabilities_against_enumeration(seed):
    labels, rule, realisable = labelled(seed)
    law = MemorisingMasks(exact(labels), exact(rule), exact(realisable))
    p = q = 0.0
    for y, m in np.ndindex(4, 2):
        chance = labels[y] / labels.sum() * rule[y, m] / rule[y].sum()
        p += chance * realisable[m, y]
        q += chance * realisable[m].sum() / 4
    assert (to_float(law.memorised()), to_float(law.by_chance())) == (pytest.approx(p), pytest.approx(q))


def test_accuracy_gain_and_correlation_against_enumeration():
    labels, rule, realisable = labelled(4)
    bits = [[y >> i & 1 for i in range(2)] for y in range(4)]

    def agree(a, b):
        return sum(u == v for u, v in zip(bits[a], bits[b], strict=True))

    answers = [[max((g for g in range(4) if realisable[m][g]), key=lambda g: agree(g, y)) for y in range(4)]
               for m in range(2)]  # fmt: skip
    law = FittedMasks(exact(labels), exact(rule), exact(realisable), exact(answers))
    assert law.valid()
    assert (law.correct() == law.best()).all()
    p = labels / labels.sum()
    cond = rule / rule.sum(axis=1, keepdims=True)
    marginal = p @ cond
    a = np.array([[agree(answers[m][y], y) / 2 for m in range(2)] for y in range(4)])
    expected = (p[:, None] * cond * a).sum() - (p[:, None] * marginal[None] * a).sum()
    assert to_float(law.accuracy_gain()) == pytest.approx(expected)
    functions, member = np.array([[1, -0.5], [-1, 0.25], [0, 1]]), np.array([[1, 1, 0], [0, 0, 1]])
    noisy = NoisyFits(exact(labels), exact(rule), exact(functions), exact(member))
    expected = sum(
        p[y] * cond[y, m] * max(functions[f] @ (2 * np.array(bits[y]) - 1) / 2 for f in range(3) if member[m, f])
        for y, m in np.ndindex(4, 2)
    )
    assert to_float(noisy.correlation()) == pytest.approx(expected)


def test_independence_of_labels():
    rule = exact(np.ones((4, 1)))
    whole = exact(np.ones((1, 4)))
    for labels, independent in (
        ([1, 2, 3, 6], True),
        ([1, 0, 0, 1], False),
        ([0, 0, 1, 0], True),
        ([1, 1, 1, 2], False),
    ):
        assert bool(MemorisingMasks(exact(labels), rule, whole).independent()) is independent


def test_top_one_mask_by_correlation():
    law = CorrelationMask(exact([[1, 1], [1, -2]])).law
    chosen = [int(np.argmax(row)) for row in law.rule]
    assert chosen == [0, 1, 1, 0]  # y = (-,-): |-2| > |1|; (+,-): 0 < 3; and their negatives
    assert law.realisable.astype(int).tolist() == [[1, 0, 0, 1], [0, 1, 1, 0]]


def test_stack_and_exact_agree():
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0, 2.0], (5, 3, 2))
    stack = CorrelationMask(x).law
    for i in range(5):
        assert to_float(CorrelationMask(exact(x[i])).law.memorised()) == stack.memorised()[i]


def test_expected_maximum_of_normals():
    assert expected_maximum(2).overlaps(1 / arb.pi().sqrt())
    assert expected_maximum(3).overlaps(arb(3) / (2 * arb.pi().sqrt()))
    assert 1.365 < to_float(BestDirection(100).correlation() ** 2 / arb(100).log()) < 1.366
    with pytest.raises(ValueError, match="at least 2"):
        expected_maximum(1)


def test_chance_of_a_large_mean_by_enumeration():
    for n, e in product((1, 2, 5), (fmpq(1, 4), fmpq(1))):
        means = [sum(y) / n for y in product((-1, 1), repeat=n)]
        assert chance_of_large_mean(n, e) == fmpq(sum(m * m >= to_float(e) - 1e-12 for m in means), 2**n)


def test_many_components_are_memorised():
    far = FarComponents(15, 40)
    assert far.memorised_at_least() > fmpq(99, 100)
    assert far.literal_bound() < 0.01


@pytest.mark.parametrize(
    ("masks", "weights", "message"),
    [
        (((1,), (1,)), np.ones((1, 2)), "different"),
        (((1,),), np.ones((1, 2)), "1 masks"),
        (((2,),), np.ones((1, 1)), "zeros"),
    ],
)  # fmt: skip
def test_bad_laws_are_refused(masks, weights, message):
    with pytest.raises(ValueError, match=message):
        MaskLaw(masks, weights)


def test_equality_cases_are_decided():
    from theory.papers.no_free_prune.information import information_range
    from theory.papers.no_free_prune.memorising import memorisation_information

    uniform = MaskLaw(((0, 1), (1, 0)), exact(np.eye(2)))
    decision = decide(information_range.check(uniform))
    assert (decision.verdict, decision.margin, decision.how) == (Verdict.HOLDS, 0.0, "rational")
    copied = MemorisingMasks(exact([1, 1]), exact(np.eye(2)), exact(np.eye(2)))
    decision = decide(memorisation_information.check(copied))
    assert (decision.verdict, decision.margin) == (Verdict.HOLDS, 0.0)
