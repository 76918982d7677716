"""The recipes of docs/adding.md, docs/your-paper.md and docs/your-architecture.md work as they are written."""

import os
import re
import shlex
from pathlib import Path

import pytest

from tests.forked import python

ROOT = Path(__file__).resolve().parents[1]
TEXT = "\n".join((ROOT / "docs" / f"{p}.md").read_text() for p in ("adding", "your-paper", "your-architecture"))
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.S)
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.S) for line in block.splitlines()]


def recipe(word):
    """The first block of Python that mentions ``word``."""
    return next(block for block in PYTHON if word in block)


def run(words, folder):
    done = python(*words, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(command, tmp_path):
    (tmp_path / "my_models.py").write_text(recipe("def build"))
    (tmp_path / "my_paper.py").write_text(recipe("def twice_the_bound"))
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    words = shlex.split(command, comments=True)
    words = ["-m", *(words[2:] if words[0] == "python" else words)]
    if "falsify" in words and "--budget" not in words:
        words += ["--budget", "quick", "--claims", "path-exclusion/trace-bound*"]
    if "pytest" in words and "--architecture" in words:
        words += ["-k", "trace-bound"]
    run(words, tmp_path)


def test_a_claim_and_an_assumption_in_a_file_of_ones_own(tmp_path):
    stated = 'Source(None, "an example"))'
    text = recipe("def twice_the_bound").replace(stated, "Source(None), assumes=(one_sample,))")
    assert stated not in text
    (tmp_path / "mine.py").write_text(recipe("one_sample = ") + "\n" + text)
    said = run(
        ["-m", "verify", "run", "mine/twice-the-bound", "--claims-from", "mine.py", "--budget", "quick"], tmp_path
    )
    assert "survived" in said


def test_the_architecture_from_python(tmp_path):
    (tmp_path / "my_models.py").write_text(recipe("def build"))
    program = recipe("from my_models import build").replace("examine(net, x)", "examine(net, x, examples=20)")
    (tmp_path / "use.py").write_text(program)
    assert "Theorems that protect it" in run(["use.py"], tmp_path)
