"""What makes a command start soon: its imports take longer than many a fit."""

from __future__ import annotations

import gc
from importlib import import_module
from typing import Any


def imports_begin() -> None:
    """The collector rests: imports make many objects and next to no garbage."""
    gc.disable()


def work_of(command: str) -> Any:
    """The module of a command, imported; the collector leaves alone what has come so far."""
    module = import_module(f"widemargin.cli.{command}")
    gc.freeze()
    gc.enable()
    return module
