"""The command line: ``python -m verify [COMMAND]``. What there is stands in `verify.app.arguments`.

Whatever a user gets wrong is one line on standard error and exit code 2. Exit code 1 means that a
verdict contradicts what is believed of a claim, 0 that none does.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from theory.claims import claims_from
from verify.app.arguments import parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().parse_args(list(sys.argv[1:] if argv is None else argv))
    options.replay = options.seed is None  # who names a seed wants what it did, not what an earlier run has found
    options.seed = options.seed or 0
    return _guarded(lambda: _dispatch(options))


def _guarded(command: Callable[[], int]) -> int:
    try:
        return command()
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
        own = claims_from(path)
        from verify.search.tried import tried

        tried(own, path)
    if options.needs:
        _in_checkout(options.needs)
    if options.data_dir and not Path(options.data_dir).is_dir():
        raise ValueError(f"--data-dir: no such folder: {options.data_dir}")
    module, _, function = options.run.partition(":")
    return int(getattr(importlib.import_module(module), function)(options))


def _in_checkout(package: str) -> None:
    """Studies and benchmarks are about this repository, and are not installed with the package.

    Raises:
        ValueError: there is no checkout.
    """
    try:
        importlib.import_module(package)
    except ImportError:
        raise ValueError(
            "this command needs a checkout of the repository: it compares with what is recorded there, "
            "and is not part of the installed package"
        ) from None
