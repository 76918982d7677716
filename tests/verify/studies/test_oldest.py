"""The versions that `make test-oldest` installs."""

import pytest

from verify.studies.oldest import PROJECT, main, oldest


def test_every_dependency_has_an_oldest_series():
    found = oldest(PROJECT.read_text())
    assert "numpy==2.0.*" in found
    assert all("==" in line for line in found)


def test_a_dependency_without_a_bound_is_refused(capsys):
    with pytest.raises(ValueError, match="'numpy' names no lower bound"):
        oldest('[project]\ndependencies = ["numpy"]')
    assert main([]) == 2
    assert "oldest|newest" in capsys.readouterr().err
