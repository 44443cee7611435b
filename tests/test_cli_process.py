"""The command as a process: interrupts, pipes, what it imports."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import widemargin as wm
from widemargin.model import Model

COMMAND = [sys.executable, "-c", "from widemargin.cli import main; main()"]


@pytest.fixture
def model(tmp_path):
    wm.save(Model(np.array([1.0, -1.0]), np.zeros(1), ("no", "yes"), C=1.0), tmp_path / "m")
    return tmp_path / "m"


@pytest.mark.timeout(240)
def test_an_interrupt_is_one_line_and_leaves_nothing(tmp_path, model):
    (tmp_path / "first").write_text("1:1\n")  # compiles, which would be the wrong time to interrupt
    subprocess.run(
        [*COMMAND, "predict", model, tmp_path / "first"], check=True, capture_output=True
    )
    (tmp_path / "first").unlink()
    os.mkfifo(tmp_path / "pipe")
    process = subprocess.Popen(
        [*COMMAND, "predict", model, tmp_path / "pipe", "-o", tmp_path / "out"],
        stderr=subprocess.PIPE,
        text=True,
    )
    with (tmp_path / "pipe").open("w") as pipe:  # opens once the command reads it
        pipe.write("1:1\n")
        pipe.flush()
        deadline = time.monotonic() + 60.0
        while not list(tmp_path.glob(".out.*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        try:
            err = process.communicate(timeout=60)[1]
        finally:
            process.kill()  # does nothing to one that has ended
    assert (process.returncode, err) == (130, "widemargin: interrupted; nothing was written.\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "pipe"]


def test_a_broken_pipe_is_quiet(tmp_path, model):
    (tmp_path / "data").write_text("1:1\n" * 9_000_000)  # blocks enough to notice
    process = subprocess.Popen(
        [*COMMAND, "predict", model, tmp_path / "data"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"yes\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=30) == 141


def test_train_imports_neither_scikit_learn_nor_rich(tmp_path):
    (tmp_path / "data").write_text("+1 1:1\n-1 2:1\n" * 10)
    code = (
        "import sys\nfrom widemargin.cli import main\n"
        f"try: main(['train', {str(tmp_path / 'data')!r}, '-m', {str(tmp_path / 'm')!r}])\n"
        "except SystemExit as done: assert not done.code, done.code\n"
        "heavy = {'sklearn', 'rich', 'pydantic', 'matplotlib', 'scipy.sparse'} & set(sys.modules)\n"
        "assert heavy <= {'pydantic'}, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_importing_the_package_imports_nothing_else():
    code = "import sys, widemargin\nassert not {'numpy', 'numba'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
