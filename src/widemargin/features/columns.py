"""Columns of records gathered batch by batch: numbers as float64, categories as codes.

A column's kind is settled by the first batch that has a value in it: numbers if all are, else
categories. Missing is: nothing, NA, N/A, NaN, null, none, ? in any case, and JSON's null.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from widemargin.data.records import Batch, place
from widemargin.errors import InputError

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
REMEDY = "name the numeric columns with --numeric (all others are categories) or leave it out with"


class NumberColumn:
    """Numbers, NaN where one is missing."""

    def __init__(self, name: str) -> None:
        self.name, self.parts = name, list[NDArray[np.float64]]()

    def add(self, batch: Batch) -> None:
        values = batch.columns.get(self.name)
        if values is None:
            self.parts.append(np.full(len(batch.lines), np.nan))
            return
        found = as_floats(values)
        if found is None:
            at = next(i for i, value in enumerate(values) if as_float(value) is None)
            raise InputError(
                f"{place(batch, at)}: found {values[at]!r} in column {self.name!r}, whose values "
                "are numbers; accepted: finite numbers, or nothing where one is missing; correct "
                f"it, {REMEDY} --drop {self.name}."
            )
        self.parts.append(found)

    @property
    def values(self) -> NDArray[np.float64]:
        return np.concatenate(self.parts)


class CategoryColumn:
    """Categories by code, in the order in which they are met; −1 where one is missing."""

    def __init__(self, name: str) -> None:
        self.name, self.parts = name, list[NDArray[np.int32]]()
        self.place: dict[Any, int] = {}

    def add(self, batch: Batch) -> None:
        values = batch.columns.get(self.name)
        if values is None:
            self.parts.append(np.full(len(batch.lines), -1, np.int32))
            return
        try:
            fresh = dict.fromkeys(values)
        except TypeError:
            raise _nested(batch, self.name, values) from None
        code = {value: self._code(spelt(value)) for value in fresh}
        self.parts.append(np.array([code[value] for value in values], np.int32))

    def _code(self, name: str | None) -> int:
        return -1 if name is None else self.place.setdefault(name, len(self.place))

    @property
    def names(self) -> list[str]:
        return list(self.place)

    @property
    def codes(self) -> NDArray[np.int32]:
        return np.concatenate(self.parts)


Column = NumberColumn | CategoryColumn


def kind_of(batch: Batch, name: str) -> type[Column] | None:
    """The kind of a column by its values in a batch; None where all are missing."""
    values = batch.columns.get(name, ())
    found = as_floats(values)
    if found is not None:
        return None if np.isnan(found).all() else NumberColumn
    if any(isinstance(value, list | dict) for value in values):
        raise _nested(batch, name, values)
    return CategoryColumn


def is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in MISSING
    return value is None or (isinstance(value, float) and math.isnan(value))


def as_floats(values: Sequence[Any]) -> NDArray[np.float64] | None:
    """The values as numbers, NaN where one is missing; None if one is neither."""
    try:
        found = np.fromiter(map(float, values), np.float64, len(values))
        if np.isfinite(found).all() and not _grouped(values):
            return found
    except (ValueError, TypeError, OverflowError):
        pass
    numbers = list[float]()
    for value in values:
        number = as_float(value)
        if number is None:
            return None
        numbers.append(number)
    return np.array(numbers)


def _grouped(values: Sequence[Any]) -> bool:
    """Whether a value is a number to Python alone: 1_000."""
    try:
        return "_" in "".join(values)
    except TypeError:  # not all are texts
        return any(isinstance(value, str) and "_" in value for value in values)


def as_float(value: Any) -> float | None:
    """A finite number, NaN where it is missing, None where it is anything else."""
    if is_missing(value):
        return math.nan
    if isinstance(value, str) and "_" in value:
        return None
    try:
        number = float(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def spelt(value: Any) -> str | None:
    """A category as it is spelt, without blanks around; None where it is missing.

    Half a pair of surrogates, which JSON can spell and UTF-8 cannot, becomes "?".
    """
    if is_missing(value):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip().encode("utf-8", "replace").decode()


def _nested(batch: Batch, name: str, values: Sequence[Any]) -> InputError:
    at = next(i for i, value in enumerate(values) if isinstance(value, list | dict))
    kind = "an array" if isinstance(values[at], list) else "an object"
    return InputError(
        f"{place(batch, at)}: found {kind} in column {name!r}; accepted: a number, a text, true, "
        f"false or null; flatten it, or leave it out with --drop {name}."
    )
