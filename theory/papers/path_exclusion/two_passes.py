"""The quantities without enumeration: two forward passes and a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory import auxiliary
from theory.claims import PROVED, REFUTED, claim, hints
from theory.networks import LINEAR
from theory.papers.path_exclusion.assumptions import no_weight_twice
from theory.papers.sources import PATH_EXCLUSION, ours
from theory.paths import NetworkOnData
from theory.relations import (
    Relation,
    all_of,
    at_most,
    equal,
)
from theory.scalars import total


@claim(
    NetworkOnData,
    PROVED,
    PATH_EXCLUSION.at("the path kernel by one gradient (seed)"),
    assumes=(no_weight_twice,),
    repairs="gradient-kernel-bounds-the-trace",
)
def kernel_by_gradient(instance: NetworkOnData) -> Relation:
    r"""The path kernel $T_k$ is the summed gradient of the network with squared weights.

    $T_k = \|\nabla_{\theta^2} R_k\|_1$, at zero weights too, if no weight stands twice on one path. With $f = w\,
    \mathrm{relu}(wx)$ it is not, and the bound computed so is below the trace.

    Proof. $R_k$ is then linear in each $\theta_j^2$, with coefficient $\sum_{p \ni j} (v_p/\theta_j)^2$.
    """
    return equal(instance.kernel_by_gradient(), instance.kernel_per_output())


@claim(NetworkOnData, REFUTED, PATH_EXCLUSION.at("the path kernel by one gradient, on recurrent networks"))
@hints(families=("recurrent",))
def gradient_kernel_bounds_the_trace(instance: NetworkOnData) -> Relation:
    r"""The trace bound with the path kernel by gradient holds however weights are shared.

    $\operatorname{tr}\Theta \le \sum_k D_k \|\nabla_{\theta^2} R_k\|_1$. False if a weight stands twice on a path: for
    $f = w\,\mathrm{relu}(wx)$, $w = x = 1$, the trace is 4 and this bound 2.
    """
    bound = instance.activation_per_output() * instance.kernel_by_gradient()
    return at_most(instance.ntk_trace(), total(bound, axis=-1))


@claim(
    NetworkOnData,
    REFUTED,
    ours("convolutions: paths over positions, kernels over weights"),
    see="trace-bound-per-output",
)
@hints(families=("pooled-convolution",), outputs=1)
def kernel_over_distinct_weights(instance: NetworkOnData) -> Relation:
    r"""In the path kernel, paths with the same weights can be counted once.

    False: activations are counted over positions, so kernels must be; a kernel of one weight on two positions that are
    added has trace 4 at $x = (1, 1)$, activation 2, and 1 as its only weight's share.
    """
    paths, edges = instance.paths, instance.network.edges
    first: dict[Any, int] = {}
    for p in range(len(paths)):
        weights = tuple(sorted(q for i in paths.edges[p] if (q := edges[i].parameter) is not None))
        first.setdefault((weights, paths.outputs[p]), p)
    counted = np.array([int(p in first.values()) for p in range(len(paths))])
    t = instance._sum_by_output(total(instance.path_jacobian() ** 2, axis=-1) * counted)
    return at_most(instance.ntk_trace(), total(instance.activation_per_output() * t, axis=-1))


@claim(
    NetworkOnData, PROVED, PATH_EXCLUSION.at("the two auxiliary networks (seed)"), repairs="auxiliary-same-architecture"
)
def auxiliary_networks(instance: NetworkOnData) -> Relation:
    r"""Two auxiliary forward passes compute $D_k$ and $R_k$.

    $D_k$: weights 1, input $x^2$, gates copied (squared), the argmax of a maximum with them. $R_k$: weights squared,
    input 1, every gate on, a maximum replaced by the sum over its window.

    Proof. Both networks are linear; expand them over paths.
    """
    return all_of(
        equal(instance.activation_by_forward(), instance.activation_per_output(), "D"),
        equal(instance.objective_by_forward(), instance.objective_per_output(), "R"),
    )


@claim(NetworkOnData, REFUTED, ours("running the same architecture with squared weights"))
@hints(families=("deep-pool",), kinds=(LINEAR,), outputs=1, width=2, samples=1)
def auxiliary_same_architecture(instance: NetworkOnData) -> Relation:
    r"""Squaring the weights of the same architecture gives a bound on the trace.

    False with max pooling: the maximum of squares drops paths that are active on the data, and the bound falls below
    the trace.
    """
    kernel = auxiliary.kernel(instance.network, instance.theta, same_architecture=True)
    return at_most(instance.ntk_trace(), total(instance.activation_per_output() * kernel, axis=-1))
