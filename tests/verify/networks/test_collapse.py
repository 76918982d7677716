import numpy as np
import pytest
import torch
from torch import nn

from verify.networks import zoo
from verify.networks.scores.methods import live_paths, on_live_paths
from verify.networks.scores.prune import prune
from verify.networks.scores.released import released
from verify.studies.collapse import CRITICAL, branches, collapse, ranges, rows_of, study, summary
from verify.studies.released_px import score
from verify.trials import perform, read_csv

# What is lost is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore::verify.networks.scores.masks.LostWarning")


def test_live_weights_are_those_on_paths():
    module = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    masks = {"0.weight": torch.tensor([[True, False], [False, True]]), "2.weight": torch.tensor([[True, False]])}
    live = on_live_paths(module, torch.ones(1, 2), masks)
    assert live["0.weight"].tolist() == [[True, False], [False, False]]
    assert live["2.weight"].tolist() == [[True, False]]


@pytest.mark.parametrize(("name", "through"), [("resnet20", "shortcut"), ("vgg16_bn", "conv")])
def test_critical_compression_is_one_path(name, through):
    """One weight in each of `CRITICAL` layers can make a path, and no layer of them can be left out."""
    module, x = zoo.build(name), torch.ones(1, 3, 32, 32)
    weights = {n: p for n, p in module.named_parameters() if p.ndim > 1}
    used = [n for n in weights if through in n or n in ("conv.weight", "fc.weight")]
    assert len(used) == CRITICAL[name]
    masks = {n: torch.zeros_like(p, dtype=torch.bool) for n, p in weights.items()}
    for n in used:
        centre = (0, 0) if weights[n].ndim == 2 else (0, 0, weights[n].shape[2] // 2, weights[n].shape[3] // 2)
        masks[n][centre] = True
    assert live_paths(module, x, masks) > 0
    for n in used:
        assert live_paths(module, x, {**masks, n: torch.zeros_like(masks[n])}) == -np.inf


def test_summary_counts_what_is_left():
    module, x = zoo.build("resnet20", width=4), torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    masks = prune(module, "magnitude", density=0.003, rounds=2, x=x, study=True)
    found = summary(module, x, masks)
    assert found["kept"] == sum(found["rounds_layers"][-1]) == masks.kept
    assert found["on_live_paths"] <= found["kept"]
    assert found["branches"] == branches(masks) == 9
    assert found["emptied"] == [n for n, m in masks.items() if not m.any()]
    assert (found["dead_from"] is None) == (found["rounds_log10_paths"][-1] is not None)


def gaussian_images(samples):
    return torch.randn(samples, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.arange(samples)


def test_rows_of_a_trial(monkeypatch):
    monkeypatch.setattr("verify.studies.collapse.cifar10_images", gaussian_images)
    trial = perform(
        collapse.configuration(network="resnet20", method="synflow", density=None, rounds=3, samples=2, seed=0)
    )
    runs, rounds = rows_of([trial])
    assert runs[0]["density"] == "critical"
    assert runs[0]["kept"] == 4
    assert [r["kept"] for r in rounds] == trial["rounds_kept"]


def test_tables_are_written_after_each_trial(monkeypatch, tmp_path):
    monkeypatch.setattr("verify.studies.collapse.cifar10_images", gaussian_images)
    monkeypatch.setattr("verify.studies.collapse.DENSITIES", ())
    methods = ("magnitude", "random")
    rows = study("resnet20", methods, rounds=2, samples=2, results=tmp_path, store=tmp_path / "trials")
    assert [r["method"] for r in rows] == list(methods)
    written = read_csv(tmp_path / "collapse_resnet20.csv")
    assert [r["method"] for r in written] == list(methods)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("verify.studies.collapse.prune", interrupted)
    again = study("resnet20", methods, rounds=2, samples=2, results=tmp_path, store=tmp_path / "trials")
    assert again == rows
    with pytest.raises(KeyboardInterrupt):
        study("resnet20", (*methods, "synflow"), rounds=2, samples=2, results=tmp_path, store=tmp_path / "trials")
    assert len(read_csv(tmp_path / "collapse_resnet20.csv")) == 2


def test_ranges_in_three_precisions(monkeypatch):
    monkeypatch.setattr("verify.studies.collapse.cifar10_images", gaussian_images)
    found = {
        t: perform(ranges.configuration(network="resnet20", method="px", dtype=t, samples=2, seed=0)).results
        for t in ("float32", "float64", "longdouble")
    }
    # All scores overflow in float32 as they are; powers of two mend that.
    assert found["float32"]["plain_not_finite"] == found["float32"]["weights"]
    assert found["float32"]["rescaled_not_finite"] == found["float32"]["rescaled_zero"] == 0
    assert 1e-9 < found["float32"]["rescaled_relative_error"] < 1e-4
    assert found["float64"]["plain_relative_error"] < 1e-13
    assert found["float64"]["plain_log10_largest"] == found["longdouble"]["plain_log10_largest"]


def narrow():
    return zoo.build("resnet20", width=2)


def test_released_score_encloses_zero_in_balls_at_every_precision():
    for bits in (256, 512):
        s = score(narrow(), 8, "balls", bits=bits)["scores"]
        assert all(v.contains(0) for v in s)
    # Halving exponents: 256 bits more narrow every ball by far more than 2^200.
    assert max(float(abs(v).upper().log()) for v in s) < -200 * np.log(2)


def test_balls_do_not_enclose_zero_with_stored_statistics():
    s = score(narrow(), 8, "balls", bits=256, statistics=False)["scores"]
    assert not any(v.contains(0) for v in s)


def test_released_score_shrinks_with_the_rounding_unit():
    sums = [score(narrow(), 8, kind)["scores"].astype(float).sum() for kind in ("float32", "float64", "longdouble")]
    assert sums[0] > 1e6 * sums[1] > 0
    assert sums[1] > 1e2 * sums[2] > 0


def test_the_second_implementation_agrees_with_torch_where_nothing_cancels():
    """With stored statistics both compute the same derivatives, up to the weight each output gets."""
    module = narrow().double()
    # One class: then the first network's output is one common factor.
    module.fc = nn.Linear(8, 1).double()
    x = torch.ones(1, 3, 8, 8, dtype=torch.float64)
    torch_scores = released(module, x, training=False)
    names = [n for n, p in module.named_parameters() if p.ndim > 1 and not n.startswith("fc")]
    mine = score(module, 8, "float64", statistics=False)["gradients"]
    weights = dict(module.named_parameters())
    a = np.concatenate([torch_scores[n].numpy().ravel() for n in names])
    b = np.concatenate([(np.abs(mine[n]) * weights[n].detach().numpy() ** 2).ravel() for n in names])
    assert np.ptp(np.log(a / b)) < 1e-10
