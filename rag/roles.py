"""Tell whether a statement swaps who does what to whom. Knows a few dozen relations, and no grammar.

A relation that has a direction ("A outperforms B", "A replaces B") stands between its sides. The words of each side of
a statement are compared with those of each side of the quoted sentence: a statement that has them crosswise says the
opposite with the same words, which a small network reads as support.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from index.terms import STOP_WORDS, document_terms, stem

# Of each row, the words that say the same. "By" after a participle turns the sides round.
_RELATIONS = [
    re.compile(rf"\b(?:{words})\b", re.I)
    for words in (
        r"outperform\w*|surpass\w*|exceed\w*|beats?|beaten|(?:better|faster|quicker|higher \w+|more \w+|more) than"
        r"|superior to",
        r"underperform\w*|(?:worse|slower|lower \w+|less \w+|less|fewer \w+) than|inferior to",
        r"replac\w*|substitut\w*",
        r"dominat\w*",
        r"as opposed to|instead of|rather than|in place of",
        r"(?:learn|distill|deriv|extract|generat|produc|predict|creat|translat|convert|transform)\w*",
        r"followed by|precede\w*|before",
        r"after|following",
    )
]
_BE = re.compile(r"\b(?:is|are|was|were|be|been|being)\b(?: \w+){0,2}? ?$", re.I)
_PARTICIPLE = re.compile(r"(?:ed|en|learnt)$", re.I)
_BY = re.compile(r"\s*(?:\w+ ){0,3}?by\b", re.I)
_CLAUSE = re.compile(r"[;:]|, (?:while|whereas|but|although|and)\b|\bwhile\b|\bwhereas\b")
_OWN = r"\b(?:we|our|ours|us|this (?:paper|work)|the proposed \w+|(?:proposed|our) (?:method|model|approach))\b"
_SELF = "ownname"  # stands for the paper's own method
_OBJECT_ENDS = re.compile(r"[,(]|\b(?:with|in|on|by|for|while|when|at|to|and|as|from|of)\b")
_OBJECT = 2  # terms after a relation that are what it is done to
_EMPTY = frozenset(map(stem, STOP_WORDS))
_MOST = 12  # places of a relation that are compared; a text with more is no sentence


@dataclass(frozen=True, slots=True)
class _Place:
    """A relation in a text: its words, the terms of what does, of what it is done to, and the nearest of those."""

    words: str
    left: frozenset[str]
    right: frozenset[str]
    object: frozenset[str]


def swapped(statement: str, quoted: str, own_name: str = "") -> str:
    """Return the words of a relation whose sides a statement has crosswise; "" if there is none.

    Args:
        statement: One sentence.
        quoted: One or two sentences of an abstract.
        own_name: What the paper calls its own method; in the abstract that is "we" and "our".

    Example:
        >>> swapped("AmoebaNet outperforms LaNAS.", "LaNAS is small, outperforming AmoebaNet.")
        'outperforms'
    """
    said, given = _own_named(statement, own_name), _own_named(quoted, own_name)
    for relation in _RELATIONS:
        there = list(islice(_places(given, relation), _MOST))
        for place in islice(_places(said, relation), _MOST):
            if there and all(_crosswise(place, other) for other in there):
                return place.words
    return ""


def _own_named(text: str, own_name: str) -> str:
    """Return a text in which the paper's own name, "we" and "our" are one and the same."""
    own = rf"|\b{re.escape(own_name)}\b" if own_name else ""
    return re.sub(_OWN + own, f" {_SELF} ", text, flags=re.I)


def _places(text: str, relation: re.Pattern[str]) -> Iterator[_Place]:
    for clause in _CLAUSE.split(text):
        for match in relation.finditer(clause):
            before, after = clause[: match.start()], clause[match.end() :]
            passive, by = _BE.search(before), _BY.match(after)
            if passive and by and _PARTICIPLE.search(match[0]):
                left, right = _terms(after[by.end() :]), _terms(before[: passive.start()])
                done_to = right[-_OBJECT:]
            else:
                left, right = _terms(before), _terms(after)
                done_to = _terms(_OBJECT_ENDS.split(after, maxsplit=1)[0])[:_OBJECT]
            yield _Place(match[0], frozenset(left), frozenset(right), frozenset(done_to))


def _terms(side: str) -> list[str]:
    """Return the terms of a side in their order, without function words."""
    return [term for term in document_terms(side) if term not in _EMPTY]


def _crosswise(place: _Place, other: _Place) -> bool:
    """Whether what something is done to does it in the other text, and the other way round."""
    one = place.object - place.left
    two = other.object - other.left
    return bool(one and two) and one <= other.left - other.right and two <= place.left - place.right
