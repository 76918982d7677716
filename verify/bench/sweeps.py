"""One sweep run in several ways: uninterrupted, killed and restarted, through loky, on a Dask cluster.

    python -m verify bench sweeps        # 20 kills; writes reports/bench_sweeps.csv
    python -m verify.bench.sweeps 3      # so many kills; prints the rows

All must end with the same table, byte for byte. The kills are SIGKILL to the sweep and its workers at random
moments after its first line, as a power cut or an out-of-memory killer would do.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from verify import trials
from verify.trials import Configuration, Store

ROOT = Path(__file__).resolve().parents[2]


def configurations() -> list[Configuration]:
    """Sixty trials of four kinds, each a fraction of a second, in an order that mixes them."""
    from verify.experiments import capacity, digits, selfcheck, spectra

    found: list[Configuration] = []
    for s in range(15):
        found += [
            selfcheck.mean_of_draws.configuration(seed=s, wait=0.05),
            capacity.same_law.configuration(method="snip", samples=48, steps=60, copies=4, seed=s),
            digits.classify.configuration(method="synflow", density=0.1, steps=20, copies=2, seed=s),
            spectra.survival.configuration(method="px", rounds=20, copies=8, seed=s),
        ]
    return found


def sweep(store: Path, csv: Path, jobs: int = 2, scheduler: str | None = None) -> None:
    """Run the sweep, or what is left of it, and write its table."""
    done = trials.run(configurations(), Store(store), jobs=jobs, scheduler=scheduler, quiet=True)
    trials.write_csv(trials.table(done), csv)


def killed(store: Path, csv: Path, kills: int, within: float, *, seed: int = 0, jobs: int = 1) -> dict[str, Any]:
    """Start the sweep, kill it, start it again, ...; then let it finish.

    Args:
        store: folder of trials.
        csv: the table.
        kills: how often to kill it; fewer if it finishes before.
        within: a kill comes up to so many seconds after the sweep has begun (with workers: after their
            first trial).
        seed: of the moments.
        jobs: processes of the sweep; its workers are killed with it.

    Returns:
        kills: how many there were; finished at the kills: trials in the store after each; leftovers: temporary files.

    Raises:
        RuntimeError: the last, uninterrupted start failed.
    """
    rng = random.Random(seed)
    finished, leftovers, every = [], 0, len(configurations())
    for _ in range(kills):
        process = _start(store, csv, jobs)
        assert process.stdout is not None
        process.stdout.readline()  # "started": it is warm
        before, count = time.monotonic(), len(list(store.glob("*/*.json")))
        while jobs > 1 and len(list(store.glob("*/*.json"))) == count and time.monotonic() - before < 60:
            time.sleep(0.02)  # loky's workers are still importing
        time.sleep(rng.uniform(0.0, within))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            finished.append(len(list(store.glob("*/*.json"))))
            leftovers += len(list(store.glob("*/*.tmp")))
        process.communicate()
        if finished and finished[-1] == every:
            break
    process = _start(store, csv, jobs)
    process.communicate()
    if process.returncode:
        raise RuntimeError(f"the restarted sweep failed with code {process.returncode}")
    return {"kills": len(finished), "finished at the kills": " ".join(map(str, finished)), "leftovers": leftovers}


def _start(store: Path, csv: Path, jobs: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "verify.bench.sweeps", "sweep", str(store), str(csv), str(jobs)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)


def _digest(csv: Path) -> str:
    return hashlib.sha256(csv.read_bytes()).hexdigest()[:16]


def run(kills: int = 20, seed: int = 0) -> list[dict[str, Any]]:
    """A row a way of running it: its table's digest, and whether that is the uninterrupted one's.

    The Dask row is left out where `distributed` is not installed.
    """
    rows: list[dict[str, Any]] = []

    def row(way: str, csv: Path, since: float, **more: Any) -> None:
        digest = _digest(csv)
        same = not rows or digest == rows[0]["digest"]
        count = len(trials.read_csv(csv))
        spent = round(time.monotonic() - since, 1)
        rows.append({"way": way, "trials": count, "identical": same, "digest": digest, "seconds": spent, **more})

    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        for way, jobs in (("one process", 1), ("loky, 2 processes", 2)):
            start, csv = time.monotonic(), top / f"{jobs}.csv"
            sweep(top / f"jobs{jobs}", csv, jobs)
            row(way, csv, start)
        for name, jobs, count in (("one process", 1, kills), ("loky", 2, max(1, kills // 5))):
            start, csv = time.monotonic(), top / f"killed{jobs}.csv"
            found = killed(
                top / f"killed{jobs}", csv, count, 0.35 * rows[0]["seconds"] / count / jobs, seed=seed, jobs=jobs
            )
            row(f"{name}, killed {found['kills']} times", csv, start, **found)
        try:
            from distributed import LocalCluster
        except ImportError:
            return rows
        start, csv = time.monotonic(), top / "dask.csv"
        with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
            sweep(top / "dask", csv, scheduler=cluster.scheduler_address)
        row("Dask, 2 worker processes", csv, start)
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Whether all tables are the same."""
    return {"all tables identical": all(r["identical"] for r in rows)}


if __name__ == "__main__":
    if sys.argv[1:2] == ["sweep"]:
        # What happens once a process (imports, git, autograd's threads) is no part of the sweep to be killed.
        for warm in configurations()[:4] if sys.argv[4] == "1" else []:
            trials.perform(warm)
        print("started", flush=True)
        sweep(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    else:
        for found_row in run(int(sys.argv[1]) if sys.argv[1:] else 20):
            print(found_row)
