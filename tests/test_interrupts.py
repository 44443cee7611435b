"""An interrupt that falls into a callback, where Python drops it, comes again."""

import os
import signal
import time
import weakref

import pytest

from widemargin.cli import interrupts


class Thing:
    pass


def test_an_interrupt_that_is_dropped_comes_again(monkeypatch, capsys):
    monkeypatch.setattr(interrupts, "AGAIN", 0.05)
    before = interrupts.hear_interrupts()
    dropped = []

    def callback(_):
        dropped.append(True)
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # the handler runs here, and what it raises is lost
            pass

    try:
        thing = Thing()
        kept = weakref.ref(thing, callback)
        del thing
        assert dropped and kept() is None
        with pytest.raises(KeyboardInterrupt):
            time.sleep(20.0)
    finally:
        interrupts.no_more_interrupts()
        interrupts.restore(before)
    assert signal.getsignal(signal.SIGINT) is before.handlers[signal.SIGINT]
