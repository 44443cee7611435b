"""How a bound on memory is shared out: what is there already, weights, dual variables, windows."""

from __future__ import annotations

from typing import NamedTuple

from widemargin.data.blocks import entry_bytes, row_bytes
from widemargin.data.dataset import Dataset
from widemargin.memory import in_words, resident

NUMBER = 8  # bytes of a float64
PER_ROW = 2 * NUMBER  # held for every row and column: α and a score
COPIES = 12  # of all weights at once: a state, the one before, what certificates add up
SMALL_THINGS = 32 << 20  # large pages that windows share at their ends, and what is not counted
LEAST_WINDOW = 1 << 20
SMALL_WINDOW, LARGE_WINDOW = 1 << 25, 1 << 28  # below, the turns cost; above, little is gained
FEWEST_BLOCKS = 32  # so that their order is a shuffle, as far as small windows allow
WINDOWS = 2  # the block at hand and the one that is being read


class Room(NamedTuple):
    """What a fit may use."""

    window: int  # bytes of a block
    mapped: bool  # whether what is held for every row lies in a file instead of memory


def plan_memory(data: Dataset, columns: int, limit: int | None) -> Room:
    """The room that `limit` bytes leave, of which the process holds some already.

    Two numbers are held for every row and column: α and a score. They stay in memory if full
    windows fit beside them. Raises ValueError where not even the smallest windows fit.
    """
    n, d = data.n_samples, data.n_features
    size = data.n_nonzeros * entry_bytes(data.rows) + n * row_bytes(data.rows)
    window = min(max(size // FEWEST_BLOCKS, SMALL_WINDOW), LARGE_WINDOW)
    if limit is None:
        return Room(window, False)
    held = PER_ROW * columns * n
    fixed = resident() + SMALL_THINGS + COPIES * NUMBER * columns * d + n
    mapped = limit - fixed < held + WINDOWS * window
    window = min(window, (limit - fixed - (0 if mapped else held)) // WINDOWS)
    if window < LEAST_WINDOW:
        least = fixed + WINDOWS * LEAST_WINDOW
        raise ValueError(
            f"max_memory={in_words(limit)} is too small: {data.source} needs {in_words(least)} at "
            f"least, for the {in_words(resident())} that the process holds, the weights of {d} "
            f"features in {columns} columns, and blocks of its {n} rows. Give {in_words(least)} "
            "or more."
        )
    return Room(window, mapped)
