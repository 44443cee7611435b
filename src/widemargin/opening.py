"""`open`: one object for a data set, whether it is svmlight, a packed store, text or a table."""

from __future__ import annotations

import os
from typing import Any

from widemargin.data import dataset
from widemargin.data.dataset import Dataset
from widemargin.data.formats import by_name

NUMBERS = ("zero_based", "n_features", "dtype", "unlabelled")  # options of svmlight and stores


def open(
    path: str | os.PathLike[str],
    *,
    threads: int | None = None,
    text: str | list[str] | None = None,
    label: str | None = None,
    **how: Any,
) -> Dataset:
    """The data set at a path.

    svmlight text (plain or compressed, "-") or a packed store: `zero_based`, `n_features`,
    `dtype`, `unlabelled`. Jsonl, json, csv, tsv, parquet or a folder of files by class, told by
    its suffix or by naming the `text` or `label` column: any field of `Asked`. Such a set has
    `features`, which go into the model file: `save(clf, path, features=data.features)`.

    >>> data = open("train.svm.gz")                              # doctest: +SKIP
    >>> data = open("mail.jsonl", text="body", label="spam")     # doctest: +SKIP
    >>> LinearSVC().fit(data.X, data.y)                          # doctest: +SKIP
    """
    name = os.fspath(path)
    numbers = any(option in how for option in NUMBERS)
    if text is None and label is None and (numbers or not ("format" in how or by_name(name))):
        return dataset.open(name, threads=threads, **how)
    from widemargin.features.asked import Asked
    from widemargin.features.fit import fit

    columns = [text] if isinstance(text, str) else text or []
    asked = Asked(text=tuple(columns), label="label" if label is None else label, **how)
    return fit(name, asked, workers=threads or 1, share=None, seed=0).train
