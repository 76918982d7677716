"""Counterexamples with nothing special about them, kept so that definitions cannot change unnoticed.

python -m verify.studies.generic [CLAIM ...]     search them again (minutes of processor time)

A counterexample that was made small is mostly zeros and ones, and does not tell a sum from a product. Here no weight
and no input is 0, 1 or -1 and nothing is made small; where it can be there are two samples, two outputs, two draws.
They lie in docs/certificates/generic/; no page shows them. What a certificate says of the two sides is computed again
whenever it is checked, so it pins every definition that the claim uses (see `verify.power.planting`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from theory.claims import Assumption, Claim, Status, claim_named, claims
from verify.studies.claims_page import CERTIFICATES
from verify.studies.shown import first_found

FOLDER = CERTIFICATES / "generic"
NUMBERS = ("theta", "x", "w", "w0")


def _no_special_numbers(instance: Any) -> Any:
    ok: Any = True
    for name in NUMBERS:
        value = getattr(instance, name, None)
        if value is not None:
            axes = tuple(range(int(instance.stacked), value.ndim))
            ok = ok & np.asarray((value != 0) & (value * value != 1), dtype=bool).all(axis=axes)
    return ok


def _two_of_each(instance: Any) -> bool:
    samples = instance.x.shape[-2 if hasattr(instance, "theta") else -1]
    outputs = len(instance.network.outputs) if hasattr(instance, "network") else 2
    return samples >= 2 and outputs >= 2 and getattr(instance, "s", 2) >= 2


no_special_numbers = Assumption("no-special-numbers", "no weight and no input is 0, 1 or -1", _no_special_numbers)
two_of_each = Assumption("two-of-each", "two samples, two outputs, two draws at least", _two_of_each)


def wanted(claim: Claim) -> Iterator[tuple[Assumption, ...]]:
    """What is asked of a counterexample besides, the most first; nothing for settings without weights and inputs."""
    names = {f.name for f in fields(claim.setting)}
    if "x" in names and names & {"theta", "w"}:
        yield no_special_numbers, two_of_each
    if names & {"theta", "w"}:
        yield (no_special_numbers,)


def find(claim: Claim) -> Path | None:
    """Search, and write the certificate of the first kind of `wanted` that is found; None if none is."""
    return first_found(claim, wanted(claim), FOLDER, shrinking=False)


def main(names: list[str]) -> None:
    """Search for the claims named, or for every false one."""
    chosen = [claim_named(n) for n in names] or [c for c in claims() if c.status is Status.REFUTED]
    for claim in chosen:
        print(claim.id, find(claim) or "nothing without special numbers", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
