"""scikit-learn's pipelines of words and our classifiers, saved and loaded."""

import numpy as np
import pytest
from corpora import mail
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

import widemargin as wm

TEXTS, LABELS = mail(60)


@pytest.mark.parametrize(
    "steps",
    [
        [TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, stop_words="english")],
        [TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3), min_df=2)],
        [TfidfVectorizer(use_idf=False, norm=None, binary=True)],
        [CountVectorizer(token_pattern=r"\S+", lowercase=False)],
        [CountVectorizer(vocabulary=["money", "free", "lunch"]), TfidfTransformer(norm="l1")],
        [HashingVectorizer(n_features=100)],
        [HashingVectorizer(n_features=64, norm=None), TfidfTransformer()],
    ],
)
def test_a_saved_pipeline_scores_as_it_did(tmp_path, steps):
    pipeline = make_pipeline(*steps, wm.LinearSVC()).fit(TEXTS, LABELS)
    wm.save(pipeline, tmp_path / "m")
    loaded = wm.load(tmp_path / "m")
    later = [*TEXTS, "free unheard words", ""]
    assert loaded.decision_function(later) == pytest.approx(
        pipeline.decision_function(later), abs=1e-5
    )
    assert loaded.predict(np.array(later)).tolist() == pipeline.predict(later).tolist()


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([TfidfVectorizer(tokenizer=str.split, token_pattern=None)], ["tokenizer", "no code"]),
        ([CountVectorizer(analyzer=str.split)], ["analyzer", "no code"]),
        ([TfidfVectorizer(), MaxAbsScaler()], ["TfidfVectorizer, MaxAbsScaler", "pipeline[-1]"]),
        (
            [HashingVectorizer(), TfidfTransformer()],
            ["HashingVectorizer(norm='l2')", "norm=None"],
        ),
    ],
)
def test_what_cannot_be_saved_without_code_is_refused(tmp_path, steps, words):
    pipeline = make_pipeline(*steps, wm.LinearSVC()).fit(TEXTS, LABELS)
    with pytest.raises(ValueError) as caught:
        wm.save(pipeline, tmp_path / "m")
    assert all(word in str(caught.value) for word in words), caught.value
    assert list(tmp_path.iterdir()) == []


def test_a_column_transformer_is_refused_by_name(tmp_path):
    own = ColumnTransformer([("text", TfidfVectorizer(), 0)])
    pipeline = make_pipeline(own, wm.LinearSVC()).fit(np.array(TEXTS)[:, None], LABELS)
    with pytest.raises(ValueError, match="ColumnTransformer cannot be saved"):
        wm.save(pipeline, tmp_path / "m")


def test_open_gives_features_that_save_keeps(tmp_path):
    import json

    rows = [{"body": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]
    (tmp_path / "mail.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = wm.open(tmp_path / "mail.jsonl", text="body")
    clf = wm.LinearSVC().fit(data.X, data.y)
    wm.save(clf, tmp_path / "m", features=data.features)
    loaded = wm.load(tmp_path / "m")
    assert loaded.predict(TEXTS).tolist() == clf.predict(data.X).tolist()
    assert loaded.predict(data.X).tolist() == clf.predict(data.X).tolist()
    for wrong, words in (("one string", "one string"), (["a", {"b": 1}], "mixes dict, str")):
        with pytest.raises(ValueError, match=words):
            loaded.predict(wrong)
