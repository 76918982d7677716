"""How much work it takes to decide an instance, computed from its structure before anything is evaluated.

Work is counted in operations on numbers of up to 128 bits; larger numbers count in proportion. The counts are upper
estimates for the most expensive claim about a setting. They need no time, no path is enumerated and nothing large is
built, so that a certificate from a stranger is refused before it can exhaust the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import comb, lcm
from typing import Any

from theory.networks import INPUT, ONE, Network

MAX_WORK = 2_000_000
"""Most operations that `verify.certificates.check` does for one certificate."""
WORD = 128
MAX_BITS = 100_000
"""Most bits of a common denominator."""


@dataclass(frozen=True)
class Work:
    """``operations`` on numbers of ``bits`` bits."""

    operations: int
    bits: int = 0

    @property
    def total(self) -> int:
        """Operations on numbers of 128 bits."""
        return self.operations * (1 + self.bits // WORD)


def bounded(instance: Any) -> None:
    """Nothing, if deciding ``instance`` is little work.

    Raises:
        ValueError: it would take more than `MAX_WORK` operations, or the setting is not known here.
    """
    if callable(own := getattr(instance, "operations", None)):  # a setting of somebody else's says it itself
        _at_most(Work(own(), height(instance)).total)
        return
    for setting in type(instance).__mro__:
        if estimate := ESTIMATES.get(setting.__name__):
            _at_most(estimate(instance).total)
            return
    raise ValueError(f"nothing is known of the work that a {type(instance).__name__} takes: give it operations()")


def _at_most(total: int) -> None:
    if total > MAX_WORK:
        size = str(total) if total < 10**15 else f"10^{len(str(total)) - 1}" if total < 10**300 else "10^300"
        raise ValueError(f"deciding this instance takes about {size} operations; at most {MAX_WORK} are done")


def height(instance: Any, *more: int) -> int:
    """Bits of the numbers of an instance over their common denominator (and of the integers ``more``).

    A polynomial of degree k in them has about k times as many.
    """
    arrays = [a for n in instance.arrays() if (a := getattr(instance, n)) is not None]
    entries = [v for a in arrays for v in a.ravel()]
    top = max((int(v.p).bit_length() for v in entries), default=0)
    common = 1
    for q in {int(v.q) for v in entries} | {1}:
        common = lcm(common, q)
        if common.bit_length() > MAX_BITS:
            return MAX_WORK * WORD  # too much for anything
    return max(top, *(m.bit_length() for m in more), 1) + common.bit_length()


# -- networks -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Walks:
    """Walks that end in an output, without listing them.

    Attributes:
        count: all of them, whether or not they start at an input.
        longest: the most edges on one.
    """

    count: int
    longest: int


def walks_of(network: Network) -> Walks:
    """Walks of a network, in time linear in its edges."""
    to_output = [network.outputs.count(u) for u in range(len(network.units))]
    longest = [0] * len(network.units)
    for u in reversed(range(len(network.units))):
        for i in network.incoming[u]:
            source = network.edges[i].source
            to_output[source] = min(to_output[source] + to_output[u], 10**30)
            longest[source] = max(longest[source], longest[u] + 1)
    return Walks(sum(to_output), max(longest, default=0))


def cuts_at_most(network: Network) -> int:
    """No network has more cuts that are enumerated than this."""
    inner = sum(u not in (INPUT, ONE) for u in network.units) - len(set(network.outputs))
    return min(2 ** min(inner, 12), 4096)


def _bits_of(instance: Any, degree: int) -> int:
    net = instance.network
    factors = [int(v) for f in {*(e.factor for e in net.edges), net.slope} for v in f.split("/")]
    return degree * (height(instance, *factors) + max(v.bit_length() for v in factors))


def _passes(network: Network, samples: int) -> int:
    """A forward pass, Jacobians and all sums over paths, once."""
    walks, edges = walks_of(network), len(network.edges) + len(network.units)
    count, outputs = max(network.parameters, edges), len(network.outputs)
    by_edges = samples * edges * (4 + outputs) + samples * outputs * count
    by_paths = walks.count * (walks.longest * (samples + walks.longest + 2) + count + samples * outputs)
    return by_edges + by_paths + walks.count


def on_data(instance: Any) -> Work:
    """Networks on data: every sum over paths, the NTK and its eigenvalues, cuts, one removal of each weight."""
    net, samples = instance.network, len(instance.x)
    walks, size = walks_of(net), samples * len(net.outputs)
    count = max(net.parameters, len(net.edges))
    pairs = walks.count**2 * (count + size)
    matrices = size**2 * count + size**4
    cuts = 4 * cuts_at_most(net) * (len(net.edges) + len(net.units))
    removals = 6 * net.parameters * samples * (len(net.edges) + count) * (2 + len(net.outputs)) + walks.count * count
    operations = 6 * _passes(net, samples) + pairs + matrices + cuts + removals
    return Work(operations, _bits_of(instance, 4 * (walks.longest + 1)))


def random_inputs(instance: Any) -> Work:
    """Every input of signs."""
    net = instance.network
    samples = 2 ** len(net.inputs) if len(net.inputs) < 64 else 10**20
    return Work(2 * _passes(net, samples), _bits_of(instance, 4 * (walks_of(net).longest + 1)))


def random_signs(instance: Any) -> Work:
    """Every pattern of signs of the weights."""
    net = instance.network
    patterns = 2**net.parameters if net.parameters < 64 else 10**20
    operations = 2 * _passes(net, patterns * len(instance.x))
    return Work(operations, _bits_of(instance, 4 * (walks_of(net).longest + 1)))


def _rounds(run: Any) -> int:
    if run.schedule == "one-shot":
        return 1
    if run.schedule == "one-at-a-time":
        return max(1, run.network.parameters - run.keep)
    return max(1, run.rounds)


def pruning_run(run: Any) -> Work:
    """All scores in every round, on the network left by it; the schedule's roots of integers."""
    net, samples, rounds = run.network, len(run.x), _rounds(run)
    walks, count = walks_of(net), net.parameters
    once = 3 * _passes(net, samples)
    if run.scorer == "trace-loss":
        once += 4 * count * samples * (len(net.edges) + count) * (2 + len(net.outputs))
    if run.scorer == "grasp":
        once += walks.count * walks.longest**3
    cuts = cuts_at_most(net) * (len(net.edges) + len(net.units))
    bits = _bits_of(run, 4 * (walks.longest + 1))
    schedule = 0
    if run.schedule == "exponential":
        schedule = Work(rounds * 12, 4 * rounds * count.bit_length()).total
    return Work(4 * rounds * (once + cuts_at_most(net) * count) + cuts + schedule, bits)


def guarded_run(run: Any) -> Work:
    """Beside the run, one look for live paths a weight and round."""
    usual = pruning_run(run)
    looks = run.network.parameters**2 * _passes(run.network, len(run.x))
    return Work(usual.operations + looks, usual.bits)


def smooth(instance: Any) -> Work:
    """Dense networks of any widths, with derivatives by forward differentiation."""
    widths, samples = instance.widths, len(instance.x)
    if len(widths) < 2 or min(widths) < 1:
        return Work(1)  # no network: its setting says so
    edges = sum(a * b for a, b in pairwise(widths))
    paths = 1
    for w in widths:
        paths = min(paths * w, 10**30)
    operations = 2 * samples * edges * (edges + 4) + paths * (len(widths) ** 2 + edges)
    return Work(10 * operations, height(instance) * 2 * len(widths))


def uniform(instance: Any) -> Work:
    """Every layer of a deep network in float32, and its weight to the power of the depth."""
    depth = max(instance.depth, 0)
    return Work(depth * (10 + max(instance.width, 0) // 100), 0 if depth > MAX_WORK else depth * height(instance))


def normalised(instance: Any) -> Work:
    """Convolutions with derivatives by every parameter."""
    channels, blocks, outputs = (max(v, 0) for v in (instance.channels, instance.blocks, instance.outputs))
    samples, positions = instance.x.shape
    features = channels * (1 if instance.pooled else positions)
    parameters = (blocks + 1) * (3 * channels * max(channels, 1) + 2 * channels) + outputs * (features + 1)
    operations = (blocks + 1) * (3 * channels * channels + 8 * channels) * positions + 2 * outputs * features
    # A division by the spread of a batch in every layer: numbers grow with the entries of the batch.
    bits = height(instance) * 3 ** min(blocks + 1, 40) * 4 * (1 + samples * positions if instance.training else 1)
    return Work(operations * samples * parameters, bits)


# -- sketches -------------------------------------------------------------------------------------


def sketch(instance: Any) -> Work:
    """All sequences of draws, masks and signs that are enumerated, and powers of the number of draws."""
    (d, n), s = instance.x.shape, max(instance.s, 1)
    sequences = d**s if s <= 64 else 10**30
    sequences = sequences if sequences <= 20_000 else 0  # more are not enumerated: an error
    masks = 2**d if d <= 14 else 0
    operations = 10 * d * (d + n) + (sequences * (s + d * (n + 4))) + masks * d * (n + 4)
    return Work(operations, height(instance) * (6 * d + s))


def transfer(instance: Any) -> Work:
    """Closed forms."""
    d, n = instance.x.shape
    return Work(40 * d * (d + n), height(instance, instance.constant) * 8 * (d + 1))


# -- laws -----------------------------------------------------------------------------------------


def _logarithms(terms: int, bits: int) -> Work:
    """A sum of logarithms whose sign is decided: pairwise common divisors, and balls of enough bits."""
    return Work(20 * terms * terms, bits)


def mask_law(law: Any) -> Work:
    """Entropies, and all numbers of masks of n weights."""
    data, masks = law.weights.shape
    n = max((len(m) for m in law.masks), default=0)
    logs = _logarithms(data * masks + data + masks, height(law) * 4)
    return Work(logs.operations + n * n * (1 + n // WORD), logs.bits)


def tested_law(law: Any) -> Work:
    """As `mask_law`, with a test function."""
    data, masks = law.weights.shape
    return _logarithms(data * masks + data + masks, height(law) * 6)


def conditioned_law(law: Any) -> Work:
    """Mutual information of every table, and that of their mean."""
    laws, data, masks = law.weights.shape
    logs = _logarithms(data * masks + data + masks, height(law) * 6)
    return Work((laws + 1) * logs.operations, logs.bits)


def labelled(instance: Any) -> Work:
    """Labelings by labelings for every mask (and function), and the information of the rule."""
    labels, masks = instance.rule.shape
    functions = len(instance.functions) if hasattr(instance, "functions") else 0
    logs = _logarithms(labels * masks + labels + masks, height(instance) * 2 * (masks + 2))
    operations = logs.operations + 3 * masks * labels * (labels + functions) + functions * labels * 10
    return Work(operations, logs.bits)


def correlation_mask(instance: Any) -> Work:
    """All 2^n labelings of the points, each with its mask."""
    n, inputs = instance.x.shape
    if n > 20:
        return Work(2 ** min(n, 1000))
    labels = 2**n
    operations = labels * n * inputs * 2 + 3 * inputs * labels * labels
    return Work(operations + _logarithms(labels + inputs, 0).operations, 4 * height(instance))


def _labelings(n: int, k: int, bits: int) -> int:
    """All labelings of n points in k dimensions, each by the simplex method in rationals."""
    if n > 20:
        return 2 ** min(n, 1000)
    pivots = 2 * (n + k + 1)
    return 2**n * Work(pivots * (n + k + 2) * (k + 1), bits * (k + 1)).total


def threshold_unit(instance: Any) -> Work:
    """All labelings, and whether the points are in general position."""
    n, k = instance.x.shape
    k += int(instance.bias)
    position = comb(n, min(n, k)) * min(n, k) ** 3 if n < 200 else 10**30
    return Work(_labelings(n, k, height(instance)) + position)


def pruned_unit(instance: Any) -> Work:
    """All labelings for every choice of inputs."""
    n, inputs = instance.x.shape
    choices = comb(inputs, instance.keep) if inputs < 200 else 10**30
    return Work(choices * _labelings(n, instance.keep, height(instance)) + 2 ** min(n, 30))


def linear_ensemble(instance: Any) -> Work:
    """Binomial coefficients of the number of samples, twice, and an integral."""
    n = max(instance.samples, 0)
    return Work(n * n + 4 * n + 100, n + 8 * height(instance))


def constant(instance: Any) -> Work:
    """Closed forms of a few bounded integers."""
    return Work(1000)


def descent(instance: Any) -> Work:
    """Powers of the number of steps."""
    return Work(20 * (1 + instance.larger.size), max(instance.steps, 1) * 4 * height(instance))


ESTIMATES: dict[str, Callable[[Any], Work]] = {
    "NetworkOnData": on_data,
    "NetworkWeights": random_inputs,
    "SignAverage": random_signs,
    "PruningRun": pruning_run,
    "GuardedRun": guarded_run,
    "SmoothNetwork": smooth,
    "UniformNetwork": uniform,
    "NormalisedNetwork": normalised,
    "Sketch": sketch,
    "Transfer": transfer,
    "MaskLaw": mask_law,
    "TestedLaw": tested_law,
    "ConditionedLaw": conditioned_law,
    "LabelledMasks": labelled,
    "CorrelationMask": correlation_mask,
    "ThresholdUnit": threshold_unit,
    "PrunedUnit": pruned_unit,
    "LinearEnsemble": linear_ensemble,
    "FarComponents": constant,
    "BestDirection": constant,
    "KernelDescent": descent,
}
"""By setting; a subclass without an entry of its own uses its base's."""
