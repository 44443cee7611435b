"""Decimal numbers against Python's own, bit for bit."""

import random

import mutations
import numpy as np
import pytest

from widemargin.data.decimals import number


def value(text):
    data = np.frombuffer(text, np.uint8)
    end, found = number(data, 0, len(data))
    assert end == len(data)
    return found


def test_numbers_are_those_of_float():
    choose = random.Random(5)
    for _ in range(20_000):
        text = mutations.number(choose)
        assert value(text) == float(text), text


@pytest.mark.parametrize("digits", [17, 19, 25])
def test_any_double_comes_back(digits):
    rng = np.random.default_rng(digits)
    numbers = rng.integers(2**63, size=5000).view(np.float64)
    for x in numbers[np.isfinite(numbers)]:
        text = f"{x:.{digits}e}".encode()
        assert value(text) == pytest.approx(x, rel=2.3e-16 if digits > 18 else 0, abs=5e-324)


@pytest.mark.parametrize(
    "text",
    [
        b"0",
        b"-0.0",
        b"5.",
        b".5",
        b"+7",
        b"1e-400",
        b"1e400",
        b"0e999999",
        b"4.9e-324",
        b"1.7976931348623157e308",
        b"9" * 30,
        b"0." + b"0" * 50 + b"1",
        b"1" + b"0" * 50,
        b"18446744073709551615",
        b"2.2250738585072014e-308",
    ],
)
def test_edges(text):
    assert value(text) == pytest.approx(float(text), rel=2.3e-16 if len(text) > 25 else 0, abs=0)


@pytest.mark.parametrize("text", [b"", b".", b"-", b"e5", b"1e", b"1e+", b"x", b"--1"])
def test_what_is_no_number(text):
    data = np.frombuffer(text, np.uint8)
    assert number(data, 0, len(data))[0] == -1
