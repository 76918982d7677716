"""What goes wrong in a file of one's own is one line that says where, before anything is searched."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from theory.paths import NetworkOnData
from verify.app.cli import main

ROOT = Path(__file__).resolve().parents[2]
HEAD = """
import numpy as np
from theory.claims import PROVED, Source, claim
from theory.paths import NetworkOnData
from theory.relations import at_most


@claim(NetworkOnData, PROVED, Source(None, "an example"))
def removal_costs_trace(instance: NetworkOnData):
    \"\"\"Removing a weight never raises the trace.\"\"\"
    return at_most(instance.trace_without(), {})
"""


@pytest.mark.parametrize(
    ("name", "right", "message"),
    [
        ("stacks_forgotten", "instance.ntk_trace()", "on a stack of 4 instances"),
        ("one_forgotten", "instance.ntk_trace()[..., None]", "on the instance h1 = "),
        ("misspelt", "instance.ntk_tarce()", "has no attribute 'ntk_tarce'"),
    ],
)
@pytest.mark.parametrize("command", ["run", "prove", "sharpness"])
def test_a_claim_that_cannot_be_evaluated(tmp_path, capsys, name, right, message, command):
    path = tmp_path / f"{name}_{command}.py"
    path.write_text(HEAD.format(right))
    assert main([command, f"{path.stem.replace('_', '-')}/removal-costs-trace", "--claims-from", str(path)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert f"{path}:{8 if name == 'stacks_forgotten' else 11}" in err
    assert "np.asarray(i.ntk_trace())[..., None]" in err
    assert err.count("\n") == 1


def test_the_page_names_what_there_is():
    page = (ROOT / "docs" / "your-paper.md").read_text()
    table = page[page.index("| on networks with data") :].split("\n\n")[0]
    names = re.findall(r"`(\w+)\(", table)
    assert len(names) >= 10
    assert all(callable(getattr(NetworkOnData, name)) for name in names)


def test_as_the_message_says(tmp_path, capsys):
    """The claim is false: beside a skip connection a removal can raise the trace."""
    path = tmp_path / "as_told.py"
    path.write_text(HEAD.format("np.asarray(instance.ntk_trace())[..., None]"))
    assert main(["run", "as-told/*", "--claims-from", str(path), "--budget", "quick"]) == 1
    assert "REFUTED, believed true" in capsys.readouterr().out


def test_without_what_it_needs_it_says_how_to_get_it():
    code = "import sys; sys.modules['flint'] = None; import runpy; runpy.run_module('verify', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code, "list"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("python -m verify: flint is not installed for ")
    assert ". .venv/bin/activate" in done.stderr
    assert done.stderr.count("\n") == 1
