"""What a worker reads of its data, ahead in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
KEPT = 3  # that a worker holds: the one at hand, the next, and one that was taken away


class Ahead(Generic[K, T]):
    """`get(key)` gives read(key), by now or now; `want(key)` has it read meanwhile."""

    def __init__(self, read: Callable[[K], T]) -> None:
        self.read = read
        self.reader = ThreadPoolExecutor(1, thread_name_prefix="widemargin-ahead")
        self.held: dict[K, Future[T]] = {}

    def get(self, key: K) -> T:
        future = self.held.get(key)
        if future is not None:
            try:
                return future.result()
            except Exception:  # it is read again: the error may have passed, or is raised below
                self.held.pop(key, None)
        future = Future()
        future.set_result(self.read(key))
        self.keep(key, future)
        return future.result()

    def want(self, key: K) -> None:
        if key not in self.held:
            self.keep(key, self.reader.submit(self.read, key))

    def keep(self, key: K, future: Future[T]) -> None:
        self.held[key] = future
        for old in list(self.held)[:-KEPT]:
            del self.held[old]

    def close(self) -> None:
        self.reader.shutdown(wait=False, cancel_futures=True)
