"""What the released PX code computes on a network with batch normalisation, in exact rationals.

From its description: the second auxiliary network has the convolutions' weights squared, batch
normalisation and the last layer (names with ``bn`` and ``fc``) as they are, activations removed,
normalisation in training mode, and a batch of identical all-ones inputs; the score of a parameter is
|derivative of sum_k D_k f^k| times theta^2. On networks without normalisation see
`theory.saliency.path_exclusion_released`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from theory.instances import Instance, array
from theory.scalars import ZERO, Array, absolute, gate, sqrt, total, zeros

KERNEL = 3
Dual = tuple[Array, Array]
"""Values (n, c, positions) and their derivatives by all parameters (n, c, positions, N)."""
Added = dict[tuple[int, int], Any]
"""What is added to the variance of each (block, channel)."""


@dataclass(frozen=True, eq=False)
class NormalisedNetwork(Instance):
    """A convolutional network with batch normalisation: stem, ``blocks`` residual blocks, head.

    Every convolution has kernel 3 and zero padding, and is followed by batch normalisation; a block is
    relu(normalised convolution + skip). The parameters in order: for each convolution its weights,
    scales and shifts, then the weights of the last layer, then its biases.

    Attributes:
        channels, blocks, outputs: sizes.
        training: batch statistics (else the running ones of initialisation: mean 0, variance 1).
        activations: whether ReLU stands where the architecture has it (the code removes it).
        pooled: average pooling over positions before the last layer (else it reads every position).
        theta: parameters, (N).
        x: the batch, (n, positions).
        d: D_k from the first auxiliary network, whatever it is, (K).
    """

    title: ClassVar[str] = "network with batch normalisation"
    stackable: ClassVar[bool] = False

    channels: int
    blocks: int
    outputs: int
    training: bool
    activations: bool
    pooled: bool
    theta: Array = array(1)
    x: Array = array(2)
    d: Array = array(1)

    def valid(self) -> Any:
        """Whether the arrays fit the sizes."""
        return (
            self.theta.shape == (self.parameters,)
            and self.x.ndim == 2
            and min(*self.x.shape, self.channels, self.outputs) > 0
            and self.d.shape == (self.outputs,)
        )

    @property
    def _features(self) -> int:
        return self.channels if self.pooled else self.channels * self.x.shape[-1]

    @cached_property
    def groups(self) -> dict[str, range]:
        """Indices of the parameters by name: conv0, scale0, shift0, conv1, ..., last, bias."""
        sizes: list[tuple[str, int]] = []
        for b in range(self.blocks + 1):
            arriving = 1 if b == 0 else self.channels
            sizes.append((f"conv{b}", self.channels * arriving * KERNEL))
            sizes += [(f"scale{b}", self.channels), (f"shift{b}", self.channels)]
        sizes += [("last", self.outputs * self._features), ("bias", self.outputs)]
        out, start = {}, 0
        for name, size in sizes:
            out[name] = range(start, start + size)
            start += size
        return out

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return self.groups["bias"].stop

    def _parameter(self, index: int, *, squared: bool = False) -> Dual:
        """A parameter (or its square, as a variable of its own) and its derivative, an axis vector."""
        value = self.theta[index] * self.theta[index] if squared else self.theta[index]
        axis = zeros((self.parameters,), self.theta)
        axis[index] = 1
        return value, axis

    def _convolved(self, h: Dual, name: str) -> Dual:
        values, slopes = h
        n, arriving, positions = values.shape
        out = zeros((n, self.channels, positions), self.theta)
        dout = zeros((n, self.channels, positions, self.parameters), self.theta)
        for number, index in enumerate(self.groups[name]):
            c, rest = divmod(number, arriving * KERNEL)
            source, k = divmod(rest, KERNEL)
            w, axis = self._parameter(index, squared=True)
            for p in range(positions):
                q = p + k - KERNEL // 2
                if 0 <= q < positions:
                    out[:, c, p] = out[:, c, p] + w * values[:, source, q]
                    dout[:, c, p] = dout[:, c, p] + w * slopes[:, source, q] + values[:, source, q][:, None] * axis
        return out, dout

    def _normalised(self, h: Dual, block: int, added: Added) -> Dual:
        values, slopes = h[0].copy(), h[1].copy()
        for c in range(self.channels):
            z, dz = h[0][:, c], h[1][:, c]
            count = z.shape[0] * z.shape[1]
            if self.training:
                mean, dmean = total(z) / count, total(dz, axis=(0, 1)) / count
                centred = z - mean
                variance = total(centred * centred) / count
                # Unless it is given, what is added to a variance v is 1 + v + v^2: the root is then the rational 1 + v.
                spread = sqrt(variance + added.setdefault((block, c), 1 + variance + variance * variance))
                dspread = total(centred[..., None] * dz, axis=(0, 1)) / count / spread
                z, dz = centred / spread, (dz - dmean - (centred / spread)[..., None] * dspread) / spread
            scale, dscale = self._parameter(self.groups[f"scale{block}"][c])
            shift, dshift = self._parameter(self.groups[f"shift{block}"][c])
            values[:, c] = scale * z + shift
            slopes[:, c] = scale * dz + z[..., None] * dscale + dshift
        return values, slopes

    def _activated(self, h: Dual) -> Dual:
        if not self.activations:
            return h
        on = gate(h[0], self.theta)
        return h[0] * on, h[1] * on[..., None]

    def evaluated(self, added: Added) -> tuple[Any, Array]:
        """G = sum_k D_k sum_n f^k(x_n), and its derivatives by the parameters (of convolutions: their squares), (N).

        Args:
            added: (block, channel) -> what is added to the variance there; what is missing is chosen and put in.
        """
        n, positions = self.x.shape
        x = self.x[:, None, :]
        h: Dual = (x, zeros((*x.shape, self.parameters), self.theta))
        for b in range(self.blocks + 1):
            new = self._normalised(self._convolved(h, f"conv{b}"), b, added)
            h = self._activated(new if b == 0 else (new[0] + h[0], new[1] + h[1]))
        read, dread = total(h[0], axis=0), total(h[1], axis=0)
        if self.pooled:
            read, dread = total(read, axis=1) / positions, total(dread, axis=1) / positions
        else:
            read, dread = read.ravel(), dread.reshape(-1, self.parameters)
        objective, gradient = ZERO, zeros((self.parameters,), self.theta)
        for number, index in enumerate(self.groups["last"]):
            k, feature = divmod(number, self._features)
            w, axis = self._parameter(index)
            objective = objective + self.d[k] * w * read[feature]
            gradient = gradient + self.d[k] * (w * dread[feature] + read[feature] * axis)
        for k, index in enumerate(self.groups["bias"]):
            shift, axis = self._parameter(index)
            objective, gradient = objective + n * self.d[k] * shift, gradient + n * self.d[k] * axis
        return objective, gradient

    def scores(self) -> Array:
        """The released score of every parameter, shape (N)."""
        return absolute(self.evaluated({})[1]) * self.theta * self.theta
