"""What the trace and its eigenvalues need."""

from __future__ import annotations

import numpy as np

from theory import spectrum
from theory.claims import PROVED, REFUTED, claim, hints
from theory.networks import LINEAR
from theory.papers.path_exclusion.assumptions import SMALL
from theory.papers.sources import PATH_EXCLUSION, ours
from theory.paths import NetworkOnData
from theory.pruning import PruningRun
from theory.relations import (
    Relation,
    all_of,
    at_most,
    equal,
    every_pair,
)
from theory.saliency import masked_trace
from theory.scalars import Array, total


@claim(NetworkOnData, REFUTED, PATH_EXCLUSION.at("keeps what mostly influences the trace (seed)"))
@hints(SMALL, samples=1)
def pruning_keeps_the_trace(instance: NetworkOnData) -> Relation:
    r"""Of two weights, removing the one with the smaller PX score loses no more of the trace.

    False: $f = w_1 x_1 + w_2 x_2$ with $w = (1, 2)$, $x = (10, 0)$: PX drops $w_1$, and the trace goes from 100 to 0.
    """
    low, high = every_pair(instance.saliency("px"))
    after_low, after_high = every_pair(instance.trace_without())
    return at_most(after_high, after_low).when(np.asarray(low < high, dtype=bool))


@claim(
    NetworkOnData,
    PROVED,
    ours("a scorer on the trace itself"),
    repairs="trace-gradient-saliency",
    by_definition="the removal that leaves the largest trace leaves a trace at least as large as any other removal",
)
@hints(SMALL, samples=2)
def removal_by_trace_is_best(instance: NetworkOnData) -> Relation:
    r"""Removing the weight that costs the least trace keeps at least as much of it as removing PX's choice.

    $\max_j \operatorname{tr}\Theta_{-j} \ge \operatorname{tr}\Theta_{-j}$ for every weight, so also for that of the
    smallest PX score. Proof. By definition. It costs one trace a weight; over several rounds it is greedy, see
    `trace-gradient-saliency`.
    """
    after = instance.trace_without()
    return at_most(after, np.asarray(after.max(axis=-1))[..., None])


@claim(NetworkOnData, PROVED, ours("definitions agree"), by_definition="the definition of the score, term by term")
@hints(SMALL, samples=2)
def trace_loss_is_what_removal_costs(instance: NetworkOnData) -> Relation:
    r"""The trace-loss score of a weight is the trace minus what removing it leaves.

    $S_j = \operatorname{tr}\Theta - \operatorname{tr}\Theta_{-j}$ where no weight is 0: one of 0 counts as removed.
    """
    whole = np.asarray(instance.ntk_trace())[..., None]
    dense = np.asarray(np.asarray(instance.theta != 0, dtype=bool).all(axis=-1))[..., None]
    return equal(instance.saliency("trace-loss"), whole - instance.trace_without()).when(dense)


@claim(NetworkOnData, REFUTED, ours("a scorer on the trace itself, iterated"))
@hints(families=("chains",), kinds=(LINEAR,), samples=1)
def trace_gradient_saliency(instance: NetworkOnData) -> Relation:
    r"""After two rounds, greedy removal by least loss of trace keeps at least as much of the trace as PX.

    False: of $f = w x_1 + v u x_2$ with unit weights, $x = (1, 1)$, greedy takes $w$ (a loss of 1 of 3; of $v$ or $u$
    it is 2) and must then break the chain, which leaves 0; PX, to which all weights are worth the same, takes the
    chain and leaves 1. What is best for one removal (`removal-by-trace-is-best`) is not for two.
    """
    px, greedy = (_trace_after_two(instance, scorer) for scorer in ("px", "trace-loss"))
    return at_most(px, greedy).when(instance.network.parameters > 2)


def _trace_after_two(instance: NetworkOnData, scorer: str) -> Array:
    """The trace over what is left when two weights have gone, one after the other, by the scores of a scorer."""
    keep = max(0, instance.network.parameters - 2)
    run = PruningRun(instance.network, instance.theta, instance.x, keep=keep, scorer=scorer)
    return masked_trace(instance.network, run.masked(run.final_mask()), instance.x)


@claim(NetworkOnData, PROVED, ours("linear algebra"), repairs="bound-keeps-the-largest-eigenvalue")
@hints(samples=2, width=2, outputs=2, depth=2)
def eigenvalue_bounds(instance: NetworkOnData) -> Relation:
    r"""The largest eigenvalue is between the trace over the rank and the trace.

    $\lambda_{max} \le \operatorname{tr}\Theta \le \operatorname{rank}\Theta \cdot \lambda_{max}$.

    Proof. $\Theta$ is positive semidefinite.
    """
    top, trace = instance.largest_eigenvalue(), instance.ntk_trace()
    return at_most(top, trace, "lambda_max") & at_most(trace, instance.ntk_rank() * top, "rank lambda_max")


@claim(NetworkOnData, PROVED, ours("linear algebra"), see="eigenvalue-bounds")
@hints(samples=2, width=2, outputs=2, depth=2)
def rank_by_weights(instance: NetworkOnData) -> Relation:
    r"""The kernel over samples and outputs has the rank of the kernel over weights.

    $\operatorname{rank} JJ' = \operatorname{rank} J'J$. Proof. Both are the rank of $J$: $J'Jv = 0$ only if $Jv = 0$.
    """
    rows = instance.jacobian()
    rows = rows.reshape(*rows.shape[:-3], -1, rows.shape[-1])
    return equal(instance.ntk_rank(), spectrum.rank(np.swapaxes(rows, -1, -2) @ rows))


@claim(NetworkOnData, PROVED, ours("sharper on both sides than eigenvalue-bounds"), see="eigenvalue-bounds")
@hints(samples=2, width=2, outputs=2, depth=2)
def eigenvalue_bounds_by_squares(instance: NetworkOnData) -> Relation:
    r"""The kernel's Frobenius norm bounds the largest eigenvalue more tightly than the trace.

    $\lambda_{max}^2 \le \|\Theta\|_F^2 \le \lambda_{max} \operatorname{tr}\Theta$, and
    $(\operatorname{tr}\Theta)^2 / \operatorname{rank}\Theta \le \|\Theta\|_F^2 \le (\operatorname{tr}\Theta)^2$: so
    $\|\Theta\|_F^2 / \operatorname{tr}\Theta \le \lambda_{max} \le \|\Theta\|_F$ lies within the bounds by the trace.

    Proof. $\|\Theta\|_F^2$ is the sum of the squares of the eigenvalues, which are not negative; Cauchy-Schwarz.
    """
    top, trace, kernel = instance.largest_eigenvalue(), instance.ntk_trace(), instance.ntk()
    squares = total(kernel * kernel, axis=(-2, -1))
    return all_of(
        at_most(top * top, squares, "lambda_max^2"),
        at_most(squares, top * trace, "lambda_max tr"),
        at_most(trace * trace, instance.ntk_rank() * squares, "rank"),
        at_most(squares, trace * trace, "tr^2"),
    )


@claim(NetworkOnData, REFUTED, PATH_EXCLUSION.at("preserving the trace bound preserves the spectrum (seed)"))
@hints(SMALL, samples=2)
def trace_preserves_eigenvalues(instance: NetworkOnData) -> Relation:
    r"""Of two masks, the one that keeps more of the trace bound keeps at least as much of the trace.

    The trace is the sum of the eigenvalues; of the largest one see `bound-keeps-the-largest-eigenvalue`. False already
    for masks that remove one weight.
    """
    more, less_ = every_pair(instance.bound_without())
    trace_more, trace_less = every_pair(instance.trace_without())
    return at_most(trace_less, trace_more).when(np.asarray(more > less_, dtype=bool))


@claim(NetworkOnData, REFUTED, PATH_EXCLUSION.at("preserving the trace bound preserves the spectrum (seed)"))
@hints(SMALL, samples=2)
def bound_keeps_the_largest_eigenvalue(instance: NetworkOnData) -> Relation:
    r"""Of two masks, the one that keeps more of the trace bound keeps at least as much of the largest eigenvalue.

    False already with one output and one sample, where the trace is the only eigenvalue.
    """
    more, less_ = every_pair(instance.bound_without())
    top_more, top_less = every_pair(instance.largest_eigenvalue_without())
    return at_most(top_less, top_more).when(np.asarray(more > less_, dtype=bool))
