"""How far the theorem reaches where paths differ in length: questions of ours beside the paper."""

from __future__ import annotations

import numpy as np

from theory.claims import PROVED, REFUTED, claim, hints
from theory.collapse import THEOREM, equal_path_lengths
from theory.papers.sources import SYNAPTIC_FLOW, ours
from theory.pruning import PruningRun
from theory.relations import Relation, holds

UNEQUAL = tuple(a for a in THEOREM if a is not equal_path_lengths)


@claim(
    PruningRun,
    PROVED,
    ours("how far the theorem protects a residual network"),
    assumes=UNEQUAL,
    repairs="a-path-survives-down-to-the-shortest",
    see=("maximal-critical-compression", "residual-layers-survive"),
)
@hints(
    scorers=("synflow", "synflow-l2"), schedules=("one-at-a-time", "exponential"), families=("residual",), nonzero=True
)
def a_path_survives_down_to_the_longest(run: PruningRun) -> Relation:
    r"""With paths of any lengths, one path stays whole while as many weights are left as the longest path has.

    The theorem needs $q L < a$ in a round that removes $q$ of $a$ weights, $L$ of them on the longest path; one weight
    at a time meets it from $a > L$ on. So it is the longest path, through all residual branches, that says how far
    it protects a residual network, and no number of rounds protects a branch (`residual-layers-survive`).

    Proof. As of `maximal-critical-compression`: $\sum_j S_j \le L R$ is all that it uses of the lengths.
    """
    kept = np.array(run.kept_by_round())
    return holds(run.alive_by_round(), "a path keeps all its weights").when(kept >= run.longest_path())


@claim(
    PruningRun,
    REFUTED,
    SYNAPTIC_FLOW.at("maximal critical compression, read for networks with paths of different lengths (seed)"),
    assumes=UNEQUAL,
)
@hints(scorers=("synflow", "synflow-l2"), schedules=("one-at-a-time",), families=("residual",), nonzero=True)
def a_path_survives_down_to_the_shortest(run: PruningRun) -> Relation:
    r"""With paths of any lengths, one path stays whole while as many weights are left as the shortest path has.

    False: the shortest path may weigh little, and go first; then fewer weights than the others need are no path.
    """
    kept = np.array(run.kept_by_round())
    return holds(run.alive_by_round(), "a path keeps all its weights").when(kept >= run.smallest_path())
