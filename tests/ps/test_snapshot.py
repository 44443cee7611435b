"""Snapshots come back bit for bit; what is incomplete is passed over; damage is told."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from widemargin.errors import InputError, SnapshotError
from widemargin.ps.optimizers import Adam
from widemargin.ps.parameters import Parameters, Rule, Update
from widemargin.ps.snapshot import (
    folder_name,
    latest,
    prune,
    read_manifest,
    read_shard,
    shard_name,
    write_manifest,
    write_shard,
)
from widemargin.schedules import Constant

MANIFEST = {"ledger": {"done": "AAEC/w=="}, "epoch": 3, "η": [0.1, None]}


def snapshot(run, version, term=1, groups=(0, 1), complete=True):
    folder = run / folder_name(version, term)
    for group in groups:
        write_shard(folder / shard_name(group), {"theta": np.full((3, 1), version)}, {"of": group})
    if complete:
        write_manifest(folder, MANIFEST | {"version": version}, groups)
    return folder


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_shard_comes_back_bit_for_bit(tmp_path, dtype):
    rng = np.random.default_rng(0)
    rule = Rule(Adam(), Constant(0.1), lam=0.1, decay=0.9)
    shard = Parameters.create(rule, rng.normal(size=(9, 2)).astype(dtype), 4)
    gradients = rng.normal(size=(8, 9, 2)).astype(dtype)
    for g in gradients[:4]:
        shard.apply([Update(None, g, 1.0)])
    path = tmp_path / "new" / shard_name(0)
    write_shard(path, shard.arrays(), {"start": 4, "blocks": [1, 5]})
    arrays, meta = read_shard(path)
    other = Parameters.restore(rule, arrays, meta["start"])
    assert meta == {"start": 4, "blocks": [1, 5]}
    for g in gradients[4:]:
        for each in (shard, other):
            each.apply([Update(None, g, 1.0)])
    for name, array in shard.arrays().items():
        np.testing.assert_array_equal(array, other.arrays()[name])
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_last_complete_snapshot_is_found(tmp_path):
    run = tmp_path / "snapshots"
    assert latest(run) is None
    snapshot(run, 9)
    newest = snapshot(run, 10)
    snapshot(run, 11, complete=False)
    (run / "notes").mkdir()
    (run / "12-1").write_text("a file")
    assert latest(run) == newest
    assert read_manifest(newest) == MANIFEST | {"version": 10}
    later = snapshot(run, 7, term=2)
    assert latest(run) == later


@pytest.mark.parametrize("harm", ["shard gone", "shard cut", "manifest cut", "manifest changed"])
def test_a_snapshot_that_was_harmed_is_passed_over(tmp_path, harm):
    before, harmed = snapshot(tmp_path, 1), snapshot(tmp_path, 2)
    shard, manifest = harmed / shard_name(1), harmed / "manifest.json"
    if harm == "shard gone":
        shard.unlink()
    elif harm == "shard cut":
        shard.write_bytes(shard.read_bytes()[:-1])
    elif harm == "manifest cut":
        manifest.write_bytes(manifest.read_bytes()[:-9])
    else:
        manifest.write_text(manifest.read_text().replace("AAEC", "AAED"))
    with pytest.raises(SnapshotError, match="accepted: a snapshot that widemargin wrote"):
        read_manifest(harmed)
    assert latest(tmp_path) == before


def test_old_snapshots_go_and_what_may_be_needed_stays(tmp_path):
    for version in range(1, 6):
        snapshot(tmp_path, version)
    stale, rising = snapshot(tmp_path, 2, 0, complete=False), snapshot(tmp_path, 6, complete=False)
    (stale / ".manifest.json.ab12cd34.part").write_text("{")
    (tmp_path / "1-1" / "notes.txt").write_text("mine")
    removed = prune(tmp_path, keep=2)
    assert sorted(path.name for path in removed) == ["2-0", "2-1", "3-1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-1", "4-1", "5-1", "6-1"]
    assert [path.name for path in (tmp_path / "1-1").iterdir()] == ["notes.txt"]
    assert rising.is_dir() and latest(tmp_path) == tmp_path / "5-1"
    assert prune(tmp_path / "none", keep=1) == []
    with pytest.raises(ValueError, match="keep must be at least 1, got 0"):
        prune(tmp_path, keep=0)


def test_without_a_complete_snapshot_nothing_goes(tmp_path):
    folder = snapshot(tmp_path, 1, complete=False)
    assert prune(tmp_path, keep=1) == []
    assert folder.is_dir()


def test_a_manifest_needs_its_files(tmp_path):
    snapshot(tmp_path, 1, groups=(0,), complete=False)
    with pytest.raises(SnapshotError, match=r"found no shard-7\.safetensors; .* Write it before"):
        write_manifest(tmp_path / "1-1", MANIFEST, (0, 7))
    with pytest.raises(SnapshotError, match=r"found no manifest\.json: .* incomplete"):
        read_manifest(tmp_path / "1-1")


def test_every_byte_of_a_shard_counts(tmp_path):
    path = snapshot(tmp_path, 1) / shard_name(0)
    whole = path.read_bytes()
    for i in range(0, len(whole), 7):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 0x10]) + whole[i + 1 :])
        with pytest.raises(SnapshotError, match=r"shard-0\.safetensors: found "):
            read_shard(path)
    for i in range(0, len(whole), 31):
        path.write_bytes(whole[:i])
        with pytest.raises(SnapshotError, match="accepted: a snapshot that widemargin wrote"):
            read_shard(path)


def test_foreign_and_newer_files_are_told(tmp_path):
    path = tmp_path / shard_name(0)
    with pytest.raises(SnapshotError, match="found no such file. Check the path"):
        read_shard(path)
    save_file({"theta": np.zeros(3)}, path)
    with pytest.raises(SnapshotError, match="safetensors file of another program"):
        read_shard(path)
    folder = snapshot(tmp_path, 1)
    facts = json.loads((folder / "manifest.json").read_text())
    for change, message in [
        ({"version": 2}, r"found a snapshot of version 2; .* reads up to 1\. Update"),
        ({"version": "1"}, "found version '1'; accepted"),
        ({"format": "else"}, "JSON of another program"),
        ({"shards": None}, "found no list of files"),
    ]:
        (folder / "manifest.json").write_text(json.dumps(facts | change))
        with pytest.raises(SnapshotError, match=message):
            read_manifest(folder)
    (folder / "manifest.json").write_bytes(b"\xff\xfe")
    with pytest.raises(SnapshotError, match="nothing that can be read"):
        read_manifest(folder)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / shard_name(0)).mkdir()
    with pytest.raises(InputError, match="found a folder"):
        write_shard(tmp_path / shard_name(0), {"theta": np.zeros(1)}, {})
