"""Writes ``results/empirical.csv`` and ``results/same_law.csv``: what trials say about the EMPIRICAL claims.

    python -m verify.studies.recorded smoke small      # runs the trials that are missing in trials/, then writes both

A row of the first is one test of one claim at one scale; the claim's verdict is in each of its rows. The second
has a row for each pruning method of the same-law control.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from verify import trials
from verify.experiments import decide as empirical
from verify.experiments.protocol import ALPHA, SAME_LAW, digest
from verify.trials import sequential

RESULTS = Path(__file__).resolve().parents[2] / "results"


def empirical_rows(outcome: empirical.EmpiricalOutcome) -> list[dict[str, Any]]:
    """One row a test of a decided claim."""
    return [
        {
            "claim": outcome.claim,
            "scale": outcome.scale,
            "claim verdict": outcome.verdict,
            "error probability": outcome.alpha,
            "trials": outcome.trials,
            "test": line.name,
            "leading": line.leading,
            "test verdict": line.verdict,
            "effect": _rounded(line.effect),
            "standard error": _rounded(line.error),
            "e-value for": _rounded(line.supports.e_value),
            "e-value against": "" if line.opposes is None else _rounded(line.opposes.e_value),
            "decided after": _decided(line),
            "observations": line.n,
        }
        for line in outcome.lines
    ]


def _decided(line: empirical.Line) -> int | str:
    for test in (line.supports, line.opposes):
        if test is not None and test.decided:
            return test.n
    return ""


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def same_law_rows(done: Sequence[trials.Trial], scale: str, alpha: float = ALPHA) -> list[dict[str, Any]]:
    """One row a method: the gain from knowing the labels, decided both ways, and the information it proves."""
    rows = []
    for method in SAME_LAW:
        found = sorted((t for t in done if t["method"] == method), key=lambda t: t["seed"])
        own, foreign = (np.array([v for t in found for v in t[k]]) for k in ("own", "foreign"))
        gains = own - foreign
        helps, hurts = sequential.paired_sign(gains, alpha), sequential.paired_sign(-gains, alpha)
        rows.append(
            {
                "scale": scale,
                "method": method,
                "pairs": len(gains),
                "own": _rounded(own.mean()),
                "foreign": _rounded(foreign.mean()),
                "gain": _rounded(gains.mean()),
                "standard error": _rounded(gains.std(ddof=1) / len(gains) ** 0.5),
                "verdict": "own labels help" if helps.decided else "own labels hurt" if hurts.decided else "undecided",
                "error probability": alpha,
                "e-value helps": _rounded(helps.e_value),
                "e-value hurts": _rounded(hurts.e_value),
                "decided after": helps.n if helps.decided else hurts.n if hurts.decided else "",
                "information at least (bits)": _rounded(
                    sequential.information_at_least(list(own), list(foreign), alpha)
                ),
            }
        )
    return rows


def record(scales: Sequence[str], store: trials.Store, folder: Path = RESULTS, jobs: int | None = None) -> list[Path]:
    """Decide every EMPIRICAL claim at the scales and write both files.

    Raises:
        ValueError: an unknown scale.
    """
    decided, laws = [], []
    used: dict[str, trials.Trial] = {}
    for scale in scales:
        for claim, study in empirical.STUDIES.items():
            outcome = empirical.decide_empirical(claim, scale, store=store, jobs=jobs)
            print(f"{claim} ({scale}): {outcome.verdict}", flush=True)
            decided += empirical_rows(outcome)
            for c in study.configurations(scale):
                if c in store:  # where a trial failed the claim is undecided
                    used[trials.identity(c)] = store.read(c)
        laws += same_law_rows([store.read(c) for c in empirical.same_law_configurations(scale) if c in store], scale)
    controls = [t for t in used.values() if t.configuration["experiment"].endswith(":same_law")]
    made = {"protocol": digest(), **trials.provenance(list(used.values()))}
    return [
        trials.write_csv(decided, folder / "empirical.csv", provenance=made),
        trials.write_csv(laws, folder / "same_law.csv", provenance=trials.provenance(controls)),
    ]


if __name__ == "__main__":
    for written in record(sys.argv[1:] or ["smoke"], trials.Store("trials"), jobs=1):
        print(written)
