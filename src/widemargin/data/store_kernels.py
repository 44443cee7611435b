"""The one kernel of the packed store."""

from __future__ import annotations

from typing import Any

from widemargin._jit import lean_kernel


@lean_kernel
def gather_rows(
    order: Any, indptr: Any, indices: Any, values: Any, out_indices: Any, out_values: Any
) -> None:
    """Rows order[0], order[1], ... of a CSR matrix, one after the other, into the out arrays."""
    k = 0
    for i in order:
        for q in range(indptr[i], indptr[i + 1]):
            out_indices[k] = indices[q]
            out_values[k] = values[q]
            k += 1
