"""SNIP, GraSP and NTK-SAP with every mode a setting, against finite differences and the other implementation."""

import copy

import pytest
import torch
from torch import nn

from verify.experiments import cifar, published
from verify.experiments.published import Mode
from verify.networks import zoo
from verify.networks.scores.methods import saliency
from verify.networks.scores.prune import prune


@pytest.fixture
def small():
    """A convolutional network with batch normalisation, in float64, and a batch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)
        ).double().eval()  # fmt: skip
    g = torch.Generator().manual_seed(1)
    x = torch.randn(6, 1, 4, 4, generator=g, dtype=torch.float64)
    return module, x, torch.randint(0, 3, (6,), generator=g)


@pytest.mark.parametrize("method", published.METHODS)
def test_in_evaluation_mode_the_two_implementations_agree(small, method):
    module, x, y = small
    ours = published.scores(module, method, Mode("evaluation"), x, y, seed=4)
    theirs = saliency(module, method, x, y, seed=4)
    assert list(ours) == list(theirs)
    for n in ours:
        assert torch.allclose(ours[n], theirs[n], rtol=1e-9, atol=1e-12), n


@pytest.mark.filterwarnings("ignore::verify.networks.scores.masks.LostWarning")
@pytest.mark.parametrize("method", published.METHODS)
def test_and_so_do_their_masks_on_resnet20(method):
    module = zoo.build("resnet20", seed=0)
    g = torch.Generator().manual_seed(2)
    x, y = torch.randn(8, 3, 8, 8, generator=g), torch.randint(0, 10, (8,), generator=g)
    ours = published.prune(module, method, Mode("evaluation"), 0.05, x, y)
    mode = {"statistics": "evaluation", "temperature": 1.0}
    theirs = prune(module, method, density=0.05, rounds=1, x=x, y=y, biases=False, **mode)
    same = sum(int((ours[n] & theirs.masks[n]).sum()) for n in ours)
    assert sum(int(m.sum()) for m in ours.values()) == theirs.kept
    assert same >= 0.999 * theirs.kept  # single precision, in another order


def loss(module, x, y, temperature):
    return nn.functional.cross_entropy(module(x) / temperature, y)


@pytest.mark.parametrize(("statistics", "temperature"), [("batch", 1.0), ("batch", 200.0), ("evaluation", 200.0)])
def test_snip_and_grasp_are_derivatives_in_the_mode_asked_for(small, statistics, temperature):
    """SNIP by differences of the loss, GraSP by differences of half the squared norm of its gradient."""
    module, x, y = small
    mode = Mode(statistics, temperature)

    def value(which, name, index, step):
        moved = copy.deepcopy(module).train(statistics == "batch")
        weights = dict(moved.named_parameters())
        with torch.no_grad():
            weights[name].view(-1)[index] += step
        found = loss(moved, x, y, temperature)
        if which == "snip":
            return float(found.detach())
        chosen = [p for p in weights.values() if p.ndim > 1]
        return float(sum((g * g).sum() for g in torch.autograd.grad(found, chosen)) / 2)

    for which in ("snip", "grasp"):
        found = published.scores(module, which, mode, x, y)
        for name, index in (("0.weight", 3), ("0.weight", 11), ("4.weight", 7)):
            h = 1e-5
            slope = (value(which, name, index, h) - value(which, name, index, -h)) / (2 * h)
            expected = slope * float(dict(module.named_parameters())[name].detach().view(-1)[index])
            got = float(found[name].view(-1)[index])
            assert got == pytest.approx(abs(expected) if which == "snip" else expected, rel=1e-4, abs=1e-13)


def test_the_module_is_left_as_it_was(small):
    module, x, y = small
    before = copy.deepcopy(module.state_dict())
    for method in published.METHODS:
        published.prune(module, method, Mode(), 0.3, x, y, rounds=2)
    published.prune(module, "ntk-sap", Mode("held", draws=2), 0.3, x, y, rounds=2)
    assert all(torch.equal(v, before[n]) for n, v in module.state_dict().items())
    assert not module.training
    assert all(p.grad is None for p in module.parameters())


def test_absolute_values_rank_by_size(small):
    module, x, y = small
    signed = published.scores(module, "grasp", Mode(), x, y)
    size = published.scores(module, "grasp", Mode(absolute=True), x, y)
    assert all(torch.equal(size[n], signed[n].abs()) for n in signed)
    assert any((s < 0).any() for s in signed.values())


def test_held_statistics_are_those_of_the_batch_as_constants(small):
    """In the held mode the loss has the value of training mode, and the gradient of evaluation mode with them."""
    module, x, y = small
    by_hand = copy.deepcopy(module)
    with torch.no_grad():
        z = by_hand[0](x)
        by_hand[1].running_mean.copy_(z.mean((0, 2, 3)))
        by_hand[1].running_var.copy_(z.var((0, 2, 3)))
    for method in ("snip", "grasp"):
        held = published.scores(module, method, Mode("held"), x, y)
        expected = published.scores(by_hand, method, Mode("evaluation"), x, y)
        assert all(torch.allclose(held[n], expected[n], rtol=1e-9) for n in held)
    stored, batch = (published.scores(module, "snip", Mode(s), x, y) for s in ("evaluation", "batch"))
    assert not torch.allclose(stored["0.weight"], batch["0.weight"], rtol=0.1)


def test_draws_of_the_weights_forget_the_modules_own(small):
    module, x, y = small
    other = copy.deepcopy(module)
    with torch.no_grad():
        other[0].weight.mul_(3.0)
    own, moved = (published.scores(m, "ntk-sap", Mode("held"), x, y, seed=1) for m in (module, other))
    assert not torch.allclose(own["0.weight"], moved["0.weight"])
    own, moved = (published.scores(m, "ntk-sap", Mode("held", draws=3), x, y, seed=1) for m in (module, other))
    assert torch.equal(own["0.weight"], moved["0.weight"])


def test_bad_modes_are_named(small):
    module, x, y = small
    for call, says in (
        (lambda: Mode("running"), "statistics are batch or held or evaluation"),
        (lambda: Mode(draws=-1), "draws are 0 or more"),
        (lambda: published.scores(module, "snip", Mode(draws=5), x, y), "draws is 0"),
        (lambda: Mode(temperature=0.0), "a temperature is positive"),
        (lambda: published.scores(module, "snpi", Mode(), x, y), "did you mean snip"),
        (lambda: published.prune(module, "snip", Mode(), 0.0, x, y), "a density in"),
    ):
        with pytest.raises(ValueError, match=says):
            call()


def test_modes_are_part_of_a_trials_identity_and_of_its_table():
    arms = {(c["method"], c["statistics"], c["temperature"]) for c in cifar.configurations("smoke")}
    assert ("grasp", "batch", 200.0) in arms
    assert ("grasp", "evaluation", 1.0) in arms
    assert ("ntk-sap", "held", 1.0) in arms
    assert {("snip", "evaluation", 1.0), ("snip", "batch", 1.0)} <= arms
    assert cifar.scoring({"method": "grasp", "statistics": "batch", "temperature": 200.0, "absolute": False}) == (
        "batch statistics, temperature 200"
    )
    assert cifar.scoring({"method": "px", "statistics": "evaluation"}) == "stored statistics"
    assert cifar.scoring({"method": "random"}) == ""
    with pytest.raises(ValueError, match="px is scored with stored statistics"):
        cifar.resnet20(method="px", density=0.1, statistics="batch", seed=0)
