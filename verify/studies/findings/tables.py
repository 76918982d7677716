"""The tables that the findings quote, how each is computed again, and whether it comes out the same.

Tables of this package hold one row a trial of `verify.studies.findings.measures`. The others are written by studies
of their own, which take hours; they are computed again by the command that stands beside them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify import trials
from verify.studies.findings import measures

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "results"
TOLERANCE = 1e-3
"""Relative difference up to which floating-point results of two machines are the same number."""

NETWORKS = ("resnet20", "vgg16_bn")


@dataclass(frozen=True)
class Table:
    """A table under ``results/``.

    Attributes:
        name: of the file, without ".csv".
        configurations: of its trials (None for a table that a study of its own writes).
        command: what computes it again.
        rows: results of a trial -> the columns of its row.
        study: runs the study that writes it into a folder.
        long: its trials take longer than minutes.
    """

    name: str
    command: str
    configurations: Callable[[], list[trials.Configuration]] | None = None
    rows: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    study: Callable[[Path], Any] | None = None
    long: bool = False

    @property
    def path(self) -> Path:
        """The file."""
        return RESULTS / f"{self.name}.csv"

    def read(self) -> list[dict[str, Any]]:
        """The recorded rows.

        Raises:
            FileNotFoundError: not recorded; says what writes it.
        """
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path} is not there; `{self.command}` writes it")
        return trials.read_csv(self.path)

    def compute(
        self, store: Path, *, jobs: int = 1, quiet: bool = False
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Its rows by the trials (those in ``store`` are not run again), and their provenance."""
        assert self.configurations is not None
        done = trials.run(self.configurations(), trials.Store(store), jobs=jobs, quiet=quiet)
        rows = [
            {k: v for k, v in t.configuration.items() if k not in ("experiment", "code", "widths")}
            | self.rows(t.results)
            for t in done
        ]
        return rows, trials.provenance(done)


def _path_quantities() -> list[trials.Configuration]:
    one = [
        measures.path_quantities.configuration(network=n, dtype=d, seed=0)
        for n, d in itertools.product(NETWORKS, measures.DTYPES)
    ]
    return one + [
        measures.path_quantities.configuration(network=n, dtype="float64", seed=s)
        for n, s in itertools.product(NETWORKS, (1, 2))
    ]


def _path_quantities_torch() -> list[trials.Configuration]:
    return [
        measures.path_quantities_torch.configuration(network=n, dtype=d, seed=s)
        for n, d, s in itertools.product(NETWORKS, ("float32", "float64"), (0, 1, 2))
    ]


def _synflow() -> list[trials.Configuration]:
    return [measures.synflow_and_sketch.configuration(network="resnet20", draws=64, seed=s) for s in (0, 1, 2)] + [
        measures.synflow_and_sketch.configuration(network="vgg16_bn", draws=16, seed=0)
    ]


def _overlap() -> list[trials.Configuration]:
    return [
        measures.data_overlap.configuration(network="resnet20", density=d, rounds=30, seed=s)
        for d, s in itertools.product((0.1, 0.0688, 0.018, 0.001), (0, 1, 2))
    ] + [
        measures.data_overlap.configuration(network="vgg16_bn", density=d, rounds=10, samples=8, seed=0)
        for d in (0.1, 0.018)
    ]


def _ends() -> list[trials.Configuration]:
    return [
        measures.run_ends.configuration(network="resnet20", method=m, keep=k, rounds=50, samples=4, seed=s)
        for m, k, s in itertools.product(("px", "px-frozen"), (16, 4), (0, 1, 2))
    ]


LOST_DENSITIES = (0.1, 0.05, 0.02, 0.01)


def _lost_small() -> list[trials.Configuration]:
    from verify.experiments import spectra

    return [
        spectra.outputs_lost.configuration(method=m, densities=[0.5, 0.2, *LOST_DENSITIES], seed=s)
        for s in (0, 1, 2)
        for m in ("px", "px-frozen", "synflow-l2", "synflow", "snip")
    ]


def _lost_rows(results: Mapping[str, Any]) -> dict[str, Any]:
    shown = zip((0.5, 0.2, *LOST_DENSITIES), results["lost"], strict=True)
    return {"networks": len(results["lost"][0])} | {f"lost_{d}": sum(v) for d, v in shown}


def _lost() -> list[trials.Configuration]:
    return [
        measures.outputs_lost.configuration(network="resnet20", method=m, density=d, seed=s)
        for s, m, d in itertools.product((0, 1, 2), ("px", "synflow-l2"), (0.018, 0.005, 0.001))
    ]


KERNEL_METHODS = (
    "px", "px-per-sample", "path-energy", "synflow", "synflow-l2", "snip", "grasp", "magnitude", "random",
)  # fmt: skip


def _kernel() -> list[trials.Configuration]:
    return [
        measures.kept_of_the_kernel.configuration(
            network="resnet20", method=m, density=d, seed=s, precise=(s, d) == (0, 0.1) and m in ("px", "magnitude")
        )
        for s, d, m in itertools.product(range(10), (0.1, 0.018), KERNEL_METHODS)
    ]


KEPT = (18, 9, 4, 3)


def _small() -> list[trials.Configuration]:
    return [
        measures.small_runs.configuration(scorer=s, keep=k, guarded=g, seed=0)
        for g, scorers in ((False, measures.SCORERS), (True, measures.GUARDED))
        for s, k in itertools.product(scorers, KEPT)
    ]


def _summary(results: Mapping[str, Any]) -> dict[str, Any]:
    count = len(results["path"])
    return {
        "collapsed": count - sum(results["path"]),
        "dead": count - sum(results["live"]),
        "trace_mean": round(sum(results["trace"]) / count, 4),
        "lambda_max_mean": round(sum(results["top"]) / count, 4),
        "trace_zero": sum(v == 0 for v in results["trace"]),
        "traces": " ".join(f"{v:.3f}" for v in results["trace"]),
    }


TRAINED = ("px", "path-energy", "synflow-l2", "synflow", "snip", "magnitude", "random")


def _trained() -> list[trials.Configuration]:
    from verify.experiments import cifar

    kinds = [*((m, 0.02) for m in TRAINED), ("dense", 1.0)]
    return [
        cifar.resnet20.configuration(method=m, density=d, seed=s, **cifar.SIZES["small"])
        for s in range(cifar.SEEDS["small"])
        for m, d in kinds
    ]


MEMORISERS = ("path-energy", "synflow-l2", "synflow", "snip", "magnitude", "random")


def _memorised() -> list[trials.Configuration]:
    from verify.experiments import capacity

    return [
        capacity.memorisation.configuration(method=m, density=d, scope=scope, seed=s)
        for s in range(5)
        for scope in ("layer", "global")
        for d in (0.2, 0.1, 0.05)
        for m in MEMORISERS
    ]


def _memorised_rows(results: Mapping[str, Any]) -> dict[str, Any]:
    shares, live = results["memorised"], results["live"]
    return {
        "memorised_mean": round(sum(shares) / len(shares), 5),
        "live_mean": round(sum(live) / len(live), 3),
        "memorised": " ".join(f"{v:.5f}" for v in shares),
    }


def _same_law() -> list[trials.Configuration]:
    from verify.experiments import decide as empirical

    return empirical.same_law_configurations("small")


def _gains(results: Mapping[str, Any]) -> dict[str, Any]:
    gains = [a - b for a, b in zip(results["own"], results["foreign"], strict=True)]
    return {"gain_mean": round(sum(gains) / len(gains), 6), "gains": " ".join(f"{g:.6f}" for g in gains)}


def _collapse(network: str) -> Callable[[Path], Any]:
    def study(folder: Path) -> Any:
        from verify.studies import collapse

        return collapse.study(network, **collapse.PLANS[network], results=folder, store=folder / "trials")

    return study


def _ranges(folder: Path) -> Any:
    from verify.studies import collapse

    return collapse.study_ranges(results=folder, store=folder / "trials")


def _released(folder: Path) -> Any:
    from verify.studies import released_px

    return released_px.main(folder)


OWN = "python -m verify findings --write"
_ALL = "python -m verify findings --all"
TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        Table("findings_path_quantities", OWN, _path_quantities),
        Table("findings_path_quantities_torch", OWN, _path_quantities_torch),
        Table("findings_synflow", OWN, _synflow),
        Table("findings_data_overlap", OWN, _overlap),
        Table("findings_run_ends", OWN, _ends),
        Table("findings_outputs_lost", OWN, _lost),
        Table("findings_outputs_lost_small", OWN, _lost_small, _lost_rows),
        Table("scorers_kernel", OWN, _kernel),
        Table("findings_transfer", OWN, lambda: [measures.transfer_on_digits.configuration(seed=0)]),
        Table("scorers_small", OWN, _small, _summary),
        Table("collapse_resnet20", _ALL, study=_collapse("resnet20")),
        Table("collapse_resnet20_rounds", _ALL, study=_collapse("resnet20")),
        Table("collapse_vgg16_bn", _ALL, study=_collapse("vgg16_bn")),
        Table("released_px_batchnorm", _ALL, study=_released),
        Table("released_px_batchnorm_torch", _ALL, study=_released),
        Table("float32_ranges", _ALL, study=_ranges),
        Table("findings_memorised", OWN, _memorised, _memorised_rows),
        Table("findings_trained", _ALL, _trained, long=True),
        Table("findings_same_law", _ALL, _same_law, _gains, long=True),
    )
}
"""Every table that the findings quote."""


def differences(recorded: Sequence[Mapping[str, Any]], again: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where two computations of a table differ by more than rounding, one line each."""
    found = []
    if len(recorded) != len(again):
        return [f"{len(recorded)} rows recorded, {len(again)} computed"]
    for i, (a, b) in enumerate(zip(recorded, again, strict=True)):
        for key in a:
            # What a trial does not report is an empty cell.
            if not _same(a[key], b.get(key, "")):
                found.append(f"row {i + 1}, {key}: recorded {a[key]}, computed {b.get(key)}")
    return found


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float | int) and isinstance(b, float | int) and not isinstance(a, bool):
        # Numbers near the rounding unit are zero but for rounding, which differs from machine to machine.
        return abs(a - b) <= TOLERANCE * max(abs(a), abs(b)) + 1e-6
    return str(a) == str(b)
