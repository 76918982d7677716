"""Draws the small network of a certificate as SVG, with its weights, its values on one input, and what pruning left.

Lines and letters have the colour of the text around them, so that a drawing can be read on light and on dark.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Any

from verify.certificates.second_opinion import Net

MOST_UNITS = 16
COLUMN, ROW, RADIUS = 122, 84, 18
_STANDALONE = (
    "<style>svg{color:#1f2328;--page:#fff}@media(prefers-color-scheme:dark){svg{color:#e6edf3;--page:#0d1117}}</style>"
)


def drawable(instance: Mapping[str, Any]) -> bool:
    """Whether `network_svg` can draw the instance: it has a network with weights, and not too many units."""
    net = instance.get("network")
    return isinstance(net, dict) and isinstance(instance.get("theta"), list) and len(net["units"]) <= MOST_UNITS


def unit_names(instance: Mapping[str, Any]) -> list[str]:
    """x1, h1, y1 ... for the units, and 1 for the constant one."""
    net, counts, names = instance["network"], {"x": 0, "h": 0, "y": 0}, []
    for u, kind in enumerate(net["units"]):
        letter = "y" if u in net["outputs"] else "x" if kind == "input" else "h"
        counts[letter] += 1
        names.append("1" if kind == "one" else f"{letter}{counts[letter]}")
    return names


def network_svg(
    instance: Mapping[str, Any],
    label: str,
    *,
    kept: Collection[int] | None = None,
    notes: Mapping[int, str] | None = None,
    standalone: bool = False,
) -> str:
    """The network: units in columns, weights on the edges, values under the units if there is one sample.

    Args:
        instance: of a certificate, as JSON; see `drawable`.
        label: what the drawing shows, for those who cannot see it.
        kept: the parameters that pruning leaves (None: all); the others are drawn as dashed lines, and weigh 0.
        notes: parameter -> words under its weight, such as its score.
        standalone: a file of its own, which brings its colours for light and dark.
    """
    net, names = instance["network"], unit_names(instance)
    weights = [Fraction(t) for t in instance["theta"]]
    if kept is not None:
        weights = [w if j in kept else Fraction(0) for j, w in enumerate(weights)]
    place, width, height = _places(net)
    values = _values(instance, weights)
    lines, labels = [], []
    for s, t, p, factor in net["edges"]:
        (x1, y1), (x2, y2) = place[s], place[t]
        gone = p is not None and (weights[p] == 0)
        dashed = ' stroke-dasharray="4 4"' if gone else ""
        lines.append(f'<line x1="{x1}" y1="{y1:g}" x2="{x2}" y2="{y2:g}" stroke="currentColor"{dashed}/>')
        shown = _weight(instance["theta"], p, factor) if kept is None or p is None or p in kept else "removed"
        where = 0.4
        x, y = x1 + where * (x2 - x1), y1 + where * (y2 - y1)
        labels.append(_text(x, y - 3, shown, bold=not gone, small=shown == "removed"))
        if p is not None and notes and p in notes:
            labels.append(_text(x, y + 13, notes[p], small=True))
    circles = []
    for u, kind in enumerate(net["units"]):
        x, y = place[u]
        circles.append(
            f'<circle cx="{x}" cy="{y:g}" r="{RADIUS}" fill="var(--page,var(--md-default-bg-color,Canvas))" '
            f'stroke="currentColor"/>' + _text(x, y + 5, names[u], halo=False)
        )
        if kind not in ("input", "one", "linear"):
            circles.append(_text(x, y - RADIUS - 5, kind, small=True))
        if values is not None and kind != "one":
            circles.append(_text(x, y + RADIUS + 15, f"= {values[u]}", small=True))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" width="{width}" height="{height:g}" '
        f'role="img" aria-label="{html.escape(label)}" font-family="system-ui,sans-serif" font-size="15" '
        f'style="max-width:100%;height:auto">{_STANDALONE if standalone else ""}'
        f"{''.join(lines + labels + circles)}</svg>"
    )


def _places(net: Mapping[str, Any]) -> tuple[dict[int, tuple[float, float]], int, float]:
    depth = [0] * len(net["units"])
    for s, t, _, _ in sorted(net["edges"], key=lambda e: e[1]):
        depth[t] = max(depth[t], depth[s] + 1)
    last = max(depth)
    for u in net["outputs"]:
        depth[u] = last
    columns: dict[int, list[int]] = {}
    for u, d in enumerate(depth):
        columns.setdefault(d, []).append(u)
    height = ROW * max(map(len, columns.values())) + 16
    place = {
        u: (36.0 + COLUMN * d, height / len(column) * (i + 0.5))
        for d, column in columns.items()
        for i, u in enumerate(column)
    }
    return place, COLUMN * last + 72, height


def _values(instance: Mapping[str, Any], weights: list[Fraction]) -> list[str] | None:
    if len(instance.get("x") or []) != 1:
        return None
    net = Net(dict(instance), weights)
    return [str(dual[0]) for dual in net.walk(net.x[0])[0]]


def _weight(theta: list[str], parameter: int | None, factor: str) -> str:
    if parameter is None:
        return factor
    return theta[parameter] if factor == "1" else f"{factor} · {theta[parameter]}"


def _text(x: float, y: float, words: str, *, small: bool = False, bold: bool = False, halo: bool = True) -> str:
    look = ' font-size="12.5"' if small else ""
    look += ' font-weight="600"' if bold else ""
    if halo:
        page = "var(--page,var(--md-default-bg-color,Canvas))"
        look += f' stroke="{page}" stroke-width="4" paint-order="stroke" stroke-linejoin="round"'
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="middle" fill="currentColor"{look}>'
        f"{html.escape(words.replace('-', '−'))}</text>"
    )
