"""Fill the tables of docs/benchmarks.md from the CSV files in results/: ``python -m verify.studies.benchmarks_page``.

A table stands between ``<!-- table FILE: COLUMN | COLUMN -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from verify.trials import files
from verify.trials.tables import markdown

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
_TABLE = re.compile(r"(<!-- table (\S+): (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(path: Path, columns: list[str]) -> str:
    """A CSV file as a Markdown table, with what it says about how it was measured above.

    Raises:
        ValueError: a column that the file does not have.
    """
    lines = path.read_text().splitlines()
    about = [text[2:] for text in lines if text.startswith("# ") and not text.startswith("# seed")]
    rows = list(csv.DictReader(text for text in lines if not text.startswith("#")))
    known = list(rows[0]) if rows else []
    for column in columns:
        if column not in known:
            raise ValueError(f"{path.name} has no column {column!r}; it has {', '.join(known)}")
    out = ["*" + "; ".join(about) + "*", "", *markdown(columns, [[_short(row[c]) for c in columns] for row in rows])]
    return "\n".join(out) + "\n"


def _short(value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        return value
    return value if number == int(number) and "." not in value else f"{number:.3g}"


def filled(text: str) -> str:
    """The page with its tables as the files have them now."""

    def fill(match: re.Match[str]) -> str:
        columns = [c.strip() for c in match[3].split("|")]
        return match[1] + table(ROOT / match[2], columns) + match[4]

    return _TABLE.sub(fill, text)


def write(page: Path = PAGE) -> Path:
    """Fill the tables of ``page``."""
    return files.write(page, filled(page.read_text()))


if __name__ == "__main__":
    print(write())
