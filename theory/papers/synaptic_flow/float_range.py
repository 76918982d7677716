"""The range of floating point."""

from __future__ import annotations

from typing import Any

import numpy as np
from flint import fmpq

from theory.claims import PROVED, REFUTED, Assumption, claim, hints
from theory.cuts import by_edge, cut_matrix
from theory.flows import (
    RescaledNetwork,
    UniformNetwork,
    every_weight_flows,
)
from theory.instances import per_instance
from theory.papers.sources import ours
from theory.papers.synaptic_flow.conservation import CONSERVED
from theory.relations import Relation, all_of, at_most, equal, holds
from theory.saliency import scorer_named
from theory.scalars import rational


def _negative_factor(c: Any, instance: RescaledNetwork) -> RescaledNetwork:
    return instance.with_(factor=-instance.factor)


positive_factor = Assumption(
    "positive-factor",
    "the factor is positive",
    lambda i: np.asarray(i.factor > 0, dtype=bool),
    _negative_factor,
)


def _factor_of_scores(name: str, factor: Any) -> Any:
    return factor if name == "synflow" else factor * factor


@claim(
    RescaledNetwork,
    PROVED,
    ours("what keeps deep networks in the range of float32"),
    assumes=(positive_factor,),
    repairs="any-layer-rescaling",
    see="float32-range",
)
@hints(width=2, outputs=2, samples=2)
def layer_rescaling(instance: RescaledNetwork) -> Relation:
    r"""Scaling a cut by a positive constant multiplies all scores by a common factor.

    If the edges of a cut are scaled by $c > 0$, every score of SynFlow becomes $c\,S_j$, of SynFlow-L2
    and PX $c^2 S_j$: the ranking stays. In a residual network the cut is the whole block with its skip
    connection; biases of later layers belong to it.

    Proof. Every path crosses the cut once, so $v_p$ becomes $c\,v_p$; units after the cut are scaled by
    $c > 0$, so every gate, and $D_k$ with it, stays.
    """
    network, values = by_edge(instance.network, instance.theta)
    factor = per_instance(np.asarray(instance.factor), 1)
    cuts = cut_matrix(instance.network)
    parts = []
    for name in CONSERVED:
        scorer = scorer_named(name)
        before = scorer.scores(network, values, instance.x, None) * _factor_of_scores(name, factor)
        for cut in cuts:
            after = scorer.scores(network, values * (1 - cut) + values * factor * cut, instance.x, None)
            parts.append(equal(after, before, name))
    return all_of(*parts) if parts else equal(instance.theta, instance.theta).when(False)


@claim(
    RescaledNetwork,
    REFUTED,
    ours("what does not keep deep networks in the range of float32"),
    assumes=(positive_factor,),
)
@hints(families=("mlp-bias", "residual"))
def any_layer_rescaling(instance: RescaledNetwork) -> Relation:
    r"""Scaling any layer of the architecture multiplies all SynFlow scores by a common factor.

    True where the layer is a cut; not with biases in later layers or skip connections around it.
    """
    scorer = scorer_named("synflow")
    factor = per_instance(np.asarray(instance.factor), 1)
    before = scorer.scores(instance.network, instance.theta, instance.x, None) * factor
    parts = []
    for layer in instance.network.layers:
        inside = np.array([int(j in layer) for j in range(instance.network.parameters)])
        theta = instance.theta * (1 - inside) + instance.theta * factor * inside
        parts.append(equal(scorer.scores(instance.network, theta, instance.x, None), before))
    return all_of(*parts).when(per_instance(every_weight_flows(before), 1))


@claim(UniformNetwork, REFUTED, ours("float32 evaluation of SynFlow and SynFlow-L2"), see="layer-rescaling")
def float32_range(instance: UniformNetwork) -> Relation:
    r"""The scores of deep networks stay finite and nonzero in float32.

    The exact score $(m\,|w|^q)^L/m$ of depth $L$, width $m$ ($q = 1$: SynFlow, $q = 2$: SynFlow-L2) is a
    positive number; in float32 it overflows, or underflows, from some depth on.
    """
    return holds(all(_in_range(instance.float32_scores(q)) for q in (1, 2)), "finite and nonzero")


def _in_range(scores: np.ndarray) -> bool:
    return bool(np.all(np.isfinite(scores) & (scores > 0)))


@claim(
    UniformNetwork,
    PROVED,
    ours("what float32 computes where it does not overflow"),
    see="float32-range",
    proof_gap="about the rounding of float32, which is no polynomial",
)
@hints(rounded=True)
def float32_is_accurate_in_range(instance: UniformNetwork) -> Relation:
    r"""Where nothing leaves the range of float32, the computed scores are the exact ones, up to rounding.

    Where they are finite and at least $2^{-126}$, they differ from $(m\,|w|^q)^L/m$ by at most $\frac{N}{2^{24} - N}$
    of it, $N = qL - 1 + (L - 1)(m - 1)$. For $L = 1$, $q = 1$ they are exact.

    Proof. A score is a product of $qL$ weights and $L - 1$ sums of $m$ equal terms: at most $N$ roundings, each by a
    factor within $1 \pm 2^{-24}$. Nothing on the way is larger or smaller than all weights, sums and scores. Attained
    nearly by one rounding, of $(1 + 2^{-12})^2$.
    """
    parts = []
    for q in (1, 2):
        exact, scores = instance.exact_scores(q), instance.float32_scores(q)
        if not _in_range(scores) or scores.min() < np.finfo(np.float32).tiny:
            continue
        computed = np.array([rational(v) for v in scores], dtype=object)
        roundings = q * instance.depth - 1 + (instance.depth - 1) * (instance.width - 1)
        parts += [
            at_most(abs(computed - exact), exact * fmpq(roundings, 2**24 - roundings), f"q = {q}"),
            equal(len(computed), instance.depth),
        ]
    return all_of(*parts) if parts else holds(True).when(False)
