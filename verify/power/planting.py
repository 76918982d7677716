"""Plant mutants of the source, and see whether any claim says so.

A mutant lives in a forked child: the function is compiled anew with one change and its code exchanged, caches are
emptied, and the claims that run the changed lines are asked, cheapest first. It is *killed* by the first contradiction:

- a proved claim is refuted, has no meaning where it had one, or raises an error;
- nothing of a proved claim is left to decide, or one of its comparisons never applies any more;
- the stacks that are screened and the exact instances no longer have the same margins;
- a certificate that is kept in docs/certificates no longer checks;
- a refuted claim is not refuted any more;
- a bound that was seen to a thousandth (see `verify.power.sharpness`) is so no longer;
- an assumption that was needed (see `verify.power.ablation`) is so no longer.

Which claims run a line is found by tracing one small search of each. What a mutant may cost is counted in instances
decided exactly; a limit of processor time only guards against changes that never end.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from theory import relations, scalars
from theory.claims import Claim, Status, claim_named, claims
from theory.relations import decide
from verify.certificates.checking import check, load
from verify.power.mutants import ROOT, Mutant, files, mutated
from verify.power.sharpness import comparisons, numerical, perturbed
from verify.search.loop import falsify
from verify.search.screening import Problem, size_limit
from verify.search.strategies import StackChooser, draw
from verify.trials.files import write

CERTIFICATES = ROOT / "docs" / "certificates"
MOST_EXACT = 1000
"""Instances decided exactly for one mutant, about; what is left over then has survived."""
NARROW = 4
"""Of the claims that run a changed line, so many that run the least besides are searched at the middling budget, and
then at the default one from several seeds."""
GUARD = 40
"""Seconds of processor time after which a mutant counts as one that does not end."""
SMALL: dict[str, Any] = {"examples": 16, "rounds": 2, "stack": 256, "stages": ("scan",), "shrinking": False}
MIDDLE: dict[str, Any] = {"examples": 60, "rounds": 4, "stack": 512, "stages": ("scan", "climb"), "shrinking": False}
DEFAULT: dict[str, Any] = {"examples": 200, "rounds": 16, "stack": 512, "shrinking": False}
CHANGE, STACKS = 0.001, 12


@dataclass
class Known:
    """What is known of one claim before anything is changed.

    Attributes:
        claim: the claim.
        lines: the lines of `theory` that a small search of it runs.
        certificates: the files kept that refute it, or it without an assumption.
        survives: whether a small search says that it survives.
        undefined: whether it has no meaning on some instance of a small search.
        sharp: changes that should be seen, as (comparison, relative change): a thousandth of every numerical one, of an
            equality on either side; none for a claim with slack.
        needed: the assumptions that should be needed: all.
        applying: the comparisons that apply to some drawn instance.
        alike: whether stacks and exact instances have the same margins.
    """

    claim: Claim
    lines: set[tuple[str, int]] = field(default_factory=set)
    certificates: list[Path] = field(default_factory=list)
    survives: bool = False
    undefined: bool = False
    sharp: list[tuple[int, float]] = field(default_factory=list)
    needed: list[str] = field(default_factory=list)
    applying: list[str] = field(default_factory=list)
    alike: bool = False

    def written(self) -> str:
        """As a line of JSON."""
        plain = {**vars(self), "claim": self.claim.id, "lines": sorted(self.lines)}
        return json.dumps({**plain, "certificates": [str(p.relative_to(ROOT)) for p in self.certificates]})

    @classmethod
    def read(cls, line: str) -> Known:
        """What `written` gave."""
        plain = json.loads(line)
        plain["claim"] = claim_named(plain["claim"])
        plain["lines"] = {(file, n) for file, n in plain["lines"]}
        plain["sharp"] = [(i, change) for i, change in plain["sharp"]]
        plain["certificates"] = [ROOT / p for p in plain["certificates"]]
        return cls(**plain)


@dataclass(frozen=True)
class Fate:
    """What became of a mutant: ``killed``, ``survived``, ``not reached``, ``did not end`` or ``cannot be planted``.

    Attributes:
        fate: one of these.
        by: what killed it.
        exact: instances decided exactly until then.
    """

    fate: str
    by: str = ""
    exact: int = 0


class Killed(Exception):
    """A contradiction; the message names it.

    Attributes:
        lost: (claim, comparison or assumption) where something is not sharp, or not needed, any more.
    """

    def __init__(self, message: str, lost: tuple[str, tuple[int, float] | str] | None = None) -> None:
        super().__init__(message)
        self.lost = lost


def survey(kept_in: Path | None = None, progress: Callable[[str], None] = lambda _: None) -> list[Known]:
    """What is known of every claim that is searched; the fewest lines first, so that the cheapest are asked first.

    Args:
        kept_in: where an earlier survey of the same sources stands, or is to stand.
        progress: called with the id of each claim before it is searched.
    """
    for path in files():
        _as_it_is(path)  # read once, so that editing a file does not disturb a run
    if kept_in is not None and kept_in.exists():
        return [Known.read(line) for line in kept_in.read_text().splitlines()]
    kept: dict[str, list[Path]] = {}
    for path in sorted(CERTIFICATES.glob("**/*.json")):
        kept.setdefault(load(path)["claim"], []).append(path)
    found = []
    for claim in claims():
        if claim.status not in (Status.PROVED, Status.REFUTED):
            continue
        progress(claim.id)
        known = Known(claim, certificates=kept.get(claim.id, []))
        with _traced(known.lines):
            small = falsify(claim, **SMALL)
            known.survives, known.undefined = small.verdict == "survived", bool(small.undefined)
            for path in known.certificates:
                check(path)
            if claim.status is Status.REFUTED:
                falsify(claim, **DEFAULT)
            elif not Problem(claim).stackable:
                falsify(claim, **MIDDLE)  # as many structures as instances: few are drawn, and few lines run
        known.applying, known.alike = _statements(claim)
        if claim.status is Status.PROVED:
            known.needed = [a.name for a in claim.assumptions]
            for i, part in enumerate(comparisons(claim)):
                if numerical(part):
                    known.sharp += [(i, c) for c in ((CHANGE, -CHANGE) if part.kind == "==" else (CHANGE,))]
        found.append(known)
    found.sort(key=lambda k: len(k.lines))
    if kept_in is not None:
        write(kept_in, "".join(k.written() + "\n" for k in found))
    return found


def _refuted(claim: Claim) -> bool:
    """Whether a search finds a counterexample: a middling one, then that of the default budget."""
    return any(falsify(claim, **b).verdict == "refuted" for b in (MIDDLE, DEFAULT))


def _statements(claim: Claim) -> tuple[list[str], bool]:
    """The comparisons that apply to some of a few drawn instances, and whether float64 has the margin of rationals."""
    problem, applying, alike = Problem(claim), set(), True
    for r in range(STACKS):
        chooser = StackChooser(np.random.default_rng([11, r]), 24 if problem.stackable else None, size_limit(r))
        drawn = draw(claim, chooser)
        if problem.stackable:
            usable = np.flatnonzero(problem.satisfied(drawn))[:3]
            margins = problem.margins(drawn.take(usable)) if len(usable) else usable
            chosen = [(drawn.at(int(i)), float(m)) for i, m in zip(usable, margins, strict=True)]
        else:
            chosen = [(drawn, np.nan)] if problem.applies(drawn) else []
        for instance, margin in chosen:
            relation = claim.check(instance)
            exact = decide(relation).margin
            applying |= {p.name or f"comparison {i + 1}" for i, p in enumerate(relation.parts) if np.any(p.where)}
            if problem.stackable and np.isfinite(exact):
                alike &= bool(abs(margin - exact) <= 1e-6 * max(1.0, abs(exact)))
    return sorted(applying), alike


def _missed(claim: Claim, assumption: str) -> bool:
    """Whether the claim is false, or has no meaning, without an assumption."""
    found = (falsify(claim, drop=(assumption,), **b) for b in (MIDDLE, DEFAULT))
    return any(o.verdict == "refuted" or o.undefined for o in found)


@contextlib.contextmanager
def _traced(lines: set[tuple[str, int]]) -> Iterator[None]:
    names = {str(p): str(p.relative_to(ROOT)) for p in files()}

    def local(frame: Any, event: str, argument: Any) -> Any:
        if event == "line":
            lines.add((names[frame.f_code.co_filename], frame.f_lineno))
        return local

    def start(frame: Any, event: str, argument: Any) -> Any:
        return local if frame.f_code.co_filename in names else None

    _empty_caches()
    before = sys.gettrace()
    sys.settrace(start)
    try:
        yield
    finally:
        sys.settrace(before)


def _empty_caches() -> None:
    for o in _caches():
        o.cache_clear()


@functools.cache
def _caches() -> list[Any]:
    """The caches of `theory` and of the search: what is kept there may come from code that has changed since."""
    found = [o for o in gc.get_objects() if type(o) is type(_caches_of_kind)]
    return [o for o in found if o.__module__.startswith(("theory", "verify.search"))]


@functools.cache
def _caches_of_kind() -> None: ...


# -- planting ---------------------------------------------------------------------------------------------


@functools.cache
def _functions() -> dict[str, list[FunctionType]]:
    """The functions that live now, by the file they come from."""
    out: dict[str, list[FunctionType]] = {}
    for o in gc.get_objects():
        if type(o) is FunctionType:  # isinstance would ask objects that warn when asked
            out.setdefault(o.__code__.co_filename, []).append(o)
    return out


def _codes(top: CodeType) -> dict[tuple[str, int, int], CodeType]:
    """Every code object within one, by qualified name, first line, and which of several there."""
    out: dict[tuple[str, int, int], CodeType] = {}

    def walk(code: CodeType) -> None:
        for c in code.co_consts:
            if isinstance(c, CodeType):
                n = 0
                while (c.co_qualname, c.co_firstlineno, n) in out:
                    n += 1
                out[c.co_qualname, c.co_firstlineno, n] = c
                walk(c)

    walk(top)
    return out


@functools.cache
def _as_it_is(path: Path) -> tuple[str, dict[tuple[str, int, int], CodeType]]:
    """A file's source and its code objects."""
    source = path.read_text()
    return source, _codes(compile(source, str(path), "exec"))


def plant(mutant: Mutant) -> int:
    """Change the running program; there is no way back, so only a child does it. Returns how many functions changed.

    Raises:
        ValueError: the change cannot be made while the program runs.
    """
    path = ROOT / mutant.file
    source, old = _as_it_is(path)
    new = _codes(compile(mutated(source, mutant), str(path), "exec"))
    changed = 0
    for function in _functions().get(str(path), ()):
        key = next((k for k, c in old.items() if c == function.__code__), None)
        if key is None or key not in new or new[key] == old[key]:
            continue
        function.__code__ = new[key]
        for module in (relations, scalars):  # what a mutant calls instead may not be imported there
            for name in set(new[key].co_names) & set(vars(module)):
                function.__globals__.setdefault(name, vars(module)[name])
        changed += 1
    _empty_caches()
    if not changed:
        raise ValueError("no function that lives runs it")
    return changed


# -- judging ----------------------------------------------------------------------------------------------


def reaching(mutant: Mutant, known: list[Known]) -> list[Known]:
    """The claims that run a changed line, those of fewest lines first."""
    where = {(mutant.file, n) for n in range(mutant.line, mutant.last + 1)}
    return [k for k in known if where & k.lines]


def judge(known: list[Known]) -> Iterator[int]:
    """Ask the claims; yields instances decided exactly as it goes.

    Raises:
        Killed: a contradiction.
    """
    proved = [k for k in known if k.claim.status is Status.PROVED]
    for k in proved:
        yield from _holds(k, SMALL)
    for k in known:
        applying, alike = _statements(k.claim)
        if k.claim.status is Status.PROVED and (gone := sorted(set(k.applying) - set(applying))):
            raise Killed(f"{k.claim.id}: {gone[0]} never applies")
        if k.alike and not alike:
            raise Killed(f"{k.claim.id}: stacks and exact instances differ")
        yield 1
    for k in known:
        for path in k.certificates:
            _checks(path)
            yield 1
    for k in known:
        if k.claim.status is Status.REFUTED and not _refuted(k.claim):
            raise Killed(f"{k.claim.id} is not refuted any more")
        yield 1
    for k in proved:
        for i, change in k.sharp:
            if not _refuted(perturbed(k.claim, change, i)):
                raise Killed(f"{k.claim.id}: comparison {i + 1} is not sharp any more", (k.claim.id, (i, change)))
            yield 1
        for name in k.needed:
            if not _missed(k.claim, name):
                raise Killed(f"{k.claim.id}: {name} is not needed any more", (k.claim.id, name))
            yield 1
    for budget in (MIDDLE | {"seed": 1}, *(DEFAULT | {"seed": seed} for seed in (2, 3, 4))):
        for k in proved[:NARROW]:
            yield from _holds(k, budget)


def _holds(known: Known, budget: dict[str, Any]) -> Iterator[int]:
    outcome, identity = falsify(known.claim, **budget), known.claim.id
    if outcome.verdict == "refuted":
        raise Killed(f"{identity} is refuted")
    if outcome.undefined and not known.undefined:
        raise Killed(f"{identity} is undefined")
    if known.survives and outcome.verdict != "survived":
        outcome = falsify(known.claim, **MIDDLE)
        if outcome.verdict != "survived":
            raise Killed(f"{identity}: {outcome.verdict}")
    yield outcome.examples


def _checks(path: Path) -> None:
    try:
        fine = check(path).confirmed
    except ValueError as e:
        raise Killed(f"certificate {path.name}: {str(e).split(': ', 1)[-1][:80]}") from None
    if not fine:
        raise Killed(f"certificate {path.name} does not refute")


def fate(mutant: Mutant, known: list[Known], *, most: int = MOST_EXACT) -> Fate:
    """Plant one mutant in a child, and say what became of it.

    Where a child finds something not sharp or not needed *any more*, it is asked here whether it was before.
    """
    asked = reaching(mutant, known)
    if not asked:
        return Fate("not reached", "no claim runs the line")
    while True:
        said = _asked_of_a_child(mutant, asked, most)
        if not said:
            return Fate("did not end", f"after {GUARD} s of processor time, or no memory")
        answer = json.loads(said)
        if (lost := answer.pop("lost")) is None or _was(known, *lost):
            return Fate(**answer)


def _was(known: list[Known], identity: str, what: list[Any] | str) -> bool:
    """Whether a comparison is sharp, or an assumption needed, with nothing changed; if not, it is not asked again."""
    k = next(k for k in known if k.claim.id == identity)
    fine = _is_needed(identity, what) if isinstance(what, str) else _is_sharp(identity, *what)
    if not fine:
        k.sharp, k.needed = [i for i in k.sharp if list(i) != what], [n for n in k.needed if n != what]
    return fine


@functools.cache
def _is_sharp(identity: str, part: int, change: float) -> bool:
    return _refuted(perturbed(claim_named(identity), change, part))


@functools.cache
def _is_needed(identity: str, assumption: str) -> bool:
    return _missed(claim_named(identity), assumption)


def _asked_of_a_child(mutant: Mutant, asked: list[Known], most: int) -> str:
    read, wrote = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        with os.fdopen(wrote, "w") as out:
            resource.setrlimit(resource.RLIMIT_CPU, (GUARD, GUARD))
            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
            out.write(json.dumps(_in_child(mutant, asked, most)))
        os._exit(0)
    os.close(wrote)
    with os.fdopen(read) as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    return said


def _in_child(mutant: Mutant, asked: list[Known], most: int) -> dict[str, Any]:
    def answer(fate: str, by: str, exact: int = 0, lost: Any = None) -> dict[str, Any]:
        return {"fate": fate, "by": by, "exact": exact, "lost": lost}

    try:
        plant(mutant)
    except (ValueError, SyntaxError) as e:
        return answer("cannot be planted", str(e))
    exact = 0
    try:
        for n in judge(asked):
            exact += n
            if exact >= most:
                break
    except Killed as e:
        return answer("killed", str(e), exact, e.lost)
    except Exception as e:
        return answer("killed", f"{type(e).__name__}: {str(e)[:80]}", exact)
    return answer("survived", f"{len(asked)} claims asked", exact)
