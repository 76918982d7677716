"""What is written to results/ about the EMPIRICAL claims."""

import numpy as np
import pytest

from verify import trials
from verify.experiments import decide as empirical
from verify.experiments import protocol
from verify.studies import recorded as record
from verify.trials import sequential


def trial(method, seed, own, foreign):
    c = {"experiment": "verify.experiments.capacity:same_law", "code": "0", "method": method, "seed": seed}
    return trials.Trial(c, {"own": own, "foreign": foreign, "weights": 1})


def test_same_law_rows_decide_both_ways():
    rng = np.random.default_rng(3)
    gain = dict(zip(protocol.SAME_LAW, (0.1, 0.0, -0.1, 0.0, 0.0), strict=True))
    done = []
    for method, shift in gain.items():
        for seed in range(10):
            base, noise = rng.uniform(0.5, 0.6, 16), rng.uniform(-0.02, 0.02, 16)
            done.append(trial(method, seed, list(base + shift + noise), list(base)))
    rows = {r["method"]: r for r in record.same_law_rows(done, "small")}
    assert rows["imp"]["verdict"] == "own labels help"
    assert rows["snip"]["verdict"] == "own labels hurt"
    assert rows["magnitude-after-training"]["verdict"] == "undecided"
    assert rows["imp"]["gain"] == pytest.approx(0.1, abs=0.01)
    assert rows["imp"]["pairs"] == 160
    assert rows["imp"]["information at least (bits)"] > 0.5
    assert rows["grasp"]["information at least (bits)"] == 0


def test_empirical_rows_say_which_tests_lead():
    test = sequential.paired_sign([1.0] * 40, 0.001)
    other = sequential.paired_sign([-1.0] * 40, 0.001)
    line = empirical.Line("more", True, test, other, 1.0, 0.0, 40)
    outcome = empirical.EmpiricalOutcome("a/b", "supported", 0.01, "smoke", (line,), 5)
    (row,) = record.empirical_rows(outcome)
    assert row["test verdict"] == "yes"
    assert row["decided after"] == test.n < 40
    assert row["claim verdict"] == "supported"
    assert row["e-value against"] < 1


def test_the_command_line_prints_the_tests_behind_a_verdict(tmp_path, monkeypatch, capsys):
    """`run --scale` decides an EMPIRICAL claim; the table's remarks show effect and e-value."""
    from verify.app.cli import main

    def decided(claim, scale, **_):
        line = empirical.Line("imp gains", True, sequential.paired_sign([1.0] * 40, 0.001), None, 0.08, 0.01, 40)
        return empirical.EmpiricalOutcome(claim, "supported", 0.01, scale, (line,), 5)

    monkeypatch.setattr(empirical, "decide_empirical", decided)
    monkeypatch.chdir(tmp_path)
    name = "no-free-prune/information-raises-capacity"
    assert main(["run", name, "--scale", "smoke"]) == 0
    out = capsys.readouterr().out
    assert f"{name} on 5 trials (smoke): supported" in out
    assert "imp gains: yes (effect +0.08 ± 0.01" in out
    assert main(["--scale", "smoke", "--claims", name, "--no-models", "--workers", "1"]) == 0
    assert "imp gains: yes" in capsys.readouterr().out
    assert main(["run", name]) == 0
    assert f"python -m verify run {name} --scale small" in capsys.readouterr().out


def test_trials_of_another_kind_than_the_claim_decide_nothing(tmp_path, monkeypatch):
    """On digits PX is far below the dense network; the claim is about ResNet-20 on CIFAR-10."""

    def finished(configurations, *_, **__):
        value = {1.0: 0.9}
        return [
            trials.Trial(c, {"accuracy": [value.get(c["density"], 0.5)] * 20}, {"seconds": 0.0}) for c in configurations
        ]

    monkeypatch.setattr(trials, "run", finished)
    outcome = empirical.decide_empirical("path-exclusion/matches-dense-accuracy", "small", store=tmp_path)
    assert outcome.verdict == "undecided"
    assert [line.verdict for line in outcome.lines] == ["no"] * 3
    assert not any(line.leading for line in outcome.lines)
