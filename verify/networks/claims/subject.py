"""A torch module with inputs as a subject that claims are checked on.

`Subject.falsify` is what `verify.search.loop.falsify(on=...)` calls: it says whether a claim applies to the
module, searches over inputs, scales and masks of it, and tries the claim also where it does not apply.
A module small enough to enumerate becomes an exact network, on which every claim can run; any other is
`verify.networks.claims.module_on_data.ModuleOnData`.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import verify.networks.claims.restated_flow  # noqa: F401  (registers its forms)
from theory.claims import Claim
from theory.flows import ObjectiveOnNetwork, RescaledNetwork
from theory.guarded import GuardedRun
from theory.network_sketches import NetworkWeights
from theory.paths import NetworkOnData, paths_of
from theory.pruning import PruningRun
from theory.relations import Verdict, agreement, decide
from theory.scalars import exact
from verify.networks.claims.assumptions import ASSUMPTIONS, Report, assumptions
from verify.networks.claims.climb import NotClimbable, climb
from verify.networks.claims.module_on_data import ModuleOnData, Unavailable
from verify.networks.claims.module_run import RUN_FORMS, SCORERS, ModuleRun, on_runs
from verify.networks.claims.restated import FORMS, HOW, WHY, NoForm, without_enumeration
from verify.networks.exact.fixed_point import WORK, digits_needed, work
from verify.networks.exact.to_graph import to_network
from verify.networks.paths.sums import NoPathSums
from verify.search.loop import Outcome, Search
from verify.search.strategies import StackChooser, draw

SETTINGS = (NetworkOnData, NetworkWeights, ObjectiveOnNetwork, RescaledNetwork, PruningRun, GuardedRun)
"""The settings whose claims are about a network, with or without more than its data."""
LARGEST = 1e12
"""Floating-point operations that telling all gates apart may take, for a single input."""
TRIED = 20_000_000
"""Weights up to which a module is pruned where a claim about pruning runs does not apply, to see what happens."""
TINY_PATHS = 2_000
"""Up to this many paths a module is enumerated in exact rationals."""


class Subject:
    """A module with inputs, searched over.

    Args:
        module: the module; left as it was.
        x: inputs, samples first.
        name: how outcomes call it.
        climbing: whether the gradient of the margin is followed.
    """

    def __init__(self, module: nn.Module, x: Tensor, name: str = "torch module", *, climbing: bool = True) -> None:
        self.module, self.x, self.name, self.climbing = module, x, name, climbing
        self._trial_runs: dict[str, ModuleRun] = {}

    @cached_property
    def report(self) -> Report:
        """Which assumptions hold of the module; on as many of the inputs as all gates can be told for."""
        found = assumptions(self.module, self.x, limit=0)
        graph, run = found.graph, found.forward
        if graph is None or run is None or not run.kinks:
            return found
        tensors = graph.tensors(self.module, torch.float64)
        one = work(graph, tensors, 1, digits_needed(run.values, run.errors))
        if one > LARGEST:
            return found
        fit = max(1, int(WORK // one))
        if fit < len(self.x):
            self.name += f" (the first {fit} of {len(self.x)})"
            self.x = self.x[:fit]
        return assumptions(self.module, self.x, limit=LARGEST)

    @cached_property
    def given(self) -> ModuleOnData:
        """The module with its inputs, as given."""
        graph = self.report.graph
        assert graph is not None
        return ModuleOnData(graph, self.tensors, self.x.detach().double(), run=self.report.forward)

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """The module's tensors in float64."""
        assert self.report.graph is not None
        return self.report.graph.tensors(self.module, torch.float64)

    @cached_property
    def exact(self) -> NetworkOnData | None:
        """The module as an exact network with up to four of its inputs, None if it is too large to enumerate."""
        graph = self.report.graph
        if graph is None or sum(self.tensors[n].numel() for n in graph.parameters) > TINY_PATHS:
            return None
        try:
            network, theta = to_network(graph, self.tensors)
            if len(paths_of(network)) > TINY_PATHS:
                return None
        except ValueError:
            return None
        return NetworkOnData(network, theta, exact(self.x[:4].detach().double().flatten(1).numpy()))

    def falsify(
        self, claim: Claim, *, drop: tuple[str, ...] = (), examples: int = 1000, seconds: float = 30.0, seed: int = 0
    ) -> Outcome:
        """Search for a counterexample to ``claim`` among inputs, scales and masks of the module.

        Returns:
            "not applicable" with every reason (and what the conclusion does all the same), "refuted",
            "survived", or "undecided" where rounding or a kink leaves it open.
        """
        about = claim.setting in SETTINGS or issubclass(NetworkOnData, claim.setting)
        out = Outcome(claim.id, seed=seed, on=self.name)
        if not about:
            out.verdict = "not applicable"
            out.reasons.append(f"it is about a {claim.setting.title}, not about a network with data")
            return out
        blocking = [n for n in ASSUMPTIONS if n != "off-kinks" and not self.report.holds(n)]
        if self.exact is not None and set(blocking) <= {"no-shared-parameters-on-a-path"}:
            # Enumeration differentiates path values truly, shared parameters or not.
            blocking = []
        if blocking:
            out.verdict = "not applicable"
            out.reasons += [f"{n}: {why}" for n in blocking for why in self.report.why(n) or ["not checked"]]
            out.reasons.append(self._tried(claim))
            return out
        if self.exact is None and (why := _no_form(claim)):
            out.verdict = "undecided"
            out.reasons.append(f"{why}: only small piecewise-linear modules are enumerated")
            return out
        search = Search(claim if self.exact is not None else self._stated(claim), drop, examples, seconds, seed)
        search.outcome.on = self.name
        try:
            return self._searched(search, min(examples, 400))
        except (Unavailable, NoForm, NoPathSums) as e:
            out.verdict, out.on = "undecided", self.name
            out.reasons.append(str(e))
            return out

    @staticmethod
    def _stated(claim: Claim) -> Claim:
        """The claim as it is stated of a module too large to enumerate."""
        return on_runs(claim) if claim.id in RUN_FORMS else without_enumeration(claim)

    def _searched(self, search: Search, examples: int) -> Outcome:
        rng = np.random.default_rng([search.seed, 7])
        broken: dict[str, int] = {}
        without: dict[str, int] = {}
        gaps: list[float] = []
        instances: Iterator[Any] = self._instances(rng, search.claim if self.climbing else None, search.deadline)
        if self.exact is not None:
            instances = self._exact_instances(search.claim, rng)
        elif search.claim.id in RUN_FORMS:
            instances = self._runs(search.claim, rng)
        for count, instance in enumerate(instances):
            if count >= examples or (count and search.out_of_time()) or search.found is not None:
                break
            try:
                decision = search.look(instance)
            except (Unavailable, NoForm, NoPathSums) as e:
                if not count:
                    raise
                without[str(e)] = without.get(str(e), 0) + 1
                continue
            if decision is not None and decision.agrees is not None:
                gaps.append(decision.agrees)
            if decision is None:
                for a in search.claim.applies(instance) if bool(instance.valid()) else ():
                    broken[a.name] = broken.get(a.name, 0) + 1
        out = search.outcome
        if not out.examples and broken:
            out.verdict = "not applicable"
            out.reasons += [
                f"{name}: it does not hold that {search.claim.assumption(name).sentence}" for name in broken
            ]
            if self.exact is None:
                out.reasons.append(self._tried(search.claim, formal=False))
            return out
        if broken:
            out.reasons += [f"{count} instances break {name}" for name, count in broken.items()]
        out.reasons += [f"{count} instances left out: {why}" for why, count in without.items()]
        if self.exact is not None:
            out.stages["exact"] = f"{out.examples} instances, every path enumerated in rationals"
            return search.finish(max(2.0, search.deadline - time.monotonic()))
        return self._finished(search, gaps)

    def _finished(self, search: Search, gaps: list[float]) -> Outcome:
        out = search.outcome
        how = f": {HOW[search.claim.id]}" if search.claim.id in FORMS else ""
        out.stages["module"] = f"{out.examples} instances in float64 with rounding bounds{how}"
        if search.found is not None:
            assert out.decision is not None
            out.verdict, out.counterexample = "refuted", search.found.summary()
            out.smallest_margin = out.decision.margin
            out.reasons.append("too large for a certificate with exact numbers: the seed reproduces it")
        elif gaps or out.examples == out.undecided + out.undefined + out.vacuous:
            # Where an equality can only agree, what holds besides (0 = 0 on a network that is off) says little.
            out.verdict = "undecided"
        if self.given.run.open:
            out.reasons.append(f"{self.given.run.open} gates are within rounding of a kink: taken as computed")
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
        out.seconds = time.monotonic() - search.start
        return out

    def _trial_run(self, claim: Claim) -> ModuleRun:
        """The module pruned to one path's weights in ten rounds, by the claim's first scorer that there is a form of.

        Raises:
            NoForm: the module has too many weights for that.
        """
        scorer = next((s for s in claim.draws.get("scorers", ()) if s in SCORERS), "synflow")
        weights = sum(self.tensors[n].numel() for n in self.given.graph.parameters)
        if weights > TRIED:
            raise NoForm(f"{weights} weights are too many to prune on the way")
        if scorer not in self._trial_runs:
            self._trial_runs[scorer] = ModuleRun(self.given.first(1), scorer, rounds=10, certain=False)
        return self._trial_runs[scorer]

    def _tried(self, claim: Claim, formal: bool = True) -> str:
        """What the conclusion does on the module as given, whether or not the claim applies."""
        graph = self.report.graph
        if graph is None:
            return "the conclusion cannot be tried: the module was not recorded"
        if why := _no_form(claim):
            return f"the conclusion cannot be tried: {why}"
        instance = ModuleOnData(graph, self.tensors, self.x.detach().double(), formal=True) if formal else self.given
        try:
            whole: Any = self._trial_run(claim) if claim.id in RUN_FORMS else instance
            decision = decide(self._stated(claim).check(whole))
        except (Unavailable, NoForm, ValueError) as e:
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

    # -- what is searched ---------------------------------------------------------------------

    def _climbed(self, claim: Claim, deadline: float) -> Iterator[ModuleOnData]:
        """Where gradient ascent on the margin leads from the module as given, on one of its inputs."""
        graph = self.report.graph
        assert graph is not None
        steps = work(graph, self.tensors, 1, 0) * min(12, int(np.prod(graph.output_shape)))
        if steps > WORK / 20:
            # A single step would take longer than all else.
            return
        until = time.monotonic() + (deadline - time.monotonic()) / 2
        try:
            for p in climb(claim, graph, self.tensors, self.x[:1].detach().double(), deadline=until):
                yield ModuleOnData(graph, p.tensors, p.x, what=f"inputs, scales and masks climbed in {p.steps} steps")
        except (NotClimbable, NoPathSums):
            return

    def _instances(
        self, rng: np.random.Generator, claim: Claim | None = None, deadline: float = 0.0
    ) -> Iterator[ModuleOnData]:
        """The module as given, where a gradient leads from there, then other inputs, scales and masks of it."""
        graph = self.report.graph
        assert graph is not None
        x = self.x.detach().double()
        yield self.given
        yield from self._climbed(claim, deadline) if claim is not None else ()
        # One input more or less decides nothing; on large modules it costs time.
        x = x[: max(1, int(WORK / 50 // work(graph, self.tensors, 1, 8)))]
        drawn = _drawn_biases(rng, self.tensors, graph.parameters)
        if drawn:
            yield ModuleOnData(graph, {**self.tensors, **drawn}, x, what="biases of 0 drawn")
        while True:
            tensors, what = dict(self.tensors), []
            inputs, said = _varied_inputs(rng, x)
            what.append(said)
            if rng.random() < 0.5:
                for n in graph.parameters:
                    tensors[n] = tensors[n] * 2.0 ** int(rng.integers(-3, 4))
                what.append("layers rescaled")
            if rng.random() < 0.5:
                tensors |= _drawn_biases(rng, tensors, graph.parameters)
                what.append("biases of 0 drawn")
            if rng.random() < 0.6:
                density = float(rng.choice([0.5, 0.2, 0.05]))
                # Zeroed, not removed: a weight of 0 is still a parameter, in the trace and in the path kernel.
                for n in graph.parameters:
                    kept = torch.as_tensor(rng.random(tuple(tensors[n].shape)) < density)
                    tensors[n] = tensors[n] * kept.double()
                what.append(f"zeroed at random but for {density:g}")
            yield ModuleOnData(graph, tensors, inputs, what=", ".join(what))

    def _runs(self, claim: Claim, rng: np.random.Generator) -> Iterator[ModuleRun]:
        """Pruning runs of the module: the claim's scorers, one or two inputs, few weights kept."""
        known = ("synflow", "synflow-l2", "px-frozen")
        scorers = tuple(dict.fromkeys(s for s in claim.draws.get("scorers", known) if s in (*known, "px", "magnitude")))
        for turn, on in enumerate(self._instances(rng)):
            run = ModuleRun(on.first(1 + turn % 2), scorers[turn % len(scorers)] if scorers else "px")
            if turn:
                # Near the critical compression, and now and then anywhere.
                most = run.weights if turn % 3 == 2 else min(run.weights, 2 * run.keep + 1)
                run.keep = int(rng.integers(run.keep, most + 1))
            yield run

    def _exact_instances(self, claim: Claim, rng: np.random.Generator) -> Iterator[Any]:
        """The module as an instance of the claim's setting, then other inputs and weights of it."""
        assert self.exact is not None
        given = self.exact
        for turn in itertools.count():
            theta, x = given.theta, given.x
            if turn:
                x = x[: int(rng.integers(1, len(x) + 1))]
                if rng.random() < 0.5:
                    signs = rng.choice([-1.0, 1.0], x.shape)
                    x = exact(rng.integers(0, 9, x.shape) / 4.0 * signs)
                choice = rng.random()
                if choice < 0.4:
                    theta = exact(rng.integers(-8, 9, theta.shape) / 4.0)
                elif choice < 0.8:
                    theta = theta * exact((rng.random(theta.shape) < rng.choice([0.8, 0.5, 0.3])).astype(float))
            if issubclass(NetworkOnData, claim.setting):
                yield given.with_(theta=theta, x=x)
            else:
                yield self._in_setting(claim, rng, theta, x)

    def _in_setting(self, claim: Claim, rng: np.random.Generator, theta: np.ndarray, x: np.ndarray) -> Any:
        """The module in another setting: what there is besides weights and data is drawn as for any instance."""
        assert self.exact is not None
        drawn = draw(claim, StackChooser(rng, None))
        known = {f.name for f in dataclasses.fields(claim.setting)}
        network = self.exact.network
        new = {"network": network, "theta": theta, "x": x}
        if "gradient" in known:
            new["gradient"] = exact(rng.integers(-4, 5, (len(x), len(network.outputs))) / 2.0)
        made = {f.name: getattr(drawn, f.name) for f in dataclasses.fields(drawn)}
        made |= {k: v for k, v in new.items() if k in known}
        if "keep" in known:
            made["keep"] = int(rng.integers(1, network.parameters + 1))
        return claim.setting(**made)


def _drawn_biases(rng: np.random.Generator, tensors: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """Normal numbers for the vectors among the parameters that are 0 throughout."""
    empty = [n for n in names if tensors[n].ndim == 1 and not bool(tensors[n].any())]
    return {n: torch.as_tensor(rng.standard_normal(tuple(tensors[n].shape))) for n in empty}


def _no_form(claim: Claim) -> str:
    """Why a claim is not stated of a module too large to enumerate; empty where it is."""
    if claim.id in FORMS or claim.id in RUN_FORMS or (claim.id not in WHY and issubclass(NetworkOnData, claim.setting)):
        return ""
    an = "an" if claim.setting.title[0] in "aeiou" else "a"
    return WHY.get(claim.id, f"it is about {an} {claim.setting.title}")


def _varied_inputs(rng: np.random.Generator, x: Tensor) -> tuple[Tensor, str]:
    kind = int(rng.integers(0, 5))
    if kind == 4:
        return x[:1] * 0, "one input of zeros"
    if kind == 0:
        return x * 2.0 ** int(rng.integers(-4, 5)), "inputs rescaled"
    if kind == 1:
        return torch.as_tensor(rng.standard_normal(tuple(x.shape))), "Gaussian inputs"
    if kind == 2:
        return x[:1] * torch.as_tensor(rng.random(tuple(x[:1].shape)) < 0.1), "one sparse input"
    return -x, "inputs negated"
