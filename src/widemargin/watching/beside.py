"""The page of a run beside the run: served by the process that drives it, as long as it does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from widemargin.ps.messages import Event
from widemargin.watching.server import dashboard
from widemargin.watching.sources import newer
from widemargin.watching.state import Facts


@contextmanager
def page_beside(port: int | None, facts: Facts | None = None) -> Iterator[Callable[[Event], None]]:
    """A function that takes the events of the run; what it took is on the page at `port`.

    Where that is goes to standard error. `port` None: there is no page.
    """
    told: list[Event] = []
    if port is None:
        yield lambda event: None
        return
    with dashboard(newer(lambda n: told[n:]), port, facts=facts) as page:
        print(f"{page.url} shows this run", file=sys.stderr, flush=True)
        yield told.append
