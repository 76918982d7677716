"""What is known of a claim by what is recorded in this repository, for the pages of the site."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from typing import Any

from theory.claims import Claim, Status
from verify.proofs.ladder import Evidence, ladder
from verify.studies.claims_page import RECORD, decided


@functools.cache
def record() -> dict[str, Any]:
    """Claim -> what one recorded search found."""
    claims: dict[str, Any] = json.loads(RECORD.read_text())["claims"]
    return claims


def known(claim: Claim) -> tuple[Evidence, ...]:
    """The rungs that are reached, by what is recorded of the claim; empty where nothing is."""
    if claim.status is Status.EMPIRICAL:
        if claim.id not in decided():
            return ()
        verdict, scale = decided()[claim.id]
        (tests,) = ladder(claim, verdict)
        return (replace(tests, command=f"python -m verify run {claim.id} --scale {scale}"),)
    one = record().get(claim.id)
    if one is None:
        return ladder(claim)
    return ladder(claim, one["verdict"], examples=one["examples"], screened=one["screened"])


def told(rung: Evidence) -> str:
    """What there is, in Markdown; files are linked from the root of the repository as ``repo:PATH``."""
    linked = [f"[`{t.name}`](repo:theory/proofs/{t.file}){f' ({t.differs})' * bool(t.differs)}" for t in rung.theorems]
    return f"machine-checked by Coq: {'; '.join(linked)}" if linked else rung.sentence
