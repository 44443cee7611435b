"""What `look` finds in rows that come from outside."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array

from widemargin.data.checks import Findings, look
from widemargin.data.rows import as_rows


def csr(rows, d, index=np.int32):
    """A CSR matrix whose row i names the columns rows[i], in that order, unchecked."""
    X = csr_matrix((len(rows), d))
    X.indptr = np.cumsum([0, *map(len, rows)]).astype(index)
    X.indices = np.array([j for row in rows for j in row], dtype=index)
    X.data = np.ones(len(X.indices))
    return X


@pytest.mark.parametrize(
    "rows, expected",
    [
        ([[0, 2], [], [1, 4]], Findings(4, False, True)),
        ([[], []], Findings(-1, False, True)),
        ([[3, 1, 0], [4, 2]], Findings(4, False, True)),  # unsorted is no fault
        ([[0, 1], [1, 1]], Findings(1, True, True)),  # neighbours
        ([[2, 0, 2], [1]], Findings(2, True, True)),  # apart
        ([[0], [0], [0]], Findings(0, False, True)),  # the same column in other rows
        ([[2, 1], [1, 2], [2, 1]], Findings(2, False, True)),
        ([[0, 5]], Findings(5, False, True)),  # outside five columns
        ([[5, 0, 5]], Findings(5, False, True)),  # outside: never used as a position
    ],
)
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_indices(rows, expected, index):
    assert look(as_rows(csr(rows, 5, index))) == expected


@pytest.mark.parametrize("index, seen", [(np.int32, 2**32 - 1), (np.int64, 2**63)])
@pytest.mark.parametrize("rows", [[[0, 1], [-1]], [[3, -1, 3]]])
def test_a_negative_index_is_outside(rows, index, seen):
    found = look(as_rows(csr(rows, 5, index)))
    assert found.top >= seen and found.ends  # not −1, which would pass for "nothing held"


@pytest.mark.parametrize(
    "indptr",
    [[1, 2, 3], [0, 2, 4], [0, 3, 2, 3], [0, -1, 3], [0, 4, 3], [-3, 0, 3]],
)
def test_broken_row_pointers(indptr):
    X = csr([[0], [1, 2]], 5)
    X.indptr = np.array(indptr, dtype=np.int32)
    assert look(as_rows(X)) == Findings(-1, False, False)


def test_random_rows_against_sets():
    rng = np.random.default_rng(10)
    for _ in range(200):
        rows = [rng.integers(0, 8, size=rng.integers(0, 5)).tolist() for _ in range(4)]
        found = look(as_rows(csr(rows, 8)))
        assert found.repeats == any(len(set(row)) < len(row) for row in rows), rows
        assert found.top == max((j for row in rows for j in row), default=-1)


def test_no_index_is_written():
    X = random_array((50, 20), density=0.3, rng=np.random.default_rng(11), format="csr")
    before = X.indices.copy()
    look(as_rows(X))
    np.testing.assert_array_equal(X.indices, before)
