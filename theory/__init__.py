"""What the papers claim, exactly. No torch anywhere below this package."""

from theory.claims import Assumption, Claim, Source, Status, claim, claim_named, claims
from theory.relations import Decision, Relation, Verdict, decide

__all__ = [
    "Assumption",
    "Claim",
    "Decision",
    "Relation",
    "Source",
    "Status",
    "Verdict",
    "claim",
    "claim_named",
    "claims",
    "decide",
]
