"""Arrays that other processes read where they lie: when a file is written again, and when never."""

import gc
import os
import subprocess
import sys

import numpy as np
import pytest

from widemargin import shared_arrays
from widemargin.shared_arrays import Borrowed, Room, Terms, home, lend

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="Linux alone has such files"
)
N = 40_000  # float32: more than a small array


def filled(room, value):
    array = room.empty((N, 1), np.float32)
    array[:] = value
    return array


def test_a_file_is_used_again_once_nothing_here_refers_to_it():
    room = Room()
    first = filled(room, 1.0)
    part = first[10:20]
    second = filled(room, 2.0)
    assert first[0, 0] == 1.0 and len(room.files) == 2
    del first
    filled(room, 3.0)  # the second's place is taken, the first's part is still in use
    assert part[0, 0] == 1.0 and len(room.files) == 3
    del part, second
    for value in range(10):
        filled(room, value)
    assert len(room.files) == 3


def test_what_is_borrowed_is_not_written_over():
    room, borrowed = Room(), Borrowed()
    array = filled(room, 1.0)
    array[100:] = 7.0
    loan = lend(array[100:])
    theirs = borrowed.array(loan.terms)
    assert theirs.shape == (N - 100, 1) and (theirs == 7.0).all()
    with pytest.raises(ValueError, match="read-only"):
        theirs[0] = 1.0
    piece = theirs[5:]
    del array, theirs
    filled(room, 2.0)
    assert (piece == 7.0).all() and len(room.files) == 2
    del piece
    gc.collect()
    assert not loan.open()
    filled(room, 3.0)
    assert len(room.files) == 2


def test_each_loan_ends_by_itself():
    room = Room()
    array = filled(room, 1.0)
    loans = [lend(array) for _ in range(3)]
    borrowed = Borrowed()
    kept = [borrowed.array(loan.terms) for loan in loans]
    del array
    while kept:
        assert room.files[0].used()
        kept.pop()
    assert not room.files[0].used()


def test_a_file_whose_borrower_vanished_is_never_written_again():
    room, borrowed = Room(), Borrowed()
    array = filled(room, 1.0)
    loan, told = lend(array), lend(array)
    theirs = borrowed.array(loan.terms)
    told.lose()
    del array
    filled(room, 2.0)
    assert (theirs == 1.0).all() and all(file is not loan.file for file in room.files)
    done = lend(filled(room, 3.0))
    borrowed.array(done.terms)
    done.lose()  # it had said that it is done
    assert not done.file.lost


def test_no_more_files_are_kept_than_are_of_use():
    room = Room()
    many = [filled(room, k) for k in range(6)]
    assert len(room.files) == 6
    del many
    room.empty((2 * N,), np.float32)
    assert len(room.files) == shared_arrays.SPARE + 1


def test_private_memory_is_not_lent():
    room = Room()
    assert lend(np.zeros(N, np.float32)) is None
    assert home(room.empty((10,), np.float32)) is None
    assert home(filled(room, 1.0)[::2]) is None
    array = filled(room, 1.0)
    room.files.clear()
    file = home(array)
    assert file is None, "nobody keeps its descriptor open"


def test_a_descriptor_that_names_something_else_now_is_refused():
    room = Room()
    loan = lend(filled(room, 1.0))
    process, number, token = shared_arrays.WHERE.unpack(loan.terms.where)
    other = shared_arrays.WHERE.pack(process, number, token[::-1])
    assert shared_arrays.reach(other) is None
    assert shared_arrays.reach(shared_arrays.NOWHERE) is None
    with pytest.raises(ConnectionError, match="not there any more"):
        Borrowed().array(Terms(other, *loan.terms[1:]))


CHILD = """
import sys, time
import numpy as np
from widemargin.shared_arrays import Borrowed, Terms
terms = eval(sys.stdin.readline())
array = Borrowed().array(Terms(*terms))
print(float(array.sum()), flush=True)
sys.stdin.readline()
del array
print("done", flush=True)
sys.stdin.readline()
"""


def test_another_process_reads_it_and_says_when_it_is_done():
    room = Room()
    array = filled(room, 0.5)
    loan = lend(array)
    command = [sys.executable, "-c", CHILD]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        child.stdin.write(f"{tuple(loan.terms)}\n")
        child.stdin.flush()
        assert float(child.stdout.readline()) == N / 2
        assert loan.open()
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "done\n"
        assert not loan.open()
        child.kill()


def test_nothing_of_it_has_a_name():
    room = Room()
    array = filled(room, 1.0)
    number = shared_arrays.WHERE.unpack(home(array).where)[1]
    assert os.readlink(f"/proc/self/fd/{number}").endswith("widemargin (deleted)")


def test_a_number_that_is_now_of_something_else_is_not_reached():
    token = bytes(shared_arrays.TOKEN)
    ends = os.pipe()
    try:
        before = os.listdir("/proc/self/fd")
        for number in ends:
            assert shared_arrays.reach(shared_arrays.WHERE.pack(os.getpid(), number, token)) is None
        assert os.listdir("/proc/self/fd") == before
    finally:
        for end in ends:
            os.close(end)
