"""The benchmarks of the search: peers are fair, times that ran out are bounds, alarms can ring."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from theory.claims import Status, claim_named
from theory.relations import at_most
from verify.bench import alarms, peers, seeds
from verify.bench import search as bench
from verify.power.planted import Planted, planted
from verify.power.sharpness import numerical, perturbed
from verify.search.budgets import Budget
from verify.search.strategies import draw
from verify.trials import read_csv

ROOT = Path(__file__).resolve().parents[2]

TRACE = claim_named("path-exclusion/trace-bound")
WRONG = Planted("half", "constant", perturbed(TRACE, 0.5, 0))
RIGHT = Planted("right", "constant", TRACE)


@pytest.mark.parametrize("kind", peers.KINDS)
@pytest.mark.parametrize("method", peers.METHODS)
def test_every_peer_finds_what_is_easy_and_stops_in_time(kind, method):
    easy = replace(TRACE, function=lambda i: at_most(i.ntk_trace() + 1, i.ntk_trace()))
    assert peers.search(Planted("easy", "formula", easy), 0, 5.0, kind, method) is not None
    assert peers.search(RIGHT, 0, 0.05, kind, method) is None


def test_a_peer_counts_only_what_is_wrong_in_rationals():
    """Float64 calls a difference of a billionth of a billionth nothing, and rounding a violation."""
    check = peers.decider(Planted("rounding", "equality", claim_named("path-exclusion/chain-rule")))
    rng = np.random.default_rng(0)
    for _ in range(30):
        assert not check(draw(TRACE, peers.DenseNormal(rng, False, False)))[0]


def test_unknown_peers_are_named():
    with pytest.raises(ValueError, match="no peer is called dense gradient; known: fixed, dense, strict"):
        peers.search(WRONG, 0, 1.0, "dense", "gradient")


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("largest", [False, True])
def test_dense_numbers_are_what_they_are_called(single, largest):
    @settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def drawn(data):
        c = peers.DenseHypothesis(data.draw, single, largest)
        assert 2 <= c.integer(2, 5) <= 5
        assert c.integer(2, 5) == 5 or not largest
        lead = () if single else (1,)
        for a in (c.numbers((2, 3)), c.positives((2, 3)), c.weights((2, 3)), c.integers((2, 3), -1, 1)):
            assert np.shape(a) == (*lead, 2, 3)
            assert (np.asarray(a).dtype == object) is single
        assert (c.positives((3,)) > 0).all()
        assert (c.weights((2, 2)) > 0).any(axis=-1).all()

    drawn()
    c = peers.DenseNormal(np.random.default_rng(1), single, largest)
    assert (c.numbers((50,)) != 0).all()
    assert (c.weights((50,)) > 0).all()


def test_a_time_that_ran_out_is_a_lower_bound():
    names = bench.NAMES
    found = {"planted": "a", "kind": "k", "falsify": 0.001, **dict.fromkeys(names, 0.01)}
    missed = {"planted": "b", "kind": "k", "falsify": 0.001, **dict.fromkeys(names, "> 5")}
    ours, *others = bench.table([found, missed, missed])
    assert ours["who"] == "falsify"
    assert ours["found"] == ours["planted"] == 3
    assert [r["who"] for r in others] == list(names)
    one = others[0]
    assert (one["found"], one["planted"], one["slowest"]) == (1, 3, "> 5")
    assert one["ratio to falsify"] == 5000
    # (0.01 + 5 + 5) seconds against 0.003.
    assert one["ratio of sums"] == "> 3.34e+03"
    out = bench.summary([found, missed, missed])
    assert "found 1" in out[names[0]]
    assert out["networks evaluated in stacked float64, a second"] > 1000


def test_the_benchmark_has_a_row_for_each_planted_claim(monkeypatch):
    few = [WRONG, Planted("easy", "formula", replace(TRACE, function=lambda i: at_most(1 + i.ntk_trace(), 0)))]
    monkeypatch.setattr(bench, "planted", lambda seed: iter(few))
    rows = bench.run(peers=1, patience=0.3)
    assert [r["planted"] for r in rows] == ["half", "easy"]
    assert all(isinstance(r["falsify"], float) for r in rows)
    assert [r[bench.NAMES[0]] == "" for r in rows] == [False, True]


def test_an_alarm_rings_for_a_wrong_claim(monkeypatch):
    monkeypatch.setattr(alarms, "claim_named", lambda identity: WRONG.claim)
    assert alarms.one("path-exclusion/trace-bound", 20_000, exact=20)["refuted"] == 1


def test_alarms_screen_what_can_be_stacked_and_decide_the_rest():
    row = alarms.one("sketching/mask-size", 20_000, exact=20)
    assert row["screened"] >= 20_000
    assert row["refuted"] == 0
    assert row["decided exactly"] >= 20
    single = alarms.one("no-free-prune/cover-count", exact=30)
    assert single["screened"] == 0
    assert single["decided exactly"] >= 30
    assert alarms.summary([row, single])["claims that cannot be stacked"] == 1


def test_every_planted_claim_is_wrong_on_purpose():
    every = list(planted())
    assert len(every) > 450
    assert len({p.name for p in every}) == len(every)
    assert {p.claim.id for p in every} >= {c.id for c in _proved() if c.assumptions}
    assert {"equality", "assumption", "formula", "constant 0.5", "constant 0.999"} == {p.kind for p in every} - {
        "constant 0.9", "constant 0.99"}  # fmt: skip


def _proved():
    from theory.claims import claims

    return [c for c in claims() if c.status is Status.PROVED]


def test_a_sign_has_no_constant_to_be_wrong():
    from theory.relations import less, nonnegative, positive

    for relation in (positive(np.ones(2)), nonnegative(np.ones(2))):
        assert not numerical(relation.parts[0])
    assert numerical(less(np.ones(2), 2 * np.ones(2)).parts[0])


def test_seeds_that_miss_are_named(monkeypatch):
    claim = claim_named("path-exclusion/objective-is-a-bound")
    row = seeds.one(claim, 3)
    assert (row["found"], row["missed"], row["sizes"], row["counterexamples"]) == (3, "", 1, 1)
    assert row["usual counterexample"].startswith("y1 = 0 x1")
    monkeypatch.setitem(seeds.BUDGETS, seeds.BUDGET, Budget(examples=1, rounds=1))
    missed = seeds.one(TRACE, 2)
    assert (missed["found"], missed["missed"], missed["usual counterexample"]) == (0, "0 1", "")
    assert seeds.summary([row, missed])["missed"] == 2


def test_a_search_that_ends_in_an_error_is_a_row(monkeypatch):
    def broken(claim, *, seed, **budget):
        raise ValueError("no such weight")

    monkeypatch.setattr(seeds, "falsify", broken)
    row = seeds.one(claim_named("sketching/optimal-mask-is-unbiased"), 2)
    assert (row["found"], row["missed"], row["errors"]) == (0, "0 1", "ValueError: no such weight")


def test_what_is_recorded_of_sharpness_has_reasons():
    rows = read_csv(ROOT / "results" / "sharpness.csv")
    assert len(rows) > 80
    for row in rows:
        sharp = row["comparison"] and row["smallest change seen"] != "none of 0.5"
        assert (sharp and row["smallest change seen"] <= 0.001) or row["reason"] not in ("", "NO REASON GIVEN"), row
