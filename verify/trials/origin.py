"""Where a result comes from: the commit of this source tree, and the versions that ran."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("theory", "verify", "figures")
_COMPUTE = ("numpy", "scipy", "torch", "scikit-learn", "joblib")
_SEARCH = ("numpy", "python-flint", "hypothesis")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@functools.cache
def commit() -> str:
    """The commit of the source tree, with "+" where sources differ from it; "unknown" outside its repository."""
    try:
        if Path(_git("rev-parse", "--show-toplevel")).resolve() != ROOT:
            return "unknown"  # installed into somebody else's repository
        return _git("rev-parse", "HEAD") + ("+" if _git("status", "--porcelain", "--", *SOURCES) else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Python's version and those of the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def machine() -> dict[str, Any]:
    """What stands in a trial's file: commit, versions, platform and number of processors."""
    return {
        "commit": commit(),
        "versions": versions(_COMPUTE),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
    }


def of_search(seed: int) -> dict[str, Any]:
    """What stands above a table or page made by searching: seed, commit (short) and versions."""
    known = commit()
    short = known if known == "unknown" else known[:7] + "+" * known.endswith("+")
    return {"seed": seed, "commit": short, **versions(_SEARCH)}


__all__ = ["ROOT", "SOURCES", "commit", "machine", "of_search", "versions"]
