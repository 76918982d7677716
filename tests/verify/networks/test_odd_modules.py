"""Modules that somebody writes one day: the fast trace is that of per-sample Jacobians, or there is an error.

Each is small, so that where its paths can be enumerated all path sums are compared with the enumeration, too.
"""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from theory.saliency import scores as theory_scores
from theory.scalars import floats
from verify.networks.claims.assumptions import assumptions
from verify.networks.exact.to_graph import network_on_data
from verify.networks.ntk.jacobians import jacobian_squares
from verify.networks.ntk.trace import ntk_trace, trace_plan
from verify.networks.paths.bound import path_bound
from verify.networks.recording.graph import NotCovered as NotCovered
from verify.networks.recording.record import record_for
from verify.networks.scores import prune as masks
from verify.networks.scores.methods import METHODS, activation_per_output, saliency

L, D = nn.Linear, torch.float64


class M(nn.Module):
    """A module from a function of itself and its input, and its parts."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            if isinstance(part, torch.Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def P(*shape):
    """A parameter."""
    return nn.Parameter(torch.randn(*shape))


def vrelu(h):
    """ReLU in place through a view."""
    F.relu_(h.view(-1, 2, 2))
    return h


def modules():
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


with torch.random.fork_rng(devices=[]):
    torch.manual_seed(0)
    MODULES = modules()
    for _module, _ in MODULES.values():
        _module.double().eval()
        for _m in _module.modules():
            if isinstance(_m, nn.BatchNorm1d | nn.BatchNorm2d):
                _m.running_mean.normal_()
                _m.running_var.uniform_(0.5, 2)
                if _m.weight is not None:
                    nn.init.normal_(_m.weight)


def inputs(shape, samples=4, seed=1):
    return torch.randn(samples, *shape, generator=torch.Generator().manual_seed(seed), dtype=D)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODULES)
def test_trace_is_that_of_jacobians_and_path_sums_are_those_of_the_enumeration(name):
    module, shape = MODULES[name]
    x = inputs(shape)
    want = jacobian_squares(module, x)
    got = ntk_trace(module, x, per_output=True, per_sample=True)
    assert torch.allclose(got, want, rtol=1e-11, atol=1e-11 * max(1.0, float(want.max())))
    try:
        sums = path_bound(module, x)
    except ValueError:
        return
    try:
        other = float(activation_per_output(module, x).true().sum())
    except ValueError:
        other = float(sums.activation)
    assert math.isclose(other, float(sums.activation), rel_tol=1e-11)
    try:
        exact = network_on_data(module, x)
    except ValueError:
        return
    if exact.network.parameters == 0:
        return
    for mine, theirs in (
        (sums.activation_per_output, exact.activation_per_output()),
        (sums.objective_per_output, exact.objective_per_output()),
        (sums.kernel_per_output, exact.kernel_per_output()),
    ):
        assert np.allclose(mine.numpy(), floats(theirs), rtol=1e-10, atol=1e-12 * float(mine.max()))
    assert math.isclose(float(want.sum()), float(floats(exact.ntk_trace())), rel_tol=1e-10)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODULES)
def test_path_scores_are_those_of_the_enumeration(name):
    module, shape = MODULES[name]
    x = inputs(shape, 2)
    try:
        path_bound(module, x)
    except ValueError:
        return
    exact = network_on_data(module, x)
    if exact.network.parameters == 0 or len(exact.paths) > 3000:
        return
    theta, points = floats(exact.theta), floats(exact.x)
    for method in ("synflow", "synflow-l2", "px", "path-energy", "px-per-sample"):
        want = floats(theory_scores(exact.network, theta, points, method))
        found = saliency(module, method, x, scored="all", rescale=False)
        got = torch.cat([v.flatten() for v in found.values()]).numpy()
        assert np.abs(got - want).max() <= 1e-10 * max(1.0, np.abs(want).max()), method


@pytest.mark.filterwarnings("ignore")
def test_most_of_them_are_swept_and_enumerated():
    """That the test above has something to test."""
    plans, enumerated = [], 0
    for module, shape in MODULES.values():
        x = inputs(shape)
        try:
            plans.append(trace_plan(record_for(module, x)).method)
            enumerated += network_on_data(module, x).network.parameters > 0
        except ValueError:
            pass
    assert plans.count("sweep") > 60
    assert plans.count("jacobian") > 15
    assert enumerated > 35


class Straight(torch.autograd.Function):
    """Signs, with the gradient of the identity."""

    @staticmethod
    def forward(ctx, x):
        return x.sign()

    @staticmethod
    def backward(ctx, g):
        return g


def without_gradients(m, x):
    with torch.no_grad():
        return F.relu(m.a(x))


@pytest.mark.parametrize(
    "function", [lambda m, x: m.b(Straight.apply(m.a(x))), lambda m, x: m.b(without_gradients(m, x))]
)
def test_gradients_that_are_stopped_or_replaced_are_those_of_autograd(function):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = M(function, a=L(3, 4), b=L(4, 2)).double().eval()
    x = inputs((3,))
    with pytest.raises(NotCovered, match="runs with gradients switched off"):
        record_for(module, x)
    got = ntk_trace(module, x, per_output=True, per_sample=True)
    assert torch.allclose(got, jacobian_squares(module, x), rtol=1e-12)
    # One backward pass by hand, so that the peer is not trusted blindly.
    g = torch.autograd.grad(module(x)[0, 0], list(module.parameters()), materialize_grads=True)
    assert float(got[0, 0]) == pytest.approx(sum(float(p.square().sum()) for p in g))
    assert not assumptions(module, x).holds("static-graph")


def test_what_only_looks_at_data_without_gradients_is_followed():
    """Indices computed under no_grad are no values."""

    def function(m, x):
        with torch.no_grad():
            order = torch.arange(4, device=x.device).flip(0)
        return m.b(F.relu(m.a(x))[:, order])

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = M(function, a=L(3, 4), b=L(4, 2)).double().eval()
    x = inputs((3,))
    assert record_for(module, x).reproduces(module, x)
    assert torch.allclose(ntk_trace(module, x), jacobian_squares(module, x).sum(), rtol=1e-12)


class Keeps(nn.Module):
    """Keeps what it computed from its parameters until its mode is set, as LeViT's attention does."""

    def __init__(self):
        super().__init__()
        self.a, self.w, self.kept = L(3, 4), P(2, 4), None

    def train(self, mode=True):
        self.kept = None
        return super().train(mode)

    def forward(self, x):
        if self.kept is None:
            self.kept = 2 * self.w
        return F.relu(self.a(x)) @ self.kept.T


def test_what_a_module_keeps_between_calls_is_dropped_before_each():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Keeps().double().eval()
    x = inputs((3,))
    with torch.no_grad():
        module(x)
        module.w *= 2
    fresh = M(lambda m, x: F.relu(m.a(x)) @ (2 * m.w).T, a=module.a, w=module.w)
    assert torch.allclose(ntk_trace(module, x), ntk_trace(fresh, x), rtol=1e-12)


class KeepsMatrix(Keeps):
    def forward(self, x):
        if self.kept is None:
            self.kept = self.w.T
        return F.relu(self.a(x)) @ self.kept


def test_what_a_module_keeps_does_not_reach_the_next_evaluation():
    """Path sums put other tensors in the place of parameters, one evaluation after the other."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = KeepsMatrix().double().eval()
    x = inputs((3,))
    fresh = nn.Sequential(module.a, nn.ReLU(), L(4, 2, bias=False)).double().eval()
    fresh[2].weight.data = module.w.data
    for _ in range(2):
        got, want = (saliency(m, "px", x, rescale=False) for m in (module, fresh))
        assert torch.allclose(got["w"], want["2.weight"], rtol=1e-12)
        assert torch.allclose(got["a.weight"], want["0.weight"], rtol=1e-12)
    assert torch.equal(module(x), fresh(x))


MIXES = {
    "mean": lambda m, x: m.b(F.relu(m.a(x)) - F.relu(m.a(x)).mean(0)),
    "flip": lambda m, x: m.b(F.relu(m.a(x))).flip(0),
    "roll": lambda m, x: torch.roll(m.b(F.relu(m.a(x))), 1, 0),
    "softmax": lambda m, x: torch.softmax(m.b(F.relu(m.a(x))), 0),
    "sort": lambda m, x: m.b(F.relu(m.a(x))).sort(0)[0],
}


@pytest.mark.parametrize("samples", [1, 2, 3, 5])
@pytest.mark.parametrize("name", MIXES)
def test_what_mixes_samples_is_refused(name, samples):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = M(MIXES[name], a=L(3, 8), b=L(8, 2)).double().eval()
    x = inputs((3,), samples)
    for quantity in (ntk_trace, path_bound):
        with pytest.raises(ValueError, match="depends on the rest of the batch"):
            quantity(module, x)
    assert not assumptions(module, x).holds("piecewise-linear")


def test_modules_that_break_on_one_sample_are_refused_where_one_is_needed():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = M(lambda m, x: m.b(F.relu(m.a(x[:, None])).squeeze()), a=L(3, 4), b=L(4, 2)).double().eval()
    x = inputs((3,))
    good = M(lambda m, x: m.b(F.relu(m.a(x))), a=module.a, b=module.b)
    assert torch.allclose(ntk_trace(module, x), ntk_trace(good, x), rtol=1e-12)
    with pytest.raises(ValueError, match=r"maps one sample to shape \(2,\)"):
        jacobian_squares(module, x)


def test_a_module_that_returns_its_input_has_no_kernel():
    module = M(lambda m, x: x, a=L(3, 4)).double().eval()
    assert float(ntk_trace(module, inputs((3,)))) == 0


@pytest.mark.filterwarnings("ignore")
def test_pruning_is_the_same_compiled_and_call_by_call(monkeypatch):
    """On every odd module on which both ways know what to do."""
    compared = 0
    for module, shape in MODULES.values():
        for method in ("synflow", "px"):
            runs = []
            for first in (1, 10**9):
                monkeypatch.setattr(masks, "COMPILED_FROM", first)
                try:
                    runs.append(masks.prune(module, method, density=0.3, rounds=6, x=inputs(shape)))
                except ValueError:
                    break
            else:
                one, other = runs
                assert all(torch.equal(one[n], other[n]) for n in one)
                compared += 1
    assert compared > 90


@pytest.mark.parametrize("method", METHODS)
def test_scores_of_a_module_that_uses_no_weight_are_zero(method):
    module = M(lambda m, x: x * 2, a=L(3, 4)).double().eval()
    x = inputs((3,))
    found = saliency(module, method, x, torch.tensor([0, 1, 2, 0]))
    if method not in ("magnitude", "random"):
        assert not found["a.weight"].any()
    assert masks.prune(module, method, density=0.5, rounds=6, x=x, y=torch.tensor([0, 1, 2, 0])).kept == 6
