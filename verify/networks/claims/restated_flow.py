"""Forms of the claims of the SynFlow paper, and of energies; see `verify.networks.claims.restated`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from theory.relations import Relation, all_of, holds
from verify.networks.claims.restated import cuts, form, last_linear, over_cuts, sum_ball
from verify.networks.claims.undecided import Undecided
from verify.networks.exact.balls import compared, flat
from verify.networks.paths.sums import Sums
from verify.networks.recording.graph import MAXIMUM

if TYPE_CHECKING:
    from verify.networks.claims.module_on_data import ModuleOnData


def _layers(i: ModuleOnData) -> dict[str, list[str]]:
    """The parameters of each submodule."""
    out: dict[str, list[str]] = {}
    for n in i.graph.parameters:
        out.setdefault(n.rpartition(".")[0], []).append(n)
    return out


def _everything_flows(i: ModuleOnData) -> bool:
    """Whether no weight is 0 and each stands on a path."""
    return bool(flat(i.sums.carried(torch.ones(i.sums.outputs))).all())


@form("synaptic-flow/every-layer-conserves", "one backward pass of the auxiliary network with weights |theta|")
def every_layer_conserves(i: ModuleOnData) -> Relation:
    """As the claim, with the parameters of a submodule as a layer."""
    ones = torch.ones(i.sums.outputs, dtype=torch.float64)
    found = i.sums.scores(1, ones)
    with torch.no_grad():
        flow = i.sums.run(i.sums.powers(1), i.sums.ones(), 1).sum()
    sums = torch.stack([torch.stack([found[n].sum() for n in names]).sum() for names in _layers(i).values()])
    unit = 2 * i.sums.unit
    where = torch.tensor(_everything_flows(i)).expand(sums.shape)
    return compared("==", sums, sums * unit, flow.expand(sums.shape), flow * unit, where=where)


@form("synaptic-flow/released-synflow-l2-conserves", "one backward pass of the auxiliary network with squared weights")
def released_synflow_l2_conserves(i: ModuleOnData) -> Relation:
    """As the claim, for layers that no connection skips, with the biases behind them."""
    ones = torch.ones(i.sums.outputs, dtype=torch.float64)
    found = i.sums.scores(2, ones, weighted=False)
    sums = (
        torch.stack(
            [sum((found[n] * i.tensors[n].abs()).sum() for n in names) for names in cuts(i).values()]  # type: ignore[misc]
        )
        if cuts(i)
        else torch.zeros(0, dtype=torch.float64)
    )
    unit = 2 * i.sums.unit
    return compared("==", sums[1:], sums[1:] * unit, sums[:-1], sums[:-1] * unit)


@form("synaptic-flow/why-absolute-values", "one backward pass of the network with weights |theta| on the input of ones")
def why_absolute_values(i: ModuleOnData) -> Relation:
    """The scores are sums of products of nonnegative numbers."""
    if any(op.kind == MAXIMUM for op in i.graph.operations):
        raise Undecided("maxima on the input of ones are tied within rounding")
    s = flat(i.sums.scores(1, torch.ones(i.sums.outputs, dtype=torch.float64)))
    return compared("<=", torch.zeros(()), 0.0, s, s * i.sums.unit * 2)


@form("synaptic-flow/signed-scores-are-nonnegative", "scores of the last layer: weight times activation")
def signed_scores_are_nonnegative(i: ModuleOnData) -> Relation:
    """On the input of ones a weight of the last layer has the score w h, h the activation it reads."""
    op = last_linear(i)
    one = i.on_ones()
    h, error = one.values[op.inputs[0]][0], one.run.errors[op.inputs[0]][0]
    theta = i.tensors[op.settings["weight"]]
    score = theta * h
    return compared("<=", torch.zeros(()), 0.0, score, theta.abs() * error + score.abs() * 1e-15)


@form("synaptic-flow/cut-conservation", "SynFlow, SynFlow-L2 and PX over layers that no connection skips, with biases")
def cut_conservation(i: ModuleOnData) -> Relation:
    """What the claim says of the three scorers; the signed objective is left out."""
    d = i.activation_values()
    ones = torch.ones_like(d)
    parts = []
    for power, directions in ((1, ones), (2, ones), (2, d)):
        with torch.no_grad():
            flow = i.sums.run(i.sums.powers(power), i.sums.ones(), power)[0]
        parts.append(over_cuts(i, i.sums.scores(power, directions), sum_ball(flow * directions, 2 * i.sums.unit)))
    return all_of(*parts)


SCALE = 3.0
"""By how much forms scale a layer."""


def _scaled(i: ModuleOnData, names: Sequence[str], power: int, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Scores with some parameters times `SCALE`, and those before times what the claim says."""
    tensors = {n: t * SCALE if n in names else t for n, t in i.tensors.items()}
    after = Sums(i.graph, tensors, len(i.x)).scores(power, directions)
    return flat(after), flat(i.sums.scores(power, directions)) * SCALE**power


@form("synaptic-flow/layer-rescaling", "layers that no connection skips, with the biases behind them, times 3")
def layer_rescaling(i: ModuleOnData) -> Relation:
    """As the claim, for up to four cuts."""
    d, unit, parts = i.activation_values(), 4 * i.sums.unit, []
    chosen = list(cuts(i).values())
    if not chosen:
        raise Undecided("every layer is skipped by a connection: no layer with its biases is a cut")
    for names in chosen[:2] + chosen[2:][-2:]:
        # D_k is that of the module before: a positive factor leaves every gate as it was.
        for power, directions in ((1, torch.ones_like(d)), (2, torch.ones_like(d)), (2, d)):
            after, before = _scaled(i, names, power, directions)
            parts.append(compared("==", after, after * unit, before, before * unit))
    return all_of(*parts)


@form("synaptic-flow/any-layer-rescaling", "one backward pass for the first and the last layers times 3")
def any_layer_rescaling(i: ModuleOnData) -> Relation:
    """As the claim, for up to four layers."""
    ones, unit, parts = torch.ones(i.sums.outputs, dtype=torch.float64), 4 * i.sums.unit, []
    layers = list(_layers(i).values())
    where = torch.tensor(_everything_flows(i))
    for names in layers[:2] + layers[2:][-2:]:
        after, before = _scaled(i, names, 1, ones)
        parts.append(compared("==", after, after * unit, before, before * unit, where=where))
    return all_of(*parts)


@form("path-exclusion/energy-saliency-is-positive-on-live-paths", "an evaluation of 0 and 1 counts live paths")
def energy_saliency(i: ModuleOnData) -> Relation:
    """The energy of the paths through a weight is a sum of squares, positive exactly where a live path runs through."""
    sums = i.sums

    def through(weights: dict[str, Tensor], start: Tensor, power: int, slopes: int) -> Tensor:
        leaves = {n: t.requires_grad_() for n, t in weights.items()}
        with torch.enable_grad():
            out = sums.run(leaves, start, power, gates=i.values, slopes=slopes).sum()
            got = torch.autograd.grad(out, list(leaves.values()), materialize_grads=True)
        return torch.cat([(g * w).detach().flatten() for g, w in zip(got, leaves.values(), strict=True)])

    s = through(sums.powers(2), i.x * i.x, 2, 2)
    there = {n: (i.tensors[n] != 0).double() for n in i.graph.parameters}
    live = through(there, (i.x != 0).double(), 0, 0) > 0
    if bool(((s == 0) & live).any()):
        raise Undecided("some scores are below the range of float64")
    return compared("<=", torch.zeros(()), 0.0, s, s * sums.unit * 2) & holds(bool(((s > 0) == live).all()))
