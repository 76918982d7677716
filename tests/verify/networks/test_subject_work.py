"""What a search on a module depends on, and what it computes only once."""

import dataclasses
import itertools
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.forked import python
from theory.claims import Status, claim_named, claims
from theory.relations import at_most
from verify.networks.claims import budget, restated, undecided
from verify.networks.claims.enumerated import contracted, enumerated
from verify.networks.claims.subject import Subject, about_networks
from verify.networks.recording.record import record

CHOSEN = (
    "path-exclusion/trace-bound", "path-exclusion/unsquared-data-bounds", "path-exclusion/saliency",
    "path-exclusion/stays-alive-literal", "synaptic-flow/positive-scores-suffice", "path-exclusion/bias-paths",
)  # fmt: skip
"""Bounds that are climbed, forms, and pruning runs."""


def perceptron(widths, bias=True, seed=0, act=nn.ReLU):
    generator = torch.Generator().manual_seed(seed)
    layers = [b for a, c in itertools.pairwise(widths) for b in (nn.Linear(a, c, bias=bias), act())]
    module = nn.Sequential(*layers[:-1]).double()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64) / p.shape[-1] ** 0.5)
    return module, torch.randn(4, widths[0], generator=generator, dtype=torch.float64)


def told(outcome):
    """Everything that is said, but for the time."""
    return {f.name: repr(getattr(outcome, f.name)) for f in dataclasses.fields(outcome) if f.name != "seconds"}


def asked(names, widths, examples=6, seed=3):
    subject = Subject(*perceptron(widths))
    return {n: told(subject.falsify(claim_named(n), examples=examples, seed=seed)) for n in names}


@pytest.mark.parametrize("widths", [(30, 16, 8), (2, 3, 2)])
def test_the_order_of_claims_changes_nothing(widths):
    names = CHOSEN if widths[0] > 2 else CHOSEN[:1]
    assert asked(names, widths) == asked(names[::-1], widths)


def test_the_clock_decides_nothing(monkeypatch):
    before = asked(CHOSEN, (30, 16, 8))
    ticks = itertools.count(step=1000.0)
    monkeypatch.setattr("time.monotonic", lambda: next(ticks))
    assert asked(CHOSEN, (30, 16, 8)) == before


SCRIPT = """
import json, sys
from tests.verify.networks.test_subject_work import CHOSEN, asked
print(json.dumps(asked(CHOSEN, (30, 16, 8))))
"""


def test_another_process_says_the_same():
    done = python("-c", SCRIPT, cwd=Path(__file__).parents[3])
    assert json.loads(done.stdout) == asked(CHOSEN, (30, 16, 8))


def test_threads_are_restored_and_change_nothing():
    before = asked(CHOSEN[:3], (30, 16, 8))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert asked(CHOSEN[:3], (30, 16, 8)) == before
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_a_limit_in_seconds_says_what_it_cut(monkeypatch):
    ticks = itertools.count(step=1000.0)
    monkeypatch.setattr("verify.search.budgets.time.monotonic", lambda: next(ticks))
    subject = Subject(*perceptron((30, 16, 8)))
    outcome = subject.falsify(claim_named("path-exclusion/saliency-nonnegative"), examples=20, seconds=1.0)
    assert outcome.cut.startswith("cut short after 1 of ")
    assert outcome.verdict == "survived"


def test_a_module_runs_a_handful_of_times_for_all_claims():
    module, x = perceptron((30, 16, 8))
    calls = []
    module.register_forward_hook(lambda *_: calls.append(1))
    subject = Subject(module, x)
    for claim in claims():
        if claim.status is not Status.EMPIRICAL and about_networks(claim):
            subject.falsify(claim, examples=5)
    # Two runs record it, and one compares the record with it.
    assert len(calls) <= 3


def test_what_claims_share_is_computed_once(monkeypatch):
    from verify.networks.claims import module_on_data

    counted = []
    whole = module_on_data.Sweep.squares
    monkeypatch.setattr(module_on_data.Sweep, "squares", lambda *a, **k: counted.append(1) or whole(*a, **k))
    subject = Subject(*perceptron((30, 16, 8)), climbing=False)
    bounds = [claim_named(f"path-exclusion/trace-bound{s}") for s in ("", "-per-output", "-divided-by-outputs")]
    subject.falsify(bounds[0], examples=8)
    first = len(counted)
    for claim in bounds[1:]:
        subject.falsify(claim, examples=8)
    assert len(counted) == first > 0


def test_inputs_and_name_stay_as_they_were():
    module, x = perceptron((30, 16, 8))
    subject = Subject(module, x, "mine")
    assert subject.report.graph is not None
    subject.falsify(claim_named("path-exclusion/trace-bound"), examples=4)
    assert (subject.x is x, subject.name) == (True, "mine")


def test_gates_are_told_apart_only_where_a_claim_looks_refuted(monkeypatch):
    """A pre-activation of about 0: a gate that float64 cannot tell, on which no bound depends."""
    from verify.networks.exact.fixed_point import Evaluation

    module, x = perceptron((30, 16, 8))
    with torch.no_grad():
        module[0].bias[0] = -(module[0].weight[0] @ x[0])
    monkeypatch.setattr(budget, "TOLD_APART", 0.0)
    subject = Subject(module, x, climbing=False)
    assert subject.given.run.open
    spent, whole = [], Evaluation.evaluate
    monkeypatch.setattr(Evaluation, "evaluate", lambda self, x: spent.append(1) or whole(self, x))
    bound = claim_named("path-exclusion/trace-bound")
    assert subject.falsify(bound, examples=10).verdict == "survived"
    assert not spent
    wrong = dataclasses.replace(bound, function=lambda i: at_most(i.path_kernel_trace(), i.ntk_trace() * 1e-9))
    assert subject.falsify(wrong, examples=10).verdict == "refuted"
    assert len(spent) == 1
    assert subject.given.certain.run.digits


# -- ordinary small networks --------------------------------------------------------------------------


def enumerated_of(module, x):
    graph = record(module, x)
    return enumerated(graph, graph.tensors(module, torch.float64), x)


def test_contracted_networks_are_the_same_function_with_fewer_units():
    for act in (nn.ReLU, lambda: nn.LeakyReLU(0.25)):
        module, x = perceptron((3, 4, 2), act=act)
        given = enumerated_of(module, x).given
        assert len(given.network.units) == 3 + 1 + 4 + 2
        torch.testing.assert_close(
            torch.tensor([[float(v) for v in row] for row in given.outputs()], dtype=torch.float64), module(x)
        )


def test_a_linear_unit_that_is_read_twice_is_not_contracted():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(2, 2).double(), nn.Linear(2, 1).double()

        def forward(self, x):
            h = self.a(x)
            return self.b(h.relu() + h)

    module, x = Twice(), torch.tensor([[1.0, -2.0], [-0.5, 0.25]], dtype=torch.float64)
    given = enumerated_of(module, x).given
    assert contracted(given.network) == given.network
    values = torch.tensor([[float(v) for v in row] for row in given.outputs()], dtype=torch.float64)
    torch.testing.assert_close(values, module(x))


def leaky_convolution():
    generator = torch.Generator().manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 2, 2), nn.LeakyReLU(0.25), nn.Flatten(), nn.Linear(8, 2)).double()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64))
    return module, torch.randn(2, 1, 3, 3, generator=generator, dtype=torch.float64)


ORDINARY = {
    "4-8-2 with biases": lambda: perceptron((4, 8, 2)),
    "12-8-3": lambda: perceptron((12, 8, 3), bias=False),
    "5-16-16-3 with biases": lambda: perceptron((5, 16, 16, 3)),
    "leaky convolution": leaky_convolution,
}
QUICK = 1e5
"""Claims that cost more by enumeration are left to `grid` here: seconds each."""


def grid(module, x, most=float("inf"), examples=1):
    """Every claim about networks on a module: decided, or with a reason of its own. What went otherwise, by claim."""
    subject, bad = Subject(module, x), {}
    for claim in claims():
        if claim.status is Status.EMPIRICAL or not about_networks(claim):
            continue
        if subject._enumerates(claim) and budget.exact_cost(claim, subject.exact.network) > most:
            continue
        outcome = subject.falsify(claim, examples=examples)
        fine = outcome.verdict != "undecided" or outcome.reasons
        fine = fine and not any("too many" in r or "Error" in r for r in outcome.reasons)
        if not fine or (claim.status is Status.PROVED and outcome.verdict == "refuted"):
            bad[claim.id] = (outcome.verdict, outcome.reasons)
    return bad


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_small_networks_are_decided_or_say_why(name):
    assert grid(*ORDINARY[name](), most=QUICK) == {}


def test_one_hidden_layer_of_eight_is_decided():
    subject = Subject(*perceptron((4, 8, 2), bias=False))
    for identity in ("synaptic-flow/cut-conservation", "synaptic-flow/maximal-critical-compression",
                     "path-exclusion/saliency-conservation"):  # fmt: skip
        outcome = subject.falsify(claim_named(identity), examples=6)
        assert (outcome.verdict, outcome.hows) == ("survived", "rational"), (identity, outcome.reasons)


def test_an_error_inside_a_claim_is_its_reason():
    def broken(_):
        raise IndexError("list index out of range")

    claim = dataclasses.replace(claim_named("path-exclusion/trace-bound"), function=broken)
    for widths in ((2, 3, 2), (30, 16, 8)):
        outcome = Subject(*perceptron(widths), climbing=False).falsify(claim, examples=3)
        assert outcome.verdict == "undecided"
        assert outcome.reasons == ["IndexError: list index out of range"]
    with pytest.raises(KeyError):
        Subject(*perceptron((2, 3, 2))).falsify(claim, drop=("no-such-assumption",))


def test_making_a_counterexample_small_is_bounded_in_work(monkeypatch):
    """Of 131 weights each decision is dear; what is found is refuted exactly all the same."""
    decided = []
    monkeypatch.setattr(budget, "SHRINKING", 4e5)
    subject = Subject(*perceptron((12, 8, 3)))
    claim = claim_named("path-exclusion/score-without-theta-ranks-the-same")
    counted = dataclasses.replace(claim, function=lambda i: decided.append(1) or claim.function(i))
    outcome = subject.falsify(counted, examples=4)
    assert outcome.verdict == "refuted"
    assert outcome.counterexample.network.parameters < 131
    assert claim.check(outcome.counterexample) is not None
    assert outcome.decision.lhs > outcome.decision.rhs
    assert len(decided) < 1000


def test_every_claim_that_is_named_for_its_cost_or_its_form_exists():
    known = {c.id for c in claims()}
    named = (budget._BY_PAIRS_OF_PATHS, budget._BY_WEIGHTS, budget._BY_PAIRS_OF_WEIGHTS, budget._BY_SAMPLES,
             budget._BY_CUTS, restated.FORMS, undecided.WHY, undecided.NOTHING)  # fmt: skip
    for ids in named:
        assert set(ids) <= known
