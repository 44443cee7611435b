"""What kind of input a path names, told by its suffix; by its first line only where asked to."""

from __future__ import annotations

import os

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
HEAD = 1 << 16  # bytes that are looked at


def by_name(path: str) -> str:
    """ "jsonl", "json", "csv", "tsv", "parquet", "folder", or "" where the name tells nothing."""
    name = path.rstrip("/").lower()
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    found = SUFFIXES.get(os.path.splitext(name)[1], "")
    if os.path.isdir(path):
        from widemargin.data.documents import is_folder

        meta = os.path.join(path, "meta.json")
        return "folder" if not os.path.exists(meta) and is_folder(path) else ""
    return found


def by_look(path: str) -> str:
    """ "jsonl", "json", "tsv", "csv" or "" by the first line of a file, which stays unread."""
    from widemargin.data.streams import STDIN, decompressed, opened

    with opened(path) as (stream, kind):
        if path == STDIN:
            head = b"" if kind != "plain" else stream.peek(HEAD)[:HEAD]
        else:
            head = stream.read(HEAD) if kind == "plain" else next(decompressed(stream, kind), b"")
    line = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0]
    if line[:1] in (b"{", b"["):
        return "jsonl" if line[:1] == b"{" else "json"
    return "tsv" if b"\t" in line else "csv" if b"," in line else ""
