"""Approximate kernel features into LinearSVC, as docs/kernels.md has it."""

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import make_moons
from sklearn.kernel_approximation import Nystroem
from sklearn.pipeline import make_pipeline

from widemargin import SVC, LinearSVC

PAGE = Path(__file__).parents[1] / "docs" / "kernels.md"


def test_with_all_samples_as_components_it_is_the_kernel_machine():
    X, y = make_moons(150, noise=0.2, random_state=0)
    features = Nystroem(kernel="rbf", gamma=1.0, n_components=150, random_state=0)
    clf = make_pipeline(features, LinearSVC(loss="hinge", C=1.0, tol=1e-7)).fit(X, y)
    exact = SVC(C=1.0, gamma=1.0, tol=1e-8).fit(X, y)
    assert clf[-1].certificate_.primal == pytest.approx(exact.certificate_.primal, rel=1e-4)
    np.testing.assert_allclose(clf.decision_function(X), exact.decision_function(X), atol=0.02)


def test_the_pipelines_of_the_page_run():
    X, y = make_moons(600, noise=0.1, random_state=0)
    exact = SVC(C=1.0, gamma=0.05).fit(X[:300], y[:300]).score(X[300:], y[300:])
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    names: dict = {}
    for code in blocks:
        exec(code, names)
        clf = names["clf"].fit(X[:300], y[:300])
        assert clf[-1].certificate_.relative_gap <= 1e-4
        assert abs(clf.score(X[300:], y[300:]) - exact) <= 0.03
    assert len(blocks) == 2
