"""The generated page, the record behind it, the certificates and the registry agree."""

import json

import pytest

from theory.claims import Status, claims
from theory.relations import Verdict
from verify import certificates
from verify.certificates.second_opinion import Net, instance_of, objective_after, path_survives, pruned
from verify.studies import claims_page as docs
from verify.studies import questions_page as questions

RECORD = json.loads(docs.RECORD.read_text())["claims"]
FILES = sorted(docs.CERTIFICATES.glob("*.json"))


def test_the_page_is_current():
    assert docs.PAGE.read_text() == docs.render(), "run `python -m verify docs --render`"


def test_the_questions_are_current():
    assert questions.PAGE.read_text() == questions.render(), "run `python -m verify docs --render`"


def test_every_claim_is_recorded_and_no_other():
    assert list(RECORD) == [c.id for c in claims()], "run `python -m verify docs --only CLAIM` for what is missing"


@pytest.mark.parametrize("claim", claims(), ids=lambda c: c.id)
def test_recorded_verdicts_are_those_believed(claim):
    record = RECORD[claim.id]
    expected = {Status.PROVED: "survived", Status.REFUTED: "refuted", Status.EMPIRICAL: "not applicable"}
    if claim.status in expected:
        assert record["verdict"] == expected[claim.status]
    if claim.status is Status.PROVED:
        assert set(record["ablation"]) == {a.name for a in claim.assumptions}
        assert all(a["needed"].startswith("needed") for a in record["ablation"].values())
    if claim.status is Status.REFUTED:
        assert (docs.CERTIFICATES / docs.certificate_name(claim.id)).exists()


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_certificates_are_decided_again(path):
    checked = certificates.check(path)
    assert checked.decision.verdict is Verdict.REFUTED
    without = path.stem.partition("--without-")[2]
    assert [a.name for a in checked.without] == ([without] if without else [])


def certificate(identity):
    return instance_of(docs.CERTIFICATES / docs.certificate_name(identity))


def test_second_opinion_on_layer_collapse():
    """The counterexamples about pruning runs, computed again by code that shares nothing with the first."""
    collapsed = certificate("path-exclusion/no-collapse-literal")
    kept = pruned(collapsed)
    assert len(kept) == int(collapsed["keep"])
    assert not path_survives(collapsed, kept)
    dead = certificate("path-exclusion/stays-alive-literal")
    assert objective_after(dead, pruned(dead)) == 0
    assert Net(dead).trace() > 0
    positive = certificate("synaptic-flow/positive-scores-suffice")
    kept = pruned(positive)
    assert any(not set(layer) & set(kept) for layer in positive["network"]["layers"])
    assert all(s > 0 for s in Net(positive).scores(positive["scorer"]))


def test_second_opinion_on_the_bounds():
    objective = certificate("path-exclusion/objective-is-a-bound")
    net = Net(objective)
    squares = [sum(net.value(p) ** 2 for _, p, out in net.paths() if out == k) for k in range(len(net.outputs))]
    assert net.trace() > sum(d * r for d, r in zip(net.activation(), squares, strict=True))
    for name in ("path-exclusion--pruning-keeps-the-trace", "path-exclusion--bias-paths"):
        net = Net(instance_of(docs.CERTIFICATES / f"{name}.json"))
        assert net.trace() <= sum(d * t for d, t in zip(net.activation(), net.kernel(), strict=True))
