"""One page a claim, from the registry, the record and the certificates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from theory.claims import Claim, claims
from theory.instances import setting_named
from verify.certificates.drawing import drawable, network_svg
from verify.certificates.second_opinion import pruned
from verify.studies import shown
from verify.studies.claims_page import CERTIFICATES, in_cell
from verify.studies.findings.arithmetic import Written, masked
from verify.studies.findings.page import FINDINGS
from verify.studies.site.evidence import known, record, told
from verify.studies.site.words import heading, link, page_of, paragraphs, sentence, tag
from verify.trials.tables import markdown

_KNOWN_SCORERS = ("magnitude", "synflow", "synflow-l2", "px", "px-frozen")


def pages() -> dict[str, str]:
    """Path from the root of the site -> text, for every claim."""
    return {page_of(c.id): claim_page(c) for c in claims()}


def claim_page(claim: Claim) -> str:
    """The page of one claim."""
    lines = [
        "---",
        f"title: {json.dumps(heading(claim).replace('$', ''))}",
        "---",
        f"# {heading(claim)}",
        "",
        f"{tag(claim)} `{claim.id}`",
        "",
        f"Source: {claim.source}.",
        "",
        "## Statement",
        "",
        *_spaced(paragraphs(claim.statement) or ["The title says it all."]),
        *_related(claim),
        *_counterexample(claim),
        "## What is known",
        "",
        *_known(claim),
    ]
    if claim.assumptions:
        lines += ["## It assumes", "", *(f"- **{a.name}**: {sentence(a.sentence)}" for a in claim.assumptions), ""]
    lines += _ablation(claim)
    lines += _sharpness(claim)
    lines += ["## Try it", "", "```sh", *_commands(claim), "```", ""]
    return "\n".join(lines)


def _spaced(parts: list[str]) -> list[str]:
    return [line for part in parts for line in (part, "")]


def _related(claim: Claim) -> list[str]:
    out = []
    if claim.repairs:
        out.append(f"The corrected form of {link(claim.repairs)}, which is false as stated.")
    if claim.repaired_by:
        out.append("True instead: " + ", ".join(link(i) for i in claim.repaired_by) + ".")
    if claim.see:
        out.append("See also " + ", ".join(link(i) for i in claim.see) + ".")
    if claim.by_definition:
        out.append(f"True by definition: {claim.by_definition}.")
    out += [f"Finding: [{f.title}](repo:docs/findings.md#{f.name})." for f in FINDINGS if claim.id in f.claims]
    return _spaced(out)


def _known(claim: Claim) -> list[str]:
    rungs = known(claim)
    if not rungs:
        return ["Nothing is recorded.", ""]
    rows = [(str(r.rung), in_cell(f"{told(r)}: `{r.command}`" if r.command else told(r))) for r in rungs]
    return [*markdown(("evidence", "what there is, and how to reproduce it"), rows), ""]


def _counterexample(claim: Claim) -> list[str]:
    path = shown.path(claim)
    one = record().get(claim.id, {"counterexample": ""})
    if path is None:
        return []
    body = json.loads(path.read_text())
    lines = ["## A counterexample", "", *_drawn(body, claim.title), *_arithmetic(claim, path, body)]
    name = f"docs/certificates/{path.relative_to(CERTIFICATES)}"
    lines += [
        f"[Certificate](repo:{name}), decided again by `python -m verify check {name}`.",
        "",
    ]
    if claim.id in shown.SMALLEST:
        lines += [f"This is the smallest counterexample found: {shown.SMALLEST[claim.id]}.", ""]
    if path.parent != CERTIFICATES and one["counterexample"]:
        lines += [f"The smallest counterexample found, zeros and ties allowed: `{one['counterexample']}`.", ""]
    return lines


def _drawn(body: dict[str, Any], title: str) -> list[str]:
    instance = body["instance"]
    if not drawable(instance):
        return []
    label = f"The network of the counterexample to: {title} {Written({'x': [], **instance}).equations()}"
    drawings, caption = [network_svg(instance, label)], ""
    if instance.get("scorer") in _KNOWN_SCORERS and instance.get("schedule") == "one-at-a-time":
        kept = pruned(instance)
        drawings.append(network_svg(instance, f"What pruning leaves: {masked(instance, kept).equations()}", kept=kept))
        caption = f"First the network, then what pruning by {instance['scorer']} leaves."
    out = ['<div class="networks">', *drawings, "</div>", ""]
    return [*out, caption, ""] if caption else out


def _arithmetic(claim: Claim, path: Path, body: dict[str, Any]) -> list[str]:
    instance = body["instance"]
    for finding in FINDINGS:
        for witness, written in finding.shown:
            if witness.path == path:
                return [*(f"{i}. {s}" for i, s in enumerate(written(instance), 1)), ""]
    found = setting_named(body["setting"]).from_json(instance)
    how = "exactly, in rationals" if body["how"] == "rational" else f"by {body['how']}"
    return [
        f"`{found.summary()}`",
        "",
        f"The claim asks for left side {_sign(body['kind'])} right side. Here the left side is `{body['lhs']}` and the "
        f"right side is `{body['rhs']}` (computed {how}).",
        "",
    ]


def _sign(kind: str) -> str:
    return {"<=": "≤", ">=": "≥", "==": "=", "<": "<", ">": ">", "!=": "≠"}.get(kind, kind)


def _ablation(claim: Claim) -> list[str]:
    one = record().get(claim.id)
    if one is None or not one["ablation"]:
        return []
    rows = []
    for name, found in one["ablation"].items():
        path = shown.path(claim, name)
        what = in_cell(f"`{found['counterexample']}`") if found["counterexample"] else "none found"
        if path is not None and found["counterexample"]:
            what += f" ([certificate](repo:docs/certificates/{path.name}))"
        rows.append((name, found["needed"], what))
    return [
        "## Which assumptions are needed",
        "",
        "Each assumption is dropped in turn, and the claim is searched again.",
        "",
        *markdown(("without", "verdict", "counterexample"), rows),
        "",
    ]


def _sharpness(claim: Claim) -> list[str]:
    one = record().get(claim.id) or {}
    parts = one.get("sharpness", {}).get("parts", {})
    if not parts:
        return []
    lines = ["## Sharpness", "", "How small an error in a constant of the claim would the search see?", ""]
    for part, change in parts.items():
        size = float(change)
        what = "no error up to 50 % is seen" if size == float("inf") else f"an error of {100 * size:g} % is seen"
        lines.append(f"- {sentence(f'{part}: {what}')}")
    if claim.slack:
        lines += ["", f"Why no smaller error is seen: {claim.slack}."]
    return [*lines, ""]


def _commands(claim: Claim) -> list[str]:
    out = [f"python -m verify show {claim.id}", f"python -m verify run {claim.id}"]
    if claim.status.value == "proved":
        out.append(f"python -m verify prove {claim.id}")
    if claim.assumptions:
        out.append(f"python -m verify ablate {claim.id}")
    return out
