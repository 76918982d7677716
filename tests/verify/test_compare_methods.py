"""docs/examples/compare_methods.py, at a tiny size."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

import verify

PATH = Path(__file__).resolve().parents[2] / "docs" / "examples" / "compare_methods.py"


@pytest.mark.filterwarnings("ignore::verify.networks.scores.masks.LostWarning")
def test_eight_methods_on_digits(tmp_path):
    spec = importlib.util.spec_from_file_location("compare_methods", PATH)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    assert len(example.METHODS) == 8
    assert len(example.DENSITIES) == 4
    rows = example.compare("digits", 80, 1, densities=(0.3,), out=str(tmp_path / "compare"))
    assert [r["method"] for r in rows] == list(example.METHODS)
    assert all(0 <= r["accuracy"] <= 1 and r["trace"] >= 0 and 0 <= r["live"] <= 0.3001 for r in rows)
    assert any(r["live"] > 0.1 for r in rows)
    assert (tmp_path / "compare.png").stat().st_size > 10_000
    assert len((tmp_path / "compare.csv").read_text().splitlines()) == 9


def test_tensors_are_normalised_by_the_training_data():
    train, test = (verify.data.load("digits", split=s, samples=200) for s in ("train", "test"))
    x, y = train.tensors()
    assert x.dtype == torch.float32
    assert abs(float(x.mean())) < 1e-5
    assert abs(float(x.std()) - 1) < 1e-3
    assert torch.equal(y, torch.as_tensor(train.y))
    other = test.tensors(like=train)[0]
    assert torch.allclose(
        other * train.x.std() + train.x.mean(), torch.as_tensor(test.x, dtype=torch.float32), atol=1e-5
    )


def test_evaluate_counts_and_restores_modes():
    module = nn.Sequential(nn.Identity(), nn.Dropout(0.9)).train()
    module[0].eval()
    x = torch.eye(3)
    assert verify.evaluate(module, x, torch.tensor([0, 1, 0])) == pytest.approx(2 / 3)
    assert module.training
    assert module[1].training
    assert not module[0].training
    with pytest.raises(ValueError, match="as many inputs as classes"):
        verify.evaluate(module, x, torch.tensor([0]))


def test_a_data_set_that_is_not_there_says_where_it_was_looked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("PRUNING_THEOREMS_DATA", str(tmp_path))
    with pytest.raises(verify.data.DataError, match="PRUNING_THEOREMS_DATA"):
        verify.data.load("tiny-imagenet")
