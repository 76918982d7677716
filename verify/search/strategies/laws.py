"""Laws of data, labels and masks: small tables of weights, small sets of labelings."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from theory.information import ConditionedLaw, MaskLaw, TestedLaw, decoupled
from theory.memorisation import (
    CorrelationMask,
    FittedMasks,
    LabelledMasks,
    MemorisingMasks,
    NoisyFits,
    PrunedUnit,
    ThresholdUnit,
    agreements,
)
from theory.robustness import BestDirection, FarComponents, LinearEnsemble
from theory.scalars import Array, indicator, total
from theory.separability import dichotomies, signs
from verify.search.shrink import _try, drop_rows, integers, structural
from verify.search.strategies import draws
from verify.search.strategies.choosers import Chooser

# -- data and masks -------------------------------------------------------------------------------


@draws(MaskLaw, beyond={"same_size": False, "independent": False})
def mask_law(c: Chooser, *, same_size: bool = False, independent: bool = False) -> MaskLaw:
    """A law over some masks of up to 4 weights; all of one size, or the data ignored, if asked for."""
    n = c.integer(1, 4)
    masks = [m[::-1] for m in product((0, 1), repeat=n)]
    if same_size:
        k = c.integer(0, n)
        masks = [m for m in masks if sum(m) == k]
    if not c.flip():  # else: all of them, where the bound can be attained
        first = c.integer(0, len(masks) - 1)
        masks = masks[first : first + c.integer(1, len(masks) - first)]
    data = c.integer(1, 4)
    if independent:
        weights = c.weights((data,))[..., :, None] * c.weights((len(masks),))[..., None, :]
    else:
        weights = _table(c, data, len(masks))
    return MaskLaw(tuple(masks), weights)


def _mixed(c: Chooser, *options: Array) -> Array:
    """One of the tables, for each instance of a stack by itself: a stack then holds instances of every kind."""
    return _chosen(c.integers((1, 1), 0, len(options) - 1), *options)


def _chosen(which: Array, *options: Array) -> Array:
    out = options[0]
    for i, option in enumerate(options[1:], 1):
        out = np.where(which == i, option, out)
    return out


def _table(c: Chooser, rows: int, columns: int) -> Array:
    """Joint weights: anything, nearly independent (at random or like a chess board), determined, or all equal."""
    weights = c.weights((rows, columns))
    dead = np.asarray(total(weights, axis=(-2, -1)) == 0)[..., None, None]
    near = c.integers((1, 1), 1, 16) + c.integers((rows, columns), 0, 1)
    board = c.integers((1, 1), 16, 64) + (np.arange(rows)[:, None] + np.arange(columns)) % 2
    one = indicator(c.integers((rows, 1), 0, columns - 1) == np.arange(columns), weights)
    return _mixed(c, weights + indicator(dead, weights), near, one, one * 0 + 1, board)


@draws(ConditionedLaw)
def conditioned_law(c: Chooser) -> ConditionedLaw:
    """Up to 3 initial weights, 3 data and 3 masks; some initial weights may be impossible."""
    shape = (c.integer(1, 3), c.integer(1, 3), c.integer(1, 3))
    weights = c.weights(shape)
    return ConditionedLaw(weights + indicator(total(weights, axis=(-3, -2, -1)) == 0, weights)[..., None, None, None])


@draws(TestedLaw)
def tested_law(c: Chooser) -> TestedLaw:
    """A law with the test that sees most (1 where the pair is likelier than by chance), or any test."""
    weights = _table(c, c.integer(2, 4), c.integer(2, 4))
    whole = np.asarray(total(weights, axis=(-2, -1)))[..., None, None]
    if c.flip(0.8):
        tests = indicator(weights * whole > decoupled(weights), weights)
    else:
        tests = c.numbers(tuple(weights.shape[-2:]))
    law = TestedLaw(weights, tests, total(weights, axis=(-2, -1)) * 0 + 1)
    widest = law.widest()
    proxy = widest * widest / 4 + indicator(np.asarray(widest == 0), weights)
    return law.with_(proxy=proxy / _chosen(c.integers((), 0, 7), *[proxy * 0 + k for k in (1, 1, 1, 1, 1, 1, 2, 16)]))


# -- labels and masks -----------------------------------------------------------------------------


def _labels(c: Chooser, n: int, independent: bool) -> Array:
    """Uniform labels; or independent ones, each point with a law of its own."""
    law = c.positives((2**n,)) * 0 + 1
    if independent and not c.flip(0.6):
        positive = signs(n) > 0
        for i in range(n):
            pair = c.weights((2,))
            law = law * np.where(positive[:, i], pair[..., :1], pair[..., 1:])
    return law


def _rule(c: Chooser, n: int, masks: int) -> Array:
    """The weights of the masks for each labeling: determined, the label of one point, nearly indifferent, or any."""
    rows = 2**n
    any_ = c.weights((rows, masks))
    copied = (np.arange(rows)[:, None] >> c.integer(0, n - 1)) % 2 % masks == np.arange(masks)
    return _mixed(
        c,
        indicator(c.integers((rows, 1), 0, masks - 1) == np.arange(masks), any_),
        any_ * 0 + copied.astype(int),
        c.integers((1, 1), 1, 16) + c.integers((rows, masks), 0, 1),
        any_,
    )


def _sets(c: Chooser, n: int, masks: int) -> Array:
    """G_m: any sets, one labeling each (any, or opposite ones), the parts of a partition into equal ones, or what
    threshold units realise on one kept input or on fixed points.
    """
    rows = 2**n
    any_ = c.integers((masks, rows), 0, 1)
    one = indicator(c.integers((masks, 1), 0, rows - 1) == np.arange(rows), any_)
    agreeing = (2 * c.integers((masks, 1, n), 0, 1) - 1) * signs(n) > 0
    kept = indicator(agreeing.all(axis=-1) | ~agreeing.any(axis=-1), any_)
    points = [[c.integer(-3, 3), c.pick((1, -1, 2))] for _ in range(n)]
    at, first = np.arange(rows), c.integers((1, 1), 0, rows - 1)
    opposite = indicator(np.where(np.arange(masks)[:, None] % 2 == 0, first, rows - 1 - first) == at, any_)
    parts = any_ * 0 + (at * masks // rows == np.arange(masks)[:, None]).astype(int)
    return _mixed(c, any_, one, one, opposite, parts, kept, any_ * 0 + dichotomies(points).astype(int))


def _rule_and_sets(c: Chooser, n: int, masks: int) -> tuple[Array, Array]:
    """A rule and sets G_m: unrelated, sets that fit the rule, or a rule that prefers the mask that fits best or, a
    little and in proportion, the one that fits better: the bounds on information are nearly attained there.
    """
    rule, sets = _rule(c, n, masks), _sets(c, n, masks)
    choosing = np.swapaxes(indicator(rule >= rule.max(axis=-1)[..., None], rule), -1, -2)
    right = np.where(sets[..., None, :] == 1, agreements(n), -1).max(axis=-1)
    best = np.swapaxes(indicator(right == right.max(axis=-2)[..., None, :], sets), -1, -2)
    slightly = np.swapaxes(right, -1, -2) + c.integers((1, 1), 2, 128)
    within = np.swapaxes(sets, -1, -2) + c.integers((1, 1), 1, 128)
    which = c.integers((1, 1), 0, 5)
    return _chosen(which, rule, rule, best, best + c.integers((1, 1), 1, 16), slightly, within), _chosen(
        which, sets, choosing, sets, sets, sets, sets
    )


def _guessing(c: Chooser, n: int) -> tuple[Array, Array]:
    """A mask for each labeling, which realises that one alone and is preferred for it, by so much: given the mask the
    labels are uniform on G_m, or on the rest, and the bounds on information are nearly attained for any n.
    """
    itself = np.eye(2**n, dtype=int)
    rule = c.integers((1, 1), 0, 3) + itself * c.integers((1, 1), 1, 2 ** (n + 4))
    return rule, rule * 0 + itself


@draws(MemorisingMasks)
def memorising_masks(c: Chooser) -> MemorisingMasks:
    """Uniform labels of up to 3 points; 2 to 4 masks, or one for each labeling."""
    n, masks = c.integer(1, 3), c.integer(2, 4)
    if c.flip(0.15):
        return MemorisingMasks(_labels(c, n, False), *_guessing(c, n))
    return MemorisingMasks(_labels(c, n, False), *_rule_and_sets(c, n, masks))


@draws(FittedMasks)
def fitted_masks(c: Chooser) -> FittedMasks:
    """The same with the best fit of each mask; no G_m is empty; labels independent."""
    n, masks = c.pick((1, 2, 2, 3)), c.integer(2, 3)
    rule, realisable = _rule_and_sets(c, n, masks)
    empty = np.asarray(total(realisable, axis=-1) == 0)[..., None]
    realisable = np.where(empty, realisable * 0 + 1, realisable)
    best = np.argmax(np.where(realisable[..., None, :] == 1, agreements(n), -1), axis=-1)
    return FittedMasks(_labels(c, n, True), rule, realisable, realisable * 0 + best)


@draws(NoisyFits)
def noisy_fits(c: Chooser) -> NoisyFits:
    """Functions with values in [-1, 1], often signs; one function for each mask, or any classes."""
    n, masks = c.integer(1, 3), c.integer(2, 3)
    rule = _rule(c, n, masks)
    count = c.integer(2, 3)
    functions = _mixed(c, 2 * c.integers((count, n), 0, 1) - 1, c.integers((count, n), -4, 4) / 4)
    if c.flip(0.4):  # the first two are opposite
        functions = np.where(np.arange(count)[:, None] == 1, -functions[..., :1, :], functions)
    member = c.integers((masks, count), 0, 1)
    one = indicator(c.integers((masks, 1), 0, count - 1) == np.arange(count), member)
    each = indicator(np.arange(masks)[:, None] % 2 == np.arange(count), member)
    member = _mixed(c, one, each, member)
    empty = np.asarray(total(member, axis=-1) == 0)[..., None]
    member = np.where(empty, member * 0 + 1, member)
    each = np.swapaxes(functions @ signs(n).T, -1, -2)[..., None, :]
    found = np.where(member[..., None, :, :] == 1, each, each * 0 - n).max(axis=-1)
    best = indicator(found == found.max(axis=-1)[..., None], rule)
    rule = _mixed(c, rule, best, best + c.integers((1, 1), 1, 16), found + c.integers((1, 1), 4, 128))
    return NoisyFits(_labels(c, n, False), rule, functions, member)


@draws(CorrelationMask)
def correlation_mask(c: Chooser) -> CorrelationMask:
    """Signs, or any numbers that are not 0."""
    shape = (c.integer(1, 4), c.integer(1, 4))
    x = 2 * c.integers(shape, 0, 1) - 1
    return CorrelationMask(x if c.flip() else x * c.positives(shape))


@draws(ThresholdUnit)
def threshold_unit(c: Chooser) -> ThresholdUnit:
    """Up to 5 points in up to 3 dimensions, often in general position."""
    shape = (c.integer(1, 5), c.integer(1, 3))
    return ThresholdUnit(c.flip(), c.numbers(shape) if c.flip() else c.integers(shape, -9, 9))


@draws(PrunedUnit)
def pruned_unit(c: Chooser) -> PrunedUnit:
    """Up to 4 points, up to 3 inputs."""
    n, inputs = c.integer(1, 4), c.integer(1, 3)
    shape = (n, inputs)
    x = c.pick((c.numbers(shape), c.integers(shape, -9, 9), 2 * c.integers(shape, 0, 1) - 1))
    return PrunedUnit(c.integer(1, inputs), x, _labels(c, n, False))


# -- laws of robustness ---------------------------------------------------------------------------


@draws(LinearEnsemble)
def linear_ensemble(c: Chooser) -> LinearEnsemble:
    """Up to 64 samples, t = eps sqrt(nd)/(2L) up to 8 or about 0, eps up to 1 or about 0."""
    samples = 2 ** c.pick((1, 2, 0, 3, 4, 6))
    dimension = 4 ** c.pick((0, 1, 2, 3, 5))
    directions = c.pick([v for v in (1, 2, 4, 16, 64, 256, 1024) if v <= dimension])
    epsilon = 1 / (c.integers((), 1, 4) * c.pick((1, 2**14)))
    scale = c.integers((), 1, 16) / c.pick((2, 2**14))
    lipschitz = (
        epsilon * 2 ** ((samples.bit_length() - 1) // 2) * 2 ** ((dimension.bit_length() - 1) // 2) / (2 * scale)
    )
    return LinearEnsemble(samples, dimension, directions, epsilon, lipschitz)


@draws(BestDirection)
def best_direction(c: Chooser) -> BestDirection:
    """From 2 to about 60 000 directions."""
    return BestDirection(c.integer(2, 9) ** c.pick((1, 2, 3, 5)))


@draws(FarComponents)
def far_components(c: Chooser) -> FarComponents:
    """All orders of magnitude."""
    return FarComponents(c.pick(range(1, 24)), c.pick(range(1, 60)))


# -- shrinking ------------------------------------------------------------------------------------

_ROLES: dict[str, tuple[str, ...]] = {
    "labels": ("labeling",),
    "rule": ("labeling", "mask"),
    "realisable": ("mask", "labeling"),
    "answers": ("mask", "labeling"),
    "member": ("mask", "function"),
    "functions": ("function", "point"),
}
"""What the axes of each array of a `LabelledMasks` run over."""


def _without(instance: LabelledMasks, role: str, index: int) -> LabelledMasks:
    changed = {}
    for name in instance.arrays():
        if role in _ROLES[name]:
            changed[name] = np.delete(getattr(instance, name), index, axis=_ROLES[name].index(role))
    return instance.with_(**changed)


def _without_point(instance: LabelledMasks, point: int, up: int) -> LabelledMasks:
    """Restrict to the labelings that give ``point`` one label, and forget the point."""
    at = np.arange(2**instance.n)
    kept = np.flatnonzero((at >> point) & 1 == up)
    changed = {}
    for name in instance.arrays():
        a = getattr(instance, name)
        for axis, role in enumerate(_ROLES[name]):
            if role == "labeling":
                a = np.take(a, kept, axis=axis)
            if role == "point":
                a = np.delete(a, point, axis=axis)
        changed[name] = a
    if "answers" in changed:
        rest = [(int(v) >> (point + 1) << point) | int(v) & (2**point - 1) for v in changed["answers"].ravel()]
        changed["answers"] = changed["answers"] * 0 + np.array(rest).reshape(changed["answers"].shape)
    return instance.with_(**changed)


@structural.register
def _(instance: LabelledMasks) -> Iterator[Any]:
    for point in range(instance.n):
        if instance.n > 1:
            for up in (0, 1):
                yield from _try(partial(_without_point, instance, point, up))
    for role, name in (("mask", "rule"), ("function", "functions")):
        if name in instance.arrays():
            length = getattr(instance, name).shape[_ROLES[name].index(role)]
            for i in range(length if length > 1 else 0):
                yield from _try(partial(_without, instance, role, i))


@structural.register
def _(instance: MaskLaw) -> Iterator[Any]:
    for i in range(len(instance.masks) if len(instance.masks) > 1 else 0):
        fewer = instance.masks[:i] + instance.masks[i + 1 :]
        yield from _try(partial(instance.with_, masks=fewer, weights=np.delete(instance.weights, i, axis=1)))
    for j in range(instance.n if instance.n > 1 else 0):
        shorter = tuple(m[:j] + m[j + 1 :] for m in instance.masks)
        yield from _try(partial(instance.with_, masks=shorter))
    yield from drop_rows(instance, "weights")


@structural.register
def _(instance: ConditionedLaw) -> Iterator[Any]:
    for axis in range(3):
        yield from drop_rows(instance, "weights", axis=axis)


@structural.register
def _(instance: TestedLaw) -> Iterator[Any]:
    yield from drop_rows(instance, "weights", "tests")
    yield from drop_rows(instance, "weights", "tests", axis=1)


@structural.register
def _(instance: CorrelationMask) -> Iterator[Any]:
    yield from drop_rows(instance, "x")
    yield from drop_rows(instance, "x", axis=1)


@structural.register
def _(instance: ThresholdUnit) -> Iterator[Any]:
    if instance.bias:
        yield from _try(partial(instance.with_, bias=False))
    yield from drop_rows(instance, "x")
    yield from drop_rows(instance, "x", axis=1)


@structural.register
def _(instance: PrunedUnit) -> Iterator[Any]:
    n, inputs = instance.x.shape
    at = np.arange(2**n)
    for point in range(n if n > 1 else 0):
        for up in (0, 1):
            labels = instance.labels[np.flatnonzero((at >> point) & 1 == up)]
            yield from _try(partial(instance.with_, x=np.delete(instance.x, point, axis=0), labels=labels))
    for j in range(inputs):
        keep = min(instance.keep, inputs - 1)
        yield from _try(partial(instance.with_, x=np.delete(instance.x, j, axis=1), keep=keep))
    yield from integers(instance)
