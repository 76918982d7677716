"""Classifying scikit-learn's digits: accuracy of masked networks, thresholded and sampled masks."""

from __future__ import annotations

import functools
from typing import Any

import torch

from verify.experiments.scores import live_weights, method_named, pruned, starting_point
from verify.trials import experiment
from verify.trials.streams import stream
from verify.trials.training import Recipe, accuracy, initial, train

TEST = 597
"""The last 597 of the 1797 digits are for testing."""


@functools.cache
def images() -> tuple[torch.Tensor, torch.Tensor]:
    """The 8x8 digits, (1797, 64) standardised by one mean and one deviation, and their classes."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = (x - x.mean()) / x.std()
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.long)


@experiment
def classify(
    method: str,
    density: float,
    *,
    select: str = "top",
    sanity: str = "none",
    scope: str = "global",
    rounds: int | None = None,
    score_data: str = "digits",
    hidden: list[int] = [64, 64],  # noqa: B006
    steps: int = 300,
    batch: int = 128,
    copies: int = 4,
    seed: int,
) -> dict[str, Any]:
    """Test accuracy after training under the method's mask; ``density`` 1 trains the dense network.

    Args:
        method: one of `verify.experiments.scores.METHODS`.
        density: share of weights kept.
        select: "top", or "sample" to draw the mask from the one-shot scores by which "top" ranks.
        sanity: "none", "shuffle", "reinitialise", "invert" or "relabel"; see `verify.experiments.scores.pruned`.
        scope: "global" or "layer".
        rounds: of pruning; None takes the method's own.
        score_data: what the score sees: "digits", or "noise" (Gaussian inputs and random labels).
        hidden: widths of the hidden layers.
        steps: Adam 1e-3 steps.
        batch: samples a step.
        copies: networks trained side by side.
        seed: first seed.

    Returns:
        accuracy of each copy; layers: share of each layer's weights kept; live: share of kept weights on paths.
    """
    x, y = images()
    x, y, xt, yt = x[:-TEST], y[:-TEST], x[-TEST:], y[-TEST:]
    seeds = [seed * 1000 + i for i in range(copies)]
    recipe = Recipe(steps, batch=batch)
    stack = initial([x.shape[1], *hidden, 10], seeds, bias=True)
    if density < 1:
        g = stream("scored on", seed)
        pick = torch.randperm(len(x), generator=g)[:256]
        xs, ys = x[pick], y[pick]
        if score_data == "noise":
            xs, ys = torch.randn(xs.shape, generator=g), torch.randint(0, 10, ys.shape, generator=g)
        if method_named(method).score is None:
            xs, ys = x, y
        stack, recipe = starting_point(stack, method, x, y, recipe, seed=seed)
        stack = pruned(
            stack, method, xs, ys, density, sanity, scope=scope, select=select, rounds=rounds, seeds=seeds,
            recipe=recipe
        )  # fmt: skip
    trained = train(stack, x, y, recipe, seed=seed)
    live = torch.stack(live_weights(stack)).sum(0) / torch.stack([m.sum((1, 2)) for m in stack.masks]).sum(0)
    return {
        "accuracy": accuracy(trained, xt, yt).tolist(),
        "layers": [m.mean((1, 2)).tolist() for m in stack.masks],
        "live": live.tolist(),
    }
