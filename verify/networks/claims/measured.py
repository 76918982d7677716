"""What is measured on a module besides the claims: what a pruning researcher asks for first, and what is drawn.

The bound against the trace, PX against SynFlow-L2, scores by layer, the spectrum of the tangent kernel, and the
densities at which each method loses a layer, an output and the last live path.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from verify.networks.claims import budget
from verify.networks.claims.module_on_data import ModuleOnData
from verify.networks.claims.module_run import ModuleRun
from verify.networks.claims.undecided import UNDONE
from verify.networks.exact.balls import flat

T = TypeVar("T")
METHODS = ("magnitude", "synflow", "synflow-l2", "px")
ROUNDS = 50
"""Rounds of the pruning runs that say where each method loses something."""
PRUNED = 2e11
"""Operations that those runs may take together."""
ROWS, SPECTRUM, ENTRIES = 64, 2e10, 1e8
"""Rows of the Jacobian of which eigenvalues are taken, and the operations and numbers that they may take."""
NAMED = 4
"""Parameters that are named in a line."""
LOSSES = ("a layer", "an output", "the last live path")


@dataclass(frozen=True)
class Pruned:
    """What iterated pruning by one method loses, and at which densities.

    Attributes:
        method: the method.
        rounds: in how many rounds.
        density: where the run ends.
        lost: density by what is lost, of `LOSSES`; the largest density at which it is gone.
    """

    method: str
    rounds: int
    density: float
    lost: Mapping[str, float]

    def __str__(self) -> str:
        said = ", ".join(f"{what} at density {at:.2g}" for what, at in sorted(self.lost.items(), key=lambda i: -i[1]))
        start = f"{self.method}, pruned in {self.rounds} rounds to a density of {self.density:.2g}"
        return f"{start}: loses {said}" if said else f"{start}: loses no layer, no output, and stays alive"


@dataclass(frozen=True)
class Measured:
    """Numbers of a module as given; what could not be had is NaN or empty, and ``left`` says why.

    Attributes:
        trace: of the NTK.
        log10_looseness: log10 of the path bound divided by the trace.
        correlation: Spearman's, of PX and SynFlow-L2 in the first round.
        silent: how many numbers of each parameter PX gives the score 0; parameters without any are left out.
        scores: for each method the mean score of each layer's weights, divided by the mean of all.
        spectrum: eigenvalues of the NTK, largest first.
        pruned: what each method loses.
        left: what was left out, and why.
    """

    trace: float = math.nan
    log10_looseness: float = math.nan
    correlation: float = math.nan
    silent: Mapping[str, int] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    spectrum: tuple[float, ...] = ()
    pruned: tuple[Pruned, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def facts(self) -> tuple[str, ...]:
        """The same, a line each."""
        return tuple(self._facts())

    def _facts(self) -> Iterator[str]:
        if math.isfinite(self.log10_looseness):
            yield f"NTK trace {self.trace:.4g}; path bound / trace = 10^{self.log10_looseness:.1f}"
        if math.isfinite(self.correlation):
            yield f"rank correlation of PX and SynFlow-L2 in the first round: {self.correlation:.3f}"
        if self.silent:
            few = sorted(self.silent, key=lambda n: -self.silent[n])[:NAMED]
            named = ", ".join(f"{n} ({self.silent[n]:,})" for n in few) + (" ..." if len(self.silent) > NAMED else "")
            yield f"PX gives the score 0 to {sum(self.silent.values()):,} parameters: {named}"
        if self.spectrum and self.spectrum[0] > 0:
            rank = sum(v > 1e-10 * self.spectrum[0] for v in self.spectrum)
            share = self.spectrum[0] / sum(self.spectrum)
            of = f"{len(self.spectrum)} eigenvalues, {rank} above rounding"
            yield f"NTK spectrum: {of}; the largest is {share:.0%} of the trace on these inputs"
        yield from map(str, self.pruned)
        yield from self.left


def measure(given: ModuleOnData) -> Measured:
    """Measure a module on its inputs."""
    left: list[str] = []

    def tried(what: str, function: Callable[[ModuleOnData], T], otherwise: T) -> T:
        try:
            return function(given)
        except (*UNDONE, ValueError) as e:
            left.append(f"{what}: not measured, {' '.join(str(e).split())}")
            return otherwise

    trace, looseness = tried("bound and trace", _looseness, (math.nan, math.nan))
    none: dict[str, dict[str, float]] = {}
    correlation, silent, scores = tried("scores", _scores, (math.nan, dict[str, int](), none))
    spectrum = tried("spectrum", _spectrum, tuple[float, ...]())
    return Measured(trace, looseness, correlation, silent, scores, spectrum, tuple(_losses(given, left)), tuple(left))


def _looseness(i: ModuleOnData) -> tuple[float, float]:
    trace = float(i.ntk_trace().mid())
    bound = float((i.activation_values() * i.kernel_values()[1]).sum())
    return trace, math.log10(bound / trace) if trace > 0 and math.isfinite(bound) and bound > 0 else math.nan


def _scores(i: ModuleOnData) -> tuple[float, dict[str, int], dict[str, dict[str, float]]]:
    ones, px = torch.ones(i.sums.outputs, dtype=torch.float64), i.px()
    l2 = i.sums.scores(2, ones)
    correlation = float(stats.spearmanr(flat(px).numpy(), flat(l2).numpy()).statistic)
    magnitude = {n: i.tensors[n].abs() for n in px}
    found = {"magnitude": magnitude, "synflow": i.sums.scores(1, ones), "synflow-l2": l2, "px": px}
    silent = {n: count for n, s in px.items() if (count := int((s == 0).sum()))}
    return correlation, silent, {m: _by_layer(s) for m, s in found.items()}


def _by_layer(scores: Mapping[str, Tensor]) -> dict[str, float]:
    weights = {n: s for n, s in scores.items() if s.ndim > 1} or dict(scores)
    mean = float(sum(s.sum() for s in weights.values())) / sum(s.numel() for s in weights.values())
    return {n: float(s.mean()) / mean if mean > 0 else 0.0 for n, s in weights.items()}


def _spectrum(i: ModuleOnData) -> tuple[float, ...]:
    """Eigenvalues of the NTK on as many inputs as give `ROWS` rows of the Jacobian."""
    outputs = i.sums.outputs
    i = i.first(max(1, ROWS // outputs))
    rows, size = len(i.x) * outputs, sum(i.tensors[n].numel() for n in i.graph.parameters)
    if rows * size > ENTRIES or 3 * rows * budget.flops(i.graph, i.tensors) * len(i.x) > SPECTRUM:
        raise ValueError(f"a Jacobian of {rows} rows and {size} columns is too much")
    leaves = {n: i.tensors[n].detach().requires_grad_() for n in i.graph.parameters}
    with torch.enable_grad():
        out = i.graph.run({**i.tensors, **leaves}, i.x)[i.graph.output].reshape(-1)
        gradients = [
            torch.autograd.grad(o, list(leaves.values()), retain_graph=True, materialize_grads=True) for o in out
        ]
    jacobian = torch.stack([torch.cat([g.flatten() for g in row]) for row in gradients])
    return tuple(torch.linalg.eigvalsh(jacobian @ jacobian.T).flip(0).clamp_min(0).tolist())


def _losses(given: ModuleOnData, left: list[str]) -> Iterator[Pruned]:
    on = given.first(1)
    cost = len(METHODS) * ROUNDS * 8 * (budget.FIXED / 20 + budget.flops(on.graph, on.tensors))
    if cost > PRUNED:
        left.append(f"pruning by each method: not measured, it takes about {cost:.0e} operations")
        return
    for method in METHODS:
        try:
            run = ModuleRun(on, method, rounds=ROUNDS, certain=False)
            found = {what: _first(run, test) for what, test in zip(LOSSES, _TESTS, strict=True)}
        except (*UNDONE, ValueError) as e:
            left.append(f"pruning by {method}: not measured, {' '.join(str(e).split())}")
            continue
        lost = {what: at for what, at in found.items() if at is not None}
        yield Pruned(method, ROUNDS, run.keep / run.weights, lost)


def _first(run: ModuleRun, lost: Callable[[ModuleRun, Tensor], bool]) -> float | None:
    """The first density at which something is lost."""
    for mask in run.masks():
        if lost(run, mask):
            return int(mask.sum()) / run.weights
    return None


def _layer_lost(run: ModuleRun, mask: Tensor) -> bool:
    return bool((np.asarray(run.sizes_at(mask)) == 0).any())


def _output_lost(run: ModuleRun, mask: Tensor) -> bool:
    return not bool(run.outputs_at(mask).all())


def _dead(run: ModuleRun, mask: Tensor) -> bool:
    return not run.live(mask)


_TESTS: tuple[Callable[[ModuleRun, Tensor], bool], ...] = (_layer_lost, _output_lost, _dead)

__all__ = ["LOSSES", "METHODS", "Measured", "Pruned", "measure"]
