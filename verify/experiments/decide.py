"""Decides the EMPIRICAL claims: sequential tests on trials, with the probability of error stated.

What is tested, with which margin and error, stands in `verify.experiments.protocol`; here are the trials and how
observations are read from them. Where the trials are of another kind than the claim (digits for CIFAR-10), no line
leads and the claim stays undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from theory.names import did_you_mean
from verify import trials
from verify.experiments import capacity, counts, digits, sketches, spectra
from verify.experiments.protocol import (  # fmt: skip
    AT_START,
    DEEPER,
    DENSITIES_MATCHED,
    INFORMED,
    NOISE_DATA,
    NOISE_METHODS,
    PROTOCOLS,
    SAME_LAW,
    SAMPLED,
    SAMPLED_DENSITIES,
    SCOPES,
    TRAINED,
    WIDTHS,
    WORLD_DENSITIES,
    WORLD_METHODS,
    Protocol,
    deeper_line,
    digest,
    matched_line,
    needs_line,
    sampled_line,
    trained_line,
    world_line,
)
from verify.trials import Configuration, Trial, data, sequential
from verify.trials.sequential import Test
from verify.trials.statistics import rank_correlation

SCALES = ("smoke", "small", "full")


@dataclass(frozen=True)
class Line:
    """One test of a claim.

    Attributes:
        name: what is tested, in words.
        leading: whether the claim's verdict needs it.
        supports, opposes: the tests of the claim and of its opposite; the latter None where there is none.
        effect: the mean of the observations.
        error: its standard error.
        n: observations there are.
    """

    name: str
    leading: bool
    supports: Test
    opposes: Test | None
    effect: float
    error: float
    n: int

    @property
    def verdict(self) -> str:
        """Either "yes", "no" (the opposite holds) or "undecided"."""
        if self.supports.decided:
            return "yes"
        return "no" if self.opposes is not None and self.opposes.decided else "undecided"

    def __str__(self) -> str:
        best = self.opposes if self.verdict == "no" and self.opposes else self.supports
        said = "no, the opposite" if self.verdict == "no" else self.verdict
        return (
            f"{self.name}: {said} (effect {self.effect:+.3g} ± {self.error:.2g}, "
            f"e-value {best.e_value:.3g} after {best.n} of {self.n})"
        )


@dataclass(frozen=True)
class EmpiricalOutcome:
    """What trials say about an empirical claim.

    Attributes:
        claim: its id.
        verdict: "supported", "contradicted" or "undecided".
        alpha: the probability that anything decided here is wrong.
        scale: which trials.
        lines: the tests.
        trials: how many trials were used.
        provenance: the protocol's digest, seeds, versions, commits.
        reason: why nothing was tested, or "".
    """

    claim: str
    verdict: str
    alpha: float
    scale: str
    lines: tuple[Line, ...]
    trials: int
    provenance: dict[str, object] = field(default_factory=dict, compare=False)
    reason: str = ""

    @property
    def reasons(self) -> list[str]:
        """Why there are no tests, if there are none; the tests in words."""
        return [self.reason] * bool(self.reason) + [str(line) for line in self.lines]

    @property
    def sentence(self) -> str:
        """One line for a table."""
        return f"{self.verdict} (error probability {self.alpha:g}): " + "; ".join(self.reasons)


Observations = dict[str, Any]
"""Line of the protocol -> its observations; a line without any stays undecided."""


@dataclass(frozen=True)
class _Study:
    configurations: Callable[[str], list[Configuration]]
    observations: Callable[[Sequence[Trial]], Observations]


def decide_empirical(
    claim: str, scale: str = "smoke", *, store: trials.Store | str | Path = "trials", jobs: int | None = None,
    scheduler: str | None = None, quiet: bool = False,
) -> EmpiricalOutcome:  # fmt: skip
    """Run the trials that are missing and decide an empirical claim by its protocol.

    Where trials failed nothing is decided: leaving them out would choose among the observations.

    Args:
        claim: its id.
        scale: "smoke", "small" or "full": how many trials.
        store: where finished trials are.
        jobs: processes, as in `verify.trials.run`.
        scheduler: address of a Dask scheduler, likewise.
        quiet: print no progress.

    Raises:
        KeyError: no experiment decides that claim; names near misses.
        ValueError: an unknown scale.
    """
    if claim not in STUDIES:
        hint = did_you_mean(claim, STUDIES, f"those that are: {', '.join(STUDIES)}")
        raise KeyError(f"{claim!r} is not decided by experiments; {hint}")
    if scale not in SCALES:
        raise ValueError(f"scale is {', '.join(SCALES)}, not {scale!r}")
    study, rule = STUDIES[claim], PROTOCOLS[claim]
    store = store if isinstance(store, trials.Store) else trials.Store(store)
    try:
        done = trials.run(study.configurations(scale), store, jobs=jobs, scheduler=scheduler, quiet=quiet,
            label=claim)  # fmt: skip
    except trials.TrialsFailed as e:
        return EmpiricalOutcome(claim, "undecided", rule.alpha, scale, (), len(e.finished), {}, str(e))
    lines = decide_lines(claim, study.observations(done))
    made = {"protocol": digest(), **trials.provenance(done)}
    return EmpiricalOutcome(claim, verdict_of(lines), rule.alpha, scale, lines, len(done), made)


def decide_lines(claim: str, observed: Observations) -> tuple[Line, ...]:
    """The tests of a claim's protocol on observations.

    Raises:
        ValueError: observations of other lines than the protocol's.
    """
    rule = PROTOCOLS[claim]
    if sorted(observed) != sorted(rule.lines):
        wrong = sorted(set(observed) ^ set(rule.lines))
        raise ValueError(f"{claim}: the protocol and the observations differ in {', '.join(map(repr, wrong))}")
    return tuple(_line(rule, name, observed[name]) for name in rule.lines)


def verdict_of(lines: Sequence[Line]) -> str:
    """Either "supported", "contradicted" or "undecided"."""
    leading = [line.verdict for line in lines if line.leading]
    if leading and all(v == "yes" for v in leading):
        return "supported"
    return "contradicted" if "no" in leading else "undecided"


def _line(rule: Protocol, name: str, values: Sequence[float]) -> Line:
    v = np.asarray(values, dtype=float)
    alpha, margin = rule.share, rule.bound
    error = float(v.std(ddof=1) / len(v) ** 0.5) if len(v) > 1 else float("nan")
    if rule.test == "within":
        outside = [sequential.paired_sign(s * v, alpha / 2, margin=margin) for s in (1.0, -1.0)]
        opposes = max(outside, key=lambda t: t.e_value)
        supports = sequential.equivalent(list(v), margin, alpha)
    else:
        supports = sequential.paired_sign(v, alpha, margin=-margin)
        opposes = sequential.paired_sign(-v, alpha, margin=margin)
    effect = float(v.mean()) if len(v) else float("nan")
    return Line(name, name in rule.leading, supports, opposes, effect, error, len(v))


def _pool(done: Sequence[Trial], result: str, **where: object) -> np.ndarray:
    """A list-valued result of the trials with these parameters, by seed."""
    picked = [t for t in done if all(t[k] == v for k, v in where.items())]
    return np.array([v for t in sorted(picked, key=lambda t: t["seed"]) for v in t[result]])


# -- sketching ------------------------------------------------------------------------------------


def lazy_configurations(scale: str) -> list[Configuration]:
    """One fit a width and seed."""
    seeds = {"smoke": 16, "small": 32, "full": 100}[scale]
    return [sketches.lazy_weights.configuration(width=w, seed=s) for w in WIDTHS for s in range(seeds)]


def _slopes(done: Sequence[Trial], quantity: str) -> np.ndarray:
    """The slope of the logarithm of a result on the logarithm of the width, one a seed."""
    found = {(t["seed"], t["width"]): t for t in done}
    y = [[np.log(found[s, w][quantity]) for w in WIDTHS] for s in sorted({k[0] for k in found})]
    return sequential.slopes([float(np.log(w)) for w in WIDTHS], y)


def _lazy(done: Sequence[Trial]) -> Observations:
    return {PROTOCOLS["sketching/lazy-weights"].leading[0]: _slopes(done, "distance") + 0.5}


def _relative(done: Sequence[Trial]) -> Observations:
    return {PROTOCOLS["sketching/lazy-weights-relative-change-grows"].leading[0]: _slopes(done, "rho")}


def _ratios(done: Sequence[Trial]) -> Observations:
    return {PROTOCOLS["sketching/lazy-weights-ratio-variance-falls"].leading[0]: -_slopes(done, "variance")}


def sampled_configurations(scale: str) -> list[Configuration]:
    """Thresholded and sampled masks of the same networks, by the same one-shot scores."""
    seeds = {"smoke": 2, "small": 10, "full": 40}[scale]
    return [
        digits.classify.configuration(method=m, density=d, select=select, rounds=1, seed=s)
        for s in range(seeds)
        for m in SAMPLED
        for d in SAMPLED_DENSITIES
        for select in ("top", "sample")
    ]


def _sampled(done: Sequence[Trial]) -> Observations:
    return {
        sampled_line(m, d): _pool(done, "accuracy", method=m, density=d, select="sample")
        - _pool(done, "accuracy", method=m, density=d, select="top")
        for m in SAMPLED
        for d in SAMPLED_DENSITIES
    }


# -- no free prune --------------------------------------------------------------------------------


def same_law_configurations(scale: str) -> list[Configuration]:
    """Sixteen pairs a trial; fewer of iterative magnitude, whose effect is large and whose trials take longest."""
    seeds = {"smoke": 3, "small": 30, "full": 200}[scale]
    few = {"smoke": 3, "small": 10, "full": 200}[scale]
    return [
        capacity.same_law.configuration(method=m, seed=s)
        for s in range(seeds)
        for m in SAME_LAW
        if s < few or m != "imp"
    ]


def _same_law(done: Sequence[Trial]) -> Observations:
    return {
        f"{m}: own labels memorised better": _pool(done, "own", method=m) - _pool(done, "foreign", method=m)
        for m in SAME_LAW
    }


MEMORISED_DENSITIES = (0.4, 0.2, 0.1, 0.05)


def memorisation_configurations(scale: str) -> list[Configuration]:
    """Every method, layerwise; the dense network once."""
    seeds = {"smoke": 3, "small": 5, "full": 60}[scale]
    return [capacity.memorisation.configuration(method="random", density=1.0, seed=s) for s in range(seeds)] + [
        capacity.memorisation.configuration(method=m, density=d, scope=scope, seed=s)
        for s in range(seeds)
        for m in (*AT_START, *TRAINED)
        for d in MEMORISED_DENSITIES
        for scope in SCOPES
    ]


def _training_based(done: Sequence[Trial]) -> Observations:
    found: Observations = {}
    for scope in SCOPES:
        key = {"density": 0.1, "scope": scope}
        for trained in TRAINED:
            for m in AT_START:
                gain = _pool(done, "memorised", method=trained, **key) - _pool(done, "memorised", method=m, **key)
                found[trained_line(trained, m, scope)] = gain
    return found


def world_configurations(scale: str) -> list[Configuration]:
    """Every labeling of a few points, for each method."""
    seeds = {"smoke": 4, "small": 16, "full": 200}[scale]
    return [
        capacity.informed_masks.configuration(method=m, densities=list(WORLD_DENSITIES), seed=s)
        for s in range(seeds)
        for m in WORLD_METHODS
    ]


def _worlds(done: Sequence[Trial]) -> dict[str, list[Trial]]:
    """The trials of each method, by seed."""
    by_method: dict[str, list[Trial]] = {}
    for t in sorted(done, key=lambda t: t["seed"]):
        by_method.setdefault(t["method"], []).append(t)
    return by_method


def _less_information(done: Sequence[Trial]) -> Observations:
    worlds = _worlds(done)
    bits = {m: np.array([t["information"] for t in ts]) for m, ts in worlds.items()}
    return {
        world_line(trained, m, WORLD_DENSITIES[d]): bits[trained][:, d] - bits[m][:, d]
        for d in (0, 1)
        for trained in TRAINED
        for m in WORLD_METHODS
        if m not in TRAINED
    }


def _needed(trial: Trial) -> float:
    """Least effective parameters, interpolated, at which half as many labelings are memorised as by the dense."""
    p = np.array(trial["kept"]) + np.array(trial["information"])
    share = np.maximum.accumulate(trial["memorised"])
    level = trial["memorised"][-1] / 2
    return float(np.interp(level, share, p)) / trial["weights"]


def _same_count(done: Sequence[Trial]) -> Observations:
    needed = {m: np.array([_needed(t) for t in ts]) for m, ts in _worlds(done).items()}
    return {needs_line(m, t): needed[m] - needed[t] for t in TRAINED for m in INFORMED}


def noise_data() -> tuple[str, ...]:
    """The data sets with noisy labels that are here; without CIFAR-10 its line is open."""
    return tuple(name for name in NOISE_DATA if name != "cifar10" or data.available(name))


def noise_configurations(scale: str) -> list[Configuration]:
    """Training on noisy labels, two or three data sets."""
    seeds = {"smoke": 2, "small": 5, "full": 40}[scale]
    return [
        capacity.noise_correlation.configuration(method=m, data=d, seed=s)
        for s in range(seeds)
        for m in NOISE_METHODS
        for d in noise_data()
    ]


def _noise(done: Sequence[Trial]) -> Observations:
    found: Observations = {f"{name}: ranks agree": [] for name in NOISE_DATA}
    for name in dict.fromkeys(t["data"] for t in done):
        last = np.array([[c[-1] for c in _pool(done, "correlation", method=m, data=name)] for m in NOISE_METHODS])
        memory = np.array([_pool(done, "memorised", method=m, data=name) for m in NOISE_METHODS])
        # One observation a network: the rank correlation over methods of noise learnt with labels memorised.
        found[f"{name}: ranks agree"] = rank_correlation(last.T, memory.T)
    return found


def effective_configurations(scale: str) -> list[Configuration]:
    """Small worlds that are counted exactly."""
    worlds = {"smoke": 16, "small": 40, "full": 200}[scale]
    return [counts.effective_parameters.configuration(seed=s) for s in range(worlds)]


def _effective(done: Sequence[Trial]) -> Observations:
    across, within = [], []
    for t in done:
        p = np.array([r["k"] + r["information"] for r in t["rows"]])
        share = np.array([r["memorised"] for r in t["rows"]])
        k = np.array([r["k"] for r in t["rows"]])
        across.append(rank_correlation(p, share))
        within.append(np.mean([rank_correlation(p[k == j], share[k == j]) for j in np.unique(k)]))
    return {"across rules and sizes": across, "among rules of one size": within}


# -- path exclusion -------------------------------------------------------------------------------


def tightness_configurations(scale: str) -> list[Configuration]:
    """Bound and trace of dense perceptrons of several depths and widths."""
    seeds = {"smoke": 16, "small": 40, "full": 200}[scale]
    shapes = dict.fromkeys(shape for pair in DEEPER for shape in pair)
    return [
        spectra.bound_and_trace.configuration(depth=depth, width=width, copies=1, seed=s)
        for s in range(seeds)
        for depth, width in shapes
    ]


def _tightness(done: Sequence[Trial]) -> Observations:
    def ratio(depth: int, width: int) -> np.ndarray:
        where = {"depth": depth, "width": width}
        return np.log10(_pool(done, "per_output", **where) / _pool(done, "trace", **where))

    return {deeper_line(a, b): ratio(*b) - ratio(*a) for a, b in DEEPER}


def matching_configurations(scale: str) -> list[Configuration]:
    """PX against the dense network on digits: a small form that bears on the claim and cannot decide it."""
    seeds = {"smoke": 4, "small": 12, "full": 50}[scale]
    dense = [digits.classify.configuration(method="magnitude", density=1.0, seed=s) for s in range(seeds)]
    return dense + [
        digits.classify.configuration(method="px", density=d, seed=s) for s in range(seeds) for d in DENSITIES_MATCHED
    ]


def _matching(done: Sequence[Trial]) -> Observations:
    dense = _pool(done, "accuracy", density=1.0)
    return {matched_line(d): _pool(done, "accuracy", method="px", density=d) - dense for d in DENSITIES_MATCHED}


STUDIES: dict[str, _Study] = {
    "sketching/lazy-weights": _Study(lazy_configurations, _lazy),
    "sketching/lazy-weights-relative-change-grows": _Study(lazy_configurations, _relative),
    "sketching/lazy-weights-ratio-variance-falls": _Study(lazy_configurations, _ratios),
    "sketching/random-masks-train-better": _Study(sampled_configurations, _sampled),
    "no-free-prune/training-based-memorises-more": _Study(memorisation_configurations, _training_based),
    "no-free-prune/information-raises-capacity": _Study(same_law_configurations, _same_law),
    "no-free-prune/initial-masks-have-lower-counts": _Study(world_configurations, _less_information),
    "no-free-prune/initial-tickets-need-the-same-count": _Study(world_configurations, _same_count),
    "no-free-prune/noise-correlation-ranking": _Study(noise_configurations, _noise),
    "no-free-prune/capacity-tracks-effective-parameters": _Study(effective_configurations, _effective),
    "path-exclusion/bound-tightness": _Study(tightness_configurations, _tightness),
    "path-exclusion/matches-dense-accuracy": _Study(matching_configurations, _matching),
}
"""The trials of every EMPIRICAL claim; how they are tested says `verify.experiments.protocol`."""
