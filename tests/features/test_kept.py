"""Model files with features: whole or refused; what they say must fit together."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import widemargin as wm
from widemargin.data.records import Batch, Reading
from widemargin.errors import ModelFileError
from widemargin.features.columns import kind_of
from widemargin.features.fitted import Features
from widemargin.features.kept import from_kept, to_kept
from widemargin.features.table import fit_table
from widemargin.features.text import Weighing, fit_text
from widemargin.features.vocabulary import Limits
from widemargin.features.words import WordRule, count
from widemargin.model import Model
from widemargin.model_file import digest


def make():
    """Text and table: words with odd characters, a number with gaps, categories."""
    texts = ["free mönéy\n東京", "lunch \ud800 home", ""]
    rule = WordRule(analyzer="char", ngram_range=(1, 2), stop_words=())
    text, _ = fit_text(("body",), rule, Weighing(), Limits(), [count(rule, texts)], None, "x")
    batch = Batch({"age": ["1", "", "3"], "kind": ["x", "ÿ", ""]}, [1, 2, 3], "x")
    columns = {name: kind_of(batch, name)(name) for name in batch.columns}
    for column in columns.values():
        column.add(batch)
    return Features(text, fit_table(columns, slice(None), 0), Reading("csv", names=("age", "kind")))


FEATURES = make()
MODEL = Model(
    np.linspace(-1.0, 1.0, FEATURES.n_features), np.array([0.5]), ("ham", "spam"), features=FEATURES
)


def same(one, other):
    facts, tensors = to_kept(one.features)
    others, more = to_kept(other.features)
    return (
        np.array_equal(one.W, other.W)
        and json.dumps(facts) == json.dumps(others)
        and tensors.keys() == more.keys()
        and all(np.array_equal(tensors[name], more[name]) for name in tensors)
    )


def test_features_come_back_as_they_were(tmp_path):
    wm.save(MODEL, tmp_path / "m")
    loaded = wm.load(tmp_path / "m")
    assert same(loaded, MODEL)
    assert loaded.features.text.terms == FEATURES.text.terms
    assert loaded.features.table.categories == FEATURES.table.categories
    records = [{"body": "mönéy \ud800", "age": "2", "kind": "ÿ"}, {"body": None}]
    assert np.array_equal(loaded.scores(records), MODEL.scores(records))


def test_models_without_features_keep_the_first_version(tmp_path):
    wm.save(Model(np.ones(2), np.zeros(1), ("a", "b")), tmp_path / "m")
    said = json.loads(metadata(tmp_path / "m")["widemargin"])
    assert said["version"] == 1 and "features" not in said


def metadata(path):
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return file.metadata()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_are_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged", numbered=True) / "m"
    wm.save(MODEL, path)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(at, min(len(whole), at + 8)))
    path.write_bytes(whole[:at] + data.draw(st.binary(max_size=8)) + whole[end:])
    try:
        loaded = wm.load(path)
    except ModelFileError as error:
        assert str(path) in str(error)
    else:
        assert same(loaded, MODEL), "what loads is what was saved"


def set_in(facts, path, value):
    *steps, last = path
    for step in steps:
        facts = facts[step]
    facts[last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["features"], None),
        (["features"], {}),
        (["features"], 3),
        (["features", "text"], None),
        (["features", "reading", "format"], "xls"),
        (["features", "reading"], {"formats": "csv"}),
        (["features", "text", "rule", "analyzer"], "magic"),
        (["features", "text", "rule", "ngram_range"], [2, 1]),
        (["features", "text", "rule", "ngram_range"], 1),
        (["features", "text", "rule", "token_pattern"], "["),
        (["features", "text", "rule", "n_hashed"], 8),
        (["features", "text", "rule", "n_hashed"], "8"),
        (["features", "text", "rule", "code"], "x"),
        (["features", "text", "columns"], "body"),
        (["features", "text", "columns"], [1]),
        (["features", "table", "numbers"], ["age", "height"]),
        (["features", "table", "gaps"], ["height"]),
        (["features", "table", "categories"], [["kind", ["x"]]]),
        (["features", "table", "n_hashed"], -1),
    ],
)
def test_facts_that_do_not_fit_are_refused(tmp_path, path, value):
    wm.save(MODEL, tmp_path / "m")
    tensors, facts = load_file(tmp_path / "m"), json.loads(metadata(tmp_path / "m")["widemargin"])
    set_in(facts, path, value)
    write(tmp_path / "m", tensors, facts)
    with pytest.raises(ModelFileError, match="m: found .*accepted: a model file"):
        wm.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("features.text.ends", lambda a: a[:-1]),
        ("features.text.ends", lambda a: a[::-1].copy()),
        ("features.text.idf", lambda a: a[:-1]),
        ("features.text.idf", lambda a: a * np.nan),
        ("features.table.scale", np.zeros_like),
        ("features.table.mean", lambda a: a.astype(np.int64)),
        ("features.text.terms", lambda a: a.astype(np.int8)),
        ("features.text.terms", None),
        ("W", lambda a: a[:-1]),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path, name, change):
    wm.save(MODEL, tmp_path / "m")
    tensors, facts = load_file(tmp_path / "m"), json.loads(metadata(tmp_path / "m")["widemargin"])
    array = tensors.pop(name)
    if change is not None:
        tensors[name] = change(array)
    write(tmp_path / "m", tensors, facts)
    with pytest.raises(ModelFileError, match="m: found .*accepted: a model file"):
        wm.load(tmp_path / "m")


def write(path, tensors, facts):
    text = json.dumps(facts, ensure_ascii=False)
    more = {name: array for name, array in tensors.items() if name not in ("W", "b")}
    signed = {"widemargin": text, "digest": digest(text, tensors["W"], tensors["b"], more)}
    save_file(tensors, path, signed)


def test_the_unchanged_parts_of_those_tests_are_accepted(tmp_path):
    wm.save(MODEL, tmp_path / "m")
    tensors, facts = load_file(tmp_path / "m"), json.loads(metadata(tmp_path / "m")["widemargin"])
    write(tmp_path / "m", tensors, facts)
    assert same(wm.load(tmp_path / "m"), MODEL)


def test_weights_of_another_number_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"2 weights for \d+ features of its input"):
        wm.save(Model(np.ones(2), np.zeros(1), ("a", "b")), tmp_path / "m", features=FEATURES)


def test_features_of_nothing_are_refused():
    with pytest.raises(ValueError, match="features of nothing"):
        from_kept({"reading": Reading("csv")._asdict()}, {})
