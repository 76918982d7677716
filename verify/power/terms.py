"""How small an error in one term of a bound would the search see, and on which structures?

`verify.power.sharpness` scales a whole bound; that may be attained where all but one of its terms are 0 (w = w0, p = 1,
n = 1), and then says nothing of the others. Here each term is made smaller by itself, and the instance has to be of a
given structure, so that the terms beside it are there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flint import fmpq

from theory.claims import Status, claim_named
from theory.information import LogSum, at_most_logs, binary_entropy, constant_log, rational_part
from theory.relations import at_most
from theory.scalars import absolute, is_exact, sqrt
from theory.sketches import squared
from verify.search.loop import falsify

CHANGES = (0.5, 0.1, 0.01)


@dataclass(frozen=True)
class SumBound:
    """A bound ``left <= sum of terms`` of a claim.

    Attributes:
        claim: its id.
        names: of the terms.
        sides: instance -> (left, terms), numbers or sums of logarithms.
        structures: name -> which instances count; "any" is always there.
    """

    claim: str
    names: tuple[str, ...]
    sides: Callable[[Any], tuple[Any, tuple[Any, ...]]]
    structures: dict[str, Callable[[Any], Any]]


def _mixture(i: Any) -> tuple[Any, tuple[Any, ...]]:
    share, a = i.share(), i.initial.a
    moved = i.initial.f_squared * squared(i.seen(i.change))
    error = i.s * i.trained.mse(i.mixture(share)) + i.trained.signal
    return share * (1 - share) * error, (share * a * a, (1 - share) * moved)


def _best_mixture(i: Any) -> tuple[Any, tuple[Any, ...]]:
    u, v = i.initial.a, sqrt(i.initial.f_squared * squared(i.seen(i.change)))
    return i.s * i.trained.mse(i.mixture(v / (u + v))) + i.trained.signal, (u * u, 2 * u * v, v * v)


def _data_norm(i: Any) -> tuple[Any, tuple[Any, ...]]:
    f, (start, moved) = i.initial.f_squared, i.norms()
    error = i.s * i.trained.mse(i.initial.data_law) + i.trained.signal
    return error, (f * start * start, 2 * f * start * moved, f * moved * moved)


def _relative(i: Any) -> tuple[Any, tuple[Any, ...]]:
    rho, a0, a = i.relative_change(), i.initial.a, i.trained.a
    low = (1 - rho + absolute(1 - rho)) / 2
    second = i.s * i.trained.mse(i.initial.optimal) + i.trained.signal
    return second, (a * a, ((1 + rho) * a0 - a) * (a - low * a0))


def _noise(i: Any) -> tuple[Any, tuple[Any, ...]]:
    found, scale = i.correlation(), 2 * i.one / i.n
    return rational_part(found * absolute(found), i.labels), (i.log_size() * scale, i.information() * scale)


def _every_labeling(i: Any) -> tuple[Any, tuple[Any, ...]]:
    parts = (i.information(), i.log_size_when_memorised(), i.log_size_when_not(), i.doubt_given_mask())
    return constant_log(2, i.memorised()) * i.n, parts


def _memorised(i: Any) -> tuple[Any, tuple[Any, ...]]:
    p = i.memorised()
    return constant_log(2, p) * i.n * p, (i.information(), i.log_size_when_memorised(), binary_entropy(p))


def _two(a: Any, b: Any) -> Any:
    """Whether a and b are both at least a tenth of their sum."""
    return np.asarray(9 * a >= b, dtype=bool) & np.asarray(9 * b >= a, dtype=bool)


def _three_points(i: Any) -> Any:
    return i.n == 3


def _three_points_in_doubt(i: Any) -> Any:
    p = i.memorised()
    return (i.n == 3) & np.asarray(p > 0, dtype=bool) & np.asarray(p < 1, dtype=bool)


BOUNDS = (
    SumBound(
        "sketching/transfer-mixture", ("initial law", "change"), _mixture,
        {"both terms": lambda i: _two(*_mixture(i)[1]), "two draws": lambda i: i.s >= 2},
    ),
    SumBound(
        "sketching/transfer-best-mixture", ("A0^2", "2 A0 F|w - w0|", "F^2 |w - w0|^2"), _best_mixture,
        {"both norms": lambda i: _two(_best_mixture(i)[1][0], _best_mixture(i)[1][2])},
    ),
    SumBound(
        "sketching/transfer-data-norm", ("|w0|^2", "2 |w0| |w - w0|", "|w - w0|^2"), _data_norm,
        {"both norms": lambda i: _two(_data_norm(i)[1][0], _data_norm(i)[1][2])},
    ),
    SumBound(
        "sketching/transfer-relative", ("A*^2", "excess"), _relative,
        {"both terms": lambda i: _two(*_relative(i)[1])},
    ),
    SumBound(
        "no-free-prune/noise-correlation", ("classes", "information"), _noise,
        {"two points": lambda i: i.n == 2, "three points": _three_points},
    ),
    SumBound(
        "no-free-prune/memorising-needs-parameters",
        ("information", "size when memorised", "size when not", "doubt"), _every_labeling,
        {"three points": _three_points, "three points, 0 < p < 1": _three_points_in_doubt},
    ),
    SumBound(
        "no-free-prune/memorising-needs-parameters", ("information", "size when memorised", "entropy of p"), _memorised,
        {"three points": _three_points, "three points, 0 < p < 1": _three_points_in_doubt},
    ),
)  # fmt: skip


def wrong(bound: SumBound, term: int, change: float, structure: Callable[[Any], Any]) -> Any:
    """The claim with one term smaller by a relative ``change``, where the instance has the structure."""
    claim, by = claim_named(bound.claim), fmpq(*float(1 - change).as_integer_ratio())

    def function(instance: Any) -> Any:
        left, terms = bound.sides(instance)
        sums = [t * (by if _exact(t) else float(1 - change)) if j == term else t for j, t in enumerate(terms)]
        right = sums[0]
        for t in sums[1:]:
            right = right + t
        relate = at_most_logs if isinstance(left, LogSum) else at_most
        return relate(left, right).when(structure(instance))

    return replace(claim, function=function, status=Status.REFUTED)


def _exact(term: Any) -> bool:
    return is_exact(term.c if isinstance(term, LogSum) else np.asarray(term))


def by_term(
    bounds: Sequence[SumBound] = BOUNDS, *, examples: int = 200, seed: int = 0, changes: Sequence[float] = CHANGES
) -> list[dict[str, Any]]:
    """One row for each term and structure: the smallest of ``changes`` that is refuted; infinite if none is.

    Args:
        bounds: which.
        examples: exact instances for each search.
        seed: the seed.
        changes: relative changes of a term.
    """
    rows = []
    for bound in bounds:
        for j, name in enumerate(bound.names):
            for where, structure in {"any": lambda i: True, **bound.structures}.items():
                smallest = float("inf")
                for change in sorted(changes, reverse=True):
                    claim = wrong(bound, j, change, structure)
                    if falsify(claim, examples=examples, seed=seed, shrinking=False).verdict != "refuted":
                        break
                    smallest = change
                rows.append({"claim": bound.claim, "term": name, "structure": where, "smallest change": smallest})
    return rows
