"""Documents without a table around them: folders of files by class, or one document a line.

    mail/ham/1.txt  mail/ham/2.txt.gz  mail/spam/7     the folder's name is the label

Whole files often come in encodings of their own, mail above all: what is not the encoding asked
for becomes U+FFFD there, which is no part of a word.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from widemargin.data.records import BATCH, Batch, Reading
from widemargin.data.streams import opened, texts
from widemargin.data.utf8 import blocks, check
from widemargin.errors import InputError


def read(path: str, reading: Reading, wanted: frozenset[str] | None) -> Iterator[Batch]:
    """Batches of the documents of a folder, or of the lines of a file."""
    if reading.format == "folder":
        yield from _folder(path, reading)
        return
    for text, before in blocks(path, reading.encoding):
        lines = text.removesuffix("\n").split("\n")
        documents = [line.removesuffix("\r") for line in lines]
        yield Batch({reading.document: documents}, range(before + 1, before + len(lines) + 1), path)


def is_folder(path: str) -> bool:
    """Whether a path names a folder with folders in it, as documents by class lie."""
    return bool(os.path.isdir(path) and class_folders(path))


def class_folders(path: str) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(each.name for each in entries if each.is_dir() and each.name[0] != ".")


def _folder(path: str, reading: Reading) -> Iterator[Batch]:
    """The files of each class in order of their names; of one folder where there are no classes."""
    if not os.path.isdir(path):
        raise InputError(f"{path}: found no folder; accepted: one with a folder of files a class.")
    check(reading.encoding)
    names = class_folders(path)
    files = [(file, name) for name in names for file in _files(os.path.join(path, name))]
    if not names:
        files = [(file, "") for file in _files(path)]
    held: list[tuple[str, str]] = []
    start = size = 0
    for at, (file, name) in enumerate(files, 1):
        held.append((_document(file, reading.encoding), name))
        size += len(held[-1][0])
        if size >= BATCH or at == len(files):
            columns = {reading.document: [text for text, _ in held]}
            if names:
                columns[reading.label] = [label for _, label in held]
            yield Batch(dict(columns), range(start + 1, at + 1), path, ": document ")
            held, start, size = [], at, 0


def _files(folder: str) -> list[str]:
    """All files below a folder, sorted; hidden ones are left out."""
    return sorted(
        os.path.join(root, name)
        for root, folders, names in os.walk(folder)
        if not os.path.basename(root).startswith(".") or root == folder
        for name in names
        if not name.startswith(".")
    )


def document(path: str, encoding: str = "utf-8") -> str:
    """The text of one whole file, plain or compressed, or of stdin."""
    check(encoding)
    return _document(path, encoding)


def _document(path: str, encoding: str) -> str:
    with opened(path) as (stream, kind):
        if kind == "plain":
            raw = stream.read()
        else:
            raw = b"".join(text.bytes.tobytes() for text in texts(stream, kind, path, BATCH))
    return str(raw.removeprefix(b"\xef\xbb\xbf"), encoding, "replace")
