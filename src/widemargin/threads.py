"""Work on ranges of rows by threads; what comes out does not depend on how many there are."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")
Array: TypeAlias = "NDArray[Any]"
PARTS = 16  # ranges that rows are cut into, whatever the number of threads
FEWEST = 4096  # rows below which a range is not worth a task


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_of(n_jobs: int | None) -> int:
    """Threads that n_jobs stands for: None is 1, −1 all cores, −2 all but one, and so on."""
    if n_jobs == 0:
        raise ValueError("n_jobs=0 has no meaning. Give a number of threads, or -1 for all cores.")
    if n_jobs is None:
        return 1
    return int(n_jobs) if n_jobs > 0 else max(1, cores() + 1 + int(n_jobs))


def ranges(n: int, parts: int = PARTS) -> list[tuple[int, int]]:
    """At most `parts` consecutive ranges (start, stop) that cover 0 … n − 1."""
    parts = max(1, min(parts, n // FEWEST))
    edges = [n * k // parts for k in range(parts + 1)]
    return list(zip(edges[:-1], edges[1:], strict=True))


class Crew(NamedTuple):
    """This thread and so many others, kept for one fit: waking a thread is cheaper than a start."""

    threads: int = 1
    pool: ThreadPoolExecutor | None = None

    def parts(self, n: int) -> list[tuple[int, int]]:
        """Ranges of rows, the same for any number of threads but one, which takes all at once."""
        return [(0, n)] if self.pool is None else ranges(n)

    def over(self, n: int, part: Callable[[int, int], T]) -> list[T]:
        """part(start, stop) of the ranges of n rows."""
        return self.each(part, self.parts(n))

    def added(self, n: int, part: Callable[[int, int], Array]) -> Array:
        """The sum of part(start, stop) over the ranges of n rows, in their order, in place of
        the first."""
        first, *others = self.over(n, part)
        for other in others:
            first += other
        return first

    def each(
        self,
        function: Callable[..., T],
        parts: Sequence[tuple[Any, ...]],
        stop: Array | None = None,
    ) -> list[T]:
        """function(*part) of every part, in order; each thread takes the next one that is left.

        A failure or an interrupt ends the work: no further part is begun, and stop[0] ← 1 tells
        parts that wait for one another, as many as there are threads, to wait no longer.
        """
        if self.pool is None or len(parts) == 1:
            return [function(*part) for part in parts]
        results: list[Any] = [None] * len(parts)
        left = deque(enumerate(parts))

        def work() -> None:
            try:
                for k, part in _taken(left):
                    results[k] = function(*part)
            except BaseException:
                _halt(left, stop)
                raise

        helpers: list[Future[None]] = []
        try:
            for _ in range(min(self.threads, len(parts)) - 1):
                helpers.append(self.pool.submit(work))
            work()
        except BaseException:
            _halt(left, stop)
            raise
        finally:
            wait(helpers)
        for helper in helpers:
            helper.result()
        return results


def _taken(left: deque[T]) -> Iterator[T]:
    """What is left, one after the other, for several threads at once."""
    while True:
        try:
            first = left.popleft()
        except IndexError:
            return
        yield first


def _halt(left: deque[Any], stop: Array | None) -> None:
    left.clear()
    if stop is not None:
        stop[0] = 1


ALONE = Crew()


@contextmanager
def crew_of(threads: int) -> Iterator[Crew]:
    """So many threads, this one included, until the block ends."""
    if threads <= 1:
        yield ALONE
        return
    with ThreadPoolExecutor(threads - 1) as pool:
        yield Crew(threads, pool)


def each(function: Callable[[int, int], T], parts: list[tuple[int, int]], threads: int) -> list[T]:
    """function(start, stop) of every range, in order, on so many threads."""
    with crew_of(min(threads, len(parts))) as crew:
        return crew.each(function, parts)
