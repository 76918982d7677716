"""Pruning that never lets the network die on its data: a removal that leaves no live path is not made.

A path is *live* at a sample if its weights are not 0, every gate on it is on and its input is not 0.
That is more than a positive objective sum_k D_k R_k: there one path may be active and another have the
weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from theory.networks import LEAKY, LINEAR, RELU, Network
from theory.paths import NetworkOnData
from theory.pruning import PruningRun
from theory.scalars import Array


def live(run: PruningRun, mask: np.ndarray) -> np.ndarray:
    """Whether some path is live under a mask (..., N): bool (...)."""
    masked = NetworkOnData(run.network, run.masked(mask), run.x)
    active = np.asarray(masked.path_inputs() != 0, dtype=bool).any(axis=-2)
    return np.asarray((active & np.asarray(masked.path_values() != 0, dtype=bool)).any(axis=-1))


@dataclass(frozen=True, eq=False)
class GuardedRun(PruningRun):
    """A pruning run, one weight a round: of the remaining weights, by rising score, the first that may go.

    A weight may go if some path is live without it. If none may, the run ends early.
    """

    title: ClassVar[str] = "guarded pruning run"
    stackable: ClassVar[bool] = False

    def valid(self) -> Any:
        """As for every run; and it is single, rescored, of all weights, one a round."""
        return bool(super().valid()) and (
            self.theta.ndim == 1
            and self.rescore
            and (self.schedule, self.scope, self.scored, self.rule) == ("one-at-a-time", "global", "all", "by-index")
        )

    @cached_property
    def _run(self) -> tuple[np.ndarray, Array]:
        mask = np.ones(self.theta.shape, dtype=bool)
        masks, scores = [], []
        for kept in self.kept_by_round():
            current = self.scores_at(mask)
            scores.append(current)
            if kept < self.network.parameters:
                for j in np.argsort(current, kind="stable"):
                    without = mask.copy()
                    without[j] = False
                    if mask[j] and bool(live(self, without)):
                        mask = without
                        break
            masks.append(mask)
        return np.stack(masks, axis=-2), np.stack(scores, axis=-2)

    def own_edges(self) -> bool:
        """Whether every edge has a parameter of its own, and no unit is a maximum."""
        return own_edges(self.network)


def own_edges(network: Network) -> bool:
    """Whether every edge has a parameter of its own, and no unit is a maximum."""
    used = [e.parameter for e in network.edges]
    plain = all(u in ("input", "one", LINEAR, RELU, LEAKY) for u in network.units)
    return plain and None not in used and len(set(used)) == len(used)
