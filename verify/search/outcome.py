"""What a search found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from theory.relations import Decision


@dataclass
class Outcome:
    """What a search found.

    Attributes:
        claim: the claim's id.
        verdict: "survived" (no counterexample among ``examples`` exactly decided instances and
            ``screened`` screened ones: not a proof), "refuted", "undecided" (nothing was decided) or
            "not applicable".
        counterexample: the shrunk exact instance, or None.
        decision: its exact decision.
        certificate: the counterexample as JSON (see `verify.certificates`), or None.
        examples: instances decided exactly (in rationals or balls), each counted once.
        screened: instances looked at in stacked float64.
        vacuous: exactly decided instances on which no premise of the claim held.
        undecided: exact instances that neither held nor failed at the highest precision.
        undefined: instances on which a side does not exist (only when an assumption was dropped).
        smallest_margin: smallest relative margin seen among instances that satisfy the assumptions.
        hardest: the exact decision with the smallest margin among those that held.
        seconds: wall time, for the report; nothing depends on it.
        cut: what a limit in seconds left undone, in words; empty where the search ran to its end.
        stage: which stage found the counterexample.
        stages: what each stage looked at.
        reasons: sentences on what was dropped, why something is not applicable, what limits the answer.
        seed: the seed.
        on: what it ran on.
    """

    claim: str
    verdict: str = "survived"
    counterexample: Any = None
    decision: Decision | None = None
    certificate: dict[str, Any] | None = None
    examples: int = 0
    screened: int = 0
    vacuous: int = 0
    undecided: int = 0
    undefined: int = 0
    smallest_margin: float = float("inf")
    hardest: Decision | None = None
    seconds: float = 0.0
    cut: str = ""
    stage: str = ""
    stages: dict[str, str] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    seed: int = 0
    on: str = "drawn instances"

    @property
    def hows(self) -> str:
        """How the deciding instance was decided."""
        best = self.decision or self.hardest
        return best.how if best else ""


__all__ = ["Outcome"]
