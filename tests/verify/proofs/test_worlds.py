"""Signs, substitutions, roots, and goals on worlds made by hand."""

from flint import fmpq

from theory.scalars import exact, is_exact, sqrt
from verify.proofs import goals, logarithms
from verify.proofs.explore import explore
from verify.proofs.polynomials import ANY, NONNEGATIVE, POSITIVE, Space
from verify.proofs.symbols import variable
from verify.proofs.world import World


def run(f, *names):
    space = Space(names)
    return list(explore(lambda: f(*[variable(space, i) for i in range(len(names))]), space, 500))


def test_symbols_are_exact_scalars():
    x = variable(Space(("x",)), 0)
    assert is_exact(x)
    assert exact([x])[0] is x


def test_the_square_of_zero_is_not_positive():
    paths = run(lambda x: x * x > 0, "x")
    assert sorted(p.outcome for p in paths) == [False, True]


def test_a_product_forks_on_its_factors_and_covers_everything():
    paths = run(lambda x, y: x * y > 0, "x", "y")
    for a in (-1, 0, 1):
        for b in (-1, 0, 1):
            on = [p for p in paths if all((v := d.polynomial(a, b, *[0] * 10), (v > 0) - (v < 0) in d.signs)[1]
                                          for d in p.world.trail)]  # fmt: skip
            assert [p.outcome for p in on] == [a * b > 0]


def test_a_divisor_forks_on_zero():
    def f(x):
        try:
            return (1 / x) * x == 1
        except ZeroDivisionError:
            return "undefined"

    assert {p.outcome for p in run(f, "x")} == {True, "undefined"}


def test_an_equality_is_substituted():
    paths = run(lambda x, y: (x * x - y * y == 0) if x - y == 0 else None, "x", "y")
    assert [p.outcome for p in paths if p.outcome is not None] == [True]


def test_a_sum_of_squares_that_is_zero_has_no_terms():
    paths = run(lambda x, y: (x == 0 and y == 0) if x * x + y * y == 0 else None, "x", "y")
    assert {p.outcome for p in paths if not p.empty and p.outcome is not None} == {True}


def test_the_root_of_a_square_is_the_absolute_value():
    assert {p.outcome for p in run(lambda x: sqrt(x * x) == abs(x), "x") if not p.empty} == {True}


def test_roots_that_a_substitution_makes_equal_are_one_number():
    def f(x, y, z):
        a, b = sqrt(x * x + z * z), sqrt(y * y + z * z)
        return a == b if x == y else None

    assert {p.outcome for p in run(f, "x", "y", "z") if not p.empty} == {None, True}


def test_a_root_in_a_quotient_has_the_right_sign():
    def f(x, y):
        if y == 0:
            return None
        return sqrt(x * x / (y * y)) >= 0

    assert {p.outcome for p in run(f, "x", "y") if not p.empty} == {None, True}


def world_with(**signs):
    world = World(Space(tuple(signs)))
    for i, s in enumerate(signs.values()):
        if s != ANY:
            world.facts[world.space.names[i]] = (world.space.gens[i], s)
    return world


def test_cauchy_schwarz_is_a_combination_of_squares():
    world = world_with(a=ANY, b=ANY, c=ANY, d=ANY)
    a, b, c, d = world.space.gens[:4]
    p = (a * a + b * b) * (c * c + d * d) - (a * c + b * d) ** 2 + a * a
    assert goals.close(world, p, NONNEGATIVE, 400) is not None
    assert goals.close(world, -p, NONNEGATIVE, 400) is None


def test_what_may_be_zero_is_not_positive():
    world = world_with(a=NONNEGATIVE, b=POSITIVE)
    a, b = world.space.gens[:2]
    assert goals.close(world, a * b, POSITIVE, 400) is None
    assert goals.close(world, a * b + b, POSITIVE, 400) is not None
    assert goals.close(world, (a - b) ** 2, POSITIVE, 400) is None


def test_facts_that_contradict_each_other_are_found_out():
    world = world_with(a=POSITIVE, b=POSITIVE)
    a, b = world.space.gens[:2]
    world.facts[str(a + b)] = (a + b, frozenset((-1,)))
    assert world.contradictory()
    world = world_with(a=POSITIVE, b=ANY)
    a, b = world.space.gens[:2]
    for p in (-a + b, -a - b):
        world.facts[str(p)] = (p, NONNEGATIVE)
    assert goals.inconsistent(world, 100) is not None
    assert goals.inconsistent(world_with(a=POSITIVE, b=ANY), 100) is None


def test_gibbs_inequality_and_no_more():
    import numpy as np

    from theory.information import LogSum

    world = world_with(p=POSITIVE, q=POSITIVE)
    p, q = (variable(world.space, i) for i in range(2))
    from verify.proofs.world import living_in

    with living_in(world):
        c = np.array([p, -p, q, -q], dtype=object)
        b = np.array([2 * p, p + q, 2 * q, p + q], dtype=object)
        gibbs = logarithms.difference(world, LogSum(c * 0, b), LogSum(c, b, fmpq(0)))
    bound = logarithms.bound(world, gibbs)
    numerator = bound.value.num if hasattr(bound.value, "num") else bound.value
    assert numerator == 0 or numerator.is_zero()


def test_squares_that_sum_to_zero_beside_a_positive_number_are_a_contradiction():
    world = world_with(a=ANY, b=frozenset((-1, 1)))
    a, b = world.space.gens[:2]
    f = (a + 1) ** 2 + b * b
    world.facts[str(f)] = (f, frozenset((0,)))
    assert goals.inconsistent(world, 200) is not None
