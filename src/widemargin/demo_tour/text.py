"""From raw text to a saved model, and what it goes by; messages drawn from a seed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from widemargin.demo_tour.lines import Line, Stopwatch
from widemargin.estimators.linear_svc import LinearSVC
from widemargin.explanation import explain
from widemargin.model_file import load, save
from widemargin.opening import open as open_data

MESSAGES, OWN = 2000, 0.12  # the share of words that give a message's class away
COMMON = (
    "the a to and you it is for on that with have this be at we not are will can just now get "
    "me my your our so but if when up out time day home work call send see know like one good"
).split()
WORDS = {
    "ham": "lunch tonight sorry later love meeting train tomorrow dinner thanks mum class".split(),
    "spam": "prize winner free cash claim urgent txt mobile offer guaranteed bonus reply".split(),
}


def messages(n: int, seed: int) -> tuple[list[str], list[str]]:
    """Texts of 4 to 25 words and their classes, one in four spam."""
    rng = np.random.default_rng(seed)
    labels = [str(label) for label in np.where(rng.random(n) < 0.25, "spam", "ham")]
    texts = []
    for label in labels:
        own = rng.random(rng.integers(4, 26)) < OWN
        texts.append(" ".join(str(rng.choice(WORDS[label] if mine else COMMON)) for mine in own))
    return texts, labels


def text(task: Any) -> Iterator[Line]:
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="widemargin-demo-") as name:
        mail, kept = Path(name, "mail.jsonl"), Path(name, "model")
        rows = zip(*messages(MESSAGES, 0), strict=True)
        mail.write_text("".join(json.dumps({"text": t, "label": y}) + "\n" for t, y in rows))
        data = open_data(mail, text="text", label="label")
        clf = LinearSVC(loss="hinge", tol=1e-3, random_state=0).fit(data.X, data.y)
        save(clf, kept, features=data.features)
        model = load(kept)
    texts, labels = messages(MESSAGES, 1)
    error = float(np.mean(model.predict(texts) != np.array(labels)))
    words = [each["feature"] for each in explain(model, top=5)["classes"]["spam"]]
    yield Line(
        f"raw text, {MESSAGES:,} messages",
        f"{data.n_features} words, test error {100 * error:.1f} %; spam by: {', '.join(words)}",
        watch.lap(),
        {"n_features": data.n_features, "test_error": error, "words": words},
    )
