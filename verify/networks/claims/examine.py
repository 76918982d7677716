"""What holds of a module: an answer in words, for somebody who knows pruning and not this project.

What the module is; which theorems protect it, confirmed on its weights and inputs; which do not apply, and which
submodule breaks which assumption; which popular beliefs fail on it; what was left undecided, and why.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from theory.claims import Claim, Status, claim_named, claims
from verify.networks.claims import budget
from verify.networks.claims.assumptions import ASSUMPTIONS, PROPERTIES, Finding
from verify.networks.claims.module_on_data import ModuleOnData, Unavailable
from verify.networks.claims.module_run import ModuleRun
from verify.networks.claims.restated import NoForm
from verify.networks.claims.subject import ENUMERATED, Subject, about_networks
from verify.networks.exact.balls import flat
from verify.networks.recording.graph import CONVOLUTION, LINEAR, NORMALISATION, Graph, NotCovered

SHOWN = 3
"""Places of a group that are named; the others are counted."""
ONE_BY_ONE = "they ask for single paths, units or masks one by one, and the module is too large for that"
METHODS = ("magnitude", "synflow", "synflow-l2", "px")
ROUNDS = 50
"""Rounds of the pruning runs that say where each method loses something."""
PRUNED = 2e11
"""Operations that those runs may take together."""


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
        facts: measured on the module as given, a line each.
        protects: theorems that apply, and what was seen of them.
        apart: theorems and beliefs that do not apply, by reason.
        beliefs: statements known to be false in general, or open, that fail on this module or a variation of it.
        unseen: such statements that were not seen to fail here, which proves nothing.
        undecided: what stays open, and why.
        outcomes: every outcome, in the order in which the claims are listed.
    """

    name: str
    layers: int
    parameters: int
    inputs: int
    outputs: int
    log10_paths: float
    properties: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    protects: tuple[Entry, ...] = ()
    apart: tuple[Apart, ...] = ()
    beliefs: tuple[Entry, ...] = ()
    unseen: tuple[Entry, ...] = ()
    undecided: tuple[Entry, ...] = ()
    outcomes: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def summary(self) -> str:
        """The module in one line."""
        paths = "" if math.isnan(self.log10_paths) else f", {_paths(self.log10_paths)}"
        return (
            f"{self.layers} layers, {self.parameters:,} parameters{paths}; "
            f"{self.outputs} outputs, examined on {self.inputs} inputs"
        )

    def __str__(self) -> str:
        return "\n".join(_text(self))

    def markdown(self) -> str:
        """The same as Markdown."""
        return "\n".join(_markdown(self)) + "\n"


def examine(
    module: nn.Module, x: Tensor, *, name: str = "", examples: int = 100, seed: int = 0, seconds: float | None = None
) -> Examination:
    """Check every claim about networks on a module with inputs, and say in words what came out.

    Args:
        module: the module; left as it was.
        x: inputs, samples first.
        name: how to call it.
        examples: the budget of each claim (see `verify.networks.claims.budget`).
        seed: of what is drawn.
        seconds: a limit for people on each claim; None: none.
    """
    subject = Subject(module, x, name or type(module).__name__)
    chosen = [c for c in claims() if c.status is not Status.EMPIRICAL and about_networks(c)]
    return examined(subject, [subject.falsify(c, examples=examples, seed=seed, seconds=seconds) for c in chosen])


def examined(subject: Subject, outcomes: Iterable[Any], *, facts: bool = True) -> Examination:
    """The same from outcomes that are known.

    Args:
        subject: the module with inputs.
        outcomes: with the attributes ``claim``, ``verdict``, ``reasons`` and ``decision`` of `Outcome`; those of
            claims that are not about networks are left out.
        facts: whether to measure what no claim says, such as where each method loses a layer.
    """
    known = tuple(o for o in outcomes if about_networks(claim_named(o.claim)))
    parts: dict[str, list[Entry]] = {"protects": [], "beliefs": [], "unseen": [], "undecided": []}
    for o in known:
        if o.verdict != "not applicable":
            part, entry = _entry(claim_named(o.claim), o)
            parts[part].append(entry)
    report, graph = subject.report, subject.report.graph
    with budget.single_threaded():
        return Examination(
            subject.name,
            0 if graph is None else sum(op.kind in (LINEAR, CONVOLUTION) for op in graph.operations),
            sum(p.numel() for p in subject.module.parameters()),
            len(subject.x),
            0 if graph is None else math.prod(graph.output_shape),
            math.nan if graph is None or not report.holds("piecewise-linear") else _log10_paths(subject.given),
            tuple(_places([f for f in report.findings if f.assumption in PROPERTIES], graph)),
            tuple(_facts(subject)) if facts and graph is not None and report.holds("piecewise-linear") else (),
            tuple(parts["protects"]),
            tuple(_apart(known, subject)),
            tuple(parts["beliefs"]),
            tuple(parts["unseen"]),
            tuple(parts["undecided"]),
            known,
        )


# -- one claim ----------------------------------------------------------------------------------------


def _entry(claim: Claim, outcome: Any) -> tuple[str, Entry]:
    agrees = next((r for r in outcome.reasons if r.startswith("an equality, ") and "agree within" in r), "")
    if claim.status is Status.PROVED and outcome.verdict == "refuted":
        text = f"believed proved, but refuted here, which is a defect of this program: {_failed(outcome)}"
        return "beliefs", Entry(claim.id, claim.title, text)
    if outcome.verdict == "refuted":
        return "beliefs", Entry(claim.id, claim.title, _failed(outcome))
    if outcome.verdict == "survived" or agrees:
        gap = re.search(r"relative gap at most ([^)]*)", agrees)
        close = f" to {gap[1]}" if gap else ""
        text = f"both sides agree{close} on" if agrees else "holds on"
        text += f" {_counted(outcome.examples)}"
        return ("protects" if claim.status is Status.PROVED else "unseen"), Entry(claim.id, claim.title, text)
    kept = [r for r in outcome.reasons if not r.startswith("tried all the same")] or ["no reason given"]
    text = ONE_BY_ONE if ENUMERATED in kept[0] else kept[0]
    return "undecided", Entry(claim.id, claim.title, text)


def _counted(count: int) -> str:
    return f"{count} variation{'s' * (count != 1)}"


def _failed(outcome: Any) -> str:
    """What happens, in one line."""
    decision, found = outcome.decision, outcome.counterexample
    where = found.split(":")[0] if isinstance(found, str) else "shrunk to a network of a few weights"
    if decision is None or isinstance(decision, str) or not decision.kind:
        return f"fails ({where})"
    left, right = _number(decision.lhs), _number(decision.rhs)
    name = f"{decision.name}: " if decision.name else ""
    return f"fails: {name}{left} {decision.kind} {right} is not so ({where})"


def _number(v: Any) -> str:
    try:
        return f"{float(v.mid() if hasattr(v, 'mid') else v):.3g}"
    except (TypeError, ValueError, OverflowError):
        return str(v)


# -- what does not apply ------------------------------------------------------------------------------


def _apart(outcomes: Sequence[Any], subject: Subject) -> Iterator[Apart]:
    report = subject.report
    groups: dict[str, list[str]] = {}
    for o in outcomes:
        if o.verdict == "not applicable":
            names = tuple(dict.fromkeys(r.split(":")[0] for r in o.reasons if r.split(":")[0] in ASSUMPTIONS))
            places = [
                p for n in names for p in _places([f for f in report.findings if f.assumption == n], report.graph)
            ]
            why = "; ".join([", ".join(names) + ": " + "; ".join(places)] if names else o.reasons[:1])
            groups.setdefault(why, []).append(o.claim)
    for why, named in groups.items():
        yield Apart(why, tuple(named))


def _places(findings: Sequence[Finding], graph: Graph | None) -> Iterator[str]:
    """Findings of one kind in one line, their places named up to `SHOWN` and counted."""
    shifts = {op.where for op in graph.operations if op.kind == NORMALISATION} if graph is not None else set()
    groups: dict[str, list[str]] = {}
    for f in findings:
        why = f.why
        if f.assumption == "no-biases":
            biases = "linear maps and convolutions have biases"
            why = "normalisation shifts are biases" if f.where in shifts else biases
        groups.setdefault(why, []).append(f.where or "the module")
    for why, places in groups.items():
        named = ", ".join(places[:SHOWN])
        more = f" and {len(places) - SHOWN} more ({len(places)} places)" if len(places) > SHOWN else ""
        yield why if places == ["the module"] else f"{why}: {named}{more}"


# -- measured -----------------------------------------------------------------------------------------


def _log10_paths(i: ModuleOnData) -> float:
    with torch.no_grad():
        ones = {n: torch.ones_like(i.tensors[n]) for n in i.graph.parameters}
        return float(i.sums.run(ones, i.sums.ones(), 0).sum().log10())


def _paths(log10: float) -> str:
    return "more than 10^308 paths" if math.isinf(log10) else f"10^{log10:.1f} paths"


def _facts(subject: Subject) -> Iterator[str]:
    for fact in (_looseness, _px_is_synflow_l2, _silent):
        try:
            yield from fact(subject.given)
        except (Unavailable, NoForm, NotCovered, ValueError):
            continue
    yield from _losses(subject)


def _looseness(i: ModuleOnData) -> Iterator[str]:
    trace = float(i.ntk_trace().mid())
    bound = float((i.activation_values() * i.kernel_values()[1]).sum())
    if trace > 0 and math.isfinite(bound):
        yield f"NTK trace {trace:.4g}; path bound / trace = 10^{math.log10(bound / trace):.1f}"


def _px_is_synflow_l2(i: ModuleOnData) -> Iterator[str]:
    px = flat(i.px())
    l2 = flat(i.sums.scores(2, torch.ones(i.sums.outputs, dtype=torch.float64)))
    correlation = float(stats.spearmanr(px.numpy(), l2.numpy()).statistic)
    if math.isfinite(correlation):
        yield f"rank correlation of PX and SynFlow-L2 in the first round: {correlation:.3f}"


def _silent(i: ModuleOnData) -> Iterator[str]:
    zero = int((flat(i.px()) == 0).sum())
    if zero:
        yield f"PX gives {zero:,} weights the score 0"


def _losses(subject: Subject) -> Iterator[str]:
    """The density at which each method loses a layer, an output, the last live path."""
    on = subject.given.first(1)
    cost = len(METHODS) * ROUNDS * 8 * (budget.FIXED / 20 + budget.flops(on.graph, on.tensors))
    if cost > PRUNED:
        return
    for scorer in METHODS:
        try:
            run = ModuleRun(on, scorer, rounds=ROUNDS, certain=False)
            lost = [(what, at) for what, test in _TESTS if (at := _first(run, test)) is not None]
        except (Unavailable, NoForm, NotCovered, ValueError):
            continue
        lost = sorted(lost, key=lambda one: -one[1])
        said = ", ".join(f"{what} at density {at:.2g}" for what, at in lost)
        rest = f"loses {said}" if lost else "loses no layer, output or live path"
        yield f"{scorer}, pruned in {ROUNDS} rounds to a density of {run.keep / run.weights:.2g}: {rest}"


def _first(run: ModuleRun, lost: Callable[[ModuleRun, Tensor], bool]) -> float | None:
    """The first density at which something is lost."""
    for mask in run.masks():
        if lost(run, mask):
            return int(mask.sum()) / run.weights
    return None


def _layer_lost(run: ModuleRun, mask: Tensor) -> bool:
    return bool((np.asarray(run.sizes_at(mask)) == 0).any())


def _output_lost(run: ModuleRun, mask: Tensor) -> bool:
    return not bool(run.outputs_at(mask).all())


def _dead(run: ModuleRun, mask: Tensor) -> bool:
    return not run.live(mask)


_TESTS: tuple[tuple[str, Callable[[ModuleRun, Tensor], bool]], ...] = (
    ("a layer", _layer_lost), ("an output", _output_lost), ("the last live path", _dead),
)  # fmt: skip


# -- shown --------------------------------------------------------------------------------------------

_HEADS = {
    "protects": "Theorems that protect it (they apply, and hold on variations of its weights and inputs)",
    "apart": "Theorems and beliefs that do not apply, by reason",
    "beliefs": "Popular beliefs that fail on it, or on a variation of its weights and inputs",
    "unseen": "Statements false in general that were not seen to fail here (which proves nothing)",
    "undecided": "What was left undecided, and why",
}


def _sections(e: Examination) -> Iterator[tuple[str, list[tuple[str, str, Sequence[str]]]]]:
    """Headings with their items: what is printed first, what follows, and the claims it is about."""
    for part in ("protects", "beliefs", "unseen"):
        yield _HEADS[part], [(f.title, f.text, [f.claim]) for f in getattr(e, part)]
        if part == "protects":
            yield _HEADS["apart"], [(a.why, _claims(a.claims), a.claims) for a in e.apart]
    reasons: dict[str, list[str]] = {}
    for f in e.undecided:
        reasons.setdefault(f.text, []).append(f.claim)
    yield _HEADS["undecided"], [(why, _claims(c), c) for why, c in reasons.items()]


def _claims(named: Sequence[str]) -> str:
    return f"{len(named)} claim{'s' * (len(named) != 1)}"


def _text(e: Examination) -> Iterator[str]:
    yield f"{e.name}: {e.summary}"
    yield from (f"  {p}" for p in (*e.properties, *e.facts))
    for head, items in _sections(e):
        yield ""
        yield f"{head}: {len(items) if items else 'none'}"
        for first, second, _ in items:
            yield f"  {first.rstrip('.')}: {second}"


def _markdown(e: Examination) -> Iterator[str]:
    yield f"# {e.name}"
    yield ""
    yield f"{e.summary}."
    if e.properties or e.facts:
        yield ""
        yield from (f"- {p}" for p in (*e.properties, *e.facts))
    for head, items in _sections(e):
        yield ""
        yield f"## {head}"
        yield ""
        if not items:
            yield "None."
        for first, second, named in items:
            yield f"- {first.rstrip('.')}: {second} ({', '.join(f'`{n}`' for n in named)})"


__all__ = ["Apart", "Entry", "Examination", "examine", "examined"]
