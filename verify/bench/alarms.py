"""False alarms: every proved claim on a million stacked instances; what looks violated is decided exactly."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

from theory.claims import Status, claim_named, claims
from verify.search import falsify

INSTANCES = 1_000_000


def one(identity: str, instances: int, seed: int, seconds: float) -> dict[str, Any]:
    """Screen one claim until ``instances`` were seen, or ``seconds`` are over."""
    claim, start, screened, exact, refuted = claim_named(identity), time.perf_counter(), 0, 0, 0
    runs = 0
    while screened < instances and refuted == 0 and time.perf_counter() - start < seconds:
        outcome = falsify(
            claim, examples=24, seconds=seconds, seed=seed + runs, stages=("scan", "climb"), rounds=24, stack=2048,
            shrinking=False,
        )  # fmt: skip
        runs += 1
        screened, exact = screened + outcome.screened, exact + outcome.examples
        refuted += outcome.verdict == "refuted"
        if outcome.screened == 0 and exact >= 2000:
            break
    return {
        "claim": identity,
        "screened": screened,
        "decided exactly": exact,
        "refuted": refuted,
        "seconds": time.perf_counter() - start,
    }


def run(instances: int = INSTANCES, seed: int = 0, seconds: float = 120.0, workers: int = 2) -> list[dict[str, Any]]:
    """One row for each proved claim; claims whose instances cannot be stacked are decided exactly only.

    Args:
        instances: stacked instances to screen for each claim.
        seed: the seed of the first search.
        seconds: limit for each claim.
        workers: processes.
    """
    ids = [c.id for c in claims() if c.status is Status.PROVED]
    return list(_mapped(ids, instances, seed, seconds, workers))


def _mapped(ids: list[str], instances: int, seed: int, seconds: float, workers: int) -> Iterator[dict[str, Any]]:
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(partial(one, instances=instances, seed=seed, seconds=seconds), ids)
