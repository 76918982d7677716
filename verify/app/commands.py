"""The commands of `verify.app.cli` that search: each takes the parsed options and returns the exit code."""

from __future__ import annotations

import argparse
import importlib
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from theory.claims import Claim, Status, claims, matching
from verify.app import page as html
from verify.app import runner
from verify.app import tables as report
from verify.app.recorded import recorded
from verify.app.runner import Row, Task
from verify.app.summary import ENUMERATED, in_words, summaries
from verify.search.budgets import budget_named
from verify.trials import files

REPORTS = Path("reports")


def everything(options: argparse.Namespace) -> int:
    """The main job: every claim on drawn instances and on trained models, a table and a report."""
    chosen = matching([options.claims])
    tasks = [] if options.no_models else _on_models(options, chosen)  # the longest first: none is waited for at the end
    tasks += [_task(options, c, "") for c in chosen]
    rows = _rows(tasks, options)
    if options.scale:
        rows = _with_empirical(rows, chosen, options)
    order = {c.id: i for i, c in enumerate(claims())}
    rows.sort(key=lambda r: (order[r.claim], r.on != runner.DRAWN))
    tests = recorded()
    if options.json:
        print(json.dumps([r.to_json() for r in rows], indent=1))
    else:
        found = summaries(rows, tests)
        if options.details:
            report.print_details(rows)
        else:
            report.print_table(found)
        report.print_remarks(found)
    from verify.trials.origin import of_search

    path = html.save(rows, REPORTS / "report.html", {**of_search(options.seed), "budget": options.budget}, tests)
    files.write(REPORTS / "report.json", json.dumps([r.to_json() for r in rows], indent=1) + "\n")
    print(f"report: {path}", file=sys.stderr if options.json else sys.stdout)
    return _code(rows, options)


def _task(options: argparse.Namespace, claim: Claim, model: str, data: str = "", drop: Sequence[str] = ()) -> Task:
    folder = options.data_dir if data != "digits" else ""
    return Task(
        claim.id, options.budget, options.seed, model, data, folder, options.samples, options.device, tuple(drop),
        options.seconds, claims_from=tuple(options.claims_from),
    )  # fmt: skip


def _on_models(options: argparse.Namespace, chosen: Sequence[Claim]) -> list[Task]:
    from verify.experiments import models
    from verify.trials import data as datasets

    runs = [(m, "digits") for m in ("linear", "tiny-relu", "relu")]
    if options.data_dir:
        name = options.data or "cifar10"
        datasets.load(name, data_dir=options.data_dir, samples=1)
        runs += [(m, name) for m in ("linear", "tiny-relu", "cnn")]
    return [
        _task(options, c, model, data)
        for model, data in runs
        for c in chosen
        if c.status is not Status.EMPIRICAL and c.setting in models.trained_settings(model)
    ]


def _rows(tasks: Sequence[Task], options: argparse.Namespace, *, quiet: bool = False) -> list[Row]:
    rows: list[Row] = []
    try:
        rows.extend(report.watched(runner.run(tasks, workers=options.workers), quiet=quiet or options.json))
    except KeyboardInterrupt:
        options.interrupted = True
        print(f"interrupted: {len(rows)} of {len(tasks)} checks were made", file=sys.stderr)
    asked = {t.reproduce: n for n, t in enumerate(tasks)}  # they finish in any order
    return sorted(rows, key=lambda r: asked[r.reproduce])


def _with_empirical(rows: list[Row], chosen: Sequence[Claim], options: argparse.Namespace) -> list[Row]:
    from verify.experiments.decide import STUDIES, decide_empirical

    studied = {c.id: c for c in chosen if c.status is Status.EMPIRICAL and c.id in STUDIES}
    kept = [r for r in rows if r.claim not in studied]
    for identity, claim in studied.items():
        outcome = decide_empirical(identity, options.scale, jobs=options.workers, quiet=options.json)
        kept.append(
            Row(
                claim=identity, title=claim.title, statement=claim.statement, status=str(claim.status),
                source=str(claim.source), on=f"{outcome.trials} trials ({outcome.scale})", verdict=outcome.verdict,
                how=f"e-process (error probability {outcome.alpha:g})", reasons=outcome.reasons,
            )
        )  # fmt: skip
    return kept


def run(options: argparse.Namespace) -> int:
    """Some claims, with all details."""
    chosen = matching(options.claim)
    for name in options.drop:
        for c in chosen:
            c.assumption(name)
    tasks = [_task(options, c, options.on, options.data, options.drop) for c in chosen]
    rows = _rows([replace(t, replay=options.replay) for t in tasks], options)
    if options.scale:
        rows = _with_empirical(rows, chosen, options)
    _shown(rows, options)
    if options.save:
        from verify import certificates

        for r in rows:
            if r.certificate:
                path = certificates.save(r.certificate, Path(options.save) / f"{r.claim.replace('/', '--')}.json")
                print(f"certificate: {path}", file=sys.stderr)
    return _code(rows, options)


def _shown(rows: Sequence[Row], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps([r.to_json() for r in rows], indent=1))
    else:
        report.print_rows(rows)


def _enumerated_only(row: Row) -> bool:
    """Whether nothing was decided since the claim asks for every path."""
    return not row.examples and any(ENUMERATED[0] in why for why in row.reasons)


def falsify(options: argparse.Namespace) -> int:
    """Every claim on one architecture: rows as they are decided, then what they come to."""
    from verify.app import architecture
    from verify.experiments import models
    from verify.networks.claims.report import check_report

    check_report(options.report)
    with architecture.terminable() as terminated:
        subject = models.subject(
            options.on, data=options.data, data_dir=options.data_dir, seed=options.seed, samples=options.samples
        )
        chosen = [c for c in matching([options.claims]) if c.status is not Status.EMPIRICAL]
        if getattr(subject, "report", None) is None:
            rows = _rows([_task(options, c, options.on, options.data) for c in chosen], options)
            _shown(rows, options)
            return _code(rows, options)
        return _on_module(options, subject, chosen, terminated)


def _on_module(options: argparse.Namespace, subject: Any, chosen: Sequence[Claim], terminated: list[int]) -> int:
    from verify.app import architecture
    from verify.networks.claims.examine import described, examined
    from verify.networks.claims.report import write_report
    from verify.networks.claims.subject import about_networks

    about = [c for c in chosen if about_networks(c)]
    tasks = [_task(options, c, options.on, options.data) for c in subject.in_order(about)]
    screen, rows, code = report.console(), list[Row](), 0
    if not options.json:
        first = described(subject)
        screen.print(f"{first.name}: {first.summary}\n", markup=False, soft_wrap=True)
    try:
        # In this process: what the claims share is recorded and computed once.
        for row in report.watched(runner.run(tasks, workers=1), quiet=options.json):
            rows.append(row)
            if not options.json and (options.all or not _enumerated_only(row)):
                architecture.print_decided(row)
    except KeyboardInterrupt:
        code = 143 if terminated else 130
        print(f"stopped: {len(rows)} of {len(tasks)} claims were looked at", file=sys.stderr)
    place = {c.id: n for n, c in enumerate(chosen)}
    rows.sort(key=lambda r: place[r.claim])
    if options.json:
        print(json.dumps([r.to_json() for r in rows], indent=1))
    found = None
    if not options.json or options.report:
        found = examined(subject, rows, facts=not code, unreached=len(tasks) - len(rows))
    if found is not None and not options.json:
        screen.print()
        screen.print(str(found), markup=False, soft_wrap=True)
        for row in rows if options.all else [r for r in rows if r.disagrees]:
            if row.reasons or row.counterexample:
                screen.print(f"\n{row.claim}: {in_words(row)}", style="bold", markup=False)
                report.print_counterexample(row, screen)
        screen.print("\n--all shows every counterexample and the command that finds it again.", style="dim")
    if found is not None and options.report:
        write_report(options.report, found)
        print(f"report: {options.report}", file=sys.stderr)
    return 1 if any(r.disagrees for r in rows) else code


def ablate(options: argparse.Namespace) -> int:
    """Which hypotheses does each theorem need?"""
    if not options.claim and not options.all:
        raise ValueError("name claims, or --all for every proved one")
    from verify.power.ablation import ablate as search
    from verify.power.ablation import needed

    budget = budget_named(options.budget)
    rows: list[dict[str, Any]] = []
    chosen = matching(options.claim or ["*"])
    for claim in chosen:
        outcomes = search(claim, examples=budget.examples, seconds=options.seconds, seed=options.seed)
        for name, outcome in outcomes.items():
            found = outcome.counterexample
            rows.append({
                "claim": claim.id, "without": name, "is": needed(outcome),
                "counterexample": "" if found is None else found.summary(),
            })  # fmt: skip
    if options.json:
        print(json.dumps(rows, indent=1))
    elif rows:
        report.print_dicts(rows)
        count = sum(r["is"].startswith("needed") for r in rows)
        print(f"\n{count} of {len(rows)} assumptions needed")
    else:
        for claim in chosen:
            print(f"{claim.id} is {_nothing_to_drop(claim)}")
    return 0


def _nothing_to_drop(claim: Claim) -> str:
    if claim.status is Status.PROVED:
        return "proved without assumptions: nothing to drop"
    return f"{claim.status}: only hypotheses of proved claims are dropped"


def sharpness(options: argparse.Namespace) -> int:
    """How small an error would be seen?"""
    from verify.power.sharpness import sharpness as measure

    budget = budget_named(options.budget)
    rows: list[dict[str, Any]] = []
    for claim in matching(options.claim):
        if claim.status is Status.PROVED:
            one = measure(claim, examples=budget.examples, seconds=options.seconds, seed=options.seed)
            rows.append({"claim": claim.id, "error seen": one.smallest_change, "why not smaller": one.reason})
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        report.print_dicts([{**r, "error seen": _per_cent(r["error seen"])} for r in rows])
    return 0


def _per_cent(change: float) -> str:
    if math.isnan(change):
        return ""
    return f"{100 * change:g} %" if math.isfinite(change) else "none up to 50 %"


def docs(options: argparse.Namespace) -> int:
    """Record everything and write docs/claims.md."""
    from verify.studies import claims_page as pages

    if not options.render:
        budget = budget_named(options.budget)
        pages.collect(
            seed=options.seed, examples=budget.examples, workers=options.workers,
            only=options.only, progress=lambda identity: print(identity, file=sys.stderr),
        )  # fmt: skip
    from verify.studies import questions_page as questions
    from verify.studies import retitled

    for path in retitled.retitle():
        print(path)
    print(pages.write())
    print(questions.write())
    return 0


def bench(options: argparse.Namespace) -> int:
    """Measure, print, and save with provenance."""
    from verify.trials import write_csv
    from verify.trials.origin import of_search

    module = importlib.import_module(f"verify.bench.{options.name}")
    rows = module.run()
    report.print_dicts(rows)
    if hasattr(module, "summary"):
        for name, value in module.summary(rows).items():
            print(f"{name}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}")
    path = Path(options.csv) if options.csv else REPORTS / f"bench_{options.name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    about = module.about() if hasattr(module, "about") else {}
    write_csv(rows, path, provenance={**of_search(0), **about})
    print(f"rows: {path}")
    return 0


def _code(rows: Sequence[Row], options: argparse.Namespace) -> int:
    """1 where a verdict contradicts a status, 130 where ctrl-C stopped the search, else 0."""
    if any(r.disagrees for r in rows):
        return 1
    return 130 if options.interrupted else 0


def findings(options: argparse.Namespace) -> int:
    """Everything in docs/findings.md again, compared with the record."""
    import tempfile

    from verify.studies.findings import page

    if options.write:
        store = Path(options.store or "trials")
        written = page.write(store, jobs=options.workers, progress=lambda name: print(name, file=sys.stderr))
        print(f"written: {written}")
        return 0
    with tempfile.TemporaryDirectory(prefix="findings-") as fresh:
        checks = page.recompute(
            Path(options.store or fresh), long=options.all, jobs=options.workers, quiet=options.json,
            progress=None if options.json else lambda check: print(check, flush=True),
        )  # fmt: skip
    bad = [c for c in checks if c.problems]
    if options.json:
        print(json.dumps([{"what": c.what, "problems": c.problems, "skipped": c.skipped} for c in checks], indent=1))
    else:
        left = sum(bool(c.skipped) for c in checks)
        print(f"{len(checks)} parts: {len(checks) - len(bad) - left} as recorded, {len(bad)} not, {left} not computed")
    return int(bool(bad))
