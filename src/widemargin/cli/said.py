"""The command as it was typed, kept for those who tell it again."""

from __future__ import annotations

from collections.abc import Sequence

_words: list[str] = []


def remember(arguments: Sequence[str]) -> None:
    _words[:] = arguments


def exact_command() -> str:
    """The command, quoted so that it can be pasted into a shell."""
    import shlex  # which every other command does without

    return shlex.join(["widemargin", *_words])
