"""The report as one self-contained HTML file: no scripts from elsewhere, no fonts, no pictures to load."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from verify.app.runner import Row
from verify.trials import files

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%;font-size:14px}
td,th{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #ddd}
code{font-size:14px;overflow-wrap:anywhere}pre{background:#f6f6f6;padding:.6rem;overflow-x:auto;font-size:13px}
article{border-top:1px solid #ccc;margin-top:1.5rem;padding-top:.5rem}h3{margin-bottom:.2rem}
.survived,.supported{color:#00694b}.refuted,.contradicted{color:#a04000}.undecided{color:#7a3b8f}.none{color:#777}
.loud{background:#ffe3e0;border-left:4px solid #c00;padding:.3rem .6rem}.dim{color:#666;font-size:14px}
math{font-size:1.05em}figure{margin:.5rem 0}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}pre{background:#252525}.loud{background:#502020}
.survived,.supported{color:#4fc3a1}.refuted,.contradicted{color:#f0a060}.undecided{color:#c79be0}td,th{border-color:#444}}
"""


def mathematics(text: str) -> str:
    """Text with TeX between dollar signs as HTML with MathML."""
    from latex2mathml.converter import convert

    parts = re.split(r"\$(.+?)\$", text, flags=re.S)
    out = []
    for i, part in enumerate(parts):
        if i % 2 == 0:
            escaped = html.escape(part)
            escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
            out.append(re.sub(r"\n\s*\n", "</p><p>", escaped))
            continue
        try:
            out.append(convert(" ".join(part.split())))
        except Exception:  # a formula that cannot be converted is shown as it was written
            out.append(f"<code>{html.escape(part)}</code>")
    return f"<p>{''.join(out)}</p>"


def picture(instance: dict[str, Any]) -> str:
    """A small network of a certificate as SVG: units in layers, weights on the edges; empty if it has none."""
    net, theta = instance.get("network"), instance.get("theta")
    if not isinstance(net, dict) or not isinstance(theta, list) or len(net["units"]) > 24:
        return ""
    depth = [0] * len(net["units"])
    for s, t, _, _ in sorted(net["edges"], key=lambda e: e[1]):
        depth[t] = max(depth[t], depth[s] + 1)
    columns: dict[int, list[int]] = {}
    for u, d in enumerate(depth):
        columns.setdefault(d, []).append(u)
    width, height = 130 * (max(columns) + 1) + 20, 70 * max(map(len, columns.values())) + 20
    place = {
        u: (60 + 130 * d, height / (len(column) + 1) * (i + 1))
        for d, column in columns.items()
        for i, u in enumerate(column)
    }
    lines, labels = [], []
    for s, t, p, f in net["edges"]:
        (x1, y1), (x2, y2) = place[s], place[t]
        weight = f if p is None else theta[p] if f == "1" else f"{f}·{theta[p]}"
        dead = ' stroke-dasharray="3 3" opacity=".5"' if p is not None and theta[p] == "0" else ""
        lines.append(f'<line x1="{x1}" y1="{y1:.0f}" x2="{x2}" y2="{y2:.0f}" stroke="#888"{dead}/>')
        x, y = x1 + 0.36 * (x2 - x1), y1 + 0.36 * (y2 - y1)
        labels.append(f'<text x="{x:.0f}" y="{y - 4:.0f}" text-anchor="middle">{html.escape(str(weight))}</text>')
    units = []
    names = {"input": "x", "one": "1", "linear": "+", "relu": "relu", "leaky": "leaky", "max": "max"}
    seen = 0
    for u, kind in enumerate(net["units"]):
        x, y = place[u]
        name = names.get(kind, kind)
        if kind == "input":
            seen += 1
            name = f"x{seen}"
        elif u in net["outputs"]:
            name = f"y{net['outputs'].index(u) + 1}"
        units.append(
            f'<circle cx="{x}" cy="{y:.0f}" r="17" fill="#fff" stroke="#345"/>'
            f'<text x="{x}" y="{y + 4:.0f}" text-anchor="middle" fill="#222">{html.escape(name)}</text>'
        )
    body = "".join(lines + labels + units)
    return (
        f'<figure><svg viewBox="0 0 {width} {height:.0f}" width="{width}" role="img" '
        f'aria-label="the network of the counterexample" font-size="12" fill="currentColor">{body}</svg></figure>'
    )


def _article(claim_rows: Sequence[Row]) -> str:
    first = claim_rows[0]
    out = [
        f'<article id="{html.escape(first.claim.replace("/", "-"))}"><h3><code>{html.escape(first.claim)}</code></h3>'
    ]
    out.append(f"<p><b>{mathematics(first.title)[3:-4]}</b> <span class=dim>{html.escape(first.status)}; "
               f"{html.escape(first.source)}</span></p>{mathematics(first.statement)}")  # fmt: skip
    if first.assumes:
        items = "".join(
            f"<li><code>{html.escape(n)}</code>: {mathematics(s)[3:-4]}</li>" for n, s in first.assumes.items()
        )
        out.append(f"<p>Assumes</p><ul>{items}</ul>")
    for word, others in (("Repairs", [first.repairs]), ("Repaired by", first.repaired_by), ("See", first.see)):
        links = [
            f'<a href="#{html.escape(o.replace("/", "-"))}"><code>{html.escape(o)}</code></a>' for o in others if o
        ]
        if links:
            out.append(f"<p>{word} {', '.join(links)}.</p>")
    for row in claim_rows:
        kind = row.verdict if row.verdict != "not applicable" else "none"
        margin = "" if row.margin is None else f", smallest relative margin {row.margin:.3g}"
        count = f"{row.examples} decided exactly, {row.screened} screened" if row.examples or row.screened else ""
        out.append(
            f"<p>On {html.escape(row.on)}: <b class={kind}>{html.escape(row.verdict)}</b> "
            f"<span class=dim>{html.escape(', '.join(x for x in (row.how, count) if x))}{margin}, "
            f"{row.seconds:.2f} s</span></p>"
        )
        if row.disagrees:
            out.append(f"<p class=loud>{html.escape(row.disagrees)}</p>")
        for reason in row.reasons:
            out.append(f"<p class=dim>{html.escape(reason)}</p>")
        if row.certificate:
            out.append(_counterexample(row))
    return "".join(out) + "</article>"


def _counterexample(row: Row) -> str:
    certificate = row.certificate or {}
    data = base64.b64encode(json.dumps(certificate, indent=1).encode()).decode()
    name = row.claim.replace("/", "--") + ".json"
    return (
        f"{picture(certificate['instance'])}<p><code>{html.escape(row.counterexample)}</code><br>"
        f"<code>{html.escape(row.decision)}</code></p>"
        f'<p class=dim><a download="{name}" href="data:application/json;base64,{data}">certificate</a>; '
        f"reproduce: <code>{html.escape(row.reproduce)}</code></p>"
        f"<details><summary class=dim>code that decides it again</summary>"
        f"<pre>{html.escape(certificate['replay'])}</pre></details>"
    )


def _line(claim: str, rows: Sequence[Row]) -> str:
    verdicts = "<br>".join(
        f"<span class={'none' if r.verdict == 'not applicable' else r.verdict}>{html.escape(r.verdict)}</span> "
        f"<span class=dim>on {html.escape(r.on)}</span>"
        for r in rows
    )
    anchor = html.escape(claim.replace("/", "-"))
    return (
        f'<tr><td><a href="#{anchor}"><code>{html.escape(claim)}</code></a></td>'
        f"<td>{html.escape(rows[0].status)}</td><td>{verdicts}</td></tr>"
    )


def render(rows: Sequence[Row], provenance: dict[str, Any]) -> str:
    """The whole page."""
    by_claim: dict[str, list[Row]] = {}
    for row in rows:
        by_claim.setdefault(row.claim, []).append(row)
    table = "".join(_line(c, rs) for c, rs in by_claim.items())
    loud = "".join(
        f"<p class=loud><code>{html.escape(r.claim)}</code> on {html.escape(r.on)}: {html.escape(r.disagrees)}</p>"
        for r in rows
        if r.disagrees
    )
    made = ", ".join(f"{html.escape(str(k))} {html.escape(str(v))}" for k, v in provenance.items())
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Pruning theorems</title><style>{_STYLE}</style><h1>Pruning theorems, checked</h1>"
        f"<p class=dim>{made}</p><p><i>Survived</i>: no counterexample among the instances seen; this is not a proof. "
        "<i>Refuted</i>: an exact counterexample, with its certificate.</p>"
        f"{loud}<table><tr><th>claim<th>status<th>verdict</tr>{table}</table>"
        + "".join(_article(rs) for rs in by_claim.values())
        + "</html>\n"
    )


def save(rows: Sequence[Row], path: str | Path, provenance: dict[str, Any]) -> Path:
    """Write the page, whole or not at all."""
    return files.write(path, render(rows, provenance))
