"""The NTK's trace, its bounds, its spectrum, and how long iterated pruning keeps a network alive."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from verify.experiments.scores import activation, make_masks, path_scores, scores
from verify.trials import experiment
from verify.trials.streams import stream
from verify.trials.training import Stack, initial, top_masks


def jacobian(stack: Stack, x: Tensor) -> Tensor:
    """Derivatives of all outputs by all kept weights, (S, n * K, parameters), by backpropagation in float64."""
    weights = [(w * m).double() for w, m in zip(stack.weights, stack.masks, strict=True)]
    h = x.double().expand(stack.copies, *x.shape[-2:])
    inputs, gates = [], []
    for i, w in enumerate(weights):
        inputs.append(h)
        z = torch.bmm(h, w.transpose(1, 2))
        gates.append((z > 0).double() if i + 1 < len(weights) else torch.ones_like(z))
        h = z * gates[-1]
    copies, n, outputs = h.shape
    delta = torch.eye(outputs, dtype=torch.float64).expand(copies, n, outputs, outputs)
    parts: list[Tensor] = []
    for i in reversed(range(len(weights))):
        delta = delta * gates[i][:, :, None]
        block = torch.einsum("snko,sni->snkoi", delta, inputs[i]) * stack.masks[i].double()[:, None, None]
        parts.insert(0, block.reshape(copies, n * outputs, -1))
        delta = torch.einsum("snko,soi->snki", delta, weights[i])
    return torch.cat(parts, 2)


def kernels(stack: Stack) -> Tensor:
    r"""$T_k = \sum_{p \to k}\sum_{j \in p}(v_p/\theta_j)^2$, (S, K): the l1 norm of the gradient of R_k."""
    squares = [((w * m).double() ** 2).requires_grad_() for w, m in zip(stack.weights, stack.masks, strict=True)]
    h = torch.ones(stack.copies, 1, stack.weights[0].shape[2], dtype=torch.float64)
    for w in squares:
        h = torch.bmm(h, w.transpose(1, 2))
    found = []
    for k in range(h.shape[2]):
        gradients = torch.autograd.grad(h[:, 0, k].sum(), squares, retain_graph=True)
        # A masked weight is no parameter: it contributes nothing, though its derivative may be positive.
        found.append(sum((g * m).sum((1, 2)) for g, m in zip(gradients, stack.masks, strict=True)))
    return torch.stack(found, 1)  # type: ignore[arg-type]


@experiment
def bound_and_trace(
    depth: int = 3, width: int = 32, density: float = 1.0, method: str = "px", *, inputs: int = 8, outputs: int = 4,
    samples: int = 8, copies: int = 8, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """NTK trace, the product bound, the bound per output and the largest eigenvalue, of random MLPs.

    Args:
        depth: layers of weights.
        width: of the hidden layers.
        density: share of weights kept by ``method``; 1 keeps all.
        method: a method of `verify.experiments.scores.METHODS` that has scores.
        inputs: width of the input.
        outputs: K.
        samples: n Gaussian inputs, labels at random.
        copies: networks measured side by side.
        seed: first seed.
    """
    seeds = [seed * 1000 + i for i in range(copies)]
    stack, x, _ = _pruned([inputs, *[width] * (depth - 1), outputs], method, density, samples, seeds, seed)
    d, t = activation(stack, x), kernels(stack)
    values = [torch.linalg.svdvals(j)[0] ** 2 for j in jacobian(stack, x)]
    return {
        "trace": (jacobian(stack, x) ** 2).sum((1, 2)).tolist(),
        "bound": (d.sum(1) * t.sum(1)).tolist(),
        "per_output": (d * t).sum(1).tolist(),
        "largest": [float(v) for v in values],
    }


def _pruned(
    widths: list[int], method: str, density: float, samples: int, seeds: list[int], seed: int
) -> tuple[Stack, Tensor, Tensor]:
    stack = initial(widths, seeds)
    g = stream("data", seed)
    x = torch.randn(samples, widths[0], generator=g)
    y = torch.randint(0, widths[-1], (samples,), generator=g)
    if density < 1:
        stack = stack.with_masks(make_masks(stack, method, x, y, density, scope="global", seeds=seeds))
    return stack, x, y


@experiment
def spectrum(
    method: str, density: float, *, hidden: list[int] = [64, 64], samples: int = 24, copies: int = 4, seed: int  # noqa: B006
) -> dict[str, Any]:  # fmt: skip
    """Eigenvalues of the NTK on digits, largest first, dense ("dense") or pruned; mean over the copies' logarithms.

    Returns:
        eigenvalues (copies, n * K); trace of each copy.
    """
    from verify.experiments.digits import images

    seeds = [seed * 1000 + i for i in range(copies)]
    pixels, classes = images()
    g = stream("data", seed)
    pick = torch.randperm(len(pixels), generator=g)
    x, xs, ys = pixels[pick[:samples]], pixels[pick[samples : samples + 256]], classes[pick[samples : samples + 256]]
    stack = initial([64, *hidden, 10], seeds)
    if method != "dense":
        stack = stack.with_masks(make_masks(stack, method, xs, ys, density, scope="global", seeds=seeds))
    values = torch.stack([torch.linalg.svdvals(j) ** 2 for j in jacobian(stack, x)])
    return {"eigenvalues": values.tolist(), "trace": values.sum(1).tolist()}


@experiment
def survival(
    method: str,
    *,
    widths: list[int] = [3, 4, 4, 2],  # noqa: B006
    left: int = 4,
    rounds: int = 100,
    samples: int = 30,
    copies: int = 60,
    seed: int,
) -> dict[str, Any]:
    """Prune random perceptrons to ``left`` weights in ``rounds`` rounds and look after each whether they live.

    Connected: some kept path leads from an input to an output. Alive: some such path has all its ReLUs on for
    some sample, so that the network is not constant on the data.

    Returns:
        weights kept after each round where that number changed, with the number of copies connected and alive.
    """
    seeds = [seed * 1000 + i for i in range(copies)]
    stack = initial(widths, seeds)
    g = stream("data", seed)
    x = torch.randn(copies, samples, widths[0], generator=g)
    y = torch.randint(0, widths[-1], (copies, samples), generator=g)
    frozen = activation(stack, x) if method == "px-frozen" else None
    weights: list[int] = []
    connected: list[int] = []
    alive: list[int] = []
    for r in range(1, rounds + 1):
        found = scores(stack, method, x, y, seeds=seeds, frozen=frozen)
        density = (left / stack.parameters) ** (r / rounds)
        stack = stack.with_masks(top_masks(stack, found, density))
        kept = round(density * stack.parameters)
        if not weights or kept != weights[-1]:
            flows = sum(s.sum((1, 2)) for s in path_scores(stack, 2))
            live = sum(s.sum((1, 2)) for s in path_scores(stack, 2, activation(stack, x)))
            weights.append(kept)
            connected.append(int((flows > 0).sum()))  # type: ignore[union-attr]
            alive.append(int((live > 0).sum()))  # type: ignore[union-attr]
    return {"weights": weights, "connected": connected, "alive": alive}


@experiment
def outputs_lost(
    method: str, densities: list[float], *, hidden: list[int] = [64, 64], copies: int = 8, seed: int  # noqa: B006
) -> dict[str, Any]:  # fmt: skip
    """How many of ten outputs pruning on the digits leaves without a path from any input.

    Such an output is constant: its class can only be predicted by chance of the others.

    Returns:
        lost: for each density, one number a copy.
    """
    from verify.experiments.digits import images

    seeds = [seed * 1000 + i for i in range(copies)]
    pixels, classes = images()
    pick = torch.randperm(len(pixels), generator=stream("data", seed))[:256]
    stack = initial([64, *hidden, 10], seeds)
    lost = []
    for density in densities:
        masks = make_masks(stack, method, pixels[pick], classes[pick], density, scope="global", seeds=seeds)
        paths = torch.ones(copies, 1, 64, dtype=torch.float64)
        for m in masks:
            paths = (torch.bmm(paths, m.double().transpose(1, 2)) > 0).double()
        lost.append([int(v) for v in (paths[:, 0] == 0).sum(1)])
    return {"lost": lost}


@experiment
def layer_scores(method: str, *, widths: list[int], samples: int = 256, copies: int = 8, seed: int) -> dict[str, Any]:
    """Mean size of a weight's score in each layer, at initialisation on Gaussian data; scores sum to 1 in size.

    Args:
        method: one that has scores.
        widths: of the layers, inputs and outputs included.
        samples: inputs, with labels at random.
        copies: networks measured side by side.
        seed: first seed.

    Returns:
        sizes: weights of each layer; mean: for each layer, one number a copy.
    """
    seeds = [seed * 1000 + i for i in range(copies)]
    stack, x, y = _pruned(widths, method, 1.0, samples, seeds, seed)
    found = [s.abs().double().flatten(1) for s in scores(stack, method, x, y, seeds=seeds)]
    total = torch.stack([s.sum(1) for s in found]).sum(0)
    return {"sizes": [s.shape[1] for s in found], "mean": [(s.mean(1) / total).tolist() for s in found]}
