"""Tell what a statement says that the quoted text does not bear out. Judges no meaning: only words and their places.

A small network reads past the one word that makes a sentence wrong. So this is done by rule, and only for what a rule
can see; what it cannot see is in the docstring of :mod:`rag.grounding`.
"""

import re
import unicodedata
from collections.abc import Callable

from index.terms import STOP_WORDS, stem

from .claims import COMPARATIVES, addresses, direction, is_unit, markup, names, negation, numbers, turned_round, units
from .denial import denied
from .roles import swapped

_WORD = re.compile(r"[^\W_]+")
_NUMBERED_NAME = re.compile(r"\b(?=[a-z]*[A-Z])[A-Za-z]+-?\d[\w.]*(?:,\d[\w.]*)*(?<!\.)")  # CIFAR-10, P100, YOLOv5
_ONE = re.compile(r"\b(one)\b(?: (\w+))?", re.I)
_A_UNIT = re.compile(r"\b(?:1|one|an?|per|each|every|single)\b", re.I)


def contradiction(statement: str, quoted: str, *, mentioned: Callable[[str], bool], own_name: str = "") -> str:
    """Return what a statement says that the quoted text does not bear out, in words for people; "" for nothing.

    - Every address and all markup must stand in the quote.
    - So must every number, with the same unit where both have one; a number that is part of a name ("CIFAR-10") is
      judged as that. "One" counts only before a unit.
    - Every name must stand in the quote or be mentioned by the paper.
    - What the statement denies the quote must not affirm, and the other way round: see :mod:`rag.denial`.
    - "Lower accuracy" does not go with "higher accuracy", nor any comparative with a quote that has only its opposite.
    - Nobody may have changed sides: see :mod:`rag.roles`.

    Args:
        statement: One sentence.
        quoted: One or two sentences of an abstract.
        mentioned: Whether the paper mentions a name.
        own_name: What the paper calls its own method, "" if that is not known.
    """
    return (
        _planted(statement, quoted)
        or _differing_numbers(statement, quoted, mentioned)
        or _unknown_name(statement, quoted, mentioned)
        or denied(statement, quoted)
        or _turned(statement, quoted)
        or _swapped(statement, quoted, own_name)
    )


def _planted(statement: str, quoted: str) -> str:
    """Return what leads elsewhere in a statement and does not stand in the quoted text."""
    if addresses(statement) - addresses(quoted):
        return "it has an address that the nearest sentence does not have"
    if markup(statement) - markup(quoted):
        return "it has markup that the nearest sentence does not have"
    return ""


def _differing_numbers(statement: str, quoted: str, mentioned: Callable[[str], bool]) -> str:
    plain = _NUMBERED_NAME.sub(lambda name: " " if mentioned(name[0]) else name[0], statement)
    given = set(numbers(quoted).values())
    for written, number in numbers(plain).items():
        if written.lower() != "one" and number not in given:
            return f"the nearest sentence does not give the number {written}"
    return _uncounted_one(plain, quoted) or _differing_units(plain, quoted)


def _uncounted_one(statement: str, quoted: str) -> str:
    if not _A_UNIT.search(quoted):
        for one, counted in _ONE.findall(statement):
            if is_unit(counted):
                return f"the nearest sentence does not give the number {one}"
    return ""


def _differing_units(statement: str, quoted: str) -> str:
    there = units(quoted)
    for number, said in units(statement).items():
        if number in there and not said & there[number]:
            return f"the nearest sentence gives {number} in {min(there[number])}, not in {min(said)}"
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


def _turned(statement: str, quoted: str) -> str:
    if negation(statement):  # "not higher" says what "lower" does
        return ""
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
