"""No module under theory imports torch or Hypothesis."""

import pkgutil
import subprocess
import sys
from pathlib import Path

import theory

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(m.name for m in pkgutil.walk_packages(theory.__path__, "theory."))


def test_theory_is_free_of_torch_and_hypothesis():
    assert len(NAMES) > 15
    code = (
        f"import importlib, sys\nfor n in {NAMES!r}: importlib.import_module(n)\n"
        "print({'torch', 'hypothesis'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "set()"
