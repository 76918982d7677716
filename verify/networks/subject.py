"""A torch module with inputs as what the claims about networks are checked on.

`ModuleOnData` answers to the methods of `theory.paths.NetworkOnData` that do not enumerate paths. Its
numbers are balls: float64 values with rigorous rounding bounds (see `verify.networks.rounding`). A module
small enough to enumerate becomes an exact `NetworkOnData` instead, on which every claim can run.

`Subject.falsify` is what `verify.search.falsify(on=...)` calls: it says whether a claim applies to the
module, searches over inputs, scales and masks of it, and tries the claim also where it does not apply.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from flint import arb
from torch import Tensor, nn

from theory.claims import Claim
from theory.paths import NetworkOnData, paths_of
from theory.relations import Decision, Verdict, decide
from theory.scalars import exact
from verify.networks.capture import ASSUMPTIONS, Report, assumptions
from verify.networks.digits import WORK, Forward, digits_needed, forward, work
from verify.networks.ntk import Sweep, trace_plan
from verify.networks.operations import Graph, Ref
from verify.networks.path_sums import NoPathSums, path_activation, path_kernel, roundings
from verify.networks.rounding import Kink, absolute_graph, absolute_values, gamma
from verify.networks.to_graph import to_network
from verify.search import Outcome, Search

LARGEST = 1e12
"""Floating-point operations that telling all gates apart may take, for a single input."""
TINY_PATHS = 2_000
"""Up to this many paths a module is enumerated in exact rationals."""


class Unavailable(NotImplementedError):
    """A claim asked a module for something that only enumeration of paths gives."""


class ModuleOnData:
    """A recorded module with tensors and inputs, in float64 with rounding bounds.

    Attributes:
        rounding: how its numbers are bounded, for verdicts.
    """

    title: ClassVar[str] = "torch module on data"
    rounding: ClassVar[str] = "float64 with rounding bound"
    stacked: ClassVar[bool] = False

    def __init__(
        self, graph: Graph, tensors: Mapping[str, Tensor], x: Tensor, *, masks: Mapping[str, Tensor] | None = None,
        formal: bool = False, what: str = "as given", run: Forward | None = None,
    ) -> None:  # fmt: skip
        self.graph, self.tensors, self.x = graph, dict(tensors), x
        self.masks, self.formal, self.what = dict(masks or {}), formal, what
        self._run = run

    @classmethod
    def of(cls, module: nn.Module, x: Tensor, graph: Graph | None = None) -> ModuleOnData:
        """The module as it is, in evaluation mode."""
        from verify.networks.ntk import record_for

        graph = record_for(module, x) if graph is None else graph
        return cls(graph, graph.tensors(module, torch.float64), x.detach().double())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise Unavailable(f"{name!r} needs every path by itself: only small piecewise-linear modules are enumerated")

    def valid(self) -> bool:
        """Whether all numbers are finite."""
        return bool(torch.isfinite(self.values[self.graph.output]).all())

    def summary(self) -> str:
        """A line a person reads."""
        return (
            f"{self.what}: {len(self.x)} inputs, {sum(self.tensors[n].numel() for n in self.graph.parameters)} weights"
        )

    @cached_property
    def run(self) -> Forward:
        """The forward evaluation with its error bounds, in digits where float64 leaves gates open."""
        return forward(self.graph, self.tensors, self.x) if self._run is None else self._run

    @cached_property
    def values(self) -> dict[Ref, Tensor]:
        """The forward evaluation."""
        if not self.formal:
            return self.run.values
        with torch.no_grad():
            return self.graph.run(self.tensors, self.x)

    def on_kink(self) -> np.ndarray:
        """Whether some gate or maximum is not certain: it is within its rounding bound of a kink."""
        return np.asarray(bool(self.run.kinks))

    @property
    def kinks(self) -> tuple[Kink, ...]:
        """The gates that are not certain."""
        return self.run.kinks

    def outputs(self) -> np.ndarray:
        """f^k(x_n), shape (n, K)."""
        value, error = self.values[self.graph.output], self.run.errors[self.graph.output]
        return _balls(value.reshape(len(self.x), -1), error.reshape(len(self.x), -1))

    # -- the tangent kernel -------------------------------------------------------------------

    @cached_property
    def _trace(self) -> tuple[Tensor, Tensor]:
        """Trace per output and its absolute error bound."""
        outputs = int(np.prod(self.graph.output_shape))
        plan = trace_plan(self.graph)
        if plan.method != "sweep":
            raise Unavailable(f"the trace has no rounding bound here: {plan.reasons[0]}")
        with torch.no_grad():
            sweep = Sweep(self.graph, self.tensors, outputs)
            total = sweep.squares(self.x, dict(self.values)).sum(0)
            if self.formal:
                return total, torch.zeros_like(total)
            graph, tensors = absolute_graph(self.graph, self.tensors)
            sizes = absolute_values(graph, tensors, self.values)
            self._check_run(sizes)
            majorant = Sweep(graph, tensors, outputs).squares(self.x, sizes, self.values)
        terms = sum(t.numel() for t in self.tensors.values()) + max(int(np.prod(op.shape)) for op in graph.operations)
        return total, gamma(4 * roundings(self.graph, self.tensors, len(self.x)) + terms) * majorant.sum(0)

    def _check_run(self, sizes: Mapping[Ref, Tensor]) -> None:
        """Values that come from digits must be as good as the majorant ``sizes`` takes those of float64 to be."""
        bound = gamma(roundings(self.graph, self.tensors, len(self.x)))
        for r, error in self.run.errors.items() if self.run.digits else ():
            if bool((error > bound * sizes[r]).logical_and(sizes[r] > 0).any()):
                raise Unavailable("the trace has no rounding bound here: too few digits for a forward value")

    def ntk_trace_per_output(self) -> np.ndarray:
        """The trace output by output, shape (K,)."""
        return _balls(*self._trace)

    def ntk_trace(self) -> Any:
        """Tr Theta(X, X)."""
        return _sum(self.ntk_trace_per_output())

    # -- paths --------------------------------------------------------------------------------

    def _nonnegative(self, value: Tensor) -> np.ndarray:
        bound = 0.0 if self.formal else gamma(roundings(self.graph, self.tensors, len(self.x)))
        return _balls(value, value * bound)

    @cached_property
    def _activation(self) -> Tensor:
        with torch.no_grad():
            return path_activation(self.graph, self.tensors, self.values, masks=self.masks, formal=self.formal)

    @cached_property
    def _kernel(self) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            return path_kernel(self.graph, self.tensors, masks=self.masks, formal=self.formal)

    def activation_per_output(self) -> np.ndarray:
        """D_k, shape (K,)."""
        return self._nonnegative(self._activation)

    def kernel_per_output(self) -> np.ndarray:
        """T_k, shape (K,)."""
        return self._nonnegative(self._kernel[1])

    def objective_per_output(self) -> np.ndarray:
        """R_k, shape (K,)."""
        return self._nonnegative(self._kernel[0])

    def path_activation(self) -> Any:
        """|J_v^f(X)|_F^2."""
        return _sum(self.activation_per_output())

    def path_kernel_trace(self) -> Any:
        """|J_theta^v|_F^2."""
        return _sum(self.kernel_per_output())


def _balls(value: Tensor, error: Tensor) -> np.ndarray:
    out = np.empty(tuple(value.shape), dtype=object)
    for index in np.ndindex(*out.shape):
        v, e = float(value[index]), float(error[index])
        # Underflow adds less than this to any of these sums.
        out[index] = arb(v, e + 1e-290) if np.isfinite(v) and np.isfinite(e) else arb("nan")
    return out


def _sum(balls: np.ndarray) -> Any:
    return sum(balls.ravel()[1:], balls.ravel()[0])


class Subject:
    """A module with inputs, searched over.

    Args:
        module: the module; left as it was.
        x: inputs, samples first.
        name: how outcomes call it.
    """

    def __init__(self, module: nn.Module, x: Tensor, name: str = "torch module") -> None:
        self.module, self.x, self.name = module, x, name

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
        out = Outcome(claim.id, seed=seed, on=self.name)
        if not issubclass(NetworkOnData, claim.setting):
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
        search = Search(claim, drop, examples, seconds, seed)
        search.outcome.on = self.name
        try:
            return self._searched(search, min(examples, 400))
        except Unavailable as e:
            out.verdict = "undecided"
            out.reasons.append(str(e))
            return out

    def _searched(self, search: Search, examples: int) -> Outcome:
        rng = np.random.default_rng([search.seed, 7])
        kinked = 0
        instances = self._exact_instances(rng) if self.exact is not None else self._instances(rng)
        first: Decision | None = None
        for count, instance in enumerate(instances):
            if count >= examples or (count and search.out_of_time()) or search.found is not None:
                break
            decision = search.look(instance)
            first = decision if count == 0 else first
            kinked += decision is None
        out = search.outcome
        if self.exact is not None:
            out.stages["exact"] = f"{out.examples} instances, every path enumerated in rationals"
            if kinked:
                out.reasons.append(f"{kinked} instances broke an assumption of the claim, such as off-kinks")
            return search.finish(max(2.0, search.deadline - time.monotonic()))
        return self._finished(search, kinked)

    def _finished(self, search: Search, kinked: int) -> Outcome:
        out = search.outcome
        out.stages["module"] = f"{out.examples} instances in float64 with rounding bounds"
        if search.found is not None:
            assert out.decision is not None
            out.verdict, out.counterexample = "refuted", search.found.summary()
            out.smallest_margin = out.decision.margin
            out.reasons.append("too large for a certificate with exact numbers: the seed reproduces it")
        elif out.examples == out.undecided + out.undefined + out.vacuous:
            out.verdict = "undecided"
        if kinked:
            out.reasons.append(f"{kinked} instances have gates within rounding of a kink, where the claim says nothing")
            out.reasons += list(self.report.why("off-kinks"))
        if out.verdict == "undecided":
            if out.undecided:
                out.reasons.append(f"{out.undecided} instances are closer to equality than the rounding bound")
            out.reasons.append(self._tried(search.claim, formal=False))
        out.seconds = time.monotonic() - search.start
        return out

    def _tried(self, claim: Claim, formal: bool = True) -> str:
        """What the conclusion does on the module as given, whether or not the claim applies."""
        graph = self.report.graph
        if graph is None:
            return "the conclusion cannot be tried: the module was not recorded"
        instance = ModuleOnData(graph, self.tensors, self.x.detach().double(), formal=True) if formal else self.given
        try:
            decision = decide(claim.check(instance))
        except (Unavailable, NoPathSums) as e:
            return f"the conclusion cannot be tried: {e}"
        how = (
            "in evaluation mode, with gates as the sign of each activation's input"
            if formal
            else "with its gates as computed"
        )
        verb = {Verdict.HOLDS: "holds", Verdict.REFUTED: "fails"}.get(decision.verdict, "is not decided")
        return f"tried all the same, {how}: the conclusion {verb} (relative margin {decision.margin:.3g})"

    # -- what is searched ---------------------------------------------------------------------

    def _instances(self, rng: np.random.Generator) -> Iterator[ModuleOnData]:
        """The module as given, then other inputs, scales and masks of it."""
        graph = self.report.graph
        assert graph is not None
        x = self.x.detach().double()
        yield self.given
        # One input more or less decides nothing; on large modules it costs time.
        x = x[: max(1, int(WORK / 50 // work(graph, self.tensors, 1, 8)))]
        while True:
            tensors, what = dict(self.tensors), []
            inputs, said = _varied_inputs(rng, x)
            what.append(said)
            if rng.random() < 0.5:
                for n in graph.parameters:
                    tensors[n] = tensors[n] * 2.0 ** int(rng.integers(-3, 4))
                what.append("layers rescaled")
            if rng.random() < 0.6:
                density = float(rng.choice([0.5, 0.2, 0.05]))
                # Zeroed, not removed: a weight of 0 is still a parameter, in the trace and in the path kernel.
                for n in graph.parameters:
                    kept = torch.as_tensor(rng.random(tuple(tensors[n].shape)) < density)
                    tensors[n] = tensors[n] * kept.double()
                what.append(f"zeroed at random but for {density:g}")
            yield ModuleOnData(graph, tensors, inputs, what=", ".join(what))

    def _exact_instances(self, rng: np.random.Generator) -> Iterator[NetworkOnData]:
        assert self.exact is not None
        given = self.exact
        yield given
        while True:
            theta, x = given.theta, given.x[: int(rng.integers(1, len(given.x) + 1))]
            if rng.random() < 0.5:
                signs = rng.choice([-1.0, 1.0], x.shape)
                x = exact(rng.integers(0, 9, x.shape) / 4.0 * signs)
            choice = rng.random()
            if choice < 0.4:
                theta = exact(rng.integers(-8, 9, theta.shape) / 4.0)
            elif choice < 0.8:
                theta = theta * exact((rng.random(theta.shape) < rng.choice([0.8, 0.5, 0.3])).astype(float))
            yield given.with_(theta=theta, x=x)


def _varied_inputs(rng: np.random.Generator, x: Tensor) -> tuple[Tensor, str]:
    kind = int(rng.integers(0, 4))
    if kind == 0:
        return x * 2.0 ** int(rng.integers(-4, 5)), "inputs rescaled"
    if kind == 1:
        return torch.as_tensor(rng.standard_normal(tuple(x.shape))), "Gaussian inputs"
    if kind == 2:
        return x[:1] * torch.as_tensor(rng.random(tuple(x[:1].shape)) < 0.1), "one sparse input"
    return -x, "inputs negated"
