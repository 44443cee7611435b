"""What went wrong, with its name and value, what is accepted, and what to do.

WidemarginError
├── InputError        bad data: file, line, column, found, remedy (also a ValueError)
├── ModelFileError    a model file that is damaged, foreign or too new (also a ValueError)
├── SnapshotError     a snapshot of a run that is damaged, foreign or too new (also a ValueError)
├── ClusterError      a run on a cluster that cannot begin or cannot go on: party, step, deadline
├── Diverged          the weights left the finite numbers (also an ArithmeticError, and a
│                     ValueError, which is what scikit-learn raises then)
├── PartitionLost     a process of a partitioned net is gone or hangs (also a RuntimeError)
└── TrainingError     a training run that ended without a model (also a RuntimeError)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any, TypeVar

T = TypeVar("T")


class WidemarginError(Exception):
    """Anything widemargin raises on purpose that is not a plain ValueError or TypeError."""


class InputError(WidemarginError, ValueError):
    """Data that cannot be read: one line that names file, line, column, what was found, remedy."""


class ModelFileError(WidemarginError, ValueError):
    """A model file that is damaged, written by another program, or by a newer version."""


class SnapshotError(WidemarginError, ValueError):
    """A snapshot that is damaged, incomplete, of another program, or of a newer version."""


class ClusterError(WidemarginError, RuntimeError):
    """A run on a cluster that cannot begin or go on: who, at which step, after which deadline."""


class Diverged(WidemarginError, ArithmeticError, ValueError):
    """The weights left the finite numbers; the message names epoch and last finite value."""


class PartitionLost(WidemarginError, RuntimeError):
    """A process of a partitioned net is gone or hangs: which one noticed, what it waited for."""


class TrainingError(WidemarginError, RuntimeError):
    """A training run that ended without a model; the message names the block and the reason."""


def choose(name: str, value: str, table: Mapping[str, T]) -> T:
    """The entry of `table` under `value`, or a ValueError that lists what there is."""
    if isinstance(value, str) and value in table:
        return table[value]
    raise ValueError(f"{name}={value!r} is unknown. Choose from: {listing(table)}.")


def whole_number(name: str, value: Any, least: int) -> int:
    """The value as an int, or a ValueError where it is none, or below `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")
    return int(value)


def seconds(name: str, value: Any, least: float = 0.0, why: str = "") -> float:
    """The value as a float; ValueError where it is not finite, above 0 and at least `least`."""
    found = float_of(value)
    if not 0.0 < found < math.inf or found < least:
        told = f"at least {least}" if least else "above 0"
        raise ValueError(
            f"{name} must be finite and {told}, got {value!r}{why and ': ' + why}. Give seconds."
        )
    return found


def float_of(value: Any) -> float:
    """The number as a float, NaN for what is none."""
    held = isinstance(value, Real) and not isinstance(value, bool)
    return float(value) if held else math.nan


def listing(names: Iterable[object]) -> str:
    """The names, quoted, sorted, separated by commas."""
    return ", ".join(repr(name) for name in sorted(names, key=str))
