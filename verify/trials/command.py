"""`trials ls | show | export | gc | retry`: look at a store of trials, take tables from it, tidy it.

Each command takes the parsed options and returns the exit code; `verify.app.arguments` says which options there are.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from verify.trials import files, leases, tables
from verify.trials.store import (
    FAILED,
    RESERVED,
    Configuration,
    Failure,
    Store,
    Trial,
    experiment_of,
    one_code,
    read_failure,
    read_trial,
    table,
)


def _store(options: argparse.Namespace) -> Store:
    folder = Path(options.trials)
    if not folder.is_dir():
        raise ValueError(f"there are no trials in {str(folder)!r}; give their folder with --trials")
    return Store(folder)


# -- looking ----------------------------------------------------------------------------------------


def counts(store: Store, experiment: str = "") -> list[dict[str, Any]]:
    """A row an experiment and version of its code: finished, failed, in hand, and whether the code is today's.

    Damaged files are not counted. A lease or checkpoint does not say of which code it is: they are in the first row.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}

    def row(c: Configuration) -> dict[str, Any]:
        key = (str(c.get("experiment")), str(c.get("code")))
        new = {"experiment": key[0], "code": key[1], "current": is_current(c), "finished": 0, "failed": 0, "in hand": 0}
        return found.setdefault(key, new)

    for t in _readable(store, experiment):
        row(t.configuration)["finished"] += 1
    for f in store.failures(experiment):
        row(f.configuration)["failed"] += 1
    rows = sorted(found.values(), key=lambda r: (r["experiment"], not r["current"], r["code"]))
    held = leases.Leases()
    counted = set()
    for r in rows:
        folder = store.path({"experiment": r["experiment"]}).parent
        if folder not in counted:
            r["in hand"] = sum(not held.dead(p) for p in folder.glob(f"*{leases.SUFFIX}"))
            counted.add(folder)
    return rows


def is_current(configuration: Configuration) -> bool:
    """Whether that trial's code is what the source tree holds now."""
    try:
        experiment_of(configuration)
    except ValueError:
        return False
    return True


def _readable(store: Store, experiment: str = "") -> Iterator[Trial]:
    for path in sorted(store.folder.glob("*/*.json")):
        if path.name.endswith(FAILED):
            continue
        try:
            trial = read_trial(path)
        except ValueError as e:
            print(f"left out: {e}", file=sys.stderr)
            continue
        if experiment in str(trial.configuration.get("experiment")):
            yield trial


def ls(options: argparse.Namespace) -> int:
    """Experiments, with how many trials are finished, failed and in hand."""
    store = _store(options)
    rows = counts(store, options.experiment)
    if not rows:
        raise ValueError(f"no trials{f' of {options.experiment!r}' if options.experiment else ''} in {store.folder}")
    width = max(len(r["experiment"]) for r in rows)
    for r in rows:
        code = r["code"] + ("" if r["current"] else " (not today's)")
        more = "".join(f", {r[k]} {k}" for k in ("failed", "in hand") if r[k])
        print(f"{r['experiment']:<{width}}  {r['finished']:>6} finished{more}  code {code}")
    for f in store.failures(options.experiment):
        print(f"failed: {f}")
    return 0


def find(store: Store, start: str) -> Trial | Failure:
    """The one trial, finished or failed, whose name starts so.

    Raises:
        ValueError: there is none, there are several, or its file is damaged.
    """
    if not start or not all(c in "0123456789abcdef" for c in start):
        raise ValueError(f"a trial's name is hexadecimal digits, not {start!r}; `trials ls` shows failed ones")
    paths = sorted(store.folder.glob(f"*/{start}*.json"))
    if not paths:
        raise ValueError(f"no trial in {store.folder} has a name that starts with {start}")
    if len(names := sorted({p.name.split(".")[0] for p in paths})) > 1:
        raise ValueError(f"{len(names)} trials have names that start with {start}: {', '.join(names[:5])}")
    failed = [f for p in paths if p.name.endswith(FAILED) and (f := read_failure(p))]
    finished = [p for p in paths if not p.name.endswith(FAILED)]
    return read_trial(finished[0]) if finished or not failed else failed[0]


def show(options: argparse.Namespace) -> int:
    """One trial."""
    store = _store(options)
    found = find(store, options.id)
    print(f"{found.configuration['experiment']}  code {found.configuration.get('code')}")
    for k, v in found.configuration.items():
        if k not in RESERVED:
            print(f"  {k} = {json.dumps(v)}")
    if isinstance(found, Failure):
        print(f"failed: {found.reason}\n{found.trace}".rstrip())
    else:
        for k, v in found.results.items():
            text = json.dumps(v)
            print(f"  {k}: {text if len(text) <= 200 else text[:200] + f' ... ({len(text)} characters)'}")
    for k, v in found.provenance.items():
        print(f"  {k}: {v if isinstance(v, str) else json.dumps(v)}")
    return 0


# -- taking out -------------------------------------------------------------------------------------


def export(trials: Iterable[Trial], path: Path, kind: str) -> int:
    """Write trials as one table, "csv" or "parquet", whole or not at all; how many rows.

    Raises:
        ValueError: no trials, of several experiments, or of several versions of the code.
    """
    trials = list(trials)
    made = one_code(trials)
    if not trials:
        raise ValueError("no finished trials to export")
    if len(made) > 1:
        raise ValueError(f"a table holds one experiment; name one of {', '.join(made)}")
    rows = table(trials)
    if kind == "csv":
        tables.write_csv(rows, path)
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with files.writing(path, "wb") as f:
            pq.write_table(pa.Table.from_pylist(rows), f)
    return len(rows)


def export_table(options: argparse.Namespace) -> int:
    """Write finished trials as one table."""
    if bool(options.csv) == bool(options.parquet):
        raise ValueError("say where the table goes: --csv FILE or --parquet FILE")
    store = _store(options)
    trials = list(store.trials(options.experiment))
    if options.code:
        trials = [t for t in trials if t.configuration.get("code") == options.code]
    path = Path(options.csv or options.parquet)
    try:
        count = export(trials, path, "csv" if options.csv else "parquet")
    except ValueError as e:
        hint = "; choose one with --code, today's is marked in `trials ls`" if "versions of its code" in str(e) else ""
        raise ValueError(f"{e}{hint}") from None
    print(f"{path}: {count} trials")
    return 0


# -- tidying ----------------------------------------------------------------------------------------


def rubbish(store: Store, *, old: bool = False) -> list[Path]:
    """What may be removed: half-written files, checkpoints of trials that are over, dead leases.

    Args:
        store: the store.
        old: also what other code than today's made, and checkpoints that nobody works on.
    """
    held = leases.Leases()
    found = store.leftovers() + [p for p in sorted(store.folder.glob(f"*/*{leases.SUFFIX}")) if held.dead(p)]
    if old:
        found += [store.path(t.configuration) for t in store.trials() if not is_current(t.configuration)]
        found += [store.path(f.configuration, FAILED) for f in store.failures() if not is_current(f.configuration)]
        for p in sorted(store.folder.glob("*/*.checkpoint")):
            lease = p.with_name(p.name.split(".")[0] + leases.SUFFIX)
            if not lease.exists() or lease in found:
                found.append(p)
    return list(dict.fromkeys(found))


def gc(options: argparse.Namespace) -> int:
    """Remove what killed runs left behind."""
    store = _store(options)
    found = rubbish(store, old=options.old)
    for path in found:
        if options.dry_run:
            print(path)
        else:
            path.unlink(missing_ok=True)
    print(f"{len(found)} files {'would be' if options.dry_run else 'were'} removed")
    return 0


def retry(options: argparse.Namespace) -> int:
    """Forget failures, so that their trials run again."""
    store = _store(options)
    failures = list(store.failures(options.experiment))
    for f in failures:
        store.forget_failure(f.configuration)
    print(f"{len(failures)} failed trials will run again in the next sweep that asks for them")
    return 0


__all__ = ["counts", "export", "export_table", "find", "gc", "is_current", "ls", "retry", "rubbish", "show"]
