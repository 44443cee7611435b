"""The joint multiclass SVM against LIBLINEAR's, and many labels against one fit for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness import cli, peers
from harness.datasets import skip
from harness.measure import Run, median
from harness.multiclass import EVERY, FORMS, REFERENCE_GAP
from harness.report import Table, number, times

THREADS = (1, 2)


def run(run: Run, data: Sequence[str] = ()) -> list[Table]:
    """Both tables, where the data are to be had."""
    tables = []
    if not skip("news20")[0] and (not data or "news20" in data):
        tables += [joint(run, form) for form in FORMS]
    if not skip("rcv1_topics")[0] and (not data or "rcv1_topics" in data):
        tables += [topics(run, loss) for loss in ("squared_hinge", "hinge")]
    return tables


def joint(run: Run, form: str) -> Table:
    """Crammer and Singer's problem with a penalised intercept, to the same accuracy."""
    base = {"action": "multiclass.joint", "form": form}
    best = run.once({**base, "solver": "widemargin", "effort": REFERENCE_GAP})
    optimum = best["dual"]
    reached = run.once({**base, "solver": "widemargin", "effort": peers.TOL})["objective"]
    levels = [optimum * (1.0 + peers.TOL), reached]
    efforts = run.once({"action": "multiclass.joint_search", "form": form, "levels": levels})
    asked = {"widemargin": ("widemargin", peers.TOL)}
    for words, effort in zip(("promised", "same"), efforts, strict=True):
        if effort is not None:
            asked[f"scikit-learn, {words}"] = ("scikit-learn", effort)
    specs = [{**base, "solver": name, "effort": effort} for name, effort in asked.values()]
    found = dict(zip(asked, run.each(specs), strict=True))
    ours = median(found["widemargin"], "seconds")
    rows, facts = [], {}
    for name, results in found.items():
        its = {field: median(results, field) for field in ("seconds", "objective", "epochs")}
        above = its["objective"] / optimum - 1.0
        facts[name] = {**its, "effort": asked[name][1], "above": above}
        shown = [number(its["seconds"]), times(its["seconds"] / ours), number(its["epochs"])]
        rows.append([f"{name}, tol={asked[name][1]:g}", *shown, f"{above:.1e}"])
    words = (
        f"{form.capitalize()}, C = {FORMS[form]:g}, a constant feature instead of an intercept. "
        f"The loosest tolerance of the rival, whose solver is LIBLINEAR's, that comes within "
        f"{peers.TOL:g} of the optimum ({optimum:.6f}, certified to {REFERENCE_GAP:g}), promised, "
        "or that is as good as ours, same."
    )
    head = ("LinearSVC(multi_class='crammer_singer')", "seconds", "to ours", "epochs", "above")
    return Table(f"One joint problem: news20, 20 classes, {form}", words, head, rows, facts)


def topics(run: Run, loss: str) -> Table:
    """All topics, per topic, next to scikit-learn on every EVERYth."""
    base: dict[str, Any] = {"loss": loss}
    efforts = run.once({"action": "multiclass.topic_efforts", **base})
    specs = [{"action": "multiclass.topics", **base, "threads": t} for t in THREADS]
    *ours, rival = run.each([*specs, {"action": "multiclass.topics_rival", **base,
                                      "efforts": efforts}])  # fmt: skip
    slow = median(rival, "seconds")
    rows, facts = [], {"efforts": efforts, "scikit-learn": slow}
    for threads, results in zip(THREADS, ours, strict=True):
        took = median(results, "seconds")
        facts[f"widemargin, {threads}"] = took
        name = f"widemargin, {threads} thread{'s' * (threads > 1)}"
        rows.append([name, number(1e3 * took), times(slow / took)])
    rows.append(["scikit-learn", number(1e3 * slow), "1×"])
    words = (
        f"C = 1; each topic to {peers.TOL:g} of its optimum. Ours: all 103 topics in one fit, "
        f"everything included. scikit-learn: LinearSVC on every {EVERY}th topic by frequency, "
        "with the fewest epochs that get there."
    )
    head = (f"{loss}, per topic", "milliseconds", "faster")
    return Table(f"Many labels: rcv1_topics, {loss}", words, head, rows, facts)


if __name__ == "__main__":
    cli.main(run)
