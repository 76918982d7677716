"""The report in a browser: accessible, readable at both widths in both schemes, and its few lines of script work."""

import itertools
from dataclasses import replace

import pytest

from tests.browser.looking import SCHEMES, WIDTHS
from verify.app import page
from verify.app.recorded import Recorded
from verify.app.runner import Row, Task, run_task

TESTS = {
    "sketching/lazy-weights": Recorded(
        "sketching/lazy-weights", "supported", "small", 224, 0.01, ("slope: yes",), "1d23a1f", "2026-11-21"
    )
}


@pytest.fixture(scope="module")
def rows():
    refuted = [run_task(Task(f"path-exclusion/{n}", "quick")) for n in ("stays-alive-literal", "bias-paths")]
    wrong = replace(refuted[1], status="proved", disagrees="believed proved, but refuted here")
    long = r"$\sum_{i=1}^{n} \|X_i\|\,|w_i| + \frac{A_0^2}{s}\,\chi^2(p^*(w) \| p_0) + \prod_{l=1}^{L} \|W_l\|_F^2$"
    survived = Row("path-exclusion/trace-bound", title="The trace is bounded", statement=f"{long}\n\nProof. {long}",
                   status="proved", verdict="survived", examples=12, screened=34_000, margin=-0.0)  # fmt: skip
    left = replace(survived, on="digits, relu", verdict="undecided", reasons=["nothing to test: all is equal"])
    training = Row("sketching/lazy-weights", title="Weights hardly move", status="empirical", verdict="not applicable")
    return [training, survived, left, refuted[0], wrong]


@pytest.fixture(scope="module")
def report(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page.render(rows, {"seed": 0}, TESTS))
    return path


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wrong_with_it(axe, report, width, scheme):
    opened = "[...document.querySelectorAll('details')].map((d) => d.open = true).length"
    assert axe(report, width, scheme, script=opened) == []


HEADINGS = "[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map((h) => +h.tagName[1])"


def test_its_headings_are_in_order_and_its_drawings_have_one_label_each(browser, report):
    levels = browser.look(report, 400, "light", script=HEADINGS).value
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    assert set(levels) == {1, 2, 3}
    script = (
        "[...document.querySelectorAll('svg')].map((s) => [s.role, s.ariaLabel, s.querySelectorAll('title').length])"
    )
    drawings = browser.look(report, 400, "light", script=script).value
    assert len(drawings) == 2
    for role, label, titles in drawings:
        assert (role, titles) == ("img", 0)
        assert "counterexample" in label


VISIBLE = "[...document.querySelectorAll('{}')].filter((e) => !e.hidden).map((e) => e.dataset.claim)"
ROWS, ARTICLES = VISIBLE.format("tbody tr"), VISIBLE.format("article")


def typed(words, kind=""):
    return (
        f"document.querySelector('#words').value = {words!r}; document.querySelector('#kind').value = {kind!r}; "
        "document.querySelector('form').dispatchEvent(new Event('input'));"
    )


def test_the_filter(browser, report):
    def left(words, kind=""):
        told = f"[{ROWS}, {ARTICLES}, document.querySelector('#shown').textContent]"
        script = f"(() => {{ {typed(words, kind)} return {told} }})()"
        table, articles, said = browser.look(report, 400, "light", script=script).value
        assert table == articles
        assert said == f"{len(table)} of 4 claims"
        return table

    assert len(left("")) == 4
    assert left("BOUNDED trace") == ["path-exclusion-trace-bound"]
    assert left("", "about training") == ["sketching-lazy-weights"]
    assert left("", "contradicts what is believed") == ["path-exclusion-bias-paths"]
    assert left("no such words") == []


def test_sorting_up_down_and_back(browser, report, rows):
    def clicked(times):
        click = f"for (let i = 0; i < {times}; i++) document.querySelector('th button').click();"
        script = f"(() => {{ {click} return {ROWS} }})()"
        return browser.look(report, 1280, "light", script=script).value

    original, up, down = clicked(0), clicked(1), clicked(2)
    titles = {r.claim.replace("/", "-"): r.title for r in rows}
    assert up == sorted(original, key=lambda anchor: titles[anchor].lower()) != original  # a cell begins with the title
    assert down == up[::-1]
    assert clicked(3) == original
