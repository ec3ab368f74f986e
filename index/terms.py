"""Reduce text to comparable words for keyword search and word overlap. Knows nothing of weights or ranking.

The same analysis serves documents and questions, so spelling rules only need to be consistent, not correct:
British and American endings agree, words are stemmed (Snowball English), and a hyphenated word also counts as
one word in a document, so that a question about "oversquashing" finds "over-squashing".
"""

import re
import threading
import unicodedata
from functools import cache, lru_cache
from importlib.metadata import version

from snowballstemmer.english_stemmer import EnglishStemmer

_WORD = re.compile(r"[^\W_]+(?:[-‐‑][^\W_]+)*")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_PART = re.compile(r"[-‐‑]")
_POSSESSIVE = re.compile(r"(?<=\w)['’]s\b")  # not the s of a quoted 'segment'
_BRITISH = (
    (re.compile(r"(?<=\w{3})is(?=(?:e|ed|es|er|ers|ing|ations?|able)$)"), "iz"),
    (re.compile(r"(?<=\w{3})our(?=s?$|ed$|ing$|al$)"), "or"),
)
# Not snowballstemmer.stemmer(...): that takes PyStemmer where it happens to be installed, whose stems differ.
_STEMMER = EnglishStemmer()
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


@cache
def analysis() -> str:
    """Return what decides the terms of a text; terms made under another name do not match."""
    return f"1, snowballstemmer {version('snowballstemmer')}"


def document_terms(text: str) -> list[str]:
    """Return the terms of a document in order; a hyphenated word gives its parts and itself in one piece."""
    return [term for word in _WORD.findall(fold_words(text)) for term in _terms_of(word)]


def indexed_terms(title: str, abstract: str) -> str:
    """Return the terms of a paper in order, as they are stored and given to the keyword index."""
    return " ".join(document_terms(f"{title}\n{abstract}"))


def question_terms(text: str) -> list[str]:
    """Return the distinct topic terms of a question in order, without stop words.

    Example:
        >>> question_terms("Which papers optimise over-squashing?")
        ['optim', 'squash']
    """
    words = [part for word in _WORD.findall(fold_words(text)) for part in _PART.split(word)]
    return list(dict.fromkeys(stem(word) for word in words if word not in STOP_WORDS))


@lru_cache(maxsize=200_000)
def _terms_of(word: str) -> tuple[str, ...]:
    """Return the terms of one folded word of a document."""
    parts = _PART.split(word)
    terms = [stem(part) for part in parts]
    return (*terms, stem("".join(parts))) if len(parts) > 1 else tuple(terms)


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
    if text.isascii():
        text = text.lower()
        return _POSSESSIVE.sub("", text) if "'s" in text else text
    # Case last: a mathematical letter is upper case only after it is decomposed.
    decomposed = _POSSESSIVE.sub("", unicodedata.normalize("NFKD", text).casefold())
    return _NOT_ASCII.sub(_without_accents, decomposed)


def _without_accents(run: re.Match[str]) -> str:
    return "".join(c for c in run[0] if not unicodedata.combining(c))


def one_slip_apart(one: str, other: str) -> bool:
    """Whether one letter more, less or other, or two neighbours exchanged, makes one word of the other.

    That is a distance of 1 in Damerau, *A technique for computer detection and correction of spelling errors*, 1964.
    """
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    shorter, longer = sorted((one, other), key=len)
    at = next((n for n, (a, b) in enumerate(zip(shorter, longer, strict=False)) if a != b), len(shorter))
    if len(shorter) < len(longer):
        return shorter[at:] == longer[at + 1 :]
    exchanged = shorter[at : at + 2] == longer[at : at + 2][::-1] and shorter[at + 2 :] == longer[at + 2 :]
    return shorter[at + 1 :] == longer[at + 1 :] or exchanged
