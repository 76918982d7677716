"""The counterexamples with nothing special about them."""

import pytest

from verify.certificates.checking import check
from verify.studies.generic import FOLDER, no_special_numbers

FILES = sorted(FOLDER.glob("*.json"))


def test_there_is_one_for_most_false_claims():
    assert len(FILES) >= 40


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_each_refutes_without_special_numbers(path):
    checked = check(path)
    assert checked.confirmed
    assert not checked.without
    assert no_special_numbers.predicate(checked.instance)
