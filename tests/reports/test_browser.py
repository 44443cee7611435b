"""The page in a real browser: complete without a request, readable on a phone, in the dark."""

import pytest
from made import some_facts

from browser import browser
from widemargin.reports.page import SECTIONS, render

LABELS = ("no", "yes"), tuple(f"class number {k}" for k in range(25))
LOOK = """
const box = e => { const b = e.getBoundingClientRect(); return [b.width, b.height] }
const all = (css, f) => [...document.querySelectorAll(css)].map(f)
return {
  wide: document.documentElement.scrollWidth,
  inner: window.innerWidth,
  sections: all("section", e => e.id),
  charts: all("svg", box),
  marks: all("svg polyline, svg path, svg rect", e => box(e).reduce((a, b) => a + b)),
  letters: all("svg text", e => parseFloat(getComputedStyle(e).fontSize) *
      e.ownerSVGElement.getBoundingClientRect().width / 360),
  named: all("svg, .scroll", e => e.getAttribute("aria-label")),
  paper: getComputedStyle(document.body).backgroundColor,
  ink: getComputedStyle(document.body).color,
}
"""


def brightness(colour):
    """Of rgb(r, g, b), 0 … 1."""
    return sum(map(int, colour[4:-1].split(","))) / 765


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """One browser for all tests: it takes a second to start."""
    with browser(tmp_path_factory.mktemp("profile")) as session:
        yield session


@pytest.mark.timeout(180)
def test_in_a_browser(page, tmp_path):
    for labels in LABELS:
        path = tmp_path / f"{len(labels)}.html"
        path.write_bytes(render(some_facts(labels)))
        for width, dark in ((360, False), (1200, False), (360, True)):
            page.size(width, 800, dark=dark)
            page.requests(), page.said()  # what the browser did before is not ours
            page.open(path)
            seen = page.run(LOOK)
            assert page.said() == []
            assert page.requests() == [path.as_uri()]
            assert seen["sections"] == list(SECTIONS)
            assert len(seen["charts"]) == 6
            assert all(w > 200 and h > 100 for w, h in seen["charts"])
            assert seen["marks"] and min(seen["marks"]) > 0
            assert min(seen["letters"]) > 8.5 and all(seen["named"])
            assert seen["inner"] == width and seen["wide"] <= width
            assert (brightness(seen["paper"]) < brightness(seen["ink"])) == dark


def test_the_browser_test_sees_what_it_looks_for(page, tmp_path):
    """A page that is too wide, asks for a picture, and runs a script that fails."""
    path = tmp_path / "bad.html"
    path.write_text(
        '<!DOCTYPE html><meta name="viewport" content="width=device-width">'
        '<div style="width:900px">wide</div><img src="absent.png"><script>throw 1</script>'
    )
    page.size(360, 800)
    page.requests(), page.said()
    page.open(path)
    assert page.run(LOOK)["wide"] > 360
    assert len(page.requests()) == 2 and "Uncaught" in " ".join(page.said())
