"""Layer collapse at scale: what iterative pruning leaves of real networks, round by round.

    python -m verify.studies.collapse            # ResNet-20, 100 rounds, 3 seeds; then ResNet-50, 20 rounds
    python -m verify.studies.collapse vgg16_bn   # one network of those in `PLANS`

Writes ``results/collapse_<network>.csv`` (a row a run) and ``results/collapse_<network>_rounds.csv`` (a row
a round) from the trials in ``trials/``, after each trial; a killed run continues where it was. Data are
CIFAR-10 images as distributed beside the project (JPEG-encoded), of 32 x 32 for ResNet-50 too.
"""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from verify import trials
from verify.networks import zoo
from verify.networks.recording.record import record
from verify.networks.scores.masks import Masks, counting_losses
from verify.networks.scores.methods import PATHS, activation_per_output, on_live_paths, scored_names, scorer, scores
from verify.networks.scores.prune import prune
from verify.studies.extended import PathSums
from verify.trials import data

CRITICAL = {"resnet20": 4, "resnet32": 4, "resnet50": 6, "vgg16_bn": 14, "vgg19_bn": 17}
"""The fewest weights on one path: shortcuts without weights cost nothing, those with a convolution one."""

DENSITIES = (0.1, 0.018, 0.001)
METHODS = (
    "px", "px-frozen", "px-released", "synflow", "synflow-l2", "magnitude", "snip", "grasp", "ntk-sap", "random",
)  # fmt: skip
LARGE = ("px", "px-frozen", "px-released", "synflow", "magnitude", "random")
PLANS: dict[str, dict[str, Any]] = {
    "resnet20": {"rounds": 100, "samples": 32, "seeds": (0, 1, 2)},
    "resnet32": {"rounds": 100, "samples": 32, "seeds": (0,)},
    "vgg16_bn": {"rounds": 20, "samples": 8, "seeds": (0,), "methods": LARGE},
    "vgg19_bn": {"rounds": 30, "samples": 8, "seeds": (0,)},
    "resnet50": {"rounds": 20, "samples": 8, "seeds": (0,), "methods": LARGE},
}
"""What `main` runs for each network: as much as two cores do in an hour."""


def cifar10_images(samples: int) -> tuple[Tensor, Tensor]:
    """The first images of CIFAR-10's training set, normalised by channel, and their labels.

    Raises:
        DataError: the data set is not where `verify.trials.data.folder` looks.
    """
    import pyarrow.parquet as parquet
    from PIL import Image

    path = data.folder("cifar10") / "train.parquet"
    rows = next(parquet.ParquetFile(path).iter_batches(samples)).to_pylist()
    images = np.stack([np.asarray(Image.open(io.BytesIO(r["img"]["bytes"])).convert("RGB")) for r in rows])
    x = torch.as_tensor(images, dtype=torch.float32).permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2470, 0.2435, 0.2616])
    return (x - mean[:, None, None]) / std[:, None, None], torch.tensor([r["label"] for r in rows])


@trials.experiment
def collapse(
    network: str, method: str, density: float | None, rounds: int = 100, samples: int = 32, dtype: str = "float32", *,
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Prune a network and record every round.

    Args:
        network: a name of the zoo.
        method: a scoring method.
        density: share of the weights to keep; None: the critical compression, a single path's weights.
        rounds: number of rounds of the exponential schedule.
        samples: number of inputs.
        dtype: "float32" or "float64".
        seed: of the initial weights.
    """
    module = zoo.build(network, seed=seed).to(getattr(torch, dtype))
    x, y = cifar10_images(samples)
    x = x.to(getattr(torch, dtype))
    keep = CRITICAL[network] if density is None else None
    with counting_losses():
        masks = prune(
            module, method, density=density, keep=keep, rounds=rounds, x=x, y=y, seed=seed, biases=False, study=True,
            **scorer(method).definition,
        )  # fmt: skip
    return summary(module, x, masks)


def summary(module: nn.Module, x: Tensor, masks: Masks) -> dict[str, Any]:
    """What a study keeps of a pruning run, as plain JSON (None for -inf)."""
    total, last = masks.total, masks.rounds[-1]
    useful = on_live_paths(module, x, masks)
    live = {n: int(m.sum()) for n, m in useful.items()}
    return {
        "weights": total,
        "kept": last.kept,
        "emptied": list(last.emptied),
        "branches": branches(live),
        "branches_lost": sum(any(live[n] == 0 for n in names) for names in _branches(live).values()),
        "on_live_paths": sum(live.values()),
        "dead_from": _first(masks, total, lambda r: r.alive is False),
        "constant_from": _first(masks, total, lambda r: bool(r.constant)),
        "emptied_from": _first(masks, total, lambda r: bool(r.emptied)),
        "layers": {n: m.numel() for n, m in masks.items()},
        "live": live,
        "rounds_kept": [r.kept for r in masks.rounds],
        "rounds_layers": [list(r.layers.values()) for r in masks.rounds],
        "rounds_log10_objective": [_finite(r.log10_objective) for r in masks.rounds],
        "rounds_log10_paths": [_finite(r.log10_paths) for r in masks.rounds],
        "rounds_constant": [r.constant for r in masks.rounds],
    }


def branches(live: Iterable[str]) -> int:
    """Number of residual branches of the network."""
    return len(_branches(live))


def _branches(names: Iterable[str]) -> dict[str, list[str]]:
    """The weights of each residual branch, shortcuts excluded."""
    found: dict[str, list[str]] = {}
    for n in names:
        if n.startswith("blocks.") and ".shortcut" not in n:
            found.setdefault(n.split(".")[1], []).append(n)
    return found


def _first(masks: Masks, total: int, holds: Any) -> float | None:
    """The density of the first round for which ``holds``."""
    return next((r.kept / total for r in masks.rounds if holds(r)), None)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 4)


@trials.experiment
def ranges(network: str, method: str, dtype: str, samples: int = 16, *, seed: int) -> dict[str, Any]:
    """Range and precision of a path score in one arithmetic, against extended precision.

    Args:
        network: a name of the zoo.
        method: "synflow", "synflow-l2" or "px".
        dtype: "float32" or "float64" (torch, with and without rescaling by powers of two), or "longdouble"
            (`verify.studies.extended`).
        samples: inputs, for PX.
        seed: of the initial weights.

    Returns:
        How many scores are not finite or 0, log10 of the smallest and the largest, and against extended
        precision: the largest relative error, and how many of the largest 1 % of the weights differ.
    """
    module, (x, _) = zoo.build(network, seed=seed).double(), cifar10_images(samples)
    names = scored_names(module)
    d = activation_per_output(module, x.double(), biases=False) if method == "px" else None
    graph = record(module, x[:1].double())
    power = 1 if method == "synflow" else 2
    sums = PathSums(graph, graph.tensors(module), power, np.longdouble, biases=False)
    exponent = 0 if d is None else d.exponent
    directions = np.ones(math.prod(graph.output_shape)) if d is None else d.value.numpy()
    best, _ = sums.scores(names, np.ldexp(directions.astype(np.longdouble), exponent))
    reference = np.concatenate([best[n].ravel() for n in names])
    out: dict[str, Any] = {"weights": len(reference)}
    if dtype == "longdouble":
        return out | _in_range("plain", reference)
    x, module = x.to(getattr(torch, dtype)), module.to(getattr(torch, dtype))
    for name, rescale in (("plain", False), ("rescaled", True)):
        found = scores(module, method, x, biases=False, rescale=rescale).values
        flat = torch.cat([found[n].flatten() for n in names]).numpy()
        out |= _in_range(name, flat) | _against(name, flat, reference)
    return out


def _in_range(name: str, flat: np.ndarray) -> dict[str, Any]:
    good = flat[np.isfinite(flat) & (flat > 0)]
    return {
        f"{name}_not_finite": int((~np.isfinite(flat)).sum()),
        f"{name}_zero": int((flat == 0).sum()),
        f"{name}_log10_smallest": round(float(np.log10(good.min())), 3) if len(good) else None,
        f"{name}_log10_largest": round(float(np.log10(good.max())), 3) if len(good) else None,
    }


def _against(name: str, flat: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    """Errors up to one common factor (rescaled scores are those of the definition times a power of two)."""
    good = np.isfinite(flat) & (flat > 0) & (reference > 0)
    kept = max(1, len(flat) // 100)
    if not good.all():
        return {f"{name}_relative_error": None, f"{name}_top_percent_differ": None}
    ratio = flat.astype(np.longdouble) / reference
    ratio = ratio / np.exp2(np.round(np.log2(np.median(ratio))))
    top, best = (set(np.argpartition(s, -kept)[-kept:].tolist()) for s in (flat, reference))
    return {
        f"{name}_relative_error": float(f"{float(np.abs(ratio - 1).max()):.3g}"),
        f"{name}_top_percent_differ": len(top - best),
    }


def rows_of(done: Sequence[trials.Trial]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """One row a run, and one row a round, of finished trials."""
    runs, rounds = [], []
    for t in done:
        head = {k: t[k] for k in ("network", "method", "density", "rounds", "samples", "dtype", "seed")}
        head["density"] = "critical" if head["density"] is None else head["density"]
        r = t.results
        emptied = " ".join(n.removesuffix(".weight") for n in r["emptied"])
        runs.append(
            head
            | {k: r[k] for k in ("weights", "kept", "on_live_paths", "branches", "branches_lost")}
            | {"layers": len(r["layers"]), "layers_emptied": len(r["emptied"]), "emptied": emptied}
            | {k: _blank(r[k]) for k in ("emptied_from", "constant_from", "dead_from")}
        )
        for i, kept in enumerate(r["rounds_kept"]):
            paths = r["rounds_log10_paths"][i]
            rounds.append(
                {k: head[k] for k in ("network", "method", "density", "seed")}
                | {"round": i + 1, "kept": kept, "log10_R": _blank(r["rounds_log10_objective"][i])}
                | {"log10_paths": "none" if paths is None else paths, "constant": int(r["rounds_constant"][i])}
                | {"layers": " ".join(map(str, r["rounds_layers"][i]))}
            )
    return runs, rounds


def _blank(value: Any) -> Any:
    return "" if value is None else value


def study(
    network: str, methods: Sequence[str] = METHODS, seeds: Sequence[int] = (0,), rounds: int = 100, samples: int = 32,
    results: Path = Path("results"), store: Path = Path("trials"),
) -> list[dict[str, Any]]:  # fmt: skip
    """Run the study for one network, writing its tables after each trial; returns the rows."""
    wanted = [
        collapse.configuration(network=network, method=m, density=d, rounds=rounds, samples=samples, seed=s)
        for s in seeds
        for d in (*DENSITIES, None)
        for m in methods
    ]
    done: list[trials.Trial] = []
    for i, configuration in enumerate(wanted):
        done += trials.run([configuration], trials.Store(store), jobs=1, quiet=True)
        runs = _written(done, network, results)
        last = runs[-1]
        print(
            f"{i + 1} of {len(wanted)}: {network} {last['method']} {last['density']}, seed {last['seed']}", flush=True
        )
    return runs


def _written(done: Sequence[trials.Trial], network: str, results: Path) -> list[dict[str, Any]]:
    runs, by_round = rows_of(done)
    shown = trials.provenance(done)
    trials.write_csv(runs, results / f"collapse_{network}.csv", provenance=shown)
    # A tenth of the rounds is enough to draw; the trials hold them all.
    kept = [r for r in by_round if r["round"] % 10 == 0 or r["round"] == 1]
    trials.write_csv(kept, results / f"collapse_{network}_rounds.csv", provenance=shown)
    return runs


def study_ranges(
    networks: Sequence[str] = ("resnet20", "vgg16_bn", "resnet50"), results: Path = Path("results"),
    store: Path = Path("trials"),
) -> list[dict[str, Any]]:  # fmt: skip
    """Write the table of the range and precision of path scores, ``float32_ranges.csv``."""
    wanted = [
        ranges.configuration(network=n, method=m, dtype=t, seed=0)
        for n in networks
        for m in PATHS
        if m != "px-frozen"
        for t in ("float32", "float64", "longdouble")
    ]
    done = trials.run(wanted, trials.Store(store), jobs=1)
    rows = [{k: _blank(v) for k, v in r.items() if k not in ("experiment", "code")} for r in trials.table(done)]
    trials.write_csv(rows, results / "float32_ranges.csv", provenance=trials.provenance(done))
    return rows


def main(arguments: Sequence[str]) -> None:
    """The studies of the networks named, or of ResNet-20 and ResNet-50."""
    for name in arguments:
        if name not in PLANS:
            raise SystemExit(f"unknown network {name!r}; known: {', '.join(PLANS)}")
    for name in arguments or ("resnet20", "resnet50"):
        study(name, **PLANS[name])


if __name__ == "__main__":
    main(sys.argv[1:])


__all__ = ["CRITICAL", "cifar10_images", "collapse", "ranges", "study", "study_ranges"]
