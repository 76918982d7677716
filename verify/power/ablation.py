"""Drop one assumption of a claim, and search: is it needed?"""

from __future__ import annotations

from collections.abc import Callable

from theory.claims import Claim, Status, claim_named
from verify.search.loop import falsify
from verify.search.outcome import Outcome


def ablate(
    claim: Claim | str,
    *,
    examples: int = 300,
    seconds: float | None = None,
    seed: int = 0,
    shrinking: bool = True,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Outcome]:
    """One `Outcome` for each assumption of ``claim``, searched without that assumption alone.

    ``refuted``: the assumption is needed, and the certificate shows an instance that violates it, only
    it, and the claim. ``survived`` with ``undefined`` instances: the statement has no meaning without
    it. ``survived`` otherwise: no counterexample among the instances seen; superfluous, or the search
    too weak. A claim without assumptions, or one that is not proved, has nothing to ablate: the result is empty.

    Args:
        claim: the claim or its id.
        examples: instances to decide exactly for each assumption.
        seconds: a person's limit for each assumption; None: no limit.
        seed: the seed.
        shrinking: whether counterexamples are made small.
        progress: called with the name of each assumption before it is searched.

    Raises:
        KeyError: no such claim.
    """
    claim = claim_named(claim) if isinstance(claim, str) else claim
    if claim.status is not Status.PROVED:
        return {}
    found = {}
    for assumption in claim.assumptions:
        if progress:
            progress(assumption.name)
        found[assumption.name] = falsify(
            claim, drop=(assumption.name,), examples=examples, seconds=seconds, seed=seed, shrinking=shrinking
        )
    return found


def needed(outcome: Outcome) -> str:
    """What an ablation says, in a few words."""
    if outcome.verdict == "refuted":
        return "needed"
    if outcome.undefined:
        return "needed: undefined without it"
    return f"no counterexample in {outcome.examples} exact, {outcome.screened} screened"
