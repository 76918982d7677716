"""An examination as a file: Markdown with its pictures beside it, or one HTML page with everything in it."""

from __future__ import annotations

import base64
import html
from pathlib import Path

from markdown_it import MarkdownIt

from verify.networks.claims.examination import Examination, markdown
from verify.networks.claims.pictures import CAPTIONS, pictures
from verify.trials import files

KINDS = (".md", ".html")
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
code{font-size:13px;overflow-wrap:anywhere}img{max-width:100%}em{color:#555;font-size:14px}li{margin:.2rem 0}
"""


def check_report(path: str) -> None:
    """Raise before anything is searched if a report cannot be written under this name.

    Raises:
        ValueError: neither Markdown nor HTML, or no such folder.
    """
    if path and Path(path).suffix not in KINDS:
        raise ValueError(f"--report: {path} is neither .md nor .html")
    if path and not Path(path).absolute().parent.is_dir():
        raise ValueError(f"--report: there is no folder {Path(path).absolute().parent}")


def write_report(path: str, found: Examination) -> None:
    """The examination as Markdown, its pictures beside it, or as one HTML file with everything in it."""
    target, drawn = Path(path), pictures(found.measured)
    if target.suffix == ".md":
        places = {name: target.with_name(f"{target.stem}-{name}.svg") for name in drawn}
        for name, place in places.items():
            files.write(place, drawn[name])
        said = {CAPTIONS[name]: place.name for name, place in places.items()}
        files.write(target, "\n".join(markdown(found, said)) + "\n")
        return
    inside = {
        CAPTIONS[name]: f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
        for name, svg in drawn.items()
    }
    files.write(target, page(found.name, "\n".join(markdown(found, inside))))


def page(title: str, text: str) -> str:
    """Markdown as a self-contained HTML page."""
    parser = MarkdownIt("commonmark", {"html": False})
    # Pictures are ours, and lie in the page itself.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>{parser.render(text)}</html>\n"
    )


__all__ = ["check_report", "page", "write_report"]
