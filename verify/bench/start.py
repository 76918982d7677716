"""Start-up: `python -m verify list` and collecting `pytest -m theorem`, against importing numpy and Hypothesis."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FLOOR = ("-c", "import numpy, hypothesis")
COMMANDS = {
    "python -m verify list": ("-m", "verify", "list"),
    "pytest -m theorem --collect-only": (
        "-m",
        "pytest",
        "-m",
        "theorem",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
    ),
}


def _seconds(arguments: tuple[str, ...]) -> float:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)} failed: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
    return time.perf_counter() - start


def torch_imported(arguments: tuple[str, ...]) -> bool:
    """Whether the command imports torch, from the interpreter's own import log."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return any(line.rsplit("|", 1)[-1].strip() == "torch" for line in done.stderr.splitlines())


def run(repeats: int = 5) -> list[dict[str, Any]]:
    """Median seconds of each command, its ratio to the floor (runs alternate), and whether it imports torch."""
    times: dict[str, list[float]] = {"floor": [], **{name: [] for name in COMMANDS}}
    for _ in range(repeats):
        times["floor"].append(_seconds(FLOOR))
        for name, arguments in COMMANDS.items():
            times[name].append(_seconds(arguments))
    floor = statistics.median(times["floor"])
    rows = [{"command": "import numpy, hypothesis (floor)", "seconds": floor, "ratio": 1.0, "goal": "", "torch": False}]
    for name, arguments in COMMANDS.items():
        median = statistics.median(times[name])
        goal = "< 3" if "list" in name else "no torch"
        rows.append(
            {
                "command": name,
                "seconds": median,
                "ratio": median / floor,
                "goal": goal,
                "torch": torch_imported(arguments),
            }
        )
    return rows
