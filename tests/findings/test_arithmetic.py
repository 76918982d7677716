"""What the page writes out, against the theory on drawn networks."""

from fractions import Fraction

import numpy as np
import pytest

from theory import auxiliary
from theory.claims import claim_named
from theory.instances import setting_named
from theory.pruning import PruningRun
from theory.relations import Verdict, decide
from verify import certificates
from verify.certificates.second_opinion import Net, path_survives, pruned
from verify.search.strategies import StackChooser, draw
from verify.search.strategies.pruning import pruning_run
from verify.studies.findings import arithmetic, page


def chooser(seed):
    return StackChooser(np.random.default_rng([seed, 11]), None, 2)


def fraction(v):
    return Fraction(int(v.p), int(v.q))


WITNESSES = page.witnesses()


@pytest.mark.parametrize("witness", WITNESSES, ids=[w.path.stem for w in WITNESSES])
def test_every_counterexample_is_decided_again_and_is_what_the_page_says(witness):
    check = page.check_witness(witness)
    assert not check.problems
    checked = certificates.check(witness.path)
    claim, instance = checked.claim, checked.instance
    assert checked.decision.verdict is Verdict.REFUTED
    assert claim.status == "refuted"
    assert all(bool(a.predicate(instance)) for a in (*claim.assumptions, *witness.also))


@pytest.mark.parametrize("witness", WITNESSES, ids=[w.path.stem for w in WITNESSES])
def test_the_second_implementation_finds_the_same(witness):
    """Pruning runs leave the same weights; networks on data have the same trace."""
    body = witness.load()
    instance = setting_named(body["setting"]).from_json(body["instance"])
    if body["setting"] == "PruningRun" and instance.rule == "by-index" and instance.scorer != "path-energy":
        kept = pruned(body["instance"])
        assert kept == np.flatnonzero(instance.final_mask()).tolist()
        assert path_survives(body["instance"], kept) == bool(instance.alive())
    if body["setting"] == "NetworkOnData":
        assert Net(body["instance"]).trace() == fraction(instance.ntk_trace())


def test_a_counterexample_with_a_zero_is_noticed(tmp_path):
    witness = next(w for w in WITNESSES if w.claim.endswith("objective-is-a-bound"))
    claim = claim_named(witness.claim)
    instance = setting_named("NetworkOnData").from_json({**witness.load()["instance"], "theta": ["0"]})
    body = certificates.certificate(claim, instance, decide(claim.check(instance)))
    changed = type("Elsewhere", (type(witness),), {"path": property(lambda self: tmp_path / "zero.json")})(
        witness.claim, witness.also
    )
    certificates.save(body, changed.path)
    assert page.check_witness(changed).problems == ("not so: no weight and no input is 0",)


@pytest.mark.parametrize("finding", page.FINDINGS, ids=[f.name for f in page.FINDINGS])
def test_the_arithmetic_fits_on_ten_lines(finding):
    for witness, written in finding.shown:
        lines = written(witness.load()["instance"])
        assert 1 < len(lines) <= arithmetic.MOST_LINES
        assert all(line.strip() for line in lines)


@pytest.mark.parametrize("scorer", ["px", "px-frozen", "magnitude", "synflow-l2", "path-energy"])
@pytest.mark.parametrize("seed", range(8))
def test_written_runs_end_with_the_weights_that_the_run_keeps(scorer, seed):
    run = pruning_run(chooser(seed), scorers=(scorer,), families=("mlp",), nonzero=True)
    assert isinstance(run, PruningRun)
    last = arithmetic.pruning_run(run.to_json())[-1]
    sizes = [int(v) for v in run.layer_sizes()]
    assert last.startswith(f"{int(run.final_mask().sum())} weights are left: {arithmetic.by_layer(sizes)};")
    assert ("some path keeps" in last) == bool(run.alive())
    if scorer in ("px", "px-frozen"):
        assert last.endswith(f"the objective is {fraction(run.final_objective())}.")


@pytest.mark.parametrize("seed", range(20))
def test_energies_traces_and_kernels_agree_with_the_theory(seed):
    instance = draw(claim_named("path-exclusion/auxiliary-same-architecture"), chooser(seed))
    net = Net(instance.to_json())
    every = list(range(len(net.theta)))
    assert arithmetic.trace_of(net, every) == fraction(instance.ntk_trace())
    same = auxiliary.kernel(instance.network, instance.theta, same_architecture=True)
    if "leaky" not in instance.network.units:
        assert arithmetic.same_architecture_kernel(net) == [fraction(v) for v in same]
        if "max" not in instance.network.units:
            assert arithmetic.path_energy(net) == [fraction(v) for v in instance.saliency("path-energy")]


@pytest.mark.parametrize("seed", range(12))
def test_sketch_weights_agree_with_the_theory(seed):
    from theory.papers.sketching.synflow import synflow_deep_literal

    instance = draw(synflow_deep_literal, chooser(seed))
    data = {**instance.to_json(), "x": [["1"] * len(instance.network.inputs)]}
    expected = [fraction(v) for v in instance.squared_sketch_weights()]
    assert arithmetic.squared_sketch_weights(Net(data)) == expected
