"""One thread a process: the tests run on two. `pytest -m theorem` imports only the files that have such tests."""

import ast
import os
import subprocess
import sys

import pytest

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def pytest_addoption(parser):
    """``--busy 6``: the same tests must pass beside processes that want the processor."""
    parser.addoption("--busy", type=int, default=0, metavar="N", help="run beside N busy loops")


@pytest.fixture(scope="session", autouse=True)
def busy_loops(request):
    """The loops of ``--busy``; with xdist those of the first worker only."""
    first = getattr(request.config, "workerinput", {}).get("workerid", "gw0") == "gw0"
    loops = request.config.getoption("--busy") if first else 0
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    yield
    for other in others:
        other.kill()
        other.wait()


def pytest_ignore_collect(collection_path, config):
    """Leave out files without the mark when exactly it is asked for: importing them would import torch.

    Nothing is lost: a mark that a file's code does not name is on none of its tests. Files named on the
    command line are collected in any case.
    """
    if config.option.markexpr.strip() != "theorem" or collection_path.suffix != ".py":
        return None
    return None if _names_the_mark(collection_path.read_text(encoding="utf-8")) else True


def _names_the_mark(text):
    if "mark.theorem" not in text:
        return False
    nodes = (n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Attribute) and n.attr == "theorem")
    return any(getattr(n.value, "attr", "") == "mark" for n in nodes)
