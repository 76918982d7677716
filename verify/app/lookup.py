"""The commands that only look things up: ``list``, ``show`` and ``check``. They import neither torch nor Hypothesis."""

from __future__ import annotations

import argparse
import json
import sys

from theory.claims import Status, claim_named, matching
from verify.networks.claims.plain import plain


def list_claims(options: argparse.Namespace) -> int:
    """Ids, statuses and titles."""
    chosen = matching([options.glob])
    if options.json:
        print(json.dumps([{"id": c.id, "status": str(c.status), "title": c.title} for c in chosen], indent=1))
        return 0
    wide = max(len(c.id) for c in chosen)
    for c in chosen:
        print(f"{c.id:{wide}}  {c.status:9}  {plain(c.title)}")
    counts = ", ".join(f"{n} {s}" for s in Status if (n := sum(c.status == s for c in chosen)))
    definitions = sum(bool(c.by_definition) for c in chosen)
    print(f"\n{len(chosen)} claims: {counts}" + (f"; {definitions} are true by definition" if definitions else ""))
    return 0


def show(options: argparse.Namespace) -> int:
    """Everything that is written of one claim."""
    claim = claim_named(options.claim)
    print(f"{claim.id}  ({claim.status})\n\n{plain(claim.title)}\n\n{claim.statement}\n")
    print(f"source: {claim.source}")
    print(f"about: {claim.setting.title}")
    for a in claim.assumptions:
        print(f"assumes {a.name}: {a.sentence}")
    for name, value in (
        ("slack", claim.slack),
        ("true by definition", claim.by_definition),
        ("repairs", claim.repairs),
        ("repaired by", ", ".join(claim.repaired_by)),
        ("see also", ", ".join(claim.see)),
    ):
        if value:
            print(f"{name}: {value}")
    return 0


def check(options: argparse.Namespace) -> int:
    """Decide certificates again: 0 if all refute their claims, 1 if one does not, 2 if one cannot be read."""
    from verify.certificates import CertificateError
    from verify.certificates import check as decided_again

    worst = 0
    for path in options.certificate:
        try:
            checked = decided_again(path)
        except CertificateError as e:
            print(f"python -m verify: {e}", file=sys.stderr)
            worst = 2
            continue
        print(f"{path}: {checked.claim.id}\n  {checked.claim.title}")
        print(f"  {checked.instance.summary()}\n  {checked.decision}\n  {checked}")
        worst = max(worst, 0 if checked.confirmed else 1)
    return worst
