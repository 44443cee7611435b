"""The options of `train` without typer, which with what it imports costs 0.15 s.

Only what is plainly right is understood; anything else, down to an option written with `=`, is
left to typer, which explains it. A test holds the two to the same reading.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


VALUES: dict[str, tuple[str, Callable[[str], Any]]] = {  # option → its name, how it is read
    "-m": ("model", Path),
    "--model": ("model", Path),
    "--test": ("test", str),
    "--report": ("report", Path),
    "--loss": ("loss", str),
    "--C": ("C", float),
    "--alpha": ("alpha", float),
    "--solver": ("solver", str),
    "--epochs": ("epochs", _positive),
    "--tol": ("tol", float),
    "--batch-size": ("batch_size", _positive),
    "--n-jobs": ("n_jobs", _positive),
    "--scheme": ("scheme", str),
    "--class-weight": ("class_weight", str),
    "--multi-class": ("multi_class", str),
    "--n-features": ("n_features", _positive),
    "--max-memory": ("max_memory", str),
}
FLAGS: dict[str, tuple[str, bool]] = {
    "--json": ("json", True),
    "--proba": ("proba", True),
    "--zero-based": ("zero_based", True),
    "--one-based": ("zero_based", False),
    "--intercept": ("intercept", True),
    "--no-intercept": ("intercept", False),
}


def read_train(arguments: Sequence[str]) -> dict[str, Any] | None:
    """What the arguments of `train` say, by name; None where typer should look at them."""
    said: dict[str, Any] = {}
    value: Any
    rest = iter(arguments)
    for word in rest:
        if word in FLAGS:
            name, value = FLAGS[word]
        elif word in VALUES:
            name, kind = VALUES[word]
            try:
                value = kind(next(rest))
            except (StopIteration, ValueError):
                return None
        elif word.startswith("-") and word != "-":
            return None
        else:
            name, value = "data", word
        if name in said:
            return None
        said[name] = value
    return said if {"data", "model"} <= said.keys() else None
