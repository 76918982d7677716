"""The gallery: every figure drawn as SVG from its recorded table, with caption, table and command."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from figures.registry import Figure, figures
from verify.studies.claims_page import ROOT
from verify.studies.svg import style, text_of
from verify.trials.tables import read_csv, read_provenance

TABLES = ROOT / "results" / "figures"
_PAPERS = {
    "sketching": "A Sketching Perspective",
    "synaptic-flow": "SynFlow",
    "path-exclusion": "Path eXclusion",
    "no-free-prune": "No Free Prune",
    "accuracy": "Accuracy after training",
    "ours": "This project",
}


def table_of(figure: Figure) -> Path:
    """The table that the repository holds of a figure."""
    return TABLES / f"{figure.name.replace('/', '-')}.csv"


def told(figure: Figure) -> dict[str, Any]:
    """What the table says of itself, with the figure's news, which tables that were recorded before do not hold."""
    table = table_of(figure)
    about = read_provenance(table)
    return {**about, "news": about.get("news") or figure.news(read_csv(table))}


def svg(figure: Figure) -> str:
    """The figure drawn from its table, in colours that follow the reader's preference for light or dark."""
    import matplotlib

    from figures.style import framed

    with matplotlib.rc_context(style(figure.name)):
        return text_of(framed(figure.draw(read_csv(table_of(figure))), told(figure)))


def plain(text: str) -> str:
    """Words that hold formulas as plain text, w* and w_0, so that Markdown leaves them alone."""
    return re.sub(r"([*_])", r"\\\1", text)


def pages() -> tuple[dict[str, str], dict[str, str]]:
    """The page, and the drawings: path from the root of the site -> text."""
    drawings: dict[str, str] = {}
    lines = [
        "# Figures",
        "",
        "Each figure is drawn from the table beside it and from nothing else. The table says which trials, seeds and",
        "versions it comes from. *How to draw it again* runs the trials that are missing, and draws.",
    ]
    last = ""
    for figure in figures():
        table = table_of(figure)
        if not table.exists():
            continue
        paper = figure.name.split("/")[0]
        if paper != last:
            lines += ["", f"## {_PAPERS.get(paper, paper)}"]
            last = paper
        name = f"figures/{figure.name.replace('/', '-')}.svg"
        try:
            drawings[name] = svg(figure)
        except (LookupError, ValueError) as e:
            print(f"{table.name} was recorded for another drawing ({type(e).__name__}: {e}); left out", file=sys.stderr)
            continue
        about = told(figure)
        lines += [
            "",
            f"### {plain(figure.title.rstrip('.'))}",
            "",
            f"**Here:** {plain(about['news'].rstrip('.'))}.",
            "",
            f"![{figure.title}]({name}){{ .figure loading=lazy }}",
            "",
            plain(figure.caption),
            "",
            f"[Table](repo:{table.relative_to(ROOT)}), {about.get('trials', '?')} trials. How to draw it again:",
            f"`python -m figures make {figure.name} --scale {about.get('scale', 'small')}`",
        ]
    return {"figures.md": "\n".join(lines) + "\n"}, drawings
