"""What the checker takes for a contradiction has no point."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from verify.proofs.checker import Algebra

NAMES = ("x", "y", "z")
SMALL = st.integers(-2, 2)
FACTORS = st.lists(
    st.lists(st.tuples(SMALL, st.lists(st.integers(0, 2), min_size=3, max_size=3)), min_size=1, max_size=3),
    min_size=1,
    max_size=2,
)


def sign(v):
    return int(v > 0) - int(v < 0)


@given(st.lists(FACTORS, min_size=1, max_size=5), st.lists(SMALL, min_size=3, max_size=3), st.data())
@settings(max_examples=150, deadline=None)
def test_facts_that_hold_at_a_point_do_not_contradict(drawn, point, data):
    algebra = Algebra(list(NAMES))
    at = dict(zip(NAMES, point, strict=True))
    facts = []
    for factors in drawn:
        p = algebra.ring.one
        for terms in factors:
            p *= sum((algebra.ring({tuple(m): c}) for c, m in terms if c), algebra.ring.zero)
        facts.append((p, {sign(algebra.value(p, at))} | set(data.draw(st.lists(st.sampled_from((-1, 0, 1)))))))
    assert not algebra.contradicts(facts)


def test_facts_without_a_point_are_seen():
    algebra = Algebra(list(NAMES))
    x, y, _ = algebra.gens.values()
    for facts in (
        [(x + y, {0, 1}), (x - y, {-1}), (y, {0})],
        [(x, {1}), (x * x, {0})],
        [(-2 * x - 2 * y, {1}), (x + y, {1})],
        [(x + 1, {-1, 1}), (x**2 + 2 * x + y**2 + 1, {0}), (y, {0})],
        [(x + y, {-1, 1}), (x - y, {0}), (x, {0})],
        [(x, {0}), (y, {0}), (x + y, {1})],
    ):
        for order in itertools.permutations(facts):
            assert algebra.contradicts(order)
        for left_out in range(len(facts)):
            assert not algebra.contradicts(facts[:left_out] + facts[left_out + 1 :])
