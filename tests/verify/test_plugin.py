"""The pytest plugin, on somebody's own architecture."""

from tests.forked import run_pytest

pytest_plugins = ["pytester"]

MODELS = """
import torch

def build():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).double()

def smooth():
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GELU(), torch.nn.Linear(4, 2)).double()

def broken():
    raise RuntimeError("no weights here")
"""


def run(pytester, *arguments):
    pytester.makepyfile(my_models=MODELS)
    return run_pytest(pytester, "-m", "theorem", "--claims", "path-exclusion/trace-bound*", *arguments)


def test_claims_are_added_in_any_repository(pytester):
    result = run(pytester, "--architecture", "my_models.py:build")
    result.assert_outcomes(passed=5, skipped=1)
    result.stdout.fnmatch_lines(["*path-exclusion/trace-bound * survived*"])


def test_deselected_theorems_do_not_run(pytester):
    pytester.makepyfile(my_models=MODELS, test_other="def test_one():\n    assert True\n")
    arguments = ("--architecture", "my_models.py:build", "--claims", "path-exclusion/trace-bound*")
    run_pytest(pytester, *arguments, "-m", "not theorem").assert_outcomes(passed=1, deselected=6)
    run_pytest(pytester, *arguments, "-k", "per-output").assert_outcomes(passed=1, deselected=6)
    run_pytest(pytester, *arguments).assert_outcomes(passed=6, skipped=1)


def test_the_summary_survives_xdist(pytester):
    result = run(pytester, "--architecture", "my_models.py:build", "-n", "2", "-p", "xdist")
    result.assert_outcomes(passed=5, skipped=1)
    result.stdout.fnmatch_lines(["6 checks: 5 survived, 1 not applicable"])


def test_what_does_not_apply_is_skipped_with_the_reason(pytester):
    result = run(pytester, "--architecture", "my_models.py:smooth", "-rs")
    outcomes = result.parseoutcomes()
    assert outcomes.get("skipped", 0) == 6, outcomes
    result.stdout.fnmatch_lines(["*GELU is not piecewise linear*"])


def test_a_factory_that_raises_is_one_line(pytester):
    result = run(pytester, "--architecture", "my_models.py:broken")
    result.assert_outcomes(failed=6)
    result.stdout.fnmatch_lines(["*no weights here*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_an_unknown_claim_is_a_usage_error(pytester):
    pytester.makepyfile(my_models=MODELS)
    result = run_pytest(pytester, "--architecture", "my_models.py:build", "--claims", "nothing/*")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*matches no claim*"])


def test_without_an_architecture_nothing_is_added(pytester):
    pytester.makepyfile("def test_one():\n    assert True\n")
    run_pytest(pytester).assert_outcomes(passed=1)


def test_collecting_theorems_imports_no_torch(pytester):
    pytester.makepyfile(my_models=MODELS)
    pytester.makeconftest(
        "import sys\ndef pytest_collection_finish(session):\n    print('torch imported:', 'torch' in sys.modules)\n"
    )
    result = pytester.runpytest_subprocess(
        "-m", "theorem", "--architecture", "my_models.py:build", "--collect-only", "-s", "--claims", "path-exclusion/*"
    )
    result.stdout.fnmatch_lines(["torch imported: False"])


def test_a_file_that_does_not_exist_is_a_usage_error_before_anything_runs(pytester):
    result = run_pytest(pytester, "-m", "theorem", "--theorem-architecture", "gone.py:build")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*there is no file 'gone.py'*"])


def test_the_options_have_prefixed_names(pytester):
    pytester.makepyfile(my_models=MODELS)
    arguments = ("--theorem-architecture", "my_models.py:build", "--theorem-claims", "path-exclusion/trace-bound")
    run_pytest(pytester, "-m", "theorem", *arguments).assert_outcomes(passed=1)


def test_other_plugins_may_have_the_short_names(pytester, monkeypatch):
    """One that is registered after this one, and a conftest, which comes later still."""
    pytester.makepyfile(
        my_models=MODELS,
        other="def pytest_addoption(parser):\n    parser.addoption('--architecture', default='theirs')\n",
        test_other="def test_theirs(request):\n    assert request.config.getoption('architecture') == 'arm'\n"
        "    assert request.config.getoption('claims') == 'none'\n",
    )
    pytester.makeconftest("def pytest_addoption(parser):\n    parser.addoption('--claims', default='')\n")
    monkeypatch.setenv("PYTEST_PLUGINS", "other")
    result = run_pytest(
        pytester, "--architecture", "arm", "--claims", "none",
        "--theorem-architecture", "my_models.py:build", "--theorem-claims", "path-exclusion/trace-bound",
    )  # fmt: skip
    result.assert_outcomes(passed=2)
