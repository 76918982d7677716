"""What is known of a claim, rung by rung: the one ladder of evidence that tables, report, pages and site show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from theory.claims import Claim, Status
from verify.proofs import record


class Rung(StrEnum):
    """The rungs, the highest first."""

    FORMAL = "formal, for all sizes"
    REALS = "for all reals"
    SURVIVED = "survived"
    IN_PART = "formal, in part"
    IN_WORDS = "proof in words"
    FALSE = "false as stated"
    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"


PROOFS = (Rung.FORMAL, Rung.REALS)
"""The rungs on which a claim is proved by machine."""


@dataclass(frozen=True)
class Evidence:
    """One rung that a claim stands on.

    Attributes:
        rung: which.
        brief: what there is, in a few words for a table.
        sentence: the same in one line; no full stop.
        command: decides it again; empty where nothing does.
        theorems: those in Coq that it rests on.
    """

    rung: Rung
    brief: str
    sentence: str
    command: str = ""
    theorems: tuple[record.Theorem, ...] = ()


def ladder(claim: Claim, verdict: str = "", *, examples: int = 0, screened: int = 0) -> tuple[Evidence, ...]:
    """Everything that is known of a claim, the highest rung first.

    Args:
        claim: any claim.
        verdict: what a search or sequential tests said of it, if they did: "survived", "refuted", "supported",
            "contradicted", "undecided"; "" for what is recorded of proofs and counterexamples alone.
        examples: how many instances the search decided exactly.
        screened: how many it looked at in floating point.
    """
    return tuple(_rungs(claim, verdict, examples, screened)) or (Evidence(Rung.UNDECIDED, "undecided", "open"),)


def evidence(claim: Claim, verdict: str = "", *, examples: int = 0, screened: int = 0) -> Evidence:
    """The highest rung; see `ladder`."""
    return ladder(claim, verdict, examples=examples, screened=screened)[0]


def _rungs(claim: Claim, verdict: str, examples: int, screened: int) -> Iterator[Evidence]:
    search = f"python -m verify run {claim.id}"
    if verdict == "refuted" or (not verdict and record.certified(claim)):
        yield Evidence(Rung.FALSE, str(Rung.FALSE), "an exact counterexample", search)
        return
    if claim.status is Status.EMPIRICAL:
        rung = Rung(verdict) if verdict in ("supported", "contradicted") else Rung.UNDECIDED
        said = f"{rung} by sequential tests" if verdict else "a statement about training: see the experiments"
        yield Evidence(rung, str(rung), said, f"{search} --scale small")
        return
    if claim.status is Status.PROVED:
        yield from _proofs(claim)
    if verdict == "survived" or (not verdict and claim.status is Status.PROVED):
        counted = (
            f"no counterexample among {examples:,} instances decided exactly" if examples else "survived the search"
        )
        also = f" and {screened:,} screened" if examples and screened else ""
        old = "; a recorded proof is of older code" if record.stale(claim) else ""
        yield Evidence(Rung.SURVIVED, "survived the search", f"{counted}{also}{old}", search)
    if claim.status is Status.PROVED:
        parts = tuple(t for t in record.theorems(claim) if not t.whole)
        if parts:
            yield Evidence(Rung.IN_PART, "proved by Coq in part", _named(parts, "in part"), "make proofs", parts)
        if any(p.startswith("Proof") for p in claim.statement.split("\n\n")):
            yield Evidence(Rung.IN_WORDS, str(Rung.IN_WORDS), "in its docstring")


def _proofs(claim: Claim) -> Iterator[Evidence]:
    whole = tuple(t for t in record.theorems(claim) if t.whole)
    if whole:
        yield Evidence(Rung.FORMAL, "proved by Coq for all sizes", _named(whole, "for all sizes"), "make proofs", whole)
    reals = record.reals(claim)
    if reals is not None:
        shapes = f"{reals.proved_on} small shape{'s' * (reals.proved_on != 1)}"
        prove = f"python -m verify prove {claim.id}"
        yield Evidence(Rung.REALS, f"proved for all reals, {shapes}", reals.sentence, prove)


def _named(theorems: tuple[record.Theorem, ...], how: str) -> str:
    return f"machine-checked by Coq {how}: {', '.join(t.name for t in theorems)}"


__all__ = ["PROOFS", "Evidence", "Rung", "evidence", "ladder"]
