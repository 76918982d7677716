"""The pages of the site: complete, current, and without a link that leads nowhere."""

import doctest
import re

import pytest

import theory
import verify
from figures.registry import figures
from theory.claims import Status, claims
from theory.relations import Verdict
from verify import certificates
from verify.studies import claims_page, shown
from verify.studies.claims_page import ROOT
from verify.studies.site import api, claim_pages, gallery, links, notebook, papers

EXAMPLES = api.examples()
START = re.findall(r"```python\n(.*?)```", api.EXAMPLES.read_text(), re.S)[0]


def test_every_public_name_has_an_example():
    assert sorted(EXAMPLES) == sorted(api.public())


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_the_api(name):
    from flint import fmpq

    from theory.relations import at_most

    code = START + "".join(re.findall(r"```python\n(.*?)```", EXAMPLES[name], re.S))
    names = {"verify": verify, "theory": theory, "fmpq": fmpq, "at_most": at_most, "__name__": "example"}
    test = doctest.DocTestParser().get_doctest(code, names, name, str(api.EXAMPLES), 0)
    said = []
    failed = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append).failed
    assert not failed, "".join(said)
    assert test.examples[5:], "an example must do something"


@pytest.mark.parametrize("path", sorted(shown.FOLDER.glob("*.json")), ids=lambda p: p.stem)
def test_counterexamples_shown_are_decided_again(path):
    assert certificates.check(path).decision.verdict is Verdict.REFUTED


@pytest.mark.parametrize("claim", [c for c in claims() if c.status is Status.REFUTED], ids=lambda c: c.id)
def test_a_counterexample_without_zeros_is_shown_or_it_is_said_why_not(claim):
    path = shown.path(claim)
    assert path is not None
    assert (path.parent == shown.CERTIFICATES) == (claim.id in shown.SMALLEST), (
        f"python -m verify.studies.shown {claim.id}"
    )
    if path.parent == shown.FOLDER:
        instance = certificates.check(path).instance
        assert any(all(bool(a.predicate(instance)) for a in also) for also in shown.wanted(claim))


@pytest.mark.parametrize("claim", claims(), ids=lambda c: c.id)
def test_pages_of_claims(claim):
    page = claim_pages.claim_page(claim)
    assert page.count("$") % 2 == 0
    moved, needed = links.moved(page, f"claims/{claim.id}.md")
    assert "repo:" not in moved
    if shown.path(claim) is not None:
        assert "## A counterexample" in page
        assert any(path.startswith("docs/certificates/") for path in needed.values())


@pytest.mark.parametrize("path", sorted(papers.FOLDER.glob("*.md")), ids=lambda p: p.stem)
def test_pages_of_papers_have_every_claim(path):
    page = papers.filled(path)
    for section in papers.sections(path.stem).values():
        for claim in section:
            assert f"`{claim.id}`" in page


def test_a_page_that_leaves_out_a_section_is_refused(tmp_path):
    short = tmp_path / "sketching.md"
    short.write_text("<!-- claims sampling -->")
    with pytest.raises(ValueError, match="the registry has sampling, transfer"):
        papers.filled(short)


def test_a_link_to_a_file_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="there is no file docs/nowhere"):
        links.moved("[a](nowhere.md)", "adding.md", "docs/adding.md")


def test_links_are_moved():
    text = "[a](claims.md#path-exclusiontrace-bound) [b](../results/proofs.csv) [c](#here) [d](https://x.org/y)"
    moved, needed = links.moved(text, "findings.md", "docs/findings.md")
    there = "[a](claims/path-exclusion/trace-bound.md) [b](files/results/proofs.csv) [c](#here) [d](https://x.org/y)"
    assert moved == there
    assert needed == {"files/results/proofs.csv": "results/proofs.csv"}


def test_broken_links_are_found(tmp_path):
    (tmp_path / "a.html").write_text("<a href=b.html#there></a><a href=b.html#not></a><img src=c.png><a href=#top></a>")
    (tmp_path / "b.html").write_text("<p id=there></p>")
    found = list(links.broken(tmp_path))
    assert [f.split(": ", 1)[1] for f in found] == [
        "b.html#not: no such place on that page",
        "c.png: no such file",
        "#top: no such place on that page",
    ]


def test_the_notebook_runs():
    pytest.importorskip("marimo", reason="marimo is not installed: pip install -c constraints.txt -e '.[docs]'")
    page = notebook.page()
    assert "PX has killed the network" in page
    assert "Theorems that protect it" in page
    assert "marimo-" not in page


def test_index_of_claims_leads_to_their_pages():
    moved, _ = links.moved(claims_page.PAGE.read_text(), "claims.md", "docs/claims.md")
    for claim in claims():
        assert f"(claims/{claim.id}.md)" in moved


def test_drawings_in_the_gallery_follow_the_scheme():
    figure = next(f for f in figures() if f.name == "path-exclusion/outputs-lost")
    drawn = gallery.svg(figure)
    assert "prefers-color-scheme:dark" in drawn
    assert "#000000" not in drawn
    assert "#ffffff" not in drawn


@pytest.mark.parametrize("path", [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"], ids=lambda p: p.stem)
def test_links_of_the_repository_lead_somewhere(path):
    source = str(path.relative_to(ROOT))
    links.moved(path.read_text(), source.removeprefix("docs/"), source)
