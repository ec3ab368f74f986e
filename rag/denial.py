"""Tell whether one of two texts denies what the other affirms. Knows words that deny, and no grammar.

A negation denies what follows it: "does not need labels" denies needing. It is held against a text only if that text
affirms the very word. Much that is negated says the same as something that is not ("no better model" and "the best
model", "no labels" and "label-free"), and most of it is said with "no"; so a text that may deny in some other way is
not held against "no", "none", "neither" and "nor".
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile

from index.terms import STOP_WORDS, stem

from .claims import NEGATION, negation

_HINDER = "prevent|avoid|hinder|preclud|prohibit|forbid|lack|unable|impossib"
_TAKE = "remov|eliminat|drop|discard|skip|omit|replac|free|less|fewer|reduc|bypass|obviat|non"
# What follows these is denied, as after "not".
_HINDERS = re.compile(rf"\b(?:{_HINDER}|stop|instead of|rather than|in place of|keep\w* (?:\w+ ){{1,4}}from)\w*", re.I)
# What follows these may be what a negated sentence denies, and may not.
_TAKES = re.compile(rf"\b(?:{_TAKE})\w*", re.I)
# What precedes these may be that, too.
_TAKEN = re.compile(
    rf"\b(?:is|are|was|were|be|been|being)\b(?:(?: \w+)? (?:{_HINDER}|{_TAKE})\w*ed\b| not\b)"
    r"|\b(?:is|are|was|were)n['’]t\b",
    re.I,
)
# A statement with one of these may say the same as a negated quote.
_NEGATES_TOO = re.compile(
    r"\b(?:nobody|nothing|zero|miss(?:es|ed|ing)?|little|hardly|rarely|un(?:affect|aware)\w*)\b", re.I
)
# A sentence with one of these may say the same as one with "no".
_AS_GOOD_AS_NO = re.compile(
    r"\b(?:absen\w+|free|zero|rather|less|non|only|sole\w*|alone|unlike|keeps?|stays?|instead|first|minim(?:al|um)\w*|negligib\w+"
    r"|(?:identical|exact|entire|inherent|direct|simp)(?:ly)?|full|fully|whole|independent\w*|regardless|irrespective"
    r"|agnostic|invariant|beyond|even|still|few|little|rarely|hardly|scarce\w*|missing|fails?|failed"
    r"|most|best|worst|worse|gaps?|except\w*|despite|against"
    rf"|(?:{_HINDER}|eliminat|remov|limit|restrict|exclu|struggl|difficult|challeng|suffer|poor|neglect|ignor|overlook"
    r"|vanish|mismatch|shortcom|distinct|separat|bypass|circumvent|obviat|dispens|redundan|suffic|remain|preserv|maintain|match|complet|substitut|replac|contradict)\w*"
    r"|(?:in(?:accura|suffic|comple|capab|adequa|consist|trac|signif|visib|feas|access|applic|correct|stab|distin|appropr|eff"
    r"|depend)|im(?:poss|prac)|un(?!der|i|less|til))\w{4,}"
    r"|dis(?:agree|connect|continu|entangl|regard|appear|able)\w*|\w{4,}(?:est|less))\b",
    re.I,
)
# With these a negation denies nothing that a quote without one would affirm.
_DENIES_NOTHING = re.compile(
    r"\b(?:no (?:more|less|fewer|longer|other|better|faster|worse|later|exception|loss)\b"
    r"|not (?:all|just|only|even|every|merely|simply|limited|alone|tied|more|less|yet|the (?:only|\w+est))\b"
    r"|next to no\b|none of\b|neither of\b|with (?:and|or) without\b|not even\b"
    r"|no(?:ne)?\b[^.;:]{1,80}\bthan\b)",
    re.I,
)
_NO = re.compile(r"(?:no|none|neither|nor)$", re.I)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")
_WORD_OR_END = re.compile(r"[^\W_]+|[.,;:()]")
_ENDS = frozenset("but while whereas yet although though because than".split())  # a negation does not reach beyond
# "Not fully removed": it is the removing that is denied.
_DEGREES = frozenset("fully completely entirely always directly explicitly strictly necessarily significantly".split())
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
    if _HINDERS.search(statement) or _TAKES.search(statement) or _NEGATES_TOO.search(statement):
        return ""
    affirmed = _counted(statement)
    for sentence in _SENTENCE_END.split(quoted):
        given = _counted(sentence)
        denials = [*_denials(NEGATION, sentence), *_denials(_HINDERS, sentence)]
        times = Counter(term for _, term in denials)
        for word, term in denials:
            if term in affirmed and given[term] <= times[term]:  # what is denied and affirmed at once tells nothing
                return f"the nearest sentence says “{word}”, and it has no negation"
    return ""


def _denied_here(statement: str, quoted: str) -> str:
    if _DENIES_NOTHING.search(statement):
        return ""
    affirmed = _counted(quoted).keys() - _away(quoted)
    may_deny = bool(negation(quoted) or _AS_GOOD_AS_NO.search(quoted))
    words = _Words(statement)
    for place in NEGATION.finditer(statement):
        first, *others = words.after(place.end()) or [""]
        if may_deny and _NO.match(place[0]):
            continue
        if first in affirmed or (not may_deny and not affirmed.isdisjoint(others)):
            return f"it says “{place[0]}”, and the nearest sentence does not deny that"
    return ""


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


def _counted(text: str) -> Counter[str]:
    """Return how often each term stands in a text."""
    return Counter(term for word in _WORD_OR_END.findall(text) if not _is_empty(word) and (term := _term(word)))


def _is_empty(word: str) -> bool:
    folded = word.lower()
    return folded not in _ENDS and (folded in STOP_WORDS or folded in _DEGREES)


def _term(word: str) -> str:
    """Return what a word is compared by; "" for what ends a clause."""
    folded = word.lower()
    return _NOUN_ENDING.sub("", stem(folded)) if folded.isalnum() and folded not in _ENDS else ""
