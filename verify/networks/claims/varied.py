"""Other inputs, scales and masks of a module: what claims are searched over where it is too large to enumerate.

The instances follow from the module, the seed and their number alone, so that all claims look at the same ones
and what is computed for one claim serves the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from theory.claims import Claim
from verify.networks.claims.budget import GIVEN, affordable_samples
from verify.networks.claims.module_on_data import ModuleOnData
from verify.networks.claims.module_run import ModuleRun
from verify.networks.claims.undecided import Undecided

KEPT = 2**28
"""Bytes, about, of drawn instances and runs that are kept for the next claim."""
ROUNDS_HELD = 100
"""Rounds whose masks and scores a kept pruning run is taken to hold."""
OUTPUTS = 16
"""Outputs that a module keeps where the trace of all of them would take too long."""
FEW = 100
"""A module of more outputs than this is also searched with `OUTPUTS` of them."""
SAMPLED = ("synflow", "synflow-l2", "px-frozen")
"""Scorers of the pruning runs of a claim that names none."""


class Variations:
    """A module on data, and variations of it.

    Args:
        given: the module as given.
        seed: of what is drawn.
    """

    def __init__(self, given: ModuleOnData, seed: int) -> None:
        self.given, self.seed = given, seed
        self._kept: dict[int, ModuleOnData] = {}
        self._bytes = 0
        self._runs: dict[tuple[int, str], ModuleRun] = {}
        self.start = self._start()

    def _start(self) -> ModuleOnData:
        """What is varied: the module on as many inputs, and with as many outputs, as can be paid for often."""
        given = self.given
        if given.sums.outputs > FEW:
            try:
                given = given.with_outputs(OUTPUTS)
            except Undecided:
                pass
        count = affordable_samples(given.graph, given.tensors, GIVEN / 10, len(given.x))
        return given.first(count)

    def at(self, number: int) -> ModuleOnData:
        """Instance ``number``: 0 is the module as given."""
        if number == 0:
            return self.given
        if number not in self._kept:
            made = self._drawn(number)
            held = 8 * sum(int(np.prod(op.shape[1:])) for op in made.graph.operations) * len(made.x) * 2
            held += 8 * sum(t.numel() for t in made.tensors.values())
            if not self._room(held):
                return made
            self._kept[number] = made
        return self._kept[number]

    def instances(self) -> Iterator[ModuleOnData]:
        """The module as given, then other inputs, scales and masks of it, without end."""
        number = 0
        while True:
            yield self.at(number)
            number += 1

    def runs(self, claim: Claim) -> Iterator[ModuleRun]:
        """Pruning runs of these instances: the claim's scorers, one or two inputs, few weights kept."""
        known = (*SAMPLED, "px", "magnitude")
        scorers = tuple(dict.fromkeys(s for s in claim.draws.get("scorers", SAMPLED) if s in known)) or ("px",)
        turn = 0
        while True:
            key = (turn, scorers[turn % len(scorers)])
            run = self._runs.get(key) or self._run(*key)
            if key not in self._runs and self._room(9 * run.weights * ROUNDS_HELD):
                self._runs[key] = run
            yield run
            turn += 1

    def _room(self, held: int) -> bool:
        """Whether there is room for so many bytes more, which are then counted."""
        if self._bytes + held > KEPT:
            return False
        self._bytes += held
        return True

    def _run(self, turn: int, scorer: str) -> ModuleRun:
        run = ModuleRun(self.at(turn).first(1 + turn % 2), scorer)
        if turn:
            # Near the critical compression, and now and then anywhere.
            rng = np.random.default_rng([self.seed, 8, turn])
            most = run.weights if turn % 3 == 2 else min(run.weights, 2 * run.keep + 1)
            run.keep = int(rng.integers(run.keep, most + 1))
        return run

    def _drawn(self, number: int) -> ModuleOnData:
        start, rng = self.start, np.random.default_rng([self.seed, 7, number])
        names, tensors = start.graph.parameters, dict(start.tensors)
        if number == 1 and start.graph is not self.given.graph:
            return start
        if number == 2 and (drawn := _drawn_biases(rng, tensors, names)):
            return self._made(tensors | drawn, start.x, "zero biases drawn anew")
        inputs, said = _varied_inputs(rng, start.x)
        what = [said]
        if rng.random() < 0.5:
            for n in names:
                tensors[n] = tensors[n] * 2.0 ** int(rng.integers(-3, 4))
            what.append("layers rescaled")
        if rng.random() < 0.5:
            tensors |= _drawn_biases(rng, tensors, names)
            what.append("zero biases drawn anew")
        if rng.random() < 0.6:
            density = float(rng.choice([0.5, 0.2, 0.05]))
            # Zeroed, not removed: a weight of 0 is still a parameter, in the trace and in the path kernel.
            for n in names:
                kept = torch.as_tensor(rng.random(tuple(tensors[n].shape)) < density)
                tensors[n] = tensors[n] * kept.double()
            what.append(f"zeroed at random but for {density:g}")
        return self._made(tensors, inputs, ", ".join(what))

    def _made(self, tensors: Mapping[str, Tensor], x: Tensor, what: str) -> ModuleOnData:
        said = what if self.start.what == "as given" else f"{self.start.what}; {what}"
        return ModuleOnData(self.start.graph, tensors, x, what=said, limit=0)


def _drawn_biases(rng: np.random.Generator, tensors: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """Normal numbers for the vectors among the parameters that are 0 throughout."""
    empty = [n for n in names if tensors[n].ndim == 1 and not bool(tensors[n].any())]
    return {n: torch.as_tensor(rng.standard_normal(tuple(tensors[n].shape))) for n in empty}


def _varied_inputs(rng: np.random.Generator, x: Tensor) -> tuple[Tensor, str]:
    choice = int(rng.integers(0, 5))
    if choice == 4:
        return x[:1] * 0, "one input of zeros"
    if choice == 0:
        return x * 2.0 ** int(rng.integers(-4, 5)), "inputs rescaled"
    if choice == 1:
        return torch.as_tensor(rng.standard_normal(tuple(x.shape))), "Gaussian inputs"
    if choice == 2:
        return x[:1] * torch.as_tensor(rng.random(tuple(x[:1].shape)) < 0.1), "one sparse input"
    return -x, "inputs negated"


__all__ = ["Variations"]
