"""The standard model of floating point (Higham, Accuracy and Stability of Numerical Algorithms, chapter 3)."""

from __future__ import annotations

UNIT = 2.0**-53
SAFE = 1.0 + 1e-9
"""Inflates a computed nonnegative bound by more than its own rounding error."""


def gamma(n: int) -> float:
    """gamma_n, rounded up.

    Raises:
        ValueError: n u is not below 1/2.
    """
    if n * UNIT >= 0.5:
        raise ValueError(f"{n} roundings are too many for a bound in float64")
    return n * UNIT / (1 - n * UNIT) * SAFE
