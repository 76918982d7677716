"""Iterative pruning of a torch module: masks from scores, round by round."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from theory.pruning import kept_by_round
from verify.networks.paths.program import PathProgram
from verify.networks.paths.sums import Scaled
from verify.networks.recording.checks import all_finite
from verify.networks.recording.graph import Graph, NotCovered
from verify.networks.recording.modes import untouched
from verify.networks.scores.masks import LostWarning, Masks, Round
from verify.networks.scores.methods import PATHS, Scorer, check_data, constant_on, live_paths, scored_names, scorer
from verify.networks.scores.task import Task
from verify.trials.streams import stream

SELECTIONS, SCOPES = ("top", "bottom", "sample"), ("global", "layerwise")
COMPILED_FROM = 5
"""Rounds from which it pays to compile path scores."""


@untouched
def prune(
    module: nn.Module, method: str, *, density: float | None = None, keep: int | None = None,
    rounds: int | None = None, select: str = "top", x: Tensor | None = None, y: Tensor | None = None,
    scope: str = "global", seed: int = 0, schedule: str = "exponential", scored: str = "weights",
    statistics: str | None = None, temperature: float | None = None, biases: bool = True, rescale: bool = True,
    study: bool = False,
) -> Masks:  # fmt: skip
    """Masks that keep a share of the weights of ``module``, scored anew in each round; the module is not changed.

    Exactly the number asked for is kept ("layerwise": in each layer the same share, rounded up); masked
    weights stay masked; of equal scores the weight with the higher index stays. Rounds, statistics and temperature
    are those with which the method was published (`verify.methods`) where they are not given; `Masks.settings` says
    which were taken.

    Args:
        module: the module.
        method: a name from `verify.networks.scores.methods.METHODS`.
        density: share of the weights to keep, in (0, 1]; or
        keep: number of weights to keep.
        rounds: number of rounds; None: as published.
        select: "top" keeps the largest scores, "bottom" the smallest (the inverted scores of arXiv 2009.08576);
            "sample" draws weights one by one without replacement with probabilities proportional to |score|,
            weights of score 0 last.
        x: inputs, where the method needs them.
        y: labels or targets, where the method needs them.
        scope: "global" or "layerwise".
        seed: seed of every random choice.
        schedule: "exponential", "linear", "one-at-a-time" or "one-shot".
        scored: "weights" (tensors with two axes or more) or "all" parameters.
        statistics: of normalisations while scoring, see `verify.networks.scores.methods.STATISTICS`; None: as
            published.
        temperature: what the outputs are divided by while scoring; None: as published.
        biases: whether paths from the constant input count in path scores.
        rescale: keep path sums in range by powers of two.
        study: also record the number of live paths and whether the network is constant on ``x``, each round.

    Raises:
        KeyError: unknown method.
        ValueError: bad settings or data, a density that no mask can reach, or scores that are not finite.

    Warns:
        LostWarning: a layer has lost all its weights, or an output all its paths from the input.
    """
    check_data(module, method, x, y)
    chosen_method = scorer(method)
    for name, value, known in (("select", select, SELECTIONS), ("scope", scope, SCOPES)):
        if value not in known:
            raise ValueError(f"{name} is one of {', '.join(known)}; got {value!r}")
    if study and x is None:
        raise ValueError("study needs data: give x")
    rounds = chosen_method.rounds if rounds is None else rounds
    mode: dict[str, Any] = {
        "statistics": chosen_method.statistics if statistics is None else statistics,
        "temperature": chosen_method.temperature if temperature is None else temperature,
    }
    chosen_method.check_mode(**mode)
    own = dict(module.named_parameters())
    names = scored_names(module, scored)
    shapes = {n: own[n].shape for n in names}
    count = sum(own[n].numel() for n in names)
    goal = _goal(count, density, keep, len(names) if scope == "layerwise" else 1)
    settings = {"biases": biases, "rescale": rescale, "seed": seed, **mode}
    score = _scorer(module, method, names, rounds, x, y, settings, compiled=scored == "weights" and rescale)
    graph = Task(module, names, x).recorded() if study else None
    left = _Left(shapes, own[names[0]].device)
    generator = stream("sampled mask", seed)
    records = []
    steps = kept_by_round(count, goal, rounds, schedule)
    for r, kept in enumerate(steps):
        found, log10_objective = score(r, left)
        gone = left.choose(found, kept, select, scope, generator)
        score.drop(gone)
        more = {}
        if study:
            assert x is not None
            masks = left.masks()
            more = {"log10_paths": live_paths(module, x, masks, graph), "constant": constant_on(module, x, masks)}
        records.append(Round(len(left.indices), dict(left.layers), log10_objective, **more))  # type: ignore[arg-type]
    out = Masks(left.masks(), method, _in_words(chosen_method, len(steps), select, scope, mode), tuple(records))
    _warn_of_losses(out, module, x)
    return out


def _in_words(method: Scorer, rounds: int, select: str, scope: str, mode: Mapping[str, Any]) -> str:
    parts = [method.settings(rounds, **mode)]
    parts += {"sample": ["sampled"], "bottom": ["lowest scores kept"]}.get(select, [])
    return ", ".join([*parts, *(["layer by layer"] if scope == "layerwise" else [])])


def _warn_of_losses(masks: Masks, module: nn.Module, x: Tensor | None) -> None:
    """Say which layers and outputs are lost, of outputs only where paths to them can be counted."""
    lost = []
    if masks.emptied:
        lost.append(f"{_few(masks.emptied)} {'has' if len(masks.emptied) == 1 else 'have'} lost all weights")
    if x is not None:
        try:
            outputs = masks.lost_outputs(module, x)
        except (NotCovered, ValueError):
            outputs = ()
        if outputs:
            said = f"output{'s' * (len(outputs) > 1)} {_few(tuple(map(str, outputs)))}"
            lost.append(f"no path from the input leads to {said}")
    if lost:
        warnings.warn(f"{masks.method} at density {masks.density:.3g}: {'; '.join(lost)}", LostWarning, stacklevel=4)


def _few(names: Sequence[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


class _CallByCall:
    """Scores evaluated afresh in every round."""

    def __init__(
        self, module: nn.Module, method: str, names: Sequence[str], x: Tensor | None, y: Tensor | None,
        settings: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self.module, self.names, self.x, self.y, self.settings = module, names, x, y, dict(settings)
        self.scorer = scorer(method)
        self.graph: Graph | None = None
        self.frozen: Scaled | None = None
        if self.scorer.paths:
            self.graph = self._task().recorded()
        if method == "px-frozen":
            self.frozen = self._task().activation_per_output()

    def _task(self, **more: Any) -> Task:
        return Task(self.module, self.names, self.x, self.y, graph=self.graph, **{**self.settings, **more})

    def __call__(self, r: int, left: _Left) -> tuple[Tensor, float | None]:
        seed = self.settings["seed"] + (0 if self.scorer.name == "random" else r)
        frozen = None if self.frozen is None else self.frozen.value
        found = self.scorer.score(self._task(masks=left.masks() if r else None, frozen=frozen, seed=seed))
        log = found.log10_objective
        if log is not None and self.frozen is not None:
            log += self.frozen.exponent * math.log10(2)
        return torch.cat([found.values[n].flatten() for n in left.shapes]), log

    def drop(self, gone: Tensor) -> None:
        """Nothing is kept between rounds."""


class _Compiled:
    """Path scores by a program that is made once."""

    def __init__(self, module: nn.Module, method: str, names: Sequence[str], x: Tensor, biases: bool) -> None:
        data = scorer(method).needs == "data"
        self.program = PathProgram(module, x, names, scorer(method).power or 2, biases=biases, data=data)
        self.weights = self.program.activation() if method == "px-frozen" else None
        self.anew = method == "px"

    def __call__(self, r: int, left: _Left) -> tuple[Tensor, float | None]:
        return self.program.scores(self.program.activation() if self.anew else self.weights)

    def drop(self, gone: Tensor) -> None:
        """Mask more weights."""
        self.program.drop(gone)


def _scorer(
    module: nn.Module, method: str, names: Sequence[str], rounds: int, x: Tensor | None, y: Tensor | None,
    settings: Mapping[str, Any], compiled: bool,
) -> _Compiled | _CallByCall:  # fmt: skip
    """What scores the rounds: a program where it pays and the module allows it."""
    if method in PATHS and rounds >= COMPILED_FROM and compiled:
        assert x is not None
        try:
            return _Compiled(module, method, names, x, settings["biases"])
        except NotCovered:
            # Not compiled, or not at all: then evaluation round by round says what is wrong.
            pass
    return _CallByCall(module, method, names, x, y, settings)


class _Left:
    """The scored weights that are left, numbered through all scored parameters.

    Attributes:
        shapes: shapes of the scored parameters, by name.
        indices: numbers of the weights left, ascending, shape (kept,).
        layers: how many each parameter has left.
    """

    def __init__(self, shapes: Mapping[str, torch.Size], device: torch.device) -> None:
        self.shapes, self.device = dict(shapes), device
        self.sizes = [s.numel() for s in self.shapes.values()]
        self.ends = np.cumsum(self.sizes)
        self.indices = np.arange(self.ends[-1])
        self.layers = dict(zip(self.shapes, self.sizes, strict=True))
        self.flat = torch.ones(int(self.ends[-1]), dtype=torch.bool, device=device)

    def masks(self) -> dict[str, Tensor]:
        """The masks as they are now."""
        parts = self.flat.clone().split(self.sizes)
        return {n: p.view(s) for (n, s), p in zip(self.shapes.items(), parts, strict=True)}

    def choose(self, found: Tensor, kept: int, select: str, scope: str, generator: torch.Generator) -> Tensor:
        """Keep ``kept`` weights by the scores ``found``, shape (all,), and return the numbers of those that go."""
        found, select = (-found, "top") if select == "bottom" else (found, select)
        if select == "top" and scope == "global" and self.device.type == "cpu":
            _check_finite(found)
            stays = _top(torch.from_numpy(found.detach().numpy()[self.indices]), kept).numpy()
        else:
            after = chosen(found, self.flat, self.sizes, kept, select, scope, generator)
            stays = after.cpu().numpy()[self.indices]
        gone, self.indices = self.indices[~stays], self.indices[stays]
        lost = np.diff(np.searchsorted(gone, self.ends), prepend=0)
        self.layers = {n: k - int(d) for (n, k), d in zip(self.layers.items(), lost, strict=True)}
        out = torch.from_numpy(gone).to(self.device)
        self.flat[out] = False
        return out


def _goal(count: int, density: float | None, keep: int | None, least: int) -> int:
    """How many of ``count`` weights to keep, at least ``least``: one, or one of each layer."""
    if (density is None) == (keep is None):
        raise ValueError("give either density or keep")
    if keep is not None and not 1 <= keep <= count:
        raise ValueError(f"keep must be between 1 and the {count} weights; got {keep}")
    if density is not None and not 0 < density <= 1:
        raise ValueError(f"density must be above 0 and at most 1; got {density}")
    goal = round(density * count) if density is not None else keep
    assert goal is not None
    if goal < least:
        asked = f"density {density:g}" if density is not None else f"keep={keep}"
        what = "one weight of each layer" if least > 1 else "one weight"
        raise ValueError(f"{asked} keeps less than {what} of {count}: the smallest density is {least / count:.3g}")
    return goal


def _check_finite(found: Tensor) -> None:
    if not all_finite(found):
        raise ValueError("scores are not finite: use rescale=True, float64, or smaller weights")


def chosen(
    found: Tensor, mask: Tensor, sizes: Sequence[int], kept: int, select: str, scope: str,
    generator: torch.Generator | None,
) -> Tensor:  # fmt: skip
    """The flat mask after a round.

    Args:
        found: finite scores, (N,).
        mask: the mask before, bool (N,).
        sizes: how many of them belong to each layer.
        kept: how many to keep.
        select: "top" or "sample".
        scope: "global" or "layerwise".
        generator: for "sample".
    """
    _check_finite(found)
    if select == "sample":
        uniform = torch.rand(found.shape, generator=generator, dtype=torch.float64).to(found.device)
        # Exponential clocks: the first to ring are a sample without replacement.
        found = found.abs().double().log() - (-uniform.log()).log()
    if scope == "global":
        return keep_top(found, mask, kept)
    shares = [-(-s * kept // len(found)) for s in sizes]
    pieces = zip(found.split(list(sizes)), mask.split(list(sizes)), shares, strict=True)
    return torch.cat([keep_top(s, m, k) for s, m, k in pieces])


def keep_top(found: Tensor, mask: Tensor, kept: int) -> Tensor:
    """The mask of the ``kept`` largest scores among the weights in ``mask``; of equal ones the higher index stays.

    Args:
        found: scores, shape (N,).
        mask: bool, shape (N,); what is outside stays outside.
        kept: how many to keep; all of ``mask`` where it has no more.
    """
    inside = mask.nonzero().flatten()
    if kept >= len(inside):
        return mask.clone()
    stays = _top(found[inside].detach(), kept)
    out = torch.zeros_like(mask)
    out[inside[stays]] = True
    return out


def _top(values: Tensor, kept: int) -> Tensor:
    """Which are the ``kept`` largest; of equal ones those with higher index."""
    drop = len(values) - kept
    if drop <= 0:
        return torch.ones_like(values, dtype=torch.bool)
    threshold = _smallest(values, drop)
    stays = values > threshold
    spare = kept - int(torch.count_nonzero(stays))
    if spare:
        tied = (values == threshold).nonzero().flatten()
        stays[tied[len(tied) - spare :]] = True
    return stays


def _smallest(values: Tensor, position: int) -> Tensor:
    """The ``position``-th smallest value, counted from 1."""
    if values.device.type != "cpu":
        return values.kthvalue(position).values
    # Torch's own selection takes seconds on 10^7 numbers on a CPU.
    return torch.as_tensor(np.partition(values.numpy(), position - 1)[position - 1])


__all__ = ["chosen", "keep_top", "prune"]
