"""Models trained here and now, as subjects that claims are checked on.

A *subject* has a ``name`` and ``falsify(claim, ...) -> Outcome``. Three kinds:

* ``linear``: a linear model. Features, weights before and after training, rounded to dyadic rationals:
  the sketching claims are decided on it exactly;
* ``tiny-relu``: a 4-3-2 ReLU network on the image averaged to four numbers, rounded to dyadic rationals:
  every path is enumerated, and the claims about networks are decided exactly;
* ``relu`` and ``cnn``: networks too large to enumerate, decided in float64 with rounding bounds
  (`verify.networks.claims.subject`).

Training is float64 on one thread, from a seed: the same seed gives the same model.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from flint import fmpq
from torch import Tensor, nn

from theory.claims import Claim
from theory.network_sketches import NetworkWeights
from theory.networks import mlp
from theory.paths import NetworkOnData
from theory.pruning import PruningRun
from theory.scalars import Array, exact, floats
from theory.sketches import Sketch, Transfer
from verify.search.given import look_through
from verify.search.loop import Search
from verify.search.outcome import Outcome
from verify.search.strategies import StackChooser, draw
from verify.trials import data as datasets

MODELS = ("linear", "tiny-relu", "relu", "cnn")
NETWORK_SETTINGS = (NetworkOnData, NetworkWeights, PruningRun)
TRAINING_SAMPLES = 1000
MOST = 25
"""Instances of a trained model that are decided at most."""


def trained_settings(model: str) -> tuple[type, ...]:
    """The settings of the claims that can be checked on a trained ``model``.

    Raises:
        ValueError: no such model.
    """
    if model not in MODELS:
        raise ValueError(f"no model is called {model!r}; known: {', '.join(MODELS)}")
    return {"linear": (Sketch, Transfer), "tiny-relu": NETWORK_SETTINGS}.get(model, (NetworkOnData,))


def subject(
    model: str, *, data: str = "", data_dir: str = "", seed: int = 0, samples: int = 8, device: str = "cpu"
) -> Any:
    """What claims are checked on.

    Args:
        model: one of `MODELS` (trained here on ``data``), or ``FILE.py:FACTORY``, ``zoo:NAME``, ``timm:NAME``.
        data: a data set's name; "" is digits for a trained model and random inputs for any other.
        data_dir: its folder.
        seed: seed of data, weights and training.
        samples: how many inputs a model from elsewhere is given.
        device: where models are trained, which must exist; verdicts are always computed on the CPU in float64.

    Raises:
        ValueError: nothing of that name, or data that cannot be read.
    """
    _check_device(device)
    if model in MODELS:
        return _trained(model, data or "digits", data_dir, seed, device)
    if ":" not in model:
        raise ValueError(
            f"no model is called {model!r}; known: {', '.join(MODELS)}, or FILE.py:FACTORY, zoo:NAME, timm:NAME"
        )
    if data_dir and not data:
        raise ValueError(f"a folder of data is given, but no data set; name one ({', '.join(datasets.NAMES)})")
    return _from_elsewhere(model, data, data_dir, seed, samples)


def _check_device(device: str) -> None:
    """Raise ValueError unless torch can put a tensor on ``device``."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as e:
        raise ValueError(f"no device {device!r} here ({str(e).splitlines()[0]}); --device cpu always works") from None


@functools.lru_cache(maxsize=2)
def _from_elsewhere(model: str, data: str, data_dir: str, seed: int, samples: int) -> Any:
    # One subject for all claims: it holds what they share, such as the gates and the trace.
    from verify.networks.claims.load import load
    from verify.networks.claims.subject import Subject

    x = None
    if data:
        x = torch.as_tensor(datasets.load(data, data_dir=data_dir, split="test", samples=samples, seed=seed).x)
    loaded = load(model, x=x, samples=samples, seed=seed)
    return Subject(loaded.module, loaded.x, f"{loaded.name}, {data or 'random inputs'}", report=loaded.report)


@functools.lru_cache(maxsize=16)
def _trained(model: str, data: str, data_dir: str, seed: int, device: str) -> Any:
    from verify.networks.claims.budget import single_threaded

    with single_threaded():
        return _trained_on(model, data, data_dir, seed, device)


def _trained_on(model: str, data: str, data_dir: str, seed: int, device: str) -> Any:
    one = datasets.load(data, data_dir=data_dir, samples=TRAINING_SAMPLES, seed=seed)
    name = f"{data}, {model}"
    if model == "linear":
        return linear(one, name, seed, device)
    if model == "tiny-relu":
        return tiny_relu(one, f"{name} 4-3-2", seed, device)
    from verify.networks.claims.subject import Subject

    module, x = (relu if model == "relu" else cnn)(one, seed, device)
    return Subject(module, x, name)


# -- training ---------------------------------------------------------------------------------------


def train(module: nn.Module, x: Tensor, y: Tensor, *, steps: int, rate: float, device: str = "cpu") -> float:
    """Adam on the whole of (x, y), in place; returns the share of samples classified rightly.

    Raises:
        ValueError: the device does not exist or does not have float64.
    """
    try:
        module.to(device)
        x, y = x.to(device), y.to(device)
        optimizer = torch.optim.Adam(module.parameters(), lr=rate)
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x), y).backward()
            optimizer.step()
        with torch.no_grad():
            right = float((module(x).argmax(1) == y).double().mean())
    except (RuntimeError, TypeError, AssertionError) as e:
        if device == "cpu":
            raise
        raise ValueError(f"cannot train in float64 on device {device!r}: {str(e).splitlines()[0]}") from None
    module.to("cpu").eval()
    return right


def _initialised(module: nn.Module, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    module.double()
    with torch.no_grad():
        for p in module.parameters():
            if p.ndim > 1:
                p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64) * (2 / p[0].numel()) ** 0.5)
            else:
                p.zero_()
    return module


def averaged(x: Array, side: int) -> Array:
    """Images (n, c, h, w) averaged over channels and pooled to (n, side * side); flat inputs keep their first ones.

    Raises:
        ValueError: inputs smaller than that.
    """
    if x.ndim == 2:
        if x.shape[1] < side * side:
            raise ValueError(f"the inputs have {x.shape[1]} features; at least {side * side} are needed")
        return x[:, : side * side]
    gray = torch.as_tensor(x.mean(axis=1, keepdims=True))
    return nn.functional.adaptive_avg_pool2d(gray, side).flatten(1).numpy()


def dyadic(values: Any, bits: int) -> Array:
    """``values`` rounded to multiples of 2^-bits, as rationals."""
    scale = 2**bits
    a = np.round(np.asarray(values, dtype=float) * scale)
    out = np.empty(a.shape, dtype=object)
    for i, v in np.ndenumerate(a):
        out[i] = fmpq(int(v), scale)
    return out


def _standardised(x: Array) -> Array:
    deviation = float(x.std())
    return (x - x.mean()) / (deviation if deviation > 0 else 1.0)


# -- the models -------------------------------------------------------------------------------------


def relu(data: datasets.Dataset, seed: int, device: str = "cpu") -> tuple[nn.Module, Tensor]:
    """A trained ReLU network of 32 hidden units on the image averaged to 8 x 8, and 8 inputs."""
    x = torch.as_tensor(_standardised(averaged(data.x, 8)))
    net = nn.Sequential(nn.Linear(x.shape[1], 32), nn.ReLU(), nn.Linear(32, data.classes))
    module = _initialised(net, seed)
    train(module, x, torch.as_tensor(data.y), steps=100, rate=0.01, device=device)
    return module, x[:8]


def cnn(data: datasets.Dataset, seed: int, device: str = "cpu") -> tuple[nn.Module, Tensor]:
    """A trained network of two convolutions on images, and 4 inputs.

    Raises:
        ValueError: the data are no images.
    """
    if data.x.ndim != 4:
        raise ValueError(f"a cnn needs images; {data.name} has inputs of shape {data.x.shape[1:]}")
    x = torch.as_tensor(_standardised(data.x))
    module = nn.Sequential(
        nn.Conv2d(x.shape[1], 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, data.classes),
    )
    _initialised(module, seed)
    train(module, x[:500], torch.as_tensor(data.y[:500]), steps=20, rate=0.01, device=device)
    return module, x[:4]


def rational_norms(x: Array) -> Array:
    """Rows of ``x`` (d, n) with one more entry, tiny, that makes the norm of each row rational; (d, n + 1).

    With N = |row|^2 and u near its root, t = (N - u^2) / 2u gives N + t^2 = ((N + u^2) / 2u)^2.
    """
    extra = np.empty((len(x), 1), dtype=object)
    for i, row in enumerate(x):
        square = sum((v * v for v in row), fmpq(0))
        root = dyadic(np.sqrt(float(floats(np.array([square], dtype=object))[0])), 8)[()]
        extra[i, 0] = fmpq(0) if square == 0 or root == 0 else (square - root * root) / (2 * root)
    return np.concatenate([x, extra], axis=1)


def linear(data: datasets.Dataset, name: str, seed: int, device: str = "cpu") -> GivenInstances:
    """A linear model trained to tell the upper half of the classes from the lower, on 4, 16 and 64 features."""
    fitted = []
    y = torch.as_tensor((data.y >= data.classes // 2).astype(np.int64))
    for side in (2, 4, 8):
        x = _standardised(averaged(data.x, side))
        module = nn.Linear(side * side, 2, bias=False)
        _initialised(module, seed)
        before = module.weight.detach().clone()
        train(module, torch.as_tensor(x), y, steps=100, rate=0.03, device=device)
        w0, w = ((t[1] - t[0]).detach().numpy() for t in (before, module.weight))
        fitted.append((dyadic(x.T, 4), dyadic(w0, 6), dyadic(w, 6)))

    def instances(claim: Claim, rng: np.random.Generator) -> Iterator[Any]:
        for turn in itertools.count():
            x, w0, w = fitted[(0, 0, 1, 2)[turn % 4]]
            n = int(rng.integers(2, 9))
            x = rational_norms(x[:, rng.choice(x.shape[1], n, replace=False)])
            s = int(rng.integers(1, 5))
            if claim.setting is Transfer:
                drawn = draw(claim, StackChooser(rng, None))
                yield Transfer(s, x, w0, w, drawn.mix, drawn.constant)
            else:
                yield Sketch(s, x, w, _law(rng, x, w) if claim.draws.get("q", True) else None)

    return GivenInstances(name, (Sketch, Transfer), instances)


def _law(rng: np.random.Generator, x: Array, w: Array) -> Array:
    """Uniform, by magnitude, or near the optimum |w_i| |X_i| (rounded, so that it is rational)."""
    magnitude = np.array([abs(v) for v in w], dtype=object)
    kind = int(rng.integers(3))
    if kind == 0 or not any(magnitude):
        return exact(np.ones(len(w)))
    if kind == 1:
        return magnitude
    norms = np.sqrt((floats(x) ** 2).sum(axis=1))
    return dyadic(floats(magnitude) * norms + 2.0**-8, 8)


def tiny_relu(data: datasets.Dataset, name: str, seed: int, device: str = "cpu") -> GivenInstances:
    """A trained 4-3-2 ReLU network with every weight and input a multiple of 1/64 and 1/16."""
    x = _standardised(averaged(data.x, 2))
    y = torch.as_tensor((data.y >= data.classes // 2).astype(np.int64))
    module = nn.Sequential(nn.Linear(4, 3, bias=False), nn.ReLU(), nn.Linear(3, 2, bias=False))
    _initialised(module, seed)
    train(module, torch.as_tensor(x), y, steps=100, rate=0.03, device=device)
    network = mlp([4, 3, 2])
    theta = np.concatenate([dyadic(p.detach().numpy(), 6).ravel() for p in module.parameters()])
    points = dyadic(x, 4)

    def instances(claim: Claim, rng: np.random.Generator) -> Iterator[Any]:
        known = {f.name for f in fields(claim.setting)}
        for turn in itertools.count():
            weights = theta
            if turn:
                keep = rng.random(len(theta)) < rng.choice([1.0, 0.8, 0.5])
                weights = theta * exact(keep.astype(float))
            chosen = points[rng.choice(len(points), int(rng.integers(1, 5)), replace=False)]
            new = {"network": network, "theta": weights, "x": chosen}
            new = {k: v for k, v in new.items() if k in known}
            if claim.setting is PruningRun:
                # Scorer, schedule and rule are what the claim is about: they are drawn as for any of its runs.
                drawn = draw(claim, StackChooser(rng, None))
                yield drawn.with_(**new, keep=int(rng.integers(1, network.parameters)))
            else:
                yield claim.setting(**new)

    return GivenInstances(name, NETWORK_SETTINGS, instances)


@dataclass(frozen=True)
class GivenInstances:
    """A trained model as exact instances: different samples, numbers of draws and masks of it.

    Attributes:
        name: how outcomes call it.
        settings: the settings whose claims it can be asked about.
        instances: ``instances(claim, rng)`` yields exact instances without end.
    """

    name: str
    settings: tuple[type, ...]
    instances: Callable[[Claim, np.random.Generator], Iterator[Any]]

    def falsify(
        self, claim: Claim, *, drop: tuple[str, ...] = (), examples: int = 1000, seconds: float | None = None,
        seed: int = 0,
    ) -> Outcome:  # fmt: skip
        """Decide the claim on instances of the model; see `verify.search.loop.falsify`."""
        if claim.setting not in self.settings:
            known = " or ".join(f"a {s.title}" for s in self.settings)  # type: ignore[attr-defined]
            reason = f"it is about a {claim.setting.title}; this model is {known}"
            return Outcome(claim.id, verdict="not applicable", reasons=[reason], seed=seed, on=self.name)
        search = Search(claim, drop, examples, seconds, seed)
        out = search.outcome
        out.on = self.name
        instances = self.instances(claim, np.random.default_rng([seed, 21]))
        seen = look_through(search, instances, min(examples, MOST), lambda e: "too many" in str(e))
        out.stages["model"] = f"{out.examples} instances of the trained model"
        if not out.examples and seen.tried:
            out.verdict = "not applicable"
            out.reasons += [f"{name}: {claim.assumption(name).sentence}" for name in seen.broken]
            out.reasons += ["too large to enumerate"] if seen.left_out else []
            return out
        search.finish()
        if search.found is not None:
            out.reasons.append("shrunk from an instance of the trained model")
        if too_large := sum(seen.left_out.values()):
            out.reasons.append(f"{too_large} instances were too large to enumerate")
        return out


__all__ = ["MODELS", "GivenInstances", "averaged", "cnn", "dyadic", "linear", "rational_norms", "relu", "subject",
           "tiny_relu", "train", "trained_settings"]  # fmt: skip
