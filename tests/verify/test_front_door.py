"""What `verify` and `theory` offer by name."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import theory
import verify

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", verify.__all__)
def test_every_public_name_is_there_and_stays_what_it_is(name):
    first = getattr(verify, name)
    assert callable(first) or name == "data"
    for module in ("verify.power.sharpness", "verify.power.ablation", "verify.networks.claims.assumptions",
                   "verify.networks.scores.prune"):  # fmt: skip
        importlib.import_module(module)
    assert getattr(verify, name) is first
    assert name in dir(verify)


def test_where_names_are_and_what_an_editor_reads_agree():
    assert sorted([*verify._WHERE, *verify._MODULES]) == sorted(verify.__all__)
    text = (ROOT / "verify" / "__init__.py").read_text()
    typed = text.split("if TYPE_CHECKING:")[1].split("__all__")[0]
    for name, module in verify._WHERE.items():
        assert any(
            name in line.split("import")[1] and f"from {module} " in line
            for line in typed.splitlines()
            if "import" in line
        )


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(AttributeError, match="it has ImageRecipe, Masks, Outcome, ablate"):
        _ = verify.nonsense


def test_importing_it_imports_neither_torch_nor_hypothesis():
    code = "import sys, verify, theory; print(sorted({'torch', 'hypothesis'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize("name", theory.__all__)
def test_every_public_name_of_theory_is_there(name):
    assert getattr(theory, name) is getattr(theory, name)
    assert name in dir(theory)


def test_an_unknown_name_of_theory_says_what_there_is():
    with pytest.raises(AttributeError, match="it has Assumption, Claim"):
        _ = theory.nonsense
