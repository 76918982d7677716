"""`docs/claims.md`, generated from the registry and from one recorded run of everything.

`collect` searches every claim, drops every assumption and measures every constant, and writes
``results/claims.json`` and the certificates; `render` turns registry and record into the page. A test
holds the page, the record and the registry together, and re-decides every certificate.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from theory.claims import Claim, Status, claim_named, claims
from verify import certificates
from verify.power.ablation import ablate, needed
from verify.power.sharpness import sharpness
from verify.search.loop import falsify
from verify.search.outcome import Outcome
from verify.trials import files
from verify.trials.origin import of_search
from verify.trials.tables import markdown
from verify.trials.workers import each

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "results" / "claims.json"
PAGE = ROOT / "docs" / "claims.md"
CERTIFICATES = ROOT / "docs" / "certificates"

_PAPER_TITLES = {
    "sketching": "Sketching (Bar & Giryes, arXiv 2305.17559)",
    "no-free-prune": "No Free Prune (Kumar, Luo, Sellke, arXiv 2402.01089)",
    "synaptic-flow": "Synaptic flow and layer collapse (Tanaka et al., arXiv 2006.05467)",
    "path-exclusion": "Path eXclusion (Iurada, Ciccone, Tommasi, arXiv 2406.01820)",
}


def certificate_name(identity: str, without: str = "") -> str:
    """File name of a certificate of a claim, or of the claim without an assumption."""
    return identity.replace("/", "--") + (f"--without-{without}" if without else "") + ".json"


def _short(outcome: Outcome) -> dict[str, Any]:
    found = outcome.counterexample
    return {
        "verdict": outcome.verdict,
        "how": outcome.hows,
        "examples": outcome.examples,
        "screened": outcome.screened,
        "undefined": outcome.undefined,
        "counterexample": found.summary() if found is not None else "",
        "decision": str(outcome.decision) if outcome.decision else "",
        "reasons": outcome.reasons,
        "certificate": outcome.certificate,
    }


def study(identity: str, seed: int, examples: int) -> dict[str, Any]:
    """Everything recorded of one claim."""
    claim = claim_named(identity)
    record = _short(falsify(claim, examples=examples, seed=seed))
    record["ablation"] = {
        name: {**_short(outcome), "needed": needed(outcome)}
        for name, outcome in ablate(claim, examples=examples, seed=seed).items()
    }
    if claim.status is Status.PROVED:
        sharp = sharpness(claim, examples=examples, seed=seed)
        record["sharpness"] = {"parts": {k: _number(v) for k, v in sharp.parts.items()}, "reason": sharp.reason}
    return record


def _number(value: float) -> float | str:
    return value if value == value and abs(value) != float("inf") else str(value)


def collect(
    *,
    seed: int = 0,
    examples: int = 300,
    workers: int = 2,
    only: list[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Search, ablate and measure every claim (or ``only`` those, keeping the rest of the record); write it all.

    Args:
        seed: the seed.
        examples: exact instances for each search.
        workers: processes.
        only: ids.
        progress: called with the id of each finished claim.
    """
    ids = [c.id for c in claims()] if only is None else [claim_named(i).id for i in only]
    known = json.loads(RECORD.read_text())["claims"] if RECORD.exists() and only is not None else {}
    CERTIFICATES.mkdir(parents=True, exist_ok=True)
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    job = functools.partial(study, seed=seed, examples=examples)
    for identity, record in each(job, ids, workers):
        if isinstance(record, BaseException):
            raise record
        for old in CERTIFICATES.glob(identity.replace("/", "--") + "*.json"):
            if old.name == certificate_name(identity) or old.name.startswith(certificate_name(identity, "-")[:-6]):
                old.unlink()
        _extract(record, identity, "")
        for name, one in record["ablation"].items():
            _extract(one, identity, name)
        known[identity] = record
        if progress:
            progress(identity)
    order = [c.id for c in claims()]
    body = {
        "provenance": of_search(seed),
        "claims": {i: known[i] for i in order if i in known},
    }
    files.write(RECORD, json.dumps(body, indent=1) + "\n")


def _extract(record: dict[str, Any], identity: str, without: str) -> None:
    certificate = record.pop("certificate")
    if certificate is not None:
        certificates.save(certificate, CERTIFICATES / certificate_name(identity, without))


def render() -> str:
    """The page, from the registry and the record."""
    body = json.loads(RECORD.read_text())
    record, every = body["claims"], claims()
    lines = [
        "# The claims",
        "",
        "Generated by `python -m verify docs`; do not edit. Statements come from the claims themselves, verdicts",
        "from one recorded run (`results/claims.json`: "
        + ", ".join(f"{k} {v}" for k, v in body["provenance"].items())
        + ").",
        "",
        "*survived* means that no counterexample was found among the instances decided exactly and those screened in",
        "floating point; it is not a proof. Every counterexample has a certificate that",
        "`python -m verify check docs/certificates/NAME.json` decides again.",
        "",
        *_index(every, record),
    ]
    for paper, title in _PAPER_TITLES.items():
        lines += ["", f"## {title}", ""]
        for claim in every:
            if claim.id.split("/")[0] == paper:
                lines += _entry(claim, record.get(claim.id))
    return "\n".join(lines).rstrip() + "\n"


def _index(every: tuple[Claim, ...], record: dict[str, Any]) -> list[str]:
    rows: list[tuple[object, ...]] = []
    for claim in every:
        r = record.get(claim.id)
        if r is None:
            rows.append((f"[`{claim.id}`](#{_anchor(claim)})", claim.status, "not recorded", "", ""))
            continue
        count = sum(a["needed"].startswith("needed") for a in r["ablation"].values())
        hypotheses = f"{count} of {len(r['ablation'])}" if r["ablation"] else ""
        rows.append((f"[`{claim.id}`](#{_anchor(claim)})", claim.status, r["verdict"], hypotheses, _sharp(r)))
    return markdown(("claim", "status", "verdict", "hypotheses needed", "an error this small is seen"), rows)


def _anchor(claim: Claim) -> str:
    return claim.id.replace("/", "")


def _sharp(record: dict[str, Any]) -> str:
    parts = record.get("sharpness", {}).get("parts", {})
    if not parts:
        return ""
    worst = max(float(v) for v in parts.values())
    return "none up to 50 %" if worst == float("inf") else f"{100 * worst:g} %"


def _entry(claim: Claim, record: dict[str, Any] | None) -> list[str]:
    lines = [f"### `{claim.id}`", "", f"**{claim.title}** Status: {claim.status}. Source: {claim.source}.", ""]
    if claim.statement:
        lines += [claim.statement, ""]
    if claim.twin:
        lines += [f"See also `{claim.twin}`.", ""]
    if record is None:
        return [*lines, "Not recorded.", ""]
    seen = f"{record['examples']} decided exactly, {record['screened']} screened"
    how = f", {record['how']}" if record["how"] else ""
    lines.append(f"- Verdict: **{record['verdict']}** ({seen}{how}).")
    lines += [f"- {reason[0].upper()}{reason[1:]}." for reason in record["reasons"]]
    if record["counterexample"]:
        link = f"[certificate](certificates/{certificate_name(claim.id)})"
        lines.append(f"- Smallest counterexample found: `{record['counterexample']}`; {record['decision']} ({link}).")
    for name, one in record["ablation"].items():
        sentence = claim.assumption(name).sentence
        shown = ""
        if one["counterexample"]:
            link = f"[certificate](certificates/{certificate_name(claim.id, name)})"
            shown = f": `{one['counterexample']}`; {one['decision']} ({link})"
        lines.append(f"- Assumes {name} ({sentence}). {one['needed'].capitalize()}{shown}.")
    for part, change in record.get("sharpness", {}).get("parts", {}).items():
        change = float(change)
        what = "no error up to 50 % is seen" if change == float("inf") else f"an error of {100 * change:g} % is seen"
        lines.append(f"- Sharpness of {part}: {what}.")
    return [*lines, ""]


def write() -> Path:
    """Write the page."""
    return files.write(PAGE, render())
