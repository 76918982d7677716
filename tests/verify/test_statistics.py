"""Rank correlation."""

import numpy as np
import pytest

from verify.trials.statistics import rank_correlation


def test_rank_correlation_by_hand():
    assert rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0])) == pytest.approx(0.5)
    # Ties take the mean rank: ranks 1.5, 1.5, 3 against 1, 2, 3.
    assert rank_correlation([1.0, 1.0, 2.0], [1.0, 2.0, 3.0]) == pytest.approx(3**0.5 / 2)
    rows = rank_correlation([[1, 2, 3], [1, 1, 1], [1, 2, 3]], [[3, 2, 1], [1, 2, 3], [2, 2, 2]])
    assert rows.tolist() == [-1.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="of one shape"):
        rank_correlation([1.0, 2.0], [1.0])
