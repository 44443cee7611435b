"""Some rows of each class set aside for a test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from widemargin.errors import InputError

Places = NDArray[np.int64]


def split(codes: NDArray[np.int32], share: float, seed: int, source: str) -> tuple[Places, Places]:
    """(train, test): rows in their order, of each class the share of it, rounded, for the test.

    Which ones is drawn from the seed alone, class by class.
    """
    rng = np.random.default_rng(seed)
    test = np.zeros(len(codes), np.bool_)
    for code in range(int(codes.max(initial=-1)) + 1):
        members = np.flatnonzero(codes == code)
        test[rng.permutation(members)[: round(share * len(members))]] = True
    if not test.any() or test.all():
        raise InputError(
            f"{source}: found {len(codes)} rows, of which --test-share {share:g} takes "
            f"{int(test.sum())}; accepted: rows on both sides; choose another share."
        )
    return np.flatnonzero(~test), np.flatnonzero(test)
