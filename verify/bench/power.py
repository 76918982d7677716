"""Mutants of the source of `theory`: how many does a claim notice? See `verify.power.planting`.

What was judged is kept line by line in reports/bench_power.jsonl, so that an interrupted run goes on; the file is begun
anew when `theory` or the search has changed. Survivors that change nothing are listed in
`verify/power/equivalent.toml`, each with its proof. `python -m verify.bench.power` records in results/ what has been
judged.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from theory.names import did_you_mean
from verify.power.mutants import ROOT, Mutant, mutants
from verify.power.planting import Fate, fate, survey
from verify.trials import write_csv
from verify.trials.origin import of_search

PLANTED = 3000
"""Of all mutants those with the smallest hash of their name: a sample that other changes of the source leave alone."""
EQUIVALENT = Path(__file__).resolve().parents[1] / "power" / "equivalent.toml"
KEPT = ROOT / "reports" / "bench_power.jsonl"


def chosen(count: int = PLANTED) -> list[Mutant]:
    """The mutants that are planted, in the order of their hashes."""
    return sorted(mutants(), key=lambda m: hashlib.sha256(m.name.encode()).hexdigest())[:count]


def reasons(path: Path = EQUIVALENT) -> dict[str, str]:
    """Name of a mutant -> why nothing can notice it; "FILE FUNCTION: *" stands for all mutants of one function.

    Raises:
        ValueError: a name that is no mutant's, so that the file cannot go stale.
    """
    listed: dict[str, str] = tomllib.loads(path.read_text())["equivalent"]
    known = {name for m in mutants() for name in (m.name, _whole(m))}
    for name in listed:
        if name not in known:
            raise ValueError(f"{path.name}: no mutant is called {name!r}; {did_you_mean(name, known)}")
    return listed


def _whole(mutant: Mutant) -> str:
    return f"{mutant.file} {mutant.where}: *"


def run(count: int = PLANTED, kept: Path = KEPT) -> list[dict[str, Any]]:
    """One row for each mutant.

    Args:
        count: how many to plant.
        kept: where finished ones are kept.
    """
    done, why = _finished(kept), reasons()
    known, rows = None, []
    for i, mutant in enumerate(chosen(count), 1):
        found = done.get(mutant.name)
        if found is None:
            known = survey(kept.with_suffix(".survey")) if known is None else known
            found = fate(mutant, known)
            with kept.open("a") as out:
                out.write(json.dumps({"mutant": mutant.name, **vars(found)}) + "\n")
        rows.append(_row(mutant, found, why))
        if sys.stderr.isatty():
            print(f"\r{i} of {count}", end="", file=sys.stderr, flush=True)
    return sorted(rows, key=lambda r: r["mutant"])


def _row(mutant: Mutant, found: Fate, why: dict[str, str]) -> dict[str, Any]:
    reason = why.get(mutant.name) or why.get(_whole(mutant))
    equivalent = reason is not None and found.fate not in ("killed", "did not end")
    return {
        "mutant": mutant.name,
        "kind": mutant.kind,
        "fate": "equivalent" if equivalent else found.fate,
        "by": reason if equivalent else found.by,
        "decided exactly": found.exact,
    }


def _finished(kept: Path) -> dict[str, Fate]:
    """What an interrupted run has left, if the sources are the same."""
    header = {"sources": _digest()}
    lines = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    if not lines or lines[0] != header:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.with_suffix(".survey").unlink(missing_ok=True)
        kept.write_text(json.dumps(header) + "\n")
        return {}
    return {line.pop("mutant"): Fate(**line) for line in lines[1:]}


def _digest() -> str:
    """A hash of what decides the fate of a mutant."""
    found = hashlib.sha256()
    for folder in ("theory", "verify/power", "verify/search", "verify/certificates", "docs/certificates"):
        for path in sorted((ROOT / folder).glob("**/*")):
            if path.suffix in (".py", ".json"):
                found.update(path.read_bytes())
    return found.hexdigest()


def by_file(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many mutants of each file were planted, killed, shown equivalent, and how many survive."""
    out: dict[str, Counter[str]] = {}
    for r in rows:
        out.setdefault(r["mutant"].split()[0], Counter())[r["fate"]] += 1
    fates = ("killed", "did not end", "equivalent", "survived", "not reached", "cannot be planted")
    return [{"file": f, "mutants": sum(c.values()), **{k: c[k] for k in fates}} for f, c in sorted(out.items())]


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts of all fates, by file, and the share that was killed or is equivalent."""
    fates = Counter(r["fate"] for r in rows)
    told = fates["killed"] + fates["did not end"] + fates["equivalent"]
    counted = len(rows) - fates["cannot be planted"]
    out: dict[str, Any] = {"mutants": len(rows), **dict(sorted(fates.items()))}
    out["killed or equivalent"] = f"{100 * told / max(1, counted):.2f} %"
    for r in by_file(rows):
        out[r.pop("file")] = ", ".join(f"{v} {k}" for k, v in r.items() if v)
    return out


def about(planted: int = PLANTED) -> dict[str, str]:
    """What a reader of the CSV wants to know beside the commit."""
    return {"mutants": f"{planted} of {len(mutants())}, those with the smallest hashes"}


def record(folder: Path, kept: Path = KEPT) -> list[Path]:
    """Write what has been judged until now, mutant by mutant and file by file, without planting more.

    Returns: ``bench_power.csv`` and ``bench_power_files.csv`` in ``folder``.
    """
    done, why = _finished(kept), reasons()
    rows = sorted((_row(m, done[m.name], why) for m in chosen() if m.name in done), key=lambda r: str(r["mutant"]))
    provenance = {**of_search(0), **about(len(rows)), "killed or equivalent": summary(rows)["killed or equivalent"]}
    tables = (("bench_power", rows), ("bench_power_files", by_file(rows)))
    return [write_csv(found, folder / f"{name}.csv", provenance=provenance) for name, found in tables]


if __name__ == "__main__":
    for written in record(Path("results")):
        print(written)
