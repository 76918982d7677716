"""Wrong claims made from right ones, to measure what the search finds.

Four kinds: a constant off by a factor, a wrong exponent, a wrong index (one array rolled on one side
of the relation), an assumption dropped. A planted claim counts as wrong once somebody has an exact
counterexample to it; `verify.bench.search` says which have none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from theory.claims import Claim, Status, claims
from theory.relations import Relation
from verify.sharpness import comparisons, numerical, perturbed

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
        for i, part in enumerate(comparisons(claim, seed)):
            if not numerical(part):
                continue
            where = f"{claim.id} [{part.name or i + 1}]"
            if part.kind == "==":
                yield Planted(f"{where} off by 0.1 %", "equality", perturbed(claim, 0.001, i))
                yield Planted(f"{where} right side squared", "exponent", squared(claim, i))
            else:
                for factor in FACTORS:
                    yield Planted(f"{where} x {factor}", f"constant {factor}", perturbed(claim, 1 - factor, i))
        for name in claim.setting.arrays():
            if claim.setting.arrays()[name] > 0:
                yield Planted(f"{claim.id} {name} rolled on the right", "index", rolled(claim, name))
        for a in claim.assumptions:
            yield Planted(f"{claim.id} without {a.name}", "assumption", claim, (a.name,))


def squared(claim: Claim, part: int) -> Claim:
    """The claim with the right side of one comparison squared."""

    def wrong(instance: Any) -> Relation:
        relation = claim.function(instance)
        parts = list(relation.parts)
        parts[part] = replace(parts[part], rhs=parts[part].rhs * parts[part].rhs)
        return replace(relation, parts=tuple(parts))

    return replace(claim, function=wrong, status=Status.REFUTED)


def rolled(claim: Claim, name: str) -> Claim:
    """The claim with the array ``name`` rolled by one along its last axis on the right sides only."""

    def wrong(instance: Any) -> Relation:
        other = claim.function(instance.with_(**{name: np.roll(getattr(instance, name), 1, axis=-1)}))
        relation = claim.function(instance)
        parts = zip(relation.parts, other.parts, strict=True)
        return replace(relation, parts=tuple(replace(p, rhs=q.rhs) for p, q in parts))

    return replace(claim, function=wrong, status=Status.REFUTED)
