"""A server says that it lives in the midst of its work: loading, stepping, copying, saving."""

import sys
import threading
import time
from contextlib import suppress

import numpy as np
import pytest

from widemargin.ps import messages as m
from widemargin.ps.job import Range
from widemargin.ps.keys import part_key
from widemargin.ps.optimizers import AdamW
from widemargin.ps.parameters import Parameters, Rule, Update
from widemargin.ps.policy import Async
from widemargin.ps.settings import Settings
from widemargin.run.cluster import host
from widemargin.run.cluster.folder import Folder
from widemargin.run.cluster.plan import Needs, Plan
from widemargin.schedules import Constant

NAME, RULE = "shard-0.0", Rule(AdamW(), Constant(0.01), decay=0.9)


class Heard:
    """Takes what a server sends: when it said that it lives, and all else."""

    def __init__(self):
        self.beats, self.messages, self.ended = [], [], False

    def send(self, to, message):
        if isinstance(message, m.Alive):
            self.beats.append(time.monotonic())
        self.messages.append(message)

    def flush(self):
        if self.ended:
            sys.exit()  # the server's thread

    def push(self):
        return False

    def wait(self, kind, seconds=100.0):
        until = time.monotonic() + seconds
        while not any(isinstance(message, kind) for message in self.messages):
            assert time.monotonic() < until, self.messages[-3:]
            time.sleep(0.002)

    def gaps(self):
        return np.diff(self.beats)


class Mute:
    """The observer hears nothing."""

    first = count = 0

    def __init__(self, *_):
        pass

    def flush(self):
        pass


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """A server's own loop on a thread, its folder on the disk; nothing else is real."""
    monkeypatch.setattr(host, "Herald", Mute)
    monkeypatch.setattr(host, "wanted", lambda: False)
    monkeypatch.setattr(host.Host, "look", lambda self: None)
    threads, heard = [], Heard()

    def begun(n, deadline_s):
        ticks = {"retry_s": deadline_s / 6, "tick_s": deadline_s / 24, "deadline_s": deadline_s}
        settings = Settings(4, 1, Async(), ((NAME,),), **ticks)
        needs, parts = Needs(0.0, 0.0, {}), (Range(0, n),)
        plan = Plan("run", str(tmp_path), settings, RULE, parts, needs, (1, 1, 1), False, 1.0)
        first = Parameters.create(RULE, np.zeros((n, 1), np.float32), 0)
        Folder(tmp_path, 1).save(part_key("0-0", 0), first.arrays())
        server = host.Host.__new__(host.Host)
        server.name, server.role_name, server.life = "run", NAME, 1
        server.inbox, server.post = host.SimpleQueue(), heard

        def live():
            with suppress(SystemExit):
                server.run(plan)

        threads.append(threading.Thread(target=live, daemon=True))
        threads[0].start()
        return server, heard

    yield begun
    heard.ended = True
    threads[0].join(30.0)


def worked(server, heard, n, tmp_path):
    """Load a snapshot, serve θ, take two gradients in one commit, save: the seconds of each."""
    seconds, values = {}, np.ones((n, 1), np.float32)
    values.flags.writeable = False
    pull = m.Pull("worker-0", (1, 1), 0, None)
    snapshot = m.Snapshot(1, 1, "1-1")
    block, leases = m.Block(0, 0), [(1, 2), (1, 3)]
    entry = m.Entry(1, 1, tuple((lease, block) for lease in leases))
    copied = tmp_path / "snapshots" / "1-1" / "shard-0.safetensors"
    pushes = [m.Push("worker-0", lease, block, 0, Update(None, values, 1)) for lease in leases]
    for what, messages, answer in [
        ("load", [m.Install(1, (0, 0), (0, 0), (), "0-0"), pull], m.Params),
        ("hold", pushes, m.Held),
        ("commit", [snapshot, m.Commit(1, (entry,), (), 0), snapshot, snapshot], m.Saved),
    ]:
        began = time.monotonic()
        for message in messages:
            server.inbox.put(message)
        heard.wait(answer)
        seconds[what] = time.monotonic() - began
    assert copied.exists()
    return seconds


def test_a_server_beats_in_the_midst_of_its_work(serve, tmp_path, monkeypatch):
    """A tick is so short here that any work is long; what is asked for again is done once."""
    n, loads, load = 3_000_000, [], Folder.load
    saves, save = [], Folder.save
    server, heard = serve(n, deadline_s=0.024)
    monkeypatch.setattr(Folder, "load", lambda *args: loads.append(args[1]) or load(*args))
    monkeypatch.setattr(Folder, "save", lambda *args: saves.append(args[1]) or save(*args))
    worked(server, heard, n, tmp_path)
    assert (loads, saves) == (["0-0/shard-0"], ["1-1/shard-0"])
    stamps = [a.stamp for a in heard.messages if isinstance(a, m.Alive)]
    assert stamps == sorted(stamps) and stamps[-1] == (1, 1)
    loading = [a for a in heard.messages if isinstance(a, m.Alive) and not a.whole]
    numbers = [a.sequence for a in heard.messages if isinstance(a, m.Alive)]
    assert len(loading) > 5 and sorted(numbers) == list(range(1, len(numbers) + 1))
    assert server.role.store.read()[0, 0] < 0.0


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [100, 200])
def test_no_silence_is_longer_than_a_sixth_of_a_deadline(serve, tmp_path, megabytes):
    """A range of so many MB, its state four times as large (slots and average)."""
    n = megabytes * 250_000
    server, heard = serve(n, deadline_s=3.0)
    seconds = worked(server, heard, n, tmp_path)
    told = {what: round(s, 2) for what, s in seconds.items()}
    print(f"{megabytes} MB: longest silence {heard.gaps().max():.3f} s; seconds of {told}")
    assert sum(seconds.values()) > 0.5, "the work is long"
    assert heard.gaps().max() < 3.0 / 6
