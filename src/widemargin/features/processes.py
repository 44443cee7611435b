"""Work on a stream of pieces by several processes; results come in the order of the pieces.

Words are counted by Python code, which holds the interpreter lock, so threads would not help.
The process that reads counts as well, whenever the others have enough to do.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from widemargin.errors import WidemarginError

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
                with warnings.catch_warnings():  # of copies while a thread runs; see `_pool`
                    warnings.simplefilter("ignore", DeprecationWarning)
                    waiting.append(pool.submit(function, piece))
            else:
                waiting.append(_done(function(piece)))
            while waiting and (waiting[0].done() or len(waiting) > HELD * workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise WidemarginError(
            "a process that counted words was killed, most likely for want of memory. Use fewer "
            "of them (--n-jobs 1), or make more memory free."
        ) from None
    finally:
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    """Copies of this process where the system copies well: they have imported all by then.

    A fresh process takes a second to import scikit-learn. The first pieces are worked on before
    the copies are made, so these find all that they need imported, and no lock that matters. An
    interrupt is left to this process to deal with.
    """
    method = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    return ProcessPoolExecutor(workers, context, signal.signal, (signal.SIGINT, signal.SIG_IGN))


def _done(result: B) -> Future[B]:
    future: Future[B] = Future()
    future.set_result(result)
    return future
