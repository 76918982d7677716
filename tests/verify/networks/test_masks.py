import itertools

import numpy as np
import pytest
import torch
from torch import nn

from theory import networks as graphs
from theory.pruning import PruningRun, keep_top_layerwise
from theory.pruning import keep_top as theory_keep_top
from verify.networks import zoo
from verify.networks.scores import prune as pruning
from verify.networks.scores.masks import Masks
from verify.networks.scores.prune import chosen, keep_top, prune

# What is lost is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore::verify.networks.scores.masks.LostWarning")


def network(rng, widths):
    """A bias-free ReLU module and the same as a graph, with weights that are small and often tied."""
    graph, layers, theta = graphs.mlp(widths), [], []
    for a, b in itertools.pairwise(widths):
        w = rng.integers(1, 4, (b, a)) * rng.choice([-1, 1], (b, a))
        layer = nn.Linear(a, b, bias=False).double()
        layer.weight.data.copy_(torch.tensor(w))
        layers += [layer, nn.ReLU()]
        theta.append(w.ravel())
    return nn.Sequential(*layers[:-1]), graph, np.concatenate(theta).astype(float)


def flat(masks):
    return torch.cat([m.flatten() for m in masks.values()]).numpy()


@pytest.mark.parametrize("method", ["synflow", "synflow-l2", "magnitude", "px", "px-frozen"])
@pytest.mark.parametrize("schedule", ["one-at-a-time", "exponential"])
@pytest.mark.parametrize("compiled_from", [1, 10**9])
def test_prune_equals_the_runs_of_theory(method, schedule, compiled_from, monkeypatch):
    """Small integers, so that both sides compute the same scores without rounding, ties included."""
    monkeypatch.setattr(pruning, "COMPILED_FROM", compiled_from)
    rng = np.random.default_rng([3, len(method)])
    for turn in range(12):
        widths = [int(rng.integers(1, 4)), int(rng.integers(1, 4)), int(rng.integers(1, 4)), 1 + turn % 3]
        module, graph, theta = network(rng, widths)
        x = rng.integers(-3, 4, (3, widths[0])).astype(float)
        keep = int(rng.integers(1, len(theta) + 1))
        want = PruningRun(graph, theta, x, keep=keep, rounds=4, scorer=method, schedule=schedule)
        got = prune(module, method, keep=keep, rounds=4, x=torch.tensor(x), schedule=schedule)
        assert flat(got).tolist() == want.final_mask().tolist()
        assert got.kept == keep
        assert [r.kept for r in got.rounds] == list(want.kept_by_round())


def test_the_network_on_which_px_dies():
    """2-1-1, first layer (-3, 2), x = (1, 2) (claims list): PX drops what kept the unit on; SynFlow-L2 keeps a path."""
    module = nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False)).double()
    module[0].weight.data = torch.tensor([[-3.0, 2.0]], dtype=torch.float64)
    module[2].weight.data = torch.ones(1, 1, dtype=torch.float64)
    x = torch.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=torch.float64)
    m = prune(module, "px", keep=2, schedule="one-at-a-time", x=x, study=True)
    assert m["0.weight"].tolist() == [[True, False]]
    assert m.rounds[-1].alive
    assert m.rounds[-1].constant


def test_keep_top_equals_theory_on_ties():
    rng = np.random.default_rng(0)
    for _ in range(200):
        n = int(rng.integers(1, 12))
        s, m, k = rng.integers(0, 4, n).astype(float), rng.random(n) < 0.7, int(rng.integers(0, n + 1))
        got = keep_top(torch.tensor(s), torch.tensor(m), k)
        assert got.tolist() == theory_keep_top(s, k, m).tolist()
        layers = (tuple(range(n // 2)), tuple(range(n // 2, n)))
        sizes = [n // 2, n - n // 2]
        left = chosen(torch.tensor(s), torch.tensor(m), sizes, k, "top", "layerwise", None)
        assert left.tolist() == keep_top_layerwise(s, k, tuple(filter(None, layers)), m).tolist()


def images(n=4):
    return torch.randn(n, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("method", ["magnitude", "random", "snip", "grasp", "synflow", "px", "px-released", "ntk-sap"])
def test_exact_count_and_masked_weights_stay_masked(method):
    module, seen = zoo.build("resnet20", width=4), []
    total = sum(p.numel() for p in module.parameters() if p.ndim > 1)
    for rounds in (1, 2, 3):
        m = prune(module, method, density=0.05 ** (rounds / 3), rounds=rounds, x=images(), y=torch.arange(4))
        assert m.kept == round(0.05 ** (rounds / 3) * total) == m.rounds[-1].kept
        assert sum(m.rounds[-1].layers.values()) == m.kept
        assert [r.kept for r in m.rounds] == sorted((r.kept for r in m.rounds), reverse=True)
        seen.append(flat(m))
    if method != "random":
        return
    assert (seen[1] <= seen[0]).all()
    assert (seen[2] <= seen[1]).all()


def test_one_call_again_gives_the_same_masks():
    module = zoo.build("resnet20", width=4)
    for select in ("top", "sample"):
        a, b, c = (
            prune(module, "synflow", density=0.3, rounds=3, x=images(), select=select, seed=s) for s in (1, 1, 2)
        )
        assert (flat(a) == flat(b)).all()
        assert (flat(a) == flat(c)).all() == (select == "top")


def test_sampling_follows_the_scores():
    """Of two weights with scores 1 and 3 the second is drawn first with probability 3/4."""
    generator = torch.Generator().manual_seed(0)

    def draw(kept):
        scores, whole = torch.tensor([1.0, 3.0, 0.0]), torch.ones(3, dtype=torch.bool)
        return chosen(scores, whole, [3], kept, "sample", "global", generator)

    drawn = sum(int(draw(1)[1]) for _ in range(4000))
    # Six standard deviations of a binomial.
    assert abs(drawn - 3000) < 6 * (4000 * 3 / 16) ** 0.5
    assert draw(2).tolist() == [True, True, False]


def test_layerwise_keeps_the_share_of_every_layer():
    m = prune(zoo.build("resnet20", width=4), "synflow", density=0.1, rounds=2, x=images(), scope="layerwise")
    for mask in m.values():
        assert 0.1 * mask.numel() - 1 <= mask.sum() <= 0.1 * mask.numel() + 1


def test_apply_sets_masked_weights_to_zero():
    module = zoo.build("resnet20", width=4)
    m = prune(module, "magnitude", density=0.1, rounds=1)
    assert all(bool((p != 0).all()) for n, p in module.named_parameters() if n in m)
    m.apply(module)
    for n, p in module.named_parameters():
        if n in m:
            assert torch.equal(p != 0, m[n])
    assert m.density == pytest.approx(0.1, abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give either density or keep"),
        ({"density": 0.0}, "above 0 and at most 1; got 0.0"),
        ({"density": 1.5}, "above 0 and at most 1; got 1.5"),
        ({"density": float("nan")}, "above 0 and at most 1"),
        ({"keep": 0}, "between 1 and the 6 weights"),
        ({"keep": 7}, "between 1 and the 6 weights"),
        ({"keep": 3, "density": 0.5}, "give either"),
        ({"keep": 3, "rounds": 0}, "at least one round"),
        ({"keep": 3, "select": "best"}, "select is one of top, bottom, sample"),
        ({"keep": 3, "scope": "local"}, "scope is one of global, layerwise"),
        ({"keep": 3, "schedule": "cubic"}, "unknown schedule"),
        ({"keep": 3, "study": True}, "study needs data"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        prune(nn.Linear(3, 2), "magnitude", **settings)


def test_bad_data_and_masks():
    module = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="px needs data"):
        prune(module, "px", keep=2)
    with pytest.raises(ValueError, match="NaN"):
        prune(module, "px", keep=2, x=torch.full((1, 3), float("nan")))
    with pytest.raises(ValueError, match="at least one sample"):
        prune(module, "px", keep=2, x=torch.ones(0, 3))
    with pytest.raises(KeyError, match="did you mean magnitude"):
        prune(module, "magnitud", keep=2)
    with pytest.raises(ValueError, match=r"mask of weight has shape \(2, 2\)"):
        Masks({"weight": torch.ones(2, 2)}).apply(module)
    with pytest.raises(ValueError, match="not finite"):
        chosen(torch.tensor([1.0, float("nan")]), torch.ones(2, dtype=torch.bool), [2], 1, "top", "global", None)
