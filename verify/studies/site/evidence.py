"""What is known of a claim, rung by rung, from what is recorded in this repository."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

from theory.claims import Claim, Status
from verify.studies.claims_page import RECORD, ROOT
from verify.studies.formal_proofs import read_table
from verify.trials.tables import read_csv

EMPIRICAL = ROOT / "results" / "empirical.csv"
_SCALES = ("smoke", "small", "full")


@dataclass(frozen=True)
class Rung:
    """One kind of evidence.

    Attributes:
        name: of the kind.
        said: what there is, in Markdown; files are linked from the root of the repository as ``repo:PATH``.
        command: decides it again.
    """

    name: str
    said: str
    command: str


@functools.cache
def record() -> dict[str, Any]:
    """Claim -> what one recorded search found."""
    claims: dict[str, Any] = json.loads(RECORD.read_text())["claims"]
    return claims


@functools.cache
def formal() -> dict[str, list[dict[str, str]]]:
    """Claim -> its machine-checked theorems."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in read_table():
        if row["claim"]:
            found.setdefault(row["claim"], []).append(row)
    return found


@functools.cache
def decided() -> dict[str, tuple[str, str]]:
    """Claim about training -> (verdict, scale), at the largest scale that was run."""
    found: dict[str, tuple[str, str]] = {}
    for row in read_csv(EMPIRICAL):
        known = found.get(row["claim"])
        if known is None or _SCALES.index(row["scale"]) >= _SCALES.index(known[1]):
            found[row["claim"]] = (row["claim verdict"], row["scale"])
    return found


def ladder(claim: Claim) -> list[Rung]:
    """The rungs that are reached, the strongest first."""
    found = []
    for row in formal().get(claim.id, []):
        differs = f" ({row['differs']})" if row["differs"] else ""
        theorem = f"Coq theorem [`{row['theorem']}`](repo:theory/proofs/{row['file']}){differs}"
        found.append(Rung("formal, for all sizes", theorem, "make proofs"))
    if claim.status is Status.PROVED and any(p.startswith("Proof") for p in claim.statement.split("\n\n")):
        found.append(Rung("proof in words", "under *Statement* above", ""))
    one = record().get(claim.id)
    if one is not None and one["verdict"] == "survived":
        said = f"no counterexample among {one['examples']:,} instances decided exactly and {one['screened']:,} screened"
        found.append(Rung("survived", said, f"python -m verify run {claim.id}"))
    if one is not None and one["verdict"] == "refuted":
        found.append(Rung("false as stated", "an exact counterexample, above", f"python -m verify run {claim.id}"))
    if claim.id in decided():
        verdict, scale = decided()[claim.id]
        said = f"{verdict}, by sequential tests at scale *{scale}*"
        found.append(Rung("experiment", said, f"python -m verify run {claim.id} --scale {scale}"))
    return found


__all__ = ["Rung", "decided", "formal", "ladder", "record"]
