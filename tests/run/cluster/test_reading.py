"""The parameters of a run are read from its folder, range by range."""

import numpy as np
import pytest
from jobs import Squares

from widemargin.cluster import Cluster
from widemargin.errors import SnapshotError
from widemargin.ps.job import ranges
from widemargin.ps.kept import SMALL, apart, in_memory, of_arrays, read_from, whole
from widemargin.ps.parameters import Parameters, Update
from widemargin.run.ahead import Ahead
from widemargin.run.cluster import engine, reading
from widemargin.run.cluster.folder import Folder
from widemargin.run.cluster.plan import Needs, Plan
from widemargin.run.cluster.start import prepare


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of two servers after a commit: its plan, its stores; the folder is on this side."""
    monkeypatch.setattr(engine, "is_client", lambda: False)
    monkeypatch.setattr(engine, "on_cluster", lambda function, *args: function(*args))
    job, cluster = Squares(), Cluster(servers=2)
    settings, parts = cluster.settings(job, 3, seed=1, shuffle=True), ranges(job.n_keys, 2)
    prepare(str(tmp_path), "first", job, settings, parts)
    folder = Folder(tmp_path, 2)
    stores = [Parameters.create(job.rule, job.first(p), p.start) for p in parts]
    for g, store in enumerate(stores):
        store.apply([Update(None, np.arange(1.0, 7.0).reshape(-1, 1) * (g + 1), 1.0)])
        folder.save(f"1-1/shard-{g}", store.arrays())
    folder.save("1-1/manifest", {"key": "1-1", "stamp": [1, 1], "ledger": {}})
    asked, counts = Needs(0.0, 0.0, {}), (1, 1, 1)
    plan = Plan("run", str(tmp_path), settings, job.rule, parts, asked, counts, False, 1.0)
    return plan, stores


@pytest.mark.parametrize("client", [False, True])
def test_any_range_is_the_average_that_the_servers_have(run, client, monkeypatch):
    plan, stores = run
    monkeypatch.setattr(engine, "is_client", lambda: client)
    expected = np.concatenate([store.read_average()[:, 0] for store in stores])
    kept = reading.kept(plan, None)
    assert all(isinstance(part, reading.There) == client for part in kept.parts)
    for start, stop in [(0, 12), (0, 1), (4, 9), (6, 12), (5, 6), (3, 3)]:
        assert kept.read(start, stop).tobytes() == expected[start:stop].tobytes()
    assert not reading.kept(plan, "0-0").vector().any()
    with pytest.raises(LookupError, match="found no such file"):
        reading.kept(plan, "7-7")


def test_what_was_opened_is_read_although_its_folder_is_gone(run):
    plan, stores = run
    kept = reading.kept(plan, "1-1")
    copies = [whole(kept), apart(kept)]
    Folder(plan.folder, 2).file("1-1/shard-0").unlink()
    expected = of_arrays(plan.rule, [store.arrays() for store in stores]).vector()
    for found in (kept, *copies):
        assert found.vector().tobytes() == expected.tobytes()
    path = Folder(plan.folder, 2).file("1-1/shard-1")
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size - 8)
    with pytest.raises(SnapshotError, match="cannot be read any more: it ends too soon"):
        kept.vector()
    with pytest.raises(LookupError, match=r"shard-0\.safetensors: found no such file"):
        reading.kept(plan, "1-1")


def test_what_is_large_is_kept_in_a_file():
    vector = np.random.default_rng(0).normal(size=SMALL // 4 + 9).astype(np.float32)
    kept = apart(in_memory(vector))
    assert "temporary" in kept.parts[0].name and kept.n == len(vector)
    assert kept.read(7, 99).tobytes() == vector[7:99].tobytes()
    assert kept.read(len(vector) - 3, len(vector)).tobytes() == vector[-3:].tobytes()


def test_a_file_of_something_else_is_told(tmp_path):
    path = tmp_path / "best.safetensors"
    for content in (b"", b"\0" * 64, b"\x02" + b"\0" * 7 + b"{}", b"\xff" * 9):
        path.write_bytes(content)
        with pytest.raises(SnapshotError, match="found no parameters that widemargin wrote"):
            read_from(path.open("rb"), "best")


def test_what_could_not_be_read_ahead_is_read_again():
    def read(key):
        reads.append(key)
        if len(reads) == 1:
            raise OSError("once")
        return "rows"

    reads, ahead = [], Ahead(read)
    ahead.want(7)
    assert [ahead.get(7), ahead.get(7)] == ["rows", "rows"] and reads == [7, 7]
    ahead.close()
