"""False alarms: every proved claim on ten million stacked instances and on ten thousand exact ones.

A third of the stacks is drawn beyond the claim's hints (see `verify.search.loop`). What looks violated is decided
exactly, beside the ten thousand. Claims whose instances cannot be stacked have the exact ones alone. Nothing is limited
by the clock: the counts are what was asked for.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from theory.claims import Status, claim_named, claims
from verify.search.loop import falsify
from verify.search.screening import Problem
from verify.trials.workers import in_order

INSTANCES = 10_000_000
EXACT = 10_000
RUN = 100_000
"""A search screens about so many; one after another, with seeds of their own, until the counts are reached."""
ROUNDS, STACK = 24, 2048


def one(identity: str, instances: int = INSTANCES, exact: int = EXACT, seed: int = 0) -> dict[str, Any]:
    """Screen one claim until ``instances`` were seen and ``exact`` decided exactly, or one is refuted.

    Raises:
        KeyError: no such claim.
        RuntimeError: a search in which nothing satisfies the assumptions.
    """
    claim = claim_named(identity)
    stacked = Problem(claim).stackable
    examples = max(1, exact * RUN // instances) if stacked else min(exact, 1000)
    start, screened, decided, vacuous, refuted, runs = time.process_time(), 0, 0, 0, 0, 0
    while not refuted and (decided < exact or (stacked and screened < instances)):
        outcome = falsify(
            claim, examples=max(1, 4 * examples // 3), seed=seed + runs, rounds=ROUNDS, stack=STACK, shrinking=False,
            stages=("scan", "climb") if stacked else ("scan",),
        )  # fmt: skip
        runs += 1
        screened, decided = screened + outcome.screened, decided + outcome.examples
        vacuous += outcome.vacuous
        refuted += outcome.verdict == "refuted"
        if not outcome.examples:
            raise RuntimeError(f"{identity}: with seed {seed + runs - 1} no instance satisfies the assumptions")
    return {
        "claim": identity,
        "screened": screened,
        "decided exactly": decided,
        "of these vacuous": vacuous,
        "refuted": refuted,
        "seconds": round(time.process_time() - start, 2),
    }


def run(instances: int = INSTANCES, exact: int = EXACT, seed: int = 0, workers: int = 2) -> list[dict[str, Any]]:
    """One row for each proved claim.

    Args:
        instances: stacked instances to screen for each claim.
        exact: instances to decide exactly for each.
        seed: the seed of the first search of each claim; the next ones follow.
        workers: processes.
    """
    ids = [c.id for c in claims() if c.status is Status.PROVED]
    return in_order(partial(one, instances=instances, exact=exact, seed=seed), ids, workers)


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Refutations, and how many instances were seen in all."""
    return {
        "claims": len(rows),
        "screened in stacks": sum(r["screened"] for r in rows),
        "decided exactly": sum(r["decided exactly"] for r in rows),
        "claims that cannot be stacked": sum(not r["screened"] for r in rows),
        "fewest decided of a claim": min((r["decided exactly"] for r in rows), default=0),
        "refutations": sum(r["refuted"] for r in rows),
    }
