"""Beyond piecewise-linear networks."""

from __future__ import annotations

from flint import arb, fmpq

from theory.claims import PROVED, REFUTED, Assumption, claim, hints
from theory.papers.path_exclusion.assumptions import STEP
from theory.papers.sources import ours
from theory.relations import Relation, all_of, at_most, within
from theory.scalars import Array, total
from theory.smooth import ELEMENTWISE, SmoothNetwork, elementwise, grouped


@claim(SmoothNetwork, REFUTED, ours("the bound used where its assumption fails"))
def beyond_piecewise_linear(instance: SmoothNetwork) -> Relation:
    r"""The trace bound with gates $[z > 0]$ holds for GELU, SiLU, sigmoid, tanh, layer norm, softmax, batch statistics.

    False for each of them: below 0 they pass something on, and their slope or value can exceed the identity's.
    """
    return at_most(instance.ntk_trace(), instance.formal_bound())


@claim(
    SmoothNetwork,
    PROVED,
    ours("definitions agree"),
    see="beyond-piecewise-linear",
    proof_gap="about exponentials and error functions, which are no polynomials",
)
@hints(stack=False, samples=2)
def smooth_outputs_have_their_derivative(instance: SmoothNetwork) -> Relation:
    r"""Between two points on a ray the outputs change by the derivative at a point between them.

    $f((1 + t)\theta) - f(\theta)$ is $t \sum_j \theta_j\, \partial_j f$ at some $(1 + s)\theta$ with $0 \le s \le t$,
    for $t = 2^{-48}$, each output and each sample; the derivatives at all these points are enclosed in one ball.

    Proof. The mean value theorem; GELU, SiLU, sigmoid, tanh, layer norm, softmax and batch statistics are smooth.
    """
    quotient = (instance.with_(theta=instance.theta * (1 + STEP)).outputs() - instance.outputs()) / STEP
    around = instance.with_(theta=instance.theta * arb(1, 2 * STEP))
    return within(quotient, total(instance.theta * around.jacobian(), axis=-1))


@claim(
    SmoothNetwork,
    PROVED,
    ours("definitions agree"),
    see="beyond-piecewise-linear",
    slack="that balls are equal is seen only as a number in a ball, however wide it is",
    proof_gap="about exponentials and error functions, which are no polynomials",
)
@hints(stack=False, samples=2)
def smooth_units_by_their_symmetries(instance: SmoothNetwork) -> Relation:
    r"""Smooth units have the symmetries, the sums and the means that characterise them.

    Of the units $u$ that stand alone tanh is odd, $u(z) + u(-z) = 1$ for the sigmoid, $u(z) - u(-z) = z$ for GELU and
    SiLU. A softmax sums to 1, normalised values of variance $v$ have the mean square $v/(v + 10^{-5})$. Outputs depend
    on their own sample alone; but for batch statistics, where they sum to 0 over the samples.

    Proof. From the definitions; behind units of mean 0 over the samples the last layer is linear.
    """
    outputs, first = instance.outputs(), instance.with_(x=instance.x[:1]).outputs()
    over_samples = instance.unit == "batch-statistics"
    return all_of(
        _of_the_unit(instance.unit, instance.x),
        within(0 * first, outputs[:1] - first, "its own sample").when(not over_samples),
        within(0 * first[0], total(outputs, axis=-2), "sum to 0").when(over_samples),
    )


def _of_the_unit(unit: str, z: Array) -> Relation:
    """What is known of the values of a unit at z (n, m): along the units; along the samples for batch statistics."""
    if unit == "softmax":
        y = grouped(unit, z, 0 * z[..., None], -1)[0]
        return within(1 + 0 * z[:, 0], total(y, axis=-1), "sums to 1")
    if unit not in ELEMENTWISE:
        axis = 0 if unit == "batch-statistics" else 1
        y = grouped(unit, z, 0 * z[..., None], axis - 2)[0]
        count = z.shape[axis]
        variance = total(z * z, axis=axis) / count - (total(z, axis=axis) / count) ** 2
        return within(variance / (variance + fmpq(1, 100_000)), total(y * y, axis=axis) / count, "mean square")
    here, there = elementwise(unit, z)[0], elementwise(unit, -z)[0]
    left = {"tanh": here + there, "sigmoid": here + there - 1}.get(unit, here - there - z)
    return within(0 * z, left, "symmetry")


tanh_units = Assumption("tanh-units", "the unit is tanh", lambda i: i.unit == "tanh", lambda c, i: i.with_(unit="gelu"))


@claim(
    SmoothNetwork,
    PROVED,
    ours("slope and value of tanh against the identity"),
    assumes=(tanh_units,),
    repairs="beyond-piecewise-linear",
    slack="tanh stays below the identity except at 0; equality is approached as the inputs go to 0",
    proof_gap="the hyperbolic tangent is no polynomial, and its values at different numbers are tied to each other",
)
@hints(units=("tanh",))
def tanh_with_every_gate_on(instance: SmoothNetwork) -> Relation:
    r"""For tanh, the trace bound holds if every gate counts as 1.

    Proof. $|\tanh z| \le |z|$ and $|\tanh'| \le 1$: write $\tanh z = g z$ with $g \in [0, 1]$. Each entry of $J$ is a
    sum over paths with factors in $[0, 1]$ in place of gates; Cauchy-Schwarz as before.
    """
    return at_most(instance.ntk_trace(), instance.formal_bound(every_gate_on=True))


gelu_or_silu = Assumption("gelu-or-silu", "the unit is GELU or SiLU", lambda i: i.unit in ("gelu", "silu"))


@claim(
    SmoothNetwork,
    REFUTED,
    ours("slope and value of GELU and SiLU against the identity"),
    assumes=(gelu_or_silu,),
    see="tanh-with-every-gate-on",
)
@hints(units=("gelu", "silu"))
def gelu_with_every_gate_on(instance: SmoothNetwork) -> Relation:
    r"""For GELU and SiLU, the trace bound holds if every gate counts as 1.

    False: their slope exceeds 1 for moderate arguments.
    """
    return at_most(instance.ntk_trace(), instance.formal_bound(every_gate_on=True))
