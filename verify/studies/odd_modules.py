"""Two hundred modules that somebody writes one day: the NTK trace against gradients taken one at a time.

``python -m verify.studies.odd_modules`` writes results/odd_modules.csv: each module in float32 and float64 on 1, 2 and
4 samples. A value is right, or the module is refused with a reason.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.nn.utils import prune as torch_prune

from verify.networks.ntk.trace import ntk_trace
from verify.trials.origin import of_search
from verify.trials.tables import write_csv

L = nn.Linear
Table = dict[str, tuple[nn.Module, tuple[int, ...]]]
RESULT = Path(__file__).resolve().parents[2] / "results" / "odd_modules.csv"


class M(nn.Module):
    """A module from a function of itself and its input, and its parts."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            if isinstance(part, torch.Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def P(*shape: int) -> nn.Parameter:
    """A parameter."""
    return nn.Parameter(torch.randn(*shape))


def vrelu(h: Tensor) -> Tensor:
    """ReLU in place through a view."""
    F.relu_(h.view(-1, 2, 2))
    return h


def modules() -> Table:
    """(module, shape of a sample) by name; drawn from the global generator."""
    return {
        "scale param": (M(lambda s, x: s.b(F.relu(s.a(x) * s.g)), a=L(3, 4), b=L(4, 2), g=P(4)), (3,)),
        "weight transposed": (M(lambda s, x: F.relu(s.a(x)) @ s.w.t(), a=L(3, 4), w=P(2, 4)), (3,)),
        "matmul param": (M(lambda s, x: F.relu(x @ s.w) @ s.v, w=P(3, 4), v=P(4, 2)), (3,)),
        "tied": (M(lambda s, x: F.linear(F.relu(s.a(x)), s.a.weight.t()), a=L(3, 4)), (3,)),
        "weightnorm": (M(lambda s, x: s.b(F.relu(s.a(x))), a=parametrizations.weight_norm(L(3, 4)), b=L(4, 2)), (3,)),
        "conv circular": (
            M(
                lambda s, x: s.b(F.relu(s.a(x)).flatten(1)),
                a=nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"),
                b=L(3 * 16, 2),
            ),
            (2, 4, 4),
        ),
        "conv reflect": (
            M(
                lambda s, x: s.b(F.relu(s.a(x)).flatten(1)),
                a=nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"),
                b=L(3 * 16, 2),
            ),
            (2, 4, 4),
        ),
        "conv same": (
            M(lambda s, x: s.b(F.relu(s.a(x)).flatten(1)), a=nn.Conv2d(2, 3, 3, padding="same"), b=L(3 * 16, 2)),
            (2, 4, 4),
        ),
        "conv transpose": (
            M(lambda s, x: s.b(F.relu(s.a(x)).flatten(1)), a=nn.ConvTranspose2d(2, 3, 2, stride=2), b=L(3 * 64, 2)),
            (2, 4, 4),
        ),
        "groupnorm": (
            M(
                lambda s, x: s.b(F.relu(s.n(s.a(x))).flatten(1)),
                a=nn.Conv2d(2, 4, 3, padding=1),
                n=nn.GroupNorm(2, 4),
                b=L(64, 2),
            ),
            (2, 4, 4),
        ),
        "layernorm": (M(lambda s, x: s.b(F.relu(s.n(s.a(x)))), a=L(3, 4), n=nn.LayerNorm(4), b=L(4, 2)), (3,)),
        "prelu": (M(lambda s, x: s.b(s.n(s.a(x))), a=L(3, 4), n=nn.PReLU(4), b=L(4, 2)), (3,)),
        "prelu1": (M(lambda s, x: s.b(s.n(s.a(x))), a=L(3, 4), n=nn.PReLU(), b=L(4, 2)), (3,)),
        "relu6": (M(lambda s, x: s.b(F.relu6(s.a(x))), a=L(3, 4), b=L(4, 2)), (3,)),
        "abs": (M(lambda s, x: s.b(s.a(x).abs()), a=L(3, 4), b=L(4, 2)), (3,)),
        "max of two": (M(lambda s, x: torch.maximum(s.a(x), s.b(x)), a=L(3, 4), b=L(3, 4)), (3,)),
        "amax": (M(lambda s, x: s.b(s.a(x)).amax(1, keepdim=True), a=L(3, 4), b=L(4, 5)), (3,)),
        "gated": (M(lambda s, x: s.c(torch.sigmoid(s.a(x)) * s.b(x)), a=L(3, 4), b=L(3, 4), c=L(4, 2)), (3,)),
        "einsum": (M(lambda s, x: torch.einsum("nd,dk->nk", F.relu(s.a(x)), s.w), a=L(3, 4), w=P(4, 2)), (3,)),
        "lstm": (M(lambda s, x: s.b(s.l(x)[0][:, -1]), l=nn.LSTM(3, 4, batch_first=True), b=L(4, 2)), (5, 3)),
        "mha": (
            M(lambda s, x: s.b(s.l(x, x, x)[0].mean(1)), l=nn.MultiheadAttention(4, 2, batch_first=True), b=L(4, 2)),
            (5, 4),
        ),
        "cls token": (
            M(
                lambda s, x: s.b(F.relu(s.a(torch.cat([s.c.expand(len(x), -1, -1), x], 1)))).mean(1),
                c=P(1, 1, 3),
                a=L(3, 4),
                b=L(4, 2),
            ),
            (5, 3),
        ),
        "pos emb": (M(lambda s, x: s.b(F.relu(s.a(x + s.p))).mean(1), p=P(1, 5, 3), a=L(3, 4), b=L(4, 2)), (5, 3)),
        "buffer mul": (M(lambda s, x: s.b(F.relu(s.a(x) * s.k)), k=torch.randn(4), a=L(3, 4), b=L(4, 2)), (3,)),
        "bias only layer": (M(lambda s, x: s.b(F.relu(s.a(x) + s.k)), k=P(4), a=L(3, 4, bias=False), b=L(4, 2)), (3,)),
        "shared conv": (
            M(
                lambda s, x: s.b((F.relu(s.a(x)) + s.a(F.relu(x))).flatten(1)),
                a=nn.Conv2d(2, 2, 3, padding=1),
                b=L(32, 2),
            ),
            (2, 4, 4),
        ),
        "bn alone": (M(lambda s, x: s.b(s.n(F.relu(s.a(x)))), a=L(3, 4), n=nn.BatchNorm1d(4), b=L(4, 2)), (3,)),
        "bn twice": (
            M(
                lambda s, x: s.b(s.n2(s.n(s.a(x)))),
                a=nn.Conv2d(2, 3, 3, padding=1),
                n=nn.BatchNorm2d(3),
                n2=nn.BatchNorm2d(3),
                b=nn.Sequential(nn.Flatten(), L(48, 2)),
            ),
            (2, 4, 4),
        ),
        "bn shared": (
            M(lambda s, x: s.b(s.n(s.a(x)) + s.n(s.c(x))), a=L(3, 4), c=L(3, 4), n=nn.BatchNorm1d(4), b=L(4, 2)),
            (3,),
        ),
        "conv then bn and reuse": (
            M(
                lambda s, x: s.b((lambda z: (F.relu(s.n(z)) + z).flatten(1))(s.a(x))),
                a=nn.Conv2d(2, 3, 3, padding=1),
                n=nn.BatchNorm2d(3),
                b=L(48, 2),
            ),
            (2, 4, 4),
        ),
        "stochastic dims": (
            M(lambda s, x: s.b(F.relu(s.a(x.transpose(1, 2))).transpose(1, 2).flatten(1)), a=L(5, 4), b=L(12, 2)),
            (5, 3),
        ),
        "outputs 3d": (M(lambda s, x: s.b(F.relu(s.a(x))), a=L(3, 4), b=L(4, 2)), (5, 3)),
        "unused param": (M(lambda s, x: s.b(F.relu(s.a(x))), a=L(3, 4), b=L(4, 2), u=P(3)), (3,)),
        "detach": (M(lambda s, x: s.b(F.relu(s.a(x)).detach()), a=L(3, 4), b=L(4, 2)), (3,)),
        "pixel shuffle": (
            M(
                lambda s, x: s.b(F.pixel_shuffle(F.relu(s.a(x)), 2).flatten(1)),
                a=nn.Conv2d(2, 4, 3, padding=1),
                b=L(64, 2),
            ),
            (2, 4, 4),
        ),
        "interpolate": (
            M(
                lambda s, x: s.b(F.interpolate(F.relu(s.a(x)), scale_factor=2, mode="bilinear").flatten(1)),
                a=nn.Conv2d(2, 3, 3, padding=1),
                b=L(192, 2),
            ),
            (2, 4, 4),
        ),
        "avg ceil": (
            M(
                lambda s, x: s.b(F.avg_pool2d(F.relu(s.a(x)), 3, 2, 1, ceil_mode=True).flatten(1)),
                a=nn.Conv2d(2, 3, 3, padding=1),
                b=L(27, 2),
            ),
            (2, 4, 4),
        ),
        "max ceil": (
            M(
                lambda s, x: s.b(F.max_pool2d(F.relu(s.a(x)), 3, 2, 1, ceil_mode=True).flatten(1)),
                a=nn.Conv2d(2, 3, 3, padding=1),
                b=L(27, 2),
            ),
            (2, 4, 4),
        ),
        "max dilated": (
            M(
                lambda s, x: s.b(F.max_pool2d(F.relu(s.a(x)), 2, 1, 0, 2).flatten(1)),
                a=nn.Conv2d(2, 3, 3, padding=1),
                b=L(12, 2),
            ),
            (2, 4, 4),
        ),
        "adaptive uneven": (
            M(
                lambda s, x: s.b(F.adaptive_avg_pool2d(F.relu(s.a(x)), 3).flatten(1)),
                a=nn.Conv2d(2, 3, 3, padding=1),
                b=L(27, 2),
            ),
            (2, 4, 4),
        ),
        "adaptive max": (
            M(
                lambda s, x: s.b(F.adaptive_max_pool2d(F.relu(s.a(x)), 2).flatten(1)),
                a=nn.Conv2d(2, 3, 3, padding=1),
                b=L(12, 2),
            ),
            (2, 4, 4),
        ),
        "conv unbatched-like": (M(lambda s, x: s.a(x[:, None]).flatten(1), a=nn.Conv1d(1, 2, 2)), (5,)),
        "chunk glu": (
            M(lambda s, x: s.b((lambda a, b: a * F.relu(b))(*s.a(x).chunk(2, -1))), a=L(3, 8), b=L(4, 2)),
            (3,),
        ),
        "square": (M(lambda s, x: s.b(s.a(x) ** 2), a=L(3, 4), b=L(4, 2)), (3,)),
        "x times x": (M(lambda s, x: s.b(F.relu(s.a(x * x))), a=L(3, 4), b=L(4, 2)), (3,)),
        "softmax out": (M(lambda s, x: F.softmax(s.b(F.relu(s.a(x))), 1), a=L(3, 4), b=L(4, 2)), (3,)),
        "input skip out": (M(lambda s, x: s.b(F.relu(s.a(x))) + x, a=L(3, 4), b=L(4, 3)), (3,)),
        "complex reshape": (
            M(
                lambda s, x: s.b(F.relu(s.a(x)).view(len(x), 2, 2).permute(0, 2, 1).reshape(len(x), -1)),
                a=L(3, 4),
                b=L(4, 2),
            ),
            (3,),
        ),
        "index select": (M(lambda s, x: s.b(F.relu(s.a(x))[:, [2, 0, 3, 1]]), a=L(3, 4), b=L(4, 2)), (3,)),
        "roll": (M(lambda s, x: s.b(torch.roll(F.relu(s.a(x)), 1, 1)), a=L(3, 4), b=L(4, 2)), (3,)),
        "embedding bag-like": (M(lambda s, x: s.b(F.relu(s.a(x))).sum(1), a=L(3, 4), b=L(4, 2)), (5, 3)),
        "hardtanh": (M(lambda s, x: s.b(F.hardtanh(s.a(x))), a=L(3, 4), b=L(4, 2)), (3,)),
        "threshold": (M(lambda s, x: s.b(F.threshold(s.a(x), 0.1, 0.0)), a=L(3, 4), b=L(4, 2)), (3,)),
        "clamp01": (M(lambda s, x: s.b(s.a(x).clamp(0, 1)), a=L(3, 4), b=L(4, 2)), (3,)),
        "where relu": (
            M(lambda s, x: s.b((lambda h: torch.where(h > 0, h, torch.zeros_like(h)))(s.a(x))), a=L(3, 4), b=L(4, 2)),
            (3,),
        ),
        "mul mask relu": (M(lambda s, x: s.b((lambda h: h * (h > 0))(s.a(x))), a=L(3, 4), b=L(4, 2)), (3,)),
        "minus relu": (M(lambda s, x: s.b(s.a(x) - F.relu(s.a(x) * 1)), a=L(3, 4), b=L(4, 2)), (3,)),
        "conv3d": (M(lambda s, x: s.b(F.relu(s.a(x)).flatten(1)), a=nn.Conv3d(1, 2, 2), b=L(16, 2)), (1, 3, 3, 3)),
        "grouped dil stride": (
            M(
                lambda s, x: s.b(F.relu(s.a(x)).flatten(1)),
                a=nn.Conv2d(4, 6, 3, stride=2, dilation=2, padding=2, groups=2),
                b=L(54, 2),
            ),
            (4, 6, 6),
        ),
        "scalar param": (
            M(lambda s, x: s.b(F.relu(s.a(x))) * s.g, a=L(3, 4), b=L(4, 2), g=nn.Parameter(torch.tensor(1.5))),
            (3,),
        ),
        "param default dtype view": (M(lambda s, x: F.linear(F.relu(s.a(x)), s.w.view(2, 4)), a=L(3, 4), w=P(8)), (3,)),
        "weight slice": (M(lambda s, x: F.linear(F.relu(s.a(x)), s.w[:2]), a=L(3, 4), w=P(5, 4)), (3,)),
        "weight masked": (
            M(
                lambda s, x: F.linear(F.relu(s.a(x)), s.w * s.k),
                a=L(3, 4),
                w=P(2, 4),
                k=torch.tensor([[1.0, 0, 1, 1], [0, 1, 1, 0]]),
            ),
            (3,),
        ),
        "inplace relu skip": (M(lambda s, x: s.b((lambda h: F.relu_(h) + h)(s.a(x))), a=L(3, 4), b=L(4, 2)), (3,)),
        "inplace relu on view": (M(lambda s, x: s.b(vrelu(s.a(x))), a=L(3, 4), b=L(4, 2)), (3,)),
        "python list loop": (
            M(lambda s, x: s.b(torch.stack([F.relu(s.a(x)[:, i]) for i in range(4)], 1)), a=L(3, 4), b=L(4, 2)),
            (3,),
        ),
        "split sizes": (
            M(
                lambda s, x: (lambda p, q: torch.cat([F.relu(p), q], 1))(*s.b(s.a(x)).split([1, 3], 1)),
                a=L(3, 4),
                b=L(4, 4),
            ),
            (3,),
        ),
        "unflatten": (M(lambda s, x: s.b(F.relu(s.a(x).unflatten(1, (2, 2))).sum(2)), a=L(3, 4), b=L(2, 2)), (3,)),
        "masked fill": (M(lambda s, x: s.b((lambda h: h.masked_fill(h < 0, 0.0))(s.a(x))), a=L(3, 4), b=L(4, 2)), (3,)),
        "cumsum": (M(lambda s, x: s.b(F.relu(s.a(x)).cumsum(1)), a=L(3, 4), b=L(4, 2)), (3,)),
        "baddbmm": (M(lambda s, x: torch.addmm(s.c, F.relu(s.a(x)), s.w), a=L(3, 4), w=P(4, 2), c=P(2)), (3,)),
        "bilinear": (M(lambda s, x: s.b(x, F.relu(s.a(x))), a=L(3, 4), b=nn.Bilinear(3, 4, 2)), (3,)),
        "x.data": (M(lambda s, x: s.b(F.relu(s.a(x)).data), a=L(3, 4), b=L(4, 2)), (3,)),
        "sort": (M(lambda s, x: s.b(s.a(x).sort(1)[0]), a=L(3, 4), b=L(4, 2)), (3,)),
        "topk": (M(lambda s, x: s.b(s.a(x).topk(2, 1)[0]), a=L(3, 4), b=L(2, 2)), (3,)),
        "gather": (
            M(
                lambda s, x: s.b(s.a(x).gather(1, s.i.expand(len(x), -1))),
                a=L(3, 4),
                b=L(2, 2),
                i=torch.tensor([[3, 1]]),
            ),
            (3,),
        ),
        "argmax gate": (M(lambda s, x: s.b(s.a(x) * F.one_hot(s.a(x).argmax(1), 4)), a=L(3, 4), b=L(4, 2)), (3,)),
        "negative slope": (M(lambda s, x: s.b(F.leaky_relu(s.a(x), -0.5)), a=L(3, 4), b=L(4, 2)), (3,)),
        "slope 2": (M(lambda s, x: s.b(F.leaky_relu(s.a(x), 2.0)), a=L(3, 4), b=L(4, 2)), (3,)),
        "rsub": (M(lambda s, x: s.b(F.relu(1 - s.a(x))), a=L(3, 4), b=L(4, 2)), (3,)),
        "add const": (M(lambda s, x: s.b(F.relu(s.a(x) + 1)), a=L(3, 4), b=L(4, 2)), (3,)),
        "add tensor const": (M(lambda s, x: s.b(F.relu(s.a(x) + s.k)), k=torch.randn(4), a=L(3, 4), b=L(4, 2)), (3,)),
        "sub order": (M(lambda s, x: s.b(F.relu(x - s.a(x))), a=L(3, 3), b=L(3, 2)), (3,)),
        "mul self": (M(lambda s, x: s.b(F.relu(s.a(x))) * s.b(F.relu(s.a(x))) * 0.5, a=L(3, 4), b=L(4, 2)), (3,)),
        "div": (M(lambda s, x: s.b(F.relu(s.a(x)) / 3), a=L(3, 4), b=L(4, 2)), (3,)),
        "rdiv": (M(lambda s, x: s.b(1 / (2 + F.relu(s.a(x)))), a=L(3, 4), b=L(4, 2)), (3,)),
        "neg": (M(lambda s, x: s.b(F.relu(-s.a(x))), a=L(3, 4), b=L(4, 2)), (3,)),
        "x+x": (M(lambda s, x: s.b((lambda h: h + h)(F.relu(s.a(x)))), a=L(3, 4), b=L(4, 2)), (3,)),
        "add alpha": (M(lambda s, x: s.b(torch.add(F.relu(s.a(x)), x, alpha=2)), a=L(3, 3), b=L(3, 2)), (3,)),
        "cat self": (M(lambda s, x: s.b((lambda h: torch.cat([h, h], 1))(F.relu(s.a(x)))), a=L(3, 4), b=L(8, 2)), (3,)),
        "mean keepdim": (
            M(lambda s, x: s.b(F.relu(s.a(x)).mean((2, 3))), a=nn.Conv2d(2, 3, 3, padding=1), b=L(3, 2)),
            (2, 4, 4),
        ),
        "sum spatial": (
            M(lambda s, x: s.b(F.relu(s.a(x)).sum((2, 3))), a=nn.Conv2d(2, 3, 3, padding=1), b=L(3, 2)),
            (2, 4, 4),
        ),
        "pad neg": (
            M(
                lambda s, x: s.b(F.pad(F.relu(s.a(x)), (-1, 0, 1, 0)).flatten(1)),
                a=nn.Conv2d(2, 3, 3, padding=1),
                b=L(45, 2),
            ),
            (2, 4, 4),
        ),
        "slice step": (M(lambda s, x: s.b(F.relu(s.a(x))[:, ::2]), a=L(3, 4), b=L(2, 2)), (3,)),
        "bn no affine": (
            M(lambda s, x: s.b(F.relu(s.n(s.a(x)))), a=L(3, 4), n=nn.BatchNorm1d(4, affine=False), b=L(4, 2)),
            (3,),
        ),
        "linear3d bn": (
            M(
                lambda s, x: s.b(F.relu(s.n(s.a(x).transpose(1, 2))).flatten(1)),
                a=L(3, 4),
                n=nn.BatchNorm1d(4),
                b=L(20, 2),
            ),
            (5, 3),
        ),
        "conv k even same": (
            M(lambda s, x: s.b(F.relu(s.a(x)).flatten(1)), a=nn.Conv2d(2, 3, 2, padding="same"), b=L(48, 2)),
            (2, 4, 4),
        ),
        "avg no pad count": (
            M(
                lambda s, x: s.b(F.avg_pool2d(F.relu(s.a(x)), 3, 2, 1, count_include_pad=False).flatten(1)),
                a=nn.Conv2d(2, 3, 3, padding=1),
                b=L(12, 2),
            ),
            (2, 4, 4),
        ),
        "divisor override": (
            M(
                lambda s, x: s.b(F.avg_pool2d(F.relu(s.a(x)), 2, divisor_override=3).flatten(1)),
                a=nn.Conv2d(2, 3, 3, padding=1),
                b=L(12, 2),
            ),
            (2, 4, 4),
        ),
        "max pool neg": (
            M(lambda s, x: s.b(F.max_pool2d(s.a(x), 3, 1, 1).flatten(1)), a=nn.Conv2d(2, 3, 3, padding=1), b=L(48, 2)),
            (2, 4, 4),
        ),
        "identity out": (M(lambda s, x: x * 1.0, a=L(3, 4)), (3,)),
        "depth 0": (M(lambda s, x: s.a(x), a=L(3, 4, bias=False)), (3,)),
        "relu out": (M(lambda s, x: F.relu(s.a(x)), a=L(3, 4)), (3,)),
        "rrelu eval": (M(lambda s, x: s.b(F.rrelu(s.a(x))), a=L(3, 4), b=L(4, 2)), (3,)),
        "int buffer mul": (
            M(lambda s, x: s.b(F.relu(s.a(x)) * s.k), k=torch.tensor([1, 0, 2, 1]), a=L(3, 4), b=L(4, 2)),
            (3,),
        ),
        "ones for a batch": (
            M(lambda s, x: s.b(F.relu(s.a(x)) + 2 * torch.ones(len(x), 4, dtype=x.dtype)), a=L(3, 4), b=L(4, 2)),
            (3,),
        ),
        "joined with a batch of numbers": (
            M(lambda s, x: s.b(torch.cat([F.relu(s.a(x)), x.new_full((len(x), 1), 3.0)], 1)), a=L(3, 4), b=L(5, 2)),
            (3,),
        ),
        "constant minus": (
            M(lambda s, x: s.b(F.relu(s.k - s.a(x)) - s.k), k=torch.tensor([1.0, 0, -2, 3]), a=L(3, 4), b=L(4, 2)),
            (3,),
        ),
        "parameter minus": (M(lambda s, x: s.b(F.relu(s.k - s.a(x)) - s.k), k=P(4), a=L(3, 4), b=L(4, 2)), (3,)),
        "scaled by channel": (
            M(
                lambda s, x: s.b((F.relu(s.a(x)) * s.g.view(1, -1, 1, 1) + s.h[None, :, None, None]).flatten(1)),
                a=nn.Conv2d(2, 3, 3, padding=1),
                g=P(3),
                h=P(3),
                b=L(48, 2),
            ),
            (2, 4, 4),
        ),
        "two outputs heads cat": (
            M(lambda s, x: torch.cat([s.b(F.relu(s.a(x))), s.c(x)], 1), a=L(3, 4), b=L(4, 2), c=L(3, 1)),
            (3,),
        ),
        "squeeze": (M(lambda s, x: s.b(F.relu(s.a(x[:, None])).squeeze(1)), a=L(3, 4), b=L(4, 2)), (3,)),
    }


def _row(function: Callable[[Tensor], Tensor], width: int = 4) -> tuple[nn.Module, tuple[int, ...]]:
    """A function of four hidden numbers between two linear maps."""
    return M(lambda s, x: s.b(function(s.a(x))), a=L(3, 4), b=L(width, 2)), (3,)


def _image(function: Callable[..., Tensor], size: int, **parts: Any) -> tuple[nn.Module, tuple[int, ...]]:
    """A function of what a convolution gives, (3, 4, 4), read by a linear map."""
    return (
        M(
            lambda s, x: s.b(function(s, F.relu(s.a(x))).flatten(1)),
            a=nn.Conv2d(2, 3, 3, padding=1),
            b=L(size, 2),
            **parts,
        ),
        (2, 4, 4),
    )


def _words(function: Callable[..., Tensor], width: int = 4, **parts: Any) -> tuple[nn.Module, tuple[int, ...]]:
    """A function of a sequence of five words, (5, 4)."""
    return M(lambda s, x: s.b(function(s, s.a(x))), a=L(3, 4), b=L(width, 2), **parts), (5, 3)


def _attention(s: Any, h: Tensor, causal: bool = False) -> Tensor:
    scores = s.q(h) @ s.k(h).transpose(1, 2) / 2
    if causal:
        scores = scores.masked_fill(torch.ones(5, 5).triu(1).bool(), float("-inf"))
    return (scores.softmax(-1) @ s.v(h)).mean(1)


def _pruned() -> nn.Module:
    module = nn.Sequential(L(3, 4), nn.ReLU(), L(4, 2))
    torch_prune.random_unstructured(module[0], "weight", 0.5)
    return module


def _standardised(s: Any, x: Tensor) -> Tensor:
    w = (s.w - s.w.mean(1, keepdim=True)) / s.w.std(1, keepdim=True)
    return s.b(F.relu(F.linear(x, w)))


def _iterated(s: Any, x: Tensor) -> Tensor:
    h = s.a(x)
    for _ in range(3):
        h = h + F.relu(s.w(h))
    return s.b(h)


def _unpooled(s: Any, h: Tensor) -> Tensor:
    pooled, where = F.max_pool2d(h, 2, return_indices=True)
    return F.max_unpool2d(pooled, where, [2, 2])


def more_modules() -> Table:
    """Ninety-odd others; drawn from the global generator."""
    rows: dict[str, Callable[[Tensor], Tensor]] = {
        "gelu": F.gelu,
        "gelu tanh": lambda h: F.gelu(h, approximate="tanh"),
        "silu": F.silu,
        "elu": F.elu,
        "celu": F.celu,
        "selu": F.selu,
        "softplus": F.softplus,
        "tanh": torch.tanh,
        "hardswish": F.hardswish,
        "hardsigmoid": F.hardsigmoid,
        "mish": F.mish,
        "softsign": F.softsign,
        "logsigmoid": F.logsigmoid,
        "tanhshrink": F.tanhshrink,
        "hardshrink": F.hardshrink,
        "softshrink": F.softshrink,
        "exp": torch.exp,
        "sine": torch.sin,
        "arctangent": torch.atan,
        "erf": torch.erf,
        "root": lambda h: (h * h + 1).sqrt(),
        "log of relu": lambda h: torch.log1p(F.relu(h)),
        "cube": lambda h: h**3,
        "quotient": lambda h: h / (1 + h.square()),
        "clamp below": lambda h: h.clamp(min=0.1),
        "clamp above": lambda h: h.clamp(max=0.1),
        "two slopes by hand": lambda h: F.relu(h) - 0.25 * F.relu(-h),
        "swish by hand": lambda h: h * torch.sigmoid(2 * h),
        "softmax": lambda h: h.softmax(1),
        "log softmax": lambda h: h.log_softmax(1),
        "normalised": lambda h: F.normalize(h, dim=1),
        "layer norm by hand": lambda h: (h - h.mean(1, keepdim=True)) / (h.var(1, keepdim=True) + 1e-5).sqrt(),
        "rms norm": lambda h: h * (h.square().mean(1, keepdim=True) + 1e-6).rsqrt(),
        "flipped": lambda h: h.flip(1),
        "rolled": lambda h: F.relu(h).roll(1, 1),
        "column plus row": lambda h: F.relu(h[:, :1] + torch.arange(4.0).to(h)) - h,
        "cumulative product": lambda h: h.cumprod(1),
        "minimum of two": lambda h: torch.minimum(h, h.flip(1)),
        "fmax": lambda h: torch.fmax(h, -h),
        "lerp": lambda h: torch.lerp(h, F.relu(h), 0.3),
        "addcmul": lambda h: torch.addcmul(h, h, h, value=0.5),
        "median centred": lambda h: h - h.median(1, keepdim=True).values,
        "stack and sum": lambda h: torch.stack([h, F.relu(h)]).sum(0),
        "reshaped twice": lambda h: F.relu(h.view(-1, 2, 2).transpose(1, 2).reshape(-1, 4)),
        "repeat and mean": lambda h: F.relu(h).repeat(1, 3).view(-1, 3, 4).mean(1),
        "expand": lambda h: F.relu(h)[:, None].expand(-1, 3, -1).sum(1),
        "tensordot": lambda h: torch.tensordot(F.relu(h), torch.eye(4).to(h), 1),
        "movedim": lambda h: F.relu(h.view(-1, 2, 2)).movedim(1, 2).flatten(1),
        "nan to num": lambda h: torch.nan_to_num(F.relu(h)),
        "heaviside gate": lambda h: h * torch.heaviside(h.detach(), torch.zeros(1).to(h)),
        "rrelu": lambda h: F.rrelu(h),
        "threshold at one": lambda h: F.threshold(h, 1.0, 0.0),
        "relu of relu": lambda h: F.relu(F.relu(h) - 0.1),
        "double negation": lambda h: -F.relu(-h),
        "real fft": lambda h: torch.view_as_real(torch.fft.rfft(h)).flatten(1)[:, :4],
    }
    wide: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
        "glu": (lambda h: F.glu(h, 1), 2),
        "crelu": (lambda h: torch.cat([F.relu(h), F.relu(-h)], 1), 8),
        "outer product": (lambda h: torch.einsum("ni,nj->nij", h, h).flatten(1), 16),
        "logsumexp": (lambda h: h.logsumexp(1, keepdim=True), 1),
        "norm": (lambda h: torch.linalg.vector_norm(h, dim=1, keepdim=True), 1),
        "maxout": (lambda h: h.view(-1, 2, 2).amax(2), 2),
        "top two": (lambda h: h.topk(2, 1).values, 2),
    }
    images: dict[str, tuple[Callable[..., Tensor], int]] = {
        "average pool": (lambda s, h: F.avg_pool2d(h, 2), 12),
        "max pool of stride one": (lambda s, h: F.max_pool2d(h, 2, 1), 27),
        "lp pool": (lambda s, h: F.lp_pool2d(h + 1, 2.0, 2), 12),
        "unfold": (lambda s, h: F.unfold(h, 2), 12 * 9),
        "fold": (lambda s, h: F.fold(F.unfold(h, 2), (4, 4), 2), 48),
        "pixel unshuffle": (lambda s, h: F.pixel_unshuffle(h, 2), 48),
        "channel shuffle": (lambda s, h: F.channel_shuffle(h, 3), 48),
        "nearest": (lambda s, h: F.interpolate(h, scale_factor=2), 192),
        "bilinear upsampling": (lambda s, h: F.interpolate(h, size=(3, 3), mode="bilinear"), 27),
        "reflection": (lambda s, h: F.pad(h, (1, 1, 1, 1), mode="reflect"), 108),
        "replication": (lambda s, h: F.pad(h, (1, 0, 0, 1), mode="replicate"), 75),
        "padded with one": (lambda s, h: F.pad(h, (1, 1), value=1.0), 72),
        "every second": (lambda s, h: h[:, :, ::2, 1::2], 12),
        "global maximum": (lambda s, h: h.amax((2, 3)), 3),
        "unpooled": (_unpooled, 48),
        "response norm": (lambda s, h: F.local_response_norm(h, 2), 48),
        "rotated": (lambda s, h: torch.rot90(h, 1, (2, 3)), 48),
        "adaptive to two": (lambda s, h: F.adaptive_avg_pool2d(h, 2), 12),
        "transposed axes": (lambda s, h: h.transpose(2, 3), 48),
        "sheared": (
            lambda s, h: F.grid_sample(
                h,
                F.affine_grid(
                    torch.tensor([[[1.0, 0.2, 0], [0, 1, 0]]]).to(h).expand(len(h), -1, -1),
                    list(h.shape),
                    align_corners=False,
                ),
                align_corners=False,
            ),
            48,
        ),
    }
    made: Table = {name: _row(f) for name, f in rows.items()}
    made |= {name: _row(f, width) for name, (f, width) in wide.items()}
    made |= {name: _image(f, size) for name, (f, size) in images.items()}
    made |= {
        "squeeze and excite": _image(lambda s, h: h * s.g(h.mean((2, 3))).sigmoid()[..., None, None], 48, g=L(3, 3)),
        "residual": _image(lambda s, h: h + F.relu(s.c(h)), 48, c=nn.Conv2d(3, 3, 3, padding=1)),
        "dense block": _image(lambda s, h: torch.cat([h, F.relu(s.c(h))], 1), 80, c=nn.Conv2d(3, 2, 1)),
        "depthwise": _image(
            lambda s, h: s.p(F.relu(s.c(h))), 32, c=nn.Conv2d(3, 3, 3, groups=3, padding=1), p=nn.Conv2d(3, 2, 1)
        ),
        "instance norm": _image(lambda s, h: s.n(h), 48, n=nn.InstanceNorm2d(3, affine=True)),
        "transposed with padding": _image(
            lambda s, h: s.c(h), 2 * 64, c=nn.ConvTranspose2d(3, 2, 3, 2, 1, output_padding=1)
        ),
        "gru": _words(lambda s, h: s.r(h)[0][:, -1], r=nn.GRU(4, 4, batch_first=True)),
        "rnn": _words(lambda s, h: s.r(h)[0].sum(1), r=nn.RNN(4, 4, batch_first=True)),
        "rnn of relus": _words(lambda s, h: s.r(h)[0][:, -1], r=nn.RNN(4, 4, nonlinearity="relu", batch_first=True)),
        "lstm both ways": _words(
            lambda s, h: s.r(h)[0][:, 0], 8, r=nn.LSTM(4, 4, batch_first=True, bidirectional=True)
        ),
        "attention by hand": _words(_attention, q=L(4, 4), k=L(4, 4), v=L(4, 4)),
        "causal attention": _words(lambda s, h: _attention(s, h, True), q=L(4, 4), k=L(4, 4), v=L(4, 4)),
        "scaled dot product": _words(
            lambda s, h: F.scaled_dot_product_attention(s.q(h), s.k(h), h).mean(1), q=L(4, 4), k=L(4, 4)
        ),
        "transformer layer": _words(
            lambda s, h: s.t(h).mean(1), t=nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True)
        ),
        "convolution in time": _words(lambda s, h: F.relu(s.c(h.transpose(1, 2))).amax(2), c=nn.Conv1d(4, 4, 3)),
        "places by number": _words(lambda s, h: F.relu(h + s.e(torch.arange(5))).mean(1), e=nn.Embedding(5, 4)),
        "mean of words": _words(lambda s, h: F.relu(h).mean(1)),
        "mixture of experts": (
            M(
                lambda s, x: (s.g(x).softmax(1)[:, None] * torch.stack([s.a(x), s.c(x)], 2)).sum(2),
                g=L(3, 2),
                a=L(3, 2),
                c=L(3, 2),
            ),
            (3,),
        ),
        "hypernetwork": (M(lambda s, x: torch.einsum("nij,nj->ni", s.h(x).view(-1, 2, 3), x), h=L(3, 6)), (3,)),
        "spectral norm": (nn.Sequential(parametrizations.spectral_norm(L(3, 4)), nn.ReLU(), L(4, 2)), (3,)),
        "orthogonal": (nn.Sequential(parametrizations.orthogonal(L(4, 4)), nn.ReLU(), L(4, 2)), (4,)),
        "standardised weights": (M(_standardised, w=P(4, 3), b=L(4, 2)), (3,)),
        "pruned by torch": (_pruned(), (3,)),
        "low rank": (
            M(lambda s, x: s.b(F.relu(s.a(x) + x @ s.u @ s.v)), a=L(3, 4), u=P(3, 1), v=P(1, 4), b=L(4, 2)),
            (3,),
        ),
        "weight three times": (M(_iterated, a=L(3, 4), w=L(4, 4), b=L(4, 2)), (3,)),
        "square of a weight": (M(lambda s, x: F.relu(x @ (s.w @ s.w)), w=P(3, 3)), (3,)),
        "output by parameters alone": (M(lambda s, x: s.w + 0 * x, w=P(3)), (3,)),
        "two-dimensional outputs": (M(lambda s, x: s.a(x).view(-1, 2, 2).relu(), a=L(3, 4)), (3,)),
        "exp of a parameter": (M(lambda s, x: s.b(F.relu(s.a(x)) * s.g.exp()), a=L(3, 4), g=P(4), b=L(4, 2)), (3,)),
        "one number plus a parameter": (
            M(lambda s, x: s.b(F.relu(s.a(x) + s.g)), a=L(3, 1), g=P(4), b=L(4, 2)),
            (3,),
        ),
        "softmax of a parameter": (
            M(lambda s, x: s.b(F.relu(s.a(x)) * s.g.softmax(0)), a=L(3, 4), g=P(4), b=L(4, 2)),
            (3,),
        ),
    }
    return made


def built(table: Callable[[], Table], dtype: torch.dtype) -> Table:
    """The modules of a table with drawn weights and statistics, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = table()
        for module, _ in found.values():
            module.to(dtype).eval()
            for m in module.modules():
                if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d):
                    assert m.running_mean is not None
                    assert m.running_var is not None
                    m.running_mean.normal_()
                    m.running_var.uniform_(0.5, 2)
                    if m.weight is not None:
                        nn.init.normal_(m.weight)
    return found


def inputs(shape: tuple[int, ...], samples: int = 4, seed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    """Standard normal inputs."""
    return torch.randn(samples, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def loops(module: nn.Module, x: Tensor) -> Tensor:
    """Squared gradient norms (N, K) by one backward pass for each sample by itself and each of its outputs."""
    parameters = list(module.parameters())
    total = []
    for one in x.split(1):
        out = module(one).reshape(-1)
        if not out.requires_grad:
            total.append(torch.zeros(len(out), dtype=torch.float64))
            continue
        found = [torch.autograd.grad(o, parameters, retain_graph=True, materialize_grads=True) for o in out]
        total.append(torch.stack([torch.stack([g.double().square().sum() for g in gs]).sum() for gs in found]))
    return torch.stack(total)


def compared(module: nn.Module, x: Tensor) -> str:
    """Whether the trace is right, how far it is from that, or why the module is refused."""
    try:
        found = ntk_trace(module, x, per_output=True, per_sample=True)
    except (ValueError, NotImplementedError) as e:
        return f"refused: {' '.join(str(e).split())[:120]}"
    want = loops(module, x)
    apart = float((found - want).abs().max()) / max(float(want.max()), 1e-300)
    close = 1e-3 if x.dtype is torch.float32 else 1e-9
    return "right" if apart <= close or not float(want.max()) else f"WRONG: {apart:.1e} apart"


def main() -> int:
    """Every module in both precisions on 1, 2 and 4 samples."""
    warnings.simplefilter("ignore")
    rows = []
    for dtype in (torch.float64, torch.float32):
        for name, (module, shape) in (built(modules, dtype) | built(more_modules, dtype)).items():
            start, state = time.process_time(), {n: t.clone() for n, t in module.state_dict().items()}
            said = {f"N = {n}": compared(module, inputs(shape, n, dtype=dtype)) for n in (1, 2, 4)}
            kept = all(torch.equal(state[n], t) for n, t in module.state_dict().items())
            rows.append(
                {
                    "module": name,
                    "precision": str(dtype).removeprefix("torch."),
                    **said,
                    "state": "as it was" if kept else "CHANGED",
                    "s": round(time.process_time() - start, 3),
                }
            )
    write_csv(rows, RESULT, provenance=of_search(0))
    bad = [r for r in rows if any(str(v).startswith(("WRONG", "CHANGED")) for v in r.values())]
    print(f"{len(rows)} rows of {len(rows) // 2} modules, {len(bad)} wrong")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
