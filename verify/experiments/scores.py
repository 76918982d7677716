"""Saliency scores and masks of stacks of perceptrons (`verify.trials.training.Stack`), all copies at once.

The scores are the papers': `tests/verify/test_training.py` holds them against path enumeration. Biases
start at zero and are never pruned, so no path through one has a nonzero value when masks are made; they
are left out of the path quantities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from theory.names import did_you_mean
from verify.trials.streams import stream, stream_seed
from verify.trials.training import (
    CAPACITY,
    Masks,
    Recipe,
    Stack,
    _forward,
    initial,
    iterative_magnitude,
    losses,
    magnitude_after_training,
    sampled_masks,
    top_masks,
    train,
)


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


@dataclass(frozen=True)
class Task:
    """What a score is computed from.

    Attributes:
        stack: networks with their present masks.
        x: (n, d) or (S, n, d).
        y: (n,) or (S, n).
        seeds: one a copy, for random scores.
        frozen: the dense networks' activation (S, K), for "px-frozen".
    """

    stack: Stack
    x: Tensor
    y: Tensor
    seeds: Sequence[int] = ()
    frozen: Tensor | None = None


@dataclass(frozen=True)
class Method:
    """A method of pruning stacks, as a value; the names are those of `verify.networks.scores.methods`.

    Attributes:
        name: how it is called.
        sentence: what it computes.
        needs: "nothing", "data" or "data and labels".
        score: a task -> scores (S, out, in) a layer, larger is kept; None for methods that train.
        rounds: how many it takes when nobody says.
        temperature: what the outputs are divided by while scoring.
        signed: whether scores may be negative. Ranking them is one rule and sampling by their size another, so that
            they are not sampled.
        scope: "" compares weights as asked, "erk" fixes each layer's share.
        revives: whether a round may bring back weights that an earlier one removed.
        rewind: share of the training after which the weights are taken that masks are put on; 0 takes the initial ones.
    """

    name: str
    sentence: str
    needs: str
    score: Callable[[Task], list[Tensor]] | None
    rounds: int = 1
    temperature: float = 1.0
    signed: bool = False
    scope: str = ""
    revives: bool = False
    rewind: float = 0.0

    @property
    def settings(self) -> str:
        """What captions say: sentence, temperature, sign and rounds. These networks have no normalisation."""
        parts = [self.sentence]
        if self.temperature != 1:
            parts.append(f"outputs divided by {self.temperature:g}")
        if self.signed:
            parts.append("signed")
        if self.rewind:
            parts.append(f"weights after {100 * self.rewind:g} % of the training")
        if self.score is not None or self.rounds > 1:
            parts.append("one round" if self.rounds == 1 else f"{self.rounds} rounds")
        return ", ".join(parts)


def _random(task: Task) -> list[Tensor]:
    generators = [stream("random scores", s) for s in task.seeds]
    return [torch.stack([torch.rand(w.shape[1:], generator=g) for g in generators]) for w in task.stack.weights]


def _px(task: Task) -> list[Tensor]:
    data = activation(task.stack, task.x) if task.frozen is None else task.frozen
    # One positive factor for all outputs changes no ranking and keeps the numbers in range.
    return path_scores(task.stack, 2, data / data.amax(1, keepdim=True).clamp_min(1e-300))


def _gradients(task: Task, temperature: float, twice: bool) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """Masked weights, and the gradient of the loss by them, or half the gradient of its squared norm."""
    stack = task.stack
    weights = [(w * m).requires_grad_() for w, m in zip(stack.weights, stack.masks, strict=True)]
    loss = losses(_forward(weights, stack.biases, task.x) / temperature, task.y).sum()
    gradients = torch.autograd.grad(loss, weights, create_graph=twice)
    if twice:
        half = sum((g * g).sum() for g in gradients) / 2
        assert isinstance(half, Tensor)
        gradients = torch.autograd.grad(half, weights)
    return [w.detach() for w in weights], gradients


def _snip(task: Task) -> list[Tensor]:
    weights, gradients = _gradients(task, 1.0, False)
    return [(w * g).abs() for w, g in zip(weights, gradients, strict=True)]


def _force(task: Task) -> list[Tensor]:
    # The gradient is the pruned network's, the weight the dense one's: what is gone still has a score.
    _, gradients = _gradients(task, 1.0, False)
    return [(w * g).abs() for w, g in zip(task.stack.weights, gradients, strict=True)]


def _grasp(temperature: float) -> Callable[[Task], list[Tensor]]:
    def score(task: Task) -> list[Tensor]:
        # GraSP drops the highest -w * Hg, so the lowest of it, the highest w * Hg, is kept.
        weights, products = _gradients(task, temperature, True)
        return [w * h for w, h in zip(weights, products, strict=True)]

    return score


def _absolute(score: Callable[[Task], list[Tensor]]) -> Callable[[Task], list[Tensor]]:
    return lambda task: [s.abs() for s in score(task)]


ITERATED = 100
_REGISTRY = (
    Method("random", "uniform numbers from the seed", "nothing", _random),
    Method("erk", "uniform numbers, each layer's share by Erdos-Renyi", "nothing", _random, scope="erk"),
    Method("magnitude", "|w|", "nothing", lambda t: [w.abs() for w in t.stack.weights]),
    Method("snip", "|w dL/dw|", "data and labels", _snip),
    Method("grasp", "w Hg", "data and labels", _grasp(1.0), signed=True),
    Method("grasp-200", "w Hg as released", "data and labels", _grasp(200.0), temperature=200.0, signed=True),
    Method("grasp-200-absolute", "|w Hg|", "data and labels", _absolute(_grasp(200.0)), temperature=200.0),
    Method("snip-iterative", "|w dL/dw| of what is left", "data and labels", _snip, ITERATED),
    Method("force", "|w dL/dw|, dense w and the pruned network's gradient", "data and labels", _force, ITERATED,
        revives=True),
    Method("synflow", "sum of |v_p| over the paths", "nothing", lambda t: path_scores(t.stack, 1), ITERATED),
    Method("synflow-l2", "sum of v_p^2 over the paths", "nothing", lambda t: path_scores(t.stack, 2), ITERATED),
    Method("px", "sum of D_k v_p^2 over the paths", "data", _px, ITERATED),
    Method("px-frozen", "PX with the dense network's D_k", "data", _px, ITERATED),
    Method("path-energy", "sum of (a_p x v_p)^2 over paths and samples", "data",
        lambda t: path_energy(t.stack, t.x), ITERATED),
    Method("magnitude-after-training", "|w| after training dense, rewound", "data and labels", None),
    Method("imp", "iterative magnitude pruning, rewound", "data and labels", None, 5),
    Method("imp-rewind", "iterative magnitude pruning, rewound to early in training", "data and labels", None, 5,
        rewind=0.1),
)  # fmt: skip
METHODS: dict[str, Method] = {m.name: m for m in _REGISTRY}
"""Every method by name."""
SELECTIONS = ("top", "sample", "bottom")


def method_named(name: str) -> Method:
    """The method of this name.

    Raises:
        ValueError: there is none; names near misses.
    """
    if name not in METHODS:
        raise ValueError(f"no method is called {name!r}; {did_you_mean(name, METHODS)} known: {', '.join(METHODS)}")
    return METHODS[name]


def scores(
    stack: Stack, method: str, x: Tensor, y: Tensor, *, seeds: Sequence[int] = (), frozen: Tensor | None = None
) -> list[Tensor]:
    """Scores (S, out, in) a layer; larger is kept. Arguments as the fields of `Task`.

    Raises:
        ValueError: an unknown method, or one that trains and has no scores.
    """
    chosen = method_named(method)
    if chosen.score is None:
        raise ValueError(f"{method} trains: it has masks (`make_masks`) and no scores")
    return chosen.score(Task(stack, x, y, seeds, frozen))


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

    Sources: SNIP, Lee et al. 2019; GraSP, Wang et al. 2020; iterative SNIP and FORCE, de Jorge et al. 2021; iterative
    magnitude pruning, Frankle & Carbin 2019, rewound to early in training, Frankle et al. 2020.

    Args:
        stack: dense networks at initialisation; for methods that rewind, at the point that they rewind to
            (`starting_point`).
        method: the method.
        x: (n, d) or (S, n, d).
        y: (n,) or (S, n).
        density: share of weights kept.
        scope: "layer" or "global".
        rounds: None takes the method's own.
        select: "top"; "bottom" keeps the lowest scores; "sample" draws weights one by one without replacement, with
            probabilities proportional to the (one-shot) scores by which "top" ranks.
        seeds: one a copy.
        recipe: how training-based methods train.

    Raises:
        ValueError: an unknown method or selection, or one that the method does not have.
    """
    chosen = method_named(method)
    if select not in SELECTIONS:
        raise ValueError(f"select is {', '.join(SELECTIONS)}, not {select!r}")
    if select == "sample" and chosen.signed:
        raise ValueError(
            f"{method} ranks by signed scores, which are no probabilities; "
            f"{did_you_mean(f'{method}-absolute', METHODS)} It ranks and samples by their size"
        )
    if chosen.score is None and select != "top":
        raise ValueError(f"{method} trains: it has no scores to sample or to invert")
    scope = chosen.scope or scope
    steps = rounds or chosen.rounds
    if chosen.name == "magnitude-after-training":
        return magnitude_after_training(stack, x, y, density, recipe, scope=scope)
    if chosen.name in ("imp", "imp-rewind"):
        return iterative_magnitude(stack, x, y, density, recipe, rounds=steps, scope=scope)
    frozen = activation(stack, x) if method == "px-frozen" else None
    if select == "sample":
        found = scores(stack, method, x, y, seeds=seeds, frozen=frozen)
        return sampled_masks(stack, found, density, scope=scope, seeds=seeds)
    sign, dense = -1.0 if select == "bottom" else 1.0, stack
    for r in range(1, steps + 1):
        found = [sign * s for s in scores(stack, method, x, y, seeds=seeds, frozen=frozen)]
        among = dense if chosen.revives else stack
        stack = stack.with_masks(top_masks(among, found, density ** (r / steps), scope=scope))
    return stack.masks


def starting_point(
    stack: Stack, method: str, x: Tensor, y: Tensor, recipe: Recipe, *, seed: int = 0
) -> tuple[Stack, Recipe]:
    """The weights that a method's masks are put on, and what is left of the training from there.

    For methods that rewind, the dense networks after that share of the steps; for all others, ``stack`` and ``recipe``.
    """
    steps = round(method_named(method).rewind * recipe.steps)
    if not steps:
        return stack, recipe
    if recipe.milestones:
        raise ValueError(f"{method} rewinds, which is not defined here for recipes with milestones")
    return train(stack, x, y, replace(recipe, steps=steps), seed=seed), replace(recipe, steps=recipe.steps - steps)


# -- sanity checks: what of a mask matters ------------------------------------------------------------


def shuffled(masks: Masks, seeds: Sequence[int]) -> Masks:
    """As many weights in each layer at random places: the random tickets of Su et al. 2020, see Frankle et al. 2021."""
    generators = [stream("shuffle", s) for s in seeds]
    out = []
    for m in masks:
        rows = [
            copy.flatten()[torch.randperm(copy.numel(), generator=g)] for copy, g in zip(m, generators, strict=True)
        ]
        out.append(torch.stack(rows).view(m.shape))
    return out


def reinitialised(stack: Stack, seeds: Sequence[int]) -> Stack:
    """The same masks on freshly drawn weights (Frankle et al. 2021)."""
    widths = [stack.weights[0].shape[2], *(w.shape[1] for w in stack.weights)]
    fresh = [stream_seed("fresh weights", s) for s in seeds]
    return initial(widths, fresh, bias=bool(stack.biases)).with_masks(stack.masks)


def relabelled(y: Tensor, seed: int) -> Tensor:
    """The labels in another order: of the same law, and without a word on which input has which."""
    return y[..., torch.randperm(y.shape[-1], generator=stream("other labels", seed))]


SANITY = ("none", "shuffle", "reinitialise", "invert", "relabel")


def pruned(
    stack: Stack, method: str, x: Tensor, y: Tensor, density: float, sanity: str = "none", **settings: Any
) -> Stack:
    """The stack under the method's masks, or under one of the literature's sanity checks of them.

    Args:
        stack: dense networks at initialisation.
        method: the method.
        x: data that it sees.
        y: labels that it sees.
        density: share of weights kept.
        sanity: "none"; "shuffle" the mask within each layer; "reinitialise" the weights under it, which in law is the
            mask of other weights; "invert" the scores; "relabel": the mask of the same data with permuted labels.
        **settings: as those of `make_masks`; ``seeds`` are needed.

    Raises:
        ValueError: an unknown check, a method that has no scores to invert, or one that sees no labels to permute.
    """
    if sanity not in SANITY:
        raise ValueError(f"sanity is {', '.join(SANITY)}, not {sanity!r}")
    if sanity == "invert":
        settings["select"] = "bottom"
    seeds = settings["seeds"]
    if sanity == "relabel":
        if method_named(method).needs != "data and labels":
            raise ValueError(f"{method} sees no labels: there are none to permute")
        y = relabelled(y, seeds[0])
    masks = make_masks(stack, method, x, y, density, **settings)
    if sanity == "shuffle":
        masks = shuffled(masks, seeds)
    found = stack.with_masks(masks)
    return reinitialised(found, seeds) if sanity == "reinitialise" else found


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
