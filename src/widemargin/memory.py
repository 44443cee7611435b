"""Sizes of memory: as users write them, and what this process holds."""

from __future__ import annotations

import os
import re
import resource
import sys

UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([KMGT]?)(?:I?B)?", re.ASCII)


def size_of(size: str | int, name: str = "max_memory") -> int:
    """Bytes of a size such as 1073741824, "512M" or "1.5G"; K, M, G and T count in 1024s.

    >>> size_of("1.5G")
    1610612736
    """
    found = SIZE.fullmatch(str(size).strip().upper())
    count = int(float(found[1]) * 2 ** UNITS[found[2]]) if found else 0
    if count < 1:
        raise ValueError(
            f"{name}={size!r} is no size. Accepted: a positive number of bytes, or with a unit, "
            "as in 512M, 1.5G or 2G."
        )
    return count


def in_words(size: int) -> str:
    """A size as `size_of` reads it, rounded up to whole mebibytes."""
    return f"{-(-size // 2**20)}M"


def resident() -> int:
    """Bytes of memory that the process holds now, pages of mapped files included."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return peak()


def peak() -> int:
    """The most bytes that the process has held so far.

    Linux tells it of the program itself; what getrusage tells of a program that another has
    started begins with what that one held.
    """
    try:
        with open("/proc/self/status", "rb") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(b"VmHWM"))
    except (OSError, ValueError, StopIteration):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
