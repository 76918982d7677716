"""Rational points on a path, to find counterexamples and to see that a path is not empty."""

from __future__ import annotations

from typing import Any

import numpy as np
from flint import fmpq

from verify.proofs.polynomials import Signs
from verify.proofs.world import World

POINTS = 512
MOST = 4
"""Points that are made exact."""


def sampled(world: World, p: Any, wanted: Signs | None, seed: int = 0, most: int = MOST) -> list[list[fmpq]]:
    """Values of the variables of ``most`` points of the path at which ``p`` has no sign in ``wanted`` (None: any).

    Float64 chooses; whoever uses the points decides again in rationals.
    """
    rng = np.random.default_rng(seed)
    free = _free(rng, POINTS, len(world.space.gens))
    values = completed(world, free)
    ok = np.isfinite(values).all(axis=1)
    for f, signs in world.conditions():
        if not ok.any():
            return []
        ok &= _sign_in(world.space.evaluate(f, values), signs)
    if wanted is not None:
        ok &= ~_sign_in(world.space.evaluate(p, values), wanted)
    return [exactly(world, free[i], values[i]) for i in np.flatnonzero(ok)[:most]]


def _free(rng: np.random.Generator, points: int, width: int) -> np.ndarray:
    """Small integers, halves, and powers of two, of either sign; the scale differs between points."""
    kind = rng.integers(0, 4, size=(points, 1))
    whole = rng.integers(-3, 4, size=(points, width)).astype(float)
    halves = rng.integers(-8, 9, size=(points, width)) / 4
    powers = rng.choice([-1.0, 1.0], size=(points, width)) * 2.0 ** rng.integers(-4, 5, size=(points, width))
    wide = rng.integers(-100, 101, size=(points, width)) / 8
    return np.select([kind == 0, kind == 1, kind == 2], [whole, halves, powers], wide)


def completed(world: World, free: np.ndarray) -> np.ndarray:
    """The free variables and what follows: roots, then substituted variables."""
    values, space = free.copy(), world.space
    with np.errstate(all="ignore"):
        for v, g, degree in world.roots:
            inside = space.evaluate(g, values)
            values[:, v] = np.sqrt(inside) if degree == 2 else np.cbrt(inside)
        for v, num, den in reversed(world.substitutions):
            values[:, v] = space.evaluate(num, values) / space.evaluate(den, values)
    unused = space.count + world.used_roots
    values[:, unused:] = 0
    return values


def exactly(world: World, free: np.ndarray, values: np.ndarray) -> list[fmpq]:
    """The variables of a point as rationals: exact where no root is in the way."""
    point = [fmpq(*float(x).as_integer_ratio()) for x in free]
    for v, _, _ in world.roots:
        point[v] = fmpq(*float(values[v]).as_integer_ratio())
    return exactly_at(world, point)


def exactly_at(world: World, point: list[fmpq]) -> list[fmpq]:
    """The variables of a point, those that were substituted computed from the others (and the roots)."""
    point = list(point)
    for v, num, den in reversed(world.substitutions):
        below = den(*point)
        point[v] = num(*point) / below if below != 0 else fmpq(0)
    return point[: world.space.count]


def _sign_in(values: np.ndarray, signs: Signs) -> np.ndarray:
    sign = np.where(np.abs(values) < 1e-9, 0, np.sign(values))
    return np.isin(sign, list(signs))
