"""The store of finished trials, and how sweeps of them are run.

A *trial* is a configuration (a flat JSON object: the experiment, its parameters, a seed) and its
results. A finished trial is one file, written whole or not at all and named by the hash of its
configuration, so a sweep may be killed at any moment: the trials in hand are lost, nothing else, and
started again it continues. Results are a function of the configuration alone; where and when they were
computed is recorded beside them, never mixed in.

    from verify.trials import store as trials
    from verify.experiments import capacity

    store = trials.Store("trials")
    done = trials.run([capacity.same_law.configuration(method="imp", seed=s) for s in range(8)], store)
    rows = trials.table(done)
"""

from __future__ import annotations

import csv
import functools
import hashlib
import importlib
import inspect
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Configuration = dict[str, Any]
FORMAT = "pruning-theorems trial 1"
_PACKAGES = ("numpy", "scipy", "torch", "scikit-learn", "joblib")


# -- experiments ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Experiment:
    """A function from parameters to results that `run` can find again by name in another process.

    Attributes:
        name: "module:function".
        version: raise it when the meaning of a parameter or the results change: the hash changes with it.
        function: keyword parameters (all JSON values) -> results (a JSON object).
        defaults: the parameters that have one.
    """

    name: str
    version: int
    function: Callable[..., dict[str, Any]] = field(compare=False)
    defaults: Mapping[str, Any] = field(compare=False)

    def configuration(self, **parameters: Any) -> Configuration:
        """The frozen configuration of one trial, defaults written out.

        Raises:
            ValueError: an unknown parameter, or one without a default that is missing.
        """
        known = inspect.signature(self.function).parameters
        if extra := sorted(set(parameters) - set(known)):
            raise ValueError(f"{self.name} has no parameter {extra[0]!r}; its parameters are {', '.join(known)}")
        if missing := [p for p in known if p not in parameters and p not in self.defaults]:
            raise ValueError(f"{self.name} needs a value for {missing[0]!r}")
        return {"experiment": self.name, "version": self.version, **self.defaults, **parameters}

    def __call__(self, **parameters: Any) -> dict[str, Any]:
        return self.function(**parameters)


def experiment(*, version: int = 1) -> Callable[[Callable[..., dict[str, Any]]], Experiment]:
    """Make the decorated module-level function an `Experiment`."""

    def register(function: Callable[..., dict[str, Any]]) -> Experiment:
        parameters = inspect.signature(function).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
        return Experiment(f"{function.__module__}:{function.__name__}", version, function, defaults)

    return register


def experiment_of(configuration: Configuration) -> Experiment:
    """The experiment a configuration names.

    Raises:
        ValueError: there is none, or its version is not the configuration's.
    """
    module, _, name = str(configuration.get("experiment", "")).partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        raise ValueError(f"no experiment is called {configuration.get('experiment')!r}") from None
    if not isinstance(found, Experiment):
        raise ValueError(f"{configuration['experiment']!r} is not an experiment")
    if found.version != configuration.get("version"):
        raise ValueError(f"{found.name} is at version {found.version}, not {configuration.get('version')}")
    return found


def identity(configuration: Configuration) -> str:
    """The name of a trial: 20 hexadecimal digits of the SHA-256 of its canonical JSON.

    Key order does not matter; ``1`` and ``1.0`` are different values.

    Raises:
        ValueError: the configuration is no plain JSON object (NaN, arrays, keys that are no strings).
    """
    if not isinstance(configuration, dict) or not all(isinstance(k, str) for k in configuration):
        raise ValueError("a configuration is a dict with string keys")
    try:
        text = json.dumps(configuration, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as e:
        raise ValueError(f"a configuration holds plain JSON values only: {e}") from None
    return hashlib.sha256(text.encode()).hexdigest()[:20]


# -- the store ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """A finished trial."""

    configuration: Configuration
    results: dict[str, Any]
    provenance: dict[str, Any] = field(compare=False, default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.results[name] if name in self.results else self.configuration[name]


class Store:
    """A folder of finished trials, one JSON file each."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def path(self, configuration: Configuration) -> Path:
        """Where that trial is, or would be."""
        name = str(configuration.get("experiment", "trial")).replace(":", ".").rsplit(".", 2)
        return self.folder / ".".join(name[-2:]) / f"{identity(configuration)}.json"

    def __contains__(self, configuration: Configuration) -> bool:
        return self.path(configuration).exists()

    def read(self, configuration: Configuration) -> Trial:
        """A finished trial.

        Raises:
            ValueError: the file cannot be read, is damaged, or is another trial's; names it.
        """
        path = self.path(configuration)
        try:
            body = json.loads(path.read_text())
            trial = Trial(body["configuration"], body["results"], body["provenance"])
            known = body["format"] == FORMAT and identity(trial.configuration) == path.stem
            whole = body["digest"] == _digest(trial.configuration, trial.results)
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise ValueError(f"{path} is not a readable trial ({e}); delete it and the trial runs again") from None
        if not known or not whole:
            raise ValueError(f"{path} was altered or renamed after it was written; delete it and the trial runs again")
        return trial

    def write(self, trial: Trial) -> Path:
        """Write a trial, whole or not at all."""
        path = self.path(trial.configuration)
        path.parent.mkdir(parents=True, exist_ok=True)
        body = {
            "format": FORMAT,
            "configuration": trial.configuration,
            "results": trial.results,
            "provenance": trial.provenance,
            "digest": _digest(trial.configuration, trial.results),
        }
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "w") as f:
                json.dump(body, f, indent=1, allow_nan=False)
                f.write("\n")
                f.flush()
                os.fsync(f.fileno())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return path

    def sweep_leftovers(self, older_than: float = 3600.0) -> int:
        """Remove the temporary files of killed runs; how many there were."""
        old = [p for p in self.folder.glob("*/*.tmp") if time.time() - p.stat().st_mtime > older_than]
        for p in old:
            p.unlink(missing_ok=True)
        return len(old)


def _digest(configuration: Configuration, results: dict[str, Any]) -> str:
    text = json.dumps([configuration, results], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def commit() -> str:
    """The commit of the source tree, with "+" when files differ from it; "unknown" outside a repository."""
    root = Path(__file__).resolve().parents[1]
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
        dirty = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "."], cwd=root, check=False).returncode
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if dirty else "")


@functools.cache
def _machine() -> dict[str, Any]:
    from importlib import metadata

    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {"commit": commit(), "versions": versions, "platform": platform.platform(), "cpus": os.cpu_count()}


def perform(configuration: Configuration) -> Trial:
    """Run one trial here and now, on one thread.

    Raises:
        RuntimeError: the trial raised; says which one and why.
    """
    function = experiment_of(configuration)
    parameters = {k: v for k, v in configuration.items() if k not in ("experiment", "version")}
    start = time.monotonic()
    try:
        with _one_thread():
            results = function(**parameters)
        json.dumps(results, allow_nan=False)
    except Exception as e:
        raise RuntimeError(f"trial {identity(configuration)} {configuration}: {type(e).__name__}: {e}") from e
    device = configuration.get("device", "cpu")
    return Trial(configuration, results, {**_machine(), "device": device, "seconds": time.monotonic() - start})


class _one_thread:
    """One torch thread inside, so that results do not depend on how many run beside each other."""

    def __enter__(self) -> None:
        self.torch = importlib.import_module("torch")
        self.before = self.torch.get_num_threads()
        self.torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        self.torch.set_num_threads(self.before)


# -- sweeps ---------------------------------------------------------------------------------------


class Progress:
    """Says on stderr how far a sweep is and how long it will take: in place on a terminal, else now and then."""

    def __init__(self, total: int, quiet: bool = False, every: float = 15.0, label: str = "") -> None:
        self.total, self.done, self.quiet = total, 0, quiet
        self.label = f"{label}: " if label else ""
        self.start = self.last = time.monotonic()
        self.live = sys.stderr.isatty()
        self.every = 0.2 if self.live else every

    def step(self) -> None:
        """One more is finished."""
        self.done += 1
        now = time.monotonic()
        if self.quiet or (now - self.last < self.every and self.done < self.total):
            return
        self.last = now
        print(("\r" if self.live else "") + self.line(now), end="" if self.live else "\n", file=sys.stderr, flush=True)
        if self.live and self.done == self.total:
            print(file=sys.stderr)

    def line(self, now: float) -> str:
        """E.g. "12 of 40 trials, 31 s, about 72 s to go"."""
        spent = now - self.start
        left = spent / max(self.done, 1) * (self.total - self.done)
        rest = f"about {_duration(left)} to go" if self.done < self.total else "done"
        return f"{self.label}{self.done} of {self.total} trials, {_duration(spent)}, {rest}   "


def _duration(seconds: float) -> str:
    """E.g. "72 s", "14 min", "3.5 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def run(
    configurations: Iterable[Configuration],
    store: Store,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    quiet: bool = False,
    label: str = "",
) -> list[Trial]:
    """Run those trials that are not finished yet, and return all of them in the order asked for.

    Args:
        configurations: what to run; duplicates run once.
        store: where finished trials are.
        jobs: processes on this machine (joblib's loky); 1 runs in this process; None: one a core.
        scheduler: address of a Dask scheduler ("tcp://host:8786"); needs the extra ``[cluster]``.
        quiet: print no progress.
        label: what the trials are for; stands before the progress.

    Raises:
        ValueError: a configuration is malformed, or the scheduler cannot be used.
        RuntimeError: a trial raised; what finished before is kept.
    """
    wanted = list(configurations)
    todo: dict[str, Configuration] = {}
    for c in wanted:
        experiment_of(c)
        if c not in store:
            todo.setdefault(identity(c), c)
    store.sweep_leftovers()
    progress = Progress(len(todo), quiet, label=label)
    for trial in _perform_all(list(todo.values()), jobs, scheduler):
        store.write(trial)
        progress.step()
    return [store.read(c) for c in wanted]


def _perform_all(todo: Sequence[Configuration], jobs: int | None, scheduler: str | None) -> Iterator[Trial]:
    """Trials as they finish. The caller writes them: workers need no shared folder."""
    if not todo:
        return
    if scheduler is None and (jobs == 1 or len(todo) == 1):
        yield from map(perform, todo)
        return
    import joblib

    if scheduler is None:
        yield from joblib.Parallel(n_jobs=jobs or os.cpu_count() or 1, return_as="generator_unordered")(
            joblib.delayed(perform)(c) for c in todo
        )
        return
    try:
        from distributed import Client
    except ImportError:
        raise ValueError("a Dask scheduler needs the extra: pip install 'pruning-theorems[cluster]'") from None
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError, TimeoutError) as e:
        raise ValueError(f"no Dask scheduler answers at {scheduler!r}: {e}") from None
    with client:
        from distributed import as_completed

        for future in as_completed([client.submit(perform, c, pure=False) for c in todo]):
            yield future.result()


# -- tables ---------------------------------------------------------------------------------------


def table(trials: Iterable[Trial]) -> list[dict[str, Any]]:
    """One row a trial: its configuration and its results, nothing that depends on where it ran."""
    return [{**t.configuration, **t.results} for t in trials]


def write_csv(
    rows: Sequence[Mapping[str, Any]], path: str | Path, *, provenance: Mapping[str, Any] | None = None
) -> Path:
    """Write rows as CSV, whole or not at all; provenance as ``#`` comment lines on top.

    Raises:
        ValueError: there are no rows.
    """
    if not rows:
        raise ValueError(f"{path}: no rows to write")
    columns = list(dict.fromkeys(k for r in rows for k in r))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(handle, "w", newline="") as f:
        for key, value in (provenance or {}).items():
            f.write(f"# {key}: {value if isinstance(value, str) else json.dumps(value)}\n")
        writer = csv.DictWriter(f, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.chmod(name, 0o644)
    os.replace(name, path)
    return path


def read_csv(path: str | Path) -> list[dict[str, Any]]:
    """The rows of `write_csv`; what looks like a number becomes one."""
    with open(path, newline="") as f:
        rows = list(csv.DictReader(line for line in f if not line.startswith("#")))
    return [{k: _number(v) for k, v in r.items()} for r in rows]


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def provenance(trials: Sequence[Trial]) -> dict[str, Any]:
    """What a table says about where its numbers come from."""
    seconds = sum(t.provenance.get("seconds", 0.0) for t in trials)
    seeds = sorted({t.configuration["seed"] for t in trials if "seed" in t.configuration})
    return {
        "trials": len(trials),
        "experiments": sorted({f"{t.configuration['experiment']} v{t.configuration['version']}" for t in trials}),
        "seeds": f"{seeds[0]}..{seeds[-1]}" if seeds else "none",
        "commits": sorted({t.provenance.get("commit", "unknown") for t in trials}),
        "versions": trials[0].provenance.get("versions", {}) if trials else {},
        "devices": sorted({t.provenance.get("device", "cpu") for t in trials}),
        "compute seconds": round(seconds, 1),
    }
