"""Compile the machine-checked proofs, ask what each theorem rests on, write results/proofs.csv and docs/proofs.md.

The head of each .v file lists its theorems: name, claim id in brackets, and how the wording differs. That list is
the only one; the table, the page and the tests read it.

    python -m verify.studies.formal_proofs          what `make proofs` runs; it needs coqc and MathComp
    python -m verify.studies.formal_proofs --page   the page alone, from the recorded table; after a change of titles
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from verify.proofs.slices import digest
from verify.trials.files import write

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "theory" / "proofs"
TABLE, PAGE = ROOT / "results" / "proofs.csv", ROOT / "docs" / "proofs.md"
INSTALL = "apt-get install --no-install-recommends coq libcoq-mathcomp-algebra libcoq-mathcomp-algebra-tactics"
CLOSED = "closed"
LIBRARY = "Pruning"

COLUMNS = (
    "claim", "theorem", "file", "differs", "assumptions", "coq", "mathcomp", "file_digest", "statement_digest"
)  # fmt: skip

_ENTRY = re.compile(r"^ {4}- (\w+)(?: \[([a-z0-9-]+/[a-z0-9-]+)\])?(.*(?:\n {6}.*)*)", re.M)
_PREFACE = """\
{stated} theorems in `theory/proofs` state {claims} claims for every size, over any ordered field (any real closed
field where square roots are taken). Coq {coq} and MathComp {mathcomp} check them, and none rests on an axiom
(`Print Assumptions`: closed under the global context). What a logarithm and an exponential satisfy is a hypothesis
of the theorems on information. Definitions have the names that they have in `theory`, but they are another text:
what is proved is the claim as it is stated in the `.v` file, not the Python code.
"""
_REQUIRED = re.compile(rf"From {LIBRARY} Require Import ([^.]*)\.")


@dataclass(frozen=True)
class Theorem:
    """An entry in the head of a file: a theorem, the claim that it states ("" for none), and a remark."""

    file: str
    name: str
    claim: str
    differs: str


def sources(folder: Path = HERE) -> list[Path]:
    """The .v files, each after those that it needs."""
    files = {p.stem: p for p in sorted(folder.glob("*.v"))}
    done: list[str] = []

    def add(stem: str) -> None:
        for needed in _REQUIRED.findall(files[stem].read_text()):
            for one in needed.split():
                if one not in done:
                    add(one)
        if stem not in done:
            done.append(stem)

    for stem in files:
        add(stem)
    return [files[stem] for stem in done]


def theorems(path: Path) -> list[Theorem]:
    """The theorems that the head of a file lists, in that order.

    Raises:
        ValueError: the list is not that of the file's theorems.
    """
    text = path.read_text()
    head = text.split("*)\n", 1)[0]
    listed = [Theorem(path.name, m[1], m[2] or "", " ".join(m[3].split())) for m in _ENTRY.finditer(head)]
    names, stated = {t.name for t in listed}, set(re.findall(r"^Theorem (\w+)", text, re.M))
    if names != stated:
        raise ValueError(f"{path.name}: listed but not stated or stated but not listed: {sorted(names ^ stated)}")
    return listed


def statement(path: Path, name: str) -> str:
    """The statement of a theorem as it stands in the file, with single blanks.

    Raises:
        ValueError: the file has no such theorem.
    """
    found = re.search(rf"^Theorem {name}\b(.*?)\n(?=Proof)", path.read_text(), re.M | re.S)
    if not found:
        raise ValueError(f"{path.name} has no theorem {name}")
    return " ".join(found[0].split())


# -- Coq ------------------------------------------------------------------------------------------------------


def _coqc(folder: Path, file: Path) -> subprocess.CompletedProcess[str]:
    command = ["coqc", "-q", "-w", "none", "-R", str(folder), LIBRARY, str(file)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


def missing() -> str:
    """What stands in the way of compiling, in one line; "" if nothing does."""
    if not shutil.which("coqc"):
        return f"coqc is not installed: {INSTALL}"
    with tempfile.TemporaryDirectory() as made:
        file = Path(made) / "probe.v"
        file.write_text("From mathcomp Require Import all_ssreflect all_algebra ring.\n")
        if _coqc(Path(made), file).returncode:
            return f"Coq does not find MathComp and algebra-tactics: {INSTALL}"
    return ""


def versions() -> tuple[str, str]:
    """Versions of Coq and of MathComp; Debian's package says the latter, "unknown" elsewhere."""
    coq = subprocess.run(["coqc", "--version"], capture_output=True, text=True, check=True).stdout
    mathcomp = "unknown"
    if shutil.which("dpkg-query"):
        query = ["dpkg-query", "-W", "-f", "${Version}", "libcoq-mathcomp-algebra"]
        mathcomp = subprocess.run(query, capture_output=True, text=True, check=False).stdout or mathcomp
    found = re.search(r"version (\S+)", coq)
    return found[1] if found else "unknown", mathcomp.split("-")[0]


def compiled(files: Iterable[Path], folder: Path) -> None:
    """Compile copies of the files in ``folder``.

    Raises:
        ValueError: Coq refuses a file; with what it says.
    """
    for path in files:
        copy = folder / path.name
        copy.write_text(path.read_text())
        run = _coqc(folder, copy)
        if run.returncode:
            raise ValueError(f"Coq refuses {path.name}:\n{run.stderr.strip()}")


def assumptions(names: Iterable[tuple[str, str]], folder: Path) -> dict[tuple[str, str], str]:
    """For each (file, theorem) compiled in ``folder``: "closed", or the axioms that it rests on.

    Raises:
        ValueError: Coq does not know a theorem.
    """
    names = list(names)
    if not names:
        return {}
    # One question for all of them together is much faster; only if its answer names axioms, each is asked alone.
    if len(names) > 1 and _asked([names], folder) == [CLOSED]:
        return dict.fromkeys(names, CLOSED)
    return dict(zip(names, _asked([[name] for name in names], folder), strict=True))


def _asked(groups: list[list[tuple[str, str]]], folder: Path) -> list[str]:
    """For each group of theorems, what they rest on together."""
    stems = list(dict.fromkeys(Path(file).stem for group in groups for file, _ in group))
    lines = [f"From {LIBRARY} Require {' '.join(stems)}."]
    for i, group in enumerate(groups):
        together = ", ".join(f"@{Path(file).stem}.{name}" for file, name in group)
        lines += [f"Definition group{i} := ({together}).", 'Goal True. idtac "==". Abort.']
        lines += [f"Print Assumptions group{i}."]
    asked = folder / "asked.v"
    asked.write_text("\n".join(lines) + "\n")
    run = _coqc(folder, asked)
    if run.returncode:
        raise ValueError(f"Coq refuses to list assumptions:\n{run.stderr.strip()}")
    answers = [" ".join(part.split()) for part in run.stdout.split("==\n")[1:]]
    return [CLOSED if a == "Closed under the global context" else a.removeprefix("Axioms: ") for a in answers]


# -- the table and the page ------------------------------------------------------------------------------------


def rows(folder: Path = HERE) -> list[dict[str, str]]:
    """What the files say about their theorems, without Coq: all columns but assumptions and versions."""
    out = []
    for path in sources(folder):
        whole = digest(path.read_text())
        for t in theorems(path):
            told = (t.claim, t.name, t.file, t.differs, "", "", "", whole, digest(statement(path, t.name)))
            out.append(dict(zip(COLUMNS, told, strict=True)))
    return out


def read_table(path: Path = TABLE) -> list[dict[str, str]]:
    """The recorded table."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def table(lines: list[dict[str, str]]) -> str:
    """The table as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def page(lines: list[dict[str, str]], titles: dict[str, str]) -> str:
    """docs/proofs.md.

    Args:
        lines: rows of the table.
        titles: the title of each claim.
    """
    claims = list(dict.fromkeys(line["claim"] for line in lines if line["claim"]))
    order = list(titles)
    claims.sort(key=lambda c: (order.index(c) if c in order else len(order), c))
    stated = sum(bool(line["claim"]) for line in lines)
    preface = _PREFACE.format(stated=stated, claims=len(claims), coq=lines[0]["coq"], mathcomp=lines[0]["mathcomp"])
    out = ["# Machine-checked proofs", "", "Generated by `make proofs`; do not edit.", "", preface]
    out += ["| claim | in words | theorem | where the wording differs |", "|---|---|---|---|"]
    for claim in claims:
        for line in (line for line in lines if line["claim"] == claim):
            cells = (f"`{claim}`", titles.get(claim, ""), _link(line), line["differs"])
            out.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
    out += ["", "What the others rest on:", ""]
    out += [f"- {_link(line)}: {line['differs']}" for line in lines if not line["claim"]]
    return "\n".join([*out, ""])


def _link(line: dict[str, str]) -> str:
    return f"[`{line['theorem']}`](../theory/proofs/{line['file']})"


def claim_titles() -> dict[str, str]:
    """The title of every registered claim, in the registry's order."""
    import theory

    return {c.id: c.title for c in theory.claims()}


def main() -> int:
    """Compile everything, write table and page, and say what was found; 1 if a theorem rests on an axiom."""
    if sys.argv[1:] == ["--page"]:
        write(PAGE, page(read_table(), claim_titles()))
        return 0
    if problem := missing():
        print(problem, file=sys.stderr)
        return 1
    coq, mathcomp = versions()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        try:
            compiled(sources(), folder)
            lines = rows(folder)
            rest = assumptions([(line["file"], line["theorem"]) for line in lines], folder)
        except ValueError as e:
            print(e, file=sys.stderr)
            return 1
    for line in lines:
        line.update(assumptions=rest[line["file"], line["theorem"]], coq=coq, mathcomp=mathcomp)
    write(TABLE, table(lines))
    write(PAGE, page(lines, claim_titles()))
    open_ones = [line for line in lines if line["assumptions"] != CLOSED]
    for line in open_ones:
        print(f"{line['file']}: {line['theorem']} rests on {line['assumptions']}", file=sys.stderr)
    closed = len(lines) - len(open_ones)
    print(f"{len(lines)} theorems in {len(sources())} files, {closed} without axioms: {TABLE.name}, {PAGE.name}")
    return 1 if open_ones else 0


if __name__ == "__main__":
    sys.exit(main())
