"""Modules that a record of calls, or torch's own rules, would get wrong: the right number, or an error of one line.

The right number is from a loop of plain backward passes, written here and sharing nothing with the package.
"""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune as torch_prune
from torch.nn.utils import rnn

import verify
from verify.networks.exact.to_graph import network_on_data
from verify.networks.recording.graph import NotCovered
from verify.networks.scores.methods import METHODS

L = nn.Linear


def loop(module, x):
    """Squared gradient norms by every parameter, (N, K), one backward pass each."""
    rows = []
    for p in module.parameters():
        p.requires_grad_()
    for n in range(len(x)):
        out = module.eval()(x[n : n + 1]).reshape(-1)
        row = []
        for k in range(len(out)):
            g = torch.autograd.grad(out[k], list(module.parameters()), retain_graph=True, allow_unused=True)
            row.append(sum(float(a.double().square().sum()) for a in g if a is not None))
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


class M(nn.Module):
    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def two(**more):
    return {"a": L(3, 4), "b": L(4, 2), **more}


def traced():
    return torch.jit.trace(nn.Sequential(L(3, 4), nn.Tanh()), torch.zeros(2, 3))


def hooked(m, x):
    h = m.a(x)
    if h.requires_grad:
        h.register_hook(lambda g: 3 * g)
    return m.b(F.relu(h))


def through_numpy(m, x):
    return m.b(F.relu(m.a(x)) + torch.from_numpy(x.detach().numpy())[:, :1])


def through_dlpack(m, x):
    return m.b(F.relu(m.a(x)) + torch.from_dlpack(np.from_dlpack(x.detach()))[:, :1])


def masked_attention(m, x):
    scores = m.q(x) @ m.k(x).transpose(1, 2)
    mask = torch.full((5, 5), -math.inf).triu(1)
    return m.b((torch.softmax(scores + mask, -1) @ m.v(x)).mean(1))


def written_mask(m, x):
    mask = torch.zeros(4)
    mask[1:3] = 2
    return m.b(F.relu(m.a(x)) * mask)


def packed(m, x):
    out, _ = m.rnn(rnn.pack_padded_sequence(x, torch.full((len(x),), 5), batch_first=True))
    return m.b(rnn.pad_packed_sequence(out, batch_first=True)[0][:, -1])


def last(m, x):
    return m.b(m.rnn(x)[0][:, -1])


def sampled(m, x):
    axis = torch.linspace(-1, 1, 3, dtype=x.dtype)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    return m.b(F.grid_sample(m.a(x), grid.expand(len(x), -1, -1, -1), align_corners=True).flatten(1))


def unpooled(m, x):
    h, where = F.max_pool2d(m.a(x), 2, return_indices=True)
    return m.b(F.max_unpool2d(h, where, 2).flatten(1))


def decides(m, x):
    return m.b(F.relu(m.a(x))) if float(x.sum()) > 0 else m.b(m.a(x))


RIGHT = {
    "number as a tensor": (lambda m, x: m.b(F.relu(m.a(x)) * torch.tensor(0.5)), two, (3,)),
    "identity matrix": (lambda m, x: m.b(F.relu(m.a(x)) @ torch.eye(4, dtype=x.dtype)), two, (3,)),
    "index by arange": (lambda m, x: m.b(F.relu(m.a(x))[:, torch.arange(4).flip(0)]), two, (3,)),
    "index of samples": (lambda m, x: m.b(F.relu(m.a(x))[torch.arange(len(x))]), two, (3,)),
    "attention mask": (masked_attention, lambda: {"q": L(4, 4), "k": L(4, 4), "v": L(4, 4), "b": L(4, 2)}, (5, 4)),
    "mask written by index": (written_mask, two, (3,)),
    "zeros for a batch": (lambda m, x: m.b(F.relu(m.a(x)) + torch.zeros(len(x), 4, dtype=x.dtype)), two, (3,)),
    "part of a convolution, normalised": (
        lambda m, x: m.b((lambda p, q: F.relu(m.n(p)) * q)(*m.a(x).chunk(2, 1)).flatten(1)),
        lambda: {"a": nn.Conv2d(2, 4, 3, padding=1), "n": nn.BatchNorm2d(2), "b": L(32, 2)},
        (2, 4, 4),
    ),
    "lstm": (last, lambda: {"rnn": nn.LSTM(3, 4, batch_first=True), "b": L(4, 2)}, (5, 3)),
    "gru": (last, lambda: {"rnn": nn.GRU(3, 4, batch_first=True), "b": L(4, 2)}, (5, 3)),
    "rnn": (last, lambda: {"rnn": nn.RNN(3, 4, batch_first=True), "b": L(4, 2)}, (5, 3)),
    "packed": (packed, lambda: {"rnn": nn.LSTM(3, 4, batch_first=True), "b": L(4, 2)}, (5, 3)),
    "grid sample": (sampled, lambda: {"a": nn.Conv2d(2, 3, 3, padding=1), "b": L(27, 2)}, (2, 4, 4)),
    "unpooling": (unpooled, lambda: {"a": nn.Conv2d(2, 3, 3, padding=1), "b": L(48, 2)}, (2, 4, 4)),
    "cdist": (lambda m, x: m.b(torch.cdist(m.a(x)[:, None], m.c.expand(len(x), -1, -1))[:, 0]),
              lambda: two(c=nn.Parameter(torch.randn(4, 4))), (3,)),
    "cdist of two": (
        lambda m, x: torch.cdist(m.a(x)[:, None], m.a(2 * x)[:, None] + 1)[:, 0], lambda: {"a": L(3, 4)}, (3,)
    ),
    "traced": (lambda m, x: m.b(m.a(x)), lambda: {"a": traced(), "b": L(4, 2)}, (3,)),
    "gradient hook": (hooked, two, (3,)),
    "numpy": (through_numpy, two, (3,)),
    "dlpack": (through_dlpack, two, (3,)),
    "decides on data": (decides, two, (3,)),
    "leaky": (lambda m, x: m.b(F.leaky_relu(m.a(x), 0.01)), two, (3,)),
    "argmax": (lambda m, x: m.b(m.a(x) * F.one_hot(m.a(x).argmax(1), 4)), two, (3,)),
    "pruned by torch": (lambda m, x: m.b(F.relu(m.a(x))), lambda: two(), (3,)),
    "a parameter unused": (lambda m, x: m.a(x), two, (3,)),
    "autocast": (lambda m, x: autocast(m, x), two, (3,)),
}  # fmt: skip


def autocast(m, x):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return m.b(F.relu(m.a(x))).to(x.dtype)


def module_of(name, dtype):
    function, parts, shape = RIGHT[name]
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(3)
        module = M(function, **parts()).to(dtype).eval()
        if name == "pruned by torch":
            torch_prune.l1_unstructured(module.a, "weight", 0.5)
    return module, shape


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("samples", [1, 2, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", RIGHT)
def test_the_trace_is_that_of_a_loop(name, dtype, samples):
    module, shape = module_of(name, dtype)
    x = torch.randn(samples, *shape, generator=torch.Generator().manual_seed(samples)).to(dtype)
    want = loop(module, x)
    got = verify.ntk_trace(module, x, per_output=True, per_sample=True)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-11
    if name == "autocast":
        tolerance = 1e-2
    assert torch.allclose(got, want, rtol=tolerance, atol=tolerance * float(want.max()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", RIGHT)
def test_quantities_of_paths_are_those_of_the_module_or_refused(name):
    module, shape = module_of(name, torch.float64)
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(2)).double()
    y = torch.tensor([0, 1])
    report = verify.assumptions(module, x)
    for quantity in (verify.path_bound, *(lambda m, x, k=k: verify.saliency(m, k, x, y) for k in METHODS)):
        error = None
        try:
            got = quantity(module, x)
        except ValueError as e:
            error = str(e)
        assert error is None or "\n" not in error
        if error is None and quantity is verify.path_bound:
            assert report.holds("piecewise-linear")
            trace = verify.ntk_trace(module, x, per_output=True)
            assert bool((trace <= got.per_output * (1 + 1e-12)).all())


def px(m, x):
    return verify.saliency(m, "px", x)


def prune_px(m, x):
    return verify.prune(m, "px", keep=3, x=x)


def random_output(m, x):
    return m.b(F.relu(m.a(x)) * torch.rand(4))


REFUSED = {
    "dropout left on": (lambda m, x: m.b(F.dropout(m.a(x), 0.5)), "`dropout` draws random numbers"),
    "random factors": (random_output, "`rand` draws random numbers"),
    "labels": (lambda m, x: m.b(m.a(x)).argmax(1), "returns torch.int64: real numbers"),
    "complex": (lambda m, x: torch.fft.fft(m.b(m.a(x))), "returns torch.complex"),
    "no outputs": (lambda m, x: m.b(m.a(x))[:, :0], "returns no numbers"),
    "a pair": (lambda m, x: (m.a(x), m.b(m.a(x))), "returns tuple, not a tensor"),
    "fails": (lambda m, x: m.b(x), r"does not run on inputs of shape \(4, 3\): mat1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_function_of_a_sample_is_refused_everywhere(name):
    function, words = REFUSED[name]
    module, x = M(function, **two()), torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    for quantity in (verify.ntk_trace, verify.ntk_trace_estimate, verify.path_bound, px, prune_px):
        with pytest.raises(ValueError, match=words):
            quantity(module, x)
    assert verify.assumptions(module, x).reasons


INPUTS = {
    "a dictionary": ({"x": torch.ones(1, 3)}, "floating-point tensor; got dict"),
    "a list": ([[1.0]], "floating-point tensor; got list"),
    "nothing": (None, "NoneType|give x"),
    "integers": (torch.ones(1, 3, dtype=torch.long), "floating-point tensor; got torch.int64"),
    "no samples": (torch.ones(0, 3), "at least one sample"),
    "a number": (torch.tensor(1.0), "at least one sample|does not run"),
    "meta": (torch.ones(1, 3, device="meta"), "meta device"),
    "sparse": (torch.ones(1, 3).to_sparse(), "layout"),
    "another shape": (torch.ones(1, 5), "does not run on inputs of shape"),
    "not finite": (torch.full((1, 3), math.nan), "NaN"),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_that_cannot_be_used(name):
    x, words = INPUTS[name]
    module = nn.Sequential(L(3, 4), nn.ReLU(), L(4, 2))
    for quantity in (verify.ntk_trace, verify.path_bound, px, prune_px):
        with pytest.raises(ValueError, match=words):
            quantity(module, x)


MODULES = {
    "complex": (nn.Linear(3, 2, dtype=torch.complex64), "real numbers in floating point are needed"),
    "meta": (nn.Linear(3, 2, device="meta"), "meta device"),
    "lazy": (nn.LazyLinear(2), "not initialised yet"),
    "no parameters": (nn.ReLU(), "has no parameters|no weights"),
    "empty": (nn.Sequential(), "has no parameters|no weights"),
    "not finite": (None, "parameter weight holds NaN"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODULES)
def test_parameters_that_cannot_be_used(name):
    module, words = MODULES[name]
    if module is None:
        module = L(3, 2)
        module.weight.data[0, 0] = math.nan
    for quantity in (verify.ntk_trace, verify.path_bound, lambda m, x: verify.saliency(m, "px", x)):
        with pytest.raises(ValueError, match=words):
            quantity(module, torch.ones(1, 3))


def scaling(_m, given, _out):
    return tuple(None if g is None else 3 * g for g in given)


@pytest.mark.parametrize("hook", ["module", "parameter"])
@pytest.mark.parametrize("seed", [0, 17])
def test_hooks_that_change_gradients(hook, seed):
    """The trace is that of the gradients that autograd gives; path quantities are refused.

    With seed 17 no unit is on at the last sample: a comparison there would not see the hook.
    """
    torch.manual_seed(seed)
    module = nn.Sequential(L(3, 4), nn.ReLU(), L(4, 2)).double()
    if hook == "module":
        module[1].register_full_backward_hook(scaling)
    else:
        module[0].weight.register_hook(lambda g: 3 * g)
    x = torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).double()
    got = verify.ntk_trace(module, x, per_output=True, per_sample=True)
    assert torch.allclose(got, loop(module, x), rtol=1e-10)
    with pytest.raises(NotCovered, match="has a hook that may change its gradient"):
        verify.path_bound(module, x)
    assert not verify.assumptions(module, x).holds("static-graph")


class Causal(nn.Module):
    """Attention with its mask of -inf as a buffer."""

    def __init__(self):
        super().__init__()
        self.q, self.b = L(4, 4), L(4, 2)
        self.register_buffer("mask", torch.full((5, 5), -math.inf).triu(1))

    def forward(self, x):
        return self.b((torch.softmax(self.q(x) @ x.transpose(1, 2) + self.mask, -1) @ x).mean(1))


def test_a_mask_of_infinities_is_no_mistake():
    module, x = Causal().double(), torch.randn(3, 5, 4).double()
    assert torch.allclose(verify.ntk_trace(module, x, per_output=True, per_sample=True), loop(module, x), rtol=1e-10)
    assert verify.saliency(module, "snip", x, torch.tensor([0, 1, 0]))["q.weight"].isfinite().all()


def test_masks_of_torch_are_masks():
    """As if the masked weights were not there: the bound is that of the enumeration, masked weights score 0."""
    module = nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), L(8, 3), nn.ReLU(), L(3, 2)).double()
    x = torch.randn(2, 1, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    torch_prune.l1_unstructured(module[0], "weight", 0.5)
    torch_prune.l1_unstructured(module[3], "weight", 0.3)
    assert verify.assumptions(module, x).holds("piecewise-linear")
    bound, exact = verify.path_bound(module, x), network_on_data(module, x)
    for mine, theirs in (
        (bound.activation_per_output, exact.activation_per_output()),
        (bound.objective_per_output, exact.objective_per_output()),
        (bound.kernel_per_output, exact.kernel_per_output()),
    ):
        assert np.allclose(mine.numpy(), [float(v) for v in theirs], rtol=1e-12)
    found = verify.saliency(module, "px", x)
    assert torch.equal(found["0.weight_orig"] > 0, module[0].weight_mask.bool() & (found["0.weight_orig"] > 0))
    assert not found["3.weight_orig"][module[3].weight_mask == 0].any()
    trace = verify.ntk_trace(module, x, per_output=True, per_sample=True)
    assert torch.allclose(trace, loop(module, x), rtol=1e-10)


def test_a_weight_twice_on_a_path_is_refused():
    """Eight uses of one weight: the bound would have been 0.054 for a trace of 0.434."""
    a = L(2, 2, bias=False)
    module = nn.Sequential(*[a] * 8)
    x = torch.ones(1, 2)
    for quantity in (verify.path_bound, lambda m, x: verify.saliency(m, "synflow", x)):
        with pytest.raises(NotCovered, match="weight stands twice on a path"):
            quantity(module, x)
    assert torch.allclose(verify.ntk_trace(module, x, per_output=True, per_sample=True), loop(module, x), rtol=1e-5)


@pytest.mark.parametrize("memory", [0, -1])
def test_memory_limits_are_positive(memory):
    for quantity in (verify.ntk_trace, verify.ntk_trace_estimate):
        with pytest.raises(ValueError, match=f"must be positive; got {memory}"):
            quantity(L(3, 2), torch.ones(1, 3), memory=memory)


def test_a_limit_that_cannot_be_met_says_so():
    with pytest.warns(UserWarning, match="one sample takes about .* ntk_trace_estimate"):
        verify.ntk_trace(L(3, 2), torch.ones(1, 3), memory=1)


def test_frozen_parameters_are_scored_like_others():
    module, x, y = nn.Sequential(L(3, 4), nn.ReLU(), L(4, 2)), torch.randn(4, 3), torch.tensor([0, 1, 0, 1])
    want = {k: verify.saliency(module, k, x, y) for k in METHODS}
    module.requires_grad_(False)
    for k, scores in want.items():
        got = verify.saliency(module, k, x, y)
        assert all(torch.equal(got[n], s) for n, s in scores.items())


def test_inside_inference_mode():
    module, x = nn.Sequential(L(3, 4), nn.ReLU(), L(4, 2)), torch.randn(4, 3)
    want = verify.ntk_trace(module, x), verify.saliency(module, "px", x)
    with torch.inference_mode():
        got = verify.ntk_trace(module, x), verify.saliency(module, "px", x)
    assert torch.equal(got[0], want[0])
    assert all(torch.equal(got[1][n], s) for n, s in want[1].items())
