"""The bound on the trace."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory.claims import PROVED, REFUTED, Assumption, claim, hints
from theory.enumeration import on_path, path_gates
from theory.networks import INPUT, mlp
from theory.papers.path_exclusion.assumptions import equal_activations
from theory.papers.sources import PATH_EXCLUSION, ours
from theory.paths import NetworkOnData
from theory.relations import (
    Relation,
    all_of,
    at_most,
    equal,
)
from theory.scalars import total


@claim(NetworkOnData, PROVED, PATH_EXCLUSION.at("the trace bound (seed)"))
def trace_bound(instance: NetworkOnData) -> Relation:
    r"""The NTK's trace is at most path activation times path kernel.

    $\operatorname{tr}\Theta(X, X) \le \|J_v^f(X)\|_F^2 \, \|J_\theta^v\|_F^2$.

    Proof. $J = J_v^f J_\theta^v$ by the chain rule, and the Frobenius norm is submultiplicative.
    Equality on networks with a single path. With formal gradients it holds on kinks as well.
    """
    return at_most(instance.ntk_trace(), instance.path_activation() * instance.path_kernel_trace())


def _two_paths(c: Any, instance: NetworkOnData) -> NetworkOnData:
    net = mlp((2, 1))
    return NetworkOnData(net, c.numbers((2,)), c.numbers((1, 2)))


single_path = Assumption("single-path", "there is one path", lambda i: len(i.paths) == 1, _two_paths)


@claim(NetworkOnData, PROVED, ours("the constant of the trace bound"), assumes=(single_path,), see="trace-bound")
@hints(families=("mlp", "recurrent"), width=1, outputs=1)
def trace_bound_is_attained(instance: NetworkOnData) -> Relation:
    r"""On a network with a single path, the trace bound is an equality.

    $\operatorname{tr}\Theta = D\,T$, for any number of samples: no constant below 1 would do in the trace bound.

    Proof. $J = J_v^f J_\theta^v$ is a column times a row.
    """
    return equal(instance.ntk_trace(), instance.path_activation() * instance.path_kernel_trace())


@claim(NetworkOnData, PROVED, ours("sharper than the trace bound"), repairs="objective-is-a-bound")
def trace_bound_per_output(instance: NetworkOnData) -> Relation:
    r"""The trace bound holds output by output.

    $\operatorname{tr}\Theta \le \sum_k D_k T_k \le (\sum_k D_k)(\sum_k T_k)$.

    Proof. The trace is the sum of the traces of single outputs, and the trace bound holds for each.
    """
    per_output = instance.activation_per_output() * instance.kernel_per_output()
    return all_of(
        at_most(instance.ntk_trace(), total(per_output, axis=-1), "per output"),
        at_most(total(per_output, axis=-1), instance.path_activation() * instance.path_kernel_trace(), "product"),
    )


@claim(
    NetworkOnData,
    PROVED,
    ours("the product bound is loose by the number of outputs"),
    assumes=(equal_activations,),
    see="trace-bound",
)
@hints(families=("mlp", "mlp-bias"))
def trace_bound_divided_by_outputs(instance: NetworkOnData) -> Relation:
    r"""With a dense last layer, the trace bound can be divided by the number of outputs.

    $\operatorname{tr}\Theta \le \frac1K (\sum_k D_k)(\sum_k T_k)$ if all $D_k$ are equal.

    Proof. $\sum_k D_k T_k = D \sum_k T_k$ with $D = \frac1K \sum_k D_k$.
    """
    outputs = len(instance.network.outputs)
    return at_most(instance.ntk_trace(), instance.path_activation() * instance.path_kernel_trace() / outputs)


@claim(NetworkOnData, PROVED, ours("Cauchy-Schwarz path by path"))
@hints(samples=2, width=2)
def trace_bound_per_sample(instance: NetworkOnData) -> Relation:
    r"""In the trace bound, gates can be kept in both factors, for each sample and parameter.

    $\operatorname{tr}\Theta \le B_{param} \le B_{sample} \le \sum_k D_k T_k$,
    $B_{sample} = \sum_{n,k} (\sum_p (a_p x)^2)(\sum_p [a_p \ne 0] |\nabla v_p|^2)$ over the paths to $k$, and
    $B_{param}$ the same with only the paths through $j$ in both factors, summed over $j$. Where at each sample at most
    one path to each output is active, $\operatorname{tr}\Theta = B_{sample}$; where at most one of those through each
    weight is, $\operatorname{tr}\Theta = B_{param}$.

    Proof. Cauchy-Schwarz for each entry of $J$; then more nonnegative terms at each step. With one term, equality.
    """
    per_output = total(instance.bound_per_output(), axis=-1)
    ends = np.array(instance.paths.outputs) == np.arange(len(instance.network.outputs))[:, None]
    active = np.asarray(path_gates(instance.network, instance.run) != 0, dtype=bool)[..., None, :] & ends
    alone = (active.sum(axis=-1) <= 1).all(axis=(-2, -1))
    through = active.astype(int) @ (on_path(instance.network) > 0).astype(int)
    apart = (through <= 1).all(axis=(-3, -2, -1))
    return all_of(
        equal(instance.ntk_trace(), instance.bound_per_sample(), "one active path").when(alone),
        equal(instance.ntk_trace(), instance.bound_per_parameter(), "one through each weight").when(apart),
        at_most(instance.ntk_trace(), instance.bound_per_parameter(), "per parameter"),
        at_most(instance.bound_per_parameter(), instance.bound_per_sample(), "per sample"),
        at_most(instance.bound_per_sample(), per_output, "per output"),
    )


@claim(NetworkOnData, PROVED, ours("sharper than the trace bound per output"), see="trace-bound-per-output")
@hints(samples=3, outputs=2, width=2)
def trace_bound_by_operator_norm(instance: NetworkOnData) -> Relation:
    r"""In the trace bound, one Frobenius norm can be an operator norm, output by output.

    $\operatorname{tr}\Theta \le \sum_k \|J_v^{f_k}\|_2^2\, T_k \le \sum_k D_k T_k$ and
    $\operatorname{tr}\Theta \le \sum_k D_k \|J_\theta^{v,k}\|_2^2 \le \sum_k D_k T_k$. The first is the same
    with one sample and up to their number sharper with more: $f = w_1 x_1 + w_2 x_2$ on $(1, 0)$ and $(0, 1)$ has the
    trace 2, which is this bound, and $D T = 4$.

    Proof. $\|AB\|_F \le \|A\|_2 \|B\|_F$, and the transpose of it.
    """
    d, t = instance.activation_per_output(), instance.kernel_per_output()
    by_data, by_weights = instance.activation_norm_per_output() * t, d * instance.kernel_norm_per_output()
    return all_of(
        at_most(instance.ntk_trace(), total(by_data, axis=-1), "operator norm of the activations"),
        at_most(instance.ntk_trace(), total(by_weights, axis=-1), "operator norm of the kernel"),
        at_most(by_data, d * t, "activations"),
        at_most(by_weights, d * t, "kernel"),
    )


@claim(NetworkOnData, REFUTED, PATH_EXCLUSION.at("the objective taken for a bound"))
@hints(families=("mlp",))
def objective_is_a_bound(instance: NetworkOnData) -> Relation:
    r"""The objective $\sum_k D_k R_k$ is itself a bound on the trace.

    False: $f = wx$ with $w = 1/2$, $x = 1$ has trace 1 and objective 1/4. The bound needs $T_k$, the sum of the
    derivatives of $R_k$ by $\theta_j^2$.
    """
    bound = instance.activation_per_output() * instance.objective_per_output()
    return at_most(instance.ntk_trace(), total(bound, axis=-1))


@claim(NetworkOnData, REFUTED, PATH_EXCLUSION.at("paths start at inputs"), see="trace-bound-per-output")
@hints(families=("mlp-bias",), depth=2)
def bias_paths(instance: NetworkOnData) -> Relation:
    r"""The trace bound for the weights holds even if the paths from biases are left out.

    False: $f = \mathrm{relu}(wx + b)\,v$ at $x = 0$, $w = b = v = 1$: $\partial f/\partial v = 1$, and no path from the
    input is active with a nonzero input.
    """
    bias = {e.parameter for e in instance.network.edges if instance.network.units[e.source] == "one"}
    weights = [j for j in range(instance.network.parameters) if j not in bias]
    from_input = np.array([int(instance.network.units[s] == INPUT) for s in instance.paths.sources])
    inputs = instance.path_inputs() * from_input
    gradient = total(instance.path_jacobian() ** 2, axis=-1) * from_input
    d, t = instance._sum_by_output(total(inputs * inputs, axis=-2)), instance._sum_by_output(gradient)
    j = instance.jacobian()[..., weights]
    return at_most(total(j * j, axis=(-3, -2, -1)), total(d * t, axis=-1))


@claim(
    NetworkOnData,
    PROVED,
    PATH_EXCLUSION.at("a question of users of the public code"),
    by_definition="the value of a path is the product of its own weights: its derivative by any other weight is 0",
)
def kernel_sum_is_over_the_path(instance: NetworkOnData) -> Relation:
    r"""In the path kernel, only the parameters on a path contribute to its entry.

    $\sum_j (\partial v_p/\partial\theta_j)^2 = \sum_{j \in p} (\partial v_p/\partial\theta_j)^2$.

    Proof. $v_p$ does not depend on the others.
    """
    squares = instance.path_jacobian() ** 2
    return equal(total(squares, axis=-1), total(squares * (on_path(instance.network) > 0).astype(int), axis=-1))


@claim(
    NetworkOnData, REFUTED, PATH_EXCLUSION.at("a question of users of the public code"), see="trace-bound-per-output"
)
@hints(families=("mlp",))
def unsquared_data_bounds(instance: NetworkOnData) -> Relation:
    r"""The trace bound holds if the first auxiliary network gets absolute inputs instead of squared ones.

    False: $f = wx$ at $x = 2$ has the trace 4, and $|x| T = 2$.
    """
    unsquared = instance._sum_by_output(total(np.abs(instance.path_inputs()), axis=-2))
    return at_most(instance.ntk_trace(), total(unsquared * instance.kernel_per_output(), axis=-1))
