"""Findings on layer collapse, Path eXclusion and its public code."""

from __future__ import annotations

import statistics

from verify.studies.findings import arithmetic
from verify.studies.findings.model import Finding, Numbers, percent, power
from verify.studies.findings.witness import Witness, no_ties, no_zero_weights, no_zeros, one_output

RELEASED = "github.com/iurada/px-ntk-pruning at commit ed6c40ea"
NAMES = {"resnet20": "ResNet-20", "vgg16_bn": "VGG-16-BN"}
DENSITY = {0.1: "10 %", 0.018: "1.8 %", 0.001: "0.1 %", "critical": "the critical compression"}


def _without_path(n: Numbers, table: str, method: str, density: object) -> tuple[int, int]:
    rows = n.rows(table, method=method, density=density)
    return sum(r["on_live_paths"] == 0 for r in rows), len(rows)


def _collapsed(n: Numbers, table: str, density: object) -> str:
    found = []
    for method in dict.fromkeys(r["method"] for r in n.rows(table, density=density)):
        dead, runs = _without_path(n, table, method, density)
        if dead:
            found.append(f"{method} ({dead} of {runs})")
    return ", ".join(found) or "none"


def _positive_scores(n: Numbers) -> str:
    lines = []
    for network in ("resnet20", "vgg16_bn"):
        table = f"collapse_{network}"
        for density in (0.018, 0.001, "critical"):
            if any(str(r["density"]) == str(density) for r in n.rows(table)):
                shown = _collapsed(n, table, density)
                lines.append(f"{NAMES[network]} at {DENSITY[density]}, methods that leave no whole path: {shown}.")
    first = n.rows("collapse_resnet20", method="synflow", density=0.018)
    branch = n.rows("collapse_resnet20", method="synflow-l2", density=0.018)
    lines.append(
        "(For the critical compression these schedules are too fast for the theorem, and on ResNet-20 paths are not "
        "equally long: SynFlow may collapse there.)"
    )
    lines.append(
        "On ResNet-20 at 1.8 % SynFlow-L2, which satisfies the theorem, loses "
        f"{n_of([r['branches_lost'] for r in branch])} of {branch[0]['branches']} residual branches, and SynFlow "
        f"empties {n_of([r['layers_emptied'] for r in first])} of {first[0]['layers']} layers."
    )
    return " ".join(lines)


def n_of(values: list[int]) -> str:
    """One number, or a range."""
    return str(values[0]) if min(values) == max(values) else f"{min(values)} to {max(values)}"


def _rounding_free(n: Numbers) -> str:
    rows = n.rows("findings_run_ends")
    same = sum(len({str(r[f"objective_{d}"]) for d in ("float32", "float64", "longdouble")}) == 1 for r in rows)
    return (
        f"ResNet-20 pruned to 16 and to 4 weights, Gaussian images, three seeds: in {same} of {len(rows)} runs "
        "float32, float64 and extended precision agree on whether the objective of what is left is 0."
    )


POSITIVE_SCORES = Finding(
    "positive-scores-do-not-prevent-layer-collapse",
    "Positive scores do not prevent layer collapse",
    "“Assigns only positive saliency scores, preventing layer collapse”: known here from a summary of arXiv "
    "2406.01820; the theorem that it leans on is that of maximal critical compression, arXiv 2006.05467.",
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
    "Positive scores that are also conserved, computed anew each round, on path weights that do not depend on the "
    "mask, with ties broken, pruned slowly enough, on networks whose paths are equally long, keep a whole path until "
    "one path's weights are left. Each of these assumptions is needed (docs/claims.md shows a counterexample for "
    "each). On residual networks a layer is no cut, and the theorem says nothing about it.",
    _positive_scores,
    _rounding_free,
    "`verify.certificates.second_opinion` "
    "prunes the networks above by its own walk over the paths and leaves the same weights.",
    "It does not say that methods with positive scores collapse at the sparsities that the papers report, and the "
    "table shows that most do not. A residual network that loses a branch still works: the shortcut carries the "
    "signal.",
    ("synaptic-flow/maximal-critical-compression", "synaptic-flow/threshold-keeps-the-target"),
)


def _deaths(n: Numbers) -> str:
    small = []
    for keep in (9, 4, 3):
        counts = {
            s: n.one("scorers_small", "dead", scorer=s, keep=keep, guarded=False)
            for s in ("px", "px-frozen", "synflow-l2")
        }
        total = n.one("scorers_small", "networks", scorer="px", keep=keep, guarded=False)
        small.append(
            f"pruned to {keep} of 36 weights, PX leaves {counts['px']} of {total} dead on the data, PX with frozen "
            f"activation {counts['px-frozen']}, SynFlow-L2 {counts['synflow-l2']}"
        )

    def ends(method: str, keep: int) -> str:
        rows = n.rows("findings_run_ends", method=method, keep=keep)
        lost = sum(str(r["path"]) == "False" for r in rows)
        off = sum(str(r["objective_float64"]) == "False" for r in rows)
        return f"no path left in {lost} of {len(rows)} runs, dead on the data in {off}"

    lines = [
        "Perceptrons 3-4-4-2 with Gaussian weights and eight Gaussian inputs, one weight a round: "
        + "; ".join(small)
        + ".",
        f"ResNet-20 in 50 rounds with four Gaussian images: PX to 16 weights, {ends('px', 16)}; to 4, the critical "
        f"compression, {ends('px', 4)}. With frozen activation, to 4: {ends('px-frozen', 4)}: a path survives, as "
        "the theorem says, but a ReLU on it can be off.",
    ]
    for network in ("resnet20", "vgg16_bn"):
        table = f"collapse_{network}"
        parts = []
        for density in (0.1, 0.018, 0.001, "critical"):
            if any(str(r["density"]) == str(density) and r["method"] == "px" for r in n.rows(table)):
                dead, count = _without_path(n, table, "px", density)
                parts.append(f"{dead} of {count} at {DENSITY[density]}")
        lines.append(f"{NAMES[network]} on CIFAR-10 images, runs of PX that leave no path: {', '.join(parts)}.")
    return " ".join(lines)


PX_LEAVES_THE_THEOREM = Finding(
    "px-leaves-the-theorem",
    "PX leaves the theorem of maximal critical compression: its networks can die, and then collapse",
    "That iterated PX avoids layer collapse by the theorem of maximal critical compression (summary of arXiv "
    "2406.01820).",
    ("path-exclusion/stays-alive-literal", "path-exclusion/no-collapse-literal"),
    (
        (Witness("path-exclusion/stays-alive-literal", (no_zeros, no_ties)), arithmetic.pruning_run),
        (Witness("path-exclusion/no-collapse-literal", (no_zeros, no_ties)), arithmetic.pruning_run),
    ),
    "PX measures the gates on the pruned network, so its path weights D_k v_p^2 depend on the mask, which the "
    "theorem silently excludes. As long as the objective is positive no cut is emptied (proved); once every "
    "remaining path is off on the data all scores are 0, and what goes next is decided by how ties are broken. With "
    "the D_k of the dense network held fixed PX satisfies the theorem (proved), and a rule that skips removals which "
    "leave no live path never dies (proved).",
    _deaths,
    _rounding_free,
    "`verify.certificates.second_opinion` repeats the runs above; `verify.studies.findings.plain` evaluates the pruned "
    "ResNet-20 without torch.",
    "It does not say that PX fails at the sparsities of the paper: on ResNet-20 and VGG-16-BN at 1.8 % and above no "
    "run recorded here has died. It says that the theorem does not protect it, and where that shows.",
    (
        "path-exclusion/collapse-only-after-death",
        "path-exclusion/frozen-activation-never-collapses",
        "path-exclusion/guarded-pruning-keeps-a-live-path",
    ),
)


def _overlap(n: Numbers) -> str:
    lines = []
    for network, dens in (("resnet20", (0.1, 0.0688, 0.018, 0.001)), ("vgg16_bn", (0.1, 0.018))):
        parts = []
        for d in dens:
            rows = n.rows("findings_data_overlap", network=network, density=d)
            other, l2 = (min(r[k] for r in rows) for k in ("other_data", "synflow_l2"))
            parts.append(f"at {percent(d, 2)} at least {percent(other, 2)} and {percent(l2, 2)}")
        lines.append(f"{NAMES[network]}: {'; '.join(parts)}.")
    first = min(n.all("findings_path_quantities", "other_data", dtype="float64"))
    return (
        f"In the first round, two different images give masks (10 % kept) that share {percent(first, 2)} of their "
        "weights. After all rounds, the share of PX's final mask that it has in common with the mask from other "
        "images, and with "
        "SynFlow-L2's: " + " ".join(lines)
    )


def _spreads(n: Numbers) -> str:
    parts = []
    for network, name in NAMES.items():
        shown = ", ".join(
            f"{n.one('findings_path_quantities', 'spread_d', network=network, dtype=d, seed=0):.1g} ({d})"
            for d in ("float32", "float64", "longdouble")
        )
        parts.append(f"{name}: {shown}")
    return (
        "Relative spread of D_1, ..., D_10 in the dense network, by the plain implementation: "
        + "; ".join(parts)
        + ". In "
        "exact arithmetic it is 0."
    )


DATA_THROUGH_K_NUMBERS = Finding(
    "px-data-enters-through-k-numbers",
    "Data enter PX by one number per output; under a dense last layer the first round ignores them",
    "That PX's saliency is data-driven (title and summary of arXiv 2406.01820).",
    ("path-exclusion/data-enters-through-outputs", "path-exclusion/reduces-to-synflow-l2"),
    (),
    "S = sum over outputs of D_k times the SynFlow-L2 score of output k alone (proved). If the last layer is dense, "
    "every output sees the same hidden units with the same gates, all D_k are equal, and PX ranks as SynFlow-L2 does "
    "(proved), whatever the data. With one output this holds in every round. Later rounds differ only by how pruning "
    "has thinned the last layer. A score with gates path by path is the energy of the paths, or that of the "
    "per-sample bound.",
    _overlap,
    _spreads,
    "The plain implementation and `verify.networks.scores.methods` compute D and the scores without sharing code; the "
    "share of common weights in the first round is the same.",
    "It does not say that the mask does not depend on the data at all, nor that data could not help; it says how "
    "much of it reaches the score.",
    ("path-exclusion/data-enters-through-outputs", "path-exclusion/reduces-to-synflow-l2"),
)


def _outputs(n: Numbers) -> str:
    parts = []
    for density in (0.1, 0.05, 0.02, 0.01):
        cells = []
        for method in ("px", "synflow-l2"):
            rows = n.rows("findings_outputs_lost_small", method=method)
            cells.append(sum(r[f"lost_{density}"] for r in rows) / sum(r["networks"] for r in rows))
        parts.append(f"at {percent(density)} PX {cells[0]:.2f}, SynFlow-L2 {cells[1]:.2f}")
    real = []
    for density in (0.018, 0.005, 0.001):
        lost = {
            m: [r["lost"] for r in n.rows("findings_outputs_lost", method=m, density=density)]
            for m in ("px", "synflow-l2")
        }
        real.append(f"at {percent(density)} PX {n_of(lost['px'])}, SynFlow-L2 {n_of(lost['synflow-l2'])}")
    networks = sum(r["networks"] for r in n.rows("findings_outputs_lost_small", method="px"))
    return (
        f"Perceptrons 64-64-64-10 pruned on the digits, outputs of ten without any path, mean of {networks} networks: "
        f"{'; '.join(parts)}. ResNet-20, Gaussian images, three seeds: {'; '.join(real)}."
    )


OUTPUTS_LOST = Finding(
    "px-gives-up-outputs",
    "Iterated PX gives up whole outputs",
    "That the activation, measured anew in each round, keeps what the data needs (summary of arXiv 2406.01820: the "
    "scores are data-driven).",
    ("path-exclusion/leaves-as-many-outputs-as-synflow-l2",),
    (
        (
            Witness("path-exclusion/leaves-as-many-outputs-as-synflow-l2", (no_zeros, no_ties)),
            arithmetic.outputs_compared,
        ),
    ),
    "D_k counts the paths that pruning has left to output k. An output that has lost paths weighs less in the next "
    "round and loses more: the data's only way into the score (finding 3) is a feedback. With the activation of the "
    "dense network held fixed there is none, and under a dense last layer the masks are SynFlow-L2's (proved).",
    _outputs,
    lambda n: (
        "That an output has no path left is a count of weights, the same in every precision; the scores that decide "
        "it agree between float32, float64 and extended precision (findings 3 and 11)."
    ),
    "`verify.certificates.second_opinion` "
    "prunes the network above by its own walk over the paths and leaves the same weights.",
    "A class whose output is lost can still be predicted by its bias alone. On ResNet-20, whose last layer is a "
    "small part of the network, it shows only at densities far below the paper's.",
    ("path-exclusion/frozen-activation-never-collapses", "path-exclusion/reduces-to-synflow-l2"),
)


def _trace_kept(n: Numbers) -> str:
    parts = []
    for scorer in ("px", "synflow-l2", "trace-loss", "magnitude", "random"):
        shown = ", ".join(
            percent(n.one("scorers_small", "trace_mean", scorer=scorer, keep=k, guarded=False)) for k in (18, 9, 4)
        )
        parts.append(f"{scorer} {shown}")
    real = []
    for method in ("px", "synflow-l2", "path-energy", "snip", "magnitude"):
        rows = n.rows("scorers_kernel", method=method, density=0.1)
        real.append(f"{method} {statistics.median(r['trace'] for r in rows):.2g}")
    return (
        f"ResNet-20 with 10 % of its weights, share of the trace that is left (median over seeds, finding 12): "
        f"{', '.join(real)}. "
        "Perceptrons 3-4-4-2, eight Gaussian inputs: mean share of the trace that is left with 18, 9 and 4 of 36 "
        "weights: " + "; ".join(parts) + "."
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
    "With one output PX ranks as SynFlow-L2, and can drop what the trace needs",
    "That PX keeps the parameters that mostly influence the NTK's trace (summary of arXiv 2406.01820).",
    ("path-exclusion/pruning-keeps-the-trace", "path-exclusion/trace-preserves-eigenvalues"),
    (
        (Witness("path-exclusion/pruning-keeps-the-trace", (no_zeros, one_output)), arithmetic.trace_dropped),
        (Witness("path-exclusion/trace-preserves-eigenvalues", (no_zeros,)), arithmetic.bound_kept),
    ),
    "Which removal keeps most of the trace is a matter of the trace itself: removing by least loss of trace keeps at "
    "least as much in a round (proved, by definition), and on ReLU perceptrons never brings the trace to 0 (proved). "
    "The trace bounds the largest eigenvalue and is bounded by the rank times it (proved).",
    _trace_kept,
    _kernel_precision,
    "`verify.certificates.second_opinion` differentiates by dual numbers and finds the same traces.",
    "What is refuted is the order of two removals. The shares above are those of networks at initialisation; they do "
    "not say how such networks train.",
    (
        "path-exclusion/removal-by-trace-is-best",
        "path-exclusion/trace-greedy-stays-alive",
        "path-exclusion/eigenvalue-bounds",
    ),
)


def _tightness(n: Numbers) -> str:
    parts = []
    for network, name in NAMES.items():
        rows = n.rows("findings_path_quantities", network=network, dtype="float64")
        over = [r["log10_per_output"] - r["log10_trace"] for r in rows]
        objective = [r["log10_objective"] - r["log10_trace"] for r in rows]
        product = [10 ** (r["log10_product"] - r["log10_per_output"]) for r in rows]
        parts.append(
            f"{name} on one image, three seeds: the per-output bound is {power(min(over))} to {power(max(over))} "
            f"times the trace, the product bound {min(product):.4g} times that, and the objective "
            f"{power(min(objective))} to {power(max(objective))} times the trace."
        )
    return " ".join(parts)


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
    "The bound on the trace holds, but is loose by a factor K and far too large, and the objective is no bound",
    "The trace bound of arXiv 2406.01820 (holds: proved), the objective that PX ranks by taken for that bound.",
    ("path-exclusion/objective-is-a-bound", "path-exclusion/auxiliary-same-architecture"),
    (
        (Witness("path-exclusion/objective-is-a-bound", (no_zeros,)), arithmetic.objective_below_trace),
        (Witness("path-exclusion/auxiliary-same-architecture", (no_zeros,)), arithmetic.maximum_of_squares),
    ),
    "trace <= sum of D_k T_k <= (sum of D_k)(sum of T_k), T_k the sum of the derivatives of R_k by theta_j^2 "
    "(proved). Under a dense last layer the second step loses exactly a factor K, the number of outputs (proved). "
    "With max pooling the first auxiliary network must copy the argmax and the second sum over the window. Tighter "
    "bounds keep the gates in both factors, sample by sample or parameter by parameter (proved).",
    _tightness,
    _three_precisions,
    "The plain implementation and torch agree on the trace to the last digits of float64; "
    "`verify.certificates.second_opinion` on every network above.",
    "A bound need not be tight to be useful for ranking; what the sizes say is that the bound being small says "
    "nothing about the trace of such a network. On the real networks the objective is far above the trace: that it "
    "is no bound shows on small networks.",
    (
        "path-exclusion/trace-bound",
        "path-exclusion/trace-bound-per-output",
        "path-exclusion/trace-bound-divided-by-outputs",
        "path-exclusion/trace-bound-per-sample",
        "path-exclusion/auxiliary-networks",
    ),
)


def _released(n: Numbers) -> str:
    parts = []
    for network, name in NAMES.items():
        sums = {
            k: n.one("released_px_batchnorm_torch", "log10 sum", network=network, scores=k)
            for k in ("float32", "float64")
        }
        correlation = n.one(
            "released_px_batchnorm_torch", "rank correlation with float64", network=network, scores="float32"
        )
        stored = n.one("released_px_batchnorm_torch", "log10 sum", network=network, scores="float64, stored statistics")
        formula = n.one(
            "released_px_batchnorm_torch", "rank correlation with formula, float64", network=network, scores="float64"
        )
        parts.append(
            f"{name}, 16 CIFAR-10 images: the scores sum to {power(sums['float32'])} in float32, "
            f"{power(sums['float64'])} in float64 and {power(stored)} if normalisation uses its stored statistics "
            f"instead of the batch's; ranks in float32 and float64 correlate {correlation:.2f}, and the float64 ranks "
            f"with those of the paper's formula {formula:.2f} (theta^2, a factor of both, orders most of them)."
        )
    for network, name in NAMES.items():
        for density in (0.018, 0.001):
            rows = [r for r in n.rows(f"collapse_{network}", method="px-released") if str(r["density"]) == str(density)]
            if rows:
                dead = sum(r["on_live_paths"] == 0 for r in rows)
                parts.append(f"{name} pruned by it to {DENSITY[density]}: no path left in {dead} of {len(rows)} runs.")
    return " ".join(parts)


def _released_precision(n: Numbers) -> str:
    where = {"network": "resnet20 width 16", "statistics": "batch (as released)"}
    shown = ", ".join(
        f"{power(n.one('released_px_batchnorm', 'log10 |output - bias|', arithmetic=k, **where))} ({k})"
        for k in ("float32", "float64", "longdouble")
    )
    balls = n.rows("released_px_batchnorm", arithmetic="balls", statistics="batch (as released)")
    widest = ", ".join(f"{power(r['log10 largest score'])} at {r['bits']} bits" for r in balls)
    return (
        f"ResNet-20, |output - bias| of the second network: {shown}: it follows the rounding unit down. In balls, on "
        f"a ResNet-20 of width 2, every one of the {balls[0]['weights']} scores is enclosed by an interval that "
        f"contains 0, the largest {widest}; with stored statistics none is."
    )


RELEASED_SCORE = Finding(
    "released-px-score-under-batch-normalisation",
    "The released PX score: not the paper's formula, and under batch normalisation exactly 0 but for rounding",
    f"That the public code computes the saliency of the paper. `lib/pruners.py` of {RELEASED}.",
    ("path-exclusion/released-scorer",),
    ((Witness("path-exclusion/released-scorer", (no_zeros,)), arithmetic.released_score),),
    "The code leaves parameters whose name contains `bn` or `fc` unsquared, and runs both auxiliary networks in "
    "training mode, the second on a batch of identical inputs without activations. A channel that is normalised by "
    "the statistics of such a batch has mean exactly its shift, whatever the weights before it (of two values a and "
    "b with mean m, a - m and b - m sum to 0); an average-pooled head sees nothing else, so every derivative by a "
    "convolution weight is 0 (proved). On networks without normalisation whose last layer is not called fc the code "
    "agrees with the formula.",
    _released,
    _released_precision,
    "Three implementations agree: `verify.networks.scores.methods.released` (torch), `verify.studies.released_px` "
    "(numpy and balls, backward pass by hand), and the claim's own on small networks in balls.",
    "It does not say that networks pruned by the public code train badly, nor which code computed the paper's "
    "tables, and it is no statement about the paper's formula. A ranking by rounding error times theta^2 still "
    "favours large weights; in the table it keeps ResNet-20 connected at 1.8 %.",
    ("path-exclusion/released-score-with-batch-norm", "path-exclusion/saliency"),
)


def _ranges(n: Numbers) -> str:
    parts = []
    for network, name in (*NAMES.items(), ("resnet50", "ResNet-50")):
        for method, called in (("synflow", "SynFlow"), ("px", "PX")):
            (row,) = n.rows("float32_ranges", network=network, method=method, dtype="float32")
            (wide,) = n.rows("float32_ranges", network=network, method=method, dtype="float64")
            bad = row["plain_not_finite"] / row["weights"]
            parts.append(
                f"{name}, {called}: largest score {power(wide['plain_log10_largest'])}, {percent(bad)} of the scores "
                f"not finite in float32; after rescaling {percent(row['rescaled_not_finite'] / row['weights'])}"
            )
    return "; ".join(parts) + "."


def _range_precision(n: Numbers) -> str:
    parts = []
    for network, name in NAMES.items():
        for method, called in (("synflow", "SynFlow"), ("px", "PX")):
            shown = ", ".join(
                f"{power(n.one('float32_ranges', 'plain_log10_largest', network=network, method=method, dtype=d))} "
                f"({d})"
                for d in ("float64", "longdouble")
            )
            parts.append(f"{name}, largest {called} score: {shown}")
    raw = [n.one("findings_path_quantities", "unscaled_bad", network=k, dtype="float32", seed=0) for k in NAMES]
    weights = [n.one("findings_path_quantities", "weights", network=k, dtype="float32", seed=0) for k in NAMES]
    return (
        "; ".join(parts)
        + f". The plain implementation in float32, without rescaling: {raw[0]} of {weights[0]} PX scores "
        f"of ResNet-20 and {raw[1]} of {weights[1]} of VGG-16-BN are 0 or not finite."
    )


FLOAT32 = Finding(
    "float32-ranges",
    "Path scores leave the range of float32 on the papers' own networks",
    "That scores which are products along all paths can be computed in float32 as they stand (public code of SynFlow "
    "and of PX).",
    ("synaptic-flow/float32-range",),
    (),
    "Dividing at a cut by one positive constant, the same for all samples and outputs, multiplies all scores by one "
    "constant and keeps the ranking (proved): with powers of two at every layer nothing overflows.",
    _ranges,
    _range_precision,
    "`verify.studies.findings.plain` overflows at the same place without rescaling, and not with it.",
    "SynFlow's and SynFlow-L2's scores of ResNet-20 and VGG-16-BN fit into float32. An overflow does not go "
    "unnoticed in code that checks for it.",
    ("synaptic-flow/layer-rescaling",),
)
