"""Mutants of the source: they are what they are called, and planting one changes what it says and nothing else."""

import ast
import json

import pytest

from theory.claims import claim_named
from verify.bench import power
from verify.power import planting
from verify.power.mutants import PLUMBING, Mutant, files, mutants, mutated, of_source
from verify.power.planting import Fate, Known, fate, judge

SOURCE = '''
"""A docstring with 1 number."""
LIMIT = 3
def f(a, b=2):
    """Another, 5."""
    if b < 0:
        raise ValueError("7")
    for k in range(b + 1):
        a = a * k
    return at_most(a, -b) if a >= 4 and not b else [x for x in a if x]
def broken(c, a):
    return a + 1
g = lambda i: i.w ** 2
'''


def made(kind):
    return {(m.before, m.after) for m in of_source(SOURCE, "theory/any.py") if m.kind == kind}


def test_every_kind_of_mistake_is_made():
    assert {("b + 1", "b - 1"), ("a * k", "a + k"), ("i.w ** 2", "i.w * 2")} <= made("operator")
    assert {("b + 1", "b"), ("b + 1", "1"), ("a * k", "k"), ("i.w ** 2", "i.w")} <= made("term dropped")
    assert {("1", "2"), ("1", "0"), ("4", "5"), ("4", "8"), ("4", "0"), ("2", "3")} <= made("constant")
    assert made("comparison") == {("a >= 4", "a > 4"), ("a >= 4", "a <= 4")}
    assert made("sides exchanged") == {("at_most(a, -b)", "at_most(-b, a)")}
    assert made("another function") == {("at_most(a, -b)", "equal(a, -b)")}
    assert made("sign or negation") == {("-b", "b"), ("not b", "b")}
    assert ("a = a * k", "pass") in made("statement dropped")
    assert ("[x for x in a if x]", "[x for x in a]") in made("condition")


def test_text_checks_defaults_and_drawing_are_left_alone():
    changed = {m.before for m in of_source(SOURCE, "theory/any.py")}
    assert not changed & {"b < 0", "7", "5", "a + 1", "3", "b=2"}
    assert {m.where for m in of_source(SOURCE, "theory/any.py")} == {"f", "g"}


def test_whether_lengths_are_checked_is_left_alone():
    pairs = "def f(a, b):\n    return dict(zip(a, b, strict=True), key=True)\n"
    assert [m.before for m in of_source(pairs, "theory/any.py")] == ["True"]


def test_each_mutant_is_one_change_of_the_source():
    plain = ast.unparse(ast.parse(SOURCE))
    for m in of_source(SOURCE, "theory/any.py"):
        changed = ast.unparse(mutated(SOURCE, m))
        assert changed != plain, m.name
        assert sum(a != b for a, b in zip(plain.splitlines(), changed.splitlines(), strict=False)) <= 2, m.name


def test_the_plumbing_is_not_mutated_and_names_are_unique():
    assert not {p.stem for p in files()} & PLUMBING
    every = mutants()
    assert len({m.name for m in every}) == len(every) > 3000
    assert len(power.chosen(50)) == 50


def known(identity):
    claim, found = claim_named(identity), Known(claim_named(identity), survives=True)
    with planting._traced(found.lines):
        planting.falsify(claim, **planting.SMALL)
    return found


def mutant(file, text, after):
    return next(m for m in mutants() if m.file == file and m.before == text and m.after == after)


def test_a_mutant_is_killed_in_a_child_and_nothing_stays_changed():
    asked = [known("sketching/mean-squared-error")]
    m = mutant("theory/sketches.py", "self.rows_squared * w * w", "self.rows_squared * w + w")
    assert fate(m, asked) == Fate("killed", "sketching/mean-squared-error is refuted", 0)
    assert planting.falsify(asked[0].claim, **planting.SMALL).verdict == "survived"


def test_what_no_claim_runs_is_not_reached():
    m = mutant("theory/sketches.py", "self.rows_squared * w * w", "self.rows_squared * w + w")
    assert fate(m, [known("no-free-prune/leakage-count")]).fate == "not reached"


def test_a_mutant_that_never_ends_is_stopped(monkeypatch):
    monkeypatch.setattr(planting, "GUARD", 1)
    monkeypatch.setattr(planting, "plant", lambda m: 1)

    def forever(asked):
        while True:
            yield 0

    monkeypatch.setattr(planting, "judge", forever)
    asked = [known("sketching/mean-squared-error")]
    m = mutant("theory/sketches.py", "self.rows_squared * w * w", "self.rows_squared * w + w")
    assert fate(m, asked).fate == "did not end"


def test_errors_and_weaker_bounds_are_contradictions(monkeypatch):
    bound = known("path-exclusion/trace-bound")
    bound.sharp = [(0, 0.001)]
    assert sum(judge([bound])) > 0
    loose = mutant(
        "theory/papers/path_exclusion/bounds.py",
        "at_most(instance.ntk_trace(), instance.path_activation() * instance.path_kernel_trace())",
        "equal(instance.ntk_trace(), instance.path_activation() * instance.path_kernel_trace())",
    )
    assert fate(loose, [bound]).fate == "killed"
    monkeypatch.setattr(planting, "_refuted", lambda claim: False)
    with pytest.raises(planting.Killed, match="not sharp any more"):
        list(judge([bound]))


def test_stacks_unlike_exact_instances_are_a_contradiction_for_refuted_claims_too(monkeypatch):
    refuted = known("path-exclusion/objective-is-a-bound")
    refuted.alike = True
    assert sum(judge([refuted])) > 0
    monkeypatch.setattr(planting, "_statements", lambda claim: ([], False))
    with pytest.raises(planting.Killed, match="stacks and exact instances differ"):
        list(judge([refuted]))


def test_what_was_not_sharp_before_is_no_contradiction(monkeypatch):
    bound = known("path-exclusion/trace-bound")
    bound.sharp, asked = [(0, 0.001)], []
    answers = iter([("killed", ("path-exclusion/trace-bound", (0, 0.001))), ("survived", None)])

    def child(m, known, most):
        fate, lost = next(answers)
        asked.append(list(bound.sharp))
        return json.dumps({"fate": fate, "by": "", "exact": 1, "lost": lost})

    monkeypatch.setattr(planting, "_asked_of_a_child", child)
    monkeypatch.setattr(planting, "_is_sharp", lambda identity, part, change: False)
    m = mutant("theory/sketches.py", "self.rows_squared * w * w", "self.rows_squared * w + w")
    monkeypatch.setattr(planting, "reaching", lambda m, known: known)
    assert fate(m, [bound]) == Fate("survived", "", 1)
    assert asked == [[(0, 0.001)], []]


def test_a_survey_is_read_as_it_was_written():
    one = known("sketching/mean-squared-error")
    assert Known.read(one.written()) == one


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
    kept, asked = tmp_path / "power.jsonl", []
    monkeypatch.setattr(power, "survey", lambda path: [])
    monkeypatch.setattr(power, "reasons", lambda: {power.chosen(3)[2].name: "it changes nothing"})
    monkeypatch.setattr(power, "fate", lambda m, known: asked.append(m.name) or Fate("survived"))
    power.run(2, kept)
    rows = power.run(3, kept)
    assert asked == [m.name for m in power.chosen(3)]
    assert sorted(r["fate"] for r in rows) == ["equivalent", "survived", "survived"]
    assert power.summary(rows)["killed or equivalent"] == "33.33 %"
    lines = kept.read_text().splitlines()
    kept.write_text("\n".join([json.dumps({"sources": "others"}), *lines[1:]]) + "\n")
    assert power._finished(kept) == {}


def test_equivalent_mutants_exist(tmp_path):
    assert all(reason for reason in power.reasons().values())
    stale = tmp_path / "equivalent.toml"
    stale.write_text('[equivalent]\n"theory/sketches.py nowhere: 1 -> 2" = "no such thing"\n')
    with pytest.raises(ValueError, match="no mutant is called"):
        power.reasons(stale)


def test_one_entry_can_stand_for_a_whole_function(tmp_path):
    m, other = mutants()[0], next(m for m in mutants() if m.where != mutants()[0].where)
    listed = tmp_path / "equivalent.toml"
    listed.write_text(f'[equivalent]\n"{m.file} {m.where}: *" = "only proposes"\n')
    why = power.reasons(listed)
    row = power._row(m, Fate("survived"), why)
    assert (row["fate"], row["by"]) == ("equivalent", "only proposes")
    assert power._row(m, Fate("killed", "a claim"), why)["fate"] == "killed"
    assert power._row(other, Fate("survived"), why)["fate"] == "survived"
    listed.write_text('[equivalent]\n"theory/sketches.py nowhere: *" = "no such function"\n')
    with pytest.raises(ValueError, match="no mutant is called"):
        power.reasons(listed)


def test_mutants_have_the_fields_that_name_them():
    m = Mutant("theory/a.py", "f", 1, 1, "constant", "1", "2", 1, 0, 0)
    assert m.name == "theory/a.py f: 1 -> 2 #2"
