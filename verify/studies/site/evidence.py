"""What is known of a claim, rung by rung, from what is recorded in this repository."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

from theory.claims import Claim, Status
from verify.proofs import record as proofs
from verify.studies.claims_page import RECORD, decided
from verify.studies.formal_proofs import read_table


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


def ladder(claim: Claim) -> list[Rung]:
    """The rungs that are reached, the strongest first."""
    found = []
    current = proofs.formal(claim)
    for row in formal().get(claim.id, []):
        differs = f" ({row['differs']})" if row["differs"] else ""
        theorem = f"Coq theorem [`{row['theorem']}`](repo:theory/proofs/{row['file']}){differs}"
        found.append(Rung("formal, for all sizes" if row["theorem"] in current else "formal", theorem, "make proofs"))
    reals = proofs.reals(claim)
    if reals is not None and claim.status is Status.PROVED:
        found.append(Rung("for all reals", reals.sentence, f"python -m verify prove {claim.id}"))
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
