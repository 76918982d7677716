"""Runs the claims of `theory`: on drawn instances, on trained models, on any torch module.

Names are loaded when they are first used, so that importing this package imports neither torch nor
Hypothesis.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    from verify.networks.claims.assumptions import assumptions
    from verify.networks.claims.examine import examine
    from verify.networks.ntk.layers import keep_pages
    from verify.networks.ntk.trace import ntk_trace, ntk_trace_estimate
    from verify.networks.paths.bound import path_bound
    from verify.networks.scores.masks import Masks
    from verify.networks.scores.methods import methods, saliency
    from verify.networks.scores.prune import prune
    from verify.power.ablation import ablate
    from verify.power.sharpness import sharpness
    from verify.proofs.proving import prove
    from verify.search.loop import falsify
    from verify.search.outcome import Outcome
    from verify.trials.training import ImageRecipe, evaluate, train_module

    data: ModuleType

__all__ = [
    "ImageRecipe",
    "Masks",
    "Outcome",
    "ablate",
    "assumptions",
    "data",
    "evaluate",
    "examine",
    "falsify",
    "keep_pages",
    "methods",
    "ntk_trace",
    "ntk_trace_estimate",
    "path_bound",
    "prove",
    "prune",
    "saliency",
    "sharpness",
    "train_module",
]

_WHERE = {
    "ImageRecipe": "verify.trials.training",
    "Masks": "verify.networks.scores.masks",
    "Outcome": "verify.search.outcome",
    "ablate": "verify.power.ablation",
    "assumptions": "verify.networks.claims.assumptions",
    "evaluate": "verify.trials.training",
    "examine": "verify.networks.claims.examine",
    "falsify": "verify.search.loop",
    "keep_pages": "verify.networks.ntk.layers",
    "methods": "verify.networks.scores.methods",
    "ntk_trace": "verify.networks.ntk.trace",
    "ntk_trace_estimate": "verify.networks.ntk.trace",
    "path_bound": "verify.networks.paths.bound",
    "prove": "verify.proofs.proving",
    "prune": "verify.networks.scores.prune",
    "saliency": "verify.networks.scores.methods",
    "sharpness": "verify.power.sharpness",
    "train_module": "verify.trials.training",
}
_MODULES = {"data": "verify.trials.data"}
"""Names that are modules by themselves."""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name not in _WHERE:
        raise AttributeError(f"module 'verify' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
