"""What the observer keeps in its file, through deaths in the middle of a write and full disks."""

import threading

import pytest

from widemargin.ps.messages import Event
from widemargin.run.cluster import observer
from widemargin.run.cluster.observer import Observer
from widemargin.run.cluster.tally import Tally


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
    assert versions(second) == [1]
    second.record("coordinator", 1, 1, [commit(2)])
    second.record("coordinator", 1, 2, [commit(3)])
    assert versions(second) == versions(life(file)) == [1, 2, 3]


def test_what_was_not_written_is_when_it_is_told_again(tmp_path, monkeypatch):
    file = tmp_path / "events.jsonl"
    one = life(file)
    one.record("coordinator", 1, 0, [commit(1)])

    def full(file, lines):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(observer, "append", full)
        with pytest.raises(OSError, match="No space"):
            one.record("coordinator", 1, 1, [commit(2)])
    assert versions(one) == [1, 2]  # whoever asks is told all the same
    assert versions(life(file)) == [1]
    one.record("coordinator", 1, 1, [commit(2), commit(3)])
    assert versions(one) == versions(life(file)) == [1, 2, 3]


def test_half_a_write_is_taken_back(tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    file, limits = tmp_path / "events.jsonl", resource.getrlimit(resource.RLIMIT_FSIZE)
    observer.append(file, b"one\n")
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6, limits[1]))
    try:
        with pytest.raises(OSError, match="2 of 4 bytes"):
            observer.append(file, b"two\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert file.read_bytes() == b"one\n"
