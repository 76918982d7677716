"""`falsify`: look for a counterexample to a claim, decide it exactly, shrink it, certify it.

The stages, each of which can be switched off and reports what it contributed:

0. *replay*: what earlier runs have found, if there is a database of it (see `verify.search.examples`);
1. *scan*: stacks of small fillings in float64, the smallest structures first, over varied sparsity and
   scale; what looks violated is recomputed in exact rationals, and a sample of the rest as well;
2. *climb*: mutation of the instances nearest to violation, still in stacks;
3. *hypothesis*: exact instances drawn by Hypothesis, with the margin as its target;
4. *shrink*: exact reduction of what was found.

Everything follows from the seed; nothing draws from a global generator. Floating point never decides.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from theory.claims import Assumption, Claim, Status
from theory.relations import Decision, Verdict, decide, margins
from verify import certificates
from verify.search.smallest import smallest
from verify.search.strategies import StackChooser, draw, instances

if TYPE_CHECKING:
    from hypothesis.database import ExampleDatabase

STAGES = ("scan", "climb", "hypothesis")
SUSPICIOUS = -1e-9
"""Relative float64 margin under which an instance is recomputed exactly. A filter, never a verdict."""
STACKS, PART = 8, 4
"""A round of the scan is so many stacks, each with a structure of its own and a part of the size of one that climbs."""
MOST = 7
"""Structural integers stay within this of the smallest."""
WOLVES = 32
"""After so many instances that only looked violated, one of each stack is recomputed instead of four."""


@dataclass
class Outcome:
    """What a search found.

    Attributes:
        claim: the claim's id.
        verdict: "survived" (no counterexample among ``examples`` exactly decided instances and
            ``screened`` screened ones: not a proof), "refuted", "undecided" (nothing was decided) or
            "not applicable".
        counterexample: the shrunk exact instance, or None.
        decision: its exact decision.
        certificate: the counterexample as JSON (see `verify.certificates`), or None.
        examples: instances decided exactly (in rationals or balls).
        screened: instances looked at in stacked float64.
        vacuous: exactly decided instances on which no premise of the claim held.
        undecided: exact instances that neither held nor failed at the highest precision.
        undefined: instances on which a side does not exist (only when an assumption was dropped).
        undefined_at: seconds until the first of them.
        smallest_margin: smallest relative margin seen among instances that satisfy the assumptions.
        hardest: the exact decision with the smallest margin among those that held.
        seconds: wall time.
        cut: "cut short after N of M ..." where a limit in seconds struck; empty where none did.
        stage: which stage found the counterexample.
        stages: what each stage looked at.
        reasons: sentences on what was dropped, why something is not applicable, what limits the answer.
        seed: the seed.
        on: what it ran on.
    """

    claim: str
    verdict: str = "survived"
    counterexample: Any = None
    decision: Decision | None = None
    certificate: dict[str, Any] | None = None
    examples: int = 0
    screened: int = 0
    vacuous: int = 0
    undecided: int = 0
    undefined: int = 0
    undefined_at: float = float("nan")
    smallest_margin: float = float("inf")
    hardest: Decision | None = None
    seconds: float = 0.0
    cut: str = ""
    stage: str = ""
    stages: dict[str, str] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    seed: int = 0
    on: str = "drawn instances"

    @property
    def hows(self) -> str:
        """How the deciding instance was decided."""
        best = self.decision or self.hardest
        return best.how if best else ""


class Search:
    """One run of `falsify`; see there."""

    def __init__(self, claim: Claim, drop: tuple[str, ...], examples: int, seconds: float | None, seed: int) -> None:
        self.claim = claim
        self.dropped: tuple[Assumption, ...] = tuple(claim.assumption(name) for name in drop)
        self.kept = tuple(a for a in claim.assumptions if a.name not in drop)
        self.examples, self.seed = examples, seed
        self.start = time.monotonic()
        self.deadline = math.inf if seconds is None else self.start + seconds
        self.outcome = Outcome(claim.id, seed=seed)
        self.found: Any = None
        self.nearest: list[tuple[float, Any]] = []
        self.aside: list[Any] = []
        self.wolves = 0

    # -- one instance -------------------------------------------------------------------------

    def satisfied(self, instance: Any) -> np.ndarray:
        """Which instances of a stack satisfy the domain and the kept assumptions."""
        count = instance.count
        ok = np.broadcast_to(np.asarray(instance.valid(), dtype=bool), (count,)).copy()
        for a in self.kept:
            if not ok.any():
                break
            with np.errstate(all="ignore"):
                ok &= np.broadcast_to(np.asarray(a.predicate(instance), dtype=bool), (count,))
        return ok

    def applies(self, instance: Any) -> bool:
        """Whether one exact instance satisfies the domain and the kept assumptions."""
        return bool(instance.valid()) and all(bool(a.predicate(instance)) for a in self.kept)

    def refutes(self, instance: Any) -> bool:
        """Whether one exact instance, in the domain, refutes the claim; for shrinking."""
        try:
            return self.applies(instance) and decide(self.claim.check(instance)).verdict is Verdict.REFUTED
        except (ZeroDivisionError, ValueError):
            return False

    def look(self, instance: Any) -> Decision | None:
        """Decide one exact instance and record it; None where the claim does not apply."""
        if not self.applies(instance):
            return None
        out, decision = self.outcome, decide(self.claim.check(instance))
        out.examples += 1
        out.vacuous += decision.vacuous
        if decision.verdict is Verdict.UNDECIDED:
            if decision.how.startswith("undefined"):
                out.undefined_at = out.undefined_at if out.undefined else time.monotonic() - self.start
                out.undefined += 1
            else:
                out.undecided += 1
        elif decision.verdict is Verdict.REFUTED:
            self.found = instance
            out.decision = decision
        elif not decision.vacuous and (out.hardest is None or decision.margin < out.hardest.margin):
            out.hardest = decision
        if not np.isnan(decision.margin):
            out.smallest_margin = min(out.smallest_margin, decision.margin)
        return decision

    def out_of_time(self) -> bool:
        return time.monotonic() > self.deadline

    # -- stages -------------------------------------------------------------------------------

    def screen(self, stack: Any, sample: int, rng: np.random.Generator) -> None:
        """Screen a stack, recompute exactly what looks violated, and put ``sample`` others aside for `audit`."""
        ok = self.satisfied(stack)
        usable = np.flatnonzero(ok)
        self.outcome.screened += len(usable)
        if not len(usable):
            return
        chosen = stack.take(usable)
        with np.errstate(all="ignore"):
            relation = self.claim.check(chosen)
        if relation.undefined:
            m = np.full(len(usable), np.nan)
        else:
            m = np.broadcast_to(margins(relation), (len(usable),))
        odd = np.flatnonzero(suspicious(m))
        odd = odd[np.argsort(np.nan_to_num(m[odd], nan=0.0), kind="stable")]
        for i in odd[: 4 if self.wolves < WOLVES else 1]:
            self.look(chosen.at(int(i)))
            if self.found is not None:
                return
            self.wolves += 1
        finite = np.flatnonzero(np.isfinite(m))
        if len(finite):
            near = finite[np.argsort(m[finite], kind="stable")[:2]]
            self.nearest += [(float(m[i]), chosen.take([int(i)])) for i in near]
            self.nearest = sorted(self.nearest, key=lambda t: t[0])[:8]
        pool = finite if len(finite) else np.arange(len(usable))
        if sample:
            self.aside.append(chosen.take(np.sort(rng.choice(pool, min(sample, len(pool)), replace=False))))

    def audit(self, most: int) -> None:
        """Decide exactly what `screen` put aside, one of each stack in turn: what float64 may be blind to."""
        for depth in range(max((s.count for s in self.aside), default=0)):
            for stack in self.aside:
                if most <= 0 or self.found is not None or self.out_of_time():
                    return
                if depth < stack.count:
                    self.look(stack.at(depth))
                    most -= 1

    def replay(self, store: ExampleDatabase) -> None:
        """Stage 0."""
        from verify.search import examples

        names, tried = tuple(a.name for a in self.dropped), 0
        for value, instance in examples.kept(store, self.claim, names):
            tried += 1
            if self.refutes(instance):
                self.look(instance)
                break
            store.delete(examples.key(self.claim, names), value)
        if tried:
            self.outcome.stages["replay"] = f"{tried} kept by earlier runs"

    def scan(self, rounds: int, size: int) -> None:
        """Stage 1: many small stacks, since structures differ between stacks only; exact decisions come last."""
        before = self.outcome.screened
        single = not self.claim.setting.stackable or not self.claim.draws.get("stack", True)
        exactly = max(1, 3 * self.examples // 4)
        share = -(-exactly // rounds)
        stacks = rounds if single else STACKS * rounds
        done = 0
        for r in range(stacks):
            if self.found is not None or (self.out_of_time() and done):
                break
            rng = np.random.default_rng([self.seed, 1, r])
            limit = growing(r)
            broken = self.dropped[r % len(self.dropped)] if self.dropped and r % 4 < 3 else None
            if single:
                for _ in range(min(share, max(1, exactly - share * r))):
                    self.look(draw(self.claim, StackChooser(rng, None, limit), broken))
                    if self.found is not None or self.out_of_time():
                        break
            else:
                self.screen(draw(self.claim, StackChooser(rng, max(1, size // PART), limit), broken), share, rng)
            done += 1
        self.audit(exactly)
        self.outcome.stages["scan"] = f"{done} stacks, {self.outcome.screened - before} instances"

    def climb(self, generations: int, size: int) -> None:
        """Stage 2."""
        before, starts = self.outcome.screened, [s for _, s in self.nearest[:4]]
        done = 0
        for g in range(generations):
            if self.found is not None or not starts or self.out_of_time():
                break
            rng = np.random.default_rng([self.seed, 2, g])
            start = starts[g % len(starts)] if g < 2 * len(starts) else self.nearest[g % min(4, len(self.nearest))][1]
            self.screen(mutated(start, size, rng), 0, rng)
            done += 1
        self.outcome.stages["climb"] = f"{done} generations, {self.outcome.screened - before} instances"

    def hypothesis(self, examples: int) -> None:
        """Stage 3."""
        from hypothesis import HealthCheck, Phase, given, seed, settings, target
        from hypothesis.errors import Unsatisfiable

        class Found(BaseException):
            """Not an `Exception`, so that Hypothesis stops at once instead of shrinking; `shrink` does that."""

        tried = 0

        @seed(self.seed)
        @settings(
            max_examples=max(1, examples),
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.target),
            report_multiple_bugs=False,
            print_blob=False,
        )
        @given(instances(self.claim, tuple(a.name for a in self.dropped)))
        def look(instance: Any) -> None:
            nonlocal tried
            if self.found is not None or self.out_of_time():
                return
            tried += 1
            decision = self.look(instance)
            if decision is not None and np.isfinite(decision.margin):
                target(-decision.margin)
            if self.found is not None:
                raise Found

        try:
            look()
        except (Found, Unsatisfiable):
            pass
        self.outcome.stages["hypothesis"] = f"{tried} instances"

    def finish(self, seconds: float) -> Outcome:
        """Stage 4, and the verdict."""
        out = self.outcome
        if self.found is not None:
            small = smallest(self, self.found, seconds) if seconds else self.found
            if small is not self.found or out.decision is None:
                out.decision = decide(self.claim.check(small))
            out.counterexample, out.verdict = small, "refuted"
            out.smallest_margin = min(out.smallest_margin, out.decision.margin)
            out.certificate = certificates.certificate(self.claim, small, out.decision, self.dropped, self.seed)
        elif out.examples == 0:
            out.verdict = "undecided"
            out.reasons.append("no drawn instance satisfied the assumptions: the strategy is too weak")
        elif out.examples == out.undecided + out.undefined + out.vacuous:
            out.verdict = "undecided"
            out.reasons.append(
                f"of {out.examples} instances {out.undecided} undecided, "
                f"{out.undefined} undefined, {out.vacuous} vacuous"
            )
        if out.undefined and not self.found:
            out.reasons.append(f"undefined on {out.undefined} instances")
        if self.dropped:
            out.reasons.append("without " + ", ".join(a.name for a in self.dropped))
        out.seconds = time.monotonic() - self.start
        return out


@dataclass
class Seen:
    """What `look_through` met besides decisions.

    Attributes:
        tried: instances that were taken up.
        broken: for each assumption, the instances on which it does not hold.
        left_out: for each reason, the instances that could not be decided for it.
        gaps: of equalities known to a rounding bound, how well each is known to agree.
    """

    tried: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    gaps: list[float] = field(default_factory=list)


def look_through(
    search: Search,
    instances: Iterable[Any],
    most: int,
    left_out: Callable[[Exception], bool] = lambda e: False,
    patience: int | None = None,
) -> Seen:
    """Decide single instances that a subject yields, until one refutes the claim.

    Args:
        search: takes up what is decided.
        instances: the instances, most telling first.
        most: how many to take up.
        left_out: whether an exception only means that this instance cannot be decided.
        patience: stop after so many that were left out while none was decided; None: go on.
    """
    seen = Seen()
    try:
        for instance in itertools.islice(instances, most):
            if seen.tried and search.out_of_time():
                search.outcome.cut = f"cut short after {seen.tried} of {most} instances"
                break
            seen.tried += 1
            try:
                decision = search.look(instance)
            except Exception as e:
                if not left_out(e):
                    raise
                seen.left_out[str(e)] = seen.left_out.get(str(e), 0) + 1
                if seen.tried == sum(seen.left_out.values()) == patience:
                    break
                continue
            if decision is None:
                for a in search.claim.applies(instance) if bool(instance.valid()) else ():
                    seen.broken[a.name] = seen.broken.get(a.name, 0) + 1
            elif decision.agrees is not None:
                seen.gaps.append(decision.agrees)
            if search.found is not None:
                break
    except KeyboardInterrupt:
        search.outcome.reasons.append("interrupted: what was seen so far")
    return seen


def growing(r: int) -> int:
    """How much structure stack ``r`` may have: 0, then 0 1, then 0 1 2, ... up to 7; small ones never stop."""
    top = 0
    while r > top:
        r, top = r - top - 1, min(top + 1, MOST)
    return r


def suspicious(m: np.ndarray) -> np.ndarray:
    """Which relative margins look violated: beyond rounding, or a strict comparison tied, or undefined."""
    tied = (m < 0) & (m > -1e-290)
    return np.isnan(m) | (m < SUSPICIOUS) | tied


def mutated(one: Any, size: int, rng: np.random.Generator) -> Any:
    """A stack of ``size`` mutations of a stack of one: entries zeroed, negated, doubled, halved, nudged."""
    changed = {}
    names = [n for n in one.arrays() if getattr(one, n) is not None]
    entries = max(1, sum(np.size(getattr(one, n)[0]) for n in names))
    for name in names:
        a = np.repeat(np.asarray(getattr(one, name), dtype=float), size, axis=0)
        hit = rng.random(a.shape) < min(0.5, 1.5 / entries)
        nudge = a + rng.integers(-4, 5, a.shape) * 2.0 ** rng.integers(-4, 1, a.shape)
        options = [np.zeros_like(a), -a, 2 * a, a / 2, np.ones_like(a)]
        which = rng.integers(0, 8, a.shape)
        changed[name] = np.where(hit, np.select([which == i for i in range(5)], options, nudge), a)
    return one.with_(**changed)


def falsify(
    claim: Claim | str,
    *,
    on: Any = None,
    drop: Iterable[str] = (),
    examples: int = 1000,
    seconds: float | None = 30.0,
    seed: int = 0,
    stages: Iterable[str] = STAGES,
    rounds: int = 24,
    stack: int = 512,
    shrinking: bool = True,
    database: ExampleDatabase | None = None,
) -> Outcome:
    """Search for a counterexample to ``claim``.

    Args:
        claim: a claim or its id.
        on: None to draw instances; or a subject with ``falsify(claim, search options) -> Outcome``
            (see `verify.networks.claims.subject`), such as a torch module with inputs.
        drop: names of assumptions not to require.
        examples: how many instances to decide exactly, about; screening looks at many more.
        seconds: wall-clock limit; within it the result depends on the seed alone.
        seed: the seed of everything random.
        stages: which of "scan", "climb", "hypothesis" to run.
        rounds: stacks in the scan.
        stack: instances a stack.
        shrinking: whether to make a counterexample small (stage 4).
        database: where counterexamples are kept, and those kept are tried first; None: nowhere, so that the
            outcome follows from the seed.

    Raises:
        KeyError: no such claim or assumption.
        ValueError: an unknown stage, or a budget that is not positive.
    """
    if isinstance(claim, str):
        from theory.claims import claim_named

        claim = claim_named(claim)
    stages = tuple(stages)
    if unknown := [s for s in stages if s not in STAGES]:
        raise ValueError(f"unknown stage {unknown[0]!r}; known: {', '.join(STAGES)}")
    if examples < 1 or (seconds is not None and seconds <= 0):
        raise ValueError(f"examples must be at least 1 and seconds positive; got {examples} and {seconds}")
    if on is not None:
        return on.falsify(claim, drop=tuple(drop), examples=examples, seconds=seconds, seed=seed)
    if claim.status is Status.EMPIRICAL and not claim.setting.arrays():
        return Outcome(
            claim.id,
            verdict="not applicable",
            reasons=[f"decided by experiments, not by drawn instances: python -m verify run {claim.id} --scale small"],
        )
    search = Search(claim, tuple(drop), examples, seconds, seed)
    try:
        if database is not None:
            search.replay(database)
        if "scan" in stages and search.found is None:
            search.scan(rounds, stack)
        if "climb" in stages and search.found is None:
            search.climb(rounds, stack)
        if "hypothesis" in stages and search.found is None:
            search.hypothesis(examples // 4)  # slow, and a different mind: a quarter of what is decided
    except KeyboardInterrupt:
        search.outcome.reasons.append("interrupted: what was seen so far")
    search.outcome.stage = list(search.outcome.stages)[-1] if search.found is not None else ""
    replayed = search.outcome.stage == "replay"
    outcome = search.finish(max(2.0, min(10.0, seconds or 10.0)) if shrinking and not replayed else 0.0)
    if replayed:
        outcome.reasons.append("an earlier run found this; a run with --seed searches anew")
    elif database is not None and outcome.counterexample is not None:
        from verify.search import examples as kept

        kept.keep(database, claim, tuple(a.name for a in search.dropped), outcome.counterexample)
    return outcome
