"""Counterexamples that nobody can wave away: the same search, with no zero weight, no zero input and no tie.

The smallest counterexample of a claim often has a zero in it, or a tie that an index decides. A finding is
shown on one that has neither, where there is one. It is found by the same search, with one more assumption.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from theory.claims import Assumption, claim_named
from theory.pruning import PruningRun
from verify import certificates
from verify.search.loop import falsify

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs" / "certificates" / "findings"


def nonzero(*names: str) -> Callable[[Any], Any]:
    """A predicate: no entry of these arrays of an instance is 0."""

    def predicate(instance: Any) -> Any:
        ok: Any = True
        for name in names:
            value = getattr(instance, name)
            axes = tuple(range(int(instance.stacked), value.ndim))
            ok = ok & np.asarray(value != 0, dtype=bool).all(axis=axes)
        return ok

    return predicate


def _distinct(run: PruningRun) -> Any:
    ordered = np.sort(run.scores_by_round()[..., 0, :], axis=-1)
    return np.asarray(ordered[..., 1:] != ordered[..., :-1], dtype=bool).all(axis=-1)


no_zeros = Assumption("no-zeros", "no weight and no input is 0", nonzero("theta", "x"))
no_zero_weights = Assumption("no-zero-weights", "no weight is 0", nonzero("theta"))
no_ties = Assumption("no-ties", "in the first round no two scores are equal", _distinct)
one_output = Assumption("one-output", "one output", lambda i: len(i.network.outputs) == 1)
no_zero_start = Assumption("no-zeros", "no data, initial or trained weight is 0", nonzero("x", "w0", "w"))


@dataclass(frozen=True)
class Witness:
    """A counterexample to show.

    Attributes:
        claim: id of the refuted claim.
        also: what is asked of the instance besides.
        name: of its certificate, without ".json".
        seed: of the search.
    """

    claim: str
    also: tuple[Assumption, ...] = ()
    name: str = ""
    seed: int = 0

    @property
    def path(self) -> Path:
        """The certificate."""
        return FOLDER / f"{self.name or self.claim.replace('/', '--')}.json"

    def find(self, *, examples: int = 2000) -> dict[str, Any]:
        """Search and return the certificate.

        Raises:
            RuntimeError: nothing was found.
        """
        claim = claim_named(self.claim)
        wanted = replace(claim, assumptions=(*claim.assumptions, *self.also))
        outcome = falsify(wanted, examples=examples, seed=self.seed)
        if outcome.certificate is None:
            raise RuntimeError(f"{self.claim}: no counterexample with {', '.join(a.name for a in self.also)}")
        return outcome.certificate

    def load(self) -> dict[str, Any]:
        """The recorded certificate, checked for form and digest."""
        return certificates.load(self.path)
