"""Parquet tables, read in batches by pyarrow, which only this file imports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from widemargin.data.records import Batch, Reading, parted
from widemargin.errors import InputError

ROWS = 1 << 14  # of a batch


def read(path: str, reading: Reading, wanted: frozenset[str] | None) -> Iterator[Batch]:
    """Batches of the rows of a parquet file, only the columns that are wanted."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError(
            f"{path}: reading parquet needs pyarrow, which is not installed; accepted without it: "
            "csv, tsv, jsonl; install it with: pip install 'widemargin[arrow]'"
        ) from None
    if path == "-":
        raise InputError("-: parquet cannot be read from stdin; name a file, or send csv or jsonl.")
    try:
        with parquet.ParquetFile(path) as file:
            names, others = parted(file.schema_arrow.names, wanted)
            start = 1
            for part in file.iter_batches(ROWS, columns=names or file.schema_arrow.names[:1]):
                columns = {name: _values(part.column(name)) for name in names}
                lines = range(start, start + part.num_rows)
                yield Batch(columns, lines, path, ": record ", others)
                start += part.num_rows
    except FileNotFoundError:
        raise InputError(f"{path}: found no such file; accepted: a file; check the path.") from None
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(
            f"{path}: found no whole parquet file ({error}); accepted: parquet; name another "
            "format with --format, or make the file again."
        ) from None


def _values(column: Any) -> Sequence[Any]:
    """Python's own values: str, number, bool or None."""
    values: list[Any] = column.to_pylist()
    return values
