"""The line on a terminal: what it says, that it stays, that nothing of it reaches a pipe."""

import json
import math
import os
import pty
import select
import termios
import time
import tty
from contextlib import redirect_stderr

import pytest

from widemargin.cli import live, main, train

NAN = math.nan
DATA = "+1 1:1 2:0.5\n-1 2:1\n" * 30


class Terminal:
    """A pseudo-terminal as stderr; `text` is what was written to it."""

    def __init__(self, columns=80):
        self.ours, theirs = pty.openpty()
        tty.setraw(theirs)
        termios.tcsetwinsize(theirs, (24, columns))
        self.stream = os.fdopen(theirs, "w")
        self.text = ""

    def read(self, seconds):
        """Wait so long for something, then take all there is."""
        while select.select([self.ours], [], [], seconds)[0]:
            self.text += os.read(self.ours, 65536).decode()
            seconds = 0.0
        return self.text

    def close(self):
        self.stream.close()
        os.close(self.ours)


@pytest.fixture
def terminal(monkeypatch):
    made = Terminal()
    monkeypatch.setattr(live, "PATIENCE", 0.0)
    yield made
    made.close()


def shown(text):
    """The lines as they stand on the screen at last."""
    return [line.rpartition("\r")[2].rstrip() for line in text.split("\n")]


def test_a_line_is_written_over_and_the_last_one_stays(terminal):
    lines = iter(["a long first line", "last"])
    with redirect_stderr(terminal.stream), live.Live(lambda seconds, done: next(lines, "last")):
        assert terminal.read(20.0)
    assert shown(terminal.read(0.0)) == ["last", ""]
    assert terminal.text.startswith("\ra long first line")


def test_a_failure_leaves_no_line(terminal):
    half = live.Live(lambda seconds, done: "half")
    with redirect_stderr(terminal.stream), pytest.raises(KeyboardInterrupt), half:
        assert terminal.read(20.0)
        raise KeyboardInterrupt
    assert shown(terminal.read(0.0)) == [""]


def test_a_line_fits_the_terminal(terminal):
    termios.tcsetwinsize(terminal.stream.fileno(), (24, 20))
    with redirect_stderr(terminal.stream), live.Live(lambda seconds, done: "x" * 100):
        assert terminal.read(20.0)
    assert shown(terminal.read(0.0)) == ["x" * 19, ""]
    termios.tcsetwinsize(terminal.stream.fileno(), (0, 0))
    with redirect_stderr(terminal.stream):
        assert live.columns() == 80


def test_short_work_and_pipes_show_nothing(terminal, monkeypatch, capfd):
    monkeypatch.setattr(live, "PATIENCE", 60.0)
    with redirect_stderr(terminal.stream), live.Live(lambda seconds, done: "line") as line:
        assert line.thread is not None
    assert terminal.read(0.05) == ""
    with live.Live(lambda seconds, done: "line") as line:
        assert line.thread is None
    assert capfd.readouterr().err == ""


def test_train_tells_its_epochs_and_keeps_json_clean(terminal, monkeypatch, capfd, tmp_path):
    (tmp_path / "data").write_text(DATA)
    real = train.fit

    def slow(*arguments, **options):
        """The fit, which ends once a line with its last epoch was written."""
        fitted = real(*arguments, **options)
        deadline = time.monotonic() + 20.0
        while f"epoch {fitted.epochs} " not in terminal.read(0.2) and time.monotonic() < deadline:
            pass
        return fitted

    monkeypatch.setattr(train, "fit", slow)
    said = ["train", str(tmp_path / "data"), "-m", str(tmp_path / "m"), "--solver", "sgd", "--json"]
    with redirect_stderr(terminal.stream), pytest.raises(SystemExit) as done:
        main(said)
    assert not done.value.code
    report = json.loads(capfd.readouterr().out)
    (line, empty), last = shown(terminal.read(0.0)), report["epochs"]
    assert line.startswith(f"epoch {last}  objective {report['objective']:.6g}  gap")
    assert "rows/s" in line and empty == ""


def test_the_gap_tells_the_time_left():
    watch = live.Epochs(n=1000, epochs=1000, tol=1e-3)
    assert watch.told(2.0, False) == "epoch 1  2 s"
    for epoch in range(1, 5):  # a tenth each two seconds: 1e-3 after six seconds
        row = {"epoch": epoch, "seconds": float(epoch), "objective": 5.0}
        watch.row({**row, "gap": 10 ** (-epoch / 2), "dual": 4.0})
    assert watch.left() == pytest.approx(2.0)
    expected = "epoch 4  objective 5  gap 1.0e-02  1 k rows/s  4 s  about 2 s left"
    assert watch.told(4.0, False) == expected
    assert watch.told(4.0, True) == expected.removesuffix("  about 2 s left")


def test_between_certificates_the_rise_of_the_dual_tells_the_gap():
    watch, dual = live.Epochs(n=1000, epochs=1000, tol=1e-4), 0.0
    for epoch in range(1, 7):  # the dual rises by a tenth of what it rose before
        dual += 100.0 * 0.1**epoch
        seen = {"objective": 12.0, "gap": 0.3} if epoch == 2 else {"objective": NAN, "gap": NAN}
        watch.row({"epoch": epoch, "seconds": float(epoch), "dual": dual, **seen})
    assert watch.seen[-1].gap == pytest.approx(0.3e-4, rel=0.1)
    assert watch.left() == 0.0 and watch.gap == 0.3


def test_without_a_tolerance_the_epochs_tell_the_time_left():
    watch = live.Epochs(n=10, epochs=5, tol=None)
    watch.row({"epoch": 2, "seconds": 4.0, "objective": NAN, "gap": NAN, "dual": NAN})
    assert watch.left() == 6.0 and "about 6 s left" in watch.told(4.0, False)


def test_numbers_for_people():
    assert live.speed(1234567.0) == "1.23 M rows/s" and live.speed(12.0) == "12 rows/s"
    assert [live.duration(s) for s in (0.2, 61.0, 600.0, 7200.0)] == [
        "1 s",
        "61 s",
        "10 min",
        "2.0 h",
    ]
    rows = live.Rows()
    rows.add(5000)
    assert rows.told(2.0, False) == "5,000 rows  2.5 k rows/s  2 s"
