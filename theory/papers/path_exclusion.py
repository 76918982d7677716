r"""Path eXclusion (Iurada, Ciccone, Tommasi, arXiv 2406.01820).

A piecewise-linear network $f$ with weights $\theta$ on inputs $X$. A path $p$ from an input $s$ to an
output $k$ has the value $v_p$, the product of its weights, and is active, $a_p(x) = 1$, if every ReLU
on it is on:
$f^k(x) = \sum_s \sum_{p \in P(s \to k)} v_p(\theta)\, a_p(x, \theta)\, x_s$.
"""

from __future__ import annotations

import numpy as np

from theory.claims import Assumption, Source, Status, claim
from theory.networks import LINEAR
from theory.papers.sources import PATH_EXCLUSION
from theory.paths import NetworkOnData
from theory.relations import Relation, at_most, equal

off_kinks = Assumption(
    "off-kinks",
    "no pre-activation of a ReLU is exactly 0 and no maximum is tied",
    lambda i: np.logical_not(i.on_kink()),
)


@claim(about=NetworkOnData, source=Source(PATH_EXCLUSION, "section 3, path decomposition"), status=Status.PROVED)
def path_decomposition(instance: NetworkOnData) -> Relation:
    r"""The output is a sum over active paths.

    $f^k(x) = \sum_s \sum_{p \in P(s \to k)} v_p(\theta)\, a_p(x,\theta)\, x_s$.

    Proof. With the gates fixed the network is linear in its units; expand the product layer by layer.
    Biases are paths from a constant input 1, the gate of a maximum is its argmax, normalisation in
    evaluation mode is affine.
    """
    rows = instance.path_activation_matrix() @ instance.path_values()[..., None]
    return equal(rows[..., 0].reshape(instance.outputs().shape), instance.outputs())


@claim(
    about=NetworkOnData,
    source=Source(PATH_EXCLUSION, "the trace bound (seed)"),
    status=Status.PROVED,
    assumes=(off_kinks,),
    draws={"kinds": ("relu", LINEAR)},
)
def trace_bound(instance: NetworkOnData) -> Relation:
    r"""The NTK's trace is at most path activation times path kernel.

    $\operatorname{tr}\Theta(X, X) \le \|J_v^f(X)\|_F^2 \, \|J_\theta^v\|_F^2$.

    Proof. $J = J_v^f J_\theta^v$ by the chain rule, and the Frobenius norm is submultiplicative.
    Equality on networks with a single path.
    """
    return at_most(instance.ntk_trace(), instance.path_activation() * instance.path_kernel_trace())
