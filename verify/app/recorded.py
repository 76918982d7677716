"""What is recorded of the claims about training: ``results/empirical.csv`` of a checkout."""

from __future__ import annotations

import functools
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify.trials.origin import ROOT
from verify.trials.tables import read_csv, read_provenance

TABLE = ROOT / "results" / "empirical.csv"
SCALES = ("smoke", "small", "full")


@dataclass(frozen=True)
class Recorded:
    """Sequential tests of one claim, at the largest scale that was run.

    Attributes:
        claim: its id.
        verdict: "supported", "contradicted" or "undecided".
        scale: which trials.
        trials: how many.
        alpha: the probability that something decided here is wrong.
        tests: each test in a sentence.
        commit: of the code that ran the trials, short; "" if unknown.
        date: of that commit, as 2026-11-20; "" if unknown.
    """

    claim: str
    verdict: str
    scale: str
    trials: int
    alpha: float
    tests: tuple[str, ...]
    commit: str
    date: str

    @property
    def origin(self) -> str:
        """Where it comes from, in words."""
        made = f", commit {self.commit}" if self.commit else ""
        return f"{self.trials} trials, scale {self.scale}{made}{f', {self.date}' if self.date else ''}"


def recorded(path: Path = TABLE) -> dict[str, Recorded]:
    """Claim -> what is recorded of it; empty where there is no table, as in an installed package."""
    if not path.is_file():
        return {}
    by_claim: dict[str, list[dict[str, Any]]] = {}
    for row in read_csv(path):
        by_claim.setdefault(str(row["claim"]), []).append(row)
    commits = read_provenance(path).get("commits") or [""]
    commit = str(commits[-1])
    return {claim: _one(claim, rows, commit) for claim, rows in by_claim.items()}


def _one(claim: str, rows: list[dict[str, Any]], commit: str) -> Recorded:
    scale = max((str(r["scale"]) for r in rows), key=SCALES.index)
    rows = [r for r in rows if r["scale"] == scale]
    first = rows[0]
    return Recorded(
        claim, str(first["claim verdict"]), scale, int(first["trials"]), float(first["error probability"]),
        tuple(_test(r) for r in rows), commit[:7], _date(commit.rstrip("+")),
    )  # fmt: skip


def _test(row: dict[str, Any]) -> str:
    said = "no, the opposite" if row["test verdict"] == "no" else row["test verdict"]
    aside = "" if str(row["leading"]) == "True" else ", beside the verdict"
    return (
        f"{row['test']}: {said} (effect {row['effect']:+.3g} ± {row['standard error']:.2g}, "
        f"{row['observations']} observations{aside})"
    )


@functools.cache
def _date(commit: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{7,40}", commit):
        return ""
    asked = ["git", "show", "-s", "--format=%cs", commit]
    try:
        return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


__all__ = ["Recorded", "recorded"]
