"""All that was found of a claim, in the words that table, report and pytest summary share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from theory.claims import Claim, Status, claim_named
from verify.app.recorded import Recorded
from verify.app.runner import DRAWN, Row
from verify.proofs.ladder import PROOFS, evidence, ladder

BELIEVED = {"proved": "true", "refuted": "false", "empirical": "", "open": "open"}
"""Status -> what is believed of the claim, in a word."""
FALSE = "false as stated (confirmed)"
BY_DEFINITION = "true by definition"
REALS = "proved for all reals, "
ENUMERATED = ("only small piecewise-linear modules", "needs every path by itself")


@dataclass(frozen=True)
class Summary:
    """A claim, and what its rows say together.

    Attributes:
        claim: its id.
        title: its title.
        status: what is believed of it.
        rows: what was found, on drawn instances first.
        found: that in a few words, for a table.
        evidence: what ``found`` rests on: instances, the size of the counterexample, or trials.
        agrees: whether it agrees with what is believed; None where nothing was decided or nothing is believed.
        disagrees: sentences on what contradicts, one a row that does.
        proofs: recorded proofs, a sentence each.
        recorded: recorded tests, of a claim about training that was not tested now.
    """

    claim: str
    title: str
    status: str
    rows: tuple[Row, ...]
    found: str
    evidence: str
    agrees: bool | None
    disagrees: tuple[str, ...]
    proofs: tuple[str, ...]
    recorded: Recorded | None

    @property
    def paper(self) -> str:
        """The first part of the id."""
        return self.claim.split("/")[0]

    @property
    def name(self) -> str:
        """The second part of the id."""
        return self.claim.split("/")[-1]

    @property
    def on_models(self) -> tuple[Row, ...]:
        """The rows of trained or given models."""
        return tuple(r for r in self.rows if r.on != DRAWN and not by_experiment(r))


def summaries(rows: Iterable[Row], tests: dict[str, Recorded] | None = None) -> list[Summary]:
    """One for each claim, in the order of the rows.

    Args:
        rows: of any claims, in any order.
        tests: what is recorded of claims about training.
    """
    by_claim: dict[str, list[Row]] = {}
    for row in rows:
        by_claim.setdefault(row.claim, []).append(row)
    return [_summary(tuple(own), (tests or {}).get(claim)) for claim, own in by_claim.items()]


def _summary(rows: tuple[Row, ...], tests: Recorded | None) -> Summary:
    first = rows[0]
    claim = _claim(first)
    if first.status != Status.EMPIRICAL or by_experiment(first):
        tests = None
    proofs = () if claim is None or claim.status is not Status.PROVED else _proofs(claim)
    found, evidence = _found(first, claim, tests)
    disagrees = tuple(f"on {r.on}: {r.disagrees}" for r in rows if r.disagrees)
    decided = first.verdict in ("survived", "refuted") and first.status in (Status.PROVED, Status.REFUTED)
    agrees = False if disagrees else True if decided else None
    return Summary(first.claim, first.title, first.status, rows, found, evidence, agrees, disagrees, proofs, tests)


def _claim(row: Row) -> Claim | None:
    try:
        return claim_named(row.claim)
    except KeyError:
        return None


def _proofs(claim: Claim) -> tuple[str, ...]:
    return tuple(e.sentence for e in ladder(claim) if e.rung in PROOFS)


def _found(row: Row, claim: Claim | None, tests: Recorded | None) -> tuple[str, str]:
    if tests is not None:
        return f"{tests.verdict} (recorded)", f"{tests.trials} trials"
    if by_experiment(row):
        return row.verdict, row.on.split(" (")[0]
    if row.status == Status.EMPIRICAL and row.verdict == "not applicable":
        return "not tested yet (--scale)", ""
    return in_words(row, claim), row.size if row.verdict == "refuted" else counted(row)


def by_experiment(row: Row) -> bool:
    """Whether the row says what sequential tests of trials decided."""
    return row.how.startswith("e-process")


def in_words(row: Row, claim: Claim | None = None) -> str:
    """What was found, seen from what is believed; with ``claim`` the highest rung of recorded proofs as well."""
    if row.verdict == "refuted":
        if row.status == Status.REFUTED:
            return FALSE
        return "REFUTED, believed true" if row.status == Status.PROVED else "refuted"
    if row.verdict == "survived":
        if row.status == Status.REFUTED and row.disagrees:
            return "NOT REFUTED, believed false"
        if row.status != Status.PROVED or claim is None:
            return "survived"
        return BY_DEFINITION if claim.by_definition else evidence(claim, row.verdict).brief
    return f"{row.verdict}: {why(row)}"


def why(row: Row) -> str:
    """Why nothing was decided, in at most five words."""
    said = " ".join(row.reasons)
    if "decided by experiments" in said:
        return "decided by experiments"
    if any(words in said for words in ENUMERATED):
        return "too many paths to list"
    if "the sides agree within the rounding bound" in said:
        return "equal up to rounding"
    if "nothing to test" in said:
        return "nothing to test here"
    if "interrupted" in said:
        return "interrupted"
    if "cut short" in said:
        return "cut short by --seconds"
    failed = [name for name in row.assumes if any(r.startswith(f"{name}:") for r in row.reasons)]
    if failed:
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        return f"lacks {failed[0]}{more}"
    if row.examples and row.vacuous >= row.examples:
        return "its premises never held"
    return " ".join(re.split(r"[\s:;,]+", said)[:5]) or "no reason was given"


def counted(row: Row) -> str:
    """Instances decided exactly + screened."""
    return f"{row.examples}" + (f" +{_thousands(row.screened)}" if row.screened else "") if _looked(row) else ""


def _looked(row: Row) -> bool:
    return bool(row.examples or row.screened)


def _thousands(n: int) -> str:
    return f"{n / 1000:.0f}k" if n >= 10_000 else str(n)


def counts(found: Sequence[Summary]) -> list[str]:
    """What was found of how many claims, a line for each thing that may be believed of them."""
    lines = []
    true = [s for s in found if s.status == Status.PROVED]
    if true:
        kinds = Counter(_kind(s) for s in true)
        lines.append(f"{len(true)} believed true: {_listed(kinds)}")
    false = [s for s in found if s.status == Status.REFUTED]
    if false:
        kinds = Counter("refuted by an exact counterexample" if s.found == FALSE else s.found for s in false)
        lines.append(f"{len(false)} believed false: {_listed(kinds)}")
    training = [s for s in found if s.status == Status.EMPIRICAL]
    if training:
        kinds = Counter(s.recorded.verdict if s.recorded else s.rows[0].verdict for s in training)
        lines.append(f"{len(training)} about training: {_listed(kinds).replace('not applicable', 'not tested')}")
    unsure = [s for s in found if s.status == Status.OPEN]
    if unsure:
        lines.append(f"{len(unsure)} open: {_listed(Counter(s.found for s in unsure))}")
    return lines


def _kind(one: Summary) -> str:
    return "proved for all reals on small shapes" if one.found.startswith(REALS) else one.found


def _listed(kinds: Counter[str]) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())


def left_open(found: Sequence[Summary]) -> dict[str, list[tuple[str, list[str]]]]:
    """Model -> (what was not decided and why, names of the claims), the most first."""
    out: dict[str, dict[str, list[str]]] = {}
    for one in found:
        for row in one.on_models:
            if row.verdict in ("undecided", "not applicable"):
                reason = f"{row.verdict}: {why(row)}"
                out.setdefault(row.on, {}).setdefault(reason, []).append(one.name)
    return {on: sorted(reasons.items(), key=lambda r: (-len(r[1]), r[0])) for on, reasons in out.items()}


__all__ = [
    "BELIEVED",
    "FALSE",
    "Summary",
    "by_experiment",
    "counted",
    "counts",
    "in_words",
    "left_open",
    "summaries",
    "why",
]
