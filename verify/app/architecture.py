"""`falsify --on`: rows as they are decided, and SIGTERM."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from theory.claims import claim_named
from verify.app import tables
from verify.app.runner import Row, handling

if TYPE_CHECKING:
    pass


@contextlib.contextmanager
def terminable() -> Iterator[list[int]]:
    """Context in which SIGTERM raises KeyboardInterrupt, as ctrl-C does; the list that it gives has then an entry."""
    seen: list[int] = []

    def stop(number: int, frame: Any) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    with handling(signal.SIGTERM, stop):
        yield seen


def print_decided(row: Row) -> None:
    """One line as soon as a claim is decided: whose belief it is, what became of it here, what it says."""
    from verify.networks.claims.examination import in_words
    from verify.networks.claims.examine import entry
    from verify.networks.claims.plain import plain

    claim = claim_named(row.claim)
    part = "apart" if row.verdict == "not applicable" else entry(claim, row)[0]
    words = in_words(claim, part)
    tables.console().print(f"{words:32}{plain(claim.title)}", markup=False, soft_wrap=True)


__all__ = ["print_decided", "terminable"]
