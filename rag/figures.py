"""Compare the figures of two texts: which number of one the other does not bear out. Derives no number from others.

A number may be written otherwise than in the quoted text, rounded or counted, and be the same; and it may be the same
and stand for something else: in another unit, with the other sign, at another thing. That "at most" is said of a number
and not "at least" is in :mod:`rag.scope`.
"""

import re
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from itertools import islice, takewhile

from index.terms import STOP_WORDS, stem

from .claims import Amount, amounts, is_unit, negation, numbers, units
from .scope import bounded

_NUMBERED_NAME = re.compile(r"\b(?=[a-z]*[A-Z])[A-Za-z]+-?\d[\w.]*(?:,\d[\w.]*)*(?<!\.)")  # CIFAR-10, P100, YOLOv5
_ONE = re.compile(r"\b(one)\b(?: (\w+))?", re.I)
_ABOUT = re.compile(r"(?:\b(?:about|around|roughly|approximately|some|nearly|almost|close to|near|circa) |~ ?)$", re.I)
# Between which parts of a number of a statement the number of the quoted text may lie.
_NEAR = {
    "most": (Decimal("0.75"), Decimal(1)),
    "least": (Decimal(1), Decimal("1.25")),
    "about": (Decimal("0.95"), Decimal("1.05")),
}
_BEFORE = 24  # characters before a number that are looked at
_POINTS = frozenset({"%", "point"})
# "The two", "all three": counts of what a text lists.
_ALL_OF = re.compile(r"\b(?:all|the|these|those|its|their|other|both) (?:of (?:the|these|those) )?$", re.I)
_PAIR = re.compile(r"\b(?:both|either|neither|pair|twin|dual|and|or|as well as)\b", re.I)
_LAST = re.compile(r"\b(?:and|or|as well as)\b", re.I)
_LIST_WINDOW = 240
_LIST_ENDS = re.compile(r"[.;:]\s")
_ITEM = 7  # words that a thing in a list has at most
_MOST_NUMBERS = 100  # that are looked for in another form; a text with more is no sentence
_MOST = 12  # places at which a list may end that are tried
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
_A_UNIT = re.compile(r"\b(?:1|one|an?|per|each|every|single)\b", re.I)


def differing_figure(statement: str, quoted: str, *, mentioned: Callable[[str], bool]) -> str:
    """Return which number of a statement the quoted text does not bear out, in words for people; "" for none.

    A number bears out another as it is, in another form ("10k"), as a near bound ("more than five" for 5.1) or as a
    count of what the quoted text lists ("all three"), with the same unit where both have one. It must also be in its
    place: in "21 of 30" and "from 30 to 10", at the word that follows it, with its sign. "One" counts only before a
    unit.

    Args:
        statement: One sentence.
        quoted: One or two sentences of an abstract.
        mentioned: Whether the paper mentions a name. A number in such a name ("CIFAR-10") need not be borne out.
    """
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
    there = [(n, side, given_units.get(n.written, set())) for n, side, _ in islice(bounded(quoted), _MOST_NUMBERS)]
    found = set()
    for amount, side, _ in islice(bounded(statement), _MOST_NUMBERS):
        unit = said_units.get(amount.written, set())
        like = [n.value for n, other, given in there if _may_share(unit, given) and {side, other} != {"least", "most"}]
        same = [n.value for n, _, given in there if unit & given or amount.times > 1 or n.times > 1]
        before = statement[max(0, amount.start - _BEFORE) : amount.start]
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
