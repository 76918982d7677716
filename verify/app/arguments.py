"""The commands of ``python -m verify``, each with its arguments, its examples and the function that does it."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BUDGETS = ("quick", "default", "thorough")
SCALES = ("smoke", "small", "full")
SHAPES = ("small", "default", "large")
BENCHES = ("ntk", "paths", "pruning", "search", "seeds", "alarms", "sequential", "training", "scaling", "start",
           "architectures", "sweeps", "zoo", "power", "terms")  # fmt: skip


@dataclass(frozen=True)
class Argument:
    """What `argparse.ArgumentParser.add_argument` takes.

    Attributes:
        names: "claim", or "--claims".
        settings: the keywords.
        shared: it may stand before the command as well as behind it.
    """

    names: tuple[str, ...]
    settings: Mapping[str, Any]
    shared: bool = False


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        name: as it is typed.
        help: one line for the list of commands.
        run: "module:function"; the function takes the parsed options and returns the exit code.
        arguments: its arguments.
        examples: (what to type behind ``python -m verify``, what that does).
        description: more than ``help`` says, for the command's own ``--help``.
        needs: a package that only a checkout of the repository has, or "".
        commands: commands of its own.
    """

    name: str
    help: str
    run: str = ""
    arguments: tuple[Argument, ...] = ()
    examples: tuple[tuple[str, str], ...] = ()
    description: str = ""
    needs: str = ""
    commands: tuple[Command, ...] = field(default=())


def _one(*names: str, **settings: Any) -> Argument:
    return Argument(names, settings)


def _shared(*names: str, **settings: Any) -> Argument:
    return Argument(names, settings, shared=True)


def _flag(name: str, help: str) -> Argument:
    return _one(name, action="store_true", help=help)


_JSON = _shared("--json", action="store_true", default=False, help="machine-readable rows on standard output")
_WORKERS = _shared("--workers", type=int, default=2, help="processes (default: 2)")
_SECONDS = _shared("--seconds", type=float, default=None,
                   help="stop each search after so many seconds and say so (default: no limit; the clock decides "
                   "nothing)")  # fmt: skip
_OWN = _shared("--claims-from", metavar="FILE.py", action="append", default=[],
               help="a file of your own with claims, beside the four papers' (see docs/adding.md)")  # fmt: skip
_SEARCH = (
    _shared("--budget", choices=BUDGETS, default="default", help="how hard to search (default: default)"),
    _shared("--seed", type=int, default=None, help="seed of everything random (default: 0)"),
    _JSON, _WORKERS, _OWN, _SECONDS,
)  # fmt: skip
_DATA = (
    _shared("--data", default="", help="data set: digits, gaussian, cifar10, cifar100, fashion-mnist, tiny-imagenet"),
    _shared("--data-dir", default="", metavar="DIR", help="folder of a data set as Parquet files"),
    _shared("--samples", type=int, default=8, help="inputs given to a model that is not trained here (default: 8)"),
    _shared("--device", default="cpu", help="where models are trained; verdicts are computed on the CPU"),
)
_CLAIMS = _shared("--claims", metavar="GLOB", default="*", help="only claims whose id matches, e.g. 'sketching/*'")
_SCALE = _shared("--scale", choices=SCALES, default=None,
                 help="decide the EMPIRICAL claims anew, by trials of that scale (kept under trials/); without it the "
                 "table shows what is recorded")  # fmt: skip
_DETAILS = _shared("--details", action="store_true", default=False,
                   help="a line for each claim and thing it ran on, and every remark")  # fmt: skip
_DROP = _one("--drop", metavar="ASSUMPTION", action="append", default=[], help="do not require an assumption")
_IDS = "ids or globs, e.g. 'sketching/*'"

_STORE = _one("--trials", default="trials", metavar="DIR", help="where the trials are kept (default: trials)")
_EXPERIMENT = _one("experiment", nargs="?", default="", metavar="EXPERIMENT", help="part of an experiment's name")

_TRIALS = (
    Command("ls", "how many are finished, failed, in hand, by experiment", "verify.trials.command:ls",
            (_STORE, _EXPERIMENT), (("trials ls digits", "the experiments on digits"),)),
    Command("show", "one trial: parameters, results or failure, origin", "verify.trials.command:show",
            (_STORE, _one("id", metavar="ID", help="the first digits of its name, as `ls` and messages give it")),
            (("trials show 3fa9", "the trial whose name starts so"),)),
    Command("export", "write finished trials as one table", "verify.trials.command:export_table",
            (_STORE, _EXPERIMENT,
             _one("--csv", metavar="FILE", help="as CSV"),
             _one("--parquet", metavar="FILE", help="as Parquet"),
             _one("--code", metavar="HASH", help="only those made by this version of the code")),
            (("trials export same_law --csv same_law.csv", "one experiment as CSV"),)),
    Command("gc", "remove what killed runs left behind", "verify.trials.command:gc",
            (_STORE, _flag("--old", "also trials and failures of other code, and idle checkpoints"),
             _flag("--dry-run", "only say what would be removed")),
            (("trials gc --dry-run", "what would be removed"),)),
    Command("retry", "let failed trials run again in the next sweep", "verify.trials.command:retry",
            (_STORE, _EXPERIMENT), (("trials retry digits", "those of one experiment"),)),
)  # fmt: skip

COMMANDS = (
    Command(
        "list", "all claims with their status", "verify.app.lookup:list_claims",
        (_one("glob", nargs="?", default="*", help="only ids that match"), _JSON, _OWN),
        (("list 'path-exclusion/*'", "the claims of one paper"),),
    ),
    Command(
        "show", "what a claim says, assumes, and where it stands", "verify.app.lookup:show",
        (_one("claim", help="id of a claim"), _OWN),
        (("show sketching/transfer-literal", "a claim that is false as stated, and what is true instead"),),
    ),
    Command(
        "run", "search for counterexamples to some claims", "verify.app.commands:run",
        (_one("claim", nargs="+", help=_IDS),
         _one("--on", metavar="MODEL", default="",
              help="linear, tiny-relu, relu or cnn (trained here), FILE.py:FACTORY, zoo:NAME or timm:NAME; "
              "without it the search draws small instances by itself"),
         _DROP, _one("--save", metavar="DIR", help="write the certificates of counterexamples there"),
         _SCALE, *_SEARCH, *_DATA),
        (("run path-exclusion/trace-bound --budget thorough --seed 7", "a longer search, from another seed"),
         ("run path-exclusion/kernel-by-gradient --drop no-weight-twice", "is that assumption needed?")),
    ),
    Command(
        "falsify", "every claim on your architecture: what applies, what fails, and why",
        "verify.app.commands:falsify",
        (_one("--on", metavar="MODEL", required=True, help="FILE.py:FACTORY, zoo:NAME or timm:NAME"), _CLAIMS,
         _flag("--all", "show every counterexample and how to find it again"),
         _one("--report", metavar="FILE", default="", help="write what was found, with pictures: .md or .html"),
         *_SEARCH, *_DATA),
        (("falsify --on my_models.py:build", "your own network"),
         ("falsify --on zoo:resnet20 --report resnet20.md", "a network of the zoo, written as Markdown")),
        "Every claim on one module. FILE.py:FACTORY names a function without arguments that returns a "
        "torch.nn.Module, or a module and an example input.",
    ),
    Command(
        "ablate", "drop each assumption and search: is it needed?", "verify.app.commands:ablate",
        (_one("claim", nargs="*", help=_IDS), _flag("--all", "every proved claim"), *_SEARCH),
        (("ablate path-exclusion/residual-decay", "one theorem"),
         ("ablate --all", "which assumptions does each theorem need?")),
    ),
    Command(
        "sharpness", "how small an error in each constant would be seen?", "verify.app.commands:sharpness",
        (_one("claim", nargs="*", default=["*"], help=f"{_IDS}; all proved claims without it"), *_SEARCH),
        (("sharpness 'sketching/*'", "the theorems of one paper"),),
    ),
    Command(
        "prove", "prove claims for all real numbers on small shapes", "verify.proofs.command:run",
        (_one("claim", nargs="*", help=_IDS), _flag("--all", "every claim but the EMPIRICAL ones"),
         _one("--shapes", choices=SHAPES, default="default", help="how large (default: default)"),
         _DROP, _one("--save", metavar="DIR", help="write the certificates of proofs and counterexamples there"),
         _flag("--record", "prove and record what results/proofs_reals.csv lacks or holds for other code"),
         _flag("--again", "with --record: prove everything again"),
        _flag("--recheck", "prove what is recorded again on the first few shapes of each claim"),
        _flag("--hypotheses", "which assumptions the proofs on these shapes need"),
         _flag("--check", "the arguments are certificates of proofs: check them"), _JSON, _WORKERS, _SECONDS, _OWN),
        (("prove path-exclusion/trace-bound", "for all reals on networks of up to 6 weights"),
         ("prove --all --shapes small", "every claim, a table"),
         ("prove --all --save proofs/", "... and the certificates"),
         ("prove --all --record", "what results/proofs_reals.csv does not hold yet"),
        ("prove --recheck", "what is recorded, again on the first few shapes"),
         ("prove --check proofs/a.json", "check one with sympy and the claim itself")),
        "Run claims on symbols, once for each pattern of comparisons, and close what each path states. A "
        "goal that fails becomes an exact counterexample where one is found.",
    ),
    Command(
        "trials", "look at finished trials, export, tidy, let failed ones run again", commands=_TRIALS,
        examples=(("trials ls", "what has been trained, what failed and why"),),
    ),
    Command(
        "check", "decide a certificate again, without torch", "verify.app.lookup:check",
        (_one("certificate", nargs="+", help="JSON files"), _OWN),
        (("check docs/certificates/path-exclusion--no-collapse-literal.json", "exit code 0 if it refutes its claim"),),
    ),
    Command(
        "docs", "search, ablate and measure everything; write docs/claims.md", "verify.app.commands:docs",
        (_flag("--render", "only write the page from results/claims.json"),
         _one("--only", metavar="CLAIM", action="append", help="record only these claims anew"), *_SEARCH),
        (("docs --render", "the page again, after a change of words"),),
        needs="verify.studies",
    ),
    Command(
        "findings", "compute every number of docs/findings.md again and compare", "verify.app.commands:findings",
        (_flag("--all", "also the studies that take hours, and need CIFAR-10"),
         _flag("--write", "record anew: certificates, tables, docs/findings.md"),
         _one("--store", metavar="DIR", default="",
              help="folder of finished trials to use and to add to; without it everything is run anew"), *_SEARCH),
        (("findings", "every number of docs/findings.md again: minutes"),),
        "Decide every certificate of docs/findings.md again, run the trials behind its tables anew and "
        "compare with the record. Minutes; with --all hours.",
        needs="verify.studies",
    ),
    Command(
        "bench", "ratios against peers and floors", "verify.app.commands:bench",
        (_one("name", choices=BENCHES, help="what to measure"),
         _one("--csv", metavar="FILE", help="where to write the rows (default: reports/bench_NAME.csv)")),
        (("bench ntk", "the NTK's trace against other libraries'"),),
        needs="verify.bench",
    ),
)  # fmt: skip

EVERYTHING = Command(
    "", "", "verify.app.commands:everything",
    (_CLAIMS, _flag("--no-models", "only instances that the search draws, no trained models"), _DETAILS, _SCALE,
     *_SEARCH, *_DATA),
    (("", "every claim, on instances that are drawn and on models trained on digits"),
     ("--data-dir ../shared/data/cifar10", "... and on CIFAR-10 images"),
     ("--claims 'path-exclusion/*' --details", "one paper, with every check")),
    "Check the claims of the papers on pruning at initialisation: search for counterexamples, decide "
    "them exactly, certify them. Without a command: every claim, a table, and a report under reports/.",
    commands=COMMANDS,
)  # fmt: skip


def parser(command: Command = EVERYTHING) -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    made = argparse.ArgumentParser(prog="python -m verify", **_words(command))
    made.set_defaults(interrupted=False)
    _fill(made, command, top=True)
    return made


def _fill(made: argparse.ArgumentParser, command: Command, *, top: bool = False) -> None:
    for argument in command.arguments:
        # Before or after the command: a default of the command's own would overwrite what stands before it.
        default = {"default": argparse.SUPPRESS} if argument.shared and not top else {}
        made.add_argument(*argument.names, **{**argument.settings, **default})
    made.set_defaults(run=command.run, needs=command.needs)
    if command.commands:
        title = {"title": "commands"} if top else {}
        inner = made.add_subparsers(metavar="COMMAND", required=not command.run, **title)
        for one in command.commands:
            _fill(inner.add_parser(one.name, help=one.help, **_words(one)), one)


def _words(command: Command) -> dict[str, Any]:
    examples = command.examples + tuple(e for c in command.commands for e in c.examples[:1])
    lines = [f"  {f'python -m verify {typed}'.rstrip()}\n      {what}" for typed, what in examples]
    return {
        "description": textwrap.fill(command.description or f"{command.help[:1].upper()}{command.help[1:]}.", 78),
        "epilog": "\n".join(["examples:" if len(lines) > 1 else "example:", *lines]),
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


__all__ = ["COMMANDS", "EVERYTHING", "Argument", "Command", "parser"]
