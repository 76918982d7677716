"""What checking claims on a module costs, in floating-point operations, and how much of it a budget allows.

Everything here follows from shapes alone, so that the same search is made on any machine at any load.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from theory.claims import Claim
from theory.cuts import cuts_of
from theory.guarded import GuardedRun
from theory.networks import Network
from theory.paths import paths_of
from theory.pruning import PruningRun
from verify.networks.exact.fixed_point import GUARD, work
from verify.networks.recording.graph import Graph

FIXED = 2e7
"""Operations that an instance costs besides those of its layers."""
SHARE = 2e7
"""Operations that a search may spend for each instance of its budget."""
FEWEST, MOST = 4, 200
"""Instances of a module at least and at most."""
TOLD_APART = 1e9
"""Operations that telling gates apart in fixed point may take before any claim asks for it."""
TRACE = 3e11
"""Operations that an exact trace may take."""
GIVEN = 5e10
"""Operations that the module on the inputs given to it may take; on more than one of them."""
STEP = 1.5e6
"""Operations that a gradient step costs besides those of its layers, for each output and as much for three."""
CLIMBED = 1e7
"""Operations that gradient ascent may spend for each instance of a budget."""
FEWEST_STEPS = 20
"""Gradient ascent of fewer steps is left out."""
EXACT, EXACT_WITH_FORM = 4e6, 3e5
"""Cost of an instance up to which a claim is decided by enumeration: where it has no other form, and where it has."""
AT_LEISURE, SHRINKING = 2e4, 4e6
"""Cost up to which a counterexample is made as small as any, and what making a larger one small may cost."""
EXACT_SHARE = 2e3
"""Cost that a search by enumeration may spend for each instance of its budget."""


def flops(graph: Graph, tensors: Mapping[str, Tensor]) -> float:
    """Floating-point operations of one forward evaluation of one input."""
    return work(graph, tensors, 1, 0) / (4 * GUARD)


def instance_cost(graph: Graph, tensors: Mapping[str, Tensor], samples: int) -> float:
    """What a module on data costs: its gates, its trace, its sums over paths and their gradients."""
    outputs = math.prod(graph.output_shape)
    return FIXED + flops(graph, tensors) * (samples * (10 + 4 * outputs) + 40)


def instance_count(cost: float, examples: int) -> int:
    """How many drawn instances of this cost a budget of ``examples`` allows."""
    return max(min(FEWEST, examples), min(MOST, examples, int(examples * SHARE / cost)))


def affordable_samples(graph: Graph, tensors: Mapping[str, Tensor], limit: float, most: int) -> int:
    """How many inputs an instance may have, at least one."""
    one = instance_cost(graph, tensors, 1) - FIXED
    return max(1, min(most, int(limit // one)))


def step_count(graph: Graph, tensors: Mapping[str, Tensor], outputs: int, examples: int) -> int:
    """How many steps of gradient ascent on one input a budget of ``examples`` allows; 0: too few to begin."""
    cost = STEP * (3 + outputs) + flops(graph, tensors) * 12 * outputs
    count = int(examples * CLIMBED / cost)
    return count if count >= FEWEST_STEPS else 0


_BY_PAIRS_OF_PATHS = (
    "path-exclusion/chain-rule", "path-exclusion/kernel-by-matrix", "path-exclusion/trace-bound-by-operator-norm",
)  # fmt: skip
_BY_WEIGHTS = (
    "path-exclusion/pruning-keeps-the-trace", "path-exclusion/removal-by-trace-is-best",
    "path-exclusion/trace-gradient-saliency", "path-exclusion/trace-preserves-eigenvalues",
    "path-exclusion/bound-keeps-the-largest-eigenvalue", "path-exclusion/a-round-keeps-its-share-of-the-trace",
    "path-exclusion/removal-never-raises-the-trace", "path-exclusion/removal-never-raises-the-bound",
    "path-exclusion/linear-removal-never-raises-the-bound", "path-exclusion/trace-loss-is-what-removal-costs",
    "path-exclusion/one-sided-derivatives-are-quotients",
)  # fmt: skip
_BY_PAIRS_OF_WEIGHTS = ("path-exclusion/trace-greedy-stays-alive",)
_BY_SAMPLES = ("path-exclusion/trace-bound-per-sample",)
_BY_CUTS = ("synaptic-flow/layer-rescaling",)


def exact_cost(claim: Claim, network: Network) -> float:
    """What deciding a claim on one enumerated network costs, in entries of arrays of paths by parameters."""
    paths, parameters, factor = len(paths_of(network)), network.parameters, 1.0
    if claim.id in _BY_PAIRS_OF_PATHS:
        factor = paths / 2
    elif claim.id in _BY_PAIRS_OF_WEIGHTS:
        factor = float(parameters**2)
    elif claim.id in _BY_CUTS:
        factor = 4.0 * _cuts(network)
    elif claim.id in _BY_SAMPLES:
        factor = 8.0
    elif claim.id in _BY_WEIGHTS or issubclass(claim.setting, PruningRun | GuardedRun):
        # As many traces, or rounds.
        factor = float(parameters)
    return (2_000 + paths * parameters) * factor


def _cuts(network: Network) -> float:
    try:
        return len(cuts_of(network))
    except ValueError:
        return math.inf


def exact_count(cost: float, examples: int) -> int:
    """How many enumerated instances of this cost a budget of ``examples`` allows."""
    return max(min(FEWEST, examples), min(examples, int(examples * EXACT_SHARE / cost)))


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Torch on one thread, whose order of summation is always the same; the number of threads is restored."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


__all__ = ["affordable_samples", "exact_cost", "exact_count", "flops", "instance_cost", "instance_count",
           "single_threaded", "step_count"]  # fmt: skip
