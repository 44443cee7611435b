"""Whether each block counted exactly once an epoch, from the events of a run."""

from __future__ import annotations

from widemargin.ps.messages import Event


def surviving(events: list[Event], last: tuple[int, int] | None = None) -> list[Event]:
    """The commits that lead to the last, or to the newest one, in order."""
    tree = {tuple(e.what["stamp"]): e for e in events if e.kind == "commit"}
    path, stamp = [], last or max(tree)
    while stamp in tree:
        path.append(tree[stamp])
        stamp = tuple(tree[stamp].what["after"])
    return path[::-1]


def counted(path: list[Event], n_blocks: int) -> dict[int, int]:
    """Blocks committed in each epoch; fails if one was committed twice or an epoch lacks one."""
    seen: dict[int, list[int]] = {}
    for event in path:
        for _, (epoch, number) in event.what["parts"]:
            seen.setdefault(epoch, []).append(number)
    for epoch, blocks in seen.items():
        assert len(set(blocks)) == len(blocks), f"epoch {epoch}: a block twice"
        assert epoch == max(seen) or len(blocks) == n_blocks, f"epoch {epoch} lacks blocks"
    return {epoch: len(blocks) for epoch, blocks in seen.items()}
