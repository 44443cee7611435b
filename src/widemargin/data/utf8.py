"""Bytes to text: UTF-8 unless told otherwise; a byte that is none is named, not replaced."""

from __future__ import annotations

from collections.abc import Iterator

from widemargin.data.records import BATCH
from widemargin.data.streams import ahead, opened, texts
from widemargin.errors import InputError

MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"PAR1": "a parquet file"}


def blocks(path: str, encoding: str) -> Iterator[tuple[str, int]]:
    """Whole lines as text, and how many lines come before them; decompressed as they are read."""
    check(encoding)
    with opened(path) as (stream, kind):
        for text in ahead(texts(stream, kind, path, BATCH)):
            raw = text.bytes.tobytes()
            if text.line == 0:
                raw = _without_mark(raw, path)
            if raw:
                yield decoded(raw, encoding, path, text.line), text.line


def check(encoding: str) -> None:
    """Refuse encodings that are unknown, or whose newline is not the byte 10."""
    try:
        fits = "\n".encode(encoding) == b"\n"
    except (LookupError, UnicodeError):
        fits = False
    if not fits:
        raise ValueError(
            f"encoding={encoding!r} is none that is read here. Choose utf-8, latin-1, cp1252 or "
            "another that extends ASCII; convert the file otherwise."
        )


def _without_mark(raw: bytes, path: str) -> bytes:
    """The first block without a byte order mark of UTF-8."""
    for mark, name in MARKS.items():
        if raw.startswith(mark):
            raise InputError(
                f"{path}:1:1: found {name}; accepted: text in UTF-8; name the format with "
                "--format, or convert the file."
            )
    return raw.removeprefix(b"\xef\xbb\xbf")


def decoded(raw: bytes, encoding: str, path: str, line: int) -> str:
    """The text of bytes that come after so many lines."""
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        raise InputError(
            f"{path}:{line + before.count(10) + 1}:{column}: found the byte "
            f"0x{raw[error.start]:02x}, which is not {encoding}; accepted: text in {encoding}; "
            "convert the file, or name its encoding with --encoding, such as latin-1."
        ) from None
