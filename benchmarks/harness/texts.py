"""The files that the benchmarks read: svmlight text, Vowpal Wabbit's text, packed stores.

They are made once, under the user's cache, and named by what is in them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from harness import datasets
from harness.datasets import Problem, thinned
from widemargin.data.corpus_cache import corpora_folder
from widemargin.data.store import is_store, pack
from widemargin.data.svmlight_writer import write_svmlight

DIGITS = 3


def folder() -> Path:
    found = corpora_folder().parent / "benchmarks"
    found.mkdir(parents=True, exist_ok=True)
    return found


def svmlight(problem: Problem, thin: bool = False) -> Path:
    """Labels −1 and +1, values of three digits."""
    path = folder() / f"{_name(problem, thin)}.svm"
    if not path.exists():
        rows = (thinned(problem) if thin else problem).rows
        write_svmlight(path, rows, 2 * problem.codes - 1, digits=DIGITS)
    return path


def vowpal(source: Path) -> Path:
    """The same lines as Vowpal Wabbit writes them: `label | index:value …`."""
    path = source.with_suffix(".vw")
    if not path.exists():
        draft = path.with_suffix(".part")
        with source.open("rb") as lines, draft.open("wb") as out:
            out.writelines(line.replace(b" ", b" | ", 1) for line in lines)
        draft.replace(path)
    return path


def store(problem: Problem, thin: bool) -> Path:
    """The rows as `widemargin pack` leaves them, shuffled, float32."""
    path = folder() / f"{_name(problem, thin)}.store"
    if not is_store(path):
        text = svmlight(problem, thin)
        pack([text], path)
        if thin:
            text.unlink()  # half a gigabyte that nothing else reads
    return path


def _name(problem: Problem, thin: bool) -> str:
    n, nonzeros = len(problem.codes), len(problem.rows.values)
    return f"{problem.name}-{n}-{nonzeros}-{DIGITS}digits{'-thin' if thin else ''}"


def make(spec: dict[str, Any]) -> Any:
    """Action: the two text files of a data set and their sizes."""
    problem = datasets.load(spec["data"], spec.get("rows"))
    text = svmlight(problem)
    return {
        "svmlight": os.fspath(text), "svmlight_bytes": text.stat().st_size,
        "vowpal": os.fspath(vowpal(text)), "vowpal_bytes": vowpal(text).stat().st_size,
    }  # fmt: skip


def make_store(spec: dict[str, Any]) -> Any:
    """Action: a packed store, whole or thinned."""
    problem = datasets.load(spec["data"], spec.get("rows"))
    return {"store": os.fspath(store(problem, spec["thin"]))}
