"""Assumptions that several sections share."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory.claims import Assumption
from theory.scalars import indicator


def never_first(c: Any, i: Any) -> Any:
    """The instance with a law that never draws the first feature and, so that it stays a law, may draw the last."""
    if i.q is None:
        return i
    d = i.q.shape[-1]
    out = i.q * (np.arange(d) > 0)
    return i.with_(q=out + indicator(np.broadcast_to(np.arange(d) == d - 1, out.shape), out))


every_feature_can_be_drawn = Assumption(
    "every-feature-can-be-drawn",
    "p_i > 0 for every i",
    lambda i: (i.p > 0).all(axis=-1),
    never_first,
)


used_features_can_be_drawn = Assumption(
    "used-features-can-be-drawn",
    "p_i > 0 wherever X_i w_i is not 0",
    lambda i: ((i.p > 0) | ~i.used()).all(axis=-1),
    never_first,
)


some_signal = Assumption(
    "some-signal",
    "A > 0: some X_i w_i is not 0, so that p* exists",
    lambda i: i.used().any(axis=-1),
    lambda c, i: i.with_(w=i.w * 0),
)
