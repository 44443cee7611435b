"""Actions on raw text: files for both sides, and whole processes from text to model."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.commands import WIDEMARGIN, python, read_once
from harness.datasets import SHARED

Spec = dict[str, Any]
Document = tuple[str, str]  # text, label
SCIKIT = """
import json, sys
import joblib
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

def read(path):
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row["text"] for row in rows], [row["label"] for row in rows]

train, test, model, loss = sys.argv[1:]
pipeline = make_pipeline(TfidfVectorizer(), LinearSVC(loss=loss, max_iter=100_000))
pipeline.fit(*read(train))
joblib.dump(pipeline, model)
texts, labels = read(test)
print(sum(a != b for a, b in zip(pipeline.predict(texts), labels)))
"""


def _sms() -> tuple[list[Document], list[Document]]:
    lines: list[str] = []
    for line in (SHARED / SETS["sms_spam"][0]).read_text("utf-8").splitlines():
        if "\t" in line:
            lines.append(line)
        else:  # a newline inside a message
            lines[-1] += " " + line
    rows = [(text, label) for label, text in (line.split("\t", 1) for line in lines)]
    return _split(rows)


def _spamassassin() -> tuple[list[Document], list[Document]]:
    with gzip.open(SHARED / SETS["spamassassin"][0], "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return _split([(row["raw"], row["label"]) for row in rows])


def _clinc150() -> tuple[list[Document], list[Document]]:
    parts = json.loads((SHARED / SETS["clinc150"][0]).read_text("utf-8"))
    train, test = ([(text, label) for text, label in parts[name]] for name in ("train", "test"))
    return train, test


SETS: dict[str, tuple[str, Callable[[], Any]]] = {
    "sms_spam": ("sms_spam/SMSSpamCollection.tsv", _sms),
    "spamassassin": ("spamassassin/emails.jsonl.gz", _spamassassin),
    "clinc150": ("clinc150/data_full.json", _clinc150),
}


def skip(name: str) -> tuple[bool, str]:
    """(True, why) where the documents are not to be had here."""
    if name not in SETS:
        return True, f"{name} is none of {', '.join(SETS)}"
    file = SETS[name][0]
    return not (SHARED / file).exists(), f"{file} is not in ../shared/data"


def _split(rows: list[Document]) -> tuple[list[Document], list[Document]]:
    """A fifth of each class set aside, as `train --test-share 0.2` does it."""
    import numpy as np

    from widemargin.data.split import split

    codes = np.unique([label for _, label in rows], return_inverse=True)[1].astype(np.int32)
    train, test = split(codes, 0.2, 0, "documents")
    return [rows[i] for i in train], [rows[i] for i in test]


def make(spec: Spec) -> Any:
    """train.jsonl and test.jsonl of a data set."""
    folder = Path(spec["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    for name, rows in zip(("train", "test"), SETS[spec["data"]][1](), strict=True):
        lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
        found[name] = str((folder / f"{name}.jsonl").resolve())
        Path(found[name]).write_text("\n".join(lines) + "\n", "utf-8")
        found[f"n_{name}"] = len(rows)
    return found


def widemargin(spec: Spec) -> Any:
    """`widemargin train`, text to saved model, the kernels cached by a run before."""
    for name in ("train", "test"):
        read_once(Path(spec[name]))
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder, "model"))
        options = ["--text", "text", "-m", model, "--loss", spec["loss"], "--json"]
        python(WIDEMARGIN, "train", spec["test"], *options)
        seconds, out = python(WIDEMARGIN, "train", spec["train"], "--test", spec["test"], *options)
        n_test = sum(1 for _ in Path(spec["test"]).open("rb"))
        told = json.loads(out)
        return {
            "seconds": seconds,
            "load": told["seconds"]["load"],
            "fit": told["seconds"]["fit"],
            "wrong": round(told["test_error"] * n_test),
            "bytes": os.path.getsize(model),
        }


def scikit(spec: Spec) -> Any:
    """TfidfVectorizer into LinearSVC, text to saved pipeline."""
    for name in ("train", "test"):
        read_once(Path(spec[name]))
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder, "model"))
        seconds, out = python(SCIKIT, spec["train"], spec["test"], model, spec["loss"])
        return {"seconds": seconds, "wrong": int(out), "bytes": os.path.getsize(model)}
