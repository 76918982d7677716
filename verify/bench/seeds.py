"""Every refuted claim from many seeds: is it found at budget `quick`, with the same counterexample from each?"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from theory.claims import Claim, Status, claim_named, claims
from verify.search.budgets import BUDGETS
from verify.search.loop import falsify
from verify.trials.workers import in_order

BUDGET = "quick"


def one(claim: Claim, seeds: int) -> dict[str, Any]:
    """The row of one claim."""
    budget, found, errors = BUDGETS[BUDGET], [], {}
    for s in range(seeds):
        try:
            found.append(falsify(claim, examples=budget.examples, rounds=budget.rounds, seed=s))
        except Exception as e:  # a search that ends in an error is a finding, not the end of the table
            errors[s] = f"{type(e).__name__}: {e}"
    hits = [o for o in found if o.verdict == "refuted"]
    lines = Counter(o.counterexample.summary() for o in hits)
    return {
        "claim": claim.id,
        "seeds": seeds,
        "found": len(hits),
        "missed": " ".join(map(str, sorted({o.seed for o in found if o.verdict != "refuted"} | set(errors)))),
        "errors": "; ".join(sorted(set(errors.values()))),
        "slowest": round(max((o.seconds for o in found), default=0.0), 4),
        "stages": ", ".join(f"{n} {s}" for s, n in Counter(o.stage for o in hits).items()),
        "sizes": len({tuple(o.counterexample.size()) for o in hits}),
        "counterexamples": len(lines),
        "usual counterexample": lines.most_common(1)[0][0] if lines else "",
    }


def run(seeds: int = 200, workers: int = 2) -> list[dict[str, Any]]:
    """One row for each refuted claim, searched with seeds 0, 1, ..."""
    ids = [c.id for c in claims() if c.status is Status.REFUTED]
    return in_order(partial(_named, seeds=seeds), ids, workers)


def _named(identity: str, seeds: int) -> dict[str, Any]:
    return one(claim_named(identity), seeds)


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Misses, and how many claims have counterexamples of one size, and one counterexample."""
    return {
        "claims": len(rows),
        "searches": sum(r["seeds"] for r in rows),
        "missed": sum(r["seeds"] - r["found"] for r in rows),
        "slowest search": max(r["slowest"] for r in rows),
        "of one size from every seed": sum(r["sizes"] == 1 for r in rows),
        "the same from every seed": sum(r["counterexamples"] == 1 for r in rows),
    }
