"""The papers' protocols: what they train, what they say it costs, and that they run small."""

import pytest
import torch

from figures import cli, registry
from verify import trials
from verify.experiments import papers
from verify.trials import data


def test_the_protocols_are_the_papers():
    p = papers.protocol_named("px-resnet20-cifar10")
    assert (p.recipe.epochs, p.recipe.batch, p.recipe.rate) == (160, 128, 0.1)
    assert p.densities == pytest.approx(
        [0.8 ** (2 * k) for k in range(1, 10)], abs=2e-4
    )  # 97.17 % is printed, 97.19 meant
    whole = papers.configurations(p.name, "papers")
    assert len(whole) == 3 * (1 + 9 * len(p.arms))
    assert {c["samples"] for c in whole} == {0}
    assert {(c["epochs"], c["batch"], tuple(c["milestones"])) for c in whole} == {(160, 128, (80, 120))}
    ladder = papers.protocol_named("synflow-vgg16-cifar10").densities
    assert ladder[-1] == 0.001
    with pytest.raises(KeyError, match="did you mean px-resnet20-cifar10"):
        papers.protocol_named("px-resnet20-cifar")


def test_operations_are_those_counted_by_hand():
    """ResNet-20 on 32 x 32: 40.8 million multiply-adds; backward takes twice the forward pass."""
    stage = 6 * 16 * 16 * 9 * 32 * 32
    second = (16 * 32 * 9 + 5 * 32 * 32 * 9 + 16 * 32) * 16 * 16
    third = (32 * 64 * 9 + 5 * 64 * 64 * 9 + 32 * 64) * 8 * 8
    forward = 2 * (3 * 16 * 9 * 32 * 32 + stage + second + third + 64 * 10)
    (one,) = [c for c in papers.configurations("px-resnet20-cifar10", "papers") if c["method"] == "dense"][:1]
    found = papers.cost([one])
    assert found.operations == pytest.approx(3 * forward * 50000 * 160)
    steps = 160 * 391
    assert found.hours == pytest.approx(max(found.operations / 4e13, steps * 4e-3) / 3600)
    # Each block keeps its convolutions' and normalisations' inputs: more than one number a unit, fewer than ten.
    units = 16 * 32 * 32 * 7 + 32 * 16 * 16 * 6 + 64 * 8 * 8 * 6
    assert 4 * 128 * units < found.memory < 40 * 128 * units
    assert "assumed, not measured" in str(found)
    assert papers.cost([one, one]).hours == pytest.approx(2 * found.hours)


@pytest.mark.skipif(not data.available("cifar10"), reason="CIFAR-10 is not beside this checkout")
def test_a_protocol_runs_small(tmp_path, capsys, monkeypatch):
    p = papers.PROTOCOLS["px-resnet20-cifar10"]
    arms = ("synflow", "random")
    few = [c for c in papers.configurations(p.name, "smoke") if c["method"] in ("dense", *arms)]
    monkeypatch.setattr(papers, "configurations", lambda name, scale: few)
    common = ["--out", str(tmp_path), "--trials", str(tmp_path / "t"), "--jobs", "1", "--quiet"]
    assert cli.main(["make", "papers/px-resnet20-cifar10", *common]) == 0
    assert f"papers/px-resnet20-cifar10: {len(few)} training runs" in capsys.readouterr().out
    rows = trials.read_csv(tmp_path / "papers-px-resnet20-cifar10.csv")
    assert {r["method"] for r in rows} == {"dense", *arms}
    assert all(r["seconds"] > 0 and r["memory"] == 0 for r in rows)


def test_a_gpu_is_asked_for_by_name_and_missed_by_name(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    wanted = papers.configurations("px-resnet20-cifar10", "papers")[0]
    with pytest.raises(trials.TrialsFailed, match="there is no GPU; use --scale small"):
        trials.perform(wanted)
    assert cli.main(["make", "--scale", "papers"]) == 2
    assert "papers/px-resnet20-cifar10" in capsys.readouterr().err
    assert cli.main(["make", "--scale", "papers", "cover"]) == 2
    assert "scale is smoke, small, full" in capsys.readouterr().err
    assert not any(f.name.startswith("papers/") for f in registry.figures_named([]))
