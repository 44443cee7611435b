"""Dual coordinate descent on eight columns in lanes: the epoch that labels share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from widemargin.data.lanes import WIDTH, lane_weights
from widemargin.data.rows import Array, n_features, n_rows
from widemargin.objective import Objective
from widemargin.solvers.dual import (
    NOTHING,
    RHO,
    DualCoordinateDescent,
    DualState,
    mean_squared_norm,
)
from widemargin.solvers.dual_passes import total_shares
from widemargin.threads import ALONE


def first_epoch(objective: Objective, samples: Any, used: int, order: Array) -> DualState:
    """The state after one epoch, for the first `used` of the eight columns of `samples`."""
    n = n_rows(samples.rows)
    state = DualState(
        W=lane_weights(n_features(samples.rows)),
        b=np.zeros(WIDTH),
        alpha=np.zeros((n, WIDTH)),
        delta=np.zeros(WIDTH),
        keep=np.ones(n, np.bool_),
        live=np.arange(WIDTH) < used,
        rho=RHO * mean_squared_norm(samples) if objective.fit_intercept else 0.0,
        scale=1.0,
        slack=math.inf,
        gain=math.inf,
        floor=NOTHING * objective.C * total_shares(ALONE, samples, WIDTH),
        epochs=0,
        visited=0,
    )
    return DualCoordinateDescent().epoch(objective, samples, order, state)
