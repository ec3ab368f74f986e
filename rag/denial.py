"""Tell whether one of two texts denies what the other affirms. Knows words that deny, and no grammar.

A negation denies the first word with a meaning that follows it: "does not need labels" denies needing. So two sentences
that both have a negation may still disagree, and one that says "without X" agrees with one that leaves X out.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import takewhile

from index.terms import STOP_WORDS, stem

from .claims import NEGATION, negation

_HINDER = "prevent|avoid|hinder|preclud|prohibit|forbid|lack|unable|impossib"
_TAKE = "remov|eliminat|drop|discard|skip|omit|replac|free|less|fewer|reduc|bypass|obviat"
# What follows these is denied, as after "not".
_HINDERS = re.compile(rf"\b(?:{_HINDER}|stop|instead of|rather than|in place of|keep\w* (?:\w+ ){{1,4}}from)\w*", re.I)
# What follows these may be what a negated sentence denies, and may not.
_TAKES = re.compile(rf"\b(?:{_TAKE})\w*", re.I)
# What precedes these may be that, too.
_TAKEN = re.compile(rf"\b(?:is|are|was|were|be|been|being)\b(?: \w+)? (?:{_HINDER}|{_TAKE})\w*ed\b", re.I)
# A sentence with one of these may say the same as a negated one.
_AS_GOOD_AS_NOT = re.compile(
    rf"\b(?:{_HINDER}|{_TAKE}|instead|rather|mitigat|circumvent|overcom|alleviat|address|solv|tackl|handl|dispens|"
    r"unlike|only|few|hardly|rarely|difficult|hard|non|un\w{4,}|in(?:efficient|dependent|accurate|sufficient)|local|"
    r"fully|remain|keep|despite|independent|agnostic)\w*",
    re.I,
)
_WORD_OR_END = re.compile(r"[^\W_]+|[.,;:()]")
_NOUN_ENDING = re.compile(r"(?<=\w{3}[wc])th?$")  # of stems: "growth" and "grow", "reduct" and "reduc"
_SCOPE = 4  # terms after a word that denies, of which another negated sentence may deny any


def denied(statement: str, quoted: str) -> str:
    """Return what one of two texts denies and the other affirms, in words for people; "" for nothing.

    A statement that does away with something ("removes", "avoids", "fewer") is not held against a negated quote: both
    may mean the same.

    Args:
        statement: One sentence.
        quoted: One or two sentences of an abstract.
    """
    if negation(statement):
        return _denied_here(statement, quoted)
    if _HINDERS.search(statement) or _TAKES.search(statement):
        return ""
    affirmed = _terms(statement)
    for word, term in (*_denials(NEGATION, quoted), *_denials(_HINDERS, quoted)):
        if term in affirmed:
            return f"the nearest sentence says “{word}”, and it has no negation"
    return ""


def _denied_here(statement: str, quoted: str) -> str:
    said = negation(statement)
    affirmed = _terms(quoted) - _away(quoted)
    if any(term in affirmed for _, term in _denials(NEGATION, statement)):
        return f"it says “{said}”, and the nearest sentence does not deny that"
    if negation(quoted) or _AS_GOOD_AS_NOT.search(quoted):
        return ""
    return f"it says “{said}”, and the nearest sentence has no negation"


def _away(text: str) -> set[str]:
    """Return the terms of a text that something is said to be without."""
    words = _Words(text)
    found = [words.after(place.end()) for pattern in (NEGATION, _HINDERS, _TAKES) for place in pattern.finditer(text)]
    found += [words.before(place.start()) for place in _TAKEN.finditer(text)]
    return {term for terms in found for term in terms}


def _denials(pattern: re.Pattern[str], text: str) -> Iterator[tuple[str, str]]:
    """Yield each word of a text that denies with the term that it denies."""
    words = _Words(text)
    for place in pattern.finditer(text):
        for term in words.after(place.end())[:1]:
            yield place[0], term


class _Words:
    """The terms of a text by their places."""

    def __init__(self, text: str) -> None:
        found = [word for word in _WORD_OR_END.finditer(text) if not _is_empty(word[0])]
        self._starts = [word.start() for word in found]
        self._terms = [_term(word[0]) for word in found]

    def after(self, place: int) -> list[str]:
        """Return the terms after a place up to the next punctuation, four at most."""
        first = bisect_left(self._starts, place)
        return list(takewhile(bool, self._terms[first : first + _SCOPE]))

    def before(self, place: int) -> list[str]:
        """Return the terms before a place back to the last punctuation, four at most, the nearest first."""
        end = bisect_left(self._starts, place)
        return list(takewhile(bool, reversed(self._terms[max(0, end - _SCOPE) : end])))


def _terms(text: str) -> set[str]:
    return {_term(word) for word in _WORD_OR_END.findall(text) if not _is_empty(word)} - {""}


def _is_empty(word: str) -> bool:
    return word.lower() in STOP_WORDS


def _term(word: str) -> str:
    """Return what a word is compared by; "" for punctuation."""
    return _NOUN_ENDING.sub("", stem(word.lower())) if word.isalnum() else ""
