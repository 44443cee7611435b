"""The packed store: a folder of .npy files and meta.json that NumPy alone can read.

    indices.npy  uint32   (nnz,)      values.npy  float32 or float64  (nnz,)
    indptr.npy   int64    (n + 1,)    labels.npy  int32, position in label_names  (n,)

Rows are shuffled once, when packed, with a recorded seed: solvers then walk in memory order.
A store is written under a temporary name beside its own, flushed to disk, and renamed when
whole. Its digest is SHA-256 over the arrays in the order above, which current processors
compute in hardware.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from widemargin._version import __version__
from widemargin.data.parser import ZeroBased
from widemargin.data.rows import Sparse
from widemargin.data.store_kernels import gather_rows
from widemargin.data.store_stream import Facts, room_for, write_stream
from widemargin.data.svmlight import Svmlight, merged, read
from widemargin.errors import InputError

FORMAT, VERSION = "widemargin-store", 1
META = "meta.json"
BLOCK_ROWS = 1024  # rows that are shuffled, and later leased, as one
STRETCH = 1 << 20  # bytes hashed at once
ARRAYS = {
    "indices": ("uint32",),
    "values": ("float32", "float64"),
    "indptr": ("int64",),
    "labels": ("int32",),
}
PathLike: TypeAlias = str | os.PathLike[str]


class Store(NamedTuple):
    """An open store: memory-mapped rows, codes of the labels, and what meta.json says."""

    rows: Sparse
    codes: NDArray[np.int32]
    label_names: tuple[str, ...]
    meta: dict[str, Any]


def pack(
    sources: Sequence[PathLike],
    folder: PathLike,
    *,
    seed: int = 0,
    dtype: DTypeLike = np.float32,
    block_rows: int = BLOCK_ROWS,
    shuffle: bool = True,
    overwrite: bool = False,
    zero_based: ZeroBased = "auto",
    n_features: int | None = None,
    threads: int | None = None,
    max_memory: int | None = None,
) -> Store:
    """Read svmlight sources one after the other and write their rows, shuffled, as one store.

    With `max_memory`, bytes that the process may hold, the rows go through temporary files, and
    the same seed gives another order of them.
    """
    if block_rows < 1:
        raise ValueError(f"block_rows={block_rows} must be at least 1.")
    target, order = Path(folder), seed if shuffle else None
    room = None if max_memory is None else room_for(max_memory)
    _refuse_to_lose(target, overwrite)
    how: dict[str, Any] = {
        "dtype": dtype,
        "zero_based": zero_based,
        "n_features": n_features,
        "threads": threads,
    }
    facts = {
        "block_rows": block_rows,
        "seed": order,
        "sources": [os.fspath(source) for source in sources],
    }
    data = merged([read(source, **how) for source in sources]) if room is None else None
    with _made_whole(target, overwrite) as draft:
        if data is not None:
            met = write_rows(draft, data, order)
        else:
            met = write_stream(sources, draft, room=room or 0, seed=order, **how)
        write_meta(draft, met, facts)
    return open_store(target)


def write_rows(draft: Path, data: Svmlight, seed: int | None) -> Facts:
    rows, n = data.rows, len(data.codes)
    order = np.arange(n) if seed is None else np.random.default_rng(seed).permutation(n)
    lengths = np.diff(rows.indptr)[order]
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    indices = _new(draft, "indices", rows.indices)
    values = _new(draft, "values", rows.values)
    gather_rows(order, rows.indptr, rows.indices, rows.values, indices, values)
    for name, array in (("indptr", indptr), ("labels", data.codes[order])):
        np.save(draft / f"{name}.npy", array)
    for mapped in (indices, values):
        if isinstance(mapped.base, np.memmap):
            mapped.base.flush()
    top = int(rows.indices.max()) if len(rows.indices) else -1
    return Facts(data.label_names, data.n_features, top, data.zero_based)


def _new(draft: Path, name: str, like: NDArray[Any]) -> NDArray[Any]:
    """A new .npy file of the shape and type of an array, mapped for writing.

    Its space is taken at once: a full disk is then an error here, not a crash while writing.
    """
    path = draft / f"{name}.npy"
    mapped = np.lib.format.open_memmap(path, "w+", like.dtype, like.shape)
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return np.asarray(mapped)


def write_meta(draft: Path, met: Facts, more: dict[str, Any]) -> None:
    """meta.json beside the arrays that are in the folder."""
    arrays = _arrays(draft)
    meta = {
        "format": FORMAT,
        "version": VERSION,
        "package_version": __version__,
        "shape": [len(arrays["labels"]), met.width],
        "nnz": len(arrays["indices"]),
        "dtype": str(arrays["values"].dtype),
        "max_index": met.top,
        "label_names": list(met.names),
        "zero_based": met.zero_based,
        "digest": digest_of(draft),
        **more,
    }
    text = json.dumps(meta, indent=1, ensure_ascii=False)
    (draft / META).write_text(text + "\n", encoding="utf-8")


def _refuse_to_lose(target: Path, overwrite: bool) -> None:
    """Only a store is ever replaced, and only if asked."""
    if not os.path.lexists(target):
        if not target.absolute().parent.is_dir():
            raise InputError(
                f"{target}: found no folder {target.absolute().parent} to write into; "
                "accepted: an existing parent folder; make it first."
            )
        return
    if not overwrite:
        raise InputError(
            f"{target}: found something of that name; accepted: a new name; "
            "choose another or pass overwrite=True (--overwrite)."
        )
    if not (target / META).is_file():
        raise InputError(
            f"{target}: found something that is not a packed store; accepted: only "
            "a store is overwritten; choose another name."
        )


@contextmanager
def _made_whole(target: Path, overwrite: bool) -> Iterator[Path]:
    """A draft folder that becomes `target` when the block ends well, and nothing when not."""
    token = secrets.token_hex(4)
    draft = target.absolute().with_name(f".{target.name}.{token}.draft")
    old = target.absolute().with_name(f".{target.name}.{token}.old")
    try:
        draft.mkdir()
        yield draft
        for path in [*draft.iterdir(), draft]:
            _flush(path)
        _refuse_to_lose(target, overwrite)
        if target.exists():
            os.rename(target, old)
        os.rename(draft, target)
        _flush(target.absolute().parent)
    except OSError as error:
        raise InputError(
            f"{target}: cannot be written: {error.strerror or error}; free space or "
            "choose another place."
        ) from None
    finally:
        if old.exists() and not target.exists():
            os.rename(old, target)
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- reading -----------------------------------------------------------------------------------


def open_store(folder: PathLike) -> Store:
    """The store in a folder, memory-mapped; shapes, types and ends are checked, not contents."""
    path = Path(folder)
    meta = _read_meta(path)
    arrays = _arrays(path)
    try:
        (n, d), nnz = meta["shape"], meta["nnz"]
        names, high = tuple(meta["label_names"]), meta["max_index"]
        sizes = {"indices": nnz, "values": nnz, "indptr": n + 1, "labels": n}
        whole = all(type(size) is int and size >= 0 for size in (n, d, nnz))
    except (KeyError, TypeError, ValueError):
        raise damaged(path / META, "no shape, nnz, label_names or max_index") from None
    for name, array in arrays.items():
        if array.shape != (sizes[name],) or str(array.dtype) not in ARRAYS[name]:
            raise damaged(path / f"{name}.npy", f"{array.dtype} of shape {array.shape}")
    indptr = arrays["indptr"]
    if not whole or indptr[0] != 0 or indptr[-1] != nnz or not -1 <= high < max(d, 1):
        raise damaged(path, "ends or a highest index that do not fit its shape")
    rows = Sparse(arrays["values"], arrays["indices"], indptr, d)
    return Store(rows, arrays["labels"], names, meta)


def verify(folder: PathLike) -> None:
    """Read every byte of a store; an InputError if any differs from what was packed."""
    path = Path(folder)
    store = open_store(path)
    found = digest_of(path)
    if found != store.meta.get("digest"):
        raise damaged(path, f"the digest {found}, not {store.meta.get('digest')}")


def digest_of(folder: Path) -> str:
    """SHA-256 over the arrays' bytes, in the order of ARRAYS."""
    h, room = hashlib.sha256(), bytearray(STRETCH)
    for name in ARRAYS:
        with (folder / f"{name}.npy").open("rb", buffering=0) as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            while size := file.readinto(room):
                h.update(memoryview(room)[:size])
    return f"sha256:{h.hexdigest()}"


def is_store(folder: PathLike) -> bool:
    return os.path.isfile(os.path.join(folder, META))


def damaged(path: Path, found: str) -> InputError:
    return InputError(
        f"{path}: found {found}; accepted: a store as widemargin pack writes it; "
        "pack the data again."
    )


def _read_meta(path: Path) -> dict[str, Any]:
    try:
        meta = json.loads((path / META).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(path / META, f"no readable JSON ({type(error).__name__})") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise damaged(path / META, "another program's format")
    version = meta.get("version")
    if type(version) is not int or version < 1:
        raise damaged(path / META, f"version {version!r}")
    if version > VERSION:
        raise InputError(
            f"{path / META}: found version {version}; accepted: up to {VERSION}; "
            "update widemargin or pack the data again."
        )
    return meta


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    return {name: _mapped(path / f"{name}.npy") for name in ARRAYS}


def _mapped(path: Path) -> NDArray[Any]:
    try:
        array = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise damaged(path, f"no readable array ({type(error).__name__})") from None
    return array
