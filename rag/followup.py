"""Make a question stand alone, given what was said before. Uses no language model and does not search.

What a follow-up leaves out is almost always in the last exchange: the question before it and the answer's own
words. Both are put behind the question; the retriever then searches the raw question and this wording, and
fuses the two, so that a change of topic is not lost.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from index.terms import question_terms

_POINTS_BACK = re.compile(
    r"\b(?:it|its|itself|they|their|theirs|them|these|those|this|he|she|his|her|such|same|former|latter|instead|too|"
    r"else|another|others?|opposite|authors?)\b|\b(?:the|that|this|which|each) ones?\b"
    # "that" points back after a verb or preposition and at an end; elsewhere it opens a relative clause.
    r"|\b(?:do|does|did|is|on|of|in|to|for|at|by|like|with|than|about) that\b|\bthat(?=\s*[?.!,]|$)",
    re.I,
)
_CONTINUES = re.compile(r"^(?:and|but|or|so|ok(?:ay)?|nice|then|also|why|what about|wh?at about|how about|for)\b", re.I)
_WANTS_ANOTHER = re.compile(
    r"\b(?:another|other|others|else|different|opposite|alternatives?)\b"
    r"|\b(?:is|are) there (?:an?|any)?\s*(?:\w+ )?papers?\b|\bany papers?\b",
    re.I,
)
_MARKER = re.compile(r"\s*\[\d+\](?:\[\d+\])*")
_MAX_CONTEXT_WORDS = 60  # what fits the encoder's window beside a question


@dataclass(frozen=True, slots=True)
class StandAlone:
    """A question with what it needs of the conversation.

    Attributes:
        text: The question, followed by the words it refers to; the question itself when it stands alone.
        depends: Whether it points back at the conversation.
        last_answer: The last answer without its markers, "" when there is none.
        wants_another: Whether it asks for papers other than the one just spoken of.
    """

    text: str
    depends: bool
    last_answer: str
    wants_another: bool

    def wordings(self, question: str) -> list[tuple[str, float]]:
        """Return what to search for, with the weight of each wording; the weights add to 1."""
        if self.text == question:
            return [(question, 1.0)]
        own = 0.4 if self.depends else 0.75
        return [(question, own), (self.text, 1 - own)]


def stand_alone(question: str, history: Sequence[Mapping[str, str]]) -> StandAlone:
    """Add to a question what it leaves out.

    Args:
        question: One line of text.
        history: Messages with ``role`` ("user" or "assistant") and ``content``, oldest first.
    """
    asked = _last(history, "user")
    answered = _MARKER.sub("", _last(history, "assistant"))
    if not asked and not answered:
        return StandAlone(question, False, "", False)
    depends = bool(_POINTS_BACK.search(question) or _CONTINUES.search(question)) or len(question_terms(question)) <= 2
    context = " ".join(f"{asked} {answered}".split()[:_MAX_CONTEXT_WORDS])
    return StandAlone(
        text=f"{question} {context}",
        depends=depends,
        last_answer=answered,
        wants_another=depends and bool(_WANTS_ANOTHER.search(question)),
    )


def _last(history: Sequence[Mapping[str, str]], role: str) -> str:
    return next((message["content"] for message in reversed(history) if message["role"] == role), "")
