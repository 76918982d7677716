"""The recorded proofs of claims, formal and for all reals, and counterexamples; `ladder` says what they amount to.

``results/proofs_reals.csv`` holds what ``python -m verify prove --all --record`` proved, with a digest of the source of
each claim (`verify.proofs.slices`): a line whose digest is no longer that of the code counts for nothing.
"""

from __future__ import annotations

import csv
import functools
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from theory.claims import Claim
from verify.proofs import LEVELS
from verify.proofs.slices import digest, digest_of
from verify.trials import files

if TYPE_CHECKING:
    from verify.proofs.proving import Proof

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "results" / "proofs_reals.csv"
FORMAL = ROOT / "results" / "proofs.csv"
TEXTS = ROOT / "theory" / "proofs"
CERTIFICATES = ROOT / "docs" / "certificates"
IN_PART = "in part"


@dataclass(frozen=True)
class Theorem:
    """A theorem in Coq that states a claim, or part of it, as ``make proofs`` recorded it.

    Attributes:
        name: of the theorem.
        file: below ``theory/proofs``.
        differs: how its wording differs from the claim's; empty where it does not.
        whole: whether it states the claim: without axioms, its file unchanged, no part left out.
    """

    name: str
    file: str
    differs: str
    whole: bool


@dataclass(frozen=True)
class Line:
    """One line of the table: what the prover showed of one claim.

    Attributes:
        claim: its id.
        shapes: small, default or large.
        verdict: proved, refuted or open.
        proved_on, unclosed, tried: shapes proved, shapes on which a goal stayed open, and all that were run.
        kind: what its shapes are: "networks of up to 3 weights", of those that were proved.
        paths, goals: branches and goals of the shapes proved.
        closed: how the goals were closed, "identity 12, signs 4".
        work: polynomial terms handled for it, the work left unfinished included.
        trusted: goals that rest on a solver alone.
        left: what stayed open or was left out, the first reason.
        digest: of the claim's source when it was proved.
    """

    claim: str
    shapes: str
    verdict: str
    proved_on: int
    unclosed: int
    tried: int
    kind: str
    paths: int
    goals: int
    closed: str
    work: int
    trusted: int
    left: str
    digest: str

    @property
    def sentence(self) -> str:
        """What it says of a proved claim: "for all reals on 26 networks of up to 9 weights"."""
        trusted = f", {self.trusted} goals by a solver alone" if self.trusted else ""
        unclosed = f", open on {self.unclosed} more" if self.unclosed else ""
        return f"for all reals on {self.proved_on} {self.kind}{unclosed}{trusted}"


def line(proof: Proof, claim: Claim) -> Line:
    """The line of a proof that `verify.prove` returned."""
    proved = [s for s in proof.shapes if s.verdict == "proved"]
    closed: Counter[str] = Counter()
    for s in proved:
        closed.update(s.closed)
    return Line(
        proof.claim, proof.level, proof.verdict, len(proved), sum(s.unclosed for s in proof.shapes), len(proof.shapes),
        proof.kind, sum(s.paths for s in proved), sum(s.goals for s in proved),
        ", ".join(f"{how} {n}" for how, n in sorted(closed.items())),
        sum(s.space.work for s in proof.shapes if s.space is not None), proof.trusted,
        proof.left[0] if proof.left else "", digest_of(claim),
    )  # fmt: skip


def text(lines: Iterable[Line]) -> str:
    """The table as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [f.name for f in fields(Line)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(one) for one in lines)
    return out.getvalue()


def read(path: Path = TABLE) -> dict[str, Line]:
    """The table, by claim; empty where there is none, as in an installed package, or one of other columns."""
    if not path.is_file():
        return {}
    numbers = {f.name for f in fields(Line) if f.type == "int"}
    with path.open(newline="") as file:
        table = csv.DictReader(file)
        if table.fieldnames != [f.name for f in fields(Line)]:
            return {}  # written by other code, which counts for nothing
        rows = [{k: int(v) if k in numbers else v for k, v in row.items()} for row in table]
    return {str(row["claim"]): Line(**row) for row in rows}  # type: ignore[arg-type]


def covers(claim: Claim, shapes: str) -> bool:
    """Whether a proof or refutation of the claim's code is recorded, on shapes of that level or a higher one."""
    found = _recorded().get(claim.id)
    if found is None or found.verdict == "open":
        return False
    return LEVELS.index(found.shapes) >= LEVELS.index(shapes) and not stale(claim)


def update(lines: Iterable[Line], path: Path = TABLE) -> None:
    """Enter lines into the table, each for its claim; claims that are gone are dropped, the order is the registry's."""
    from theory.claims import claims

    known = read(path) | {one.claim: one for one in lines}
    files.write(path, text(known[c.id] for c in claims() if c.id in known))
    _recorded.cache_clear()


@functools.cache
def _recorded() -> dict[str, Line]:
    return read()


@functools.cache
def _theorems() -> dict[str, tuple[Theorem, ...]]:
    out: dict[str, list[Theorem]] = {}
    if FORMAL.is_file():
        with FORMAL.open(newline="") as file:
            for row in csv.DictReader(file):
                source = TEXTS / row["file"]
                current = source.is_file() and digest(source.read_text()) == row["file_digest"]
                whole = current and row["assumptions"] == "closed" and not row["differs"].startswith(IN_PART)
                if row["claim"]:
                    out.setdefault(row["claim"], []).append(Theorem(row["theorem"], row["file"], row["differs"], whole))
    return {claim: tuple(found) for claim, found in out.items()}


def theorems(claim: Claim) -> tuple[Theorem, ...]:
    """The recorded theorems in Coq on the claim, those that state only a part included."""
    return _theorems().get(claim.id, ())


def formal(claim: Claim) -> tuple[str, ...]:
    """The theorems in Coq that state the claim for all sizes, as ``make proofs`` recorded them."""
    return tuple(t.name for t in theorems(claim) if t.whole)


def reals(claim: Claim) -> Line | None:
    """The recorded proof for all reals; None where there is none, or the claim's code has changed since."""
    found = _recorded().get(claim.id)
    return found if found is not None and found.verdict != "refuted" and found.proved_on and not stale(claim) else None


def stale(claim: Claim) -> bool:
    """Whether something is recorded of the claim, but of other code: ``prove --record`` proves it again."""
    found = _recorded().get(claim.id)
    return found is not None and found.digest != digest_of(claim)


@functools.cache
def _certificates() -> frozenset[str]:
    return frozenset(p.stem for p in CERTIFICATES.glob("*.json"))


def certified(claim: Claim) -> bool:
    """Whether a counterexample is recorded: as a certificate, or by the prover on the code of today."""
    found = _recorded().get(claim.id)
    by_prover = found is not None and found.verdict == "refuted" and not stale(claim)
    return by_prover or claim.id.replace("/", "--") in _certificates()
