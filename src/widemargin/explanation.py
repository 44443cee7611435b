"""What a linear model goes by: its strongest features, and what drove a single decision.

score_k(x) = b_k + Σⱼ w_jk x_j,    and feature j contributes w_jk x_j
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from widemargin.data.records import Batch
from widemargin.model import Model, as_model
from widemargin.objective import column
from widemargin.scores import codes_of

TOP = 20


def explain(model: Any, X: Any = None, *, top: int | None = TOP) -> Any:
    """The strongest features of each class; with documents or rows X, what drove each decision.

    Without X: {"intercept": {class: b}, "classes": {class: [{"feature", "weight"}, ...]}}, for
    two classes the weights that pull towards each, for more the largest of each class's column.
    With X (what `Model.predict` takes): a list of {"label", "score", "intercept", "contributions":
    [{"feature", "value", "weight", "contribution"}, ...], "rest", "n_rest"}. The contributions,
    largest first by size, are those to the class predicted, or for two classes to the second one;
    with the intercept and the rest, which is not shown, they sum to the score. `top=None`
    shows all.

    >>> import numpy as np, widemargin as wm
    >>> model = wm.Model(np.array([2.0, -1.0]), np.array([0.5]), ("ham", "spam"))
    >>> wm.explain(model)["classes"]["spam"]
    [{'feature': '1', 'weight': 2.0}]
    >>> wm.explain(model, np.array([[1.0, 1.0]]))[0]["score"]
    1.5
    """
    model = as_model(model)
    if top is not None and top < 1:
        raise ValueError(f"top={top} must be at least 1, or None for all.")
    if X is None:
        return strongest(model, top)
    batch = None
    if model.features is not None:
        from widemargin.features.raw import as_batch

        batch = as_batch(model.features, X)
    if batch is not None:
        return [explained(model, one(batch, i), top) for i in range(len(batch.lines))]
    return explained_rows(model, X, top)


def strongest(model: Model, top: int | None) -> dict[str, Any]:
    """The features with the largest weights towards each class."""
    two = model.b.size == 1
    classes, intercept = {}, {}
    for k, label in enumerate(model.labels):
        w = column(model.W, 0 if two else k) * (-1.0 if two and k == 0 else 1.0)
        js = np.argsort(-w, kind="stable")[:top]
        js = js[w[js] > 0.0]
        names = feature_names(model, js)
        classes[label] = [
            {"feature": name, "weight": float(w[j])} for name, j in zip(names, js, strict=True)
        ]
        intercept[label] = float(model.b[0 if two else k] * (-1.0 if two and k == 0 else 1.0))
    return {"intercept": intercept, "classes": classes}


def feature_names(
    model: Model, js: NDArray[Any] | Sequence[int], batch: Batch | None = None
) -> list[str]:
    """Words, table columns, or the numbers that svmlight text counts features by."""
    if model.features is None:
        return [str(int(j) + (not model.zero_based)) for j in js]
    from widemargin.features.naming import names_of

    return names_of(model.features, list(js), batch)


def one(batch: Batch, i: int) -> Batch:
    """Record i alone."""
    columns: dict[str, Sequence[Any]] = {
        name: [values[i]] for name, values in batch.columns.items()
    }
    return batch._replace(columns=columns, lines=[batch.lines[i]])


def explained(model: Model, batch: Batch, top: int | None) -> dict[str, Any]:
    """What drove the decision on the one record of a batch."""
    from widemargin.features.fitted import sparse
    from widemargin.features.raw import batch_matrix

    rows = sparse(batch_matrix(model.features, batch))
    p = model.scores(rows)[0]
    return _explained(model, rows.indices, rows.values, p, top, batch)


def explained_rows(model: Model, X: Any, top: int | None) -> list[dict[str, Any]]:
    """What drove the decision on each row of a matrix."""
    from widemargin.data.rows import Sparse, as_rows, row
    from widemargin.model import as_matrix

    p = model.scores(X)
    rows = X if isinstance(X, Sparse) else as_rows(as_matrix(X))
    found = []
    for i in range(len(p)):
        x = row(rows, i)
        values, js = x if isinstance(rows, Sparse) else (x, np.arange(len(x)))
        found.append(_explained(model, js, values, p[i], top, None))
    return found


def _explained(
    model: Model, js: Any, values: Any, p: Any, top: int | None, batch: Batch | None
) -> dict[str, Any]:
    code = int(codes_of(p[None])[0])
    k = 0 if model.b.size == 1 else code
    w = column(model.W, k)[js]
    parts = w * values
    order = np.argsort(-np.abs(parts), kind="stable")
    order = order[parts[order] != 0.0]
    shown = order[:top]
    names = feature_names(model, js[shown], batch)
    return {
        "label": model.labels[code],
        "towards": model.labels[1 if model.b.size == 1 else code],
        "score": float(p[k]),
        "intercept": float(model.b[k]),
        "contributions": [
            {
                "feature": name,
                "value": float(values[i]),
                "weight": float(w[i]),
                "contribution": float(parts[i]),
            }
            for name, i in zip(names, shown, strict=True)
        ],
        "rest": float(parts[order[len(shown) :]].sum()),
        "n_rest": len(order) - len(shown),
    }
