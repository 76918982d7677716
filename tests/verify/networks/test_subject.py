"""Modules as subjects of claims: balls that hold the exact numbers, and right verdicts."""

import numpy as np
import pytest
import torch
from flint import arb
from torch import nn

from tests.verify.networks.drawn import FAMILIES, module_on_data
from theory.claims import Claim, Source, Status, claim_named
from theory.paths import NetworkOnData
from theory.relations import at_most, equal
from theory.scalars import exact
from verify.experiments.models import subject
from verify.networks.claims.module_on_data import ModuleOnData
from verify.networks.claims.subject import Subject
from verify.networks.claims.undecided import Undecided
from verify.networks.exact.to_graph import network_on_data
from verify.search.loop import falsify

TRACE_BOUND = claim_named("path-exclusion/trace-bound")


def rough(family, seed):
    """A drawn module whose numbers round: every one divided by 3 or 7 in float64."""
    module, x = module_on_data(family, seed)
    with torch.no_grad():
        for i, p in enumerate(module.parameters()):
            p.div_(3 + 4 * (i % 2))
    return module, x / 3


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("family", FAMILIES)
def test_balls_hold_the_exact_numbers_and_are_narrow(family, seed):
    module, x = next(
        m for s in range(10 * seed, 10 * seed + 10) if not ModuleOnData.of(*(m := rough(family, s))).on_kink()
    )
    instance, subject = network_on_data(module, x), ModuleOnData.of(module, x)
    for name in ("outputs", "ntk_trace_per_output", "activation_per_output", "kernel_per_output",
                 "objective_per_output", "ntk_trace", "path_activation", "path_kernel_trace"):  # fmt: skip
        balls, numbers = np.asarray(getattr(subject, name)()), np.asarray(exact(getattr(instance, name)()))
        assert balls.shape == numbers.shape
        for ball, number in zip(balls.ravel(), numbers.ravel(), strict=True):
            assert ball.overlaps(arb(number)), (name, ball, number)
            assert ball.rad() < 1e-10 * (1 + abs(ball.mid()))


def test_rounding_bounds_are_not_zero():
    module, x = rough("mlp", 1)
    assert ModuleOnData.of(module, x).ntk_trace().rad() > 0


def test_cancellation_is_covered():
    """Output 10^8 (a - a'), a and a' nearly equal: the bound must grow with what cancels."""
    module = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False)).double()
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[0.1, 0.3], [0.1, 0.3 + 1e-9]]))
        module[2].weight.copy_(torch.tensor([[1e8, -1e8]]))
    x = torch.tensor([[0.7, 1.1]], dtype=torch.float64)
    subject, instance = ModuleOnData.of(module, x), network_on_data(module, x)
    assert subject.outputs()[0, 0].overlaps(arb(instance.outputs()[0, 0]))
    assert 1e-9 < subject.outputs()[0, 0].rad() < 1e-5


def test_enumeration_is_refused_by_name():
    module, x = rough("mlp", 0)
    with pytest.raises(Undecided, match="path_values"):
        ModuleOnData.of(module, x).path_values()


def planted(function, about=NetworkOnData):
    return Claim("test/planted", "Planted.", "", Source(None), Status.PROVED, TRACE_BOUND.assumptions, about, function)


def wide(seed=0, act=nn.ReLU):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(20, 40), act(), nn.Linear(40, 40), act(), nn.Linear(40, 3)).eval()
        return module, torch.randn(4, 20)


def test_small_modules_are_searched_exactly():
    module, x = module_on_data("mlp-bias", 1)
    outcome = falsify(TRACE_BOUND, on=Subject(module, x, "mine"), examples=30)
    assert (outcome.verdict, outcome.hows, outcome.on) == ("survived", "rational", "mine")
    assert outcome.examples > 5


def test_small_modules_give_certificates():
    false = planted(lambda i: at_most(2 * i.path_activation() * i.path_kernel_trace(), i.ntk_trace()))
    module, x = module_on_data("mlp", 2)
    outcome = Subject(module, x).falsify(false, examples=30)
    assert outcome.verdict == "refuted"
    assert outcome.certificate["setting"] == "NetworkOnData"
    assert outcome.decision.lhs > outcome.decision.rhs


def test_large_modules_are_decided_by_rounding_bounds():
    module, x = wide()
    subject = Subject(module, x)
    outcome = falsify(TRACE_BOUND, on=subject, examples=10)
    assert (outcome.verdict, outcome.hows) == ("survived", "float64 with rounding bound")
    assert outcome.examples > 3
    false = planted(lambda i: at_most(i.path_activation() * i.path_kernel_trace(), i.ntk_trace()))
    refuted = subject.falsify(false, examples=10)
    assert refuted.verdict == "refuted"
    assert refuted.decision.margin < -0.5


def test_what_rounding_leaves_open_is_undecided():
    module, x = wide()
    close = planted(lambda i: at_most(i.ntk_trace(), i.ntk_trace() * (1 - arb(10) ** -300)))
    outcome = Subject(module, x).falsify(close, examples=3)
    assert outcome.verdict == "undecided"
    assert any("closer to equality than the rounding bound" in r for r in outcome.reasons)


def test_not_applicable_says_where_why_and_what_happens_all_the_same():
    module, x = wide(act=nn.GELU)
    outcome = falsify(TRACE_BOUND, on=Subject(module, x), examples=3)
    assert outcome.verdict == "not applicable"
    assert outcome.reasons[:2] == [
        "piecewise-linear: 1: GELU is not piecewise linear", "piecewise-linear: 3: GELU is not piecewise linear",
    ]  # fmt: skip
    assert "the conclusion holds" in outcome.reasons[2]
    false = planted(lambda i: at_most(i.path_activation() * i.path_kernel_trace(), i.ntk_trace()))
    assert "the conclusion fails" in Subject(module, x).falsify(false, examples=3).reasons[2]


def test_training_mode_is_not_applicable():
    module = nn.Sequential(nn.Linear(20, 40), nn.BatchNorm1d(40), nn.ReLU(), nn.Linear(40, 3))
    outcome = falsify(TRACE_BOUND, on=Subject(module, wide()[1]), examples=3)
    assert outcome.verdict == "not applicable"
    assert outcome.reasons[0] == "evaluation-mode: 1: BatchNorm1d in training mode uses the batch's statistics"


def test_claims_about_other_things_are_not_applicable():
    class Other(NetworkOnData):
        title = "sketch"

    outcome = Subject(*wide()).falsify(planted(lambda i: equal(1, 1), about=Other))
    assert outcome.verdict == "not applicable"
    assert "about a sketch" in outcome.reasons[0]


def test_needs_of_enumeration_are_undecided_on_large_modules():
    outcome = falsify("path-exclusion/chain-rule", on=Subject(*wide()), examples=3)
    assert outcome.verdict == "undecided"
    assert outcome.reasons[0].startswith("its right side is a sum over all pairs of paths: only small piecewise-linear")


def test_same_seed_same_outcome():
    a, b = (Subject(*wide()).falsify(TRACE_BOUND, examples=6, seed=3) for _ in range(2))
    assert (a.smallest_margin, a.examples, a.reasons) == (b.smallest_margin, b.examples, b.reasons)


@pytest.mark.parametrize("seed", range(3))
def test_sparse_weights_do_not_break_the_bound(seed):
    """A zero weight still has a derivative: leaving its paths out of the bound once put it below the trace."""
    generator = torch.Generator().manual_seed(seed)
    module = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).double()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64) / 4)
    x = torch.randn(8, 64, generator=generator, dtype=torch.float64)
    outcome = Subject(module, x).falsify(TRACE_BOUND, examples=300, seed=seed)
    assert outcome.verdict == "survived", outcome.decision


def test_chunks_of_samples_change_nothing(monkeypatch):
    module, x = rough("convolution", 2)
    whole = ModuleOnData.of(module, x).ntk_trace()
    monkeypatch.setattr("verify.networks.claims.module_on_data.MEMORY", 1)
    pieces = ModuleOnData.of(module, x).ntk_trace()
    assert whole.overlaps(pieces)
    assert pieces.rad() <= 2 * whole.rad()


def test_a_device_that_is_not_there_is_one_line():
    with pytest.raises(ValueError, match=r"^no device 'mps' here \(.*\); --device cpu always works$"):
        subject("zoo:linear", device="mps")
    with pytest.raises(ValueError, match="no device 'abacus' here"):
        subject("zoo:linear", device="abacus")


class Shared(nn.Module):
    """Two branches with the same weights: no parameter stands twice on one path."""

    def __init__(self, width=2):
        super().__init__()
        self.b, self.c = nn.Linear(width, width), nn.Linear(width, 2)

    def forward(self, x):
        return self.c(self.b(x).relu()) + self.c(self.b(-x).relu())


def test_traces_of_shared_parameters_have_a_rounding_bound():
    module, x = Shared().double(), torch.tensor([[1.0, 2.0], [-3.0, 0.5]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64) / 3)
    ball, number = ModuleOnData.of(module, x).ntk_trace(), network_on_data(module, x).ntk_trace()
    assert ball.overlaps(arb(number))
    assert 0 < ball.rad() < 1e-10 * ball.mid()
    large = Subject(Shared(60).double(), torch.ones(2, 60, dtype=torch.float64))
    assert large.falsify(TRACE_BOUND, examples=3).verdict == "survived"
