"""False-alarm rate and power of the sequential tests, by simulation.

For each test: many simulated data streams under the hardest null (no effect), checked after *every*
observation, and streams with an effect. The share of streams that are ever rejected must stay below the
stated error probability under the null; power and the median time to decide are what it buys.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from verify.sequential import rejection_times


def run(*, runs: int = 4000, length: int = 1000, seed: int = 0) -> list[dict[str, Any]]:
    """Rows with test, effect, alpha, share rejected, median observations to reject.

    Args:
        runs: simulated streams a row.
        length: observations in each; a test that has not rejected by then counts as not rejecting.
        seed: seed of the generator.
    """
    rows = []
    for test, effect, payoffs in _streams(np.random.default_rng([seed, 6]), runs, length):
        for alpha in (0.05, 0.01):
            times = rejection_times(math.log(1 / alpha), payoffs)
            hits = times[times > 0]
            rows.append(
                {
                    "test": test,
                    "effect": effect,
                    "alpha": alpha,
                    "rejected": round(float(np.mean(times > 0)), 5),
                    "median_n": int(np.median(hits)) if len(hits) else "",
                    "runs": runs,
                    "length": length,
                    "seed": seed,
                }
            )
    return rows


def _streams(rng: np.random.Generator, runs: int, length: int) -> list[tuple[str, str, np.ndarray]]:
    """(test, effect, payoffs of the bets (runs, length)) for nulls and effects."""
    shape = (runs, length)
    out = []
    for p in (0.5, 0.6, 0.75, 0.9):
        signs = np.where(rng.random(shape) < p, 1.0, -1.0)
        out.append(("paired signs", "none" if p == 0.5 else f"P(D > 0) = {p}", signs))
    for shift in (0.0, 0.05, 0.2):
        uniform = np.clip(rng.random(shape) + shift, 0, 1) if shift else rng.random(shape)
        out.append(("mean, uniform", "none" if not shift else f"shift {shift}", (uniform - 0.5) / 0.5))
    for mean in (0.1, 0.15, 0.3):
        coins = (rng.random(shape) < mean).astype(float)
        out.append(("mean, coins against 0.1", "none" if mean == 0.1 else f"mean {mean}", (coins - 0.1) / 0.1))
    # Replicate lines y = slope x + noise over five widths; the slope's sign is the observation.
    x = np.arange(5.0) - 2
    for true in (0.0, -0.2, -0.5):
        y = true * x + rng.standard_normal((runs, length, 5))
        out.append(("slope", "none" if true == 0 else f"slope {true}, noise 1", np.sign(-(y @ x))))
    return out
