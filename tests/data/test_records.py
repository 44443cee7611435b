"""Records from every format, and the line that each fault is reported with."""

import bz2
import gzip
import json
import lzma

import pytest
import zstandard

from widemargin.data import records
from widemargin.data.documents import document, is_folder
from widemargin.data.formats import by_look, by_name
from widemargin.data.records import Reading, batches, place
from widemargin.errors import InputError

ROWS = [{"text": "free, money\nnow", "spam": "yes"}, {"text": 'he said "hi"', "spam": "no"}] * 3


def columns(path, reading, wanted=None):
    """All batches as one."""
    found = {}
    for batch in batches(str(path), reading, wanted):
        for name, values in batch.columns.items():
            found.setdefault(name, []).extend(values)
    return found


EXPECTED = {name: [row[name] for row in ROWS] for name in ("text", "spam")}


def as_csv(rows):
    lines = [f'{row["spam"]},"{row["text"].replace(chr(34), 2 * chr(34))}"' for row in rows]
    return "\n".join(["spam,text", *lines]) + "\n"


def as_tsv(rows):
    return "".join(["spam\ttext\n", *(f"{row['spam']}\t{row['text']}\n" for row in rows)])


MAKERS = {
    "jsonl": lambda rows: "\n\n".join(map(json.dumps, rows)),
    "json": lambda rows: json.dumps(rows, indent=2),
    "csv": as_csv,
    "tsv": as_tsv,
}
SQUEEZERS = {
    "": lambda raw: raw,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda raw: zstandard.ZstdCompressor().compress(raw),
}


@pytest.mark.parametrize("squeezer", SQUEEZERS)
@pytest.mark.parametrize("kind", MAKERS)
def test_text_formats_plain_and_compressed_in_pieces(tmp_path, monkeypatch, kind, squeezer):
    monkeypatch.setattr("widemargin.data.utf8.BATCH", 40)
    monkeypatch.setattr("widemargin.data.delimited.BATCH", 40)
    monkeypatch.setattr("widemargin.data.json_records.RECORDS", 4)
    path = tmp_path / f"mail.{kind}{squeezer}"
    path.write_bytes(SQUEEZERS[squeezer](MAKERS[kind](ROWS).encode()))
    assert by_name(str(path)) == kind == by_look(str(path))
    assert columns(path, Reading(kind)) == EXPECTED
    assert columns(path, Reading(kind), frozenset(["spam"])) == {"spam": EXPECTED["spam"]}


def test_parquet(tmp_path):
    from pyarrow import Table, parquet

    parquet.write_table(Table.from_pylist([*ROWS, {"text": None, "spam": "no"}]), tmp_path / "m")
    found = columns(tmp_path / "m", Reading("parquet"))
    assert found == {"text": [*EXPECTED["text"], None], "spam": [*EXPECTED["spam"], "no"]}
    (batch,) = batches(str(tmp_path / "m"), Reading("parquet"), frozenset(["spam"]))
    assert list(batch.columns) == ["spam"] and place(batch, 1) == f"{tmp_path / 'm'}: record 2"
    (tmp_path / "broken").write_bytes((tmp_path / "m").read_bytes()[:-9])
    with pytest.raises(InputError, match="broken: found no whole parquet file"):
        columns(tmp_path / "broken", Reading("parquet"))
    with pytest.raises(InputError, match="absent: found no such file"):
        columns(tmp_path / "absent", Reading("parquet"))


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"needs pyarrow.*pip install 'widemargin\[arrow\]'"):
        columns(tmp_path / "m", Reading("parquet"))


def test_folders_of_documents(tmp_path, monkeypatch):
    monkeypatch.setattr("widemargin.data.documents.BATCH", 5)
    for name, raw in {
        "ham/1": b"one",
        "ham/a/2": b"two",
        "spam/1.gz": gzip.compress(b"caf\xe9"),
        "spam/2": b"",
        "ham/.hidden": b"no",
        ".git/x": b"no",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(raw)
    assert is_folder(str(tmp_path)) and by_name(str(tmp_path)) == "folder"
    assert columns(tmp_path, Reading("folder", label="class", document="body")) == {
        "body": ["one", "two", "caf\ufffd", ""],
        "class": ["ham", "ham", "spam", "spam"],
    }
    assert columns(tmp_path / "ham" / "a", Reading("folder")) == {"text": ["two"]}
    assert document(str(tmp_path / "spam" / "1.gz"), "latin-1") == "café"
    assert by_name(str(tmp_path / "ham" / "a")) == ""


def test_lines_are_documents_and_so_are_empty_ones(tmp_path):
    (tmp_path / "lines").write_bytes(b"\xef\xbb\xbfone\r\n\ntwo, \x0b three")
    assert columns(tmp_path / "lines", Reading("lines", document="body")) == {
        "body": ["one", "", "two, \x0b three"]
    }


def test_columns_by_position_with_and_without_the_label(tmp_path):
    (tmp_path / "t").write_text("ham\thello\nspam\tfree\n")
    assert columns(tmp_path / "t", Reading("tsv", header=False)) == {
        "1": ["ham", "spam"],
        "2": ["hello", "free"],
    }
    known = Reading("csv", header=False, names=("1", "2", "3"), label="2")
    (tmp_path / "t").write_text("a,c\n")
    assert columns(tmp_path / "t", known) == {"1": ["a"], "3": ["c"]}
    (tmp_path / "t").write_text("a,b,c,d\n")
    with pytest.raises(InputError, match=r"t:1: found 4 columns.*the 3 columns of the training"):
        columns(tmp_path / "t", known)


def test_a_bare_newline_in_a_text_at_the_end_of_a_tsv_row(tmp_path):
    (tmp_path / "t").write_text("ham\tone\nspam\ttwo\nmore\n\nham\tthree\n")
    expected = {"1": ["ham", "spam", "ham"], "2": ["one", "two\nmore", "three"]}
    assert columns(tmp_path / "t", Reading("tsv", header=False, document="2")) == expected
    (tmp_path / "t").write_text("label\tbody\nham\tone\nmore\n")
    assert columns(tmp_path / "t", Reading("tsv", document="body"))["body"] == ["one\nmore"]
    with pytest.raises(InputError, match=r"t:3: found 1 fields where the first row has 2"):
        columns(tmp_path / "t", Reading("tsv", document="label"))


def test_records_that_lack_a_value_have_none(tmp_path):
    (tmp_path / "t").write_text('{"a": 1}\n{"b": "x", "a": null}\n{"a": NaN}\n')
    found = columns(tmp_path / "t", Reading("jsonl"))
    assert found["b"] == [None, "x", None] and found["a"][:2] == [1, None]


@pytest.mark.parametrize(
    ("kind", "raw", "words"),
    [
        ("jsonl", b'{"a": 1}\n\n{"a": }\n', ("t:3:7:", "broken JSON", "expecting value")),
        ("jsonl", b'{"a": 1}\n[1]\n', ("t:2:", "an array where a record belongs")),
        ("jsonl", b"3\n", ("t:1:", "found 3 where a record belongs")),
        ("jsonl", b'{"a": ' + b"9" * 5000 + b"}", ("t:1:1:", "broken JSON", "digits")),
        ("jsonl", b"[" * 100_000, ("t:1:1:", "broken JSON")),
        ("json", b'[{"a": 1},\n {"a" 1}]', ("t:2:7:", "broken JSON")),
        ("json", b'{"a": 1}', ("t:", "an object as the whole", "jsonl")),
        ("json", b"[1]", ("t: record 1:", "found 1")),
        ("json", b"[]", ("t:", "no record")),
        ("csv", b"a,b\n1,2\n3\n", ("t:3:", "1 fields where the first row has 2", "commas")),
        ("csv", b'a,b\n"1\n",2\n3,4,5\n', ("t:4:", "3 fields")),
        ("csv", b'a,b\n1,2\n"3,4\n5,6\n', ("t:3:", "broken csv")),
        ("csv", b'a,b\n"x"y,2\n', ("t:2:", "broken csv")),
        ("csv", b"a,a\n1,2\n", ("t:1:", "'a' twice")),
        ("csv", b"a,b\n", ("t:", "no record")),
        ("tsv", b"a\tb\n1\t2\t3\n", ("t:2:", "3 fields", "tabs")),
        ("lines", b"", ("t:", "no record")),
        ("lines", b"caf\xc3\xa9\n\nna\xefve\n", ("t:3:3:", "0xef", "not utf-8", "latin-1")),
        ("lines", b"\xff\xfea\0", ("t:1:1:", "UTF-16")),
        ("csv", b"PAR1\0", ("t:1:1:", "parquet")),
    ],
)
def test_faults_name_the_line_and_what_to_do(tmp_path, monkeypatch, kind, raw, words):
    (tmp_path / "t").write_bytes(raw)
    with pytest.raises(InputError) as caught:
        columns(tmp_path / "t", Reading(kind))
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "t")) and "accepted: " in message
    assert all(word in message for word in words), message


def test_encodings(tmp_path):
    (tmp_path / "t").write_bytes("naïve".encode("latin-1"))
    assert columns(tmp_path / "t", Reading("lines", encoding="latin-1")) == {"text": ["naïve"]}
    for name in ("utf-16", "klingon"):
        with pytest.raises(ValueError, match=f"encoding='{name}' is none"):
            columns(tmp_path / "t", Reading("lines", encoding=name))


def test_a_missing_column_comes_with_those_that_are_close():
    error = records.missing("lable", "the label", ["text", "Label", "label"], "t.csv")
    assert str(error) == (
        "t.csv: found no column 'lable' for the label; accepted: 'text', 'Label', 'label'; "
        "did you mean 'label' or 'Label'?"
    )
    assert "none; name one" in str(records.missing("x", "the text", [], "t"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jsonl", "jsonl"),
        ("a.JSONL.gz", "jsonl"),
        ("a.ndjson.zst", "jsonl"),
        ("a.json", "json"),
        ("a.csv.bz2", "csv"),
        ("a.tsv.xz", "tsv"),
        ("a.parquet", "parquet"),
        ("a.svm.gz", ""),
        ("a.txt", ""),
        ("csv", ""),
        ("-", ""),
        ("a.csv.part", ""),
    ],
)
def test_formats_by_name(name, expected):
    assert by_name(name) == expected
