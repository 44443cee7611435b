"""Seconds and memory of one call."""

from __future__ import annotations

import gc
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

STATUS = Path("/proc/self/status")


class Cost(NamedTuple):
    seconds: float  # on the wall
    cpu_seconds: float  # of all threads of the process
    extra_bytes: int  # peak of resident memory during the call above the level before it


def cost(call: Callable[[], Any]) -> tuple[Cost, Any]:
    """(what the call cost, what it gave)."""
    gc.collect()
    _forget_peak()
    before, wall, cpu = _resident("VmRSS"), time.perf_counter(), time.process_time()
    result = call()
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    return Cost(seconds, cpu_seconds, max(0, _resident("VmHWM") - before)), result


def seconds(call: Callable[[], Any]) -> float:
    return cost(call)[0].seconds


def _forget_peak() -> None:
    """Let VmHWM start again from the present level, where the kernel allows it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # the peak is then that of the process so far: an upper bound


def _resident(field: str) -> int:
    """VmRSS or VmHWM in bytes; the peak of the process where there is no /proc."""
    try:
        for line in STATUS.read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    scale = 1 if os.uname().sysname == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
