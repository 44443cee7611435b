"""The page: one document that carries its style and script, and asks for its numbers alone."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from widemargin.colours import COLOURS


def part(name: str) -> str:
    return (files("widemargin.watching") / name).read_text(encoding="utf-8")


def digest(text: str) -> str:
    """As a Content-Security-Policy names a piece of a page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


STYLE, SCRIPT = COLOURS + part("page.css"), part("page-charts.js") + part("page.js")
# what a browser may load for this page: its own style, its own script, the numbers of its server
POLICY = (
    f"default-src 'none'; style-src {digest(STYLE)}; script-src {digest(SCRIPT)}; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@cache
def page() -> bytes:
    """In UTF-8."""
    html = part("page.html").replace("/* page.css */", STYLE)
    return html.replace("/* page.js */", SCRIPT).encode()
