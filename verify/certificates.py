"""Counterexamples as files, and the checker that re-decides them without torch.

A certificate is JSON: the claim, the instance with numbers as exact fractions, the two sides, the
code to paste that replays it, and a digest over all of that. It depends on no library's version: the
numbers are written out, and `check` decides them again from the claim alone.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from theory.claims import Assumption, Claim, claim_named
from theory.instances import setting_named
from theory.relations import Decision, Verdict, decide
from theory.scalars import text
from verify.trials import files

FORMAT = "pruning-theorems certificate 1"
_FIELDS = {"format": str, "claim": str, "statement": str, "setting": str, "instance": dict, "violates": list,
           "lhs": str, "rhs": str, "kind": str, "how": str, "seed": int, "replay": str, "digest": str}  # fmt: skip


class CertificateError(ValueError):
    """A certificate that cannot be believed; the message says why, in one line."""


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
        "lhs": text(decision.lhs),
        "rhs": text(decision.rhs),
        "kind": decision.kind,
        "how": decision.how,
        "seed": seed,
        "replay": replay(claim, instance, data),
    }
    return {**body, "digest": digest(body)}


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


def load(path: str | Path) -> dict[str, Any]:
    """Read a certificate and check its form and its digest.

    Raises:
        CertificateError: not readable, truncated, of the wrong form, or altered since it was written.
    """
    path = Path(path)
    try:
        body = json.loads(path.read_text())
    except OSError as e:
        raise CertificateError(f"{path}: cannot be read ({e.strerror or e})") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as e:
        raise CertificateError(f"{path}: not JSON, perhaps truncated ({e})") from None
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise CertificateError(f"{path}: not a certificate (its format is not {FORMAT!r})")
    for name, kind in _FIELDS.items():
        if name not in body:
            raise CertificateError(f"{path}: field {name!r} is missing")
        if type(body[name]) is not kind:
            raise CertificateError(f"{path}: field {name!r} is {type(body[name]).__name__}, expected {kind.__name__}")
    if digest(body) != body["digest"]:
        raise CertificateError(f"{path}: the digest does not match: the file was altered after it was written")
    return body


def check(path: str | Path) -> tuple[Claim, Any, Decision]:
    """Re-decide a certificate: the claim, the instance, and the exact decision.

    Raises:
        CertificateError: the file is bad, the claim or setting unknown, the instance breaks an
            assumption that the certificate does not name, or the sides come out different.
    """
    body = load(path)
    try:
        claim = claim_named(body["claim"])
        setting = setting_named(body["setting"])
        instance = setting.from_json(body["instance"])
    except (KeyError, ValueError) as e:
        raise CertificateError(f"{path}: {e.args[0]}") from None
    if setting is not claim.setting:
        raise CertificateError(f"{path}: {claim.id} is about {claim.setting.__name__}, not {setting.__name__}")
    try:
        violated = {a.name for a in claim.applies(instance)}
        valid, decision = bool(instance.valid()), decide(claim.check(instance))
    except (ValueError, TypeError, IndexError) as e:
        raise CertificateError(f"{path}: the instance cannot be evaluated ({e})") from None
    if not valid:
        raise CertificateError(f"{path}: the numbers are not a valid {setting.__name__}")
    if extra := violated - set(body["violates"]):
        raise CertificateError(
            f"{path}: the instance breaks the assumption {sorted(extra)[0]!r}, so it refutes nothing"
        )
    if decision.verdict is Verdict.REFUTED and (text(decision.lhs), text(decision.rhs)) != (body["lhs"], body["rhs"]):
        raise CertificateError(
            f"{path}: the sides come out as {text(decision.lhs)} and {text(decision.rhs)}, "
            f"the file says {body['lhs']} and {body['rhs']}"
        )
    return claim, instance, decision
