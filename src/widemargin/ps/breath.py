"""Long work in pieces, between which a role may say that it lives.

A server that copies or steps a range of hundreds of MB hears nothing meanwhile. It is not dead: its
own thread, which does the work, calls `breathe` between two pieces, and whoever carries the role
says so then. A role that hangs does not come to the next piece, and says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from widemargin.data.rows import Array

Breathe = Callable[[], Any]
PIECE = 1 << 16  # entries that are stepped at once: what is read of them several times stays near


def rest() -> None:
    """For those of whom nobody awaits a word."""


def copied(array: Any, breathe: Breathe = rest, into: Array | None = None) -> Array:
    """A copy in C order, of its own or in `into`, made in pieces of rows."""
    if np.ndim(array) == 0:
        return np.array(array)
    into = np.empty(array.shape, array.dtype) if into is None else into
    rows = max(PIECE // max(int(np.prod(array.shape[1:])), 1), 1)
    for a in range(0, len(array), rows):
        np.copyto(into[a : a + rows], array[a : a + rows])
        breathe()
    return into
