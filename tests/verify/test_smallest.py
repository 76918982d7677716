"""Shrinking to the smallest: the grid of tiny fillings, its order, and sizes that do not depend on the seed."""

from dataclasses import replace

import numpy as np
import pytest

from theory.claims import Assumption, claim_named
from theory.relations import holds
from theory.scalars import exact
from theory.sketches import Sketch
from verify.search.budgets import BUDGETS
from verify.search.loop import falsify
from verify.search.screening import MOST, Problem, size_limit
from verify.search.smallest import VALUES, _amount, _sizes, _structure, grid, smallest, smallest_drawn


def sketch(d, n):
    return Sketch(1, exact(np.ones((d, n))), exact(np.full(d, 7)))


def test_the_grid_holds_every_filling_once_by_rising_size():
    stack = grid(sketch(2, 1), 5**4)
    assert stack.count == 5**4
    filled = {tuple(np.concatenate([x.ravel(), w])) for x, w in zip(stack.x, stack.w, strict=True)}
    assert len(filled) == 5**4
    assert {v for row in filled for v in row} == set(VALUES[:5])
    sizes = [stack.at(i).size() for i in range(0, 5**4, 7)]
    assert sizes == sorted(sizes)
    assert sizes[0][-2:] == (0, 0)


def test_sizes_count_as_instances_do():
    values = np.array(VALUES)[:, None]
    nonzero, weight = _sizes(values)
    for v, n, w in zip(values, nonzero, weight, strict=True):
        assert sketch(1, 1).with_(w=exact(v), x=exact(np.zeros((1, 1)))).size()[-2:] == (n, w)


def test_no_grid_where_it_would_be_too_large():
    assert grid(sketch(4, 4), 1000) is None
    assert grid(sketch(1, 1), 4).count == 4
    assert grid(sketch(1, 1), 10**6).count == len(VALUES) ** 2


def test_amounts_and_structures_ignore_numbers():
    one, other = sketch(2, 1), sketch(2, 1).with_(w=exact(np.array([3, 0])))
    assert _structure(one) == _structure(other) == _structure(one.stack(5).at(2))
    assert _structure(one) != _structure(sketch(1, 2))
    assert _amount(one) == _amount(one.stack(5)) == (1, 4)


def test_stacks_grow_and_small_ones_never_stop():
    limits = [size_limit(r) for r in range(400)]
    assert limits[:7] == [0, 0, 1, 0, 1, 2, 0]
    assert max(limits) == MOST
    assert all(limits[-MOST - 1 :].count(v) == 1 for v in range(MOST + 1))


@pytest.mark.parametrize(("name", "line"), [
    ("sketching/random-always-beats-top", None),
    ("path-exclusion/objective-is-a-bound", "y1 = 0 x1; x = [[1]]"),
    ("synaptic-flow/positive-scores-suffice",
     "h1 = relu(x1), y1 = h1, y2 = h1; magnitude keeps 2 of 3 (one-at-a-time, 1 rounds); x = [[0]]"),
    ("sketching/transfer-literal", None),
    ("path-exclusion/trace-preserves-eigenvalues", None),
    ("path-exclusion/leaves-as-many-outputs-as-synflow-l2", None),
])  # fmt: skip
def test_the_counterexample_does_not_depend_on_the_seed(name, line):
    quick = BUDGETS["quick"]
    found = [falsify(name, examples=quick.examples, rounds=quick.rounds, seed=seed) for seed in range(3)]
    assert {o.verdict for o in found} == {"refuted"}
    assert len({o.counterexample.key() for o in found}) == 1
    assert line in (None, found[0].counterexample.summary())


def test_a_counterexample_larger_than_all_that_is_drawn_is_reduced_itself():
    """What the drawn structures do not hold is not lost."""
    claim = claim_named("sketching/random-always-beats-top")
    never = Assumption("large", "more features than are drawn", lambda i: np.shape(i.w)[-1] >= 9)
    problem = Problem(replace(claim, assumptions=(*claim.assumptions, never)))
    found = Sketch(1, exact(np.ones((10, 1))), exact(np.array([9, -1, *[0] * 8])))
    assert problem.refutes(found)
    assert smallest_drawn(problem) is None
    assert smallest(problem, found).w.shape == (9,)


def test_another_seed_finds_it_kept_and_another_claim_of_the_same_name_does_not():
    claim = claim_named("sketching/random-always-beats-top")
    assert smallest_drawn(Problem(claim)) is smallest_drawn(Problem(claim))
    true = replace(claim, function=lambda i: holds(True))
    assert smallest_drawn(Problem(true)) is None
    assert smallest_drawn(Problem(claim)) is not None
