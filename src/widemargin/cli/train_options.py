"""`widemargin train`: its options. What they start is in `train.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from widemargin.cli import cluster_options as clusters
from widemargin.cli import table_options as tables
from widemargin.cli.early import work_of
from widemargin.cli.options import Base, Data, Json, Memory, Page, Threads, Work

EXAMPLE = "Example: widemargin train train.svm.gz -m spam.safetensors --test test.svm.gz --C 10"


def train(
    data: Data,
    model: Annotated[Path, typer.Option("-m", "--model", metavar="MODEL", help="File to write.")],
    test: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="DATA", help="Also report the error on these data."),
    ] = None,
    loss: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="NAME",
            show_default="hinge",
            help="hinge, squared_hinge, log_loss, modified_huber or perceptron.",
        ),
    ] = None,
    C: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--C", metavar="C", show_default="1", help="Weight of the losses."),
    ] = None,
    alpha: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="L", help="Instead of C: lambda of the mean loss, C = 1/(L n)."),
    ] = None,
    solver: Annotated[
        str,
        typer.Option(metavar="NAME", help="auto, dual, sgd, asgd, minibatch, batch or perceptron."),
    ] = "auto",
    epochs: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=1,
            metavar="N",
            help="Passes over the data, at most.",
            show_default="dual 1000; batch, perceptron 100; others 5",
        ),
    ] = None,
    tol: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            metavar="GAP",
            show_default="dual 1e-3; others none: all epochs are run",
            help="Stop at this relative duality gap; exit code 1 if it is not reached.",
        ),
    ] = None,
    batch_size: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=1,
            metavar="B",
            show_default="32; what suits, with --workers",
            help="Samples a step, for minibatch and for each of the workers.",
        ),
    ] = None,
    n_jobs: Threads = None,
    scheme: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="NAME",
            show_default="one thread takes the steps",
            help="How threads share the steps of sgd: hogwild, locked or round_robin.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the order of the samples.")] = 0,
    class_weight: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="balanced", help="Weigh classes inversely to their frequency."),
    ] = None,
    multi_class: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="ovr, one against all; or crammer_singer, one joint problem."
        ),
    ] = "ovr",
    n_features: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, metavar="D", show_default="as met", help="Features of the model."),
    ] = None,
    zero_based: Base = None,
    intercept: Annotated[bool, typer.Option(help="Fit an intercept, not penalised.")] = True,
    max_memory: Memory = None,
    report: Page = None,
    json: Json = False,
    test_share: tables.Share = None,
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
    proba: Annotated[
        bool,
        typer.Option(
            "--proba", help="Also fit probabilities, on scores cross-validated over 5 folds."
        ),
    ] = False,
    workers: clusters.Workers = None,
    servers: clusters.Servers = None,
    policy: clusters.Policy = None,
    backup: clusters.Backup = None,
    staleness: clusters.Staleness = None,
    replicas: clusters.Replicas = None,
    compression: clusters.Compression = None,
    address: clusters.Address = None,
    snapshot_to: clusters.SnapshotTo = None,
    dashboard: clusters.Dashboard = None,
) -> Work:
    """Train a linear classifier and save it. More than two classes: one against all, or jointly."""
    said = dict(locals())  # every option goes on under its own name
    said["reading"], said["cluster"] = tables.grouped(said), clusters.grouped(said)
    work = work_of("train")
    return lambda: work.train(work.Training(**said))
