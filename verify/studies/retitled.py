"""Recorded certificates carry the title of their claim; after a change of titles they are written again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from theory.claims import claims
from verify import certificates
from verify.certificates.writing import digest
from verify.trials.origin import ROOT

FOLDER = ROOT / "docs" / "certificates"


def retitle(folder: Path = FOLDER) -> list[Path]:
    """Give every certificate below ``folder`` its claim's title of today; only the title and the digest change.

    Files that were altered, and those of claims that are gone, are left as they are: the check refuses them.

    Returns:
        The files that were written.
    """
    titles = {c.id: c.title for c in claims()}
    changed = []
    for path in sorted(folder.rglob("*.json")):
        body: dict[str, Any] = json.loads(path.read_text())
        title = titles.get(body.get("claim", ""))
        if title is None or body["statement"] == title or body["digest"] != digest(body):
            continue
        body["statement"] = title
        body["digest"] = digest(body)
        changed.append(certificates.save(body, path))
    return changed
