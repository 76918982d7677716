"""``python -m verify prove``: prove claims on small shapes, show a table, write and check certificates."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from theory.claims import Claim, Status, claim_named, claims, matching
from verify.proofs import record

MOST_PIECES = 12
"""Parts of a region that are shown."""


def run(options: argparse.Namespace) -> int:
    """The command; returns the exit code: 1 where a proved claim is refuted.

    Raises:
        ValueError: nothing chosen, or no claim matches.
    """
    if options.check:
        return check(options.claim)
    if options.recheck:
        return recheck()
    chosen = _chosen(options)
    for name in options.drop:
        for c in chosen:
            c.assumption(name)
    if options.hypotheses:
        for c in chosen:
            print("\n".join(needed(c, options.shapes)))
        return 0
    if options.record:
        if options.drop or options.seconds is not None:
            raise ValueError("what is recorded is proved with all assumptions and without a limit in seconds")
        if not options.again:
            chosen = [c for c in chosen if not record.covers(c, options.shapes)]
    rows = []
    for number, row in enumerate(_rows(chosen, options), 1):
        rows.append(row)
        if options.record:  # at once, so that what is interrupted is not lost
            record.update([record.Line(**row["line"])])
        if sys.stderr.isatty() or not options.json:
            print(f"[{number}/{len(chosen)}] {row['claim']}: {_outcome(row)}", file=sys.stderr, flush=True)
    order = {c.id: i for i, c in enumerate(chosen)}
    rows.sort(key=lambda r: order[r["claim"]])
    if options.json:
        print(json.dumps(rows, indent=1))
    elif not rows:
        print(f"nothing to prove: {record.TABLE.name} holds it all")
    else:
        print(table(rows))
        if len(chosen) == 1 and rows[0]["verdict"] == "refuted":
            print(described_region(chosen[0], options))
    return int(any(r["status"] == Status.PROVED and r["verdict"] == "refuted" for r in rows))


def _chosen(options: argparse.Namespace) -> list[Claim]:
    if not options.claim and not options.all:
        raise ValueError("name claims or globs, or say --all")
    if options.all:
        return [c for c in claims() if c.status is not Status.EMPIRICAL]
    return [c for c in matching(options.claim) if c.status is not Status.EMPIRICAL or c.id in options.claim]


def _rows(chosen: list[Claim], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    task = (options.shapes, options.seconds, tuple(options.drop), options.save)
    if options.workers < 2 or len(chosen) < 2:
        for c in chosen:
            yield row(c.id, *task)
        return
    with ProcessPoolExecutor(min(options.workers, os.cpu_count() or 1, len(chosen))) as pool:
        waiting = [pool.submit(row, c.id, *task) for c in chosen]
        for done in as_completed(waiting):
            yield done.result()


def row(identity: str, shapes: str, seconds: float | None, drop: tuple[str, ...], save: str | None) -> dict[str, Any]:
    """One claim as a row of the table."""
    from verify import certificates
    from verify.proofs.certificate import certificate
    from verify.proofs.proving import prove

    claim = claim_named(identity)
    proof = prove(claim, shapes=shapes, seconds=seconds, drop=drop)
    closed: Counter[str] = Counter()
    for s in proof.shapes:
        closed.update(s.closed)
    saved = ""
    if save and (proof.certificate or proof.proved_on):
        body = proof.certificate or certificate(claim, proof, drop)
        kind = "counterexample" if proof.verdict == "refuted" else "proof"
        saved = str(certificates.save(body, Path(save) / f"{claim.id.replace('/', '-')}.{kind}.json"))
    return {
        "claim": claim.id,
        "status": str(claim.status),
        "verdict": proof.verdict,
        "proved_on": proof.proved_on,
        "shapes": len(proof.shapes),
        **{
            name: sum(getattr(s, name) for s in proof.shapes)
            for name in ("paths", "stated", "vacuous", "undefined", "empty", "inapplicable", "goals")
        },
        "closed": dict(sorted(closed.items())),
        "trusted": proof.trusted,
        "left": proof.left,
        "counterexample": proof.counterexample.summary() if proof.counterexample is not None else "",
        "decision": str(proof.decision) if proof.decision is not None else "",
        "certificate": saved,
        "seconds": round(proof.seconds, 1),
        "line": asdict(record.line(proof, claim)),
    }


def _outcome(row: dict[str, Any]) -> str:
    if row["verdict"] == "refuted":
        return f"refuted: {row['counterexample']}: {row['decision']}"
    if row["verdict"] == "proved":
        said = "proved on" if row["status"] == Status.PROVED else "no counterexample on"
        return f"{said} {row['proved_on']} shapes ({row['paths']} paths, {row['goals']} goals)"
    left = row["left"][0] if row["left"] else "nothing was tried"
    return f"proved on {row['proved_on']} shapes, open beyond ({left})" if row["proved_on"] else f"open ({left})"


def _told(row: dict[str, Any]) -> str:
    """The verdict for a person: what is believed false and holds on these shapes has larger counterexamples."""
    if row["verdict"] == "proved":
        return "proved" if row["status"] == Status.PROVED else "holds"
    return "in part" if row["verdict"] == "open" and row["proved_on"] else row["verdict"]


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for a person, with totals."""
    wide = max(len(r["claim"]) for r in rows)
    lines = [
        f"{'claim':{wide}}  {'believed':8}  {'verdict':8} {'shapes':>6} {'paths':>6} {'goals':>6} {'empty':>5}  left"
    ]
    for r in rows:
        left = "; ".join(r["left"][:1])
        lines.append(
            f"{r['claim']:{wide}}  {r['status']:8}  {_told(r):8} {r['proved_on']:6} {r['paths']:6} {r['goals']:6} "
            f"{r['empty']:5}  {left[:80]}"
        )
    closed: Counter[str] = Counter()
    for r in rows:
        closed.update(r["closed"])
    verdicts = Counter(map(_told, rows))
    lines.append("")
    lines.append(
        f"{len(rows)} claim{'s' * (len(rows) != 1)}: " + ", ".join(f"{n} {v}" for v, n in verdicts.most_common())
    )
    if closed:
        lines.append("goals closed by " + ", ".join(f"{n} {m}" for m, n in closed.most_common()))
    trusted = sum(r["trusted"] for r in rows)
    lines.append(f"{trusted} goals rest on a solver alone" if trusted else "no goal rests on a solver alone")
    return "\n".join(lines)


def needed(claim: Claim, shapes: str) -> list[str]:
    """For each assumption, whether the proof on these shapes needs it: the claim is tried without it."""
    from verify.proofs.proving import prove

    if not claim.assumptions:
        return [f"{claim.id}: no assumptions"]
    lines = []
    for a in claim.assumptions:
        proof = prove(claim, shapes=shapes, drop=(a.name,))
        if proof.verdict == "refuted":
            said = f"needed: {proof.counterexample.summary()}"
        elif proof.verdict == "proved" and all(s.verdict == "proved" for s in proof.shapes):
            said = f"not used: proved without it on all of {proof.proved_on} {proof.kind}"
        else:
            said = f"not known: without it proved on {proof.proved_on} of {len(proof.shapes)} shapes"
        lines.append(f"{claim.id}, {a.name}: {said}")
    return lines


def described_region(claim: Claim, options: argparse.Namespace) -> str:
    """All counterexamples on the shape of the one that was found, as inequalities."""
    from verify.proofs.proving import prove
    from verify.proofs.regions import region

    shape = prove(claim, shapes=options.shapes, drop=tuple(options.drop)).refuted_on
    found = region(claim, shape, tuple(options.drop)) if shape is not None else None
    if found is None or not found.pieces or shape is None:
        return ""
    lines = [f"\non {shape.name} it is false exactly where"]
    lines += [f"  {'or ' * bool(i)}{piece}" for i, piece in enumerate(found.pieces[:MOST_PIECES])]
    if len(found.pieces) > MOST_PIECES:
        lines.append(f"  or on one of {len(found.pieces) - MOST_PIECES} more parts")
    return "\n".join(lines)


def recheck() -> int:
    """Prove every recorded claim again on the first few of its small shapes; 1 if one turns out differently.

    Lines of older code are named; they count for nothing until ``--record`` has proved them again.
    """
    from verify.proofs.proving import FIRST, prove

    lines, wrong, old, paths = record.read(), [], [], 0
    for identity, line in lines.items():
        claim = claim_named(identity)
        proof = prove(claim, shapes="small", budget=FIRST)
        paths += sum(s.paths for s in proof.shapes)
        if record.stale(claim):
            old.append(identity)
        elif proof.verdict == "refuted" != line.verdict:
            wrong.append(f"{identity} is refuted, but was {line.verdict}: {proof.counterexample.summary()}")
    for text in (*wrong, *(f"{identity}: the proof on record is of older code; prove --record" for identity in old)):
        print(text)
    print(f"{len(lines)} recorded proofs, {paths} branches run again: {len(wrong)} differ, {len(old)} of older code")
    return int(bool(wrong))


def check(paths: list[str]) -> int:
    """Check certificates of proofs; 1 where one is refused.

    Raises:
        ValueError: none were named.
        OSError: a file cannot be read.
    """
    from verify.proofs.checker import ProofError, check_proof

    if not paths:
        raise ValueError("name the certificates to check: python -m verify prove --check FILE...")
    worst = 0
    for path in paths:
        try:
            counts = check_proof(json.loads(Path(path).read_text()))
        except (ProofError, json.JSONDecodeError) as e:
            print(f"{path}: refused: {e}")
            worst = 1
        else:
            print(f"{path}: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items()) if n))
    return worst
