"""Findings on the trace of the tangent kernel: what PX keeps of it, and how far the bound lies above it."""

from __future__ import annotations

import statistics

from verify.studies.findings import arithmetic
from verify.studies.findings.model import NAMES, Finding, Grid, Numbers, called, percent, power
from verify.studies.findings.witness import Witness, no_zeros, one_output

_SCORERS = ("px", "synflow-l2", "trace-loss", "magnitude", "random")


def _trace_kept(n: Numbers) -> str:
    shares = {
        m: statistics.median(r["trace"] for r in n.rows("scorers_kernel", method=m, density=0.1))
        for m in ("px", "path-energy", "snip")
    }
    return (
        f"With 10 % of its weights chosen by PX, ResNet-20 keeps {percent(shares['px'])} of the trace (median). Scores "
        f"that look at single gates keep more: the energy of paths {percent(shares['path-energy'])}, SNIP "
        f"{percent(shares['snip'])}."
    )


def _traces_kept(n: Numbers) -> tuple[Grid, ...]:
    rows = tuple(
        (
            called(s),
            *(percent(n.one("scorers_small", "trace_mean", scorer=s, keep=k, guarded=False)) for k in (18, 9, 4)),
        )
        for s in _SCORERS
    )
    return (
        Grid(
            "Perceptrons 3-4-4-2 with 36 weights, eight Gaussian inputs: mean share of the trace that is left. Those "
            "of ResNet-20 stand in finding 12.",
            ("score", "18 weights kept", "9", "4"),
            rows,
        ),
    )


def _kernel_precision(n: Numbers) -> str:
    parts = []
    for row in n.rows("scorers_kernel", precise=True):
        shown = ", ".join(f"{row[f'one_image_{d}']:.7f} ({d})" for d in ("float32", "float64", "longdouble"))
        parts.append(f"{row['method']} {shown}")
    return (
        "Share of the trace of one image that ResNet-20 keeps with 10 % of its weights, torch in float32 and float64, "
        f"the plain implementation in extended precision: {'; '.join(parts)}."
    )


ONE_OUTPUT = Finding(
    "one-output-the-trace-can-go",
    "PX can remove the weight that the trace needs most",
    "PX keeps the parameters that most influence the trace of the NTK (known here from a summary of arXiv 2406.01820).",
    ("path-exclusion/pruning-keeps-the-trace", "path-exclusion/trace-preserves-eigenvalues"),
    (
        (Witness("path-exclusion/pruning-keeps-the-trace", (no_zeros, one_output)), arithmetic.trace_dropped),
        (Witness("path-exclusion/trace-preserves-eigenvalues", (no_zeros,)), arithmetic.bound_kept),
    ),
    "PX ranks by a bound on the trace, not by the trace. To keep the trace, remove the weight whose loss costs the "
    "least of it: in one round no other removal keeps more (by definition), and on ReLU perceptrons the trace never "
    "reaches 0. The trace in turn bounds the largest eigenvalue, and is at most the rank times it.",
    _trace_kept,
    _traces_kept,
    _kernel_precision,
    "`verify.certificates.second_opinion` differentiates by dual numbers and finds the same traces.",
    "What is false is the order of two removals. The shares are those of networks at initialisation; they do not say "
    "how such networks train.",
    (
        "path-exclusion/removal-by-trace-is-best",
        "path-exclusion/trace-greedy-stays-alive",
        "path-exclusion/eigenvalue-bounds",
    ),
)


def _factors(n: Numbers, network: str) -> dict[str, list[float]]:
    rows = n.rows("findings_path_quantities", network=network, dtype="float64")
    return {
        "bound": [r["log10_per_output"] - r["log10_trace"] for r in rows],
        "objective": [r["log10_objective"] - r["log10_trace"] for r in rows],
        "product": [10 ** (r["log10_product"] - r["log10_per_output"]) for r in rows],
    }


def _tightness(n: Numbers) -> str:
    found = _factors(n, "resnet20")
    return (
        f"On ResNet-20 the bound is at least {power(min(found['bound']))} times the trace. The product form is "
        f"{min(found['product']):.4g} times larger still, which is the number of outputs."
    )


def _tightnesses(n: Numbers) -> tuple[Grid, ...]:
    rows = []
    for network, name in NAMES.items():
        f = _factors(n, network)
        rows.append(
            (
                name,
                f"{power(min(f['bound']))} to {power(max(f['bound']))}",
                f"{power(min(f['objective']))} to {power(max(f['objective']))}",
                f"{min(f['product']):.4g}",
            )
        )
    return (
        Grid(
            "Dense networks at initialisation, one Gaussian image, three seeds: smallest to largest factor.",
            ("network", "ΣD T / trace", "objective / trace", "(ΣD)(ΣT) / ΣD T"),
            tuple(rows),
        ),
    )


def _three_precisions(n: Numbers) -> str:
    parts = []
    for network, name in NAMES.items():
        for column, what in (("log10_trace", "log10 of the trace"), ("log10_per_output", "log10 of the bound")):
            shown = ", ".join(
                f"{n.one('findings_path_quantities', column, network=network, dtype=d, seed=0):.6f} ({d})"
                for d in ("float32", "float64", "longdouble")
            )
            parts.append(f"{name}, {what}: {shown}")
    return "; ".join(parts) + "."


BOUND_AND_TRACE = Finding(
    "bound-and-trace",
    "The bound on the trace holds, but it is far from the trace, and the objective is no bound",
    "Path activation times path kernel bounds the trace of the NTK (arXiv 2406.01820). This is true. But the objective "
    "that PX ranks by is easily taken for that bound, and a small bound for a small trace.",
    ("path-exclusion/objective-is-a-bound", "path-exclusion/auxiliary-same-architecture"),
    (
        (Witness("path-exclusion/objective-is-a-bound", (no_zeros,)), arithmetic.objective_below_trace),
        (Witness("path-exclusion/auxiliary-same-architecture", (no_zeros,)), arithmetic.maximum_of_squares),
    ),
    "Let $T_k$ be the sum of the derivatives of $R_k$ by the squared weights. Then the trace is at most "
    "$\\sum_k D_k T_k$, and this is at most $\\sum_k D_k \\cdot \\sum_k T_k$. "
    "Under a dense last layer the second step loses exactly a factor $K$, the number of outputs. With max pooling, the "
    "first auxiliary network must copy the choice of the original one, and the second must sum over the window. Bounds "
    "that keep the gates in both factors, sample by sample or parameter by parameter, are tighter.",
    _tightness,
    _tightnesses,
    _three_precisions,
    "The plain implementation and torch agree on the trace to the last digits of float64; "
    "`verify.certificates.second_opinion` on every network above.",
    "A bound need not be tight to rank weights well. But at this size a small bound says nothing about the trace. On "
    "the two real networks the objective lies far above the trace; that it is no bound shows on small networks.",
    (
        "path-exclusion/trace-bound",
        "path-exclusion/trace-bound-per-output",
        "path-exclusion/trace-bound-divided-by-outputs",
        "path-exclusion/trace-bound-per-sample",
        "path-exclusion/auxiliary-networks",
    ),
)
