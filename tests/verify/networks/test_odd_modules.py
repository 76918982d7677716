"""Modules that somebody writes one day: the fast trace is that of per-sample Jacobians, or there is an error.

Each is small, so that where its paths can be enumerated all path sums are compared with the enumeration, too.
"""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

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
from verify.studies.odd_modules import L, M, P, built, compared, inputs, modules, more_modules

MODULES = built(modules, torch.float64)
MORE = {dtype: built(more_modules, dtype) for dtype in (torch.float64, torch.float32)}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", range(len(MORE[torch.float64])))
def test_trace_is_that_of_gradients_taken_one_at_a_time(number):
    """Two of the six cases of each module here; results/odd_modules.csv has all of all modules."""
    name = list(MORE[torch.float64])[number]
    for turn, dtype in enumerate(MORE):
        module, shape = MORE[dtype][name]
        said = compared(module, inputs(shape, (1, 2, 4)[(number + turn) % 3], dtype=dtype))
        assert not said.startswith("WRONG"), f"{name} in {dtype}: {said}"


@pytest.mark.filterwarnings("ignore")
def test_there_are_two_hundred_and_few_are_refused():
    assert len(MODULES) + len(MORE[torch.float64]) >= 200
    said = [compared(module, inputs(shape, 2)) for module, shape in MORE[torch.float64].values()]
    assert sum(s.startswith("refused") for s in said) <= 3, said


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
