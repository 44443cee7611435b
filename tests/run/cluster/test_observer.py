"""What the observer keeps in its file, through deaths in the middle of a write and full disks."""

import threading

import pytest

from widemargin.ps.messages import Event
from widemargin.run.cluster.observer import Observer
from widemargin.run.cluster.tally import Tally
from widemargin.watching.sources import Folder


def life(file):
    """An observer that begins with what is in the file, less its threads and its Ray."""
    made = object.__new__(Observer)
    made.file, made.lock, made.unwritten = file, threading.Lock(), b""
    made.events, made.known, made.commits, made.tally = [], {}, set(), Tally()
    made.read()
    return made


def commit(version):
    what = {"stamp": (1, version), "after": (1, version - 1), "parts": (), "void": (), "late": 0}
    return Event("commit", 0.0, {"term": 1, **what})


def versions(observing):
    return [event.what["stamp"][1] for event in observing.events]


@pytest.mark.parametrize("torn", [1, 20])
def test_a_torn_last_line_costs_no_other(tmp_path, torn):
    file = tmp_path / "events.jsonl"
    life(file).record("coordinator", 1, 0, [commit(1), commit(2)])
    with file.open("r+b") as stream:
        stream.truncate(file.stat().st_size - torn)
    second = life(file)
    assert versions(second) == ([1, 2] if torn == 1 else [1])
    second.record("coordinator", 1, 1, [commit(2)])
    second.record("coordinator", 1, 2, [commit(3)])
    assert versions(second) == versions(life(file)) == [1, 2, 3]
    told = [event.what["stamp"][1] for event in Folder(file)() if event.kind == "commit"]
    assert told == [1, 2, 3]


def test_what_has_no_room_is_written_when_it_is_told_again(tmp_path):
    resource, signal = pytest.importorskip("resource"), pytest.importorskip("signal")
    file, limits = tmp_path / "events.jsonl", resource.getrlimit(resource.RLIMIT_FSIZE)
    one = life(file)
    one.record("coordinator", 1, 0, [commit(1)])
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for room in (0, 150, 0):  # bytes: none, for the second line and some of the third, none
            resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + room, limits[1]))
            with pytest.raises(OSError):
                one.record("coordinator", 1, 1, [commit(2), commit(3)])
            assert versions(one) == [1, 2, 3]  # whoever asks is told all the same
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert versions(life(file)) == [1, 2]
    one.record("coordinator", 1, 1, [commit(2), commit(3)])
    assert versions(one) == versions(life(file)) == [1, 2, 3]
    assert file.read_bytes().count(b"\n") == 3
