"""`trials ls | show | export | gc | retry`."""

import os
import sys
import types

import pyarrow.parquet as pq
import pytest

from verify import trials
from verify.app.cli import main
from verify.experiments import selfcheck


@pytest.fixture
def store(tmp_path):
    """Three finished trials, one of other code, one failed."""
    store = trials.Store(tmp_path / "trials")
    wanted = [selfcheck.mean_of_draws.configuration(seed=s) for s in range(3)]
    bad = selfcheck.mean_of_draws.configuration(seed=7, fail=True)
    with pytest.raises(trials.TrialsFailed):
        trials.run([*wanted, bad], store, jobs=1, quiet=True)
    old = {**wanted[0], "code": "0" * 12}
    store.write(trials.Trial(old, {"mean": 0.0, "spread": 1.0}))
    return store


def cli(store, *arguments):
    return main(["trials", *arguments, "--trials", str(store.folder)])


def test_ls_counts_by_experiment_and_code(store, capsys):
    assert cli(store, "ls") == 0
    out = capsys.readouterr().out.splitlines()
    current = selfcheck.mean_of_draws.code
    assert out[0].endswith(f"3 finished, 1 failed  code {current}")
    assert out[1].endswith("1 finished  code 000000000000 (not today's)")
    assert "'seed': 7" in out[2]
    assert cli(store, "ls", "nothing") == 2
    assert "no trials of 'nothing'" in capsys.readouterr().err
    assert cli(trials.Store("nowhere"), "ls") == 2
    assert "give their folder with --trials" in capsys.readouterr().err


def test_show_a_result_and_a_failure(store, capsys):
    c = selfcheck.mean_of_draws.configuration(seed=1)
    assert cli(store, "show", trials.identity(c)[:10]) == 0
    out = capsys.readouterr().out
    assert "seed = 1" in out
    assert f"mean: {store.read(c)['mean']}" in out
    bad = selfcheck.mean_of_draws.configuration(seed=7, fail=True)
    assert cli(store, "show", trials.identity(bad)) == 0
    assert "failed: ValueError: this trial was asked to fail\nTraceback" in capsys.readouterr().out
    for wrong, said in (("xyz", "hexadecimal"), ("0123456789", "no trial in"), ("", "hexadecimal")):
        assert cli(store, "show", wrong) == 2
        assert said in capsys.readouterr().err


def test_export_refuses_to_mix_and_writes_csv_and_parquet(store, tmp_path, capsys):
    assert cli(store, "export", "--csv", str(tmp_path / "a.csv")) == 2
    assert "2 versions of its code" in capsys.readouterr().err
    code = selfcheck.mean_of_draws.code
    assert cli(store, "export", "--csv", str(tmp_path / "a.csv"), "--code", code) == 0
    assert cli(store, "export", "mean_of", "--parquet", str(tmp_path / "a.parquet"), "--code", code) == 0
    rows = trials.read_csv(tmp_path / "a.csv")
    assert sorted(r["seed"] for r in rows) == [0, 1, 2]
    assert [r["mean"] for r in pq.read_table(tmp_path / "a.parquet").to_pylist()] == [r["mean"] for r in rows]
    assert cli(store, "export", "nothing", "--csv", str(tmp_path / "b.csv")) == 2
    assert "no finished trials" in capsys.readouterr().err


def test_gc_and_retry(store, capsys):
    (folder,) = store.folder.iterdir()
    half, checkpoint = folder / ".x.tmp", folder / f"{'a' * 20}.0.checkpoint"
    for path in (half, checkpoint):
        path.write_text("")
    os.utime(half, (0, 0))
    assert cli(store, "gc", "--dry-run") == 0
    assert "1 files would be removed" in capsys.readouterr().out
    assert cli(store, "gc") == 0
    assert not half.exists()
    assert checkpoint.exists()
    assert cli(store, "gc", "--old") == 0
    assert not checkpoint.exists()
    assert len(list(store.trials())) == 3
    assert cli(store, "retry") == 0
    assert not list(store.failures())


def test_frame_is_a_table_or_says_what_is_missing(store, monkeypatch):
    done = [store.read(selfcheck.mean_of_draws.configuration(seed=s)) for s in range(3)]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match=r"trials\.frame\(\) needs pandas.*export"):
        trials.frame(done)
    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=list))
    assert trials.frame(done) == trials.table(done)
