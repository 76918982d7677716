"""Runs the claims of `theory`: on drawn instances, on trained models, on any torch module.

Names are loaded when they are first used, so that importing this package imports neither torch nor
Hypothesis.
"""

from __future__ import annotations

import importlib
from typing import Any

_WHERE = {
    "falsify": "verify.search",
    "Outcome": "verify.search",
    "ablate": "verify.ablation",
    "sharpness": "verify.sharpness",
    "ntk_trace": "verify.networks.ntk",
    "ntk_trace_estimate": "verify.networks.ntk",
    "path_bound": "verify.networks.path_sums",
    "saliency": "verify.networks.saliency",
    "prune": "verify.networks.masks",
    "assumptions": "verify.networks.capture",
}

__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'verify' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(_WHERE[name]), name)
    # Importing a module of the same name (verify.sharpness) binds the module first; rebind the function.
    globals()[name] = value
    return value
