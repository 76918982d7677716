"""Forms without enumeration against the claims themselves, on modules small enough to enumerate."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.verify.networks.drawn import FAMILIES, module_on_data
from theory.claims import claim_named
from theory.paths import NetworkOnData
from theory.relations import Verdict, decide
from verify.networks.claims.module_on_data import ModuleOnData
from verify.networks.claims.restated import FORMS, cuts, equal_activations, without_enumeration
from verify.networks.claims.subject import Subject
from verify.networks.claims.undecided import Undecided
from verify.networks.exact.to_graph import network_on_data

SAMPLED = {"path-exclusion/saliency", "path-exclusion/pruning-keeps-the-trace",
           "synaptic-flow/signed-scores-are-nonnegative", "path-exclusion/saliency-conservation",
           "path-exclusion/kernel-by-gradient", "path-exclusion/score-without-theta-ranks-the-same"}  # fmt: skip
"""Forms that take some weights, cuts or pairs: what fails for others, they do not see."""

EQUALITIES = ("path-exclusion/auxiliary-networks", "path-exclusion/saliency", "synaptic-flow/cut-conservation")
CLOSE = 1e-9
"""Relative gap below which the rounding bounds must put the sides of a true equality."""


def pairs(seeds):
    for family in FAMILIES:
        for seed in range(seeds):
            module, x = module_on_data(family, seed)
            yield ModuleOnData.of(module, x), network_on_data(module, x)


@pytest.mark.parametrize("identity", [k for k in FORMS if claim_named(k).setting is NetworkOnData])
def test_forms_decide_as_the_claims_do(identity):
    claim, decided = claim_named(identity), 0
    form = without_enumeration(claim)
    assert form.function is FORMS[identity]
    for fast, slow in pairs(5):
        applies = not claim.applies(slow)
        if not form.applies(fast):
            assert applies or identity not in SAMPLED
        if not applies or form.applies(fast):
            continue
        try:
            found, exact = decide(form.check(fast)), decide(claim.check(slow))
        except Undecided:
            continue
        except ValueError as e:
            if "too many to enumerate" not in str(e):
                raise
            continue
        if found.agrees is not None:
            # An equality of bounded values never holds; it agrees, and so closely that a mistake would show.
            assert exact.verdict is Verdict.HOLDS, (fast.summary(), exact)
            assert found.agrees < CLOSE, (fast.summary(), found)
            decided += 1
            continue
        if found.verdict is Verdict.UNDECIDED:
            # Balls cannot tell a bound from an equality that is reached.
            assert abs(exact.margin) < 1e-9 or exact.vacuous or identity in SAMPLED, (fast.summary(), exact)
            continue
        decided += not found.vacuous
        if identity not in SAMPLED or found.verdict is Verdict.REFUTED:
            assert found.verdict == exact.verdict, (fast.summary(), found, exact)
        assert found.vacuous == exact.vacuous or identity in SAMPLED
    assert decided > 3, "the form decides next to nothing"


@pytest.mark.parametrize(
    "identity",
    ["path-exclusion/bias-paths", "path-exclusion/unsquared-data-bounds", "path-exclusion/positive-literal",
     "path-exclusion/score-without-theta-ranks-the-same", "path-exclusion/pruning-keeps-the-trace",
     "synaptic-flow/signed-scores-are-nonnegative", "synaptic-flow/every-layer-conserves",
     "synaptic-flow/released-synflow-l2-conserves"],
)  # fmt: skip
def test_forms_of_refuted_claims_refute_somewhere(identity):
    claim, found = claim_named(identity), 0
    for fast, slow in pairs(12):
        if identity == "path-exclusion/bias-paths":
            fast = ModuleOnData(fast.graph, fast.tensors, fast.x * 0)
            slow = slow.with_(x=slow.x * 0)
        try:
            decision = decide(without_enumeration(claim).check(fast))
        except Undecided:
            continue
        if decision.verdict is Verdict.REFUTED:
            try:
                assert decide(claim.check(slow)).verdict is Verdict.REFUTED, fast.summary()
            except ValueError as e:
                if "too many to enumerate" not in str(e):
                    raise
                continue
            found += 1
    assert found


def test_equal_activations_is_what_the_exact_numbers_say():
    for fast, slow in pairs(3):
        d = slow.activation_per_output()
        if equal_activations(fast):
            assert (d == d[:1]).all()


def test_cuts_are_met_once_by_every_path():
    checked = 0
    for fast, slow in pairs(4):
        on = np.zeros((len(slow.paths), slow.network.parameters), dtype=int)
        for p, edges in enumerate(slow.paths.edges):
            for e in edges:
                if slow.network.edges[e].parameter is not None:
                    on[p, slow.network.edges[e].parameter] += 1
        start, columns = 0, {}
        for n in fast.graph.parameters:
            columns[n] = list(range(start, start + fast.tensors[n].numel()))
            start += fast.tensors[n].numel()
        for names in cuts(fast).values():
            assert (on[:, [j for n in names for j in columns[n]]].sum(axis=1) == 1).all()
            checked += 1
    assert checked > 10


def test_rescaling_is_conserved_at_cuts_only():
    kept, lost = claim_named("synaptic-flow/layer-rescaling"), claim_named("synaptic-flow/any-layer-rescaling")
    found = set()
    for fast, _ in pairs(4):
        assert decide(without_enumeration(kept).check(fast)).agrees < CLOSE
        found.add(decide(without_enumeration(lost).check(fast)).verdict)
    assert Verdict.REFUTED in found


class Difference(nn.Module):
    """A dense layer minus what it read."""

    def __init__(self, width):
        super().__init__()
        self.a = nn.Linear(width, width, bias=False).double()

    def forward(self, x):
        return self.a(x) - x


def test_negative_constants_are_seen_as_the_network_has_them():
    claim = claim_named("synaptic-flow/why-absolute-values")
    seen = set()
    for fast, slow in pairs(3):
        found = without_enumeration(claim).applies(fast)
        if not found:
            assert not claim.applies(slow), fast.summary()
        seen.add(not found)
    module, x = Difference(3), torch.ones(1, 3, dtype=torch.float64)
    assert [a.name for a in without_enumeration(claim).applies(ModuleOnData.of(module, x))] == ["nonnegative-factors"]
    assert seen == {True, False}


def test_three_scorers_are_conserved_over_cuts():
    claim = claim_named("synaptic-flow/cut-conservation")
    for fast, _ in pairs(4):
        assert decide(without_enumeration(claim).check(fast)).agrees < CLOSE


def test_a_planted_mistake_in_a_form_is_seen():
    """Doubling one side of an equality is refuted: the bounds are not so wide that everything passes."""
    module, x = module_on_data("convolution", 1)
    fast = ModuleOnData.of(module, x)
    fast.px()["0.weight"].mul_(1 + 1e-5)
    for identity in ("data-enters-through-outputs", "saliency", "saliency-conservation"):
        decision = decide(without_enumeration(claim_named(f"path-exclusion/{identity}")).check(fast))
        assert decision.verdict is Verdict.REFUTED, identity


def wide():
    generator = torch.Generator().manual_seed(0)
    module = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).double()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64) / 4)
    return module, torch.randn(8, 64, generator=generator, dtype=torch.float64)


def test_large_modules_decide_most_claims():
    subject = Subject(*wide())
    decided = {}
    for identity in FORMS:
        claim = claim_named(identity)
        if claim.id in FORMS:
            outcome = subject.falsify(claim, examples=4)
            agrees = any("the sides agree within the rounding bound" in r for r in outcome.reasons)
            decided[identity] = "agrees" if outcome.verdict == "undecided" and agrees else outcome.verdict
    open_ = [k for k, v in decided.items() if v == "undecided"]
    assert not open_, open_
    assert "survived" not in [decided[k] for k in EQUALITIES]
    assert decided["path-exclusion/score-without-theta-ranks-the-same"] == "refuted"
    assert decided["path-exclusion/trace-bound-per-sample"] == "survived"


def test_settings_beyond_data_are_decided_exactly_on_small_modules():
    module, x = module_on_data("mlp", 2)
    subject = Subject(module, x)
    for identity in ("synaptic-flow/cut-conservation", "synaptic-flow/layer-rescaling",
                     "path-exclusion/frozen-activation-never-collapses",
                     "path-exclusion/guarded-pruning-keeps-a-live-path"):  # fmt: skip
        outcome = subject.falsify(claim_named(identity), examples=12)
        assert (outcome.verdict, outcome.hows) == ("survived", "rational"), (identity, outcome.reasons)
    refuted = subject.falsify(claim_named("synaptic-flow/positive-scores-suffice"), examples=300)
    assert refuted.verdict == "refuted"
    assert refuted.certificate["setting"] == "PruningRun"
