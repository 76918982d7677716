"""Constraints for `make test-oldest` and `make test-newest`: ``python -m verify.studies.oldest oldest|newest``.

The oldest versions are the lower bounds of the dependencies in pyproject.toml; the newest are no constraint at all.
Nothing but the standard library is imported, since nothing else is installed when this runs.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def oldest(project: str) -> list[str]:
    """For each dependency with a lower bound, the series that the bound names: ``numpy>=2.0`` as ``numpy==2.0.*``.

    Raises:
        ValueError: a dependency without a lower bound, of which there is no oldest version.
    """
    out = []
    for dependency in tomllib.loads(project)["project"]["dependencies"]:
        found = re.fullmatch(r"([A-Za-z0-9._-]+)\s*>=\s*([0-9.]+)", dependency)
        if found is None:
            raise ValueError(f"{dependency!r} names no lower bound such as 'numpy>=2.0'")
        out.append(f"{found[1]}=={found[2]}.*")
    return out


def main(argv: list[str]) -> int:
    """Print the constraints."""
    if argv not in (["oldest"], ["newest"]):
        print("usage: python -m verify.studies.oldest oldest|newest", file=sys.stderr)
        return 2
    print("\n".join(oldest(PROJECT.read_text()) if argv == ["oldest"] else []))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
