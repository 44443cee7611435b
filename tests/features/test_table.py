"""Columns to rows: scaled numbers, one column a category, what is missing."""

import numpy as np
import pytest
from sklearn.feature_extraction import FeatureHasher
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from widemargin.data.records import Batch
from widemargin.errors import InputError
from widemargin.features.columns import CategoryColumn, NumberColumn, as_floats, kind_of, spelt
from widemargin.features.table import fit_table


def gathered(**columns):
    n = len(next(iter(columns.values())))
    batch = Batch(columns, range(1, n + 1), "t.csv")
    found = {name: kind_of(batch, name)(name) for name in columns}
    for column in found.values():
        column.add(batch)
    return found


def test_numbers_are_scaled_as_by_standard_scaler_and_zeros_stay_zeros():
    rng = np.random.default_rng(0)
    a, b = rng.normal(2000.0, 5.0, 50), np.where(rng.random(50) < 0.7, 0.0, 3.0)
    columns = gathered(a=a.tolist(), b=b.tolist(), c=[7] * 50)
    features = fit_table(columns, slice(None), 0)
    X = features.transform(columns)
    theirs = StandardScaler().fit(np.column_stack([a, b, np.full(50, 7.0)]))
    expected = theirs.transform(np.column_stack([a, b, np.full(50, 7.0)]))
    expected[:, 1] += theirs.mean_[1] / theirs.scale_[1]
    assert X.toarray() == pytest.approx(expected, abs=1e-12)
    assert X[:, [1]].nnz == np.count_nonzero(b)
    assert features.names() == ["a", "b", "c"]


def test_categories_are_one_hot_as_by_one_hot_encoder():
    values = [["tcp", "x"], ["udp", "y"], ["tcp", "y"], ["icmp", "x"]]
    columns = gathered(p=[v[0] for v in values], q=[v[1] for v in values])
    features = fit_table(columns, slice(None), 0)
    theirs = OneHotEncoder().fit(values)
    assert np.array_equal(features.transform(columns).toarray(), theirs.transform(values).toarray())
    assert features.names() == ["p=icmp", "p=tcp", "p=udp", "q=x", "q=y"]
    later = gathered(p=["sctp", "udp"], q=["y", "z"])
    assert features.transform(later).toarray().tolist() == [[0, 0, 0, 0, 1], [0, 0, 1, 0, 0]]


def test_categories_are_hashed_as_by_feature_hasher():
    columns = gathered(p=["tcp", "udp", "new"], q=["x", "y", "x"])
    features = fit_table(columns, slice(None), 32)
    theirs = FeatureHasher(32, input_type="string", alternate_sign=False)
    expected = theirs.transform([["p=tcp", "q=x"], ["p=udp", "q=y"], ["p=new", "q=x"]])
    assert np.array_equal(features.transform(columns).toarray(), expected.toarray())
    assert features.n_features == 32


def test_missing_numbers_are_the_mean_and_say_so_missing_categories_are_one():
    columns = gathered(age=["10", "", "30", "NA"], sex=["m", "?", "f", None])
    features = fit_table(columns, slice(None), 0)
    assert features.names() == ["age", "age is missing", "sex is missing", "sex=f", "sex=m"]
    assert features.transform(columns).toarray().tolist() == [
        [-1, 0, 0, 0, 1],
        [0, 1, 1, 0, 0],
        [1, 0, 0, 1, 0],
        [0, 1, 1, 0, 0],
    ]


def test_only_the_rows_for_training_are_fitted():
    columns = gathered(a=["1", "3", "100"], b=["x", "y", "z"])
    features = fit_table(columns, np.array([0, 1]), 0)
    assert features.mean.tolist() == [2.0] and features.names() == ["a", "b=x", "b=y"]
    assert features.transform(columns, np.array([2])).toarray().tolist() == [[98.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", " 2.5 ", "-1e3"], [1.0, 2.5, -1000.0]),
        ([True, False, 2], [1.0, 0.0, 2.0]),
        (["1", "", "nan", None], [1.0, np.nan, np.nan, np.nan]),
        (["1_000"], None),
        (["1", "inf"], None),
        ([1, "x"], None),
        ([10**400], None),
    ],
)
def test_what_counts_as_a_number(values, expected):
    found = as_floats(values)
    assert found is None if expected is None else np.array_equal(found, expected, equal_nan=True)


def test_a_column_is_of_the_kind_of_its_first_values():
    batch = Batch({"a": ["1", ""], "b": ["x", "1"], "c": ["", None]}, [1, 2], "t")
    assert kind_of(batch, "a") is NumberColumn and kind_of(batch, "b") is CategoryColumn
    assert kind_of(batch, "c") is None
    assert [spelt(v) for v in (" x ", True, 1.5, "\ud800", None)] == ["x", "true", "1.5", "?", None]


def test_what_fits_no_column_is_named_with_its_line():
    column = NumberColumn("age")
    with pytest.raises(InputError, match=r"t.csv:9: found 'old' in column 'age'.*--drop age"):
        column.add(Batch({"age": ["3", "old"]}, [7, 9], "t.csv"))
    with pytest.raises(InputError, match=r"t.jsonl:2: found an array in.*'tags'.*--drop tags"):
        kind_of(Batch({"tags": ["x", ["y"]]}, [1, 2], "t.jsonl"), "tags")
    with pytest.raises(InputError, match=r"t.jsonl:2: found an object"):
        CategoryColumn("tags").add(Batch({"tags": ["x", {"y": 1}]}, [1, 2], "t.jsonl"))
