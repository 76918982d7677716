from itertools import combinations, product

import numpy as np
import pytest
from flint import fmpq

from theory import separability
from theory.scalars import exact
from theory.separability import (
    Separation,
    cover_number,
    dichotomies,
    in_general_position,
    separate,
    signs,
    solve,
    with_bias,
)


def labelings_by_directions(x):
    """All labelings of plane points by a homogeneous unit: one direction in each cell between the points' normals."""
    borders = sorted({a % (2 * np.pi) for p in x for a in (np.arctan2(p[0], -p[1]), np.arctan2(-p[0], p[1]))})
    middles = [(a + b) / 2 for a, b in zip(borders, [*borders[1:], borders[0] + 2 * np.pi], strict=True)]
    return {tuple(np.sign(x @ [np.cos(t), np.sin(t)]).astype(int)) for t in middles}


@pytest.mark.parametrize("seed", range(4))
def test_dichotomies_of_plane_points_against_a_sweep(seed):
    x = np.random.default_rng(seed).integers(-9, 10, (5, 2)) * 2 + 1
    expected = {y for y in labelings_by_directions(x) if 0 not in y}
    assert {tuple(y) for y, ok in zip(signs(5), dichotomies(x), strict=True) if ok} == expected


@pytest.mark.parametrize(("n", "k"), [(1, 1), (4, 1), (4, 2), (5, 3), (3, 3), (6, 3)])
def test_cover_count_on_the_moment_curve(n, k):
    points = [[t**j for j in range(k)] for t in range(1, n + 1)]
    assert in_general_position(points)
    assert dichotomies(points).sum() == cover_number(n, k)


def test_cover_number_small_values():
    assert [cover_number(n, 2) for n in (1, 2, 3, 4)] == [2, 4, 6, 8]
    assert cover_number(5, 9) == 2**5
    with pytest.raises(ValueError, match="n >= 1"):
        cover_number(0, 1)


@pytest.mark.parametrize("seed", range(10))
def test_both_certificates_are_checked(seed):
    rng = np.random.default_rng(seed)
    rows, sides = exact(rng.integers(-4, 5, (6, 3))), exact(rng.integers(0, 2, 6))
    answer = solve(rows, sides)
    assert answer.proves(rows, sides)
    assert not Separation(None, None).proves(rows, sides)
    if answer.feasible:
        bad = Separation(tuple(-w for w in answer.weights), None)
    else:
        bad = Separation(None, (*(c + 1 for c in answer.combination[:-1]), fmpq(-1)))
    assert not bad.proves(rows, sides) or not sides.any()


def test_xor_is_refused_with_its_combination():
    corners = with_bias(exact(list(product((0, 1), repeat=2))))
    answer = separate(corners, [1 if a != b else -1 for a, b, _ in corners])
    assert not answer.feasible
    assert set(answer.combination) == {fmpq(1, 4)}
    assert separate(corners, [1 if a or b else -1 for a, b, _ in corners]).feasible


@pytest.mark.parametrize("labels", [[1, 1], [1, -1]])
def test_opposite_points_and_ties(labels):
    points = [[1], [-1]]
    assert separate(points, labels).feasible is (labels[0] != labels[1])
    assert separate(points, labels, weak=True).feasible
    assert not separate(points, [-1, -1], weak=True).feasible


def test_a_narrow_margin_is_seen():
    """Floating point cannot tell these apart; rationals can."""
    e = fmpq(1, 10**40)
    points = exact([[1, 1], [1, 1]])
    points[1, 1] = 1 + e
    assert separate(points, [1, -1]).feasible
    points[1, 1] = fmpq(1)
    assert not separate(points, [1, -1]).feasible


def test_an_answer_that_proves_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(separability, "_simplex", lambda rows, sides: Separation((fmpq(0),) * 2, None))
    with pytest.raises(ArithmeticError, match="its own check"):
        separate([[1, 2], [2, 1]], [1, -1])


def test_general_position():
    assert not in_general_position([[1, 2], [2, 4]])
    assert in_general_position([[1, 2], [2, 5], [0, 1]])
    assert not in_general_position([[0], [1]])
    assert all(in_general_position([[1, t, t * t] for t in rows]) for rows in combinations(range(4), 3))


def test_bad_input():
    with pytest.raises(ValueError, match="1 or -1"):
        separate([[1]], [0])
    with pytest.raises(ValueError, match="n labels"):
        separate([[1], [2]], [1])
    with pytest.raises(ValueError, match="points"):
        dichotomies(np.ones((13, 1)))
