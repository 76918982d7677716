"""The prover on planted mistakes: it must prove none where it is wrong, and should give a counterexample to most.

    python -m verify.studies.proved_mistakes      all of them, on small shapes; writes results/proofs_mistakes.csv

A mistake is wrong at a covered shape if it has an exact counterexample there: the prover's own, or one among random
points of the shapes that were run to the end, which the prover has no part in. It is proved where it is wrong if a
random point refutes it on a shape that is said to be proved: such a row is a defect, and makes the exit code 1.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from flint import fmpq

from theory.relations import Verdict, decide
from verify.power.planted import Planted, planted
from verify.proofs.proving import BUDGETS, Prover, prove
from verify.proofs.shapes import Shape
from verify.trials.origin import of_search
from verify.trials.tables import write_csv
from verify.trials.workers import in_order

TABLE = Path(__file__).resolve().parents[2] / "results" / "proofs_mistakes.csv"
POINTS = 60
"""Random points of each shape."""


def points(shape: Shape, count: int, seed: int) -> Iterator[list[fmpq]]:
    """Small rationals: zeros, ties and opposites are frequent."""
    rng = random.Random(seed)
    for _ in range(count):
        yield [fmpq(rng.randint(-3, 3), rng.choice((1, 1, 1, 2))) for _ in shape.names]


def wrong_at(p: Planted, shape: Shape, seed: int = 0) -> bool:
    """Whether some random point of a shape is an exact counterexample."""
    return refuted_among(Prover(p.claim, BUDGETS["small"], p.drop), shape, points(shape, POINTS, seed))


def refuted_among(prover: Prover, shape: Shape, points: Iterable[Sequence[fmpq]]) -> bool:
    """Whether one of some points of a shape refutes the claim of a prover; the prover only decides instances here."""
    for values in points:
        try:
            decision = prover.look(shape.instance(values))
        except (ZeroDivisionError, ValueError):
            continue
        if decision is not None and decision.verdict is Verdict.REFUTED:
            return True
    return False


def row(name: str, level: str = "small") -> dict[str, Any]:
    """What the prover says of a planted mistake, and whether it is wrong at a shape that was covered."""
    p = _known()[name]
    proof = prove(p.claim, shapes=level, drop=p.drop)
    found = proof.verdict == "refuted" and decide(p.claim.check(proof.counterexample)).verdict is Verdict.REFUTED
    proved = [s for s in proof.shapes if s.verdict == "proved" and s.shape is not None]
    defects = [s.name for s in proved if s.shape is not None and wrong_at(p, s.shape)]
    others = [s.shape for s in proof.shapes if s.complete and s.verdict != "proved" and s.shape is not None]
    return {
        "mistake": p.name,
        "claim": p.claim.id,
        "kind": p.kind,
        "verdict": proof.verdict,
        "shapes": len(proof.shapes),
        "proved_on": len(proved),
        "counterexample": "prover" if found else "points" if defects or any(wrong_at(p, s) for s in others) else "",
        "proved_where_wrong": "; ".join(defects),
    }


@lru_cache(maxsize=1)
def _known() -> dict[str, Planted]:
    return {p.name: p for p in planted()}


def study(processes: int = 2, level: str = "small", names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """A row for each planted mistake (or those in ``names``), in their order."""
    return in_order(row, names or _known(), processes)


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """Counts, and the rate of counterexamples by the prover among those wrong at a covered shape."""
    verdicts = Counter(r["verdict"] for r in rows)
    wrong = [r for r in rows if r["counterexample"]]
    alone = sum(r["counterexample"] == "prover" for r in wrong)
    defects = sum(bool(r["proved_where_wrong"]) for r in rows)
    return (
        f"{len(rows)} planted mistakes: {', '.join(f'{n} {v}' for v, n in verdicts.most_common())}; "
        f"{len(wrong)} wrong at a covered shape, {alone} of them refuted by the prover alone; "
        f"{defects} proved where they are wrong"
    )


def main() -> int:
    """Run the study and record it; 1 if a wrong claim was proved."""
    origin = of_search(0)
    rows = study()
    write_csv(rows, TABLE, provenance={**origin, "shapes": "small", "points": POINTS})
    print(summary(rows))
    return int(any(r["proved_where_wrong"] for r in rows))


if __name__ == "__main__":
    from verify.studies import proved_mistakes  # worker processes import this module by its name

    sys.exit(proved_mistakes.main())
