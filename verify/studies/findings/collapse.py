"""Findings on layer collapse: what positive scores protect, and how networks pruned by PX die."""

from __future__ import annotations

from verify.studies.findings import arithmetic
from verify.studies.findings.model import NAMES, Finding, Grid, Numbers, called, spread
from verify.studies.findings.witness import Witness, no_ties, no_zero_weights, no_zeros

DENSITY = {0.1: "10 %", 0.018: "1.8 %", 0.001: "0.1 %", "critical": "one path's weights"}


def without_path(n: Numbers, network: str, method: str, density: object) -> str:
    """In how many of the runs no whole path is left; empty where there are none."""
    table = f"collapse_{network}"
    rows = [r for r in n.rows(table) if r["method"] == method and str(r["density"]) == str(density)]
    return f"{sum(r['on_live_paths'] == 0 for r in rows)} of {len(rows)}" if rows else ""


def _runs(n: Numbers) -> tuple[Grid, ...]:
    methods = dict.fromkeys(n.all("collapse_resnet20", "method"))
    heads = ("method", *(f"{name}, {what}" for name in NAMES.values() for what in DENSITY.values()))
    rows = tuple((called(m), *(without_path(n, network, m, d) for network in NAMES for d in DENSITY)) for m in methods)
    seeds = {network: len(set(n.all(f"collapse_{network}", "seed"))) for network in NAMES}
    return (
        Grid(
            f"Runs that leave no whole path, by the weights kept. CIFAR-10 images; ResNet-20 in 100 rounds with "
            f"{seeds['resnet20']} seeds, VGG-16-BN in 20 rounds with {seeds['vgg16_bn']}. With as many weights as one "
            "path has, these schedules are too fast for the theorem. The random masks of this table share the seed of "
            "the weights and are to be recorded again.",
            heads,
            rows,
        ),
    )


def _positive_scores(n: Numbers) -> str:
    synflow = n.rows("collapse_resnet20", method="synflow", density=0.018)
    squares = n.rows("collapse_resnet20", method="synflow-l2", density=0.018)
    return (
        "On ResNet-20 at 1.8 % of the weights every method of the figure leaves a path from input to output. But "
        "layers beside a skip connection go: SynFlow-L2 empties "
        f"{spread([r['branches_lost'] for r in squares])} of {squares[0]['branches']} residual branches, and SynFlow "
        f"{spread([r['layers_emptied'] for r in synflow])} of {synflow[0]['layers']} layers."
    )


def rounding_free(n: Numbers) -> str:
    """Whether the ends of runs depend on the precision."""
    rows = n.rows("findings_run_ends")
    same = sum(len({str(r[f"objective_{d}"]) for d in ("float32", "float64", "longdouble")}) == 1 for r in rows)
    return (
        f"ResNet-20 pruned to 16 and to 4 weights, Gaussian images, three seeds: in {same} of {len(rows)} runs "
        "float32, float64 and extended precision agree on whether the objective of what is left is 0."
    )


POSITIVE_SCORES = Finding(
    "positive-scores-do-not-prevent-layer-collapse",
    "Positive scores do not prevent layer collapse",
    "A score that is positive for every weight prevents layer collapse. This is said of PX: it “assigns only positive "
    "saliency scores, preventing layer collapse” (known here from a summary of arXiv 2406.01820). The theorem behind "
    "it is that of maximal critical compression in the SynFlow paper, arXiv 2006.05467.",
    (
        "synaptic-flow/positive-scores-suffice",
        "synaptic-flow/residual-layers-survive",
        "synaptic-flow/released-threshold-keeps-the-target",
    ),
    (
        (Witness("synaptic-flow/positive-scores-suffice", (no_zeros, no_ties)), arithmetic.pruning_run),
        (Witness("synaptic-flow/residual-layers-survive", (no_zero_weights, no_ties)), arithmetic.residual_run),
        (
            Witness("synaptic-flow/released-threshold-keeps-the-target", (no_zero_weights,)),
            arithmetic.released_threshold,
        ),
    ),
    "The theorem needs more than positive scores. The scores must be conserved: at every hidden unit those of the "
    "incoming weights sum to those of the outgoing weights. They must be computed anew in each round, and each round "
    "must remove few enough weights. The weight of a path must not depend on the mask. Ties must be broken. And all "
    "paths must be equally long. Then a whole path survives for as long as one path's weights are left. Each of these "
    "hypotheses is needed: without it there is a counterexample, on the claim's page. On residual networks a layer is "
    "no cut, and the theorem does not speak of it.",
    _positive_scores,
    _runs,
    rounding_free,
    "`verify.certificates.second_opinion` prunes the networks above by its own walk over the paths and leaves the same "
    "weights.",
    "Methods with positive scores need not collapse at the sparsities that the papers report, and the table shows that "
    "most do not. A residual network that loses a branch still works: the shortcut carries the signal.",
    ("synaptic-flow/maximal-critical-compression", "synaptic-flow/threshold-keeps-the-target"),
)


def _deaths(n: Numbers) -> str:
    counts = {s: n.one("scorers_small", "dead", scorer=s, keep=3, guarded=False) for s in ("px", "synflow-l2")}
    total = n.one("scorers_small", "networks", scorer="px", keep=3, guarded=False)
    return (
        f"Of {total} small perceptrons pruned to 3 weights, one path's worth, PX leaves {counts['px']} dead on the "
        f"data, and SynFlow-L2 {counts['synflow-l2']}. On ResNet-20 with CIFAR-10 images PX leaves a path in every "
        "recorded run. VGG-16-BN lost its last path only when as few weights were to be left as one path has."
    )


def _death_tables(n: Numbers) -> tuple[Grid, ...]:
    scorers = ("px", "px-frozen", "synflow-l2")
    small = tuple(
        (keep, *(n.one("scorers_small", "dead", scorer=s, keep=keep, guarded=False) for s in scorers))
        for keep in (18, 9, 4, 3)
    )
    ends = []
    for method, keep in (("px", 16), ("px", 4), ("px-frozen", 16), ("px-frozen", 4)):
        rows = n.rows("findings_run_ends", method=method, keep=keep)
        lost = sum(str(r["path"]) == "False" for r in rows)
        off = sum(str(r["objective_float64"]) == "False" for r in rows)
        ends.append((called(method), keep, f"{lost} of {len(rows)}", f"{off} of {len(rows)}"))
    total = n.one("scorers_small", "networks", scorer="px", keep=3, guarded=False)
    return (
        Grid(
            f"Dead on the data, of {total} perceptrons 3-4-4-2 (36 Gaussian weights, eight Gaussian inputs, one weight "
            "a round).",
            ("weights kept", *map(called, scorers)),
            small,
        ),
        Grid(
            "ResNet-20, 50 rounds, four Gaussian images, three seeds. 4 weights are as many as one path has. With "
            "fixed activation a path survives, as the theorem says, but a ReLU on it can be off.",
            ("method", "weights kept", "no path left", "dead on the data"),
            tuple(ends),
        ),
    )


PX_LEAVES_THE_THEOREM = Finding(
    "px-leaves-the-theorem",
    "The collapse theorem does not cover PX: its networks can die",
    "Iterated PX avoids layer collapse by the theorem of maximal critical compression (known here from a summary of "
    "arXiv 2406.01820).",
    ("path-exclusion/stays-alive-literal", "path-exclusion/no-collapse-literal"),
    (
        (Witness("path-exclusion/stays-alive-literal", (no_zeros, no_ties)), arithmetic.pruning_run),
        (Witness("path-exclusion/no-collapse-literal", (no_zeros, no_ties)), arithmetic.pruning_run),
    ),
    "The theorem assumes that the weight of a path does not depend on the mask. PX weighs a path $p$ to output $k$ "
    "by $D_k v_p^2$, and measures $D_k$ on the pruned network, so its path weights do depend on the mask. While the "
    "objective is positive no cut is emptied. Once every path that is left is off on the data, all scores are 0, and "
    "the way in which ties are broken decides what goes next. Two repairs are proved. With the $D_k$ of the dense "
    "network held fixed, PX satisfies the theorem. And a rule that skips removals which leave no live path keeps the "
    "network alive.",
    _deaths,
    _death_tables,
    rounding_free,
    "`verify.certificates.second_opinion` repeats the runs above; `verify.studies.findings.plain` evaluates the pruned "
    "ResNet-20 without torch.",
    "PX need not fail at the sparsities of the paper: on ResNet-20 and VGG-16-BN with at least 1.8 % of the weights no "
    "run recorded here has died. What is shown is that the theorem does not protect it.",
    (
        "path-exclusion/collapse-only-after-death",
        "path-exclusion/frozen-activation-never-collapses",
        "path-exclusion/guarded-pruning-keeps-a-live-path",
    ),
)
