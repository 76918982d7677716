"""The built site: links that lead somewhere, nothing loaded from elsewhere, nothing that axe objects to."""

import pytest

from tests.browser.looking import SCHEMES, WIDTHS
from verify.studies.site.build import SITE
from verify.studies.site.links import broken

MAIN = (
    "index.html",
    "papers/path-exclusion.html",
    "findings.html",
    "claims.html",
    "claims/path-exclusion/stays-alive-literal.html",
    "claims/synaptic-flow/maximal-critical-compression.html",
    "your-architecture.html",
    "your-paper.html",
    "notebook.html",
    "figures.html",
    "experiments.html",
    "benchmarks.html",
    "api.html",
    "proofs.html",
    "architecture.html",
)
built = pytest.mark.skipif(not (SITE / "index.html").exists(), reason="the site is not built: make docs")


@built
def test_no_link_is_broken():
    assert not list(broken(SITE))


@built
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", MAIN)
def test_pages_can_be_read_by_everybody(axe, page, width, scheme):
    assert axe(SITE / page, width, scheme) == []


@built
def test_formulas_are_set_without_a_network(browser):
    count = "document.querySelectorAll('mjx-container').length"
    assert browser.look(SITE / "papers" / "path-exclusion.html", 1280, "light", script=count).value > 50
