"""The papers' pages: hand-written prose in docs/papers, into which each section's claims are filled from the registry.

``<!-- claims SECTION -->`` stands for the claims of a section of `theory.papers`.
"""

from __future__ import annotations

import re
from pathlib import Path

from theory.claims import Claim, Status, claims
from verify.proofs import record as proofs
from verify.studies import shown
from verify.studies.claims_page import ROOT, decided
from verify.studies.site.evidence import record
from verify.studies.site.words import heading, link, paragraphs, tag

FOLDER = ROOT / "docs" / "papers"
_MARK = re.compile(r"<!-- claims (\S+) -->")


def sections(paper: str) -> dict[str, list[Claim]]:
    """Section -> its claims, in the paper's order. ``paper``: as in ids, such as "path-exclusion"."""
    found: dict[str, list[Claim]] = {}
    for claim in claims():
        if claim.id.split("/")[0] == paper:
            found.setdefault(claim.function.__module__.rsplit(".", 1)[-1].replace("_", "-"), []).append(claim)
    return found


def filled(path: Path) -> str:
    """A paper's page with the claims in their places.

    Raises:
        ValueError: a section that there is not, or one that is missing or out of order.
    """
    text, known = path.read_text(), sections(path.stem)
    asked = _MARK.findall(text)
    if known and asked != list(known):
        raise ValueError(f"{path.name} has the sections {', '.join(asked)}; the registry has {', '.join(known)}")
    return _MARK.sub(lambda m: "\n".join(line for c in known[m[1]] for line in entry(c)).rstrip(), text)


def entry(claim: Claim) -> list[str]:
    """A claim as the page of its paper shows it."""
    lines = [f"### {heading(claim)}", "", f"{tag(claim)} {link(claim.id)}", ""]
    for part in paragraphs(claim.statement):
        if part.startswith("Proof"):
            break
        lines += [part, ""]
    return [*lines, f"*{_known(claim)}*{_instead(claim)}", ""]


def _known(claim: Claim) -> str:
    if claim.status is Status.PROVED:
        if proofs.formal(claim):
            return "Machine-checked, for all sizes."
        reals, one = proofs.reals(claim), record().get(claim.id)
        where = f"Machine-checked {reals.sentence}." if reals is not None else "Proved in words."
        return f"{where} Survived {one['examples']:,} exact instances." if one else where
    if claim.status is Status.REFUTED:
        return "False: an exact counterexample." if shown.path(claim) else "False."
    verdict, scale = decided().get(claim.id, ("not yet decided", ""))
    return f"{verdict.capitalize()}{f', at scale {scale}' if scale else ''}."


def _instead(claim: Claim) -> str:
    if claim.repaired_by:
        return " True instead: " + ", ".join(link(i) for i in claim.repaired_by) + "."
    if claim.repairs:
        return f" The corrected form of {link(claim.repairs)}."
    return ""


def pages() -> dict[str, str]:
    """Path from the root of the site -> text."""
    return {f"papers/{p.name}": filled(p) for p in sorted(FOLDER.glob("*.md"))}
