"""SynFlow as a sketch."""

from __future__ import annotations

import numpy as np

from theory.claims import PROVED, REFUTED, claim, hints
from theory.network_sketches import NetworkWeights, SignAverage, synflow
from theory.networks import LINEAR, RELU, mlp
from theory.papers.sketching.assumptions import some_signal
from theory.papers.sketching.network_assumptions import (
    distinct_weights,
    independent_signs,
    linear_units,
    no_cancellation,
    no_weight_twice,
    nonnegative_paths,
    off_kinks_on_signs,
    one_hidden_unit,
    one_input,
    one_output,
    one_path_each,
    rectified_units,
    relu_units,
    unit_second_moments,
    weights_of_their_own,
)
from theory.papers.sources import SKETCHING, ours
from theory.relations import Relation, all_of, at_most, equal, positive
from theory.scalars import Array, absolute, sqrt, total
from theory.sketches import Sketch, column, normalised

SEED = SKETCHING.at("seed")
OURS = ours("beside the sketching paper")


def _one_layer(i: Sketch, inputs: Array | None) -> Array:
    """SynFlow's scores of the one-layer network with weights w, by its path sums, (..., d)."""
    return synflow(mlp([i.d, 1]), i.w, inputs)


@claim(
    Sketch,
    PROVED,
    SEED,
    assumes=(some_signal,),
    repairs="synflow-mean-absolute-input",
    by_definition="the score of one layer is its input times |w|",
)
@hints(q=False)
def synflow_linear(i: Sketch) -> Relation:
    r"""For one linear layer and a suitable input, SynFlow's normalised scores are the sketch probabilities.

    $f(x) = w'x$. SynFlow's normalised score is $|w|/\|w\|_1$ with the all-ones input; with the input
    $|x|$ it is $p^*$ of the sketch on the one sample $x$; with the input $(\sum_n x_n^2)^{1/2}$ it is
    $p^*$ of the batch.

    Proof. The score of $w_j$ is $|w_j|$ times the input $j$, and $\|X_j\| = (\sum_n x_{n,j}^2)^{1/2}$.
    """
    first = i.with_(x=i.x[..., :1])
    by_sample, by_batch = _one_layer(i, absolute(first.x[..., 0])), _one_layer(i, i.row_norms)
    return all_of(
        equal(normalised(_one_layer(i, None)), normalised(absolute(i.w)), "ones"),
        equal(by_sample * column(first.a), first.amplitudes * column(total(by_sample, axis=-1)), "one sample"),
        equal(normalised(by_batch), i.optimal, "batch"),
    )


@claim(Sketch, REFUTED, OURS, assumes=(some_signal,))
@hints(q=False)
def synflow_mean_absolute_input(i: Sketch) -> Relation:
    r"""For one linear layer, SynFlow on the mean absolute input gives the batch's sketch probabilities.

    With input $\frac1n \sum_n |x_n|$ the normalised score is $p^*$. False: the sketch has the root of
    the mean square, which weighs rare large inputs more.
    """
    scores = _one_layer(i, total(absolute(i.x), axis=-1))  # n cancels
    return equal(normalised(scores), i.optimal)


@claim(
    NetworkWeights,
    REFUTED,
    SKETCHING.at("seed: mathematically equivalent when using random data"),
    assumes=(linear_units, weights_of_their_own),
)
@hints(families=("mlp",), depth=2)
def synflow_deep_literal(i: NetworkWeights) -> Relation:
    r"""On deep linear networks with random inputs, SynFlow's normalised scores are the sketch probabilities.

    Sketch probability of parameter $j \propto |w_j| \sqrt{E_x (\partial f/\partial w_j)^2}$, $x \sim N(0, I)$
    (summed over outputs), on deep linear networks, where $E_x$ is exact. Normalised scores are compared
    cross-multiplied.

    False: two paths through one parameter add up in SynFlow, but in the sketch only their squares do
    (different inputs, different outputs) or they cancel (different signs).
    """
    return _proportional(i)


def _proportional(i: NetworkWeights) -> Relation:
    """The sketch weights and SynFlow's scores agree once each is divided by its sum; cross-multiplied."""
    sketch, scores = sqrt(i.squared_sketch_weights()), i.synflow()
    return equal(scores * column(total(sketch, axis=-1)), sketch * column(total(scores, axis=-1)))


@claim(
    NetworkWeights,
    REFUTED,
    SKETCHING.at("seed: mathematically equivalent when using random data"),
    assumes=(relu_units, weights_of_their_own, off_kinks_on_signs),
)
@hints(kinds=(RELU,), families=("mlp",), depth=2)
def synflow_deep_literal_relu(i: NetworkWeights) -> Relation:
    r"""On ReLU networks with random inputs, SynFlow's normalised scores are the sketch probabilities.

    As `synflow-deep-literal` with ReLU units and $x$ uniform on $\{-1, 1\}^d$, which has the mean and
    covariance of $N(0, I)$ and finite support, so that $E_x$ is exact. False for the same reason.
    """
    return _proportional(i)


def _pairs(a: Array) -> tuple[Array, Array]:
    """Entry j down, entry l across, each broadcasting to (..., N, N)."""
    return a[..., :, None], a[..., None, :]


@claim(NetworkWeights, REFUTED, OURS, assumes=(linear_units, weights_of_their_own), see="synflow-first-power")
@hints(families=("mlp",))
def synflow_deep_same_order(i: NetworkWeights) -> Relation:
    r"""On deep linear networks, SynFlow and the sketch rank the parameters in the same order.

    If SynFlow scores $j$ strictly above $l$, the sketch does not give $l$ more weight than $j$. False.
    """
    (sketch_j, sketch_l), (score_j, score_l) = _pairs(i.squared_sketch_weights()), _pairs(i.synflow())
    return at_most(sketch_l, sketch_j).when(score_j > score_l)


@claim(NetworkWeights, REFUTED, OURS, assumes=(linear_units, weights_of_their_own), see="synflow-first-power")
@hints(families=("mlp",))
def synflow_deep_same_first(i: NetworkWeights) -> Relation:
    r"""On deep linear networks, SynFlow and the sketch rank the same parameter first.

    If SynFlow scores $j$ above every other parameter, no other has more sketch weight. False.
    """
    sketch, scores = i.squared_sketch_weights(), i.synflow()
    (score_j, score_l), n = _pairs(scores), scores.shape[-1]
    first = np.asarray(((score_j > score_l) | np.eye(n, dtype=bool)).all(axis=-1))
    sketch_j, sketch_l = _pairs(sketch)
    return at_most(sketch_l, sketch_j).when(first[..., :, None])


@claim(NetworkWeights, REFUTED, OURS, assumes=(linear_units, weights_of_their_own), see="synflow-first-power")
@hints(families=("mlp",))
def synflow_first_has_sketch_weight(i: NetworkWeights) -> Relation:
    r"""On deep linear networks, the sketch can draw the parameter that SynFlow ranks first.

    A parameter that SynFlow scores above 0 and every other one has $E_x (\partial f/\partial w_j)^2 > 0$.
    False: its paths may cancel.
    """
    sketch, scores = i.squared_sketch_weights(), i.synflow()
    (score_j, score_l), n = _pairs(scores), scores.shape[-1]
    first = ((score_j > score_l) | np.eye(n, dtype=bool)).all(axis=-1) & (scores > 0)
    return positive(sketch).when(first)


@claim(
    SignAverage,
    PROVED,
    OURS,
    assumes=(linear_units, independent_signs, no_weight_twice, distinct_weights, unit_second_moments),
    repairs="synflow-deep-literal",
)
def synflow_l2_sign_averaged(i: SignAverage) -> Relation:
    r"""Averaged over random signs of the weights, the squared sketch weight is SynFlow-L2's score.

    On a linear network of any depth, for $x = 1$ or any $x$ with $E x_i^2 = 1$:
    $E_{signs} E_x (w_j \,\partial f/\partial w_j)^2 = \sum_{p \ni j} v_p^2$. The left side by enumeration
    of all sign patterns.

    Proof. $w_j\,\partial f/\partial w_j = \sum_{p \ni j} v_p x_{s(p)}$; distinct paths differ in some
    weight, whose sign averages the cross term to 0.
    """
    return equal(i.average_squared_score(), i.synflow_l2())


@claim(
    SignAverage,
    PROVED,
    OURS,
    assumes=(rectified_units, weights_of_their_own, independent_signs, no_cancellation, unit_second_moments),
    repairs="synflow-deep-literal-relu",
)
@hints(families=("mlp", "graph"), kinds=(RELU, RELU, LINEAR))
def synflow_l2_relu(i: SignAverage) -> Relation:
    r"""On ReLU networks, this average is SynFlow-L2's score with each path halved for every ReLU on it.

    On any graph of linear units and ReLUs, every edge with a weight of its own:
    $E_{signs} E_x (w_j \,\partial f/\partial w_j)^2 = \sum_{p \ni j} 2^{-g(p)} v_p^2$ with $g(p)$ the number of
    ReLUs on $p$; so $2^{-(L-1)}$ times SynFlow-L2's score on a fully connected network of $L$ layers. A sum of
    exactly 0 in a hidden unit breaks it, unless all that arrives there is 0.

    Proof. Give every ReLU one more sign, common to the weights into it. Whatever came before, that sign is
    fair, so each gate is on half of the time, and independent of the signs of those weights relative to
    each other. Two paths to one output enter the last unit at which they differ by two weights, whose relative
    sign averages their cross term to 0; the gates on one path are fair and independent.
    """
    return equal(i.average_squared_score(), i.rectified_paths())


@claim(NetworkWeights, PROVED, OURS, assumes=(linear_units, one_path_each), see="synflow-deep-literal")
@hints(parallel=True)
def synflow_first_power(i: NetworkWeights) -> Relation:
    r"""If every parameter lies on one path, SynFlow's score is the sketch weight.

    $|w_j| \sqrt{E_x(\partial f/\partial w_j)^2}$ is SynFlow's score on a deep linear network whose
    parameters lie on at most one path each; any number of outputs. The expectation over all inputs of $\pm 1$ is the
    same.

    Proof. $\partial f/\partial w_j = (v_p/w_j)\,x_{s(p)}$ for the one path $p$, and $E x_s^2 = 1$.
    """
    squares = i.squared_sketch_weights()
    return equal(sqrt(squares), i.synflow()) & equal(i.squared_sketch_weights_on_signs(), squares, "signs")


@claim(
    NetworkWeights,
    PROVED,
    OURS,
    assumes=(linear_units, nonnegative_paths, one_input, one_output),
    see="synflow-deep-literal",
)
@hints(nonnegative=True)
def synflow_first_power_nonnegative(i: NetworkWeights) -> Relation:
    r"""With nonnegative weights, one input and one output, SynFlow's score is the sketch weight.

    $|w_j| \sqrt{E_x(\partial f/\partial w_j)^2}$ is SynFlow's score on a deep linear network.

    Proof. $w_j\,\partial f/\partial w_j = x \sum_{p \ni j} v_p$ with every $v_p \ge 0$.
    """
    return equal(sqrt(i.squared_sketch_weights()), i.synflow())


@claim(
    NetworkWeights,
    REFUTED,
    OURS,
    assumes=(linear_units, weights_of_their_own, one_hidden_unit),
    see="synflow-first-power",
)
@hints(bottleneck=True)
def synflow_one_hidden_unit(i: NetworkWeights) -> Relation:
    r"""On linear networks with one hidden unit, SynFlow's normalised scores are the sketch probabilities.

    On a linear network with one hidden unit the normalised scores agree. False with two inputs, or two
    outputs: several paths meet in the unit.
    """
    return _proportional(i)
