"""Labels of one data set told by the labels of another: "+1", "1" and "1.0" are one class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from widemargin.data.labels import as_numbers


def codes_among(known: Sequence[str], names: Sequence[str]) -> NDArray[np.int32]:
    """For each name its position among the known labels, −1 where it is none of them.

    One more −1 at the end stands for rows without a label, whose code is −1.
    """
    numbers = as_numbers(known)
    keys: Sequence[Any] = known if numbers is None else numbers
    place = {key: code for code, key in enumerate(keys)}

    def of(name: str) -> int:
        if numbers is None:
            return place.get(name, -1)
        number = as_numbers([name])
        return -1 if number is None else place.get(number[0], -1)

    return np.array([*(of(name) for name in names), -1], np.int32)
