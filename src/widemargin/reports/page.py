"""The page: one file of HTML that needs nothing else, and asks nobody for anything."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from widemargin.files import written_whole
from widemargin.reports import judged, sections
from widemargin.reports.facts import Facts
from widemargin.reports.html import Safe, joined, tag, text
from widemargin.reports.numbers import area, percent, plain, seconds, small, whole
from widemargin.reports.style import CSS
from widemargin.run.joint import JOINT

# what a browser may load for this page: its own style, nothing from anywhere, no script
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
SECTIONS = {  # id → name in the list of links, what makes it
    "certificate": ("Certificate", sections.certificate),
    "time": ("Accuracy over time", sections.over_time),
    "margins": ("Margins", judged.margins),
    "confusion": ("Confusion", judged.confusion),
    "ranking": ("ROC and precision–recall", judged.ranking),
    "features": ("Features", judged.features),
    "data": ("Data", sections.data),
    "run": ("This run", sections.run),
}


def write_page(facts: Facts, path: str | os.PathLike[str]) -> None:
    """The page under `path`, whole or not at all."""
    page = render(facts)
    with written_whole(path) as stream:
        stream.write(page)


def render(facts: Facts) -> bytes:
    """The page of the facts, in UTF-8."""
    parts = _sections(facts)
    head = (
        '<meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<link rel="icon" href="data:,">'
    )
    body = joined(
        [
            tag(
                "header",
                tag("h1", facts.title),
                tag("p", summary(facts)),
                _links(parts),
                _tiles(facts),
            ),
            tag("main", *(made for _, made in parts)),
            tag("footer", "Made by widemargin. This page is complete in itself and runs no code."),
        ]
    )
    title = tag("title", f"{facts.title} – widemargin")
    whole_page = (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}{title}<style>{CSS}</style></head>'
        f"<body>{body}</body></html>\n"
    )
    return whole_page.encode("utf-8", "replace")


def _sections(facts: Facts) -> list[tuple[str, Safe]]:
    return [
        (name, make(facts))
        for name, (_, make) in SECTIONS.items()
        if name != "time" or facts.fit.history
    ]


def summary(facts: Facts) -> str:
    """What was done, in one sentence."""
    first, fit = facts.data[0], facts.fit
    many = len(facts.labels)
    C = f", C = {plain(fit.C)}" if fit.C is not None else ""
    verb = "trained" if first.role == "training" else "looked at"
    return (
        f"A linear classifier of {many} classes, {verb} on {whole(first.n_samples)} rows with "
        f"{whole(first.n_features)} features "
        f"({fit.loss} loss, {fit.penalty} penalty{C}; {fit.solver})."
    )


def _links(parts: Sequence[tuple[str, Safe]]) -> Safe:
    links = [tag("a", SECTIONS[name][0], href=f"#{name}") for name, _ in parts]
    return tag("nav", *links, aria_label="Sections")


def _tiles(facts: Facts) -> Safe:
    tiles = [
        (f"{each.role} error", percent(each.error), f"of {whole(each.n_samples)} rows")
        for each in reversed(facts.data)
    ]
    proof = facts.fit.certificate
    if proof is not None and math.isfinite(proof.gap):
        gap = f"≤ {small(proof.relative_gap)}"
        tiles.append(("from the optimum", gap, "proved by the certificate"))
    spent = dict(facts.seconds)
    if "fit" in spent:
        tiles.append(("training", seconds(spent["fit"]), f"{whole(facts.fit.epochs or 0)} epochs"))
    first = facts.margins[0]
    held = first.below + first.at
    one_margin = facts.fit.loss == JOINT or len(facts.labels) == 2
    if facts.fit.loss in judged.HELD and one_margin:
        share = percent(held / max(1, held + first.beyond), 1)
        tiles.append(("support vectors", whole(held), f"{share} of the {first.role} rows"))
    last = facts.curves[-1]
    if math.isfinite(last.roc.area):
        tiles.append(("area under ROC", area(last.roc.area), last.role))
    made = [
        tag("div", tag("dt", name), tag("dd", text(value), tag("small", note)))
        for name, value, note in tiles
    ]
    return tag("dl", *made, class_="tiles")
