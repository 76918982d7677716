"""Certificates: they decide again, and what was changed is not believed."""

import json
from pathlib import Path

import pytest

from tests.forked import python
from theory.claims import claim_named
from theory.relations import Verdict, decide
from verify import certificates
from verify.app.cli import main
from verify.certificates import CertificateError
from verify.certificates.checking import FIELDS
from verify.search.loop import falsify

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def outcome():
    return falsify("path-exclusion/no-collapse-literal", examples=100, seed=8)


@pytest.fixture(scope="module")
def dropped():
    return falsify("path-exclusion/kernel-by-gradient", drop=("no-weight-twice",), examples=100)


def saved(tmp_path, body, **changes):
    changed = {**body, **changes}
    return certificates.save({**changed, "digest": certificates.digest(changed)}, tmp_path / "c.json")


def test_written_and_read_it_is_the_same_refutation(tmp_path, outcome):
    path = certificates.save(outcome.certificate, tmp_path / "deep" / "c.json")
    checked = certificates.check(path)
    assert checked.claim.id == outcome.claim
    assert checked.instance.key() == outcome.counterexample.key()
    assert checked.decision.verdict is Verdict.REFUTED
    assert checked.decision.how == "rational"
    assert str(checked) == "this instance refutes the claim"
    assert [p.name for p in path.parent.iterdir()] == ["c.json"]


def test_the_code_to_paste_decides_it_again(outcome):
    done = python("-c", outcome.certificate["replay"], cwd=ROOT)
    assert done.stdout.startswith("refuted")


def test_an_instance_that_breaks_an_assumption_needs_it_named(tmp_path, dropped):
    assert dropped.certificate["violates"] == ["no-weight-twice"]
    checked = certificates.check(saved(tmp_path, dropped.certificate))
    assert checked.confirmed
    assert [a.name for a in checked.without] == ["no-weight-twice"]
    assert str(checked).startswith("not a refutation of the claim: it shows that the claim is false without no-weight-")
    with pytest.raises(CertificateError, match="breaks the assumption 'no-weight-twice'"):
        certificates.check(saved(tmp_path, dropped.certificate, violates=[]))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lhs", "12345", "'lhs' comes out as '0', the file says '12345'"),
        ("kind", "!=", "'kind' comes out as '=='"),
        ("how", "by inspection", "'how' comes out as 'rational'"),
        ("statement", "Pruning\nnever works.", "'statement' is no line of text"),
        ("statement", "Pruning never works\u202e.", "'statement' is no line of text"),
        ("statement", " ", "'statement' is no line of text"),
        ("replay", "import os", "'replay' comes out as"),
        ("claim", "sketching/mask-size", "is about Sketch"),
        ("claim", "path-exclusion/stays-alive-literal", "'replay' comes out as"),
        ("setting", "Nonsense", "is about PruningRun, not 'Nonsense'"),
        ("violates", ["rescored"], "which the instance does not break"),
        ("violates", ["nonsense"], "which is no assumption of"),
        ("violates", [["rescored"]], "which is no assumption of"),
        ("seed", "0", "expected int"),
        ("violates", "none", "expected list"),
        ("instance", [1], "expected dict"),
        ("format", "something else", "not a certificate"),
    ],
)
def test_signed_again_but_wrong(tmp_path, outcome, name, value, message):
    with pytest.raises(CertificateError, match=message):
        certificates.check(saved(tmp_path, outcome.certificate, **{name: value}))


def test_other_words_for_the_claim_are_decided_and_never_pass_unseen(tmp_path, outcome, capsys):
    """Files that were saved before a title was edited stay files; a false title is shown beside the true one."""
    path = saved(tmp_path, outcome.certificate, statement="Pruning never works.")
    checked = certificates.check(path)
    assert checked.confirmed
    assert checked.stated == "Pruning never works."
    claim = claim_named(outcome.claim)
    for account in (str(checked), checked.note):
        assert claim.id in account
        assert repr(claim.title) in account
        assert "the file states it as 'Pruning never works.'" in account
    assert main(["check", str(path)]) == 0
    assert "the file states it as 'Pruning never works.'" in capsys.readouterr().out
    same = certificates.check(saved(tmp_path, outcome.certificate))
    assert same.stated == same.note == ""
    assert str(same) == "this instance refutes the claim"


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_changing_any_field_is_noticed(tmp_path, outcome, name):
    value = outcome.certificate[name]
    other = {str: lambda v: v + " ", int: lambda v: v + 1, list: lambda v: [*v, "x"], dict: lambda v: {**v, "x": 1}}
    path = tmp_path / "c.json"
    path.write_text(json.dumps({**outcome.certificate, name: other[type(value)](value)}))
    with pytest.raises(CertificateError):
        certificates.check(path)


def test_truncated_anywhere_is_one_line(tmp_path, outcome):
    whole = json.dumps(outcome.certificate)
    path = tmp_path / "c.json"
    for end in range(0, len(whole), 97):
        path.write_text(whole[:end])
        with pytest.raises(CertificateError) as caught:
            certificates.load(path)
        assert "\n" not in str(caught.value)


def test_only_refutations_are_certified(outcome):
    claim = claim_named("path-exclusion/frozen-activation-never-collapses")
    held = falsify("path-exclusion/trace-bound", examples=20, rounds=4)
    assert held.certificate is None
    with pytest.raises(ValueError, match="only a refutation"):
        certificates.certificate(claim, outcome.counterexample, held.hardest)


def test_numbers_are_exact_fractions(outcome):
    def leaves(value):
        return [x for v in value for x in leaves(v)] if isinstance(value, list) else [value]

    assert all(isinstance(v, str) for v in leaves(outcome.certificate["instance"]["theta"]))
    again = decide(
        claim_named(outcome.claim).check(type(outcome.counterexample).from_json(outcome.certificate["instance"]))
    )
    assert str(again) == str(outcome.decision)
