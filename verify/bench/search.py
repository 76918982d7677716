"""Time to falsify planted wrong claims: ours against plain Hypothesis, targeted Hypothesis, random search.

Where an assumption was dropped, an instance on which the statement has no meaning counts as found, too.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from theory.relations import Verdict, decide, margins
from verify.planted import Planted, planted
from verify.search import falsify
from verify.strategies import StackChooser, draw, instances

LIMIT = 10.0
"""Seconds each method has for each planted claim."""


class _Done(BaseException):
    """Leaves Hypothesis at once."""


def _decides(p: Planted) -> Callable[[Any], tuple[bool, float]]:
    kept = [a for a in p.claim.assumptions if a.name not in p.drop]

    def refuted(instance: Any) -> tuple[bool, float]:
        if not bool(instance.valid()) or not all(bool(a.predicate(instance)) for a in kept):
            return False, float("inf")
        decision = decide(p.claim.check(instance))
        meaningless = bool(p.drop) and decision.how.startswith("undefined")
        return decision.verdict is Verdict.REFUTED or meaningless, decision.margin

    return refuted


def ours(p: Planted, seed: int, limit: float) -> float | None:
    """Seconds until `falsify` has an exact counterexample (unshrunk); None if it has none in time."""
    start = time.perf_counter()
    while (left := limit - (time.perf_counter() - start)) > 0:
        outcome = falsify(p.claim, drop=p.drop, examples=400, seconds=left, seed=seed, shrinking=False)
        if outcome.verdict == "refuted" or (p.drop and outcome.undefined):
            return time.perf_counter() - start
        seed += 1000
    return None


def hypothesis_search(p: Planted, seed: int, limit: float, targeted: bool) -> float | None:
    """Seconds until Hypothesis draws an exact counterexample, with or without `hypothesis.target`."""
    from hypothesis import HealthCheck, Phase, given, settings, target
    from hypothesis import seed as seeded
    from hypothesis.errors import Unsatisfiable

    refuted, start, hit = _decides(p), time.perf_counter(), False

    @seeded(seed)
    @settings(
        max_examples=1_000_000,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.target) if targeted else (Phase.generate,),
    )
    @given(instances(p.claim, p.drop))
    def look(instance: Any) -> None:
        nonlocal hit
        found, margin = refuted(instance)
        if targeted and np.isfinite(margin):
            target(-margin)
        hit = found
        if found or time.perf_counter() - start > limit:
            raise _Done

    with contextlib.suppress(_Done, Unsatisfiable):
        look()
    return time.perf_counter() - start if hit else None


def random_search(p: Planted, seed: int, limit: float) -> float | None:
    """Seconds until drawing single exact instances at random finds a counterexample."""
    refuted, start, rng = _decides(p), time.perf_counter(), np.random.default_rng([seed, 77])
    dropped = [p.claim.assumption(n) for n in p.drop]
    while time.perf_counter() - start < limit:
        broken = dropped[0] if dropped and rng.random() < 0.75 else None
        if refuted(draw(p.claim, StackChooser(rng, None), broken))[0]:
            return time.perf_counter() - start
    return None


def rates(seconds: float = 1.0) -> list[dict[str, Any]]:
    """Instances a second: drawn by Hypothesis, decided exactly, evaluated in stacked float64."""
    from hypothesis import HealthCheck, given, settings

    from theory.claims import claim_named

    claim, rows = claim_named("path-exclusion/trace-bound"), []
    counted, stop = 0, time.perf_counter() + seconds

    @settings(max_examples=1_000_000, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(instances(claim))
    def count(instance: Any) -> None:
        nonlocal counted
        counted += 1
        if time.perf_counter() > stop:
            raise _Done

    with contextlib.suppress(_Done):
        count()
    rows.append({"what": "networks drawn by Hypothesis", "per second": round(counted / seconds)})
    rng = np.random.default_rng(0)
    stack = draw(claim, StackChooser(rng, 4096, 1))
    one, done, stop = stack.at(0), 0, time.perf_counter() + seconds
    while time.perf_counter() < stop:
        decide(claim.check(one.with_()))
        done += 1
    rows.append({"what": "one small network decided in rationals", "per second": round(done / seconds)})
    done, stop = 0, time.perf_counter() + seconds
    while time.perf_counter() < stop:
        margins(claim.check(stack.with_()))
        done += stack.count
    rows.append({"what": "networks evaluated in stacked float64", "per second": round(done / seconds)})
    return rows


def run(limit: float = LIMIT, seed: int = 0, most: int | None = None, peers: bool = True) -> list[dict[str, Any]]:
    """One row for each planted claim: seconds of each method, empty where it found nothing in ``limit``.

    Args:
        limit: seconds each method has.
        seed: the seed.
        most: measure only that many planted claims, spread over all of them.
        peers: whether to run the other three methods.
    """
    every = list(planted(seed))
    if most is not None and most < len(every):
        every = [every[i * len(every) // most] for i in range(most)]
    rows = []
    for p in every:
        row: dict[str, Any] = {"planted": p.name, "kind": p.kind, "falsify": ours(p, seed, limit)}
        if peers:
            row["hypothesis"] = hypothesis_search(p, seed, limit, targeted=False)
            row["with target"] = hypothesis_search(p, seed, limit, targeted=True)
            row["random"] = random_search(p, seed, limit)
        rows.append(row)
    return rows


def summary(rows: list[dict[str, Any]], limit: float = LIMIT) -> dict[str, Any]:
    """Found by each method, medians (not found counts as the limit), and the ratio to plain Hypothesis.

    Planted claims that no method refuted are not known to be wrong; they are counted apart.
    """
    methods = [m for m in ("falsify", "hypothesis", "with target", "random") if m in rows[0]]
    wrong = [r for r in rows if any(r[m] is not None for m in methods)]
    out: dict[str, Any] = {"planted": len(rows), "shown wrong": len(wrong)}
    for m in methods:
        times = [limit if r[m] is None else r[m] for r in wrong]
        out[f"{m}: found"] = sum(r[m] is not None for r in wrong)
        out[f"{m}: median seconds"] = statistics.median(times)
    if "hypothesis" in methods:
        ratios = [(r["hypothesis"] or limit) / r["falsify"] for r in wrong if r["falsify"]]
        out["median ratio hypothesis / falsify"] = statistics.median(ratios)
    return out
