"""Drawings of matplotlib as SVG whose colours follow the reader's preference for light or dark."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = (
    "<style>svg{color:#1f2328;--page:#fff;--grid:#ddd}"
    "@media(prefers-color-scheme:dark){svg{color:#e3e6ea;--page:#1e2129;--grid:#444a55}}</style>"
)


def style(salt: str) -> Any:
    """Settings of matplotlib under which a figure is to be drawn and saved; ``salt`` makes its ids repeatable."""
    from figures.style import STYLE

    return {**STYLE, "svg.hashsalt": salt}


def text_of(figure: Figure) -> str:
    """The figure as SVG, in colours that follow the scheme."""
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return coloured(out.getvalue())


def coloured(text: str) -> str:
    """A drawing of matplotlib with black, white and grid replaced by colours that change with the scheme."""
    text = text[text.index("<svg") :]
    for written, instead in (("#000000", "currentColor"), ("#ffffff", "var(--page)"), ("#dddddd", "var(--grid)")):
        text = text.replace(written, instead)
    text = re.sub(r"<text (?![^>]*fill)", '<text fill="currentColor" ', text)
    text = re.sub(r'(<text [^>]*style=")(?![^"]*fill)', r"\1fill: currentColor; ", text)
    # A path without a fill of its own is black.
    return text.replace(">", f">{_COLOURS}", 1).replace("<svg ", '<svg fill="currentColor" ', 1)
