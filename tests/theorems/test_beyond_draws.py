"""What a claim assumes stands in ``assumes``: nothing is found beyond its ``draws`` either.

`draws` say where violations are likely. Here instances are drawn as widely as the settings allow (any graph,
every kind of unit, weights on several edges, constants, several outputs, every scorer and schedule), filtered
by the domain and the assumptions alone.
"""

import numpy as np
import pytest

from theory.claims import Status, claims
from theory.networks import LEAKY, MAX
from theory.paths import on_path
from theory.relations import Verdict, decide, margins
from verify.search.loop import suspicious
from verify.search.screening import Problem
from verify.search.strategies import StackChooser, draw

PROVED = {
    c.id: c for c in claims() if c.status is Status.PROVED and c.id.split("/")[0] in ("path-exclusion", "synaptic-flow")
}
DRAWN, STACK = 120, 32


def wide(claim, seed):
    """A stack (or one instance, where the setting has no stacks) beyond the claim's draws."""
    chooser = StackChooser(np.random.default_rng([17, seed]), STACK if Problem(claim).stackable else None, seed % 8)
    return draw(claim, chooser, beyond=True)


def applying(claim, stack):
    ok = np.broadcast_to(np.asarray(stack.valid(), dtype=bool), (stack.count,)).copy()
    for a in claim.assumptions:
        if ok.any():
            ok &= np.broadcast_to(np.asarray(a.predicate(stack), dtype=bool), (stack.count,))
    return np.flatnonzero(ok)


def worth_deciding(claim, stack):
    """The exact instances of a stack that look violated, and one more."""
    if not stack.stacked:
        return [stack] if bool(stack.valid()) and not claim.applies(stack) else []
    usable = applying(claim, stack)
    if not len(usable):
        return []
    chosen = stack.take(usable)
    with np.errstate(all="ignore"):
        relation = claim.check(chosen)
    odd = np.ones(len(usable), dtype=bool) if relation.undefined else suspicious(margins(relation))
    chosen_ones = [0, *np.flatnonzero(np.broadcast_to(odd, (len(usable),)))[:2]]
    found = [chosen.at(int(j)) for j in dict.fromkeys(chosen_ones)]
    return [i for i in found if bool(i.valid()) and not claim.applies(i)]


@pytest.mark.parametrize("identity", PROVED)
def test_nothing_is_found_beyond_the_draws(identity):
    claim, decided = PROVED[identity], 0
    for seed in range(DRAWN):
        for instance in worth_deciding(claim, wide(claim, seed)):
            decision = decide(claim.check(instance))
            assert decision.verdict is Verdict.HOLDS, f"{instance.summary()}: {decision}"
            decided += not decision.vacuous
    assert decided >= 5, "next to nothing was tested"


def test_beyond_is_wide():
    """What the search has never drawn is drawn here."""
    claim, seen = PROVED["path-exclusion/trace-bound-per-output"], set()
    for seed in range(DRAWN):
        stack = wide(claim, seed)
        net, d = stack.network, stack.activation_per_output()
        seen.add(("outputs", d.shape[-1]))
        seen.add(("samples", stack.x.shape[-2]))
        seen |= {("unit", u) for u in net.units}
        if d.shape[-1] >= 3 and any(len(set(row)) == d.shape[-1] for row in d.tolist()):
            seen.add("three outputs with unequal D")
        if (on_path(net) > 1).any():
            seen.add("a weight twice on a path")
        uses = [e.parameter for e in net.edges if e.parameter is not None]
        if len(set(uses)) < len(uses):
            seen.add("a shared weight")
        if any(e.parameter is None and e.factor not in ("1", "1/2") for e in net.edges):
            seen.add("a constant")
        if net.slope not in ("1/4",) and LEAKY in net.units:
            seen.add("another slope")
    assert {("outputs", k) for k in (1, 2, 3)} | {("samples", n) for n in (1, 2, 3)} <= seen
    assert {("unit", MAX), ("unit", LEAKY), ("unit", "one")} <= seen
    assert {"three outputs with unequal D", "a weight twice on a path", "a shared weight", "a constant",
            "another slope"} <= seen  # fmt: skip
