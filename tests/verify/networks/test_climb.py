"""The gradient of the margin finds what random inputs, scales and masks do not."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.verify.networks.drawn import module_on_data
from theory.claims import Claim, Source, Status, claim_named
from theory.paths import NetworkOnData
from theory.relations import at_most, equal
from verify.networks.claims.climb import FloatOnData, excess
from verify.networks.claims.module_on_data import ModuleOnData
from verify.networks.claims.subject import Subject
from verify.networks.claims.undecided import Undecided


def planted(function):
    return Claim("test/planted", "Planted.", "", Source(None), Status.PROVED, (), NetworkOnData, function)


def net(inputs=60, width=40, outputs=1):
    generator = torch.Generator().manual_seed(0)
    module = nn.Sequential(nn.Linear(inputs, width, bias=False), nn.ReLU(), nn.Linear(width, outputs, bias=False))
    with torch.no_grad():
        for p in module.double().parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64) / p.shape[1] ** 0.5)
    return module, torch.randn(2, inputs, generator=generator, dtype=torch.float64)


def test_float_quantities_are_those_with_bounds():
    for family in ("mlp-bias", "convolution", "residual"):
        module, x = module_on_data(family, 1)
        on = ModuleOnData.of(module, x)
        tensors = {n: t.requires_grad_(n in on.graph.parameters) for n, t in on.tensors.items()}
        fast = FloatOnData(on.graph, tensors, on.x, torch.Generator().manual_seed(0))
        for name in ("ntk_trace", "path_activation", "path_kernel_trace"):
            assert float(getattr(fast, name)().detach()) == pytest.approx(float(getattr(on, name)().mid()), rel=1e-9)
        for name in ("activation_per_output", "kernel_per_output", "objective_per_output"):
            a, b = getattr(fast, name)(), getattr(on, name)()
            np.testing.assert_allclose([float(v.detach()) for v in a], [float(v.mid()) for v in b], rtol=1e-9)


def test_the_excess_is_the_log_of_the_ratio():
    module, x = net()
    on = ModuleOnData.of(module, x)
    tensors = {n: t.requires_grad_() for n, t in on.tensors.items()}
    value = excess(claim_named("path-exclusion/trace-bound"),
                   FloatOnData(on.graph, tensors, on.x, torch.Generator().manual_seed(0)))  # fmt: skip
    ratio = float(on.ntk_trace().mid() / (on.path_activation() * on.path_kernel_trace()).mid())
    assert float(value.detach()) == pytest.approx(np.log(ratio))
    with pytest.raises(Undecided, match="only inequalities"):
        excess(planted(lambda i: equal(i.ntk_trace(), 1)), FloatOnData(on.graph, tensors, on.x, torch.Generator()))


def test_a_constant_of_nine_tenths_is_found_by_the_gradient_only():
    """Equality is reached where one unit is left, aligned with the input, and the last layer is tiny."""
    wrong = planted(lambda i: at_most(i.ntk_trace() * 10, i.path_activation() * i.path_kernel_trace() * 9))
    module, x = net()
    blind = Subject(module, x, climbing=False).falsify(wrong, examples=300)
    assert blind.verdict == "survived"
    assert blind.examples > 100
    seen = Subject(module, x).falsify(wrong, examples=300)
    assert seen.verdict == "refuted"
    assert "climbed" in seen.counterexample
    assert seen.decision.how == "float64 with rounding bound"


def test_the_true_bound_is_not_refuted_where_the_gradient_leads():
    outcome = Subject(*net()).falsify(claim_named("path-exclusion/trace-bound"), examples=20)
    assert outcome.verdict == "survived"
    assert outcome.smallest_margin < 0.5


def test_data_that_is_large_enough_is_found_by_the_gradient_only():
    claim = claim_named("path-exclusion/unsquared-data-bounds")
    module, x = net(outputs=3)
    assert Subject(module, x, climbing=False).falsify(claim, examples=60).verdict == "survived"
    assert Subject(module, x).falsify(claim, examples=60).verdict == "refuted"
