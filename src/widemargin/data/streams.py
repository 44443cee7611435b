"""Bytes in: plain files as memory maps, compressed ones and stdin as blocks of whole lines.

The kind of a file is told by its first bytes, not by its name. A reader thread decompresses
ahead of the parser, a bounded number of blocks, so memory stays bounded as well.
"""

from __future__ import annotations

import bz2
import io
import lzma
import mmap
import os
import queue
import stat
import sys
import threading
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from widemargin.errors import InputError

STDIN = "-"
PIECE = 1 << 16  # bytes read at once; bounds what one step of a decompressor can swell to
AHEAD = 2  # blocks decompressed before the parser asks for them
PATIENCE = 0.2  # seconds after which the reader thread looks whether anyone still listens
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


class Text(NamedTuple):
    """Whole lines, and how many lines of the source come before them."""

    bytes: NDArray[np.uint8]
    line: int


_readers: list[threading.Thread] = []  # that were not seen to end


def abandoned() -> bool:
    """Whether a reader thread still waits for input that nobody wants any more.

    It holds the lock of its stream, so closing that, or ending the interpreter in good order,
    would wait for the input too.
    """
    return any(thread.is_alive() for thread in _readers)


def kind_of(head: bytes) -> str:
    """The compression that a file starts with: "gzip", "bzip2", "xz", "zstd" or "plain"."""
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), "plain")


@contextmanager
def opened(path: str) -> Iterator[tuple[Any, str]]:
    """The buffered raw file behind a path ("-" is stdin) and its kind; closed afterwards."""
    stream: Any = sys.stdin.buffer if path == STDIN else _open(path)
    try:
        yield stream, kind_of(stream.peek(8)[:8])
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; check the file.") from None
    finally:
        if path != STDIN and not abandoned():
            stream.close()


def _open(path: str) -> IO[bytes]:
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            raise InputError(
                f"{path}: found a directory that is not a packed store; accepted: an svmlight "
                "file, plain or compressed, a packed store, or a folder with a folder of documents "
                "for each class; name one of its files instead."
            )
        return open(path, "rb")
    except FileNotFoundError:
        raise InputError(
            f"{path}: found no such file; accepted: a file or - for stdin; check the path."
        ) from None
    except PermissionError:
        raise InputError(
            f"{path}: found no permission to read it; allow it (chmod u+r) or use another file."
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path!r}: cannot be opened: {error}; check the path.") from None


def mapped(stream: IO[bytes]) -> NDArray[np.uint8] | None:
    """A plain regular file as read-only bytes; None for pipes, devices and streams in memory."""
    try:
        status = os.fstat(stream.fileno())
    except io.UnsupportedOperation:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    if status.st_size == 0:
        return np.frombuffer(b"", np.uint8)
    return np.frombuffer(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)


def _decompressor(kind: str) -> Any:
    if kind == "zstd":
        import zstandard

        return zstandard.ZstdDecompressor().decompressobj()
    makers: dict[str, Callable[[], Any]] = {
        "gzip": lambda: zlib.decompressobj(wbits=31),
        "bzip2": bz2.BZ2Decompressor,
        "xz": lzma.LZMADecompressor,
    }
    return makers[kind]()


def _damage(kind: str) -> tuple[type[Exception], ...]:
    if kind == "zstd":
        import zstandard

        return (zstandard.ZstdError,)
    return (zlib.error, OSError, EOFError, lzma.LZMAError)


def decompressed(stream: IO[bytes], kind: str) -> Iterator[bytes]:
    """The bytes behind a stream, piece by piece; members that follow one another are joined.

    Raises Damaged for a corrupt or truncated stream, after the bytes before the damage.
    """
    decoder, started = _decompressor(kind), False
    while piece := stream.read(PIECE):
        while piece:
            if decoder.eof:
                piece = piece.lstrip(b"\0")  # padding, as tapes have it
                if not piece:
                    break
                decoder = _decompressor(kind)
            try:
                plain = decoder.decompress(piece)
            except _damage(kind) as error:
                raise Damaged(f"corrupt {kind} data ({error})") from None
            started = True
            yield plain
            piece = decoder.unused_data if decoder.eof else b""
    if started and not decoder.eof:
        raise Damaged(f"the end of a truncated {kind} file")


class Damaged(Exception):
    """A compressed stream that ends or breaks before its end."""


def plain_pieces(stream: Any, block_bytes: int) -> Iterator[bytes]:
    size = min(block_bytes, 1 << 20)
    while piece := stream.read1(size):
        yield piece


def texts(stream: Any, kind: str, path: str, block_bytes: int) -> Iterator[Text]:
    """Blocks of whole lines, of block_bytes or as many more as the line at the end needs."""
    whole = plain_pieces(stream, block_bytes) if kind == "plain" else decompressed(stream, kind)
    pieces = (
        piece[i : i + block_bytes] for piece in whole for i in range(0, len(piece), block_bytes)
    )
    held: list[bytes] = []
    size = line = 0
    damage = None
    while True:
        try:
            piece = next(pieces, None)
        except Damaged as error:
            damage, piece = str(error), None
        cut = -1 if piece is None else piece.rfind(b"\n") + 1
        if piece is not None and (cut == 0 or size + len(piece) < block_bytes):
            held.append(piece)
            size += len(piece)
            continue
        block = b"".join(held) + (piece[:cut] if piece is not None else b"")
        if damage is not None:
            block = block[: block.rfind(b"\n") + 1]
        yield Text(np.frombuffer(block, np.uint8), line)
        line += block.count(b"\n")
        if piece is None:
            break
        held = [piece[cut:]]
        size = len(held[0])
    if damage is not None:
        raise InputError(
            f"{path}:{line + 1}:1: found {damage}; accepted: a whole file, plain or compressed "
            "with gzip, bzip2, xz or zstd; make or copy the file again."
        )


def ahead(items: Iterator[Text]) -> Generator[Text]:
    """The same items, made by a thread of their own up to AHEAD of the one asked for."""
    box: queue.Queue[Text | BaseException | None] = queue.Queue(maxsize=AHEAD)
    begun, stopped = threading.Event(), threading.Event()

    def put(item: Text | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                return box.put(item, timeout=PATIENCE)
            except queue.Full:
                continue

    def work() -> None:
        begun.set()
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:  # handed to the one who asked
            put(error)

    thread = threading.Thread(target=work, name="widemargin-reader", daemon=True)
    _readers.append(thread)  # before it starts: an interrupt may come at any time
    try:
        thread.start()
        while (item := box.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        if begun.wait(PATIENCE):  # an interrupted start may have started nothing
            thread.join(PATIENCE)
        if not thread.is_alive():  # else it waits for a pipe or a terminal that may say no more
            _readers.remove(thread)
