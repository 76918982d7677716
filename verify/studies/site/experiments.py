"""The page on experiments: what was decided about each claim on training, from the recorded tests."""

from __future__ import annotations

from theory.claims import Status, claims
from verify.studies.claims_page import EMPIRICAL, ROOT, decided, in_cell
from verify.studies.site.words import link
from verify.trials.tables import markdown, read_csv

PAGE = ROOT / "docs" / "experiments.md"
_MARK = "<!-- experiments -->"


def page() -> str:
    """The page.

    Raises:
        ValueError: the place for the table is missing.
    """
    text = PAGE.read_text()
    if _MARK not in text:
        raise ValueError(f"{PAGE.name} needs a line {_MARK}")
    errors = {row["claim"]: row["error probability"] for row in read_csv(EMPIRICAL)}
    rows = []
    for claim in claims():
        if claim.status is Status.EMPIRICAL:
            verdict, scale = decided().get(claim.id, ("not yet decided", ""))
            said = f"**{verdict}**, scale {scale}, error at most {errors[claim.id]:g}" if scale else verdict
            rows.append((f"{in_cell(claim.title)}<br>{link(claim.id)}", said))
    return text.replace(_MARK, "\n".join(markdown(("statement", "verdict"), rows)))
