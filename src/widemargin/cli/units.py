"""Amounts on a command line: 400M, 10G, 6h, 8:1024."""

from __future__ import annotations

import math
import re

NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
THOUSANDS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
SPANS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
MANY = 1 << 20  # of a range
MOST = 1e18  # before the unit


def amount(name: str, text: str) -> float:
    """Bytes: 400M is 400 million.

    >>> amount("--model-bytes", "1.5G")
    1500000000.0
    """
    found = re.fullmatch(rf"{NUMBER}([kMGT]?)B?", text.strip())
    if found is None or not positive(found[1]):
        raise ValueError(
            f"{name} must be bytes above 0, as in 400M or 1.5G (k, M, G, T: thousands), got "
            f"{text!r}."
        )
    return float(found[1]) * THOUSANDS[found[2]]


def bandwidth(name: str, text: str) -> float:
    """Bytes a second. Networks are sold in bits a second: 10G is 10 Gbit/s; B says bytes.

    >>> bandwidth("--bandwidth", "10G"), bandwidth("--bandwidth", "10GB")
    (1250000000.0, 10000000000.0)
    """
    if text == "inf":
        return math.inf
    found = re.fullmatch(rf"{NUMBER}([kMGT]?)(B|b|bit)?(/s)?", text.strip())
    if found is None or not positive(found[1]):
        raise ValueError(
            f"{name} must be above 0, in bits a second as in 10G or 400M, in bytes as in 1.2GB, or "
            f"inf, got {text!r}."
        )
    return float(found[1]) * THOUSANDS[found[2]] / (1.0 if found[3] == "B" else 8.0)


def span(name: str, text: str) -> float:
    """Seconds.

    >>> span("--mtbf", "6h"), span("--recovery", "2.5")
    (21600.0, 2.5)
    """
    found = re.fullmatch(rf"{NUMBER}\s*({'|'.join(SPANS)})?", text.strip())
    if found is None or not positive(found[1]):
        raise ValueError(
            f"{name} must be a time above 0, as in 0.3, 90s, 15m, 6h or 2d, got {text!r}."
        )
    return float(found[1]) * SPANS[found[2] or "s"]


def positive(digits: str) -> bool:
    """Above 0, and far from overflow."""
    return 0.0 < float(digits) < MOST


def counts(name: str, text: str, least: int = 1) -> tuple[int, ...]:
    """Numbers: 8, or 8,16,24, or 8:1024, which doubles from 8 and ends at 1024.

    >>> counts("--workers", "8:100")
    (8, 16, 32, 64, 100)
    """
    if re.fullmatch(r"\d+(,\d+)*", text):
        numbers = tuple(int(part) for part in text.split(","))
    elif (found := re.fullmatch(r"(\d+):(\d+)", text)) and 0 < int(found[1]) <= int(found[2]):
        first, last = int(found[1]), int(found[2])
        doubled = [first << i for i in range(MANY.bit_length()) if first << i < last]
        numbers = (*doubled, last)
    else:
        numbers = ()
    if not numbers or min(numbers) < least or max(numbers) > MANY:
        raise ValueError(
            f"{name} must be numbers from {least} to {MANY:,}, as in 8, or 8,16,24, or 8:1024, "
            f"which doubles, got {text!r}."
        )
    return numbers
