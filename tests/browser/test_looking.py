"""The check of pages sees what it is there to see."""

import pytest

from tests.browser.looking import SCHEMES, WIDTHS

GOOD = "<!doctype html><html lang=en><meta charset=utf-8><title>t</title><main><h1>t</h1><p>words</p></main></html>"


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_good_page(axe, tmp_path, width, scheme):
    (tmp_path / "good.html").write_text(GOOD)
    assert axe(tmp_path / "good.html", width, scheme) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<p>", "<p style='color:#bbb'>", "color-contrast"),
        ("<p>", "<img src=data:image/gif;base64,R0lGODlhAQABAAAAACw=><p>", "image-alt"),
        ("<p>", "<div style='width:900px;background:red'>wide</div><p>", "wider than the window"),
        ("<p>", "<img alt=a src=http://127.0.0.1:9/a.png><p>", "asks for http://127.0.0.1:9/a.png"),
        ("<p>", "<script>throw Error('oh')</script><p>", "script: Error: oh"),
        (" lang=en", "", "html-has-lang"),
    ],
)
def test_a_bad_page(axe, tmp_path, old, new, said):
    (tmp_path / "bad.html").write_text(GOOD.replace(old, new))
    assert any(said in line for line in axe(tmp_path / "bad.html", 400, "light"))


def test_colours_follow_the_scheme(axe, tmp_path):
    dark = "<style>@media(prefers-color-scheme:dark){body{background:#000;color:#333}}</style><title>"
    (tmp_path / "page.html").write_text(GOOD.replace("<title>", dark))
    assert axe(tmp_path / "page.html", 400, "light") == []
    assert any("color-contrast" in line for line in axe(tmp_path / "page.html", 400, "dark"))
