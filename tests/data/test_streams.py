"""Compressed files and pipes: told by their bytes, read whole or refused."""

import bz2
import gzip
import io
import lzma
import os
import sys
import threading

import numpy as np
import pytest
import zstandard

from widemargin.data.streams import Text, abandoned, ahead
from widemargin.data.svmlight import read, read_blocks
from widemargin.errors import InputError

COMPRESS = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}
TEXT = b"".join(b"%d 1:%d 5:0.25 9:1e-3\n" % (i % 2, i) for i in range(3000))


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("members", [1, 3])
def test_compressed_files_whatever_their_names(tmp_path, kind, members):
    path = tmp_path / "no-suffix"
    third = len(TEXT) // members + 1
    pieces = [TEXT[i * third : (i + 1) * third] for i in range(members)]
    path.write_bytes(b"".join(COMPRESS[kind](piece) for piece in pieces))
    data = read(path)
    assert len(data.codes) == 3000 and data.rows.values[::3].tolist() == list(range(3000))
    blocks = list(read_blocks(path, block_bytes=2000))
    assert len(blocks) > 10
    assert np.array_equal(np.concatenate([b.rows.values for b in blocks]), data.rows.values)


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_truncated_file_is_refused(tmp_path, kind):
    path = tmp_path / "cut.svm.gz"
    path.write_bytes(COMPRESS[kind](TEXT)[:-30])
    with pytest.raises(InputError, match=rf":\d+:1: found the end of a truncated {kind} file; acc"):
        read(path)


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_corrupt_file_is_refused(tmp_path, kind):
    path = tmp_path / "bad.svm.gz"
    packed = bytearray(COMPRESS[kind](TEXT))
    middle = len(packed) // 2
    packed[middle : middle + 20] = bytes(20)
    path.write_bytes(packed)
    with pytest.raises(InputError, match=r":\d+:\d+: found .*; accepted: .*; "):
        read(path)
    path.write_bytes(COMPRESS[kind](TEXT) + b"garbage")
    with pytest.raises(InputError, match=f":3001:1: found corrupt {kind} data .*copy the file"):
        read(path)


def test_a_fault_before_the_damage_comes_first(tmp_path):
    path = tmp_path / "both.gz"
    path.write_bytes(gzip.compress(b"1 1:1\n1 1:bad\n" + TEXT)[:-30])
    with pytest.raises(InputError, match=":2:5: found 'bad'"):
        read(path)


@pytest.mark.parametrize("wrap", [bytes, gzip.compress, COMPRESS["zstd"]])
def test_standard_input(monkeypatch, wrap):
    stream = io.BufferedReader(io.BytesIO(wrap(TEXT)))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
    assert len(read("-").codes) == 3000


def test_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(TEXT,))
    writer.start()
    blocks = list(read_blocks(path, block_bytes=5000))
    writer.join()
    assert sum(len(block.codes) for block in blocks) == 3000


def test_a_reader_that_stops_early_leaves_no_thread(tmp_path):
    path = tmp_path / "long.gz"
    path.write_bytes(gzip.compress(TEXT * 50))
    blocks = read_blocks(path, block_bytes=1000)
    next(blocks)
    blocks.close()
    assert not any(thread.name == "widemargin-reader" for thread in threading.enumerate())


def test_a_reader_that_waits_is_known_to_wait_wherever_its_consumer_is():
    go = threading.Event()

    def items():
        yield Text(np.zeros(1, np.uint8), 0)
        go.wait(20.0)

    texts = ahead(items())
    next(texts)
    assert abandoned()  # its consumer is busy elsewhere, where an interrupt may come too
    go.set()
    assert list(texts) == [] and not abandoned()
