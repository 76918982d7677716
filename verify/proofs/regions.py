"""Where a refuted claim is false on one shape: all of its counterexamples there, as sign conditions.

On every path the claim states goals, and a goal that is not proved fails where its polynomial has no wanted sign. So
the counterexamples are the union, over paths and unproved goals, of the path's conditions and that sign: exactly, as
long as no root and no logarithm is in the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flint import fmpq

from theory.claims import Claim
from verify.proofs.logarithms import Bound
from verify.proofs.polynomials import ANY, NEGATIVE, NONNEGATIVE, NONPOSITIVE, NONZERO, POSITIVE, ZERO, Signs
from verify.proofs.proving import BUDGETS, Prover
from verify.proofs.shapes import Shape

_TEXT = {ZERO: "= 0", POSITIVE: "> 0", NEGATIVE: "< 0", NONNEGATIVE: ">= 0", NONPOSITIVE: "<= 0", NONZERO: "!= 0"}


@dataclass(frozen=True)
class Piece:
    """One part: what a path decided, what follows, and the goal that fails.

    Attributes:
        decisions: polynomials with the signs that they have on the path.
        conditions: the same after substitutions, as text.
        polynomial: the goal's.
        signs: those with which it fails.
        goal: its name.
    """

    decisions: tuple[tuple[Any, Signs], ...]
    conditions: tuple[str, ...]
    polynomial: Any
    signs: Signs
    goal: str

    def __str__(self) -> str:
        return ", ".join((*self.conditions, f"{self.polynomial} {_TEXT[self.signs]}"))


@dataclass(frozen=True)
class Region:
    """All counterexamples on a shape: the points of its pieces.

    Attributes:
        shape: the shape.
        pieces: the parts, each on a path of its own or with a goal of its own.
        width: number of generators of the ring.
    """

    shape: Shape
    pieces: tuple[Piece, ...]
    width: int

    def contains(self, values: Sequence[fmpq]) -> bool:
        """Whether a point, in the order of the shape's names, is a counterexample."""
        point = [*values, *[fmpq(0)] * (self.width - len(values))]

        def has(p: Any, signs: Signs) -> bool:
            value = p(*point)
            return (value > 0) - (value < 0) in signs

        return any(
            all(has(p, s) for p, s in piece.decisions) and has(piece.polynomial, piece.signs) for piece in self.pieces
        )


def region(claim: Claim, shape: Shape, drop: tuple[str, ...] = ()) -> Region | None:
    """The region of counterexamples on a shape; None where roots or logarithms are met, or too many branches.

    Args:
        claim: a claim.
        shape: one of `verify.proofs.shapes.shapes`.
        drop: assumptions not to use.
    """
    done = _Silent(claim, BUDGETS["small"], drop).shape(shape, BUDGETS["small"].paths)
    if not done.complete or done.space is None:
        return None
    pieces = []
    for leaf in done.leaves:
        world = leaf.path.world
        rooted = bool(world.roots) or any(isinstance(g.bound, Bound) or g.bound is None for g in leaf.goals)
        for goal in leaf.goals:
            if goal.closed is not None:
                continue
            if rooted:
                return None
            names = done.space.names
            # What was substituted stands where it was put in; other decisions that say nothing more are left out.
            known = [f"{names[v]} = {_over(num, den)}" for v, num, den in world.substitutions]
            known += [f"{f} {_TEXT[s]}" for f, s in world.conditions() if s != ANY]
            decisions = tuple((d.polynomial, d.signs) for d in world.trail)
            signs = ANY - goal.wanted
            pieces.append(Piece(decisions, tuple(known), goal.polynomial, signs, goal.name))
    return Region(shape, tuple(pieces), len(done.space.gens))


class _Silent(Prover):
    """A prover that goes on where it finds a counterexample."""

    most_open = 1000

    def try_points(self, shape: Shape, points: list[list[fmpq]]) -> bool:
        return bool(points)


def _over(num: Any, den: Any) -> str:
    return str(num) if den.is_one() else f"({num}) / ({den})"
