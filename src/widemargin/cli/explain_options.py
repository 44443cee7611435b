"""`widemargin explain`: its options. What they start is in `explain.py`."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from widemargin.cli import table_options as tables
from widemargin.cli.early import work_of
from widemargin.cli.options import Json, ModelFile, Work

EXAMPLE = 'Example: widemargin explain spam.safetensors --text "free money, click here"'


def explain(
    model: ModelFile,
    document: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(
            metavar="[DOCUMENT]",
            show_default="the whole model",
            help="A file: one document, or records or rows of which --row is explained.",
        ),
    ] = None,
    text: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="TEXT", help="The document itself."),
    ] = None,
    row: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, metavar="N", show_default="1", help="Which of several, from 1."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Features to show.")] = 20,
    json: Json = False,
    format: tables.Format = None,
    encoding: tables.Encoding = None,
) -> Work:
    """The strongest features of each class; for a document, what drove the decision."""
    said = tables.serving(format=format, encoding=encoding)
    return lambda: work_of("explain").explain(
        model, document, text=text, row=row, top=top, serving=said, json=json
    )
