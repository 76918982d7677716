"""The page on the code's architecture is current and complete."""

from verify.studies import architecture_page as page


def test_the_page_is_what_the_tree_gives():
    assert page.PAGE.read_text() == page.render(), "run `python -m verify.studies.architecture_page`"


def test_every_file_says_in_one_line_what_it_holds():
    for top in page.TOPS:
        for path in (page.ROOT / top).rglob("*.py"):
            said = page.line(path)
            assert 10 < len(said) < 400, f"{path}: {said}"
