"""Strategies: how instances of each setting are drawn.

`draw(claim, chooser)` gives an instance for a claim; `instances(claim)` is the same as a Hypothesis
strategy. To add a setting, write ``@draws(MySetting) def my_setting(c, **hints)`` in a module here and
import it below.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from theory.claims import Assumption, Claim, claims
from verify.search.strategies.choosers import Chooser, HypothesisChooser, StackChooser

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

_DRAWERS: dict[type, Callable[..., Any]] = {}
_BEYOND: dict[type, Mapping[str, Any]] = {}
_MODULES = ("sketch", "networks", "pruning", "laws", "path_exclusion")


def draws(
    setting: type, *, beyond: Mapping[str, Any] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated ``f(chooser, **hints) -> instance`` as the strategy of a setting.

    ``beyond``: the hints with which it draws as widely as it can, whatever a claim hints at.
    """

    def register(f: Callable[..., Any]) -> Callable[..., Any]:
        _DRAWERS[setting], _BEYOND[setting] = f, dict(beyond or {})
        return f

    return register


def draw(claim: Claim, chooser: Chooser, broken: Assumption | None = None, *, beyond: bool = False) -> Any:
    """An instance for ``claim`` (not filtered by its assumptions), with ``broken`` violated on purpose.

    With ``beyond`` each hint of the claim, or default of its strategy, gives way half of the time to the widest one: a
    claim says what it says wherever its assumptions hold.

    Raises:
        LookupError: no strategy for the claim's setting.
    """
    if claim.setting not in _DRAWERS:
        for name in _MODULES:
            importlib.import_module(f"verify.search.strategies.{name}")
    if claim.setting not in _DRAWERS:
        raise LookupError(f"no strategy draws {claim.setting.__name__}; register one with @draws")
    hints = {k: v for k, v in claim.draws.items() if k != "stack"}
    if beyond:
        hints |= {k: v for k, v in _BEYOND.get(claim.setting, {}).items() if chooser.flip()}
    instance = _DRAWERS[claim.setting](chooser, **hints)
    return broken.breaks(chooser, instance) if broken is not None and broken.breaks is not None else instance


def others_break(claim: Claim) -> list[Assumption]:
    """What other claims about the same setting assume, ``claim`` does not, and something is known to break; first what
    is assumed by claims whose assumptions differ least from its own.

    A claim that assumes too little is false where one of these is broken.
    """
    mine = {a.name for a in claim.assumptions}
    nearest: dict[str, tuple[int, Assumption]] = {}
    for other in claims():
        differ = len(mine ^ {a.name for a in other.assumptions})
        for a in other.assumptions if other.setting is claim.setting else ():
            if a.breaks is not None and a.name not in mine and (a.name not in nearest or differ < nearest[a.name][0]):
                nearest[a.name] = (differ, a)
    return [a for _, a in sorted(nearest.values(), key=lambda pair: pair[0])]


def instances(claim: Claim, drop: tuple[str, ...] = ()) -> SearchStrategy[Any]:
    """Hypothesis strategy of single exact instances that satisfy the claim's assumptions, but for ``drop``."""
    from hypothesis import strategies as st

    kept = [a for a in claim.assumptions if a.name not in drop]
    dropped = [a for a in claim.assumptions if a.name in drop and a.breaks is not None] or others_break(claim)[:2]

    @st.composite
    def one(draw_: Any) -> Any:
        chooser = HypothesisChooser(draw_)
        broken = chooser.pick([None, *dropped]) if dropped else None
        return draw(claim, chooser, broken, beyond=chooser.flip())

    return one().filter(lambda i: bool(i.valid()) and all(bool(a.predicate(i)) for a in kept))


__all__ = ["Chooser", "HypothesisChooser", "StackChooser", "draw", "draws", "instances", "others_break"]
