"""Change a statement by a little: so that it is wrong, or so that it says less and stays right. Reads no abstract.

What makes it wrong is one number, direction, negation or name.
"""

import random
import re
from collections.abc import Callable, Sequence

from ...claims import names, negation, numbers, opposites
from ...contradiction import contradiction

_PLAIN_NUMBER = re.compile(r"[\d,]+(?:\.\d+)?")
_WORD = re.compile(r"[A-Za-z]+")
_AUXILIARY = re.compile(r"\b(is|are|was|were|can|could|does|do|did|has|have|will|should|may)\b(?! not\b|n['’]t)")
# Words that can go without making what is left wrong: they stress, link or hedge.
_SPARE = re.compile(
    r"(?:^(?:however|moreover|furthermore|additionally|specifically|finally|notably|importantly|in particular|"
    r"in addition|in this (?:paper|work)|here|thus|therefore), )"
    r"|\b(?:also|further|furthermore|moreover|however|thus|therefore|hence|significantly|substantially|considerably|"
    r"consistently|effectively|efficiently|successfully|simply|very|highly|novel|new|extensive|comprehensive|various)"
    r"\b,? "
    r"|\s?\([^()]*\)",
    re.I,
)
_NOT = re.compile(r"\b(?:not|never) |n['’]t\b")


def edited(statement: str, others: Sequence[str], rng: random.Random) -> str | None:
    """Return ``statement`` with one change that makes it wrong, or None if no rule applies.

    Args:
        statement: A supported statement.
        others: Names that stand in the same abstract or a near one, to put in the place of its own.
        rng: Decides which change is made.
    """
    ways: list[Callable[[], str | None]] = [
        lambda: _other_number(statement, rng),
        lambda: _other_direction(statement, rng),
        lambda: _other_name(statement, others, rng),
        lambda: _negated(statement),
    ]
    rng.shuffle(ways)
    for way in ways:
        changed = way()
        if changed and changed != statement:
            return changed
    return None


def shortened(statement: str, rng: random.Random) -> str:
    """Return ``statement`` without some of the words and brackets that it can do without; unchanged if it has none.

    What is left still agrees with it in numbers, names, negation and direction. A negated statement is left alone: "not
    significantly better" is not "not better".
    """
    if negation(statement):
        return statement
    shorter = _SPARE.sub(lambda match: "" if rng.random() < 0.7 else match[0], statement).strip()
    shorter = shorter[:1].upper() + shorter[1:]
    return shorter if shorter and not contradiction(shorter, statement, mentioned=lambda _: True) else statement


def _other_number(statement: str, rng: random.Random) -> str | None:
    written = [number for number in numbers(statement) if _PLAIN_NUMBER.fullmatch(number)]
    if not written:
        return None
    number = rng.choice(written)
    value = float(number.replace(",", ""))
    decimals = len(number.partition(".")[2])
    changed = value * rng.choice((0.4, 0.5, 0.8, 0.9, 1.1, 1.25, 1.5, 2, 3))
    if decimals == 0:
        changed = round(changed) + (round(changed) == value)
    text = f"{changed:.{decimals}f}"
    return re.sub(rf"(?<![\d.,]){re.escape(number)}(?![.,]?\d)", text, statement, count=1)


def _other_direction(statement: str, rng: random.Random) -> str | None:
    turning = [match for match in _WORD.finditer(statement) if opposites(match[0])]
    if not turning:
        return None
    match = rng.choice(turning)
    word = _alike(match[0], opposites(match[0]), rng)
    return statement[: match.start()] + word + statement[match.end() :]


def _alike(word: str, candidates: Sequence[str], rng: random.Random) -> str:
    """Choose an opposite with the same ending, so that the sentence stays grammatical."""
    for length in (3, 2, 1):
        same = [other for other in candidates if other[-length:] == word.lower()[-length:]]
        if same:
            return rng.choice(same)
    return candidates[0]


def _other_name(statement: str, others: Sequence[str], rng: random.Random) -> str | None:
    own = sorted(set(names(statement)))
    foreign = sorted({name for name in others if name.lower() not in statement.lower()})
    if not own or not foreign:
        return None
    name = rng.choice(own)
    return re.sub(rf"\b{re.escape(name)}\b", lambda _: rng.choice(foreign), statement, count=1)


def _negated(statement: str) -> str | None:
    if negation(statement):
        return _NOT.sub("", statement, count=1) if _NOT.search(statement) else None
    match = _AUXILIARY.search(statement)
    return f"{statement[: match.end()]} not{statement[match.end() :]}" if match else None
