"""The oracle's check that the observer hears of every epoch's end, whoever dies, and of losses.

What a coordinator tells may be lost with it, back to the last snapshot: that one became whole only
when all before it was told. So whoever takes commits over tells the epochs anew that ended in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from widemargin.ps import messages as m


def untold(events: Sequence[m.Event], path: Sequence[Any], n_blocks: int) -> list[str]:
    """Ends of epochs that a term decided, or took over, and did not tell; `path` are its commits.

    Args:
        events: all that the observer heard, in order.
        path: the surviving commits, each with its `stamp` and `parts`.
        n_blocks: blocks of an epoch.

    Returns:
        A sentence for each end that was not told.
    """
    told = {
        (event.what["term"], event.what["epoch"], event.what["version"])
        for event in events
        if event.kind == "epoch"
    }
    reigns = [event.what for event in events if event.kind == "reign"]
    stamps = {commit.stamp for commit in path}
    wrong, committed = [], 0
    for commit in path:
        term, version = commit.stamp
        committed += len(commit.parts)
        if committed % n_blocks:
            continue
        epoch = committed // n_blocks - 1
        heirs = [
            what["term"]
            for what in reigns
            if what["stamp"] in stamps and what["base"][1] < version <= what["stamp"][1]
        ]
        wrong += [
            f"term {by} did not tell that epoch {epoch} ended with version {version}"
            for by in [term, *heirs]
            if (by, epoch, version) not in told
        ]
    return wrong


def told_losses(events: Sequence[m.Event], gradients: Mapping[m.LeaseId, Any]) -> list[str]:
    """Losses that a commit told and that none of its gradients had, a sentence for each."""
    wrong = []
    for what in [event.what for event in events if event.kind == "commit"]:
        for (lease, block), loss in zip(what["parts"], what["losses"], strict=True):
            if all(made.loss != loss for made in gradients[lease]):
                wrong.append(f"commit {what['stamp']} told the loss {loss} of {block}: it was none")
    return wrong
