"""The sections of a page on what a model makes of rows: margins, confusion, ranking, weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from widemargin.reports import charts
from widemargin.reports.bins import AT_ONE
from widemargin.reports.facts import Confusion, Curves, Facts, Margins
from widemargin.reports.html import Safe, folded, joined, section, share_bar, table, tag
from widemargin.reports.numbers import area, percent, plain, whole
from widemargin.run.joint import JOINT

CLASSES = 40  # listed, at most, in a table of classes


SUPPORT = (
    "Rows beyond the margin do not act on the weights at all: the same weights would come from "
    "the others, the support vectors, alone."
)
HELD = ("hinge", "squared_hinge", JOINT)  # losses whose weights support vectors hold
ACTING = {  # which rows act on the weights, by loss
    **dict.fromkeys(HELD, SUPPORT),
    "perceptron": "The perceptron moves for rows on the wrong side alone.",
}


def margins(facts: Facts) -> Safe:
    """Where the rows lie from the separating plane, and which of them hold it."""
    two = len(facts.labels) == 2
    acting = ACTING.get(facts.fit.loss, "Under this loss every row acts, the less the farther.")
    told = [tag("p", f"{acting} A margin within {plain(AT_ONE)} of 1 counts as 1.")]
    joint = facts.fit.loss == JOINT  # one margin a row, however many classes
    if not two:
        right = (
            "A row is told rightly where the score of its class is above every other: where "
            "this margin is above 0."
        )
        told = [tag("p", right), *(told if joint else [])]
    counts = [(each, (each.wrong, each.below, each.at, each.beyond)) for each in facts.margins]
    rows = [
        (where, *(_with_share(ns[i], each) for each, ns in counts))
        for i, where in enumerate(("< 0", "< 1", "= 1", "> 1"))
    ]
    told.append(table(("margin", *(e.role for e in facts.margins)), rows, "Margins counted"))
    if not two:
        told.append(tag("h3", "Rows of each class" if joint else "Each class against the rest"))
        told += [] if joint else [tag("p", acting)]
        told.append(folded("Support vectors of each", support_table(facts, facts.margins[0])))
    drawn = tag("div", charts.margins(facts.margins, two), tag("div", *told), class_="grid")
    return section("margins", "Margins and support vectors", drawn)


def _with_share(n: int, each: Margins) -> str:
    total = each.below + each.at + each.beyond
    return f"{whole(n)} ({percent(n / max(1, total), 1)})"


def support_table(facts: Facts, each: Margins) -> Safe:
    order = np.argsort(-each.sides[:, 0], kind="stable")[:CLASSES]
    rows = [(facts.labels[k], *map(whole, each.sides[k])) for k in np.sort(order)]
    return table(("class", "< 1", "= 1", "> 1"), rows, "Support vectors")


def confusion(facts: Facts) -> Safe:
    """Which classes are taken for which."""
    shown = facts.confusion[0].shown
    told = "Lines are true classes, columns predicted ones."
    if len(shown) < len(facts.labels):
        told += f" The {len(shown)} classes confused most, of {len(facts.labels)}."
    last_first = facts.confusion[::-1]
    matrices = [
        tag("div", tag("h3", each.role), confusion_table(facts, each)) for each in last_first
    ]
    parts = [tag("p", told, class_="muted")]
    parts.append(tag("div", *matrices, class_="grid" if len(shown) <= 6 else "stack"))
    if len(facts.labels) > 2:
        often = [
            tag("div", tag("h3", f"Most frequent, {each.role}"), pair_table(facts, each))
            for each in last_first
        ]
        parts.append(tag("div", *often, class_="grid"))
    return section("confusion", "Confusion", *parts)


def confusion_table(facts: Facts, each: Confusion) -> Safe:
    names = [facts.labels[k] for k in each.shown]
    sums = np.maximum(1, each.counts.sum(axis=1))
    rows = []
    for i, name in enumerate(names):
        cells = []
        for j, n in enumerate(each.counts[i]):
            share = 65.0 * (n / sums[i]) ** 0.5
            kind = ' class="hit"' if i == j else ""
            cells.append(
                Safe(f'<td{kind} style="--s:{share:.0f}%">{whole(n)}</td>' if n else "<td>0</td>")
            )
        rows.append((name, *cells))
    return table(("", *names), rows, f"Confusion matrix, {each.role}", "confusion")


def pair_table(facts: Facts, each: Confusion) -> Safe:
    rows = [(f"{facts.labels[i]} → {facts.labels[j]}", whole(n)) for i, j, n in each.pairs]
    return table(("true → predicted", "rows"), rows, f"Most frequent confusions, {each.role}")


def ranking(facts: Facts) -> Safe:
    """ROC and precision–recall with their areas."""
    if len(facts.labels) == 2:
        told = f"Of the class {facts.labels[1]}, by its score, over all rows."
    else:
        told = "Each class against the rest by its score; curves and areas are means over classes."
    drawn = tag(
        "div", charts.roc(facts.curves), charts.precision_recall(facts.curves), class_="grid"
    )
    parts = [tag("p", told), drawn]
    if len(facts.labels) > 2:
        parts.append(folded("Areas of each class", area_table(facts, facts.curves)))
    return section("ranking", "ROC and precision–recall", *parts)


def area_table(facts: Facts, sets: Sequence[Curves]) -> Safe:
    last = sets[-1].areas[:, 0]
    order = np.sort(np.argsort(np.where(np.isnan(last), 2.0, last), kind="stable")[:CLASSES])
    rows = [
        (
            facts.labels[k],
            *(area(value) for s in sets for value in s.areas[k]),
        )
        for k in order
    ]
    head = ("class", *(f"{name}, {s.role}" for s in sets for name in ("ROC", "precision–recall")))
    note = (
        f"The {len(order)} classes of smallest area of {len(last)}."
        if len(order) < len(last)
        else ""
    )
    return joined([table(head, rows, "Areas"), tag("p", note, class_="muted")])


def features(facts: Facts) -> Safe:
    """The strongest features of each class."""
    if facts.named:
        told = "The features whose weights speak most for a class."
    else:
        told = "The features whose weights speak most for a class, by their numbers in the data."
    if len(facts.labels) == 2:
        parts = tag(
            "div",
            *(weight_table(s.label, s.features, k) for k, s in enumerate(facts.strongest)),
            class_="grid",
        )
        return section("features", "Strongest features", tag("p", told), parts)
    rows = [
        (
            each.label,
            Safe(
                '<td class="words">'
                + joined(
                    tag("span", name, " ", tag("small", f"{w:.3g}")) for name, w in each.features
                )
                + "</td>"
            ),
        )
        for each in facts.strongest
    ]
    found = table(("class", "features and weights"), rows, "Strongest features", "listing")
    return section("features", "Strongest features", tag("p", told), found)


def weight_table(label: str, found: Sequence[tuple[str, float]], k: int) -> Safe:
    most = max([w for _, w in found], default=1.0)
    rows = [(name, f"{w:.4g}", share_bar(w / most, "two" if k else "")) for name, w in found]
    return tag(
        "div",
        tag("h3", f"For {label}"),
        table(("feature", "weight", ""), rows, f"Strongest features for {label}"),
    )
