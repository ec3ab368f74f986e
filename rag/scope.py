"""Tell whether a statement turns round or shifts how far the quoted text goes. Knows listed words, and no grammar.

"Add" for "remove", "at least" for "at most", "all" for "some", "only" before what is one of several: one word, and the
sentence says something else. A pair of opposites that is not listed here goes unseen, and so does a scope that is put
in other words. What is compared ("higher accuracy") is in :mod:`rag.contradiction`, what is denied in
:mod:`rag.denial`.
"""

import re
from collections.abc import Iterator
from decimal import Decimal

from index.terms import STOP_WORDS, stem

from .claims import Amount, amounts, negation

_WORD = re.compile(r"[^\W_]+")
_WORD_OR_COMMA = re.compile(r"[^\W_]+|,")
# Words before a number that make it a bound.
_AT_MOST = re.compile(
    r"\b(at most|up to|no more than|no (?:larger|greater|higher) than|(?<!no )(?:less|fewer|lower|smaller) than|under"
    r"|below|within|a maximum of) ?$",
    re.I,
)
_AT_LEAST = re.compile(
    r"\b(at least|no (?:less|fewer|lower|smaller) than|(?<!no )(?:more|greater|larger|higher) than|over|above|exceed\w*"
    r"|a minimum of|upwards of) (?:a full |a )?$",
    re.I,
)
_BOUNDS = {"most": _AT_MOST, "least": _AT_LEAST}
_BOUND_WINDOW = 24  # characters before a number that are looked at
_MOST = 12  # places of one kind that are compared
# Words that turn a statement round beside the same word, "add edges" and "remove edges". Each line is one pair.
_PAIRS = [
    ("add adds added adding addition", "remove removes removed removing removal delete deletes deleted deleting"),
    ("start starts starting beginning begins", "end ends ending finish finishes"),
    ("preserve preserves preserved preserving retain retains retained", "lose loses lost losing loss"),
    ("training", "inference inferencing"),
    ("double doubles doubled doubling", "halve halves halved halving half"),
    ("increase increases increased increasing rise rises raise raises", "decrease decreases decreased decreasing"),
    ("maximize maximizes maximized maximizing", "minimize minimizes minimized minimizing"),
    ("before", "after"),
    ("encoder encoders", "decoder decoders"),
    ("upper", "lower"),
    ("input inputs", "output outputs"),
    ("labeled labelled", "unlabeled unlabelled"),
    ("supervised", "unsupervised"),
]
_OPPOSED: dict[str, frozenset[str]] = {}
_SAME: dict[str, frozenset[str]] = {}
for _pair in _PAIRS:
    _one, _other = (frozenset(map(stem, _side.split())) for _side in _pair)
    for _terms, _against in ((_one, _other), (_other, _one)):
        for _term in _terms:
            _OPPOSED[_term] = _OPPOSED.get(_term, frozenset()) | _against
            _SAME[_term] = _SAME.get(_term, frozenset()) | _terms
_ALL = re.compile(r"\b(?<!not )(all|every|each|any)\b(?: of)?(?: the| these)?((?: [\w-]+){1,3})", re.I)
_SOME = re.compile(r"\b(?:some|many|several|most)(?: of)?(?: the| these)?(?: [\w-]+){0,2}? ([\w-]+s)\b", re.I)
_ONLY = re.compile(
    r"\b(?<!not )(only|solely|exclusively) (?:for|on|in|by|with|from|to|of|when|if|at|us(?:es?|ing|ed))\b"
    r"((?:[ -]\w+){1,3})|\b(\w+) (only)(?=[.,;:)]|$)",
    re.I,
)
_LIMITS = re.compile(
    r"only|just|alone|no|not|never|but|unless|until|when|if|one|first|instead|rather|without|nothing|pure"
    r"|(?:sole|exclusiv|mere|single|purely|entire|full|limit|restrict|uniqu|specific|simpl|except|selectiv|discard|freez"
    r"|focus)\w*"
)
_ONLY_WORDS = re.compile(r"only|solely|exclusively")
_NEAR_ONLY = 10  # words within which a limit is one of the word that "only" limits
_AMONG_OTHERS = frozenset("and or including both to beyond well".split())
_NEAR_OTHERS = 3  # words within which these tell that something is one of several


def bounded(text: str) -> Iterator[tuple[Amount, str, str]]:
    """Yield each number of a text with the side on which the words before it bound it, "" for none, and the words."""
    for amount in amounts(text):
        before = text[max(0, amount.start - _BOUND_WINDOW) : amount.start]
        bounds = ((side, pattern.search(before)) for side, pattern in _BOUNDS.items())
        side, words = next(((side, words[1]) for side, words in bounds if words), ("", ""))
        yield amount, side, words


def opposite_bound(statement: str, quoted: str) -> str:
    """Return what is wrong where one text has "at least" before a number and the other has "at most"; "" for nothing.

    Args:
        statement: One sentence.
        quoted: One or two sentences of an abstract.
    """
    given: dict[Decimal, set[str]] = {}
    for amount, side, _ in bounded(quoted):
        given.setdefault(amount.value, set()).add(side)
    for amount, side, words in bounded(statement):
        if side and given.get(amount.value, {side}).isdisjoint({side, ""}):
            return f"it says “{words} {amount.written}”, and the nearest sentence says the opposite"
    return ""


def opposed(statement: str, quoted: str) -> str:
    """Return what is wrong where an opposite stands in the quoted text beside the same word; "" for nothing.

    "Remove edges" does not go with "add edges". Where one of the texts negates, nothing is held against the statement.

    Args:
        statement: One sentence.
        quoted: One or two sentences of an abstract.
    """
    if negation(statement) or negation(quoted):
        return ""
    given = _content(quoted)
    places: dict[str, list[int]] = {}
    for place, (_, term) in enumerate(given):
        places.setdefault(term, []).append(place)
    said = _content(statement)
    for place, (word, term) in enumerate(said):
        if term in _OPPOSED and places.keys().isdisjoint(_SAME[term]):
            beside = _beside(said, place) - _OPPOSED.keys()
            at = [n for other in _OPPOSED[term] & places.keys() for n in places[other][:_MOST]]
            if any(not beside.isdisjoint(_beside(given, n)) for n in at):
                return f"it says “{word}”, and the nearest sentence says the opposite"
    return ""


def _beside(words: list[tuple[str, str]], place: int) -> set[str]:
    return {term for _, term in words[max(0, place - 1) : place + 2]}


def _content(text: str) -> list[tuple[str, str]]:
    """Return the words of a text that are no function words, each with its term."""
    words = (word.lower() for word in _WORD.findall(text))
    return [(word, stem(word)) for word in words if word not in STOP_WORDS or stem(word) in _OPPOSED]


def wider(statement: str, quoted: str) -> str:
    """Return what is wrong where a statement says "all" of what the quoted text says "some" of; "" for nothing.

    A quoted text that says "all" of anything is not held against the statement.

    Args:
        statement: One sentence.
        quoted: One or two sentences of an abstract.
    """
    if _ALL.search(quoted):
        return ""
    some = {stem(noun.lower()) for noun in _SOME.findall(quoted)}
    for word, nouns in _ALL.findall(statement):
        if not some.isdisjoint(stem(noun) for noun in nouns.lower().split()):
            return f"it says “{word}”, and the nearest sentence says it of some"
    return ""


def narrower(statement: str, quoted: str) -> str:
    """Return what is wrong where a statement says "only" of what is one of several in the quoted text; "" for nothing.

    A word that the quoted text does not have is not judged, nor one near to which the quoted text has a limit as well.

    Args:
        statement: One sentence.
        quoted: One or two sentences of an abstract.
    """
    places: dict[str, list[int]] = {}
    words = [word.lower() for word in _WORD_OR_COMMA.findall(quoted)]
    for place, word in enumerate(words):
        places.setdefault(stem(word), []).append(place)
    limited = any(map(_ONLY_WORDS.fullmatch, words))
    for only, after, before, only_after in _ONLY.findall(statement):
        content = [word for word in _WORD.findall(after or before) if word.lower() not in STOP_WORDS][:1]
        at = [at for word in content if not word[0].isdigit() for at in places.get(stem(word.lower()), [])[:_MOST]]
        if 0 < len(at) < _MOST and all(_is_free(words, place, limited) for place in at):
            said = f"{only} {content[0]}" if only else f"{before} {only_after}"
            return f"it says “{said}”, and the nearest sentence does not say that there is nothing else"
    return ""


def _is_free(words: list[str], place: int, limited: bool) -> bool:
    """Whether a word of a text is one of several, or it is another word that the text has "only" before."""
    near = words[max(0, place - _NEAR_ONLY) : place + _NEAR_ONLY + 1]
    nearer = words[max(0, place - _NEAR_OTHERS) : place + _NEAR_OTHERS + 1]
    several = limited or any(word in _AMONG_OTHERS or word == "," for word in nearer)
    return several and not any(map(_LIMITS.fullmatch, near))
