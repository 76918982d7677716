"""Wrong variants of the claims on synaptic flow."""

from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from theory import auxiliary, saliency
from theory.claims import Status, claims
from theory.flows import ObjectiveOnNetwork, flow_by_gradient
from theory.networks import ONE
from theory.papers.synaptic_flow import float_range
from theory.paths import on_path
from theory.relations import at_most, equal, holds, nonnegative, positive
from theory.scalars import absolute

SEEDS = (0, 1, 2)
CLAIMS = {c.id.split("/")[1]: c for c in claims() if c.id.startswith("synaptic-flow/")}
PROVED = {name: c for name, c in CLAIMS.items() if c.status is Status.PROVED}


@contextmanager
def edge_scores_become(wrong):
    """The scores of edges pass through ``wrong(instance, scores)``."""
    right = ObjectiveOnNetwork.edge_scores.func
    with patch.object(ObjectiveOnNetwork, "edge_scores", property(lambda i: wrong(i, right(i)))):
        yield


@contextmanager
def scores_become(name, wrong):
    """The scorer computes ``wrong(network, theta, x, activation)``; its objective stays right."""
    with patch.dict(saliency.SCORERS, {name: replace(saliency.SCORERS[name], scores=wrong)}):
        yield


def under(claim, context):
    """The claim's own function, evaluated with a mistake in place."""

    def function(instance):
        with context():
            return claim.function(instance)

    return function


def sums(path_weights):
    """The scores that belong to these path weights."""
    return lambda network, theta, x, d: saliency.through(network, path_weights(network, theta, x, d))


def without_bias(instance, scores):
    """Scores in which edges from the constant unit count nothing."""
    net = instance.network
    return scores * np.array([int(net.units[e.source] != ONE) for e in net.edges], dtype=int)


def without_skips(instance, scores):
    """Scores in which edges without a parameter count nothing."""
    return scores * np.array([int(e.parameter is not None) for e in instance.network.edges], dtype=int)


def in_all(claim, wrong):
    return under(claim, lambda: edge_scores_become(wrong))


def scorer(name, wrong):
    return under(PROVED["cut-conservation"], lambda: scores_become(name, wrong))


def factor(wrong):
    return under(PROVED["layer-rescaling"], lambda: patch.object(float_range, "_factor_of_scores", wrong))


def counted_once(instance, path_weights):
    """Scores that count a path once, however often it uses the weight."""
    c = path_weights(instance.network, instance.theta, instance.x, None)
    return (c[..., :, None] * (on_path(instance.network) > 0).astype(int)).sum(axis=-2)


def number_kept(run):
    return run.final_mask()[..., run.prunable].sum(axis=-1)


def kept(run):
    return np.array(run.kept_by_round())


neuron, cut = PROVED["neuron-conservation"], PROVED["cut-conservation"]
MISTAKES = {
    "neuron-conservation": {
        "scores squared": in_all(neuron, lambda i, s: s * s),
        "absolute scores": in_all(neuron, lambda i, s: absolute(s)),
        "biases left out": in_all(neuron, without_bias),
        "skip connections left out": in_all(neuron, without_skips),
    },
    "cut-conservation": {
        "sign": in_all(cut, lambda i, s: -s),
        "factor 2": in_all(cut, lambda i, s: 2 * s),
        "scores squared": in_all(cut, lambda i, s: s * s),
        "biases left out": in_all(cut, without_bias),
        "skip connections left out": in_all(cut, without_skips),
        "SynFlow without absolute values": scorer("synflow", sums(saliency._signed_flow)),
        "SynFlow not multiplied by theta": scorer("synflow", saliency._flow_without_theta),
        "SynFlow-L2 not squared": scorer("synflow-l2", sums(saliency._flow)),
        "SynFlow-L2 times |theta|": scorer("synflow-l2", saliency._squared_flow_released),
        "PX without its activation": scorer("px", sums(saliency._squared_flow)),
        "PX as released": scorer("px", saliency._path_exclusion_released),
    },
    "maximal-critical-compression": {
        "one weight below the critical compression": lambda run: holds(
            run.alive_by_round() | (kept(run) < run.smallest_path() - 1)
        ),
        "two paths": lambda run: holds(
            (run.surviving_paths().sum(axis=-1) >= 2) | (kept(run) < run.smallest_path() + 1)
        ),
        "every remaining weight on a path": lambda run: equal(run.final_mask().sum(axis=-1), run.longest_path()),
        "the masked weights survive": lambda run: holds(
            (~run.final_mask()).all(axis=-1) | (run.keep < run.smallest_path())
        ),
    },
    "threshold-keeps-the-target": {
        "one more": lambda run: equal(number_kept(run), run.keep + 1),
        "the pruned are counted": lambda run: equal(number_kept(run), run.weights - run.keep),
    },
    "masked-weights-stay-masked": {
        "the inclusion reversed": lambda run: holds((run.masks() | ~run.masks_before()).all(axis=(-2, -1))),
        "the last mask is the first": lambda run: holds((run.masks()[..., 0, :] == run.final_mask()).all(axis=-1)),
    },
    "why-absolute-values": {
        "no absolute values": lambda i: nonnegative(flow_by_gradient(i.network, i.theta)),
        "strictly positive": lambda i: positive(flow_by_gradient(i.network, absolute(i.theta))),
        "sign": lambda i: nonnegative(-flow_by_gradient(i.network, absolute(i.theta))),
        "abs() around signed scores": lambda i: equal(
            absolute(flow_by_gradient(i.network, i.theta)),
            flow_by_gradient(i.network, absolute(i.theta)),
        ),
    },
    "score-by-gradient": {
        "a path counted once": lambda i: equal(
            flow_by_gradient(i.network, absolute(i.theta)), counted_once(i, saliency._flow)
        ),
        "SynFlow-L2 counted once": lambda i: equal(
            auxiliary.saliency(i.network, i.theta, i.activation_per_output() ** 0),
            counted_once(i, saliency._squared_flow),
        ),
        "the other's": lambda i: equal(flow_by_gradient(i.network, absolute(i.theta)), i.saliency("synflow-l2")),
    },
    "runs-keep-the-target": {
        "one more": lambda run: equal(run.masks()[..., run.prunable].sum(axis=-1), kept(run) + 1),
        "the smallest scores": lambda run: at_most(
            np.where(run.final_mask(), run.scores_by_round()[..., 0, :], 0).max(axis=-1),
            np.where(~run.final_mask(), run.scores_by_round()[..., 0, :], 0).max(axis=-1),
        ),
        "layers at the density, rounded down": lambda run: equal(
            run.layer_sizes(), np.array([len(layer) * run.keep // run.weights for layer in run.network.layers])
        ),
    },
    "schedules-reach-the-target": {
        "one more": lambda run: equal(kept(run)[-1], run.keep + 1),
        "equal steps": lambda run: holds(len(set(np.diff([run.weights, *run.kept_by_round()]))) <= 1),
        "a weight in every round": lambda run: holds(all(np.diff([run.weights, *run.kept_by_round()]) < 0)),
        "rounded down": lambda run: holds(
            run.schedule != "exponential"
            or all(
                m**run.rounds <= run.weights ** (run.rounds - r) * run.keep**r
                for r, m in enumerate(run.kept_by_round(), 1)
            )
        ),
    },
    "layer-rescaling": {
        "SynFlow squared": factor(lambda name, c: c * c),
        "none squared": factor(lambda name, c: c),
        "PX once": factor(lambda name, c: c * c if name == "synflow-l2" else c),
        "no factor": factor(lambda name, c: c / c),
    },
}


PLANTED = {
    f"{name}: {mistake}": replace(PROVED[name], function=wrong)
    for name, group in MISTAKES.items()
    for mistake, wrong in group.items()
}
