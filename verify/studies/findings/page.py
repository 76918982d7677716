"""`docs/findings.md`: generated from the findings, their certificates and the recorded tables; and computed again.

python -m verify findings            recompute everything that takes minutes, compare with the record
python -m verify findings --write    record it and write the page
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from theory.claims import claim_named
from verify import certificates, trials
from verify.studies.findings import others, pruning
from verify.studies.findings.arithmetic import MOST_LINES
from verify.studies.findings.model import Finding, Numbers
from verify.studies.findings.tables import ROOT, TABLES, Table, differences
from verify.studies.findings.witness import Witness
from verify.trials import files

PAGE = ROOT / "docs" / "findings.md"

FINDINGS: tuple[Finding, ...] = (
    pruning.POSITIVE_SCORES,
    pruning.PX_LEAVES_THE_THEOREM,
    pruning.DATA_THROUGH_K_NUMBERS,
    pruning.OUTPUTS_LOST,
    pruning.ONE_OUTPUT,
    pruning.BOUND_AND_TRACE,
    pruning.RELEASED_SCORE,
    others.SYNFLOW_AND_SKETCH,
    others.TRANSFER,
    others.INFORMATION,
    pruning.FLOAT32,
    others.SCORERS_WITH_A_GUARANTEE,
)
"""In the order of the page."""

_HEAD = """\
# Findings

What the suite has found out about statements of the papers and about public code. Written by
`python -m verify findings --write`; do not edit. `python -m verify findings` computes every number again: the
counterexamples from their certificates, the tables of this page by the trials behind them, in minutes; with
`--all` also the tables that take hours. Statements marked *summary* are known here from a summary of the paper,
not from its text. A statement is refuted by the counterexample shown, which has no zero weight, no zero input and
no tie unless it says so; what is true instead is proved, and named by the claim that says it
([claims](claims.md)). None of this says that a method does not work: it says which argument does not carry.
"""


def render() -> str:
    """The page."""
    parts = [_HEAD, *_contents()]
    for number, finding in enumerate(FINDINGS, 1):
        parts += _entry(number, finding)
    return "\n".join(parts).rstrip() + "\n"


def _contents() -> list[str]:
    return [f"{i}. [{f.title}](#{f.name})" for i, f in enumerate(FINDINGS, 1)] + [""]


def _claim(identity: str) -> str:
    return f"[`{identity}`](claims.md#{identity.replace('/', '')})"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)


def _entry(number: int, f: Finding) -> list[str]:
    numbers = Numbers()
    practice, precision = f.practice(numbers), f.precision(numbers)
    lines = [f'<a id="{f.name}"></a>', "", f"## {number}. {f.title}", "", *_wrapped(f"**Tested.** {f.tested}"), ""]
    verdicts = ", ".join(f"{_claim(i)} {claim_named(i).status}" for i in f.claims)
    lines += [*_wrapped(f"**Verdict.** {verdicts}."), ""]
    for witness, written in f.shown:
        body = witness.load()
        steps = written(body["instance"])
        if len(steps) > MOST_LINES:
            raise ValueError(f"{witness.claim}: {len(steps)} lines of arithmetic; at most {MOST_LINES} can be checked")
        also = f" ({', '.join(a.sentence for a in witness.also)})" if witness.also else ""
        link = os.path.relpath(witness.path, PAGE.parent)
        head = f"**Counterexample** to {_claim(witness.claim)}{also}, [certificate]({link}):"
        lines += [*_wrapped(head), "", *(f"{i}. {s}" for i, s in enumerate(steps, 1)), ""]
    repaired = ", ".join(_claim(i) for i in f.repaired)
    lines += [*_wrapped(f"**True instead.** {f.instead} {repaired}."), ""]
    lines += _block("**In practice.** ", practice)
    ways = [
        "Exactly: " + _exactly(f),
        "At scale: " + precision,
        "By a second implementation: " + f.second,
    ]
    lines += ["**Verified three ways.**", ""]
    for way in ways:
        first, *rest = textwrap.wrap(way, 116, break_long_words=False, break_on_hyphens=False)
        lines += [f"- {first}", *(f"  {line}" for line in rest)]
    sources = ", ".join(
        f"[{TABLES[t].path.name}](../results/{TABLES[t].path.name}) (`{TABLES[t].command}`)" for t in numbers.used
    )
    lines += ["", *_wrapped(f"**Limits.** {f.limits}"), ""]
    return [*lines, *(_wrapped(f"Numbers from {sources}.") if sources else []), ""]


def _block(head: str, text: str) -> list[str]:
    out: list[str] = []
    if text.startswith("\n"):
        out, head, text = [head.rstrip(), ""], "", text[1:]
    for i, line in enumerate(text.split("\n")):
        shown = head + line if i == 0 else line
        out += [shown.rstrip()] if line.startswith("|") else _wrapped(shown) or [""]
    return [*out, ""]


def _exactly(f: Finding) -> str:
    if not f.shown:
        proved = [i for i in f.claims if claim_named(i).status == "proved"]
        if proved:
            return "proved, and searched for counterexamples without success (docs/claims.md)."
        return "decided exactly in docs/claims.md, with a certificate."
    ways = sorted({str(w.load()["how"]) for w, _ in f.shown})
    return f"the certificate{'s are' if len(f.shown) > 1 else ' is'} decided again ({', '.join(ways)})."


# -- computing it again ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """One part of the findings, computed again.

    Attributes:
        what: what was computed.
        problems: where it differs from the record, one line each.
        skipped: why it was not computed, or empty.
    """

    what: str
    problems: tuple[str, ...] = ()
    skipped: str = ""

    def __str__(self) -> str:
        state = f"not computed: {self.skipped}" if self.skipped else "; ".join(self.problems[:3]) or "as recorded"
        more = f"; and {len(self.problems) - 3} more" if len(self.problems) > 3 else ""
        return f"{self.what}: {state}{more}"


def witnesses() -> list[Witness]:
    """All counterexamples that the page shows."""
    return [w for f in FINDINGS for w, _ in f.shown]


def check_witness(witness: Witness) -> Check:
    """Decide a certificate again, and the conditions that the page names."""
    what = witness.path.name
    try:
        checked = certificates.check(witness.path)
    except certificates.CertificateError as e:
        return Check(what, (str(e),))
    broken = [a.sentence for a in witness.also if not bool(a.predicate(checked.instance))]
    verdict = (
        () if checked.confirmed and not checked.without else (f"decided as {checked.decision.verdict}: {checked}",)
    )
    return Check(what, (*verdict, *(f"not so: {s}" for s in broken)))


def check_table(table: Table, store: Path, *, jobs: int = 1, quiet: bool = True, long: bool = False) -> Check:
    """Compute a table again and compare."""
    try:
        recorded = table.read()
    except FileNotFoundError as e:
        return Check(table.path.name, (str(e),))
    if table.configurations is not None and (long or not table.long):
        again, _ = table.compute(store, jobs=jobs, quiet=quiet)
        return Check(table.path.name, tuple(differences(recorded, _as_read(again))))
    if not long or table.study is None:
        return Check(table.path.name, skipped=f"takes long; `{table.command}`")
    folder = store / "studies"
    try:
        table.study(folder)
    except FileNotFoundError as e:
        return Check(table.path.name, skipped=str(e))
    return Check(table.path.name, tuple(differences(recorded, trials.read_csv(folder / table.path.name))))


def _as_read(rows: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """Rows as they would come back from a file."""
    return [
        {k: v if isinstance(v, int | float) and not isinstance(v, bool) else str(v) for k, v in r.items()} for r in rows
    ]


def recompute(
    store: Path,
    *,
    long: bool = False,
    jobs: int = 1,
    quiet: bool = True,
    progress: Callable[[Check], None] | None = None,
) -> list[Check]:
    """Everything again: certificates, tables (those that take minutes, or also the ``long`` ones), text.

    Args:
        store: where trials go; those found there are not run again.
        long: also run the studies that take hours.
        jobs: processes.
        quiet: no progress of trials.
        progress: called with each part.
    """
    checks: list[Check] = []

    def done(check: Check) -> None:
        checks.append(check)
        if progress:
            progress(check)

    for witness in witnesses():
        done(check_witness(witness))
    for table in TABLES.values():
        done(check_table(table, store, jobs=jobs, quiet=quiet, long=long))
    same = PAGE.exists() and PAGE.read_text() == render()
    done(Check("docs/findings.md", () if same else ("the page is not what certificates and tables give",)))
    return checks


def write(store: Path, *, jobs: int = 1, progress: Callable[[str], None] | None = None) -> Path:
    """Search for missing certificates, run missing trials, write tables and page."""
    for witness in witnesses():
        if not witness.path.exists():
            certificates.save(witness.find(), witness.path)
            if progress:
                progress(witness.path.name)
    for table in TABLES.values():
        if table.configurations is not None:
            rows, provenance = table.compute(store, jobs=jobs)
            trials.write_csv(rows, table.path, provenance=provenance)
            if progress:
                progress(table.path.name)
    return files.write(PAGE, render())
