"""Tell what a statement says that the quoted text does not bear out. Judges no meaning: only words and their places.

A small network reads past the one word that makes a sentence wrong. So this is done by rule, and only for what a rule
can see; what it cannot see is in the docstring of :mod:`rag.grounding`.
"""

import re
import unicodedata
from collections.abc import Callable

from index.terms import STOP_WORDS, stem

from .claims import COMPARATIVES, addresses, direction, markup, names, negation, turned_round
from .denial import denied
from .figures import differing_figure
from .roles import converses, swapped
from .scope import narrower, opposed, opposite_bound, wider

_WORD = re.compile(r"[^\W_]+")


def contradiction(statement: str, quoted: str, *, mentioned: Callable[[str], bool], own_name: str = "") -> str:
    """Return what a statement says that the quoted text does not bear out, in words for people; "" for nothing.

    - Every address and all markup must stand in the quote.
    - So must every number, with the same unit where both have one: as it is, in another form ("10k"), as a near bound
      ("more than five" for 5.1) or as a count of what the quote lists ("all three"). A number that is part of a name
      ("CIFAR-10") is judged as that. "One" counts only before a unit.
    - Numbers must be in their places: in "21 of 30" and "from 30 to 10", at the word that follows them where the quote
      has another number at it, with their sign, and not "at most" for "at least". See :mod:`rag.figures`.
    - Every name must stand in the quote or be mentioned by the paper.
    - What the statement denies the quote must not affirm, and the other way round: see :mod:`rag.denial`.
    - "Lower accuracy" does not go with "higher accuracy", nor any comparative with a quote that has only its opposite,
      unless the sides are exchanged as well.
    - Nobody may have changed sides: see :mod:`rag.roles`.
    - "Remove edges" does not go with "add edges", nor any other of a few pairs beside the same word.
    - "All" may not stand for "some", nor "only" before what is one of several: see :mod:`rag.scope`.

    Args:
        statement: One sentence.
        quoted: One or two sentences of an abstract.
        mentioned: Whether the paper mentions a name.
        own_name: What the paper calls its own method, "" if that is not known.
    """
    return (
        _planted(statement, quoted)
        or differing_figure(statement, quoted, mentioned=mentioned)
        or opposite_bound(statement, quoted)
        or _unknown_name(statement, quoted, mentioned)
        or denied(statement, quoted)
        or _turned(statement, quoted, own_name)
        or _swapped(statement, quoted, own_name)
        or opposed(statement, quoted)
        or wider(statement, quoted)
        or narrower(statement, quoted)
    )


def _planted(statement: str, quoted: str) -> str:
    """Return what leads elsewhere in a statement and does not stand in the quoted text."""
    if addresses(statement) - addresses(quoted):
        return "it has an address that the nearest sentence does not have"
    if markup(statement) - markup(quoted):
        return "it has markup that the nearest sentence does not have"
    return ""


def _unknown_name(statement: str, quoted: str, mentioned: Callable[[str], bool]) -> str:
    quoted_names = {*_WORD.findall(quoted), *names(quoted)}
    for name in dict.fromkeys(names(statement)):
        if not (name in quoted_names or mentioned(name) or _greek(name, quoted)):
            return f"the paper does not mention {name}"
    return ""


def _greek(name: str, quoted: str) -> bool:
    """Whether a name is that of a Greek letter which stands in the quoted text ("Psi" and "Ψ")."""
    try:
        letters = [unicodedata.lookup(f"GREEK {case} LETTER {name.upper()}") for case in ("CAPITAL", "SMALL")]
    except KeyError:
        return False
    return any(letter in quoted for letter in letters)


def _turned(statement: str, quoted: str, own_name: str) -> str:
    if negation(statement):  # "not higher" says what "lower" does
        return ""
    for words in converses(statement, quoted, own_name):
        statement = statement.replace(words, " ")  # "A is worse than B" says what "B is better than A" does
    turned = turned_round(statement, quoted)
    if turned in COMPARATIVES:
        return f"it says “{turned}”, and the nearest sentence says the opposite"
    if negation(quoted):
        return ""
    there = _compared(quoted)
    for (row, side, noun), words in _compared(statement).items():
        if (row, 1 - side, noun) in there and (row, side, noun) not in there:
            return f"it says “{words}”, and the nearest sentence says the opposite"
    return ""


def _compared(text: str) -> dict[tuple[int, int, str], str]:
    """Return what is compared in a text: row and side of the comparative and the term that it goes with, with both."""
    found = {}
    words = _WORD.findall(text.lower())
    for place, word in enumerate(words):
        if word in COMPARATIVES:
            near = [w for w in words[place + 1 : place + 3] if w not in STOP_WORDS and w not in COMPARATIVES]
            found.update(
                {(row, side, stem(noun)): f"{word} {noun}" for row, side in direction(word) for noun in near[:1]}
            )
    return found


def _swapped(statement: str, quoted: str, own_name: str) -> str:
    relation = swapped(statement, quoted, own_name)
    return f"the nearest sentence has the two sides of “{relation}” the other way round" if relation else ""
