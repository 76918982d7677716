"""The second implementation against the first, on drawn networks and runs."""

from pathlib import Path

import numpy as np
import pytest

from theory.claims import claim_named
from theory.pruning import PruningRun
from verify.certificates.second_opinion import Net, objective_after, path_survives, pruned
from verify.search.strategies import StackChooser, draw
from verify.search.strategies.pruning import pruning_run


def chooser(seed):
    return StackChooser(np.random.default_rng([seed, 5]), None, 2)


@pytest.mark.parametrize("seed", range(60))
def test_trace_and_path_quantities_agree(seed):
    instance = draw(claim_named("path-exclusion/trace-bound"), chooser(seed))
    net = Net(instance.to_json())
    assert net.trace() == _fraction(instance.ntk_trace())
    assert net.activation() == [_fraction(v) for v in instance.activation_per_output()]
    shared = [e.parameter for e in instance.network.edges if e.parameter is not None]
    if len(shared) == len(set(shared)):
        assert net.kernel() == [_fraction(v) for v in instance.kernel_per_output()]


@pytest.mark.parametrize("scorer", ["magnitude", "synflow", "synflow-l2", "px", "px-frozen"])
@pytest.mark.parametrize("seed", range(12))
def test_scores_and_runs_agree(scorer, seed):
    run = pruning_run(chooser(seed), scorers=(scorer,), schedules=("one-at-a-time", "one-shot"))
    assert isinstance(run, PruningRun)
    data = run.to_json()
    if scorer != "px-frozen":
        assert Net(data).scores(scorer) == [_fraction(v) for v in run.scores_by_round()[0]]
    kept = pruned(data)
    assert kept == np.flatnonzero(run.final_mask()).tolist()
    assert path_survives(data, kept) == bool(run.alive())


def test_the_objective_after_pruning_agrees():
    for seed in range(30):
        run = pruning_run(chooser(seed), scorers=("px",))
        assert objective_after(run.to_json(), pruned(run.to_json())) == _fraction(run.final_objective())


def test_other_runs_are_refused():
    run = pruning_run(chooser(1), rules=("threshold-released",))
    with pytest.raises(ValueError, match="only global runs"):
        pruned(run.to_json())


def test_it_shares_no_code():
    from verify.certificates import second_opinion as module

    source = Path(module.__file__).read_text()
    assert "import theory" not in source
    assert "from theory" not in source
    assert "from verify" not in source


def _fraction(v):
    from fractions import Fraction

    return Fraction(int(v.p), int(v.q))
