"""Pruning runs on modules against the runs by enumeration, and claims about layer collapse decided on modules."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from tests.verify.networks.drawn import module_on_data
from theory.claims import claim_named
from theory.pruning import PruningRun
from theory.relations import Verdict, decide
from theory.scalars import exact
from verify.networks.claims.module_on_data import ModuleOnData
from verify.networks.claims.module_run import PREDICATES, RUN_FORMS, SCORERS, ModuleRun, certain_top, on_runs
from verify.networks.claims.subject import Subject
from verify.networks.claims.undecided import Undecided
from verify.networks.exact.to_graph import network_on_data


def rough(family, seed):
    """No two scores are equal, so that rounding cannot matter."""
    module, x = module_on_data(family, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            noise = torch.randint(1, 2**20, p.shape, generator=generator).double() / 2**22
            p.copy_(torch.where(p == 0, 1.0, p) + noise)
    return module, x


@pytest.mark.parametrize("scorer", SCORERS)
def test_runs_are_those_of_the_enumeration(scorer):
    compared = 0
    for family in ("mlp", "mlp-bias", "residual", "dilated"):
        for seed in range(3):
            module, x = rough(family, seed)
            slow_on, fast = network_on_data(module, x), ModuleRun(ModuleOnData.of(module, x), scorer)
            slow = PruningRun(slow_on.network, slow_on.theta, slow_on.x, keep=fast.keep, scorer=scorer)
            assert (fast.smallest_path(), fast.longest_path()) == (slow.smallest_path(), slow.longest_path())
            assert fast.weights == slow.weights
            # One at a time, as the slowest schedule.
            fast.kept_by_round = slow.kept_by_round
            try:
                masks = fast._run[0]
            except Undecided:
                continue
            compared += 1
            assert np.array_equal(torch.stack(masks).numpy(), slow.masks())
            assert np.array_equal(fast.alive_by_round(), slow.alive_by_round())
            assert np.array_equal(fast.layer_sizes(), slow.layer_sizes())
            ours, theirs = fast.final_objective(), slow.final_objective()
            if scorer != "magnitude":
                assert (theirs == 0) == (ours == 0)
                assert abs(float(theirs) - float(ours)) <= 1e-9 * float(theirs)
    assert compared >= 5


def test_claims_are_decided_as_by_enumeration():
    decided = 0
    for identity in RUN_FORMS:
        claim = claim_named(identity)
        scorers = [s for s in claim.draws.get("scorers", ("synflow",)) if s in SCORERS]
        for seed in range(4):
            module, x = rough("mlp", seed)
            x = x[:1]
            slow_on, fast = (
                network_on_data(module, x),
                ModuleRun(ModuleOnData.of(module, x), scorers[seed % len(scorers)]),
            )
            slow = PruningRun(slow_on.network, slow_on.theta, slow_on.x, keep=fast.keep, scorer=fast.scorer)
            fast.kept_by_round = slow.kept_by_round
            for a in on_runs(claim).assumptions:
                assert bool(a.predicate(fast)) == bool(claim.assumption(a.name).predicate(slow)), (a.name, identity)
            try:
                ours = decide(on_runs(claim).check(fast))
            except Undecided:
                continue
            assert ours.verdict is decide(claim.check(slow)).verdict, (identity, seed)
            decided += 1
    assert decided > 15


def test_assumptions_are_all_known():
    for identity in RUN_FORMS:
        assert {a.name for a in claim_named(identity).assumptions} <= set(PREDICATES)


def test_only_certain_orders_count():
    mask = torch.ones(4, dtype=torch.bool)
    s = torch.tensor([1.0, 2.0, 2.0 + 1e-14, 3.0], dtype=torch.float64)
    assert certain_top(s, 3, mask, 1e-12).tolist() == [False, True, True, True]
    with pytest.raises(Undecided, match="which of two weights goes"):
        certain_top(s, 2, mask, 1e-12)
    # Exact zeros are ties, which the index breaks.
    assert certain_top(torch.zeros(4).double(), 2, mask, 1e-12).tolist() == [False, False, True, True]


def plain(widths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    layers = [b for a, c in itertools.pairwise(widths) for b in (nn.Linear(a, c, bias=False), nn.ReLU())]
    module = nn.Sequential(*layers[:-1]).double()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64))
    return module, torch.randn(2, widths[0], generator=generator, dtype=torch.float64)


def test_px_dies_on_a_large_network_and_frozen_px_does_not_collapse():
    subject = Subject(*plain((40, 50, 10)))
    assert subject.exact is None
    stays = subject.falsify(claim_named("path-exclusion/stays-alive-literal"), examples=40)
    assert stays.verdict == "refuted", stays.reasons
    assert stays.decision.how == "masks certain in float64"
    for identity in ("path-exclusion/frozen-activation-never-collapses", "path-exclusion/collapse-only-after-death",
                     "synaptic-flow/maximal-critical-compression"):  # fmt: skip
        outcome = subject.falsify(claim_named(identity), examples=6)
        assert outcome.verdict == "survived", (identity, outcome.reasons)


def test_the_released_count_is_wrong_on_a_large_module():
    outcome = Subject(*plain((40, 50, 10))).falsify(claim_named("synaptic-flow/released-count-is-exact"), examples=60)
    assert outcome.verdict == "refuted"


def test_where_the_theorem_does_not_apply_it_says_why_and_tries_all_the_same():
    module = nn.Sequential(nn.Linear(40, 50), nn.ReLU(), nn.Linear(50, 10)).double()
    with torch.no_grad():
        for i, p in enumerate(module.parameters()):
            p.copy_(torch.randn(p.shape, generator=torch.Generator().manual_seed(i), dtype=torch.float64))
    subject = Subject(module, torch.ones(1, 40, dtype=torch.float64))
    outcome = subject.falsify(claim_named("path-exclusion/no-collapse-literal"), examples=3)
    assert outcome.verdict == "not applicable"
    assert outcome.reasons[0].startswith("equal-path-lengths: it does not hold that every input-output path")
    assert "tried all the same" in outcome.reasons[-1]


def test_a_decision_on_one_run():
    claim = claim_named("path-exclusion/no-collapse-literal")
    module, x = plain((3, 4, 2))
    run = ModuleRun(ModuleOnData.of(module, x[:1]), "px")
    assert decide(on_runs(claim).check(run)).verdict in (Verdict.HOLDS, Verdict.REFUTED)
    assert exact(x.numpy()).shape == (2, 3)
