"""Put a topic into a question that leaves it out. Does not find the topic, nor tell whether one is left out.

The topic takes the place of a pronoun ("Is it treatable?" becomes "Is throat cancer treatable?"), or is added at the
end ("What are the symptoms (throat cancer)?").
"""

import re
from collections.abc import Sequence

from index.terms import question_terms

from .noun_phrases import noun_phrases

_PRONOUN = re.compile(
    r"\b(?:it|its|itself|they|their|theirs|them|themselves|he|she|his|hers?|him|these|those|this|such|former|latter"
    r"|the same|there(?! (?:is|are|was|were|be|any|a|to)\b)|ones?(?! of\b))\b"
    # "that" points back after a verb or preposition and at an end; elsewhere it opens a relative clause.
    r"|\b(?:do|does|did|is|on|of|in|to|for|at|by|like|with|than|about) that\b|\bthat(?=\s*[?.!,]|$)",
    re.I,
)
_IDIOM = re.compile(
    r"\b(?:is|are|was|were) there\b|\bit (?:mean|take|cost)s?\b|\bis it (?:true|possible|better|ok|okay|necessary)\b"
    r"|\bthis (?:year|week|month)\b|\bwhat (?:time|day) is it\b",
    re.I,
)
_STANDS_FOR_A_NOUN = frozenset(("it", "they", "them", "he", "she", "him"))
_POSSESSIVE = frozenset(("its", "their", "his"))
_PLURAL = frozenset(("they", "them", "their"))
_CLAUSE = re.compile(r"[,?!.;]|\b(?:and|but|if|because|when|so|or)\b", re.I)
_LONGEST = 4  # words that can stand in the place of a pronoun


def with_topic(question: str, topic: Sequence[str]) -> str:
    """Return a question that is known to leave its topic out, with the topic in it.

    Args:
        question: One line of text.
        topic: What it is about, the most likely first; what the question names already is not added.

    Example:
        >>> with_topic("How does it compare to Glider?", ["RIFormer"])
        'How does RIFormer compare to Glider?'
    """
    named = set(question_terms(question))
    missing = [phrase for phrase in topic if not named.issuperset(question_terms(phrase))]
    pronoun = open_pronoun(question)
    kind = pronoun[0].lower() if pronoun else ""
    if pronoun and missing and len(missing[0].split()) <= _LONGEST and kind in _STANDS_FOR_A_NOUN | _POSSESSIVE:
        taken = len(missing) if kind in _PLURAL else 1
        noun, missing = " and ".join(missing[:taken]), missing[taken:]
        if kind in _POSSESSIVE:
            noun += "'" if noun.endswith("s") else "'s"
        question = f"{question[: pronoun.start()]}{noun}{question[pronoun.end() :]}"
    if not missing:
        return question
    body = question.rstrip(" ?.!")
    return f"{body} ({', '.join(missing)}){question[len(body) :].strip()}"


def open_pronoun(question: str) -> re.Match[str] | None:
    """Return the first pronoun that stands for nothing in an earlier clause of the question."""
    idioms = [match.span() for match in _IDIOM.finditer(question)]
    for match in _PRONOUN.finditer(question):
        before = question[: match.start()]
        explained = _CLAUSE.search(before) and noun_phrases(before)
        if not explained and not any(start <= match.start() < end for start, end in idioms):
            return match
    return None
