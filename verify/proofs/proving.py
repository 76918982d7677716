"""`prove`: a claim on symbols, path by path, goal by goal."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flint import fmpq

from theory.claims import Claim, claim_named
from theory.information import LogSum
from theory.relations import Decision, Relation, Verdict, decide
from verify.proofs import goals, logarithms, sampling
from verify.proofs.explore import Path, TooManyPaths, explore
from verify.proofs.goals import Term
from verify.proofs.polynomials import Signs, Space
from verify.proofs.shapes import Shape, kind_of
from verify.proofs.shapes import shapes as all_shapes
from verify.proofs.symbols import Quotient, signed, variable
from verify.proofs.world import TooLarge, Undecided, World, active

MOST_OPEN, MOST_OPEN_SHAPES = 8, 3
FAILED = "cannot be run on symbols: "
OPEN = "open is the sign of"
NOT_AN_INSTANCE, UNDEFINED = "the numbers are no instance", "undefined"
Stated = tuple[str, str, Any, Any, Any]
"""Name, kind, lhs, rhs and rhs - lhs."""


@dataclass(frozen=True)
class Budget:
    """Work, so that the answer is the same on every machine.

    Attributes:
        paths: paths of one shape.
        total: paths of one claim; shapes beyond are left out, and named.
        work: polynomial terms handled for one claim (about a microsecond each); shapes beyond are left out, and named.
        columns: columns of a linear program.
        solver: z3's resource limit for one goal; 0 for no solver.
        attempts: batches of sampled points for a goal that is not closed.
    """

    paths: int
    total: int
    work: int
    columns: int
    solver: int
    attempts: int = 4


BUDGETS = {
    "small": Budget(paths=80, total=160, work=400_000, columns=200, solver=0),
    "default": Budget(paths=600, total=2500, work=3_000_000, columns=1500, solver=2_000_000),
    "large": Budget(paths=6000, total=60_000, work=1_000_000_000, columns=4000, solver=20_000_000),
}

FIRST = Budget(paths=40, total=40, work=20_000, columns=100, solver=0, attempts=1)
"""For the first few of the small shapes: a claim takes some hundredths of a second."""


@dataclass
class Goal:
    """``lhs kind rhs`` on one path, and how it was closed.

    Attributes:
        name, kind, lhs, rhs: as stated.
        polynomial: its sign on the path decides.
        bound: what it is the numerator of: rhs - lhs, or a lower bound of it without logarithms; None if there is none.
        sum: rhs - lhs where that has logarithms, else None.
        closed: how it was closed; None if it was not.
    """

    name: str
    kind: str
    lhs: Any
    rhs: Any
    polynomial: Any
    bound: Any
    sum: logarithms.Logarithms | None = None
    closed: goals.Closed | None = None

    @property
    def wanted(self) -> Signs:
        """The signs that the polynomial must have."""
        return goals.WANTED[self.kind]


@dataclass
class Leaf:
    """One path as it is kept for the certificate.

    Attributes:
        path: its world, with decisions, facts, substitutions and roots.
        state: "stated", "vacuous", "undefined", "empty", or why the claim does not apply.
        goals: what it states.
        contradiction: terms that sum to 0 though one of them is positive, where the path is empty for that.
    """

    path: Path
    state: str
    goals: list[Goal] = field(default_factory=list)
    contradiction: tuple[Term, ...] = ()


@dataclass
class ShapeProof:
    """What was shown on one shape.

    Attributes:
        name: the shape.
        verdict: proved, refuted or open.
        paths: all paths; of them
        stated: paths on which the claim applies and says something,
        vacuous: applies and says nothing, undefined: a side does not exist, empty: conditions contradict each other,
        inapplicable: an assumption fails, or the numbers are no instance.
        hypotheses: the most conditions on one path.
        goals: number of goals that differ on their path.
        closed: how they were closed, method -> number.
        left: what stayed open, and why.
        complete: whether all its paths were run.
        inhabited: whether an instance was found that the claim speaks of.
        leaves: the paths. shape, space: what they are paths of.
    """

    name: str
    verdict: str = "open"
    paths: int = 0
    stated: int = 0
    vacuous: int = 0
    undefined: int = 0
    empty: int = 0
    inapplicable: int = 0
    hypotheses: int = 0
    goals: int = 0
    closed: Counter[str] = field(default_factory=Counter)
    left: list[str] = field(default_factory=list)
    complete: bool = False
    inhabited: bool = False
    leaves: list[Leaf] = field(default_factory=list, repr=False)
    shape: Shape | None = field(default=None, repr=False)
    space: Space | None = field(default=None, repr=False)

    @property
    def unclosed(self) -> bool:
        """Whether a goal stayed open."""
        return any(OPEN in reason for reason in self.left)


@dataclass
class Proof:
    """The answer of `prove`.

    Attributes:
        claim: the claim's id.
        level: small, default or large.
        verdict: "proved" (for all reals on every shape tried, at least one of them), "refuted" (``counterexample``,
            ``decision``), or "open".
        shapes: each shape tried.
        left: what stayed open, and why; shapes that were left out.
        certificate: of a proof (see `verify.proofs.certificate`), or of the counterexample; None where open.
        counterexample, decision: an exact instance and its decision.
        refuted_on: the shape of the counterexample.
        trusted: goals that rest on the solver alone.
        kind: what the proved shapes are, "networks of up to 3 weights".
        seconds: wall time, for display.
    """

    claim: str
    level: str
    verdict: str = "open"
    shapes: list[ShapeProof] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    certificate: dict[str, Any] | None = None
    counterexample: Any = None
    decision: Decision | None = None
    refuted_on: Shape | None = field(default=None, repr=False)
    trusted: int = 0
    kind: str = ""
    seconds: float = 0.0

    @property
    def proved_on(self) -> int:
        """Number of shapes proved."""
        return sum(s.verdict == "proved" for s in self.shapes)


class Refuted(Exception):
    """An exact instance refutes the claim."""

    def __init__(self, instance: Any, decision: Decision) -> None:
        super().__init__(str(decision))
        self.instance, self.decision = instance, decision


class Prover:
    """One claim (without the assumptions in ``drop``), shape by shape."""

    most_open = MOST_OPEN
    """Goals of a shape that may stay open before it is given up."""

    def __init__(self, claim: Claim, budget: Budget, drop: tuple[str, ...] = ()) -> None:
        self.claim, self.budget = claim, budget
        self.dropped = tuple(claim.assumption(name) for name in drop)
        self.kept = tuple(a for a in claim.assumptions if a.name not in drop)

    # -- concrete instances -------------------------------------------------------------------------

    def look(self, instance: Any) -> Decision | None:
        """The exact decision on an instance; None where the claim does not apply to it."""
        if not bool(instance.valid()) or not all(bool(a.predicate(instance)) for a in self.kept):
            return None
        return decide(self.claim.check(instance))

    def try_points(self, shape: Shape, points: list[list[fmpq]]) -> bool:
        """Whether some point is an instance that the claim says something of.

        Raises:
            Refuted: one refutes the claim.
        """
        said = False
        for values in points:
            try:
                instance = shape.instance(values)
                decision = self.look(instance)
            except (ZeroDivisionError, ValueError):
                continue
            if decision is not None and decision.verdict is Verdict.REFUTED:
                raise Refuted(instance, decision)
            said = said or (decision is not None and not decision.vacuous and decision.verdict is Verdict.HOLDS)
        return said

    # -- one shape ----------------------------------------------------------------------------------

    def run(self, shape: Shape, space: Space) -> list[Stated] | str:
        """The claim on the symbols of a shape: what it states, or why it does not apply."""
        instance = shape.instance([variable(space, i) for i in range(space.count)])
        try:
            if not bool(np.all(instance.valid())):
                return NOT_AN_INSTANCE
            for a in self.kept:
                if not bool(np.all(a.predicate(instance))):
                    return f"not {a.name}"
            return list(self._stated(self.claim.function(instance)))
        except ZeroDivisionError:
            return UNDEFINED
        except (ArithmeticError, ValueError, TypeError, NotImplementedError) as e:
            return f"{FAILED}{e}"  # as it may where the conditions of the path contradict each other

    def shape(self, shape: Shape, most: int, work: int | None = None) -> ShapeProof:
        """Run all paths of a shape and close their goals.

        Args:
            shape: the shape.
            most: paths to run at most.
            work: polynomial terms to handle at most; None for the budget of a claim.

        Raises:
            Refuted: with an exact instance.
        """
        space = Space(shape.names, self.budget.work if work is None else work)
        out = ShapeProof(shape.name, shape=shape, space=space)
        try:
            for path in explore(lambda: self.run(shape, space), space, min(most, self.budget.paths)):
                self._leaf(shape, space, path, out)
                if len(out.left) >= self.most_open:
                    out.left.append(f"not continued after {self.most_open} goals that stayed open")
                    break
            else:
                out.complete = True
        except (TooManyPaths, TooLarge, Undecided) as e:
            out.left.append(str(e))
        except (TypeError, NotImplementedError, ValueError) as e:
            out.left.append(f"cannot be run on symbols: {e}")
        if not out.left and not out.goals:
            out.left.append("no path states anything")
        elif not out.left and not out.inhabited:
            out.left.append("no instance was found that the claim speaks of")
        if not out.left:
            out.verdict = "proved"
        return out

    def _leaf(self, shape: Shape, space: Space, path: Path, out: ShapeProof) -> None:
        out.paths += 1
        out.hypotheses = max(out.hypotheses, len(path.world.trail))
        outcome = path.outcome
        leaf = Leaf(path, "stated")
        out.leaves.append(leaf)
        if path.empty:
            leaf.state, out.empty = "empty", out.empty + 1
            return
        if outcome == UNDEFINED:
            leaf.state, out.undefined = outcome, out.undefined + 1
            return
        if isinstance(outcome, str) and outcome.startswith(FAILED):
            leaf.contradiction = goals.inconsistent(path.world, self.budget.columns) or ()
            leaf.state, out.empty = "empty", out.empty + 1
            if not leaf.contradiction:
                out.left.append(outcome)
            return
        if isinstance(outcome, str):
            leaf.state, out.inapplicable = outcome, out.inapplicable + 1
            return
        if not outcome:
            leaf.state, out.vacuous = "vacuous", out.vacuous + 1
            return
        out.stated += 1
        world = path.world
        if not out.inhabited:
            out.inhabited = self.try_points(shape, sampling.sampled(world, space.one, None))
        contradiction: tuple[goals.Term, ...] | None = ()
        for goal in self._distinct(world, outcome):
            for columns in (0, self.budget.columns) if goal.bound is not None else ():
                goal.closed = goal.closed or goals.close(world, goal.polynomial, goal.wanted, columns)
            if goal.closed is None:
                self._sample(shape, world, goal)
                if contradiction == ():
                    contradiction = goals.inconsistent(world, self.budget.columns)
                if contradiction:
                    leaf.state, leaf.goals, leaf.contradiction = "empty", [], contradiction
                    out.empty, out.stated = out.empty + 1, out.stated - 1
                    return
            if goal.closed is None and self.budget.solver and goal.bound is not None:
                goal.closed = self._solver(shape, world, goal.polynomial, goal.wanted)
            leaf.goals.append(goal)
        for goal in leaf.goals:
            out.goals += 1
            if goal.closed is None:
                out.left.append(f"{goal.name}: {OPEN} {_short(goal.polynomial)} on path {out.paths}")
            else:
                out.closed["logarithms" if isinstance(goal.bound, logarithms.Bound) else goal.closed.method] += 1

    def _distinct(self, world: World, stated: list[Stated]) -> Iterator[Goal]:
        """The goals that differ on a path, with the polynomial whose sign decides each."""
        seen: set[tuple[str, str]] = set()
        for name, kind, lhs, rhs, gap in stated:
            bound: Any = gap
            if isinstance(gap, logarithms.Logarithms):
                if logarithms.is_zero(world, gap):
                    bound = fmpq(0)
                else:
                    bound = logarithms.bound(world, gap) if kind in ("<=", "<") else None
            value = bound.value if isinstance(bound, logarithms.Bound) else bound
            p = world.reduced(signed(value)) if isinstance(value, Quotient) else world.space.constant(value or 0)
            key = (kind, str(p) if bound is not None else name)
            if key not in seen:
                seen.add(key)
                yield Goal(name, kind, lhs, rhs, p, bound, gap if isinstance(gap, logarithms.Logarithms) else None)

    def _sample(self, shape: Shape, world: World, goal: Goal) -> None:
        """Try points of the path at which the goal looks wrong."""
        logs = goal.bound is None or isinstance(goal.bound, logarithms.Bound)
        for attempt in range(self.budget.attempts):
            # Of a sum of logarithms the sign is not known beforehand: more points are decided.
            most = 6 * sampling.MOST if logs else sampling.MOST
            points = sampling.sampled(world, goal.polynomial, None if logs else goal.wanted, attempt, most)
            if points:
                self.try_points(shape, points)
                if not logs:
                    break

    def _solver(self, shape: Shape, world: Any, p: Any, wanted: Signs) -> goals.Closed | None:
        from verify.proofs import solver

        answer = solver.ask(world, p, wanted, self.budget.solver)
        if answer is True:
            return goals.Closed(goals.SOLVER)
        if isinstance(answer, list):
            self.try_points(shape, [answer])
        return None

    @staticmethod
    def _stated(relation: Relation) -> Iterator[Stated]:
        for number, part in enumerate(relation.parts):
            sides = [np.asarray(_boxed(s)) for s in (part.lhs, part.rhs)]
            lhs, rhs, where = np.broadcast_arrays(*sides, np.asarray(part.where, dtype=bool))
            for a, b, relevant in zip(lhs.ravel(), rhs.ravel(), where.ravel(), strict=True):
                if not relevant:
                    continue
                a, b = _number(a), _number(b)
                logs = isinstance(a, LogSum) or isinstance(b, LogSum)
                gap = logarithms.difference(active(), a, b) if logs else b - a
                yield part.name or str(number + 1), part.kind, a, b, gap


def _boxed(side: Any) -> Any:
    if isinstance(side, np.ndarray):
        return side
    out = np.empty((), dtype=object)
    out[()] = side
    return out


def _number(value: Any) -> Any:
    if isinstance(value, Quotient | fmpq):
        return value
    if isinstance(value, LogSum):
        return value
    if isinstance(value, bool | int | np.bool_ | np.integer):
        return fmpq(int(value))
    raise TypeError(f"a side is {type(value).__name__}, neither rational nor a symbol")


def _short(p: Any) -> str:
    text = str(p)
    return text if len(text) < 80 else f"{text[:77]}..."


def prove(claim: Claim | str, *, shapes: str = "default", seconds: float | None = None, drop: tuple[str, ...] = (),
          budget: Budget | None = None, progress: Callable[[str], None] | None = None) -> Proof:  # fmt: skip
    """Prove a claim for all real numbers on small shapes, or refute it.

    Args:
        claim: a claim or its id.
        shapes: "small", "default" or "large".
        seconds: stop after so long (what is left out is named); None for no limit, so that the answer is the same
            on every machine.
        drop: assumptions not to use.
        budget: how much work; None for that of the shapes (`BUDGETS`).
        progress: called with the name of each shape.

    Raises:
        KeyError: no such claim or assumption.
        ValueError: unknown shapes.
    """
    claim = claim_named(claim) if isinstance(claim, str) else claim
    start = time.monotonic()
    out = Proof(claim.id, shapes)
    todo = all_shapes(claim, shapes)
    prover = Prover(claim, budget or BUDGETS[shapes], drop)
    if not todo:
        out.left.append("no shapes: its setting is not one of algebra")
    spent, worked, beyond, unclosed = 0, 0, 0, 0
    try:
        for shape in todo:
            if seconds is not None and time.monotonic() - start > seconds:
                out.left.append(f"{len(todo) - len(out.shapes)} shapes left out after {seconds:g} s")
                break
            if unclosed == MOST_OPEN_SHAPES:
                out.left.append(f"{len(todo) - len(out.shapes)} shapes left out: {MOST_OPEN_SHAPES} have open goals")
                break
            room = prover.budget.total - spent
            left = prover.budget.work - worked
            if room <= 0 or left <= 0:
                beyond += 1
                continue
            if progress is not None:
                progress(shape.name)
            done = prover.shape(shape, room, left)
            assert done.space is not None
            spent, worked = spent + done.paths, worked + done.space.work
            out.shapes.append(done)
            unclosed += done.unclosed
    except Refuted as e:
        from verify import certificates

        out.verdict, out.counterexample, out.decision, out.refuted_on = "refuted", e.instance, e.decision, shape
        out.certificate = certificates.certificate(claim, e.instance, e.decision, prover.dropped)
        out.seconds = time.monotonic() - start
        return out
    if beyond:
        out.left.append(
            f"{beyond} larger shapes are beyond the budget of {prover.budget.total} paths "
            f"and {prover.budget.work} terms"
        )
    out.left += [f"{s.name}: {reason}" for s in out.shapes for reason in s.left[:2]]
    out.trusted = sum(s.closed[goals.SOLVER] for s in out.shapes)
    out.kind = kind_of(claim, [s.shape for s in out.shapes if s.verdict == "proved" and s.shape is not None])
    if out.proved_on and not unclosed:
        out.verdict = "proved"
    out.seconds = time.monotonic() - start
    return out
