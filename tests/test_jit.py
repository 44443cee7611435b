"""Compiled kernels: cached under the digest of the package, loaded without compiling."""

import json
import os
import shutil
import subprocess
import sys

from widemargin import _jit

SCRIPT = """
import json, sys
import numpy as np
from widemargin.data.checks import has_repeats
indices, indptr = np.array([0, 2, 2], np.uint32), np.array([0, 1, 3])
found = bool(has_repeats(indices, indptr, np.full(3, -1, np.int64)))
hits, misses = has_repeats.stats.cache_hits, has_repeats.stats.cache_misses
print(json.dumps({"found": found, "hits": sum(hits.values()), "misses": sum(misses.values()),
                  "scipy": "scipy.linalg" in sys.modules}))
"""


def process(cache):
    source = _jit.PACKAGE.parent
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return json.loads(done.stdout)


def test_a_second_process_loads_what_the_first_compiled(tmp_path):
    first, second = process(tmp_path), process(tmp_path)
    assert first == {"found": True, "hits": 0, "misses": 1, "scipy": first["scipy"]}
    assert second == {"found": True, "hits": 1, "misses": 0, "scipy": False}
    assert [folder.name for folder in (tmp_path / "widemargin" / "kernels").iterdir()] == [
        _jit.digest()
    ]


def test_an_edit_anywhere_in_the_package_changes_the_digest(tmp_path, monkeypatch):
    copy = tmp_path / "widemargin"
    shutil.copytree(_jit.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(_jit, "PACKAGE", copy)
    before = _jit.digest.__wrapped__()
    assert before == _jit.digest()
    with open(copy / "losses.py", "a") as losses:
        losses.write("# edited\n")
    assert _jit.digest.__wrapped__() != before


def test_a_read_only_home_gets_a_folder_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "widemargin").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = _jit.cache_folder.__wrapped__()
    try:
        assert folder.is_dir() and tmp_path not in folder.parents
    finally:
        shutil.rmtree(folder)


def test_old_folders_go(tmp_path):
    for k in range(_jit.KEPT_CACHES + 3):
        (tmp_path / str(k)).mkdir()
        os.utime(tmp_path / str(k), (k, k))
    _jit._forget_old(tmp_path)
    assert {folder.name for folder in tmp_path.iterdir()} == {
        str(k) for k in range(3, _jit.KEPT_CACHES + 3)
    }
