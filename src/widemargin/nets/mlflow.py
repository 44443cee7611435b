"""A callback that logs to the active MLflow run."""

from __future__ import annotations

from collections.abc import Callable

from widemargin.nets.history import scalars
from widemargin.ps import messages as m


def mlflow() -> Callable[[m.Event], None]:
    """Trainer.fit(callbacks=[mlflow()]): the values of each epoch, by commit."""
    try:
        from mlflow import log_metrics
    except ImportError:
        raise ImportError(
            "mlflow() needs the package mlflow, which is not installed. "
            "Install it with: pip install mlflow"
        ) from None

    def write(event: m.Event) -> None:
        if event.kind == "evaluated" and (values := scalars(event.what)):
            log_metrics(values, step=event.what["version"])

    return write
