"""Runs the claims of `theory`: on drawn instances, on trained models, on any torch module.

Names are loaded when they are first used, so that importing this package imports neither torch nor
Hypothesis.
"""

from __future__ import annotations

import importlib
from typing import Any

_WHERE = {
    "falsify": "verify.search.loop",
    "Outcome": "verify.search.loop",
    "ablate": "verify.power.ablation",
    "sharpness": "verify.power.sharpness",
    "ntk_trace": "verify.networks.ntk.trace",
    "ntk_trace_estimate": "verify.networks.ntk.trace",
    "path_bound": "verify.networks.paths.sums",
    "saliency": "verify.networks.scores.methods",
    "prune": "verify.networks.scores.prune",
    "assumptions": "verify.networks.claims.assumptions",
}

__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'verify' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(_WHERE[name]), name)
    # Importing a module of the same name (verify.power.sharpness) binds the module first; rebind the function.
    globals()[name] = value
    return value
