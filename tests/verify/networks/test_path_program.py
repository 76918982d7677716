import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.verify.networks.drawn import Residual, dyadic, module_on_data
from verify.networks import zoo
from verify.networks.paths.program import PathProgram
from verify.networks.recording.graph import NotCovered as NotCovered
from verify.networks.scores import prune as pruning
from verify.networks.scores.methods import activation_per_output, scored_names, scores
from verify.networks.scores.prune import prune

# What is lost is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore::verify.networks.scores.masks.LostWarning")

FAMILIES = ("mlp", "mlp-bias", "residual", "convolution", "normalised", "dilated")


def drawn_masks(module, names, rng, share=0.7):
    own = dict(module.named_parameters())
    return {n: torch.as_tensor(rng.random(tuple(own[n].shape)) < share) for n in names}


def compare(module, x, masks, *, biases=True, tolerance=1e-13):
    """Scores and activations of a program equal those evaluated call by call, up to rounding and a power of two."""
    names = scored_names(module)
    gone = (~torch.cat([masks[n].flatten() for n in names])).nonzero().flatten()
    for method, power in (("synflow", 1), ("synflow-l2", 2), ("px", 2)):
        program = PathProgram(module, x, names, power, biases=biases, data=method == "px")
        program.drop(gone)
        d = program.activation() if method == "px" else None
        got, log = program.scores(d)
        want = scores(module, method, x, masks=masks, biases=biases)
        flat = torch.cat([want.values[n].flatten() for n in names])
        if float(flat.max()) == 0:
            assert not got.any()
            assert log == -np.inf
            continue
        assert log == pytest.approx(want.log10_objective, abs=10 * tolerance)
        power_of_two = round(float((got.double().sum() / flat.double().sum()).log2()))
        error = (got.double() * 2.0**-power_of_two - flat).abs().max() / flat.max()
        assert float(error) <= tolerance
        if d is not None:
            true = activation_per_output(module, x, masks, biases=biases).true()
            assert float((d.true() - true).abs().max()) <= tolerance * float(true.max())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("biases", [True, False])
def test_drawn_modules_score_as_call_by_call(family, biases):
    rng = np.random.default_rng(len(family))
    for seed in range(6):
        module, x = module_on_data(family, seed)
        compare(module, x, drawn_masks(module, scored_names(module), rng), biases=biases)


@pytest.mark.parametrize("name", ["cnn", "resnet20", "vgg16_bn"])
def test_zoo_networks_score_as_call_by_call(name):
    rng = np.random.default_rng(7)
    module = zoo.build(name).double()
    with torch.no_grad():
        for m in module.modules():
            if isinstance(m, nn.BatchNorm2d):
                # Means that are and are not 0, scales of either sign.
                m.running_mean.copy_(dyadic(rng, (m.num_features,)))
                m.running_var.copy_(torch.as_tensor(rng.uniform(0.5, 2, m.num_features)))
                m.weight.copy_(dyadic(rng, (m.num_features,)))
                m.bias.copy_(dyadic(rng, (m.num_features,)))
    shape = (1, 28, 28) if name == "cnn" else (3, 32, 32)
    x = torch.as_tensor(rng.standard_normal((2, *shape)))
    compare(module, x, drawn_masks(module, scored_names(module), rng, 0.3), tolerance=1e-12)


class Odd(nn.Module):
    """Differences, values read by a gate and by others, a view whose base is read later, a normalisation alone."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(4, 4, bias=False), nn.Linear(8, 2)
        self.norm = nn.BatchNorm1d(4, eps=0.0)
        self.norm.running_mean.copy_(torch.tensor([0.0, 1.0, -2.0, 0.5]))

    def forward(self, x):
        h = self.a(x)
        g = self.norm(F.relu(h))
        view = h.view(-1, 2, 2)
        k = F.leaky_relu(self.b(g), 0.25, inplace=True)
        k = F.relu(k - g) + F.relu(h) + (h + h) / 4 - view.flatten(1) * 2
        return self.c(torch.cat([k, F.relu(view).flatten(1)], 1))


def test_values_that_are_read_again_are_not_overwritten():
    rng = np.random.default_rng(5)
    module = Odd().double().eval()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(dyadic(rng, tuple(p.shape)))
    for biases in (True, False):
        compare(module, dyadic(rng, (5, 3)), drawn_masks(module, scored_names(module), rng), biases=biases)


def test_powers_of_two_are_chosen_anew_when_values_leave_float32():
    """Thirty diagonal layers (2^20, 2^-20): the two paths have squares 2^1200 and 2^-1200, far outside float32."""
    layers = [nn.Linear(2, 2, bias=False) for _ in range(30)]
    for layer in layers:
        layer.weight.data = torch.tensor([[2.0**20, 0.0], [0.0, 2.0**-20]])
    module = nn.Sequential(*itertools.chain.from_iterable((layer, nn.ReLU()) for layer in layers))
    program = PathProgram(module, torch.ones(1, 2), scored_names(module), 2)
    found, log = program.scores()
    assert log == pytest.approx(1200 * np.log10(2))
    assert found[:4].tolist() == [found[0], 0, 0, 0]
    # Without the large weights only the path through small ones is left.
    program.drop(4 * torch.arange(30))
    found, log = program.scores()
    assert log == pytest.approx(-1200 * np.log10(2))
    assert found[3] > 0
    assert found.tolist() == [found[3] if i % 4 == 3 else 0 for i in range(120)]
    # Nothing at all.
    program.drop(torch.tensor([3]))
    found, log = program.scores()
    assert not found.any()
    assert log == -np.inf


class Shared(nn.Module):
    """One weight in two places, on no path twice."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 2)

    def forward(self, x):
        return self.a(F.relu(x)) + F.relu(self.a(-x))


def test_what_is_not_compiled_is_named():
    x = torch.ones(2, 2)
    for module, words in (
        (Shared(), "not the weight of one layer"),
        (nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 1)), "1: gelu"),
    ):
        with pytest.raises(NotCovered, match=words):
            PathProgram(module, x, scored_names(module), 1)
    with pytest.raises(NotCovered, match="is not scored"):
        PathProgram(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)), x, ["0.weight"], 1)


@pytest.mark.parametrize("method", ["synflow", "synflow-l2", "px", "px-frozen"])
def test_pruning_is_the_same_compiled_and_call_by_call(method, monkeypatch):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        modules = [Residual(3, 2, True), zoo.build("cnn"), Shared()]
    shapes = [(3,), (1, 28, 28), (2,)]
    for module, shape in zip(modules, shapes, strict=True):
        module = module.double()
        x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        for more in ({}, {"scope": "layerwise"}, {"select": "sample"}, {"biases": False}):
            runs = []
            for first in (1, 10**9):
                monkeypatch.setattr(pruning, "COMPILED_FROM", first)
                runs.append(prune(module, method, density=0.3, rounds=6, x=x, study=True, **more))
            one, other = runs
            assert all(torch.equal(one[n], other[n]) for n in one)
            for a, b in zip(one.rounds, other.rounds, strict=True):
                assert (a.kept, a.layers, a.constant, a.log10_paths) == (b.kept, b.layers, b.constant, b.log10_paths)
                assert a.log10_objective == pytest.approx(b.log10_objective, abs=1e-9)


def test_the_module_is_left_as_it_was():
    module = zoo.build("cnn")
    before = {n: t.clone() for n, t in module.state_dict().items()}
    x = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    prune(module, "px", density=0.1, rounds=6, x=x)
    assert all(torch.equal(t, before[n]) for n, t in module.state_dict().items())
    assert all(not p.requires_grad or p.grad is None for p in module.parameters())
