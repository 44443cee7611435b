"""Seconds since this process was started, interpreter and imports included."""

from __future__ import annotations

import os
import time

_IMPORTED = time.perf_counter()


def since_start() -> float:
    """From the kernel's own record where there is one (steps of 10 ms), else since import."""
    try:
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return time.perf_counter() - _IMPORTED
