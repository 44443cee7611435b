"""Training time of solvers on data in memory, to the same objective, on one thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness import cli, datasets, peers
from harness.measure import Run, median
from harness.report import Table, number, times

SMALL_SETS = ("rcv1_topics", "a9a", "news20")
PROMISED = 1.0 + peers.TOL


def run(run: Run, data: Sequence[str] = ()) -> list[Table]:
    """To the same objective on every data set; epochs of SGD on the large one."""
    names = data or ("rcv1_like", *SMALL_SETS)
    tables = [duals(run, name) for name in names if not datasets.skip(name)[0]]
    for name in names:
        if datasets.load(name, 100).n_classes == 2 and name not in SMALL_SETS:
            tables += [epochs(run, name), classifiers(run, name)]
    return tables


# -- to the same objective -------------------------------------------------------------------------


def duals(run: Run, data: str) -> Table:
    """Ours to a relative gap of TOL; every rival with the least effort that gets as far."""
    base = {"data": data, "rows": run.rows}
    truth = run.once({"action": "actions.reference", **base})
    if truth is None:
        return Table(f"To the same objective: {data}", "The reference failed.", ["–"], [], {})
    levels = {"same": truth["reached"], "promised": PROMISED * truth["optimum"]}
    lines = [(name, "", peers.TOL) for name in peers.OURS]
    others, missed = rivals(run, base, levels)
    lines += others
    specs = [
        {"action": "actions.fit", **base, "solver": name, "effort": effort}
        for name, _, effort in lines
    ]
    results = run.each(specs)
    ours = median(results[0], "seconds")
    rows, facts = [], {}
    for (name, level, effort), found in zip(lines, results, strict=True):
        label = f"{name}, {level}" if level else name
        its = facts[label] = {"effort": effort, **facts_of(found, truth, ours)}
        told = peers.SOLVERS[name].settings.replace("…", str(effort))
        shown = [number(its["seconds"]), times(its["ratio"]), number(its["per_sample"], 6)]
        rows.append(
            [label, told, *shown, f"{its['suboptimality']:.1e}", number(its["bytes_per_nonzero"])]
        )
    return Table(f"To the same objective: {data}", words(truth) + missed, HEAD, rows, facts)


HEAD = (
    "solver",
    "settings",
    "seconds",
    "to ours",
    "objective per sample",
    "above the optimum",
    "extra bytes per nonzero",
)


def facts_of(found: Sequence[Any], truth: Any, ours: float) -> dict[str, float]:
    """The medians of one solver, and what they are next to ours and to the optimum."""
    seconds, objective = median(found, "seconds"), median(found, "objective")
    return {
        "seconds": seconds,
        "cpu_seconds": median(found, "cpu_seconds"),
        "ratio": seconds / ours,
        "objective": objective,
        "per_sample": objective / (truth["C"] * truth["n"]),
        "suboptimality": objective / truth["optimum"] - 1.0,
        "bytes_per_nonzero": median(found, "extra_bytes") / truth["nonzeros"],
    }


def rivals(run: Run, base: Any, levels: Any) -> tuple[list[tuple[str, str, Any]], str]:
    """(solver, level, effort) of every rival that is here and gets there; who does not."""
    problem, found, missed = datasets.load(base["data"], 100), [], ""
    for name in peers.RIVALS:
        absent, reason = peers.skip(name, problem)
        if absent:
            print(f"{name} is left out: {reason}")
            continue
        search = run.once({"action": "actions.search", **base, "solver": name, "levels": levels})
        efforts = search["efforts"] if search else {}
        if search is None:
            missed += f" {name}: the search failed or took too long."
        elif efforts["promised"] is None:
            effort, best = min(search["tried"], key=lambda pair: pair[1])
            above = best * PROMISED / levels["promised"] - 1.0
            missed += f" {name} did not get there: {above:.1e} above the optimum with {effort}."
        found += [
            (name, level, effort)
            for level, effort in efforts.items()
            if effort is not None and not (level == "promised" and efforts.get("same") == effort)
        ]
    return found, missed


def words(truth: Any) -> str:
    n, d, nonzeros = truth["n"], truth["d"], truth["nonzeros"]
    return (
        f"{n:,} rows, {d:,} features, {nonzeros / n:.1f} nonzeros a row, {truth['n_classes']} "
        f"classes; hinge, C = {truth['C']:.6g}. *same*: the fewest epochs (or the loosest "
        "tolerance) whose w, with the intercept solved for again, is at least as good as ours; "
        f"*promised*: that is within {peers.TOL:g} of the optimum, which ours certifies and "
        "betters; left out where it is the same."
    )


# -- stochastic gradient descent -------------------------------------------------------------------


def epochs(run: Run, data: str) -> Table:
    """An epoch against one pass that only takes the scores."""
    spec = {"action": "actions.epoch", "data": data, "rows": run.rows}
    found = run.each([spec])[0]
    names = {
        "pass": "gather-dot pass (objective.loss_sums)",
        "sgd": "an epoch of SGD",
        "asgd": "an epoch of averaged SGD",
    }
    took = {name: median(found, name) for name in names}
    rows = [
        [words, number(took[name]), times(took[name] / took["pass"])]
        for name, words in names.items()
    ]
    return Table(
        f"An epoch of SGD and a pass over the data: {data}",
        "One thread, float32, taken in turns in each process.",
        ["", "seconds", "to the pass"],
        rows,
        took,
    )


def classifiers(run: Run, data: str) -> Table:
    """SGDClassifier, ours and scikit-learn's, on float32 and float64."""
    base = {"action": "actions.sgd_classifier", "data": data, "rows": run.rows}
    cases = [
        (name, dtype, average)
        for average in (False, True)
        for dtype in ("float32", "float64")
        for name in ("widemargin", "scikit-learn")
    ]
    specs = [
        {**base, "solver": name, "dtype": dtype, "average": average}
        for name, dtype, average in cases
    ]
    took = {
        case: {field: median(found, field) for field in ("one", "epoch")}
        for case, found in zip(cases, run.each(specs), strict=True)
    }
    rows, facts = [], {}
    for (name, dtype, average), its in took.items():
        ours = took["widemargin", dtype, average]
        label = f"{name}, {dtype}" + (", averaged" if average else "")
        ratios = {field: its[field] / ours[field] for field in its}
        facts[label] = {**its, "ratios": ratios}
        rows.append(
            [
                label,
                number(its["epoch"]),
                times(ratios["epoch"]),
                number(its["one"]),
                times(ratios["one"]),
            ]
        )
    words = (
        "tol=None. *an epoch*: what each of two more epochs adds to a fit; *one-epoch fit*: "
        "everything, with checks, ours also the search for the first learning rate and the "
        "certificate. Ratios on data of the same type, which either takes without a copy."
    )
    head = ["", "an epoch", "to ours", "one-epoch fit", "to ours"]
    return Table(f"SGDClassifier: {data}", words, head, rows, facts)


if __name__ == "__main__":
    cli.main(run)
