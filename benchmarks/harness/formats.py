"""A problem in the form each package takes best; none of this is inside a clock."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from harness.datasets import Problem


def csr(problem: Problem, dtype: Any) -> Any:
    """CSR with int32 indices; float32 shares the memory of the problem."""
    values, indices, indptr, d = problem.rows
    X = csr_matrix((len(problem.codes), d), dtype=dtype)
    X.data = np.asarray(values, dtype)
    X.indices, X.indptr = indices.view(np.int32), indptr.astype(np.int32)
    X.has_canonical_format = True
    return X


def signs(problem: Problem, dtype: Any) -> Any:
    """−1 and +1; codes where there are more than two classes."""
    codes = problem.codes.astype(dtype)
    return codes * 2 - 1 if problem.n_classes == 2 else codes


def liblinear_problem(problem: Problem) -> Any:
    """LIBLINEAR's own array of (index, value) nodes, with the constant feature 1."""
    from liblinear.liblinear import problem as convert

    return convert(signs(problem, np.float64), csr(problem, np.float64), 1.0)
