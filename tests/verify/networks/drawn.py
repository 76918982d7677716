"""Small torch modules, drawn from a generator: every operation the fast side understands.

Numbers are small dyadic rationals and variances are squares with no epsilon, so that float64 and the
exact translation of `verify.networks.exact.to_graph` describe the same network.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Residual(nn.Module):
    """relu(a x), then h + leaky(b h) joined with h - x, then a dense layer."""

    def __init__(self, width: int, outputs: int, bias: bool) -> None:
        super().__init__()
        self.a = nn.Linear(width, width, bias=bias)
        self.b = nn.Linear(width, width, bias=bias)
        self.head = nn.Linear(2 * width, outputs, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width) -> (N, outputs)."""
        h = F.relu(self.a(x))
        g = h + F.leaky_relu(self.b(h), 0.25)
        return self.head(torch.cat([g + g, (h - x) / 2], dim=1))


def _mlp(rng: np.random.Generator, bias: bool) -> tuple[nn.Module, tuple[int, ...]]:
    widths = [int(w) for w in rng.integers(1, 4, int(rng.integers(2, 5)))]
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b, bias=bias), nn.ReLU() if rng.random() < 0.7 else nn.LeakyReLU(0.25)]
    return nn.Sequential(*layers[:-1]), (widths[0],)


def _residual(rng: np.random.Generator) -> tuple[nn.Module, tuple[int, ...]]:
    width = int(rng.integers(1, 3))
    return Residual(width, int(rng.integers(1, 3)), bool(rng.random() < 0.5)), (width,)


def _convolution(rng: np.random.Generator) -> tuple[nn.Module, tuple[int, ...]]:
    groups, stride = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    first = nn.Conv2d(2, 2, 2, stride=stride, padding=1, groups=groups, bias=bool(rng.random() < 0.5))
    pool = nn.MaxPool2d(2, 1) if rng.random() < 0.5 else nn.AvgPool2d(2, 1, count_include_pad=False)
    size = 3 if stride == 1 else 1
    return nn.Sequential(first, nn.ReLU(), pool, nn.Flatten(), nn.Linear(2 * size * size, 2)), (2, 3, 3)


def _normalised(rng: np.random.Generator) -> tuple[nn.Module, tuple[int, ...]]:
    affine = bool(rng.random() < 0.7)
    return nn.Sequential(
        nn.Conv2d(1, 2, 2, bias=bool(rng.random() < 0.5)), nn.BatchNorm2d(2, affine=affine, eps=0.0), nn.ReLU(),
        nn.Conv2d(2, 2, (1, 2), dilation=1, groups=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.BatchNorm1d(2, eps=0.0), nn.ReLU(), nn.Linear(2, 2),
    ), (1, 3, 3)  # fmt: skip


def _dilated(rng: np.random.Generator) -> tuple[nn.Module, tuple[int, ...]]:
    return nn.Sequential(
        nn.Conv1d(1, 2, 2, dilation=2, padding=1), nn.ReLU(), nn.MaxPool1d(2, ceil_mode=True),
        nn.Conv1d(2, 2, 2, stride=2, groups=2), nn.LeakyReLU(0.5), nn.Flatten(),
    ), (1, int(rng.integers(5, 7)))  # fmt: skip


FAMILIES: dict[str, Callable[[np.random.Generator], tuple[nn.Module, tuple[int, ...]]]] = {
    "mlp": lambda rng: _mlp(rng, False),
    "mlp-bias": lambda rng: _mlp(rng, True),
    "residual": _residual,
    "convolution": _convolution,
    "normalised": _normalised,
    "dilated": _dilated,
}


def dyadic(rng: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    """Signed quarters up to 3, a few of them zero."""
    values = rng.integers(1, 13, shape) / 4.0 * rng.choice([-1.0, 1.0], shape) * (rng.random(shape) > 0.1)
    return torch.as_tensor(values, dtype=torch.float64)


def module_on_data(family: str, seed: int, samples: int = 3) -> tuple[nn.Module, Tensor]:
    """A float64 module of a family, in evaluation mode, and inputs for it.

    Raises:
        KeyError: no such family.
    """
    rng = np.random.default_rng([seed, sorted(FAMILIES).index(family)])
    with torch.random.fork_rng(devices=[]):
        module, shape = FAMILIES[family](rng)
    module = module.double().eval()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(dyadic(rng, tuple(p.shape)))
        for name, b in module.named_buffers():
            if name.endswith("running_var"):
                b.copy_(torch.as_tensor(rng.choice([0.25, 1.0, 4.0], tuple(b.shape))))
            elif name.endswith("running_mean"):
                b.copy_(dyadic(rng, tuple(b.shape)))
    return module, dyadic(rng, (samples, *shape))
