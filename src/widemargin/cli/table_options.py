"""Options of `train` for text and tables, and what they say together."""

from __future__ import annotations

from typing import Annotated, Any, Optional, TypeAlias

import typer

Maybe: TypeAlias = Optional[str]  # noqa: UP045, typer reads the annotation
GROUP = "Text and tables (jsonl, json, csv, tsv, parquet, folders of files by class)"


def _option(help: str, metavar: str | None = None, default: str | bool = False) -> Any:
    return typer.Option(help=help, metavar=metavar, show_default=default, rich_help_panel=GROUP)


Text = Annotated[Maybe, _option("Columns of text, by name or position from 1.", "COL[,COL]")]
Label = Annotated[Maybe, _option("Column of the label.", "COL", "label")]
Columns = Annotated[Maybe, _option("Table columns to use; without --text all.", "COL[,COL]")]
Numeric = Annotated[
    Maybe, _option("Numeric columns; all others are categories.", "COL[,COL]", "by their values")
]
Drop = Annotated[Maybe, _option("Columns to leave out.", "COL[,COL]")]
Categorical = Annotated[Maybe, _option("one-hot or hash.", "NAME", "one-hot")]
Format = Annotated[
    Maybe,
    _option("jsonl, json, csv, tsv, parquet, folder or lines.", "NAME", "by suffix or first line"),
]
Header = Annotated[
    Optional[bool],  # noqa: UP045
    typer.Option(
        "--header/--no-header",
        help="Whether csv and tsv begin with names.",
        show_default="yes, unless all columns go by position",
        rich_help_panel=GROUP,
    ),
]
Encoding = Annotated[Maybe, _option("Of text files.", "NAME", "utf-8")]
Analyzer = Annotated[Maybe, _option("word, char or char_wb.", "NAME", "word")]
Tokens = Annotated[Maybe, _option("What a word is.", "REGEX", "two or more letters, digits or _")]
Ngrams = Annotated[Maybe, _option("n-grams of n from A to B words or characters.", "A:B", "1:1")]
StopWords = Annotated[Maybe, _option("Words left out: english, none or a file.", "NAME", "none")]
MinDf = Annotated[
    Maybe, _option("Fewest documents of a word: a number, or a share as 0.01.", "N", "1")
]
MaxDf = Annotated[Maybe, _option("Most documents of a word, likewise.", "N", "1.0")]
MaxFeatures = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(min=1, metavar="N", help="Keep the N most frequent.", rich_help_panel=GROUP),
]
Hash = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "--hash",
        min=1,
        max=30,
        metavar="BITS",
        help="Hash words into 2^BITS columns, without a vocabulary.",
        rich_help_panel=GROUP,
    ),
]
Sublinear = Annotated[
    bool, typer.Option("--sublinear", help="1 + log of counts.", rich_help_panel=GROUP)
]
Idf = Annotated[bool, typer.Option(help="Weigh rare words more.", rich_help_panel=GROUP)]
Norm = Annotated[Maybe, _option("l2, l1 or none: the norm of a document.", "NAME", "l2")]
Lowercase = Annotated[bool, typer.Option(help="All words in lower case.", rich_help_panel=GROUP)]
Share = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(
        "--test-share",
        metavar="P",
        help="Set a share of each class aside, drawn by --seed, and report the error there.",
    ),
]

WORDS = ("analyzer", "tokens", "ngrams", "stop_words", "min_df", "max_df", "max_features", "hash")
NAMES = (
    *("text", "label", "columns", "numeric", "drop", "categorical", "format", "header"),
    *("encoding", *WORDS, "sublinear", "idf", "norm", "lowercase"),
)
DEFAULTS: dict[str, Any] = {"sublinear": False, "idf": True, "lowercase": True}


SERVING = ("format", "text", "label", "header", "encoding")


def serving(**said: Any) -> dict[str, Any]:
    """What `predict`, `evaluate` and `explain` are told of a source of documents or records."""
    text = said.get("text")
    if text is not None:
        said["text"] = tuple(name.strip() for name in text.split(","))
    return {name: value for name, value in said.items() if value is not None}


def grouped(said: dict[str, Any]) -> dict[str, Any] | None:
    """Takes these options out of all that were said: those that say something, or None."""
    own = {name: said.pop(name) for name in NAMES}
    return {name: v for name, v in own.items() if v != DEFAULTS.get(name)} or None
