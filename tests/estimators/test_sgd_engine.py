"""SGDClassifier on an engine: the serial one, which a cluster of one worker equals bit for bit."""

import numpy as np
import pytest
from sklearn.base import clone

from widemargin import SGDClassifier
from widemargin.run.shared_serial import Serial

N, D = 2000, 60


def data(classes=2):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(N, D)) * (rng.random((N, D)) < 0.3)
    X /= np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-9)
    scores = X @ rng.normal(size=(D, classes)) + 0.1 * rng.normal(size=(N, classes))
    return X, np.array(["a", "b", "c", "d"])[scores.argmax(axis=1)]


def on_engine(**changes):
    return SGDClassifier(**{"engine": Serial(), "alpha": 1e-2, "random_state": 0} | changes)


@pytest.mark.parametrize("classes", [2, 3])
def test_it_learns_what_the_serial_classifier_learns(classes):
    X, y = data(classes)
    clf = on_engine(average=True).fit(X, y)
    best = SGDClassifier(alpha=1e-2, average=True, tol=1e-6, random_state=0).fit(X, y)
    assert clf.certificate_.dual < clf.certificate_.primal <= 1.002 * best.certificate_.primal
    assert clf.coef_.shape == best.coef_.shape and clf.coef_.dtype == X.dtype
    assert np.mean(clf.predict(X) == best.predict(X)) > 0.97
    assert clf.eta0_ > 0.0 and clf.n_iter_ == len(clf.history_) == 20
    assert [np.isnan(row["objective"]) for row in clf.history_] == [True] * 19 + [False]
    assert clf.history_[-1]["objective"] == clf.certificate_.primal


def test_epochs_blocks_and_rates_are_those_asked_for():
    X, y = data()
    clf = on_engine(max_iter=3, tol=None, batch_size=100, learning_rate="constant", eta0=0.5)
    clf.fit(X, y)
    assert (clf.n_iter_, clf.t_, clf.eta0_) == (3, 1.0 + 3 * 20, 0.5)
    again = clone(clf).fit(X, y)
    assert again.coef_.tobytes() == clf.coef_.tobytes()
    other = clone(clf).set_params(random_state=1).fit(X, y)
    assert other.coef_.tobytes() != clf.coef_.tobytes()


def test_weights_count_as_in_the_objective():
    X, y = data()
    weight = np.random.default_rng(1).integers(1, 4, N).astype(float)
    how = dict(loss="squared_hinge", class_weight={"a": 2.0, "b": 1.0}, average=True)
    clf = on_engine(**how).fit(X, y, sample_weight=weight)
    best = SGDClassifier(alpha=1e-2, tol=1e-6, random_state=0, **how)
    best.fit(X, y, sample_weight=weight)
    assert clf.certificate_.primal <= 1.002 * best.certificate_.primal
    plain = on_engine(loss="squared_hinge", average=True).fit(X, y)
    assert plain.certificate_.primal < 0.7 * clf.certificate_.primal


def test_without_intercept_and_penalty():
    X, y = data()
    clf = on_engine(fit_intercept=False, penalty=None, loss="log_loss").fit(X, y)
    assert clf.intercept_.tolist() == [0.0] and clf.score(X, y) > 0.9


@pytest.mark.parametrize(
    "wrong",
    [
        dict(penalty="l1"),
        dict(penalty="elasticnet"),
        dict(learning_rate="adaptive"),
        dict(early_stopping=True),
        dict(warm_start=True),
        dict(scheme="hogwild"),
        dict(probability=True),
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_does_not_go_together_is_refused(wrong):
    (name, value), (X, y) = next(iter(wrong.items())), data()
    with pytest.raises(ValueError, match=f"^{name}={value!r} does not go with engine=.*Change"):
        on_engine(**wrong).fit(X, y)


def test_starts_and_parts_are_refused():
    X, y = data()
    with pytest.raises(ValueError, match="coef_init and intercept_init do not go with an engine"):
        on_engine().fit(X, y, coef_init=np.zeros((1, D)))
    with pytest.raises(ValueError, match="partial_fit does not go with engine="):
        on_engine().partial_fit(X, y, classes=["a", "b"])
    with pytest.raises(ValueError, match="engine"):
        on_engine(engine="ray").fit(X, y)


def test_nothing_stays_in_the_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    X, y = data()
    on_engine(max_iter=1).fit(X, y)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError, match="half-way"):
        on_engine(engine=Broken()).fit(X, y)
    assert list(tmp_path.iterdir()) == []


class Broken:
    def start(self, job, epochs, *, seed=0, shuffle=True):
        assert job.open().samples.rows.n_features == D
        raise RuntimeError("half-way")
