"""Labels: numbers that are equal are one class, everything else is kept as it was spelt."""

import numpy as np
import pytest

from widemargin.data.labels import classes, label_values


@pytest.mark.parametrize(
    "spellings, names, codes, values",
    [
        (["+1", "-1", "1", "1.0", "-1e0"], ("-1", "+1"), [1, 0, 1, 1, 0], [-1, 1]),
        (["10", "9", "2.5"], ("2.5", "9", "10"), [2, 1, 0], [2.5, 9.0, 10.0]),
        (["10", "9", "x"], ("10", "9", "x"), [0, 1, 2], ["10", "9", "x"]),
        (["1", "1.0", "spam"], ("1", "1.0", "spam"), [0, 1, 2], ["1", "1.0", "spam"]),
        (["nan", "1"], ("1", "nan"), [1, 0], ["1", "nan"]),
        (["1e999", "1"], ("1", "1e999"), [1, 0], ["1", "1e999"]),
        (["1_0", "1"], ("1", "1_0"), [1, 0], ["1", "1_0"]),
        (["٣", "1"], ("1", "٣"), [1, 0], ["1", "٣"]),
        (
            ["9007199254740993", "9007199254740992"],
            ("9007199254740992", "9007199254740993"),
            [1, 0],
            [9007199254740992, 9007199254740993],
        ),
    ],
)
def test_classes(spellings, names, codes, values):
    found = classes(spellings)
    assert found.names == names and found.codes.tolist() == codes
    y = label_values(found.names)
    assert y.tolist() == values
    assert y.dtype.kind == {int: "i", float: "f", str: "U"}[type(values[0])]


def test_no_labels():
    assert classes([]).names == () and len(label_values([])) == 0
    assert classes([]).codes.dtype == np.int32
