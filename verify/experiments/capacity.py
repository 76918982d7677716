"""Capacity: memorisation of random labels, the same-law control, correlation with label noise."""

from __future__ import annotations

from typing import Any

import torch

from verify.experiments.scores import live_weights, make_masks
from verify.trials import experiment
from verify.trials.streams import stream
from verify.trials.training import Recipe, accuracy, initial, train


def _seeds(seed: int, copies: int) -> list[int]:
    return [seed * 1000 + i for i in range(copies)]


def _gaussian(seed: int, copies: int, n: int, d: int, label_sets: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Gaussian inputs (copies, n, d) and uniform signs (label_sets, copies, n)."""
    g = stream("gaussian data", seed)
    x = torch.randn(copies, n, d, generator=g)
    y = torch.randint(0, 2, (label_sets, copies, n), generator=g).float() * 2 - 1
    return x, y


@experiment
def same_law(
    method: str,
    *,
    samples: int = 192,
    widths: list[int] = [16, 32, 32, 1],  # noqa: B006
    kept: int = 156,
    steps: int = 600,
    rounds: int = 5,
    scope: str = "layer",
    copies: int = 16,
    seed: int,
) -> dict[str, Any]:
    """The same-law control, paired copy by copy.

    One mask is made from (w0, x, y), the other by the same rule from (w0, x, y') with fresh labels y'; both
    networks start from w0 and are trained on y. The two masks have the same law; only the first has
    information on y. Biases are present, not pruned; Adam 1e-3, logistic loss, all samples at once.

    Returns:
        own, foreign: training accuracy of each copy; weights: how many weights were kept.
    """
    recipe = Recipe(steps)
    stack = initial(widths, _seeds(seed, copies), bias=True)
    x, y = _gaussian(seed, copies, samples, widths[0], 2)
    both, xx = stack.repeat(2), x.repeat(2, 1, 1)
    seeds = _seeds(seed, copies) * 2
    masks = make_masks(
        both, method, xx, y.flatten(0, 1), kept / stack.parameters, scope=scope,
        rounds=rounds if method == "imp" else None, seeds=seeds, recipe=recipe,
    )  # fmt: skip
    mine = y[0].repeat(2, 1)
    found = accuracy(train(both.with_masks(masks), xx, mine, recipe), xx, mine).view(2, copies)
    return {
        "own": found[0].tolist(),
        "foreign": found[1].tolist(),
        "weights": int(sum(m[0].sum() for m in masks)),
    }


@experiment
def memorisation(
    method: str,
    density: float,
    *,
    samples: int = 192,
    widths: list[int] = [16, 32, 32, 1],  # noqa: B006
    steps: int = 600,
    rounds: int = 5,
    scope: str = "layer",
    copies: int = 8,
    seed: int,
) -> dict[str, Any]:
    """Share of random labels on Gaussian inputs that a masked network learns; density 1 trains the dense one.

    Returns:
        memorised: training accuracy of each copy; live: weights on input-output paths of each copy;
        weights: weights kept in each copy.
    """
    recipe = Recipe(steps)
    seeds = _seeds(seed, copies)
    stack = initial(widths, seeds, bias=True)
    x, y = _gaussian(seed, copies, samples, widths[0])
    if density < 1:
        own_rounds = rounds if method == "imp" else None
        stack = stack.with_masks(
            make_masks(
                stack, method, x, y[0], density, scope=scope, rounds=own_rounds, seeds=seeds, recipe=recipe
            )
        )  # fmt: skip
    trained = train(stack, x, y[0], recipe)
    return {
        "memorised": accuracy(trained, x, y[0]).tolist(),
        "live": [int(v) for v in sum(live_weights(stack))],  # type: ignore[union-attr]
        "weights": [int(v) for v in sum(m.sum((1, 2)) for m in stack.masks)],  # type: ignore[union-attr]
    }


@experiment
def informed_masks(
    method: str,
    densities: list[float],
    *,
    samples: int = 6,
    widths: list[int] = [3, 6, 1],  # noqa: B006
    steps: int = 400,
    rounds: int = 3,
    scope: str = "global",
    seed: int,
) -> dict[str, Any]:
    """All 2^n labelings of n Gaussian points, pruned and trained from one and the same w0.

    A rule without randomness of its own has I(m; y | w0, x) = H(m) over the labelings: counted, in bits. (It is
    arithmetic that decides which weights are kept: ties within rounding count as the rule's choice.) Density 1 trains
    the dense network.

    Returns:
        weights: how many a dense network has; and for each density: kept, information, memorised (share of the
        labelings that are given back entirely).
    """
    recipe = Recipe(steps)
    y = 2.0 * ((torch.arange(2**samples)[:, None] >> torch.arange(samples)) & 1) - 1
    stack = initial(widths, [seed] * len(y), bias=True)
    x = torch.randn(samples, widths[0], generator=stream("gaussian data", seed))
    x = x.expand(len(y), *x.shape)
    found: dict[str, Any] = {"weights": stack.parameters, "kept": [], "information": [], "memorised": []}
    for density in densities:
        pruned = stack
        if density < 1:
            pruned = stack.with_masks(
                make_masks(
                    stack, method, x, y, density, scope=scope, rounds=rounds if method == "imp" else None,
                    seeds=[seed] * len(y), recipe=recipe,
                )
            )  # fmt: skip
        kept = torch.cat([m.flatten(1) for m in pruned.masks], 1)
        _, counts = torch.unique(kept, dim=0, return_counts=True)
        share = counts.double() / len(y)
        found["kept"].append(int(kept[0].sum()))
        found["information"].append(abs(float(-(share * share.log2()).sum())))
        found["memorised"].append(float((accuracy(train(pruned, x, y, recipe), x, y) == 1).double().mean()))
    return found


@experiment
def noise_correlation(
    method: str,
    density: float = 0.1,
    *,
    data: str = "gaussian",
    flip: float = 0.25,
    samples: int = 192,
    hidden: list[int] = [32, 32],  # noqa: B006
    steps: int = 600,
    rounds: int = 5,
    copies: int = 8,
    seed: int,
) -> dict[str, Any]:
    r"""$\frac1n\sum_i f(x_i) z_i$ while training on noisy labels: how much of the noise the network has learnt.

    Labels are +-1: the sign of a random linear function of Gaussian inputs, whether a digit is at least five, or
    whether a CIFAR-10 image (averaged down to 8 x 8) shows an animal; each is flipped with probability ``flip``.
    z_i = y_i - E[y_i | x_i] is the noise, f the tanh of the network's output.

    Returns:
        steps; correlation (copies, steps); memorised: final training accuracy on the noisy labels.
    """
    recipe = Recipe(steps)
    seeds = _seeds(seed, copies)
    x, clean = _labelled(data, seed, copies, samples)
    g = stream("label noise", seed)
    y = torch.where(torch.rand(clean.shape, generator=g) < flip, -clean, clean)
    noise = y - (1 - 2 * flip) * clean
    stack = initial([x.shape[-1], *hidden, 1], seeds, bias=True)
    masks = make_masks(
        stack, method, x, y, density, rounds=rounds if method == "imp" else None, seeds=seeds, recipe=recipe
    )
    at, seen = [], []

    def watch(step: int, outputs: torch.Tensor) -> None:
        if step % (steps // 20) == 0:
            at.append(step)
            seen.append((outputs[..., 0].tanh() * noise).mean(1))

    trained = train(stack.with_masks(masks), x, y, recipe, watch=watch)
    at.append(steps)
    with torch.no_grad():
        seen.append((trained(x)[..., 0].tanh() * noise).mean(1))
    return {
        "at": at,
        "correlation": torch.stack(seen, 1).tolist(),
        "memorised": accuracy(trained, x, y).tolist(),
    }


def _labelled(data: str, seed: int, copies: int, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (copies, n, d) and clean labels +-1 (copies, n)."""
    g = stream("labelled data", seed)
    if data == "gaussian":
        x = torch.randn(copies, samples, 16, generator=g)
        return x, (x @ torch.randn(copies, 16, 1, generator=g))[..., 0].sign()
    if data == "digits":
        from verify.experiments.digits import images

        pixels, classes = images()
        pick = torch.stack([torch.randperm(len(pixels), generator=g)[:samples] for _ in range(copies)])
        return pixels[pick], torch.where(classes[pick] >= 5, 1.0, -1.0)
    if data == "cifar10":
        from verify.experiments.cifar import images as cifar

        # Blocks of 4 x 4 pixels averaged: 192 numbers an image. Classes 2 to 7 are animals, the others vehicles.
        x, classes = cifar("train", 5000, 8)
        x = x.flatten(1)
        pick = torch.stack([torch.randperm(len(x), generator=g)[:samples] for _ in range(copies)])
        return x[pick], torch.where((classes[pick] >= 2) & (classes[pick] <= 7), 1.0, -1.0)
    raise ValueError(f"data is 'gaussian', 'digits' or 'cifar10', not {data!r}")
