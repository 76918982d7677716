"""Tables: as CSV with what they come from in comment lines above, and as Markdown."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from verify.trials import files

Rows = list[dict[str, Any]]


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
    with files.writing(path) as f:
        for key, value in (provenance or {}).items():
            f.write(f"# {key}: {value if isinstance(value, str) else json.dumps(value)}\n")
        writer = csv.DictWriter(f, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return Path(path)


def read_csv(path: str | Path) -> Rows:
    """The rows of `write_csv`; what looks like a number becomes one."""
    with open(path, newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(line for line in f if not line.startswith("#")))
    return [{k: _number(v) for k, v in r.items()} for r in rows]


def read_provenance(path: str | Path) -> dict[str, Any]:
    """The comment lines of `write_csv`; what is JSON there is read as such."""
    found: dict[str, Any] = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            if not line.startswith("# "):
                break
            key, _, text = line[2:].rstrip("\n").partition(": ")
            try:
                found[key] = json.loads(text)
            except ValueError:
                found[key] = text
    return found


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def markdown(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """The lines of a Markdown table.

    Raises:
        ValueError: a row of another length than the header.
    """
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"a row has {len(row)} cells, the header {len(columns)}: {row}")
    body = [columns, *rows]
    lines = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in body]
    return [lines[0], "|" + "---|" * len(columns), *lines[1:]]


__all__ = ["Rows", "markdown", "read_csv", "read_provenance", "write_csv"]
