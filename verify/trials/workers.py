"""Work for several processes: results as they come, and a process that dies takes nothing with it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class WorkerDied(RuntimeError):
    """The process that worked on an item ended without a word, alone as well: out of memory, or killed."""


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(function: Callable[[T], R], items: Iterable[T], processes: int) -> Iterator[tuple[T, R | BaseException]]:
    """(item, result), or (item, what it raised), in the order in which they finish.

    Items are taken one by one as processes become free. With one process everything happens in this one. When a
    worker dies, the items in hand are done again one at a time, each in a process of its own: the one that kills its
    process again is given up as `WorkerDied`.
    """
    if processes <= 1:
        for item in items:
            yield item, _tried(function, item)
        return
    source = iter(items)
    in_hand: dict[Future[R], T] = {}
    pool = None
    try:
        while True:
            for item in itertools.islice(source, processes - len(in_hand)):
                pool = pool or _pool(processes)
                in_hand[pool.submit(function, item)] = item
            if not in_hand:
                return
            done, _ = wait(in_hand, return_when=FIRST_COMPLETED)
            if any(isinstance(f.exception(), BrokenExecutor) for f in done):
                suspects, in_hand = list(in_hand.items()), {}
                _close(pool)
                pool = None
                for future, item in suspects:
                    yield item, _outcome(future) if _finished(future) else _alone(function, item)
                continue
            for future in done:
                yield in_hand.pop(future), _outcome(future)
    finally:
        _close(pool)


def in_order(function: Callable[[T], R], items: Iterable[T], processes: int) -> list[R]:
    """The results of all items, in their order.

    Raises:
        BaseException: what the first item that failed raised.
    """
    items = list(items)
    found = dict(each(function, items, processes))
    out: list[R] = []
    for item in items:
        got = found[item]
        if isinstance(got, BaseException):
            raise got
        out.append(got)
    return out


def _pool(processes: int) -> Any:
    # loky and not the standard library's pool: it needs no `if __name__ == "__main__"` in the caller's script.
    from joblib.externals.loky import ProcessPoolExecutor

    return ProcessPoolExecutor(processes)


def _tried(function: Callable[[T], R], item: T) -> R | BaseException:
    try:
        return function(item)
    except Exception as e:
        return e


def _finished(future: Future[R]) -> bool:
    return future.done() and not future.cancelled() and not isinstance(future.exception(), BrokenExecutor)


def _outcome(future: Future[Any]) -> Any:
    return future.exception() or future.result()


def _alone(function: Callable[[T], R], item: T) -> R | BaseException:
    pool = _pool(1)
    try:
        found = _outcome(pool.submit(function, item))
    finally:
        _close(pool)
    if isinstance(found, BrokenExecutor):
        return WorkerDied("its process died without a word: out of memory, or killed")
    return found


def _close(pool: Any) -> None:
    if pool is not None:
        pool.shutdown(wait=True, kill_workers=True)


__all__ = ["WorkerDied", "each", "in_order", "processors"]
