"""`falsify`: look for a counterexample to a claim, decide it exactly, shrink it, certify it.

The stages, each of which can be switched off and reports what it contributed:

0. *replay*: what earlier runs have found, if there is a database of it (see `verify.search.examples`);
1. *scan*: stacks of small fillings in float64, the smallest structures first and the last third uniform in
   structure, over varied sparsity and scale, every third stack beyond the claim's hints; what looks violated is
   decided in exact rationals at once, and a sample of each stack as well;
2. *climb*: mutation of the instances nearest to violation, still in stacks;
3. *hypothesis*: exact instances drawn by Hypothesis, with the margin as its target;
4. *shrink*: the smallest counterexample, the same from every seed where it can be (see `verify.search.smallest`).

Everything follows from the seed and the budget, which counts work; nothing draws from a global generator, and
the clock decides nothing: a limit in seconds is off unless a person sets one, and what it cuts short is said.
Floating point never decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from theory.claims import Claim, Status, claim_named
from theory.relations import Decision, Verdict, decide
from verify import certificates
from verify.search import examples as kept_examples
from verify.search.budgets import Limit
from verify.search.outcome import Outcome
from verify.search.screening import MOST, Problem, mutated, size_limit, suspicious
from verify.search.smallest import reduced, smallest
from verify.search.strategies import StackChooser, instances

if TYPE_CHECKING:
    from hypothesis.database import ExampleDatabase

STAGES = ("scan", "climb", "hypothesis")
STACKS, PART = 8, 4
"""A round of the scan is so many stacks, each with a structure of its own and a part of the size of one that climbs."""
FALSE_ALARMS = 32
"""After so many instances that only looked violated, one of each stack is decided exactly instead of four."""


class Search(Problem):
    """One run of `falsify`; see there."""

    def __init__(self, claim: Claim, drop: tuple[str, ...], examples: int, seconds: float | None, seed: int) -> None:
        super().__init__(claim, drop)
        self.examples, self.seed = examples, seed
        self.limit = Limit(seconds)
        self.outcome = Outcome(claim.id, seed=seed)
        self.found: Any = None
        self.nearest: list[tuple[float, Any]] = []
        self.aside: list[list[Any]] = []
        self.decided: set[str] = set()
        self.false_alarms = 0

    # -- one instance -------------------------------------------------------------------------

    def look(self, instance: Any) -> Decision | None:
        """Decide one exact instance and record it; None where the claim does not apply."""
        if not self.applies(instance):
            return None
        out, decision = self.outcome, decide(self.claim.check(instance))
        out.examples += 1
        out.vacuous += decision.vacuous
        if decision.verdict is Verdict.UNDECIDED:
            if decision.how.startswith("undefined"):
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

    def look_once(self, instance: Any) -> Decision | None:
        """`look`, unless the same instance was decided before."""
        key = instance.key()
        if key in self.decided:
            return None
        self.decided.add(key)
        return self.look(instance)

    def out_of_time(self) -> bool:
        """Whether a limit in seconds, if somebody set one, has been reached."""
        return self.limit.passed()

    @property
    def over(self) -> bool:
        """Whether to stop: something was found, or a person's limit in seconds was reached."""
        return self.found is not None or self.limit.passed()

    # -- stages -------------------------------------------------------------------------------

    def screen(self, stack: Any, sample: int, rng: np.random.Generator) -> None:
        """Screen a stack, decide what looks violated, and put ``sample`` others aside for `audit`."""
        usable = np.flatnonzero(self.satisfied(stack))
        self.outcome.screened += len(usable)
        if not len(usable):
            return
        chosen = stack.take(usable)
        m = self.margins(chosen)
        odd = np.flatnonzero(suspicious(m))
        odd = odd[np.argsort(np.nan_to_num(m[odd], nan=0.0), kind="stable")]
        for i in odd[: 4 if self.false_alarms < FALSE_ALARMS else 1]:
            self.look_once(chosen.at(int(i)))
            if self.found is not None:
                return
            self.false_alarms += 1
        finite = np.flatnonzero(np.isfinite(m))
        if len(finite):
            near = finite[np.argsort(m[finite], kind="stable")[:2]]
            self.nearest += [(float(m[i]), chosen.take([int(i)])) for i in near]
            self.nearest = sorted(self.nearest, key=lambda t: t[0])[:8]
        pool = finite if len(finite) else np.arange(len(usable))
        if sample:
            picked = chosen.take(np.sort(rng.choice(pool, min(sample, len(pool)), replace=False)))
            self.aside.append([picked.at(i) for i in range(picked.count)])

    def audit(self, upto: int) -> None:
        """Decide what `screen` put aside until ``upto`` instances are decided, one of each stack in turn.

        These are what float64 may be blind to. The newest stack comes first.
        """
        while any(self.aside):
            self.aside = [sample for sample in self.aside if sample]
            for sample in reversed(self.aside):
                if self.over or self.outcome.examples >= upto:
                    return
                self.look_once(sample.pop())

    def replay(self, store: ExampleDatabase) -> None:
        """Stage 0."""
        names, tried = tuple(a.name for a in self.dropped), 0
        for value, instance in kept_examples.kept(store, self.claim, names):
            tried += 1
            if self.refutes(instance):
                self.look(instance)
                break
            store.delete(kept_examples.key(self.claim, names), value)
        if tried:
            self.outcome.stages["replay"] = f"{tried} kept by earlier runs"

    def scan(self, rounds: int, size: int) -> None:
        """Stage 1: many small stacks, since structures differ between stacks only; exact decisions all along."""
        before = self.outcome.screened
        exactly = max(1, 3 * self.examples // 4)
        share = -(-exactly // rounds)
        stacks = STACKS * rounds if self.stackable else rounds
        done = 0
        for r in range(stacks):
            if self.over:
                break
            rng = np.random.default_rng([self.seed, 1, r])
            uniform = 3 * r >= 2 * stacks
            limit = MOST if uniform else size_limit(r)
            if self.stackable:
                chooser = StackChooser(rng, max(1, size // PART), limit, uniform=uniform)
                self.screen(self.drawn(chooser, r), share, rng)
                self.audit(max(1, exactly * (r + 1) // stacks))
            else:
                for n in range(min(share, max(1, exactly - share * r))):
                    self.look_once(self.drawn(StackChooser(rng, None, limit, uniform=uniform), r + n))
                    if self.over:
                        break
            done += 1
        self.audit(exactly)
        self.outcome.stages["scan"] = f"{done} stacks, {self.outcome.screened - before} instances"

    def climb(self, generations: int, size: int) -> None:
        """Stage 2."""
        before, starts = self.outcome.screened, [s for _, s in self.nearest[:4]]
        done = 0
        for g in range(generations):
            if self.over or not starts:
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
            if self.over:
                return
            tried += 1
            decision = self.look_once(instance)
            if decision is not None and np.isfinite(decision.margin):
                target(-decision.margin)
            if self.found is not None:
                raise Found

        with kept_examples.imports_unseen(), suppress(Found, Unsatisfiable):
            look()
        self.outcome.stages["hypothesis"] = f"{tried} instances"

    def finish(self, shrinking: bool = True, *, drawn: bool = False) -> Outcome:
        """Stage 4, and the verdict; ``drawn``: the smallest of all instances, else reduced from what was found."""
        out = self.outcome
        if self.limit.struck:
            out.cut = f"cut short after {out.examples} of {self.examples} instances decided exactly"
            out.reasons.append(out.cut)
        if self.found is not None:
            make_small = smallest if drawn else reduced
            small = make_small(self, self.found, self.limit) if shrinking else self.found
            if small is not self.found or out.decision is None:
                out.decision = decide(self.claim.check(small))
            out.counterexample, out.verdict = small, "refuted"
            out.smallest_margin = min(out.smallest_margin, out.decision.margin)
            out.certificate = certificates.certificate(self.claim, small, out.decision, self.dropped, self.seed)
        elif out.examples == 0:
            out.verdict = "undecided"
            if not out.cut:
                out.reasons.append("no drawn instance satisfied the assumptions: the strategy is too weak")
        elif out.examples == out.undecided + out.undefined + out.vacuous:
            out.verdict = "undecided"
            out.reasons.append(
                f"of {out.examples} instances {out.undecided} undecided, "
                f"{out.undefined} undefined, {out.vacuous} vacuous"
            )
        if out.undefined and self.found is None:
            out.reasons.append(f"undefined on {out.undefined} instances")
        if self.dropped:
            out.reasons.append("without " + ", ".join(a.name for a in self.dropped))
        out.seconds = self.limit.elapsed()
        return out


def falsify(
    claim: Claim | str,
    *,
    on: Any = None,
    drop: Iterable[str] = (),
    examples: int = 1000,
    seconds: float | None = None,
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
        seconds: a limit for people; None: no limit. What it cuts short is said in ``Outcome.cut``; without it
            the outcome depends on claim, budget and seed alone.
        seed: the seed of everything random.
        stages: which of "scan", "climb", "hypothesis" to run.
        rounds: rounds of the scan, and generations of the climb.
        stack: instances a stack.
        shrinking: whether to make a counterexample small (stage 4).
        database: where counterexamples are kept, and those kept are tried first; None: nowhere, so that the
            outcome follows from the seed.

    Raises:
        KeyError: no such claim or assumption.
        ValueError: an unknown stage, or a budget that is not positive.
    """
    if isinstance(claim, str):
        claim = claim_named(claim)
    stages = tuple(stages)
    if unknown := [s for s in stages if s not in STAGES]:
        raise ValueError(f"unknown stage {unknown[0]!r}; known: {', '.join(STAGES)}")
    if examples < 1 or rounds < 1 or stack < 1:
        raise ValueError(f"examples, rounds and stack must be at least 1; got {examples}, {rounds} and {stack}")
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
    outcome = search.finish(shrinking and not replayed, drawn=True)
    if replayed:
        outcome.reasons.append("an earlier run found this; a run with --seed searches anew")
    elif database is not None and outcome.counterexample is not None:
        kept_examples.keep(database, claim, tuple(a.name for a in search.dropped), outcome.counterexample)
    return outcome


__all__ = ["STAGES", "Search", "falsify"]
