"""Planted mistakes: wrong variants of true claims, by which search, prover and tests are measured.

A test that would pass with a wrong formula is no test. Each module has ``PLANTED``: name -> wrong claim, which is the
right one with another function.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from theory.claims import Claim

MODULES = ("sketching", "no_free_prune", "synaptic_flow", "path_exclusion", "more", "variations", "variations_of_laws")


def planted() -> Iterator[tuple[str, Claim]]:
    """The name and the wrong claim of every planted mistake; names are unique."""
    for module in MODULES:
        for name, wrong in importlib.import_module(f"theory.mistakes.{module}").PLANTED.items():
            yield f"{wrong.id}: {name} ({module})", wrong


def truths() -> Iterator[tuple[str, Claim]]:
    """Variants that look wrong, and are true."""
    yield from importlib.import_module("theory.mistakes.more").TRUTHS.items()


__all__ = ["MODULES", "planted", "truths"]
