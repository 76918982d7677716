"""Every claim, each as its own test: `pytest -m theorem`."""

import pytest

from theory.claims import claims
from verify.app import plugin


def pytest_generate_tests(metafunc):
    chosen = plugin.claim_ids(metafunc.config, empirical=True)
    metafunc.parametrize("identity", [c.id for c in claims() if c.id in chosen])


@pytest.mark.theorem
def test_claim(identity, pytestconfig):
    """Proved claims are not refuted, and decided; refuted ones are found; whatever is found of the others is shown."""
    row = plugin.run(pytestconfig, identity)
    assert not row.disagrees
    assert row.status != "proved" or row.undecided + row.vacuous < row.examples
