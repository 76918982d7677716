"""The assumptions of the theorem on layer collapse and of the released thresholding, and how to break each."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from theory.claims import Assumption
from theory.cuts import parameter_cuts
from theory.enumeration import on_path
from theory.networks import ONE, Builder, Network, NetworkInstance, mlp
from theory.pruning import PruningRun, released_count
from theory.scalars import absolute, indicator, total


def _nonnegative(run: PruningRun) -> Any:
    return np.asarray(run.fresh_scores_by_round() >= 0, dtype=bool).all(axis=(-2, -1))


def _nonzero(run: PruningRun) -> Any:
    return np.asarray(run.scores_by_round()[..., 0, :] != 0, dtype=bool).all(axis=-1)


def _conserved(run: PruningRun) -> Any:
    member = (on_path(run.network) > 0).astype(int)
    expected = total(run.path_weights_by_round()[..., :, None] * member, axis=-2)
    return np.asarray(run.fresh_scores_by_round() == expected, dtype=bool).all(axis=(-2, -1))


def _one_round(run: PruningRun) -> bool:
    return len(run.kept_by_round()) == 1


def _paths_unchanged(run: PruningRun) -> Any:
    before = run.masks_before()
    whole = (before[..., None, :] | ~(on_path(run.network) > 0)).all(axis=-1)
    dense = run.path_weights_by_round()[..., :1, :]
    expected = dense * indicator(whole, run.theta)
    return np.asarray(run.path_weights_by_round() == expected, dtype=bool).all(axis=(-2, -1))


def _slow(run: PruningRun) -> bool:
    counts = (run.weights, *run.kept_by_round())
    longest = run.longest_path()
    return all(a - b <= 1 or (a - b) * longest < a for a, b in pairwise(counts))


def _miscounted(c: Any, run: PruningRun) -> PruningRun:
    """One dense layer of a few weights, and a number to keep at which float64 miscounts."""
    wrong = [(n, k) for n in range(2, 9) for k in range(1, n) if released_count(k / n, n) != n - k]
    count, keep = c.pick(wrong)
    return _on(c, run, mlp([1, count])).with_(keep=keep)


def _negative(c: Any, run: PruningRun) -> PruningRun:
    """One dense layer of negative weights, scored with their sign."""
    changed = _on(c, run, mlp([c.integer(1, 2), c.integer(2, 3)]), scorer="synflow-signed", rounds=c.integer(2, 4))
    return changed.with_(theta=-absolute(changed.theta), schedule="linear", keep=1)


def _distinct(run: PruningRun) -> Any:
    ordered = np.sort(run.scores_by_round()[..., 0, run.prunable], axis=-1)
    return np.asarray(ordered[..., 1:] != ordered[..., :-1], dtype=bool).all(axis=-1)


def _vanishing(run: PruningRun) -> Any:
    return np.asarray((run.scores_by_round() == 0) | run.masks_before(), dtype=bool).all(axis=(-2, -1))


def _on(c: Any, run: PruningRun, network: Network, **changes: Any) -> PruningRun:
    """The run on another network, its weights drawn anew and none of them zero."""
    theta = c.numbers((network.parameters,))
    theta = theta + indicator(theta == 0, theta) * c.positives((network.parameters,))
    changed = run.with_(network=network, theta=theta, x=c.numbers((1, len(network.inputs))), keep=1, **changes)
    most = max(1, changed.weights - 1)
    return changed.with_(keep=c.integer(min(changed.smallest_path(), most), most))


def _plain(c: Any) -> Network:
    return mlp([c.integer(1, 2), c.integer(1, 2), c.integer(1, 3)])


def _two_units(c: Any) -> Network:
    """Two hidden units, so that the two ends of a path can be cut off from one another."""
    return mlp([c.integer(1, 2), 2, c.integer(1, 2)])


def _even(c: Any) -> Network:
    """Two layers of one size, so that layerwise masks prune both in the same rounds."""
    side = c.integer(2, 3)
    return mlp([side, c.integer(2, 3), side])


def _biased(c: Any) -> Network:
    return mlp([c.integer(1, 2), c.integer(1, 3), c.integer(1, 2)], bias=True)


def _with_hidden_bias(c: Any) -> Network:
    """Biases in the hidden layer alone: all paths have two weights."""
    b = Builder(2)
    return b.network(b.dense(b.dense(b.inputs, 1, kind="relu", bias=True), 1))


def _with_shortcut(c: Any) -> Network:
    b = Builder(c.integer(1, 2))
    hidden = b.dense(b.inputs, c.integer(1, 2), kind="relu")
    return b.network(b.dense((*hidden, *b.inputs), 1))


nonnegative_scores = Assumption(
    "nonnegative-scores",
    "no score is negative in any round",
    _nonnegative,
    lambda c, run: run.with_(scorer="synflow-signed"),
)


nonzero_scores = Assumption(
    "nonzero-scores",
    "in the dense network no weight has score 0",
    _nonzero,
    lambda c, run: run.with_(theta=run.theta * c.integers((run.network.parameters,), 0, 1)),
)


conserved_scores = Assumption(
    "conserved-scores",
    "in every round a score is the sum of the path weights through it: those of each cut sum to the objective",
    _conserved,
    lambda c, run: run.with_(scorer=c.pick(("magnitude", "snip"))),
)


global_masking = Assumption(
    "global-masking",
    "weights of all layers compete with one another",
    lambda run: run.scope == "global",
    lambda c, run: _on(c, run, _even(c), scope="layerwise").with_(keep=c.integer(1, 2)),
)


rescored = Assumption(
    "rescored",
    "the scores are computed anew in every round",
    lambda run: run.rescore,
    lambda c, run: _on(c, run, _two_units(c), rescore=False, schedule="one-at-a-time"),
)


slow_schedule = Assumption(
    "slow-schedule",
    "a round prunes one weight, or q with q times the longest path below the weights it starts with",
    _slow,
    lambda c, run: _on(
        c,
        run,
        _two_units(c),
        schedule=c.pick(("one-shot", "linear", "exponential")),
        rounds=c.integer(1, 2),
    ),
)


ties_broken = Assumption(
    "ties-broken",
    "of tied weights only as many go as are to be pruned",
    lambda run: run.rule == "by-index",
    lambda c, run: run.with_(rule="threshold-released"),
)


everything_scored = Assumption(
    "everything-scored",
    "every parameter is scored and can be pruned, biases included",
    lambda run: bool(run.prunable.all()),
    lambda c, run: _on(c, run, _with_hidden_bias(c) if c.flip() else _biased(c), scored="weights"),
)


objective_of_surviving_paths = Assumption(
    "objective-of-surviving-paths",
    "the objective of the pruned network is that of the surviving paths: path weights do not depend on the mask",
    _paths_unchanged,
    lambda c, run: _on(c, run, _two_units(c), scorer="px", schedule="one-at-a-time"),
)


equal_path_lengths = Assumption(
    "equal-path-lengths",
    "every input-output path holds the same number of weights",
    lambda run: run.smallest_path() == run.longest_path(),
    lambda c, run: _on(c, run, _with_shortcut(c) if c.flip() else _biased(c)),
)


THEOREM = (
    nonnegative_scores, nonzero_scores, conserved_scores, global_masking, rescored, slow_schedule, ties_broken,
    everything_scored, objective_of_surviving_paths, equal_path_lengths,
)  # fmt: skip
"""The assumptions of the theorem of maximal critical compression."""


distinct_scores = Assumption(
    "distinct-scores", "no two scores are equal", _distinct, lambda c, run: run.with_(theta=0 * run.theta + 1)
)


count_is_exact = Assumption(
    "count-is-exact",
    "int((1 - k/N) * N) is N - k in float64",
    lambda run: released_count(run.keep / run.weights, run.weights) == run.weights - run.keep,
    _miscounted,
)


published_threshold = Assumption(
    "published-threshold",
    "weights are dropped by the published rule: every score up to the k-th smallest",
    lambda run: run.rule == "threshold-released",
    lambda c, run: _on(c, run, _even(c), rule="by-index", scope="layerwise"),
)


one_round = Assumption(
    "one-round",
    "all that is to be pruned goes in one round",
    _one_round,
    lambda c, run: _negative(c, run).with_(rule="threshold-released"),
)


def scored_by(name: str) -> Assumption:
    """The assumption that a run scores by the scorer called ``name``."""
    return Assumption(
        f"scored-by-{name}",
        f"the scores are those of {name}",
        lambda run: run.scorer == name,
        lambda c, run: run.with_(scorer=c.pick([s for s in ("px", "synflow", "magnitude") if s != name])),
    )


def _layers_are_cuts(instance: NetworkInstance) -> bool:
    cuts = {tuple(int(j) for j in np.flatnonzero(row)) for row in parameter_cuts(instance.network)}
    return all(tuple(sorted(layer)) in cuts for layer in instance.network.layers)


layers_are_cuts = Assumption(
    "layers-are-cuts", "every path meets every layer once: no biases, nothing passes a layer by", _layers_are_cuts
)


skip_connections = Assumption(
    "skip-connections",
    "some paths pass layers by, and there are no biases",
    lambda run: run.smallest_path() < run.longest_path() and ONE not in run.network.units,
)


unsigned_scores = Assumption(
    "nonnegative-scores",
    "no score is negative",
    lambda run: np.asarray(run.scores_by_round() >= 0, dtype=bool).all(axis=(-2, -1)),
    _negative,
)


vanishing_scores = Assumption(
    "scores-vanish-when-masked",
    "a masked weight has score 0",
    _vanishing,
    lambda c, run: _on(
        c, run, _plain(c), scorer=c.pick(("synflow-without-theta", "synflow-l2-without-theta")), rounds=3
    ),
)
