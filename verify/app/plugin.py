"""The pytest plugin: every claim as a test, in this repository or on anybody's architecture.

``pytest -m theorem`` here runs each claim by itself (see tests/theorems/test_claims.py). With
``--theorem-architecture FILE.py:FACTORY`` (or ``--architecture``, unless another plugin has that name)
every claim is checked on that module, in any repository: the tests are added by the plugin, none has
to be written. Nothing heavy is imported until a claim is run.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
from collections.abc import Generator, Iterator
from typing import Any

import pytest

ROWS = "_pruning_theorems_rows"
SHORT = {"--architecture": "store", "--claims": "store", "--claims-from": "append"}
"""Names without the prefix, for those options that no other plugin has."""


def _dest(short: str) -> str:
    return f"theorem_{short[2:].replace('-', '_')}"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options; their short names come later, in `pytest_load_initial_conftests`."""
    group = parser.getgroup("theorem", "claims about pruning at initialisation (pruning-theorems)")
    group.addoption(
        "--theorem-architecture", metavar="FILE.py:FACTORY", default="",
        help="check every claim on this module (also zoo:NAME, timm:NAME)",
    )  # fmt: skip
    group.addoption(
        "--theorem-budget",
        choices=("quick", "default", "thorough"),
        default=None,
        help="how hard to search (default: as --hypothesis-profile if that is quick or thorough, else quick)",
    )
    group.addoption(
        "--theorem-claims", metavar="GLOB", default="*", help="only claims whose id matches, e.g. 'path-exclusion/*'"
    )
    group.addoption(
        "--theorem-claims-from", metavar="FILE.py", action="append", default=[],
        help="a file of your own with claims: each becomes a test (see docs/adding.md)",
    )  # fmt: skip
    group.addoption(
        "--theorem-seed", type=int, default=None,
        help="seed of the searches (default: 0, after what earlier runs have found was tried again)",
    )  # fmt: skip


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(parser: pytest.Parser) -> Generator[None, None, None]:
    """Short names where they are free: only now has every other plugin taken the names that it wants."""
    yield
    group = parser.getgroup("theorem")
    for short, action in SHORT.items():
        with contextlib.suppress(argparse.ArgumentError, ValueError):
            group.addoption(short, dest=_dest(short), action=action, default=argparse.SUPPRESS,
                            help=f"the same as --theorem-{short[2:]}")  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """The marker, the list that the summary reads, and the profiles before Hypothesis's plugin loads one."""
    if config.getoption("--hypothesis-profile", None):
        from verify.search.examples import register_profiles

        register_profiles()
    config.addinivalue_line("markers", "theorem: a claim of one of the papers, searched for a counterexample")
    setattr(config, ROWS, [])


class ClaimItem(pytest.Item):
    """One claim on the given architecture."""

    def __init__(self, *, claim: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.claim = claim
        self.add_marker(pytest.mark.theorem)

    def runtest(self) -> None:
        """Run it; a proved claim that is refuted, or a module that cannot be loaded, fails."""
        row = run(self.config, self.claim)
        if row.verdict == "not applicable":
            pytest.skip("not applicable: " + ("; ".join(row.reasons) or "no reason given"))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The message alone: the traceback says nothing about the architecture."""
        if isinstance(excinfo.value, AssertionError | ValueError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Where it comes from."""
        architecture = self.config.getoption("--theorem-architecture")
        return self.path, None, f"{self.claim} on {architecture}" if architecture else self.claim


class _Claims(pytest.Collector):
    def collect(self) -> Iterator[pytest.Item]:
        own = () if self.config.getoption("--theorem-architecture") else _own_claims(self.config)
        for identity in own or claim_ids(self.config):
            yield ClaimItem.from_parent(self, name=identity, claim=identity)


def _own_claims(config: pytest.Config) -> list[str]:
    """Ids of the claims of ``--claims-from``, which are loaded."""
    from theory.claims import claims_from

    try:
        return [c.id for path in config.getoption("--theorem-claims-from") for c in claims_from(path)]
    except ValueError as e:
        raise pytest.UsageError(str(e)) from None


def claim_ids(config: pytest.Config, *, empirical: bool = False) -> list[str]:
    """Ids of the claims that ``--claims`` selects; those decided by experiments only if asked for."""
    from theory.claims import Status, claims

    _own_claims(config)
    pattern = config.getoption("--theorem-claims")
    chosen = [
        c.id for c in claims() if fnmatch.fnmatch(c.id, pattern) and (empirical or c.status is not Status.EMPIRICAL)
    ]
    if not chosen:
        raise pytest.UsageError(f"--theorem-claims {pattern!r} matches no claim; `python -m verify list` shows all")
    return chosen


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the claims on the architecture, or those of one's own, before ``-m`` and ``-k`` select among all tests."""
    ours = [i for i in items if "theorems" in i.nodeid and "test_claims" in i.nodeid]
    if not config.getoption("--theorem-architecture") and (ours or not config.getoption("--theorem-claims-from")):
        return
    _check_architecture(config)
    collector = _Claims.from_parent(session, name="claims", nodeid="claims")
    added = list(collector.collect())
    for item in ours:
        items.remove(item)
    items.extend(added)


def _check_architecture(config: pytest.Config) -> None:
    from verify.networks.claims.names import check_spec

    architecture = config.getoption("--theorem-architecture")
    if architecture:
        try:
            check_spec(architecture)
        except ValueError as e:
            raise pytest.UsageError(f"--theorem-architecture: {e}") from None


def budget(config: pytest.Config) -> str:
    """The name of the budget: ``--theorem-budget``, else that of the Hypothesis profile asked for, else quick."""
    profile = config.getoption("--hypothesis-profile", None)
    return config.getoption("--theorem-budget") or (profile if profile in ("quick", "thorough") else "quick")


def run(config: pytest.Config, identity: str) -> Any:
    """Search one claim with the session's options; record its row; fail where verdict and status disagree.

    Raises:
        AssertionError: the verdict contradicts the claim's status.
        ValueError: the architecture cannot be loaded.
    """
    from theory.claims import Status, claim_named
    from verify.app.runner import Task, run_task

    seed = config.getoption("--theorem-seed")
    # What makes a test fail is tried again; a claim known to be false is to be found anew by the search.
    replay = seed is None and claim_named(identity).status is not Status.REFUTED
    own = tuple(config.getoption("--theorem-claims-from"))
    task = Task(
        identity, budget(config), seed or 0, config.getoption("--theorem-architecture"), replay=replay, claims_from=own
    )
    row = run_task(task)
    getattr(config, ROWS).append(row)
    if row.disagrees:
        raise AssertionError("\n".join(x for x in (
            f"{row.claim} on {row.on}: {row.verdict}, {row.disagrees}", row.counterexample, row.decision,
            *row.reasons, f"reproduce: {row.reproduce}") if x))  # fmt: skip
    return row


def pytest_report_header(config: pytest.Config) -> str | None:
    """What is searched, where an architecture is given."""
    architecture = config.getoption("--theorem-architecture")
    return f"theorems on {architecture}, budget {budget(config)}" if architecture else None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Attach the row to the report, so that it survives pytest-xdist."""
    outcome = yield
    if call.when == "call" and item.get_closest_marker("theorem"):
        rows, report = getattr(item.config, ROWS), outcome.get_result()  # type: ignore[attr-defined]
        report.user_properties.extend(("theorem", row.to_json()) for row in rows)
        rows.clear()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table, claim by claim."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "theorem":
                    found[value["claim"], value["on"]] = value
    if not found:
        return
    from verify.app.runner import Row
    from verify.app.summary import counted, in_words
    from verify.app.tables import how, number

    write = terminalreporter.write_line
    terminalreporter.section("theorems")
    rows = [Row(**value) for _, value in sorted(found.items())]
    wide = max(len(r.claim) for r in rows)
    for r in rows:
        line = f"{r.claim:{wide}}  {in_words(r):27}  {f'{how(r)} {counted(r)}':16} {r.size or number(r.margin):>10}"
        write(line.rstrip()[: max(120, terminalreporter._tw.fullwidth)], red=bool(r.disagrees))
    write("margin: the least (right - left) / max(|left|, |right|) that was seen, or the counterexample's size")
    counts = {v: sum(r.verdict == v for r in rows) for v in dict.fromkeys(r.verdict for r in rows)}
    write(f"{len(rows)} checks: " + ", ".join(f"{n} {v}" for v, n in counts.items()))
