"""What holds of a module: an answer in words, for somebody who knows pruning and not this project.

What the module is; which theorems protect it, confirmed on its weights and inputs; which do not apply, and which
submodule breaks which assumption; which popular beliefs fail on it; what was left undecided, and why.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from theory.claims import Claim, Status, claim_named, claims
from verify.networks.claims import budget
from verify.networks.claims.assumptions import ASSUMPTIONS, PROPERTIES, Finding
from verify.networks.claims.examination import Apart, Entry, Examination
from verify.networks.claims.measured import Measured, measure
from verify.networks.claims.module_on_data import ModuleOnData
from verify.networks.claims.plain import plain
from verify.networks.claims.subject import Subject, about_networks
from verify.networks.claims.undecided import ENUMERATED
from verify.networks.recording.graph import CONVOLUTION, LINEAR, NORMALISATION, Graph

SHOWN = 3
"""Places of a group that are named; the others are counted."""
ONE_BY_ONE = "they ask for single paths, units or masks one by one, and the module is too large for that"


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


def described(subject: Subject) -> Examination:
    """What the module is, before any claim is looked at."""
    report, graph = subject.report, subject.report.graph
    covered = graph is not None and report.holds("piecewise-linear")
    with budget.single_threaded():
        return Examination(
            subject.name,
            0 if graph is None else sum(op.kind in (LINEAR, CONVOLUTION) for op in graph.operations),
            sum(p.numel() for p in subject.module.parameters()),
            len(subject.x),
            0 if graph is None else math.prod(graph.output_shape),
            _log10_paths(subject.given) if covered else math.nan,
            tuple(_places([f for f in report.findings if f.assumption in PROPERTIES], graph)),
        )


def examined(subject: Subject, outcomes: Iterable[Any], *, facts: bool = True, unreached: int = 0) -> Examination:
    """The same from outcomes that are known.

    Args:
        subject: the module with inputs.
        outcomes: with the attributes ``claim``, ``verdict``, ``reasons`` and ``decision`` of `Outcome`; those of
            claims that are not about networks are left out.
        facts: whether to measure what no claim says, such as where each method loses a layer.
        unreached: how many claims about networks were not come to.
    """
    known = tuple(o for o in outcomes if about_networks(claim_named(o.claim)))
    parts: dict[str, list[Entry]] = {"protects": [], "beliefs": [], "unseen": [], "undecided": []}
    for o in known:
        if o.verdict != "not applicable":
            part, found = entry(claim_named(o.claim), o)
            parts[part].append(found)
    facts = facts and subject.report.graph is not None and subject.report.holds("piecewise-linear")
    with budget.single_threaded():
        return replace(
            described(subject),
            measured=measure(subject.given) if facts else Measured(),
            apart=tuple(_apart(known, subject)),
            outcomes=known,
            unreached=unreached,
            protects=tuple(parts["protects"]),
            beliefs=tuple(parts["beliefs"]),
            unseen=tuple(parts["unseen"]),
            undecided=tuple(parts["undecided"]),
        )


# -- one claim ----------------------------------------------------------------------------------------


def entry(claim: Claim, outcome: Any) -> tuple[str, Entry]:
    """Where the outcome of a claim that applies belongs, by the name of a part of `Examination`, and what it says."""
    agrees = next((r for r in outcome.reasons if r.startswith("an equality, ") and "agree within" in r), "")
    title = plain(claim.title.rstrip("."))
    if claim.status is Status.PROVED and outcome.verdict == "refuted":
        text = f"believed proved, but refuted here, which is a defect of this program: {_failed(outcome)}"
        return "beliefs", Entry(claim.id, title, text)
    if outcome.verdict == "refuted":
        return "beliefs", Entry(claim.id, title, _failed(outcome))
    if outcome.verdict == "survived" or agrees:
        gap = re.search(r"relative gap at most ([^)]*)", agrees)
        close = f" to {gap[1]}" if gap else ""
        text = f"{f'both sides agree{close}' if agrees else 'holds'}, {_counted(outcome.examples)}"
        return ("protects" if claim.status is Status.PROVED else "unseen"), Entry(claim.id, title, text)
    kept = [r for r in outcome.reasons if not r.startswith("tried all the same")] or ["no reason given"]
    text = ONE_BY_ONE if ENUMERATED in kept[0] else plain(kept[0])
    return "undecided", Entry(claim.id, title, text)


def _counted(count: int) -> str:
    return f"on {count} instance{'s' * (count != 1)}"


_PLACE = re.compile(r"as given(?: \((?P<first>the first \d+ of \d+ inputs)\))?(?:; (?P<varied>[^:]*))?")


def _failed(outcome: Any) -> str:
    """What happens, in one line: where, and the two sides."""
    found = outcome.counterexample
    found = found if isinstance(found, str) or found is None else found.summary()
    place = _PLACE.match(found or "")
    if not found:
        where = ""
    elif place is None and ":" in found and not found.startswith("h1 "):
        where = f"on a variation ({found.split(':')[0]})"
    elif place is None:
        where = f"on a variation, made small: {found}"
    else:
        where = f"on a variation ({place['varied']})" if place["varied"] else "on the module as given"
    sides = _sides(str(outcome.decision or ""))
    return "; ".join(filter(None, (f"fails {where}".rstrip(), sides)))


def _sides(decision: str) -> str:
    """The comparison that failed, its balls and long numbers shortened."""
    said = re.sub(r"^(undecided|refuted|holds): ", "", decision)
    said = re.sub(r" \((?:rational|ball|float64|masks|exact)[^()]*(?:\([^()]*\))?\)$", "", said)
    said = re.sub(r"\[\+/- [^\]]*\]", "0", re.sub(r"\[(\S+) \+/- [^\]]*\]", r"\1", said))
    said = re.sub(r"-?\d+\.\d{3,}(?:e[+-]?\d+)?", lambda m: f"{float(m[0]):.4g}", said)
    return f"it would need {said}" if said else ""


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
            if names:
                why = f"{', '.join(names)}: {'; '.join(places)}"
            else:
                why = re.sub(
                    r"^([\w-]+): it does not hold that (.*)$", r"assumed, but not so here: \2 (\1)", o.reasons[0]
                )
            groups.setdefault(plain(why), []).append(o.claim)
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


def _log10_paths(i: ModuleOnData) -> float:
    with torch.no_grad():
        ones = {n: torch.ones_like(i.tensors[n]) for n in i.graph.parameters}
        return float(i.sums.run(ones, i.sums.ones(), 0).sum().log10())


__all__ = ["Apart", "Entry", "Examination", "described", "entry", "examine", "examined"]
