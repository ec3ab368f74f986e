"""Small stores and papers that several test files share."""

import random

from fakes import HashEncoder

from index.paper import Paper
from index.store import PaperStore

WORDS = [f"{a}{b}{c}" for a in "bdfglmnprst" for b in "aeiou" for c in "kvxz"]  # 220, none of them alike
WINDOW = 24  # tokens: small, so that an abstract of three sentences has several passages


def paper(number, text="It is about graphs.", **fields):
    return Paper(f"id{number}", f"Title {number}", f"Abstract word{number}. {text}", **fields)


def papers_of_words(n, seed=1):
    """Return papers of words drawn at random, ten a sentence: what is asked in words of one has one right answer."""
    rng = random.Random(seed)
    papers = []
    for number in range(n):
        sentences = [" ".join(rng.sample(WORDS, 10)).capitalize() + "." for _ in range(3)]
        papers.append(Paper(f"id{number}", f"Name{number}: {' '.join(rng.sample(WORDS, 5))}", " ".join(sentences)))
    return papers


def reopened(folder):
    return PaperStore.open(folder, HashEncoder(WINDOW))


def details(store):
    return {check.name: check.detail for check in store.check()}
