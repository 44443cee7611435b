"""The hard margin, C = ∞: is there a hyperplane that separates the classes at all?

For any α ≥ 0 with Σ αᵢ yᵢ = 0 the dual's best point along the ray t α proves an upper bound on
every margin:

    γ ≤ ‖Σ αᵢ yᵢ φ(xᵢ)‖ / Σ αᵢ,

half the distance between two points of the convex hulls of the classes. Where no hyperplane
separates, the dual rises without end and the bound falls to 0. A fit ends as soon as it is below
NO_MARGIN of the data's diameter: data that are separable by less are told from inseparable ones
by rounding only. Two equal samples of different classes prove it at once, with any kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from widemargin.data.rows import Array, Dense, Rows

NO_MARGIN = 1e-6
REMEDY = (
    "With C=inf every sample must lie on its side. Give a finite C, such as C=1.0, which lets "
    "samples lie on the wrong side at a price, or another kernel."
)


def stretch(active: Any) -> None:
    """α ← t α with the t that raises the dual most."""
    F = active.y - active.v
    norm, total = float(active.alpha * active.y @ F), float(active.alpha.sum())
    if norm > 0.0 and total > 0.0:
        t = total / norm
        active.alpha *= t
        active.v = active.y - t * F


def refuse_tiny_margin(active: Any) -> None:
    """Raise where the present α proves that no margin is larger than NO_MARGIN of the diameter."""
    total = float(active.alpha.sum())
    if total <= 0.0:
        return
    norm = float(active.alpha * active.y @ (active.y - active.v))
    diameter = 2.0 * np.sqrt(max(float(active.diag.max()), 0.0))
    bound = np.sqrt(max(norm, 0.0)) / total
    if bound <= NO_MARGIN * diameter:
        raise ValueError(
            f"C=inf asks for a hyperplane that separates the classes, but none does by more than "
            f"{bound:.2g}, {NO_MARGIN:g} of the data's diameter of {diameter:.2g}. {REMEDY}"
        )


def inseparable_pair(i: int, j: int) -> None:
    raise ValueError(
        f"C=inf asks for a hyperplane that separates the classes, but samples {min(i, j)} and "
        f"{max(i, j)} are equal and of different classes. {REMEDY}"
    )


def refuse_equal_samples(rows: Rows, y: Array, numbers: Array) -> None:
    """Raise where two equal rows bear different labels; `numbers` are what the user calls them."""
    seen: dict[bytes, int] = {}
    for i in range(len(y)):
        first = seen.setdefault(key_of(rows, i), i)
        if y[first] != y[i]:
            inseparable_pair(int(numbers[first]), int(numbers[i]))


def key_of(rows: Rows, i: int) -> bytes:
    """Bytes that two rows share just where they are equal."""
    if isinstance(rows, Dense):
        return (rows.X[i] + 0.0).tobytes()  # −0.0 is 0.0
    a, e = rows.indptr[i], rows.indptr[i + 1]
    xs, js = rows.values[a:e], rows.indices[a:e]
    order = np.argsort(js[xs != 0.0], kind="stable")
    return js[xs != 0.0][order].tobytes() + b"|" + xs[xs != 0.0][order].tobytes()
