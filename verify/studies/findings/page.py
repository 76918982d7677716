"""`docs/findings.md`: generated from the findings, their certificates and the recorded tables; and computed again.

python -m verify findings            recompute everything that takes minutes, compare with the record
python -m verify findings --write    record it, draw the figures and write the page
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from theory.claims import Status, claim_named
from verify import certificates, trials
from verify.studies.findings import collapse, guarantees, memorising, numerics, outputs, sketches, trace
from verify.studies.findings.arithmetic import MOST_LINES
from verify.studies.findings.charts import CHARTS
from verify.studies.findings.model import Finding, Numbers
from verify.studies.findings.pictures import FOLDER, pictures
from verify.studies.findings.tables import ROOT, TABLES, Table, differences
from verify.studies.findings.witness import Witness
from verify.studies.svg import style, text_of
from verify.trials import files
from verify.trials.tables import markdown

PAGE = ROOT / "docs" / "findings.md"

FINDINGS: tuple[Finding, ...] = (
    collapse.POSITIVE_SCORES,
    collapse.PX_LEAVES_THE_THEOREM,
    outputs.DATA_THROUGH_K_NUMBERS,
    outputs.OUTPUTS_LOST,
    trace.ONE_OUTPUT,
    trace.BOUND_AND_TRACE,
    numerics.RELEASED_SCORE,
    sketches.SYNFLOW_AND_SKETCH,
    sketches.TRANSFER,
    memorising.INFORMATION,
    numerics.FLOAT32,
    guarantees.SCORERS_WITH_A_GUARANTEE,
)
"""In the order of the page."""

_HEAD = """\
# Findings

<!-- Written by `python -m verify findings --write`; do not edit. -->

Four papers say how to prune a network before it is trained, and why that works. Each of their statements was written
as an exact claim. The claims were searched for counterexamples, and what could be proved was proved.

Most of the mathematics holds. True for networks of all sizes are PX's bound on the trace of the NTK, SynFlow's
conservation laws, the optimal sketch of a linear model, and the inequality of *No Free Prune* between weights,
information and samples. What fails is, in most cases, a step from a theorem to a statement about a method:

- from positive scores to networks that do not collapse (findings [1](#{0}), [2](#{1}));
- from a formula with data in it to a score that the data drives ([3](#{2}), [4](#{3}));
- from a bound on the trace to the trace ([5](#{4}), [6](#{5}));
- from the formula to the code ([7](#{6}), [11](#{10}));
- from linear models to deep ones, and from initial weights to trained ones ([8](#{7}), [9](#{8}));
- from information to memorisation ([10](#{9})).

Finding [12](#{11}) asks what can be guaranteed instead.

**None of this says that a method does not work.** It says which arguments do not hold. The counterexamples are small
on purpose, so that a reader can check them by hand. Whether the same happens on real networks is another question. The
figures answer it for ResNet-20 and VGG-16-BN, and often the answer is: not at the sparsities that the papers use. Where
a statement is known here from a summary of a paper and not from its text, this is said.

**How to check it.** Every counterexample is a file of exact numbers; `python -m verify check FILE` decides it again. It
has no zero weight, no zero input and no tie, unless that is said. What is called true is proved, and the page of the
[claim](claims.md) says how. `python -m verify findings` computes the numbers of this page again, in minutes, and with
`--all` also those that take hours.
"""


def render() -> str:
    """The page."""
    parts = [_HEAD.format(*(f.name for f in FINDINGS)), *_contents()]
    for number, finding in enumerate(FINDINGS, 1):
        parts += _entry(number, finding)
    return "\n".join(parts).rstrip() + "\n"


def drawings() -> dict[Path, str]:
    """The pictures of counterexamples and the figures: file -> SVG."""
    import matplotlib

    found = {FOLDER / name: text for w in witnesses() for name, (_, text) in pictures(w).items()}
    for name, chart in CHARTS.items():
        with matplotlib.rc_context(style(name)):
            found[_chart(name)] = text_of(chart.draw(Numbers()))
    return found


def _chart(name: str) -> Path:
    return FOLDER / f"{name}.svg"


def _contents() -> list[str]:
    return [f"{i}. [{f.title}](#{f.name})" for i, f in enumerate(FINDINGS, 1)] + [""]


def _claims(identities: Sequence[str]) -> list[str]:
    words = {Status.REFUTED: "false as stated", Status.PROVED: "proved"}
    lines = []
    for identity in identities:
        claim = claim_named(identity)
        lines += _item(f"*{words[claim.status]}*: [{claim.title}](claims.md#{identity.replace('/', '')})")
    return [*lines, ""]


def _item(text: str) -> list[str]:
    first, *rest = textwrap.wrap(text, 116, break_long_words=False, break_on_hyphens=False)
    return [f"- {first}", *(f"  {line}" for line in rest)]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)


def _link(path: Path) -> str:
    return os.path.relpath(path, PAGE.parent)


def _folded(summary: str, lines: Sequence[str]) -> list[str]:
    return [f'<details markdown="1"><summary>{summary}</summary>', "", *lines, "</details>", ""]


def _entry(number: int, f: Finding) -> list[str]:
    numbers, chart = Numbers(), CHARTS[f.name]
    caption, practice, precision = chart.caption(numbers), f.practice(numbers), f.precision(numbers)
    lines = [f'<a id="{f.name}"></a>', "", f"## {number}. {f.title}", ""]
    lines += [*_wrapped(f"**The belief.** {f.belief}"), "", *_claims(f.claims)]
    for n, (witness, written) in enumerate(f.shown):
        shown = _counterexample(witness, written)
        lines += (
            _folded(f"Another counterexample: {claim_named(witness.claim).title.replace('`', '').rstrip('.')}", shown)
            if n
            else shown
        )
    proved = [i for i in f.repaired if i not in f.claims]
    lines += [*_wrapped(f"**What is true.** {f.instead}"), "", *_claims(proved)]
    lines += [*_wrapped(f"**On networks.** {practice}"), ""]
    lines += [f"![{chart.alt}]({_link(_chart(f.name))})", "", *_wrapped(caption), ""]
    tables = [line for g in f.grids(numbers) for line in (*_wrapped(g.caption), "", *markdown(g.heads, g.rows), "")]
    sources = ", ".join(
        f"[{TABLES[t].path.name}](../results/{TABLES[t].path.name}) (`{TABLES[t].command}`)" for t in numbers.used
    )
    lines += _folded("The numbers", [*tables, *_wrapped(f"From {sources}."), ""])
    ways = [
        "Exactly: " + _exactly(f),
        "At scale: " + precision,
        "By a second implementation: " + f.second,
    ]
    lines += _folded("Verified in three ways", [*(line for way in ways for line in _item(way)), ""])
    return [*lines, *_wrapped(f"**What this does not say.** {f.limits}"), ""]


def _counterexample(witness: Witness, written: Callable[[dict[str, object]], list[str]]) -> list[str]:
    body = witness.load()
    steps = written(body["instance"])
    if len(steps) > MOST_LINES:
        raise ValueError(f"{witness.claim}: {len(steps)} lines of arithmetic; at most {MOST_LINES} can be checked")
    also = f" ({'; '.join(a.sentence for a in witness.also)})" if witness.also else ""
    claim = claim_named(witness.claim)
    head = (
        f"**A counterexample** to [{claim.title.rstrip('.')}](claims.md#{witness.claim.replace('/', '')}){also}, "
        f"[as a file]({_link(witness.path)}):"
    )
    images = [f"![{alt}]({_link(FOLDER / name)})" for name, (alt, _) in pictures(witness).items()]
    return [*_wrapped(head), "", *(images and [*images, ""]), *(f"{i}. {s}" for i, s in enumerate(steps, 1)), ""]


def _exactly(f: Finding) -> str:
    if not f.shown:
        proved = [i for i in f.claims if claim_named(i).status == "proved"]
        if proved:
            return "proved, and searched for counterexamples without success ([claims](claims.md))."
        return "decided exactly in [claims](claims.md), with a certificate."
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
    stale = tuple(path.name for path, text in drawings().items() if not path.exists() or path.read_text() != text)
    done(Check("docs/figures/findings", tuple(f"{name} is not what the tables give" for name in stale)))
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
    for path, text in drawings().items():
        files.write(path, text)
    return files.write(PAGE, render())
