"""From a fit to the model that is saved, loaded and served."""

from __future__ import annotations

from typing import Any

from widemargin.data.dataset import Dataset
from widemargin.data.labels import as_numbers
from widemargin.model import Model
from widemargin.objective import Objective
from widemargin.run.fit import Fitted


def model_of(
    objective: Objective,
    data: Dataset,
    fitted: Fitted,
    loss: str,
    solver: str,
    report: dict[str, Any],
) -> Model:
    """The model of a fit; `report`, what training came to, goes with it."""
    names = data.label_names
    numbers = as_numbers(names)
    whole = numbers is not None and all(value == int(value) for value in numbers)
    return Model(
        W=fitted.W,
        b=fitted.b,
        labels=names,
        kind="str" if numbers is None else "int" if whole else "float",
        zero_based=data.zero_based,
        loss=loss,
        penalty=type(objective.penalty).__name__.lower(),
        C=objective.C,
        fit_intercept=objective.fit_intercept,
        solver=solver,
        certificate=fitted.certificate._asdict(),
        training=report,
        features=data.features,
    )
