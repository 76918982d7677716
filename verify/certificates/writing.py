"""Writing certificates: the JSON of a refutation, its digest, and the file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from theory.claims import Assumption, Claim
from theory.relations import Decision, Verdict
from theory.scalars import text
from verify.trials import files

FORMAT = "pruning-theorems certificate 1"
"""What the first field says."""


def certificate(
    claim: Claim, instance: Any, decision: Decision, dropped: tuple[Assumption, ...] = (), seed: int = 0
) -> dict[str, Any]:
    """The certificate of a refutation.

    Raises:
        ValueError: the decision is not a refutation.
    """
    if decision.verdict is not Verdict.REFUTED:
        raise ValueError(f"only a refutation is certified, not {decision.verdict!r}")
    data = instance.to_json()
    body: dict[str, Any] = {
        "format": FORMAT,
        "claim": claim.id,
        "statement": claim.title,
        "setting": type(instance).__name__,
        "instance": data,
        "violates": [a.name for a in dropped if not bool(a.predicate(instance))],
        **sides(decision),
        "seed": seed,
        "replay": replay(claim, instance, data),
    }
    return {**body, "digest": digest(body)}


def sides(decision: Decision) -> dict[str, str]:
    """The fields of a certificate that the decision gives."""
    return {"lhs": text(decision.lhs), "rhs": text(decision.rhs), "kind": decision.kind, "how": decision.how}


def replay(claim: Claim, instance: Any, data: dict[str, Any]) -> str:
    """Python to paste that decides the instance again."""
    return (
        "from theory.claims import claim_named\n"
        "from theory.instances import setting_named\n"
        "from theory.relations import decide\n"
        f"claim = claim_named({claim.id!r})\n"
        f"instance = setting_named({type(instance).__name__!r}).from_json({data!r})\n"
        "print(decide(claim.check(instance)))\n"
    )


def digest(body: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON of everything but the digest itself."""
    rest = {k: v for k, v in body.items() if k != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def save(body: dict[str, Any], path: str | Path) -> Path:
    """Write a certificate, whole or not at all."""
    return files.write(path, json.dumps(body, indent=1) + "\n")
