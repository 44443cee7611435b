"""From raw text to a saved model in one command: no worse than scikit-learn on the same rows."""

import gzip
import json

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

import widemargin as wm
from widemargin.cli import main
from widemargin.data.split import split

SETS = {
    "sms_spam": ("sms_spam/SMSSpamCollection.tsv", ["--text", "2", "--label", "1"]),
    "spamassassin": ("spamassassin/emails.jsonl.gz", ["--text", "raw"]),
}


def texts_and_labels(name, path):
    if name == "spamassassin":
        with gzip.open(path, "rt") as file:
            rows = [json.loads(line) for line in file]
        return [row["raw"] for row in rows], [row["label"] for row in rows]
    whole = path.read_text().rstrip("\n").replace("\nre though", " re though")
    rows = [line.split("\t", 1) for line in whole.split("\n")]
    return [row[1] for row in rows], [row[0] for row in rows]


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("name", ["sms_spam", pytest.param("spamassassin", marks=pytest.mark.slow)])
def test_the_error_is_at_most_scikit_learns(shared_data, tmp_path, capsys, name, loss):
    file, options = SETS[name]
    path = shared_data(file)
    with pytest.raises(SystemExit):
        main(["train", str(path), *options, "-m", str(tmp_path / "m"), "--test-share", "0.2",
              "--loss", loss, "--json"])  # fmt: skip
    ours = json.loads(capsys.readouterr().out)
    texts, labels = texts_and_labels(name, path)
    assert ours["n_samples"] + round(0.2 * len(texts)) == pytest.approx(len(texts), abs=1)
    codes = np.unique(labels, return_inverse=True)[1].astype(np.int32)
    sides = split(codes, 0.2, 0, name)
    train, test = (([texts[i] for i in side], [labels[i] for i in side]) for side in sides)
    theirs = make_pipeline(TfidfVectorizer(), LinearSVC(loss=loss, max_iter=100_000)).fit(*train)
    assert ours["n_features"] == len(theirs[0].vocabulary_)
    assert ours["test_error"] <= 1.0 - theirs.score(*test)
    predicted = wm.load(tmp_path / "m").predict(test[0])
    assert np.mean(predicted != test[1]) == ours["test_error"]


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_the_error_on_150_classes_is_at_most_scikit_learns(shared_data, tmp_path, capsys, loss):
    parts = json.loads(shared_data("clinc150/data_full.json").read_text())
    for part in ("train", "test"):
        rows = [json.dumps({"text": text, "label": label}) for text, label in parts[part]]
        (tmp_path / f"{part}.jsonl").write_text("\n".join(rows))
    with pytest.raises(SystemExit):
        main(["train", str(tmp_path / "train.jsonl"), "--text", "text", "-m", str(tmp_path / "m"),
              "--test", str(tmp_path / "test.jsonl"), "--loss", loss, "--json"])  # fmt: skip
    ours = json.loads(capsys.readouterr().out)
    theirs = make_pipeline(TfidfVectorizer(), LinearSVC(loss=loss, max_iter=100_000))
    theirs.fit(*zip(*parts["train"], strict=True))
    assert ours["n_classes"] == 150
    texts, labels = map(np.array, zip(*parts["test"], strict=True))
    own, other = wm.load(tmp_path / "m").predict(texts), theirs.predict(texts)
    assert np.mean(own != labels) == ours["test_error"]
    more = np.sum(own != labels) - np.sum(other != labels)
    # theirs penalises the intercept, which is another problem: with the squared hinge its optimum
    # is luckier on some rows and ours on others, so there the bound is what chance allows
    luck = 2.0 * np.sqrt(np.sum(own != other)) if loss == "squared_hinge" else 0.0
    assert more <= luck
