"""Models with kernels in files: whole or refused, and predictions that agree with the estimator."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.sparse import csr_matrix
from sklearn.datasets import load_iris, make_classification

import widemargin as wm
from widemargin.cli import main
from widemargin.errors import ModelFileError
from widemargin.kernel_model_file import digest


@pytest.fixture(scope="module")
def data():
    return make_classification(120, 6, random_state=0)


@pytest.mark.parametrize("form", [np.asarray, csr_matrix], ids=["dense", "sparse"])
@pytest.mark.parametrize("kernel", ["linear", "poly", "rbf", "sigmoid"])
@pytest.mark.parametrize("names", [["b", "a"], [1.0, 0.0], [3, 1, 2]])
def test_a_loaded_model_agrees_with_the_estimator(tmp_path, form, kernel, names):
    X, codes = load_iris(return_X_y=True)
    y = np.array(names)[codes % len(names)]
    fitted = wm.SVC(kernel=kernel, coef0=1.0).fit(form(X), y)
    wm.save(fitted, tmp_path / "m")
    loaded = wm.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(form(X)))
    assert loaded.predict(X).dtype.kind == fitted.classes_.dtype.kind
    np.testing.assert_allclose(
        loaded.decision_function(csr_matrix(X)), fitted.decision_function(form(X)), atol=1e-9
    )
    assert loaded.certificate == fitted.certificate_._asdict()
    wm.save(loaded, tmp_path / "again")
    assert parts(tmp_path / "again")[1] == parts(tmp_path / "m")[1]  # digests too


@pytest.mark.parametrize("kernel", ["precomputed", lambda A, B: A @ B.T])
def test_kernels_that_are_code_or_data_are_refused(tmp_path, data, kernel):
    X, y = data
    fitted = wm.SVC(kernel=kernel).fit(X @ X.T if kernel == "precomputed" else X, y)
    with pytest.raises(ValueError, match=r"kernel=.* cannot be saved.*Accepted: 'linear'"):
        wm.save(fitted, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_the_hard_margin_and_what_is_not_fitted(tmp_path, data):
    X, y = data
    wm.save(wm.SVC(C=np.inf, gamma=1.0).fit(X, y), tmp_path / "m")
    assert wm.load(tmp_path / "m").C == "inf"
    with pytest.raises(ValueError, match="call fit first"):
        wm.save(wm.SVC(), tmp_path / "n")
    with pytest.raises(ValueError, match=r"X has 3 features.*trained on 6"):
        wm.load(tmp_path / "m").predict(np.zeros((2, 3)))


def parts(path):
    with safe_open(path, framework="numpy") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118


def rewrite(path, tensors, facts):
    text = json.dumps(facts)
    save_file(tensors, path, {"widemargin": text, "digest": digest(text, tensors)})


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(version=9), "version 9.*Update widemargin"),
        (dict(kernel={"name": "code"}), "do not describe a model"),
        (dict(labels=["a"]), "two or more strings"),
        (dict(labels=["a", "b", "c"]), "support vectors, coefficients"),
        (dict(n_features=3), "whose indices do not fit|support vectors"),
        (dict(kind="object"), "kind 'object'"),
        (dict(surprise=1), "do not describe a model"),
        (dict(kernel={"name": "rbf", "gamma": float("nan")}), "not finite"),
    ],
)
@pytest.mark.parametrize("form", [np.asarray, csr_matrix], ids=["dense", "sparse"])
def test_metadata_that_do_not_fit_are_refused(tmp_path, data, form, change, message):
    X, y = data
    wm.save(wm.SVC().fit(form(X), y), tmp_path / "m")
    tensors, metadata = parts(tmp_path / "m")
    rewrite(tmp_path / "m", tensors, json.loads(metadata["widemargin"]))
    wm.load(tmp_path / "m")
    rewrite(tmp_path / "m", tensors, {**json.loads(metadata["widemargin"]), **change})
    with pytest.raises(ModelFileError, match=message) as caught:
        wm.load(tmp_path / "m")
    assert str(tmp_path / "m") in str(caught.value)


def test_tensors_that_do_not_fit_are_refused(tmp_path, data):
    X, y = data
    wm.save(wm.SVC().fit(csr_matrix(X), y), tmp_path / "m")
    tensors, metadata = parts(tmp_path / "m")
    facts = json.loads(metadata["widemargin"])
    far = {**tensors, "indices": tensors["indices"] + np.uint32(4)}
    for broken in (far, {**tensors, "coef": tensors["coef"][:, 1:].copy()},
                   {k: v for k, v in tensors.items() if k != "indptr"},
                   {**tensors, "more": np.zeros(2)}):  # fmt: skip
        rewrite(tmp_path / "m", broken, facts)
        with pytest.raises(ModelFileError):
            wm.load(tmp_path / "m")


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_files_are_refused_and_nothing_else_happens(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged", numbered=True) / "m"
    X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])
    fitted = wm.SVC().fit(X, [0, 1, 1])
    wm.save(fitted, path)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(at, min(len(whole), at + 8)))
    path.write_bytes(whole[:at] + data.draw(st.binary(max_size=8)) + whole[end:])
    try:
        loaded = wm.load(path)
    except ModelFileError as error:
        assert str(path) in str(error)
    else:
        np.testing.assert_allclose(loaded.decision_function(X), fitted.decision_function(X))


def test_the_command_line_predicts_and_evaluates(tmp_path, data, capfd):
    X, y = data
    fitted = wm.SVC(probability=True, random_state=0).fit(csr_matrix(X), y)
    model, source = tmp_path / "m", tmp_path / "d.svm"
    wm.save(fitted, model)
    lines = [
        f"{label} " + " ".join(f"{j + 1}:{value!r}" for j, value in enumerate(row.tolist()))
        for label, row in zip(y, X, strict=True)
    ]
    source.write_text("\n".join(lines) + "\n")

    def run(*arguments):
        with pytest.raises(SystemExit) as done:
            main([str(argument) for argument in arguments])
        assert not done.value.code
        return capfd.readouterr().out

    predicted = run("predict", model, source).split()
    assert predicted == [str(label) for label in fitted.predict(csr_matrix(X))]
    P = [line.split("\t")[1:] for line in run("predict", model, source, "--proba").splitlines()]
    np.testing.assert_allclose(np.array(P, float), fitted.predict_proba(csr_matrix(X)), atol=1e-5)
    report = json.loads(run("evaluate", model, source, "--json"))
    assert report["accuracy"] == pytest.approx(fitted.score(csr_matrix(X), y))
    assert report["objective"] is None
