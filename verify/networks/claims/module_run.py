r"""Pruning runs on torch modules whose masks are certain, as what the claims about layer collapse are checked on.

Scores are sums over paths in float64 with a relative error of at most `Sums.unit`; gates are told apart in
digits. A round counts only if the order that matters is certain: every weight that goes scores less than
every weight that stays, beyond the error, or both score exactly 0 and the index decides; the last rounds of
chains of linear maps are in rationals (`verify.networks.paths.sparse`). From then on all
is integers: which weights are left, in which layers, and whether a path keeps all of its weights.

`theory.pruning.PruningRun` is the same by enumeration; tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from theory.claims import Assumption, Claim
from theory.collapse import scored_by
from theory.relations import Relation, holds
from verify.networks.claims.module_on_data import ModuleOnData
from verify.networks.claims.restated import cuts, equal_activations
from verify.networks.claims.undecided import Undecided
from verify.networks.exact.balls import ball, flat
from verify.networks.exact.fixed_point import WORK, forward
from verify.networks.paths.sparse import MOST, Link, Sparse, chain
from verify.networks.recording.graph import CONVOLUTION, LINEAR, MATRIX, NORMALISATION, PRODUCT, SHIFT, Ref

SCORERS = ("synflow", "synflow-l2", "px", "px-frozen", "magnitude")
ROUNDS = 600
"""More rounds than this a run on a module does not take."""
WEIGHTS = 50_000_000
"""Weights that all rounds of a run may score together."""


class ModuleRun:
    """A pruning run: a module on data, a scorer, and how many of its parameters it keeps.

    All parameters are scored and compete with one another; they are scored anew in each round; of equal scores
    the one with the higher index stays.

    Args:
        on: the module with data.
        scorer: one of `SCORERS`.
        keep: how many parameters to keep; None: those of the shortest path.
        rounds: how many rounds of an exponential schedule; None: as few as the theorem of maximal critical
            compression allows.
        certain: whether gates and orders must be certain; else they are taken as computed.
    """

    title: ClassVar[str] = "pruning run on a torch module"
    rounding: ClassVar[str] = "masks certain in float64"
    stacked: ClassVar[bool] = False

    def __init__(
        self, on: ModuleOnData, scorer: str, keep: int | None = None, rounds: int | None = None, certain: bool = True
    ) -> None:
        if scorer not in SCORERS:
            raise Undecided(f"{scorer} has no form for modules")
        self.on, self.scorer, self.rounds, self.certain = on, scorer, rounds, certain
        self.names = list(on.graph.parameters)
        self.sizes = [on.tensors[n].numel() for n in self.names]
        self.keep = self.smallest_path() if keep is None else keep

    def valid(self) -> bool:
        """Whether there is something to prune."""
        return 1 <= self.keep <= self.weights

    def summary(self) -> str:
        """A line a person reads."""
        steps = self.kept_by_round()
        return f"{self.on.summary()}; {self.scorer} keeps {self.keep} of {self.weights} in {len(steps)} rounds"

    # -- structure ------------------------------------------------------------------------------------

    @property
    def weights(self) -> int:
        """Number of parameters."""
        return sum(self.sizes)

    @cached_property
    def _layers(self) -> dict[str, list[str]]:
        out: dict[str, list[str]] = {}
        for n in self.names:
            out.setdefault(n.rpartition(".")[0], []).append(n)
        return out

    @property
    def network(self) -> Any:
        """What claims ask of a network: its layers."""
        return SimpleNamespace(layers=tuple(self._layers))

    @cached_property
    def _lengths(self) -> tuple[int, int]:
        """The fewest and the most parameters on a path."""
        ends: dict[Ref, tuple[int, int]] = {Ref(-1): (0, 0)}
        for i, op in enumerate(self.on.graph.operations):
            s = op.settings
            inputs = [ends[Ref(r.index)] for r in op.inputs]
            # What forward makes for a batch is where paths without a parameter begin.
            low, high = min((a for a, _ in inputs), default=0), max((b for _, b in inputs), default=0)
            if op.kind in (LINEAR, CONVOLUTION, NORMALISATION, MATRIX, PRODUCT, SHIFT):
                own = int(self.on.graph.learned(op, "weight"))
                low, high = low + own, high + own
                if op.kind == NORMALISATION and bool(self.on.tensors[s["mean"]].any()):
                    low = min(low, own)
                if s["bias"] is not None:
                    low = min(low, int(self.on.graph.learned(op, "bias")))
            ends[Ref(i)] = (low, high)
        return ends[Ref(self.on.graph.output.index)]

    def smallest_path(self) -> int:
        """The fewest weights that keep one path."""
        return self._lengths[0]

    def longest_path(self) -> int:
        """The most weights on one path."""
        return self._lengths[1]

    def kept_by_round(self) -> tuple[int, ...]:
        """How many parameters each round leaves.

        Raises:
            Undecided: more than `ROUNDS` rounds.
        """
        if self.rounds is not None:
            share = (self.keep / self.weights) ** (1 / self.rounds)
            steps = [max(self.keep, round(self.weights * share**r)) for r in range(1, self.rounds)]
            return (*steps, self.keep)
        out, a = [], self.weights
        while a > self.keep:
            a = max(self.keep, a - max(1, -(-a // self.longest_path()) - 1))
            out.append(a)
            if len(out) > ROUNDS:
                raise Undecided(f"more than {ROUNDS} rounds: paths of {self.longest_path()} weights allow no fewer")
        if len(out) * self.weights > WEIGHTS:
            raise Undecided(f"{len(out)} rounds on {self.weights} weights are too many")
        return tuple(out) or (self.keep,)

    # -- the run --------------------------------------------------------------------------------------

    def masked(self, mask: Tensor) -> ModuleOnData:
        """The module under a mask (N,), with the gates that it has then.

        Raises:
            Undecided: a gate that is not certain.
        """
        tensors = dict(self.on.tensors)
        for n, m in self.split(mask).items():
            tensors[n] = tensors[n] * m
        run = forward(self.on.graph, tensors, self.on.x, WORK if self.certain else 0)
        if run.open and self.certain:
            raise Undecided(f"{run.open} gates of the pruned module are within rounding of a kink")
        return ModuleOnData(self.on.graph, tensors, self.on.x, run=run)

    def split(self, flat_: Tensor) -> dict[str, Tensor]:
        """(N,) by parameter, as float64."""
        parts = flat_.double().split(self.sizes)
        return {n: p.reshape(self.on.tensors[n].shape) for n, p in zip(self.names, parts, strict=True)}

    def activation(self, mask: Tensor) -> Tensor:
        """D_k over the paths that a mask leaves, with the gates of the masked module; (K,)."""
        masked = self.masked(mask)
        with torch.no_grad():
            return self.on.sums.run(self.split(mask), self.on.x**2, 0, gates=masked.values).sum(0)

    @cached_property
    def dense_activation(self) -> Tensor:
        """D_k of the dense module."""
        return self.activation(torch.ones(self.weights, dtype=torch.bool))

    def _directions(self, mask: Tensor) -> Tensor:
        if self.scorer == "px":
            return self.activation(mask)
        return self.dense_activation if self.scorer == "px-frozen" else torch.ones(self.on.sums.outputs).double()

    def scores_at(self, mask: Tensor) -> Tensor:
        """Scores under a mask, (N,), to a relative error of 4 `Sums.unit`."""
        theta = {n: self.on.tensors[n] * m for n, m in self.split(mask).items()}
        if self.scorer == "magnitude":
            return flat(theta).abs()
        sums = ModuleOnData(self.on.graph, {**self.on.tensors, **theta}, self.on.x).sums
        return flat(sums.scores(1 if self.scorer == "synflow" else 2, self._directions(mask)))

    @cached_property
    def _run(self) -> tuple[list[Tensor], list[Tensor]]:
        mask, masks, scores = torch.ones(self.weights, dtype=torch.bool), [], []
        for r, kept in enumerate(self.kept_by_round()):
            found = self.scores_at(mask)
            exact = self._exact_top(mask, kept)
            unit = 4 * self.on.sums.unit if self.certain else -1.0
            mask = certain_top(found, kept, mask, unit, r + 1) if exact is None else exact
            masks.append(mask)
            scores.append(found)
        return masks, scores

    def _exact_top(self, mask: Tensor, kept: int) -> Tensor | None:
        """The next mask by scores in rationals, where few weights of a chain are left and ties are to be expected."""
        if int(mask.sum()) > MOST or self.scorer == "magnitude" or self._chain is None:
            return None
        masks = self.split(mask)
        left = Sparse(self._chain, self.on.tensors, masks)
        directions = left.activation(self.on.x, self.masked(mask).values) if self.scorer == "px" else None
        starts = dict(zip(self.names, np.cumsum([0, *self.sizes[:-1]]).tolist(), strict=True))
        ranked = []
        for name, index, score in left.scores(1 if self.scorer == "synflow" else 2, directions):
            ranked.append((score, starts[name] + int(np.ravel_multi_index(index, self.on.tensors[name].shape))))
        out = torch.zeros_like(mask)
        out[[j for _, j in sorted(ranked)[max(0, len(ranked) - kept) :]]] = True
        return out

    @cached_property
    def _chain(self) -> list[Link] | None:
        """The module as a chain; with frozen activations only if these are equal, and drop out of the order."""
        if self.scorer == "px-frozen":
            same = equal_activations(self.on) and bool((self.dense_activation > 0).all())
            return chain(self.on.graph) if same else None
        return chain(self.on.graph)

    def masks(self) -> list[Tensor]:
        """The mask after each round, (N,) each."""
        return self._run[0]

    def final_mask(self) -> Tensor:
        """The mask after the last round, (N,)."""
        return self._run[0][-1]

    def final_objective(self) -> Any:
        """R = sum_k D_k R_k of what is left (0 exactly where nothing carries it)."""
        return self._objective(self.final_mask())

    def _objective(self, mask: Tensor) -> Any:
        theta = {n: self.on.tensors[n] * m for n, m in self.split(mask).items()}
        sums = ModuleOnData(self.on.graph, {**self.on.tensors, **theta}, self.on.x).sums
        power = 1 if self.scorer == "synflow" else 2
        with torch.no_grad():
            r = sums.run({n: theta[n].abs() ** power for n in self.names}, sums.ones(), power)[0]
        total = float((r * self._directions(mask)).sum())
        return ball(total, total * 4 * sums.unit)

    def objective_by_round(self) -> np.ndarray:
        """R of the network each round starts from, shape (rounds,)."""
        before = [torch.ones(self.weights, dtype=torch.bool), *self._run[0][:-1]]
        return np.array([self._objective(m) for m in before] + [None], dtype=object)[:-1]

    def alive(self, mask: Tensor) -> bool:
        """Whether some path keeps all its weights under a mask."""
        return self._paths(self.split(mask), None)

    def outputs_at(self, mask: Tensor) -> Tensor:
        """To which outputs some path keeps all its weights under a mask, bool (K,)."""
        return self._reached(self.split(mask), None).any(0)

    def _paths(self, there: Mapping[str, Tensor], gates: Mapping[Ref, Tensor] | None) -> bool:
        return bool(self._reached(there, gates).any())

    def _reached(self, there: Mapping[str, Tensor], gates: Mapping[Ref, Tensor] | None) -> Tensor:
        start = self.on.sums.ones() if gates is None else (self.on.x != 0).double()
        with torch.no_grad():
            return self.on.sums.run(there, start, 0, gates=gates, slopes=0) > 0

    def alive_by_round(self) -> np.ndarray:
        """Bool (rounds,): some path keeps all its weights."""
        return np.array([self.alive(m) for m in self._run[0]])

    def live(self, mask: Tensor | None = None) -> bool:
        """Whether some path is live on the data under a mask, the last one if None: weights, input and gates not 0."""
        masked = self.masked(self.final_mask() if mask is None else mask)
        return self._paths({n: (masked.tensors[n] != 0).double() for n in self.names}, masked.values)

    def layer_sizes(self) -> np.ndarray:
        """How many weights each layer keeps at the end."""
        return self.sizes_at(self.final_mask())

    def sizes_at(self, mask: Tensor) -> np.ndarray:
        """How many weights each layer keeps under a mask."""
        parts = self.split(mask)
        return np.array([int(sum(float(parts[n].sum()) for n in names)) for names in self._layers.values()])


def certain_top(scores: Tensor, kept: int, mask: Tensor, unit: float, number: int = 0) -> Tensor:
    """The mask of the ``kept`` largest scores within ``mask``; of equal ones the higher index stays.

    Args:
        scores: (N,), nonnegative, each to a relative error ``unit``; 0 is exact.
        kept: how many to keep.
        mask: bool (N,).
        unit: the relative error; negative: the order as computed is taken.
        number: of the round, for the message.

    Raises:
        Undecided: rounding leaves open which weights go.
    """
    inside = mask.nonzero().flatten()
    if len(inside) <= kept:
        return mask.clone()
    order = inside[torch.argsort(scores[inside], stable=True)]
    low, high = order[: len(order) - kept], order[len(order) - kept :]
    going, staying = float(scores[low[-1]]), float(scores[high[0]])
    if unit >= 0 and going > 0 and going * (1 + unit) >= staying * (1 - unit):
        raise Undecided(f"in round {number} rounding leaves open which of two weights goes")
    out = torch.zeros_like(mask)
    out[high] = True
    return out


# -- the claims ---------------------------------------------------------------------------------------


def _all_flow(run: ModuleRun) -> bool:
    return bool(flat(run.on.sums.carried(torch.ones(run.on.sums.outputs))).all())


def _no_layer_collapse(run: ModuleRun) -> Relation:
    enough = run.keep >= len(run.network.layers)
    return holds(bool((run.layer_sizes() > 0).all()) or not enough, "every layer keeps a weight")


def _positive_scores_suffice(run: ModuleRun) -> Relation:
    before = [torch.ones(run.weights, dtype=torch.bool), *run._run[0][:-1]]
    positive = all(bool((s > 0)[m].all()) for s, m in zip(run._run[1], before, strict=True))
    return _no_layer_collapse(run).when(np.asarray(positive))


RUN_FORMS: dict[str, Callable[[Any], Relation] | None] = {
    "synaptic-flow/positive-scores-suffice": _positive_scores_suffice,
    "synaptic-flow/residual-layers-survive": lambda run: _no_layer_collapse(run).when(np.asarray(_all_flow(run))),
    "synaptic-flow/maximal-critical-compression": None,
    "synaptic-flow/released-count-is-exact": None,
    "path-exclusion/no-collapse-literal": None,
    "path-exclusion/stays-alive-literal": None,
    "path-exclusion/collapse-only-after-death": None,
    "path-exclusion/frozen-activation-never-collapses": None,
    "path-exclusion/frozen-activation-stays-alive": lambda run: holds(run.live()).when(
        np.asarray(run.keep >= run.smallest_path())
    ),
}
"""Claims about pruning runs: how they are stated of a `ModuleRun`; None: as they are."""


def _nonzero(run: ModuleRun) -> bool:
    every = torch.ones(run.weights, dtype=torch.bool)
    there = {n: torch.ones_like(t) if n in run.names else t for n, t in run.on.tensors.items()}
    on_paths = flat(ModuleOnData(run.on.graph, there, run.on.x).sums.carried(torch.ones(run.on.sums.outputs)))
    return bool(((run.scores_at(every) > 0) | ~on_paths).all())


def _skips(run: ModuleRun) -> bool:
    """Whether some paths pass layers by, and nothing has a bias."""
    biased = any(op.settings.get("bias") is not None for op in run.on.graph.operations)
    return not biased and run.smallest_path() < run.longest_path()


def _layers_are_cuts(run: ModuleRun) -> bool:
    """Whether every submodule with parameters is a layer that no connection skips, and has no biases."""
    found = {frozenset(names) for names in cuts(run.on).values()}
    return all(frozenset(names) in found for names in run._layers.values())


PREDICATES: dict[str, Callable[[Any], Any]] = {
    "nonnegative-scores": lambda run: True,
    "nonzero-scores": _nonzero,
    "conserved-scores": lambda run: run.scorer != "magnitude",
    "global-masking": lambda run: True,
    "rescored": lambda run: True,
    "skip-connections": _skips,
    "layers-are-cuts": _layers_are_cuts,
    **{(a := scored_by(name)).name: a.predicate for name in SCORERS},
    "slow-schedule": lambda run: run.rounds is None,
    "ties-broken": lambda run: True,
    "everything-scored": lambda run: True,
    "objective-of-surviving-paths": lambda run: run.scorer != "px",
    "equal-path-lengths": lambda run: run.smallest_path() == run.longest_path(),
}
"""The assumptions on a `ModuleRun`: sums over paths are nonnegative and conserved whatever the mask."""


def on_runs(claim: Claim) -> Claim:
    """The claim about pruning runs as it is stated of a `ModuleRun`."""
    function = RUN_FORMS[claim.id] or claim.function
    assumed = tuple(Assumption(a.name, a.sentence, PREDICATES.get(a.name, a.predicate)) for a in claim.assumptions)
    return replace(claim, function=function, assumptions=assumed)


__all__ = ["ROUNDS", "RUN_FORMS", "SCORERS", "ModuleRun", "certain_top", "on_runs"]
