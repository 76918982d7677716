"""What the findings mean on ResNet-20, VGG-16-BN and many small networks: trials, each a function of its parameters.

Images are Gaussian, the same in every precision, so that everything can be recomputed without a data set.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from verify.studies.findings import plain
from verify.trials import experiment
from verify.trials.statistics import rank_correlation
from verify.trials.streams import stream

DTYPES = ("float32", "float64", "longdouble")


def _top(scores: np.ndarray, share: float) -> set[int]:
    count = max(1, round(share * len(scores)))
    return set(np.argsort(-scores, kind="stable")[:count].tolist())


def _shared(a: np.ndarray, b: np.ndarray, share: float) -> float:
    """Share of the kept weights that two rankings have in common when the same share is kept."""
    first, second = _top(a, share), _top(b, share)
    return len(first & second) / len(first)


def _spread(d: np.ndarray) -> float:
    return float((d.max() - d.min()) / d.max())


@experiment
def path_quantities(network: str, dtype: str, *, seed: int) -> dict[str, Any]:
    """The plain second implementation on one image: bounds, trace, objective (log10), spread of D over the outputs.

    ``other_data`` is the share of the 10 % best weights that PX keeps in common on two different images, and
    ``l2`` that it has in common with SynFlow-L2; ``unscaled_bad`` counts scores that are 0 or not finite when
    nothing is rescaled on the way; ``longest`` is log10 of the bound when a maximum stays a maximum.
    """
    kind = np.dtype(dtype).type
    weights, images = plain.weights_of(network, seed, kind), plain.images(2, seed, kind)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        one = plain.Quantities(network, weights, images[0])
        other = plain.Quantities(network, weights, images[1], trace=False)
        raw = plain.Quantities(network, weights, images[0], trace=False, scaled=False).scores
    return {
        "log10_trace": one.log10_trace,
        "log10_per_output": one.log10_per_output,
        "log10_product": one.log10_product,
        "log10_objective": one.log10_objective,
        "spread_d": _spread(one.activation.array),
        "other_data": _shared(one.scores, other.scores, 0.1),
        "l2": _shared(one.scores, one.l2, 0.1),
        "unscaled_bad": int((~np.isfinite(raw) | (raw == 0)).sum()),
        "weights": len(raw),
    }


def _module(network: str, seed: int, dtype: torch.dtype) -> nn.Module:
    from verify.networks import zoo

    return zoo.build(network, seed=seed).to(dtype)


def _images(count: int, seed: int, dtype: torch.dtype) -> Tensor:
    return torch.as_tensor(plain.images(count, seed, np.float32)).to(dtype)


def _scored(module: nn.Module) -> dict[str, Tensor]:
    return {n: p for n, p in module.named_parameters() if p.ndim > 1}


def _flat(found: dict[str, Tensor]) -> np.ndarray:
    return torch.cat([v.detach().double().flatten() for v in found.values()]).numpy()


@experiment
def path_quantities_torch(network: str, dtype: str, *, seed: int) -> dict[str, Any]:
    """The same quantities by the first implementation: autograd and `verify.networks.scores.methods`."""
    from verify.networks.scores.methods import activation_per_output, scores

    kind = getattr(torch, dtype)
    module, x = _module(network, seed, kind), _images(2, seed, kind)
    trace = 0.0
    own = list(_scored(module).values())
    outputs = module(x[:1])[0]
    for k in range(len(outputs)):
        gradients = torch.autograd.grad(outputs[k], own, retain_graph=True)
        trace += sum(float((g.double() ** 2).sum()) for g in gradients)
    d = activation_per_output(module, x[:1], biases=False)
    one = scores(module, "px", x[:1], biases=False)
    other = scores(module, "px", x[1:], biases=False)
    l2 = scores(module, "synflow-l2", x[:1], biases=False)
    return {
        "log10_trace": math.log10(trace),
        "log10_objective": one.log10_objective,
        "spread_d": _spread(d.value.double().numpy()),
        "other_data": _shared(_flat(one.values), _flat(other.values), 0.1),
        "l2": _shared(_flat(one.values), _flat(l2.values), 0.1),
    }


@experiment
def synflow_and_sketch(network: str, *, draws: int = 32, seed: int) -> dict[str, Any]:
    """Rank correlation, over all weights, of SynFlow and SynFlow-L2 with the squared sketch weight theta_j^2 E g_j^2.

    ``g_j^2`` sums over the outputs; the inputs are Gaussian. ``signs`` averages over random signs of all
    weights as well, which the repaired claim does. ``halves`` is the correlation of two halves of the draws.
    """
    from verify.networks.scores.methods import scores

    module = _module(network, seed, torch.float32)
    x = _images(draws, seed, torch.float32)
    own = _scored(module)
    first, dense = _flat(scores(module, "synflow", x, biases=False).values), _images(1, seed, torch.float32)
    second = _flat(scores(module, "synflow-l2", dense, biases=False).values)
    out: dict[str, Any] = {}
    generator = stream("signs", seed)
    before = {n: p.detach().clone() for n, p in own.items()}
    for name, flipped in (("plain", False), ("signs", True)):
        halves = [np.zeros(len(first)), np.zeros(len(first))]
        for i in range(draws):
            if flipped:
                with torch.no_grad():
                    for n, p in own.items():
                        p.copy_(before[n] * (torch.randint(0, 2, p.shape, generator=generator) * 2 - 1))
            outputs = module(x[i : i + 1])[0]
            for k in range(len(outputs)):
                g = torch.autograd.grad(outputs[k], list(own.values()), retain_graph=k + 1 < len(outputs))
                halves[i % 2] += _flat({n: (p.detach() * v) ** 2 for (n, p), v in zip(own.items(), g, strict=True)})
        total = halves[0] + halves[1]
        out[f"{name}_synflow"] = float(rank_correlation(total, first))
        out[f"{name}_synflow_l2"] = float(rank_correlation(total, second))
        out[f"{name}_halves"] = float(rank_correlation(halves[0], halves[1]))
        out[f"{name}_synflow_top"] = _shared(total, first, 0.1)
        out[f"{name}_synflow_l2_top"] = _shared(total, second, 0.1)
    return out


@experiment
def data_overlap(network: str, density: float, *, rounds: int = 100, samples: int = 32, seed: int) -> dict[str, Any]:
    """How much of PX's final mask depends on the data: two disjoint sets of Gaussian images, and SynFlow-L2."""
    from verify.networks.scores.masks import counting_losses
    from verify.networks.scores.prune import prune

    module = _module(network, seed, torch.float32)
    x = _images(2 * samples, seed, torch.float32)

    def mask(method: str, data: Tensor) -> Tensor:
        with counting_losses():
            found = prune(module, method, density=density, rounds=rounds, x=data, biases=False)
        return torch.cat([m.flatten() for m in found.values()])

    one, other, l2 = mask("px", x[:samples]), mask("px", x[samples:]), mask("synflow-l2", x[:samples])
    kept = int(one.sum())
    return {
        "kept": kept,
        "other_data": int((one & other).sum()) / kept,
        "synflow_l2": int((one & l2).sum()) / kept,
        "chance": kept / len(one),
    }


@experiment
def run_ends(
    network: str, method: str, keep: int, *, rounds: int = 100, samples: int = 8, seed: int
) -> dict[str, Any]:  # fmt: skip
    """Prune to ``keep`` weights, then look at what is left by the plain implementation in three precisions.

    Returns:
        ``path``: whether a path keeps all its weights; ``live_<dtype>``: whether some output is not exactly 0
        for some image (biases are 0); ``objective_<dtype>``: whether sum_k D_k R_k is positive.
    """
    from verify.networks.scores.masks import counting_losses
    from verify.networks.scores.prune import prune

    module, x = _module(network, seed, torch.float32), _images(samples, seed, torch.float32)
    with counting_losses():
        masks = prune(module, method, keep=keep, rounds=rounds, x=x, biases=False)
    out: dict[str, Any] = {}
    for dtype in DTYPES:
        kind = np.dtype(dtype).type
        kept = {n: m.numpy() for n, m in masks.items()}
        weights = {n: w * kept[n] for n, w in plain.weights_of(network, seed, kind).items()}
        live, d = False, np.zeros(())
        for image in plain.images(samples, seed, kind):
            outputs, activation = plain.forwards(network, weights, kept, image)
            live, d = live or bool((outputs != 0).any()), d + activation
        kernel = plain.kernel_of(network, weights)
        out["path"], objective = bool((kernel != 0).any()), bool((kernel * d > 0).any())
        out[f"live_{dtype}"], out[f"objective_{dtype}"] = live, objective
    return {"kept": masks.kept, **out}


@experiment
def outputs_lost(
    network: str, method: str, density: float, *, rounds: int = 30, samples: int = 16, seed: int
) -> dict[str, Any]:  # fmt: skip
    """How many outputs iterated pruning leaves without a path from any input, Gaussian images."""
    from verify.networks.scores.masks import counting_losses
    from verify.networks.scores.methods import paths_per_output
    from verify.networks.scores.prune import prune

    module, x = _module(network, seed, torch.float32), _images(samples, seed, torch.float32)
    with counting_losses():
        masks = prune(module, method, density=density, rounds=rounds, x=x, biases=False)
    reached = paths_per_output(module, x, masks) > 0
    return {"kept": masks.kept, "outputs": len(reached), "lost": int((~reached).sum())}


def _gradients(module: nn.Module, x: Tensor, masks: Any) -> np.ndarray:
    """Per-sample, per-output gradients by the weights that are left, (n K, weights)."""
    own = _scored(module)
    rows = []
    for image in x:
        outputs = module(image[None])[0]
        for k in range(len(outputs)):
            g = torch.autograd.grad(outputs[k], list(own.values()), retain_graph=k + 1 < len(outputs))
            rows.append(torch.cat([(v * masks[n]).flatten() for n, v in zip(own, g, strict=True)]))
    return torch.stack(rows).numpy()


@experiment
def kept_of_the_kernel(
    network: str, method: str, density: float, *, rounds: int = 20, samples: int = 16, images: int = 4,
    precise: bool = False, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """What a mask keeps of the NTK at initialisation: shares of the trace and of the largest eigenvalue.

    Pruned on ``samples`` Gaussian images, in float32 (SNIP, GraSP, magnitude and random in one round); the
    kernel is that of ``images`` fresh ones. ``precise`` adds the share of the trace on one image in float32,
    float64 (torch) and extended precision (plain).
    """
    from verify.networks.scores.masks import counting_losses
    from verify.networks.scores.methods import scorer
    from verify.networks.scores.prune import prune

    iterative = method in ("px", "synflow", "synflow-l2", "path-energy", "px-per-sample")
    module, x = _module(network, seed, torch.float32), _images(samples + images, seed, torch.float32)
    with counting_losses():
        masks = prune(
            module, method, density=density, rounds=rounds if iterative else 1, x=x[:samples],
            y=torch.arange(samples) % 10, seed=seed, biases=False, **scorer(method).definition,
        )  # fmt: skip
    every = {n: torch.ones_like(m) for n, m in masks.items()}
    out: dict[str, Any] = {"emptied": len(masks.emptied)}
    shares: dict[str, float] = {}
    for kind in (torch.float64, torch.float32) if precise else (torch.float64,):
        dense, fresh = _module(network, seed, kind), x[samples:].to(kind)
        full = _gradients(dense, fresh, every).astype(np.float64)
        left = _gradients(masks.apply(_module(network, seed, kind)), fresh, masks).astype(np.float64)
        if kind is torch.float64:
            out["trace"] = float((left**2).sum() / (full**2).sum())
            out["top"] = float(np.linalg.eigvalsh(left @ left.T)[-1] / np.linalg.eigvalsh(full @ full.T)[-1])
        k = len(full) // images
        shares[str(kind).split(".")[1]] = float((left[:k] ** 2).sum() / (full[:k] ** 2).sum())
    if precise:
        wide = plain.weights_of(network, seed, np.longdouble)
        image = x[samples].numpy().astype(np.longdouble)
        kept = {n: m.numpy() for n, m in masks.items()}
        traces = [
            plain.trace_of(network, {n: w * m[n] for n, w in wide.items()}, m, image)
            for m in (kept, {n: np.ones_like(m) for n, m in kept.items()})
        ]
        shares["longdouble"] = float(10 ** (traces[0] - traces[1]))
        out |= {f"one_image_{k}": v for k, v in shares.items()}
    return out


# -- small networks, in exact arithmetic ------------------------------------------------------------------

SCORERS = (
    "px", "px-frozen", "px-per-sample", "path-energy", "trace-loss", "synflow", "synflow-l2", "snip", "grasp",
    "magnitude", "random",
)  # fmt: skip
GUARDED = ("px", "path-energy", "magnitude")


@experiment
def small_runs(
    scorer: str, keep: int, *, guarded: bool = False, widths: list[int] = [3, 4, 4, 2],  # noqa: B006
    samples: int = 8, networks: int = 60, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """One weight a round from small Gaussian perceptrons without biases; what is left of the trace and of lambda_max.

    Decisions (which weight goes, what is live) are made in exact rationals of the drawn float64 numbers
    rounded to multiples of 1/64.

    Returns:
        one list entry a network: ``path`` (a path keeps all its weights), ``live`` (and is live on the data),
        ``trace`` and ``top`` (shares of the trace and of the largest eigenvalue over the weights left).
    """
    from theory.guarded import GuardedRun, live
    from theory.networks import mlp
    from theory.paths import NetworkOnData
    from theory.pruning import PruningRun
    from theory.scalars import exact, floats

    out: dict[str, Any] = {"path": [], "live": [], "trace": [], "top": []}
    for i in range(networks):
        rng = np.random.default_rng([seed, i])
        net = mlp(widths)
        scale = np.concatenate([np.full(a * b, math.sqrt(2 / a)) for a, b in itertools.pairwise(widths)])
        theta = _dyadic(rng.standard_normal(net.parameters) * scale)
        x = _dyadic(rng.standard_normal((samples, widths[0])))
        drawn = rng.permutation(net.parameters)
        if scorer == "random":
            mask = drawn >= net.parameters - keep
        else:
            kind = GuardedRun if guarded else PruningRun
            mask = kind(net, exact(theta), exact(x), keep=keep, scorer=scorer).final_mask()
        run = PruningRun(net, exact(theta), exact(x), keep=keep)
        dense = _kernel(NetworkOnData(net, theta, x), np.ones(net.parameters))
        left = _kernel(NetworkOnData(net, theta * mask, x), mask)
        member = _members(net)
        out["path"].append(bool((mask[None, :] | ~member).all(-1).any()))
        out["live"].append(bool(live(run, mask)))
        out["trace"].append(float(floats(left.trace() / dense.trace())))
        out["top"].append(float(np.linalg.eigvalsh(left)[-1] / np.linalg.eigvalsh(dense)[-1]))
    return out


def _dyadic(a: np.ndarray) -> np.ndarray:
    whole = np.round(a * 64)
    return np.where(whole == 0, 1.0, whole) / 64


def _members(net: Any) -> np.ndarray:
    from theory.paths import on_path

    return on_path(net) > 0


def _kernel(instance: Any, mask: np.ndarray) -> np.ndarray:
    j = instance.jacobian() * mask
    rows = j.reshape(-1, j.shape[-1])
    return rows @ rows.T


@experiment
def transfer_on_digits(*, samples: int = 200, starts: int = 200, steps: int = 300, seed: int) -> dict[str, Any]:
    """A linear model trained on digits from Gaussian starts: s MSE of the initial law, in units of the least s MSE.

    Weights are fitted to whether the digit is at least 5 by gradient descent on the squared error. Medians
    and maxima over the starts, never means: the mean over Gaussian starts is infinite.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    x = (data.data[:samples] / 16).T  # features by samples
    used = (x**2).sum(1) > 0
    x, y = x[used], np.where(data.target[:samples] >= 5, 1.0, -1.0)
    norms, rate = np.sqrt((x**2).sum(1)), 1 / np.linalg.norm(x, 2) ** 2
    initial, by_norm, relative = [], [], []
    for i in range(starts):
        w0 = np.random.default_rng([seed, i]).standard_normal(len(x)) / math.sqrt(len(x))
        w = w0.copy()
        for _ in range(steps):
            w -= rate * x @ (x.T @ w - y)
        a, a0 = norms * abs(w), norms * abs(w0)
        signal = float(((x.T @ w) ** 2).sum())
        best = a.sum() ** 2 - signal
        initial.append((a0.sum() * float((a**2 / a0).sum()) - signal) / best)
        by_norm.append((float((norms**2).sum()) * float((w**2).sum()) - signal) / best)
        relative.append(float(np.linalg.norm(w - w0) / np.linalg.norm(w0)))
    return {
        "initial_median": float(np.median(initial)),
        "initial_90": float(np.quantile(initial, 0.9)),
        "initial_largest": float(max(initial)),
        "by_norm_median": float(np.median(by_norm)),
        "by_norm_largest": float(max(by_norm)),
        "moved_median": float(np.median(relative)),
    }
