"""The measuring of benchmarks: processes in turn, missing peers, memory, exponents, what a command imports."""

import itertools
import shutil

import pytest
import torch

from tests.forked import python
from verify.bench import ntk, pruning, scaling, start, training
from verify.bench.measure import Job, Measured, compare, growth, line
from verify.studies import benchmarks_page as pages


def test_competitors_take_turns_and_missing_ones_say_why(monkeypatch, tmp_path):
    (tmp_path / "jobs_of_a_test.py").write_text(
        "import time\n"
        "def log(path, name):\n"
        "    def run():\n"
        "        with open(path, 'a') as f:\n            f.write(name)\n"
        "        sum(range(200000 if name == 'a' else 800000))\n"
        "        return 2.5\n"
        "    return run\n"
        "def broken():\n    def run():\n        raise ValueError('no such thing')\n    return run\n"
        "def missing():\n    import no_such_package\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    path = str(tmp_path / "log")
    jobs = [Job(n, "jobs_of_a_test:log", {"path": path, "name": n}) for n in "ab"]
    jobs += [Job("broken", "jobs_of_a_test:broken"), Job("missing", "jobs_of_a_test:missing")]
    found = compare(jobs, repeats=3)
    # One turn to warm up, three, and one call for memory; a turn has as many calls as fit.
    turns = [(name, len(list(calls))) for name, calls in itertools.groupby((tmp_path / "log").read_text())]
    assert [name for name, _ in turns] == list("ab" * 5)
    assert turns[0][1] > 1
    assert turns[-1] == ("b", 1)
    assert len(found["a"].seconds) == 3
    assert found["a"].value == 2.5
    assert found["b"].ratio(found["a"]) > 2
    assert found["broken"].missing == "not measured: ValueError: no such thing"
    assert found["missing"].missing == "not measured: no_such_package is not installed"
    assert line("missing", found["missing"], found["a"])["note"] == found["missing"].missing
    assert line("b", found["b"], found["a"])["ratio"] == round(found["b"].ratio(found["a"]), 3)


def test_ratio_is_the_median_of_ratios_round_by_round():
    floor, ours = Measured(seconds=(1.0, 10.0, 2.0)), Measured(seconds=(2.0, 10.0, 6.0))
    assert ours.ratio(floor) == 2.0
    assert ours.spread(floor) == "1 .. 3"
    assert Measured(seconds=(4.0,)).ratio(floor) == 4.0


def test_growth_sees_memory_that_is_freed_again():
    def hold():
        torch.ones(24 << 18)

    hold()
    grown = growth(hold)
    if grown == 0:
        pytest.skip("this system does not tell the peak of memory")
    assert 23 << 20 <= grown <= 40 << 20


def test_chunks_hold_a_limit():
    limit = 32
    run = scaling.limited("resnet20", 6, limit)
    run()
    assert growth(run) <= limit << 20


def test_exponent():
    assert scaling.exponent([1, 2, 4], [3, 12, 48]) == pytest.approx(2)
    with pytest.raises(ValueError, match="positive"):
        scaling.exponent([1, 2], [0, 1])


def test_competitors_of_the_trace_agree():
    values = [float(ntk.job(who, "mlp 784-200-200-10", 2)()) for who in ("ntk_trace", "vmap(jacrev)")]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    with pytest.raises(KeyError, match="nobody"):
        ntk.job("nobody", "mlp 784-200-200-10", 2)


def test_all_ways_of_training_reach_the_same_loss():
    widths, samples = (5, 4, 3), 6
    alone = training.job("one at a time", widths, samples, copies=3, steps=4)()
    assert training.job("stack", widths, samples, copies=3, steps=4)() == pytest.approx(alone, rel=1e-5)


def test_published_synflow_prunes_as_ours_does():
    from verify.networks import zoo
    from verify.networks.scores.prune import prune

    module = zoo.build("resnet20", width=4)
    theirs = pruning.published_synflow(module, 3)
    ours = prune(module, "synflow", density=pruning.DENSITY, rounds=3, x=torch.ones(1, 3, 32, 32))
    different = sum(int((ours[n] != theirs[n].bool()).sum()) for n in theirs)
    assert different <= 4  # they keep one weight more or less a round


def test_torch_is_found_where_it_is_imported(tmp_path):
    assert not start.torch_imported(("-m", "verify", "list", "sketching/*"))
    (tmp_path / "test_one.py").write_text("import torch\n\n\ndef test_one():\n    assert torch\n")
    assert start.torch_imported(("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_one.py"), cwd=tmp_path)
    with pytest.raises(ValueError, match="MODULE"):
        start.torch_imported(("-c", "pass"))


def test_theorem_runs_here_do_not_import_torch():
    assert not start.torch_imported(start.COLLECT)


def test_theorem_runs_import_only_files_with_the_mark(tmp_path):
    shutil.copy(start.ROOT / "tests" / "conftest.py", tmp_path)
    marked = "import pytest\n\n\n@pytest.mark.theorem\ndef test_a():\n    pass\n"
    (tmp_path / "test_marked.py").write_text(marked)
    (tmp_path / "test_all.py").write_text(
        "import pytest\n\npytestmark = pytest.mark.theorem\n\n\ndef test_b():\n    pass\n"
    )
    (tmp_path / "test_other.py").write_text("import torch\n\nNOT = 'mark.theorem'\n\n\ndef test_c():\n    pass\n")

    def collected(*more):
        done = python("-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *more, cwd=tmp_path)
        return {t.split("::")[-1] for t in done.stdout.splitlines() if "::" in t}

    assert collected("-m", "theorem") == {"test_a", "test_b"}
    assert not start.torch_imported(start.COLLECT, cwd=tmp_path)
    # A file that is named is imported; any other expression sees every file.
    assert start.torch_imported((*start.COLLECT, "test_other.py"), cwd=tmp_path)
    assert collected("-m", "not theorem") == {"test_c"}


def test_tables_of_the_page_are_those_of_the_files(tmp_path):
    text = pages.PAGE.read_text()
    assert pages.filled(text) == text, "run `python -m verify.studies.benchmarks_page`"
    assert pages.PLOT.read_text() == pages.plot(), "run `python -m verify.studies.benchmarks_page`"
    assert text.count("<!-- table") == text.count("<!-- end -->") - 1 == 9
    assert text.count("<!-- verdict -->") == 1
    (tmp_path / "a.csv").write_text("# seed: 0\n# threads: 1\na,b\nx,0.12345\n")
    assert pages.table(tmp_path / "a.csv", ["b", "a"]) == "*threads: 1*\n\n| b | a |\n|---|---|\n| 0.123 | x |\n"
    with pytest.raises(ValueError, match="no column 'c'; it has a, b"):
        pages.table(tmp_path / "a.csv", ["c"])
