"""Every rejected form: the message names file, line, column, what was found, the remedy."""

import os
import re

import numpy as np
import pytest

from widemargin.data import parser
from widemargin.data import svmlight_kernels as kernels
from widemargin.data.faults import Fault, explain
from widemargin.data.svmlight import read, read_blocks, read_text
from widemargin.errors import InputError


@pytest.mark.parametrize(
    "text, how, place, found, remedy",
    [
        (b"1 1:1\n-1 2:3 x:4\n", {}, "2:8", "'x:4' where an index belongs", "correct the line"),
        (b"1 1:1\n-1 2:abc\n", {}, "2:6", "'abc' where a value belongs", "correct the line"),
        (b"1 1:0x1p3\n", {}, "1:5", "'0x1p3'", "finite decimal"),
        (b"1 1:\n", {}, "1:5", "nothing where a value belongs", "correct"),
        (b"1 1: 2\n", {}, "1:5", "nothing where a value belongs", "correct"),
        (b"1 1:1 0:2\n", {"zero_based": False}, "1:7", "index 0", "zero_based=True"),
        (b"1 0:2\n", {"zero_based": False}, "1:3", "index 0", "--zero-based"),
        (b"1 2:1 2:2\n", {}, "1:7", "index 2 after an index as large", "sort each row"),
        (b"1 2:1 1:2\n", {}, "1:7", "index 1 after an index as large", "join repeated"),
        (b"1 1:nan\n", {}, "1:5", "the value 'nan'", "remove or replace"),
        (b"1 1:-inf\n", {}, "1:5", "the value '-inf'", "remove or replace"),
        (b"1 1:Infinity\n", {}, "1:5", "the value 'Infinity'", "remove or replace"),
        (b"1 1:1e999\n", {"dtype": np.float64}, "1:5", "beyond the range of float64", "rescale"),
        (b"1 1:1e39\n", {}, "1:5", "beyond the range of float32", "float64"),
        (b"1 4294967295:1\n", {}, "1:3", "'4294967295:1'", "2**32 - 2"),
        (b"1 99999999999999999999999:1\n", {}, "1:3", "the index in '99999", "2**32 - 2"),
        (b"1 -3:1\n", {}, "1:3", "the negative index in '-3:1'", "renumber"),
        (b"1 +3:1\n", {}, "1:3", "'+3:1' where an index belongs", "whole numbers"),
        (b"1 3 4:1\n", {}, "1:3", "'3' without a colon", "with its value"),
        (b"1 3 :1\n", {}, "1:3", "'3' without a colon", "no blank around the colon"),
        (b"1 9:1\n", {"n_features": 5}, "1:3", "index 9, but the model", "has 5 features"),
        (b"1 5:1\n", {"n_features": 5, "zero_based": True}, "1:3", "index 5", "has 5 features"),
        (b"1 5:1\n1 0:1\n", {"n_features": 5}, "1:3", "index 5", "has 5 features"),
        (b"1 1:1 qid:3\n", {}, "1:7", "'qid:3' after the row's first entry", "move or remove"),
        (b"1 qid:x 1:1\n", {}, "1:3", "'qid:x'", "correct or remove"),
        (b"1:2 2:3\n", {}, "1:1", "'1:2' where the row's label belongs", "start the line"),
        (b"a\x00b 1:1\n", {}, "1:1", r"the control byte in 'a\x00b'", "binary"),
        (b"\x7fELF\x02\x01\n", {}, "1:1", "the control byte", "give a text file"),
        (b"1 1:1\n\xff\xfe 1:1\n", {}, "2:1", r"label '\xff\xfe', which is not UTF-8", "convert"),
        (b"", {}, "1:1", "no sample", "check that this is the file"),
        (b"# only\n\n \n", {}, "1:1", "no sample", "check that this is the file"),
        (b"1 1:" + b"z" * 500 + b"\n", {}, "1:5", "z…'", "correct the line"),
    ],
)
@pytest.mark.parametrize("padding", [b"", b"\n" * 200])  # the slow and the fast path
def test_the_message(text, how, place, found, remedy, padding):
    if not text and padding:
        place = "1:1"
    with pytest.raises(InputError) as caught:
        read_text(text + padding, name="some.svm", **how)
    message = str(caught.value)
    assert message.startswith(f"some.svm:{place}: found ")
    assert found in message and remedy in message
    assert re.search(r"; accepted: .*; ", message)
    assert message.isprintable() and len(message) < 400


def test_the_first_fault_wins_whatever_the_threads_do():
    lines = [b"1 1:1"] * 1000
    lines[400], lines[700], lines[990] = b"1 a:1", b"\xff 1:1", b"1 2:nan"
    for chunk_bytes in (1, 64, 999, 1 << 20):
        with pytest.raises(InputError, match="^<text>:401:3: "):
            read_text(b"\n".join(lines), threads=4, chunk_bytes=chunk_bytes)


def test_lines_are_counted_over_blocks(tmp_path):
    path = tmp_path / "late.svm"
    path.write_bytes(b"1 1:1\n" * 5000 + b"1 1:1 1:2\n")
    with pytest.raises(InputError, match=re.escape(f"{path}:5001:7: ")):
        list(read_blocks(path, block_bytes=1000))


def test_an_index_zero_after_a_block_read_as_one_based(tmp_path):
    path = tmp_path / "zero.svm"
    path.write_bytes(b"1 1:1\n" * 50 + b"1 0:1\n")
    with pytest.raises(InputError, match="51:3: found index 0 .*zero_based=True"):
        list(read_blocks(path, block_bytes=100))
    assert read(path).zero_based


@pytest.mark.parametrize("reader", [read, lambda path: list(read_blocks(path))])
def test_paths_that_are_no_files(tmp_path, reader):
    with pytest.raises(InputError, match="no such file; accepted: .*; check the path"):
        reader(tmp_path / "absent.svm")
    with pytest.raises(InputError, match="a directory that is not a packed store; .*instead"):
        reader(tmp_path)
    empty = tmp_path / "empty.svm"
    empty.write_bytes(b"")
    with pytest.raises(InputError, match=r"empty.svm:1:1: found no sample"):
        reader(empty)


def test_no_permission(tmp_path, monkeypatch):
    path = tmp_path / "locked.svm"
    path.write_bytes(b"1 1:1\n")
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser reads all

        def refuse(*args):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("widemargin.data.streams.open", refuse, raising=False)
    with pytest.raises(InputError, match="no permission .*chmod"):
        read(path)


@pytest.mark.parametrize("entries, rows", [(299, 100), (300, 99), (0, 100), (300, 0), (8, 100)])
def test_a_file_that_grows_after_it_was_counted_is_not_written_out_of_bounds(entries, rows):
    text = np.frombuffer(b"1 1:1 2:0.25 3:-4\n" * 100, np.uint8)
    choice = parser.options()
    chunk = parser.Chunk(0, len(text), 300, 100)
    out = parser.target([chunk._replace(entries=300 + 9, rows=100 + 9)], np.float32)
    for array in out:
        array[:] = 77
    with pytest.raises(Fault) as caught:
        parser.parse_chunk(
            text, chunk, parser.rule_of(choice), out, kernels.Room(0, entries, 0, rows)
        )
    assert caught.value.code == kernels.CHANGED
    assert np.all(out.values[entries:] == 77) and np.all(out.codes[rows:] == 77)
    message = str(explain(caught.value, text, "f", 0, parser.rule_of(choice)))
    assert re.match(r"f:\d+:\d+: found more rows .*; accepted: .*; wait until it is whole", message)
