"""Sizes as users write them."""

import subprocess
import sys

import numpy as np
import pytest

from widemargin.memory import in_words, peak, resident, size_of


@pytest.mark.parametrize(
    "said, size",
    [
        ("512M", 2**29),
        ("1.5G", 3 * 2**29),
        (" 2 gib ", 2**31),
        ("64kB", 2**16),
        ("1000", 1000),
        (4096, 4096),
    ],
)
def test_sizes(said, size):
    assert size_of(said) == size


@pytest.mark.parametrize("said", ["", "G", "-1G", "1X", "0", "0.1", "1e9", "nan", -5])
def test_what_is_no_size_is_refused(said):
    with pytest.raises(ValueError, match=r"--max-memory=.* is no size. Accepted: .*1.5G"):
        size_of(said, "--max-memory")


def test_in_words_is_never_less():
    assert size_of(in_words(3 * 2**20 + 1)) == 4 * 2**20


def test_what_the_process_holds():
    before = resident()
    held = np.ones(2**22)
    assert resident() - before >= 0.9 * held.nbytes
    assert peak() >= 0.9 * resident()  # the system counts them at different times


def test_the_peak_is_not_that_of_the_program_that_started_this_one():
    code = "from widemargin.memory import peak; print(peak())"
    held = np.ones(1 << 26)  # 512 MB, which the child must not count
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(told.stdout) < held.nbytes / 4 and peak() > held.nbytes
