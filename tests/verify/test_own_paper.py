"""Somebody else's paper: claims from a file of their own get all that the four papers' get."""

from pathlib import Path

import pytest

from tests.forked import python, run_pytest
from theory.claims import claim_named, claims, claims_from
from verify.app.cli import main
from verify.app.runner import Task, run
from verify.certificates import check

ROOT = Path(__file__).resolve().parents[2]
PAPER = ROOT / "docs" / "examples" / "best_terms.py"
pytest_plugins = ["pytester"]


def test_its_claims_stand_beside_the_four_papers(capsys):
    before = {c.id for c in claims()}
    own = claims_from(PAPER)
    assert [c.id for c in own] == [
        "best-terms/largest-entries-approximate-best",
        "best-terms/kept-sum-is-positive",
        "best-terms/kept-sum-keeps-its-sign",
    ]
    assert {c.id for c in claims()} >= before | {c.id for c in own}
    assert claim_named("best-terms/kept-sum-is-positive").repairs == "best-terms/kept-sum-keeps-its-sign"
    assert claims_from(PAPER) == own
    assert main(["list", "best-terms/*", "--claims-from", str(PAPER)]) == 0
    assert "3 claims: 2 proved, 1 refuted" in capsys.readouterr().out


def test_it_is_searched_in_other_processes():
    tasks = [Task(c.id, "quick", claims_from=(str(PAPER),)) for c in claims_from(PAPER)]
    rows = {e.row.claim: e.row for e in run(tasks, workers=2) if e.row}
    assert [rows[t.claim].verdict for t in tasks] == ["survived", "survived", "refuted"]
    assert not any(r.disagrees for r in rows.values())
    assert f"--claims-from {PAPER}" in rows[tasks[0].claim].reproduce


def test_a_command_of_its_own(tmp_path):
    words = ("ablate", "best-terms/*", "--budget", "quick", "--claims-from", str(PAPER))
    done = python("-m", "verify", *words, cwd=ROOT)
    assert "1 of 1 assumptions needed" in done.stdout


def test_pytest_runs_it_in_any_repository(pytester):
    result = run_pytest(pytester, "-m", "theorem", "--claims-from", str(PAPER))
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["best-terms/kept-sum-keeps-its-sign *false as stated (confirmed)*", "3 checks: *"])


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("nothing.py", "x = 1\n", "holds no claim"),
        ("broken.py", "1 / 0\n", "ZeroDivisionError while it was loaded"),
        ("sketching.py", "", "'sketching' is taken"),
        ("no.txt", "", "from a Python file"),
        (
            "shadow.py",
            "from dataclasses import dataclass\nfrom theory.instances import Instance\n\n"
            "@dataclass(frozen=True, eq=False)\nclass Sketch(Instance):\n    pass\n",
            "has a setting called Sketch already",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path, capsys, name, text, says):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=says):
        claims_from(path)
    assert main(["list", "--claims-from", str(path)]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_certificates_of_it_are_written_and_checked(tmp_path, capsys):
    words = ["run", "best-terms/kept-sum-keeps-its-sign", "--claims-from", str(PAPER), "--budget", "quick"]
    assert main([*words, "--seed", "1", "--save", str(tmp_path)]) == 0
    path = tmp_path / "best-terms--kept-sum-keeps-its-sign.json"
    assert check(path).confirmed
    path.write_text(path.read_text().replace('"keep": 1', '"keep": 3'))
    assert main(["check", str(path), "--claims-from", str(PAPER)]) == 2
