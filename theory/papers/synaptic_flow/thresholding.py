"""The released thresholding."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from theory.claims import PROVED, REFUTED, claim, hints
from theory.collapse import (
    count_is_exact,
    distinct_scores,
    one_round,
    published_threshold,
    slow_schedule,
    ties_broken,
    unsigned_scores,
    vanishing_scores,
)
from theory.flows import (
    every_weight_flows,
)
from theory.papers.sources import SYNAPTIC_FLOW, ours
from theory.pruning import SCHEDULES, SCOPES, SCORED, PruningRun, released_count
from theory.relations import Relation, all_of, at_most, equal, equivalent, every_pair, holds
from theory.scalars import Array


def _kept(run: PruningRun) -> Array:
    return run.final_mask()[..., run.prunable].sum(axis=-1)


@claim(
    PruningRun,
    REFUTED,
    SYNAPTIC_FLOW.at("released code, from its description"),
    assumes=(published_threshold, one_round),
)
@hints(rules=("threshold-released",), schedules=("one-shot",))
def released_threshold_keeps_the_target(run: PruningRun) -> Relation:
    r"""The published thresholding keeps the number of weights that was asked for.

    It drops every score $\le$ the $k$-th smallest, $k$ = `int((1 - s) * N)`. All ties go with the
    $k$-th; and $k$ is one too small for many $(N, s)$, in float64.
    """
    return equal(_kept(run), run.keep).when(every_weight_flows(run.scores_by_round()[..., 0, :]))


@claim(PruningRun, REFUTED, SYNAPTIC_FLOW.at("released code, from its description"), see="threshold-keeps-the-target")
@hints(
    rules=("threshold-released",), schedules=("one-shot",), scorers=("magnitude",), nonzero=True, stack=False,
    width=6, outputs=6, depth=3,
)  # fmt: skip
def released_count_is_exact(run: PruningRun) -> Relation:
    r"""`int((1 - s) * N)` with $s = k/N$ in float64 is $N - k$.

    Rounding leaves the product just below the integer, and `int` cuts it off: one weight more is kept.
    """
    return equal(released_count(run.keep / run.weights, run.weights), run.weights - run.keep)


@claim(
    PruningRun,
    PROVED,
    ours("the repaired form of synaptic-flow/released-threshold-keeps-the-target"),
    assumes=(published_threshold, one_round, distinct_scores, count_is_exact),
    repairs="released-threshold-keeps-the-target",
)
@hints(rules=("threshold-released",), schedules=("one-shot",), scorers=("magnitude", "synflow-signed"), nonzero=True)
def threshold_keeps_the_target(run: PruningRun) -> Relation:
    r"""Without ties, dropping every score up to the $k$-th smallest keeps $N - k$ weights.

    Proof. Of distinct scores exactly $k$ are at most the $k$-th smallest.
    """
    return equal(_kept(run), run.keep)


@claim(
    PruningRun,
    PROVED,
    SYNAPTIC_FLOW.at("released code, from its description"),
    assumes=(unsigned_scores, vanishing_scores),
)
@hints(
    rules=("threshold-released",),
    schedules=("linear", "exponential"),
    scorers=("synflow", "synflow-l2", "magnitude", "snip", "px"),
    rounds=4,
)
def masked_weights_stay_masked(run: PruningRun) -> Relation:
    r"""Under the published thresholding, in which masked weights compete, no masked weight returns.

    Proof. A masked weight scores 0, no score is below 0, so the threshold is at least 0 and drops it.
    """
    return holds((~run.masks() | run.masks_before()).all(axis=(-2, -1)), "no weight returns")


# -- definitions agree ----------------------------------------------------------------------------------


@claim(PruningRun, PROVED, ours("definitions agree"), assumes=(ties_broken,))
@hints(
    scorers=("synflow", "magnitude", "snip-signed"),
    schedules=SCHEDULES,
    scopes=SCOPES,
    scored=SCORED,
    families=("mlp", "mlp-bias"),
    rounds=4,
)
def runs_keep_the_target(run: PruningRun) -> Relation:
    r"""Each round keeps as many weights as its schedule says, those with the largest scores.

    Of all $N$ scored weights $k_r$ with global masking, of a layer's $m$ scored ones $\lceil m k_r / N \rceil$ with
    layerwise masking; all that are not scored; none that had gone before. What goes in a round scores at most what
    stays of those it competes with.

    Proof. $k_r$ does not rise, so of the weights that are left there are as many to choose from.
    """
    masks, before, kept = run.masks(), run.masks_before(), np.array(run.kept_by_round())
    groups = run.network.layers if run.scope == "layerwise" else (tuple(range(run.network.parameters)),)
    parts = [holds(masks[..., ~run.prunable], "unscored weights stay"), holds(before | ~masks, "none returns")]
    for group in groups:
        columns = [j for j in group if run.prunable[j]]
        expected = -(-len(columns) * kept // run.weights)
        parts.append(equal(masks[..., columns].sum(axis=-1), expected, "number kept"))
        gone, stays = (before & ~masks)[..., columns], masks[..., columns]
        low, high = every_pair(run.scores_by_round()[..., columns])
        parts.append(at_most(low, high, "largest scores").when(every_pair(gone)[0] & every_pair(stays)[1]))
    return all_of(*parts)


@claim(PruningRun, PROVED, ours("definitions agree"))
@hints(schedules=SCHEDULES, rounds=6)
def schedules_reach_the_target(run: PruningRun) -> Relation:
    r"""Every schedule decreases to its target and has the shape that its name says.

    Of $N$ weights, $k$ to be kept after $R$ rounds: exponential schedules keep in round $r$ the smallest integer of at
    least $N (k/N)^{r/R}$, linear ones the smallest of at least $N - (N - k) r/R$; one at a time $N - r$; one shot $k$.
    A schedule is slow, as the theorem on layer collapse asks, iff every round removes at most one weight or leaves more
    than the share $1 - 1/L$, $L$ the length of the longest path.
    """
    n, k, kept = run.weights, run.keep, run.kept_by_round()
    rounds = len(kept)
    named = {
        "exponential": lambda r, m: m**rounds >= n ** (rounds - r) * k**r,
        "linear": lambda r, m: m * rounds >= n * rounds - (n - k) * r,
        "one-at-a-time": lambda r, m: m >= max(n - r, k),
        "one-shot": lambda r, m: m >= k,
    }[run.schedule]
    smallest = [next(m for m in range(n + 1) if named(r, m)) for r in range(1, rounds + 1)]
    steps = {"linear": run.rounds, "exponential": run.rounds, "one-at-a-time": max(1, n - k), "one-shot": 1}
    longest = run.longest_path()
    slow = all(b >= a - 1 or b * longest > a * (longest - 1) for a, b in pairwise((n, *kept)))
    return all_of(
        equivalent(slow_schedule.predicate(run), slow, "slow"),
        equal(rounds, steps[run.schedule], "rounds"),
        holds(all(a >= b for a, b in pairwise((n, *kept))), "never more"),
        holds(list(kept) == smallest, run.schedule),
    )
