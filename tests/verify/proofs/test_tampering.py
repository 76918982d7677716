"""The checker refuses whatever is changed in the algebra of a proof, goal by goal, at random."""

import copy
import json
import random

import pytest

from theory.claims import claim_named
from verify.certificates import digest
from verify.proofs.certificate import certificate
from verify.proofs.checker import ProofError, check_proof
from verify.proofs.proving import prove

CLAIMS = (
    "path-exclusion/trace-bound", "path-exclusion/residual-decay", "no-free-prune/information-range-at-most-k",
    "no-free-prune/information-is-divergence", "sketching/optimal-probabilities", "sketching/mean-squared-error",
)  # fmt: skip
ALGEBRA = {"polynomial", "target", "coefficient", "constant", "coefficients", "scale", "terms", "parts"}
"""Keys of a goal under which every number matters. Sides may change by what is positive: points compare those."""


def texts(node, inside=False):
    """(container, key) of every polynomial and number under a goal that the proof rests on."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        matters = inside or key in ALGEBRA
        if isinstance(value, str) and matters and key not in ("name", "kind", "method", "variable", "monomial"):
            yield node, key
        elif isinstance(value, dict | list) and key not in ("facts", "square"):
            yield from texts(value, matters)


def goals(node):
    if "state" in node:
        yield from node["goals"]
    else:
        yield from goals(node["then"])
        yield from goals(node["else"])


@pytest.mark.parametrize("identity", CLAIMS)
def test_every_change_of_a_number_is_refused(identity):
    body = json.loads(json.dumps(certificate(claim_named(identity), prove(identity, shapes="small"))))
    body["shapes"] = [s for s in body["shapes"] if list(goals(s["tree"]))][-2:]
    check_proof({**body, "digest": digest(body)}, points=5)
    rng, tried = random.Random(0), 0
    for _ in range(25):
        changed = copy.deepcopy(body)
        goal = rng.choice([g for s in changed["shapes"] for g in goals(s["tree"])])
        places = list(texts(goal))
        where, key = rng.choice(places)
        if isinstance(where, list) and key == len(where) - 1:
            continue  # a denominator: where the numerator is 0 on the path nothing changes
        before = where[key]
        where[key] = f"{where[key]} + 7" if "/" not in where[key] else "17/3"
        try:
            check_proof({**changed, "digest": digest(changed)}, points=0)
        except ProofError:
            tried += 1
        else:
            pytest.fail(f"{key}: {before} -> {where[key]} in {goal}")
    assert tried > 10
