"""Masks as a researcher uses them: held through training, handed over, kept in files, transformed, looked at."""

import copy
import itertools
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import prune as torch_prune

import verify
from verify.experiments import published
from verify.networks import zoo
from verify.networks.scores.masks import LostWarning, Masks
from verify.networks.scores.methods import METHODS, methods
from verify.networks.scores.prune import prune


def network(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def batch(n=16, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, 6, generator=g), torch.randint(0, 3, (n,), generator=g)


def step(module, optimiser, x, y):
    def closure():
        optimiser.zero_grad()
        loss = functional.cross_entropy(module(x), y)
        loss.backward()
        return loss

    optimiser.step(closure)


def masked(module, masks):
    return {n: p.detach()[~masks[n]] for n, p in module.named_parameters() if n in masks}


OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=1e-2),
    "nesterov": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, 0.01),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1, amsgrad=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, 0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.9, centered=True),
    "lbfgs": lambda p: torch.optim.LBFGS(p, max_iter=3),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_held_masks_hold_in_weights_gradients_and_optimiser_state(name):
    """The optimiser has momenta from before the masks, which would move the masked weights on."""
    module, (x, y) = network(), batch()
    masks = prune(module, "magnitude", density=0.3)
    optimiser = OPTIMISERS[name](module.parameters())
    step(module, optimiser, x, y)
    step(module, optimiser, x, y)
    before = copy.deepcopy(module.state_dict())
    with masks.hold(module):
        assert not any(bool(w.any()) for w in masked(module, masks).values())
        for _ in range(3):
            step(module, optimiser, x, y)
            for n, p in module.named_parameters():
                if n in masks:
                    assert not p.detach()[~masks[n]].any(), n
                    assert not p.grad[~masks[n]].any(), n
                    if name != "lbfgs":
                        for kept in optimiser.state[p].values():
                            assert kept.shape != p.shape or not kept[~masks[n]].any(), n
    assert any(
        not torch.equal(before[n][masks[n]], p.detach()[masks[n]]) for n, p in module.named_parameters() if n in masks
    )


def test_without_holding_they_do_not_stay():
    """The test above would fail without `hold`."""
    module, (x, y) = network(), batch()
    masks = prune(module, "magnitude", density=0.3)
    masks.apply(module)
    step(module, OPTIMISERS["sgd"](module.parameters()), x, y)
    assert any(bool(w.any()) for w in masked(module, masks).values())


def test_release_leaves_an_ordinary_module():
    from torch.optim import optimizer

    module, (x, y) = network(), batch()
    masks = prune(module, "magnitude", density=0.3)
    hooks = len(optimizer._global_optimizer_post_hooks)
    held = masks.hold(module)
    held.release()
    held.release()
    assert len(optimizer._global_optimizer_post_hooks) == hooks
    assert not any(p._backward_hooks for p in module.parameters())
    assert not module._load_state_dict_post_hooks
    step(module, OPTIMISERS["sgd"](module.parameters()), x, y)
    assert any(bool(w.any()) for w in masked(module, masks).values())


def test_it_is_released_when_training_fails_and_other_modules_are_left_alone():
    module, other, (x, y) = network(), network(1), batch()
    masks = prune(module, "magnitude", density=0.3)

    def training():
        with masks.hold(module):
            step(other, OPTIMISERS["adam"](other.parameters()), x, y)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        training()
    assert not any(p._backward_hooks for p in module.parameters())
    assert all(bool((p != 0).all()) for p in other.parameters())


def test_a_loaded_state_is_masked_while_they_are_held():
    module, fresh = network(), network(1)
    masks = prune(module, "magnitude", density=0.3)
    with masks.hold(module):
        module.load_state_dict(fresh.state_dict())
        assert not any(bool(w.any()) for w in masked(module, masks).values())


def test_frozen_parameters_and_shared_modules_can_be_held():
    linear = nn.Linear(6, 6)
    module = nn.Sequential(linear, nn.ReLU(), linear)
    module[0].bias.requires_grad_(False)
    masks = prune(module, "random", density=0.5, scored="all")
    optimiser = OPTIMISERS["sgd"]([p for p in module.parameters() if p.requires_grad])
    with masks.hold(module):
        step(module, optimiser, batch()[0], torch.zeros(16, dtype=torch.long))
    assert not any(bool(w.any()) for w in masked(module, masks).values())


def test_to_torch_prune_and_back():
    module, (x, y) = network(), batch()
    masks = prune(module, "snip", density=0.4, x=x, y=y)
    expected = masks.apply(copy.deepcopy(module))(x)
    handed = masks.to_torch_prune(module)
    assert handed is module
    assert torch_prune.is_pruned(module)
    assert torch.equal(module(x), expected)
    back = Masks.from_torch_prune(module)
    assert back.masks.keys() == masks.masks.keys()
    assert all(torch.equal(back[n], masks[n]) for n in masks)
    with pytest.raises(ValueError, match="holds no masks"):
        Masks.from_torch_prune(network())


def test_they_are_kept_in_a_file_without_pickle(tmp_path):
    masks = prune(network(), "px", density=0.4, x=batch()[0], rounds=3, study=True)
    torch.save(masks.state_dict(), tmp_path / "masks.pt")
    back = Masks.from_state_dict(torch.load(tmp_path / "masks.pt", weights_only=True))
    assert all(torch.equal(back[n], masks[n]) for n in masks)
    assert (back.method, back.settings, back.rounds) == (masks.method, masks.settings, masks.rounds)


@pytest.mark.parametrize(
    "state", [{}, {"masks": 3}, {"masks": {"a": torch.ones(2)}}, {"masks": {}, "rounds": [{"a": 1}]}, 4]
)
def test_something_else_is_refused(state):
    with pytest.raises(ValueError, match=r"no masks|bool|rounds"):
        Masks.from_state_dict(state)


def test_shuffled_masks_keep_as_many_in_each_layer():
    masks = prune(network(), "magnitude", density=0.3)
    moved, again, other = (
        masks.transform("shuffle", seed=1),
        masks.transform("shuffle", seed=1),
        masks.transform("shuffle", seed=2),
    )
    assert moved.per_layer() == masks.per_layer()
    assert all(torch.equal(moved[n], again[n]) for n in masks)
    assert any(not torch.equal(moved[n], masks[n]) for n in masks)
    assert any(not torch.equal(moved[n], other[n]) for n in masks)


def test_reinitialised_weights_are_new_and_keep_no_generator_busy():
    module = network()
    masks, state, before = prune(module, "magnitude", density=0.3), torch.get_rng_state(), copy.deepcopy(module)
    found = masks.transform("reinitialise", module, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(found[n], masks[n]) for n in masks)
    assert not any(torch.equal(p, q) for p, q in zip(module.parameters(), before.parameters(), strict=True))


def test_inverted_masks_keep_what_went_and_inverted_scores_the_density():
    module = network()
    masks = prune(module, "magnitude", density=0.3)
    inverted = masks.transform("invert")
    assert inverted.kept == masks.total - masks.kept
    low = prune(module, "magnitude", density=0.3, select="bottom")
    assert low.kept == masks.kept
    assert not any(bool((low[n] & masks[n]).any()) for n in masks)
    assert "lowest" in low.settings


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("shufle", False, "did you mean shuffle"),
        ("reinitialise", False, "needs the module"),
        ("shuffle", True, "takes no module"),
    ],
)
def test_transforms_that_make_no_sense(kind, given, message):
    masks = prune(network(), "magnitude", density=0.3)
    with pytest.raises(ValueError, match=message):
        masks.transform(kind, network() if given else None)


def test_effective_density_by_hand():
    """2-2-1: the second hidden unit has lost its outgoing weight; the first is off on the only input."""
    module = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    module[0].weight.data = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    x = torch.tensor([[1.0, 0.0]])
    masks = Masks({"0.weight": torch.tensor([[True, True], [True, False]]), "2.weight": torch.tensor([[True, False]])})
    assert masks.live(module, x, gates=False) == pytest.approx(3 / 6)
    assert masks.live(module, x) == 0
    assert masks.live(module, torch.tensor([[-1.0, 0.0]])) == pytest.approx(2 / 6)  # the second input is 0
    assert masks.live(module, torch.tensor([[-1.0, 0.0], [0.0, -1.0]])) == pytest.approx(3 / 6)
    assert masks.lost_outputs(module, x) == ()
    assert masks.per_layer() == {"0.weight": 0.75, "2.weight": 0.5}


@pytest.mark.parametrize("gates", [False, True])
def test_effective_density_equals_enumeration(gates):
    g = torch.Generator().manual_seed(5)
    for _ in range(20):
        module = nn.Sequential(
            nn.Linear(3, 3, bias=False), nn.ReLU(), nn.Linear(3, 3, bias=False), nn.ReLU(), nn.Linear(3, 2, bias=False)
        )
        for p in module.parameters():
            p.data = torch.randn(p.shape, generator=g)
        masks = Masks({n: torch.rand(p.shape, generator=g) < 0.5 for n, p in module.named_parameters()})
        x = torch.randn(2, 3, generator=g)
        a, b, c = (masks[f"{i}.weight"] for i in (0, 2, 4))
        cut = masks.apply(copy.deepcopy(module))
        h = torch.relu(cut[0](x))
        on = (h > 0, cut[2](h) > 0) if gates else (torch.ones(1, 3).bool(),) * 2
        alive = set()
        for s, i, j, k, o in itertools.product(range(len(on[0])), range(3), range(3), range(3), range(2)):
            if a[j, i] and b[k, j] and c[o, k] and on[0][s, j] and on[1][s, k]:
                alive |= {(0, j, i), (1, k, j), (2, o, k)}
        assert masks.live(module, x, gates=gates) == pytest.approx(len(alive) / masks.total)


def test_a_lost_layer_or_output_is_said():
    module, (x, _) = network(), batch()
    module[0].weight.data /= 1e3
    with pytest.warns(LostWarning, match=r"0\.weight has lost all weights"):
        prune(module, "magnitude", density=0.05)
    module = network()
    module[4].weight.data[1] = 0
    with pytest.warns(LostWarning, match="no path from the input leads to output 1"):
        prune(module, "magnitude", density=0.9, x=x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prune(network(), "magnitude", density=0.9, x=x)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"density": 1e-4}, "density 0.0001 keeps less than one weight of 136: the smallest density is 0.00735"),
        ({"density": 0.01, "scope": "layerwise"}, "keeps less than one weight of each layer of 136.*0.0221"),
        ({"keep": 2, "scope": "layerwise"}, "keep=2 keeps less than one weight of each layer"),
    ],
)
def test_a_density_that_no_mask_reaches(settings, message):
    with pytest.raises(ValueError, match=message):
        prune(network(), "magnitude", **settings)


# -- as published ---------------------------------------------------------------------------------------


def images(n=8):
    g = torch.Generator().manual_seed(2)
    return torch.randn(n, 3, 8, 8, generator=g), torch.randint(0, 10, (n,), generator=g)


@pytest.mark.filterwarnings("ignore::verify.networks.scores.masks.LostWarning")
@pytest.mark.parametrize(
    ("method", "mode", "rounds"),
    [
        ("snip", published.Mode("evaluation"), 1),
        ("grasp", published.Mode("batch", 200.0), 1),
        ("ntk-sap", published.Mode("held"), 20),
    ],
)
def test_defaults_are_those_published_as_the_second_implementation_has_them(method, mode, rounds):
    module, (x, y) = zoo.build("resnet20", width=4).double(), images()
    asked = {"density": 0.2, "x": x.double(), "y": y}
    ours = prune(module, method, **asked)
    said = prune(module, method, **asked, rounds=rounds, statistics=mode.statistics, temperature=mode.temperature)
    assert len(ours.rounds) == rounds
    assert all(torch.equal(ours[n], said[n]) for n in ours)
    assert str(rounds if rounds > 1 else "one") in ours.settings
    assert str(mode).split(",")[0] in ours.settings
    # In fewer rounds, since the two round the numbers left in between otherwise.
    few = min(rounds, 5)
    ours, theirs = (
        prune(module, method, **asked, rounds=few),
        published.prune(module, method, mode, **asked, rounds=few),
    )
    assert sum(int((ours[n] & theirs[n]).sum()) for n in ours) >= 0.999 * ours.kept


@pytest.mark.parametrize("statistics", ["batch", "held", "evaluation"])
@pytest.mark.parametrize("method", ["snip", "grasp", "ntk-sap"])
def test_scores_in_every_mode_are_those_of_the_second_implementation(method, statistics):
    from verify.networks.scores.methods import saliency

    module, (x, y) = zoo.build("resnet20", width=4).double(), images()
    before = copy.deepcopy(module.state_dict())
    ours = saliency(module, method, x.double(), y, seed=4, statistics=statistics, temperature=3.0)
    theirs = published.scores(module, method, published.Mode(statistics, 3.0), x.double(), y, seed=4)
    for n in theirs:
        assert torch.allclose(ours[n], theirs[n], rtol=1e-6, atol=1e-9 * float(theirs[n].abs().max())), n
    assert all(torch.equal(before[n], t) for n, t in module.state_dict().items())


def test_every_method_says_how_it_was_published_and_what_it_needs():
    assert {s.name: s.rounds for s in methods()} == {
        "magnitude": 1, "random": 1, "snip": 1, "grasp": 1, "synflow": 100, "synflow-l2": 100, "px": 100,
        "px-frozen": 100, "px-released": 100, "path-energy": 100, "px-per-sample": 100, "ntk-sap": 20,
    }  # fmt: skip
    for s in verify.methods():
        assert s.published
        assert s.needs in str(s)
        assert s.settings() in str(s)


def test_a_mode_that_a_method_does_not_have_is_refused():
    with pytest.raises(ValueError, match="synflow is scored in one way only: 100 rounds"):
        prune(network(), "synflow", density=0.5, x=batch()[0], statistics="batch")
    with pytest.raises(ValueError, match="a temperature is positive"):
        prune(network(), "snip", density=0.5, x=batch()[0], y=batch()[1], temperature=0.0)
    with pytest.raises(ValueError, match="statistics are evaluation, batch, held"):
        prune(network(), "snip", density=0.5, x=batch()[0], y=batch()[1], statistics="train")
    assert METHODS["grasp"].settings() == "one round, batch statistics, outputs divided by 200"
