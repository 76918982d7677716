"""Assumptions on labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory.claims import Assumption
from theory.memorisation import FittedMasks
from theory.scalars import indicator


def _other_labels(chooser: Any, instance: Any) -> Any:
    """One labeling with certainty, two opposite ones, or any law."""
    count = instance.labels.shape[-1]
    at, kind = np.arange(count), chooser.integers((1,), 0, 3)
    one = chooser.integers((1,), 0, count - 1) == at
    ends = (at == 0) | (at == count - 1)
    certain = indicator(np.where(kind == 0, one, ends), instance.labels)
    return instance.with_(labels=np.where(kind == 3, chooser.weights((count,)), certain))


uniform_labels = Assumption(
    "uniform-labels", "all labelings are equally likely",
    lambda i: (i.labels == i.labels[..., :1]).all(axis=-1), _other_labels,
)  # fmt: skip


def choosing_well(chooser: Any, instance: FittedMasks) -> FittedMasks:
    """Where a coin says so, the rule chooses a mask that gets most points right."""
    correct = np.swapaxes(instance.correct(), -1, -2)
    well = indicator(correct == correct.max(axis=-1)[..., None], instance.rule)
    return instance.with_(rule=np.where(chooser.integers((1, 1), 0, 1) == 1, well, instance.rule))


independent_labels = Assumption(
    "independent-labels", "the labels of different points are independent", lambda i: i.independent(),
    lambda chooser, instance: choosing_well(chooser, _other_labels(chooser, instance)),
)  # fmt: skip
