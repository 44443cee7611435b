"""Snapshots of a run: one safetensors file for each group of replicas, and a manifest, in JSON.

    <run>/snapshots/<version>-<term>/shard-<group>.safetensors
                                     manifest.json

Each file appears whole or not at all, and is on the disk before it bears its name. The manifest
comes last and names the files, so a folder without one that fits is incomplete: nobody's. Of two
complete ones the later has the higher term, then the higher version: a coordinator that was
replaced may still write, but not into the present. Loading runs no code.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from widemargin._version import __version__
from widemargin.data.rows import Array
from widemargin.errors import SnapshotError
from widemargin.files import written_whole
from widemargin.ps.tensor_file import TensorFile, kind_of, laid_out, put

FORMAT, VERSION = "widemargin-snapshot", 1
MANIFEST = "manifest.json"
FOLDER = re.compile(r"(\d+)-(\d+)")
OURS = re.compile(r"(\.?shard-.+\.safetensors|\.?manifest\.json)(\.[0-9a-f]+\.part)?")
PathLike = str | os.PathLike[str]


def folder_name(version: int, term: int) -> str:
    """What the folder of a snapshot is called."""
    return f"{version}-{term}"


def shard_name(group: int | str) -> str:
    """What the file of a group of replicas is called."""
    return f"shard-{group}.safetensors"


def write_shard(path: PathLike, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
    """Write the arrays of a shard, and a JSON dict about them, into one file; makes the folder."""
    tensors = {name: np.asarray(array) for name, array in arrays.items()}
    text = json.dumps({"format": FORMAT, "version": VERSION, "meta": dict(meta)})
    about = {"widemargin": text, "digest": _digest(text, tensors)}
    layout = laid_out({name: kind_of(array) for name, array in tensors.items()}, about)
    with _lasting(Path(path)) as stream:
        stream.write(layout.head)
        for name, place in layout.places.items():
            put(stream, place, tensors[name])


def read_shard(path: PathLike) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the dict that `write_shard` was given; SnapshotError for anything else."""
    file, text = _opened(path)
    try:
        tensors = {name: file.rows(name) for name in file.places}
    except (OSError, ValueError, MemoryError) as error:
        raise _refused(file.name, f"nothing that can be read ({error})") from None
    finally:
        file.close()
    meta = _parsed(file.name, text, "meta")
    if file.metadata.get("digest") != _digest(text, tensors):
        raise _refused(file.name, "contents that do not match their digest")
    return tensors, meta


def open_shard(path: PathLike) -> TensorFile:
    """The file of a shard, its digest checked, to be read in rows; SnapshotError as `read_shard`.

    Nothing is kept in memory.
    """
    file, text = _opened(path)
    h = hashlib.sha256(text.encode())
    for name, place in sorted(file.places.items()):
        h.update(f"{name} {file.type_of(name).str} {place.shape}".encode())
        for piece in file.bytes_of(name):
            h.update(piece)
    if file.metadata.get("digest") != f"sha256:{h.hexdigest()}":
        file.close()
        raise _refused(file.name, "contents that do not match their digest")
    return file


@contextmanager
def opened(path: PathLike) -> Iterator[TensorFile]:
    """The file of a shard whose digest was checked before, or by who reads all of it."""
    file, _ = _opened(path)
    with closing(file):
        yield file


def _opened(path: PathLike) -> tuple[TensorFile, str]:
    """A file whose form is right, and the text about it."""
    from safetensors import SafetensorError, safe_open

    name = os.fspath(path)
    try:
        stream = open(name, "rb", buffering=0)  # noqa: SIM115  closed by who reads it
    except FileNotFoundError:
        raise SnapshotError(f"{name}: found no such file. Check the path.") from None
    except OSError as error:
        raise _refused(name, f"nothing that can be read ({error})") from None
    try:
        with safe_open(name, framework="numpy"):  # refuses what is not whole
            file = TensorFile(stream, name)
        if "widemargin" not in file.metadata:
            raise _refused(name, "a safetensors file of another program")
        text = file.metadata["widemargin"]
        _facts(name, text)
        return file, text
    except SnapshotError:
        stream.close()
        raise
    except SafetensorError as error:
        stream.close()
        raise _refused(name, f"no whole safetensors file ({error})") from None
    except (OSError, ValueError, OverflowError, MemoryError, TypeError) as error:
        stream.close()
        raise _refused(name, f"nothing that can be read ({error})") from None


def write_manifest(
    folder: PathLike, manifest: Mapping[str, Any], groups: Sequence[int | str]
) -> None:
    """Complete the snapshot in a folder: the files of these groups, which must be there."""
    sizes = {}
    for name in map(shard_name, groups):
        try:
            sizes[name] = (Path(folder) / name).stat().st_size
        except FileNotFoundError:
            raise SnapshotError(
                f"{folder}: found no {name}; a snapshot needs the files of all groups. "
                "Write it before the manifest."
            ) from None
    text = json.dumps(dict(manifest))
    whole = {"format": FORMAT, "version": VERSION, "shards": sizes, "manifest": text}
    whole["digest"] = _digest(text, {})
    with _lasting(Path(folder) / MANIFEST) as stream:
        stream.write(json.dumps(whole).encode())


def read_manifest(folder: PathLike) -> dict[str, Any]:
    """The dict that `write_manifest` was given, if the snapshot is complete; else SnapshotError."""
    path = Path(folder) / MANIFEST
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise SnapshotError(
            f"{folder}: found no {MANIFEST}: the snapshot is incomplete. Take an earlier one."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(str(path), f"nothing that can be read ({error})") from None
    whole = _facts(str(path), text)
    inner, sizes = whole.get("manifest"), whole.get("shards")
    if not isinstance(inner, str) or whole.get("digest") != _digest(inner, {}):
        raise _refused(str(path), "contents that do not match their digest")
    if not isinstance(sizes, dict):
        raise _refused(str(path), "no list of files")
    for name, size in sizes.items():
        shard = Path(folder) / name
        if not shard.is_file() or shard.stat().st_size != size:
            raise _refused(str(shard), f"no such file of {size} bytes, which the manifest names")
    return dict(json.loads(inner))


def latest(folder: PathLike) -> Path | None:
    """The last complete snapshot in a folder of them; None where there is none."""
    for path in _all(folder):
        with suppress(SnapshotError):
            read_manifest(path)
            return path
    return None


def prune(folder: PathLike, keep: int) -> list[Path]:
    """Remove all but the last `keep` complete snapshots; returns the folders removed.

    Incomplete ones later than the last complete one stay: they may still be written. Files that
    are not ours stay, and their folder with them.
    """
    if keep < 1:
        raise ValueError(f"keep must be at least 1, got {keep}. Keep one snapshot to resume from.")
    complete, removed = 0, []
    for path in _all(folder):
        whole = complete < keep and _is_complete(path)
        if not whole and complete and _removed(path):
            removed.append(path)
        complete += whole
    return removed


def _all(folder: PathLike) -> list[Path]:
    """The folders of snapshots, complete or not, the last first."""
    if not Path(folder).is_dir():
        return []
    found = [(FOLDER.fullmatch(path.name), path) for path in Path(folder).iterdir()]
    order = [(int(m[2]), int(m[1]), path) for m, path in found if m and path.is_dir()]
    return [path for _, _, path in sorted(order, reverse=True)]


def _is_complete(path: Path) -> bool:
    try:
        read_manifest(path)
    except SnapshotError:
        return False
    return True


def _removed(path: Path) -> bool:
    """Remove a snapshot; an end half-way leaves it incomplete, as a file of it is missing."""
    for file in path.iterdir():
        if OURS.fullmatch(file.name):
            file.unlink(missing_ok=True)
    with suppress(OSError):
        path.rmdir()
    return not path.exists()


@contextmanager
def _lasting(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that is on the disk, under its name, when the block has ended."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _digest(text: str, tensors: Mapping[str, Array]) -> str:
    """SHA-256 over the text, and name, type, shape and bytes of every tensor."""
    h = hashlib.sha256(text.encode())
    for name, array in sorted(tensors.items()):
        h.update(f"{name} {array.dtype.str} {array.shape}".encode())
        h.update(np.ascontiguousarray(array).data)
    return f"sha256:{h.hexdigest()}"


def _facts(name: str, text: str) -> dict[str, Any]:
    """The JSON object in a text, after a look at format and version."""
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        raise _refused(name, "text that is no JSON") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise _refused(name, "JSON of another program")
    version = facts.get("version")
    if type(version) is not int or version < 1:
        raise _refused(name, f"version {version!r}")
    if version > VERSION:
        raise SnapshotError(
            f"{name}: found a snapshot of version {version}; this widemargin {__version__} reads "
            f"up to {VERSION}. Update widemargin."
        )
    return facts


def _parsed(name: str, text: str, key: str) -> dict[str, Any]:
    """The JSON object under a key of the facts in a text."""
    inner = _facts(name, text).get(key)
    if not isinstance(inner, dict):
        raise _refused(name, f"no {key}")
    return inner


def _refused(name: str, found: str) -> SnapshotError:
    return SnapshotError(
        f"{name}: found {found}; accepted: a snapshot that widemargin wrote. "
        "Take another snapshot of the run."
    )
