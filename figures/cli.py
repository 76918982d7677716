"""`python -m figures list | make`: regenerate the figures from trials."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from figures import registry

EPILOG = """\
examples:
  python -m figures list                          every figure and what it shows
  python -m figures make                          all of them, at scale smoke (minutes on two cores)
  python -m figures make same-law --scale small   one, with more seeds
  python -m figures make sketching                all figures of one paper
  python -m figures make --scale papers papers/px-resnet20-cifar10    a paper's table; says first what it costs
  python -m figures make --scale full --scheduler tcp://host:8786

Finished trials are kept (--trials) and never run twice; an interrupted run continues where it stopped, and several
runs on one folder share the work. `python -m verify trials` looks at them.
Each figure is written as PNG and PDF beside the CSV of the numbers in it, whose first lines say from which
seeds, versions and commit they come.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m figures",
        description="Regenerate the papers' figures, and ours, from trials.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="list|make")
    shown = commands.add_parser("list", help="name and title of every figure")
    shown.add_argument("--captions", action="store_true", help="with what each shows and how to read it")
    make = commands.add_parser("make", help="draw figures, running the trials that are missing")
    make.add_argument("names", nargs="*", metavar="NAME", help="figures or papers (default: all figures)")
    make.add_argument(
        "--scale",
        choices=("smoke", "small", "full", "papers"),
        default="smoke",
        help="how many trials (smoke); papers: the tables of the papers as they were run, by name, on a GPU",
    )
    make.add_argument("--out", default="figures/out", metavar="DIR", help="where figures go (figures/out)")
    make.add_argument("--csv", metavar="DIR", help="also put the CSVs there, e.g. results/figures, to be committed")
    make.add_argument("--png", metavar="DIR", help="also put small PNGs (128 colours) there, e.g. docs/figures")
    make.add_argument("--trials", default="trials", metavar="DIR", help="where finished trials are kept (trials)")
    make.add_argument("--jobs", type=int, metavar="N", help="processes on this machine (one a core)")
    make.add_argument("--scheduler", metavar="ADDRESS", help="run trials on this Dask scheduler (extra: cluster)")
    make.add_argument("--finished", action="store_true", help="run nothing: draw from the trials that are there")
    make.add_argument("--retry", action="store_true", help="run trials again that failed before")
    make.add_argument("--shard", metavar="I/N", help="only run the I-th of N parts of the trials, and draw nothing")
    make.add_argument("--quiet", action="store_true", help="no progress")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when done, 2 for bad input, 130 when interrupted."""
    options = parser().parse_args(arguments)
    from figures import registry

    try:
        if options.command == "list":
            width = max(len(f.name) for f in registry.figures())
            for f in registry.figures():
                print(f"{f.name:<{width}}  {f.title}")
                if options.captions:
                    print(textwrap.fill(f.caption, 110, initial_indent="    ", subsequent_indent="    ") + "\n")
            return 0
        return _make(options)
    except KeyboardInterrupt:
        print("interrupted; finished trials are kept, run the same command to continue", file=sys.stderr)
        return 130
    except (KeyError, ValueError, RuntimeError, OSError) as e:
        print(f"figures: {e.args[0] if isinstance(e, KeyError) else e}", file=sys.stderr)
        return 2


def _make(options: argparse.Namespace) -> int:
    from figures import registry
    from verify.trials import Store
    from verify.trials.data import DataError

    if options.jobs is not None and options.jobs < 1:
        raise ValueError(f"--jobs is a number of processes, at least 1, not {options.jobs}")
    chosen = registry.figures_named(options.names)
    if options.scale == "papers" and not options.names:
        raise ValueError(
            "--scale papers is for the tables named: "
            + ", ".join(f.name for f in registry.figures() if "papers" in f.scales)
        )
    if options.shard:
        return _shard(chosen, options)
    for wanted in chosen:
        start = time.monotonic()
        if wanted.name.startswith("papers/"):
            from verify.experiments import papers

            estimate = papers.cost(papers.configurations(wanted.name.split("/")[1], options.scale))
            print(f"{wanted.name}: {estimate}", flush=True)
        try:
            made = registry.make(
                wanted,
                scale=options.scale,
                store=Store(options.trials),
                out=options.out,
                jobs=options.jobs,
                scheduler=options.scheduler,
                quiet=options.quiet,
                finished=options.finished,
                retry=options.retry,
            )
        except DataError as e:
            if options.names:
                raise
            # One data set that is not here must not stop all other figures.
            print(f"{wanted.name}: left out, {e}", file=sys.stderr)
            continue
        _keep(made.csv, made.png, options)
        for failure in made.failures:
            print(f"{wanted.name}: left out, {failure}", file=sys.stderr)
        print(f"{made.png}  {made.rows} rows from {made.provenance['trials']} trials, {time.monotonic() - start:.0f} s")
    return 0


def _shard(chosen: Sequence[registry.Figure], options: argparse.Namespace) -> int:
    """Run one part of the trials of all figures; drawing is left to a later call without ``--shard``."""
    from verify import trials

    part, store = trials.parse_shard(options.shard), trials.Store(options.trials)
    wanted = {trials.identity(c): c for f in chosen for c in f.configurations(options.scale)}
    try:
        done = trials.run(
            wanted.values(), store, jobs=options.jobs, scheduler=options.scheduler, shard=part, retry=options.retry,
            quiet=options.quiet,
        )  # fmt: skip
    except trials.TrialsFailed as e:
        done = e.finished
        for failure in e.failures:
            print(f"failed: {failure}", file=sys.stderr)
    print(f"part {options.shard}: {len(done)} of {len(wanted)} trials are finished here; draw without --shard")
    return 0


def _keep(csv: Path, png: Path, options: argparse.Namespace) -> None:
    """Copies to be committed: the CSV, and the picture with a palette instead of full colour."""
    for folder in (options.csv, options.png):
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
    if options.csv:
        shutil.copyfile(csv, Path(options.csv) / csv.name)
    if options.png:
        from PIL import Image

        with Image.open(png) as full:
            full.convert("RGB").quantize(128).save(Path(options.png) / png.name, optimize=True)
