"""Path scores in extended precision, on plain numpy arrays with a backward pass by hand.

Torch has nothing wider than float64. Here sum_{p -> k} |v_p|^q and its derivative by each |theta_j|^q are
computed from a module's record in any numpy type, x87 extended precision (64 bits, exponents up to 16383)
among them. Only the record of the operations is shared with `verify.networks.scores.methods`, which this checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from verify.networks.recording.graph import (
    ADD,
    AVERAGE,
    CONVOLUTION,
    GATE,
    LINEAR,
    MAXIMUM,
    NORMALISATION,
    SCALE,
    SHAPE,
    Graph,
    NotCovered,
    Operation,
    Ref,
)

Array = np.ndarray
Pull = Callable[[Array], list[tuple[Ref, Array]]]

_FLAT = ("flatten", "view", "reshape", "dropout", "contiguous", "clone")


class PathSums:
    """The network with weights |theta|^q, input 1 and every gate open, for one sample, forwards and backwards.

    Args:
        graph: the record of a module.
        tensors: its tensors by name.
        power: the q.
        dtype: numpy type of all numbers.
        biases: whether paths from biases and shifts count.
    """

    def __init__(
        self, graph: Graph, tensors: Mapping[str, Tensor], power: int, dtype: Any, biases: bool = True
    ) -> None:
        self.graph, self.power, self.dtype, self.biases = graph, power, np.dtype(dtype), biases
        # Powers are taken in the wider type: squaring is part of what is compared.
        self.numbers = {n: t.detach().numpy().astype(self.dtype) for n, t in tensors.items() if t.is_floating_point()}
        self.weights = {n: np.abs(self.numbers[n]) ** power for n in graph.parameters}
        self.gradients: dict[str, Array] = {n: np.zeros_like(w) for n, w in self.weights.items()}

    def outputs(self) -> Array:
        """R_k, shape (K,)."""
        return self._forward()[0]

    def scores(self, names: list[str], directions: Array) -> tuple[dict[str, Array], Any]:
        """|theta_j|^q times the derivative of sum_k ``directions``_k R_k, by name; and that sum."""
        out, pulls = self._forward()
        directions = np.asarray(directions, dtype=self.dtype)
        adjoint: dict[Ref, Array] = {self.graph.output: directions.reshape(self.graph.output_shape)}
        for i in reversed(range(len(pulls))):
            g = adjoint.pop(Ref(i), None)
            for r, back in pulls[i](g) if g is not None else []:
                adjoint[r] = adjoint[r] + back if r in adjoint else back
        return {n: self.weights[n] * self.gradients[n] for n in names}, (out * directions).sum()

    def _forward(self) -> tuple[Array, list[Pull]]:
        values: dict[Ref, Array] = {Ref(-1): np.ones(self.graph.input_shape, dtype=self.dtype)}
        pulls = []
        for i, op in enumerate(self.graph.operations):
            values[Ref(i)], pull = self._step(op, values)
            pulls.append(pull)
        return values[self.graph.output].reshape(-1), pulls

    def _step(self, op: Operation, values: Mapping[Ref, Array]) -> tuple[Array, Pull]:
        s, first = op.settings, op.inputs[0]
        a = values[first]
        if op.kind == LINEAR and a.ndim == 1:
            return self._linear(op, a)
        if op.kind == CONVOLUTION and a.ndim == 3 and s["groups"] == 1:
            return self._convolution(op, a)
        if op.kind == NORMALISATION:
            return self._normalisation(op, a)
        if op.kind == GATE:
            return a, lambda g: [(first, g)]
        if op.kind == MAXIMUM and a.ndim == 3:
            return _window_sums(op, a)
        if op.kind == AVERAGE and a.ndim == 3 and np.prod(op.shape[1:]) == len(a):
            # Everything but the channels is averaged away.
            share = self.dtype.type(1) / self.dtype.type(a[0].size) ** self.power
            pooled = a.sum(axis=(1, 2)) * share
            spread = np.ones_like(a) * share
            return pooled.reshape(op.shape[1:]), lambda g: [(first, g.reshape(-1, 1, 1) * spread)]
        if op.kind == SHAPE and op.name.rstrip("_") in _FLAT:
            return a.reshape(op.shape[1:]), lambda g: [(first, g.reshape(a.shape))]
        if op.kind == ADD and len(s["terms"]) == 2:
            one, other = s["terms"]
            return values[one] + values[other], lambda g: [(one, g), (other, g)]
        if op.kind == SCALE:
            factor = abs(self.dtype.type(s["factor"])) ** self.power
            return a * factor, lambda g: [(first, g * factor)]
        raise NotCovered(op.where, op.name, "is not covered in extended precision")

    def _bias(self, name: str | None) -> Any:
        return self.weights[name] if name is not None and self.biases else None

    def _linear(self, op: Operation, a: Array) -> tuple[Array, Pull]:
        w, bias = self.weights[op.settings["weight"]], self._bias(op.settings["bias"])

        def pull(g: Array) -> list[tuple[Ref, Array]]:
            self.gradients[op.settings["weight"]] += g[:, None] * a
            if bias is not None:
                self.gradients[op.settings["bias"]] += g
            return [(op.inputs[0], w.T @ g)]

        return w @ a + (0 if bias is None else bias), pull

    def _convolution(self, op: Operation, a: Array) -> tuple[Array, Pull]:
        s = op.settings
        w, bias = self.weights[s["weight"]], self._bias(s["bias"])
        padded, windows, inner = _windows(op, a, w.shape[2:])
        columns = np.stack([padded[v] for v in windows], axis=1).reshape(w[0].size, -1)
        out = (w.reshape(len(w), -1) @ columns).reshape(op.shape[1:])

        def pull(g: Array) -> list[tuple[Ref, Array]]:
            flat = g.reshape(len(w), -1)
            self.gradients[s["weight"]] += (flat @ columns.T).reshape(w.shape)
            if bias is not None:
                self.gradients[s["bias"]] += flat.sum(axis=1)
            back = (w.reshape(len(w), -1).T @ flat).reshape(a.shape[0], len(windows), *op.shape[2:])
            return [(op.inputs[0], _spread(padded, windows, inner, [back[:, i] for i in range(len(windows))]))]

        return out + (0 if bias is None else bias[:, None, None]), pull

    def _normalisation(self, op: Operation, a: Array) -> tuple[Array, Pull]:
        s, shape = op.settings, (-1, *[1] * (a.ndim - 1))
        axes = tuple(range(1, a.ndim))
        constant = (1 / np.sqrt(self.numbers[s["variance"]] + self.dtype.type(s["eps"]))) ** self.power
        scale = self.weights[s["weight"]] if s["weight"] is not None else np.ones_like(constant)
        mean = np.abs(self.numbers[s["mean"]]) ** self.power * int(self.biases)
        entering = (a + mean.reshape(shape)) * constant.reshape(shape)
        bias = self._bias(s["bias"])

        def pull(g: Array) -> list[tuple[Ref, Array]]:
            if s["weight"] is not None:
                self.gradients[s["weight"]] += (g * entering).sum(axis=axes)
            if bias is not None:
                self.gradients[s["bias"]] += g.sum(axis=axes)
            return [(op.inputs[0], g * (scale * constant).reshape(shape))]

        return entering * scale.reshape(shape) + (0 if bias is None else bias.reshape(shape)), pull


def _windows(op: Operation, a: Array, kernel: tuple[int, ...]) -> tuple[Array, list[Any], Any]:
    """The input padded with 0, the slices of it that meet each entry of the kernel, and where the input lies."""
    s, (c, height, width) = op.settings, a.shape
    (p, q), (stride, stride2), (d, d2) = s["padding"], s["stride"], s["dilation"]
    rows, columns = op.shape[2:]
    tall = max(height + 2 * p, (rows - 1) * stride + d * (kernel[0] - 1) + 1)
    wide = max(width + 2 * q, (columns - 1) * stride2 + d2 * (kernel[1] - 1) + 1)
    padded = np.zeros((c, tall, wide), dtype=a.dtype)
    inner = (slice(None), slice(p, p + height), slice(q, q + width))
    padded[inner] = a
    windows = [
        (
            slice(None),
            slice(i * d, i * d + stride * (rows - 1) + 1, stride),
            slice(j * d2, j * d2 + stride2 * (columns - 1) + 1, stride2),
        )
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]
    return padded, windows, inner


def _spread(padded: Array, windows: list[Any], inner: Any, pieces: list[Array]) -> Array:
    out = np.zeros_like(padded)
    for window, piece in zip(windows, pieces, strict=True):
        out[window] += piece
    return out[inner]


def _window_sums(op: Operation, a: Array) -> tuple[Array, Pull]:
    padded, windows, inner = _windows(op, a, op.settings["window"])
    out = np.sum([padded[v] for v in windows], axis=0)
    return out, lambda g: [(op.inputs[0], _spread(padded, windows, inner, [g] * len(windows)))]


__all__ = ["PathSums"]
