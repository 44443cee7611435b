"""Schedules are their formulas; passive-aggressive steps are those of the paper."""

import numpy as np
import pytest

from widemargin.data.rows import as_rows
from widemargin.losses import Hinge
from widemargin.schedules import (
    PA1,
    PA2,
    Averaged,
    Constant,
    InvScaling,
    Optimal,
    pull,
    rate,
    slower,
)

FORMULAS = [  # a list, for schedules of equal numbers are equal keys
    (Optimal(0.5, 0.1), lambda t: 0.5 / (1 + 0.1 * 0.5 * t)),
    (Averaged(0.5, 0.1), lambda t: 0.5 * (1 + 0.1 * 0.5 * t) ** -0.75),
    (Constant(0.5), lambda t: 0.5),
    (InvScaling(0.5, 0.3), lambda t: 0.5 * (t + 1) ** -0.3),
    (PA1(0.5), lambda t: 0.5),
    (PA2(0.5), lambda t: 0.5),
]


@pytest.mark.parametrize("schedule, formula", FORMULAS, ids=[str(s) for s, _ in FORMULAS])
@pytest.mark.parametrize("t", [0, 1, 17, 10**9])
def test_rate_is_its_formula(schedule, formula, t):
    assert rate(schedule, t) == pytest.approx(formula(t), rel=1e-14)


@pytest.mark.parametrize("p", [-2.0, 0.4, 0.999, 1.0, 3.0])
@pytest.mark.parametrize("a", [0.01, 0.5, 100.0])
def test_passive_aggressive_steps_are_the_papers(a, p):
    rows = as_rows(np.array([[9.0, 9.0, 9.0], [0.5, -1.0, 2.0]]))
    loss, square = max(0.0, 1.0 - p), 5.25
    first, second = PA1(a), PA2(a)
    assert -a * pull(first, Hinge(), rows, 1, p, 1.0) == pytest.approx(min(a, loss / square))
    assert -a * pull(second, Hinge(), rows, 1, p, 1.0) == pytest.approx(loss / (square + 0.5 / a))
    assert pull(first, Hinge(), rows, 1, p, 1.0) == -pull(first, Hinge(), rows, 1, -p, -1.0)


def test_an_empty_row_asks_for_no_step():
    assert pull(PA1(0.5), Hinge(), as_rows(np.zeros((1, 3))), 0, 0.0, 1.0) == 0.0


def test_an_adaptive_rate_falls_to_a_fifth():
    assert slower(Constant(0.5)) == Constant(0.1)
