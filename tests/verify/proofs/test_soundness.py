"""What a prover must not get wrong: every point lies on one path, and nothing false is proved."""

import random

import numpy as np
import pytest
from flint import fmpq

from theory.claims import claim_named, claims
from theory.information import LogSum
from theory.relations import Verdict, decide
from verify.power.planted import handmade
from verify.proofs.explore import explore
from verify.proofs.polynomials import Space
from verify.proofs.proving import BUDGETS, UNDEFINED, Prover, Refuted, prove
from verify.proofs.shapes import shapes
from verify.proofs.symbols import Quotient, expanded
from verify.studies.proved_mistakes import refuted_among

CLAIMS = (
    "path-exclusion/chain-rule", "path-exclusion/saliency-nonnegative", "path-exclusion/trace-bound-per-sample",
    "path-exclusion/kinks", "path-exclusion/collapse-only-after-death", "path-exclusion/removal-by-trace-is-best",
    "path-exclusion/residual-decay", "path-exclusion/guarded-pruning-keeps-a-live-path",
    "synaptic-flow/layer-rescaling", "synaptic-flow/maximal-critical-compression",
    "synaptic-flow/masked-weights-stay-masked", "sketching/mean-squared-error", "sketching/optimal-probabilities",
    "sketching/transfer-relative", "sketching/top-is-best-for-orthogonal-rows", "sketching/data-independence",
    "no-free-prune/cover-count", "no-free-prune/leakage-count",
)  # fmt: skip


def points(count, width, seed):
    """Small numbers: zeros, ties and opposites are frequent."""
    rng = random.Random(seed)
    return [[fmpq(rng.randint(-2, 2), rng.choice((1, 1, 1, 2))) for _ in range(width)] for _ in range(count)]


def value(q, at):
    """A side at a point."""
    if not isinstance(q, Quotient):
        return q
    return q.num(*at) / (expanded(q.den)(*at) if q.den else 1)


def lies_on(path, at):
    for d in path.world.trail:
        v = d.polynomial(*at)
        if (v > 0) - (v < 0) not in d.signs:
            return False
    return True


def rooted(space, paths):
    """Whether some decision asks a root, whose value a point does not have."""
    return any(any(d.polynomial.degrees()[v] > 0 for v in range(space.count, len(space.gens)))
               for p in paths for d in p.world.trail)  # fmt: skip


def concrete(prover, shape, values):
    """The claim at a point: its sides, or why it does not apply."""
    instance = shape.instance(values)
    try:
        if not bool(np.all(instance.valid())):
            return "the numbers are no instance"
        for a in prover.kept:
            if not bool(np.all(a.predicate(instance))):
                return f"not {a.name}"
        relation = prover.claim.function(instance)
    except ZeroDivisionError:
        return UNDEFINED
    return [(a, b) for _, _, a, b, _ in prover._stated(relation)]


@pytest.mark.parametrize("identity", CLAIMS)
def test_every_point_lies_on_one_path_with_the_values_of_the_claim(identity):
    claim = claim_named(identity)
    prover, compared = Prover(claim, BUDGETS["small"]), 0
    for number, shape in enumerate(shapes(claim, "small")[:12]):
        space = Space(shape.names)
        try:
            paths = list(explore(lambda shape=shape, space=space: prover.run(shape, space), space, 150))
        except Exception as e:
            if type(e).__name__ == "TooManyPaths":
                continue
            raise
        if rooted(space, paths):
            continue
        for values in points(15, space.count, number):
            at = [*values, *[fmpq(0)] * (len(space.gens) - space.count)]
            mine = [p for p in paths if lies_on(p, at)]
            assert len(mine) == 1, (shape.name, values, len(mine))
            (path,) = mine
            assert not path.empty, (shape.name, values)
            expected = concrete(prover, shape, values)
            if isinstance(expected, str) or isinstance(path.outcome, str):
                assert path.outcome == expected, (shape.name, values)
                continue
            if path.world.roots or any(isinstance(s, LogSum) for row in path.outcome for s in row[2:4]):
                continue
            assert [(value(a, at), value(b, at)) for _, _, a, b, _ in path.outcome] == expected, (shape.name, values)
            compared += 1
    assert compared or identity in ("sketching/transfer-relative",), "nothing was compared"


def refuted_at_a_point(prover, shape, seed):
    """Whether some random point of a shape refutes the claim."""
    return refuted_among(prover, shape, points(60, len(shape.names), seed))


PLANTED = {p.name: p for p in handmade()}


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_no_planted_mistake_is_proved_where_it_is_wrong(name):
    p = PLANTED[name]
    proof = prove(p.claim, shapes="small", drop=p.drop)
    if proof.verdict == "refuted":
        assert decide(p.claim.check(proof.counterexample)).verdict is Verdict.REFUTED
        return
    prover = Prover(p.claim, BUDGETS["small"], p.drop)
    for number, done in enumerate(proof.shapes):
        if done.verdict == "proved":
            assert not refuted_at_a_point(prover, done.shape, number), (name, done.name)


@pytest.mark.parametrize("identity", [c.id for c in claims() if c.status in ("refuted", "open")])
def test_what_is_false_is_not_proved_where_it_is_wrong(identity):
    claim = claim_named(identity)
    proof = prove(claim, shapes="small")
    prover = Prover(claim, BUDGETS["small"])
    for number, done in enumerate(proof.shapes):
        if done.verdict == "proved":
            assert not refuted_at_a_point(prover, done.shape, number), done.name


def test_a_refutation_is_an_exact_instance_that_is_an_ordinary_certificate(tmp_path):
    from verify.certificates import check, save

    proof = prove("path-exclusion/objective-is-a-bound", shapes="small")
    assert proof.verdict == "refuted"
    assert check(save(proof.certificate, tmp_path / "c.json")).decision.verdict is Verdict.REFUTED


def test_refuted_carries_the_decision():
    claim = claim_named("path-exclusion/objective-is-a-bound")
    prover, first = Prover(claim, BUDGETS["small"]), shapes(claim, "small")[0]
    with pytest.raises(Refuted):
        prover.shape(first, 10)
