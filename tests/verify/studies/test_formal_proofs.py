"""The record of machine-checked proofs fits the files, the registry and the page. Only the last test needs Coq."""

import re
import shutil

import pytest

import theory
from theory.claims import Status
from verify.studies import formal_proofs as record

RECORDED = record.read_table()
FORBIDDEN = re.compile(r"\b(Axiom|Axioms|Parameter|Parameters|Conjecture|Admitted|admit|give_up)\b")


def without_comments(text):
    """Coq comments nest."""
    out, depth = [], 0
    for part in re.split(r"(\(\*|\*\))", text):
        depth += {"(*": 1, "*)": -1}.get(part, 0)
        if depth == 0 and part not in ("(*", "*)"):
            out.append(part)
    return "".join(out)


def test_the_record_is_of_these_files():
    seen = [{**line, "assumptions": "", "coq": "", "mathcomp": ""} for line in RECORDED]
    assert seen == record.rows(), "theory/proofs has changed since results/proofs.csv was written: make proofs"


def test_every_file_and_every_theorem_is_recorded():
    assert {p.name for p in record.HERE.glob("*.v")} == {line["file"] for line in RECORDED}
    for path in record.sources():
        stated = set(re.findall(r"^Theorem (\w+)", path.read_text(), re.M))
        assert stated == {line["theorem"] for line in RECORDED if line["file"] == path.name}


def test_at_least_twenty_theorems_and_no_axioms():
    assert sum(bool(line["claim"]) for line in RECORDED) >= 20
    assert {line["assumptions"] for line in RECORDED} == {record.CLOSED}
    for path in record.sources():
        assert not FORBIDDEN.search(without_comments(path.read_text())), path.name


def test_every_stated_claim_is_registered_and_proved():
    status = {c.id: c.status for c in theory.claims()}
    wrong = {line["claim"]: status.get(line["claim"]) for line in RECORDED if line["claim"]}
    assert not {claim: s for claim, s in wrong.items() if s is not Status.PROVED}


def test_the_page_is_generated_from_the_record():
    assert record.PAGE.read_text() == record.page(RECORDED, record.claim_titles())
    for line in RECORDED:
        assert line["theorem"] in record.PAGE.read_text()


def test_files_come_after_what_they_need():
    order = [p.stem for p in record.sources()]
    assert order.index("sums") < order.index("draws") < order.index("sketches") < order.index("transfer")


def test_a_changed_statement_or_list_is_seen(tmp_path):
    for path in record.HERE.glob("*.v"):
        (tmp_path / path.name).write_text(path.read_text())
    weaker = tmp_path / "sums.v"
    text = weaker.read_text()
    weaker.write_text(text.replace("Theorem cauchy_schwarz a b :", "Theorem cauchy_schwarz a b : a = b ->"))
    before, after = (
        {(line["file"], line["theorem"]): line for line in record.rows(folder)} for folder in (record.HERE, tmp_path)
    )
    changed = {key for key in before if before[key]["statement_digest"] != after[key]["statement_digest"]}
    assert changed == {("sums.v", "cauchy_schwarz")}
    weaker.write_text(text.replace("Lemma sumrM", "Theorem sumrM"))
    with pytest.raises(ValueError, match=r"sums.v.*sumrM"):
        record.rows(tmp_path)


@pytest.mark.skipif(not shutil.which("coqc"), reason=f"coqc is not installed ({record.INSTALL})")
def test_coq_checks_the_first_file_and_an_axiom_is_seen(tmp_path):
    if problem := record.missing():
        pytest.skip(problem)
    planted = tmp_path / "source" / "planted.v"
    planted.parent.mkdir()
    planted.write_text("Axiom false : False.\nTheorem everything : 0 = 1.\nProof. destruct false. Qed.\n")
    folder = tmp_path / "compiled"
    folder.mkdir()
    record.compiled([record.HERE / "sums.v", planted], folder)
    answers = record.assumptions([("sums.v", "cauchy_schwarz"), ("planted.v", "everything")], folder)
    assert answers == {
        ("sums.v", "cauchy_schwarz"): record.CLOSED,
        ("planted.v", "everything"): "planted.false : False",
    }
    planted.write_text("Theorem wrong : 0 = 1.\nProof. reflexivity. Qed.\n")
    with pytest.raises(ValueError, match=r"Coq refuses planted.v"):
        record.compiled([planted], folder)
