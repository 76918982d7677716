"""The ladder: what is recorded of a claim counts as long as its code is the code that was proved."""

import dataclasses
import sys
import textwrap

import pytest

from theory.claims import Status, claim_named, claims, claims_from
from verify.proofs import record, slices
from verify.proofs.ladder import PROOFS, Rung, evidence, ladder
from verify.proofs.proving import prove

LINES = record.read()


@pytest.mark.parametrize("identity", [c.id for c in claims() if c.status == Status.PROVED])
def test_what_is_believed_proved_has_a_proof_or_says_why_not(identity):
    claim = claim_named(identity)
    high = evidence(claim).rung in PROOFS
    assert high or claim.proof_gap, f"python -m verify prove {identity} --shapes small --record, or give proof_gap"
    assert not (high and claim.proof_gap), "there is a proof: no gap"


@pytest.mark.parametrize("identity", sorted(LINES))
def test_the_record_is_of_this_code(identity):
    assert not record.stale(claim_named(identity)), "python -m verify prove --all --record"


def test_every_claim_that_can_be_proved_or_refuted_is_recorded():
    assert set(LINES) == {c.id for c in claims() if c.status != Status.EMPIRICAL}


def test_at_least_sixty_claims_are_proved_for_all_reals():
    assert sum(record.reals(c) is not None for c in claims() if c.status == Status.PROVED) >= 60


def test_what_is_believed_proved_is_not_refuted():
    assert not [i for i, one in LINES.items() if one.verdict == "refuted" and claim_named(i).status == Status.PROVED]


@pytest.mark.parametrize("identity", ["sketching/mask-size", "path-exclusion/residual-decay"])
def test_the_record_is_what_the_prover_says(identity):
    found = record.line(prove(identity, shapes="small"), claim_named(identity))
    known = LINES[identity]
    assert found.digest == known.digest
    assert found.verdict == "proved"
    assert known.proved_on >= found.proved_on  # larger shapes may leave a goal open
    if known.shapes == "small":
        assert found == known


def test_the_table_reads_back_what_was_written(tmp_path):
    path = tmp_path / "t.csv"
    lines = [LINES["sketching/mask-size"], LINES["path-exclusion/trace-bound"]]
    record.update(lines, path)
    assert list(record.read(path).values()) == lines
    record.update([dataclasses.replace(lines[0], paths=7)], path)
    assert record.read(path)["sketching/mask-size"].paths == 7
    assert not record.read(tmp_path / "none.csv")


def test_a_sentence_for_each_rung(monkeypatch):
    assert evidence(claim_named("path-exclusion/trace-bound")).rung == Rung.FORMAL
    assert evidence(claim_named("path-exclusion/no-collapse-literal")).rung == Rung.FALSE
    by_code = claim_named("path-exclusion/eigenvalue-bounds")
    assert evidence(by_code).rung == Rung.REALS
    assert evidence(by_code).sentence.startswith("for all reals on ")
    assert evidence(by_code, "refuted", examples=3).rung == Rung.FALSE
    training = next(c for c in claims() if c.status == Status.EMPIRICAL)
    assert evidence(training).rung == Rung.UNDECIDED
    assert evidence(training, "supported").rung == Rung.SUPPORTED
    monkeypatch.setattr(record, "stale", lambda claim: True)
    assert evidence(by_code, "survived", examples=200).rung == Rung.SURVIVED
    assert "among 200 instances decided exactly" in evidence(by_code, "survived", examples=200).sentence


@pytest.mark.parametrize("claim", claims(), ids=lambda c: c.id)
def test_the_ladder_goes_down_and_no_rung_stands_twice(claim):
    """What table, report and site show of a claim is this list, whatever they are asked."""
    order = list(Rung)
    for verdict in ("", "survived", "refuted"):
        rungs = [e.rung for e in ladder(claim, verdict, examples=1)]
        assert rungs == sorted(set(rungs), key=order.index)
        assert (rungs[0] in PROOFS) <= (claim.status is Status.PROVED)
    if claim.status is not Status.EMPIRICAL:
        assert [e.rung for e in ladder(claim, "refuted")] == [Rung.FALSE]


BODY = '''
    from theory.claims import PROVED, Assumption, Source, claim
    from theory.relations import at_most
    from theory.sketches import Sketch

    FACTOR = {factor}

    assumed = Assumption("assumed", "a", lambda i: (i.w >= {least}).all(axis=-1))


    def doubled(value):
        """{words}"""
        return FACTOR * value


    @claim(Sketch, PROVED, Source(None, "{source}"), assumes=(assumed,))
    def bound(i):
        """A bound.

        {words}
        """
        return at_most(i.bias_squared(), {called}(i.signal))
'''
SAME = {"factor": 2, "least": 0, "words": "x", "source": "s", "called": "doubled"}


def digest_with(folder, monkeypatch, **changes):
    name = f"made{digest_with.count}"
    digest_with.count += 1
    (folder / f"{name}.py").write_text(textwrap.dedent(BODY.format(**SAME | changes)))
    monkeypatch.syspath_prepend(str(folder))
    (made,) = claims_from(folder / f"{name}.py")
    try:
        return "".join(text.partition(":")[2] for text in slices.texts_of(made))
    finally:
        registry = sys.modules["theory.claims"]
        registry._REGISTRY.pop(made.id)
        registry._ADDED.pop(name)
        sys.modules.pop(name)


digest_with.count = 0


@pytest.mark.parametrize(("changes", "differs"), [
    ({}, False), ({"words": "other"}, False), ({"source": "elsewhere"}, False),
    ({"factor": 3}, True), ({"least": 1}, True), ({"called": "2 * doubled"}, True),
])  # fmt: skip
def test_the_digest_changes_with_what_is_said_and_only_then(changes, differs, tmp_path, monkeypatch):
    assert (digest_with(tmp_path, monkeypatch, **changes) != digest_with(tmp_path, monkeypatch)) is differs


def test_a_table_of_scorers_counts_with_what_enters_it():
    used = slices.used(("theory.papers.path_exclusion.collapse", "collapse_only_after_death"))
    assert {("theory.saliency", "SCORERS"), ("theory.saliency", "_path_exclusion")} <= used
    assert ("theory.sketches", "Sketch") not in used


def test_a_definition_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="defines no nothing"):
        slices.used(("theory.sketches", "nothing"))
