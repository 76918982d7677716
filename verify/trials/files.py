"""Files written whole or not at all, readable by whoever the umask lets read."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

TEMPORARY = ".tmp"
"""How the name of a file ends while it is being written; what a killed process leaves ends so too."""


@contextmanager
def writing(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A file to write to, which takes the place of ``path`` in one step when the block ends without an error.

    The folder is made if there is none. On an error the old file, or none, is left, and nothing beside it.

    Args:
        path: the file.
        mode: "w" for text (UTF-8, line feeds between lines) or "wb" for bytes.

    Raises:
        OSError: the file cannot be written; the message names it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{path.name}.{uuid.uuid4().hex[:12]}{TEMPORARY}"
    # Not tempfile: its files are for their owner alone.
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
        with os.fdopen(handle, mode, **text) as f:  # type: ignore[call-overload]
            yield f
            f.flush()
            os.fsync(f.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write(path: str | Path, content: str | bytes) -> Path:
    """Write a file, whole or not at all, and return its path; see `writing`."""
    with writing(path, "w" if isinstance(content, str) else "wb") as f:
        f.write(content)
    return Path(path)


__all__ = ["TEMPORARY", "write", "writing"]
