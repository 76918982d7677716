"""Pictures of an examination: scores by layer, survival by density, spectrum of the tangent kernel."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from verify.networks.claims.measured import LOSSES, Measured

CAPTIONS = {
    "scores": "Mean score of each layer's weights, divided by the mean over all weights, before pruning.",
    "survival": "Densities at which each method loses a layer, an output and the last live path, pruned in rounds from "
    "density 1 on the left; a bar ends where the run ended or the last live path was lost.",
    "spectrum": "Eigenvalues of the neural tangent kernel on the inputs given, largest first.",
}
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_MARKS = dict(zip(LOSSES, ("s", "o", "X"), strict=True))


def pictures(m: Measured) -> dict[str, str]:
    """The pictures that can be drawn, by the names of `CAPTIONS`, as SVG; the same numbers give the same text."""
    drawn: dict[str, tuple[bool, Callable[[Any, Measured], None]]] = {
        "scores": (bool(m.scores), _scores),
        "survival": (bool(m.pruned), _survival),
        "spectrum": (len(m.spectrum) > 1 and m.spectrum[0] > 0, _spectrum),
    }
    return {name: _svg(draw, m) for name, (there, draw) in drawn.items() if there}


def _svg(draw: Callable[[Any, Measured], None], m: Measured) -> str:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "verify", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(7, 2.8), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        draw(axes, m)
        axes.spines[["top", "right"]].set_visible(False)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _scores(axes: Any, m: Measured) -> None:
    layers = list(next(iter(m.scores.values())))
    for (method, scores), colour in zip(m.scores.items(), _COLOURS, strict=False):
        heights = [scores[n] or float("nan") for n in layers]
        axes.plot(range(len(layers)), heights, marker=".", color=colour, label=method, linewidth=1)
    axes.set_yscale("log")
    axes.set_ylabel("mean score / mean of all")
    axes.set_xlabel("layer, from input to output")
    few = len(layers) <= 8
    axes.set_xticks(range(len(layers)), layers if few else [""] * len(layers))
    axes.legend(frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def _survival(axes: Any, m: Measured) -> None:
    for row, (p, colour) in enumerate(zip(m.pruned, _COLOURS, strict=False)):
        end = p.lost.get(LOSSES[-1], p.density)
        axes.plot([1, end], [row, row], color=colour, linewidth=6, solid_capstyle="butt", alpha=0.4)
        for what, at in p.lost.items():
            axes.plot([at], [row], _MARKS[what], color=colour, markersize=7)
    for what, mark in _MARKS.items():
        axes.plot([], [], mark, color="#555555", label=f"loses {what}")
    axes.set_xscale("log")
    axes.invert_xaxis()
    axes.set_yticks(range(len(m.pruned)), [p.method for p in m.pruned])
    axes.invert_yaxis()
    axes.set_xlabel("density")
    axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def _spectrum(axes: Any, m: Measured) -> None:
    kept = [v for v in m.spectrum if v > 1e-12 * m.spectrum[0]]
    axes.plot(range(1, len(kept) + 1), kept, marker=".", color=_COLOURS[0], linewidth=1)
    axes.set_yscale("log")
    axes.set_xlabel("number")
    axes.set_ylabel("eigenvalue")


__all__ = ["CAPTIONS", "pictures"]
