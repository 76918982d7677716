"""`axe`: a page looked at in a headless Chromium; see `looking`."""

import pytest

from tests.browser.looking import Browser, missing


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests of a worker."""
    if why := missing():
        pytest.skip(why)
    with Browser() as started:
        yield started


@pytest.fixture
def axe(browser):
    """``axe(path, width, scheme)`` gives what is wrong with a page, a line each; see `looking.Browser.look`."""

    def look(path, width, scheme, **more):
        return browser.look(path, width, scheme, **more).complaints()

    return look
