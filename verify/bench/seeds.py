"""Every refuted claim from many seeds: is it found at budget `quick`, with the same counterexample from each?"""

from __future__ import annotations

from collections import Counter
from typing import Any

from theory.claims import Claim, Status, claims
from verify.search.budgets import BUDGETS
from verify.search.loop import falsify

BUDGET = "quick"


def one(claim: Claim, seeds: int) -> dict[str, Any]:
    """The row of one claim."""
    budget = BUDGETS[BUDGET]
    found = [falsify(claim, examples=budget.examples, rounds=budget.rounds, seed=s) for s in range(seeds)]
    hits = [o for o in found if o.verdict == "refuted"]
    lines = Counter(o.counterexample.summary() for o in hits)
    return {
        "claim": claim.id,
        "seeds": seeds,
        "found": len(hits),
        "missed": " ".join(str(o.seed) for o in found if o.verdict != "refuted"),
        "slowest": round(max(o.seconds for o in found), 4),
        "stages": ", ".join(f"{n} {s}" for s, n in Counter(o.stage for o in hits).items()),
        "sizes": len({tuple(o.counterexample.size()) for o in hits}),
        "counterexamples": len(lines),
        "usual counterexample": lines.most_common(1)[0][0] if lines else "",
    }


def run(seeds: int = 200) -> list[dict[str, Any]]:
    """One row for each refuted claim, searched with seeds 0, 1, ..."""
    return [one(c, seeds) for c in claims() if c.status is Status.REFUTED]


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
