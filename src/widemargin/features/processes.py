"""Work on a stream of pieces by several processes; results come in the order of the pieces.

Words are counted by Python code, which holds the interpreter lock, so threads would not help.
The process that reads counts as well, whenever the others have enough to do: their start takes
longer than many a whole input, and nobody waits for it.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
ALONE = 2  # pieces that are too little to start processes for
QUEUE = 2  # pieces that wait for each process
HELD = 8  # results a process that may be held back by a slow first one


def in_order(function: Callable[[A], B], pieces: Iterable[A], workers: int) -> Iterator[B]:
    """function(piece) of every piece, in order; function and pieces must be picklable."""
    if workers <= 1:
        yield from map(function, pieces)
        return
    waiting: deque[Future[B]] = deque()
    pool: ProcessPoolExecutor | None = None
    try:
        for number, piece in enumerate(pieces):
            if number == ALONE:
                pool = _pool(workers - 1)
            busy = sum(not future.done() for future in waiting)
            if pool is not None and busy < QUEUE * (workers - 1):
                waiting.append(pool.submit(function, piece))
            else:
                waiting.append(_done(function(piece)))
            while waiting and (waiting[0].done() or len(waiting) > HELD * workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    """Processes that are not copies of this one, whose threads a copy would lack."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sklearn.feature_extraction.text", __package__ + ".words"])
    return ProcessPoolExecutor(workers, context)


def _done(result: B) -> Future[B]:
    future: Future[B] = Future()
    future.set_result(result)
    return future
