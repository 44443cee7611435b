"""The sections of a page on the fit and its data; those on what came of it are in `judged.py`."""

from __future__ import annotations

import math

import numpy as np

from widemargin.reports import charts
from widemargin.reports.facts import Counts, Facts
from widemargin.reports.html import (
    Safe,
    pairs_list,
    section,
    share_bar,
    table,
    tag,
)
from widemargin.reports.numbers import percent, plain, seconds, small, whole

LOOSE = 0.02  # a relative gap above this, which was not asked for, is explained
CLASSES = 40  # listed, at most, in a table of classes


def certificate(facts: Facts) -> Safe:
    """The certificate, and what it says in plain words."""
    proof, fit = facts.fit.certificate, facts.fit
    if proof is None or not math.isfinite(proof.gap):
        told = "This model carries no certificate: how far it is from the optimum is not known."
        return section("certificate", "Certificate", tag("p", told))
    meaning = (
        f"No {_kind(facts)} at all, however trained, has an objective below "
        f"{plain(proof.dual, 7)} on the training data. This one has {plain(proof.primal, 7)}. "
        f"So at most {small(proof.relative_gap)} of its objective could still be gained by "
        "more training; that bound is proved by the dual variables, not estimated."
    )
    verdict = ""
    if fit.tol is None and proof.relative_gap > LOOSE:
        verdict = tag(
            "p",
            "A wide gap does not make a poor model: it says that these weights alone prove no "
            "more. The dual solver finds better dual variables, and so a tighter bound.",
        )
    if fit.tol is not None:
        reached = proof.relative_gap <= fit.tol
        verdict = tag(
            "p",
            f"Asked for was a relative gap of {plain(fit.tol)}: "
            f"{'reached' if reached else 'not reached, training stopped before it'}.",
        )
    rows = [
        ("objective (primal), an upper bound of the optimum", plain(proof.primal, 9)),
        ("lower bound of the optimum (dual)", plain(proof.dual, 9)),
        ("gap, upper less lower bound", plain(proof.gap, 3)),
        ("relative gap, gap / objective", f"{proof.relative_gap:.3g}"),
    ]
    return section("certificate", "Certificate", tag("p", meaning), verdict, pairs_list(rows))


def _kind(facts: Facts) -> str:
    free = "" if facts.fit.fit_intercept else " without an intercept"
    return (
        f"linear classifier{free}" if len(facts.labels) == 2 else f"set of linear classifiers{free}"
    )


def over_time(facts: Facts) -> Safe:
    """Accuracy over time."""
    fit = facts.fit
    epochs = f"{len(fit.history):,} epochs of {fit.solver}" if len(fit.history) > 1 else "One epoch"
    spent = seconds(fit.history[-1]["seconds"])
    told = tag(
        "p",
        f"{epochs}, {spent}. The optimum lies between the objective and the lower bound: where "
        "they meet, training is done. Epochs without a certificate show what the solver itself "
        "summed up on its way.",
    )
    drawn = tag("div", charts.accuracy(fit), charts.objective(fit), class_="grid")
    return section("time", "Accuracy over time", told, drawn)


def data(facts: Facts) -> Safe:
    """What the data sets consist of."""
    rows = [_of_set(each) for each in facts.data]
    head = ("data", "rows", "features", "nonzeros", "a row: median", "mean", "most", "error")
    unknown = [
        tag(
            "p",
            f"{whole(each.unknown)} {each.role} rows bear a label that the model does not know: "
            "they count as errors, and appear in nothing below.",
        )
        for each in facts.data
        if each.unknown
    ]
    classes = tag("div", tag("h3", "Classes"), *class_table(facts))
    drawn = tag("div", classes, charts.lengths(facts.data), class_="grid")
    return section("data", "Data", table(head, rows, "Data sets"), *unknown, drawn)


def _of_set(each: Counts) -> tuple[str, ...]:
    return (
        f"{each.role}: {each.source}",
        whole(each.n_samples),
        whole(each.n_features),
        whole(each.n_nonzeros),
        plain(each.lengths.median, 4),
        plain(each.lengths.mean, 4),
        whole(each.lengths.most),
        percent(each.error),
    )


def class_table(facts: Facts) -> list[Safe]:
    """Rows of each class, the largest CLASSES of them."""
    first = facts.data[0].classes
    shown = np.sort(np.argsort(-first, kind="stable")[:CLASSES])
    largest = max(1, int(first.max()))
    total = max(1, int(first.sum()))
    rows = [
        (
            facts.labels[k],
            *(whole(each.classes[k]) for each in facts.data),
            percent(first[k] / total),
            share_bar(first[k] / largest),
        )
        for k in shown
    ]
    head = ("class", *(each.role for each in facts.data), "share", "")
    found = table(head, rows, "Classes")
    return [found, left_out(len(shown), len(first))]


def left_out(shown: int, there: int) -> Safe:
    if shown == there:
        return Safe("")
    return tag("p", f"The {shown} largest of {there} classes.", class_="muted")


def run(facts: Facts) -> Safe:
    """How to repeat it."""
    fit = facts.fit
    rows: list[tuple[str, str]] = [
        ("solver", fit.solver),
        ("loss", fit.loss),
        ("penalty", fit.penalty),
        ("C", plain(fit.C)),
        ("intercept", "fitted, not penalised" if fit.fit_intercept else "none"),
    ]
    rows += [("epochs", whole(fit.epochs))] if fit.epochs else []
    rows += [("seed", str(facts.seed))] if facts.seed is not None else []
    rows += [(f"seconds, {name}", seconds(value)) for name, value in facts.seconds]
    command = tag("pre", tag("code", facts.command)) if facts.command else ""
    both = tag("div", pairs_list(rows), pairs_list(facts.versions), class_="grid")
    return section("run", "This run", command, both)
