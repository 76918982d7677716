"""What the papers claim, exactly. No torch anywhere below this package.

Here is what a claim of one's own needs: `claim` with its parts, relations, the settings and network builders. Settings
are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from theory.claims import (
    Assumption,
    Claim,
    Paper,
    Source,
    Status,
    claim,
    claim_named,
    claims,
    claims_from,
    hints,
    matching,
)
from theory.relations import Decision, Relation, Verdict, at_most, decide, equal, holds, less, nonnegative, positive

if TYPE_CHECKING:
    from theory.information import MaskLaw
    from theory.instances import Instance
    from theory.memorisation import LabelledMasks
    from theory.networks import Network, mlp
    from theory.paths import NetworkOnData
    from theory.pruning import PruningRun
    from theory.sketches import Sketch, Transfer

__all__ = [
    "Assumption",
    "Claim",
    "Decision",
    "Instance",
    "LabelledMasks",
    "MaskLaw",
    "Network",
    "NetworkOnData",
    "Paper",
    "PruningRun",
    "Relation",
    "Sketch",
    "Source",
    "Status",
    "Transfer",
    "Verdict",
    "at_most",
    "claim",
    "claim_named",
    "claims",
    "claims_from",
    "decide",
    "equal",
    "hints",
    "holds",
    "less",
    "matching",
    "mlp",
    "nonnegative",
    "positive",
]

_WHERE = {
    "Instance": "theory.instances",
    "LabelledMasks": "theory.memorisation",
    "MaskLaw": "theory.information",
    "Network": "theory.networks",
    "NetworkOnData": "theory.paths",
    "PruningRun": "theory.pruning",
    "Sketch": "theory.sketches",
    "Transfer": "theory.sketches",
    "mlp": "theory.networks",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'theory' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
