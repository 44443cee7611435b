"""Labels: any string, kept as first spelt; equal numbers are one class.

"+1", "1" and "1.0" are one class if every label of the data is a number. The classes are
sorted, as numbers or as strings, so that a code orders as its label does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
WHOLE = 2**63  # beyond it a whole number is kept as a float


class Classes(NamedTuple):
    """The classes of spellings met one after the other."""

    names: tuple[str, ...]  # sorted; each as first spelt
    codes: NDArray[np.int32]  # spelling → position in names


def classes(spellings: Iterable[str]) -> Classes:
    """Sorted classes of distinct spellings, in the order in which they were met."""
    spelt = list(spellings)
    numbers = as_numbers(spelt)
    keys: list[Any] = spelt if numbers is None else list(numbers)
    first: dict[Any, int] = {}
    for i, key in enumerate(keys):
        first.setdefault(key, i)
    ranked = sorted(first)
    rank = {key: code for code, key in enumerate(ranked)}
    codes = np.array([rank[key] for key in keys], dtype=np.int32)
    return Classes(tuple(spelt[first[key]] for key in ranked), codes)


def as_numbers(names: Iterable[str]) -> list[float] | None:
    """The labels as numbers, or None where one is not a finite number."""
    values = []
    for name in names:
        if not NUMBER.fullmatch(name):
            return None
        value: float = exact(name)
        if value in (float("inf"), float("-inf")):
            return None
        values.append(value)
    return values


def exact(name: str) -> float:
    """An int where the spelling is one, so that long whole numbers stay distinct."""
    digits = name.lstrip("+-")
    return int(name) if digits.isdecimal() and len(digits) < 19 else float(name)


def label_values(names: Iterable[str]) -> NDArray[Any]:
    """What the labels are to the user: int64 if all are whole, else float64, else str."""
    names = list(names)
    numbers = as_numbers(names)
    if numbers is None or not names:
        return np.array(names, dtype=np.str_)
    if all(value == int(value) and abs(value) < WHOLE for value in numbers):
        return np.array([int(value) for value in numbers], dtype=np.int64)
    return np.array(numbers, dtype=np.float64)
