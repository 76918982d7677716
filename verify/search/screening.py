"""Which instances of a stack are worth an exact decision: a filter in float64, never a verdict."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from theory.claims import Assumption, Claim
from theory.relations import Verdict, decide, margins
from verify.search.strategies import StackChooser, draw, others_break

SUSPICIOUS = -1e-9
"""Relative float64 margin under which an instance is decided exactly."""
MOST = 7
"""Structural integers stay within this of the smallest."""


class Problem:
    """A claim without some of its assumptions: what an instance has to satisfy, and to refute.

    Args:
        claim: the claim.
        drop: names of assumptions not to require.

    Raises:
        KeyError: no such assumption.
    """

    def __init__(self, claim: Claim, drop: tuple[str, ...] = ()) -> None:
        self.claim = claim
        self.dropped: tuple[Assumption, ...] = tuple(claim.assumption(name) for name in drop)
        self.kept = tuple(a for a in claim.assumptions if a.name not in drop)

    @property
    def stackable(self) -> bool:
        """Whether the claim can be screened in stacks."""
        return bool(self.claim.setting.stackable and self.claim.draws.get("stack", True))

    @cached_property
    def _others(self) -> list[Assumption]:
        return others_break(self.claim)

    def drawn(self, chooser: StackChooser, r: int) -> Any:
        """Stack ``r`` of a scan: every third one is drawn beyond the claim's hints, which are no hypotheses."""
        beyond = r % 3 == 2
        broken = self.dropped[r % len(self.dropped)] if self.dropped and r % 4 < 3 else None
        if broken is None and self._others and r % 6 in (1, 5):
            # The first, which stands nearest, every other time; the rest in turn.
            broken = self._others[0 if r % 4 == 1 else size_limit(r // 6) % len(self._others)]
        elif beyond and broken is None:
            # What breaks one assumption on part of a stack says most about the claim on the rest of it.
            broken = chooser.pick([None, *(a for a in self.kept if a.breaks is not None)])
        return draw(self.claim, chooser, broken, beyond=beyond)

    def satisfied(self, stack: Any) -> np.ndarray:
        """Which instances of a stack satisfy the domain and the kept assumptions."""
        count = stack.count
        ok = np.broadcast_to(np.asarray(stack.valid(), dtype=bool), (count,)).copy()
        for a in self.kept:
            if not ok.any():
                break
            with np.errstate(all="ignore"):
                ok &= np.broadcast_to(np.asarray(a.predicate(stack), dtype=bool), (count,))
        return ok

    def applies(self, instance: Any) -> bool:
        """Whether one exact instance satisfies the domain and the kept assumptions."""
        return bool(instance.valid()) and all(bool(a.predicate(instance)) for a in self.kept)

    def refutes(self, instance: Any) -> bool:
        """Whether one exact instance, in the domain, refutes the claim; for shrinking."""
        try:
            return self.applies(instance) and decide(self.claim.check(instance)).verdict is Verdict.REFUTED
        except (ZeroDivisionError, ValueError):
            return False

    def margins(self, stack: Any) -> np.ndarray:
        """Relative margins (stack,) of instances that satisfy the assumptions; NaN where a side does not exist."""
        with np.errstate(all="ignore"):
            relation = self.claim.check(stack)
            m = np.full(stack.count, np.nan) if relation.undefined else margins(relation)
        return np.broadcast_to(m, (stack.count,))


def suspicious(m: np.ndarray) -> np.ndarray:
    """Which relative margins look violated: beyond rounding, or a strict comparison tied, or undefined."""
    tied = (m < 0) & (m > -1e-290)
    return np.isnan(m) | (m < SUSPICIOUS) | tied


def size_limit(r: int) -> int:
    """How much structure stack ``r`` may have: 0, then 0 1, then 0 1 2, ... up to 7; small ones never stop."""
    top = 0
    while r > top:
        r, top = r - top - 1, min(top + 1, MOST)
    return r


def mutated(one: Any, size: int, rng: np.random.Generator) -> Any:
    """A stack of ``size`` mutations of a stack of one: entries zeroed, negated, doubled, halved, nudged."""
    changed = {}
    names = [n for n in one.arrays() if getattr(one, n) is not None]
    entries = max(1, sum(np.size(getattr(one, n)[0]) for n in names))
    for name in names:
        a = np.repeat(np.asarray(getattr(one, name), dtype=float), size, axis=0)
        hit = rng.random(a.shape) < min(0.5, 1.5 / entries)
        nudge = a + rng.integers(-4, 5, a.shape) * 2.0 ** rng.integers(-4, 1, a.shape)
        options = [np.zeros_like(a), -a, 2 * a, a / 2, np.ones_like(a)]
        which = rng.integers(0, 8, a.shape)
        changed[name] = np.where(hit, np.select([which == i for i in range(5)], options, nudge), a)
    return one.with_(**changed)


__all__ = ["MOST", "Problem", "mutated", "size_limit", "suspicious"]
