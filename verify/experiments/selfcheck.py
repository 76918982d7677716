"""Cheap trials for checking the store, the sweeps and the cluster."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from verify.trials import experiment


@experiment
def mean_of_draws(
    draws: int = 1000, wait: float = 0.0, fail: bool = False, diverge: bool = False, *, seed: int
) -> dict[str, Any]:  # fmt: skip
    """Mean and spread of seeded normal draws, after waiting ``wait`` seconds.

    Raises:
        ValueError: ``fail`` was asked for.
    """
    if fail:
        raise ValueError("this trial was asked to fail")
    time.sleep(wait)
    x = np.random.default_rng([seed, 1]).standard_normal(draws)
    return {"mean": float("nan") if diverge else float(x.mean()), "spread": float(x.std())}


@experiment
def training(epochs: int = 5, rate: float = 0.05, *, seed: int) -> dict[str, Any]:
    """Train a tiny convolutional network with batch normalisation twice, as `training.train_module` does.

    Returns:
        history: losses of both runs; weights: the sum of the second network's weights.

    Raises:
        Diverged: the rate is too large.
    """
    import torch
    from torch import nn

    from verify.trials.training import ImageRecipe, train_module

    g = torch.Generator().manual_seed(seed)
    x, y = torch.randn(24, 1, 4, 4, generator=g), torch.randint(0, 3, (24,), generator=g)
    recipe = ImageRecipe(epochs, 8, rate, milestones=(epochs * 2 // 3,), shift=1)
    history = []
    for run in range(2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1000 * run + seed)
            module = nn.Sequential(
                nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)
            )  # fmt: skip
        history.append(train_module(module, {}, x, y, recipe, seed=seed))
    return {"history": history, "weights": float(sum(p.detach().sum() for p in module.parameters()))}
