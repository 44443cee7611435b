"""What all actors of a run know; it outlives each of them in the tables of Ray's head."""

from __future__ import annotations

import pickle
import time
from typing import Any, NamedTuple

from widemargin.ps.job import Range
from widemargin.ps.rules import Rule
from widemargin.ps.settings import Settings

TABLE = "widemargin"  # the namespace of our entries among Ray's
PIECE = 64 << 20  # bytes


class Needs(NamedTuple):
    """What Ray is asked for on behalf of each worker."""

    cpus: float
    gpus: float
    resources: dict[str, float]


class Plan(NamedTuple):
    """A run, less its job, which only workers unpickle."""

    name: str
    folder: str
    settings: Settings
    rule: Rule
    parts: tuple[Range, ...]
    needs: Needs
    workers: tuple[int, int, int]  # at the beginning, at least, at most
    spare: bool  # the folder is ours: it goes with the run
    linger_s: float  # how long actors stay after the end when nobody asks for the result


def space(name: str) -> str:
    """The Ray namespace of a run's actors."""
    return f"widemargin-{name}"


class Pieces(NamedTuple):
    """Stands for an entry in pieces: no message of Ray's takes all of a large data set."""

    number: int


def put(name: str, key: str, value: Any) -> None:
    from ray import cloudpickle
    from ray.experimental.internal_kv import _internal_kv_put

    def write(key: str, data: bytes) -> None:
        _internal_kv_put(f"{name}/{key}", data, namespace=TABLE)

    data = memoryview(cloudpickle.dumps(value))
    if len(data) > PIECE:
        starts = range(0, len(data), PIECE)
        for i, start in enumerate(starts):
            write(f"{key}/{i}", bytes(data[start : start + PIECE]))
        data = memoryview(pickle.dumps(Pieces(len(starts))))
    write(key, bytes(data))


def get(name: str, key: str) -> Any:
    """The entry, or None."""
    from ray.experimental.internal_kv import _internal_kv_get

    def read(key: str) -> bytes | None:
        found: bytes | None = _internal_kv_get(f"{name}/{key}", namespace=TABLE)
        return found

    found = read(key)
    value = None if found is None else pickle.loads(found)
    if isinstance(value, Pieces):
        pieces = [piece for i in range(value.number) if (piece := read(f"{key}/{i}")) is not None]
        if len(pieces) < value.number:  # the run is just being forgotten
            return None
        value = pickle.loads(b"".join(pieces))
    return value


def forget(name: str) -> None:
    """Remove all entries of a run."""
    from ray.experimental.internal_kv import _internal_kv_del

    _internal_kv_del(f"{name}/", del_by_prefix=True, namespace=TABLE)


def new_life(name: str, role: str) -> int:
    """A number above those of all earlier lives of the role, whatever the clocks of nodes say."""
    life = max(time.time_ns(), (newest_life(name, role) or 0) + 1)
    put(name, f"life/{role}", life)
    return life


def newest_life(name: str, role: str) -> int | None:
    found: int | None = get(name, f"life/{role}")
    return found
