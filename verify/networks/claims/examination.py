"""What was found of a module, and the same in words: for a terminal, and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from theory.claims import Claim, Status, claim_named
from verify.networks.claims.measured import Measured
from verify.networks.claims.plain import plain

NAMED = 3
"""Claims of a group that are named; the others are counted."""
_HEADS = {
    "protects": (
        "Theorems that protect it",
        "Proved for every network that meets their assumptions; they apply here, and were seen to hold on "
        "instances: this module as given, and variations of its weights, inputs and masks.",
    ),
    "apart": (
        "Theorems and beliefs that do not apply to it",
        "An assumption is not met. By reason, with the places that break it.",
    ),
    "beliefs": (
        "Beliefs that fail on it",
        "Statements of papers or of practice that are known to be false in general, and fail on this module or on a "
        "variation of its weights, inputs and masks.",
    ),
    "unseen": (
        "Beliefs that were not seen to fail on it",
        "False in general as well; that nothing was found here proves nothing.",
    ),
    "undecided": ("What stays open, and why", "Neither seen to hold nor to fail."),
}


@dataclass(frozen=True)
class Entry:
    """A claim and, in one line, what was found of it."""

    claim: str
    title: str
    text: str


@dataclass(frozen=True)
class Apart:
    """Claims that do not apply for one reason."""

    why: str
    claims: tuple[str, ...]


@dataclass(frozen=True)
class Examination:
    """What was found of a module.

    Attributes:
        name: how it is called.
        layers: linear maps and convolutions; 0 where the module could not be recorded.
        parameters: numbers of its parameters.
        inputs: samples it was examined on.
        outputs: K.
        log10_paths: the number of input-output paths, in powers of ten; infinite above float64, NaN if unknown.
        properties: what makes some claims sharper and does not hold, place by place.
        measured: what is measured on the module as given, besides the claims.
        protects: theorems that apply, and what was seen of them.
        apart: theorems and beliefs that do not apply, by reason.
        beliefs: statements known to be false in general, or open, that fail on this module or a variation of it.
        unseen: such statements that were not seen to fail here, which proves nothing.
        undecided: what stays open, and why.
        outcomes: every outcome, in the order in which the claims are listed.
        unreached: claims about networks that were not come to.
    """

    name: str
    layers: int
    parameters: int
    inputs: int
    outputs: int
    log10_paths: float
    properties: tuple[str, ...] = ()
    measured: Measured = Measured()
    protects: tuple[Entry, ...] = ()
    apart: tuple[Apart, ...] = ()
    beliefs: tuple[Entry, ...] = ()
    unseen: tuple[Entry, ...] = ()
    undecided: tuple[Entry, ...] = ()
    outcomes: tuple[Any, ...] = field(default=(), repr=False)
    unreached: int = 0

    @property
    def facts(self) -> tuple[str, ...]:
        """What was measured, a line each."""
        return self.measured.facts

    @property
    def summary(self) -> str:
        """The module in one line."""
        count = "" if math.isnan(self.log10_paths) else f", {paths(self.log10_paths)}"
        return (
            f"{self.layers} layers, {self.parameters:,} parameters{count}; "
            f"{self.outputs} outputs, examined on {self.inputs} inputs"
        )

    def __str__(self) -> str:
        return "\n".join(text(self))

    def markdown(self) -> str:
        """The same as Markdown."""
        return "\n".join(markdown(self)) + "\n"


WORDS = """## Words

A *path* runs from an input, or from a bias, to an output k; its value v_p is the product of its weights, and it is
*live* on an input where all its ReLUs are on. A *cut* is a set of weights that every path crosses once, such as a layer
that no connection skips, with the biases behind it. θ_j is a weight. R_k is the sum of v_p² over the paths to output k,
and R the sum over all outputs (of |v_p| for SynFlow); D_k is what the data add, the sum of the squared inputs of the
paths to k that are live. The *path bound* on the trace of the neural tangent kernel (NTK) is the sum of D_k times the
path kernel; PX scores a weight by its share of the sum of D_k R_k. An *instance* is the module as given, or a variation
of its weights, inputs and masks. The claims are listed in full by `python -m verify show CLAIM`."""


def paths(log10: float) -> str:
    """A number of paths in powers of ten."""
    if log10 < 4:
        return f"{round(10**log10):,} paths"
    return "more than 10^308 paths" if math.isinf(log10) else f"10^{log10:.1f} paths"


def in_words(claim: Claim, part: str) -> str:
    """Whose belief it is, and what became of it here, in a few words."""
    if part == "apart":
        return "does not apply"
    if part == "undecided":
        return "theorem, open here" if claim.status is Status.PROVED else "false in general, open here"
    if part == "protects":
        return "theorem, holds here"
    if claim.status is Status.PROVED:
        return "theorem, FAILS here"
    return {"beliefs": "false in general, fails here", "unseen": "false in general, not seen here"}[part]


def _sections(e: Examination) -> Iterator[tuple[str, str, list[tuple[str, str, Sequence[str]]]]]:
    """Headings, what they mean, and their items: what is printed first, what follows, the claims it is about."""
    yield (*_HEADS["protects"], [(f.title, f.text, [f.claim]) for f in e.protects])
    yield (*_HEADS["beliefs"], [(f.title, _with_repair(f.claim, f.text), [f.claim]) for f in e.beliefs])
    yield (*_HEADS["apart"], [(a.why, named(a.claims), a.claims) for a in e.apart])
    yield (*_HEADS["unseen"], [(f.title, f.text, [f.claim]) for f in e.unseen])
    reasons: dict[str, list[str]] = {}
    for f in e.undecided:
        reasons.setdefault(f.text, []).append(f.claim)
    yield (*_HEADS["undecided"], [(why, named(c), c) for why, c in reasons.items()])


def _with_repair(claim: str, text: str) -> str:
    twin = claim_named(claim).twin
    if not twin or claim_named(twin).status is not Status.PROVED:
        return text
    return f"{text}. True instead: {plain(claim_named(twin).title.rstrip('.'))}"


def named(claims: Sequence[str]) -> str:
    """Some claims, a few of them by name."""
    short = [c.split("/", 1)[1] for c in claims]
    more = f" and {len(short) - NAMED} more claims" if len(short) > NAMED else ""
    return ", ".join(short[:NAMED]) + more


def text(e: Examination) -> Iterator[str]:
    """Lines for a terminal."""
    yield f"{e.name}: {e.summary}"
    yield from (f"  {p}" for p in (*e.properties, *e.facts))
    for head, meaning, items in _sections(e):
        yield ""
        yield f"{head}: {sum(len(about) for _, _, about in items) or 'none'}"
        if items:
            yield f"  ({meaning[0].lower()}{meaning[1:].rstrip('.')})"
        for first, second, _ in items:
            yield f"  {first}: {second}"
    if e.unreached:
        yield ""
        yield unreached(e)


def unreached(e: Examination) -> str:
    """How much was not looked at."""
    return f"Stopped early: {e.unreached} claims about networks were not come to."


def markdown(e: Examination, pictures: Mapping[str, str] | None = None) -> Iterator[str]:
    """Lines of Markdown.

    Args:
        e: the examination.
        pictures: for each picture, what it shows, and where it lies.
    """
    yield f"# {e.name}"
    yield ""
    yield f"{e.summary}."
    if e.properties or e.facts:
        yield ""
        yield from (f"- {p}" for p in (*e.properties, *e.facts))
    for said, where in (pictures or {}).items():
        yield ""
        yield f"![{said.split(',')[0].rstrip('.')}]({where})"
        yield ""
        yield f"*{said}*"
    for head, meaning, items in _sections(e):
        yield ""
        yield f"## {head}"
        yield ""
        yield meaning if items else "None."
        if items:
            yield ""
        for first, second, claims in items:
            yield f"- {first}: {second} (`{claims[0]}`)" if len(claims) == 1 else f"- {first}: {second}"
    if e.unreached:
        yield ""
        yield unreached(e)
    yield ""
    yield WORDS


__all__ = ["Apart", "Entry", "Examination", "in_words", "markdown", "named", "paths", "text", "unreached"]
