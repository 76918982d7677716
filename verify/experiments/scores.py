"""Saliency scores and masks of stacks of perceptrons (`verify.trials.training.Stack`), all copies at once.

The scores are the papers': `tests/verify/test_training.py` holds them against path enumeration. Biases
start at zero and are never pruned, so no path through one has a nonzero value when masks are made; they
are left out of the path quantities.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from verify.trials.training import (
    CAPACITY,
    Masks,
    Recipe,
    Stack,
    _forward,
    iterative_magnitude,
    losses,
    magnitude_after_training,
    sampled_masks,
    top_masks,
)

AT_INITIALISATION = (
    "random", "magnitude", "snip", "grasp", "grasp-200", "synflow", "synflow-l2", "px", "px-frozen", "path-energy",
)  # fmt: skip
AFTER_TRAINING = ("magnitude-after-training", "imp")
METHODS = (*AT_INITIALISATION, *AFTER_TRAINING)
ITERATIVE = ("synflow", "synflow-l2", "px", "px-frozen", "path-energy")
LABELS = ("snip", "grasp", "grasp-200", *AFTER_TRAINING)
"""Methods whose mask depends on the labels."""


def _flow(weights: Sequence[Tensor], x: Tensor) -> Tensor:
    """The network without ReLUs and biases: (S, n, K)."""
    h = x if x.dim() == 3 else x.expand(weights[0].shape[0], *x.shape)
    for w in weights:
        h = torch.bmm(h, w.transpose(1, 2))
    return h


def activation(stack: Stack, x: Tensor) -> Tensor:
    r"""$D_k = \sum_n \sum_{p \to k} a_p(x_n) x_{n,s(p)}^2$, (S, K): weights 1, input squared, gates copied."""
    h = x if x.dim() == 3 else x.expand(stack.copies, *x.shape)
    z, a = h, (h * h).double()
    with torch.no_grad():
        for i, (w, m) in enumerate(zip(stack.weights, stack.masks, strict=True)):
            z = torch.bmm(z, (w * m).transpose(1, 2))
            z = z + stack.biases[i][:, None] if stack.biases else z
            a = torch.bmm(a, m.double().transpose(1, 2))
            if i + 1 < len(stack.weights):
                a = a * (z > 0)
                z = z.relu()
    return a.sum(1)


def _ones(stack: Stack) -> Tensor:
    return torch.ones(1, stack.weights[0].shape[2], dtype=torch.float64)


def path_scores(stack: Stack, power: int, data: Tensor | None = None) -> list[Tensor]:
    r"""$\sum_k D_k \sum_{p \to k, p \ni j} |v_p|^{power}$ with D = ``data`` (S, K), or 1.

    Power 1 is SynFlow, power 2 SynFlow-L2, and power 2 with the activation as ``data`` PX.
    """
    bases = [
        ((w * m).double().abs() ** power).requires_grad_() for w, m in zip(stack.weights, stack.masks, strict=True)
    ]
    flow = _flow(bases, _ones(stack))[:, 0]
    objective = (flow if data is None else flow * data).sum()
    return [b.detach() * g for b, g in zip(bases, torch.autograd.grad(objective, bases), strict=True)]


def path_energy(stack: Stack, x: Tensor) -> list[Tensor]:
    r"""$\sum_n \sum_{p \ni j} (a_p(x_n) x_{n,s(p)} v_p)^2$: weights and inputs squared, gates copied."""
    bases = [((w * m).double() ** 2).requires_grad_() for w, m in zip(stack.weights, stack.masks, strict=True)]
    z = x if x.dim() == 3 else x.expand(stack.copies, *x.shape)
    a = (z * z).double()
    for i, (w, m, base) in enumerate(zip(stack.weights, stack.masks, bases, strict=True)):
        a = torch.bmm(a, base.transpose(1, 2))
        if i + 1 < len(bases):
            with torch.no_grad():
                z = torch.bmm(z, (w * m).transpose(1, 2))
                z = z + stack.biases[i][:, None] if stack.biases else z
            a, z = a * (z > 0), z.relu()
    return [b.detach() * g for b, g in zip(bases, torch.autograd.grad(a.sum(), bases), strict=True)]


def scores(
    stack: Stack, method: str, x: Tensor, y: Tensor, *, seeds: Sequence[int] = (), frozen: Tensor | None = None
) -> list[Tensor]:
    """Scores (S, out, in) a layer; larger is kept.

    Args:
        stack: networks with their present masks.
        method: one of `AT_INITIALISATION`.
        x: (n, d) or (S, n, d).
        y: (n,) or (S, n).
        seeds: one a copy, for "random".
        frozen: the dense networks' activation (S, K), for "px-frozen".

    Raises:
        ValueError: an unknown method.
    """
    if method == "random":
        generators = [torch.Generator().manual_seed(int(s)) for s in seeds]
        return [torch.stack([torch.rand(w.shape[1:], generator=g) for g in generators]) for w in stack.weights]
    if method == "magnitude":
        return [w.abs() for w in stack.weights]
    if method in ("synflow", "synflow-l2"):
        return path_scores(stack, 1 if method == "synflow" else 2)
    if method in ("px", "px-frozen"):
        data = activation(stack, x) if frozen is None else frozen
        # One positive factor for all outputs changes no ranking and keeps the numbers in range.
        return path_scores(stack, 2, data / data.amax(1, keepdim=True).clamp_min(1e-300))
    if method == "path-energy":
        return path_energy(stack, x)
    if method not in ("snip", "grasp", "grasp-200"):
        raise ValueError(f"no score is called {method!r}; known: {', '.join(AT_INITIALISATION)}")
    weights = [(w * m).requires_grad_() for w, m in zip(stack.weights, stack.masks, strict=True)]
    # GraSP's authors divide the outputs by a temperature of 200 while they score.
    temperature = 200.0 if method == "grasp-200" else 1.0
    loss = losses(_forward(weights, stack.biases, x) / temperature, y).sum()
    gradients = torch.autograd.grad(loss, weights, create_graph=method != "snip")
    if method == "snip":
        return [(w.detach() * g).abs() for w, g in zip(weights, gradients, strict=True)]
    half = sum((g * g).sum() for g in gradients) / 2
    assert isinstance(half, Tensor)
    # GraSP drops the highest -w * Hg, so the lowest of it, the highest w * Hg, is kept.
    return [w.detach() * h for w, h in zip(weights, torch.autograd.grad(half, weights), strict=True)]


def make_masks(
    stack: Stack,
    method: str,
    x: Tensor,
    y: Tensor,
    density: float,
    *,
    scope: str = "layer",
    rounds: int | None = None,
    select: str = "top",
    seeds: Sequence[int] = (),
    recipe: Recipe = CAPACITY,
) -> Masks:
    """Masks by any of `METHODS`.

    Args:
        stack: dense networks at initialisation.
        method: the method.
        x: (n, d) or (S, n, d).
        y: (n,) or (S, n).
        density: share of weights kept.
        scope: "layer" or "global".
        rounds: None takes the method's own: 100 for path scores, 5 for "imp", else 1.
        select: "top", or "sample" to draw from the (one-shot) scores.
        seeds: one a copy.
        recipe: how training-based methods train.

    Raises:
        ValueError: an unknown method or selection.
    """
    if method not in METHODS:
        raise ValueError(f"no method is called {method!r}; known: {', '.join(METHODS)}")
    if select not in ("top", "sample"):
        raise ValueError(f"select is 'top' or 'sample', not {select!r}")
    if method == "magnitude-after-training":
        return magnitude_after_training(stack, x, y, density, recipe, scope=scope)
    if method == "imp":
        return iterative_magnitude(stack, x, y, density, recipe, rounds=rounds or 5, scope=scope)
    frozen = activation(stack, x) if method == "px-frozen" else None
    if select == "sample":
        found = scores(stack, method, x, y, seeds=seeds, frozen=frozen)
        return sampled_masks(stack, found, density, scope=scope, seeds=[s + 7919 for s in seeds])
    steps = rounds or (100 if method in ITERATIVE else 1)
    for r in range(1, steps + 1):
        found = scores(stack, method, x, y, seeds=seeds, frozen=frozen)
        stack = stack.with_masks(top_masks(stack, found, density ** (r / steps), scope=scope))
    return stack.masks


def live_weights(stack: Stack) -> list[Tensor]:
    """How many kept weights of each layer lie on a path of kept weights from an input to an output, (S,) each."""
    masked = [m.double() for m in stack.masks]
    into = [torch.ones(stack.copies, masked[0].shape[2], dtype=torch.float64)]
    for m in masked[:-1]:
        into.append((torch.einsum("soi,si->so", m, into[-1]) > 0).double())
    out = [torch.ones(stack.copies, masked[-1].shape[1], dtype=torch.float64)]
    for m in reversed(masked[1:]):
        out.insert(0, (torch.einsum("soi,so->si", m, out[0]) > 0).double())
    return [torch.einsum("so,soi,si->s", o, m, i) for o, m, i in zip(out, masked, into, strict=True)]
