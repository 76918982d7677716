"""The counterexamples that pages show: the same search, with no zero weight, no zero input and no tie where it can be.

python -m verify.studies.shown [CLAIM ...]     search them again (minutes of processor time)

The smallest counterexample of a claim often has a zero in it, and says little to a reader. Where one without zeros
is found it lies in docs/certificates/shown/; a finding's own lies in docs/certificates/findings/. Elsewhere the
smallest is shown, and `SMALLEST` says why.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from theory.claims import Assumption, Claim, Status, claim_named, claims
from theory.descent import KernelDescent
from theory.pruning import PruningRun
from theory.relations import decide
from verify import certificates
from verify.search.loop import falsify
from verify.studies.claims_page import CERTIFICATES, certificate_name
from verify.studies.findings.witness import FOLDER as FINDINGS
from verify.studies.findings.witness import no_ties, no_zeros, nonzero

FOLDER = CERTIFICATES / "shown"
EXAMPLES = 1000
SEED = 0
SMALLEST = {
    "sketching/optimal-mask-is-unbiased": "it is false exactly where a weight or a feature is 0",
    "no-free-prune/noise-correlation-without-information": "its numbers are memberships, 0 or 1",
    "no-free-prune/cover-count-with-ties": "the smallest has no zero",
    "no-free-prune/memorisation-exponential-literal": "its numbers are memberships, 0 or 1",
    "no-free-prune/law-of-robustness-many-components": "the smallest has no zero",
    "synaptic-flow/float32-range": "the smallest has no zero",
}
"""False claims of which the smallest counterexample is shown, and why."""
BY_HAND: dict[str, dict[str, Any]] = {
    # relu(w1 - w2) - relu(w2 - w1): a convolution on (1, -1, 1) whose two places are both at their kink.
    "path-exclusion/kinks": {
        "network": {
            "units": ["input", "input", "input", "relu", "relu", "linear"],
            "edges": [[0, 3, 0, "1"], [1, 3, 1, "1"], [1, 4, 0, "1"], [2, 4, 1, "1"], [3, 5, 2, "1"], [4, 5, 3, "1"]],
            "outputs": [5],
            "layers": [[0, 1], [2, 3]],
            "slope": "1/4",
        },
        "theta": ["1", "1", "1", "-1"],
        "x": [["1", "-1", "1"]],
    },
}
"""Counterexamples that the search draws too seldom: instances as JSON, decided as all others are."""


def wanted(claim: Claim) -> Iterator[tuple[Assumption, ...]]:
    """What is asked of a counterexample to show, the most first; nothing for settings without weights and inputs."""
    names = {f.name for f in fields(claim.setting)}
    if {"theta", "x"} <= names:
        if issubclass(claim.setting, PruningRun):
            yield no_zeros, no_ties
        yield (no_zeros,)
        yield (Assumption("no-zero-weights", "no weight is 0", nonzero("theta")),)
    elif issubclass(claim.setting, KernelDescent):
        yield (Assumption("no-zeros", "no eigenvalue and no residual is 0", nonzero("larger", "smaller", "residual")),)
    elif names & {"theta", "w"}:
        every = [n for n in ("theta", "x", "w0", "w") if n in names]
        yield (Assumption("no-zeros", "no weight and no input is 0", nonzero(*every)),)


def path(claim: Claim, without: str = "") -> Path | None:
    """The certificate that the pages show of a claim (or of the claim without an assumption); None if there is none."""
    name = certificate_name(claim.id, without)
    return next((p for p in (FINDINGS / name, FOLDER / name, CERTIFICATES / name) if p.exists()), None)


def find(claim: Claim) -> Path | None:
    """Search, and write the certificate of the first kind of `wanted` that is found; None if none is."""
    if claim.id in BY_HAND:
        instance = claim.setting.from_json(BY_HAND[claim.id])
        made = certificates.certificate(claim, instance, decide(claim.check(instance)))
        return certificates.save(made, FOLDER / certificate_name(claim.id))
    return first_found(claim, wanted(claim), FOLDER)


def first_found(
    claim: Claim, wanted: Iterable[tuple[Assumption, ...]], folder: Path, *, shrinking: bool = True
) -> Path | None:
    """Search for what is wanted besides, in turn, and write the first certificate to ``folder``; None if none is."""
    for also in wanted:
        asked = replace(claim, assumptions=(*claim.assumptions, *also))
        outcome = falsify(asked, examples=EXAMPLES, seed=SEED, shrinking=shrinking)
        if outcome.certificate is not None:
            return certificates.save(outcome.certificate, folder / certificate_name(claim.id))
    return None


def main(names: list[str]) -> None:
    """Search for the claims named, or for every false one that no finding shows."""
    chosen = [claim_named(n) for n in names] or [c for c in claims() if c.status is Status.REFUTED]
    for claim in chosen:
        if not (FINDINGS / certificate_name(claim.id)).exists():
            print(claim.id, find(claim) or "nothing beyond the smallest", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
