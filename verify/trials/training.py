"""Training masked networks: many small ones at once, or one torch module.

Small multilayer perceptrons are trained as a *stack*: S copies (masks, seeds, label sets) share every
operation through `torch.bmm`, which costs far fewer kernel launches than S separate loops
(`python -m verify bench training` measures how much). Convolutional networks on a CPU gain nothing from
that: train them one by one, in parallel processes (`verify.trials.run`).

Randomness comes from one generator a copy, so a copy's result does not depend on its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from verify.trials import checkpoints
from verify.trials.streams import stream

Masks = list[Tensor]


@dataclass(frozen=True)
class Stack:
    """S perceptrons of one shape: ReLU between layers, none after the last.

    Attributes:
        weights: one (S, out, in) tensor a layer.
        masks: zeros and ones, of the same shapes.
        biases: one (S, out) tensor a layer, never masked; empty for networks without biases.
    """

    weights: list[Tensor]
    masks: Masks
    biases: list[Tensor]

    @property
    def copies(self) -> int:
        """S."""
        return self.weights[0].shape[0]

    @property
    def parameters(self) -> int:
        """Weights in one copy (biases are not counted: they are not pruned)."""
        return sum(w[0].numel() for w in self.weights)

    def with_masks(self, masks: Masks) -> Stack:
        """The same weights under other masks.

        Raises:
            ValueError: masks of other shapes.
        """
        for w, m in zip(self.weights, masks, strict=True):
            if w.shape != m.shape:
                raise ValueError(f"a mask has shape {tuple(m.shape)}, its weights {tuple(w.shape)}")
        return replace(self, masks=list(masks))

    def repeat(self, times: int) -> Stack:
        """``times`` copies of the whole stack, one after the other: (times * S) networks."""
        again = [t.repeat(times, *([1] * (t.dim() - 1))) for t in (*self.weights, *self.masks, *self.biases)]
        n = len(self.weights)
        return Stack(again[:n], again[n : 2 * n], again[2 * n :])

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs (S, n, K) on inputs (n, d), shared, or (S, n, d)."""
        return _forward([w * m for w, m in zip(self.weights, self.masks, strict=True)], self.biases, x)


def _forward(weights: Sequence[Tensor], biases: Sequence[Tensor], x: Tensor) -> Tensor:
    h = x if x.dim() == 3 else x.expand(weights[0].shape[0], *x.shape)
    for i, w in enumerate(weights):
        if i:
            h = h.relu()
        h = torch.baddbmm(biases[i][:, None], h, w.transpose(1, 2)) if biases else torch.bmm(h, w.transpose(1, 2))
    return h


def initial(widths: Sequence[int], seeds: Sequence[int], *, bias: bool = False, gain: float = 2.0) -> Stack:
    """Dense stack with Kaiming normal weights (variance gain / fan-in) and zero biases, one seed a copy.

    Raises:
        ValueError: fewer than two widths or no seeds.
    """
    if len(widths) < 2 or not len(seeds):
        raise ValueError("a stack needs at least an input width, an output width and one seed")
    pairs = list(zip(widths[1:], widths[:-1], strict=True))
    copies = []
    for seed in seeds:
        g = torch.Generator().manual_seed(int(seed))
        copies.append([torch.randn(o, i, generator=g) * (gain / i) ** 0.5 for o, i in pairs])
    weights = [torch.stack(layer) for layer in zip(*copies, strict=True)]
    biases = [torch.zeros(len(seeds), o) for o, _ in pairs] if bias else []
    return Stack(weights, [torch.ones_like(w) for w in weights], biases)


def losses(outputs: Tensor, y: Tensor) -> Tensor:
    """Mean loss of each copy, (S,): logistic for one output and labels +-1, else cross-entropy.

    Args:
        outputs: (S, n, K).
        y: (n,) or (S, n).
    """
    y = y.expand(outputs.shape[0], -1) if y.dim() == 1 else y
    if outputs.shape[-1] == 1:
        return functional.softplus(-outputs[..., 0] * y).mean(1)
    flat = functional.cross_entropy(outputs.flatten(0, 1), y.flatten().long(), reduction="none")
    return flat.view(outputs.shape[:2]).mean(1)


def accuracy(stack: Stack, x: Tensor, y: Tensor) -> Tensor:
    """Share of right answers of each copy, (S,). A single output of exactly 0 is a guess: it counts as half."""
    with torch.no_grad():
        outputs = stack(x)
    if outputs.shape[-1] == 1:
        return ((outputs[..., 0] * y).sign().double() / 2 + 0.5).mean(1)
    return (outputs.argmax(-1) == y).double().mean(1)


class Diverged(ArithmeticError):
    """A training run whose numbers are no longer finite; says where."""


@dataclass(frozen=True)
class Recipe:
    """How a stack is trained.

    Attributes:
        steps: optimiser steps.
        rate: learning rate.
        optimiser: "adam" or "sgd" (momentum 0.9).
        batch: samples a step; 0 takes all of them.
        milestones: shares of the steps after which the rate is divided by 10.
    """

    steps: int = 600
    rate: float = 1e-3
    optimiser: str = "adam"
    batch: int = 0
    milestones: tuple[float, ...] = ()


CAPACITY = Recipe()
"""Adam 1e-3 and cross-entropy on all samples at once: the recipe of the capacity experiments."""

Watch = Callable[[int, Tensor], None]


def train(
    stack: Stack, x: Tensor, y: Tensor, recipe: Recipe = CAPACITY, *, seed: int = 0, watch: Watch | None = None
) -> Stack:
    """Train every copy under its mask; masked weights are exactly 0 afterwards.

    Args:
        stack: what to start from (left as it is).
        x: (n, d) shared by all copies, or (S, n, d).
        y: (n,) or (S, n).
        recipe: optimiser, rate, steps.
        seed: seed of the order of the samples (only with ``recipe.batch``).
        watch: called with the step and the (S, batch, K) outputs before each step.

    Raises:
        ValueError: an unknown optimiser.
        Diverged: weights of a copy are not finite at the end.
    """
    if recipe.optimiser not in ("adam", "sgd"):
        raise ValueError(f"optimiser is 'adam' or 'sgd', not {recipe.optimiser!r}")
    weights = [(w * m).clone().requires_grad_() for w, m in zip(stack.weights, stack.masks, strict=True)]
    biases = [b.clone().requires_grad_() for b in stack.biases]
    if recipe.optimiser == "adam":
        optimiser: torch.optim.Optimizer = torch.optim.Adam([*weights, *biases], recipe.rate, fused=True)
    else:
        optimiser = torch.optim.SGD([*weights, *biases], recipe.rate, momentum=0.9)
    g = stream("order", seed)
    n = x.shape[-2]
    drops = {round(m * recipe.steps) for m in recipe.milestones}
    order, at = torch.empty(0, dtype=torch.long), 0
    for step in range(recipe.steps):
        if step in drops:
            for group in optimiser.param_groups:
                group["lr"] /= 10
        xb, yb = x, y
        if recipe.batch and recipe.batch < n:
            if at + recipe.batch > len(order):
                order, at = torch.randperm(n, generator=g), 0
            pick = order[at : at + recipe.batch]
            at += recipe.batch
            xb, yb = x[..., pick, :], y[..., pick]
        outputs = _forward(weights, biases, xb)
        if watch is not None:
            watch(step, outputs.detach())
        optimiser.zero_grad()
        losses(outputs, yb).sum().backward()
        for w, m in zip(weights, stack.masks, strict=True):
            if w.grad is not None:
                w.grad.mul_(m)
        optimiser.step()
    for i in range(stack.copies):
        if not all(bool(torch.isfinite(t[i]).all()) for t in (*weights, *biases)):
            raise Diverged(f"copy {i} of {stack.copies}: weights are not finite after {recipe.steps} steps")
    return replace(stack, weights=[w.detach() for w in weights], biases=[b.detach() for b in biases])


# -- masks ----------------------------------------------------------------------------------------


def kept_counts(stack: Stack, density: float, scope: str) -> list[int]:
    """How many weights are kept: one number a layer ("layer", "erk"), or one in all ("global").

    "erk": layers' shares proportional to (in + out) / (in out), none above 1 (Mocanu et al. 2018; Evci et al. 2020).

    Raises:
        ValueError: a density outside (0, 1] or an unknown scope.
    """
    if not 0 < density <= 1:
        raise ValueError(f"a density is in (0, 1], not {density}")
    if scope not in ("layer", "global", "erk"):
        raise ValueError(f"scope is 'layer', 'global' or 'erk', not {scope!r}")
    sizes = [w[0].numel() for w in stack.weights]
    if scope == "erk":
        return _erdos_renyi(sizes, [sum(w.shape[1:]) for w in stack.weights], round(density * sum(sizes)))
    return [max(1, round(density * s)) for s in (sizes if scope == "layer" else [sum(sizes)])]


def _erdos_renyi(sizes: Sequence[int], units: Sequence[int], kept: int) -> list[int]:
    """Counts proportional to the layers' in + out, no more than there are, exactly ``kept`` in all."""
    wanted = [0.0] * len(sizes)
    open_, left = set(range(len(sizes))), float(kept)
    while open_:
        scale = left / sum(units[i] for i in open_)
        full = {i for i in open_ if scale * units[i] > sizes[i]}
        for i in full or open_:
            wanted[i] = float(sizes[i]) if full else scale * units[i]
        left -= sum(sizes[i] for i in full)
        open_ = open_ - full if full else set()
    counts = [int(v) for v in wanted]
    # What rounding down left goes to the largest remainders.
    for i in sorted(range(len(sizes)), key=lambda i: counts[i] - wanted[i])[: kept - sum(counts)]:
        counts[i] += 1
    return counts


def top_masks(stack: Stack, scores: Sequence[Tensor], density: float, *, scope: str = "global") -> Masks:
    """Keep the highest scores among the weights still there; exactly as many as asked, ties by position.

    Args:
        stack: whose masks say which weights are still there.
        scores: (S, out, in) a layer.
        density: share of all weights to keep.
        scope: "global" compares across layers, "layer" keeps the same share in each, "erk": see `kept_counts`.
    """
    counts = kept_counts(stack, density, scope)
    flat = [
        torch.where(m.flatten(1) > 0, s.flatten(1).double(), -torch.inf)
        for s, m in zip(scores, stack.masks, strict=True)
    ]
    groups = [torch.cat(flat, 1)] if scope == "global" else flat
    kept = []
    for group, count in zip(groups, counts, strict=True):
        order = torch.sort(group, dim=1, descending=True, stable=True).indices[:, :count]
        mask = torch.zeros(group.shape, dtype=stack.weights[0].dtype).scatter_(1, order, 1.0)
        kept.append(torch.where(group > -torch.inf, mask, torch.zeros_like(mask)))
    if scope == "global":
        kept = list(kept[0].split([f.shape[1] for f in flat], dim=1))
    return [k.view(w.shape) for k, w in zip(kept, stack.weights, strict=True)]


def sampled_masks(
    stack: Stack, scores: Sequence[Tensor], density: float, *, scope: str = "global", seeds: Sequence[int]
) -> Masks:
    """Draw weights with probability proportional to their score until as many as asked are in the mask.

    The distinct indices of independent draws with replacement, in order of first appearance, are what
    adding Gumbel noise to the log-scores and keeping the top ones gives; so that is done.

    Raises:
        ValueError: negative scores, which are no probabilities.
    """
    if any(bool((s < 0).any()) for s in scores):
        raise ValueError("weights are drawn with probability proportional to their score: none may be negative")
    noisy = []
    generators = [stream("sampled mask", s) for s in seeds]
    for s in scores:
        uniform = torch.stack([torch.rand(s.shape[1:], generator=g, dtype=torch.float64) for g in generators])
        noisy.append(s.double().log() - (-uniform.clamp_min(1e-300).log()).log())
    return top_masks(stack, noisy, density, scope=scope)


def magnitude_after_training(
    stack: Stack, x: Tensor, y: Tensor, density: float, recipe: Recipe = CAPACITY, *, scope: str = "layer"
) -> Masks:
    """Train dense once, keep the largest weights; to be trained again from the initial ones."""
    return iterative_magnitude(stack, x, y, density, recipe, rounds=1, scope=scope)


def iterative_magnitude(
    stack: Stack, x: Tensor, y: Tensor, density: float, recipe: Recipe = CAPACITY, *, rounds: int = 5,
    scope: str = "layer",
) -> Masks:  # fmt: skip
    """Iterative magnitude pruning: train, drop the smallest weights, rewind to the initial ones; repeat.

    After round r of R a share density^(r/R) of the weights is left.

    Raises:
        ValueError: fewer than one round.
    """
    if rounds < 1:
        raise ValueError(f"iterative magnitude pruning needs at least one round, not {rounds}")
    current = stack
    for r in range(1, rounds + 1):
        trained = train(current, x, y, recipe)
        masks = top_masks(current, [w.abs() for w in trained.weights], density ** (r / rounds), scope=scope)
        current = current.with_masks(masks)
    return current.masks


# -- one torch module -----------------------------------------------------------------------------


@dataclass(frozen=True)
class ImageRecipe:
    """SGD with momentum, milestones and augmentation, as the papers train on CIFAR.

    Attributes:
        epochs, batch, rate, momentum, decay: as usual.
        milestones: epochs after which the rate is divided by 10.
        augment: random flips and shifts by up to ``shift`` pixels.
        shift: see ``augment``.
    """

    epochs: int = 160
    batch: int = 128
    rate: float = 0.1
    momentum: float = 0.9
    decay: float = 1e-4
    milestones: tuple[int, ...] = (80, 120)
    augment: bool = True
    shift: int = 4


def train_module(
    module: nn.Module,
    masks: Mapping[str, Tensor],
    x: Tensor,
    y: Tensor,
    recipe: ImageRecipe = ImageRecipe(),
    *,
    seed: int = 0,
    device: str = "cpu",
) -> list[float]:
    """Train ``module`` in place under ``masks``; the mean loss of each epoch.

    On a GPU: data on the device, channels last, bfloat16 autocast. Masked weights are 0 throughout. Inside a sweep
    the state is kept after each epoch, and a killed run goes on from there with the same results.

    Args:
        module: a classifier of images.
        masks: parameter name -> zeros and ones.
        x: images (n, c, h, w), normalised.
        y: classes (n,).
        recipe: optimiser and schedule.
        seed: seed of order and augmentation.
        device: "cpu" or "cuda".

    Raises:
        ValueError: a mask names no parameter of the module.
        Diverged: the loss of an epoch is not finite.
    """
    known = dict(module.named_parameters())
    if unknown := sorted(set(masks) - set(known)):
        raise ValueError(f"the module has no parameter {unknown[0]!r} to mask")
    fast = device.startswith("cuda")
    layout = torch.channels_last if fast else torch.contiguous_format
    module.to(torch.device(device)).to(memory_format=layout).train()  # type: ignore[call-overload]
    x, y = x.to(device), y.to(device)
    held = {known[name]: m.to(device) for name, m in masks.items()}
    optimiser = torch.optim.SGD(module.parameters(), recipe.rate, momentum=recipe.momentum, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, list(recipe.milestones))
    g = stream("order", seed)
    history: list[float] = []
    with torch.no_grad():
        for p, m in held.items():
            p.mul_(m)
    kept = checkpoints.current()
    parts: dict[str, Any] = {"module": module, "optimiser": optimiser, "schedule": schedule}
    if (before := kept.load()) is not None:
        for name, part in parts.items():
            part.load_state_dict(before[name])
        g.set_state(before["generator"])
        history = list(before["history"])
    for epoch in range(len(history), recipe.epochs):
        total, order = 0.0, torch.randperm(len(x), generator=g)
        for pick in order.split(recipe.batch):
            images = x[pick.to(device)]
            images = augmented(images, recipe.shift, g) if recipe.augment else images
            optimiser.zero_grad()
            with torch.autocast("cuda", torch.bfloat16, enabled=fast):
                loss = functional.cross_entropy(module(images.contiguous(memory_format=layout)), y[pick.to(device)])
            loss.backward()
            for p, m in held.items():
                if p.grad is not None:
                    p.grad.mul_(m)
            optimiser.step()
            total += float(loss.detach()) * len(pick)
        history.append(total / len(x))
        if not math.isfinite(history[-1]):
            raise Diverged(f"the loss of epoch {epoch + 1} of {recipe.epochs} is {history[-1]}")
        schedule.step()
        state = {name: part.state_dict() for name, part in parts.items()}
        kept.save({**state, "generator": g.get_state(), "history": history})
    return history


@torch.no_grad()
def evaluate(module: nn.Module, x: Tensor, y: Tensor, *, batch: int = 250) -> float:
    """The share of samples whose largest output is that of their class, in evaluation mode; modes are restored.

    Args:
        module: a classifier with outputs (n, classes).
        x: inputs (n, ...).
        y: classes (n,).
        batch: how many at a time.

    Raises:
        ValueError: no samples, or as many classes as there are not samples.
    """
    if not len(x) or len(x) != len(y):
        raise ValueError(f"as many inputs as classes are needed, at least one; got {len(x)} and {len(y)}")
    training = [m for m in module.modules() if m.training]
    module.eval()
    try:
        right = sum(int((module(a).argmax(1) == b).sum()) for a, b in zip(x.split(batch), y.split(batch), strict=True))
    finally:
        for m in training:
            m.training = True
    return right / len(x)


def augmented(images: Tensor, shift: int, generator: torch.Generator) -> Tensor:
    """Random horizontal flips, and shifts by up to ``shift`` pixels with zeros moved in; one draw an image."""
    n, _, height, width = images.shape
    flips = torch.rand(n, generator=generator) < 0.5
    moves = torch.randint(0, 2 * shift + 1, (2, n), generator=generator)
    padded = functional.pad(images, (shift,) * 4)
    rows = (moves[0][:, None] + torch.arange(height)).to(images.device)
    columns = torch.arange(width).expand(n, width)
    columns = torch.where(flips[:, None], columns.flip(1), columns)
    columns = (moves[1][:, None] + columns).to(images.device)
    at = torch.arange(n, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[at, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


__all__ = [
    "CAPACITY",
    "Diverged",
    "ImageRecipe",
    "Recipe",
    "Stack",
    "accuracy",
    "augmented",
    "evaluate",
    "initial",
    "iterative_magnitude",
    "kept_counts",
    "losses",
    "magnitude_after_training",
    "sampled_masks",
    "top_masks",
    "train",
    "train_module",
]
