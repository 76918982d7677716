"""The hash of the code behind a trial: what it covers, and what changes it."""

import importlib
from pathlib import Path

import pytest

from tests.forked import python
from verify.trials import code

ROOT = Path(__file__).resolve().parents[2]

LOADED = """
import sys
import theory
from verify import trials
before = set(sys.modules)
from verify.experiments import MODULE
MODULE.NAME(**PARAMETERS)
print(*sorted(m for m in set(sys.modules) - before if m.split(".")[0] in ("theory", "verify", "figures")))
"""
CASES = [
    ("selfcheck", "mean_of_draws", {"seed": 0}),
    ("capacity", "same_law", {"method": "snip", "samples": 8, "steps": 2, "copies": 2, "seed": 0}),
    ("counts", "cover", {"kept": 2, "samples": [3], "repeats": 2, "seed": 0}),
    ("digits", "classify", {"method": "px", "density": 0.5, "steps": 2, "copies": 1, "seed": 0}),
    ("sketches", "synflow_scores", {"kind": "linear", "samples": 5, "seed": 0}),
    ("spectra", "spectrum", {"method": "px", "density": 0.5, "samples": 2, "copies": 1, "seed": 0}),
    ("searches", "smallest_change", {"claim": "sketching/mask-size", "examples": 20, "seed": 0}),
]


@pytest.mark.parametrize(("module", "name", "parameters"), CASES)
def test_what_an_experiment_loads_is_hashed(module, name, parameters):
    """Also what is imported inside functions or by computed names."""
    script = LOADED.replace("MODULE", module).replace("NAME", name).replace("PARAMETERS", repr(parameters))
    done = python("-c", script, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    found = getattr(importlib.import_module(f"verify.experiments.{module}"), name)
    hashed = set(code.closure(f"verify.experiments.{module}", found.also))
    modules = {m for m in loaded if ROOT.joinpath(*m.split(".")).with_suffix(".py").exists()}
    assert modules - set(code.MACHINERY) <= hashed
    assert f"verify.experiments.{module}" in hashed


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small tree of its own in place of the repository."""
    files = {
        "theory/a.py": '"""Doc."""\nX = 1\n',
        "verify/b.py": "def f():\n    from theory import a\n    return a.X\n",
        "verify/c.py": "from verify.b import f\n\n\ndef g():\n    '''Doc.'''\n    return f()\n",
        "verify/other.py": "Y = 1\n",
        "verify/extra/one.py": "Z = 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(code, "ROOT", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget():
    for cached in (code.fingerprint, code.closure, code._find, code._tree, code._imports, code._says):
        cached.cache_clear()


def test_the_hash_follows_lazy_imports_and_ignores_wording(tree):
    assert code.closure("verify.c") == ("theory.a", "verify.b", "verify.c")
    before = code.fingerprint("verify.c")

    def changed(name, text):
        old = (tree / name).read_text()
        (tree / name).write_text(text)
        forget()
        found = code.fingerprint("verify.c") != before
        (tree / name).write_text(old)
        forget()
        return found

    assert changed("theory/a.py", '"""Doc."""\nX = 2\n')
    assert not changed("theory/a.py", '"""Another."""\n\n# why\nX = 1\n')
    assert not changed("verify/other.py", "Y = 2\n")
    assert changed("verify/c.py", "from verify.b import f\n\n\ndef g():\n    return -f()\n")
    assert not changed("verify/c.py", "from verify.b import f\ndef g():\n    return f()  # as it is\n")


def test_packages_named_by_an_experiment_are_hashed_whole(tree):
    assert "verify.extra.one" in code.closure("verify.c", ("verify.extra",))
    with pytest.raises(ValueError, match=r"no source of verify\.nothing"):
        code.fingerprint("verify.nothing")
