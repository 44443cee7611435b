"""Raw text and tables through the commands: each format, options, errors, other processes."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

import widemargin as wm

HAM = ["see you at lunch", "meeting tomorrow at ten", "call me at home", "lunch at home, see you"]
SPAM = ["free money now", "win free money", "winner, claim your prize now", "free prize, call now"]
MAIL = [{"body": text, "spam": label, "n": i % 5 + (label == "yes")}
        for i in range(10) for label, texts in (("no", HAM), ("yes", SPAM))
        for text in [f"{texts[i % 4]} {'abcdefghij'[i]}{i}{label}"]]  # fmt: skip


@pytest.fixture
def mail(tmp_path):
    path = tmp_path / "mail.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in MAIL))
    return path


@pytest.fixture
def model(run, mail, tmp_path):
    code, _, err = run("train", mail, "--text", "body", "--label", "spam", "-m", tmp_path / "m")
    assert (code, err) == (0, "")
    return tmp_path / "m"


def refused(result, *words):
    code, out, err = result
    assert (code, out, err.count("\n")) == (2, "", 1), err
    for word in words:
        assert str(word) in err, err


def stdin(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode()))))


def write(path, kind):
    """The mail in another format; the options that train needs for it."""
    options = ["--text", "body", "--label", "spam"]
    if kind == "folder":
        for i, row in enumerate(MAIL):
            (path / row["spam"]).mkdir(parents=True, exist_ok=True)
            (path / row["spam"] / f"{i:03}").write_text(row["body"])
        return []
    if kind == "parquet":
        from pyarrow import Table, parquet

        parquet.write_table(Table.from_pylist(MAIL), path)
    elif kind == "json":
        path.write_text(json.dumps(MAIL))
    else:
        rows = [(row["spam"], f'"{row["body"]}"' if "csv" in kind else row["body"]) for row in MAIL]
        mark = "," if "csv" in kind else "\t"
        lines = [mark.join(row) for row in rows]
        bare = kind.endswith("bare")
        path.write_text("\n".join(lines if bare else [f"spam{mark}body", *lines]) + "\n")
        options = ["--text", 2, "--label", 1] if bare else options
    return options


@pytest.mark.parametrize(
    "kind", ["json", "csv", "tsv", "parquet", "folder", "csv bare", "tsv bare"]
)
def test_every_format_gives_the_same_weights(run, model, tmp_path, kind):
    source = tmp_path / f"other.{kind.split()[0]}"
    options = write(source, kind)
    assert run("train", source, *options, "-m", tmp_path / "o")[0] == 0
    one, other = wm.load(tmp_path / "o"), wm.load(model)
    assert one.features.text.terms == other.features.text.terms
    if kind == "folder":  # its rows stand in another order
        assert one.W == pytest.approx(other.W, abs=0.05)
    else:
        assert np.array_equal(one.W, other.W)
    predicted = run("predict", tmp_path / "o", source)[1].splitlines()
    assert predicted == one.predict([row["body"] for row in by_class(kind)]).tolist()
    assert json.loads(run("evaluate", tmp_path / "o", source, "--json")[1])["error"] == 0.0


def by_class(kind):
    return sorted(MAIL, key=lambda row: row["spam"]) if kind == "folder" else MAIL


def test_options_are_those_of_scikit_learn(run, mail, tmp_path):
    (tmp_path / "stop").write_text("You\nnow's")
    options = "--ngrams 1:2 --min-df 2 --max-df 0.9 --max-features 20 --sublinear --norm l1"
    run("train", mail, "--text", "body", "--label", "spam", "-m", tmp_path / "m",
        "--stop-words", tmp_path / "stop", *options.split())  # fmt: skip
    text = wm.load(tmp_path / "m").features.text
    theirs = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, max_df=0.9, max_features=20, sublinear_tf=True, norm="l1",
        stop_words=["you", "now"],
    ).fit([row["body"] for row in MAIL])  # fmt: skip
    assert list(text.terms) == theirs.get_feature_names_out().tolist()
    assert np.array_equal(text.idf, theirs.idf_)
    run("train", mail, "--text", "body", "--label", "spam", "-m", tmp_path / "m", "--hash", 6,
        "--stop-words", "english", "--analyzer", "word", "--tokens", r"\w+", "--no-lowercase",
        "--no-idf")  # fmt: skip
    text = wm.load(tmp_path / "m").features.text
    assert (text.n_features, text.terms, text.idf) == (64, (), None)
    assert not text.rule.lowercase and text.rule.token_pattern == r"\w+"
    assert "you" in text.rule.stop_words


def test_a_model_of_text_predicts_raw_text_in_a_new_process(model, tmp_path):
    code = (
        "import sys, widemargin as wm\n"
        "print(*wm.load(sys.argv[1]).predict(['free money', 'lunch at home', '']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, model], capture_output=True, text=True, check=True
    )
    loaded = wm.load(model)
    empty = loaded.labels[int(loaded.b[0] > 0)]
    assert done.stdout.split() == ["yes", "no", empty]


def test_stdin_is_one_document_a_line_or_jsonl(run, model, monkeypatch):
    stdin(monkeypatch, "free money now\nsee you at lunch\n")
    assert run("predict", model, "-")[1].split() == ["yes", "no"]
    stdin(monkeypatch, '{"body": "free money now"}\n{"body": null}\n')
    out = run("predict", model, "-", "--scores")[1].splitlines()
    assert out[0].startswith("yes\t") and float(out[1].split("\t")[1]) == wm.load(model).b[0]


def test_other_columns_and_formats_by_name(run, model, tmp_path):
    (tmp_path / "x").write_text("yes\tfree money\nno\tsee you at lunch\n")
    options = ["--format", "tsv", "--text", 2, "--label", 1]
    assert run("predict", model, tmp_path / "x", *options)[1].split() == ["yes", "no"]
    report = run("evaluate", model, tmp_path / "x", *options, "--json")
    assert json.loads(report[1])["error"] == 0.0
    assert run("predict", model, tmp_path / "x", "--format", "lines")[1].split() == ["yes", "no"]


def test_a_share_for_the_test_is_stratified_seeded_and_unseen(run, mail, tmp_path):
    reports = []
    for seed in (1, 1, 2):
        out = run("train", mail, "--text", "body", "--label", "spam", "-m", tmp_path / "m",
                  "--test-share", 0.25, "--seed", seed, "--json")[1]  # fmt: skip
        reports.append((json.loads(out), wm.load(tmp_path / "m").features.text.terms))
    assert reports[0][0]["n_samples"] == 16 and reports[0][0]["test_error"] is not None
    assert reports[0][1] == reports[1][1] != reports[2][1]  # each mail has a word of its own
    refused(run("train", mail, "--text", "body", "-m", tmp_path / "m", "--test-share", 1.5), "1.5")
    refused(
        run("train", mail, "--text", "body", "-m", tmp_path / "m", "--test-share", 0.5,
            "--test", mail), "--test", "one of them",
    )  # fmt: skip


def test_a_share_for_the_test_of_svmlight_rows(run, tmp_path):
    (tmp_path / "d").write_text("+1 1:1\n-1 2:1 3:0.5\n" * 20)
    out = run("train", tmp_path / "d", "-m", tmp_path / "m", "--test-share", 0.2, "--json")[1]
    report = json.loads(out)
    assert report["n_samples"] == 32 and report["test_error"] == 0.0
    refused(run("train", tmp_path / "d", "-m", tmp_path / "m", "--test-share", 0.001), "takes 0")


def test_a_table_of_numbers_and_categories(run, tmp_path):
    rng = np.random.default_rng(0)
    rows = [(a, "xyz"[b], a > 0.5 or b == 2) for a, b in zip(rng.random(90), rng.integers(0, 3, 90),
                                                           strict=True)]  # fmt: skip
    lines = ["size,kind,id,label", *(f"{a:.4f},{k},{i},{y}" for i, (a, k, y) in enumerate(rows))]
    lines[3] = ",y,2,False"
    (tmp_path / "t.csv").write_text("\n".join(lines))
    assert run("train", tmp_path / "t.csv", "--drop", "id", "-m", tmp_path / "m")[0] == 0
    model = wm.load(tmp_path / "m")
    names = ["size", "size is missing", "kind=x", "kind=y", "kind=z"]
    assert model.features.table.names() == names
    said = run("predict", tmp_path / "m", tmp_path / "t.csv")[1].split()
    records = [{"size": f"{a:.4f}", "kind": k} for a, k, _ in rows]
    records[2] = {"size": None, "kind": "y"}
    assert model.predict(records).tolist() == said
    frame = __import__("pandas").DataFrame(records)
    assert model.predict(frame).tolist() == said
    assert run("train", tmp_path / "t.csv", "--numeric", "size", "--columns", "size,kind",
               "--categorical", "hash", "-m", tmp_path / "h", "--hash", 5)[0] == 0  # fmt: skip
    assert wm.load(tmp_path / "h").n_features == 2 + 32
    (tmp_path / "part.csv").write_text("kind\nx\n")
    refused(run("predict", tmp_path / "m", tmp_path / "part.csv"), "'size'", "'kind'")


def test_text_and_table_in_one_model(run, mail, tmp_path):
    run("train", mail, "--text", "body", "--columns", "n", "--label", "spam", "-m", tmp_path / "m")
    model = wm.load(tmp_path / "m")
    assert model.n_features == len(model.features.text.terms) + 1
    report = wm.explain(model, [{"body": "free money", "n": 9}], top=None)[0]
    parts = {each["feature"]: each["contribution"] for each in report["contributions"]}
    assert parts.keys() == {"free", "money", "n"}
    assert sum(parts.values()) + report["intercept"] == pytest.approx(report["score"])
    with pytest.raises(ValueError, match=r"takes the columns 'body', 'n'"):
        model.predict(["free money"])


# -- explain -----------------------------------------------------------------------------------


def test_explain_shows_the_strongest_words(run, model):
    code, out, _ = run("explain", model, "--top", 3)
    assert code == 0 and "free" in out and "at" in out and "intercept" in out
    report = json.loads(run("explain", model, "--top", 3, "--json")[1])
    assert [len(words) for words in report["classes"].values()] == [3, 3]


def test_explain_shows_what_drove_a_decision(run, model, mail, tmp_path):
    text = "free money, free lunch"
    (tmp_path / "one.txt").write_text(text)
    by_text = json.loads(run("explain", model, "--text", text, "--json")[1])
    by_file = json.loads(run("explain", model, tmp_path / "one.txt", "--json")[1])
    assert by_text == by_file == wm.explain(wm.load(model), [text])[0]
    parts = [each["contribution"] for each in by_text["contributions"]]
    score = wm.load(model).decision_function([text])[0]
    assert sum(parts) + by_text["intercept"] == pytest.approx(score, abs=1e-12)
    assert by_text["score"] == score
    row = json.loads(run("explain", model, mail, "--row", 2, "--json")[1])
    assert row == wm.explain(wm.load(model), [MAIL[1]["body"]])[0]
    out = run("explain", model, "--text", text)[1]
    assert "predicted: yes" in out and "free" in out and "score of yes" in out
    refused(run("explain", model, mail, "--row", 99), "found 20 rows", "99")
    refused(run("explain", model, mail, "--text", text), "one of them")


def test_explain_names_hashed_words_by_the_document(run, mail, tmp_path):
    run("train", mail, "--text", "body", "--label", "spam", "-m", tmp_path / "m", "--hash", 12)
    report = json.loads(run("explain", tmp_path / "m", "--text", "free prize zzz", "--json")[1])
    words = {each["feature"] for each in report["contributions"]}
    assert {"free", "prize"} <= words
    assert "word #" in run("explain", tmp_path / "m")[1]


def test_explain_takes_models_of_numbered_features(run, tmp_path):
    (tmp_path / "d").write_text("+1 3:1\n-1 7:1\n" * 5)
    run("train", tmp_path / "d", "-m", tmp_path / "m")
    report = json.loads(run("explain", tmp_path / "m", "--json")[1])
    assert [words[0]["feature"] for words in report["classes"].values()] == ["7", "3"]
    row = json.loads(run("explain", tmp_path / "m", tmp_path / "d", "--row", 2, "--json")[1])
    assert row["label"] == "-1" and [e["feature"] for e in row["contributions"]] == ["7"]
    refused(run("explain", tmp_path / "m", "--text", "x"), "numbered features")
    refused(run("explain", tmp_path / "m", tmp_path / "d", "--row", 11), "found 10 rows")


def test_explain_prints_no_control_characters():
    from widemargin.cli.explain import printable

    assert printable("\x1b[31m") == "\\x1b[31m" and printable(" a") == "' a'"


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (None, ["--text", "bod"], ("no column 'bod'", "'body'", "did you mean 'body'")),
        (None, ["--text", "body", "--label", "spa"], ("no column 'spa'", "did you mean 'spam'")),
        (None, ["--text", "body", "--label", "label"], ("no column 'label'",)),
        (None, ["--text", "9", "--label", "spam"], ("no column '9'", "'body'")),
        (None, ["--text", "body", "--min-df", "99"], ("min_df=99", "20 documents")),
        (None, ["--text", "body", "--min-df", "x"], ("--min-df 'x'", "share")),
        (None, ["--text", "body", "--max-df", "1.5"], ("--max-df '1.5'", "0.0 to 1.0")),
        (None, ["--text", "body", "--ngrams", "2:1"], ("--ngrams '2:1'", "such as 1:2")),
        (None, ["--text", "body", "--tokens", "["], ("--tokens '['", "regular expression")),
        (None, ["--text", "body", "--tokens", "(a)(b)"], ("2 groups",)),
        (None, ["--text", "body", "--analyzer", "magic"], ("'magic'", "'char_wb'")),
        (None, ["--text", "body", "--analyzer", "char", "--tokens", "x"], ("about words",)),
        (None, ["--text", "body", "--norm", "l3"], ("--norm='l3'", "'l2'")),
        (None, ["--text", "body", "--stop-words", "absent"], ("absent", "--stop-words")),
        (None, ["--text", "body", "--hash", "4", "--max-features", "9"], ("--hash", "Give one")),
        (None, ["--text", "body", "--format", "xls"], ("'xls'", "'parquet'")),
        (None, ["--text", "body", "--encoding", "klingon"], ("'klingon'", "latin-1")),
        (None, ["--text", "body", "--zero-based"], ("--zero-based", "svmlight")),
        (None, ["--categorical", "magic"], ("'magic'", "one-hot")),
        (None, ["--label", "spam", "--drop", "body,n"], ("no column with a value", "--text")),
        ('{"body": "x", "label": "a"}\n{"body": "y"}\n', ["--text", "body"],
         ("mail.jsonl:2", "no label in column 'label'")),
        ('{"body": "xx", "label": "a"}\n', ["--text", "body"], ("one class only", "'a'")),
        ('{"body": "", "label": "a"}\n{"body": " ", "label": "b"}\n', ["--text", "body"],
         ("no word in 2 documents",)),
        ('{"body": ["x"], "label": "a"}\n', ["--text", "body"], ("mail.jsonl:1", "an array")),
        ('{"body": "x"\n', ["--text", "body"], ("mail.jsonl:1:", "broken JSON")),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_leaves_nothing(run, mail, tmp_path, text, options, words):
    if text is not None:
        mail.write_text(text)
    named = text is not None or "--label" in options
    label = [] if named else ["--label", "spam"]
    refused(run("train", mail, "-m", tmp_path / "m", *options, *label), *words)
    assert [path.name for path in tmp_path.iterdir()] == ["mail.jsonl"]


def test_models_and_inputs_that_do_not_fit_are_told_apart(run, model, mail, tmp_path):
    (tmp_path / "d").write_text("+1 3:1\n-1 7:1\n" * 5)
    run("train", tmp_path / "d", "-m", tmp_path / "n")
    run("pack", tmp_path / "d", "-o", tmp_path / "store")
    refused(run("predict", tmp_path / "n", mail), "found jsonl", "numbered features")
    refused(run("predict", model, tmp_path / "store"), "packed store", "'body'")
    refused(run("evaluate", model, tmp_path / "d"), "no column 'spam'", "'body'")
    refused(run("train", tmp_path / "d", "--format", "lines", "-m", tmp_path / "o"), "no labels")
    refused(run("train", tmp_path / "d", "--label", "x", "-m", tmp_path / "o"), "no format")


def test_svmlight_models_are_trained_without_what_text_needs(tmp_path):
    (tmp_path / "data").write_text("+1 1:1\n-1 2:1\n" * 10)
    code = (
        "import sys\nfrom widemargin.cli import main\n"
        f"try: main(['train', {str(tmp_path / 'data')!r}, '-m', {str(tmp_path / 'm')!r}])\n"
        "except SystemExit as done: assert not done.code, done.code\n"
        "own = [name for name in sys.modules if name.startswith('widemargin.features')]\n"
        "assert not own and 'widemargin.data.records' not in sys.modules, own"
    )
    environment = {**os.environ}
    subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, env=environment
    )
