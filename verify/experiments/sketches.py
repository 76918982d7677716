"""Sketching: error against the number of draws, SynFlow against the sketch probability, lazy weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from verify.experiments.scores import path_scores
from verify.trials import experiment
from verify.trials.streams import stream
from verify.trials.training import Stack, initial


def linear_model(data: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features X (d, n) and weights w (d,): Gaussian, or a ridge regression of "at least five" on the digits.

    Raises:
        ValueError: unknown data.
    """
    rng = np.random.default_rng([seed, 11])
    if data == "gaussian":
        return rng.standard_normal((32, 64)) * rng.gamma(1.0, size=(32, 1)), rng.standard_normal(32)
    if data == "digits":
        from verify.experiments.digits import images

        pixels, classes = images()
        pick = rng.permutation(len(pixels))[:256]
        x, y = pixels[pick].double().numpy(), np.where(classes[pick] >= 5, 1.0, -1.0)
        return x.T, np.linalg.solve(x.T @ x + len(y) * 0.1 * np.eye(x.shape[1]), x.T @ y)
    raise ValueError(f"data is 'gaussian' or 'digits', not {data!r}")


@experiment
def error_against_draws(data: str, *, draws: list[int], repeats: int = 2000, seed: int) -> dict[str, Any]:
    """Mean squared error of sketched predictions, simulated, beside the closed forms.

    Returns:
        For each number of draws s: sampled and its standard error (scaled masks), exact = (A^2 - |X'w|^2)/s,
        limit = A^2/s, magnitude (exact with p = |w|/|w|_1), binary (exact, unscaled mask), and
        binary_sampled with its standard error.
    """
    features, w = linear_model(data, seed)
    rng = np.random.default_rng([seed, 12])
    norms = np.linalg.norm(features, axis=1)
    a = norms * np.abs(w)
    p = a / a.sum()
    prediction = features.T @ w
    terms = features * w[:, None]
    gram = terms @ terms.T
    flat = np.abs(w) / np.abs(w).sum()
    kept = flat > 0
    magnitude = float((norms[kept] ** 2 * w[kept] ** 2 / flat[kept]).sum() - (prediction**2).sum())
    rows: dict[str, list[float]] = {}
    for s in draws:
        counts = rng.multinomial(s, p, size=repeats)
        scaled = np.divide(counts, s * p, out=np.zeros(counts.shape), where=p > 0)
        off, missing = scaled - 1, (counts == 0).astype(float)
        errors, binary = (np.einsum("ri,ij,rj->r", v, gram, v, optimize=True) for v in (off, missing))
        pair = np.clip(1 - p[:, None] - p[None, :], 0, 1) ** s
        np.fill_diagonal(pair, (1 - p) ** s)
        entry = {
            "sampled": errors.mean(),
            "sampled_se": errors.std(ddof=1) / repeats**0.5,
            "exact": (a.sum() ** 2 - (prediction**2).sum()) / s,
            "limit": a.sum() ** 2 / s,
            "magnitude": magnitude / s,
            "binary": (gram * pair).sum(),
            "binary_sampled": binary.mean(),
            "binary_sampled_se": binary.std(ddof=1) / repeats**0.5,
        }
        for name, value in entry.items():
            rows.setdefault(name, []).append(float(value))
    return {"scale": float((prediction**2).sum()), **rows}


@experiment
def synflow_scores(kind: str, *, widths: list[int] = [8, 6, 5, 3], samples: int = 4000, seed: int) -> dict[str, Any]:  # noqa: B006
    r"""Normalised SynFlow scores beside the sketch probabilities of the same parameters, x ~ N(0, I).

    Args:
        kind: "linear" (one layer, SynFlow), "deep" (deep linear network, SynFlow), "deep-relu" (SynFlow), or
            "sign-averaged" (deep linear, SynFlow-L2 against the mean over signs of $(w_j\,\partial f/\partial w_j)^2$).
        widths: of the deep networks; the linear one is the first and last.
        samples: inputs, or sign patterns, averaged over.
        seed: seed of weights, inputs and signs.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in ("linear", "deep", "deep-relu", "sign-averaged"):
        raise ValueError(f"kind is linear, deep, deep-relu or sign-averaged, not {kind!r}")
    stack = initial([widths[0], 1] if kind == "linear" else widths, [seed])
    weights = [w.double()[0] for w in stack.weights]
    g = stream("inputs and signs", seed)
    wide = Stack([w[None] for w in weights], [torch.ones_like(w)[None] for w in weights], [])
    sign = kind == "sign-averaged"
    flow = torch.cat([s[0].flatten() for s in path_scores(wide, 2 if sign else 1)])
    if sign:
        signs = [torch.randint(0, 2, (samples, *w.shape), generator=g).double() * 2 - 1 for w in weights]
        layers = [s * w for s, w in zip(signs, weights, strict=True)]
        x = torch.ones(samples, widths[0], dtype=torch.float64)
    else:
        layers = [w.expand(samples, *w.shape) for w in weights]
        x = torch.randn(samples, widths[0], generator=g, dtype=torch.float64)
    squares = _squared_saliencies(layers, x, relu=kind == "deep-relu")
    sketch = squares if sign else squares.sqrt()
    return {"synflow": (flow / flow.sum()).tolist(), "sketch": (sketch / sketch.sum()).tolist()}


def _squared_saliencies(layers: list[torch.Tensor], x: torch.Tensor, relu: bool) -> torch.Tensor:
    r"""Mean over samples of $\sum_k (w_j\,\partial f_k/\partial w_j)^2$ for every parameter, flattened."""
    inputs, gates, h = [], [], x
    for i, w in enumerate(layers):
        inputs.append(h)
        h = torch.bmm(w, h[..., None])[..., 0]
        last = i + 1 == len(layers)
        gates.append((h > 0).double() if relu and not last else torch.ones_like(h))
        h = h * gates[-1]
    outputs = h.shape[1]
    total = [torch.zeros_like(w[0]) for w in layers]
    for k in range(outputs):
        delta = torch.zeros_like(h)
        delta[:, k] = 1
        for i in reversed(range(len(layers))):
            delta = delta * gates[i]
            total[i] += (((delta[:, :, None] * inputs[i][:, None, :]) * layers[i]) ** 2).mean(0)
            delta = torch.bmm(layers[i].transpose(1, 2), delta[..., None])[..., 0]
    return torch.cat([t.flatten() for t in total])


@experiment
def lazy_weights(
    width: int, *, samples: int = 24, inputs: int = 8, target: float = 1e-3, limit: int = 20000, seed: int
) -> dict[str, Any]:
    r"""How far the first layer moves when $f(x) = m^{-1/2}\sum_i a_i\,\mathrm{relu}(w_i \cdot x)$ is fitted.

    Both layers start standard normal and are trained by full-batch gradient descent until the mean squared
    error on a fixed set with random labels is below ``target``. Inputs have norm 1.

    Returns:
        distance = |w* - w0|/|w0| over both layers; rho = max_i |w*_i - w0_i|/|w0_i|; variance of |w*_i/w0_i| under
        p0_i ~ |X_i| |w0_i| (first layer, where the sketch applies); error and steps reached.
    """
    data = np.random.default_rng([2, inputs, samples])  # one fixed set for all seeds and widths
    x = torch.tensor(data.standard_normal((samples, inputs)))
    x = x / x.norm(dim=1, keepdim=True)
    y = torch.tensor(data.choice([-1.0, 1.0], samples))
    rng = np.random.default_rng([seed, width])
    w0 = torch.tensor(rng.standard_normal((width, inputs)))
    a0 = torch.tensor(rng.standard_normal(width))
    w, a, error, step = w0.clone(), a0.clone(), np.inf, 0
    scale = width**-0.5
    z0 = (x @ w0.T).relu()
    active = (z0 > 0).double() * a0
    kernel = scale**2 * (z0 @ z0.T + (active @ active.T) * (x @ x.T))
    rate = 1.0 / float(torch.linalg.eigvalsh(kernel)[-1])
    for step in range(limit):  # noqa: B007
        z = x @ w.T
        h = z.relu()
        residual = scale * (h @ a) - y
        error = float((residual**2).mean())
        if error < target:
            break
        back = scale * residual[:, None] * a * (z > 0)
        a = a - rate * scale * (h.T @ residual)
        w = w - rate * (back.T @ x)
    moved = torch.cat([(w - w0).flatten(), a - a0])
    start = torch.cat([w0.flatten(), a0])
    p0 = x.norm(dim=0) * w0.abs()
    p0 = p0 / p0.sum()
    ratio = (w / w0).abs()
    return {
        "distance": float(moved.norm() / start.norm()),
        "rho": float((moved / start).abs().max()),
        "variance": float((p0 * ratio**2).sum() - (p0 * ratio).sum() ** 2),
        "error": error,
        "steps": step,
    }
