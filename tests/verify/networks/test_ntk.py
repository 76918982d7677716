"""The trace by one sweep against enumeration, and against per-sample Jacobians where enumeration is too slow."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.verify.networks.drawn import FAMILIES, module_on_data
from theory.scalars import floats
from verify.networks.exact.to_graph import network_on_data
from verify.networks.ntk.jacobians import jacobian_squares
from verify.networks.ntk.layers import BLOCK, SMALL, gram_is_cheaper, rows_times, squares
from verify.networks.ntk.trace import Sweep, ntk_trace, ntk_trace_estimate, trace_plan
from verify.networks.recording.record import record


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", FAMILIES)
def test_trace_is_that_of_the_enumeration(family, seed):
    module, x = module_on_data(family, seed)
    assert trace_plan(record(module, x)).method == "sweep"
    instance = network_on_data(module, x)
    j = torch.as_tensor(floats(instance.jacobian()))
    expected = (j * j).sum(-1)
    got = ntk_trace(module, x, per_output=True, per_sample=True)
    assert torch.allclose(got, expected, rtol=1e-12, atol=1e-12), (got, expected)
    assert torch.allclose(ntk_trace(module, x, per_output=True), expected.sum(0), rtol=1e-12, atol=1e-12)
    assert torch.allclose(ntk_trace(module, x, per_sample=True), expected.sum(1), rtol=1e-12, atol=1e-12)
    assert torch.allclose(
        ntk_trace(module, x), torch.as_tensor(float(floats(instance.ntk_trace())), dtype=torch.float64)
    )


class Attention(nn.Module):
    """Unknown operations without parameters (softmax, products) between linear maps over positions."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.head = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, x):
        a = F.softmax(self.q(x) @ self.k(x).transpose(1, 2) / 2, dim=-1)
        h = (a @ self.v(x)).reshape(x.shape[0], -1, 2, 2).transpose(2, 3).flatten(2)
        return self.head(F.gelu(h)).mean(1)


class Shared(nn.Module):
    """One weight used twice: squared norms of its two gradients do not add."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)

    def forward(self, x):
        return self.a(F.relu(self.a(x)))


class Bare(nn.Module):
    """A parameter that belongs to no layer."""

    def __init__(self):
        super().__init__()
        self.a, self.p = nn.Linear(3, 3), nn.Parameter(torch.ones(3))

    def forward(self, x):
        return self.a(x * self.p)


def wide(seed=0):
    """Every structural option of a convolution at a size where both Gram and product forms occur."""
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1, groups=2), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8, bias=False), nn.BatchNorm2d(8), nn.SiLU(),
        nn.Conv2d(8, 12, 1, stride=2), nn.BatchNorm2d(12, affine=False), nn.ReLU(), nn.AvgPool2d(2, 1, 1),
        nn.AdaptiveAvgPool2d((1, 2)), nn.Flatten(), nn.Linear(24, 3, bias=False),
    )  # fmt: skip


def filled(module, seed):
    """The module in evaluation mode with every parameter and buffer from one generator."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, t in [*module.named_parameters(), *module.named_buffers()]:
            if t.is_floating_point():
                t.copy_(torch.rand(t.shape, generator=generator) + 0.5 if "var" in name
                        else torch.randn(t.shape, generator=generator) / 2)  # fmt: skip
    return module.eval()


class Residual(nn.Module):
    """Gradients that several branches share, at sizes where oneDNN's products and scaled gradients are used."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 64, 3, padding=1)
        self.a, self.b = (nn.Conv2d(64, 64, 3, padding=1, bias=False) for _ in range(2))
        self.na, self.nb = nn.BatchNorm2d(64), nn.BatchNorm2d(64)
        self.short, self.ns = nn.Conv2d(64, 64, 1, stride=2, bias=False), nn.BatchNorm2d(64)
        self.c, self.nc = nn.Conv2d(64, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64)
        self.head = nn.Linear(64, 5)

    def forward(self, x):
        h = F.relu(self.first(x))
        h = F.relu(self.nb(self.b(F.relu(self.na(self.a(h))))) + h)
        h = F.relu(self.nc(self.c(h)) + self.ns(self.short(h)))
        h = F.leaky_relu(h + h, 0.1)
        return self.head(h.mean((2, 3)))


@pytest.mark.parametrize("size", [4, 8, 20])
def test_shared_gradients_are_not_overwritten(size):
    module = filled(Residual(), 1)
    with torch.no_grad():
        module.nb.weight[:3] = 0
    x = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(2))
    single = ntk_trace(module, x, per_output=True, per_sample=True)
    expected = jacobian_squares(module.double(), x.double())
    assert torch.allclose(ntk_trace(module, x.double(), per_output=True, per_sample=True), expected, rtol=1e-12, atol=0)
    assert torch.allclose(single, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("length", [3, 512, 1300, 32768])
def test_squares_are_summed_in_blocks(length):
    t = torch.ones(2, length)
    t[1, 0] = 4096.0  # its square and 1 add up to its square in float32: a running sum would lose what follows
    expected = torch.tensor([length, 4096.0**2 + length - 1], dtype=torch.float64)
    assert squares(t).dtype == torch.float64
    # Eight running sums a block; over all 32768 in float32 the loss would be 2.4e-4.
    assert torch.allclose(squares(t), expected, rtol=BLOCK / 8 * 2.0**-24 * 1.1, atol=0)


def test_products_agree_with_double():
    generator = torch.Generator().manual_seed(3)
    a, b = torch.randn(2, 70, 90, generator=generator), torch.randn(2, 80, 90, generator=generator)
    expected = a.double() @ b.double().mT
    assert a[0].numel() * b.shape[1] >= SMALL
    assert torch.allclose(rows_times(a, b).double(), expected, atol=1e-4)
    assert torch.allclose(rows_times(a.double(), b.double()), expected)


@pytest.mark.parametrize(
    ("make", "shape", "method"),
    [(wide, (4, 12, 12), "sweep"), (Attention, (5, 4), "sweep"), (Shared, (3,), "jacobian"), (Bare, (3,), "jacobian")],
)
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_trace_is_that_of_per_sample_jacobians(make, shape, method, dtype, rtol):
    module = filled(make(), 1)
    x = torch.randn(5, *shape, generator=torch.Generator().manual_seed(2))
    expected = jacobian_squares(module.double(), x.double())
    module, x = module.to(dtype), x.to(dtype)
    assert trace_plan(record(module, x)).method == method
    got = ntk_trace(module, x, per_output=True, per_sample=True)
    assert torch.allclose(got, expected, rtol=rtol, atol=0), (got / expected - 1).abs().max()


def test_plan_names_what_forces_jacobians():
    x = torch.ones(2, 3)
    assert trace_plan(record(Shared(), x)).reasons == ("a.weight: used by 2 operations", "a.bias: used by 2 operations")
    assert trace_plan(record(Bare(), x)).reasons == ("the module: mul: no rule for its parameters (p)",)


@pytest.mark.parametrize("memory", [1, 10**4, 10**9])
@pytest.mark.filterwarnings("ignore:one sample takes")
def test_chunks_change_nothing(memory):
    module = filled(wide(), 3).double()
    x = torch.randn(7, 4, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    whole = jacobian_squares(module, x)
    assert torch.allclose(ntk_trace(module, x, per_output=True, per_sample=True, memory=memory), whole, rtol=1e-12)


def test_chunk_follows_the_limit_and_a_backward_pass():
    module = nn.Sequential(nn.Linear(50, 200), nn.ReLU(), nn.Linear(200, 30))
    graph = record(module, torch.ones(2, 50))
    sweep = Sweep(graph, graph.tensors(module), 30)
    chunks = [sweep.chunk(m << 20) for m in (1, 6, 8, 12, 1000)]
    assert chunks[0] == 1
    assert chunks == sorted(chunks)
    assert chunks[3] - chunks[2] == pytest.approx(2 * (chunks[2] - chunks[1]), abs=2)
    assert sweep.chunk(1 << 30, 10) < sweep.chunk(1 << 30, 1000) <= sweep.chunk(1 << 30)


def test_module_is_left_as_it_was():
    module = filled(wide(), 5).train()
    module[1].eval()
    before = {n: t.clone() for n, t in module.state_dict().items()}
    ntk_trace(module, torch.randn(2, 4, 12, 12, generator=torch.Generator().manual_seed(6)))
    assert module.training
    assert [m.training for m in module] == [i != 1 for i in range(len(module))]
    assert all(torch.equal(before[n], t) for n, t in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())


def test_cost_model_prefers_fewer_multiplications():
    assert gram_is_cheaper(rows=5120, inner=4608, positions=4)
    assert not gram_is_cheaper(rows=160, inner=144, positions=1024)


@pytest.mark.parametrize(
    ("module", "x", "message"),
    [
        (nn.ReLU(), torch.ones(2, 3), "no parameters"),
        (nn.Linear(3, 2), torch.ones(0, 3), "at least one sample"),
        (nn.Linear(3, 2), torch.ones(2, 3, dtype=torch.int64), "floating-point"),
    ],
)
def test_bad_arguments(module, x, message):
    with pytest.raises(ValueError, match=message):
        ntk_trace(module, x)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_mean_over_all_signs_is_the_trace(family):
    """Every sign vector once: the estimate is unbiased, sample by sample, with no chance involved."""
    module, x = module_on_data(family, 2)
    graph = record(module, x)
    outputs = math.prod(graph.output_shape)
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=outputs)), dtype=torch.float64)
    weights = signs.reshape(1, -1, *graph.output_shape).expand(len(x), -1, *graph.output_shape)
    with torch.no_grad():
        got = Sweep(graph, graph.tensors(module), len(signs)).squares(x, weights=weights)
    exact = ntk_trace(module, x, per_sample=True)
    assert torch.allclose(got.mean(1), exact, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("memory", [1 << 30, 1])
def test_the_estimate_is_made_of_gradients_of_signed_sums(memory):
    """The same signs, one backward pass for each sample and probe, whatever the chunks."""
    module, _ = module_on_data("convolution", 0)
    x = torch.randn(5, 2, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    probes = 3
    signs = torch.randint(0, 2, (5, probes, 2), generator=torch.Generator().manual_seed(7)) * 2 - 1
    rows = []
    for sample, own in zip(x, signs, strict=True):
        for s in own:
            g = torch.autograd.grad((module(sample[None])[0] * s).sum(), list(module.parameters()))
            rows.append(sum(float(p.square().sum()) for p in g))
    table = torch.tensor(rows, dtype=torch.float64).reshape(5, probes)
    found = ntk_trace_estimate(module, x, probes=probes, seed=7, memory=memory)
    assert found.value == pytest.approx(float(table.mean(1).sum()), rel=1e-12)
    assert found.standard_error == pytest.approx(float((table.var(1).sum() / probes).sqrt()), rel=1e-9)


def test_estimates_of_one_output_and_of_what_the_sweep_does_not_cover_are_exact():
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        one, shared = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 1)).double(), Shared().double()
    found = ntk_trace_estimate(one, x, probes=2)
    assert found.value == pytest.approx(float(ntk_trace(one, x)), rel=1e-12)
    assert found.standard_error == pytest.approx(0, abs=1e-9)
    assert math.isnan(ntk_trace_estimate(one, x, probes=1).standard_error)
    fallback = ntk_trace_estimate(shared, x)
    assert fallback.value == pytest.approx(float(ntk_trace(shared, x)), rel=1e-12)
    assert fallback.standard_error == 0
    with pytest.raises(ValueError, match="probes must be at least 1; got 0"):
        ntk_trace_estimate(one, x, probes=0)
