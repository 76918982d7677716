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
from verify.app.recorded import Recorded, recorded
from verify.app.runner import Event, Row, Task, run_task
from verify.app.summary import counted, summaries, why


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


def table(rows, width=100, tests=None, **options):
    stream = StringIO()
    screen = Console(file=stream, width=width, highlight=False, **options)
    found = summaries(rows, tests)
    report.print_table(found, screen)
    report.print_remarks(found, screen)
    return stream.getvalue()


def changed(row, **fields):
    return Row(**{**row.to_json(), **fields})


def line_of(text, name):
    return " ".join(next(x for x in text.splitlines() if x.startswith(f" {name} ")).split())


def test_the_table_has_a_line_a_claim_and_fits(refuted, survived):
    on_model = changed(refuted, on="digits, tiny-relu 4-3-2", verdict="survived", counterexample="", size="")
    for width in (100, 80):
        text = table([survived, refuted, on_model], width)
        assert max(map(len, text.splitlines())) <= width
        assert text.count("stays-alive-literal") == 1
        assert "\x1b" not in text
    wide = table([survived, refuted, on_model])
    assert line_of(wide, "stays-alive-literal") == "stays-alive-literal false as stated (confirmed) 3 weights 1/1"
    assert line_of(wide, "trace-bound").startswith("trace-bound proved by Coq for all sizes")
    assert "2 claims, 3 checks" in wide
    assert "1 believed false: 1 refuted by an exact counterexample" in wide
    assert "No verdict contradicts what is believed." in wide


def test_colours_say_whether_belief_and_verdict_agree_and_nothing_else(refuted, survived, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    green, red = "\x1b[32m", "\x1b[1;31m"
    text = table([survived, refuted], force_terminal=True, color_system="standard")
    assert text.count(green) == 3  # two claims, and that nothing contradicts
    assert red not in text
    open_ = changed(survived, status="open")
    assert green not in table([open_], force_terminal=True, color_system="standard").split("1 check")[0]
    loud = changed(refuted, status="proved", disagrees="believed proved, but refuted here")
    text = table([loud], force_terminal=True, color_system="standard")
    assert red in text
    assert green not in text
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in table([survived, refuted], force_terminal=True)


@pytest.mark.parametrize("claim", claims(), ids=lambda c: c.id)
def test_every_name_fits_the_table(claim):
    row = Row(
        claim.id, status=str(claim.status), verdict="not applicable", examples=9999, screened=999_000, margin=-1e-10,
        reasons=["lacks: everything"],
    )  # fmt: skip
    for text in (shown(report.print_details, [row]), table([row]), table([row], 80)):
        assert claim.id.split("/")[1] in text
        assert "…" not in text
    for verdict in ("survived", "refuted"):
        assert "…" not in table([changed(row, verdict=verdict)])


def test_the_details_have_a_line_for_each_thing_it_ran_on(refuted, survived):
    text = shown(report.print_details, [survived, refuted])
    assert max(map(len, text.splitlines())) <= 100
    line = next(x for x in text.splitlines() if "stays-alive-literal" in x)
    assert line.split() == ["stays-alive-literal", "false", "drawn", "refuted", "exact",
                            *counted(refuted).split(), "3", "weights"]  # fmt: skip
    assert "margin: least (right - left)" in text


def test_models_on_other_data_are_named_in_full():
    row = Row("no-free-prune/noise-correlation-without-information", status="empirical", on="cifar10, linear",
              verdict="survived", how="float64 with rounding bound", examples=400, margin=-7.1e-10)  # fmt: skip
    text = shown(
        report.print_details, [row, changed(row, on="cifar10, tiny-relu 4-3-2", verdict="refuted", size="88 numbers")]
    )
    assert "…" not in text
    for word in ("cifar10 linear", "cifar10 tiny", "88 numbers", "-7.1e-10"):
        assert word in text


def test_a_contradiction_is_loud_with_its_counterexample_and_the_command(refuted):
    loud = changed(refuted, status="proved", disagrees="believed proved, but refuted here")
    text = table([loud])
    assert "REFUTED, believed true !!" in text
    assert "believed proved" in text
    assert "No verdict contradicts" not in text
    assert refuted.counterexample in text
    assert "python -m verify run path-exclusion/stays-alive-literal --budget quick --seed 3" in text
    assert "!!" not in table([refuted])
    weak = changed(refuted, verdict="survived", disagrees="known to be false, but no counterexample was found")
    assert "NOT REFUTED, believed false !!" in table([weak])


@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        (["'ntk' needs every path by itself: only small piecewise-linear modules are enumerated"],
         "too many paths to list"),
        (["an equality, on 90 instances: the sides agree within the rounding bound (relative gap at most 2e-13), which "
          "decides no equality"], "equal up to rounding"),
        (["one-path-each: every parameter lies on at most one path, once"], "lacks one-path-each"),
        (["interrupted before it was decided"], "interrupted"),
        ([], "no reason was given"),
    ],
)  # fmt: skip
def test_what_is_not_decided_says_why_in_five_words(survived, reasons, words):
    row = changed(survived, on="digits, relu", verdict="undecided", reasons=reasons,
                  assumes={"one-path-each": "every parameter lies on at most one path, once"})  # fmt: skip
    assert why(row) == words
    assert len(words.split()) <= 5
    text = table([survived, row])
    assert "On digits, relu:" in text
    assert f"1 undecided: {words} (trace-bound)" in text


def test_what_is_true_by_definition_is_counted_apart():
    row = Row("path-exclusion/trace-by-kernel", status="proved", verdict="survived", examples=3)
    assert "1 believed true: 1 true by definition" in table([row])


def test_claims_about_training_show_what_is_recorded(tmp_path):
    path = tmp_path / "empirical.csv"
    path.write_text(
        '# commits: ["1d23a1ffa54152d89d06a655e29123bcd745c31f"]\n'
        "claim,scale,claim verdict,error probability,trials,"
        "test,leading,test verdict,effect,standard error,observations\n"
        "sketching/lazy-weights,smoke,undecided,0.01,112,slope,True,undecided,0.1,0.2,16\n"
        "sketching/lazy-weights,small,supported,0.01,224,slope,True,yes,0.004832,0.004311,32\n"
    )
    tests = recorded(path)
    assert tests["sketching/lazy-weights"].tests == ("slope: yes (effect +0.00483 ± 0.0043, 32 observations)",)
    row = Row(
        "sketching/lazy-weights", status="empirical", verdict="not applicable", reasons=["decided by experiments"]
    )
    assert line_of(table([row], tests=tests), "lazy-weights") == "lazy-weights supported (recorded) 224 trials"
    assert "scale small, commit 1d23a1f" in table([row], tests=tests)
    assert line_of(table([row]), "lazy-weights") == "lazy-weights not tested yet (--scale)"
    anew = changed(row, verdict="contradicted", how="e-process (error probability 0.01)", on="40 trials (smoke)")
    assert line_of(table([anew], tests=tests), "lazy-weights") == "lazy-weights contradicted 40 trials"
    assert recorded(tmp_path / "none.csv") == {}


def test_what_is_recorded_of_experiments_in_this_checkout_can_be_read():
    known = {c.id for c in claims()}
    for identity, one in recorded().items():
        assert identity in known
        assert one.verdict in ("supported", "contradicted", "undecided")
        assert one.trials > 0


def test_rows_are_shown_while_others_run(refuted, survived, monkeypatch):
    stream = StringIO()
    monkeypatch.setattr(report, "console", lambda **_: Console(file=stream, width=100, force_terminal=True))
    events = [Event(survived, 1, 2, ("path-exclusion/stays-alive-literal",)), Event(refuted, 2, 2, ())]
    assert list(report.watched(iter(events))) == [survived, refuted]
    assert "trace-bound" in stream.getvalue()
    assert report.SHOWN_AT_ONCE < 20
    monkeypatch.setattr(report, "console", lambda **_: Console(file=stream, width=100))
    before = stream.getvalue()
    assert list(report.watched(iter(events))) == [survived, refuted]
    assert stream.getvalue() == before  # not a terminal: nothing moves


class Balanced(HTMLParser):
    """Fails on a closing tag that closes something else."""

    optional = ("meta", "line", "circle", "br", "input")

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
    for word in (
        "<main>",
        "<nav ",
        'scope="col"',
        'lang="en"',
        "proved by Coq for all sizes",
        "machine-checked by Coq",
    ):
        assert word in page
    anchors = re.findall(r'href="#([^"]+)"', page)
    assert set(anchors) <= set(re.findall(r' id="([^"]+)"', page))
    assert len(set(re.findall(r' id="([^"]+)"', page))) == len(re.findall(r' id="([^"]+)"', page))


def test_the_pages_of_the_claims_are_linked_where_they_have_been_built(tmp_path, survived, monkeypatch):
    monkeypatch.setattr(html, "SITE", tmp_path / "site" / "claims")
    path = html.save([survived], tmp_path / "reports" / "report.html", {})
    assert "trace-bound.html" not in path.read_text()
    html.SITE.mkdir(parents=True)
    html.save([survived], path, {})
    assert 'href="../site/claims/path-exclusion/trace-bound.html"' in path.read_text()


def test_the_page_tells_repairs_and_what_is_recorded(refuted):
    claim = claim_named(refuted.claim)
    assert claim.repaired_by or claim.see
    other = [*claim.repaired_by, *claim.see][0]
    assert f"<code>{other}</code>" in html.render([refuted], {})
    assert f'<a href="#{other.replace("/", "-")}">' in html.render([refuted, Row(other, verdict="survived")], {})
    training = Row("sketching/lazy-weights", status="empirical", verdict="not applicable")
    test = Recorded(training.claim, "supported", "small", 224, 0.01, ("slope: yes",), "1d23a1f", "2026-11-21")
    page = html.render([training], {}, {training.claim: test})
    assert "<b>supported</b>" in page
    assert "224 trials, scale small, commit 1d23a1f, 2026-11-21" in page
    assert "<li>slope: yes</li>" in page


@pytest.mark.parametrize("claim", claims(), ids=lambda c: c.id)
def test_every_formula_becomes_mathematics(claim):
    for text in (claim.title, claim.statement, *(a.sentence for a in claim.assumptions)):
        made = html.mathematics(text)
        assert "$" not in made, f"a dollar sign without its partner in {text!r}"
        formulas = len(re.findall(r"\$(.+?)\$", text, flags=re.S))
        assert made.count("<math") == formulas, f"a formula that cannot be converted in {text!r}"


def test_the_file_is_whole_and_can_be_read_by_others(tmp_path, survived, monkeypatch):
    monkeypatch.setattr(html, "SITE", tmp_path / "no-site")  # where there is one, the saved file links its pages
    path = html.save([survived], tmp_path / "new" / "report.html", {"seed": 3})
    assert path.read_text() == html.render([survived], {"seed": 3})
    assert path.stat().st_mode & 0o777 == 0o644
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_text_from_claims_is_escaped():
    page = html.render([Row("a/b", title="x < y & z", statement="if $a < b$", on="<script>", verdict="survived")], {})
    assert page.count("<script>") == 1  # its own
    assert "x &lt; y &amp; z" in page


def test_a_claim_without_network_has_no_picture():
    row = run_task(Task("sketching/mask-keeps-s-weights", "quick"))
    assert row.certificate
    assert "<svg" not in html.render([row], {})
    assert row.title == claim_named(row.claim).title
