"""`python -m verify.studies.site`: build the documentation site."""

import sys

from verify.studies.site.build import build

sys.exit(build())
