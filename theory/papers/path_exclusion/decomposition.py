"""The decomposition into paths, and what the tangent kernel is in terms of them."""

from __future__ import annotations

import numpy as np

from theory.claims import PROVED, REFUTED, claim, hints
from theory.derivative import derivative
from theory.instances import per_instance
from theory.networks import RELU
from theory.papers.path_exclusion.assumptions import GRAPHS
from theory.papers.sources import PATH_EXCLUSION, ours
from theory.paths import NetworkOnData
from theory.relations import (
    Relation,
    all_of,
    equal,
    holds,
)
from theory.scalars import total


@claim(NetworkOnData, PROVED, PATH_EXCLUSION.at("the formula of path decomposition"))
@hints(GRAPHS)
def path_decomposition(instance: NetworkOnData) -> Relation:
    r"""The output is the sum of value times input over all active paths.

    $f^k(x) = \sum_s \sum_{p \in P(s \to k)} v_p(\theta)\, a_p(x,\theta)\, x_s$.

    Proof. With the gates fixed the network is linear in its units; expand the product layer by layer.
    Biases are paths from a constant input 1, the gate of a maximum is its argmax, normalisation in
    evaluation mode is affine. A leaky ReLU's gate is 1 or its slope.
    """
    rows = instance.path_activation_matrix() @ instance.path_values()[..., None]
    return equal(rows[..., 0].reshape(instance.outputs().shape), instance.outputs())


@claim(NetworkOnData, PROVED, PATH_EXCLUSION.at("the NTK in terms of paths (seed)"))
@hints(GRAPHS)
def chain_rule(instance: NetworkOnData) -> Relation:
    r"""The neural tangent kernel factorises into the path activation matrix and the path kernel.

    $\Theta(X,X) = J_v^f\, \Pi_\theta\, {J_v^f}'$ with $\Pi_\theta = J_\theta^v {J_\theta^v}'$; $J_\theta^v$ is the true
    derivative of $v_p$ where a weight is used on several edges.

    Proof. $J = J_v^f J_\theta^v$, the gates being locally constant. On a kink both sides are formal, and still agree.
    """
    j = instance.path_activation_matrix()
    return equal(j @ instance.path_kernel() @ np.swapaxes(j, -1, -2), instance.ntk())


@claim(NetworkOnData, PROVED, ours("definitions agree"), by_definition="two ways to write the same sum")
@hints(GRAPHS)
def trace_by_kernel(instance: NetworkOnData) -> Relation:
    r"""The trace is the sum of the kernel's diagonal over samples and outputs.

    $\operatorname{tr}\Theta = \sum_{n,k} \Theta_{(n,k),(n,k)}$, and output by output.

    Proof. $\Theta_{(n,k),(n,k)} = \sum_j (\partial f^k(x_n)/\partial\theta_j)^2$.
    """
    diagonal = np.diagonal(instance.ntk(), axis1=-2, axis2=-1).reshape(instance.outputs().shape)
    return all_of(
        equal(total(diagonal, axis=(-2, -1)), instance.ntk_trace(), "trace"),
        equal(total(diagonal, axis=-2), instance.ntk_trace_per_output(), "per output"),
    )


@claim(NetworkOnData, PROVED, ours("definitions agree"), by_definition="two ways to write the same sum")
@hints(GRAPHS)
def activation_by_matrix(instance: NetworkOnData) -> Relation:
    r"""The activations $D_k$ are sums of squares of the path activation matrix.

    $D_k = \sum_n \sum_p (J_v^f)_{(n,k),p}^2$: with every sample, and with the squares of the slopes of leaky units.
    """
    rows = total(instance.path_activation_matrix() ** 2, axis=-1).reshape(instance.outputs().shape)
    return all_of(
        equal(total(rows, axis=-2), instance.activation_per_output(), "D"),
        equal(total(rows, axis=(-2, -1)), instance.path_activation(), "sum of D"),
    )


@claim(NetworkOnData, PROVED, ours("definitions agree"), by_definition="two ways to write the same sum")
@hints(GRAPHS)
def kernel_by_matrix(instance: NetworkOnData) -> Relation:
    r"""The path kernels $T_k$ of the outputs are sums over the diagonal of the path kernel.

    $T_k = \sum_{p \to k} \Pi_{pp}$ and $\operatorname{tr}\Pi = \sum_k T_k$.
    """
    diagonal, ends = np.diagonal(instance.path_kernel(), axis1=-2, axis2=-1), np.array(instance.paths.outputs)
    per_output = [total(diagonal[..., ends == k], axis=-1) for k in range(len(instance.network.outputs))]
    return all_of(
        equal(np.stack([np.asarray(t) for t in per_output], axis=-1), instance.kernel_per_output(), "T"),
        equal(total(diagonal, axis=-1), instance.path_kernel_trace(), "tr Pi"),
    )


@claim(NetworkOnData, REFUTED, ours("what an automatic gradient is taken for"))
@hints(families=("convolution",), kinds=(RELU,), outputs=1, samples=1, width=2, units=True)
def kinks(instance: NetworkOnData) -> Relation:
    r"""Where the network is differentiable in its weights, automatic differentiation gives the derivative.

    False where a pre-activation is exactly 0: $f = \mathrm{relu}(wx) - \mathrm{relu}(-wx) = wx$ at $w = 0$ has the
    formal gradient 0 and the derivative $x$. Instances on a kink are recognised and set apart.
    """
    return equal(instance.jacobian(), instance.derivative()).when(per_instance(instance.differentiable(), 3))


@claim(NetworkOnData, PROVED, ours("definitions agree"), repairs="kinks")
@hints(GRAPHS, units=True)
def gradient_off_kinks(instance: NetworkOnData) -> Relation:
    r"""Where no pre-activation is 0 and no maximum is tied, the automatic gradient is the derivative.

    There both one-sided derivatives of every output by every weight exist and agree with it.

    Proof. The gates are locally constant, and the network is a polynomial in its weights.
    """
    slopes, exists = derivative(instance.network, instance.theta, instance.x)
    off = np.logical_not(instance.on_kink())
    return all_of(
        equal(instance.jacobian(), slopes, "gradient").when(per_instance(off, 3)),
        holds(exists, "differentiable").when(off),
    )
