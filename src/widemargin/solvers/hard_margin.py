"""The hard margin, C = ∞: is there a hyperplane that separates the classes at all?

For any α ≥ 0 with Σ αᵢ yᵢ = 0 the dual's best point along the ray t α proves an upper bound on
every margin:

    γ ≤ ‖Σ αᵢ yᵢ φ(xᵢ)‖ / Σ αᵢ,

half the distance between two points of the convex hulls of the classes. Where no hyperplane
separates, the dual rises without end and the bound falls to 0. A fit ends as soon as it is below
NO_MARGIN of the data's diameter: data that are separable by less are told from inseparable ones
by rounding only. Two equal samples of different classes prove it at once, with any kernel.

The ascent of the dual alone may take long to show it. So a linear kernel on few features is first
given to the squared hinge, whose Newton steps are few: its slopes at the optimum for a large C are
an α as asked for, with Σ αᵢ yᵢ φ(xᵢ) = w, which stays small as Σ αᵢ grows with C.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from widemargin.data.panels import squared_norms
from widemargin.data.rows import Array, Dense, Rows, n_features
from widemargin.solvers.newton import Side, newton_step, scores_of

NO_MARGIN = 1e-6
FEW_FEATURES = 512  # up to here Newton's d × d systems cost little
STEEP = (1.0, 1e3, 1e6, 1e9)  # values of C, each started from the solution of the one before
NEWTON_STEPS = 100
PATIENCE = 10_000_000  # steps of pairs, or 100 a sample, after which neither way is proved
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
    refuse_below(np.sqrt(max(norm, 0.0)) / total, active.diag)


def refuse_below(bound: float, diag: Array) -> None:
    """Raise where no margin is larger than a bound that is nothing next to the data."""
    diameter = 2.0 * np.sqrt(max(float(diag.max()), 0.0))
    if bound <= NO_MARGIN * diameter:
        raise ValueError(
            f"C=inf asks for a hyperplane that separates the classes, but none does by more than "
            f"{bound:.2g}; the data lie within {diameter:.2g} of each other, and margins below "
            f"{NO_MARGIN:g} of that count as none. {REMEDY}"
        )


def refuse_undecided(steps: int, n: int) -> None:
    """Raise after very many steps; a fit of inseparable data must end."""
    if steps >= max(PATIENCE, 100 * n):
        raise ValueError(
            f"C=inf asks for a hyperplane that separates the classes; {steps:,} steps found none, "
            f"nor a proof that there is none. {REMEDY} Or set max_iter to go on for so long."
        )


def refuse_by_newton(rows: Rows, y: Array) -> None:
    """Raise where the squared hinge on few features proves that nothing separates the classes."""
    if n_features(rows) > FEW_FEATURES:
        return
    v, diag = np.zeros(n_features(rows) + 1), squared_norms(rows)
    for C in STEEP:
        side = Side(y, np.full(len(y), C))
        for _ in range(NEWTON_STEPS):
            v, changed, _ = newton_step(rows, side, v, True)
            if not changed:
                break
        alpha = np.maximum(0.0, 1.0 - y * scores_of(rows, v))
        sums = alpha[y > 0.0].sum(), alpha[y < 0.0].sum()
        if min(sums) == 0.0:  # all samples of a class are on their side
            return
        alpha[y > 0.0] *= min(sums) / sums[0]
        alpha[y < 0.0] *= min(sums) / sums[1]
        w = weighted_sum(rows, alpha * y)
        refuse_below(float(np.linalg.norm(w)) / float(alpha.sum()), diag)


def weighted_sum(rows: Rows, coef: Array) -> Array:
    """(d,) Σ coefᵢ xᵢ."""
    if isinstance(rows, Dense):
        total: Array = coef @ rows.X
        return total
    repeated = np.repeat(coef, np.diff(rows.indptr))
    return np.bincount(rows.indices, repeated * rows.values, rows.n_features)


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
        return bytes((rows.X[i] + 0.0).data)  # −0.0 is 0.0
    a, e = rows.indptr[i], rows.indptr[i + 1]
    xs, js = rows.values[a:e], rows.indices[a:e]
    order = np.argsort(js[xs != 0.0], kind="stable")
    return bytes(js[xs != 0.0][order].data) + b"|" + bytes(xs[xs != 0.0][order].data)
