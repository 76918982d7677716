"""Definitions patched one by one: a claim that pins each of them is refuted."""

from contextlib import ExitStack
from unittest.mock import patch

import numpy as np
import pytest

import theory.auxiliary
import theory.paths
import theory.pruning
import theory.saliency
from theory.claims import claim_named
from theory.networks import edge_values, forward
from theory.paths import NetworkOnData, on_path, path_gates
from theory.scalars import total
from verify.search.loop import falsify


def without_the_third_sample(i):
    j = i.jacobian()[..., :2, :, :]
    return total(j * j, axis=(-3, -2, -1))


def unsquared_slopes(i):
    """D_k with the gates as they are, as a sum over paths."""
    gates = path_gates(i.network, i.run)
    return i._sum_by_output(total(gates * i.source_values() ** 2, axis=-2))


def unsquared_slopes_by_forward(network, run, x, weights):
    return total(forward(network, weights, x * x, gates=run.edge_gates).outputs, axis=-2)


def one_more(scores, kept, mask):
    return original_keep_top(scores, kept + 1, mask)


def the_smallest(scores, kept, mask):
    return original_keep_top(-scores, kept, mask)


def always_linear(count, keep, rounds, schedule):
    return original_kept_by_round(count, keep, rounds, "linear" if schedule == "exponential" else schedule)


def counted_once(network, path_weights):
    return total(path_weights[..., :, None] * (on_path(network) > 0).astype(int), axis=-2)


def first_use_only(network, theta):
    """J_theta^v with the derivative by the first use of a weight on a path alone."""
    values, paths = edge_values(network, theta), theory.paths.paths_of(network)
    out = original_path_jacobian(network, theta) * 0
    for p, edges in enumerate(paths.edges):
        seen = set()
        for i in edges:
            j = network.edges[i].parameter
            if j is None or j in seen:
                continue
            seen.add(j)
            rest = theta[..., j] * 0 + 1
            for k in edges:
                rest = rest * (values[k] if k != i else edge_values(network, theta * 0 + 1)[k])
            out[..., p, j] = rest
    return out


original_keep_top = theory.pruning.keep_top
original_kept_by_round = theory.pruning.kept_by_round
original_path_jacobian = theory.paths.path_jacobian

PATCHED = {
    "a trace without its third sample": (
        [(NetworkOnData, "ntk_trace", without_the_third_sample)], "path-exclusion/trace-by-kernel"),
    "slopes not squared in D, in both implementations": (
        [(NetworkOnData, "activation_per_output", unsquared_slopes),
         (theory.auxiliary, "activation", unsquared_slopes_by_forward)], "path-exclusion/activation-by-matrix"),
    "one weight more is kept": ([(theory.pruning, "keep_top", one_more)], "synaptic-flow/runs-keep-the-target"),
    "the smallest scores are kept": (
        [(theory.pruning, "keep_top", the_smallest)], "synaptic-flow/runs-keep-the-target"),
    "a linear schedule for an exponential one": (
        [(theory.pruning, "kept_by_round", always_linear)], "synaptic-flow/schedules-reach-the-target"),
    "a path counts once in scores": (
        [(theory.saliency, "through", counted_once)], "synaptic-flow/score-by-gradient"),
    "a path counts once in PX": ([(theory.saliency, "through", counted_once)], "path-exclusion/saliency-counts-uses"),
    "the first use of a weight alone is differentiated": (
        [(theory.paths, "path_jacobian", first_use_only)], "path-exclusion/chain-rule"),
    "the kernel of the first output": (
        [(NetworkOnData, "kernel_per_output", lambda i: i._sum_by_output(
            total(i.path_jacobian() ** 2, axis=-1)) * np.array([1] + [0] * (len(i.network.outputs) - 1)))],
        "path-exclusion/kernel-by-matrix"),
}  # fmt: skip


@pytest.mark.parametrize("name", PATCHED)
def test_a_patched_definition_is_seen(name):
    changes, identity = PATCHED[name]
    with ExitStack() as stack:
        for where, attribute, wrong in changes:
            stack.enter_context(patch.object(where, attribute, wrong))
        outcome = falsify(claim_named(identity), examples=200, seed=1, shrinking=False)
    assert outcome.verdict == "refuted", (outcome.verdict, outcome.reasons)
