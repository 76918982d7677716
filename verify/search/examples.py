"""Hypothesis and its habits: the example database, budgets as profiles, and no look at what was imported.

A counterexample that `python -m verify run` or `pytest -m theorem` finds is kept in Hypothesis's example database
(``.hypothesis/examples`` in the working directory; the one that the current Hypothesis profile names, so
none under its profile ``ci``). The next run tries it first, and forgets it if it refutes nothing any more.
A run with a seed of its own tries nothing that was kept: it does again what the seed did.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from theory import reading
from theory.claims import Claim
from verify.certificates import work

if TYPE_CHECKING:
    from hypothesis.database import ExampleDatabase

PROFILES = ("quick", "thorough")
"""Budgets that become Hypothesis profiles; ``default`` is Hypothesis's own, and stays as its user has set it."""


def database() -> ExampleDatabase | None:
    """The example database of the current Hypothesis profile."""
    from hypothesis import settings

    return settings().database


def key(claim: Claim, dropped: tuple[str, ...] = ()) -> bytes:
    """Where the counterexamples of a claim without some assumptions are kept."""
    return " without ".join(("pruning-theorems " + claim.id, *sorted(dropped))).encode()


def keep(store: ExampleDatabase, claim: Claim, dropped: tuple[str, ...], instance: Any) -> None:
    """Keep a counterexample."""
    body = {"setting": type(instance).__name__, "instance": instance.to_json()}
    store.save(key(claim, dropped), json.dumps(body, sort_keys=True).encode())


def kept(store: ExampleDatabase, claim: Claim, dropped: tuple[str, ...]) -> Iterator[tuple[bytes, Any]]:
    """What is kept, the shortest first; what cannot be read (of another version, damaged) is forgotten."""
    for value in sorted(store.fetch(key(claim, dropped)), key=lambda v: (len(v), v)):
        try:
            body = reading.fields(reading.parse(value.decode()), ("setting", "instance"), "an example")
            if body["setting"] != claim.setting.__name__:
                raise ValueError(f"{claim.id} is not about {reading.brief(body['setting'])}")
            instance = claim.setting.from_json(body["instance"])
            work.bounded(instance)
        except ValueError:
            store.delete(key(claim, dropped), value)
            continue
        yield value, instance


@contextmanager
def imports_unseen() -> Iterator[None]:
    """Hypothesis without the numbers that it takes from the modules imported so far.

    What is drawn would depend on them: on the process, on its user's own modules, on any change of ours. There is no
    setting for it; where a version of Hypothesis looks for none, nothing is changed.
    """
    from hypothesis.internal.conjecture import providers

    if not hasattr(providers, "_get_local_constants"):
        yield
        return
    from hypothesis.internal.constants_ast import Constants

    providers.CONSTANTS_CACHE.cache.clear()  # what is kept there was chosen among them
    try:
        with mock.patch.object(providers, "_get_local_constants", return_value=Constants()):
            yield
    finally:
        providers.CONSTANTS_CACHE.cache.clear()


def register_profiles() -> None:
    """Register the budgets ``quick`` and ``thorough`` as Hypothesis profiles, unless their names are taken."""
    from hypothesis import settings
    from hypothesis.errors import InvalidArgument

    from verify.search.budgets import BUDGETS

    for name in PROFILES:
        try:
            settings.get_profile(name)
        except InvalidArgument:
            settings.register_profile(name, settings.get_profile("default"), max_examples=BUDGETS[name].examples)


__all__ = ["PROFILES", "database", "imports_unseen", "keep", "kept", "key", "register_profiles"]
