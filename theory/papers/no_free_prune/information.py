"""Information of masks, and what it decouples."""

from __future__ import annotations

from itertools import product
from math import comb
from typing import Any

import numpy as np

from theory.claims import PROVED, Assumption, claim, hints
from theory.information import (
    ConditionedLaw,
    MaskLaw,
    TestedLaw,
    at_most_logs,
    average_information,
    conditional_entropy,
    constant_log,
    divergence_from_decoupled,
    entropy,
    equal_logs,
    is_decoupled,
    masks_at_most,
    rational_part,
)
from theory.papers.sources import NO_FREE_PRUNE, ours
from theory.relations import Relation, all_of, at_most, equal, equivalent
from theory.scalars import is_exact, total


def _logs_of(numbers: list[int], law: MaskLaw) -> Any:
    """Logarithm of numbers[k] with k the largest number of ones, per instance."""
    whole = total(law.weights, axis=(-2, -1))
    chosen = np.asarray(numbers, dtype=object if is_exact(law.weights) else float)[law.largest()]
    return constant_log(chosen, whole)


def _exactly_k(law: MaskLaw) -> Any:
    possible = law.mask_weights() > 0
    return (~possible | (law.ones == law.largest()[..., None])).all(axis=-1)


def _all_masks_possible(chooser: Any, law: MaskLaw) -> MaskLaw:
    masks = tuple(product((0, 1), repeat=law.n))
    column = law.weights[..., :1]
    return law.with_(masks=masks, weights=column * 0 + chooser.positives((law.weights.shape[-2], len(masks))))


exactly_k_weights = Assumption(
    "exactly-k-weights", "every mask of positive probability keeps the same number k of weights", _exactly_k,
    _all_masks_possible,
)  # fmt: skip


@claim(MaskLaw, PROVED, NO_FREE_PRUNE.at("seed"), assumes=(exactly_k_weights,))
@hints(same_size=True)
def information_range(instance: MaskLaw) -> Relation:
    r"""If exactly k weights are kept, the mask's information is at most the logarithm of the number of masks.

    $0 \le I(m; D) \le H(m) \le \log \binom{N}{k}$ if exactly $k$ weights are kept, and $I(m; D) \le H(D)$.

    Proof. Gibbs' inequality; $I = H(m) - H(m \mid D)$; the uniform law has the largest entropy.
    """
    return _range_of_information(instance, [comb(instance.n, k) for k in range(instance.n + 1)], "H(m) <= log C(N, k)")


def _range_of_information(law: MaskLaw, masks: list[int], last: str) -> Relation:
    information, entropy_of_mask = law.information(), entropy(law.mask_weights())
    return all_of(
        at_most_logs(rational_part(0, law.weights), information, "0 <= I"),
        at_most_logs(information, entropy_of_mask, "I <= H(m)"),
        at_most_logs(information, entropy(total(law.weights, axis=-1)), "I <= H(D)"),
        at_most_logs(entropy_of_mask, _logs_of(masks, law), last),
    )


@claim(MaskLaw, PROVED, NO_FREE_PRUNE.at("seed"))
def information_range_at_most_k(instance: MaskLaw) -> Relation:
    r"""If at most k are kept, the mask's information is at most the logarithm of the number of such masks.

    $0 \le I(m; D) \le H(m) \le \log \sum_{i \le k} \binom{N}{i}$ if at most $k$ weights are kept, and
    $I(m; D) \le H(D)$.

    Proof. As `information-range`; there are $\sum_{i \le k} \binom{N}{i}$ masks (counted one by one, too).
    """
    masks = [masks_at_most(instance.n, k) for k in range(instance.n + 1)]
    sizes = [sum(m) for m in product((0, 1), repeat=instance.n)]
    counted = np.cumsum(np.bincount(sizes))
    return _range_of_information(instance, masks, "H(m) <= log") & equal(
        np.array(masks)[instance.largest()], counted[instance.largest()], "masks"
    )


@claim(MaskLaw, PROVED, ours("definitions agree"), by_definition="two ways to write the same sum")
def information_is_divergence(instance: MaskLaw) -> Relation:
    r"""Mutual information is the divergence from independence, and the entropy that the data removes.

    $I(m; D) = \mathrm{KL}(P(m, D) \,\|\, P(m) P(D)) = H(m) - H(m \mid D)$, with $I = H(m) + H(D) - H(m, D)$; each
    from its own sum of logarithms.

    Proof. $\log \frac{P(m, D)}{P(m) P(D)} = \log P(m \mid D) - \log P(m)$, averaged.
    """
    information = instance.information()
    left = entropy(instance.mask_weights()) - conditional_entropy(instance.weights)
    divergence = divergence_from_decoupled(instance.weights)
    return equal_logs(information, divergence, "divergence") & equal_logs(information, left, "conditional entropy")


@claim(ConditionedLaw, PROVED, ours("definitions agree"), by_definition="two ways to write the same sum")
def conditional_information_is_an_average(instance: ConditionedLaw) -> Relation:
    r"""Information given the initial weights is the average of the information given each.

    $I(m; D \mid w_0) = \sum_{w_0} P(w_0)\, I(m; D \mid w_0 = w_0)$, the left side as
    $H(w_0, D) + H(w_0, m) - H(w_0, D, m) - H(w_0)$; and it is at least 0.

    Proof. Each entropy is $H(w_0)$ plus the average of the entropies given $w_0$.
    """
    information = instance.information()
    return equal_logs(information, average_information(instance.weights)) & at_most_logs(
        rational_part(0, instance.weights), information, "0 <= I"
    )


def _one_more(chooser: Any, law: MaskLaw) -> MaskLaw:
    return law.with_(weights=law.weights + chooser.weights(law.weights.shape[-2:]))


ignores_the_data = Assumption(
    "ignores-the-data", "the mask is drawn in the same way whatever the data", lambda i: is_decoupled(i.weights),
    _one_more,
)  # fmt: skip


@claim(
    MaskLaw,
    PROVED,
    NO_FREE_PRUNE.at("seed"),
    assumes=(ignores_the_data,),
    by_definition="information is 0 where the two are independent",
)
@hints(independent=True)
def data_independent_mask(instance: MaskLaw) -> Relation:
    r"""A mask rule that ignores the data has as many effective parameters as it keeps weights, on average.

    If $P(m \mid D) = P(m)$ then $I(m; D) = 0$ and $p_{eff} = E\|m\|_0 = \sum_j P(m_j = 1)$.

    Proof. $I(m; D) = \mathrm{KL}(P(m, D) \,\|\, P(m) P(D)) = 0$.
    """
    by_weight = instance.mask_weights()[..., None] * np.array(instance.masks)
    kept = total(by_weight, axis=(-2, -1)) / total(instance.weights, axis=(-2, -1))
    return equal_logs(instance.effective_parameters(), rational_part(kept, instance.weights))


def _narrow(chooser: Any, law: TestedLaw) -> TestedLaw:
    return law.with_(proxy=law.proxy / 4)


sub_gaussian = Assumption(
    "sub-gaussian",
    "g(m, D) is sigma-sub-Gaussian for each m; here: its range is at most 2 sigma (Hoeffding's lemma)",
    lambda i: i.widest() ** 2 <= 4 * np.asarray(i.proxy),
    _narrow,
)


@claim(TestedLaw, PROVED, NO_FREE_PRUNE.at("seed; Xu & Raginsky 2017, Lemma 1"), assumes=(sub_gaussian,))
def decoupling(instance: TestedLaw) -> Relation:
    r"""Replacing the data by an independent copy changes an expectation by at most $\sqrt{2\sigma^2 I}$.

    $|E\,g(M, D) - E\,g(M, D')| \le \sqrt{2 \sigma^2 I(M; D)}$ for an independent copy $D'$ of the data, if
    $g(m, D)$ is $\sigma$-sub-Gaussian for each $m$. Stated squared, and decided for $g$ of range at most $2\sigma$
    for each $m$.

    Proof. Donsker and Varadhan: $\lambda (E\,g(M,D) - E\,g(M,D')) - \lambda^2\sigma^2/2 \le I(M; D)$ for all
    $\lambda$; choose the best. The constant 2 is best: for $M = D$ with probability $1/2 + t$ and the best $g$ the
    constant that is needed tends to 2 as $t \to 0$, and it is attained only where both sides are 0.
    """
    gap = instance.gap()
    return at_most_logs(rational_part(gap * gap, instance.weights), instance.information() * (2 * instance.proxy))


@claim(
    TestedLaw,
    PROVED,
    ours("beside No Free Prune: which test sees most"),
    assumes=(sub_gaussian,),
    see="decoupling",
    proof_gap="rests on Pinsker's inequality, a bound of a logarithm by a square",
)
def decoupling_total_variation(instance: TestedLaw) -> Relation:
    r"""No test of dependence does better than asking whether mask and data are likelier together than independently.

    With $T = TV(P(M, D), P(M) P(D))$: $|E\,g(M, D) - E\,g(M, D')| \le 2 \sigma T \le \sqrt{2 \sigma^2 I(M; D)}$
    for $g$ of range at most $2\sigma$ for each $m$ (squared), and $g = 1[P(m, d) > P(m) P(d)]$ has the gap $T$; $T = 0$
    iff mask and data are independent.

    Proof. The differences $P(m, d) - P(m) P(d)$ sum to 0 for each $m$, so half the range of $g(m, \cdot)$ times
    their absolute values bounds the gap; Pinsker's inequality.
    """
    gap, variation = instance.gap(), instance.total_variation()
    best = instance.with_(tests=instance.likelier()).gap()
    pinsker = at_most_logs(
        rational_part(2 * variation * variation, instance.weights), instance.information(), "Pinsker"
    )
    return all_of(
        at_most(gap * gap, 4 * instance.proxy * variation * variation, "gap"),
        equal(best, variation, "best"),
        pinsker,
        equivalent(variation == 0, is_decoupled(instance.weights), "no dependence"),
    )
