"""The training loss of an epoch, as commits tell it."""

from __future__ import annotations

import math

from widemargin.ps import messages as m


class Losses:
    """The mean over an epoch's samples, each loss as it was before the step that it led to.

        L = Σₖ nₖ lₖ / Σₖ nₖ    over the blocks k of `size` samples, the last of n in all shorter

    A block that was done again counts as it was done last; one whose loss was lost on its way, in a
    message that nothing else needed, does not count.
    """

    def __init__(self, size: int = 1, n: float = math.inf) -> None:
        self.size, self.n = size, n
        self.epochs: dict[int, dict[int, float]] = {}

    def on(self, event: m.Event) -> None:
        if event.kind == "commit":
            told = zip(event.what["parts"], event.what.get("losses", ()), strict=False)
            for (_, block), loss in told:
                if loss is not None:
                    self.epochs.setdefault(block.epoch, {})[block.number] = loss

    def mean(self, epoch: int) -> float | None:
        """That of an epoch so far; None: nothing is known of it."""
        losses = self.epochs.get(epoch)
        if not losses:
            return None
        sizes = [min(self.size, self.n - number * self.size) for number in losses]
        total = math.fsum(size * loss for size, loss in zip(sizes, losses.values(), strict=True))
        return total / math.fsum(sizes)

    def forget(self, before: int) -> None:
        """Let go of the epochs before one."""
        self.epochs = {e: losses for e, losses in self.epochs.items() if e >= before}
