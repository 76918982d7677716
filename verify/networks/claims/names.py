"""What a module may be called on the command line; known without importing torch."""

from __future__ import annotations

from pathlib import Path


def check_spec(spec: str) -> None:
    """Raise ValueError where nothing can be of that name: neither a file that exists nor a known kind."""
    kind, colon, _ = spec.partition(":")
    if not colon:
        raise ValueError(f"{spec!r} names no module: write FILE.py:FACTORY, zoo:NAME or timm:NAME")
    file = spec.rpartition(":")[0]
    if kind not in ("zoo", "timm") and not Path(file).is_file():
        raise ValueError(f"{spec}: there is no file {file!r}")
