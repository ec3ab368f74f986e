"""Tell what a statement says that the quoted text does not bear out. Judges no meaning: only words and their places.

A small network reads past the one word that makes a sentence wrong. So this is done by rule, and only for what a rule
can see; what it cannot see is in the docstring of :mod:`rag.grounding`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import islice, takewhile

from index.terms import STOP_WORDS, stem

from .claims import (
    COMPARATIVES,
    Amount,
    addresses,
    amounts,
    direction,
    is_unit,
    markup,
    names,
    negation,
    numbers,
    turned_round,
    units,
)
from .denial import denied
from .roles import converses, swapped

_WORD = re.compile(r"[^\W_]+")
_WORD_OR_COMMA = re.compile(r"[^\W_]+|,")
_NUMBERED_NAME = re.compile(r"\b(?=[a-z]*[A-Z])[A-Za-z]+-?\d[\w.]*(?:,\d[\w.]*)*(?<!\.)")  # CIFAR-10, P100, YOLOv5
_ONE = re.compile(r"\b(one)\b(?: (\w+))?", re.I)
# Bounds: words before a number, and between which parts of it the number of the quoted text may lie.
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
_ABOUT = re.compile(r"(?:\b(?:about|around|roughly|approximately|some|nearly|almost|close to|near|circa) |~ ?)$", re.I)
_BOUNDS = {"most": _AT_MOST, "least": _AT_LEAST}
_NEAR = {
    "most": (Decimal("0.75"), Decimal(1)),
    "least": (Decimal(1), Decimal("1.25")),
    "about": (Decimal("0.95"), Decimal("1.05")),
}
_BOUND_WINDOW = 24
_POINTS = frozenset({"%", "point"})
# "The two", "all three": counts of what a text lists.
_ALL_OF = re.compile(r"\b(?:all|the|these|those|its|their|other|both) (?:of (?:the|these|those) )?$", re.I)
_PAIR = re.compile(r"\b(?:both|either|neither|pair|twin|dual|and|or|as well as)\b", re.I)
_LAST = re.compile(r"\b(?:and|or|as well as)\b", re.I)
_LIST_WINDOW = 240
_LIST_ENDS = re.compile(r"[.;:]\s")
_ITEM = 7  # words that a thing in a list has at most
_MOST_NUMBERS = 100  # that are looked for in another form; a text with more is no sentence
_MOST = 12  # places of one kind that are compared
_NOTHING = re.compile(r"\b(?:absen\w*|vanish\w*|non|free|zero)\b", re.I)
# "30 (out) of 30" and "from 10 (ms) to 30".
_PAIRED = re.compile(r"(?<![\w.,])(\d+(?:[.,]\d+)*) (?:out )?of (?:the |all )?(\d+(?:[.,]\d+)*)(?!\w)", re.I)
_FROM_TO = re.compile(r"\bfrom (\d+(?:[.,]\d+)*)[^\s\w]?(?: ?[^\s\d]{1,12})? to (\d+(?:[.,]\d+)*)(?!\w)", re.I)
_NEGATIVE = re.compile(
    r"\b(?:minus|negative\w*|(?:drop|declin|decreas|reduc|lower|fall|fell|loss|los|wors|degrad|below|down|less"
    r"|fewer|anti|invers|cut|shr[iu]nk|sav)\w*)\b",
    re.I,
)
_FOLLOWER = re.compile(r"(?:\s?(?:%|\\%|percent\b|x\b|×|times\b|fold\b))?[\s-]([^\W\d_]{3,})")
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
_A_UNIT = re.compile(r"\b(?:1|one|an?|per|each|every|single)\b", re.I)


def contradiction(statement: str, quoted: str, *, mentioned: Callable[[str], bool], own_name: str = "") -> str:
    """Return what a statement says that the quoted text does not bear out, in words for people; "" for nothing.

    - Every address and all markup must stand in the quote.
    - So must every number, with the same unit where both have one: as it is, in another form ("10k"), as a near bound
      ("more than five" for 5.1) or as a count of what the quote lists ("all three"). A number that is part of a name
      ("CIFAR-10") is judged as that. "One" counts only before a unit.
    - Numbers must be in their places: in "21 of 30" and "from 30 to 10", at the word that follows them where the quote
      has another number at it, with their sign, and not "at most" for "at least".
    - Every name must stand in the quote or be mentioned by the paper.
    - What the statement denies the quote must not affirm, and the other way round: see :mod:`rag.denial`.
    - "Lower accuracy" does not go with "higher accuracy", nor any comparative with a quote that has only its opposite,
      unless the sides are exchanged as well.
    - Nobody may have changed sides: see :mod:`rag.roles`.
    - "Remove edges" does not go with "add edges", nor any other of a few pairs beside the same word.
    - "All" may not stand for "some", nor "only" before what is one of several.

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
        or _turned(statement, quoted, own_name)
        or _swapped(statement, quoted, own_name)
        or _opposed(statement, quoted)
        or _wider(statement, quoted)
        or _narrower(statement, quoted)
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
    unknown = {n for n, number in numbers(plain).items() if n.lower() != "one" and number not in given}
    if unknown:
        borne_out = _borne_out(plain, quoted)
        for written in numbers(plain):
            if written in unknown - borne_out:
                return f"the nearest sentence does not give the number {written}"
    return _uncounted_one(plain, quoted) or _differing_units(plain, quoted) or _misplaced(statement, quoted)


def _borne_out(statement: str, quoted: str) -> set[str]:
    """Return the numbers of a statement that the quoted text gives in another form, or as a bound or a count."""
    said_units, given_units = units(statement), units(quoted)
    there = [(n, side, given_units.get(n.written, set())) for n, side, _ in islice(_bounded(quoted), _MOST_NUMBERS)]
    found = set()
    for amount, side, _ in islice(_bounded(statement), _MOST_NUMBERS):
        unit = said_units.get(amount.written, set())
        like = [n.value for n, other, given in there if _may_share(unit, given) and {side, other} != {"least", "most"}]
        same = [n.value for n, _, given in there if unit & given or amount.times > 1 or n.times > 1]
        before = statement[max(0, amount.start - _BOUND_WINDOW) : amount.start]
        if (
            amount.value in same
            or _within(amount.value, like, "about" if _ABOUT.search(before) else side)
            or (_ALL_OF.search(before) and statement[amount.end : amount.end + 1] != "-" and _lists(quoted, amount))
            or (not amount.value and (negation(quoted) or _NOTHING.search(quoted)))
        ):
            found.add(amount.written)
    return found


def _may_share(one: set[str], other: set[str]) -> bool:
    return not one or not other or bool(one & other) or (one | other) <= _POINTS


def _within(value: Decimal, given: list[Decimal], side: str) -> bool:
    """Whether a number of the quoted text is near to one of a statement, on the side that the statement says."""
    low, high = _NEAR.get(side, (Decimal(1), Decimal(0)))
    return any(low * value <= other <= high * value for other in given)


def _lists(quoted: str, amount: Amount) -> bool:
    """Whether a text may list so many things: "both", "A and B", "A, B and C"."""
    count = amount.value
    if count == 2:
        return bool(_PAIR.search(quoted))
    for last in islice(_LAST.finditer(quoted), _MOST):
        before = quoted[max(0, last.start() - _LIST_WINDOW) : last.start()]
        items = _LIST_ENDS.split(before)[-1].rstrip(", ").split(",")
        short = [*takewhile(lambda item: len(item.split()) <= _ITEM, reversed(items))]
        # The first may be longer, and what stands first may be no thing: "in these tests, A, B and C".
        if count in (len(short) + 1, len(short) + (2 if len(short) < len(items) else 0)):
            return True
    return False


def _misplaced(statement: str, quoted: str) -> str:
    """Return which number is of another size or sign, stands once too often, out of order or at another thing."""
    there = amounts(quoted)
    return (
        _multiplied(statement, there)
        or _repeated(statement, there)
        or _exchanged(statement, quoted)
        or _wrong_sign(statement, quoted, there)
        or _counting_another(statement, quoted)
        or _bounding(statement, quoted)
    )


def _multiplied(statement: str, there: list[Amount]) -> str:
    """Return what is wrong with "two thousand" where the quoted text has "2 million"."""
    given: dict[Decimal, set[int]] = {}
    for amount in there:
        given.setdefault(amount.digits, set()).add(amount.times)
    values = {amount.value for amount in there}
    for amount in amounts(statement):
        times = given.get(amount.digits, {1})
        if amount.times > 1 and 1 not in times and amount.value not in values:
            return f"the nearest sentence does not give the number {statement[amount.start : amount.end]}"
    return ""


def _repeated(statement: str, there: list[Amount]) -> str:
    """Return what is wrong with "30 of 30" where the quoted text has that number once."""
    given = Counter(amount.value for amount in there)
    for one, other in _PAIRED.findall(statement):
        if one == other and any(given[amount.value] == 1 for amount in amounts(one)):
            return f"the nearest sentence gives the number {one} only once"
    return ""


def _exchanged(statement: str, quoted: str) -> str:
    """Return what is wrong with "30 of 21" or "from 10 to 30" where the quoted text has it the other way round."""
    for pattern in (_PAIRED, _FROM_TO):
        given = set(pattern.findall(quoted))
        for one, other in pattern.findall(statement):
            if one != other and (other, one) in given and (one, other) not in given:
                return f"the nearest sentence has {one} and {other} the other way round"
    return ""


def _wrong_sign(statement: str, quoted: str, there: list[Amount]) -> str:
    if _NEGATIVE.search(statement) or _NEGATIVE.search(quoted):
        return ""
    signs: dict[Decimal, set[bool]] = {}
    for amount in there:
        signs.setdefault(amount.value, set()).add(amount.negative)
    for amount in amounts(statement):
        if signs.get(amount.value) == {not amount.negative}:
            return f"the nearest sentence gives {amount.written} with the other sign"
    return ""


def _counting_another(statement: str, quoted: str) -> str:
    """Return what is wrong where two numbers have exchanged the words that directly follow them."""
    given = _followers(quoted)
    counts: dict[str, set[str]] = {}
    for value, words in given.items():
        for word in words:
            counts.setdefault(word, set()).add(value)
    for value, words in _followers(statement).items():
        for word in words - given.get(value, words):
            if word in counts:
                return f"the nearest sentence gives another number for “{word}” than {value}"
    return ""


def _followers(text: str) -> dict[str, set[str]]:
    """Return the terms of the words that directly follow each number of a text, or its unit."""
    found: dict[str, set[str]] = {}
    for amount in amounts(text):
        follower = _FOLLOWER.match(text, amount.end)
        if follower and follower[1].lower() not in STOP_WORDS and not is_unit(follower[1]):
            found.setdefault(f"{amount.value.normalize():f}", set()).add(stem(follower[1].lower()))
    return found


def _bounding(statement: str, quoted: str) -> str:
    """Return what is wrong where one text has "at least" before a number and the other has "at most"."""
    given: dict[Decimal, set[str]] = {}
    for amount, side, _ in _bounded(quoted):
        given.setdefault(amount.value, set()).add(side)
    for amount, side, words in _bounded(statement):
        if side and given.get(amount.value, {side}).isdisjoint({side, ""}):
            return f"it says “{words} {amount.written}”, and the nearest sentence says the opposite"
    return ""


def _bounded(text: str) -> Iterator[tuple[Amount, str, str]]:
    """Yield each number of a text with the side on which the words before it bound it, "" for none, and the words."""
    for amount in amounts(text):
        before = text[max(0, amount.start - _BOUND_WINDOW) : amount.start]
        bounds = ((side, pattern.search(before)) for side, pattern in _BOUNDS.items())
        side, words = next(((side, words[1]) for side, words in bounds if words), ("", ""))
        yield amount, side, words


def _uncounted_one(statement: str, quoted: str) -> str:
    if not _A_UNIT.search(quoted):
        for one, counted in _ONE.findall(statement):
            if is_unit(counted):
                return f"the nearest sentence does not give the number {one}"
    return ""


def _differing_units(statement: str, quoted: str) -> str:
    there = units(quoted)
    for number, said in units(statement).items():
        if number in there and not _may_share(said, there[number]):
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


def _opposed(statement: str, quoted: str) -> str:
    """Return what is wrong where an opposite stands in the quoted text beside the same word."""
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


def _wider(statement: str, quoted: str) -> str:
    """Return what is wrong where a statement says "all" of what the quoted text says "some" of."""
    if _ALL.search(quoted):
        return ""
    some = {stem(noun.lower()) for noun in _SOME.findall(quoted)}
    for word, nouns in _ALL.findall(statement):
        if not some.isdisjoint(stem(noun) for noun in nouns.lower().split()):
            return f"it says “{word}”, and the nearest sentence says it of some"
    return ""


def _narrower(statement: str, quoted: str) -> str:
    """Return what is wrong where a statement has "only" before a word that is one of several in the quoted text."""
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
