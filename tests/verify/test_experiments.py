"""Experiments: what methods share, and CIFAR-10 where it is found."""

import pytest
import torch

from verify import trials
from verify.experiments import capacity, cifar, protocol, spectra
from verify.experiments import decide as empirical
from verify.experiments.scores import make_masks
from verify.trials import data
from verify.trials.training import initial


def test_px_is_synflow_l2_where_there_is_one_output():
    """The activation is then one common factor: figures and studies leave PX out there, and say so."""
    stack = initial([16, 32, 32, 1], [0, 1, 2], bias=True)
    x, y = capacity._gaussian(0, 3, 64, 16)
    for scope in ("layer", "global"):
        px, l2 = (make_masks(stack, m, x, y[0], 0.1, scope=scope, rounds=20) for m in ("px", "synflow-l2"))
        assert all(torch.equal(a, b) for a, b in zip(px, l2, strict=True))
    assert "px" not in (*protocol.AT_START, *protocol.NOISE_METHODS)


def test_frozen_px_is_synflow_l2_where_the_last_layer_is_dense():
    stack = initial([8, 12, 12, 5], [0, 1], bias=True)
    x, y = torch.randn(30, 8, generator=torch.Generator().manual_seed(0)), torch.zeros(30, dtype=torch.long)
    frozen, l2, px = (
        make_masks(stack, m, x, y, 0.1, rounds=20, scope="global") for m in ("px-frozen", "synflow-l2", "px")
    )
    assert all(torch.equal(a, b) for a, b in zip(frozen, l2, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(px, l2, strict=True))


def test_noise_is_the_flipped_labels_and_memorised_by_a_dense_network():
    found = capacity.noise_correlation(method="random", density=1.0, samples=24, steps=400, copies=2, seed=0)
    assert found["memorised"] == [1.0, 1.0]
    # tanh of the output is close to y, and mean y z = 1 - (1 - 2 flip) mean(y clean) is about 0.25 + 0.25.
    assert all(c[-1] > 0.15 > c[0] for c in found["correlation"])
    with pytest.raises(ValueError, match="'gaussian', 'digits' or 'cifar10', not 'mnist'"):
        capacity.noise_correlation(method="random", data="mnist", seed=0)


def test_cifar_configurations_are_ordered_by_seed_and_say_what_is_reduced():
    found = cifar.configurations("small")
    assert [c["seed"] for c in found] == sorted(c["seed"] for c in found)
    assert len(found) == 10 * (1 + len(cifar.ARMS))
    checks = cifar.sanity_configurations("small")
    assert len(checks) == 10 * (4 * len(cifar.CHECKED) + len(cifar.LABELLED))
    unchanged = {trials.identity(c) for c in checks if c["sanity"] == "none"}
    assert unchanged <= {trials.identity(c) for c in found}
    assert {"samples", "test", "size", "epochs", "rounds"} <= set(found[0])
    with pytest.raises(ValueError, match="size divides 32"):
        cifar.images("train", 10, 5)


needs_cifar = pytest.mark.skipif(not data.available("cifar10"), reason="CIFAR-10 is not beside this checkout")


@needs_cifar
def test_a_small_cifar_trial_prunes_and_trains():
    small = {"samples": 60, "test": 40, "size": 8, "epochs": 1, "rounds": 3, "scored_on": 8}
    found = cifar.resnet20(method="synflow", density=0.02, **small, seed=0)
    assert found["kept"] == round(0.02 * 270896)
    assert 0 <= found["accuracy"] <= 1
    assert found["constant"] is False
    assert cifar.resnet20(method="synflow", density=0.02, **small, seed=0) == found


@needs_cifar
def test_the_part_of_cifar_is_balanced_and_averaged_down():
    x, y = cifar.images("test", 50, 16)
    assert x.shape == (50, 3, 16, 16)
    assert torch.bincount(y).tolist() == [5] * 10
    whole, same = cifar.images("test", 50, 32)
    assert torch.equal(y, same)
    assert torch.allclose(x[0, 0, 0, 0], whole[0, 0, :2, :2].mean(), atol=1e-6)


def test_a_missing_data_set_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PRUNING_THEOREMS_DATA", str(tmp_path))
    with pytest.raises(data.DataError, match=r"fashion-mnist is not in .*PRUNING_THEOREMS_DATA"):
        data.folder("fashion-mnist")
    (tmp_path / "fashion-mnist").mkdir()
    (tmp_path / "fashion-mnist" / "train.parquet").touch()
    assert data.folder("fashion-mnist") == tmp_path / "fashion-mnist"


def test_lost_outputs_are_counted_on_paths_not_on_rows():
    """Random masks so sparse that outputs keep weights whose hidden units have none."""
    found = spectra.outputs_lost(method="random", densities=[1.0, 0.02], hidden=[6], copies=3, seed=0)
    assert found["lost"][0] == [0, 0, 0]
    stack = initial([64, 6, 10], [0, 1, 2])
    masks = make_masks(stack, "random", torch.zeros(1, 64), torch.zeros(1), 0.02, scope="global", seeds=[0, 1, 2])
    by_hand = [sum(not any((b[k] * a.sum(1)).tolist()) for k in range(10)) for a, b in zip(*masks, strict=True)]
    assert found["lost"][1] == by_hand
    assert max(by_hand) > min(int((b.sum(1) == 0).sum()) for b in masks[1])


def test_masks_of_all_labelings_are_counted():
    """Data-independent rules have no information; a rule that reads labels at most the entropy of the labelings."""
    small = {"samples": 3, "widths": [2, 3, 1], "steps": 20, "rounds": 2, "seed": 0}
    flow = capacity.informed_masks(method="synflow", densities=[0.5, 1.0], **small)
    assert flow["information"] == [0.0, 0.0]
    assert flow["kept"] == [4, 9]
    snip = capacity.informed_masks(method="snip", densities=[0.5, 1.0], **small)
    assert 0 < snip["information"][0] <= 3
    assert snip["memorised"][1] == flow["memorised"][1]
    assert all(0 <= share <= 1 for share in snip["memorised"])


def test_effective_parameters_needed_are_interpolated():
    trial = {"weights": 10, "kept": [2, 6, 10], "information": [2.0, 2.0, 0.0], "memorised": [0.0, 0.5, 1.0]}
    assert empirical._needed(trial) == pytest.approx(0.8)
    trial["memorised"] = [0.0, 0.25, 1.0]
    assert empirical._needed(trial) == pytest.approx((8 + 2 / 3) / 10)


def test_less_information_and_the_same_count_are_paired_by_seed():
    def trial(method, seed, bits):
        return {"method": method, "seed": seed, "weights": 10, "kept": [3, 5, 10], "information": [bits, bits, 0.0],
                "memorised": [0.1, 0.5, 0.8]}  # fmt: skip

    methods = protocol.WORLD_METHODS
    done = [trial(m, s, 2.0 if m in empirical.TRAINED else 1.0) for s in (1, 0) for m in methods]
    less = empirical._less_information(done)
    assert all(list(values) == [1.0, 1.0] for values in less.values())
    assert len(less) == 2 * 2 * (len(methods) - 2)
    same = empirical._same_count(done)
    assert len(same) == 4
    bound = protocol.PROTOCOLS["no-free-prune/initial-tickets-need-the-same-count"].bound
    assert all((abs(values) < bound).all() for values in same.values())


@needs_cifar
@pytest.mark.parametrize("method", ["px", "snip"])
def test_sanity_checks_of_resnet20_keep_what_they_say(method, monkeypatch):
    """Masks as training sees them: of the same layers, on other weights, of the lowest scores, of other labels."""
    seen = {}

    def look(module, masks, x, y, recipe, seed):
        seen[check] = ({n: m.clone() for n, m in masks.items()}, module.fc.weight.detach().clone())
        return [0.0]

    monkeypatch.setattr("verify.trials.training.train_module", look)
    small = {"samples": 60, "test": 40, "size": 8, "epochs": 1, "rounds": 2, "scored_on": 8}
    for check in ("none", "shuffle", "reinitialise", "invert"):
        cifar.resnet20(method=method, density=0.1, **small, sanity=check, seed=0)
    (plain, weights), (shuffled, same) = seen["none"], seen["shuffle"]
    assert {n: int(m.sum()) for n, m in plain.items()} == {n: int(m.sum()) for n, m in shuffled.items()}
    assert any(not torch.equal(m, shuffled[n]) for n, m in plain.items())
    assert torch.equal(weights, same)
    again, fresh = seen["reinitialise"]
    assert all(torch.equal(m, again[n]) for n, m in plain.items())
    assert not torch.equal(weights, fresh)
    lowest, _ = seen["invert"]
    assert sum(int(m.sum()) for m in lowest.values()) == sum(int(m.sum()) for m in plain.values())
    assert sum(int((m & lowest[n]).sum()) for n, m in plain.items()) == 0
    if method == "px":
        with pytest.raises(ValueError, match="px sees no labels"):
            cifar.resnet20(method=method, density=0.1, **small, sanity="relabel", seed=0)


@needs_cifar
@pytest.mark.parametrize("arm", cifar.ARMS, ids=lambda arm: " ".join(map(str, arm.values())))
def test_every_arm_of_the_cifar_study_runs(arm):
    small = {"samples": 60, "test": 40, "size": 8, "epochs": 1, "rounds": 2, "scored_on": 8}
    found = cifar.resnet20(**arm, density=0.02, **small, seed=0)
    assert found["kept"] == round(0.02 * 270896)
