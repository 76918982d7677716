"""Fill docs/benchmarks.md from the CSV files in results/: ``python -m verify.studies.benchmarks_page``.

A table stands between ``<!-- table FILE: COLUMN | COLUMN -->`` and ``<!-- end -->``, the verdict on all that has a goal
between ``<!-- verdict -->`` and ``<!-- end -->``; a plot of it is drawn beside the page.
"""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path

from verify.trials import files
from verify.trials.tables import markdown

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
PLOT = ROOT / "docs" / "figures" / "benchmarks.svg"
_VERDICT = re.compile(r"(<!-- verdict -->\n).*?(<!-- end -->)", re.DOTALL)
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


@dataclass(frozen=True)
class Ratio:
    """A measured ratio that has a goal.

    Attributes:
        what: what was measured, against which floor.
        ratio, low, high: median and range over the rounds.
        goal: the ratio is to be at most this.
    """

    what: str
    ratio: float
    low: float
    high: float
    goal: float

    @property
    def verdict(self) -> str:
        """Whether the goal is met: by the median, and in every round."""
        return "met" if self.high <= self.goal else "met in the median" if self.ratio <= self.goal else "missed"


_NAMES = {
    "bench_ntk.csv": lambda r: f"exact NTK trace of {r['network']}, to 10 backward passes",
    "bench_paths.csv": lambda r: f"{r['who']} of ResNet-20, to a forward pass",
    "bench_pruning.csv": lambda r: f"{r['who']}, {r['rounds']} rounds, to {r['ratio to']}",
}
_NOT_SHOWN = "recorded before"


def ratios() -> list[Ratio]:
    """Every recorded ratio with a goal, where everybody has the same allocator: the stricter comparison."""
    found = []
    for name, words in _NAMES.items():
        lines = (ROOT / "results" / name).read_text().splitlines()
        for row in csv.DictReader(text for text in lines if not text.startswith("#")):
            if row["goal"] and row["allocator"] == "keeps pages" and _NOT_SHOWN not in row["who"]:
                low, high = map(float, row["lowest .. highest"].split(" .. "))
                found.append(Ratio(words(row), float(row["ratio"]), low, high, float(row["goal"].strip("<= "))))
    return found


def verdict() -> str:
    """The table of what has a goal."""
    rows = [(r.what, f"{r.ratio:.2f} ({r.low:.2f} to {r.high:.2f})", f"{r.goal:g}", r.verdict) for r in ratios()]
    return "\n".join(markdown(("measured", "ratio (range)", "goal at most", "verdict"), rows)) + "\n"


def plot() -> str:
    """The ratios on a logarithmic scale: a point with its range, and a bar at the goal; in the colours of the page."""
    shown, width, left, step = ratios(), 640, 20, 46
    low = min(min(r.low, r.goal) for r in shown) / 1.3
    high = max(max(r.high, r.goal) for r in shown) * 1.3

    def x(value: float) -> float:
        return left + (width - 2 * left) * math.log(value / low) / math.log(high / low)

    body = []
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10) if low <= t <= high]
    bottom = step * len(shown) + 8
    for t in ticks:
        body.append(f'<line x1="{x(t):.1f}" y1="4" x2="{x(t):.1f}" y2="{bottom}" stroke="currentColor" opacity=".25"/>')
        body.append(f'<text x="{x(t):.1f}" y="{bottom + 16}" text-anchor="middle" font-size="13">{t:g}</text>')
    for i, r in enumerate(shown):
        y = step * i + 36
        body.append(f'<text x="{left}" y="{y - 14}" font-size="14">{r.what}: {r.ratio:.2f}, {r.verdict}</text>')
        body.append(f'<path d="M{x(r.low):.1f} {y}H{x(r.high):.1f}" stroke="currentColor" stroke-width="2"/>')
        body.append(f'<circle cx="{x(r.ratio):.1f}" cy="{y}" r="5"/>')
        body.append(f'<path d="M{x(r.goal):.1f} {y - 9}V{y + 9}" stroke="#d55e00" stroke-width="4"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 26}" width="{width}" '
        f'fill="currentColor" font-family="system-ui,sans-serif"><style>svg{{color:#1f2328}}'
        f"@media(prefers-color-scheme:dark){{svg{{color:#e6edf3}}}}</style>{''.join(body)}</svg>\n"
    )


def filled(text: str) -> str:
    """The page with its tables as the files have them now."""

    def fill(match: re.Match[str]) -> str:
        columns = [c.strip() for c in match[3].split("|")]
        return match[1] + table(ROOT / match[2], columns) + match[4]

    return _VERDICT.sub(lambda m: m[1] + verdict() + m[2], _TABLE.sub(fill, text))


def write(page: Path = PAGE) -> Path:
    """Fill the tables of ``page``, and draw the plot."""
    files.write(PLOT, plot())
    return files.write(page, filled(page.read_text()))


if __name__ == "__main__":
    print(write())
