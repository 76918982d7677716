"""Assumptions that several sections share."""

from __future__ import annotations

import numpy as np

from theory.claims import Assumption
from theory.scalars import Array, indicator


def zero_first(weights: Array | None) -> Array | None:
    """``weights`` (..., d) with the first entry 0 and, so that they stay a law, the last one not; none stay none."""
    if weights is None:
        return None
    d = weights.shape[-1]
    out = weights * (np.arange(d) > 0)
    return out + indicator(np.broadcast_to(np.arange(d) == d - 1, out.shape), out)


every_feature_can_be_drawn = Assumption(
    "every-feature-can-be-drawn",
    "p_i > 0 for every i",
    lambda i: (i.p > 0).all(axis=-1),
    lambda c, i: i.with_(q=zero_first(i.q)),
)


used_features_can_be_drawn = Assumption(
    "used-features-can-be-drawn",
    "p_i > 0 wherever X_i w_i is not 0",
    lambda i: ((i.p > 0) | ~i.used()).all(axis=-1),
    lambda c, i: i.with_(q=zero_first(i.q)),
)


some_signal = Assumption(
    "some-signal",
    "A > 0: some X_i w_i is not 0, so that p* exists",
    lambda i: i.used().any(axis=-1),
    lambda c, i: i.with_(w=i.w * 0),
)
