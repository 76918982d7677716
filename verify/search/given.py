"""The loop over single instances that a subject yields: a trained model, a torch module with inputs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from verify.search.loop import Search


@dataclass
class Seen:
    """What `look_through` met besides decisions.

    Attributes:
        tried: instances that were taken up.
        broken: for each assumption, the instances on which it does not hold.
        left_out: for each reason, the instances that could not be decided for it.
        gaps: of equalities known to a rounding bound, how well each is known to agree.
    """

    tried: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    gaps: list[float] = field(default_factory=list)


def look_through(
    search: Search,
    instances: Iterable[Any],
    most: int,
    left_out: Callable[[Exception], bool] = lambda e: False,
    patience: int | None = None,
) -> Seen:
    """Decide single instances in turn, until one refutes the claim.

    Args:
        search: takes up what is decided.
        instances: the instances, most telling first.
        most: how many to take up.
        left_out: whether an exception only means that this instance cannot be decided.
        patience: stop after so many that were left out while none was decided; None: go on.
    """
    seen = Seen()
    search.examples = most  # what a limit in seconds cuts short is said of these
    try:
        for instance in itertools.islice(instances, most):
            seen.tried += 1
            try:
                decision = search.look(instance)
            except Exception as e:
                if not left_out(e):
                    raise
                seen.left_out[str(e)] = seen.left_out.get(str(e), 0) + 1
                if seen.tried == sum(seen.left_out.values()) == patience:
                    break
                continue
            if decision is None:
                for a in search.claim.applies(instance) if bool(instance.valid()) else ():
                    seen.broken[a.name] = seen.broken.get(a.name, 0) + 1
            elif decision.agrees is not None:
                seen.gaps.append(decision.agrees)
            if search.over:
                break
    except KeyboardInterrupt:
        search.outcome.reasons.append("interrupted: what was seen so far")
    return seen


__all__ = ["Seen", "look_through"]
