"""Groups of columns, fitted apart and put together."""

import math

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from widemargin.data.rows import as_rows
from widemargin.data.samples import make_samples, share, sign, take_columns
from widemargin.losses import Hinge
from widemargin.objective import Certificate, Objective, certify
from widemargin.run.columns import column_groups, each_group, merged, together
from widemargin.run.fit import Fitted, fit_dual

OBJECTIVE = Objective(Hinge(), 0.5)


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 7)) * (rng.random((90, 7)) < 0.6)
    weight, factor = rng.uniform(0.5, 2.0, 90), rng.uniform(0.5, 2.0, 5)
    return make_samples(as_rows(csr_matrix(X)), rng.integers(0, 5, 90), 5, weight, factor)


@pytest.mark.parametrize("K, width", [(1, 1), (7, 3), (103, 16), (5, 9)])
def test_groups_cover_the_columns_evenly(K, width):
    groups = column_groups(K, width)
    assert [k for start, stop in groups for k in range(start, stop)] == list(range(K))
    sizes = [stop - start for start, stop in groups]
    assert max(sizes) <= width and max(sizes) - min(sizes) <= 1


def test_columns_taken_keep_their_signs_and_weights(samples):
    some = take_columns(samples, 2, 4)
    for i in range(90):
        for k in range(2):
            assert sign(some, i, k) == sign(samples, i, k + 2)
            assert share(some, i, k) == share(samples, i, k + 2)


def fit_by_groups(samples, width, threads, tol=1e-7):
    def fit(start, stop, rng):
        some = take_columns(samples, start, stop)
        return fit_dual(OBJECTIVE, some, tol=tol, max_epochs=2000, rng=rng)

    K = samples.factor.shape[1]
    rng = np.random.default_rng(1)
    return together(each_group(fit, column_groups(K, width), rng, threads=threads))


@pytest.mark.parametrize("width", [1, 2])
def test_groups_equal_the_whole(samples, width):
    whole, parts = fit_by_groups(samples, 5, 1), fit_by_groups(samples, width, 1)
    assert parts.solved and parts.W.shape == (7, 5) and parts.b.shape == (5,)
    assert parts.certificate.primal == pytest.approx(whole.certificate.primal, rel=2e-7)
    np.testing.assert_allclose(parts.W, whole.W, atol=1e-3)
    attained = certify(OBJECTIVE, samples, np.ascontiguousarray(parts.W), parts.b)
    assert attained.primal == pytest.approx(parts.certificate.primal, rel=1e-12)


def test_threads_change_no_bit(samples):
    one, three = fit_by_groups(samples, 2, 1), fit_by_groups(samples, 2, 3)
    np.testing.assert_array_equal(one.W, three.W)
    np.testing.assert_array_equal(one.b, three.b)
    assert one.certificate == three.certificate and one.epochs == three.epochs


def test_histories_add_up():
    nan = math.nan
    first = [
        {"epoch": 1, "seconds": 1.0, "objective": nan, "gap": nan},
        {"epoch": 2, "seconds": 2.0, "objective": 10.0, "gap": 0.1},
        {"epoch": 3, "seconds": 3.0, "objective": 8.0, "gap": 0.0},
    ]
    second = [
        {"epoch": 1, "seconds": 5.0, "objective": nan, "gap": nan},
        {"epoch": 2, "seconds": 6.0, "objective": 30.0, "gap": 0.2},
    ]
    rows = merged([first, second])
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["seconds"] for row in rows] == [6.0, 8.0, 9.0]
    assert math.isnan(rows[0]["objective"]) and math.isnan(rows[0]["gap"])
    assert rows[1]["objective"] == 40.0 and rows[1]["gap"] == pytest.approx(7.0 / 40.0)
    assert rows[2]["objective"] == 38.0 and rows[2]["gap"] == pytest.approx(6.0 / 38.0)


def test_a_fit_that_stopped_short_is_told():
    part = Fitted(np.ones(3), np.ones(1), Certificate(2.0, 1.0, 1.0, 0.5), [{
        "epoch": 1, "seconds": 0.1, "objective": 2.0, "gap": 0.5}], 1, True)  # fmt: skip
    both = together([part, part._replace(solved=False)])
    assert not both.solved
    assert both.certificate == Certificate(4.0, 2.0, 2.0, 0.5)
