"""A paper of one page, as claims: what keeping the largest entries of a vector does.

python -m verify --claims-from docs/examples/best_terms.py --claims 'best-terms/*'
"""

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from theory.claims import PROVED, REFUTED, Assumption, Paper, Source, claim
from theory.instances import Instance, array
from theory.relations import Relation, at_most, positive
from theory.scalars import indicator, total
from verify.search.strategies import Chooser, draws

SOURCE = Source(Paper("nobody", "An example", "none"))


@dataclass(frozen=True, eq=False)
class Vector(Instance):
    """Entries w (d,) and how many of them are kept."""

    title = "vector of which some entries are kept"

    w: np.ndarray = array(1)
    keep: int = 1

    def kept(self) -> np.ndarray:
        """1 for the ``keep`` entries largest in magnitude, 0 for the others; ties go to the first."""
        order = np.argsort(-(self.w * self.w), axis=-1, kind="stable")
        return indicator(np.argsort(order, axis=-1, kind="stable") < self.keep, self.w)

    def valid(self) -> bool:
        """At least one entry is kept, and no more than there are."""
        return 1 <= self.keep <= self.w.shape[-1]

    def operations(self) -> int:
        """About how many it takes to decide a claim: `python -m verify check` refuses files that ask for too much."""
        d = self.w.shape[-1]
        return d * (d + comb(d, min(self.keep, d)))


@draws(Vector)
def vector(c: Chooser) -> Vector:
    """Up to five entries."""
    d = c.integer(1, 5)
    return Vector(c.numbers((d,)), c.integer(1, d))


@claim(Vector, PROVED, SOURCE)
def largest_entries_approximate_best(i: Vector) -> Relation:
    r"""No other choice of as many entries leaves a smaller squared error.

    Proof. Exchange a kept entry for a larger one: the error falls by the difference of their squares.
    """
    error = total(i.w * i.w * (1 - i.kept()), axis=-1)
    chosen = list(combinations(range(i.w.shape[-1]), i.keep))
    others = np.array([[d not in one for d in range(i.w.shape[-1])] for one in chosen], dtype=int)
    return at_most(np.asarray(error)[..., None], total((i.w * i.w)[..., None, :] * others, axis=-1))


positive_entries = Assumption(
    "positive-entries", "every entry is positive", lambda i: (i.w > 0).all(axis=-1), lambda c, i: i.with_(w=-i.w)
)


@claim(Vector, PROVED, SOURCE, assumes=(positive_entries,), repairs="kept-sum-keeps-its-sign")
def kept_sum_is_positive(i: Vector) -> Relation:
    """Of positive entries the kept ones have a positive sum."""
    return positive(total(i.w * i.kept(), axis=-1))


@claim(Vector, REFUTED, SOURCE)
def kept_sum_keeps_its_sign(i: Vector) -> Relation:
    """The sum of the kept entries has the sign of the whole sum."""
    whole, part = total(i.w, axis=-1), total(i.w * i.kept(), axis=-1)
    return positive(whole * part).when(np.asarray(whole != 0, dtype=bool))
