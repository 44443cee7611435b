"""Small corpora from a seed, with what trips a tokenizer in them."""

import random

WORDS = (
    "free money now call the a an of Ünïcode naïve café 東京 don't x2y under_score 42 e-mail "
    "offer winner meeting lunch tomorrow see you at HOME Home home résumé"
).split()


def documents(n, seed=0):
    draw = random.Random(seed)
    found = [" ".join(draw.choices(WORDS, k=draw.randrange(0, 12))) for _ in range(n)]
    return [*found, "", "!!!", "free\nmoney\tNOW", "a b c", "word" * 50]


def mail(n, seed=0):
    """(documents, labels): spam has other words than ham, if not always."""
    draw = random.Random(seed)
    texts, labels = [], []
    for _ in range(n):
        spam = draw.random() < 0.4
        own = WORDS[:4] if spam else WORDS[17:22]
        texts.append(" ".join(draw.choices(own, k=3) + draw.choices(WORDS, k=5)))
        labels.append("spam" if spam else "ham")
    return texts, labels
