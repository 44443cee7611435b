"""`widemargin status`: how a run on a cluster stands, once, again and again, or as a page."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from widemargin.cli.output import put_json
from widemargin.errors import ClusterError
from widemargin.watching.server import dashboard
from widemargin.watching.sources import Source, all_events, folder_of, is_folder, newer
from widemargin.watching.state import Facts, State, facts_of, plain
from widemargin.watching.timeline import Timeline

EVERY = 1.0  # seconds between two looks


class Asked(NamedTuple):
    """The command line."""

    run: str
    address: str | None
    watch: bool
    dashboard: int | None
    host: str
    json: bool


def status(asked: Asked) -> None:
    if asked.dashboard is not None and (asked.json or asked.watch):
        other = "--json" if asked.json else "--watch"
        raise ValueError(f"--dashboard serves a page and {other} prints. Give one of them.")
    with source_of(asked.run, asked.address) as (source, facts):
        if asked.dashboard is not None:
            serve(source, facts, asked.dashboard, asked.host)
        elif asked.watch:
            watch(source, facts, json=asked.json)
        else:
            timeline = Timeline(facts)
            timeline.extend(all_events(source))
            put(timeline.state(time.time()), json=asked.json)


@contextmanager
def source_of(run: str, address: str | None) -> Iterator[tuple[Source, Facts]]:
    """What the run tells: from its folder, or from its Ray, which is left as it was."""
    if address is None and is_folder(run):
        folder = folder_of(run)
        yield folder, folder.facts()
        return
    there = attached(run, address)
    try:
        yield newer(lambda n: there.ask("since", n)), facts_of(there.name, there.plan.settings)
    finally:
        there.leave()


def attached(run: str, address: str | None) -> Any:
    """The run of this name; an error also says that there is no such folder."""
    from widemargin.run.cluster.engine import Cluster

    try:
        return Cluster.attach(run, address or "auto")
    except ClusterError as error:
        if address is not None:
            raise
        raise ClusterError(
            f"{run!r} is no folder here, and was looked for on a Ray: {error} Give the folder of "
            "a run (its snapshot_to), or a name with --address."
        ) from error


def serve(source: Source, facts: Facts, port: int, host: str) -> None:
    with dashboard(source, port, host, facts=facts) as page:
        print(f"{page.url} shows the run {facts.name}. Ctrl-C ends the page, not the run.")
        sys.stdout.flush()
        try:
            while True:
                time.sleep(3600.0)
        except KeyboardInterrupt:
            return


def watch(source: Source, facts: Facts, *, json: bool) -> None:
    """Until the run has ended."""
    timeline = Timeline(facts)
    with showing(json) as show:
        while True:
            timeline.extend(all_events(source))
            state = timeline.state(time.time())
            show(state)
            if state.phase == "ended":
                return
            time.sleep(EVERY)


@contextmanager
def showing(json: bool) -> Iterator[Any]:
    """What shows a state: in place on a terminal, one after the other elsewhere."""
    if json or not sys.stdout.isatty():
        yield lambda state: put(state, json=json)
        return
    from rich.live import Live

    from widemargin.cli.status_table import shown

    with Live(auto_refresh=False) as live:
        yield lambda state: live.update(shown(state), refresh=True)


def put(state: State, *, json: bool) -> None:
    if json:
        put_json(plain(state))
    else:
        from rich.console import Console

        from widemargin.cli.status_table import shown

        Console(highlight=False).print(shown(state))
    sys.stdout.flush()
