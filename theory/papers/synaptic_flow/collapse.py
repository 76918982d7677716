"""Layer collapse."""

from __future__ import annotations

import numpy as np

from theory.claims import PROVED, REFUTED, claim, hints
from theory.collapse import (
    THEOREM,
    equal_path_lengths,
    layers_are_cuts,
    skip_connections,
    ties_broken,
)
from theory.papers.sources import PATH_EXCLUSION, SYNAPTIC_FLOW
from theory.pruning import PruningRun
from theory.relations import Relation, holds


@claim(
    PruningRun,
    REFUTED,
    PATH_EXCLUSION.at("positive saliency scores, preventing layer collapse (seed)"),
    assumes=(layers_are_cuts, ties_broken),
)
@hints(scorers=("magnitude", "magnitude", "synflow-l2-released", "synflow"), nonzero=True, layers=2)
def positive_scores_suffice(run: PruningRun) -> Relation:
    r"""Positive scores prevent layer collapse.

    If $S_j > 0$ for every remaining weight in every round, every layer keeps a weight as long as there
    is one for each. Magnitude is positive and collapses: scores must be conserved too.
    """
    remaining = run.scores_by_round()
    positive_scores = np.asarray((remaining > 0) | ~run.masks_before(), dtype=bool).all(axis=(-2, -1))
    return _no_layer_collapse(run).when(positive_scores)


def _no_layer_collapse(run: PruningRun) -> Relation:
    enough = run.keep >= len(run.network.layers)
    return holds((run.layer_sizes() > 0).all(axis=-1), "every layer keeps a weight").when(enough)


@claim(
    PruningRun,
    REFUTED,
    SYNAPTIC_FLOW.at("maximal critical compression, read for residual networks (seed)"),
    assumes=(skip_connections, *(a for a in THEOREM if a is not equal_path_lengths)),
    see="maximal-critical-compression",
)
@hints(families=("residual",), nonzero=True, outputs=2)
def residual_layers_survive(run: PruningRun) -> Relation:
    r"""On residual networks, positive, conserved, iterated scores keep a weight in every layer.

    Every layer keeps a weight as long as there is one for each. The weights of a residual branch are no
    cut (the skip connection belongs to it), so the theorem does not protect them.
    """
    return _no_layer_collapse(run)


@claim(
    PruningRun,
    PROVED,
    SYNAPTIC_FLOW.at("theorem on maximal critical compression (seed); three assumptions are ours"),
    assumes=THEOREM,
    repairs="positive-scores-suffice",
)
@hints(
    scorers=("synflow", "synflow-l2", "px-frozen"),
    schedules=("one-at-a-time", "one-at-a-time", "linear", "exponential"),
    families=("mlp", "mlp", "pool", "convolution"),
    nonzero=True,
    outputs=2,
    depth=3,
)
def maximal_critical_compression(run: PruningRun) -> Relation:
    r"""Positive, conserved, iterated scores collapse no layer before the critical compression.

    After every round that keeps at least as many weights as a path has, some input-output path keeps
    all its weights; so every cut keeps one. The source is silent on three assumptions: tied weights,
    path weights $c_p$ that do not depend on the mask, and paths of equal length (with shortcuts or
    biases the shortest path may be gone when only longer ones are left).

    Proof. $S_j = \sum_{p \ni j} c_p$, so pruning a set $P$ leaves $R \ge R_0 - S(P)$ by the union bound.
    With $L$ weights on every path, $\sum_j S_j = L R_0$, and the $q$ smallest of $a$ scores sum to at
    most $q L R_0 / a < R_0$ as soon as $qL < a$; for $q = 1$ that is every $a > L$. No more than that will do: at
    $qL = a$ two of the four unit weights of a 1-2-1 network, removed at once, may be a layer.
    """
    kept = np.array(run.kept_by_round())
    return holds(run.alive_by_round(), "a path keeps all its weights").when(kept >= run.smallest_path())
