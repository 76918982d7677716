"""False alarms: every proved claim on a million stacked instances; what looks violated is decided exactly.

Claims whose instances cannot be stacked (each has structure or a computation of its own) are decided
exactly from the first instance on, as many as fit in the time; the row says how many that were.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from theory.claims import Status, claim_named, claims
from verify.search.loop import falsify
from verify.trials.workers import each

INSTANCES = 1_000_000
SECONDS = 20.0
"""For claims whose instances cannot be stacked."""


def one(identity: str, instances: int = INSTANCES, seed: int = 0, seconds: float = SECONDS) -> dict[str, Any]:
    """Screen one claim until ``instances`` were seen; one that cannot be stacked for ``seconds``.

    Raises:
        KeyError: no such claim.
    """
    claim = claim_named(identity)
    stacked = claim.setting.stackable and bool(claim.draws.get("stack", True))
    start, screened, exact, vacuous, refuted, runs = time.perf_counter(), 0, 0, 0, 0, 0
    while not refuted and (screened < instances if stacked else time.perf_counter() - start < seconds):
        # Exact decisions: 24 of about 100,000 screened instances, besides all that look violated; or all.
        outcome = falsify(
            claim, examples=48 if stacked else 4800, seconds=None if stacked else seconds, seed=seed + runs,
            stages=("scan", "climb") if stacked else ("scan",), rounds=24, stack=2048, shrinking=False,
        )  # fmt: skip
        runs += 1
        screened, exact = screened + outcome.screened, exact + outcome.examples
        vacuous += outcome.vacuous
        refuted += outcome.verdict == "refuted"
        if stacked and not outcome.screened:
            raise RuntimeError(f"{identity}: no stacked instance satisfies the assumptions")
    return {
        "claim": identity,
        "screened": screened,
        "decided exactly": exact,
        "of these vacuous": vacuous,
        "refuted": refuted,
        "seconds": round(time.perf_counter() - start, 2),
    }


def run(instances: int = INSTANCES, seed: int = 0, seconds: float = SECONDS, workers: int = 2) -> list[dict[str, Any]]:
    """One row for each proved claim.

    Args:
        instances: stacked instances to screen for each claim.
        seed: the seed of the first search of each claim; the next ones follow.
        seconds: for each claim whose instances cannot be stacked.
        workers: processes.
    """
    ids = [c.id for c in claims() if c.status is Status.PROVED]
    job = partial(one, instances=instances, seed=seed, seconds=seconds)
    found = dict(each(job, ids, workers))
    for row in found.values():
        if isinstance(row, BaseException):
            raise row
    return [row for i in ids if isinstance(row := found[i], dict)]


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Refutations, and how many instances were seen in all."""
    return {
        "claims": len(rows),
        "screened in stacks": sum(r["screened"] for r in rows),
        "decided exactly": sum(r["decided exactly"] for r in rows),
        "claims that cannot be stacked": sum(not r["screened"] for r in rows),
        "fewest decided of these": min((r["decided exactly"] for r in rows if not r["screened"]), default=0),
        "refutations": sum(r["refuted"] for r in rows),
    }
