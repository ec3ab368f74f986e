"""Decide what a question in a conversation refers to, and what to search for it. Uses no language model.

What a follow-up leaves out is almost always in the last exchange: the question before it and the answer's own words.
Whether a question *is* a follow-up is not told by its words alone ("why do transformers need their memory?" has a
pronoun and stands alone), so the papers decide too: a question belongs to the conversation if the paper just spoken of
fits it nearly as well as the best paper of the whole collection does.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from index.filters import Where
from index.terms import question_terms

from .names import mentions
from .question import Form, form_of
from .retrieval import Hit, Retriever
from .safety import strip_markers
from .topic import with_topic

_POINTS_BACK = re.compile(
    r"\b(?:it|its|itself|they|their|theirs|them|these|those|this|he|she|his|her|such|same|former|latter|instead|too|"
    r"authors?)\b|\b(?:the|that|this|which|each) (?:other )?ones?\b"
    # "that" points back after a verb or preposition and at an end; elsewhere it opens a relative clause.
    r"|\b(?:do|does|did|is|on|of|in|to|for|at|by|like|with|than|about) that\b|\bthat(?=\s*[?.!,]|$)",
    re.I,
)
_CONTINUES = re.compile(r"^(?:and|but|or|so|ok(?:ay)?|nice|then|also|why|wh?at about|how about|for)\b", re.I)
_ASKS_FOR_MORE = re.compile(r"\b(?:more|why|how|what|explain|elaborate|details?|continue|examples?)\b", re.I)
_WANTS_ANOTHER = re.compile(
    r"\b(?:another|other|different|more) (?:\w+ )?(?:papers?|works?|stud(?:y|ies)|articles?|methods?|approach(?:es)?)\b"
    r"|\b(?:is|are) there (?:an?|any) (?:\w+ )?papers?\b",
    re.I,
)
_MAX_CONTEXT_WORDS = 60
_SHORT_TERMS = 2  # with this many topic words a question can hardly stand alone
_IN_PLAY = 0.5  # share of the last answer's words that the paper it spoke of holds

# Of the best paper's score. Over the example questions, the paper just spoken of reaches 0.69 for true follow-ups of
# three topic words or more, and at most 0.57 for questions on something else that have a pronoun.
BELONGS = 0.62

# Weight of the question's own words in a follow-up, half of it with the paper named in them; the rest is that of the
# question with the last exchange.
OWN_WEIGHT = 0.4
OWN_WEIGHT_SHORT = 0.15


@dataclass(frozen=True, slots=True)
class Reference:
    """What a question refers to.

    Attributes:
        text: The question with the paper it refers to in it, for people; the question itself when it stands alone.
        wordings: What to search for, with the weight of each wording; the question first, weights add to 1.
        left_out: Id of the paper just spoken of when the question asks for another one, else "".
    """

    text: str
    wordings: tuple[tuple[str, float], ...]
    left_out: str = ""

    @property
    def depends(self) -> bool:
        """Whether the question refers to the conversation."""
        return len(self.wordings) > 1


def refer(question: str, history: Sequence[Mapping[str, str]], retriever: Retriever, where: Where | None) -> Reference:
    """Find out whether a question refers to the conversation, and add what it leaves out.

    Args:
        question: One line of text.
        history: Messages with ``role`` ("user" or "assistant") and ``content``, oldest first.
        retriever: Tells which paper the last answer spoke of, and how well it fits.
        where: The filter of the search to come.
    """
    alone = Reference(question, ((question, 1.0),))
    points_back = bool(_POINTS_BACK.search(question) or _CONTINUES.search(question))
    topic_words = len(question_terms(question))
    short = topic_words <= _SHORT_TERMS
    asks_for_more = not topic_words and bool(_ASKS_FOR_MORE.search(question))
    if not (points_back or asks_for_more or (short and topic_words)):
        return alone  # before any search: most questions of a conversation end here
    answered = strip_markers(_last(history, "assistant"))
    spoken_of = _spoken_of(answered, retriever, where)
    if spoken_of is None:
        return alone
    wants_another = points_back and bool(_WANTS_ANOTHER.search(question))
    sure = asks_for_more or (short and points_back)
    if not wants_another and not _belongs(question, spoken_of, retriever, where, sure=sure):
        return alone
    context = " ".join(f"{_last(history, 'user')} {answered}".split()[:_MAX_CONTEXT_WORDS])
    text = with_topic(question, [spoken_of.source.paper.short_title])
    own = OWN_WEIGHT_SHORT if short else OWN_WEIGHT
    wordings = ((question, own / 2), (text, own / 2), (f"{question} {context}", 1 - own))
    return Reference(text, wordings, spoken_of.source.paper.id if wants_another else "")


def _belongs(question: str, spoken_of: Hit, retriever: Retriever, where: Where | None, *, sure: bool) -> bool:
    """Whether the paper just spoken of fits the question nearly as well as any other."""
    found = retriever.retrieve([(question, 1.0)], 1, where)
    form = form_of(question)
    foreign = [n for n in found.names if n.weight == 1.0 and not mentions(spoken_of.source.paper, n.text)]
    if foreign and form is not Form.COMPARISON:
        return False  # it names something else
    if sure and form is not Form.LIST:
        return True
    best = found.hits[0].source.score if found.hits else 0.0
    return retriever.score(found.query, spoken_of.stored) >= BELONGS * best


def _spoken_of(answer: str, retriever: Retriever, where: Where | None) -> Hit | None:
    """Return the paper the last answer spoke of, if there is one."""
    hits = retriever.retrieve([(answer, 1.0)], 1, where).hits if answer.strip() else ()
    return hits[0] if hits and hits[0].source.keyword_score >= _IN_PLAY else None


def _last(history: Sequence[Mapping[str, str]], role: str) -> str:
    return next((message["content"] for message in reversed(history) if message["role"] == role), "")
