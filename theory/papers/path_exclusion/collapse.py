"""Layer collapse, networks that die on their data, and rules that keep them alive."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from theory.claims import PROVED, REFUTED, Assumption, claim, hints
from theory.collapse import (
    THEOREM,
    conserved_scores,
    equal_path_lengths,
    everything_scored,
    global_masking,
    nonnegative_scores,
    nonzero_scores,
    rescored,
    scored_by,
    slow_schedule,
    ties_broken,
)
from theory.enumeration import on_path
from theory.guarded import GuardedRun, live, own_edges
from theory.networks import LINEAR, ONE, RELU, Builder
from theory.papers.path_exclusion.assumptions import SMALL, starts_live
from theory.papers.sources import PATH_EXCLUSION, SYNAPTIC_FLOW, ours
from theory.paths import NetworkOnData
from theory.pruning import PruningRun
from theory.relations import (
    Relation,
    all_of,
    at_most,
    equivalent,
    holds,
    nonnegative,
    positive,
)
from theory.saliency import masked_trace
from theory.scalars import Array, indicator, total

LITERAL = (nonnegative_scores, nonzero_scores, conserved_scores, global_masking, rescored, slow_schedule, ties_broken,
           everything_scored, equal_path_lengths)  # fmt: skip
"""The theorem's assumptions as its source states them: without the one that PX does not satisfy."""
by_px, by_frozen_px, by_energy = scored_by("px"), scored_by("px-frozen"), scored_by("path-energy")
RUNS = {"layers": 2, "nonzero": True, "width": 2, "samples": 2}


def _keeps_a_path(run: PruningRun) -> Relation:
    kept = np.array(run.kept_by_round())
    return holds(run.alive_by_round(), "some path keeps all its weights").when(kept >= run.smallest_path())


@claim(
    PruningRun,
    REFUTED,
    PATH_EXCLUSION.at("positive saliency scores prevent layer collapse (seed)"),
    assumes=(by_px, *LITERAL),
)
@hints(RUNS, scorers=("px",))
def no_collapse_literal(run: PruningRun) -> Relation:
    r"""Iterated PX never empties a layer before the critical compression.

    False. The gates are measured on the pruned network: pruning can switch off every remaining path, all scores are
    then 0, and the next round empties a layer. The theorem of maximal critical compression assumes, in silence, that
    the objective of the pruned network is that of its surviving paths.
    """
    return _keeps_a_path(run)


@claim(
    PruningRun,
    REFUTED,
    PATH_EXCLUSION.at("positive saliency scores prevent layer collapse (seed)"),
    assumes=(by_px, *LITERAL),
)
@hints(RUNS, scorers=("px",), outputs=2, samples=1)
def stays_alive_literal(run: PruningRun) -> Relation:
    r"""Iterated PX never brings its objective to 0 before the critical compression.

    False: with a first layer $(-3, 2)$ on $x = (1, 2)$ the smaller weight is what keeps the ReLU on. The network is
    then constant on the data.
    """
    return positive(run.final_objective()).when(run.keep >= run.smallest_path())


@claim(
    PruningRun,
    PROVED,
    ours("what is left of the theorem for PX"),
    assumes=tuple(a for a in LITERAL if a is not nonzero_scores),
    see="no-collapse-literal",
)
@hints(RUNS, scorers=("px",))
def collapse_only_after_death(run: PruningRun) -> Relation:
    r"""A round of PX that starts with a positive objective leaves a complete path.

    So PX empties a cut only after the network has died on the data, when all scores are 0 and what goes next is a
    matter of how ties are broken. Proof. Within a round the path weights $D_k v_p^2$ are fixed numbers; what is removed
    scores less than a cut, the objective, so by the union bound some path of positive weight keeps all its weights.
    """
    kept = np.array(run.kept_by_round())
    dead = np.asarray(run.objective_by_round() == 0, dtype=bool)
    found = holds(run.alive_by_round() | dead, "a path is left, or the objective was 0")
    return found.when(kept >= run.smallest_path())


@claim(
    PruningRun,
    PROVED,
    SYNAPTIC_FLOW.at("the theorem, applied to PX with frozen activation"),
    assumes=THEOREM,
    repairs="no-collapse-literal",
)
@hints(RUNS, scorers=("px-frozen",), nonzero=False)
def frozen_activation_never_collapses(run: PruningRun) -> Relation:
    r"""PX with the dense network's activations $D_k$ held fixed keeps a path until the critical compression.

    Proof. Its path weights $D_k v_p^2$ do not depend on the mask, so `synaptic-flow/maximal-critical-compression`
    applies. It keeps every cut; it does not keep the network alive on the data.
    """
    return _keeps_a_path(run)


@claim(
    PruningRun,
    REFUTED,
    ours("frozen activation and live paths"),
    assumes=(by_frozen_px, *LITERAL),
    see="guarded-pruning-keeps-a-live-path",
)
@hints(RUNS, scorers=("px-frozen",), samples=1)
def frozen_activation_stays_alive(run: PruningRun) -> Relation:
    r"""PX with fixed activations keeps a path that is active on the data.

    False: the ReLUs of the surviving path may be off.
    """
    return holds(live(run, run.final_mask())).when(run.keep >= run.smallest_path())


@claim(GuardedRun, PROVED, ours("a rule with a guarantee"), assumes=(starts_live,), repairs="stays-alive-literal")
@hints(scorers=("px", "magnitude", "synflow-l2"), layers=1, width=2, families=("mlp", "window"))
def guarded_pruning_keeps_a_live_path(run: GuardedRun) -> Relation:
    r"""Skipping every removal that leaves no live path keeps the network alive and reaches the target.

    One weight a round: of the remaining ones by rising score, the first whose removal leaves some path live on the
    data. On networks in which every edge has a weight of its own and no unit is a maximum it reaches every target of
    at least the longest path.

    Proof. At a unit that is on, some contribution is positive; following these back gives a path $P$ that is live by
    itself. If weights outside $P$ enter its units, take the unit nearest to the output: a negative contribution may go,
    or, if there is none, a positive one, since what $P$ contributes stays positive; units of $P$ behind it receive only
    $P$. If none enters, any other weight may go. So a removal exists until only $P$ is left.
    """
    masks = run.masks()
    stays = [bool(live(run, masks[r])) for r in range(len(masks))]
    reached = masks[-1].sum() <= max(run.keep, run.longest_path())
    return all_of(
        holds(np.array(stays), "stays live"),
        holds(reached, "reaches the target").when(run.own_edges()),
        holds(np.array([_lowest_went(run, r) for r in range(len(masks))]), "the lowest that may go"),
    )


def _lowest_went(run: GuardedRun, r: int) -> bool:
    """Whether of the weights that round r might remove the one with the lowest score went, if there is one."""
    before, after, scores = run.masks_before()[r], run.masks()[r], run.scores_by_round()[r]
    may = [j for j in np.flatnonzero(before) if live(run, before & (np.arange(len(before)) != j))]
    gone = list(np.flatnonzero(before & ~after))
    return not gone if not may or run.keep == len(before) else gone == [min(may, key=lambda j: (scores[j], j))]


def _outputs_left(run: PruningRun) -> Array:
    """Number of outputs to which some path keeps all its weights at the end, shape (...)."""
    whole, ends = run.surviving_paths()[..., -1, :], np.array(run.paths.outputs)
    kept = np.stack([whole[..., ends == k].any(axis=-1) for k in range(len(run.network.outputs))], axis=-1)
    return np.asarray(total(indicator(kept, run.theta), axis=-1))


@claim(
    PruningRun,
    REFUTED,
    ours("what iterating PX does to outputs"),
    assumes=(by_px, rescored),
    see="data-enters-through-outputs",
)
@hints(RUNS, scorers=("px",), outputs=2, layers=1, depth=2, samples=1)
def leaves_as_many_outputs_as_synflow_l2(run: PruningRun) -> Relation:
    r"""While its objective is positive, iterated PX keeps paths to as many outputs as SynFlow-L2.

    False: $D_k$ counts the paths that pruning has left to output $k$, so an output that loses paths weighs less in the
    next round, and loses more.
    """
    ours, theirs = _outputs_left(run), _outputs_left(run.with_(scorer="synflow-l2"))
    return at_most(theirs, ours).when(np.asarray(run.final_objective() > 0, dtype=bool))


def _hidden_relus(run: PruningRun) -> bool:
    n = run.network
    hidden = [u for i, u in enumerate(n.units) if i not in n.inputs and i not in n.outputs]
    return own_edges(n) and all(u in (RELU, ONE) for u in hidden)


def _cancelling(c: Any, run: PruningRun) -> PruningRun:
    """One weight on two inputs that are added: what it adds at the one may be what it takes away at the other."""
    b = Builder(2)
    (w,), out = b.new_parameters(1), b.unit(LINEAR)
    for s in b.inputs:
        b.connect(s, out, w)
    x = c.numbers((1, 1))
    return run.with_(network=b.network((out,)), theta=c.positives((1,)), x=np.concatenate([x, -x], axis=-1), keep=1)


greedy_by_trace = Assumption(
    "greedy-by-trace", "the score of a weight is the trace that its removal costs",
    lambda run: run.scorer == "trace-loss", lambda c, run: run.with_(scorer="px"),
)  # fmt: skip

one_at_a_time = Assumption(
    "one-at-a-time", "a round removes one weight",
    lambda run: all(a - b <= 1 for a, b in pairwise((run.weights, *run.kept_by_round()))),
    lambda c, run: run.with_(schedule="one-shot", keep=min(run.path_lengths(), default=run.keep)),
)  # fmt: skip

hidden_relus = Assumption(
    "hidden-relus", "hidden units are ReLUs, and every edge has a weight of its own", _hidden_relus, _cancelling
)

TRACE_GREEDY = (
    starts_live, greedy_by_trace, one_at_a_time, rescored, global_masking, ties_broken, hidden_relus,
    equal_path_lengths, everything_scored,
)  # fmt: skip


@claim(
    PruningRun,
    PROVED,
    ours("a scorer with a guarantee, on the trace itself"),
    assumes=TRACE_GREEDY,
    see="stays-alive-literal",
)
@hints(RUNS, scorers=("trace-loss",), families=("mlp",), kinds=(RELU,), nonzero=True)
def trace_greedy_stays_alive(run: PruningRun) -> Relation:
    r"""On ReLU networks, removing the weight that costs the least trace, one by one, never loses all the trace.

    Down to the critical compression, on networks of ReLU units with a live path.

    With biases that are never removed it fails: h = relu(x1 + x2 - 1) at (1, 1), without x1 or x2. Proof. While a live
    path and more weights than one path's are left, some removal leaves a live path (the proof of
    `guarded-pruning-keeps-a-live-path`). A live path makes the trace positive: its last hidden unit is on, so the
    derivative by the path's last weight is that unit's value, above 0. And a positive trace needs a live path. So the
    largest trace after one removal is positive.
    """
    after = masked_trace(run.network, run.masked(run.final_mask()), run.x)
    return positive(after).when(run.keep >= run.smallest_path())


@claim(NetworkOnData, PROVED, ours("the share of a path in the outputs"))
@hints(SMALL)
def energy_saliency_is_positive_on_live_paths(instance: NetworkOnData) -> Relation:
    r"""The energy $\sum_{n}\sum_{p \ni j} (a_p(x_n) x_n v_p)^2$ of a weight is positive exactly on live paths.

    It is never negative, and it is 0 for a weight on no path that is open on the data with nonzero weights: what PX's
    score asks of two paths, one active and one with nonzero weights, it asks of one. Proof. A sum of squares.
    """
    s = instance.saliency("path-energy")
    live_paths = np.asarray(instance.path_inputs() != 0, dtype=bool).any(axis=-2)
    live_paths = live_paths & np.asarray(instance.path_values() != 0, dtype=bool)
    member = on_path(instance.network) > 0
    on_live = (live_paths[..., :, None] & member).any(axis=-2)
    return nonnegative(s) & equivalent(np.asarray(s > 0, dtype=bool), on_live, "positive")


@claim(PruningRun, REFUTED, ours("the energy, iterated"), assumes=(by_energy, *LITERAL), see="trace-greedy-stays-alive")
@hints(RUNS, scorers=("path-energy",), kinds=(RELU,), width=4, samples=1, outputs=1)
def energy_stays_alive(run: PruningRun) -> Relation:
    r"""Iterated pruning by the energy of a weight's paths keeps a live path.

    False with three inputs: contributions 2, 2 and -3 keep a ReLU on, and one of the two smallest goes first. For PX
    two inputs are enough (`stays-alive-literal`).
    """
    return positive(run.final_objective()).when(run.keep >= run.smallest_path())
