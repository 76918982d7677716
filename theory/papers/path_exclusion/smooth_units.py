"""Beyond piecewise-linear networks."""

from __future__ import annotations

from theory.claims import PROVED, REFUTED, Assumption, claim, hints
from theory.papers.sources import ours
from theory.relations import (
    Relation,
    at_most,
)
from theory.smooth import SmoothNetwork


@claim(SmoothNetwork, REFUTED, ours("the bound used where its assumption fails"))
def beyond_piecewise_linear(instance: SmoothNetwork) -> Relation:
    r"""The trace bound with gates $[z > 0]$ holds for GELU, SiLU, sigmoid, tanh, layer norm, softmax, batch statistics.

    False for each of them: below 0 they pass something on, and their slope or value can exceed the identity's.
    """
    return at_most(instance.ntk_trace(), instance.formal_bound())


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
