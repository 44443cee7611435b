"""`widemargin demo`: the lecture's table, the tour, and the figure."""

from __future__ import annotations

import time
from pathlib import Path

from widemargin.cli.clock import since_start
from widemargin.cli.demo_tour import show_tour
from widemargin.cli.output import Progress, put_json
from widemargin.demo import LAM, PUBLISHED, Entry, Task, make_task, table
from widemargin.errors import InputError


def demo(rows: int | None, plot: Path | None, *, json: bool) -> None:
    if plot is not None:
        check_plot(plot)
    began = time.perf_counter()
    task = make_task(rows)
    corpus_seconds = time.perf_counter() - began
    entries: list[Entry] = []
    if not json:
        _head(task, corpus_seconds)
    with Progress("solvers", 5) as progress:
        for line in table(task, lambda name: progress.advance(0, name)):
            entries.append(line)
            progress.advance(1)
    if not json:
        _show(entries, rows is None)
    lines = show_tour(task, json=json)
    if json:
        put_json(
            {
                "lambda": LAM,
                "n_samples": len(task.train.codes),
                "calibrated": rows is None,
                "solvers": [entry._asdict() for entry in entries],
                "published": [
                    dict(zip(("solver", "seconds", "objective", "test_error"), line, strict=True))
                    for line in PUBLISHED
                ],
                "tour": lines,
                "seconds": {"corpus": corpus_seconds, "total": since_start()},
            }
        )
    if plot is not None:
        from widemargin.demo_plot import draw

        draw(task, plot)
        if not json:
            print(f"\nfigure         {plot}")


def check_plot(plot: Path) -> None:
    """What would stop the drawing, said before the work."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ValueError(
            "--plot needs matplotlib, which is not installed. "
            "Install it with: pip install 'widemargin[report]'"
        ) from None
    if not plot.absolute().parent.is_dir():
        raise InputError(f"{plot}: found no folder {plot.parent} to write into; make it first.")


def _head(task: Task, seconds: float) -> None:
    train, test = task.corpus.train, task.corpus.test
    print(
        f"RCV1-shaped corpus: {len(train.codes):,} + {len(test.codes):,} rows, "
        f"{train.rows.n_features:,} features ({seconds:.1f} s)"
    )
    print(f"min (1/n) sum max(0, 1 - y (w.x + b)) + (lambda/2) |w|^2, lambda = {LAM:g}\n")


def _show(entries: list[Entry], calibrated: bool) -> None:
    widths = max(len(entry.solver) for entry in entries), max(len(e.settings) for e in entries)
    head = f"{'':{widths[0]}}  {'':{widths[1]}}  {'seconds':>8}  {'f(w,b)':>7}  test error  gap"
    print(head)
    for e in entries:
        print(
            f"{e.solver:{widths[0]}}  {e.settings:{widths[1]}}  {e.seconds:8.2f}  "
            f"{e.objective:7.4f}  {100 * e.test_error:8.2f} %  {e.relative_gap:.1e}"
        )
    width = widths[0] + widths[1] + 2
    print(f"\n{'published for RCV1 itself':{width}}")
    for name, seconds, objective, error in PUBLISHED:
        print(f"{name:{width}}  {seconds:8,.1f}  {objective:7.4f}  {100 * error:8.2f} %")
    if not calibrated:
        print("\nA corpus of another size than RCV1's: its figures compare with each other only.")
