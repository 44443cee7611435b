"""The trial: repeatable, near the best of the grid, and safe on data of any scale."""

import numpy as np
import pytest
import scipy.sparse as sp
from twins import problem

from widemargin.data.rows import as_rows, n_features
from widemargin.data.samples import make_samples
from widemargin.losses import Hinge
from widemargin.objective import Objective
from widemargin.schedules import Constant, Optimal
from widemargin.solvers.eta0 import downhill, picked, trial_eta0
from widemargin.solvers.sgd import Sgd

LAM = 0.05


def tried(samples, seed=0, lam=LAM):
    f = Objective(Hinge(), 1.0 / (lam * len(samples.codes)))
    return trial_eta0(Sgd(Optimal(1.0, lam)), f, samples, np.random.default_rng(seed))


def test_one_seed_gives_one_rate():
    samples = problem(n=3000).samples
    assert tried(samples, 1) == tried(samples, 1)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_rate_follows_the_scale_of_the_data(scale):
    data = problem()
    samples = make_samples(as_rows(sp.csr_array(data.X * scale)), data.samples.codes, 2)
    assert 0.0 < tried(samples, lam=1e-9) * scale**2 < 1e4


def test_lam_times_eta0_stays_below_one():
    assert tried(problem().samples, lam=50.0) * 50.0 < 1.0


def test_data_on_which_every_trial_overflows_still_get_a_rate():
    X = sp.csr_array(problem().X * 1e300)
    assert tried(make_samples(as_rows(X), problem().samples.codes, 2)) > 0.0


@pytest.mark.parametrize("best", [1e-3, 0.7, 300.0])
def test_downhill_ends_within_a_factor_of_the_lowest_point(best):
    found = downhill(lambda eta: abs(np.log(eta / best)), 1.0, np.inf)
    assert best / 2 <= found <= best * 2
    assert downhill(lambda eta: -eta, 1.0, 10.0) == 8.0


def test_empty_columns_are_left_out_of_the_subsample():
    X = sp.csr_array((np.ones(4), ([0, 1, 2, 3], [5, 70_000, 5, 9])), shape=(4, 100_000))
    part = picked(as_rows(X), np.array([1, 0, 2]))
    assert n_features(part) == 2
    assert part.indices.tolist() == [1, 0, 0]


def test_constant_rates_can_be_tried_too():
    samples, f = problem().samples, Objective(Hinge(), 1.0 / (LAM * 60))
    assert trial_eta0(Sgd(Constant(1.0)), f, samples, np.random.default_rng(0)) > 0.0
