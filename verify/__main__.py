"""`python -m verify`."""

import sys

try:
    from verify.app.cli import main
except ModuleNotFoundError as e:
    if (e.name or "").split(".")[0] in ("theory", "verify"):
        raise
    print(
        f"python -m verify: {e.name} is not installed for {sys.executable}. In a checkout `make verify` sets up .venv "
        "once, and `. .venv/bin/activate` uses it in this shell",
        file=sys.stderr,
    )
    sys.exit(2)

if __name__ == "__main__":  # worker processes import this module again
    sys.exit(main())
