"""Sharpness term by term: how small an error in one term of a bound would be seen, and on which structures."""

from __future__ import annotations

from typing import Any

from verify.power.terms import by_term


def run() -> list[dict[str, Any]]:
    """One row for each term and structure."""
    return by_term()


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How many are seen at all, and to which change."""
    return {
        "terms and structures": len(rows),
        "an error of 1 % is seen": sum(r["smallest change"] <= 0.01 for r in rows),
        "an error of one half is not": sum(r["smallest change"] > 0.5 for r in rows),
    }
