"""`docs/claims.md`, generated from the registry and from one recorded run of everything.

`collect` searches every claim, drops every assumption and measures every constant, and writes
``results/claims.json`` and the certificates; `render` turns registry and record into the page. A test
holds the page, the record and the registry together, and re-decides every certificate.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from theory.claims import Claim, Status, claim_named, claims
from verify import certificates
from verify.power.ablation import ablate, needed
from verify.power.sharpness import sharpness
from verify.proofs.ladder import PROOFS, ladder
from verify.search.loop import falsify
from verify.search.outcome import Outcome
from verify.trials import files
from verify.trials.origin import of_search
from verify.trials.tables import markdown, read_csv
from verify.trials.workers import each

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "results" / "claims.json"
PAGE = ROOT / "docs" / "claims.md"
EMPIRICAL = ROOT / "results" / "empirical.csv"
CERTIFICATES = ROOT / "docs" / "certificates"

_SCALES = ("smoke", "small", "full")
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
    """The page: every claim in a line, by paper and section; the site has a page for each."""
    body = json.loads(RECORD.read_text())
    record = body["claims"]
    lines = [
        "# The claims",
        "",
        "Every claim in a line, in the papers' order. The site (`make docs`) has a page for each: its statement, a",
        "counterexample, the evidence, which hypotheses are needed. In a terminal: `python -m verify show CLAIM`.",
        "",
        "*Survived* means that no counterexample was found among the instances that were searched; it is no proof.",
        "`python -m verify check FILE` decides a counterexample again. *Hypotheses needed*: without so many of them,",
        "each dropped alone, there is a counterexample, or the statement has no meaning.",
        "",
        "Generated by `python -m verify docs`; do not edit. What was searched was recorded with "
        + ", ".join(f"{k} {v}" for k, v in body["provenance"].items())
        + ".",
    ]
    for paper, title in _PAPER_TITLES.items():
        lines += ["", f"## {title}"]
        sections: dict[str, list[tuple[object, ...]]] = {}
        for claim in claims():
            if claim.id.split("/")[0] == paper:
                section = (inspect.getmodule(claim.function).__doc__ or "").split("\n")[0].rstrip(".")
                sections.setdefault(section, []).append(_row(claim, record.get(claim.id)))
        for section, rows in sections.items():
            lines += ["", f"### {section}", "", *markdown(("claim", "what is known", "hypotheses needed"), rows)]
    return "\n".join(lines) + "\n"


def _row(claim: Claim, record: dict[str, Any] | None) -> tuple[str, str, str]:
    anchor = claim.id.replace("/", "")
    name = f'<a id="{anchor}"></a>{in_cell(claim.title)} [`{claim.id}`](#{anchor})'
    rungs = ladder(claim)
    known = "; ".join(e.sentence for e in rungs if e.rung in PROOFS) or rungs[0].sentence
    if claim.status is Status.EMPIRICAL:
        verdict, scale = decided().get(claim.id, ("not yet decided", ""))
        known = f"{verdict} by experiments of scale {scale}" if scale else verdict
    if record is None:
        return name, f"{known}; the search is not recorded", ""
    if record["verdict"] == "refuted":
        known = f"false as stated: [counterexample](certificates/{certificate_name(claim.id)})"
    needed = sum(a["needed"].startswith("needed") for a in record["ablation"].values())
    return name, in_cell(known), f"{needed} of {len(record['ablation'])}" if record["ablation"] else ""


@functools.cache
def decided() -> dict[str, tuple[str, str]]:
    """Claim about training -> (verdict, scale), at the largest scale that was run."""
    found: dict[str, tuple[str, str]] = {}
    for row in read_csv(EMPIRICAL):
        known = found.get(row["claim"])
        if known is None or _SCALES.index(row["scale"]) >= _SCALES.index(known[1]):
            found[row["claim"]] = (row["claim verdict"], row["scale"])
    return found


def in_cell(text: str) -> str:
    """Text for a cell of a table: bars would end it, in formulas as well."""
    formulas = re.sub(
        r"\$(.+?)\$", lambda m: "$" + m[1].replace(r"\|", r"\Vert ").replace("|", r"\vert ") + "$", text, flags=re.S
    )
    return formulas.replace("|", r"\|")


def write() -> Path:
    """Write the page."""
    return files.write(PAGE, render())
