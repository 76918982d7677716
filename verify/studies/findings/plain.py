"""ResNet-20 and VGG-16-BN on plain arrays, in float32, float64 and x87 extended precision.

The third way in which a finding is verified: a second implementation of the path quantities of the two
networks, sharing no code with `verify.networks` (only the initial weights come from there), with a backward
pass by hand and no torch, so that it runs in any floating-point type of numpy. One image at a time.

Only the weights of convolutions and linear layers are parameters here. Biases are 0 and normalisations are
a division by sqrt(1 + eps), as at initialisation, so neither adds a path of nonzero value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray
EPS = 1e-5
"""The constant in the normalisations."""


class Value:
    """An array (c, h, w) or (c,) on the tape; what it stands for is ``array * 2**power``."""

    def __init__(self, array: Array, power: int = 0) -> None:
        self.array, self.power = array, power
        self.adjoint: Array | None = None

    def give(self, g: Array) -> None:
        """Add to the adjoint."""
        self.adjoint = g if self.adjoint is None else self.adjoint + g


class Tape:
    """Operations on `Value`s that can be run backwards.

    Attributes:
        weights: by name.
        mode: "network"; "activation" (no normalisation factor, gates and argmaxes copied from ``gates``);
            "kernel" (no ReLUs, normalisation factors squared, windows of a maximum summed), or
            "same-architecture" (as "kernel", but a maximum stays a maximum).
        gates: what a run in mode "network" recorded, in order.
        scaled: divide by powers of two on the way, so that nothing leaves the range.
    """

    def __init__(
        self, weights: Mapping[str, Array], mode: str, gates: Sequence[Array] = (), *, scaled: bool = True
    ) -> None:
        self.weights, self.mode, self.scaled = dict(weights), mode, scaled
        self.gates: list[Array] = list(gates) if mode == "activation" else []
        self._next = iter(list(gates))
        self.gradients: dict[str, Array] = {}
        self._steps: list[tuple[Value, Callable[[Array], None]]] = []

    def _done(self, array: Array, power: int, pull: Callable[[Array], None]) -> Value:
        out = Value(array, power)
        self._steps.append((out, pull))
        return out

    def _rescaled(self, a: Value) -> Value:
        largest = float(np.abs(a.array).max())
        if not self.scaled or not 0 < largest < np.inf:
            return a
        power = int(np.floor(np.log2(largest)))
        factor = a.array.dtype.type(2.0) ** -power
        return self._done(a.array * factor, a.power + power, lambda g: a.give(g * factor))

    def convolution(self, a: Value, name: str, stride: int, padding: int) -> Value:
        """(c, h, w) -> (o, h', w')."""
        w, x = self.weights[name], a.array
        o, c, k, _ = w.shape
        padded = np.zeros((c, x.shape[1] + 2 * padding, x.shape[2] + 2 * padding), dtype=x.dtype)
        inside = (slice(None), slice(padding, padding + x.shape[1]), slice(padding, padding + x.shape[2]))
        padded[inside] = x
        height, width = ((s - k) // stride + 1 for s in padded.shape[1:])
        rows = [slice(i, i + stride * (height - 1) + 1, stride) for i in range(k)]
        columns_of = [slice(j, j + stride * (width - 1) + 1, stride) for j in range(k)]
        windows = [(slice(None), r, q) for r in rows for q in columns_of]
        columns = np.stack([padded[s] for s in windows], axis=1).reshape(c * k * k, height * width)
        matrix = w.reshape(o, -1)

        def pull(g: Array) -> None:
            flat = g.reshape(o, -1)
            self.gradients[name] = (flat @ columns.T).reshape(w.shape)
            back = (matrix.T @ flat).reshape(c, k * k, height, width)
            spread = np.zeros(padded.shape, dtype=x.dtype)
            for i, s in enumerate(windows):
                spread[s] += back[:, i]
            a.give(spread[inside])

        return self._rescaled(self._done((matrix @ columns).reshape(o, height, width), a.power, pull))

    def normalisation(self, a: Value) -> Value:
        """Stored statistics (mean 0, variance 1), weight 1, bias 0."""
        one = a.array.dtype.type(1)
        factor = one / np.sqrt(one + a.array.dtype.type(EPS))
        if self.mode == "activation":
            return a
        if self.mode != "network":
            factor = factor * factor
        return self._done(a.array * factor, a.power, lambda g: a.give(g * factor))

    def relu(self, a: Value) -> Value:
        """Recorded in mode "network", copied in mode "activation", none in the others."""
        if self.mode in ("kernel", "same-architecture"):
            return a
        gate = next(self._next) if self.mode == "activation" else (a.array > 0).astype(a.array.dtype)
        if self.mode == "network":
            self.gates.append(gate)
        return self._done(a.array * gate, a.power, lambda g: a.give(g * gate))

    def maximum(self, a: Value) -> Value:
        """2 x 2 max pooling: its argmax recorded, copied, or the window summed, by mode."""
        c, h, w = a.array.shape
        cut = a.array.reshape(c, h // 2, 2, w // 2, 2).transpose(0, 1, 3, 2, 4).reshape(c, h // 2, w // 2, 4)
        if self.mode == "kernel":
            chosen = np.ones(cut.shape, dtype=cut.dtype)
        elif self.mode == "activation":
            chosen = next(self._next)
        else:
            chosen = np.zeros(cut.shape, dtype=cut.dtype)
            np.put_along_axis(chosen, cut.argmax(-1)[..., None], 1, -1)
            if self.mode == "network":
                self.gates.append(chosen)

        def pull(g: Array) -> None:
            back = (chosen * g[..., None]).reshape(c, h // 2, w // 2, 2, 2)
            a.give(back.transpose(0, 1, 3, 2, 4).reshape(c, h, w))

        return self._done((cut * chosen).sum(-1), a.power, pull)

    def add(self, a: Value, b: Value) -> Value:
        """Sum of two values, brought to one power of two."""
        power = max(a.power, b.power)
        two = a.array.dtype.type(2.0)
        left, right = two ** (a.power - power), two ** (b.power - power)

        def pull(g: Array) -> None:
            a.give(g * left)
            b.give(g * right)

        return self._done(a.array * left + b.array * right, power, pull)

    def mean(self, a: Value) -> Value:
        """Average over positions: (c, h, w) -> (c,); an edge factor 1/n on every path."""
        n = a.array.dtype.type(a.array[0].size)
        factor = {"network": 1 / n, "activation": n / n}.get(self.mode, 1 / (n * n))
        zero = np.zeros_like(a.array)
        return self._done(a.array.sum((1, 2)) * factor, a.power, lambda g: a.give(zero + (g * factor)[:, None, None]))

    def linear(self, a: Value, name: str) -> Value:
        """(c,) -> (k,)."""
        w = self.weights[name]

        def pull(g: Array) -> None:
            self.gradients[name] = np.outer(g, a.array)
            a.give(w.T @ g)

        return self._done(w @ a.array, a.power, pull)

    def backward(self, direction: Array) -> dict[str, Array]:
        """Gradients of ``direction``' (the last value's array) by every weight used."""
        self.gradients = {}
        for value, _ in self._steps:
            value.adjoint = None
        self._steps[-1][0].give(direction)
        for out, pull in reversed(self._steps):
            if out.adjoint is not None:
                pull(out.adjoint)
        return self.gradients


def resnet20(tape: Tape, image: Array) -> Value:
    """The zoo's ResNet-20 (projection shortcuts): (3, 32, 32) -> (10,)."""
    h = tape.relu(tape.normalisation(tape.convolution(Value(image), "conv.weight", 1, 1)))
    for i in range(9):
        stride = 2 if i in (3, 6) else 1
        a = tape.relu(tape.normalisation(tape.convolution(h, f"blocks.{i}.conv1.weight", stride, 1)))
        a = tape.normalisation(tape.convolution(a, f"blocks.{i}.conv2.weight", 1, 1))
        skip = h
        if stride == 2:
            skip = tape.normalisation(tape.convolution(h, f"blocks.{i}.shortcut.0.weight", 2, 0))
        h = tape.relu(tape.add(a, skip))
    return tape.linear(tape.mean(h), "fc.weight")


def vgg16_bn(tape: Tape, image: Array) -> Value:
    """The zoo's VGG-16-BN (four max pools, then an average): (3, 32, 32) -> (10,)."""
    names = sorted((n for n in tape.weights if n.endswith("conv.weight")), key=lambda n: int(re.findall(r"\d+", n)[0]))
    h = Value(image)
    for i, name in enumerate(names):
        h = tape.relu(tape.normalisation(tape.convolution(h, name, 1, 1)))
        if i in (1, 3, 6, 9):
            h = tape.maximum(h)
    (head,) = (n for n in tape.weights if not n.endswith("conv.weight"))
    return tape.linear(tape.mean(h), head)


NETWORKS: dict[str, Callable[[Tape, Array], Value]] = {"resnet20": resnet20, "vgg16_bn": vgg16_bn}


def weights_of(network: str, seed: int, dtype: Any) -> dict[str, Array]:
    """The zoo's initial convolution and linear weights, as numpy arrays."""
    from verify.networks import zoo

    named = zoo.build(network, seed=seed).double().named_parameters()
    return {n: p.detach().numpy().astype(dtype) for n, p in named if p.ndim > 1}


def images(count: int, seed: int, dtype: Any) -> Array:
    """Gaussian images (count, 3, 32, 32), the same in every precision."""
    return np.random.default_rng([seed, 32]).standard_normal((count, 3, 32, 32)).astype(np.float32).astype(dtype)


def forwards(
    network: str, weights: Mapping[str, Array], masks: Mapping[str, Array], image: Array
) -> tuple[Array, Array]:
    """Outputs and activation D_k of one image, each up to a power of two, shape (k,); masked weights are no edges."""
    first = Tape(weights, "network")
    outputs = NETWORKS[network](first, image).array
    ones = {n: masks[n].astype(w.dtype) for n, w in weights.items()}
    return outputs, NETWORKS[network](Tape(ones, "activation", first.gates), image * image).array


def trace_of(network: str, weights: Mapping[str, Array], masks: Mapping[str, Array], image: Array) -> float:
    """log10 of the NTK's trace of one image over the weights that are not masked."""
    tape = Tape(weights, "network")
    out = NETWORKS[network](tape, image)
    total = np.zeros((), dtype=np.longdouble)
    for k in range(len(out.array)):
        g = tape.backward(np.eye(len(out.array), dtype=out.array.dtype)[k])
        total = total + sum((np.where(masks[n], v, 0).astype(np.longdouble) ** 2).sum() for n, v in g.items())
    return _log10(np.asarray(total), 2 * out.power)


def kernel_of(network: str, weights: Mapping[str, Array]) -> Array:
    """R_k up to a power of two, shape (k,)."""
    squares = {n: w * w for n, w in weights.items()}
    dtype = next(iter(squares.values())).dtype
    return NETWORKS[network](Tape(squares, "kernel"), np.ones((3, 32, 32), dtype=dtype)).array


def _log10(array: Array, power: int) -> float:
    total = float(np.log10(array.astype(np.longdouble).sum())) if array.sum() > 0 else -np.inf
    return total + power * float(np.log10(2.0))


class Quantities:
    """Activation, kernel, scores and trace of a network with given weights on one image.

    Attributes:
        activation: D_k up to a common factor (k,), with its power of two.
        scores: PX score of every weight up to a common factor, flat.
        l2: SynFlow-L2 score up to a common factor, flat.
    """

    def __init__(
        self, network: str, weights: Mapping[str, Array], image: Array, *, trace: bool = True, scaled: bool = True
    ) -> None:
        build = NETWORKS[network]
        first = Tape(weights, "network", scaled=scaled)
        self.outputs = build(first, image)
        ones = {n: np.ones_like(w) for n, w in weights.items()}  # a weight of 0 is still an edge
        second = Tape(ones, "activation", first.gates, scaled=scaled)
        self.activation = build(second, image * image)
        squares = {n: w * w for n, w in weights.items()}
        self._one = np.ones_like(image)
        self.kernel_tape = Tape(squares, "kernel", scaled=scaled)
        self.kernel = build(self.kernel_tape, self._one)
        self.scores = self._gradient(self.activation.array, squares)
        self.l2 = self._gradient(np.ones_like(self.activation.array), squares)
        power = self.activation.power + self.kernel.power
        self.log10_objective = _log10(self.activation.array * self.kernel.array, power)
        self.log10_per_output = _log10(self._bound(self.activation.array), power)
        total = np.full_like(self.activation.array, self.activation.array.sum())
        self.log10_product = _log10(self._bound(total), power)
        self.log10_trace = self._trace(first) if trace else float("nan")
        self.weights = weights

    def _gradient(self, direction: Array, squares: Mapping[str, Array]) -> Array:
        g = self.kernel_tape.backward(direction)
        return np.concatenate([(squares[n] * g[n]).ravel() for n in squares])

    def _bound(self, direction: Array) -> Array:
        return np.array(sum(g.sum() for g in self.kernel_tape.backward(direction).values()))

    def _trace(self, tape: Tape) -> float:
        total = np.zeros((), dtype=np.longdouble)
        for k in range(len(self.outputs.array)):
            direction = np.zeros_like(self.outputs.array)
            direction[k] = 1
            for g in tape.backward(direction).values():
                total = total + (g.astype(np.longdouble) ** 2).sum()
        return _log10(np.array(total), 2 * self.outputs.power)
