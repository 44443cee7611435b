"""Random svmlight text, valid and broken, from a seeded generator."""

PIECES = [
    b":",
    b" ",
    b"\n",
    b"\r\n",
    b"#",
    b"\t",
    b"0",
    b"-",
    b"+",
    b".",
    b"e",
    b"nan",
    b"inf",
    b"1e400",
    b"1e-400",
    b"4294967294:1",
    b"4294967295:1",
    b"99999999999:1",
    b"qid:7 ",
    b"qid:x",
    b"\x00",
    b"\xff",
    b"\xc3\xa9",
    b"\x0c",
    b"0:1 ",
    b"1:1 1:1",
    b"0x1p3",
    b"::",
    b"1:.5",
    b"1:5.",
    b"3.4028236e38",
    b"00000000000000000001:1",
    b"12345678:9",
]
LABELS = [b"1", b"-1", b"+1", b"1.0", b"2", b"spam", b"ham", b"caf\xc3\xa9", b"0.5", b"1,2"]


def number(random):
    """A decimal number in one of many spellings."""
    kind = random.randrange(8)
    x = random.uniform(-1, 1) * 10.0 ** random.randrange(-6, 6)
    return [
        f"{x:.6g}",
        f"{x:.17g}",
        repr(x),
        f"{x:.3f}",
        f"{x:.20f}",
        str(random.randrange(100)),
        f"{x:+.4e}",
        f"{x:.{random.randrange(1, 30)}e}",
    ][kind].encode()


def row(random):
    """One valid line without its newline."""
    pieces = [random.choice(LABELS)]
    if random.random() < 0.1:
        pieces.append(b"qid:%d" % random.randrange(10))
    j = random.randrange(3)
    for _ in range(random.choice([0, 1, 2, 5, 12])):
        j += random.choice([1, 1, 2, 30, 5000])
        pieces.append(b"%d:%s" % (j, number(random)))
    line = random.choice([b" "] * 9 + [b"\t", b"  "]).join(pieces)
    return line + random.choice([b""] * 6 + [b" ", b" # note: 3:4", b"\r", b"#"])


def document(random):
    """A valid text; a row may start at index 0."""
    lines = [row(random) for _ in range(random.randrange(1, 9))]
    if random.random() < 0.2:
        lines.insert(random.randrange(len(lines) + 1), random.choice([b"", b"  ", b"# c", b"\r"]))
    return b"\n".join(lines) + random.choice([b"\n", b"\n", b""])


def mutated(random, text):
    """The text after a few random edits."""
    data = bytearray(text)
    for _ in range(random.choice([1, 1, 1, 2, 5])):
        p = random.randrange(len(data) + 1)
        q = min(len(data), p + random.choice([0, 1, 1, 3, 20]))
        kind = random.randrange(5)
        if kind == 0:
            data[p:q] = random.choice(PIECES)
        elif kind == 1:
            data[p:p] = random.choice(PIECES)
        elif kind == 2:
            del data[p:q]
        elif kind == 3:
            data[p:q] = random.randbytes(q - p)
        else:
            data[p:p] = data[q : q + random.randrange(40)]
    return bytes(data)


def any_text(random):
    """Valid, mutated, or plain noise."""
    kind = random.randrange(10)
    if kind == 0:
        return random.randbytes(random.randrange(300))
    if kind == 1:
        return b"".join(random.choice(PIECES + LABELS) for _ in range(random.randrange(40)))
    text = document(random)
    return text if kind < 4 else mutated(random, text)
