"""The documents: what they name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
PLACES = ("", "src/widemargin", "tests", "benchmarks", "benchmarks/harness")


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def anchors(page):
    """The names by which headings are linked to."""
    for line in page.read_text().splitlines():
        if line.startswith("#"):
            words = re.sub(r"[^\w\s-]", "", line.lstrip("#").strip().lower())
            yield words.replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_are_named_are_there(page):
    named = set(re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|md))`", page.read_text()))
    assert [n for n in sorted(named) if not any((ROOT / p / n).exists() for p in PLACES)] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http:", "https:")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in set(anchors(there)), target
