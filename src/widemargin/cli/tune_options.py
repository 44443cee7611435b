"""`widemargin tune`: its options. What they start is in `tune.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from widemargin.cli import table_options as tables
from widemargin.cli.early import work_of
from widemargin.cli.options import Base, Data, Json, Threads, Work

EXAMPLE = "Example: widemargin tune train.svm.gz -m spam.safetensors --Cs 1e-2:1e2:9"


def tune(
    data: Data,
    model: Annotated[Path, typer.Option("-m", "--model", metavar="MODEL", help="File to write.")],
    Cs: Annotated[
        str,
        typer.Option("--Cs", metavar="LOW:HIGH:COUNT", help="Values of C; or a list: 0.1,1,10."),
    ] = "1e-3:1e3:13",
    cv: Annotated[int, typer.Option(min=2, metavar="F", help="Folds, each class dealt out.")] = 5,
    rule: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="best: the best mean score. one-standard-error: the smallest C within one "
            "standard error of it.",
        ),
    ] = "best",
    scoring: Annotated[
        str, typer.Option(metavar="NAME", help="accuracy, balanced_accuracy or f1_macro.")
    ] = "accuracy",
    loss: Annotated[
        str, typer.Option(metavar="NAME", help="hinge, squared_hinge or log_loss.")
    ] = "hinge",
    tol: Annotated[
        float, typer.Option(metavar="GAP", help="Relative duality gap of the model.")
    ] = 1e-3,
    cv_tol: Annotated[
        float, typer.Option("--cv-tol", metavar="GAP", help="Relative duality gap of the folds.")
    ] = 1e-2,
    epochs: Annotated[
        int, typer.Option(min=1, metavar="N", help="Passes over the data for each C, at most.")
    ] = 1000,
    n_jobs: Threads = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds and orders.")] = 0,
    class_weight: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="balanced", help="Weigh classes inversely to their frequency."),
    ] = None,
    zero_based: Base = None,
    intercept: Annotated[bool, typer.Option(help="Fit an intercept, not penalised.")] = True,
    proba: Annotated[bool, typer.Option("--proba", help="The model gives probabilities.")] = False,
    plot: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE.png", help="Draw score against C (needs matplotlib)."),
    ] = None,
    json: Json = False,
    text: tables.Text = None,
    label: tables.Label = None,
    columns: tables.Columns = None,
    numeric: tables.Numeric = None,
    drop: tables.Drop = None,
    categorical: tables.Categorical = None,
    format: tables.Format = None,
    header: tables.Header = None,
    encoding: tables.Encoding = None,
    analyzer: tables.Analyzer = None,
    tokens: tables.Tokens = None,
    ngrams: tables.Ngrams = None,
    stop_words: tables.StopWords = None,
    min_df: tables.MinDf = None,
    max_df: tables.MaxDf = None,
    max_features: tables.MaxFeatures = None,
    hash: tables.Hash = None,
    sublinear: tables.Sublinear = False,
    idf: tables.Idf = True,
    norm: tables.Norm = None,
    lowercase: tables.Lowercase = True,
) -> Work:
    """Choose C by cross-validation, train with it and save the model.

    Words and columns of text and tables are counted over all rows, before the folds are dealt.
    """
    said = dict(locals())  # every option goes on under its own name
    said["reading"] = tables.grouped(said)
    work = work_of("tune")
    return lambda: work.tune_file(work.Tuning(**said))
