"""Memorisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory.claims import PROVED, REFUTED, Assumption, claim
from theory.information import (
    LogSum,
    at_most_logs,
    binary_divergence,
    binary_entropy,
    constant_log,
    equal_logs,
    is_decoupled,
    rational_part,
)
from theory.memorisation import CorrelationMask, FittedMasks, MemorisingMasks, agreements
from theory.papers.no_free_prune.assumptions import choosing_well, independent_labels, uniform_labels
from theory.papers.sources import NO_FREE_PRUNE
from theory.relations import Relation, all_of, at_most, equal, less
from theory.scalars import total
from theory.sketches import column


@claim(
    MemorisingMasks,
    PROVED,
    NO_FREE_PRUNE.at("seed"),
    assumes=(uniform_labels,),
    repairs="memorisation-exponential-literal",
)
def memorisation_information(instance: MemorisingMasks) -> Relation:
    r"""Memorising more often than by chance needs information about the labels.

    $d(p \,\|\, q) \le E_M\, d(p_M \,\|\, q_M) \le I(M; Y)$ for $p = P(Y \in G_M)$, $q = E|G_M|/2^n$, $p_m = P(Y \in
    G_m \mid M = m)$, $q_m = |G_m|/2^n$ and uniform labels.

    Proof. Data processing given $M$, and $d$ is jointly convex. The second is an equality iff, given $M$ and
    whether $Y \in G_M$, $Y$ is uniform; the first if $p_m$ and $q_m$ do not depend on $m$.
    """
    by_mask, p, q = instance.divergence_by_mask(), instance.memorised(), instance.by_chance()
    divergence = binary_divergence(p, q)
    return all_of(
        at_most_logs(divergence, by_mask, "on average"),
        at_most_logs(by_mask, instance.information(), "by mask"),
    )


@claim(MemorisingMasks, REFUTED, NO_FREE_PRUNE.at("the exponential form"), assumes=(uniform_labels,))
def memorisation_exponential_literal(instance: MemorisingMasks) -> Relation:
    r"""Each bit of information at most doubles the chance to memorise.

    $p \le 2^{I(M; Y)} q$ with $I$ in bits; stated as logarithms, multiplied by $p$. False: information is an
    average, and a rule can spend it all on the few labelings where it pays.
    """
    chance = instance.memorised()
    p, q = column(chance), column(instance.by_chance())
    return at_most_logs(LogSum(p, p), LogSum(p, q) + instance.information() * chance)


@claim(MemorisingMasks, PROVED, NO_FREE_PRUNE.at("seed"), assumes=(uniform_labels,))
def memorising_needs_parameters(instance: MemorisingMasks) -> Relation:
    r"""To memorise all labels, the effective parameters must be at least as many as the samples.

    With $S$ the event $Y \in G_M$, in bits: $n \le I(M; Y) + E[1_S \log_2 |G_M|] + E[1_{\bar S} \log_2 (2^n - |G_M|)] +
    H(S \mid M)$. Hence $p\, n \le I + E[1_S \log_2 |G_M|] + h(p)$, and $I + E \log_2 |G_M| \ge n$ where $p = 1$.

    Proof. Fano: given $M$ and $S$, $Y$ is one of $|G_M|$ or of $2^n - |G_M|$ labelings; equality iff it is uniform on
    them, as where the mask ignores the labels. With $b$-bit weights $\log_2 |G_m| \le b \|m\|_0$: then weights and
    information together pay for the samples.
    """
    p = instance.memorised()
    known, size, nats = instance.information(), instance.log_size_when_memorised(), constant_log(2, p) * instance.n
    exact = known + size + instance.log_size_when_not() + instance.doubt_given_mask()
    return all_of(
        at_most_logs(nats, exact, "every labeling"),
        equal_logs(nats, exact, "a mask that ignores them").when(is_decoupled(instance.joint)),
        at_most_logs(nats * p, known + size + binary_entropy(p), "those memorised"),
    )


@claim(MemorisingMasks, PROVED, NO_FREE_PRUNE.at("seed"), assumes=(uniform_labels,))
def leakage_count(instance: MemorisingMasks) -> Relation:
    r"""The chance to memorise is bounded by the largest probability that any labels give to each mask.

    $p \le \sum_m \max_y P(m \mid y)\, |G_m| / 2^n$ for uniform labels.

    Proof. $p = \sum_m \sum_{y \in G_m} 2^{-n} P(m \mid y)$. Equality for rules that choose a mask exactly where it
    fits.
    """
    leaked = instance.conditional.max(axis=-2)
    bound = total(leaked * instance.sizes(), axis=-1) / 2**instance.n
    less_likely = (leaked[..., None, :] - instance.conditional) * np.swapaxes(instance.realisable, -1, -2)
    return at_most(instance.memorised(), bound) & equal(
        (bound - instance.memorised()) * 2**instance.n, total(less_likely, axis=(-2, -1)), "what it leaves over"
    )


def _worse_answers(chooser: Any, instance: FittedMasks) -> FittedMasks:
    """For some masks and labels the worst labeling of G_m instead of the best."""
    allowed = instance.realisable[..., None, :] == 1
    worst = np.argmin(np.where(allowed, agreements(instance.n), instance.n + 1), axis=-1)
    keep = chooser.integers(instance.answers.shape[-2:], 0, 1) == 1
    worse = np.where(keep, instance.answers, instance.answers * 0 + worst)
    return choosing_well(chooser, instance.with_(answers=worse))


best_fit = Assumption(
    "best-fit", "with each mask the labeling of G_m is fitted that is right about most points",
    lambda i: (i.correct() == i.best()).all(axis=(-2, -1)), _worse_answers,
)  # fmt: skip


@claim(
    FittedMasks,
    PROVED,
    NO_FREE_PRUNE.at("seed"),
    assumes=(independent_labels, best_fit),
    proof_gap="rests on Hoeffding's lemma (McDiarmid), a bound of an exponential by the exponential of a square",
)
def data_gain(instance: FittedMasks) -> Relation:
    r"""The accuracy that a mask gains by seeing the labels is bounded by its information.

    The gain in expected best accuracy, $E A(M, Y) - E A(M, Y')$, is at most $\sqrt{I(M; Y) / (2n)}$ in absolute value,
    for independent labels and the best fit with each mask, which is the labels themselves where $G_m$ is everything.
    Stated squared.

    Proof. $A(m, \cdot)$ changes by at most $1/n$ with one label, so it is $1/(2\sqrt n)$-sub-Gaussian (McDiarmid);
    `decoupling`.
    """
    gain = instance.accuracy_gain()
    bound = instance.information() * (instance.one / (2 * instance.n))
    every = np.asarray(instance.realisable == 1, dtype=bool).all(axis=-1, keepdims=True)
    labels = np.arange(2**instance.n)
    return at_most_logs(rational_part(gain * gain, instance.labels), bound) & equal(
        instance.answers, labels, "a mask that realises all"
    ).when(every)


@claim(CorrelationMask, REFUTED, NO_FREE_PRUNE.at("its converse, ours"), see="memorisation-information")
def information_is_enough(instance: CorrelationMask) -> Relation:
    r"""A mask with information about the labels memorises more than the best fixed mask.

    If $I(M; Y) > 0$ and no mask realises all that some mask realises, then $p > \max_m |G_m| / 2^n$. False already
    for a top-1 mask by SNIP's score on a linear model, $|\sum_i y_i x_{ij}|$: what the mask knows need not be what
    the unit can use.
    """
    law = instance.law
    fixed = law.sizes().max(axis=-1) / (law.one * 2**law.n)
    union = total(law.realisable.max(axis=-2), axis=-1)
    worth_choosing = np.asarray(union > law.sizes().max(axis=-1), dtype=bool)
    return less(fixed, law.memorised()).when(worth_choosing & np.logical_not(is_decoupled(law.joint)))
