"""Counting labelings."""

from __future__ import annotations

from math import comb

from flint import fmpq

from theory.claims import PROVED, REFUTED, claim
from theory.memorisation import PrunedUnit, ThresholdUnit
from theory.papers.no_free_prune.assumptions import uniform_labels
from theory.papers.sources import NO_FREE_PRUNE
from theory.relations import Relation, at_most, equal
from theory.separability import cover_number, in_general_position


@claim(ThresholdUnit, PROVED, NO_FREE_PRUNE.at("seed; Cover 1965"), repairs="cover-count-with-ties")
def cover_count(instance: ThresholdUnit) -> Relation:
    r"""Cover's count of the labelings that a linear threshold unit realises.

    On $k$ kept inputs it realises at most $2 \sum_{i < k} \binom{n-1}{i}$ labelings of $n$ points, with equality in
    general position; with a bias $k + 1$ stands for $k$. A point at $w \cdot x = 0$ has no label.

    Proof. Cover 1965: a new point splits as many dichotomies as the others have in one dimension less:
    $C(n + 1, k) = C(n, k) + C(n, k - 1)$. Each labeling is decided by weights or by a Farkas combination.
    """
    n, k = instance.x.shape
    realised, bound = fmpq(instance.realised()), fmpq(cover_number(n, k + int(instance.bias)))
    return at_most(realised, bound) & equal(realised, bound, "general position").when(
        in_general_position(instance.points())
    )


@claim(ThresholdUnit, REFUTED, NO_FREE_PRUNE.at("the count with sign(0) = 1, ours"))
def cover_count_with_ties(instance: ThresholdUnit) -> Relation:
    r"""Cover's count holds for a unit that answers +1 at 0 as well.

    At most $2 \sum_{i < k} \binom{n-1}{i}$ labelings with $\mathrm{sign}(0) = 1$. False: two opposite points on a line
    ($k = 1$) get $(+,-)$, $(-,+)$, and with $w = 0$ also $(+,+)$.
    """
    return at_most(fmpq(instance.realised(weak=True)), fmpq(cover_number(*instance.points().shape)))


@claim(PrunedUnit, PROVED, NO_FREE_PRUNE.at("seed"), assumes=(uniform_labels,))
def counting(instance: PrunedUnit) -> Relation:
    r"""A union bound on the chance that any mask memorises random labels.

    $P(\text{some mask memorises the labels}) \le \binom{N}{k} C(n, k) / 2^n$ with Cover's count $C(n, k)$, for a linear
    threshold unit on $k$ of $N$ inputs and uniform labels.

    Proof. Union bound over masks, and `cover-count`.
    """
    n, inputs = instance.x.shape
    bound = fmpq(comb(inputs, instance.keep) * cover_number(n, instance.keep), 2**n)
    return at_most(instance.memorised_by_some_mask(), bound)
