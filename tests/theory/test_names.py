"""Near misses of names."""

from theory.names import did_you_mean, near


def test_parts_spelling_and_last_parts_are_found_best_first():
    known = ["a/synflow", "a/synflow-l2", "b/trace-bound", "b/snip"]
    assert near("synflow", known) == ["a/synflow", "a/synflow-l2"]
    assert near("trace-bond", known) == ["b/trace-bound"]
    assert near("c/snip", known)[0] == "b/snip"
    assert near("synflow", known, count=1) == ["a/synflow"]
    assert near("", known) == []


def test_the_sentence():
    assert did_you_mean("synflw", ["synflow", "snip"]) == "did you mean synflow?"
    assert did_you_mean("zzz", ["synflow"], "known: synflow") == "known: synflow"
    assert did_you_mean(3, ["synflow"]) == ""
