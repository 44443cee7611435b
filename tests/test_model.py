"""Model files: whole or refused, and predictions that agree with the estimator."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from scipy.sparse import csr_matrix

import widemargin as wm
from widemargin.errors import ModelFileError
from widemargin.estimators.perceptron import Perceptron
from widemargin.estimators.sgd import SGDClassifier
from widemargin.model import Model
from widemargin.model_file import digest

MODEL = Model(
    W=np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]]),
    b=np.array([0.1, -0.2, 0.0]),
    labels=("ham", "späm", "+1"),
    certificate={"primal": 2.0, "dual": 1.0, "gap": 1.0, "relative_gap": 0.5},
    training={"n_samples": 12, "epochs": 3},
    C=2.0,
)


def same(one: Model, other: Model) -> bool:
    facts = [{k: v for k, v in vars(m).items() if k not in ("W", "b")} for m in (one, other)]
    return facts[0] == facts[1] and all(
        np.array_equal(a, b) for a, b in ((one.W, other.W), (one.b, other.b))
    )


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 5)) + 2.0 * np.eye(5)[rng.integers(0, 3, 90)]
    return X, X[:, :3].argmax(axis=1)


def test_a_model_comes_back_as_it_was(tmp_path):
    path = tmp_path / "m.safetensors"
    wm.save(MODEL, path)
    assert same(wm.load(path), MODEL)
    assert [file.name for file in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.mark.parametrize("kind", [SGDClassifier, Perceptron])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("names", [[4, 7, 9], ["b", "c", "a"], [1.0, 2.0, 4.0]])
def test_a_loaded_model_agrees_with_the_estimator(tmp_path, blobs, kind, n_classes, names):
    X, codes = blobs
    y = np.array(names)[codes % n_classes]
    fitted = kind(random_state=0).fit(X, y)
    wm.save(fitted, tmp_path / "m")
    loaded = wm.load(tmp_path / "m")
    for rows in (X, X.astype(np.float32), csr_matrix(X), np.asfortranarray(X)):
        assert loaded.decision_function(rows) == pytest.approx(
            fitted.decision_function(X), rel=1e-5, abs=1e-5
        )
    assert np.array_equal(loaded.predict(X), fitted.predict(X))
    assert loaded.predict(X).dtype.kind == fitted.predict(X).dtype.kind


def test_booleans_stay_booleans(tmp_path, blobs):
    X, codes = blobs
    wm.save(SGDClassifier(random_state=0).fit(X, codes > 0), tmp_path / "m")
    assert wm.load(tmp_path / "m").predict(X).dtype == np.bool_


def test_loading_and_predicting_import_no_scikit_learn(tmp_path):
    wm.save(MODEL, tmp_path / "m")
    code = (
        "import sys, numpy as np, widemargin as wm\n"
        f"wm.load({str(tmp_path / 'm')!r}).predict(np.zeros((3, 2)))\n"
        "assert 'sklearn' not in sys.modules and 'scipy.sparse' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_another_number_of_features_is_named_with_both_counts():
    with pytest.raises(ValueError, match=r"X has 4 features.*trained on 2"):
        MODEL.predict(np.zeros((1, 4)))


def test_an_estimator_that_is_not_fitted_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"SGDClassifier has no coef_.*call fit first"):
        wm.save(SGDClassifier(), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(tmp_path, bad):
    W = np.array([1.0, bad])
    with pytest.raises(ValueError, match="not finite"):
        wm.save(Model(W, np.zeros(1), ("a", "b")), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "m", W, np.zeros(1), facts(n_features=2))
    with pytest.raises(ModelFileError, match="not finite"):
        wm.load(tmp_path / "m")


def facts(**change):
    return {
        "format": "widemargin-model",
        "version": 1,
        "labels": ["a", "b"],
        "n_features": 2,
        **change,
    }


def write(path: Path, W, b, said) -> None:
    text = json.dumps(said)
    metadata = {"widemargin": text, "digest": digest(text, W, b)}
    save_file({"W": W, "b": b}, path, metadata)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, r"version 99.*Update widemargin"),
        ({"version": "1"}, r"version '1'"),
        ({"format": "other"}, "another program"),
        ({"n_features": 3}, "2 weights for 3 features"),
        ({"labels": ["a", "b", "c"]}, "for 3 classes"),
        ({"labels": [1, 2]}, "labels that are no strings"),
        ({"labels": None}, "do not describe a model"),
        ({"kind": "object"}, "kind 'object'"),
        ({"C": "lots"}, "C='lots'"),
        ({"surprise": 1}, "do not describe a model"),
    ],
)
def test_metadata_that_do_not_fit_are_refused(tmp_path, change, message):
    write(tmp_path / "m", np.ones(2), np.zeros(1), facts(**change))
    with pytest.raises(ModelFileError, match=message) as caught:
        wm.load(tmp_path / "m")
    assert str(tmp_path / "m") in str(caught.value)


def test_the_unchanged_metadata_of_those_tests_are_accepted(tmp_path):
    write(tmp_path / "m", np.ones(2), np.zeros(1), facts())
    assert wm.load(tmp_path / "m").labels == ("a", "b")


def test_files_of_other_programs_are_refused(tmp_path):
    save_file({"weight": np.ones(3)}, tmp_path / "net")
    (tmp_path / "text").write_text("1 1:0.5\n")
    (tmp_path / "empty").write_bytes(b"")
    for name in ("net", "text", "empty", "absent"):
        with pytest.raises(ModelFileError, match=name):
            wm.load(tmp_path / name)
    with pytest.raises(ModelFileError):
        wm.load(tmp_path)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damaged_files_are_refused_and_nothing_else_happens(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged", numbered=True)
    path = folder / "m"
    wm.save(MODEL, path)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(at, min(len(whole), at + 8)))
    damaged = whole[:at] + data.draw(st.binary(max_size=8)) + whole[end:]
    if data.draw(st.booleans()):
        damaged = damaged[: data.draw(st.integers(0, len(damaged)))]
    path.write_bytes(damaged)
    try:
        loaded = wm.load(path)
    except ModelFileError as error:
        assert str(path) in str(error)
    else:
        assert same(loaded, MODEL), "what loads is what was saved"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere.*cannot be written"):
        wm.save(MODEL, tmp_path / "nowhere" / "m")
