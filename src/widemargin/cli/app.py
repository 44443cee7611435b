"""The commands and their options. Each body imports its work only when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from widemargin._version import __version__
from widemargin.cli import (
    explain_options,
    plan_options,
    simulate_options,
    status_options,
    train_options,
    tune_options,
)
from widemargin.cli import table_options as tables
from widemargin.cli.early import work_of
from widemargin.cli.options import Base, Data, Json, Memory, ModelFile, Page, Threads, Work

CLICK: type[Exception] = typer.BadParameter.__mro__[2]  # every error of usage, whatever version

app = typer.Typer(
    name="widemargin",
    help="Large-scale linear classification; every fit ends with a certificate.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(arguments: list[str]) -> int:
    """Run the command that the arguments name; its exit code. Errors of usage are ValueErrors."""
    try:
        work = app(arguments, prog_name="widemargin", standalone_mode=False)
    except typer.Exit as done:
        return int(done.exit_code)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except CLICK as error:
        raise ValueError(_usage(error)) from None
    return int(work() or 0) if callable(work) else int(work or 0)


def _usage(error: Any) -> str:
    if type(error).__name__ == "NoArgsIsHelpError":
        return "no command was given. Try: widemargin --help"
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "widemargin"
    return f"{error.format_message()} Try: {command} --help"


def _version(wanted: bool) -> None:
    if wanted:
        print(f"widemargin {__version__}")
        raise typer.Exit


@app.callback()
def widemargin(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Large-scale linear classification; every fit ends with a certificate."""


@app.command(epilog="Example: widemargin pack train-1.svm.gz train-2.svm.gz -o train.store")
def pack(
    data: Annotated[
        list[str], typer.Argument(metavar="DATA...", show_default=False, help="Files, in order.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to make.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the shuffle, which is recorded.")] = 0,
    shuffle: Annotated[bool, typer.Option(help="Shuffle the rows once.")] = True,
    float64: Annotated[bool, typer.Option("--float64", help="Keep values in float64.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a store.")] = False,
    zero_based: Base = None,
    n_jobs: Threads = None,
    max_memory: Memory = None,
    json: Json = False,
) -> Work:
    """Turn files into one memory-mapped store, shuffled once, which trains without parsing."""
    work = work_of("pack")
    return lambda: work.pack(
        work.Packing(
            data, output, seed, shuffle, float64, overwrite, zero_based, n_jobs, max_memory, json
        )
    )


app.command(epilog=train_options.EXAMPLE)(train_options.train)
app.command(epilog=tune_options.EXAMPLE)(tune_options.tune)


@app.command(epilog="Example: widemargin predict spam.safetensors new.svm -o labels.txt")
def predict(
    model: ModelFile,
    data: Data,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            show_default="stdout",
            help="Written whole or not at all.",
        ),
    ] = None,
    scores: Annotated[
        bool, typer.Option("--scores", help="After each label a tab and its score, or scores.")
    ] = False,
    proba: Annotated[
        bool,
        typer.Option(
            "--proba",
            help="After each label a tab and the probability of every class, in their order.",
        ),
    ] = False,
    n_jobs: Threads = None,
    format: tables.Format = None,
    text: tables.Text = None,
    label: tables.Label = None,
    encoding: tables.Encoding = None,
) -> Work:
    """Write the label of each row, one a line. DATA may lack labels; memory stays bounded.

    A model of text takes the kinds of input that `train` takes, and documents one a line.
    """
    said = tables.serving(format=format, text=text, label=label, encoding=encoding)
    return lambda: work_of("predict").predict(
        model, data, output, scores=scores, proba=proba, threads=n_jobs, serving=said
    )


@app.command(epilog="Example: widemargin evaluate spam.safetensors test.svm --json")
def evaluate(
    model: ModelFile,
    data: Data,
    n_jobs: Threads = None,
    report: Page = None,
    json: Json = False,
    format: tables.Format = None,
    text: tables.Text = None,
    label: tables.Label = None,
    encoding: tables.Encoding = None,
) -> Work:
    """Error, precision and recall of each class, and the objective, on labelled data."""
    said = tables.serving(format=format, text=text, label=label, encoding=encoding)
    return lambda: work_of("evaluate").evaluate(
        model, data, threads=n_jobs, page=report, json=json, serving=said
    )


app.command(epilog=explain_options.EXAMPLE)(explain_options.explain)
app.command(epilog=status_options.EXAMPLE)(status_options.status)
app.command(epilog=simulate_options.EXAMPLE)(simulate_options.simulate)
app.command(epilog=plan_options.EXAMPLE)(plan_options.plan)


@app.command(epilog="Example: widemargin demo --plot accuracy.png")
def demo(
    rows: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=100,
            metavar="N",
            show_default="781265",
            help="Rows of the corpus; fewer make no calibrated comparison.",
        ),
    ] = None,
    plot: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE.png", help="Draw time against accuracy (needs matplotlib)."),
    ] = None,
    json: Json = False,
) -> Work:
    """The lecture's table, each solver on RCV1-like data, and a tour of the rest, each part run."""
    return lambda: work_of("demo").demo(rows, plot, json=json)


@app.command(epilog="Example: widemargin bench startup")
def bench(
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="[NAME]", show_default="list them", help="Benchmark to run."),
    ] = None,
    arguments: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="[ARGUMENTS]...", help="Handed on, after --."),
    ] = None,
) -> Work:
    """Run a benchmark of a source checkout, or list them."""
    return lambda: work_of("bench").bench(name, arguments or [])
