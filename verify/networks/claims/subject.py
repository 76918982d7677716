"""A torch module with inputs as a subject that claims are checked on.

`Subject.falsify` is what `verify.search.loop.falsify(on=...)` calls: it says whether a claim applies to the
module, searches over inputs, scales and masks of it, and tries the claim also where it does not apply.
A module small enough to enumerate becomes an exact network, on which every claim can run; any other is
`verify.networks.claims.module_on_data.ModuleOnData`. What a search may spend is counted in operations
(`verify.networks.claims.budget`): the outcome follows from the module, its inputs, the budget and the seed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

import verify.networks.claims.restated_flow  # noqa: F401  (registers its forms)
from theory.claims import Claim
from theory.flows import ObjectiveOnNetwork, RescaledNetwork
from theory.guarded import GuardedRun
from theory.network_sketches import NetworkWeights
from theory.paths import NetworkOnData
from theory.pruning import PruningRun
from theory.relations import Verdict, agreement, decide
from verify.networks.claims import budget
from verify.networks.claims.assumptions import ASSUMPTIONS, Report, assumptions
from verify.networks.claims.climb import OUTPUTS, climb
from verify.networks.claims.enumerated import Enumerated, enumerated
from verify.networks.claims.module_on_data import ModuleOnData
from verify.networks.claims.module_run import RUN_FORMS, SCORERS, ModuleRun, on_runs
from verify.networks.claims.restated import FORMS, HOW, without_enumeration
from verify.networks.claims.undecided import ENUMERATED, NOTHING, UNDONE, WHY, Undecided
from verify.networks.claims.varied import Variations
from verify.networks.recording.graph import NotCovered as NotCovered
from verify.search.given import Seen, look_through
from verify.search.loop import Search
from verify.search.outcome import Outcome
from verify.search.shrink import shrink

SETTINGS = (NetworkOnData, NetworkWeights, ObjectiveOnNetwork, RescaledNetwork, PruningRun, GuardedRun)
"""The settings whose claims are about a network, with or without more than its data."""
TRIED = 20_000_000
"""Weights up to which a module is pruned where a claim about pruning runs does not apply, to see what happens."""
PATIENCE = 3
"""After so many instances on which a form cannot be evaluated, and none on which it can, the search ends."""
BEFORE = 3
"""Instances that are looked at before a gradient is followed, which costs more."""
RUN = 10
"""Instances of a module that one pruning run costs as much as, about."""
COUNTS = ("synaptic-flow/released-count-is-exact",)
"""Claims about the numbers of weights in a run alone, which cost nothing."""


def about_networks(claim: Claim) -> bool:
    """Whether a claim can be asked of a module with inputs."""
    return claim.setting in SETTINGS or issubclass(NetworkOnData, claim.setting)


class Subject:
    """A module with inputs, searched over. It is recorded once, and what claims share is computed once.

    Args:
        module: the module; left as it was, and not to be changed while the subject is in use.
        x: inputs, samples first.
        name: how outcomes call it.
        climbing: whether the gradient of the margin is followed.
        report: which assumptions hold of the module, where that is known already.
    """

    def __init__(
        self, module: nn.Module, x: Tensor, name: str = "torch module", *, climbing: bool = True,
        report: Report | None = None,
    ) -> None:  # fmt: skip
        self.module, self.x, self.name, self.climbing = module, x, name, climbing
        self._report = report
        self._trial_runs: dict[str, ModuleRun] = {}
        self._variations: dict[int, Variations] = {}

    @cached_property
    def report(self) -> Report:
        """Which assumptions hold of the module."""
        if self._report is not None:
            return self._report
        with budget.single_threaded():
            return assumptions(self.module, self.x, limit=budget.TOLD_APART)

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """The module's tensors in float64, as they were when first asked for."""
        assert self.report.graph is not None
        return {n: t.clone() for n, t in self.report.graph.tensors(self.module, torch.float64).items()}

    @cached_property
    def given(self) -> ModuleOnData:
        """The module with its inputs, as given; with the first of them only where all would take too long."""
        graph, run = self.report.graph, self.report.forward
        assert graph is not None
        x = self.x.detach().double()
        whole = ModuleOnData(graph, self.tensors, x, run=run, limit=0)
        count = budget.affordable_samples(graph, self.tensors, budget.GIVEN, len(x))
        if count == len(x):
            return whole
        what = f"as given (the first {count} of {len(x)} inputs)"
        return ModuleOnData(graph, self.tensors, x[:count], what=what, run=whole.first(count).run, limit=0)

    @cached_property
    def formal(self) -> ModuleOnData:
        """The module as given with every gate the sign of what float64 gives: what is tried where no claim applies."""
        assert self.report.graph is not None
        count = budget.affordable_samples(self.report.graph, self.tensors, budget.GIVEN, len(self.x))
        return ModuleOnData(self.report.graph, self.tensors, self.x[:count].detach().double(), formal=True)

    @cached_property
    def enumerated(self) -> Enumerated | None:
        """The module in exact rationals; None if it is too large to enumerate."""
        graph = self.report.graph
        return None if graph is None else enumerated(graph, self.tensors, self.x)

    @property
    def exact(self) -> NetworkOnData | None:
        """The module as an exact network with some of its inputs, None if it is too large to enumerate."""
        return self.enumerated.given if self.enumerated is not None else None

    def in_order(self, claims: Iterable[Claim]) -> list[Claim]:
        """Claims in the order in which a person learns most soonest: what costs least first."""

        def cost(claim: Claim) -> float:
            if self.exact is not None:
                return budget.exact_cost(claim, self.exact.network)
            return 2.0 if issubclass(claim.setting, PruningRun) else float(not _no_form(claim))

        return sorted(claims, key=cost)

    # -- a claim --------------------------------------------------------------------------------------

    def falsify(
        self, claim: Claim, *, drop: tuple[str, ...] = (), examples: int = 1000, seconds: float | None = None,
        seed: int = 0,
    ) -> Outcome:  # fmt: skip
        """Search for a counterexample to ``claim`` among inputs, scales and masks of the module.

        Args:
            claim: the claim.
            drop: names of assumptions not to require.
            examples: the budget: the operations of so many instances of a small module, see `budget`.
            seconds: a limit for people; None: none.
            seed: of what is drawn.

        Returns:
            "not applicable" with every reason (and what the conclusion does all the same), "refuted",
            "survived", or "undecided" with the reason: rounding or a kink leaves it open, or the claim cannot
            be evaluated on this module.

        Raises:
            KeyError: no such assumption.
        """
        for name in drop:
            claim.assumption(name)
        start = time.monotonic()
        with budget.single_threaded():
            try:
                out = self._falsify(claim, drop, examples, seconds, seed)
            except Exception as e:
                # One claim's trouble is not the others'.
                out = self._outcome(claim, seed, "undecided", _in_words(e))
        out.seconds = time.monotonic() - start
        return out

    def _outcome(self, claim: Claim, seed: int, verdict: str, *reasons: str) -> Outcome:
        return Outcome(claim.id, verdict=verdict, reasons=list(reasons), seed=seed, on=self.name)

    def _falsify(self, claim: Claim, drop: tuple[str, ...], examples: int, seconds: float | None, seed: int) -> Outcome:
        if not about_networks(claim):
            reason = f"it is about a {claim.setting.title}, not about a network with data"
            return self._outcome(claim, seed, "not applicable", reason)
        blocking = [n for n in ASSUMPTIONS if n != "off-kinks" and not self.report.holds(n)]
        if self.exact is not None and set(blocking) <= {"no-shared-parameters-on-a-path"}:
            # Enumeration differentiates path values truly, shared parameters or not.
            blocking = []
        if blocking:
            reasons = [f"{n}: {why}" for n in blocking for why in self.report.why(n) or ["not checked"]]
            return self._outcome(claim, seed, "not applicable", *reasons, self._tried(claim))
        search = Search(claim, drop, examples, seconds, seed)
        search.outcome.on = self.name
        if self._enumerates(claim):
            try:
                return self._by_enumeration(search)
            except ValueError as e:
                if "too many" not in str(e):
                    raise
        if why := _no_form(claim):
            return self._outcome(claim, seed, "undecided", why)
        search = Search(self._stated(claim), drop, examples, seconds, seed)
        search.outcome.on = self.name
        return self._on_module(search)

    def _enumerates(self, claim: Claim) -> bool:
        """Whether a claim is decided by enumeration: the module is small enough for what this claim needs."""
        if self.exact is None:
            return False
        cost = budget.exact_cost(claim, self.exact.network)
        return cost <= (budget.EXACT if _no_form(claim) else budget.EXACT_WITH_FORM)

    def _by_enumeration(self, search: Search) -> Outcome:
        assert self.enumerated is not None
        claim = search.claim
        cost = budget.exact_cost(claim, self.enumerated.given.network)
        instances = self.enumerated.instances(claim, search.seed)
        seen = look_through(search, instances, budget.exact_count(cost, search.examples))
        if not search.outcome.examples:
            return self._nothing_applied(search, seen)
        out = search.outcome
        out.stages["exact"] = f"{out.examples} instances, every path enumerated in rationals"
        out.reasons += [f"{count} instances break {name}" for name, count in seen.broken.items()]
        return search.finish(self._made_small(search))

    @staticmethod
    def _made_small(search: Search) -> bool:
        """Make what was found small, as far as the budget goes; whether it may be made smaller still at leisure."""
        if search.found is None or budget.exact_cost(search.claim, search.found.network) <= budget.AT_LEISURE:
            return True
        best, spent = search.found, 0.0

        def refutes(candidate: Any) -> bool:
            nonlocal best, spent
            spent += budget.exact_cost(search.claim, candidate.network)
            if spent > budget.SHRINKING:
                raise _SpentError
            refuted = search.refutes(candidate)
            best = candidate if refuted else best
            return refuted

        with contextlib.suppress(_SpentError):
            shrink(best, refutes, limit=search.limit)
        search.found, search.outcome.decision = best, None
        return budget.exact_cost(search.claim, search.found.network) <= budget.AT_LEISURE

    def _nothing_applied(self, search: Search, seen: Seen) -> Outcome:
        """The claim's assumptions or its setting are met by no instance of the module."""
        out, claim = search.outcome, search.claim
        out.verdict = "not applicable"
        out.reasons += [f"{name}: it does not hold that {claim.assumption(name).sentence}" for name in seen.broken]
        if not seen.broken:
            needed = (claim.setting.valid.__doc__ or "").strip().splitlines()[0].rstrip(".").lower()
            out.reasons.append(f"it is about a {claim.setting.title} ({needed}), which the module is not")
        return out

    @staticmethod
    def _stated(claim: Claim) -> Claim:
        """The claim as it is stated of a module too large to enumerate."""
        return on_runs(claim) if claim.id in RUN_FORMS else without_enumeration(claim)

    def _on_module(self, search: Search) -> Outcome:
        runs = search.claim.id in RUN_FORMS
        instances: Iterator[Any] = self._instances(search)
        if runs:
            instances = self._varied(search.seed).runs(search.claim)
        start = self._varied(search.seed).start
        cost = budget.instance_cost(start.graph, start.tensors, len(start.x))
        most = budget.instance_count(cost * RUN if runs else cost, search.examples)
        if search.claim.id in COUNTS:
            most = search.examples
        seen = look_through(search, instances, most, lambda e: isinstance(e, UNDONE), PATIENCE)
        out = search.outcome
        if not out.examples and seen.left_out:
            return self._outcome(search.claim, search.seed, "undecided", *seen.left_out)
        if not out.examples:
            self._nothing_applied(search, seen)
            out.reasons.append(self._tried(search.claim, formal=False))
            return out
        out.reasons += [f"{count} instances break {name}" for name, count in seen.broken.items()]
        out.reasons += [f"{count} instances left out: {why}" for why, count in seen.left_out.items()]
        return self._finished(search, seen.gaps)

    def _finished(self, search: Search, gaps: list[float]) -> Outcome:
        out = search.outcome
        how = f": {HOW[search.claim.id]}" if search.claim.id in FORMS else ""
        out.stages["module"] = f"{out.examples} instances in float64 with rounding bounds{how}"
        if search.limit.struck:
            out.cut = f"cut short after {out.examples} of {search.examples} instances"
            out.reasons.append(out.cut)
        if search.found is not None:
            assert out.decision is not None
            out.verdict, out.counterexample = "refuted", search.found.summary()
            out.smallest_margin = out.decision.margin
            out.reasons.append("too large for a certificate with exact numbers: the seed reproduces it")
        elif gaps or out.examples == out.undecided + out.undefined + out.vacuous:
            # Where an equality can only agree, what holds besides (0 = 0 on a network that is off) says little.
            out.verdict = "undecided"
        if isinstance(search.found, ModuleOnData) and search.found.run.open:
            open_ = search.found.run.open
            out.reasons.append(f"{open_} gates are within rounding of a kink there: taken as computed")
        if gaps:
            out.reasons.append(f"an equality, on {len(gaps)} instances: {agreement(max(gaps))}")
        if out.verdict == "undecided":
            if (close := out.undecided - len(gaps)) > 0:
                out.reasons.append(f"{close} instances are closer to equality than the rounding bound")
            if out.vacuous:
                out.reasons.append(f"on {out.vacuous} instances the claim says nothing: its premise does not hold")
            if out.undefined:
                out.reasons.append(f"undefined on {out.undefined} instances")
            if not gaps:
                out.reasons.append(self._tried(search.claim, formal=False))
        return out

    # -- what is searched -----------------------------------------------------------------------------

    def _varied(self, seed: int) -> Variations:
        if seed not in self._variations:
            self._variations[seed] = Variations(self.given, seed)
        return self._variations[seed]

    def _instances(self, search: Search) -> Iterator[ModuleOnData]:
        """The module as given and other inputs, scales and masks of it; before long, where a gradient leads."""
        for number, instance in enumerate(self._varied(search.seed).instances()):
            if number == BEFORE and self.climbing:
                yield from self._climbed(search)
            yield self._settled(search, instance)

    @staticmethod
    def _settled(search: Search, instance: ModuleOnData) -> ModuleOnData:
        """The instance; with gates told apart in fixed point if it looks refuted and some gate is not certain.

        What holds with the gates as computed is taken so: a theorem holds for any gates.
        """
        if not instance.run.open:
            return instance
        try:
            refuted = search.applies(instance) and decide(search.claim.check(instance)).verdict is Verdict.REFUTED
        except UNDONE:
            return instance
        return instance.certain if refuted else instance

    def _climbed(self, search: Search) -> Iterator[ModuleOnData]:
        """Where gradient ascent on the margin leads from the module as given, on one of its inputs."""
        start = self._varied(search.seed).start.first(1)
        steps = budget.step_count(start.graph, start.tensors, min(OUTPUTS, start.sums.outputs), search.examples)
        if not steps:
            return
        stopped: Callable[[], bool] = search.out_of_time
        try:
            for p in climb(search.claim, start.graph, start.tensors, start.x, steps=steps, stopped=stopped):
                what = f"inputs, scales and masks climbed in {p.steps} steps"
                yield self._settled(search, ModuleOnData(start.graph, p.tensors, p.x, what=what, limit=0))
        except UNDONE:
            return

    # -- where a claim does not apply -----------------------------------------------------------------

    def _trial_run(self, claim: Claim) -> ModuleRun:
        """The module pruned to one path's weights in ten rounds, by the claim's first scorer that there is a form of.

        Raises:
            Undecided: the module has too many weights for that.
        """
        scorer = next((s for s in claim.draws.get("scorers", ()) if s in SCORERS), "synflow")
        weights = sum(self.tensors[n].numel() for n in self.given.graph.parameters)
        if weights > TRIED:
            raise Undecided(f"{weights} weights are too many to prune on the way")
        if scorer not in self._trial_runs:
            self._trial_runs[scorer] = ModuleRun(self.given.first(1), scorer, rounds=10, certain=False)
        return self._trial_runs[scorer]

    def _tried(self, claim: Claim, formal: bool = True) -> str:
        """What the conclusion does on the module as given, whether or not the claim applies."""
        if self.report.graph is None:
            return "the conclusion cannot be tried: the module was not recorded"
        if why := _no_form(claim):
            return f"the conclusion cannot be tried: {why}"
        try:
            whole: Any = self._trial_run(claim) if claim.id in RUN_FORMS else self.formal if formal else self.given
            decision = decide(self._stated(claim).check(whole))
        except (*UNDONE, ValueError) as e:
            return f"the conclusion cannot be tried: {e}"
        how = (
            "in evaluation mode, with gates as the sign of each activation's input"
            if formal
            else "with its gates as computed"
        )
        if decision.agrees is not None:
            return f"tried all the same, {how}: {agreement(decision.agrees)}"
        if decision.vacuous:
            return "tried all the same: the premise of the claim does not hold of the module as given"
        if claim.id in RUN_FORMS:
            how += f", pruned by {whole.scorer} to the weights of one path in ten rounds"
        verb = {Verdict.HOLDS: "holds", Verdict.REFUTED: "fails"}.get(decision.verdict, "is not decided")
        return f"tried all the same, {how}: the conclusion {verb} (relative margin {decision.margin:.3g})"


class _SpentError(Exception):
    """The work that making a counterexample small may take is done."""


def _in_words(e: Exception) -> str:
    """An error that one claim met, as its reason."""
    text = " ".join(str(e).split()) or "no message"
    return text if isinstance(e, ValueError | NotImplementedError) else f"{type(e).__name__}: {text}"


def _no_form(claim: Claim) -> str:
    """Why a claim is not stated of a module too large to enumerate; empty where it is."""
    if claim.id in NOTHING:
        return f"nothing to test: {NOTHING[claim.id]}"
    if claim.id in FORMS or claim.id in RUN_FORMS or (claim.id not in WHY and issubclass(NetworkOnData, claim.setting)):
        return ""
    an = "an" if claim.setting.title[0] in "aeiou" else "a"
    return f"{WHY.get(claim.id, f'it is about {an} {claim.setting.title}')}: {ENUMERATED}"


__all__ = ["SETTINGS", "Subject", "about_networks"]
