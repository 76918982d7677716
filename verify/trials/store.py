"""The store of finished trials.

A *trial* is a configuration (a flat JSON object: the experiment, a hash of its code, its parameters, a seed) and its
results. A finished trial is one file, written whole or not at all and named by the hash of its configuration.
Results are a function of the configuration alone; where and when they were computed is recorded beside them, never
mixed in. A trial that raised or diverged is a file too, which says why.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, overload

from verify.trials import checkpoints, code, files

Configuration = dict[str, Any]
Function = Callable[..., dict[str, Any]]
FORMAT = "pruning-theorems trial 2"
FAILED = ".failed.json"
RESERVED = ("experiment", "code")


# -- experiments ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Experiment:
    """A function from parameters to results that a sweep can find again by name in another process.

    Attributes:
        name: "module:function".
        function: keyword parameters (all JSON values) -> results (a JSON object).
        defaults: the parameters that have one.
        also: modules whose code matters and that are imported by computed names; see `verify.trials.code`.
    """

    name: str
    function: Function = field(compare=False)
    defaults: Mapping[str, Any] = field(compare=False)
    also: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The hash of the code that makes its trials."""
        return code.fingerprint(self.name.partition(":")[0], self.also)

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
        return {"experiment": self.name, "code": self.code, **self.defaults, **parameters}

    def __call__(self, **parameters: Any) -> dict[str, Any]:
        return self.function(**parameters)


@overload
def experiment(function: Function) -> Experiment: ...
@overload
def experiment(*, also: tuple[str, ...]) -> Callable[[Function], Experiment]: ...
def experiment(
    function: Function | None = None, *, also: tuple[str, ...] = ()
) -> Experiment | Callable[[Function], Experiment]:
    """Make the decorated module-level function an `Experiment`.

    Raises:
        ValueError: a parameter with a name that a configuration needs itself.
    """

    def register(function: Function) -> Experiment:
        parameters = inspect.signature(function).parameters.values()
        for p in parameters:
            if p.name in RESERVED:
                raise ValueError(f"{function.__name__}: no parameter of an experiment is called {p.name!r}")
        defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
        return Experiment(f"{function.__module__}:{function.__name__}", function, defaults, also)

    return register if function is None else register(function)


def experiment_of(configuration: Configuration) -> Experiment:
    """The experiment a configuration names.

    Raises:
        ValueError: there is none, or its code is not the configuration's.
    """
    module, _, name = str(configuration.get("experiment", "")).partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        raise ValueError(f"no experiment is called {configuration.get('experiment')!r}") from None
    if not isinstance(found, Experiment):
        raise ValueError(f"{configuration['experiment']!r} is not an experiment")
    if found.code != configuration.get("code"):
        raise ValueError(
            f"{found.name}: its code here is {found.code}, not the {configuration.get('code')} of the trial; "
            "make the configurations again, and use one version of the code on all machines"
        )
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


@dataclass(frozen=True)
class Failure:
    """A trial that has no results, and why.

    Attributes:
        configuration: which one.
        reason: one line.
        trace: the traceback, or "".
        lasting: whether it would fail again elsewhere (it raised, it diverged), so that it is recorded; not so a full
            disk or a data set that is not on this machine.
        provenance: where and when.
    """

    configuration: Configuration
    reason: str
    trace: str = ""
    lasting: bool = True
    provenance: dict[str, Any] = field(compare=False, default_factory=dict)

    def __str__(self) -> str:
        shown = {k: v for k, v in self.configuration.items() if k not in RESERVED}
        name = str(self.configuration.get("experiment", "trial")).rpartition(".")[2]
        return f"trial {identity(self.configuration)} of {name} {shown}: {self.reason}"


class Store:
    """A folder of trials, one JSON file each: finished ones and failed ones."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def path(self, configuration: Configuration, suffix: str = ".json") -> Path:
        """Where that trial is, or would be; other suffixes: its failure, lease, checkpoint."""
        name = str(configuration.get("experiment", "trial")).replace(":", ".").rsplit(".", 2)
        return self.folder / ".".join(name[-2:]) / f"{identity(configuration)}{suffix}"

    def __contains__(self, configuration: Configuration) -> bool:
        return self.path(configuration).exists()

    def read(self, configuration: Configuration) -> Trial:
        """A finished trial.

        Raises:
            ValueError: the file cannot be read, is damaged, or is another trial's; names it.
        """
        return read_trial(self.path(configuration))

    def write(self, trial: Trial) -> Path:
        """Write a trial, whole or not at all; an earlier failure of it and its checkpoint go.

        Raises:
            OSError: it cannot be written.
            ValueError: results that are no plain JSON values, or hold NaN or infinity.
        """
        body = {
            "format": FORMAT,
            "configuration": trial.configuration,
            "results": trial.results,
            "provenance": trial.provenance,
            "digest": _digest(trial.configuration, trial.results),
        }
        path = files.write(self.path(trial.configuration), json.dumps(body, indent=1, allow_nan=False) + "\n")
        self.forget_failure(trial.configuration)
        self._over(trial.configuration)
        return path

    def _over(self, configuration: Configuration) -> None:
        for path in checkpoints.of(self.path(configuration, "")):
            path.unlink(missing_ok=True)

    def failure(self, configuration: Configuration) -> Failure | None:
        """Why that trial failed when it was run last; None if it did not, or was to be tried again."""
        return read_failure(self.path(configuration, FAILED))

    def write_failure(self, failure: Failure) -> Path:
        """Record a failure; its checkpoint goes, since going on from there would fail again."""
        path = self.path(failure.configuration, FAILED)
        files.write(path, json.dumps(asdict(failure), indent=1) + "\n")
        self._over(failure.configuration)
        return path

    def forget_failure(self, configuration: Configuration) -> bool:
        """Let a failed trial be run again; whether there was one."""
        path = self.path(configuration, FAILED)
        there = path.exists()
        path.unlink(missing_ok=True)
        return there

    def trials(self, experiment: str = "") -> Iterator[Trial]:
        """Every finished trial whose experiment's name holds ``experiment``, in order of the files' names.

        Raises:
            ValueError: a damaged file.
        """
        for path in sorted(self.folder.glob("*/*.json")):
            if not path.name.endswith(FAILED):
                trial = read_trial(path)
                if experiment in str(trial.configuration.get("experiment")):
                    yield trial

    def failures(self, experiment: str = "") -> Iterator[Failure]:
        """Every recorded failure, likewise."""
        for path in sorted(self.folder.glob(f"*/*{FAILED}")):
            found = read_failure(path)
            if found is not None and experiment in str(found.configuration.get("experiment")):
                yield found

    def leftovers(self, older_than: float = 3600.0) -> list[Path]:
        """Half-written files of killed runs, and checkpoints of trials that are over."""
        now = time.time()
        found = [p for p in self.folder.glob(f"*/*{files.TEMPORARY}") if now - p.stat().st_mtime > older_than]
        for p in self.folder.glob(f"*/*{checkpoints.SUFFIX}"):
            stem = p.name.split(".")[0]
            if any(p.with_name(stem + end).exists() for end in (".json", FAILED)):
                found.append(p)
        return found


def read_trial(path: Path) -> Trial:
    """The trial in a file.

    Raises:
        ValueError: the file cannot be read, is damaged, or is another trial's; names it.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        trial = Trial(body["configuration"], body["results"], body["provenance"])
        known = body["format"] == FORMAT and identity(trial.configuration) == path.stem
        whole = body["digest"] == _digest(trial.configuration, trial.results)
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise ValueError(f"{path} is not a readable trial ({e}); delete it and the trial runs again") from None
    if not known or not whole:
        raise ValueError(f"{path} was altered or renamed after it was written; delete it and the trial runs again")
    return trial


def read_failure(path: Path) -> Failure | None:
    """The failure in a file; None where there is none or none that can be read (the trial then runs again)."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        found = Failure(**body)
        known = f"{identity(found.configuration)}{FAILED}" == path.name
    except (OSError, ValueError, TypeError):
        return None
    return found if known else None


def _digest(configuration: Configuration, results: dict[str, Any]) -> str:
    text = json.dumps([configuration, results], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


# -- what trials say together -----------------------------------------------------------------------


def one_code(trials: Iterable[Trial]) -> dict[str, str]:
    """The experiments and the code that made their trials.

    Raises:
        ValueError: trials of one experiment made by different code: what they say is not to be put together.
    """
    made: dict[str, set[str]] = {}
    for t in trials:
        made.setdefault(str(t.configuration.get("experiment")), set()).add(str(t.configuration.get("code")))
    for name, versions in made.items():
        if len(versions) > 1:
            raise ValueError(
                f"trials of {name} were made by {len(versions)} versions of its code ({', '.join(sorted(versions))}) "
                "and do not belong in one table"
            )
    return {name: next(iter(versions)) for name, versions in sorted(made.items())}


def table(trials: Iterable[Trial]) -> list[dict[str, Any]]:
    """One row a trial: its configuration and its results, nothing that depends on where it ran.

    Raises:
        ValueError: trials made by different versions of the code.
    """
    trials = list(trials)
    one_code(trials)
    return [{**t.configuration, **t.results} for t in trials]


def frame(trials: Iterable[Trial]) -> Any:
    """`table` as a pandas data frame.

    Raises:
        ModuleNotFoundError: pandas is not installed.
        ValueError: trials made by different versions of the code.
    """
    try:
        import pandas
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "trials.frame() needs pandas: pip install pandas; without it, trials.table() gives a list of dicts and "
            "`python -m verify trials export` writes CSV or Parquet"
        ) from None
    return pandas.DataFrame(table(trials))


def provenance(trials: Sequence[Trial]) -> dict[str, Any]:
    """What a table says about where its numbers come from.

    Raises:
        ValueError: trials made by different versions of the code.
    """
    seconds = sum(t.provenance.get("seconds", 0.0) for t in trials)
    seeds = sorted({t.configuration["seed"] for t in trials if "seed" in t.configuration})
    return {
        "trials": len(trials),
        "experiments": [f"{name} {made}" for name, made in one_code(trials).items()],
        "seeds": f"{seeds[0]}..{seeds[-1]}" if seeds else "none",
        "commits": sorted({t.provenance.get("commit", "unknown") for t in trials}),
        "versions": trials[0].provenance.get("versions", {}) if trials else {},
        "devices": sorted({t.provenance.get("device", "cpu") for t in trials}),
        "compute seconds": round(seconds, 1),
    }


__all__ = [
    "Configuration", "Experiment", "Failure", "Store", "Trial", "experiment", "experiment_of", "frame", "identity",
    "one_code", "provenance", "read_failure", "read_trial", "table",
]  # fmt: skip
