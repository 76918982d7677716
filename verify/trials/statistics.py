"""Statistics that more than one table needs; the anytime-valid tests are in `verify.trials.sequential`."""

from __future__ import annotations

import numpy as np
from scipy import stats

Array = np.ndarray


def rank_correlation(a: Array, b: Array) -> Array:
    """Spearman's coefficient along the last axis; 0 where either side is constant.

    Args:
        a: (..., n).
        b: (..., n), of the same shape.

    Returns:
        Shape (...): a number for two vectors.

    Raises:
        ValueError: shapes that differ, or fewer than two values.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape or a.shape[-1] < 2:
        raise ValueError(f"two arrays of one shape with at least two values are ranked; got {a.shape} and {b.shape}")
    found = np.zeros(a.shape[:-1])
    varies = (np.ptp(a, axis=-1) > 0) & (np.ptp(b, axis=-1) > 0)
    for at in zip(*np.nonzero(varies), strict=True) if varies.ndim else [()] * bool(varies):
        found[at] = stats.spearmanr(a[at], b[at]).statistic
    return found[()]


__all__ = ["rank_correlation"]
