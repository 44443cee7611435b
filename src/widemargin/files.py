"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from widemargin.errors import InputError


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file to write; it takes the name `path` when the block ends well, else vanishes.

    Devices and pipes, which cannot be renamed over, are written to directly.
    """
    target = Path(path)
    try:
        if _is_special(target):
            with target.open("wb") as stream:
                yield stream
            return
        draft = target.absolute().with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        with draft.open("xb") as stream:
            try:
                yield stream
                stream.close()
                os.replace(draft, target)
            finally:
                draft.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(
            f"{target}: cannot be written: {error.strerror or error}; accepted: a file in an "
            "existing folder with room; choose another place."
        ) from None


def _is_special(target: Path) -> bool:
    """Whether something that is no regular file bears the name."""
    try:
        mode = target.stat().st_mode
    except OSError:
        return False
    if stat.S_ISDIR(mode):
        raise InputError(f"{target}: found a folder; accepted: the name of a file; add one.")
    return not stat.S_ISREG(mode)
