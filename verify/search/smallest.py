"""The smallest counterexample: the same from every seed, wherever small structures hold one.

Reduction alone stops where no single step helps; then which counterexample a person gets to read depends on the seed.
So once a counterexample is known, small structures are drawn from a generator that depends on the claim alone, and
looked through by rising size: drawn fillings, and every filling with tiny numbers, as float64 stacks. What is found so
is decided exactly, like everything else, and reduced. Only where that finds none, or none as small as the one that the
search has found, is the latter reduced instead. All of it is a fixed amount of work.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from verify.search.budgets import Limit
from verify.search.screening import Problem, suspicious
from verify.search.shrink import shrink
from verify.search.strategies import StackChooser

VALUES = (0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 0.5, -0.5, 4.0)
"""Tiny numbers, in the order in which they join the grid."""
FINAL, DRAWN = 50_000, 5_000
"""Most fillings of the structure in hand, and of each small structure that is drawn."""
PASSES, TURN = ((384, (0, 1, 1, 2)), (96, (2, 3, 4, 5))), 12
"""How many structures are drawn at once, and their limits in turn, each for so many of them (as many as there are ways
of drawing); a pass that finds something is the last."""
STACK, TRIES = 64, 3
"""Fillings of a drawn structure, and how often one that comes again is filled anew."""


def smallest(problem: Problem, found: Any, limit: Limit | None = None) -> Any:
    """The smallest counterexample that is known or found; ``limit`` is a person's, in seconds."""
    drawn = smallest_drawn(problem, limit)
    if drawn is not None and drawn.size() <= found.size():
        return drawn
    best = reduced(problem, found, limit)
    return best if drawn is None else min(drawn, best, key=lambda i: i.size())


def reduced(problem: Problem, found: Any, limit: Limit | None = None) -> Any:
    """The smallest counterexample that reducing ``found`` and tiny numbers in its structure lead to."""
    best = shrink(found, problem.refutes, limit=limit)
    return (_on_grid(problem, best, FINAL, best) or best) if problem.stackable else best


def smallest_drawn(problem: Problem, limit: Limit | None = None) -> Any:
    """The smallest counterexample among structures that depend on the claim alone; None if they hold none.

    Another seed of the same claim finds it kept.
    """
    return _looked_for(problem, limit) if limit is not None else _kept(_Asked(problem))


class _Asked:
    """A problem, equal to another of the same claim (the object itself) without the same assumptions."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self._of = problem, (id(problem.claim), *(a.name for a in problem.dropped))

    def __hash__(self) -> int:
        return hash(self._of)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Asked) and self._of == other._of


@lru_cache(maxsize=256)
def _kept(asked: _Asked) -> Any:
    return _looked_for(asked.problem, None)


def _looked_for(problem: Problem, limit: Limit | None) -> Any:
    names = " ".join((problem.claim.id, *(a.name for a in problem.dropped)))
    fixed = zlib.crc32(names.encode())
    for number, (count, limits) in enumerate(PASSES):
        drawn = []
        for r in range(count):
            if limit is not None and limit.passed():
                return None
            rng = np.random.default_rng([fixed, number, r])
            chooser = StackChooser(rng, STACK if problem.stackable else None, limits[r // TURN % len(limits)])
            stack = problem.drawn(chooser, r)
            drawn.append((_amount(stack), r, stack))
        stacks = [stack for _, _, stack in sorted(drawn, key=lambda d: d[:2])]
        best = _first(problem, stacks, DRAWN if number == 0 else 0, limit)
        if best is not None:
            return best
    return None


def _first(problem: Problem, stacks: list[Any], fillings: int, limit: Limit | None) -> Any:
    """The smallest counterexample of stacks by rising amount: once one is found, what is larger is not looked at.

    Of each structure at most so many ``fillings`` with tiny numbers are tried as well.
    """
    best, seen = None, Counter[str]()
    for stack in stacks:
        if (limit is not None and limit.passed()) or (best is not None and _amount(stack) > _amount(best)):
            break
        shape = _structure(stack.at(0) if stack.stacked else stack)
        if seen[shape] >= (TRIES if best is None else 1):
            continue
        if problem.stackable:
            one = next(_refuting(problem, stack), None)
            if one is None and not seen[shape]:
                one = _on_grid(problem, stack.at(0), fillings)
        else:
            one = stack if problem.refutes(stack) else None
        seen[shape] += 1
        if one is None:
            continue
        other = reduced(problem, one, limit)
        seen[_structure(other)] += 1
        best = other if best is None else min(best, other, key=lambda i: i.size())
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


__all__ = ["grid", "reduced", "smallest", "smallest_drawn"]
