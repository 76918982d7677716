"""The papers' own tables, by name: `python -m figures make --scale papers papers/px-resnet20-cifar10`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from figures.registry import SCALES, Rows, figure
from figures.style import BLACK, canvas, densities, distinct, grouped, label, legend_below, select, series, summary
from verify.experiments import cifar, papers
from verify.trials import Configuration, Trial, data

MODES = ("method", "density", "statistics", "temperature", "absolute", "draws")


def _rows(trials: Sequence[Trial]) -> Rows:
    return [
        {"method": "grasp-200" if method == "grasp" else method, "scoring": cifar.scoring(found[0]), "density": density,
         **summary(100 * t["accuracy"] for t in found), "emptied": float(np.mean([t["emptied"] for t in found])),
         "seconds": sum(t.provenance["seconds"] for t in found), "memory": max(t["memory"] for t in found)}
        for (method, density, *_), found in grouped(trials, *MODES).items()
    ]  # fmt: skip


def _news(rows: Rows) -> str:
    least = min(r["density"] for r in rows)
    order = sorted(select(rows, density=least), key=lambda r: -r["mean"])
    measured = f"{sum(r['seconds'] for r in rows) / 3600:.2g} hours of training"
    return (
        f"{100 * least:.3g} % of the weights: "
        + ", ".join(f"{label(r['method'])} {r['mean']:.1f}" for r in order)
        + f" %; {measured}"
    )


def _draw(rows: Rows) -> Figure:
    fig, (ax,) = canvas(1, width=5.6, height=3.4)
    kept = [d for d in distinct(rows, "density") if d < 1]
    for method in (m for m in distinct(rows, "method") if m != "dense"):
        part = select(rows, method=method)
        series(ax, method, [r["density"] for r in part], part)
    (dense,) = select(rows, method="dense")
    ax.axhline(dense["mean"], color=BLACK, lw=0.8, label="dense")
    densities(ax, kept)
    if len(kept) > 6:
        ax.tick_params(axis="x", labelrotation=45)
    ax.set_ylabel("test accuracy (%)")
    legend_below(fig, ax, 4)
    return fig


def _register(protocol: papers.Protocol) -> None:
    def wanted(scale: str) -> list[Configuration]:
        data.folder(protocol.dataset)  # says so where there is none
        return papers.configurations(protocol.name, scale)

    def draw(rows: Rows) -> Figure:
        return _draw(rows)

    draw.__name__ = protocol.name.replace("-", "_")
    draw.__doc__ = (
        f"{protocol.source}: accuracy against the weights that remain.\n\n"
        f"Test accuracy of {protocol.network} trained under masks made at initialisation, one global ranking, each "
        f"method in its published mode (scoring in the CSV); at scale papers {protocol.recipe.epochs} epochs, batch "
        f"{protocol.recipe.batch}, rate {protocol.recipe.rate:g} divided by 10 after epochs "
        f"{' and '.join(map(str, protocol.recipe.milestones))}, {protocol.seeds} seeds; below it a part of the data, "
        "see settings. Bands are 95 % intervals over seeds. Seconds of training and bytes on the device are in the CSV."
    )
    figure(
        configurations=wanted, table=_rows, news=_news, interval="mean and 95 % Student interval over seeds",
        scales=(*SCALES, "papers"),
    )(draw)  # fmt: skip


for _protocol in papers.PROTOCOLS.values():
    _register(_protocol)
