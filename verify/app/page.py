"""The report as one self-contained HTML file: no scripts from elsewhere, no fonts, no pictures to load."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from theory.claims import claims
from verify.app.recorded import Recorded
from verify.app.runner import Row
from verify.app.summary import BELIEVED, FALSE, Summary, by_experiment, counts, in_words, summaries
from verify.certificates.drawing import drawable, network_svg
from verify.trials import files
from verify.trials.origin import ROOT

TEMPLATE = "report.html.jinja"
SITE = ROOT / "site" / "claims"
"""Where `make docs` puts the pages of the claims."""


def mathematics(text: str) -> str:
    """Text with TeX between dollar signs as HTML with MathML."""
    from latex2mathml.converter import convert

    parts = re.split(r"\$(.+?)\$", text, flags=re.S)
    out = []
    for i, part in enumerate(parts):
        if i % 2 == 0:
            escaped = html.escape(part)
            escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
            out.append(re.sub(r"\n\s*\n", '</p><p class="scroll">', escaped))
            continue
        try:
            out.append(convert(" ".join(part.split())))
        except Exception:  # a formula that cannot be converted is shown as it was written
            out.append(f"<code>{html.escape(part)}</code>")
    return f'<p class="scroll">{"".join(out)}</p>'


def _inline(text: str) -> Markup:
    return Markup(mathematics(text).removeprefix('<p class="scroll">').removesuffix("</p>"))


def _anchor(claim: str) -> str:
    return claim.replace("/", "-")


def _claim(one: Summary, here: set[str], pages: str) -> dict[str, Any]:
    first = one.rows[0]
    beside = (("Repairs", [first.repairs]), ("Repaired by", first.repaired_by), ("See also", first.see))
    return {
        "claim": one.claim, "anchor": _anchor(one.claim), "found": one.found, "evidence": _evidence(one),
        "believed": BELIEVED.get(one.status, one.status), "proofs": one.proofs, "recorded": one.recorded,
        "disagrees": one.disagrees,
        "kind": _kind(one), "look": "" if one.agrees is None else "good" if one.agrees else "bad",
        "title": _inline(one.title), "statement": Markup(mathematics(first.statement)) if first.statement else "",
        "source": first.source, "by_definition": _inline(first.by_definition),
        "assumes": [(name, _inline(sentence)) for name, sentence in first.assumes.items()],
        "beside": [
            (word, [{"claim": o, "anchor": _anchor(o), "here": o in here} for o in others if o])
            for word, others in beside
            if any(others)
        ],
        "checks": [_check(row) for row in one.rows if one.recorded is None or row.verdict != "not applicable"],
        "page": f"{pages}/{one.claim}.html" if pages else "",
    }  # fmt: skip


def _evidence(one: Summary) -> str:
    first = one.rows[0]
    if first.verdict != "survived":
        return one.evidence
    return f"{first.examples:,} decided exactly" + f", {first.screened:,} screened" * bool(first.screened)


def _kind(one: Summary) -> str:
    """What the filter tells apart."""
    if one.agrees is False:
        return "contradicts what is believed"
    if one.found == FALSE:
        return "false as stated"
    if one.status == "empirical":
        return "about training"
    return "true" if one.agrees else "not decided"


def _check(row: Row) -> dict[str, Any]:
    numbers = [row.how, f"{row.examples} decided exactly, {row.screened} screened" * bool(row.examples or row.screened)]
    if row.margin is not None:
        numbers.append(f"smallest margin {row.margin + 0.0:.3g}")
    certificate = row.certificate or {}
    content = base64.b64encode(json.dumps(certificate, indent=1).encode()).decode()
    label = f"Network of the counterexample to {row.claim} on {row.on}: {row.counterexample}"
    instance = certificate.get("instance", {})
    return {
        "on": row.on, "found": row.verdict if by_experiment(row) else in_words(row),
        "numbers": ", ".join(n for n in numbers if n) if row.verdict != "not applicable" else "",
        "reasons": row.reasons, "counterexample": row.counterexample, "decision": row.decision,
        "drawing": Markup(network_svg(instance, label)) if drawable(instance) else "",
        "certificate": f"data:application/json;base64,{content}" if certificate else "",
        "file": f"{row.claim.replace('/', '--')}.json", "reproduce": row.reproduce,
        "replay": certificate.get("replay", ""),
    }  # fmt: skip


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def render(
    rows: Sequence[Row], provenance: Mapping[str, Any], tests: Mapping[str, Recorded] | None = None, pages: str = ""
) -> str:
    """The whole page.

    Args:
        rows: what was found.
        provenance: named at the top.
        tests: what is recorded of claims about training (see `verify.app.recorded`).
        pages: where the claims' pages are, seen from the report; "" where there are none.
    """
    found = summaries(rows, dict(tests or {}))
    here = {one.claim for one in found}
    every = [_claim(one, here, pages) for one in found]
    papers = [
        {"name": name, "title": _title(name), "claims": [c for c in every if c["claim"].split("/")[0] == name]}
        for name in dict.fromkeys(one.paper for one in found)
    ]
    return _environment().get_template(TEMPLATE).render(
        made=", ".join(f"{k} {v}" for k, v in provenance.items()), counts=[*_size(found), *counts(found)],
        wrong=[c for c in every if c["disagrees"]], every=every, papers=papers,
        kinds=list(Counter(c["kind"] for c in every)),
    )  # fmt: skip


def _title(name: str) -> str:
    """The paper's authors and title; "" for a paper that no source names."""
    return next((str(c.source.paper) for c in claims() if c.id.split("/")[0] == name and c.source.paper), "")


def _size(found: Sequence[Summary]) -> list[str]:
    checks = sum(len(one.rows) for one in found)
    return [f"{len(found)} claims, {checks} checks"]


def save(
    rows: Sequence[Row], path: str | Path, provenance: Mapping[str, Any], tests: Mapping[str, Recorded] | None = None
) -> Path:
    """Write the page, whole or not at all, with links to the pages of the claims where `make docs` has built them."""
    folder = Path(path).resolve().parent
    pages = Path(os.path.relpath(SITE, folder)).as_posix() if SITE.is_dir() else ""
    return files.write(path, render(rows, provenance, tests, pages))
