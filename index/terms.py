"""Reduce text to comparable words for keyword search and word overlap. Knows nothing of weights or ranking.

The same analysis serves documents and questions, so spelling rules only need to be consistent, not correct:
British and American endings agree, words are stemmed (Snowball English), and a hyphenated word also counts as
one word in a document, so that a question about "oversquashing" finds "over-squashing".
"""

import re
import threading
import unicodedata
from functools import lru_cache

import snowballstemmer

_WORD = re.compile(r"[^\W_]+(?:[-‐‑][^\W_]+)*")
_PART = re.compile(r"[-‐‑]")
_POSSESSIVE = re.compile(r"(?<=\w)['’]s\b")  # not the s of a quoted 'segment'
_BRITISH = (
    (re.compile(r"(?<=\w{3})is(?=(?:e|ed|es|er|ers|ing|ations?|able)$)"), "iz"),
    (re.compile(r"(?<=\w{3})our(?=s?$|ed$|ing$|al$)"), "or"),
)
_STEMMER = snowballstemmer.stemmer("english")
_STEMMER_LOCK = threading.Lock()  # a Snowball stemmer keeps the word in progress in itself

# Words that carry no topic: function words, and what people say around a question to a library of papers.
STOP_WORDS = frozenset(
    """a about after all also am an and another any anybody anyone are as at be been being between both but by can
    could did do does doing during each either every few for from get gets give given had has have having he hello
    her here hi his how i if in into is it its just like list many may me maybe might more most much my nor not of
    on one only or other our out over own please same she should show so some somebody such tell than thank thanks
    that the their them then there these they this those through to too two under up us use used uses using very via
    want was we were what whats when where whether which while who whom whose why will with without work works would
    you your approach approaches article articles author authors collection find method methods new novel paper
    papers propose proposed proposes studies study""".split()
)


def document_terms(text: str) -> list[str]:
    """Return the terms of a document in order; a hyphenated word gives its parts and itself in one piece."""
    terms: list[str] = []
    for word in _WORD.findall(fold_words(text)):
        parts = _PART.split(word)
        terms += [stem(part) for part in parts]
        if len(parts) > 1:
            terms.append(stem("".join(parts)))
    return terms


def question_terms(text: str) -> list[str]:
    """Return the distinct topic terms of a question in order, without stop words.

    Example:
        >>> question_terms("Which papers optimise over-squashing?")
        ['optim', 'squash']
    """
    words = [part for word in _WORD.findall(fold_words(text)) for part in _PART.split(word)]
    return list(dict.fromkeys(stem(word) for word in words if word not in STOP_WORDS))


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """Return the stem of one folded word (no white space, no hyphen)."""
    for pattern, replacement in _BRITISH:
        word = pattern.sub(replacement, word)
    with _STEMMER_LOCK:
        stemmed: str = _STEMMER.stemWord(word)
    return stemmed


def fold_words(text: str) -> str:
    """Fold case and accents, and drop possessives."""
    # Case last: a mathematical letter is upper case only after it is decomposed.
    decomposed = _POSSESSIVE.sub("", unicodedata.normalize("NFKD", text).casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))
