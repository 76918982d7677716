"""Every quantity about paths accepts a module if and only if `assumptions` says that it is covered."""

import pytest
import torch

import verify
import verify.networks.claims.restated_flow
from tests.verify.networks.test_odd_modules import MODULES, inputs
from tests.verify.networks.test_refusals import RIGHT, module_of
from theory.claims import Status, claim_named
from theory.relations import Verdict, decide
from verify.networks import zoo
from verify.networks.claims.module_on_data import ModuleOnData
from verify.networks.claims.restated import FORMS, without_enumeration
from verify.networks.claims.undecided import UNDONE
from verify.networks.exact.fixed_point import forward
from verify.networks.exact.to_graph import network_on_data
from verify.networks.recording.graph import MATRIX, PRODUCT, SHIFT
from verify.networks.recording.record import record_for
from verify.networks.scores.methods import METHODS, activation_per_output, live_paths

COVERED = (
    "single-input", "tensor-output", "static-graph", "finite", "piecewise-linear", "no-shared-parameters-on-a-path",
)  # fmt: skip
"""The assumptions that say whether sums over paths are defined; the others say which claims hold of them."""
BY_PATHS = [s.name for s in METHODS.values() if s.paths]


def on_the_record(module, x):
    graph = record_for(module, x)
    return forward(graph, graph.tensors(module, torch.float64), x.double(), 0)


QUANTITIES = {
    "path_bound": verify.path_bound,
    **{f"saliency {m}": lambda m, x, k=m: verify.saliency(m, k, x) for m in BY_PATHS},
    "prune px, 1 round": lambda m, x: verify.prune(m, "px", keep=1, rounds=1, x=x),
    "prune px, 5 rounds": lambda m, x: verify.prune(m, "px", keep=1, rounds=5, x=x),
    "prune synflow, all parameters": lambda m, x: verify.prune(m, "synflow", keep=1, rounds=5, x=x, scored="all"),
    "activation": activation_per_output,
    "live paths": live_paths,
}


def has_weights(module):
    return any(p.ndim > 1 for p in module.parameters())


def check(module, x):
    report = verify.assumptions(module, x, limit=0)
    covered = all(report.holds(name) for name in COVERED)
    for name, quantity in QUANTITIES.items():
        if not has_weights(module) and ("prune" in name or "saliency" in name):
            continue
        error = None
        try:
            quantity(module, x)
        except ValueError as e:
            error = str(e)
        assert (error is None) == covered, (name, error, report.reasons)
    if covered:
        # What is right for paths is right for everything else.
        verify.ntk_trace(module, x)
        on_the_record(module, x)
        if sum(p.numel() for p in module.parameters()) < 1000:
            network_on_data(module, x)
    return covered


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODULES)
def test_odd_modules(name):
    module, shape = MODULES[name]
    check(module, inputs(shape))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", RIGHT)
def test_modules_that_are_hard_to_record(name):
    module, shape = module_of(name, torch.float64)
    check(module, inputs(shape))


@pytest.mark.filterwarnings("ignore::verify.networks.scores.masks.LostWarning")
@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet20"])
def test_zoo(name):
    module = zoo.build(name, width=4) if name == "resnet20" else zoo.build(name)
    shape = {"mlp": (784,), "cnn": (1, 28, 28), "resnet20": (3, 32, 32)}[name]
    assert check(module, inputs(shape, 2).to(next(module.parameters()).dtype))


@pytest.mark.filterwarnings("ignore")
def test_many_are_covered_and_many_are_not():
    """That the tests above have something to test."""
    report = [verify.assumptions(m, inputs(s), limit=0) for m, s in MODULES.values()]
    covered = sum(all(r.holds(name) for name in COVERED) for r in report)
    assert covered > 55
    assert len(report) - covered > 30


def unusual(graph):
    """Whether a module has operations that no layer of torch is made of."""
    return any(op.kind in (MATRIX, PRODUCT, SHIFT) or not op.inputs for op in graph.operations)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODULES)
def test_what_is_proved_is_not_refuted_on_them(name):
    """The forms of the claims know the kinds of operations that layers are made of; here are the others."""
    module, shape = MODULES[name]
    x = inputs(shape, 2)
    report = verify.assumptions(module, x, limit=0)
    if not all(report.holds(n) for n in COVERED) or not unusual(report.graph):
        return
    given = ModuleOnData.of(module, x, report.graph)
    for identity in FORMS:
        claim = claim_named(identity)
        stated = without_enumeration(claim)
        try:
            if all(bool(a.predicate(given)) for a in stated.assumptions):
                decision = decide(stated.check(given))
                assert claim.status != Status.PROVED or decision.verdict != Verdict.REFUTED, (identity, decision.margin)
        except UNDONE:
            pass
