"""Whom the watchdog of a private Ray takes for Ray's processes."""

import subprocess
import sys

import pytest

from widemargin.run.cluster.watchdog import users

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
WAIT = "import sys; print(flush=True); sys.stdin.read()"
OPEN = f"import sys; stream = open(sys.argv[-1]); {WAIT}"


@pytest.mark.parametrize(
    ("code", "words", "of_ray"),
    [
        (WAIT, ["status", "{folder}/run", "--watch"], False),
        (OPEN, ["{folder}/run/events.jsonl"], False),
        (WAIT, ["/lib/ray/core/raylet", "--session-dir={folder}/session"], True),
        (OPEN, ["{folder}/session/log"], True),
    ],
)
def test_who_looks_at_a_run_is_not_of_its_ray(tmp_path, code, words, of_ray):
    for name in ("run/events.jsonl", "session/log"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    command = [sys.executable, "-S", "-c", code, *(word.format(folder=tmp_path) for word in words)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        found = users(str(tmp_path))
        process.stdin.close()
    assert found == ([process.pid] if of_ray else [])
