"""Interrupts that arrive: Python drops what is raised while it runs a callback of its own.

An import ends with such a callback, and a command starts with hundreds of imports. Where a
KeyboardInterrupt falls into one, the command would go on to wait for its input, so an interrupt
comes again every second until it is heard.
"""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any, NamedTuple

AGAIN = 1.0  # seconds


class Before(NamedTuple):
    """What was there before."""

    handlers: dict[int, Any]
    hook: Any


def hear_interrupts() -> Before:
    """Repeat an interrupt until it is heard, silently; what to `restore` at the end."""
    before = Before({}, sys.unraisablehook)
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        for number in (signal.SIGINT, signal.SIGALRM):
            before.handlers[number] = signal.signal(number, _interrupt)
        sys.unraisablehook = _say_others
    return before


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.setitimer(signal.ITIMER_REAL, AGAIN, AGAIN)
    raise KeyboardInterrupt


def _say_others(dropped: Any) -> None:
    if not isinstance(dropped.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(dropped)


def no_more_interrupts() -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def restore(before: Before) -> None:
    for number, handler in before.handlers.items():
        signal.signal(number, handler)
    sys.unraisablehook = before.hook
