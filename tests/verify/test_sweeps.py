"""Sweeps that survive: kills inside training runs, failures, a full disk, several drivers, dead workers."""

import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from verify import trials
from verify.experiments import selfcheck
from verify.trials import files, leases, sweep, workers

ROOT = Path(__file__).resolve().parents[2]


def draws(count, **more):
    return [selfcheck.mean_of_draws.configuration(seed=s, **more) for s in range(count)]


@pytest.fixture
def store(tmp_path):
    return trials.Store(tmp_path / "trials")


# -- failures ---------------------------------------------------------------------------------------


def test_failures_are_recorded_and_stop_nothing(store):
    raising, diverging = draws(1, fail=True)[0], draws(1, diverge=True)[0]
    wanted = [raising, diverging, *draws(3)]
    with pytest.raises(trials.TrialsFailed, match=r"2 of 5 trials failed: .*'seed': 0.*asked to fail") as found:
        trials.run(wanted, store, jobs=1, quiet=True)
    assert [t.configuration for t in found.value.finished] == draws(3)
    assert store.failure(diverging).reason == "diverged: mean is nan"
    assert store.failure(raising).reason == "ValueError: this trial was asked to fail"
    assert "selfcheck.py" in store.failure(raising).trace
    assert trials.table(trials.run(draws(3), store, quiet=True)) == trials.table(found.value.finished)


def test_a_failed_trial_is_not_run_again_until_asked(store, monkeypatch):
    (c,) = draws(1)
    store.write_failure(trials.Failure(c, "because"))
    with pytest.raises(trials.TrialsFailed, match="because"):
        trials.run([c], store, jobs=1, quiet=True)
    assert c not in store
    assert trials.run([c], store, jobs=1, quiet=True, retry=True)[0]["seed"] == 0
    assert store.failure(c) is None
    damaged = store.path(draws(2)[1], ".failed.json")
    damaged.write_text("{")
    assert len(trials.run(draws(2), store, jobs=1, quiet=True)) == 2


def test_what_is_the_machines_fault_is_not_recorded(store, monkeypatch):
    (c,) = draws(1)

    def missing(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sweep, "experiment_of", lambda c: missing)
    with pytest.raises(trials.TrialsFailed, match="No space left"):
        trials.run([c], store, jobs=1, quiet=True)
    assert store.failure(c) is None
    monkeypatch.undo()
    assert trials.run([c], store, jobs=1, quiet=True)


def test_nan_deep_inside_is_named():
    assert sweep._not_finite({"a": [1.0, {"b": (2.0, float("inf"))}]}) == "a[1].b[1] is inf"
    assert sweep._not_finite({"a": [1.0, 2], "b": "nan"}) == ""


def test_a_training_run_that_diverges_says_where(store):
    with pytest.raises(trials.TrialsFailed, match=r"Diverged: the loss of epoch \d of 5 is (nan|inf)"):
        trials.run([selfcheck.training.configuration(rate=1e30, seed=0)], store, jobs=1, quiet=True)
    assert not list(store.folder.glob("*/*.checkpoint"))


def test_a_full_disk_loses_the_trial_in_hand_alone(store, monkeypatch):
    write, count = files.write, 0

    def full(path, content):
        nonlocal count
        count += 1
        if count == 3:
            raise OSError(28, "No space left on device", str(path))
        return write(path, content)

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(OSError, match="No space left"):
        trials.run(draws(5), store, jobs=1, quiet=True)
    assert len(list(store.folder.glob("*/*.json"))) == 2
    assert not list(store.folder.glob("*/*.lease"))
    monkeypatch.undo()
    before = {p: p.stat().st_mtime_ns for p in store.folder.glob("*/*.json")}
    whole = trials.run(draws(5), store, jobs=1, quiet=True)
    assert all(p.stat().st_mtime_ns == t for p, t in before.items())
    assert trials.table(whole) == [{**c, **selfcheck.mean_of_draws(seed=c["seed"])} for c in draws(5)]


def test_a_table_refuses_to_mix_versions_of_the_code(store):
    done = trials.run(draws(2), store, jobs=1, quiet=True)
    old = trials.Trial({**done[0].configuration, "code": "0" * 12}, done[0].results)
    for put_together in (trials.table, trials.provenance, trials.one_code):
        with pytest.raises(ValueError, match=r"selfcheck:mean_of_draws were made by 2 versions of its code \(0{12}, "):
            put_together([old, *done])


# -- kills inside training runs ---------------------------------------------------------------------

KILLED = """
import json, os, signal, sys
import torch
from verify import trials
from verify.experiments import selfcheck

def sweep(folder, limit):
    step, count = torch.optim.SGD.step, 0

    def counted(self, *a, **k):
        nonlocal count
        if count == limit:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        with open(folder + ".log", "a") as f:
            f.write("step ")
        return step(self, *a, **k)

    torch.optim.SGD.step = counted
    wanted = [selfcheck.training.configuration(seed=s) for s in range(3)]
    wanted.append(selfcheck.mean_of_draws.configuration(seed=0, fail=True))
    wanted.append(selfcheck.training.configuration(seed=9, rate=1e30))
    try:
        trials.run(wanted, trials.Store(folder), jobs=1, quiet=True)
    except trials.TrialsFailed as e:
        assert len(e.failures) == 2, e
        trials.write_csv(trials.table(e.finished), folder + ".csv")

# Each sweep is a process of its own, forked so that torch is imported and warm once.
torch.set_num_threads(1)
trials.perform(selfcheck.training.configuration(epochs=1, seed=0))
for folder, limit in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        sweep(folder, limit)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
STEPS_AN_EPOCH, WHOLE = 3, 3 * 2 * 5 * 3


def test_kills_within_training_runs_change_nothing_and_repeat_what_was_in_hand_alone(tmp_path):
    """Ten kills at random optimiser steps, one trial that raises and one that diverges."""
    whole, killed, rng = tmp_path / "whole", tmp_path / "killed", random.Random(5)
    limits = [rng.randrange(2, 9) for _ in range(10)]
    runs = [(str(whole), -1), *((str(killed), limit) for limit in limits), (str(killed), -1)]
    command = [sys.executable, "-c", KILLED, json.dumps(runs)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert [int(code) for code in done.stdout.split()] == [0] + [-signal.SIGKILL] * 10 + [0]
    assert killed.with_suffix(".csv").read_bytes() == whole.with_suffix(".csv").read_bytes()
    assert len(trials.read_csv(whole.with_suffix(".csv"))) == 3
    steps, repeated = (len(f.with_suffix(".log").read_text().split()) for f in (whole, killed))
    diverging = steps - WHOLE
    # Each kill costs the steps of the epoch in hand, at most.
    assert steps < repeated <= WHOLE + diverging + 10 * STEPS_AN_EPOCH
    assert not list(killed.glob("*/*.checkpoint"))
    assert not list(killed.glob("*/*.lease"))


def test_a_damaged_checkpoint_costs_time_and_no_result(store):
    (c,) = [selfcheck.training.configuration(seed=0)]
    whole = sweep.attempt((c, None))
    stem = store.path(c, "")
    stem.parent.mkdir(parents=True)
    stem.with_name(f"{stem.name}.0.checkpoint").write_bytes(b"half of a file")
    assert trials.run([c], store, jobs=1, quiet=True)[0].results == whole.results


# -- several drivers --------------------------------------------------------------------------------

DRIVER = """
import sys
from verify import trials
from verify.experiments import selfcheck
wanted = [selfcheck.mean_of_draws.configuration(seed=s, wait=0.1) for s in range(12)]
store = trials.Store(sys.argv[1])
write = store.write
def noted(trial):
    print(trial.configuration["seed"], flush=True)
    return write(trial)
store.write = noted
print("ready", flush=True)
sys.stdin.readline()
done = trials.run(wanted, store, jobs=1, quiet=True)
trials.write_csv(trials.table(done), sys.argv[2])
"""


def drivers(tmp_path, count):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(tmp_path / "shared"), str(tmp_path / f"{i}.csv")],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for i in range(count)
    ]  # fmt: skip
    for d in started:
        assert d.stdout.readline() == "ready\n"
    for d in started:
        d.stdin.write("go\n")
        d.stdin.flush()
    return started


def test_two_drivers_share_the_work_and_both_have_the_whole_table(tmp_path):
    both = drivers(tmp_path, 2)
    done = [d.communicate()[0].split() for d in both]
    assert [d.returncode for d in both] == [0, 0]
    assert sorted(int(s) for part in done for s in part) == list(range(12))
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "1.csv").read_bytes()


def test_a_dead_driver_leaves_its_work_to_the_other(tmp_path):
    first, second = drivers(tmp_path, 2)
    assert first.stdout.readline()  # it has finished one and has the next in hand, or soon will
    first.kill()
    first.communicate()
    assert second.communicate() is not None
    assert second.returncode == 0
    assert len(trials.read_csv(tmp_path / "1.csv")) == 12
    assert not list((tmp_path / "shared").glob("*/*.lease"))


def test_a_lease_on_another_machine_dies_when_its_file_stands_still(tmp_path):
    now = 0.0
    path = tmp_path / "x.lease"
    path.write_text(json.dumps({"owner": "other", "pid": 1, "host": "elsewhere"}))
    mine = leases.Leases(expiry=100.0, clock=lambda: now)
    assert not mine.take(path)
    now = 90.0
    os.utime(path, ns=(1, 1))  # its heart beats
    assert not mine.take(path)
    now = 180.0
    assert not mine.take(path)
    now = 191.0
    assert mine.take(path)
    assert leases.read(path)["owner"] == mine.owner
    other = leases.Leases(expiry=100.0, clock=lambda: now)
    assert not other.take(path)  # this process lives
    other.release(path)
    assert path.exists()
    mine.release(path)
    assert not path.exists()


def test_a_lease_of_a_dead_process_here_is_dead_at_once(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    path = tmp_path / "x.lease"
    path.write_text(json.dumps({"owner": "other", "pid": gone.pid, "host": leases.socket.gethostname()}))
    assert leases.Leases().take(path)


def test_shards_are_everything_once(store):
    parts = [trials.run(draws(9), store, shard=(i, 3), jobs=1, quiet=True) for i in (1, 2, 3)]
    assert sorted(t["seed"] for part in parts for t in part) == list(range(9))
    assert trials.parse_shard("2/3") == (2, 3)
    for wrong in ("0/3", "4/3", "a/b", "3", "1/0"):
        with pytest.raises(ValueError, match=re.escape(f"got {wrong!r}")):
            trials.parse_shard(wrong)


# -- workers ----------------------------------------------------------------------------------------


def die_once(job):
    """Kill this process the first time it meets item 3; item 5 kills it always."""
    item, folder = job
    mark = Path(folder) / "died"
    if item == 5 or (item == 3 and not mark.exists()):
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if item == 1:
        raise ValueError("no")
    return item * item


def test_a_dead_worker_takes_nothing_with_it(tmp_path):
    found = {item[0]: r for item, r in workers.each(die_once, [(i, str(tmp_path)) for i in range(8)], 2)}
    assert isinstance(found.pop(5), workers.WorkerDied)
    assert isinstance(found.pop(1), ValueError)
    assert found == {i: i * i for i in (0, 2, 3, 4, 6, 7)}


def test_the_default_starts_no_process_for_little_work(store, monkeypatch):
    def refused(processes):
        raise AssertionError

    monkeypatch.setattr(workers, "_pool", refused)
    assert len(trials.run(draws(5), store, quiet=True)) == 5


def test_files_are_readable_by_others(store):
    before = os.umask(0o022)
    try:
        trials.run(draws(1), store, jobs=1, quiet=True)
    finally:
        os.umask(before)
    (path,) = store.folder.glob("*/*.json")
    assert path.stat().st_mode & 0o044 == 0o044
