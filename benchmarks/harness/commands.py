"""Actions that time whole processes, from their start to their end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness.environment import ONE_THREAD

Spec = dict[str, Any]
WIDEMARGIN = "from widemargin.cli import main; main()"
TRAIN = ("--solver", "sgd", "--epochs", "1", "--alpha", "1e-4", "--json")
VOWPAL = """
import sys, time
from vowpalwabbit import Workspace
began = time.perf_counter()
Workspace(arg_list=sys.argv[1:]).finish()
print(time.perf_counter() - began)
"""
SCIKIT = """
import sys, warnings
from sklearn.datasets import load_svmlight_file
from sklearn.linear_model import SGDClassifier
warnings.simplefilter("ignore")
X, y = load_svmlight_file(sys.argv[1])
X.indices, X.indptr = X.indices.astype("int32"), X.indptr.astype("int32")  # all that it takes
SGDClassifier(alpha=1e-4, max_iter=1, tol=None).fit(X, y)
"""
TWICE = """
import contextlib, io, sys, time
import widemargin.cli.train
from widemargin.cli import app
for _ in range(2):
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        app.run(sys.argv[1:])
    print(time.perf_counter() - began)
"""
SMALL_FILE = "\n".join(f"{2 * (i % 2) - 1} {1 + i % 7}:0.5 {9 + i % 5}:1" for i in range(200))


def timed(command: list[str], **environment: str) -> tuple[float, str]:
    """(seconds, stdout) of a process, which may use all cores."""
    free = {key: value for key, value in os.environ.items() if key not in ONE_THREAD}
    began = time.perf_counter()
    done = subprocess.run(
        command, env={**free, **environment}, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{command[:3]} ended with {done.returncode}: {done.stderr[-1000:]}")
    return seconds, done.stdout


def python(code: str, *arguments: str, **environment: str) -> tuple[float, str]:
    return timed([sys.executable, "-c", code, *arguments], **environment)


def start(spec: Spec) -> Any:
    """A one-line program: spec["code"] with spec["arguments"]."""
    return {"seconds": python(spec["code"], *spec["arguments"])[0]}


def train(spec: Spec) -> Any:
    """`widemargin train FILE`, file to saved model, the kernels cached by a run before."""
    file = Path(spec["file"])
    read_once(file)
    threads = [] if spec.get("n_jobs") is None else ["--n-jobs", str(spec["n_jobs"])]
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder, "small.svm")
        small.write_text(SMALL_FILE, "utf-8")
        model = str(Path(folder, "model"))
        python(WIDEMARGIN, "train", str(small), "-m", model, *TRAIN, *threads)
        seconds, out = python(WIDEMARGIN, "train", str(file), "-m", model, *TRAIN, *threads)
    told = json.loads(out)
    return {
        "seconds": seconds,
        **{f"own_{key}": value for key, value in told["seconds"].items()},
        "train_error": told["train_error"],
    }


def first_run(spec: Spec) -> Any:
    """The first run of all, on an empty cache of kernels, and the second one."""
    file = Path(spec["file"])
    read_once(file)
    with tempfile.TemporaryDirectory() as cache:
        call = ("train", str(file), "-m", str(Path(cache, "model")), *TRAIN)
        first, _ = python(WIDEMARGIN, *call, XDG_CACHE_HOME=cache)
        second, _ = python(WIDEMARGIN, *call, XDG_CACHE_HOME=cache)
    return {"first": first, "second": second, "compilation": first - second}


def kernels_loaded(spec: Spec) -> Any:
    """What a process pays for compiled kernels that are cached: its first small training less
    its second, all imports done."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder, "small.svm")
        small.write_text(SMALL_FILE, "utf-8")
        call = ("train", str(small), "-m", str(Path(folder, "model")), *TRAIN)
        python(TWICE, *call)
        first, second = map(float, python(TWICE, *call)[1].split())
        whole = python(WIDEMARGIN, *call)[0]
    return {"loading": first - second, "again": second, "whole": whole}


def vowpal(spec: Spec) -> Any:
    """One pass of Vowpal Wabbit; `inside` leaves out the start of Python."""
    file = Path(spec["file"])
    read_once(file)
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--data", str(file), "-f", str(Path(folder, "model")), *spec["arguments"]]
        seconds, out = python(VOWPAL, *arguments)
    return {"seconds": seconds, "inside": float(out.split()[-1])}


def scikit(spec: Spec) -> Any:
    """load_svmlight_file, then one epoch of SGDClassifier."""
    file = Path(spec["file"])
    read_once(file)
    return {"seconds": python(SCIKIT, str(file))[0]}


def read_once(path: Path) -> None:
    """Into the page cache."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 24):
            pass
