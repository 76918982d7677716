"""Time to falsify planted wrong claims: ours beside what one would use without it (see `verify.bench.peers`).

Nobody shrinks here: the clock (of the processor, so that other work on the machine counts little) stops at the first
exact counterexample. Where an assumption was dropped,
an instance on which the statement has no meaning counts as found, too. Peers that find nothing in time
are entered as "> LIMIT", and their ratio to ours as the lower bound that this gives.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from theory.relations import decide, margins
from verify.bench.peers import KINDS, METHODS, search
from verify.power.planted import Planted, planted
from verify.search.loop import falsify
from verify.search.strategies import StackChooser, draw, instances

LIMIT = 10.0
"""Seconds for ours, for each planted claim."""
PEERS = 72
"""Planted claims, spread evenly over all, on which peers are measured."""
PATIENCE = 5.0
"""Seconds a peer has for each."""
NAMES = tuple(f"{kind} {method}" for kind in KINDS for method in METHODS)


class _Done(BaseException):
    """Leaves Hypothesis at once."""


def ours(p: Planted, seed: int, limit: float) -> float | None:
    """Seconds until `falsify` has an exact counterexample (unshrunk); None if it has none in time."""
    # Reading the processor's clock can take a tenth of a millisecond, so it is read when there is something to enter.
    start, began = time.process_time(), 0.0
    while (left := limit - began) > 0:
        outcome = falsify(p.claim, drop=p.drop, examples=400, seconds=left, seed=seed, shrinking=False)
        if outcome.verdict == "refuted":
            return time.process_time() - start
        if p.drop and outcome.undefined:
            return time.process_time() - start
        seed += 1000
        began = time.process_time() - start
    return None


def rates(seconds: float = 1.0) -> list[dict[str, Any]]:
    """Instances a second: drawn by Hypothesis, decided exactly, evaluated in stacked float64."""
    from hypothesis import HealthCheck, Verbosity, given, settings

    from theory.claims import claim_named

    claim, rows = claim_named("path-exclusion/trace-bound"), []
    counted, stop = 0, time.perf_counter() + seconds

    quiet = Verbosity.quiet

    @settings(
        max_examples=1_000_000, database=None, deadline=None, suppress_health_check=list(HealthCheck), verbosity=quiet
    )
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


def _spread(every: Sequence[Planted], most: int) -> set[str]:
    if most >= len(every):
        return {p.name for p in every}
    return {every[i * len(every) // most].name for i in range(most)}


def run(limit: float = LIMIT, seed: int = 0, peers: int = PEERS, patience: float = PATIENCE) -> list[dict[str, Any]]:
    """One row for each planted claim: seconds of ours, and of the peers where they were measured.

    Args:
        limit: seconds for ours.
        seed: the seed.
        peers: on how many planted claims, spread over all of them, the peers are measured.
        patience: seconds each peer has.
    """
    every = list(planted(seed))
    chosen = _spread(every, peers)
    for name in ("falsify", *NAMES):  # once without a clock: imports and strategies are built at first use
        if name == "falsify" or peers:
            _seconds(every[0], seed, limit, patience, name)
    rows = []
    for p in every:
        row: dict[str, Any] = {"planted": p.name, "kind": p.kind}
        for name in ("falsify", *NAMES) if p.name in chosen else ("falsify",):
            row[name] = _seconds(p, seed, limit, patience, name)
        rows.append({**dict.fromkeys(("planted", "kind", "falsify", *(NAMES if peers else ())), ""), **row})
    return rows


def _seconds(p: Planted, seed: int, limit: float, patience: float, name: str) -> float | str:
    if name == "falsify":
        taken, most = ours(p, seed, limit), limit
    else:
        kind, method = name.split()
        taken, most = search(p, seed, patience, kind, method), patience
    return f"> {most:g}" if taken is None else round(taken, 6)


def _at_least(value: float | str) -> float:
    """The seconds, or the limit where nothing was found in time."""
    return float(value.removeprefix("> ")) if isinstance(value, str) else float(value)


def table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for ours and for each peer: found, median seconds, and how many times as long as ours it takes.

    A ratio against a peer that found nothing is a lower bound, so a median over such ratios is one, too.
    """
    seconds = [r["falsify"] for r in rows]
    out: list[dict[str, Any]] = [
        {
            "who": "falsify",
            "planted": len(rows),
            "found": sum(not isinstance(s, str) for s in seconds),
            "median seconds": _three(statistics.median(map(_at_least, seconds))),
            "slowest": _three(max(map(_at_least, seconds))),
            "ratio to falsify": 1,
            "lower .. upper quartile": "",
            "ratio of sums": 1,
        }
    ]
    both = [r for r in rows if r.get(NAMES[0], "") != "" and not isinstance(r["falsify"], str)]
    for name in NAMES if both else ():
        taken = [r[name] for r in both]
        ratios = sorted(_at_least(r[name]) / r["falsify"] for r in both)
        missed = any(isinstance(t, str) for t in taken)
        total = sum(map(_at_least, taken)) / sum(r["falsify"] for r in both)
        out.append(
            {
                "who": name,
                "planted": len(both),
                "found": sum(not isinstance(t, str) for t in taken),
                "median seconds": _three(statistics.median(map(_at_least, taken))),
                "slowest": f"> {max(map(_at_least, taken)):.3g}" if missed else _three(max(map(_at_least, taken))),
                "ratio to falsify": _three(statistics.median(ratios)),
                "lower .. upper quartile": f"{ratios[len(ratios) // 4]:.3g} .. {ratios[3 * len(ratios) // 4]:.3g}",
                "ratio of sums": f"{'> ' if missed else ''}{total:.3g}",
            }
        )
    return out


def _three(value: float) -> float:
    return float(f"{value:.3g}")


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """`table`, a line each, and how many instances a second."""
    lines = {r["who"]: ", ".join(f"{k} {v}" for k, v in r.items() if k != "who" and v != "") for r in table(rows)}
    return {**lines, **{r["what"] + ", a second": r["per second"] for r in rates()}}


def main(folder: str = "results") -> None:
    """Measure, and write ``bench_search.csv``, ``bench_search_summary.csv`` and ``bench_rates.csv``."""
    from verify.trials import write_csv
    from verify.trials.origin import of_search

    about = of_search(0) | {
        "seconds": "of processor time; 2 cores, shared with other work",
        "limits": f'{LIMIT:g} s for ours, {PATIENCE:g} s for each peer; "> t": nothing found in t seconds',
    }
    rows = run()
    for name, found in (("bench_search", rows), ("bench_search_summary", table(rows)), ("bench_rates", rates())):
        print(write_csv(found, f"{folder}/{name}.csv", provenance=about))


if __name__ == "__main__":
    main()
