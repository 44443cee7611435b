"""Gradients as workers push them: what is accepted, and several of them made into one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from widemargin.data.rows import Array
from widemargin.ps.gradient_kernels import (
    all_finite,
    merged,
    weighted_more,
    weighted_more_at,
    weighted_pair,
)

KEYS = (np.dtype(np.int64), np.dtype(np.uint32))


class Update(NamedTuple):
    """The gradient of the mean loss over n samples, as a worker pushes it to one shard."""

    keys: Array | None  # sorted, unique, int64 or uint32, counted over all shards; None: all keys
    values: Array  # (len(keys), width), or (n, width) for all keys
    n: float  # the samples, or their weight
    loss: float | None = None  # their mean loss, where the task tells it; servers need none


class Gradient(NamedTuple):
    """The mean or the sum of updates, in the positions of one shard."""

    at: Any  # (m,) positions, sorted, each once; None: all of them
    values: Array  # (m, width) or (n, width), read-only


class Part(NamedTuple):
    """One update on its way into the sum."""

    at: Any
    values: Array
    share: Any  # c, of the type of the values


class Scratch:
    """Room of the size of a shard, taken when first needed and kept; holds nothing between uses."""

    def __init__(self, like: Array) -> None:
        self._like = like
        self._total: Array | None = None

    def total(self) -> Array:
        """An array of the shape and type of θ, of any content."""
        if self._total is None:
            self._total = np.empty_like(self._like)
        return self._total


def positions(keys: Array | None, start: int, n: int) -> Array | None:
    """The keys as positions in the shard of the keys start … start + n − 1, or a ValueError."""
    if keys is None:
        return None
    if not isinstance(keys, np.ndarray) or keys.ndim != 1 or keys.dtype not in KEYS:
        raise ValueError(
            f"keys must be None or an array of one axis, int64 or uint32, got {told(keys)}. "
            "Convert them."
        )
    at: Array = np.subtract(keys, start, dtype=np.int64)
    if at.size and (at[1:] <= at[:-1]).any():
        i = int(np.argmax(at[1:] <= at[:-1]))
        raise ValueError(
            f"keys must be sorted and unique, got {keys[i]} before {keys[i + 1]} at position {i}. "
            "Sort them and add up what repeats."
        )
    if at.size and (at[0] < 0 or at[-1] >= n):
        wrong = keys[0] if at[0] < 0 else keys[-1]
        raise ValueError(
            f"keys must be of this shard, {start} to {start + n - 1}, got {wrong}. "
            "Send each key to the shard that holds it."
        )
    return at


def refuse_update(update: Update, start: int, like: Array) -> Array | None:
    """The positions of an update of the right form for θ like this; else a ValueError."""
    at = positions(update.keys, start, len(like))
    values = update.values
    shape = (len(like) if at is None else len(at), like.shape[1])
    right = isinstance(values, np.ndarray) and (values.shape, values.dtype) == (shape, like.dtype)
    if not right:
        raise ValueError(
            f"values must be {like.dtype} of shape {shape}, got {told(values)}. "
            "Give one row for every key, in the type of the parameters."
        )
    if not (0.0 <= update.n < math.inf):
        raise ValueError(
            f"n must be finite and at least 0, got {update.n!r}. Give the number of samples."
        )
    return at


def refuse_unruly(update: Update) -> None:
    """ValueError for NaN or infinity in an update whose form is right."""
    values = fixed(update.values)
    if all_finite(values.reshape(-1)):
        return
    i, k = np.argwhere(~np.isfinite(values))[0]
    key = f"key {update.keys[i]}" if update.keys is not None else f"row {i}"
    raise ValueError(
        f"values must be finite, got {values[i, k]} at {key}. "
        "Lower the learning rate, or look for such numbers in the data."
    )


def told(value: Any) -> str:
    """What a value is, for messages."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return type(value).__name__


def fixed(values: Array) -> Array:
    """A read-only view: kernels are compiled for such alone, as messages hold them."""
    view: Array = np.require(values, requirements=["C", "A"]).view()
    view.flags.writeable = False
    return view


def shares(updates: Sequence[Update], adding: float | None) -> list[float]:
    """cᵢ = nᵢ / Σ nᵢ; with `adding` = σ the same for all N updates, min(1, σ / N)."""
    if adding is not None:
        return [min(1.0, adding / len(updates))] * len(updates)
    weight = float(sum(update.n for update in updates)) or 1.0
    return [update.n / weight for update in updates]


def combined(
    updates: Sequence[Update],
    at: list[Array | None],
    sparse: bool,
    room: Scratch,
    adding: float | None = None,
) -> Gradient:
    """g = Σ cᵢ gᵢ with the cᵢ of `shares`, added up in the order given.

    A single update is taken as it is: its c is 1. If Σ nᵢ = 0, so is a mean. What no update names
    has the gradient 0. With `sparse`, updates that all name their keys cost O(nonzeros) and give
    what they name alone; else, and where one names none, the gradient is of all keys.
    """
    if len(updates) == 1 and updates[0].n > 0.0 and (at[0] is None or sparse):
        return Gradient(at[0], fixed(updates[0].values))
    number = updates[0].values.dtype.type
    parts = [
        Part(a, fixed(update.values), number(c))
        for a, update, c in zip(at, updates, shares(updates, adding), strict=True)
    ]
    if sparse and all(part.at is not None for part in parts):
        return _named(parts)
    return Gradient(None, fixed(_all(parts, room.total())))


def _named(parts: list[Part]) -> Gradient:
    """The sum over the keys that any part names."""
    at = np.concatenate([part.at for part in parts])
    g = np.concatenate([part.values for part in parts])
    ends = np.cumsum([len(part.at) for part in parts])
    heads = np.concatenate([[0], ends[:-1]])
    shares = np.array([part.share for part in parts])
    seen, total = np.empty_like(at), np.empty_like(g)
    count = merged(at, g, shares, heads, ends, seen, total)
    return Gradient(seen[:count], fixed(total[:count]))


def _all(parts: list[Part], total: Array) -> Array:
    """The sum over all keys, in `total`."""
    total = total[: len(parts[0].values)] if parts[0].at is None else total
    flat, rest = total.reshape(-1), parts
    if len(parts) > 1 and parts[0].at is None and parts[1].at is None:
        (_, g, c), (_, h, d), *rest = parts
        weighted_pair(flat, g.reshape(-1), c, h.reshape(-1), d)
    else:
        total.fill(0)
    for at, g, c in rest:
        if at is None:
            weighted_more(flat, g.reshape(-1), c)
        else:
            weighted_more_at(total, at, g, c)
    return total
