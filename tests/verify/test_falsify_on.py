"""`falsify --on`: rows as they are decided, SIGTERM, whose belief is meant, and the report as a file."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from verify.app import architecture
from verify.app.cli import main
from verify.networks.claims.report import page

ROOT = Path(__file__).resolve().parents[2]
FACTORY = """
import torch
from torch import nn

def small():
    return nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)), torch.ones(2, 3)

def wide():
    return nn.Sequential(nn.Linear(24, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 5))
"""
CLAIMS = "path-exclusion/*trace*"


@pytest.fixture
def models(tmp_path):
    (tmp_path / "models.py").write_text(FACTORY)
    return str(tmp_path / "models.py")


@pytest.fixture
def shown(models, capsys):
    assert main(["--budget", "quick", "falsify", "--on", f"{models}:wide", "--claims", CLAIMS]) == 0
    return capsys.readouterr().out


def test_every_line_says_whose_belief_it_is(shown):
    rows = shown.split("\n\n")[1].splitlines()
    assert len(rows) > 5
    assert all(re.match(r"(theorem|false in general|does not apply)", r) for r in rows)
    for word in ("refuted", "survived", "$", "\\"):
        assert word not in shown


def test_what_the_module_is_comes_first_and_the_answer_last(shown):
    assert shown.splitlines()[0].endswith("3 layers, 2,845 parameters, 10^5.3 paths; 5 outputs, examined on 8 inputs")
    for head in ("Theorems that protect it", "Beliefs that fail on it", "What stays open"):
        assert head in shown.split("\n\n", 2)[2]


def test_a_small_network_is_said_in_the_same_words(models, capsys):
    assert main(["--budget", "quick", "falsify", "--on", f"{models}:small", "--claims", CLAIMS]) == 0
    out = capsys.readouterr().out
    assert "theorem, holds here" in out
    assert "on a variation, made small" in out
    assert "refuted" not in out


def test_rows_come_as_they_are_decided_and_are_kept_on_sigterm(models):
    """The process is stopped after its second theorem; what it had decided is in its answer."""
    words = [sys.executable, "-u", "-m", "verify", "--budget", "quick", "falsify", "--on", f"{models}:wide"]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seen = []
    for line in process.stdout:
        seen.append(line)
        if sum(row.startswith("theorem, holds") for row in seen) == 2:
            break
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 143
    assert re.search(r"stopped: \d+ of \d+ claims were looked at", errors)
    assert "Traceback" not in errors
    answer = "".join(seen) + out
    assert "Stopped early" in answer
    title = next(row for row in seen if row.startswith("theorem, holds")).strip()[32:60].strip()
    assert answer.count(title) >= 2


def test_terminable_restores_the_handler():
    before = signal.getsignal(signal.SIGTERM)

    def stopped():
        with architecture.terminable():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("kind", ["md", "html"])
def test_the_report_holds_the_answer_and_the_pictures(models, tmp_path, kind, capsys):
    target = tmp_path / f"wide.{kind}"
    words = ["--budget", "quick", "falsify", "--on", f"{models}:wide", "--claims", CLAIMS, "--report", str(target)]
    assert main(words) == 0
    text = target.read_text()
    for part in ("Theorems that protect it", "Beliefs that fail on it", "rank correlation of PX and SynFlow-L2", "10^"):
        assert part in text
    pictures = sorted(p.name for p in tmp_path.glob("*.svg"))
    if kind == "md":
        assert pictures == ["wide-scores.svg", "wide-spectrum.svg", "wide-survival.svg"]
        assert all(f"({p})" in text for p in pictures)
    else:
        assert not pictures
        assert text.count("data:image/svg+xml;base64,") == 3
        assert "<script" not in text


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_searched(models, capsys):
    for name, message in (("a.pdf", "neither .md nor .html"), ("nowhere/a.md", "there is no folder")):
        assert main(["falsify", "--on", f"{models}:wide", "--report", name]) == 2
        assert message in capsys.readouterr().err


def test_markdown_from_a_name_is_no_html():
    assert "<b>" not in page("<b>x</b>", "a <b>x</b>")
