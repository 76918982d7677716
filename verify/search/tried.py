"""Whether the claims of somebody's own file can be evaluated at all, asked before anything is searched."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from theory.claims import Claim, Status
from theory.relations import decide
from verify.search.screening import Problem
from verify.search.strategies import StackChooser, draw

HINT = (
    "the same function gets one instance, where a number such as ntk_trace() is one fraction, and float64 stacks, "
    "where it has a leading axis: np.asarray(i.ntk_trace())[..., None] fits beside an array with one entry a weight"
)
_TRIES = 20


def tried(claims: Iterable[Claim], file: str | Path) -> None:
    """Evaluate each claim on a few drawn instances, single and stacked.

    Args:
        claims: of one file.
        file: that file, for the message.

    Raises:
        ValueError: a claim fails on one; names the claim, the line and the error.
    """
    for claim in claims:
        if claim.status is not Status.EMPIRICAL:
            for count in (None, 4)[: 1 + Problem(claim).stackable]:
                for seed in range(_TRIES):
                    _evaluated(claim, StackChooser(np.random.default_rng(seed), count, seed % 3), str(file))


def _evaluated(claim: Claim, chooser: StackChooser, file: str) -> None:
    try:
        instance = draw(claim, chooser)
    except LookupError as e:
        raise ValueError(f"{claim.id}: {e}") from e
    try:
        problem = Problem(claim)
        if not instance.stacked:
            if not problem.applies(instance):
                return
        elif (kept := problem.satisfied(instance)).any():
            instance = instance.take(kept)
        else:
            return
        with np.errstate(all="ignore"):
            if instance.stacked:
                problem.margins(instance)
            else:
                decide(claim.check(instance))
    except (TypeError, ValueError, AttributeError, IndexError, KeyError, NameError) as e:
        path = str(Path(file).resolve())
        lines = [f.lineno for f in traceback.extract_tb(e.__traceback__) if str(Path(f.filename).resolve()) == path]
        where = f"{file}:{lines[-1] if lines else claim.function.__code__.co_firstlineno}"
        what = f"a stack of {instance.count} instances" if instance.stacked else f"the instance {instance.summary()}"
        raise ValueError(f"{claim.id} cannot be evaluated on {what} ({where}): {type(e).__name__}: {e}. {HINT}") from e


__all__ = ["tried"]
