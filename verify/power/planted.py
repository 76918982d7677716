"""Wrong claims made from right ones, to measure what the search finds.

Three kinds: a constant off by a factor (or an equality by a thousandth), an assumption dropped, and the
mistakes in formulas that `theory.mistakes` keeps: signs, exponents, norms, indices. A planted claim counts as
wrong once somebody has an exact counterexample to it; `verify.bench.search` says which have none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from theory import mistakes
from theory.claims import Claim, Status, claims
from verify.power.sharpness import comparisons, numerical, perturbed

FACTORS = (0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True)
class Planted:
    """A wrong claim: ``claim`` (without the assumptions in ``drop``), of a ``kind``, called ``name``."""

    name: str
    kind: str
    claim: Claim
    drop: tuple[str, ...] = ()


def planted(seed: int = 0) -> Iterator[Planted]:
    """Every wrong claim that can be made of the proved ones, in the papers' order."""
    for claim in claims():
        if claim.status is not Status.PROVED:
            continue
        parts = comparisons(claim, seed)
        named = Counter(part.name for part in parts)
        for i, part in enumerate(parts):
            if not numerical(part):
                continue
            several = f" {i + 1}" if named[part.name] > 1 else ""
            where = f"{claim.id} [{part.name}{several}]" if part.name else f"{claim.id} [{i + 1}]"
            if part.kind == "==":
                yield Planted(f"{where} off by 0.1 %", "equality", perturbed(claim, 0.001, i))
            else:
                # A bound with known slack stays true when it is made smaller: nothing wrong to plant.
                for factor in () if claim.slack else FACTORS:
                    yield Planted(f"{where} x {factor}", f"constant {factor}", perturbed(claim, 1 - factor, i))
        for a in claim.assumptions:
            yield Planted(f"{claim.id} without {a.name}", "assumption", claim, (a.name,))
    yield from handmade()


def handmade() -> Iterator[Planted]:
    """The planted mistakes of `theory.mistakes`: wrong signs, exponents, norms, indices."""
    for name, wrong in mistakes.planted():
        yield Planted(name, "formula", wrong)
