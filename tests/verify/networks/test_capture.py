"""Which assumptions hold of a module: every reason, at the right place, and nothing guessed."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.verify.networks.drawn import FAMILIES, module_on_data
from verify.networks import zoo
from verify.networks.claims.assumptions import ASSUMPTIONS, assumptions
from verify.networks.ntk.jacobians import jacobian_squares
from verify.networks.ntk.trace import ntk_trace
from verify.networks.paths.bound import path_bound
from verify.networks.recording.graph import UNKNOWN, Batch
from verify.networks.recording.graph import NotCovered as NotCovered
from verify.networks.recording.modes import evaluation_mode
from verify.networks.recording.record import record, record_and_run
from verify.networks.scores.methods import activation_per_output


def inputs(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def seeded(make, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().eval()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_drawn_is_understood_and_reproduced(family, seed):
    module, x = module_on_data(family, seed, samples=7)
    graph = record(module, x)
    assert all(op.kind != UNKNOWN for op in graph.operations)
    assert graph.reproduces(module, x)
    report = assumptions(module, x)
    assert all(report.holds(name) for name in ASSUMPTIONS if name != "off-kinks"), str(report)


class Blocks(nn.Module):
    def __init__(self, act):
        super().__init__()
        self.blocks = nn.ModuleList(nn.ModuleDict({"lin": nn.Linear(3, 3), "act": act()}) for _ in range(2))

    def forward(self, x):
        for b in self.blocks:
            x = b["act"](b["lin"](x))
        return x


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (nn.GELU, "GELU is not piecewise linear"),
        (nn.Tanh, "Tanh is not piecewise linear"),
        (nn.ReLU6, "ReLU6 is not homogeneous: it saturates"),
        (nn.PReLU, "PReLU has a slope that is a parameter, which the path sums do not cover"),
        (lambda: nn.LayerNorm(3), "LayerNorm divides by a statistic of its own input"),
        (lambda: nn.Softmax(1), "Softmax is not piecewise linear"),
        (lambda: nn.LeakyReLU(-0.5), "LeakyReLU (`leaky_relu`) is not an operation that is understood"),
    ],
)
def test_every_place_that_breaks_piecewise_linearity_is_named(act, why):
    report = assumptions(seeded(lambda: Blocks(act)), inputs(4, 3))
    assert report.why("piecewise-linear") == (f"blocks.0.act: {why}", f"blocks.1.act: {why}")
    assert not report.holds("off-kinks")
    assert report.unknown == ("off-kinks",)


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.scale = nn.Linear(3, 3), nn.Linear(3, 3), nn.Parameter(torch.ones(3))

    def forward(self, x):
        a = self.a(x)
        return self.b(F.silu(a) / self.scale) * a


def test_calls_outside_layers_are_named_too():
    report = assumptions(seeded(Functional), inputs(4, 3))
    assert report.why("piecewise-linear") == (
        "the module: `silu` is not piecewise linear",
        "the module: `div` uses the parameter scale in a way that is not understood",
        "the module: `mul` multiplies activations with each other",
    )
    assert not report.holds("dense-last-layer")


def test_training_mode_is_reported_where_it_is():
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.BatchNorm1d(3))
    module[3] = nn.BatchNorm1d(3, track_running_stats=False)
    module[1].eval()
    report = assumptions(module, inputs(4, 3))
    assert report.why("evaluation-mode") == (
        "2: Dropout in training mode is random",
        "3: BatchNorm1d keeps no running statistics",
    )
    assert report.why("piecewise-linear") == ("3: BatchNorm1d uses the statistics of the batch",)
    assert [m.training for m in module] == [True, False, True, True]


class Twice(nn.Module):
    def __init__(self, after):
        super().__init__()
        self.a, self.after = nn.Linear(3, 3, bias=False), after

    def forward(self, x):
        return self.a(F.relu(self.a(x))) if self.after else F.relu(self.a(x)) + self.a(-x)


def test_a_parameter_twice_on_a_path_is_not_one_on_two_paths():
    assert assumptions(seeded(lambda: Twice(False)), inputs(4, 3)).holds("no-shared-parameters-on-a-path")
    report = assumptions(seeded(lambda: Twice(True)), inputs(4, 3))
    assert report.why("no-shared-parameters-on-a-path") == (
        "a.weight: stands twice on a path, in a: linear and in a: linear",
    )


class DataDependent(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)

    def forward(self, x):
        return self.a(x) if x.sum() > 0 else self.a(F.relu(x))


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)

    def forward(self, x, y):
        return self.a(x + y)


class Dictionary(Twice):
    def forward(self, x):
        return {"out": super().forward(x)}


def test_what_cannot_be_recorded_says_why():
    x = inputs(4, 3).abs()
    assert "change with the data" in assumptions(seeded(DataDependent), x).why("static-graph")[0]
    assert assumptions(seeded(TwoInputs), x).why("single-input")[0] == "the module: forward needs 2 inputs (x, y)"
    assert "returns dict" in assumptions(seeded(lambda: Dictionary(False)), x).why("tensor-output")[0]
    report = assumptions(seeded(lambda: Twice(False)), x[:, :2])
    assert report.why("single-input")[0].startswith("the module: it does not run on inputs of shape (4, 2): mat1 and")


def test_kinks_are_recognised():
    module = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1)).double()
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[1.0, -1.0], [0.1, 0.2]]))
    off, on = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 3.0], [1.0, 2.0]])
    # 0.2 is twice 0.1 in binary too; in float64 alone 0.1 * 2 - 0.2 * 1 is too near to 0 to tell.
    near = torch.tensor([[2.0, -1.0]])
    assert assumptions(module, off.double()).holds("off-kinks")
    assert assumptions(module, on.double()).why("off-kinks") == ("1: 1 of 4 gates are exactly on a kink",)
    assert assumptions(module, near.double()).why("off-kinks") == ("1: 1 of 2 gates are exactly on a kink",)
    plain = assumptions(module, near.double(), limit=0)
    assert plain.why("off-kinks") == ("1: 1 of 2 gates are within rounding of a kink",)


@pytest.mark.parametrize(("values", "fine"), [([1.0, 2.0], True), ([2.0, 2.0], False), ([-1.0, -1.0], True)])
def test_tied_maxima_are_kinks_unless_every_path_is_off(values, fine):
    module = nn.Sequential(nn.Conv1d(1, 1, 1, bias=False), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten()).double()
    with torch.no_grad():
        module[0].weight.fill_(1.0)
    assert assumptions(module, torch.tensor([[values]], dtype=torch.float64)).holds("off-kinks") is fine


def test_unknown_names_are_refused():
    report = assumptions(seeded(lambda: Twice(False)), inputs(2, 3))
    with pytest.raises(KeyError, match="piecewise-linear"):
        report.holds("linear")


def test_numbers_that_follow_the_batch_are_told_from_constants():
    class Reshape(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 2)

        def forward(self, x):
            return self.a(x.view(x.shape[0], 2, 2).reshape(x.size(0), 4))

    graph = record(seeded(Reshape), inputs(2, 4))
    assert graph.operations[0].args[1:] == (Batch(1), 2, 2)


def test_evaluation_mode_restores_each_submodule():
    module = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout(), nn.Dropout().eval()))
    before = [m.training for m in module.modules()]
    with evaluation_mode(module):
        assert not any(m.training for m in module.modules())
    assert [m.training for m in module.modules()] == before


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_same_padding_is_understood_unless_it_is_uneven():
    even = nn.Sequential(nn.Conv2d(1, 2, 3, padding="same", dilation=2), nn.ReLU(), nn.Conv2d(2, 1, 1, padding="valid"))
    x = inputs(2, 1, 5, 5)
    report = assumptions(even.double().eval(), x.double())
    assert report.holds("piecewise-linear")
    settings = [op.settings for op in report.graph.operations if op.kind == "convolution"]
    assert [s["padding"] for s in settings] == [(2, 2), (0, 0)]
    odd = nn.Sequential(nn.Conv2d(1, 2, 2, padding="same"), nn.ReLU())
    why = assumptions(odd.double().eval(), x.double()).why("piecewise-linear")
    assert why == ("0: Conv2d pads unevenly (padding='same' with an even window), which is not followed",)


class Writes(nn.Module):
    """Writes to a tensor in one of several ways before its last layer."""

    def __init__(self, how):
        super().__init__()
        self.how, self.first, self.last = how, nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        h = self.first(x)
        if self.how == "indexed assignment":
            o = torch.zeros_like(h)
            o[:, :2] = h[:, :2]
            h = o
        elif self.how == "through a view":
            h[:, 0].mul_(3)
        elif self.how == "base read later":
            v = h.view(-1, 2, 2)
            v.mul_(2)
            h = h + v.flatten(1)
        elif self.how == "returned":
            h = self.last(h)
            h[:, 0].mul_(3)
            return h
        elif self.how == "view, nothing else read":
            h = F.relu(h.view(-1, 4), inplace=True)
        elif self.how == "in place":
            g = self.first(x)
            g += h
            h = F.relu(g, inplace=True) + g
        return self.last(h)


WRITES = ["indexed assignment", "through a view", "base read later", "returned"]
ALLOWED = ["view, nothing else read", "in place"]


@pytest.mark.parametrize("how", [*WRITES, *ALLOWED])
def test_a_tensor_written_through_a_view_is_never_taken_for_what_it_was(how):
    """Recording refuses, path sums refuse, and the trace is that of per-sample Jacobians."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        module = Writes(how).double()
        x = torch.randn(5, 3, dtype=torch.float64)
    squares = jacobian_squares(module, x)
    assert torch.allclose(ntk_trace(module, x, per_output=True, per_sample=True), squares, rtol=1e-12, atol=0)
    if how in ALLOWED:
        assert record(module, x).reproduces(module, x)
        assert float(activation_per_output(module, x).true().sum()) == pytest.approx(
            float(path_bound(module, x).activation), rel=1e-12
        )
        return
    with pytest.raises(NotCovered, match="written through a view or by an indexed assignment"):
        record(module, x)
    with pytest.raises(NotCovered):
        activation_per_output(module, x)


@pytest.mark.parametrize("samples", [1, 2, 3, 7])
def test_values_of_the_recording_run_are_those_of_the_graph(samples):
    module = zoo.build("cnn").double()
    x = torch.randn(samples, 1, 28, 28, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    graph, values = record_and_run(module, x, 1 << 30)
    assert (values is None) == (samples == 2)
    again = graph.run(graph.tensors(module), x)
    for ref, value in (values or {}).items():
        assert torch.equal(value, again[ref])
    # Too large for a second run on everything, or written in place: only recorded.
    assert record_and_run(module, x, 1)[1] is None
    assert record_and_run(nn.Sequential(nn.Linear(3, 2), nn.ReLU(inplace=True)), torch.ones(3, 3), 1 << 30)[1] is None
