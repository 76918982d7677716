"""The released PX score on a network with batch normalisation, recomputed at every precision without torch.

Claim `path-exclusion/released-score-with-batch-norm`: the second auxiliary network of the released code
(weights squared, no ReLUs, normalisations in training mode, a batch of identical inputs) ends, on
ResNet-20, in normalised channels whose mean over positions is 0 in exact arithmetic; the pooled head sees
nothing but its bias, every derivative by a weight before the head vanishes, and what ranks the weights is
rounding. If that is so, scores must shrink with the rounding unit at any precision, and intervals that
enclose them must contain 0 however narrow.

Here the second network is written a second time, on plain arrays with a backward pass by hand, so that it
runs in float32, float64, x87 extended precision (longdouble) and in balls (`flint.arb`) of any precision.
It shares no code with `verify.networks.scores.methods.released`; only the weights come from the zoo.

    python -m verify.studies.released_px      # writes results/released_px_batchnorm.csv
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import flint
import numpy as np
import torch

from verify import trials
from verify.networks import zoo
from verify.trials.origin import commit
from verify.trials.statistics import rank_correlation

Array = np.ndarray
Pull = Callable[[Array], None]


class Tape:
    """A forward pass on one image that can be run backwards.

    Attributes:
        weights: squared weights by name.
        gradients: what `backward` leaves, by name.
        eps: the constant in the normalisations, in the arithmetic in use.
        root: the square root in the arithmetic in use.
        statistics: whether normalisations use the statistics of their batch (as released); else the
            initial stored ones, mean 0 and variance 1.
    """

    def __init__(
        self, weights: Mapping[str, Array], eps: Any, root: Callable[[Array], Array], statistics: bool
    ) -> None:
        self.weights, self.eps, self.root, self.statistics = weights, eps, root, statistics
        self.gradients: dict[str, Array] = {}
        self.adjoints: dict[int, Array] = {}
        self.steps: list[tuple[Array, Pull]] = []

    def _done(self, out: Array, pull: Pull) -> Array:
        self.steps.append((out, pull))
        return out

    def _give(self, a: Array, g: Array) -> None:
        self.adjoints[id(a)] = self.adjoints[id(a)] + g if id(a) in self.adjoints else g

    def convolution(self, a: Array, name: str, stride: int, padding: int) -> Array:
        """(c, h, w) -> (o, h', w') with the weights ``name``."""
        w = self.weights[name]
        o, c, k, _ = w.shape
        zero = a.ravel()[0] * 0
        padded = np.full((c, a.shape[1] + 2 * padding, a.shape[2] + 2 * padding), zero, dtype=a.dtype)
        inner = (slice(None), slice(padding, padding + a.shape[1]), slice(padding, padding + a.shape[2]))
        padded[inner] = a
        height, width = ((s - k) // stride + 1 for s in padded.shape[1:])
        windows = [
            (
                slice(None),
                slice(i, i + stride * (height - 1) + 1, stride),
                slice(j, j + stride * (width - 1) + 1, stride),
            )
            for i in range(k)
            for j in range(k)
        ]
        columns = np.stack([padded[s] for s in windows], axis=1).reshape(c * k * k, height * width)
        out = (w.reshape(o, -1) @ columns).reshape(o, height, width)

        def pull(g: Array) -> None:
            flat = g.reshape(o, -1)
            self.gradients[name] = (flat @ columns.T).reshape(w.shape)
            back = (w.reshape(o, -1).T @ flat).reshape(c, k * k, height, width)
            spread = np.full(padded.shape, zero, dtype=a.dtype)
            for i, s in enumerate(windows):
                spread[s] = spread[s] + back[:, i]
            self._give(a, spread[inner])

        return self._done(out, pull)

    def normalisation(self, a: Array) -> Array:
        """Each channel minus its mean, over its standard deviation (weight 1, bias 0: as initialised)."""
        n = a.shape[1] * a.shape[2]
        if not self.statistics:
            factor = 1 / self.root(np.full((1, 1, 1), self.eps + 1, dtype=a.dtype))
            return self._done(a * factor, lambda g: self._give(a, g * factor))
        # A batch of identical images has the statistics of one of them.
        mean = a.sum(axis=(1, 2), keepdims=True) / n
        centred = a - mean
        variance = (centred * centred).sum(axis=(1, 2), keepdims=True) / n
        factor = 1 / self.root(variance + self.eps)
        out = centred * factor

        def pull(g: Array) -> None:
            along = (g * out).sum(axis=(1, 2), keepdims=True) / n
            level = g.sum(axis=(1, 2), keepdims=True) / n
            self._give(a, factor * (g - level - out * along))

        return self._done(out, pull)

    def add(self, a: Array, b: Array) -> Array:
        """Sum of two values."""

        def pull(g: Array) -> None:
            self._give(a, g)
            self._give(b, g)

        return self._done(a + b, pull)

    def pooled_head(self, a: Array, direction: Array) -> Array:
        """sum_k direction_k (fc of the channel means)_k, without the bias of fc."""
        n = a.shape[1] * a.shape[2]
        fc = self.weights["fc.weight"]
        pooled = a.sum(axis=(1, 2)) / n
        out = np.array((direction @ (fc @ pooled)), dtype=a.dtype).reshape(())

        def pull(g: Array) -> None:
            spread = (direction @ fc).reshape(-1, 1, 1) * g / n
            self._give(a, spread + a * 0)

        return self._done(out, pull)

    def backward(self, one: Any) -> None:
        """Fill ``gradients`` with the derivatives of the last value."""
        self.adjoints[id(self.steps[-1][0])] = np.array(one, dtype=self.steps[-1][0].dtype)
        for out, pull in reversed(self.steps):
            if id(out) in self.adjoints:
                pull(self.adjoints.pop(id(out)))


def cifar_resnet(tape: Tape, image: Array, direction: Array, blocks: int = 9) -> Array:
    """The zoo's CIFAR ResNet without ReLUs: direction' (output - bias)."""
    h = tape.normalisation(tape.convolution(image, "conv.weight", 1, 1))
    for i in range(blocks):
        stride = 2 if i in (blocks // 3, 2 * blocks // 3) else 1
        a = tape.normalisation(tape.convolution(h, f"blocks.{i}.conv1.weight", stride, 1))
        a = tape.normalisation(tape.convolution(a, f"blocks.{i}.conv2.weight", 1, 1))
        skip = h
        if stride == 2:
            skip = tape.normalisation(tape.convolution(h, f"blocks.{i}.shortcut.0.weight", 2, 0))
        h = tape.add(a, skip)
    return tape.pooled_head(h, direction)


def _arithmetic(kind: str) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """(conversion of float64 arrays, square root) for "float32", "float64", "longdouble" or "balls"."""
    if kind == "balls":
        convert = np.vectorize(lambda v: flint.arb(float(v)), otypes=[object])
        return convert, np.vectorize(lambda v: v.sqrt(), otypes=[object])
    dtype = np.dtype(kind)
    return lambda a: np.asarray(a).astype(dtype), np.sqrt


def score(module: torch.nn.Module, size: int, kind: str, *, bits: int = 53, statistics: bool = True) -> dict[str, Any]:
    """The released score of the weights before the head, and the head's input, in one arithmetic.

    Args:
        module: a CIFAR ResNet of the zoo.
        size: side of the image of ones.
        kind: "float32", "float64", "longdouble" or "balls".
        bits: precision of balls.
        statistics: as released (True), or with the stored statistics.

    Returns:
        ``scores`` (flat array; of balls), ``output`` (the scalar direction' (output - bias)).
    """
    before, flint.ctx.prec = flint.ctx.prec, bits
    try:
        convert, root = _arithmetic(kind)
        state = {n: p.detach().double().numpy() for n, p in module.named_parameters()}
        # The released code leaves parameters named fc as they are.
        raw = {n: convert(w) for n, w in state.items()}
        weights = {n: w if n.startswith("fc") else w * w for n, w in raw.items()}
        eps = flint.arb(1e-5) if kind == "balls" else np.dtype(kind).type(1e-5)
        tape = Tape(weights, eps, root, statistics)
        # The first network's outputs only weigh the K outputs; any fixed numbers show the same.
        direction = convert(np.linspace(0.5, 1.5, len(state["fc.weight"])))
        out = cifar_resnet(
            tape, convert(np.ones((3, size, size))), direction, sum(n.endswith("conv1.weight") for n in state)
        )
        tape.backward(out * 0 + 1)
        names = [n for n in state if n in tape.gradients]
        found = [(abs(tape.gradients[n]) * weights[n]).ravel() for n in names]
        return {"scores": np.concatenate(found), "output": out.item(), "gradients": tape.gradients}
    finally:
        flint.ctx.prec = before


def _log10(v: Any) -> float:
    v = flint.arb(v) if isinstance(v, flint.arb) else flint.arb(float(v))
    top = abs(v).upper()
    return float((top.log() / flint.arb(10).log()).mid()) if top > 0 else -np.inf


def _ranks(a: Array, b: Array) -> float:
    return round(float(rank_correlation(a, b)), 4)


def row(width: int, size: int, kind: str, bits: int, statistics: bool, seed: int = 0) -> tuple[dict[str, Any], Array]:
    """One row of the table, and the scores as float64 midpoints."""
    module = zoo.build("resnet20", width=width, seed=seed)
    found = score(module, size, kind, bits=bits, statistics=statistics)
    s = found["scores"]
    balls = kind == "balls"
    zero = sum(bool(v.contains(0)) for v in s) if balls else int((s == 0).sum())
    upper = max(float(_log10(v)) for v in s) if balls else _log10(s.max())
    numbers = np.array([float(v.mid()) for v in s]) if balls else s.astype(float)
    return {
        "network": f"resnet20 width {width}",
        "image": f"{size} x {size} ones",
        "statistics": "batch (as released)" if statistics else "stored",
        "arithmetic": kind,
        "bits": bits,
        "weights": len(s),
        "zero or enclosing zero": zero,
        "log10 |output - bias|": round(_log10(found["output"]), 2),
        "log10 largest score": round(upper, 2),
        "seed": seed,
    }, numbers


def torch_rows(seed: int = 0) -> list[dict[str, Any]]:
    """The released score by torch on CIFAR-10 images: what the first round would prune, by precision."""
    from verify.networks.scores.methods import saliency
    from verify.networks.scores.released import released
    from verify.studies.collapse import cifar10_images

    rows = []
    for network in ("resnet20", "vgg16_bn"):
        module = zoo.build(network, seed=seed)
        double = copy.deepcopy(module).double()
        x, _ = cifar10_images(17)

        def flat(found: Mapping[str, torch.Tensor]) -> Array:
            kept = [v.flatten().double() for n, v in found.items() if v.ndim > 1 and not n.startswith("fc")]
            return torch.cat(kept).numpy()

        by_name = {
            "float32": flat(released(module, x[:16])),
            "float32, one more image": flat(released(module, x)),
            "float64": flat(released(double, x[:16].double())),
            "float64, stored statistics": flat(released(double, x[:16].double(), training=False)),
            "formula, float64": flat(saliency(double, "px", x[:16].double())),
            "theta^2": flat({n: p.detach() ** 2 for n, p in double.named_parameters()}),
        }
        compared = ("float64", "formula, float64", "theta^2")
        for name, s in by_name.items():
            rows.append(
                {
                    "network": network,
                    "scores": name,
                    "weights": len(s),
                    "log10 sum": round(float(np.log10(s.sum())), 2),
                    "exact zeros": int((s == 0).sum()),
                }
                | {f"rank correlation with {other}": _ranks(s, by_name[other]) for other in compared}
                | {"seed": seed}
            )
    return rows


def table(seed: int = 0) -> list[dict[str, Any]]:
    """All precisions, on ResNet-20 and on a narrow one where balls are affordable."""
    rows = []
    settings = [(16, 32, k, b) for k, b in (("float32", 24), ("float64", 53), ("longdouble", 64))]
    settings += [(2, 8, k, b) for k, b in (("float32", 24), ("float64", 53), ("longdouble", 64))]
    settings += [(2, 8, "balls", b) for b in (256, 512, 1024)]
    for statistics in (True, False):
        reference: dict[int, Array] = {}
        for width, size, kind, bits in settings:
            found, numbers = row(width, size, kind, bits, statistics, seed)
            rows.append(found)
            if kind == "float64":
                reference[width] = numbers
            found["rank correlation with float64"] = (
                _ranks(numbers, reference[width]) if width in reference and kind != "balls" else ""
            )
    return rows


def main(results: Path = Path("results")) -> None:
    """Write the two tables."""
    torch.set_num_threads(1)
    provenance = {
        "what": "released PX score (iurada/px-ntk-pruning at commit ed6c40ea) with batch normalisation",
        "commit": commit(),
        "versions": {"torch": torch.__version__, "numpy": np.__version__, "flint": flint.__version__},
        "device": "cpu",
    }
    trials.write_csv(table(), results / "released_px_batchnorm.csv", provenance=provenance)
    trials.write_csv(torch_rows(), results / "released_px_batchnorm_torch.csv", provenance=provenance)


if __name__ == "__main__":
    main()


__all__ = ["Tape", "cifar_resnet", "score", "table", "torch_rows"]
