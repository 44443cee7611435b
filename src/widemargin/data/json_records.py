"""JSON: one object a line (jsonl), or one array of objects (json)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from widemargin.data.records import BATCH, Batch, Reading, by_column
from widemargin.data.utf8 import blocks
from widemargin.errors import InputError

RECORDS = 4096  # of an array in a batch


def read(path: str, reading: Reading, wanted: frozenset[str] | None) -> Iterator[Batch]:
    """Batches of the objects of a file."""
    if reading.format == "json":
        yield from _array(path, reading, wanted)
        return
    for text, before in blocks(path, reading.encoding):
        records, lines = [], []
        for line, piece in enumerate(text.split("\n"), before + 1):
            if piece and not piece.isspace():
                records.append(_object(_parsed(piece, path, line), f"{path}:{line}"))
                lines.append(line)
        if records:
            yield by_column(records, wanted, lines, path)


def _array(path: str, reading: Reading, wanted: frozenset[str] | None) -> Iterator[Batch]:
    whole = _parsed("".join(text for text, _ in blocks(path, reading.encoding)) or "[]", path, 1)
    if not isinstance(whole, list):
        raise InputError(
            f"{path}: found {_kind(whole)} as the whole of a json file; accepted: an array of "
            "objects; make it one, or write one object a line (jsonl)."
        )
    for start in range(0, len(whole), RECORDS):
        numbers = range(start + 1, min(start + RECORDS, len(whole)) + 1)
        records = [_object(whole[i - 1], f"{path}: record {i}") for i in numbers]
        yield by_column(records, wanted, numbers, path, ": record ")


def _parsed(text: str, path: str, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{path}:{line + error.lineno - 1}:{error.colno}"
        found = error.msg[:1].lower() + error.msg[1:]
    except (RecursionError, ValueError) as error:  # too deep, or a number with too many digits
        where, found = f"{path}:{line}:1", str(error)
    raise InputError(
        f"{where}: found broken JSON ({found}); accepted: one object a line (jsonl), or an array "
        "of objects (json); correct it there."
    )


def _object(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise InputError(
        f"{where}: found {_kind(value)} where a record belongs; accepted: objects such as "
        '{"text": "...", "label": "..."}; name the values.'
    )


def _kind(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= BATCH >> 16 else shown[: BATCH >> 16] + "…"
