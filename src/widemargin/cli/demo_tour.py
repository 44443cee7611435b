"""The second half of `widemargin demo`: the tour, a line each as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from widemargin.demo import Task
from widemargin.demo_tour.lines import Line

WIDTH, FIRST = 97, 28


def show_tour(task: Task, *, json: bool) -> list[dict[str, Any]]:
    """Run the tour and, unless it goes into JSON, print it; its lines as JSON has them."""
    from widemargin.demo_tour.all_parts import tour

    if not json:
        print(f"\n{'the tour':{WIDTH - 8}} seconds")
    found = []
    for line in tour(task):
        if not json:
            for text in shown(line):
                print(text, flush=True)
        found.append({"what": line.what, **line.facts, "seconds": line.seconds})
    return found


def shown(line: Line) -> Iterator[str]:
    """What and found side by side, found on as many lines as it needs, seconds at the end."""
    import textwrap

    room = WIDTH - FIRST - 9
    texts = textwrap.wrap(line.found, room)
    for i, text in enumerate(texts):
        first = line.what if i == 0 else ""
        end = f" {line.seconds:8.1f}" if i == 0 else ""
        yield f"{first:{FIRST}}{text:{room}}{end}".rstrip()
