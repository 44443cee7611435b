"""Dual coordinate descent on eight columns in lanes, as a solver that can be run certified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from widemargin.data.lanes import WIDTH
from widemargin.data.rows import Array, n_rows
from widemargin.objective import Objective
from widemargin.solvers.dual import DualCoordinateDescent, DualState
from widemargin.solvers.fold_dual import first_state, look


@dataclass(frozen=True)
class LaneDescent:
    """min ½‖wₖ‖² + Σ cᵢₖ ℓ(wₖᵀxᵢ + bₖ; yᵢₖ) for the first `used` of eight columns."""

    used: int

    def init(self, objective: Objective, samples: Any) -> DualState:
        return first_state(objective, samples, samples, self.used)

    def epoch(
        self, objective: Objective, samples: Any, order: NDArray[np.int64], state: DualState
    ) -> DualState:
        return DualCoordinateDescent().epoch(objective, samples, order, state)

    def certify(
        self, objective: Objective, samples: Any, tol: float, state: DualState
    ) -> tuple[DualState, Array, Array]:
        """(state, primal, dual), each value of shape (8,), 0 where a column is not used."""
        scores = np.empty((n_rows(samples.rows), WIDTH))
        upper, lower = look(objective, samples, tol, state, scores)
        return state, upper, lower
