"""What a claim is, and the registry of all of them."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path
from typing import Any

from theory.instances import Instance
from theory.names import did_you_mean
from theory.relations import Relation

PAPERS = ("sketching", "no_free_prune", "synaptic_flow", "path_exclusion")


class Status(StrEnum):
    """What is believed of a claim; `verify` says whether it is so."""

    PROVED = "proved"
    REFUTED = "refuted"
    EMPIRICAL = "empirical"
    OPEN = "open"


@dataclass(frozen=True)
class Paper:
    """A paper the claims come from."""

    authors: str
    title: str
    arxiv: str

    def __str__(self) -> str:
        return f"{self.authors}, {self.title} (arXiv {self.arxiv})"

    def at(self, where: str) -> Source:
        """A place in it."""
        return Source(self, where)


@dataclass(frozen=True)
class Source:
    """Where a claim stands.

    Attributes:
        paper: the paper; None for statements of our own.
        where: the place in it, or "seed" when the statement is known here only from a summary of the
            paper and not from its text, or a further reference.
    """

    paper: Paper | None
    where: str = ""

    def __str__(self) -> str:
        return f"{self.paper or 'this project'}{', ' + self.where if self.where else ''}"


@dataclass(frozen=True)
class Assumption:
    """A hypothesis of a claim.

    Attributes:
        name: kebab-case, e.g. "positive-probabilities".
        sentence: what it says.
        predicate: on an instance -> bool, or on a stack -> bool array (stack,).
        breaks: ``breaks(chooser, instance) -> instance`` makes a drawn (single or stacked) instance
            violate it; None when plain draws violate it often enough by themselves.
    """

    name: str
    sentence: str
    predicate: Callable[[Any], Any] = field(compare=False)
    breaks: Callable[[Any, Any], Any] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Claim:
    """One statement of a paper, executable.

    Attributes:
        id: "path-exclusion/trace-bound", from the module and the function.
        title: one line.
        statement: the rest of the docstring; mathematics between dollar signs.
        source, status, assumptions: as given.
        setting: the class of its instances.
        draws: hints for drawing instances (see `verify.search.strategies`): where violations are likely. No hypotheses:
            the claim says what it says wherever its assumptions hold.
        repairs: id of the false claim of which this is the repaired form, or empty; see `repaired_by`.
        see: ids of other claims to read beside it.
        slack: why a bound of it could be made smaller unnoticed; empty where equality is (nearly) reached.
        by_definition: why it is true by definition, so that tables can count it apart; empty where it is not.
        proof_gap: why a PROVED claim has neither a machine-checked proof nor one for all reals on bounded shapes, so
            that its proof is the docstring's alone; empty where it has one.
        function: instance -> Relation.
    """

    id: str
    title: str
    statement: str
    source: Source
    status: Status
    assumptions: tuple[Assumption, ...]
    setting: type[Instance]
    function: Callable[[Any], Relation] = field(compare=False)
    draws: Mapping[str, Any] = field(default_factory=dict, compare=False)
    repairs: str = ""
    see: tuple[str, ...] = ()
    slack: str = ""
    by_definition: str = ""
    proof_gap: str = ""

    @property
    def repaired_by(self) -> tuple[str, ...]:
        """Ids of the claims that are repaired forms of this one."""
        return tuple(c.id for c in _REGISTRY.values() if c.repairs == self.id)

    @property
    def twin(self) -> str:
        """The one claim to read beside it: what it repairs, what repairs it, or the first to see; or empty."""
        return next((i for i in (self.repairs, *self.repaired_by, *self.see) if i), "")

    def check(self, instance: Any) -> Relation:
        """The relation that the claim states of ``instance`` (assumptions are not checked).

        A division by zero makes the relation undefined, not false.
        """

        def evaluate() -> Relation:
            try:
                relation = self.function(instance)
            except ZeroDivisionError as e:
                relation = Relation((), undefined=str(e) or "division by zero")
            return replace(
                relation,
                stacked=getattr(instance, "stacked", False),
                again=evaluate,
                source=getattr(instance, "rounding", ""),
            )

        return evaluate()

    def applies(self, instance: Any) -> tuple[Assumption, ...]:
        """The assumptions that ``instance`` (a single one) violates; empty when the claim applies."""
        return tuple(a for a in self.assumptions if not bool(a.predicate(instance)))

    def assumption(self, name: str) -> Assumption:
        """The assumption called ``name``.

        Raises:
            KeyError: no such assumption; names those there are.
        """
        for a in self.assumptions:
            if a.name == name:
                return a
        known = ", ".join(a.name for a in self.assumptions) or "it has none"
        raise KeyError(f"{self.id} has no assumption {name!r}; known: {known}")

    def __repr__(self) -> str:
        return f"<Claim {self.id} ({self.status})>"


PROVED, REFUTED, EMPIRICAL, OPEN = Status
_REGISTRY: dict[str, Claim] = {}
_ADDED: dict[str, str] = {}
"""Papers that are not ours -> the file or module that they were loaded from."""


def hints(
    base: Mapping[str, Any] | None = None, /, **draws: Any
) -> Callable[[Callable[[Any], Relation]], Callable[[Any], Relation]]:
    """Hints for drawing instances of the claim that is made of the decorated function; stands below `claim`.

    They say where violations are likely, and are no hypotheses: see `Claim`. ``base``: hints shared by several claims.
    """

    def keep(function: Callable[[Any], Relation]) -> Callable[[Any], Relation]:
        function.__dict__["draws"] = {**(base or {}), **draws}
        return function

    return keep


def claim(
    about: type[Instance],
    status: Status,
    source: Source,
    *,
    assumes: tuple[Assumption, ...] = (),
    draws: Mapping[str, Any] | None = None,
    repairs: str = "",
    see: str | tuple[str, ...] = (),
    twin: str = "",
    slack: str = "",
    by_definition: str = "",
    proof_gap: str = "",
) -> Callable[[Callable[[Any], Relation]], Claim]:
    """Register the decorated function ``instance -> Relation`` as a claim.

    Title and statement come from the docstring, the id from the function and from the module: the one below
    `theory.papers` (so that the files of a paper's package share its name), or any other module's last name.

    Args:
        about: the setting.
        status: what is believed.
        source: where it stands.
        assumes: the assumptions.
        draws: hints, or given by `hints`.
        repairs: the false claim of which this is the repaired form; its id, without the paper's name if it is the same.
        see: other claims to read beside it.
        twin: one more to see.
        slack: see `Claim`.
        by_definition: see `Claim`.
        proof_gap: see `Claim`.

    Raises:
        ValueError: no docstring, or the id is taken.
    """
    beside = (*((see,) if isinstance(see, str) else see), twin)

    def register(function: Callable[[Any], Relation]) -> Claim:
        doc = inspect.getdoc(function)
        if not doc:
            raise ValueError(f"claim {function.__name__} needs a docstring: its statement")
        title, _, statement = doc.partition("\n")
        paper = _paper(function.__module__)
        identity = f"{paper}/{function.__name__}".replace("_", "-")
        if identity in _REGISTRY and _REGISTRY[identity].function.__module__ != function.__module__:
            raise ValueError(f"two claims called {identity}")
        made = Claim(
            identity,
            title.strip(),
            statement.strip(),
            source,
            status,
            assumes,
            about,
            function,
            dict(draws or function.__dict__.get("draws", {})),
            _identity(repairs, paper),
            tuple(_identity(i, paper) for i in beside if i),
            slack,
            by_definition,
            proof_gap,
        )
        _REGISTRY[identity] = made
        return made

    return register


def _paper(module: str) -> str:
    parts = module.split(".")
    return parts[2] if parts[:2] == ["theory", "papers"] and len(parts) > 2 else parts[-1]


def _identity(name: str, paper: str) -> str:
    return name if not name or "/" in name else f"{paper.replace('_', '-')}/{name}"


def claims() -> tuple[Claim, ...]:
    """Every claim of the four papers, in the papers' order; then those of installed packages and of `claims_from`.

    A package offers claims by an entry point in the group ``pruning_theorems.claims`` that names a module with claims.
    """
    for paper in PAPERS:
        importlib.import_module(f"theory.papers.{paper}")
    _installed()
    order = {p.replace("_", "-"): i for i, p in enumerate((*PAPERS, *_ADDED))}
    known = [c for c in _REGISTRY.values() if c.id.split("/")[0] in order]
    return tuple(sorted(known, key=lambda c: order[c.id.split("/")[0]]))


def claims_from(path: str | Path) -> tuple[Claim, ...]:
    """Load the claims of a file of one's own; from then on they stand in `claims` beside the four papers'.

    The file's name is the paper's: ``my_paper.py`` gives ids such as ``my-paper/first-claim``.

    Args:
        path: a Python file that uses `claim`.

    Raises:
        ValueError: no such file, a name that is taken, an error while it is loaded, or no claim in it.
    """
    file = Path(path).resolve()
    paper = file.stem
    if not file.is_file() or file.suffix != ".py":
        raise ValueError(f"claims are loaded from a Python file; there is none at {path}")
    if _ADDED.get(paper) != str(file):
        if paper in PAPERS or paper in _ADDED or paper in sys.modules or not paper.isidentifier():
            raise ValueError(f"{path}: the file's name becomes the paper's; {paper!r} is taken or no name")
        spec = importlib.util.spec_from_file_location(paper, file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[paper] = module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as e:
            del sys.modules[paper]
            raise ValueError(f"{path}: {type(e).__name__} while it was loaded: {e}") from e
        _ADDED[paper] = str(file)
    found = tuple(c for c in _REGISTRY.values() if c.id.split("/")[0] == paper.replace("_", "-"))
    if not found:
        raise ValueError(f"{path} holds no claim; decorate a function with theory.claim")
    return found


@functools.cache
def _installed() -> None:
    for entry in metadata.entry_points(group="pruning_theorems.claims"):
        module = entry.load()
        _ADDED[_paper(module.__name__)] = module.__name__


def claim_named(identity: str) -> Claim:
    """The claim with that id.

    Raises:
        KeyError: there is none; the message names near misses.
    """
    known = {c.id: c for c in claims()}
    if identity in known:
        return known[identity]
    hint = did_you_mean(identity, known, "`python -m verify list` shows all", count=5)
    raise KeyError(f"no claim is called {identity!r}; {hint}")


def matching(patterns: Iterable[str]) -> list[Claim]:
    """The claims that ids or globs such as ``sketching/*`` name, in the papers' order, each once.

    Raises:
        KeyError: an id that no claim has; the message names near misses.
        ValueError: a glob that matches nothing.
    """
    every, chosen = claims(), set()
    for pattern in patterns:
        if not any(ch in pattern for ch in "*?["):
            chosen.add(claim_named(pattern).id)
            continue
        hits = {c.id for c in every if fnmatchcase(c.id, pattern)}
        if not hits:
            papers = ", ".join(dict.fromkeys(c.id.split("/")[0] for c in every))
            raise ValueError(f"no claim matches {pattern!r}; `python -m verify list` shows all; papers: {papers}")
        chosen |= hits
    return [c for c in every if c.id in chosen]
