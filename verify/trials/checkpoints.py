"""Checkpoints within one trial: a killed training run goes on where it was last saved.

The sweep says where a trial's checkpoint is (`kept_at`); whoever trains asks for it (`current`) and saves what it
needs to go on bit by bit as if nothing had happened. A checkpoint is insurance: one that cannot be written or read
costs time, never a result.
"""

from __future__ import annotations

import contextvars
import itertools
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from verify.trials import files

SUFFIX = ".checkpoint"
_PLACES: contextvars.ContextVar[Iterator[Path] | None] = contextvars.ContextVar("places", default=None)


class Checkpoint:
    """Where the state of a training run is kept; ``path`` None keeps nothing."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path

    def load(self) -> dict[str, Any] | None:
        """The state saved last, on the CPU; None where there is none, or none that can be read."""
        if self.path is None or not self.path.exists():
            return None
        import torch

        try:
            # Only tensors and plain values: a file from a stranger runs nothing.
            return torch.load(self.path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError):
            return None

    def save(self, state: dict[str, Any]) -> None:
        """Keep a state (tensors, numbers, strings, lists and dicts of them) in place of the one before."""
        if self.path is None:
            return
        import torch

        try:
            with files.writing(self.path, "wb") as f:
                torch.save(state, f)
        except (OSError, RuntimeError) as e:  # torch reports a full disk as a RuntimeError
            print(f"no checkpoint: {self.path} cannot be written ({e})", file=sys.stderr)
            self.path = None


def current() -> Checkpoint:
    """The checkpoint of the next training run in the trial that runs here; one that keeps nothing outside of a sweep.

    Each training run of a trial has its own, by order of asking: what was finished before a kill is loaded, not run.
    """
    places = _PLACES.get()
    return Checkpoint(None if places is None else next(places))


@contextmanager
def kept_at(stem: Path | None) -> Iterator[None]:
    """Inside, `current` keeps states in files called ``stem`` with a number and `SUFFIX`; None keeps nothing."""
    places = (stem.with_name(f"{stem.name}.{i}{SUFFIX}") for i in itertools.count()) if stem is not None else None
    token = _PLACES.set(places)
    try:
        yield
    finally:
        _PLACES.reset(token)


def of(stem: Path) -> list[Path]:
    """The checkpoints that `kept_at` left for that stem."""
    return sorted(stem.parent.glob(f"{stem.name}.*{SUFFIX}"))


__all__ = ["SUFFIX", "Checkpoint", "current", "kept_at", "of"]
