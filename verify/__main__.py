"""`python -m verify`."""

import sys

from verify.app.cli import main

if __name__ == "__main__":  # worker processes import this module again
    sys.exit(main())
