"""All paths of a run: it is repeated once for each answer that the answers so far leave open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from verify.proofs.polynomials import Space
from verify.proofs.world import Empty, World, living_in


@dataclass
class Path:
    """One path: the world at its end, and what the run returned (None where the conditions contradict each other)."""

    world: World
    outcome: Any
    empty: bool = False


class TooManyPaths(Exception):
    """More paths than the budget allows."""


def explore(run: Callable[[], Any], space: Space, most: int) -> Iterator[Path]:
    """Every path of ``run``, depth first; their conditions cover all real numbers.

    Args:
        run: computes with symbols of ``space`` and returns an outcome; called once a path.
        space: the ring.
        most: paths to run at most.

    Raises:
        TooManyPaths: there are more.
    """
    todo: list[tuple[bool, ...]] = [()]
    count = 0
    while todo:
        if count == most:
            raise TooManyPaths(f"more than {most} paths")
        prefix = todo.pop()
        world = World(space, prefix)
        count += 1
        path = Path(world, None)
        with living_in(world):
            try:
                path.outcome = run()
                path.empty = world.contradictory()
            except Empty:
                path.empty = True
        world.frozen = True
        answers = tuple(d.answer for d in world.trail)
        todo.extend((*answers[:place], False) for place in range(len(prefix), len(answers)))
        yield path
