"""The store of trials: identity, atomic files, restarts, the same table however it was run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from verify import trials
from verify.experiments import selfcheck

ROOT = Path(__file__).parents[2]


def configurations(count, **more):
    return [selfcheck.mean_of_draws.configuration(seed=s, **more) for s in range(count)]


def test_identity_is_frozen():
    """A changed identity would orphan every finished trial: change it only on purpose."""
    c = {"experiment": "a:b", "code": "0123456789ab", "density": 0.1, "method": "px", "layers": [200, 200], "seed": 3}
    assert trials.identity(c) == "a7a3826587c280b8934a"
    assert trials.identity(dict(reversed(c.items()))) == trials.identity(c)


@pytest.mark.parametrize("change", [{"seed": 4}, {"density": 0.2}, {"code": "2"}, {"extra": None}])
def test_identity_depends_on_everything(change):
    c = {"experiment": "a:b", "code": "1", "density": 0.1, "seed": 3}
    assert trials.identity({**c, **change}) != trials.identity(c)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
def test_identity_refuses_what_is_not_json(value):
    with pytest.raises(ValueError, match="plain JSON"):
        trials.identity({"x": value})


def test_configuration_writes_out_defaults_and_names_mistakes():
    assert selfcheck.mean_of_draws.configuration(seed=1)["draws"] == 1000
    with pytest.raises(ValueError, match="no parameter 'seeds'"):
        selfcheck.mean_of_draws.configuration(seeds=1)
    with pytest.raises(ValueError, match="needs a value for 'seed'"):
        selfcheck.mean_of_draws.configuration()
    with pytest.raises(ValueError, match="no experiment"):
        trials.experiment_of({"experiment": "verify.trials.store:nothing"})
    with pytest.raises(ValueError, match=r"its code here is [0-9a-f]{12}, not the 7 of the trial"):
        trials.experiment_of({**selfcheck.mean_of_draws.configuration(seed=1), "code": "7"})


def test_round_trip_with_provenance(tmp_path):
    store = trials.Store(tmp_path)
    (trial,) = trials.run(configurations(1), store, jobs=1, quiet=True)
    assert trial.results == selfcheck.mean_of_draws(seed=0)
    assert {"commit", "versions", "device", "seconds"} <= set(trial.provenance)
    assert trial["seed"] == 0
    assert trial["mean"] == trial.results["mean"]
    assert store.read(trial.configuration) == trial


def test_finished_trials_are_not_run_again(tmp_path):
    store = trials.Store(tmp_path)
    trials.run(configurations(2), store, jobs=1, quiet=True)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*/*.json")}
    trials.run(configurations(3), store, jobs=1, quiet=True)
    assert len(before) == 2
    assert all(p.stat().st_mtime_ns == t for p, t in before.items())
    assert len(list(tmp_path.glob("*/*.json"))) == 3


def test_damaged_and_altered_files_are_named(tmp_path):
    store = trials.Store(tmp_path)
    (c,) = configurations(1)
    trials.run([c], store, jobs=1, quiet=True)
    whole = store.path(c).read_text()
    store.path(c).write_text(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=trials.identity(c)):
        store.read(c)
    body = json.loads(whole)
    body["results"]["mean"] = 0.0
    store.path(c).write_text(json.dumps(body))
    with pytest.raises(ValueError, match="altered"):
        store.read(c)


def test_leftovers_of_killed_writes_are_ignored_and_swept(tmp_path):
    store = trials.Store(tmp_path)
    trials.run(configurations(1), store, jobs=1, quiet=True)
    left = next(tmp_path.glob("*")) / ".half.tmp"
    left.write_text("{")
    os.utime(left, (0, 0))
    trials.run(configurations(2), store, jobs=1, quiet=True)
    assert not left.exists()


def test_loky_gives_the_table_of_one_process(tmp_path):
    one = trials.run(configurations(6), trials.Store(tmp_path / "one"), jobs=1, quiet=True)
    two = trials.run(configurations(6), trials.Store(tmp_path / "two"), jobs=2, quiet=True)
    assert trials.table(one) == trials.table(two)


def test_dask_gives_the_table_of_one_process(tmp_path):
    distributed = pytest.importorskip("distributed")
    one = trials.run(configurations(6), trials.Store(tmp_path / "one"), jobs=1, quiet=True)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        two = trials.run(configurations(6), trials.Store(tmp_path / "two"), scheduler=address, quiet=True)
    assert trials.table(one) == trials.table(two)


SWEEP = """
import sys
from verify import trials
from verify.experiments import selfcheck
wanted = [selfcheck.mean_of_draws.configuration(seed=s, wait=0.03) for s in range(40)]
trials.write_csv(trials.table(trials.run(wanted, trials.Store(sys.argv[1]), jobs=1, quiet=True)), sys.argv[2])
"""


def sweep(store, out, kill_after=None):
    process = subprocess.Popen([sys.executable, "-c", SWEEP, str(store), str(out)], cwd=ROOT)
    if kill_after is not None:
        before, count = time.monotonic(), len(list(Path(store).glob("*/*.json")))
        # The first trial may take long to start; wait for it so that kills fall inside the sweep.
        while len(list(Path(store).glob("*/*.json"))) == count and time.monotonic() - before < 600:
            time.sleep(0.01)
        time.sleep(kill_after)
        process.send_signal(signal.SIGKILL)
    return process.wait()


def test_killed_and_restarted_gives_the_uninterrupted_table(tmp_path):
    """`verify.bench.sweeps` does the same with 20 kills."""
    wanted = configurations(40, wait=0.03)
    whole = trials.run(wanted, trials.Store(tmp_path / "whole"), jobs=1, quiet=True)
    trials.write_csv(trials.table(whole), tmp_path / "whole.csv")
    rng = random.Random(4)
    codes = [sweep(tmp_path / "killed", tmp_path / "killed.csv", rng.uniform(0.0, 0.15)) for _ in range(3)]
    assert codes == [-signal.SIGKILL] * 3
    assert sweep(tmp_path / "killed", tmp_path / "killed.csv") == 0
    assert (tmp_path / "killed.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_progress_estimates_what_remains():
    progress = trials.Progress(10, quiet=True)
    for _ in range(4):
        progress.step()
    assert progress.line(progress.start + 8.0).startswith("4 of 10 trials, 8 s, about 12 s to go")
    assert progress.line(progress.start + 4000.0).startswith("4 of 10 trials, 67 min, about 100 min to go")
    named = trials.Progress(2, quiet=True, label="sketching/lazy-weights")
    named.step()
    named.step()
    assert named.line(named.start + 3.0).strip() == "sketching/lazy-weights: 2 of 2 trials, 3 s, done"


def test_csv_round_trip_with_provenance_lines(tmp_path):
    rows = [{"method": "px", "density": 0.1, "alive": 3}, {"method": "snip", "density": 0.2, "alive": 4}]
    path = trials.write_csv(rows, tmp_path / "a" / "t.csv", provenance={"commits": ["abc"]})
    assert path.read_text().startswith('# commits: ["abc"]\n')
    assert trials.read_csv(path) == rows
    with pytest.raises(ValueError, match="no rows"):
        trials.write_csv([], tmp_path / "t.csv")
