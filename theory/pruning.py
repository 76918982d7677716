"""Masks from scores: thresholds, schedules, sampling, and whole pruning runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from theory.auxiliary import activation as measured
from theory.enumeration import on_path, paths_of
from theory.instances import array, shown
from theory.networks import ONE, NetworkInstance, equations, forward
from theory.saliency import Scorer, activation, scorer_named
from theory.scalars import Array, exact, indicator, total, zeros

SCHEDULES = ("one-at-a-time", "exponential", "linear", "one-shot")
RULES = ("by-index", "threshold-released")
SCOPES = ("global", "layerwise")
SCORED = ("all", "weights")


def kept_by_round(count: int, keep: int, rounds: int, schedule: str) -> tuple[int, ...]:
    """How many of ``count`` weights are left after each round.

    ``exponential`` leaves the smallest k with k >= count (keep/count)^(r/rounds), in integers;
    ``linear`` prunes equal numbers; ``one-at-a-time`` takes ``count - keep`` rounds of one weight
    each, ``one-shot`` a single round, whatever ``rounds`` is.

    Raises:
        ValueError: unknown schedule, or numbers out of range.
    """
    if not 0 <= keep <= count:
        raise ValueError(f"cannot keep {keep} of {count} weights")
    if rounds < 1:
        raise ValueError(f"a run needs at least one round; got {rounds}")
    if schedule == "one-shot":
        return (keep,)
    if schedule == "one-at-a-time":
        return tuple(range(count - 1, keep - 1, -1)) or (keep,)
    if schedule == "linear":
        return tuple(count - (count - keep) * r // rounds for r in range(1, rounds + 1))
    if schedule == "exponential":
        return tuple(_root_above(count ** (rounds - r) * keep**r, rounds, count) for r in range(1, rounds + 1))
    raise ValueError(f"unknown schedule {schedule!r}; known: {', '.join(SCHEDULES)}")


def _root_above(value: int, power: int, high: int) -> int:
    """The smallest integer k with k**power >= value; at most ``high``."""
    low = 0
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if middle**power >= value else (middle + 1, high)
    return low


def keep_top(scores: Array, kept: int, mask: np.ndarray) -> np.ndarray:
    """Of the weights in ``mask`` (..., N) the ``kept`` with the largest scores; of equal ones the higher index stays.

    Where fewer than ``kept`` are in the mask, those stay. Shape (..., N).
    """
    order = np.argsort(scores, axis=-1, kind="stable")
    inside = np.take_along_axis(mask, order, axis=-1)
    order = np.take_along_axis(order, np.argsort(inside, axis=-1, kind="stable"), axis=-1)
    ranks = np.argsort(order, axis=-1)
    return (ranks >= scores.shape[-1] - kept) & mask


def keep_top_layerwise(scores: Array, kept: int, layers: tuple[tuple[int, ...], ...], mask: np.ndarray) -> np.ndarray:
    """The same in every layer by itself, each at the density ``kept / N`` (rounded up)."""
    out = np.empty(scores.shape, dtype=bool)
    for layer in layers:
        columns = list(layer)
        share = -(-len(columns) * kept // scores.shape[-1])
        out[..., columns] = keep_top(scores[..., columns], share, mask[..., columns])
    return out


def released_count(density: float, count: int) -> int:
    """How many weights the published code sets out to prune: ``int((1.0 - density) * count)``, in float64."""
    return int((1.0 - density) * count)


def keep_above_threshold(scores: Array, pruned: int) -> np.ndarray:
    """The published rule: drop every score <= the ``pruned``-th smallest of all N (masked ones compete too).

    ``pruned`` is at least 1. Drops all ties; and a weight that was masked returns if its score is above the threshold,
    or NaN.
    """
    threshold = np.sort(scores, axis=-1)[..., pruned - 1 : pruned]
    return ~np.asarray(scores <= threshold, dtype=bool)


def sampled_mask(probabilities: Array, draws: np.ndarray) -> Array:
    """Algorithm 1 of the sketching paper: m = sum_t e_{i_t} / (s p_{i_t}), for the drawn indices i_1..i_s.

    Args:
        probabilities: p, shape (..., d).
        draws: the s indices.

    Raises:
        ValueError: no draws, or an index with probability 0.
    """
    if len(draws) == 0:
        raise ValueError("sampling needs at least one draw")
    counts = np.bincount(np.asarray(draws, dtype=int), minlength=probabilities.shape[-1])
    drawn = np.flatnonzero(counts)
    if bool(np.any(probabilities[..., drawn] <= 0)):
        raise ValueError("an index of probability 0 was drawn")
    out = zeros(probabilities.shape, probabilities)
    for i in drawn:
        out[..., i] = int(counts[i]) / (len(draws) * probabilities[..., i])
    return out


@dataclass(frozen=True, eq=False)
class PruningRun(NetworkInstance):
    """A pruning run: a network, data, a scorer, a schedule and a thresholding rule.

    Attributes:
        network: the structure.
        theta: weights of the dense network, shape (..., N).
        x: data, shape (..., n, d); unused by scorers without data.
        keep: how many scored weights the run sets out to keep.
        rounds: number of rounds (for the linear and exponential schedules).
        scorer: name of a scorer in `theory.saliency`.
        schedule: see `kept_by_round`.
        rule: "by-index" keeps exactly the number asked for; "threshold-released" drops every tie and
            counts in float64.
        scope: "global" or "layerwise" masking.
        rescore: whether the scores are computed anew in each round; else those of the dense network serve all.
        scored: "all" parameters are scored and pruned, or "weights" only: then biases (parameters that
            leave the constant unit) are never pruned and do not count.
    """

    title: ClassVar[str] = "pruning run"

    x: Array = array(2)
    keep: int = 1
    rounds: int = 1
    scorer: str = "synflow"
    schedule: str = "one-at-a-time"
    rule: str = "by-index"
    scope: str = "global"
    rescore: bool = True
    scored: str = "all"

    def __post_init__(self) -> None:
        super().__post_init__()
        scorer_named(self.scorer)
        for name, known in (("schedule", SCHEDULES), ("rule", RULES), ("scope", SCOPES), ("scored", SCORED)):
            if getattr(self, name) not in known:
                raise ValueError(f"unknown {name} {getattr(self, name)!r}; known: {', '.join(known)}")

    def summary(self) -> str:
        """The network as equations, how it is pruned, and the inputs."""
        if self.stacked:
            return super().summary()
        named = [v for v in (self.rule, self.scope, self.scored) if v not in ("by-index", "global", "all")]
        extra = "".join(f", {v}" for v in named) + ("" if self.rescore else ", scored once")
        rounds = f"{self.schedule}, {len(self.kept_by_round())} rounds{extra}"
        pruned = f"{self.scorer} keeps {self.keep} of {self.weights} ({rounds})"
        return f"{equations(self.network, exact(self.theta))}; {pruned}; x = {shown(self.x)}"

    def structure_size(self) -> tuple[int, ...]:
        """Parameters, units, edges, rounds, weights pruned."""
        n = self.network
        return (n.parameters, len(n.units), len(n.edges), len(self.kept_by_round()), self.weights - self.keep)

    def valid(self) -> Any:
        """Whether every parameter is on a path, some path is counted, and 1 to all scored weights are kept."""
        fits = self.theta.shape[-1] == self.network.parameters and self.x.shape[-1] == len(self.network.inputs)
        return bool(
            fits
            and self.x.shape[-2]
            and (on_path(self.network) > 0).any(axis=0).all()
            and self.counted_paths().any()
            and 1 <= self.keep <= self.weights
        )

    # -- what is pruned -------------------------------------------------------------------------------

    @cached_property
    def prunable(self) -> np.ndarray:
        """Bool (N,): the scored parameters."""
        out = np.ones(self.network.parameters, dtype=bool)
        if self.scored == "weights":
            for e in self.network.edges:
                if e.parameter is not None and self.network.units[e.source] == ONE:
                    out[e.parameter] = False
        return out

    @cached_property
    def weights(self) -> int:
        """Number of scored parameters."""
        return int(self.prunable.sum())

    def kept_by_round(self) -> tuple[int, ...]:
        """How many scored weights each round sets out to keep; of a run that is not valid, at most all."""
        return kept_by_round(self.weights, min(self.keep, self.weights), self.rounds, self.schedule)

    # -- the run ----------------------------------------------------------------------------------------

    @property
    def method(self) -> Scorer:
        """The scorer."""
        return scorer_named(self.scorer)

    @cached_property
    def dense_activation(self) -> Array:
        """D_k of the dense network, shape (..., K)."""
        return activation(self.network, self.theta, self.x)

    def scores_at(self, mask: np.ndarray) -> Array:
        """Scores of the network under a mask (..., N), shape (..., N)."""
        return self.method.scores(self.network, self.masked(mask), self.x, self._activation_at(mask))

    def path_weights_at(self, mask: np.ndarray) -> Array:
        """c_p of the network under a mask (..., N), shape (..., P)."""
        return self.method.path_weights(self.network, self.masked(mask), self.x, self._activation_at(mask))

    def _activation_at(self, mask: np.ndarray) -> Array | None:
        """D_k as PX measures it: gates of the pruned network, over the paths that the mask leaves; or frozen."""
        if self.method.frozen:
            return self.dense_activation
        if self.scorer not in ("px", "px-without-theta"):
            return None
        key = mask.tobytes()
        if key not in self._activations:
            run = forward(self.network, self.masked(mask), self.x)
            self._activations[key] = measured(self.network, run, self.x, indicator(mask, self.theta))
        return self._activations[key]

    @cached_property
    def _activations(self) -> dict[bytes, Array]:
        """D_k under each mask that was asked for: scores and path weights both need it."""
        return {}

    def masked(self, mask: np.ndarray) -> Array:
        """The weights under a mask."""
        return self.theta * indicator(mask, self.theta)

    @cached_property
    def _run(self) -> tuple[np.ndarray, Array]:
        mask = np.ones(self.theta.shape, dtype=bool)
        masks, scores = [], []
        for r, kept in enumerate(self.kept_by_round()):
            if r == 0 or self.rescore:
                current = self.scores_at(mask)
            mask = self._next(current, mask, kept)
            masks.append(mask)
            scores.append(current)
        return np.stack(masks, axis=-2), np.stack(scores, axis=-2)

    def _next(self, scores: Array, mask: np.ndarray, kept: int) -> np.ndarray:
        columns = np.flatnonzero(self.prunable)
        mine, before = scores[..., columns], mask[..., columns]
        if self.rule == "threshold-released":
            pruned = released_count(kept / len(columns), len(columns))
            chosen = before if pruned < 1 else keep_above_threshold(mine, pruned)
        elif self.scope == "layerwise":
            place = {int(j): i for i, j in enumerate(columns)}
            layers = tuple(tuple(place[j] for j in layer if j in place) for layer in self.network.layers)
            chosen = keep_top_layerwise(mine, kept, layers, before)
        else:
            chosen = keep_top(mine, kept, before)
        after = mask.copy()
        after[..., columns] = chosen
        return after

    def masks(self) -> np.ndarray:
        """The mask after each round, bool (..., rounds, N)."""
        return self._run[0]

    def masks_before(self) -> np.ndarray:
        """The mask each round starts from, bool (..., rounds, N)."""
        first = np.ones((*self.theta.shape[:-1], 1, self.network.parameters), dtype=bool)
        return np.concatenate([first, self.masks()[..., :-1, :]], axis=-2)

    def final_mask(self) -> np.ndarray:
        """The mask after the last round, bool (..., N)."""
        return self.masks()[..., -1, :]

    def scores_by_round(self) -> Array:
        """The scores by which each round prunes, shape (..., rounds, N)."""
        return self._run[1]

    def fresh_scores_by_round(self) -> Array:
        """Scores computed anew on the network that each round starts from, used or not, shape (..., rounds, N)."""
        return self.scores_by_round() if self.rescore else self._fresh_scores

    @cached_property
    def _fresh_scores(self) -> Array:
        before = self.masks_before()
        return np.stack([self.scores_at(before[..., r, :]) for r in range(before.shape[-2])], axis=-2)

    def objective_by_round(self) -> Array:
        """R = sum of the path weights of the network each round starts from, shape (..., rounds)."""
        return total(self.path_weights_by_round(), axis=-1)

    def path_weights_by_round(self) -> Array:
        """c_p of the network each round starts from, shape (..., rounds, P)."""
        return self._path_weights

    @cached_property
    def _path_weights(self) -> Array:
        before = self.masks_before()
        return np.stack([self.path_weights_at(before[..., r, :]) for r in range(before.shape[-2])], axis=-2)

    def final_objective(self) -> Array:
        """R of the pruned network, shape (...)."""
        return total(self.path_weights_at(self.final_mask()), axis=-1)

    # -- what is left ---------------------------------------------------------------------------------

    def counted_paths(self) -> np.ndarray:
        """Bool (P,): the paths all of whose parameters are scored."""
        return self._counted

    @cached_property
    def _counted(self) -> np.ndarray:
        return np.array([bool(self.prunable[row > 0].all()) for row in on_path(self.network)], dtype=bool)

    def surviving_paths(self) -> np.ndarray:
        """Bool (..., rounds, P): the counted paths that keep all their weights after each round."""
        return self._surviving

    @cached_property
    def _surviving(self) -> np.ndarray:
        needs = on_path(self.network) > 0
        whole = (self.masks()[..., None, :] | ~needs).all(axis=-1)
        return whole & self.counted_paths()

    def alive_by_round(self) -> np.ndarray:
        """Bool (..., rounds): some input-output path keeps all its weights."""
        return np.asarray(self.surviving_paths().any(axis=-1))

    def alive(self) -> np.ndarray:
        """Bool (...): some input-output path keeps all its weights at the end."""
        return self.alive_by_round()[..., -1]

    def layer_sizes(self) -> np.ndarray:
        """Int (..., layers): how many weights each layer of the architecture keeps at the end."""
        return np.stack([self.final_mask()[..., list(layer)].sum(axis=-1) for layer in self.network.layers], axis=-1)

    def path_lengths(self) -> tuple[int, ...]:
        """Number of scored weights on each counted path."""
        lengths = (on_path(self.network) > 0).sum(axis=-1)
        return tuple(int(v) for v in lengths[self.counted_paths()])

    def smallest_path(self) -> int:
        """The fewest weights that keep one path: the critical compression is N over this."""
        return min(self.path_lengths())

    def longest_path(self) -> int:
        """The most scored weights on one path."""
        return max(self.path_lengths())

    @property
    def paths(self) -> Any:
        """The paths of the network."""
        return paths_of(self.network)
