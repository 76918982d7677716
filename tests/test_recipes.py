"""The recipes of docs/adding.md work as they are written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "adding.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.S)
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()]


def recipe(word):
    """The one block of Python that mentions ``word``."""
    (found,) = (block for block in PYTHON if word in block)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(command, tmp_path):
    (tmp_path / "my_models.py").write_text(recipe("def build"))
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    words = command.replace("'", "").split()
    words = [sys.executable, "-m", *(words[2:] if words[0] == "python" else words)]
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_claim_and_an_assumption_in_a_file_of_ones_own(tmp_path):
    stated = 'Source(None, "an example"))'
    text = recipe("def twice_the_bound").replace(stated, "Source(None), assumes=(one_sample,))")
    assert stated not in text
    (tmp_path / "mine.py").write_text(recipe("one_sample = ") + "\n" + text)
    words = ["run", "mine/twice-the-bound", "--claims-from", "mine.py", "--budget", "quick"]
    command, here = [sys.executable, "-m", "verify", *words], {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=here)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "survived" in done.stdout
