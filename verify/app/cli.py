"""The command line: ``python -m verify [COMMAND]``.

Whatever a user gets wrong is one line on standard error and exit code 2. Exit code 1 means that a
verdict contradicts what is believed of a claim, 0 that none does.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from theory.claims import PAPERS
from verify.proofs.command import add_parser as add_prove
from verify.trials.command import add_parser as add_trials

BUDGETS = ("quick", "default", "thorough")
BENCHES = ("ntk", "paths", "pruning", "search", "seeds", "alarms", "sequential", "training", "scaling", "start",
           "architectures", "sweeps", "zoo", "power")  # fmt: skip

NEEDS_CHECKOUT = {"findings": "verify.studies", "docs": "verify.studies", "bench": "verify.bench"}

_EXAMPLES = """\
examples:
  python -m verify                                    every claim, drawn and on models trained on digits
  python -m verify --data-dir ../shared/data/cifar10  ... and on CIFAR-10 images
  python -m verify list 'path-exclusion/*'            what claims there are
  python -m verify show sketching/transfer-literal    what one says, assumes, and where it stands
  python -m verify run path-exclusion/trace-bound --budget thorough
  python -m verify falsify --on my_models.py:build    which claims apply to your architecture, and do they hold
  python -m verify prove --all --shapes small         every claim for all real numbers, on small shapes
  python -m verify ablate --all                       which hypotheses does each theorem really need
  python -m verify check counterexample.json          decide a certificate again, without torch
  python -m verify findings                           every number of docs/findings.md again
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m verify",
        description="Check the claims of the papers on pruning at initialisation: search for counterexamples, decide "
        "them exactly, certify them. Without a command: every claim, a table, and a report under reports/.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _budget(parser, top=True)
    _data(parser, top=True)
    parser.add_argument(
        "--claims", metavar="GLOB", default="*", help="only claims whose id matches, e.g. 'sketching/*'"
    )
    parser.add_argument("--no-models", action="store_true", help="drawn instances only, no trained models")
    parser.add_argument(
        "--scale",
        choices=("smoke", "small", "full"),
        help="also decide the EMPIRICAL claims, from trials of that scale",
    )
    parser.set_defaults(interrupted=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    one = commands.add_parser("list", help="all claims with their status")
    one.add_argument("glob", nargs="?", default="*", help="only ids that match")
    one.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="machine-readable")
    _own_claims(one)

    one = commands.add_parser("show", help="what a claim says, assumes, and where it stands")
    one.add_argument("claim", help="id of a claim")
    _own_claims(one)

    one = commands.add_parser("run", help="search for counterexamples to some claims")
    one.add_argument("claim", nargs="+", help="ids or globs")
    one.add_argument(
        "--on", metavar="MODEL", default="",
        help="linear, tiny-relu, relu or cnn (trained here), FILE.py:FACTORY, zoo:NAME or timm:NAME; "
        "without it instances are drawn",
    )  # fmt: skip
    one.add_argument("--drop", metavar="ASSUMPTION", action="append", default=[], help="do not require an assumption")
    one.add_argument("--save", metavar="DIR", help="write the certificates of counterexamples there")
    one.add_argument(
        "--scale", choices=("smoke", "small", "full"), default=argparse.SUPPRESS,
        help="decide the EMPIRICAL ones among them, from trials of that scale (kept under trials/)",
    )  # fmt: skip
    _budget(one)
    _data(one)

    one = commands.add_parser(
        "falsify", help="every claim on your architecture: what applies, what fails, and why",
        description="Every claim on one module. FILE.py:FACTORY names a function without arguments that returns a "
        "torch.nn.Module, or a module and an example input.",
    )  # fmt: skip
    one.add_argument("--on", metavar="MODEL", required=True, help="FILE.py:FACTORY, zoo:NAME or timm:NAME")
    one.add_argument("--claims", metavar="GLOB", default="*", help="only claims whose id matches")
    one.add_argument("--all", action="store_true", help="show claims that are not about networks on data, too")
    one.add_argument("--report", metavar="FILE.md", default="", help="write what was found as Markdown")
    _budget(one)
    _data(one)

    one = commands.add_parser("ablate", help="drop each assumption and search: is it needed?")
    one.add_argument("claim", nargs="*", help="ids or globs")
    one.add_argument("--all", action="store_true", help="every proved claim")
    _budget(one)

    one = commands.add_parser("sharpness", help="how small an error in each constant would be seen?")
    one.add_argument("claim", nargs="*", default=["*"], help="ids or globs; all proved claims without it")
    _budget(one)

    add_prove(commands)
    add_trials(commands)

    one = commands.add_parser("check", help="decide a certificate again, without torch")
    one.add_argument("certificate", nargs="+", help="JSON files")
    _own_claims(one)

    one = commands.add_parser("docs", help="search, ablate and measure everything; write docs/claims.md")
    one.add_argument("--render", action="store_true", help="only write the page from results/claims.json")
    one.add_argument("--only", metavar="CLAIM", action="append", help="record only these claims anew")
    _budget(one)

    one = commands.add_parser(
        "findings", help="compute every number of docs/findings.md again and compare",
        description="Decide every certificate of docs/findings.md again, run the trials behind its tables anew and "
        "compare with the record. Minutes; with --all hours.",
    )  # fmt: skip
    one.add_argument("--all", action="store_true", help="also the studies that take hours, and need CIFAR-10")
    one.add_argument("--write", action="store_true", help="record anew: certificates, tables, docs/findings.md")
    one.add_argument(
        "--store", metavar="DIR", default="",
        help="folder of finished trials to use and to add to; without it everything is run anew",
    )  # fmt: skip
    _budget(one)

    one = commands.add_parser("bench", help="ratios against peers and floors")
    one.add_argument("name", choices=BENCHES, help="what to measure")
    one.add_argument("--csv", metavar="FILE", help="where to write the rows (default reports/bench_NAME.csv)")

    return parser


def _budget(parser: argparse.ArgumentParser, *, top: bool = False) -> None:
    def default(value: object) -> object:
        # Before or after the command: a default of the command's own would overwrite what stands before it.
        return value if top else argparse.SUPPRESS

    parser.add_argument(
        "--budget", choices=BUDGETS, default=default("default"), help="how hard to search (default: default)"
    )
    parser.add_argument("--seed", type=int, default=default(None), help="seed of everything random (default: 0)")
    parser.add_argument(
        "--json", action="store_true", default=default(False), help="machine-readable rows on standard output"
    )
    parser.add_argument("--workers", type=int, default=default(2), help="processes (default: 2)")
    _own_claims(parser, top=top)
    parser.add_argument(
        "--seconds", type=float, default=default(None),
        help="stop each search after so many seconds and say so (default: no limit; then the clock decides nothing)",
    )  # fmt: skip


def _own_claims(parser: argparse.ArgumentParser, *, top: bool = False) -> None:
    parser.add_argument(
        "--claims-from", metavar="FILE.py", action="append", default=[] if top else argparse.SUPPRESS,
        help="a file of your own with claims, beside the four papers' (see docs/adding.md)",
    )  # fmt: skip


def _data(parser: argparse.ArgumentParser, *, top: bool = False) -> None:
    def default(value: object) -> object:
        return value if top else argparse.SUPPRESS

    parser.add_argument(
        "--data",
        default=default(""),
        help="data set: digits, gaussian, cifar10, cifar100, fashion-mnist, tiny-imagenet",
    )
    parser.add_argument("--data-dir", default=default(""), metavar="DIR", help="folder of a data set as Parquet files")
    parser.add_argument(
        "--samples", type=int, default=default(8), help="inputs given to a model that is not trained here (default: 8)"
    )
    parser.add_argument(
        "--device", default=default("cpu"), help="where models are trained; verdicts are computed on the CPU"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = _parser().parse_args(arguments)
    options.replay = options.seed is None  # who names a seed wants what it did, not what an earlier run has found
    options.seed = options.seed or 0
    return _guarded(lambda: _dispatch(options))


def _guarded(command: object) -> int:
    try:
        return command()  # type: ignore[operator]
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (KeyError, ValueError, OSError, ModuleNotFoundError) as e:
        if isinstance(e, ModuleNotFoundError) and (e.name or "").split(".")[0] in ("theory", "verify", "figures"):
            raise
        message = str(e.args[0]) if isinstance(e, KeyError) and e.args else str(e)
        print(f"python -m verify: {' '.join(message.split())}", file=sys.stderr)
        return 2


def _dispatch(options: argparse.Namespace) -> int:
    for path in options.claims_from:
        from theory.claims import claims_from

        claims_from(path)
    if options.command == "list":
        return _list(options)
    if options.command == "show":
        return _show(options)
    if options.command == "check":
        return _check(options)
    if options.command == "trials":
        from verify.trials.command import run as of_trials

        return of_trials(options)
    if options.command == "prove":
        from verify.proofs.command import run

        return run(options)
    if options.command in NEEDS_CHECKOUT:
        _in_checkout(options.command)
    folder = getattr(options, "data_dir", "")
    if folder and not Path(folder).is_dir():
        raise ValueError(f"--data-dir: no such folder: {folder}")
    from verify.app import commands

    return int(getattr(commands, options.command or "everything")(options))


def _in_checkout(command: str) -> None:
    """Studies and benchmarks are about this repository, and are not installed with the package.

    Raises:
        ValueError: there is no checkout.
    """
    try:
        importlib.import_module(NEEDS_CHECKOUT[command])
    except ImportError:
        raise ValueError(
            f"{command} needs a checkout of the repository: it compares with what is recorded there, "
            "and is not part of the installed package"
        ) from None


def _list(options: argparse.Namespace) -> int:
    import json
    from fnmatch import fnmatch

    from theory.claims import claims

    chosen = [c for c in claims() if fnmatch(c.id, options.glob)]
    if not chosen:
        raise ValueError(f"no claim matches {options.glob!r}; papers: {', '.join(p.replace('_', '-') for p in PAPERS)}")
    if options.json:
        print(json.dumps([{"id": c.id, "status": str(c.status), "title": c.title} for c in chosen], indent=1))
        return 0
    wide = max(len(c.id) for c in chosen)
    for c in chosen:
        print(f"{c.id:{wide}}  {c.status:9}  {c.title}")
    counts = ", ".join(
        f"{n} {s}" for s in ("proved", "refuted", "empirical", "open") if (n := sum(c.status == s for c in chosen))
    )
    print(f"\n{len(chosen)} claims: {counts}")
    return 0


def _show(options: argparse.Namespace) -> int:
    from theory.claims import claim_named

    claim = claim_named(options.claim)
    print(f"{claim.id}  ({claim.status})\n\n{claim.title}\n\n{claim.statement}\n")
    print(f"source: {claim.source}")
    print(f"about: {claim.setting.title}")
    for a in claim.assumptions:
        print(f"assumes {a.name}: {a.sentence}")
    if claim.slack:
        print(f"slack: {claim.slack}")
    if claim.twin:
        print(f"see also: {claim.twin}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from verify.certificates import CertificateError, check

    worst = 0
    for path in options.certificate:
        try:
            checked = check(path)
        except CertificateError as e:
            print(f"python -m verify: {e}", file=sys.stderr)
            worst = 2
            continue
        print(f"{path}: {checked.claim.id}\n  {checked.instance.summary()}\n  {checked.decision}\n  {checked}")
        worst = max(worst, 0 if checked.confirmed else 1)
    return worst
