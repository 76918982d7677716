"""Near misses of a name that is not known: the one place that says "did you mean"."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near(name: object, known: Iterable[str], *, count: int = 3) -> list[str]:
    """The known names that ``name`` may stand for, best first: those it is part of, then those spelt alike.

    Of names like "paper/claim" the last part is compared as well as the whole.
    """
    wanted, names = str(name), list(known)
    short = {n.rsplit("/", 1)[-1]: n for n in names}
    found = [n for n in names if wanted and wanted in n]
    found += difflib.get_close_matches(wanted, names, n=count, cutoff=0.5)
    found += [short[s] for s in difflib.get_close_matches(wanted.rsplit("/", 1)[-1], short, n=count, cutoff=0.5)]
    return list(dict.fromkeys(found))[:count]


def did_you_mean(name: object, known: Iterable[str], otherwise: str = "", *, count: int = 3) -> str:
    """E.g. "did you mean snip, synflow?", or ``otherwise`` where no known name is near."""
    found = near(name, known, count=count)
    return f"did you mean {', '.join(found)}?" if found else otherwise


__all__ = ["did_you_mean", "near"]
