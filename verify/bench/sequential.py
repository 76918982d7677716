"""False-alarm rate and power of the sequential tests, by simulation.

For each test: many simulated data streams under the hardest null (no effect), checked after *every*
observation, and streams with an effect. The share of streams that are ever rejected must stay below the
stated error probability under the null; power and the median time to decide are what it buys. Beside them,
what happens to one who looks after every observation with a test made for one look.

Under a null the row says what the simulation shows of the stated error, by Clopper and Pearson's limits of
error `CONFIDENCE` a side: *held* if the upper limit is at most alpha, *broken* if the lower one is above it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from verify.trials.sequential import _mixture, rejection_times

CONFIDENCE = 1e-6
CHUNK = 500
"""Streams simulated at once: a mixture over bets takes much memory."""
NONE = "none"

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def run(*, runs: int = 40_000, length: int = 1000, seed: int = 0) -> list[dict[str, Any]]:
    """Rows with test, effect, alpha, share rejected, median observations to reject, verdict on the error.

    Args:
        runs: simulated streams of each null; a tenth for each effect.
        length: observations in each; a test that has not rejected by then counts as not rejecting.
        seed: seed of the generator.
    """
    rows = []
    for number, (test, effect, draw, times) in enumerate(_cases()):
        count = runs if effect == NONE else max(1, runs // 10)
        found: dict[float, list[np.ndarray]] = {0.05: [], 0.01: []}
        for chunk, start in enumerate(range(0, count, CHUNK)):
            data = draw(np.random.default_rng([seed, 6, number, chunk]), (min(CHUNK, count - start), length))
            for alpha, parts in found.items():
                parts.append(times(data, alpha))
        for alpha, parts in found.items():
            at = np.concatenate(parts)
            hits = at[at > 0]
            rows.append(
                {
                    "test": test,
                    "effect": effect,
                    "alpha": alpha,
                    "rejected": round(len(hits) / count, 5),
                    "stated error": _verdict(len(hits), count, alpha) if effect == NONE else "",
                    "median_n": int(np.median(hits)) if len(hits) else "",
                    "runs": count,
                    "length": length,
                    "seed": seed,
                }
            )
    return rows


def _verdict(hits: int, runs: int, alpha: float) -> str:
    low, high = limits(hits, runs)
    return "held" if high <= alpha else "broken" if low > alpha else "not contradicted"


def limits(hits: int, runs: int, error: float = CONFIDENCE) -> tuple[float, float]:
    """Clopper and Pearson's limits of a probability, each wrong with probability at most ``error``."""
    from scipy.stats import beta

    low = float(beta.ppf(error, hits, runs - hits + 1)) if hits else 0.0
    return low, float(beta.ppf(1 - error, hits + 1, runs - hits)) if hits < runs else 1.0


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How often the stated error was held, by the tests of this project and by the others."""
    out: dict[str, Any] = {}
    for whose, mine in (("sequential tests", True), ("tests made for one look", False)):
        nulls = [r for r in rows if r["effect"] == NONE and r["test"].startswith("z-test") is not mine]
        counts = {v: sum(r["stated error"] == v for r in nulls) for v in ("held", "not contradicted", "broken")}
        out[f"{whose}, nulls"] = ", ".join(f"{n} {v}" for v, n in counts.items())
    return out


# -- the cases ------------------------------------------------------------------------------------


def _betting(payoffs: np.ndarray, alpha: float) -> np.ndarray:
    return rejection_times(math.log(1 / alpha), payoffs)


def _both_sides(differences: np.ndarray, alpha: float) -> np.ndarray:
    """`equivalent` with margin 1: the smaller of two e-processes."""
    low = np.minimum(_mixture(np.sign(differences + 1)), _mixture(np.sign(1 - differences)))
    return _first(low >= math.log(1 / alpha))


def _every_look(values: np.ndarray, alpha: float) -> np.ndarray:
    """A one-sided z-test at level alpha after each of the observations from the 10th on."""
    from scipy.stats import norm

    n = np.arange(1, values.shape[-1] + 1)
    deviation = np.sqrt(np.maximum(np.cumsum(values**2, axis=-1) / n - (np.cumsum(values, axis=-1) / n) ** 2, 1e-12))
    z = np.cumsum(values, axis=-1) / np.sqrt(n) / deviation
    return _first((z >= norm.ppf(1 - alpha)) & (n >= 10))


def _first(crossed: np.ndarray) -> np.ndarray:
    return np.where(crossed.any(axis=-1), crossed.argmax(axis=-1) + 1, -1)


def _signs(p: float) -> Draw:
    return lambda rng, shape: np.where(rng.random(shape) < p, 1.0, -1.0)


def _uniform(shift: float) -> Draw:
    """Payoffs of the test that the mean of values in [0, 1] is at most 1/2."""
    return lambda rng, shape: (np.clip(rng.random(shape) + shift, 0, 1) - 0.5) / 0.5


def _coins(mean: float, tested: float, *, less: bool = False) -> Draw:
    """Payoffs of the test that the mean of coins is at most (at least) ``tested``."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        x = (rng.random(shape) < mean).astype(float)
        return (tested - x) / (1 - tested) if less else (x - tested) / tested

    return draw


def _slopes(true: float) -> Draw:
    """Replicate lines y = slope x + noise over five widths; the slope's sign is the observation."""
    x = np.arange(5.0) - 2
    return lambda rng, shape: np.sign(-((true * x + rng.standard_normal((*shape, 5))) @ x))


def _normal(mean: float, deviation: float = 1.0) -> Draw:
    return lambda rng, shape: mean + deviation * rng.standard_normal(shape)


def _cases() -> Iterator[tuple[str, str, Draw, Callable[[np.ndarray, float], np.ndarray]]]:
    """(test, effect, how to draw, when it rejects), nulls first."""
    for p in (0.5, 0.6, 0.75, 0.9):
        yield "paired signs", NONE if p == 0.5 else f"P(D > 0) = {p}", _signs(p), _betting
    for shift in (0.0, 0.05, 0.2):
        yield "mean, uniform", f"shift {shift}" if shift else NONE, _uniform(shift), _betting
    for mean in (0.1, 0.15, 0.3):
        yield "mean, coins against 0.1", NONE if mean == 0.1 else f"mean {mean}", _coins(mean, 0.1), _betting
    for mean in (0.1, 0.05):
        coins = _coins(mean, 0.1, less=True)
        yield "mean below, coins against 0.1", NONE if mean == 0.1 else f"mean {mean}", coins, _betting
    for true in (0.0, -0.2, -0.5):
        yield "slope", f"slope {true}, noise 1" if true else NONE, _slopes(true), _betting
    # No effect worth the name, against a margin of 1: the null is an effect as large as the margin.
    for median in (1.0, 0.0):
        effect = NONE if median else "median 0, noise 1/2"
        yield "equivalent within 1", effect, _normal(median, 0.5), _both_sides
    yield "z-test after every observation", NONE, _normal(0.0), _every_look
    yield "z-test after every observation, signs", NONE, _signs(0.5), _every_look
