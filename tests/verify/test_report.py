"""The table, the remarks and the HTML page."""

import base64
import json
import re
from html.parser import HTMLParser
from io import StringIO

import pytest
from rich.console import Console

from theory.claims import claim_named, claims
from verify.app import page as html
from verify.app import tables as report
from verify.app.runner import Row, Task, run_task


@pytest.fixture(scope="module")
def refuted():
    return run_task(Task("path-exclusion/stays-alive-literal", "quick", 3))


@pytest.fixture(scope="module")
def survived():
    return run_task(Task("path-exclusion/trace-bound", "quick", 3))


def shown(print_, rows, **options):
    stream = StringIO()
    print_(rows, Console(file=stream, width=100, highlight=False, **options))
    return stream.getvalue()


def test_the_table_fits_100_columns_and_says_all(refuted, survived):
    text = shown(report.print_table, [survived, refuted])
    assert max(map(len, text.splitlines())) <= 100
    line = next(x for x in text.splitlines() if "stays-alive-literal" in x)
    assert line.split() == ["stays-alive-literal", "refuted", "drawn", "refuted", "exact",
                            *report.counted(refuted).split(), "3", "weights"]  # fmt: skip
    assert "\x1b" not in text
    assert "\x1b" in shown(report.print_table, [survived], force_terminal=True)


@pytest.mark.parametrize("claim", claims(), ids=lambda c: c.id)
def test_every_name_fits_the_table(claim):
    row = Row(
        claim.id, status=str(claim.status), verdict="not applicable", examples=9999, screened=999_000, margin=-1e-10
    )
    text = shown(report.print_table, [row])
    assert claim.id.split("/")[1] in text
    assert "…" not in text


def test_models_on_other_data_are_named_in_full():
    row = Row("no-free-prune/noise-correlation-without-information", status="empirical", on="cifar10, linear",
              verdict="survived", how="float64 with rounding bound", examples=400, margin=-7.1e-10)  # fmt: skip
    rows = [row, Row(**{**row.to_json(), "on": "cifar10, tiny-relu 4-3-2", "verdict": "refuted", "size": "88 numbers"})]
    text = shown(report.print_table, rows)
    assert "…" not in text
    for word in ("cifar10 linear", "cifar10 tiny", "88 numbers", "-7.1e-10"):
        assert word in text


def test_a_contradiction_is_loud_with_its_counterexample_and_the_command(refuted):
    loud = Row(**{**refuted.to_json(), "disagrees": "believed proved, but refuted here"})
    assert "!!" in shown(report.print_table, [loud])
    text = shown(report.print_remarks, [loud])
    assert "believed proved" in text
    assert refuted.counterexample in text
    assert "python -m verify run path-exclusion/stays-alive-literal --budget quick --seed 3" in text
    assert "!!" not in shown(report.print_table, [refuted])


class Balanced(HTMLParser):
    """Fails on a closing tag that closes something else."""

    optional = ("meta", "th", "line", "circle", "br", "html")

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.optional:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.optional:
            assert self.open.pop() == tag


def test_the_page_is_whole_and_holds_the_certificate(refuted, survived):
    page = html.render([survived, refuted], {"seed": 3})
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    data = re.search(r'href="data:application/json;base64,([^"]+)"', page).group(1)
    assert json.loads(base64.b64decode(data)) == refuted.certificate
    assert "<svg" in page
    assert not re.search(r'(src|href)="(?!#|data:)', page)


@pytest.mark.parametrize("claim", claims(), ids=lambda c: c.id)
def test_every_formula_becomes_mathematics(claim):
    for text in (claim.title, claim.statement, *(a.sentence for a in claim.assumptions)):
        made = html.mathematics(text)
        assert "$" not in made, f"a dollar sign without its partner in {text!r}"
        formulas = len(re.findall(r"\$(.+?)\$", text, flags=re.S))
        assert made.count("<math") == formulas, f"a formula that cannot be converted in {text!r}"


def test_the_file_is_whole_and_can_be_read_by_others(tmp_path, survived):
    path = html.save([survived], tmp_path / "new" / "report.html", {"seed": 3})
    assert path.read_text() == html.render([survived], {"seed": 3})
    assert path.stat().st_mode & 0o777 == 0o644
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_text_from_claims_is_escaped():
    page = html.render([Row("a/b", title="x < y & z", statement="if $a < b$", on="<script>", verdict="survived")], {})
    assert "<script>" not in page
    assert "x &lt; y &amp; z" in page


def test_the_picture_shows_each_unit_and_weight():
    instance = {
        "network": {"units": ["input", "one", "relu", "linear"], "outputs": [3], "slope": "1/4",
                    "edges": [[0, 2, 0, "1"], [1, 2, 1, "1"], [2, 3, 2, "1/2"]], "layers": [[0, 1], [2]]},
        "theta": ["-3/4", "0", "5"],
    }  # fmt: skip
    drawn = html.picture(instance)
    assert drawn.count("<circle") == 4
    for label in (">-3/4<", ">0<", ">1/2·5<", ">x1<", ">y1<", ">relu<"):
        assert label in drawn
    assert drawn.count("stroke-dasharray") == 1  # the weight that is 0
    assert html.picture({"x": [["1"]]}) == ""


def test_a_claim_without_network_has_no_picture():
    row = run_task(Task("sketching/mask-keeps-s-weights", "quick"))
    assert row.certificate
    assert "<svg" not in html.render([row], {})
    assert row.title == claim_named(row.claim).title
