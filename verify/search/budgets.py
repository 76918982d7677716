"""What a search may cost, counted in work; and the limit in seconds that a person may set on top."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """What the search for a counterexample to one claim may cost.

    Attributes:
        examples: instances decided exactly, about.
        rounds: rounds of stacks screened in the scan, and generations of the climb.
    """

    examples: int
    rounds: int


BUDGETS = {
    "quick": Budget(examples=100, rounds=16),
    "default": Budget(examples=200, rounds=16),
    "thorough": Budget(examples=10_000, rounds=240),
}


def budget_named(name: str) -> Budget:
    """One of `BUDGETS`.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in BUDGETS:
        raise ValueError(f"no budget is called {name!r}; known: {', '.join(BUDGETS)}")
    return BUDGETS[name]


class Limit:
    """A limit in seconds that a person has set; without one it never strikes, and the clock decides nothing."""

    def __init__(self, seconds: float | None = None) -> None:
        if seconds is not None and not seconds > 0:
            raise ValueError(f"seconds must be positive, or None for no limit; got {seconds}")
        self.start = time.monotonic()
        self._until = None if seconds is None else self.start + seconds
        self.struck = False

    def passed(self) -> bool:
        """Whether the limit has been reached; noted, so that the outcome can say that it was cut short."""
        if self._until is not None and time.monotonic() > self._until:
            self.struck = True
        return self.struck

    def elapsed(self) -> float:
        """Seconds since the start, for the report."""
        return time.monotonic() - self.start


__all__ = ["BUDGETS", "Budget", "Limit", "budget_named"]
