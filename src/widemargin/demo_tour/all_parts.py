"""The parts of the tour in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Iterator

from widemargin.demo import Task
from widemargin.demo_tour.bounded import bounded
from widemargin.demo_tour.choice import choice
from widemargin.demo_tour.classes import classes
from widemargin.demo_tour.cores import cores
from widemargin.demo_tour.lines import Line, Part
from widemargin.demo_tour.margins import margins
from widemargin.demo_tour.text import text

PARTS: tuple[Part, ...] = (margins, classes, choice, cores, bounded, text)


def tour(task: Task) -> Iterator[Line]:
    for part in PARTS:
        yield from part(task)
