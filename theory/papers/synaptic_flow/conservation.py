"""Conservation."""

from __future__ import annotations

import numpy as np

from theory.claims import PROVED, REFUTED, claim, hints
from theory.collapse import layers_are_cuts
from theory.cuts import by_edge, cut_matrix
from theory.flows import (
    ObjectiveOnNetwork,
    every_weight_flows,
    layer_sums,
    over,
)
from theory.instances import per_instance
from theory.papers.sources import SYNAPTIC_FLOW
from theory.paths import NetworkOnData
from theory.relations import Relation, all_of, equal
from theory.saliency import scorer_named
from theory.scalars import total

CONSERVED = ("synflow", "synflow-l2", "px")
"""The scorers whose cuts sum to their objective."""


@claim(ObjectiveOnNetwork, PROVED, SYNAPTIC_FLOW.at("theorem on neuron-wise conservation (seed)"))
def neuron_conservation(instance: ObjectiveOnNetwork) -> Relation:
    r"""At every hidden unit, the scores of the incoming weights sum to those of the outgoing weights.

    $\sum_{e \to u} S_e = \sum_{u \to e} S_e$ for $S_e = w_e\, \partial R/\partial w_e$, biases
    included as edges from a constant input, for any objective $R$ of the outputs.

    Proof. Units are homogeneous of degree 1 (linear, ReLU, leaky ReLU, maximum), so by Euler both sides
    are $\partial R/\partial a_u \cdot a_u$, $a_u$ the unit's value.
    """
    net, scores = instance.network, instance.edge_scores
    hidden = [u for u in range(len(net.units)) if net.incoming[u] and u not in net.outputs]
    shape = (len(hidden), len(net.edges))
    into = np.array([[int(e.target == u) for e in net.edges] for u in hidden], dtype=int).reshape(shape)
    out = np.array([[int(e.source == u) for e in net.edges] for u in hidden], dtype=int).reshape(shape)
    return equal(total(scores[..., None, :] * into, axis=-1), total(scores[..., None, :] * out, axis=-1))


@claim(
    ObjectiveOnNetwork,
    PROVED,
    SYNAPTIC_FLOW.at("theorem on network-wise conservation (seed)"),
    repairs="every-layer-conserves",
)
def cut_conservation(instance: ObjectiveOnNetwork) -> Relation:
    r"""The scores have the same sum on every cut.

    $\sum_{e \in C} S_e = \langle \partial R/\partial y, y\rangle$ for every cut $C$; for SynFlow,
    SynFlow-L2 and PX $\sum_{e \in C} S_e = R = \sum_p c_p$ with $c_p = |v_p|$, $v_p^2$, $D_k v_p^2$.
    A cut is a set of edges: skip connections count (with weight 1), and so do biases. Where every layer of weights is a
    cut, SynFlow's scores sum to $R$ on every layer.

    Proof. Add `neuron-conservation` over the units before the cut. For sums over paths: each path is
    counted on exactly one edge of the cut.
    """
    cuts = cut_matrix(instance.network)
    flow = total(instance.gradient * instance.outputs(), axis=(-2, -1))
    parts = [equal(over(cuts, instance.edge_scores), np.asarray(flow)[..., None], "dR/dy, y")]
    network, values = by_edge(instance.network, instance.theta)
    for name in CONSERVED:
        scorer = scorer_named(name)
        objective = total(scorer.path_weights(network, values, instance.x, None), axis=-1)
        edge_scores = scorer.scores(network, values, instance.x, None)
        parts.append(equal(over(cuts, edge_scores), np.asarray(objective)[..., None], name))
    plain = scorer_named("synflow")
    scores = plain.scores(instance.network, instance.theta, instance.x, None)
    flow = total(plain.path_weights(instance.network, instance.theta, instance.x, None), axis=-1)
    layers = equal(layer_sums(instance.network, scores), np.asarray(flow)[..., None], "layers")
    return all_of(*parts, layers.when(layers_are_cuts.predicate(instance)))


@claim(NetworkOnData, REFUTED, SYNAPTIC_FLOW.at("network-wise conservation, read for layers (seed)"))
@hints(families=("mlp-bias", "residual"))
def every_layer_conserves(instance: NetworkOnData) -> Relation:
    r"""SynFlow's scores sum to R on every layer of the architecture.

    $\sum_{j \in \text{layer}} S_j = R$ for each layer (weights and biases). True of plain networks
    without biases. A bias starts paths that no earlier layer is on; a skip connection carries paths
    around a layer.
    """
    scorer = scorer_named("synflow")
    flow = total(scorer.path_weights(instance.network, instance.theta, instance.x, None), axis=-1)
    scores = scorer.scores(instance.network, instance.theta, instance.x, None)
    return equal(layer_sums(instance.network, scores), np.asarray(flow)[..., None]).when(
        per_instance(every_weight_flows(scores), 1)
    )
