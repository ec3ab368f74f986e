"""Tell whether a statement swaps who does what to whom. Knows a few dozen relations, and no grammar.

A relation that has a direction ("A outperforms B", "A is smaller than B") stands between its sides. The words of each
side of a statement are compared with those of each side of the quoted sentence: a statement that has them crosswise
says the opposite with the same words, which a small network reads as support. "B is worse than A" has them crosswise,
too, but turns the comparison round as well, and so says the same as "A is better than B".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from index.terms import STOP_WORDS, document_terms, stem

_MAKE = "learn|distill|deriv|extract|generat|produc|predict|creat"
# Each kind of relation with its words. "By" after a participle turns the sides round.
_RELATIONS = [
    (kind, re.compile(rf"\b(?:{words})\b", re.I))
    for kind, words in (
        ("good", r"outperform\w*|surpass\w*|exceed\w*|beats?|beaten|superior to"),
        ("bad", r"underperform\w*|inferior to"),
        ("replace", r"(?:replac|substitut)\w*+(?!(?: [\w-]+){0,4} (?:with|for)\b)(?!(?: [\w-]+){1,4} by\b)"),
        ("replace", r"substitut\w*(?P<middle>(?: [\w-]+){1,4}?) for"),
        ("dominate", r"dominat\w*"),
        ("instead", r"as opposed to|instead of|rather than|in place of"),
        ("make", rf"(?:{_MAKE}|translat|convert|transform)(?:e?s|e|e?d|ing|t)?"),
        ("from", rf"(?:{_MAKE})(?:e?s|e|e?d|ing|t)?(?P<middle>(?: [\w-]+){{0,3}}?) from"),
        ("into", r"(?:translat|convert|transform|turn)(?:s|e|es|ed|ing)?(?P<middle>(?: [\w-]+){0,3}?) (?:in)?to"),
        ("cause", r"caus(?:e|es|ed|ing)|(?:leads?|leading|led) to|result(?:s|ed|ing)? in"),
        ("precede", r"followed by|precede\w*|before"),
        ("follow", r"after|following"),
    )
]
_REPLACED = re.compile(r"\b(?:(?:replac|substitut)\w*((?: [\w-]+){0,4}?) with|replac\w*((?: [\w-]+){1,4}?) by)\b", re.I)
_MORE = "more|higher|greater|better|larger|bigger|faster|quicker|stronger|longer|wider|deeper"
_LESS = "less|fewer|lower|worse|smaller|slower|weaker|shorter|narrower|shallower"
_COMPARISON = re.compile(
    rf"\b(?:(?P<of>{_MORE}|{_LESS})(?P<what>(?: (?!(?:{_MORE}|{_LESS})\b)[\w-]+){{0,4}}?)"
    r"|(?!(?:rath|oth|anoth|wheth|numb)er\b)(?<![\w-])(?P<adjective>[\w-]{0,30}?[a-z]{2}er))"
    r" than\b(?! (?:\W?\d|half|twice))",
    re.I,
)
_LESS_WORDS = frozenset(_LESS.split("|"))
# What a comparative without a noun compares; the others compare themselves.
_SCALES = {
    word: scale
    for scale, words in {
        "amount": "more less fewer",
        "level": "higher lower",
        "good": "better worse",
        "size": "larger bigger greater smaller",
        "speed": "faster quicker slower",
        "strength": "stronger weaker",
        "length": "longer shorter",
        "width": "wider narrower",
        "depth": "deeper shallower",
    }.items()
    for word in words.split()
}
# Who has more of these outperforms.
_GOOD = frozenset(map(stem, "accuracy accurate performance quality precision recall score result effective".split()))
_BE = re.compile(r"\b(?:is|are|was|were|be|been|being)\b(?: \w+){0,2}? ?$", re.I)
_PARTICIPLE = re.compile(r"(?:ed|en|learnt)$", re.I)
_BY = re.compile(r"\s*(?:\w+ ){0,3}?by\b", re.I)
_NOT = re.compile(r"(?:\b(?:not|no|never|nor|neither|none|cannot|hardly)\b|n['’]t\b)(?: [\w-]+){0,3} ?$", re.I)
_NOT_WINDOW = 60  # characters before a relation in which a negation of it may stand
_CLAUSE = re.compile(r"[;:]|, (?:while|whereas|but|although|and)\b|\bwhile\b|\bwhereas\b")
_OWN = r"\b(?:we|our|ours|us|this (?:paper|work)|the proposed \w+|(?:proposed|our) (?:method|model|approach))\b"
_SELF = "ownname"  # stands for the paper's own method
_OBJECT_ENDS = re.compile(
    r"[,(]|\b(?:with|within|without|in|into|on|by|for|while|when|where|which|that|at|to|and|or|but|as|from|of|using|via"
    r"|across|over|under|through|during|because|since|trained|based)\b",
    re.I,
)
_OF = re.compile(r"of\b((?: [\w-]+){1,4})")
_HEAD = 2  # the last terms of what something is done to, which name it
_EMPTY = frozenset(map(stem, STOP_WORDS))
_MOST = 12  # places of a kind that are compared; a text with more is no sentence


@dataclass(frozen=True, slots=True)
class _Place:
    """A relation in a text.

    Attributes:
        words: The words that say it.
        kind: What kind of relation it is.
        less: Whether it is the one of two opposites that says less ("worse").
        left: The terms of what does.
        right: The terms of what it is done to, and all that follows.
        objects: Those that name what it is done to; in "the weights of the model" first one thing, then the other.
    """

    words: str
    kind: str
    less: bool
    left: frozenset[str]
    right: frozenset[str]
    objects: tuple[frozenset[str], ...]


def swapped(statement: str, quoted: str, own_name: str = "") -> str:
    """Return the words of a relation whose sides a statement has crosswise; "" if there is none.

    A negated relation is not compared.

    Args:
        statement: One sentence.
        quoted: One or two sentences of an abstract.
        own_name: What the paper calls its own method; in the abstract that is "we" and "our".

    Example:
        >>> swapped("AmoebaNet outperforms LaNAS.", "LaNAS is small, outperforming AmoebaNet.")
        'outperforms'
    """
    given = _by_kind(quoted, own_name)
    for (kind, less), places in _by_kind(statement, own_name).items():
        there = given.get((kind, less), [])
        for place in places:
            if any(_crosswise(place, o) for o in there) and not any(_straight(place, o) for o in there):
                return place.words
    return ""


def converses(statement: str, quoted: str, own_name: str = "") -> list[str]:
    """Return the comparisons of a statement that turn one of the quoted text round together with its sides.

    Args:
        statement: One sentence.
        quoted: One or two sentences of an abstract.
        own_name: See :func:`swapped`.

    Example:
        >>> converses("AmoebaNet is worse than LaNAS.", "LaNAS outperforms AmoebaNet.")
        ['worse than']
    """
    given = _by_kind(quoted, own_name)
    return [
        place.words
        for (kind, less), places in _by_kind(statement, own_name).items()
        for place in places
        if any(_crosswise(place, other) for other in given.get((kind, not less), []))
    ]


def _by_kind(text: str, own_name: str) -> dict[tuple[str, bool], list[_Place]]:
    """Return the first relations of each kind in a text."""
    text = _own_named(text, own_name)
    found: dict[tuple[str, bool], list[_Place]] = {}
    for clause in _CLAUSE.split(text):
        for place in _places(clause):
            same = found.setdefault((place.kind, place.less), [])
            if len(same) < _MOST:
                same.append(place)
    return found


def _own_named(text: str, own_name: str) -> str:
    """Return a text in which the paper's own name, "we" and "our" are one and the same."""
    own = rf"|\b{re.escape(own_name)}\b" if own_name else ""
    return re.sub(_OWN + own, f" {_SELF} ", text, flags=re.I)


def _places(clause: str) -> Iterator[_Place]:
    for kind, relation in _RELATIONS:
        for match in _affirmed(relation, clause):
            yield _done(match, clause, kind)
    for match in _affirmed(_COMPARISON, clause):
        yield _compared(match, clause)
    for match in _affirmed(_REPLACED, clause):
        yield _replaced(match, clause)


def _affirmed(relation: re.Pattern[str], clause: str) -> Iterator[re.Match[str]]:
    """Yield the first places of a relation that are not negated."""
    for match in islice(relation.finditer(clause), _MOST):
        if not _NOT.search(clause[max(0, match.start() - _NOT_WINDOW) : match.start()]):
            yield match


def _done(match: re.Match[str], clause: str, kind: str) -> _Place:
    before, after = clause[: match.start()], clause[match.end() :]
    less, kind = kind == "bad", "good" if kind == "bad" else kind
    passive, by = _BE.search(before), _BY.match(after)
    if passive and by and _PARTICIPLE.search(match[0]):
        done_to = _terms(before[: passive.start()])
        return _Place(match[0], kind, less, _set(_terms(after[by.end() :])), _set(done_to), (_head(done_to),))
    left = _terms(before + (match.groupdict().get("middle") or ""))
    return _Place(match[0], kind, less, _set(left), _set(_terms(after)), _objects(after))


def _compared(match: re.Match[str], clause: str) -> _Place:
    word = (match["of"] or match["adjective"]).lower()
    what = _terms(match["what"] or "")
    scale = what[-1] if what else _SCALES.get(word, word)
    kind = "good" if scale in _GOOD else scale
    left, after = _terms(clause[: match.start()]), clause[match.end() :]
    return _Place(match[0], kind, word in _LESS_WORDS, _set(left), _set(_terms(after)), _objects(after))


def _replaced(match: re.Match[str], clause: str) -> _Place:
    """Return "replace A with B" as what it says: B replaces A."""
    before, after = clause[: match.start()], clause[match.end() :]
    passive = _BE.search(before)
    middle = match[1] or match[2] or ""
    done_to = _terms(before[: passive.start()] if passive else middle)
    left = _terms(_OBJECT_ENDS.split(after, maxsplit=1)[0])
    return _Place(match[0], "replace", False, _set(left), _set(_terms(before + middle)), (_head(done_to),))


def _objects(after: str) -> tuple[frozenset[str], ...]:
    """Return the names of the things that the phrase is about which a text begins with."""
    phrase, *rest = _OBJECT_ENDS.split(after, maxsplit=1)
    owner = _OF.match(after, len(phrase)) if rest else None
    return (_head(_terms(phrase)), _set(_terms(owner[1])[:_HEAD])) if owner else (_head(_terms(phrase)),)


def _head(terms: list[str]) -> frozenset[str]:
    return frozenset(terms[-_HEAD:])


def _set(terms: list[str]) -> frozenset[str]:
    return frozenset(terms)


def _terms(side: str) -> list[str]:
    """Return the terms of a side in their order, without function words."""
    return [term for term in document_terms(side) if term not in _EMPTY]


def _crosswise(place: _Place, other: _Place) -> bool:
    """Whether what something is done to does it in the other text, and the other way round."""
    for one, two in zip(place.objects, other.objects, strict=False):
        mine, theirs = one - place.left, two - other.left
        if mine and theirs and mine <= other.left - other.right and theirs <= place.left - place.right:
            return True
    return False


def _straight(place: _Place, other: _Place) -> bool:
    """Whether the same thing does it to the same thing in both texts."""
    same = (place.objects[-1] - place.left) & (other.right - other.left) and place.left & other.left
    return place == other or bool(same)
