"""What is worth starting before the imports, which take longer than many a fit."""

from __future__ import annotations

import gc
from collections.abc import Sequence


def head_start(arguments: Sequence[str]) -> None:
    """Leave the collector off: the imports make many objects and next to no garbage."""
    gc.disable()
