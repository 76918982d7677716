"""The decomposition into paths, and what the tangent kernel is in terms of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from theory.claims import PROVED, REFUTED, claim, hints
from theory.derivative import one_sided
from theory.instances import per_instance
from theory.networks import LINEAR, MAX, RELU, Builder, forward, jacobian, mlp
from theory.papers.path_exclusion.assumptions import GRAPHS, no_weight_twice
from theory.papers.sources import PATH_EXCLUSION, ours
from theory.paths import NetworkOnData
from theory.relations import (
    Relation,
    all_of,
    equal,
    equivalent,
    holds,
)
from theory.scalars import Array, indicator, is_exact, rational, total


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
    rows = (j @ instance.path_jacobian()).reshape(instance.jacobian().shape)
    return all_of(
        equal(j @ instance.path_kernel() @ np.swapaxes(j, -1, -2), instance.ntk(), "kernel"),
        equal(rows, instance.jacobian(), "jacobian"),
    )


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
    off = np.logical_not(instance.on_kink())
    return all_of(
        equal(instance.jacobian(), instance.derivative(), "gradient").when(per_instance(off, 3)),
        holds(instance.differentiable(), "differentiable").when(off),
    )


@claim(NetworkOnData, PROVED, ours("definitions agree"), assumes=(no_weight_twice,), see="gradient-off-kinks")
@hints(GRAPHS, units=True)
def one_sided_derivatives_are_quotients(instance: NetworkOnData) -> Relation:
    r"""A step that crosses no kink changes the outputs by the one-sided derivative times its length.

    $f(\theta \pm t e_j) = f(\theta) + t\, D_{\pm e_j} f(\theta)$, kinks at $\theta$ included, if the gates at
    $\theta \pm t e_j$, held fixed, give every unit its value at $\theta$ as well. It is the automatic gradient at
    $\theta$ with these gates; and $f$ is differentiable in $\theta_j$ iff $D_{e_j} f = -D_{-e_j} f$.

    Proof. If no weight stands twice on a path, units with fixed gates are affine in $\theta_j$. Where the gates fit at
    both ends of the step they fit in between, so $f$ is affine there.
    """
    net, x, t = instance.network, instance.x, rational("1/64") if is_exact(instance.theta) else 1 / 64
    smooth: Any = True
    crossed: Any = False
    parts = []
    for j in range(net.parameters):
        axis = np.array([int(i == j) for i in range(net.parameters)])
        slopes: list[Array] = []
        for sign in (1, -1):
            moved = forward(net, instance.theta + sign * t * axis, x)
            held = forward(net, instance.theta, x, gates=moved.edge_gates)
            same = np.all([np.asarray(a == b) for a, b in zip(held.values, instance.run.values, strict=True)], axis=0)
            slopes.append((moved.outputs - instance.outputs()) / t)
            along, formal = (
                one_sided(net, instance.theta, x, sign)[..., j],
                jacobian(net, instance.theta, held)[..., j],
            )
            parts.append(equal(along, slopes[-1], "step").when(same[..., None]))
            parts.append(equal(along, sign * formal, "gradient").when(same[..., None]))
            crossed = crossed | np.asarray(~same.all(axis=-1))
        smooth = smooth & np.asarray(slopes[0] == -slopes[1], dtype=bool).all(axis=(-2, -1))
    parts.append(equivalent(instance.differentiable(), smooth, "differentiable").when(np.logical_not(crossed)))
    return all_of(*parts)


@claim(NetworkOnData, PROVED, ours("definitions agree"), by_definition="each layer's formula, written in two ways")
@hints(families=("mlp",), depth=2, width=3)
def layers_by_their_formulas(instance: NetworkOnData) -> Relation:
    r"""Dense layers, convolutions, pools, skip connections and normalisations compute what their formulas say.

    On inputs $x$, with ReLU: $W_2\, \mathrm{relu}(W_1 x + b_1) + b_2$; $\sum_k w_k x_{p+k}$ at each position $p$;
    the largest and the mean of two units side by side; $h + x$; $\mathrm{relu}(\frac12 \gamma_i x_i + \beta_i)$.
    """
    x, d = instance.x, instance.x.shape[-1]
    weights = instance.theta[..., np.arange(60) % instance.network.parameters]

    def taken(start: int, rows: int, columns: int) -> Array:
        shape = (*weights.shape[:-1], rows, columns)
        return weights[..., start : start + rows * columns].reshape(shape)

    def outputs(b: Builder, units: Sequence[int]) -> Array:
        net = b.network(units)
        return forward(net, weights[..., : net.parameters], x).outputs

    def times(a: Array, w: Array) -> Array:
        return a @ np.swapaxes(w, -1, -2)

    def positive_part(a: Array) -> Array:
        return a * indicator(a > 0, a)

    perceptron, b = mlp((d, 3, 2), bias=True), Builder(d)
    hidden = positive_part(times(x, taken(0, 3, d)) + taken(3 * d, 1, 3))
    found = forward(perceptron, weights[..., : perceptron.parameters], x).outputs
    parts = [equal(found, times(hidden, taken(3 * d + 3, 2, 3)) + taken(3 * d + 9, 1, 2), "perceptron")]
    kernel = max(1, d - 1)
    slid = [total(x[..., p : p + kernel] * taken(0, 1, kernel), axis=-1) for p in range(d - kernel + 1)]
    parts.append(equal(outputs(b, b.convolution(b.inputs, kernel)), np.stack(slid, axis=-1), "convolution"))
    four = times(x, taken(0, 5, d))
    for kind in (MAX, LINEAR):
        b = Builder(d)
        units = b.pool(b.dense(b.inputs, 5), 2, kind=kind)
        left, right = four[..., 0:4:2], four[..., 1:4:2]
        pooled = np.where(np.asarray(left > right, dtype=bool), left, right) if kind == MAX else (left + right) / 2
        parts.append(equal(outputs(b, units), pooled, f"pool of {kind} units"))
    b = Builder(d)
    parts.append(equal(outputs(b, b.add(b.inputs, b.dense(b.inputs, d))), x + times(x, taken(0, d, d)), "skip"))
    b = Builder(d)
    scaled = positive_part(x * taken(0, 1, d) / 2 + taken(d, 1, d))
    parts.append(equal(outputs(b, b.scale(b.inputs, kind=RELU, factor="1/2")), scaled, "normalisation"))
    counts = (perceptron.parameters, b.parameters) == (3 * d + 11, 2 * d)
    return all_of(*parts, holds(counts, "weights and biases"))
