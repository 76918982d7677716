"""Float64 numbers with error bounds as balls, and comparisons of many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from flint import arb, fmpq
from torch import Tensor

from theory.relations import Comparison, Relation
from verify.networks.recording.roundings import SAFE


def flat(values: Mapping[str, Tensor], names: Sequence[str] | None = None) -> Tensor:
    """Entries of several tensors in one row."""
    return torch.cat([values[n].detach().flatten() for n in (values if names is None else names)])


def ball(value: float, error: float) -> Any:
    """A ball; exact 0 where both are 0."""
    if value == 0 and error == 0:
        return fmpq(0)
    # Underflow adds less than this to any of these sums.
    return arb(value, error + 1e-290) if np.isfinite(value) and np.isfinite(error) else arb("nan")


def compared(
    kind: str, lhs: Tensor, lhs_error: Tensor | float, rhs: Tensor, rhs_error: Tensor | float, name: str = "",
    where: Tensor | None = None,
) -> Relation:  # fmt: skip
    """``lhs kind rhs`` for every entry, as the two entries that decide it.

    Of all entries the one that may be furthest violated, and the one that certainly is most: if those
    hold, all do; if any is refuted, the second is.

    Args:
        kind: "<=", "<" or "==".
        lhs: numbers, of one shape with ``rhs`` or a scalar.
        lhs_error: absolute error bounds of ``lhs``.
        rhs: numbers.
        rhs_error: absolute error bounds of ``rhs``.
        name: of the comparison.
        where: bool; entries elsewhere say nothing.
    """
    shape = torch.broadcast_shapes(lhs.shape, rhs.shape)
    a, b, ea, eb = (
        torch.as_tensor(t, dtype=torch.float64).expand(shape).flatten() for t in (lhs, rhs, lhs_error, rhs_error)
    )
    every = torch.ones(shape, dtype=torch.bool) if where is None else where.expand(shape)
    chosen = every.flatten().nonzero().flatten()
    if not len(chosen):
        return Relation((Comparison(kind, fmpq(0), fmpq(0), name, np.asarray(False)),))
    a, b, ea, eb = a[chosen], b[chosen], ea[chosen], eb[chosen]
    scale = torch.maximum(a.abs(), b.abs())
    scale = torch.where(scale > 0, scale, 1.0)
    gap, slack = (b - a) / scale, (ea + eb) / scale * SAFE
    if kind == "==":
        worst, surest = (gap.abs() + slack).argmax(), (gap.abs() - slack).argmax()
    else:
        worst, surest = (gap - slack).argmin(), (gap + slack).argmin()
    bad = (~torch.isfinite(gap + slack)).nonzero().flatten()
    picked = [int(i) for i in dict.fromkeys([int(worst), int(surest), *bad[:1].tolist()])]
    sides = [
        np.array([ball(float(v[i]), float(e[i])) for i in picked] + [None], dtype=object)[:-1]
        for v, e in ((a, ea), (b, eb))
    ]
    return Relation((Comparison(kind, sides[0], sides[1], name),))


__all__ = ["ball", "compared", "flat"]
