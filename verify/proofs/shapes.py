"""Which instances a claim is proved on: structures with symbols in place of every number.

A shape covers all real values of its numbers that the claim's assumptions allow; hints for drawing are no
hypotheses. To add a setting, write ``@shapes_of(MySetting)``: (claim, level) -> shapes, the smallest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from theory.claims import Claim
from theory.descent import KernelDescent
from theory.flows import ObjectiveOnNetwork, RescaledNetwork
from theory.guarded import GuardedRun
from theory.information import ConditionedLaw, MaskLaw, TestedLaw
from theory.memorisation import CorrelationMask, FittedMasks, MemorisingMasks, NoisyFits, PrunedUnit, ThresholdUnit
from theory.network_sketches import NetworkWeights, SignAverage, network_reads_inputs
from theory.networks import LEAKY, MAX, RELU, Network
from theory.paths import NetworkOnData, on_path, paths_of
from theory.pruning import PruningRun
from theory.released import NormalisedNetwork
from theory.saliency import SCORERS
from theory.scalars import exact
from theory.sketches import MovingSketch, Sketch, Transfer
from verify.proofs import LEVELS
from verify.proofs.architectures import architectures


@dataclass(frozen=True)
class Shape:
    """A structure and the shapes of its arrays.

    Attributes:
        name: what it is.
        arrays: name of a field -> shape of its array of symbols.
        make: arrays by name -> the instance.
        size: how large it is, in the unit of its setting (weights of a network, features of a sketch).
        forks: comparisons that every claim makes on it (gates of a network on its samples): branches grow as 3^forks,
            and shapes with fewer come first.
    """

    name: str
    arrays: dict[str, tuple[int, ...]]
    make: Callable[..., Any]
    size: int
    forks: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return tuple(
            field + "".join(f"_{k}" for k in index)
            for field, shape in self.arrays.items()
            for index in np.ndindex(*shape)
        )

    def instance(self, values: Sequence[Any]) -> Any:
        """The instance with these numbers, in the order of `names`."""
        arrays, at = {}, 0
        for field, shape in self.arrays.items():
            array, count = np.empty(shape, dtype=object), prod(shape)
            for index, value in zip(np.ndindex(*shape), values[at : at + count], strict=True):
                array[index] = value
            arrays[field], at = array, at + count
        return self.make(**arrays)


Maker = Callable[[Claim, str], Iterator[Shape]]
_SHAPES: dict[type, tuple[Maker, str, str]] = {}


def shapes_of(setting: type, kind: str, unit: str) -> Callable[[Maker], Maker]:
    """Register the shapes of a setting.

    Args:
        setting: class of instances.
        kind: what they are, in the plural.
        unit: what their sizes count, in the plural.
    """

    def register(f: Maker) -> Maker:
        _SHAPES[setting] = (f, kind, unit)
        return f

    return register


def kind_of(claim: Claim, proved: Sequence[Shape]) -> str:
    """What shapes these are: "networks of up to 3 weights", "sketch of 2 features"."""
    if not proved:
        return ""
    _, kind, unit = _SHAPES[claim.setting]
    most, several = max(s.size for s in proved), len({s.size for s in proved}) > 1
    one = kind.removesuffix("es") if kind.endswith("ches") else kind.removesuffix("s")
    unit = unit if most > 1 else unit.removesuffix("s")
    return f"{kind if len(proved) > 1 else one} of {'up to ' * several}{most} {unit}"


def shapes(claim: Claim, level: str) -> tuple[Shape, ...]:
    """The shapes of a claim at a level, those with the fewest branches first; empty where its setting has none.

    Raises:
        ValueError: unknown level.
    """
    if level not in LEVELS:
        raise ValueError(f"unknown shapes {level!r}; known: {', '.join(LEVELS)}")
    if claim.setting not in _SHAPES:
        return ()
    return tuple(sorted(_SHAPES[claim.setting][0](claim, level), key=lambda s: s.forks))


def _at(level: str, small: int, default: int, large: int) -> int:
    return {"small": small, "default": default, "large": large}[level]


# -- networks -------------------------------------------------------------------------------------


def _networks(level: str, small: int, default: int, large: int) -> Iterator[tuple[str, Network, int]]:
    """Networks with one and, where not small, two samples."""
    for samples in range(1, _at(level, 1, 2, 2) + 1):
        for name, net in architectures(_at(level, small, default, large)):
            yield f"{name}, {samples} sample{'s' * (samples > 1)}", net, samples


def _on(net: Network, setting: Callable[..., Any], name: str, **arrays: tuple[int, ...]) -> Shape:
    whole = {"theta": (net.parameters,), **arrays}
    forks = _gates(net) * arrays["x"][0] if "x" in arrays else 0
    return Shape(name, whole, lambda **values: setting(net, **values), net.parameters, forks)


def _gates(net: Network) -> int:
    return sum(u in (RELU, LEAKY, MAX) for u in net.units)


@shapes_of(NetworkOnData, "networks", "weights")
def _network_on_data(claim: Claim, level: str) -> Iterator[Shape]:
    for name, net, n in _networks(level, 3, 6, 8):
        yield _on(net, NetworkOnData, name, x=(n, len(net.inputs)))


@shapes_of(ObjectiveOnNetwork, "networks", "weights")
def _objective_on_network(claim: Claim, level: str) -> Iterator[Shape]:
    for name, net, n in _networks(level, 3, 6, 8):
        yield _on(net, ObjectiveOnNetwork, name, x=(n, len(net.inputs)), gradient=(n, len(net.outputs)))


@shapes_of(RescaledNetwork, "networks", "weights")
def _rescaled_network(claim: Claim, level: str) -> Iterator[Shape]:
    for name, net, n in _networks(level, 3, 6, 8):
        yield _on(net, RescaledNetwork, name, x=(n, len(net.inputs)), factor=())


@shapes_of(NetworkWeights, "networks", "weights")
def _network_weights(claim: Claim, level: str) -> Iterator[Shape]:
    for name, net in architectures(_at(level, 3, 6, 8)):
        if network_reads_inputs(net):
            yield _on(net, NetworkWeights, name)


@shapes_of(SignAverage, "networks", "weights")
def _sign_average(claim: Claim, level: str) -> Iterator[Shape]:
    """All ones as inputs (symbols for them at most in one dimension): unit second moments are an equation."""
    for name, net in architectures(_at(level, 3, 5, 6)):
        if network_reads_inputs(net):
            yield _on(net, SignAverage, f"{name}, 1 sample", x=(1, len(net.inputs)))


# -- pruning runs ---------------------------------------------------------------------------------


def _run_shapes(claim: Claim, level: str, setting: type[PruningRun]) -> Iterator[Shape]:
    hints = claim.draws
    drawn = tuple(dict.fromkeys(hints.get("scorers", ("synflow", "synflow-l2"))))
    schedules = tuple(dict.fromkeys(hints.get("schedules", ("one-at-a-time",))))
    for name, net in architectures(_at(level, 3, 4, 6)):
        if net.parameters < 2 or not len(paths_of(net)) or not (on_path(net) > 0).any(axis=0).all():
            continue
        others = tuple(s for s in SCORERS if s not in drawn) if net.parameters <= _at(level, 0, 2, 3) else ()
        for scorer, schedule in product((*drawn, *others), schedules):
            rule = hints.get("rules", ("by-index",))[0]
            rounds = 2 if schedule in ("linear", "exponential") else 1
            for keep in range(1, net.parameters):
                arrays = {"theta": (net.parameters,), "x": (1, len(net.inputs))}

                def make(theta: Any, x: Any, net: Any = net, keep: int = keep, scorer: str = scorer,
                         schedule: str = schedule, rounds: int = rounds) -> Any:  # fmt: skip
                    return setting(net, theta, x, keep=keep, rounds=rounds, scorer=scorer, schedule=schedule, rule=rule)

                yield Shape(
                    f"{name}, {scorer}, {schedule}, keeps {keep}",
                    arrays,
                    make,
                    net.parameters,
                    net.parameters + _gates(net),
                )


@shapes_of(PruningRun, "pruning runs", "weights")
def _pruning_run(claim: Claim, level: str) -> Iterator[Shape]:
    yield from _run_shapes(claim, level, PruningRun)


@shapes_of(GuardedRun, "pruning runs", "weights")
def _guarded_run(claim: Claim, level: str) -> Iterator[Shape]:
    yield from _run_shapes(claim, level, GuardedRun)


# -- sketches -------------------------------------------------------------------------------------


@shapes_of(Sketch, "sketches", "features")
def _sketch(claim: Claim, level: str) -> Iterator[Shape]:
    with_law = claim.draws.get("q", True)
    grid = [(d, n, s) for d in range(1, _at(level, 2, 4, 4) + 1) for n in range(1, _at(level, 1, 2, 3) + 1)
            for s in range(1, _at(level, 2, 3, 3) + 1)]  # fmt: skip
    for d, n, s in sorted(grid, key=lambda t: (t[0] ** t[2] * t[1], t)):
        arrays: dict[str, tuple[int, ...]] = {"x": (d, n), "w": (d,)}
        if with_law:
            arrays["q"] = (d,)
        yield Shape(f"d = {d}, n = {n}, s = {s}", arrays, lambda x, w, q=None, s=s: Sketch(s, x, w, q), d)


@shapes_of(MovingSketch, "sketches", "features")
def _moving_sketch(claim: Claim, level: str) -> Iterator[Shape]:
    for d, n in [(1, 1), (2, 1), (1, 2), (3, 1), (2, 2)][: _at(level, 2, 4, 5)]:
        arrays: dict[str, tuple[int, ...]] = {"x": (d, n), "w": (d,), "q": (d,), "step": ()}
        yield Shape(
            f"d = {d}, n = {n}", arrays, lambda x, w, q, step: MovingSketch(1, x, w, q, step), d
        )  # fmt: skip


@shapes_of(Transfer, "sketches", "features")
def _transfer(claim: Claim, level: str) -> Iterator[Shape]:
    grid = [(d, n, s) for d in range(1, _at(level, 2, 3, 4) + 1) for n in range(1, _at(level, 1, 2, 2) + 1)
            for s in range(1, _at(level, 1, 2, 2) + 1)]  # fmt: skip
    for d, n, s in sorted(grid, key=lambda t: (t[0] * t[1] * t[2], t)):
        arrays: dict[str, tuple[int, ...]] = {"x": (d, n), "w0": (d,), "w": (d,)}
        if claim.draws.get("mix"):
            arrays["legs"] = (2,)
        constant = max(claim.draws.get("constants", (1,))) if level == "large" else 1
        yield Shape(
            f"d = {d}, n = {n}, s = {s}", arrays,
            lambda x, w0, w, legs=None, s=s, c=constant: Transfer(s, x, w0, w, legs, c), d,
        )  # fmt: skip


# -- laws -----------------------------------------------------------------------------------------


@shapes_of(MaskLaw, "laws", "numbers")
def _mask_law(claim: Claim, level: str) -> Iterator[Shape]:
    most = _at(level, 2, 2, 3)
    for n in range(1, _at(level, 1, 2, 3) + 1):
        every = [m[::-1] for m in product((0, 1), repeat=n)]
        for data, count in product(range(1, most + 1), range(1, most + 1)):
            for masks in _choices(every, count):
                name = f"{data} data, masks {' '.join(''.join(map(str, m)) for m in masks)}"
                yield Shape(
                    name, {"weights": (data, count)}, lambda weights, masks=masks: MaskLaw(masks, weights), data * count
                )


@shapes_of(ConditionedLaw, "laws", "numbers")
def _conditioned_law(claim: Claim, level: str) -> Iterator[Shape]:
    most = _at(level, 4, 8, 12)
    for shape in sorted(product((1, 2, 3), repeat=3), key=lambda s: (prod(s), s)):
        if prod(shape) <= most:
            name = f"{shape[0]} initial weights, {shape[1]} data, {shape[2]} masks"
            yield Shape(name, {"weights": shape}, ConditionedLaw, prod(shape))


@shapes_of(TestedLaw, "laws", "numbers")
def _tested_law(claim: Claim, level: str) -> Iterator[Shape]:
    most = _at(level, 4, 4, 6)  # with one datum or one mask there is no information
    for shape in sorted(product((2, 3), repeat=2), key=lambda s: (prod(s), s)):
        if prod(shape) <= most:
            arrays: dict[str, tuple[int, ...]] = {"weights": shape, "tests": shape, "proxy": ()}
            yield Shape(f"{shape[0]} data, {shape[1]} masks", arrays, TestedLaw, prod(shape))


def _choices(masks: list[tuple[int, ...]], count: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """One set of masks for each list of sizes: which weights they keep is of no account."""
    seen = set()
    from itertools import combinations

    for chosen in combinations(masks, count):
        sizes = tuple(sorted(sum(m) for m in chosen))
        if sizes not in seen:
            seen.add(sizes)
            yield chosen


@shapes_of(MemorisingMasks, "laws", "numbers")
def _memorising_masks(claim: Claim, level: str) -> Iterator[Shape]:
    for n in range(1, _at(level, 1, 2, 2) + 1):
        rows = 2**n
        for masks in range(1, _at(level, 2, 2, 3) + 1):
            for sets in _sets(rows, masks, 64 if level == "large" else 12):
                fixed = exact(np.array(sets))
                name = f"{n} point{'s' * (n > 1)}, G = {' '.join(''.join(map(str, s)) for s in sets)}"
                yield Shape(
                    name, {"labels": (rows,), "rule": (rows, masks)},
                    lambda labels, rule, fixed=fixed: MemorisingMasks(labels, rule, fixed), rows * (masks + 1),
                )  # fmt: skip


def _sets(rows: int, masks: int, most: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Multisets of subsets of the labelings."""
    from itertools import combinations_with_replacement, islice

    every = sorted(product((0, 1), repeat=rows), key=lambda s: (sum(s), s))
    yield from islice(combinations_with_replacement(every, masks), most)


@shapes_of(FittedMasks, "laws", "numbers")
def _fitted_masks(claim: Claim, level: str) -> Iterator[Shape]:
    """Masks that realise one labeling each, so that what is fitted is no choice."""
    for n in range(1, _at(level, 1, 1, 2) + 1):
        rows = 2**n
        for masks in range(2, rows + 1):
            sets = exact(np.eye(rows, dtype=int)[:masks])
            answers = exact(np.repeat(np.arange(masks)[:, None], rows, axis=1))
            yield Shape(
                f"{n} point{'s' * (n > 1)}, {masks} masks of one labeling", {"labels": (rows,), "rule": (rows, masks)},
                lambda labels, rule, sets=sets, answers=answers: FittedMasks(labels, rule, sets, answers),
                rows * (masks + 1),
            )  # fmt: skip


@shapes_of(NoisyFits, "laws", "numbers")
def _noisy_fits(claim: Claim, level: str) -> Iterator[Shape]:
    """Masks with one function each."""
    for n, masks in [(1, 2), (2, 2)][: _at(level, 1, 1, 2)]:  # one function alone tells nothing
        rows, member = 2**n, exact(np.eye(masks, dtype=int))
        arrays = {"labels": (rows,), "rule": (rows, masks), "functions": (masks, n)}
        yield Shape(
            f"{n} point{'s' * (n > 1)}, {masks} masks of one function", arrays,
            lambda labels, rule, functions, member=member: NoisyFits(labels, rule, functions, member),
            rows * (masks + 1) + masks * n,
        )  # fmt: skip


@shapes_of(ThresholdUnit, "threshold units", "points")
def _threshold_unit(claim: Claim, level: str) -> Iterator[Shape]:
    sizes = [(1, 1), (2, 1), (1, 2), (2, 2), (3, 1), (3, 2)]
    for n, k in sizes[: _at(level, 3, 5, 6)]:
        for bias in (False, True):
            name = f"{n} point{'s' * (n > 1)}, {k} input{'s' * (k > 1)}{', bias' * bias}"
            yield Shape(name, {"x": (n, k)}, lambda x, bias=bias: ThresholdUnit(bias, x), n)


@shapes_of(PrunedUnit, "pruned units", "points")
def _pruned_unit(claim: Claim, level: str) -> Iterator[Shape]:
    sizes = [(1, 1, 1), (1, 2, 1), (2, 1, 1), (2, 2, 1), (2, 2, 2), (2, 3, 1)]
    for n, inputs, keep in sizes[: _at(level, 3, 5, 6)]:
        name = f"{n} point{'s' * (n > 1)}, {keep} of {inputs} inputs"
        arrays = {"x": (n, inputs), "labels": (2**n,)}
        yield Shape(name, arrays, lambda x, labels, keep=keep: PrunedUnit(keep, x, labels), n)


@shapes_of(CorrelationMask, "masks", "points")
def _correlation_mask(claim: Claim, level: str) -> Iterator[Shape]:
    for n, inputs in ((1, 1), (1, 2), (2, 1), (2, 2), (3, 2))[: _at(level, 3, 4, 5)]:
        yield Shape(f"{n} points, {inputs} inputs", {"x": (n, inputs)}, lambda x: CorrelationMask(x), n)


# -- the rest -------------------------------------------------------------------------------------


@shapes_of(KernelDescent, "descents", "eigenvalues")
def _kernel_descent(claim: Claim, level: str) -> Iterator[Shape]:
    for m, steps in product(range(1, _at(level, 2, 3, 4) + 1), range(1, _at(level, 1, 2, 3) + 1)):
        arrays: dict[str, tuple[int, ...]] = {"larger": (m,), "smaller": (m,), "residual": (m,), "eta": ()}
        yield Shape(
            f"{m} eigenvalue{'s' * (m > 1)}, {steps} step{'s' * (steps > 1)}", arrays,
            lambda larger, smaller, residual, eta, steps=steps: KernelDescent(steps, larger, smaller, residual, eta), m,
        )  # fmt: skip


@shapes_of(NormalisedNetwork, "normalised networks", "weights")
def _normalised_network(claim: Claim, level: str) -> Iterator[Shape]:
    grid = [(1, 0, 1), (1, 0, 2), (1, 1, 1), (2, 0, 1)][: _at(level, 1, 2, 4)]
    for (channels, blocks, outputs), n, positions in product(grid, (1, 2)[: _at(level, 1, 2, 2)], (2, 3)):
        empty = NormalisedNetwork(channels, blocks, outputs, True, False, True, np.zeros(1), np.zeros((n, positions)),
                                  np.zeros(1))  # fmt: skip
        arrays = {"theta": (empty.parameters,), "x": (n, positions), "d": (outputs,)}
        yield Shape(
            f"{channels} channels, {blocks} blocks, {outputs} outputs, {n} x {positions} positions", arrays,
            lambda theta, x, d, c=channels, b=blocks, o=outputs: NormalisedNetwork(
                c, b, o, True, False, True, theta, x, d
            ),
            empty.parameters,
        )  # fmt: skip
