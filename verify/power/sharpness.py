"""How small an error in a claim would the search still see?

A bound is scaled by (1 - e), an equality by (1 + e), and the wrong claim is searched. The smallest e
that is refuted measures claim and search together: where the claim has slack no search can see a small
e, and the tighter claim is the one to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from flint import fmpq

from theory.claims import Claim, Status, claim_named
from theory.relations import Comparison, Relation
from theory.scalars import absolute, is_exact
from verify.search.loop import falsify
from verify.search.strategies import StackChooser, draw

CHANGES = (0.5, 0.1, 0.01, 0.001, 0.0001)


@dataclass
class Sharpness:
    """The smallest relative change of a claim that the search refutes.

    Attributes:
        claim: the claim's id.
        smallest_change: over the numerical comparisons, the largest of the smallest changes seen:
            every comparison of the claim would be caught with an error of this size. NaN if the claim
            has none; infinite if a change of 0.5 goes unseen in one of them.
        parts: the same for each comparison.
        reason: why there is no number, or why it is not small.
        seconds: wall time.
    """

    claim: str
    smallest_change: float
    parts: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    seconds: float = 0.0


def numerical(part: Comparison) -> bool:
    """Whether a comparison has sides that can be scaled: not a yes/no statement, not a sign, not ``!=``."""
    if part.kind == "!=" or _yes_or_no(part):
        return False
    return bool(np.any(_nonzero(part.rhs if part.kind == "==" else part.lhs)))


def _yes_or_no(part: Comparison) -> bool:
    return all(np.asarray(side).dtype.kind in "iub" for side in (part.lhs, part.rhs))


def _nonzero(side: Any) -> Any:
    a = np.asarray(side)
    return a != 0 if a.dtype != object else np.vectorize(lambda v: not bool(v == 0), otypes=[bool])(a)


def comparisons(claim: Claim, seed: int = 0) -> list[Comparison]:
    """The comparisons of the claim on some drawn exact instance."""
    best: list[Comparison] = []
    for r in range(40):
        chooser = StackChooser(np.random.default_rng([seed, 9, r]), None, r // 8)
        instance = draw(claim, chooser)
        if not bool(instance.valid()) or claim.applies(instance):
            continue
        relation = claim.check(instance)
        if relation.undefined:
            continue
        if not best:
            best = list(relation.parts)
        best = [b if numerical(b) else p for b, p in zip(best, relation.parts, strict=False)]
    return best


def perturbed(claim: Claim, change: float, part: int | None = None) -> Claim:
    """The wrong claim: comparison ``part`` (all of them if None) off by a relative ``change``.

    ``lhs <= rhs`` becomes ``lhs <= rhs - change |rhs|``; ``lhs == rhs`` becomes ``lhs == rhs + change |rhs|``.
    """
    e_exact = fmpq(*float(change).as_integer_ratio())

    def shift(side: Any, sign: int) -> Any:
        if isinstance(side, int | np.integer):
            side = fmpq(int(side))
        e: Any = e_exact if is_exact(side) else change
        magnitude = absolute(side)
        return side + (magnitude * e) * sign

    def wrong(instance: Any) -> Relation:
        relation = claim.function(instance)
        parts = list(relation.parts)
        for i, p in enumerate(parts):
            if (part is None or i == part) and not _yes_or_no(p):
                rhs, lhs = p.rhs, p.lhs
                if np.asarray(rhs).dtype.kind in "iub":
                    rhs = np.asarray(rhs).astype(object) * fmpq(1) if is_exact(lhs) else np.asarray(rhs, dtype=float)
                parts[i] = replace(p, rhs=shift(rhs, 1 if p.kind == "==" else -1))
        return replace(relation, parts=tuple(parts))

    return replace(claim, function=wrong, status=Status.REFUTED)


def sharpness(
    claim: Claim | str,
    *,
    examples: int = 200,
    seconds: float | None = None,
    seed: int = 0,
    changes: Sequence[float] = CHANGES,
) -> Sharpness:
    """The smallest of ``changes`` for which the perturbed claim is refuted, comparison by comparison.

    Args:
        claim: a proved claim, or its id.
        examples: exact instances for each search.
        seconds: a person's limit for each search; None: no limit.
        seed: the seed.
        changes: relative changes to try, largest first; stops at the first that is not seen.

    Raises:
        KeyError: no such claim.
    """
    claim = claim_named(claim) if isinstance(claim, str) else claim
    if claim.status is not Status.PROVED:
        return Sharpness(claim.id, float("nan"), reason=f"{claim.status}: there is no true bound to make wrong")
    parts: dict[str, float] = {}
    spent = 0.0
    for i, part in enumerate(comparisons(claim, seed)):
        if not numerical(part):
            continue
        smallest = float("inf")
        for change in sorted(changes, reverse=True):
            outcome = falsify(
                perturbed(claim, change, i), examples=examples, seconds=seconds, seed=seed, shrinking=False
            )
            spent += outcome.seconds
            if outcome.verdict != "refuted":
                break
            smallest = change
        parts[part.name or f"comparison {i + 1} ({part.kind})"] = smallest
    if not parts:
        return Sharpness(claim.id, float("nan"), reason="a yes/no statement or a sign: no constant to be wrong")
    worst = max(parts.values())
    reason = (
        ""
        if worst <= 0.001
        else claim.slack or "no reason is given in `slack`: the search is weak, or the bound is loose"
    )
    return Sharpness(claim.id, worst, parts, reason, spent)
