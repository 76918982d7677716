"""Every refuted claim from many seeds: is it found within the default budget, and how much does its size vary?"""

from __future__ import annotations

from collections import Counter
from typing import Any

from theory.claims import Claim, Status, claims
from verify.search.budgets import BUDGETS
from verify.search.loop import falsify
from verify.search.outcome import Outcome


def _searched(claim: Claim, seed: int, shrinking: bool) -> Outcome:
    budget = BUDGETS["default"]
    return falsify(claim, examples=budget.examples, rounds=budget.rounds, seed=seed, shrinking=shrinking)


def one(claim: Claim, seeds: int, shrunk: int) -> dict[str, Any]:
    """The row of one claim."""
    found = [_searched(claim, s, shrinking=False) for s in range(seeds)]
    hits = [o for o in found if o.verdict == "refuted"]
    small = [_searched(claim, s, shrinking=True) for s in range(shrunk)]
    sizes = Counter(tuple(o.counterexample.size()) for o in small if o.counterexample is not None)
    return {
        "claim": claim.id,
        "seeds": seeds,
        "found": len(hits),
        "missed": " ".join(str(o.seed) for o in found if o.verdict != "refuted"),
        "slowest": round(max(o.seconds for o in found), 4),
        "stages": ", ".join(f"{n} {s}" for s, n in Counter(o.stage for o in hits).items()),
        "shrunk": shrunk,
        "sizes": len(sizes),
        "structures": len({s[:-2] for s in sizes}),
        "usual counterexample": _usual(small, sizes),
    }


def _usual(small: list[Outcome], sizes: Counter[tuple[Any, ...]]) -> str:
    if not sizes:
        return ""
    best = sizes.most_common(1)[0][0]
    return next(o.counterexample.summary() for o in small if tuple(o.counterexample.size()) == best)


def run(seeds: int = 40, shrunk: int = 6) -> list[dict[str, Any]]:
    """One row for each refuted claim.

    Args:
        seeds: searches without shrinking, seeds 0, 1, ...
        shrunk: of these seeds the first so many are searched again with shrinking, and sizes compared.
    """
    return [one(c, seeds, shrunk) for c in claims() if c.status is Status.REFUTED]


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Misses, and how many claims have counterexamples of one size."""
    return {
        "claims": len(rows),
        "searches": sum(r["seeds"] for r in rows),
        "missed": sum(r["seeds"] - r["found"] for r in rows),
        "slowest search": max(r["slowest"] for r in rows),
        "of one size from every seed": sum(r["sizes"] == 1 for r in rows),
        "of one structure from every seed": sum(r["structures"] == 1 for r in rows),
    }
