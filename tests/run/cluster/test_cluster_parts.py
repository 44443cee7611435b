"""Parts of Cluster that need no Ray: its folder, its links, its clock."""

import json
import os
import socket
import threading
import time

import numpy as np
import pytest
from jobs import Squares

from widemargin.cluster import Cluster
from widemargin.errors import ClusterError
from widemargin.ps import messages as m
from widemargin.ps.job import ranges
from widemargin.run.cluster import host, plan, post, wire
from widemargin.run.cluster.compute import Computing
from widemargin.run.cluster.folder import Folder
from widemargin.run.cluster.observer import frozen
from widemargin.run.cluster.start import prepare
from widemargin.run.cluster.tally import Tally
from widemargin.shared_arrays import Room


def test_without_a_shared_folder_name():
    settings = Cluster(servers=2, replicas=2).settings(Squares(), 3, seed=1, shuffle=True)
    assert settings.groups == (("shard-0.0", "shard-0.1"), ("shard-1.0", "shard-1.1"))
    assert settings.deadline_s == 3.0 and settings.tick_s < settings.retry_s < settings.deadline_s


@pytest.fixture
def begun(tmp_path):
    job, cluster = Squares(), Cluster(servers=2)
    settings = cluster.settings(job, 3, seed=1, shuffle=True)
    prepare(str(tmp_path), "first", job, settings, ranges(job.n_keys, 2))
    return Folder(tmp_path, 2)


def saved(folder, term, version, offset=0.0):
    key = f"{term}-{version}"
    sent = []
    for g in range(2):
        arrays = {"theta": np.full((6, 1), version + offset), "t": np.int64(version)}
        sent += folder.on(m.Save(term, f"{key}/shard-{g}", arrays, "coordinator"))
    manifest = {"key": key, "stamp": [term, version], "ledger": {}}
    return sent + folder.on(m.Save(term, f"{key}/manifest", manifest, "coordinator"))


def test_the_folder_keeps_whole_snapshots_and_prunes_old_ones(begun):
    assert begun.newest()[0]["stamp"] == [0, 0]
    assert len(saved(begun, 1, 5)) == 3
    assert len(saved(begun, 1, 9)) == 3
    manifest, parts = begun.newest()
    assert manifest["stamp"] == [1, 9] and parts[1]["theta"][0, 0] == 9.0
    begun.on(m.Outdate((1, 5)))
    assert sorted(path.name for path in begun.snapshots.iterdir()) == ["5-1", "9-1"]
    (send,) = begun.on(m.Load("1-9/shard-0", "shard-0.0"))
    assert send.to == "shard-0.0" and int(send.message.value["t"]) == 9


def test_the_folder_refuses_older_terms(begun):
    kept = m.Send("coordinator", m.Saved("term", 4))
    told = m.Send("coordinator", m.Loaded("term", 4))
    assert begun.on(m.Save(4, "term", 4, "coordinator")) == [kept]
    assert begun.on(m.Save(4, "term", 4, "coordinator")) == [told], "no two share a term"
    assert all(answer == told for answer in saved(begun, 3, 7))
    assert begun.newest()[0]["stamp"] == [0, 0]
    assert begun.on(m.Load("term", "coordinator"))[0].message.value == 4


def test_the_folder_of_another_job_is_refused(begun):
    job = Squares(n_blocks=12)
    settings = Cluster(servers=2).settings(job, 3, seed=1, shuffle=True)
    with pytest.raises(ClusterError, match="holds the run 'first' .*n_blocks was 24, is 12"):
        prepare(str(begun.path), "second", job, settings, ranges(job.n_keys, 2))


@pytest.fixture
def tables(monkeypatch):
    """Ray's tables, without Ray."""
    known = {}
    monkeypatch.setattr(plan, "put", lambda name, key, value: known.update({key: value}))
    monkeypatch.setattr(plan, "get", lambda name, key: known.get(key))
    known["secret"] = b"s" * 32
    return known


def opened_door(tables, heard):
    """A door on this machine, whose address needs no Ray."""
    door = wire.Door.__new__(wire.Door)
    door.tell, door.secret = heard.append, tables["secret"]
    door.socket = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=door.open, daemon=True).start()
    return door, (1, "127.0.0.1", door.socket.getsockname()[1])


def await_length(heard, n):
    until = time.monotonic() + 10.0
    while len(heard) < n:
        assert time.monotonic() < until, heard
        time.sleep(0.005)


def test_messages_over_a_link(tables):
    heard = []
    _, address = opened_door(tables, heard)
    link = wire.Link(address, tables["secret"])
    sent = [m.Stop(), m.Params(0, (1, 2), 3, np.arange(2_000_000.0))]
    link.send(sent[:1])
    link.send(sent[1:])
    while link.pending:
        link.push()
    await_length(heard, 2)
    assert heard[0] == sent[0]
    np.testing.assert_array_equal(heard[1].values, sent[1].values)
    link.socket.close()


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="Linux alone has such files")
def test_large_arrays_are_read_where_they_lie(tables):
    heard = []
    _, address = opened_door(tables, heard)
    link, room = wire.Link(address, tables["secret"]), Room()
    assert link.near
    values = room.empty((100_000, 1), np.float32)
    values[:] = 3.0
    params = [m.Params(0, (1, n), n, values) for n in range(3)]
    assert post.size(params[0], link.near) == 0
    assert post.size(params[0]) == values.nbytes
    link.send(params[:2])
    link.send(params[2:])
    await_length(heard, 3)
    assert not link.pending and not heard[0].values.flags.writeable
    values[0] = 5.0
    assert [float(params.values[0, 0]) for params in heard] == [5.0] * 3
    del values, params
    lent = room.files[0]
    heard.clear()
    until = time.monotonic() + 10.0
    while lent.used():
        assert time.monotonic() < until
        time.sleep(0.005)
    link.send([m.Params(0, (1, 4), 4, room.empty((100_000, 1), np.float32))])
    await_length(heard, 1)
    assert room.files == [lent] and lent.lent()
    link.close()
    assert lent.lost, "who read it may read it still, and cannot say when it is done"


def test_what_is_not_of_this_machine_is_sent_whole(tables, monkeypatch):
    monkeypatch.setattr(wire.shared_arrays, "reach", lambda where: None)
    heard = []
    _, address = opened_door(tables, heard)
    link = wire.Link(address, tables["secret"])
    assert not link.near
    values = Room().empty((100_000, 1), np.float32)
    values[:] = 3.0
    assert post.size(m.Params(0, (1, 1), 1, values), link.near) == values.nbytes
    link.send([m.Params(0, (1, 1), 1, values)])
    while link.pending:
        link.push()
    await_length(heard, 1)
    values[:] = 4.0
    assert (heard[0].values == 3.0).all()
    link.close()


def test_a_door_does_not_open_without_the_secret(tables):
    heard = []
    _, address = opened_door(tables, heard)
    with pytest.raises(ConnectionError, match="shut"):
        wire.Link(address, b"x" * 32)
    assert heard == []


def test_a_door_notices_that_a_silent_caller_has_vanished(tables):
    heard, callers = [], []
    door, address = opened_door(tables, heard)
    trusts = door.trusts
    door.trusts = lambda there, stream: callers.append(there) or trusts(there, stream)
    link = wire.Link(address, tables["secret"])
    link.send([m.Stop()])
    await_length(heard, 1)
    assert callers[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    if hasattr(socket, "TCP_KEEPIDLE"):
        assert callers[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 60
    link.close()


def test_a_life_is_newer_than_the_last_although_the_clock_is_behind(tables):
    tables["life/worker-0"] = future = time.time_ns() + 10**12
    assert plan.new_life("run", "worker-0") == future + 1
    assert plan.newest_life("run", "worker-0") == future + 1


def test_the_clock_does_not_count_the_time_of_a_stopped_process(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(host.time, "monotonic", lambda: now[0])
    clock = host.Clock(longest=0.5)
    began = clock.read()
    now[0] += 0.25
    assert clock.read() - began == pytest.approx(0.25)
    now[0] += 3600.0
    assert clock.read() - began == pytest.approx(0.75)


def test_large_payloads_for_several_are_known():
    small, large = {"a": np.zeros(10)}, {"a": np.zeros(20_000)}
    messages = [m.State(1, (1, 1), (0, 0), arrays, (), {}) for arrays in (small, small, large)]
    assert post.repeats(messages) == set()
    assert post.repeats([*messages, messages[2]]) == {id(large)}
    parcel = post.Parcel("arrays", 0, messages[2]._replace(arrays=None))
    assert post.opened(parcel, (large,)).arrays is large


def test_errors_of_a_task_come_back_as_messages():
    class Bad:
        def open(self):
            raise OSError("no data here")

    heard = []
    computing = Computing(Bad, ranges(12, 2), heard.append)
    block, lease = m.Block(0, 3), (1, 1)
    computing.on(m.Touch(block))
    await_length(heard, 1)
    assert heard[0] == m.Touched(block, (None, None))
    computing.on(m.Compute(lease, block, 0, (), (None, None)))
    await_length(heard, 2)
    assert heard[1] == m.Broken(lease, "OSError: no data here")
    computing.on(m.Cancel((1, 2)))
    computing.on(m.Compute((1, 2), block, 0, (), (None, None)))
    await_length(heard, 3)
    assert heard[2] == m.Computed((1, 2), ())


def test_events_survive_json():
    parts = (((1, 2), m.Block(0, 3)),)
    told = json.loads(json.dumps({"stamp": (1, 2), "parts": parts}))
    assert frozen(told) == {"stamp": (1, 2), "parts": parts}


def test_the_tally():
    tally = Tally()
    for kind, what in [
        ("began", {}),
        ("term", {"term": 1}),
        ("worker", {"name": "worker-0"}),
        ("member", {"name": "shard-0.0"}),
        ("running", {"version": 0}),
        ("commit", {"stamp": (1, 1), "late": 0}),
        ("lost", {"name": "shard-0.0", "why": "silent"}),
        ("term", {"term": 2}),
    ]:
        tally.add(m.Event(kind, 0.0, what))
    told = tally.summary()
    assert told["phase"] == "recovering" and told["term"] == 2 and told["deaths"] == 1
    assert told["workers"] == ["worker-0"] and told["members"] == []
