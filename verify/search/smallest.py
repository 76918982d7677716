"""The smallest counterexample: greedy reduction, every filling with tiny numbers, and structures with less in them.

Reduction alone stops where no single step helps; then which counterexample a person gets to read depends on the seed.
So every filling of its structure with tiny numbers is screened as one float64 stack, the smallest first, and
so is every smaller structure that is drawn. What is found so is decided exactly, like everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from verify.search.budgets import Limit
from verify.search.screening import Problem, suspicious
from verify.search.shrink import shrink
from verify.search.strategies import StackChooser, draw

VALUES = (0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 0.5, -0.5, 4.0)
"""Tiny numbers, in the order in which they join the grid."""
FINAL, DRAWN = 50_000, 5_000
"""Most fillings of the structure in hand, and of each smaller structure that is drawn."""
RESTARTS = 160
"""Small structures that are drawn once a counterexample is known."""


def smallest(problem: Problem, found: Any, seed: int, limit: Limit | None = None) -> Any:
    """The smallest counterexample that is found, starting from ``found``; ``limit`` is a person's, in seconds."""
    best = shrink(found, problem.refutes, limit=limit)
    if not problem.stackable:
        return best
    seen: set[str] = {_structure(best)}
    best = _on_grid(problem, best, FINAL, best) or best
    for r in range(RESTARTS):
        if limit is not None and limit.passed():
            break
        rng = np.random.default_rng([seed, 3, r])
        broken = problem.dropped[r % len(problem.dropped)] if problem.dropped else None
        stack = draw(problem.claim, StackChooser(rng, 128, (0, 1, 1, 2)[r % 4]), broken)
        first = stack.at(0)
        shape, less = _structure(first), _amount(stack) < _amount(best)
        if not less and (shape in seen or _amount(stack) > _amount(best)):
            continue
        one = next(_refuting(problem, stack), None)
        if one is None and shape not in seen:
            seen.add(shape)
            one = _on_grid(problem, first, DRAWN)
        if one is not None:
            other = shrink(one, problem.refutes, limit=limit)
            other = _on_grid(problem, other, FINAL, other) or other
            best = min(best, other, key=lambda i: i.size())
    return best


def _amount(instance: Any) -> tuple[Any, ...]:
    """Structure and number of entries of each instance of a stack, or of a single one."""
    held = (getattr(instance, n) for n in instance.arrays())
    entries = sum(np.size(a) for a in held if a is not None) // instance.count
    return (*instance.structure_size(), entries)


def _structure(instance: Any) -> str:
    """A string that is the same for single instances of the same structure only, whatever the numbers."""
    names = [n for n in instance.arrays() if getattr(instance, n) is not None]
    return instance.with_(**{n: np.zeros_like(getattr(instance, n), dtype=float) for n in names}).key()


def _refuting(problem: Problem, stack: Any, most: int = 4) -> Iterator[Any]:
    """The exact counterexamples among the first ``most`` instances of a stack that look violated, in its order."""
    usable = np.flatnonzero(problem.satisfied(stack))
    if not len(usable):
        return
    chosen = stack.take(usable)
    for j in np.flatnonzero(suspicious(problem.margins(chosen)))[:most]:
        if problem.refutes(one := chosen.at(int(j))):
            yield one


def _on_grid(problem: Problem, instance: Any, most: int, below: Any = None) -> Any:
    """The smallest counterexample with the structure of ``instance`` and tiny numbers; below the size of ``below``."""
    stack = grid(instance, most)
    if stack is None:
        return None
    if below is not None:
        _, nonzero, weight = below.size()[-3:]
        n, w = _sizes(_flat(stack))
        smaller = np.flatnonzero((n < nonzero) | ((n == nonzero) & (w < weight)))
        if not len(smaller):
            return None
        stack = stack.take(smaller)
    return next(_refuting(problem, stack, most=12), None)


def grid(instance: Any, most: int) -> Any:
    """A stack of all fillings of a single instance's arrays with the first of `VALUES`, by rising size.

    As many values as give at most ``most`` fillings; None if there are fewer than two such values.
    """
    names = [n for n in instance.arrays() if getattr(instance, n) is not None]
    shapes = [np.shape(getattr(instance, n)) for n in names]
    sizes = [int(np.prod(s)) for s in shapes]
    entries = sum(sizes)
    values = next((v for v in range(len(VALUES), 1, -1) if v**entries <= most), 0)
    if not entries or values < 2:
        return None
    filled, changes, at = _fillings(entries, values), {}, 0
    for name, shape, size in zip(names, shapes, sizes, strict=True):
        changes[name] = filled[:, at : at + size].reshape(-1, *shape)
        at += size
    return instance.with_(**changes)


@lru_cache(maxsize=64)
def _fillings(entries: int, values: int) -> np.ndarray:
    """All fillings (values^entries, entries), the smallest first."""
    index = np.indices((values,) * entries).reshape(entries, -1).T
    filled = np.asarray(VALUES)[index]
    nonzero, weight = _sizes(filled)
    return filled[np.lexsort((weight, nonzero))]


def _flat(stack: Any) -> np.ndarray:
    names = [n for n in stack.arrays() if getattr(stack, n) is not None]
    return np.concatenate([np.reshape(getattr(stack, n), (stack.count, -1)) for n in names], axis=1)


def _sizes(filled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nonzero entries and complexity of numbers, as `Instance.size` counts them, for numbers of `VALUES`."""
    half = np.abs(filled) == 0.5
    complexity = np.where(half, 3, np.abs(filled)) + (filled < 0)
    return (filled != 0).sum(axis=1), complexity.sum(axis=1)


__all__ = ["grid", "smallest"]
