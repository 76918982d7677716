"""A cheap trial for checking the store, the sweeps and the cluster."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from verify.trials import experiment


@experiment
def mean_of_draws(draws: int = 1000, wait: float = 0.0, fail: bool = False, *, seed: int) -> dict[str, Any]:
    """Mean and spread of seeded normal draws, after waiting ``wait`` seconds.

    Raises:
        ValueError: ``fail`` was asked for.
    """
    if fail:
        raise ValueError("this trial was asked to fail")
    time.sleep(wait)
    x = np.random.default_rng([seed, 1]).standard_normal(draws)
    return {"mean": float(x.mean()), "spread": float(x.std())}
