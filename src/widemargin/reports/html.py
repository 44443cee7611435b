"""Pieces of HTML. Text is escaped here, and nowhere else, so that it is escaped once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

TALL = 24  # rows of a table beyond which its box scrolls


class Safe(str):
    """HTML that is ready: it is put in as it is, any other text is escaped."""


def text(value: object) -> Safe:
    """The value as HTML."""
    return value if isinstance(value, Safe) else Safe(escape(str(value)))


def tag(name: str, *inside: object, **attributes: str) -> Safe:
    """An element; `class_` is its class, `aria_label` becomes aria-label."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value
    )
    return Safe(f"<{name}{said}>{''.join(map(text, inside))}</{name}>")


def joined(parts: Iterable[object]) -> Safe:
    return Safe("".join(map(text, parts)))


def table(
    head: Sequence[object], rows: Iterable[Sequence[object]], label: str, kind: str = ""
) -> Safe:
    """A table in a box that scrolls where it is too wide or too long; first cells are headings."""
    rows = list(rows)
    lines = [
        tag("tr", tag("th", row[0], scope="row"), *(_cell(value) for value in row[1:]))
        for row in rows
    ]
    top = tag("tr", *(tag("th", value, scope="col") for value in head))
    whole = tag("table", tag("thead", top), tag("tbody", *lines), class_=kind)
    box = "scroll tall" if len(rows) > TALL else "scroll"
    return tag("div", whole, class_=box, tabindex="0", role="region", aria_label=label)


def _cell(value: object) -> Safe:
    return value if isinstance(value, Safe) and value.startswith("<td") else tag("td", value)


def pairs_list(pairs: Iterable[tuple[object, object]]) -> Safe:
    """Names and values, one pair a line."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs))


def figure(
    title: str, drawing: str, *, legend: Sequence[tuple[str, str]] = (), data: Safe | None = None
) -> Safe:
    """A chart with its title, the colours (class, name) that it uses, and its numbers."""
    keys = [tag("span", tag("i", class_=kind), name) for kind, name in legend]
    return tag(
        "figure",
        tag("figcaption", title),
        tag("div", *keys, class_="legend") if keys else "",
        Safe(drawing),
        folded("Numbers", data) if data is not None else "",
    )


def folded(title: str, inside: object) -> Safe:
    """What is shown when its title is clicked."""
    return tag("details", tag("summary", title), inside)


def section(name: str, title: str, *inside: object) -> Safe:
    heading = tag("h2", title, id=f"{name}-title")
    return tag("section", heading, *inside, id=name, aria_labelledby=f"{name}-title")


def share_bar(share: float, kind: str = "") -> Safe:
    """A table cell with a bar as long as the share of the largest, 0 … 1."""
    bar = Safe(f'<i class="bar {kind}" style="width:{100.0 * share:.1f}%"></i>')
    return Safe(f'<td class="barcell" aria-hidden="true">{bar}</td>')
