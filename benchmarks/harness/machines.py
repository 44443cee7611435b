"""Fits of support vector machines with kernels: ours and LIBSVM's, as scikit-learn has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness import datasets
from harness.clock import cost
from harness.datasets import Problem, head, in_memory
from harness.formats import csr

Spec = dict[str, Any]
WARM_ROWS = 6000  # enough that rows are float32 in the warm fit too


def fit(spec: Spec) -> Any:
    """One fit of spec["solver"], rbf kernel and default gamma, after one on a few rows."""
    problem = in_memory(datasets.load(spec["data"], spec.get("rows")))
    small = head(problem, min(WARM_ROWS, len(problem.codes)))
    _made(spec).fit(csr(small, np.float64), small.codes)
    X = csr(problem, np.float64)
    spent, model = cost(lambda: _made(spec).fit(X, problem.codes))
    found = {**spent._asdict(), "support": int(model.n_support_.sum()), "dual": _dual(model)}
    if hasattr(model, "certificate_"):
        found["relative_gap"] = model.certificate_.relative_gap
    return {**found, **_shape(problem)}


def _made(spec: Spec) -> Any:
    if spec["solver"] == "libsvm":
        from sklearn.svm import SVC

        return SVC(C=spec["C"], tol=spec["tol"])
    from widemargin import SVC as Ours

    return Ours(C=spec["C"], tol=spec["tol"], n_jobs=spec["threads"])


def _dual(model: Any) -> float:
    """Σ αᵢ − ½‖w‖² of two classes, the same for both: kernel values from scikit-learn."""
    from sklearn.metrics.pairwise import rbf_kernel

    coef = np.asarray(model.dual_coef_.todense()).ravel()
    V, half = model.support_vectors_, 0.0
    for start in range(0, len(coef), 1000):
        K = rbf_kernel(V[start : start + 1000], V, gamma=model._gamma)
        half += 0.5 * float(coef[start : start + 1000] @ K @ coef)
    return float(np.abs(coef).sum()) - half


def _shape(problem: Problem) -> dict[str, int]:
    return {"n": len(problem.codes), "d": problem.rows.n_features}
