import itertools

import numpy as np
import pytest
import torch
from torch import nn

from tests.verify.networks.drawn import module_on_data
from theory import networks as graphs
from theory import saliency as theory
from theory.paths import NetworkOnData, path_gates, paths_of
from theory.scalars import floats
from verify.networks import zoo
from verify.networks.exact.to_graph import network_on_data
from verify.networks.paths.sums import Pass, activation, flow
from verify.networks.recording.graph import NotCovered
from verify.networks.recording.record import record
from verify.networks.scores.methods import (
    METHODS,
    STATISTICS,
    Scorer,
    activation_per_output,
    constant_on,
    live_paths,
    methods,
    saliency,
    scores,
)
from verify.networks.scores.prune import prune
from verify.networks.scores.released import released
from verify.networks.scores.task import Scores

FAMILIES = ("mlp", "mlp-bias", "residual", "convolution", "normalised", "dilated")


def flat(values):
    return torch.cat([v.flatten() for v in values.values()]).numpy()


def expected(instance, method, activation=None):
    return floats(theory.scores(instance.network, instance.theta, instance.x, method, activation))


def close(got, want):
    # Sums of at most a few thousand nonnegative or signed products in float64; sizes are those of the largest.
    assert np.abs(got - want).max() <= 1e-12 * max(1.0, np.abs(want).max())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(3))
def test_path_scores_equal_enumeration(family, seed):
    module, x = module_on_data(family, seed)
    instance = network_on_data(module, x)
    for method in ("synflow", "synflow-l2", "px", "path-energy", "px-per-sample"):
        close(flat(saliency(module, method, x, scored="all", rescale=False)), expected(instance, method))


@pytest.mark.parametrize("family", FAMILIES)
def test_activation_and_flow_equal_enumeration(family):
    module, x = module_on_data(family, 1)
    instance = network_on_data(module, x)
    close(activation_per_output(module, x).true().numpy(), floats(instance.activation_per_output()))
    squares = {n: p.detach() ** 2 for n, p in module.named_parameters()}
    graph = record(module, x)
    found = flow(graph, graph.tensors(module), squares, 2, rescale=True)
    close(found.true()[0].numpy(), floats(instance.objective_per_output()))


@pytest.mark.parametrize("family", ["mlp", "mlp-bias", "convolution"])
def test_snip_and_grasp_equal_enumeration(family):
    module, x = module_on_data(family, 2)
    module = nn.Sequential(*(nn.ReLU() if isinstance(m, nn.LeakyReLU) else m for m in module))
    instance = network_on_data(module, x)
    targets = torch.zeros(len(x), len(paths_outputs(instance)), dtype=torch.float64)
    for method in ("snip", "grasp"):
        close(flat(saliency(module, method, x, targets, scored="all")), expected(instance, method))


def paths_outputs(instance):
    return instance.network.outputs


def linear_chain(*matrices):
    layers = []
    for m in matrices:
        layer = nn.Linear(len(m[0]), len(m), bias=False).double()
        layer.weight.data.copy_(torch.tensor(m, dtype=torch.float64))
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def by_hand(matrices):
    network = graphs.mlp([len(matrices[0][0]), *(len(m) for m in matrices)])
    theta = np.concatenate([np.ravel(np.array(m, dtype=float)) for m in matrices])
    return network, theta


def test_against_a_graph_built_by_hand():
    rng = np.random.default_rng(5)
    for _ in range(10):
        widths = [int(w) for w in rng.integers(1, 4, 4)]
        matrices = [rng.integers(-8, 9, (b, a)) / 4 for a, b in itertools.pairwise(widths)]
        module, (network, theta) = linear_chain(*matrices), by_hand(matrices)
        x = rng.integers(-8, 9, (2, widths[0])) / 4
        for method in ("magnitude", "synflow", "synflow-l2", "px", "path-energy", "px-per-sample"):
            want = theory.scores(network, theta, x, method)
            close(flat(saliency(module, method, torch.tensor(x), rescale=False)), want)


def test_a_masked_weight_is_no_edge():
    """D_k of a pruned network counts the paths that are left, with the gates of the pruned network."""
    rng = np.random.default_rng(9)
    differs = 0
    for _ in range(20):
        matrices = [rng.integers(1, 9, (3, 2)) / 4 * rng.choice([-1, 1], (3, 2)), rng.integers(1, 9, (2, 3)) / 4]
        masks = [rng.random(m.shape) < 0.6 for m in matrices]
        x = rng.integers(-8, 9, (4, 2)) / 4
        module = linear_chain(*matrices)
        given = {f"{i}.weight": torch.tensor(m) for i, m in zip((0, 2), masks, strict=True)}
        network, theta = by_hand([m * k for m, k in zip(matrices, masks, strict=True)])
        alive = np.concatenate([m.ravel() for m in masks])
        run = graphs.forward(network, theta, x)
        gates = path_gates(network, run)
        paths, want = paths_of(network), np.zeros(2)
        for p, edges in enumerate(paths.edges):
            if all(alive[network.edges[i].parameter] for i in edges):
                want[paths.outputs[p]] += float((gates[:, p] * x[:, paths.sources[p]] ** 2).sum())
        close(activation_per_output(module, torch.tensor(x), given).true().numpy(), want)
        differs += not np.allclose(want, NetworkOnData(network, theta, x).activation_per_output())
        s = scores(module, "px", torch.tensor(x), masks=given)
        assert all(bool((s.values[n][~m] == 0).all()) for n, m in given.items())
    assert differs > 5


@pytest.mark.parametrize("method", ["synflow", "synflow-l2", "px"])
def test_rescaling_multiplies_every_score_by_one_power_of_two(method):
    module, x = zoo.build("resnet20", width=4).double(), images(4).double()
    plain, scaled = (flat(saliency(module, method, x, rescale=r)) for r in (False, True))
    ratio = plain / scaled
    assert np.log2(ratio[0]) == round(np.log2(ratio[0])) != 0
    assert (ratio == ratio[0]).all()


def test_rescaling_keeps_float32_in_range_where_it_overflows():
    deep = zoo.build("mlp", widths=(64, *[64] * 40, 10), bias=False)
    x = images(4, (64,))
    lost = flat(saliency(deep, "px", x, rescale=False))
    kept = flat(saliency(deep, "px", x))
    exact = flat(saliency(deep.double(), "px", x.double()))
    assert not np.isfinite(lost).all()
    assert np.isfinite(kept).all()
    assert (kept > 0).all()
    ratio = kept / exact
    # 41 layers of products with 64 terms each: relative error below (2 * 41 * 64) 2^-24 either way.
    assert ratio.max() / ratio.min() - 1 < 4 * 41 * 64 * 2.0**-24


@pytest.mark.parametrize("rescale", [False, True])
def test_dense_shortcut_for_weights_one_changes_nothing(rescale):
    for module, x in (
        (zoo.build("resnet20", width=4), images(3)),
        (nn.Conv2d(4, 6, 3, padding=1, groups=2), images(2, (4, 5, 5))),
    ):
        module, x = module.double().eval(), x.double()
        graph = record(module, x)
        tensors = graph.tensors(module)
        values = graph.run(tensors, x)
        ones = {n: torch.ones_like(p) for n, p in module.named_parameters()}
        want = Pass(graph, tensors, ones, 0, gates=values, rescale=rescale).sums(x * x).true()
        assert torch.allclose(activation(graph, tensors, values, rescale=rescale).true(), want, rtol=1e-13)


def images(n, shape=(3, 32, 32), seed=0):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("layer", "name"),
    [(nn.GELU(), "gelu"), (nn.LayerNorm(3), "layer_norm"), (nn.Softmax(-1), "softmax"), (nn.ReLU6(), "hardtanh")],
)
def test_unknown_operations_are_named_with_their_submodule(layer, name):
    module = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), layer), nn.Linear(3, 1))
    with pytest.raises(NotCovered, match=rf"1\.1: {name}"):
        saliency(module, "synflow", torch.ones(1, 2))


def test_module_is_left_as_it_was():
    module, x, y = zoo.build("resnet20", width=4).train(), images(4), torch.arange(4)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    for method in METHODS:
        saliency(module, method, x, y)
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert all(m.training for m in module.modules())
    assert all(p.grad is None for p in module.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


def test_released_agrees_with_the_formula_without_normalisation_and_without_fc():
    module, x = linear_chain([[1, -2], [3, 1]], [[2, -1], [1, 1]]), images(5, (2,)).double()
    close(flat(released(module, x)), flat(saliency(module, "px", x, rescale=False)))


def test_released_cancels_with_a_signed_fc():
    """1-2-1, w = (1, 2), fc = (1, -1), x = 1, the example of the claims list: all 0 against 2, 8, 2, 8."""
    module = nn.Sequential()
    module.add_module("first", nn.Linear(1, 2, bias=False).double())
    module.add_module("relu", nn.ReLU())
    module.add_module("fc", nn.Linear(2, 1, bias=False).double())
    module.first.weight.data = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    module.fc.weight.data = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    x = torch.ones(1, 1, dtype=torch.float64)
    assert flat(released(module, x)).tolist() == [0, 0, 0, 0]
    assert flat(saliency(module, "px", x, rescale=False)).tolist() == [2, 8, 2, 8]


def test_frozen_activation_is_used():
    module = linear_chain([[1, 2], [3, 4]], [[1, 2], [3, 4]])
    x = torch.ones(1, 2, dtype=torch.float64)
    d = torch.tensor([1.0, 0.0], dtype=torch.float64)
    s = scores(module, "px-frozen", x, frozen=d, rescale=False).values
    assert s["2.weight"][1].tolist() == [0, 0]
    assert s["2.weight"][0].tolist() == [1 * 5, 4 * 25]


def test_live_paths_and_constant_outputs():
    module = linear_chain([[1, 2], [3, 4]], [[1, 2]])
    x = torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64)
    assert live_paths(module, x) == pytest.approx(np.log10(4))
    masks = {"0.weight": torch.tensor([[True, False], [False, True]]), "2.weight": torch.tensor([[False, True]])}
    assert live_paths(module, x, masks) == 0
    assert not constant_on(module, x, masks)
    masks["0.weight"][1] = False
    assert live_paths(module, x, masks) == -np.inf
    assert constant_on(module, x, masks)


@pytest.mark.parametrize(
    ("method", "x", "y", "error", "message"),
    [
        ("synflw", None, None, KeyError, "did you mean synflow"),
        ("px", None, None, ValueError, "px needs data: give x"),
        ("synflow", None, None, ValueError, "shape of an input"),
        ("snip", torch.ones(2, 3), None, ValueError, "needs labels"),
        ("snip", torch.ones(2, 3), torch.tensor([0, 5]), ValueError, "labels must be integers in 0..1"),
        ("snip", torch.ones(2, 3), torch.ones(2, 5), ValueError, "targets have shape"),
        ("snip", torch.ones(2, 3), torch.zeros(3, dtype=torch.long), ValueError, "x has 2 samples and y 3"),
        ("px", torch.ones(0, 3), None, ValueError, "at least one sample"),
        ("px", torch.full((2, 3), float("nan")), None, ValueError, "NaN"),
    ],
)
def test_bad_input(method, x, y, error, message):
    with pytest.raises(error, match=message):
        saliency(nn.Linear(3, 2), method, x, y)


def test_a_scorer_is_a_value(monkeypatch):
    """One more entry in the table, and everything that takes a method by name knows it."""

    def reversed_magnitude(task):
        return Scores({n: -task.theta[n].abs() for n in task.names})

    monkeypatch.setitem(METHODS, "smallest", Scorer("smallest", "-|theta_j|", "nothing", reversed_magnitude))
    module = nn.Linear(3, 2, bias=False)
    assert torch.equal(saliency(module, "smallest")["weight"], -module.weight.detach().abs())
    kept, rest = (prune(module, m, keep=3, rounds=1)["weight"] for m in ("smallest", "magnitude"))
    assert torch.equal(kept, ~rest)
    assert "smallest" in [s.name for s in methods()]


def test_every_method_says_what_it_computes_and_needs():
    for s in methods():
        assert s.sentence
        assert s.needs in ("nothing", "shape", "data", "data and labels")
        assert s.statistics in STATISTICS


def test_bad_masks_and_weights():
    module, x = nn.Linear(3, 2), torch.ones(1, 3)
    with pytest.raises(ValueError, match=r"shape \(3, 2\); the parameter \(2, 3\)"):
        scores(module, "px", x, masks={"weight": torch.ones(3, 2)})
    with pytest.raises(KeyError, match="did you mean weight"):
        scores(module, "px", x, masks={"weigth": torch.ones(2, 3)})
    with pytest.raises(ValueError, match="scored is one of"):
        scores(module, "px", x, scored="weight")
    module.weight.data[0, 0] = float("inf")
    with pytest.raises(ValueError, match="parameter weight holds NaN or inf"):
        saliency(module, "magnitude")
    with pytest.raises(ValueError, match="no weights"):
        saliency(nn.ReLU(), "magnitude")
