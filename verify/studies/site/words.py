"""Words, links and formulas as all generated pages of the site write them."""

from __future__ import annotations

import posixpath
import re

from theory.claims import Claim, Status

TAGS = {
    Status.PROVED: "proved",
    Status.REFUTED: "false as stated",
    Status.EMPIRICAL: "decided by experiment",
    Status.OPEN: "open",
}
"""Status -> the words on a page."""


def tag(claim: Claim) -> str:
    """The status as a coloured word."""
    return f'<span class="tag {claim.status.value}">{TAGS[claim.status]}</span>'


def heading(claim: Claim) -> str:
    """The title as a heading: no full stop, and nobody takes a false statement for a true one."""
    title = claim.title.rstrip(".")
    return f"False: {title}" if claim.status is Status.REFUTED else title


def page_of(identity: str) -> str:
    """The page of a claim, from the root of the site."""
    return f"claims/{identity}.md"


def link(identity: str) -> str:
    """A link to a claim, as `verify.studies.site.links` reads it."""
    return f"[`{identity}`](repo:docs/claims.md#{anchor(identity)})"


def relative(target: str, page: str) -> str:
    """The path from one page to another."""
    return posixpath.relpath(target, posixpath.dirname(page) or ".")


def paragraphs(text: str) -> list[str]:
    """Paragraphs of a docstring, each on one line, so that no line break falls into a formula."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]


def anchor(text: str) -> str:
    """The anchor of a claim on `docs/claims.md`."""
    return text.replace("/", "")


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"
