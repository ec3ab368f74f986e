"""Guess what a question in a conversation leaves out, from the conversation's words alone. Measured, never used.

The topic of a conversation is what its questions name: noun phrases, weighed by how lately and how plainly they were
named. :func:`rag.topic.with_topic` puts it into a question that leaves it out. Lists and weights were chosen on TREC
CAsT 2019 and 2020; on other conversations the guessed topic is no better than none (``citewell eval followups``), so
:mod:`rag.followup` takes the paper just spoken of instead.
"""

import re
from collections.abc import Mapping, Sequence

from index.terms import question_terms
from rag.noun_phrases import GRADING, noun_phrases
from rag.topic import open_pronoun, with_topic

_CONTINUES = re.compile(r"^(?:and|but|or|so|also|then|wh?at about|how about)\b", re.I)
_NAMES_IT = re.compile(
    r"^(?:(?:what|who)(?:['’]s| is| are| was| were)|(?:\w+ )?tell me (?:more )?about|describe|explain) ", re.I
)
# Small letters only: a name says by itself what it is.
_NOUN = r"(?!(?:of|for|in|on|to|with|from|at|by|and|or|about)\b)[a-z-]+"
_LEAVES_OPEN = re.compile(
    rf"\bthe (?:{_NOUN} ){{0,2}}{_NOUN}(?=\s*(?:[?.!]|$))"
    rf"|\bthe {_NOUN} (?=(?:is|are|was|were|be|have|has|had|do|does|did|can)\b)"
    r"|\b(?:[Ww]hich|[Ww]hat) (?:type|kind|sort|variety|model|one)s?\b(?! of)"
    r"|^(?:Is|Are|Was|Were) there (?:any|an?)\b|\banother\b|\bother\b|\belse\b"
    # Of two sides, one is named.
    r"|\b(?:role|impact|relationship|contribution|purpose|differences?) (?:of|on|to|with) "
    r"(?:(?!(?:of|for|in|on|to|and)\b)[\w-]+ )*[\w-]+\?$"
    rf"|^What (?:is|are|were) (?:the |some )?(?:{'|'.join(sorted(GRADING))}) [a-z- ]+\?$"
)
_OPENING_NAME = re.compile(
    r"^(?:(?:Yes|No), )?(?:The |An? )?((?=\S*[a-z][A-Z]|\S*[A-Z]{2}|\S*\d|\S*-[A-Z])[^\W_][\w-]+)"
)

_FADES = 0.5  # of the weight of a phrase is left after each question
_PLAIN = 1.0  # named by "What is …?" or with a capital, or the topic of a question that leaves it out
_PASSING = 0.5  # named otherwise
_ANSWERED = 2.0  # a name that an answer opens with: what "it" is in the next question
_FIRST = 1.5  # times as much in the first question, which sets the topic
_LATER = 0.9  # times as much for each noun phrase before it in its question
_NEAR = 0.9  # of the weight of the best: also in play
_MOST = 2


def standalone(question: str, history: Sequence[Mapping[str, str]]) -> str:
    """Return a question that can be understood without its conversation; as it is, if it can be already.

    Args:
        question: One line of text.
        history: Messages with ``role`` ("user" or "assistant") and ``content``, oldest first.

    Example:
        >>> standalone("Is it treatable?", [{"role": "user", "content": "What is throat cancer?"}])
        'Is throat cancer treatable?'
    """
    topic = _topic(history)
    return with_topic(question, topic) if _depends(question, topic) else question


def _topic(history: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Return the noun phrases in play, best first; none at the beginning."""
    weights: dict[str, float] = {}
    for message in history:
        if message["role"] == "user":
            _hear(message["content"], weights)
        elif name := _OPENING_NAME.match(message["content"]):
            _add(name[1], _ANSWERED, weights)
    return _best(weights)


def _best(weights: Mapping[str, float]) -> tuple[str, ...]:
    order = sorted(weights, key=lambda phrase: -weights[phrase])
    return tuple(phrase for phrase in order if weights[phrase] >= _NEAR * weights[order[0]])[:_MOST]


def _hear(question: str, weights: dict[str, float]) -> None:
    """Weigh anew what is in play after a question."""
    topic, times = _best(weights), 1.0 if weights else _FIRST
    depends = _depends(question, topic)
    for phrase in weights:
        weights[phrase] *= _FADES
    for phrase in topic if depends else ():
        weights[phrase] += _PLAIN
    found = noun_phrases(question)
    capitals = [_has_capital(phrase) for phrase in found]
    weight = _PLAIN if not depends and (any(capitals) or _NAMES_IT.search(question)) else _PASSING
    if depends and any(capitals) and _CONTINUES.search(question) and not open_pronoun(question):
        weight = 2 * _PLAIN  # "What about X?" puts X in the place of the topic
    for place, phrase in enumerate(found):
        beside_a_name = any(capitals[:place]) and not capitals[place]
        _add(phrase, times * weight * _LATER**place * (_PASSING if beside_a_name else 1), weights)


def _add(phrase: str, weight: float, weights: dict[str, float]) -> None:
    """Add weight to a phrase; to a longer one instead that has all its words ("plans" after "529 plans")."""
    terms = set(question_terms(phrase))
    known = next((other for other in weights if terms and terms <= set(question_terms(other))), phrase)
    weights[known] = weights.get(known, 0.0) + weight


def _depends(question: str, topic: Sequence[str]) -> bool:
    """Whether a question leaves its topic out."""
    if not topic:
        return False
    if open_pronoun(question) or _CONTINUES.search(question):
        return True
    found = noun_phrases(question)
    if not found:
        return True
    named = not set(question_terms(" ".join(found))).isdisjoint(question_terms(" ".join(topic)))
    return not named and bool(_LEAVES_OPEN.search(question))


def _has_capital(phrase: str) -> bool:
    return any(letter.isupper() for letter in phrase)
