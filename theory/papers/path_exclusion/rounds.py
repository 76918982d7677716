"""What a round of pruning costs, and what a guard keeps: questions of ours beside the paper."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory.claims import PROVED, REFUTED, Assumption, claim, hints
from theory.cuts import parameter_cuts
from theory.enumeration import on_path
from theory.guarded import GuardedRun
from theory.networks import INPUT, LINEAR, ONE, mlp
from theory.papers.path_exclusion.assumptions import SMALL, starts_live
from theory.papers.path_exclusion.collapse import hidden_relus
from theory.papers.sources import PATH_EXCLUSION, ours
from theory.paths import NetworkOnData
from theory.relations import Relation, all_of, at_most, equal, holds, positive
from theory.saliency import masked_trace
from theory.scalars import total


def _longest(instance: NetworkOnData) -> int:
    """The most weights on one path, a weight counted as often as it stands there."""
    return int(on_path(instance.network).sum(axis=-1).max(initial=0))


@claim(
    NetworkOnData, PROVED, ours("what a round can cost, in the objective"), see="a-round-keeps-its-share-of-the-trace"
)
def smallest_score_is_at_most_its_share(instance: NetworkOnData) -> Relation:
    r"""Removing the weight of the smallest PX score costs at most the share L/N of the objective.

    $N \min_j S_j \le \sum_j S_j \le L \sum_k D_k R_k$ for $N$ weights, at most $L$ of them on a path. So of the
    objective with the gates of this round at least $1 - L/N$ is left.

    Proof. $\sum_j S_j \le L \sum_k D_k R_k$: a path is counted once for each of its weights. The smallest is at most
    the average.
    """
    scores = instance.saliency("px")
    objective = total(instance.activation_per_output() * instance.objective_per_output(), axis=-1)
    lowest, bound = scores.min(axis=-1), objective * _longest(instance)
    counted = lowest * instance.network.parameters
    return all_of(
        at_most(counted, bound),
        at_most(total(scores, axis=-1), bound, "paths counted for each weight"),
        equal(counted + total(scores - np.asarray(lowest)[..., None], axis=-1), total(scores, axis=-1), "average"),
    )


@claim(
    NetworkOnData,
    REFUTED,
    PATH_EXCLUSION.at("pruning that keeps the trace (seed); with the bound that its objective has"),
    see="smallest-score-is-at-most-its-share",
)
@hints(SMALL, samples=1)
def a_round_keeps_its_share_of_the_trace(instance: NetworkOnData) -> Relation:
    r"""Removing the weight of the smallest PX score costs at most the share L/N of the trace.

    As it does of the objective; if no score is 0. False for every share below 1: $f = x_1 + 2 x_2$ at $x = (10, 0)$
    loses all of its trace with the first weight.
    """
    scores = instance.saliency("px")
    first = np.asarray(scores == scores.min(axis=-1, keepdims=True), dtype=bool)
    count = instance.network.parameters
    left = np.asarray(instance.ntk_trace())[..., None] * (count - _longest(instance))
    return at_most(left, instance.trace_without() * count).when(
        first & np.asarray(scores > 0, dtype=bool).all(axis=-1, keepdims=True)
    )


@claim(NetworkOnData, REFUTED, ours("whether pruning can raise the trace"), see="removal-never-raises-the-bound")
@hints(families=("mlp",), kinds=(LINEAR,), samples=1)
def removal_never_raises_the_trace(instance: NetworkOnData) -> Relation:
    r"""Removing a weight never raises the trace over the weights that are left.

    If no weight is 0. False on linear networks, too: with $f = v_1 u_1 w x + v_2 u_2 w x$ and $v_1 u_1 = -v_2 u_2$ the
    two paths through $w$ cancel in $\partial f/\partial w$, until one of them is cut.
    """
    nonzero = np.asarray(instance.theta != 0, dtype=bool).all(axis=-1, keepdims=True)
    return at_most(instance.trace_without(), np.asarray(instance.ntk_trace())[..., None]).when(nonzero)


@claim(NetworkOnData, REFUTED, ours("whether pruning can raise the bound on the trace"))
@hints(SMALL, samples=1)
def removal_never_raises_the_bound(instance: NetworkOnData) -> Relation:
    r"""Removing a weight never raises the bound on the trace over the paths that are left.

    If no weight is 0. False: a weight may be what keeps a ReLU off.
    """
    return _bound_shrinks(instance).when(np.asarray(instance.theta != 0, dtype=bool).all(axis=-1, keepdims=True))


def _bound_shrinks(instance: NetworkOnData) -> Relation:
    return at_most(instance.bound_without(), np.asarray(total(instance.bound_per_output(), axis=-1))[..., None])


def _linear(instance: NetworkOnData) -> bool:
    return all(u in (INPUT, ONE, LINEAR) for u in instance.network.units)


def _with_relus(c: Any, instance: NetworkOnData) -> NetworkOnData:
    return NetworkOnData(mlp((2, 1, 1)), c.numbers((3,)), c.numbers((1, 2)))


linear_units = Assumption("linear-units", "all units are linear, so that every gate is on", _linear, _with_relus)


@claim(
    NetworkOnData,
    PROVED,
    ours("whether pruning can raise the bound on the trace"),
    assumes=(linear_units,),
    repairs="removal-never-raises-the-bound",
)
@hints(SMALL, kinds=(LINEAR,), samples=1)
def linear_removal_never_raises_the_bound(instance: NetworkOnData) -> Relation:
    r"""On linear networks removing a weight never raises the bound on the trace.

    The trace itself it may raise (`removal-never-raises-the-trace`). Proof. Without gates both factors are sums of
    squares over the paths, and the paths that are left are some of them.
    """
    return _bound_shrinks(instance)


@claim(
    GuardedRun,
    PROVED,
    ours("what the guard keeps beside a live path"),
    see="guarded-pruning-keeps-a-live-path",
)
@hints(scorers=("px", "magnitude", "synflow-l2"), layers=2, width=2)
def guarded_pruning_keeps_every_cut(run: GuardedRun) -> Relation:
    r"""A run that skips removals which leave no live path keeps a weight of every cut, whatever the scores.

    Proof. A live path keeps all its weights, and every cut has one of them. Where none is live at the start, no removal
    leaves one, and no weight goes.
    """
    cuts, left = parameter_cuts(run.network), run.final_mask()
    return holds(np.array([bool((left & (cut > 0)).any()) for cut in cuts]), "every cut keeps a weight")


@claim(
    GuardedRun,
    REFUTED,
    ours("what the guard does not keep"),
    assumes=(starts_live,),
    see="guarded-pruning-keeps-every-cut",
)
@hints(scorers=("magnitude",), families=("mlp",), depth=1, width=4, outputs=4, nonzero=True, tight=True)
def guarded_pruning_keeps_every_output(run: GuardedRun) -> Relation:
    r"""A run that skips removals which leave no live path keeps a path to every output.

    With as many weights as the longest path for each output, none of them 0 at the start. False: the guard asks for
    one live path, and outputs that weigh less go with all their weights.
    """
    whole, ends = run.surviving_paths()[..., -1, :], np.array(run.paths.outputs)
    reached = sorted(set(run.paths.outputs))
    kept = np.array([bool(whole[ends == k].any()) for k in reached])
    nonzero = bool(np.asarray(run.theta != 0, dtype=bool).all())
    return holds(kept, "every output").when(nonzero and run.keep >= len(reached) * run.longest_path())


@claim(
    GuardedRun,
    PROVED,
    ours("what the guard keeps beside a live path"),
    assumes=(starts_live, hidden_relus),
    see="trace-greedy-stays-alive",
)
@hints(scorers=("px", "magnitude", "synflow-l2"), layers=2, width=2)
def guarded_pruning_keeps_the_trace_positive(run: GuardedRun) -> Relation:
    r"""On ReLU networks a run that skips removals which leave no live path never brings the trace to 0.

    For any scores: what `trace-greedy-stays-alive` reaches by computing traces, a guard reaches by looking at gates.

    Proof. A live path is left, and its last hidden unit is on: the derivative by the path's last weight is that unit's
    value, above 0 (or the input, for a path of one weight).
    """
    return positive(masked_trace(run.network, run.masked(run.final_mask()), run.x))
