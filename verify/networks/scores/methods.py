"""Scores of the weights of a torch module, as `theory.saliency` defines them by enumeration.

Sums over paths are gradients of the auxiliary evaluations of `verify.networks.paths.auxiliary`: with
R_k = sum_{p -> k} |v_p|^q as a function of |theta|^q, the sum over the paths through j is
|theta_j|^q dR_k / d|theta_j|^q.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from verify.networks.paths.auxiliary import Scaled, activation, flow, gated_flow, parameters_of
from verify.networks.recording.record import evaluation_mode

METHODS: dict[str, str] = {
    "magnitude": "|theta_j|",
    "random": "uniform numbers from the seed",
    "snip": "|theta_j dL/dtheta_j|",
    "grasp": "theta_j (H g)_j, g and H the gradient and the Hessian of L; large scores are kept",
    "synflow": "sum of |v_p| over the paths through j",
    "synflow-l2": "sum of v_p^2 over the paths through j",
    "px": "sum over outputs of D_k times the sum of v_p^2 over the paths through j to k",
    "px-frozen": "px with D_k of the dense network in every round",
    "px-released": "px as its public code computes it (see `released`)",
    "path-energy": "sum over samples of the squares of what the paths through j add to the output (ours)",
    "px-per-sample": "px with the gates of each sample in both factors of the bound (ours)",
    "ntk-sap": "|d/dm_j of |f(x; m theta) - f(x; m (theta + perturbation))|^2| at Gaussian inputs",
}
"""Every method and what it computes."""

PATHS = ("synflow", "synflow-l2", "px", "px-frozen")
GATED = ("path-energy", "px-per-sample")
_DATA = ("snip", "grasp", "px", "px-frozen", "px-released", *GATED)
_SHAPE = ("synflow", "synflow-l2", "ntk-sap")
_LABELS = ("snip", "grasp")
SCORED = ("weights", "all")


@dataclass(frozen=True)
class Scores:
    """Scores and what was met on the way.

    Attributes:
        values: one tensor a scored parameter, in that parameter's shape.
        log10_objective: log10 of R, the sum of the path weights (-inf for 0; None for other methods).
        activation: D_k up to one common factor, shape (K,), for PX.
    """

    values: dict[str, Tensor]
    log10_objective: float | None = None
    activation: Tensor | None = None


def saliency(
    module: nn.Module, method: str, x: Tensor | None = None, y: Tensor | None = None, **settings: Any
) -> dict[str, Tensor]:
    """The scores of a module's weights, normalisations in evaluation mode.

    Args:
        module: the module; left as it was.
        method: a name from `METHODS`.
        x: inputs (n, ...); for SynFlow, SynFlow-L2 and NTK-SAP only the shape of a sample is read.
        y: labels (n,) for the cross-entropy or targets (n, K) for half the squared error (SNIP, GraSP).
        **settings: see `scores`.

    Returns:
        Scores by parameter name, in the parameters' shapes. The scores of the path methods are those of
        the definition times one common power of two, unless ``rescale=False``.

    Raises:
        KeyError: unknown method; names near misses.
        ValueError: data that the method needs and did not get, or data that cannot be used.
        UnknownOperation: (path methods) an operation through which paths cannot be followed.
    """
    return scores(module, method, x, y, **settings).values


def scores(
    module: nn.Module, method: str, x: Tensor | None = None, y: Tensor | None = None, *,
    masks: Mapping[str, Tensor] | None = None, scored: str = "weights", biases: bool = True,
    frozen: Tensor | None = None, rescale: bool = True, seed: int = 0,
) -> Scores:  # fmt: skip
    """`saliency`, with R and D_k beside the scores.

    Args:
        module: the module.
        method: a name from `METHODS`.
        x: inputs.
        y: labels or targets.
        masks: weights that are there (nonzero) and that are not; a masked weight is no edge of the network.
        scored: "weights" (tensors with two axes or more) or "all" parameters.
        biases: whether paths from the constant input (biases, shifts of normalisations) count.
        frozen: D_k to use instead of measuring it ("px-frozen").
        rescale: keep values in range by powers of two; without it float32 overflows on deep networks.
        seed: for "random" and "ntk-sap".
    """
    check_data(module, method, x, y)
    if masks is not None:
        check_masks(module, masks)
    return unchecked_scores(
        module, method, x, y, masks=masks, scored=scored, biases=biases, frozen=frozen, rescale=rescale, seed=seed
    )


def unchecked_scores(
    module: nn.Module, method: str, x: Tensor | None = None, y: Tensor | None = None, *,
    masks: Mapping[str, Tensor] | None = None, scored: str = "weights", biases: bool = True,
    frozen: Tensor | None = None, rescale: bool = True, seed: int = 0,
) -> Scores:  # fmt: skip
    """`scores` of arguments that were checked before, as between the rounds of pruning."""
    names = scored_names(module, scored)
    theta = parameters_of(module, masks)
    if method == "magnitude":
        return Scores({n: theta[n].abs() for n in names})
    if method == "random":
        generator = torch.Generator().manual_seed(seed)
        drawn = {n: torch.rand(theta[n].shape, generator=generator, dtype=torch.float64).to(theta[n]) for n in names}
        return Scores(
            drawn if masks is None else {n: d * masks[n].to(d) if n in masks else d for n, d in drawn.items()}
        )
    assert x is not None
    if method in PATHS:
        return _paths(module, method, x, theta, names, masks, biases, frozen, rescale)
    if method in GATED:
        return _gated(module, method, x, theta, names, masks, biases, rescale)
    if method == "px-released":
        return Scores({n: v for n, v in released(module, x, masks).items() if n in names})
    if method == "ntk-sap":
        return Scores(_ntk_sap(module, x, theta, names, seed))
    assert y is not None
    return Scores(_of_loss(module, method, x, y, theta, names))


def scored_names(module: nn.Module, scored: str = "weights") -> list[str]:
    """Names of the scored parameters, in the module's order.

    Raises:
        ValueError: ``scored`` is neither "weights" nor "all", or there is nothing to score.
    """
    if scored not in SCORED:
        raise ValueError(f"scored is one of {', '.join(SCORED)}; got {scored!r}")
    names = [n for n, p in module.named_parameters() if scored == "all" or p.ndim > 1]
    if not names:
        raise ValueError("the module has no weights to score")
    return names


def check_data(module: nn.Module, method: str, x: Tensor | None, y: Tensor | None) -> None:
    """Raise if the method is unknown or the data will not do.

    Raises:
        KeyError: unknown method.
        ValueError: missing, empty or non-finite data, or labels that do not fit.
    """
    if method not in METHODS:
        near = difflib.get_close_matches(str(method), METHODS, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise KeyError(f"no method is called {method!r}; {hint}known: {', '.join(METHODS)}")
    if x is None and method in (*_DATA, *_SHAPE):
        raise ValueError(f"{method} needs {'data' if method in _DATA else 'the shape of an input'}: give x")
    if y is None and method in _LABELS:
        raise ValueError(f"{method} needs labels: give y")
    if x is not None:
        if x.ndim < 2 or len(x) == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}: at least one sample is needed, samples first")
        if not bool(torch.isfinite(x).all()):
            raise ValueError("x holds NaN or infinite numbers")
        if y is not None and len(y) != len(x):
            raise ValueError(f"x has {len(x)} samples and y {len(y)}")
    for n, p in module.named_parameters():
        if not bool(torch.isfinite(p.detach()).all()):
            raise ValueError(f"parameter {n} holds NaN or infinite numbers")


def check_masks(module: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Raise if a mask fits no parameter.

    Raises:
        KeyError: a mask for a parameter that there is not.
        ValueError: a mask of the wrong shape.
    """
    known = dict(module.named_parameters())
    for n, m in masks.items():
        if n not in known:
            near = difflib.get_close_matches(n, known, n=1)
            raise KeyError(f"no parameter is called {n!r}{f'; did you mean {near[0]}?' if near else ''}")
        if m.shape != known[n].shape:
            raise ValueError(f"the mask of {n} has shape {tuple(m.shape)}; the parameter {tuple(known[n].shape)}")


def activation_per_output(
    module: nn.Module,
    x: Tensor,
    masks: Mapping[str, Tensor] | None = None,
    *,
    biases: bool = True,
    rescale: bool = True,
) -> Scaled:
    """D_k = sum_n sum_{p -> k} a_p(x_n)^2 x_{n,s(p)}^2 over the paths through unmasked weights, shape (K,)."""
    d = activation(module, x, masks, biases=biases, rescale=rescale)
    return Scaled(d.value.sum(0), d.exponent)


def gradients(of: Tensor, by: Sequence[Tensor], create_graph: bool = False) -> tuple[Tensor, ...]:
    """Derivatives, 0 where there is none: the output may not depend on any weight at all."""
    if not of.requires_grad:
        return tuple(torch.zeros_like(t) for t in by)
    return torch.autograd.grad(of, list(by), create_graph=create_graph, materialize_grads=True)


def _paths(
    module: nn.Module, method: str, x: Tensor, theta: Mapping[str, Tensor], names: Sequence[str],
    masks: Mapping[str, Tensor] | None, biases: bool, frozen: Tensor | None, rescale: bool,
) -> Scores:  # fmt: skip
    power = 1 if method == "synflow" else 2
    d = None
    if method in ("px", "px-frozen"):
        if frozen is not None and method == "px-frozen":
            d = Scaled(frozen, 0)
        else:
            d = activation_per_output(module, x, masks, biases=biases, rescale=rescale)
    weights = {n: (p.abs() if power == 1 else p * p) for n, p in theta.items()}
    for n in names:
        weights[n].requires_grad_()
    with torch.enable_grad():
        r = flow(module, x, weights, power, biases=biases, rescale=rescale)
        objective = r.value.sum() if d is None else (r.value * d.value).sum()
        derivatives = gradients(objective, [weights[n] for n in names])
    log = Scaled(objective.detach(), r.exponent + (0 if d is None else d.exponent)).log10()
    found = {n: (weights[n] * g).detach() for n, g in zip(names, derivatives, strict=True)}
    return Scores(found, log, None if d is None else d.value)


def _gated(
    module: nn.Module, method: str, x: Tensor, theta: Mapping[str, Tensor], names: Sequence[str],
    masks: Mapping[str, Tensor] | None, biases: bool, rescale: bool,
) -> Scores:  # fmt: skip
    weights = {n: p * p for n, p in theta.items()}
    for n in names:
        weights[n].requires_grad_()
    energy = method == "path-energy"
    with torch.enable_grad():
        inputs = x * x if energy else torch.ones_like(x)
        r = gated_flow(module, x, weights, inputs, masks, biases=biases, rescale=rescale)
        # As in theory.saliency, a weight of 0 is no edge here.
        present = {n: t != 0 for n, t in theta.items()}
        d = None if energy else activation(module, x, present, biases=biases, rescale=rescale)
        objective = (r.value if d is None else r.value * d.value).sum()
        derivatives = gradients(objective, [weights[n] for n in names])
    log = Scaled(objective.detach(), r.exponent + (0 if d is None else d.exponent)).log10()
    return Scores({n: (weights[n] * g).detach() for n, g in zip(names, derivatives, strict=True)}, log)


def _loss(outputs: Tensor, y: Tensor) -> Tensor:
    if y.is_floating_point():
        if y.shape != outputs.shape:
            raise ValueError(f"targets have shape {tuple(y.shape)}, the outputs {tuple(outputs.shape)}")
        return ((outputs - y) ** 2).sum() / 2
    if y.ndim != 1 or int(y.min()) < 0 or int(y.max()) >= outputs.shape[1]:
        raise ValueError(f"labels must be integers in 0..{outputs.shape[1] - 1}, one a sample")
    return F.cross_entropy(outputs, y)


def _evaluated(module: nn.Module, theta: Mapping[str, Tensor], x: Tensor) -> Tensor:
    with evaluation_mode(module):
        return functional_call(module, dict(theta), (x,)).flatten(1)


def _of_loss(
    module: nn.Module, method: str, x: Tensor, y: Tensor, theta: Mapping[str, Tensor], names: Sequence[str]
) -> dict[str, Tensor]:
    theta = {n: t.clone().requires_grad_(n in names) for n, t in theta.items()}
    chosen = [theta[n] for n in names]
    with torch.enable_grad():
        loss = _loss(_evaluated(module, theta, x), y)
        twice = method == "grasp"
        g = gradients(loss, chosen, create_graph=twice)
        if twice:
            # H g is the gradient of g'g with one g held fixed.
            product = sum((a * a.detach()).sum() for a in g)
            assert isinstance(product, Tensor)
            g = gradients(product, chosen)
    found = {n: (theta[n] * a).detach() for n, a in zip(names, g, strict=True)}
    return found if twice else {n: s.abs() for n, s in found.items()}


def _ntk_sap(
    module: nn.Module, x: Tensor, theta: Mapping[str, Tensor], names: Sequence[str], seed: int, epsilon: float = 1e-2
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x)
    shifts = {n: torch.randn(theta[n].shape, generator=generator, dtype=torch.float64).to(theta[n]) for n in names}
    here = {n: (theta[n] != 0).to(theta[n]).requires_grad_() for n in names}
    with torch.enable_grad():
        dense = _evaluated(module, {**theta, **{n: theta[n] * here[n] for n in names}}, inputs)
        moved = {n: (theta[n] + epsilon * shifts[n]) * here[n] for n in names}
        distance = ((dense - _evaluated(module, {**theta, **moved}, inputs)) ** 2).sum()
        g = gradients(distance, list(here.values()))
    return {n: (a * here[n].detach()).abs() for n, a in zip(names, g, strict=True)}


class _Gates(TorchFunctionMode):
    """ReLUs that record their gates, copy them, or do nothing."""

    def __init__(self, job: str, gates: list[Tensor]) -> None:
        super().__init__()
        self.job, self.gates, self.used = job, gates, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") not in ("relu", "leaky_relu"):
            return func(*args, **(kwargs or {}))
        if self.job == "open":
            return args[0]
        if self.job == "record":
            self.gates.append((args[0] > 0).to(args[0]))
            return func(args[0], *args[1:], **{k: v for k, v in (kwargs or {}).items() if k != "inplace"})
        self.used += 1
        return args[0] * self.gates[self.used - 1]


def released(
    module: nn.Module, x: Tensor, masks: Mapping[str, Tensor] | None = None, skipped: Sequence[str] = ("bn", "fc"),
    training: bool = True,
) -> dict[str, Tensor]:  # fmt: skip
    """PX as the repository iurada/px-ntk-pruning computes it at commit ed6c40ea, parameter by parameter.

    Parameters and buffers with "bn" or "fc" in their name are left as they are, all others are set to 1 in
    the first auxiliary network (inputs x^2, gates copied) and squared in the second (inputs 1, no gates).
    Both run in training mode: normalisations use the statistics of the batch, which for the second is
    a batch of identical inputs. The score is |gradient by the squared weight| times theta^2.

    Args:
        module: the module.
        x: inputs, one batch.
        masks: masks of weights; masked weights are multiplied by 0 in each network.
        skipped: parts of names of what is left as it is.
        training: whether the auxiliary networks use the statistics of their batch, as released; False uses
            the stored ones.
    """
    masks = {} if masks is None else masks
    original = copy.deepcopy(module).eval()
    with torch.no_grad():
        for n, p in original.named_parameters():
            p.copy_(p * masks[n].to(p) if n in masks else p)
    gates: list[Tensor] = []
    with torch.no_grad(), _Gates("record", gates):
        original(x)
    ones, squared = copy.deepcopy(original), copy.deepcopy(original)
    with torch.no_grad():
        for n, t in squared.state_dict().items():
            if not any(s in n for s in skipped):
                t.pow_(2)
        for n, t in ones.state_dict().items():
            if not any(s in n for s in skipped):
                t.copy_(masks[n].to(t)) if n in masks else t.fill_(1)
    with torch.no_grad(), _Gates("copy", gates):
        first = ones.train(training)(x * x)
    with torch.enable_grad(), _Gates("open", []):
        second = squared.train(training)(torch.ones_like(x))
        wanted = dict(squared.named_parameters())
        g = gradients((first * second).sum(), list(wanted.values()))
    out = {}
    for (n, p), a in zip(original.named_parameters(), g, strict=True):
        s = a.abs() * p.detach() ** 2
        out[n] = s * masks[n].to(s) if n in masks else s
    return out


def live_paths(module: nn.Module, x: Tensor, masks: Mapping[str, Tensor] | None = None) -> float:
    """log10 of the number of input-output paths through unmasked weights, -inf if there are none.

    Paths from biases do not count: what they carry does not depend on the input.
    """
    ones = {n: torch.ones_like(p, dtype=torch.float64) for n, p in module.named_parameters()}
    if masks is not None:
        ones.update({n: m.to(torch.float64) for n, m in masks.items()})
    with torch.no_grad():
        return flow(module, x[:1].double(), ones, 0, biases=False).log10()


def on_live_paths(module: nn.Module, x: Tensor, masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """For each masked parameter, which of its unmasked weights stand on an input-output path (bool)."""
    ones = {n: torch.ones_like(p, dtype=torch.float64) for n, p in module.named_parameters()}
    ones.update({n: m.to(torch.float64).requires_grad_() for n, m in masks.items()})
    with torch.enable_grad():
        count = flow(module, x[:1].double(), ones, 0, biases=False).value.sum()
        g = gradients(count, [ones[n] for n in masks])
    return {n: m.bool() & (a > 0) for (n, m), a in zip(masks.items(), g, strict=True)}


def constant_on(module: nn.Module, x: Tensor, masks: Mapping[str, Tensor] | None = None) -> bool:
    """Whether the masked network gives exactly the same outputs for every sample."""
    with torch.no_grad():
        out = _evaluated(module, parameters_of(module, masks), x)
    return bool((out == out[:1]).all())


__all__ = [
    "METHODS", "Scores", "activation_per_output", "check_data", "check_masks", "constant_on", "live_paths",
    "on_live_paths", "released", "saliency", "scored_names", "scores", "unchecked_scores",
]  # fmt: skip
