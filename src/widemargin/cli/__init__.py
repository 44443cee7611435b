"""The command line: `main` runs a command and turns whatever goes wrong into one line.

Exit codes: 0 done; 1 stopped before its tolerance; 2 bad usage or bad input, nothing written;
130 interrupted; 141 the reader of the output went away.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

from widemargin.cli.early import imports_begin, work_of
from widemargin.cli.interrupts import hear_interrupts, no_more_interrupts, restore
from widemargin.cli.quick import read_train
from widemargin.cli.said import remember
from widemargin.errors import Diverged, WidemarginError

DONE, SHORT_OF_TOLERANCE, BAD, INTERRUPTED, UNREAD = 0, 1, 2, 130, 141


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the `widemargin` command."""
    alone = arguments is None  # the process is ours
    arguments = sys.argv[1:] if arguments is None else arguments
    before = hear_interrupts()
    try:
        imports_begin()
        remember(arguments)
        code = _run(list(arguments))
        sys.stdout.flush()
    except KeyboardInterrupt:
        no_more_interrupts()
        code = _say("interrupted; nothing was written.", INTERRUPTED)
        _leave_readers(code)
    except BrokenPipeError:
        # what is still buffered must not be tried again when the interpreter ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = UNREAD
    except Diverged as error:
        code = _say(f"{error} Nothing was written.", BAD)
    except (WidemarginError, ValueError) as error:
        code = _say(str(error), BAD)
    except MemoryError:
        code = _say("out of memory; nothing was written. Use a packed store or more memory.", BAD)
    except OSError as error:
        code = _say(f"{error.filename or 'files'}: {error.strerror or error}.", BAD)
    finally:
        gc.enable()
        restore(before)
    _end(code, alone)


def _end(code: int, alone: bool) -> None:
    """Leave with this code; with Ray at once, whose library may crash while Python winds down,
    after its run was ended and all was written."""
    if alone and "ray" in sys.modules:
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    said = read_train(arguments[1:]) if arguments[:1] == ["train"] else None
    if said is not None:
        work = work_of("train")
        return int(work.train(work.Training(**said)))
    from widemargin.cli.app import run

    return run(arguments)


def _leave_readers(code: int) -> None:
    """End here and now if a thread is stuck in a read, for which a proper end would wait."""
    streams = sys.modules.get("widemargin.data.streams")
    if streams is not None and streams.abandoned():
        sys.stderr.flush()
        os._exit(code)


def _say(message: str, code: int) -> int:
    print("widemargin:", " ".join(message.split()), file=sys.stderr)
    return code
