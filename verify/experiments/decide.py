"""Decides the EMPIRICAL claims: sequential tests on trials, with the probability of error stated.

Each claim is a list of named tests on independent or paired observations; the tests of one claim share its
error probability (each gets alpha divided by their number), so everything decided about a claim is right
together with probability at least 1 - alpha. A claim is *supported* when all of its leading tests reject their
nulls, *contradicted* when a test of the opposite does, *undecided* otherwise: a larger scale has more trials. Where
the trials are of another kind than the claim (digits for CIFAR-10), no test leads and the claim stays undecided.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from verify.experiments import capacity, counts, digits, sketches, spectra
from verify.trials import data, sequential
from verify.trials import store as trials
from verify.trials.sequential import Test
from verify.trials.store import Configuration, Trial

SCALES = ("smoke", "small", "full")
ALPHA = 0.01


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
        provenance: seeds, versions, commits.
    """

    claim: str
    verdict: str
    alpha: float
    scale: str
    lines: tuple[Line, ...]
    trials: int
    provenance: dict[str, object] = field(default_factory=dict, compare=False)

    @property
    def sentence(self) -> str:
        """One line for a table."""
        return f"{self.verdict} (error probability {self.alpha:g}): " + "; ".join(map(str, self.lines))


Observations = dict[str, tuple[bool, Any]]
"""Name -> (leading, values whose median is tested to be positive)."""


@dataclass(frozen=True)
class _Study:
    configurations: Callable[[str], list[Configuration]]
    observations: Callable[[Sequence[Trial]], Observations]
    margin: float = 0.0
    """With a margin the median is tested to lie within it of zero instead."""


def decide_empirical(
    claim: str, scale: str = "smoke", *, store: trials.Store | str | Path = "trials", alpha: float = ALPHA,
    jobs: int | None = None, scheduler: str | None = None, quiet: bool = False,
) -> EmpiricalOutcome:  # fmt: skip
    """Run the trials that are missing and decide an empirical claim.

    Args:
        claim: its id.
        scale: "smoke", "small" or "full": how many trials.
        store: where finished trials are.
        alpha: error probability of everything said about the claim.
        jobs: processes, as in `verify.trials.store.run`.
        scheduler: address of a Dask scheduler, likewise.
        quiet: print no progress.

    Raises:
        KeyError: no experiment decides that claim; names near misses.
        ValueError: an unknown scale.
    """
    if claim not in STUDIES:
        near = difflib.get_close_matches(claim, STUDIES, n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else f"those that are: {', '.join(STUDIES)}"
        raise KeyError(f"{claim!r} is not decided by experiments; {hint}")
    if scale not in SCALES:
        raise ValueError(f"scale is {', '.join(SCALES)}, not {scale!r}")
    study = STUDIES[claim]
    store = store if isinstance(store, trials.Store) else trials.Store(store)
    done = trials.run(study.configurations(scale), store, jobs=jobs, scheduler=scheduler, quiet=quiet,
        label=claim)  # fmt: skip
    observed = study.observations(done)
    lines = tuple(
        _line(name, leading, values, alpha / (2 * len(observed)), study.margin)
        for name, (leading, values) in observed.items()
    )
    leading = [line.verdict for line in lines if line.leading]
    if leading and all(v == "yes" for v in leading):
        verdict = "supported"
    else:
        verdict = "contradicted" if "no" in leading else "undecided"
    return EmpiricalOutcome(claim, verdict, alpha, scale, lines, len(done), trials.provenance(done))


def _line(name: str, leading: bool, values: Sequence[float], alpha: float, margin: float) -> Line:
    v = np.asarray(values, dtype=float)
    error = float(v.std(ddof=1) / len(v) ** 0.5) if len(v) > 1 else float("nan")
    if margin:
        outside = [sequential.paired_sign(s * v, alpha / 2, margin=margin) for s in (1.0, -1.0)]
        opposes = max(outside, key=lambda t: t.e_value)
        supports = sequential.equivalent(list(v), margin, alpha)
    else:
        supports, opposes = sequential.paired_sign(v, alpha), sequential.paired_sign(-v, alpha)
    return Line(name, leading, supports, opposes, float(v.mean()), error, len(v))


def _pool(done: Sequence[Trial], result: str, **where: object) -> np.ndarray:
    """A list-valued result of the trials with these parameters, by seed."""
    picked = [t for t in done if all(t[k] == v for k, v in where.items())]
    return np.array([v for t in sorted(picked, key=lambda t: t["seed"]) for v in t[result]])


# -- sketching ------------------------------------------------------------------------------------

WIDTHS = (64, 128, 256, 512, 1024, 2048, 4096)


def lazy_configurations(scale: str) -> list[Configuration]:
    """One fit a width and seed."""
    seeds = {"smoke": 16, "small": 32, "full": 100}[scale]
    return [sketches.lazy_weights.configuration(width=w, seed=s) for w in WIDTHS for s in range(seeds)]


def _lazy(done: Sequence[Trial]) -> Observations:
    lines: dict[tuple[int, int], Trial] = {(t["seed"], t["width"]): t for t in done}
    y = [[np.log(lines[s, w]["distance"]) for w in WIDTHS] for s in sorted({k[0] for k in lines})]
    return {
        "slope of log |w*-w0|/|w0| within 0.1 of -1/2": (
            True,
            sequential.slopes([float(np.log(w)) for w in WIDTHS], y) + 0.5,
        )
    }


SAMPLED = ("magnitude", "snip", "grasp-200", "synflow")
SAMPLED_DENSITIES = (0.5, 0.2, 0.1, 0.05, 0.02)


def sampled_configurations(scale: str) -> list[Configuration]:
    """Thresholded and sampled masks of the same networks."""
    seeds = {"smoke": 2, "small": 10, "full": 40}[scale]
    return [
        digits.classify.configuration(method=m, density=d, select=select, seed=s)
        for s in range(seeds)
        for m in SAMPLED
        for d in SAMPLED_DENSITIES
        for select in ("top", "sample")
    ]


def _sampled(done: Sequence[Trial]) -> Observations:
    return {
        f"{m} at {100 * d:g} %: sampled better": (
            True,
            _pool(done, "accuracy", method=m, density=d, select="sample")
            - _pool(done, "accuracy", method=m, density=d, select="top"),
        )
        for m in SAMPLED
        for d in SAMPLED_DENSITIES
    }


# -- no free prune --------------------------------------------------------------------------------

SAME_LAW = ("imp", "magnitude-after-training", "snip", "grasp", "grasp-200")
AT_START = ("random", "magnitude", "snip", "grasp-200", "synflow", "synflow-l2")
"""Without PX: these networks have one output, so its activation is one common factor and its masks SynFlow-L2's."""
TRAINED = ("imp", "magnitude-after-training")


def same_law_configurations(scale: str) -> list[Configuration]:
    """Sixteen pairs a trial."""
    seeds = {"smoke": 3, "small": 40, "full": 200}[scale]
    return [capacity.same_law.configuration(method=m, seed=s) for s in range(seeds) for m in SAME_LAW]


def _same_law(done: Sequence[Trial]) -> Observations:
    return {
        f"{m}: own labels memorised better": (
            m == "imp",
            _pool(done, "own", method=m) - _pool(done, "foreign", method=m),
        )
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
        for scope in ("layer", "global")
    ]


def _training_based(done: Sequence[Trial]) -> Observations:
    found: Observations = {}
    for scope in ("layer", "global"):
        key = {"density": 0.1, "scope": scope}
        for trained in TRAINED:
            for m in AT_START:
                gain = _pool(done, "memorised", method=trained, **key) - _pool(done, "memorised", method=m, **key)
                found[f"{trained} above {m}, {scope}, 10 %"] = (scope == "layer", gain)
    return found


INFORMED = ("snip", "grasp-200")
"""Rules at initialisation whose masks depend on the labels."""
WORLD_DENSITIES = (0.3, 0.5, 0.7, 0.85, 1.0)
WITHIN = 0.1


def world_configurations(scale: str) -> list[Configuration]:
    """Every labeling of a few points, for each method."""
    seeds = {"smoke": 4, "small": 40, "full": 200}[scale]
    return [
        capacity.informed_masks.configuration(method=m, densities=list(WORLD_DENSITIES), seed=s)
        for s in range(seeds)
        for m in ("random", "magnitude", "synflow", *INFORMED, *TRAINED)
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
        f"{trained} above {m}, {100 * WORLD_DENSITIES[d]:g} %": (True, bits[trained][:, d] - bits[m][:, d])
        for d in (0, 1)
        for trained in TRAINED
        for m in worlds
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
    return {f"{m} needs what {t} needs": (True, needed[m] - needed[t]) for t in TRAINED for m in INFORMED}


NOISE_METHODS = ("random", "snip", "synflow", "synflow-l2", "magnitude-after-training", "imp")


def noise_data() -> tuple[str, ...]:
    """The data sets with noisy labels: CIFAR-10 where it is found (`verify.trials.data.folder`)."""
    return ("gaussian", "digits", "cifar10") if data.available("cifar10") else ("gaussian", "digits")


def noise_configurations(scale: str) -> list[Configuration]:
    """Training on noisy labels, two or three data sets."""
    seeds = {"smoke": 2, "small": 8, "full": 40}[scale]
    return [
        capacity.noise_correlation.configuration(method=m, data=d, seed=s)
        for s in range(seeds)
        for m in NOISE_METHODS
        for d in noise_data()
    ]


def _noise(done: Sequence[Trial]) -> Observations:
    found: Observations = {}
    for name in dict.fromkeys(t["data"] for t in done):
        last = np.array([[c[-1] for c in _pool(done, "correlation", method=m, data=name)] for m in NOISE_METHODS])
        memory = np.array([_pool(done, "memorised", method=m, data=name) for m in NOISE_METHODS])
        # One observation a network: the rank correlation over methods of noise learnt with labels memorised.
        found[f"{name}: ranks agree"] = (True, _rank_correlations(last.T, memory.T))
    return found


def _rank_correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's coefficient of each pair of rows; 0 where a row is constant."""
    ranks = [stats.rankdata(v, axis=1) for v in (a, b)]
    ranks = [r - r.mean(1, keepdims=True) for r in ranks]
    scale = np.sqrt((ranks[0] ** 2).sum(1) * (ranks[1] ** 2).sum(1))
    return np.divide((ranks[0] * ranks[1]).sum(1), scale, out=np.zeros(len(scale)), where=scale > 0)


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
        across.append(_rank_correlations(p[None], share[None])[0])
        within.append(np.mean([_rank_correlations(p[None, k == j], share[None, k == j])[0] for j in np.unique(k)]))
    return {"across rules and sizes": (True, across), "among rules of one size": (False, within)}


# -- path exclusion -------------------------------------------------------------------------------

KERNEL_METHODS = ("random", "magnitude", "snip", "grasp-200", "synflow", "synflow-l2", "px", "px-frozen")


def kernel_configurations(scale: str) -> list[Configuration]:
    """Trace, bounds and largest eigenvalue of the same networks under each method's mask."""
    seeds = {"smoke": 4, "small": 12, "full": 50}[scale]
    return [
        spectra.bound_and_trace.configuration(depth=3, width=64, density=0.2, method=m, seed=s)
        for s in range(seeds)
        for m in KERNEL_METHODS
    ]


def _kernel(done: Sequence[Trial]) -> Observations:
    values = {
        q: np.array([_pool(done, q, method=m) for m in KERNEL_METHODS]).T for q in ("trace", "per_output", "largest")
    }
    return {
        "more bound, more trace (ranks over methods)": (
            True,
            _rank_correlations(values["per_output"], values["trace"]),
        ),
        "more trace, larger eigenvalue": (True, _rank_correlations(values["trace"], values["largest"])),
    }


MATCHED = 0.02


def matching_configurations(scale: str) -> list[Configuration]:
    """PX against the dense network on digits: a small form that bears on the claim and cannot decide it."""
    seeds = {"smoke": 4, "small": 12, "full": 50}[scale]
    dense = [digits.classify.configuration(method="magnitude", density=1.0, seed=s) for s in range(seeds)]
    return dense + [
        digits.classify.configuration(method="px", density=d, seed=s) for s in range(seeds) for d in (0.5, 0.2, 0.1)
    ]


def _matching(done: Sequence[Trial]) -> Observations:
    dense = _pool(done, "accuracy", density=1.0)
    return {
        f"digits, not the claim's CIFAR-10: PX at {100 * d:g} % at most 2 points below dense": (
            False,
            _pool(done, "accuracy", method="px", density=d) - dense + MATCHED,
        )
        for d in (0.5, 0.2, 0.1)
    }


STUDIES: dict[str, _Study] = {
    "sketching/lazy-weights": _Study(lazy_configurations, _lazy, 0.1),
    "sketching/random-masks-train-better": _Study(sampled_configurations, _sampled),
    "no-free-prune/training-based-memorises-more": _Study(memorisation_configurations, _training_based),
    "no-free-prune/information-raises-capacity": _Study(same_law_configurations, _same_law),
    "no-free-prune/initial-masks-have-fewer-effective-parameters": _Study(world_configurations, _less_information),
    "no-free-prune/initial-tickets-need-the-same-count": _Study(world_configurations, _same_count, WITHIN),
    "no-free-prune/noise-correlation-ranking": _Study(noise_configurations, _noise),
    "no-free-prune/capacity-tracks-effective-parameters": _Study(effective_configurations, _effective),
    "path-exclusion/trace-preserves-eigenvalues": _Study(kernel_configurations, _kernel),
    "path-exclusion/matches-dense-accuracy": _Study(matching_configurations, _matching),
}
