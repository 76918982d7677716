"""Links of the site: from where a file lies in the repository to where the site has it; and whether all lead somewhere.

A page may link a file of the repository as ``repo:PATH``; a page that is itself a file of the repository links as it
does there. What lies outside docs/ is copied into the site.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from theory.claims import claims
from verify.studies.claims_page import ROOT
from verify.studies.site.words import anchor, page_of, relative

_TARGET = re.compile(r"(?<=\]\()([^)\s]+)(?=\))|(?<=src=\")([^\"]+)(?=\")")
_SHOWN = (".csv", ".json", ".svg", ".png", ".html")
"""A browser shows or saves these by themselves; everything else becomes a text file."""


def moved(text: str, page: str, source: str = "") -> tuple[str, dict[str, str]]:
    """A page's text with the site's links, and the files that it needs: path in the site -> in the repository.

    Args:
        text: Markdown.
        page: where the page stands in the site.
        source: where it stands in the repository; empty for a generated page.

    Raises:
        ValueError: a link to a file that there is not.
    """
    needed: dict[str, str] = {}
    by_anchor = {anchor(c.id): page_of(c.id) for c in claims()}

    def there(match: re.Match[str]) -> str:
        written = match[0]
        path, _, fragment = written.partition("#")
        if written.startswith("repo:"):
            path = path.removeprefix("repo:")
        elif source == "docs/claims.md" and fragment in by_anchor:
            path = source
        elif not source or not path or "://" in written or written.startswith(("mailto:", "data:")):
            return written
        else:
            path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if path == "docs/claims.md" and fragment in by_anchor:
            return relative(by_anchor[fragment], page)
        if not (ROOT / path).is_file():
            raise ValueError(f"{source or page} links {written}, but there is no file {path}")
        target = _in_site(path)
        if not target.endswith(".md"):
            needed[target] = path
        return relative(target, page) + (f"#{fragment}" if fragment else "")

    return _TARGET.sub(there, text), needed


_PAGES = {"README.md": "index.md", "docs/examples/api.md": "api.md", "docs/notebook.py": "notebook.md"}
"""Files that the site shows as pages of another name."""


def _in_site(path: str) -> str:
    if path in _PAGES:
        return _PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"files/{path}" + ("" if path.endswith(_SHOWN) else ".txt")


class _Links(HTMLParser):
    """Links and anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = {"", "__top"}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {k: v or "" for k, v in attrs}
        self.anchors |= {found[k] for k in ("id", "name") if k in found}
        self.links += [found[k] for k in ("href", "src") if k in found]
        if tag != "a":
            self.loaded += [found[k] for k in ("href", "src") if k in found]


def broken(site: Path) -> Iterator[str]:
    """Every link of the built site that leads nowhere, and everything it would load from elsewhere, a line each."""
    pages: dict[Path, _Links] = {}
    for path in sorted(site.rglob("*.html")):
        pages[path] = _Links()
        pages[path].feed(path.read_text(encoding="utf-8"))
    for path, page in pages.items():
        for link in page.loaded:
            if urlsplit(link).netloc:
                yield f"{path.relative_to(site)}: {link}: loaded from elsewhere"
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            target = target / "index.html" if target.is_dir() else target
            where = path.relative_to(site)
            if where.name == "404.html" and link.startswith("/"):
                continue
            if not target.is_file():
                yield f"{where}: {link}: no such file"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{where}: {link}: no such place on that page"
