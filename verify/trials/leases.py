"""Leases: of several drivers on one store each trial is in the hands of one.

A lease is a file beside the trial's, made by whoever works on it and touched as long as it lives. A lease is dead
when its process is, on this machine, or when its file has not changed for `EXPIRY` seconds of the observer's own clock
(machines' clocks may differ). The clock decides only who works: a trial done twice would have the same results.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

EXPIRY = 120.0
SUFFIX = ".lease"


class Leases:
    """What one driver holds. Use as a context manager: what is left is given back at the end."""

    def __init__(self, expiry: float = EXPIRY, clock: Callable[[], float] = time.monotonic) -> None:
        self.expiry, self.clock = expiry, clock
        self.owner = uuid.uuid4().hex
        self.held: set[Path] = set()
        self._seen: dict[Path, tuple[object, float]] = {}
        self._stop = threading.Event()
        self._beat = threading.Thread(target=self._touch, daemon=True)

    def __enter__(self) -> Leases:
        self._beat.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for path in list(self.held):
            self.release(path)

    def take(self, path: Path) -> bool:
        """Whether the lease is now this driver's; false while another one that lives holds it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                if not self._bury(path):
                    return False
                continue
            with os.fdopen(handle, "w") as f:
                json.dump({"owner": self.owner, "pid": os.getpid(), "host": socket.gethostname()}, f)
            self.held.add(path)
            return True
        return False

    def release(self, path: Path) -> None:
        """Give a lease back; one that was taken over meanwhile is left to its new owner."""
        self.held.discard(path)
        if read(path).get("owner") == self.owner:
            path.unlink(missing_ok=True)

    def _touch(self) -> None:
        while not self._stop.wait(self.expiry / 4):
            for path in list(self.held):
                try:
                    os.utime(path)
                except OSError:
                    continue

    def dead(self, path: Path) -> bool:
        """Whether nobody works under that lease any more."""
        body = read(path)
        if body.get("host") == socket.gethostname() and isinstance(body.get("pid"), int):
            return not _alive(body["pid"])
        try:
            state = (body.get("owner"), path.stat().st_mtime_ns)
        except FileNotFoundError:
            return True
        before, since = self._seen.get(path, (None, 0.0))
        if state != before:
            self._seen[path] = (state, self.clock())
            return False
        return self.clock() - since > self.expiry

    def _bury(self, path: Path) -> bool:
        """Remove a dead lease; of several drivers one succeeds."""
        if not self.dead(path):
            return False
        grave = path.with_name(f".{path.name}.{self.owner}.tmp")
        owner = read(path).get("owner")
        try:
            os.rename(path, grave)
        except FileNotFoundError:
            return True  # given back meanwhile
        if read(grave).get("owner") != owner:
            # Another driver was faster and this is its lease: back with it.
            os.link(grave, path)
            grave.unlink()
            return False
        grave.unlink()
        return True


def read(path: Path) -> dict[str, object]:
    """Owner, process and host of a lease; empty where there is none or it was just made."""
    try:
        body = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}


def _alive(pid: object) -> bool:
    assert isinstance(pid, int)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's process
    return True


__all__ = ["EXPIRY", "SUFFIX", "Leases", "read"]
