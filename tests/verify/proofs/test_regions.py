"""Regions of counterexamples: a point is in one exactly if the claim is false there."""

import dataclasses
import random

import pytest
from flint import fmpq

from theory.claims import claim_named
from theory.relations import Verdict
from verify.app.cli import main
from verify.proofs.proving import BUDGETS, Prover
from verify.proofs.regions import region
from verify.proofs.shapes import shapes

CASES = (
    ("path-exclusion/objective-is-a-bound", "linear 1-1, 1 sample"),
    ("path-exclusion/pruning-keeps-the-trace", "linear 1-1 with biases, 1 sample"),
    ("path-exclusion/pruning-keeps-the-trace", "linear 2-1, 1 sample"),
    ("path-exclusion/a-round-keeps-its-share-of-the-trace", "linear 2-1, 1 sample"),
    ("path-exclusion/trace-bound", "linear 1-1, 1 sample"),
)


@pytest.mark.parametrize(("identity", "name"), CASES)
def test_a_point_is_in_the_region_exactly_if_the_claim_is_false_there(identity, name):
    claim = claim_named(identity)
    (shape,) = [s for s in shapes(claim, "small") if s.name == name]
    found = region(claim, shape)
    assert found is not None
    prover, rng, inside = Prover(claim, BUDGETS["small"]), random.Random(0), 0
    for _ in range(200):
        values = [fmpq(rng.randint(-3, 3), rng.choice((1, 1, 2))) for _ in shape.names]
        decision = prover.look(shape.instance(values))
        false = decision is not None and decision.verdict is Verdict.REFUTED
        assert found.contains(values) == false, values
        inside += false
    assert bool(inside) == bool(found.pieces)


def test_px_kills_a_sum_of_two_inputs_where_the_smaller_weight_has_the_data():
    """y = a x1 + b x2 at (p, q): the removal of the smaller weight costs more of the trace where it has more data."""
    claim = claim_named("path-exclusion/pruning-keeps-the-trace")
    (shape,) = [s for s in shapes(claim, "small") if s.name == "linear 2-1, 1 sample"]
    found = region(claim, shape)
    assert found is not None
    for a, b, p, q in [(1, 2, 10, 0), (-1, 2, 10, 0), (2, -3, 1, "1/2")]:
        assert found.contains([fmpq(a), fmpq(b), fmpq(p), fmpq(1, 2) if q == "1/2" else fmpq(q)])
    assert not found.contains([fmpq(1), fmpq(2), fmpq(0), fmpq(10)])
    assert not found.contains([fmpq(1), fmpq(1), fmpq(10), fmpq(0)])


def test_roots_are_in_the_way():
    claim = claim_named("sketching/transfer-literal")
    assert region(claim, shapes(claim, "small")[1]) is None


def test_prove_shows_the_region(capsys):
    assert main(["prove", "path-exclusion/objective-is-a-bound", "--shapes", "small"]) == 0
    out = capsys.readouterr().out
    assert "false exactly where" in out
    assert "theta_0^2*x_0_0^2 - x_0_0^2 < 0" in out


def test_what_is_recorded_is_proved_again_on_the_first_shapes(capsys, monkeypatch):
    from verify.proofs import record

    lines = record.read()
    names = ("sketching/mask-size", "path-exclusion/trace-bound", "path-exclusion/positive-literal")
    few = {i: lines[i] for i in names}
    monkeypatch.setattr(record, "read", lambda: few)
    assert main(["prove", "--recheck"]) == 0
    assert "3 recorded proofs" in capsys.readouterr().out
    changed = dataclasses.replace(few["path-exclusion/positive-literal"], verdict="proved")
    monkeypatch.setattr(record, "read", lambda: {changed.claim: changed})
    assert main(["prove", "--recheck"]) == 1
    assert "is refuted, but was proved" in capsys.readouterr().out


def test_which_hypotheses_a_proof_needs(capsys):
    linear = "path-exclusion/linear-removal-never-raises-the-bound"
    assert main(["prove", linear, "--hypotheses", "--shapes", "small"]) == 0
    assert "linear-units: needed" in capsys.readouterr().out
    assert main(["prove", "path-exclusion/trace-bound", "--hypotheses", "--shapes", "small"]) == 0
