"""A callback that writes scalars for TensorBoard, through torch's own writer."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from widemargin.nets.history import scalars
from widemargin.ps import messages as m


def tensorboard(folder: str | os.PathLike[str]) -> Callable[[m.Event], None]:
    """Trainer.fit(callbacks=[tensorboard("logs")]): staleness by commit, values by epoch."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ImportError(
            "tensorboard(...) needs the package tensorboard, which is not installed. "
            "Install it with: pip install tensorboard"
        ) from None
    writer: Any = SummaryWriter(os.fspath(folder))

    def write(event: m.Event) -> None:
        match event.kind:
            case "commit":
                writer.add_scalar("staleness", event.what["late"], event.what["stamp"][1])
            case "evaluated":
                for name, value in scalars(event.what).items():
                    writer.add_scalar(name, value, event.what["version"])
            case "done" | "failed":
                writer.close()

    return write
