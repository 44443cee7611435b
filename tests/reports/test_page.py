"""The page: well-formed, escaped, small, complete in itself, whole or not at all."""

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest
from made import HISTORY, a_model, a_set, some_facts

import widemargin as wm
from widemargin.reports import svg
from widemargin.reports.gather import Run, gather
from widemargin.reports.page import SECTIONS, render, write_page

NASTY = ('<script>alert("1")</script>', "a&b", "'\"><img src=x>", "plain")
VOID = {"meta", "link", "br", "img", "input"}


class Tree(HTMLParser):
    """Checks that every element is closed where it should be, and keeps what it met."""

    def __init__(self):
        super().__init__()
        self.open, self.names, self.ids, self.text = [], [], [], []

    def handle_starttag(self, name, attributes):
        self.names.append(name)
        self.ids += [value for key, value in attributes if key == "id"]
        if name not in VOID:
            self.open.append(name)

    def handle_startendtag(self, name, attributes):
        self.names.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        self.text.append(data)


def parsed(page):
    tree = Tree()
    tree.feed(page.decode())
    tree.close()
    assert not tree.open and len(set(tree.ids)) == len(tree.ids)
    return tree


@pytest.mark.parametrize("labels", [("no", "yes"), NASTY, tuple(map(str, range(30)))])
def test_every_section_is_there_and_every_drawing_is_well_formed(labels):
    page = render(some_facts(labels))
    tree = parsed(page)
    assert set(tree.ids) >= SECTIONS.keys()
    drawings = re.findall(r"<svg.*?</svg>", page.decode(), re.S)
    assert len(drawings) == 6
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.get("aria-label") and len(root.findall(".//text")) > 4
        numbers = re.findall(r'(?:x|y|width|height|points)="([^"]*)"', drawing)
        assert "nan" not in " ".join(numbers) and "inf" not in " ".join(numbers)


@pytest.mark.parametrize(
    ("loss", "tile", "each"),
    [("crammer_singer", True, "Rows of each class"), ("hinge", False, "Each class against the")],
)
def test_support_vectors_of_many_classes_are_told_as_the_loss_has_them(loss, tile, each):
    model, seen = a_model(("a", "b", "c"), loss=loss), a_set("training", 400, 3, 1)
    facts = gather(model, [seen], Run("t"))
    first, page = facts.margins[0], "".join(parsed(render(facts)).text)
    assert each in page and "every row acts" not in page
    held = first.below + first.at
    assert (f"support vectors{held}" in page) == tile


def test_labels_names_and_commands_are_text_and_nothing_else():
    names = [f"<b>{j}</b>" for j in range(30)]
    facts = some_facts(NASTY, title="<script>x</script>.svm", command="wm '<i>&'", names=names)
    tree = parsed(render(facts))
    assert not {"script", "img", "b"} & set(tree.names)
    text = "".join(tree.text)
    for said in (*NASTY, "<script>x</script>.svm", "wm '<i>&'"):
        assert said in text
    assert re.search(r"<b>\d+</b>", text)


def test_the_page_asks_nobody_for_anything():
    page = render(some_facts(NASTY)).decode()
    outside = re.findall(r'(?:src|href|action|data)="([^"#]*)"', page)
    assert outside == ["data:,"] and "url(" not in page and "@import" not in page
    assert "default-src 'none'" in page and "http" not in page.replace("http-equiv", "")


def test_a_page_of_many_rows_features_and_classes_is_small():
    n, d = 781_265, 47_236
    model = a_model(("-1", "+1"), d)
    sets = [a_set("training", n, 2, d=d), a_set("test", 23_149, 2, 1, d=d)]
    history = [{**HISTORY[0], "epoch": e, "seconds": 0.1 * e} for e in range(1, 2001)]
    page = render(gather(model, sets, Run("rcv1", history=history)))
    assert len(page) < 150_000
    labels = [f"a class with quite a long name, number {k}" for k in range(150)]
    assert len(render(some_facts(labels, n=9000))) < 300_000


def test_a_page_without_history_certificate_or_known_rows():
    model = a_model(("no", "yes"), certificate=None)
    tree = parsed(render(gather(model, [a_set("evaluated", 5, 2, unknown=5)], Run("t"))))
    assert "time" not in tree.ids and "certificate" in tree.ids
    assert "carries no certificate" in "".join(tree.text)


@pytest.mark.parametrize(
    "row",
    [
        {"gap": np.nan, "dual": np.nan, "objective": np.nan},
        {"gap": 0.0, "dual": 0.0, "objective": 0.0},
        {"gap": 1.0, "dual": -3.0, "objective": 1e-9},
        {"gap": np.inf, "dual": -np.inf, "objective": 2.0},
    ],
)
def test_a_history_of_any_numbers_is_drawn(row):
    history = [{"epoch": 1, "seconds": 0.0, **row}, {"epoch": 2, "seconds": 0.0, **row}]
    page = render(some_facts(history=history)).decode()
    assert not re.search(r'="[^"]*\b(nan|inf)\b', page)


def test_the_file_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    facts = some_facts()
    broken = facts._replace(strongest=None)
    with pytest.raises(TypeError):
        write_page(broken, path)
    assert not list(tmp_path.iterdir())
    write_page(facts, path)
    assert path.read_bytes() == render(facts) and list(tmp_path.iterdir()) == [path]
    with pytest.raises(ValueError, match="existing folder"):
        write_page(facts, tmp_path / "absent" / "page.html")


def test_ticks_are_round_numbers_inside_the_axis():
    assert svg.linear(0.0, 1.0, "x").ticks == pytest.approx((0, 0.2, 0.4, 0.6, 0.8, 1.0))
    assert svg.linear(-2.2, 5.3, "x").ticks == pytest.approx((-2, 0, 2, 4))
    assert svg.up_to(0.061, "x").high == pytest.approx(0.08)
    assert svg.decades(3e-5, 0.4, "x").ticks == pytest.approx((1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1))
    assert [svg.power(v) for v in (1e-5, 0.01, 1.0, 1e4)] == ["10⁻⁵", "0.01", "1", "10⁴"]
    flat = svg.linear(3.0, 3.0, "x")
    assert flat.low < 3.0 < flat.high


def test_from_an_estimator_with_named_columns(tmp_path):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    X = pandas.DataFrame(rng.normal(size=(80, 3)), columns=["height <cm>", "weight", "noise"])
    y = np.where(X["height <cm>"] + 0.5 * X["weight"] > 0, "tall", "small")
    clf = wm.LinearSVC(loss="hinge", C=10.0, random_state=7).fit(X, y)
    path = tmp_path / "page.html"
    wm.report(clf, X, y, path, test=(X[:9], [*y[:8], "giant"]))
    wm.report(clf, X, y, path, test=(X[:9], [*y[:8], "giant"]))  # a name stays a function
    text = "".join(parsed(path.read_bytes()).text)
    for said in ("height <cm>", "1 test rows bear a label", "LinearSVC", "relative gap of 0.0001"):
        assert said in text
    with pytest.raises(ValueError, match="4 labels for 80 rows"):
        wm.report(clf, X, y[:4], path)
