"""Start-up: `python -m verify list` and collecting `pytest -m theorem`, against importing numpy and Hypothesis.

Seconds are processor seconds of the child processes; commands alternate. Whether torch was imported is read
from the child's `sys.modules` when the command has ended: an import log on standard error would be captured
by pytest.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FLOOR = ("-c", "import numpy, hypothesis")
COLLECT = ("-m", "pytest", "-m", "theorem", "--collect-only", "-q", "-p", "no:cacheprovider")
COMMANDS = {
    "python -m verify list": (("-m", "verify", "list"), "< 3"),
    "pytest -m theorem --collect-only": (COLLECT, "no torch"),
}
_WRAPPED = """
import atexit, runpy, sys
path, module = sys.argv[1:3]
sys.argv = sys.argv[2:]
atexit.register(lambda: open(path, "w").write("torch" if "torch" in sys.modules else "none"))
sys.path.insert(0, "")
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def _seconds(arguments: tuple[str, ...]) -> float:
    before = os.times()
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    after = os.times()
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)} failed: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
    return after.children_user + after.children_system - before.children_user - before.children_system


def torch_imported(arguments: tuple[str, ...], cwd: Path = ROOT) -> bool:
    """Whether ``python -m MODULE ...`` has imported torch when it ends.

    Args:
        arguments: "-m", the module, and its arguments.
        cwd: where to run it.

    Raises:
        ValueError: it is not run as a module.
        RuntimeError: it ended without running to its end.
    """
    if arguments[0] != "-m":
        raise ValueError(f"only `python -m MODULE` can be looked into, not {' '.join(arguments)}")
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "torch"
        command = [sys.executable, "-c", _WRAPPED, str(told), *arguments[1:]]
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
        if not told.exists():
            raise RuntimeError(f"{' '.join(arguments)} failed: {done.stderr.strip().splitlines()[-1:]}")
        return told.read_text() == "torch"


def run(repeats: int = 5) -> list[dict[str, Any]]:
    """Median seconds of each command, its ratio to the floor (runs alternate), and whether it imports torch."""
    times: dict[str, list[float]] = {"floor": [], **{name: [] for name in COMMANDS}}
    for _ in range(repeats):
        times["floor"].append(_seconds(FLOOR))
        for name, (arguments, _goal) in COMMANDS.items():
            times[name].append(_seconds(arguments))
    floor = statistics.median(times["floor"])
    rows = [{"command": "import numpy, hypothesis (floor)", "seconds": floor, "ratio": 1.0, "goal": "", "torch": False}]
    for name, (arguments, goal) in COMMANDS.items():
        ratio = statistics.median(a / b for a, b in zip(times[name], times["floor"], strict=True))
        rows.append(
            {"command": name, "seconds": statistics.median(times[name]), "ratio": ratio, "goal": goal,
             "torch": torch_imported(arguments)}
        )  # fmt: skip
    return rows
