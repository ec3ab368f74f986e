"""Let a language model rewrite a follow-up question so that it stands alone. Does not decide what is a follow-up.

What the model writes is only searched, beside the question itself and the wording that needs no model; it is not shown
as an answer and proves nothing. What does not look like a rewriting of the question is not used.
"""

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing

from index.errors import GenerationError, ModelLoadError
from index.terms import question_terms

from .answering.draft import Draft
from .answering.thinking import Restart, ThinkingFilter
from .answering.waiting import take_turn
from .events import CancelToken, Event, Status
from .llm.model import LanguageModel, Messages
from .llm.shared import Turn
from .prompts import build_rewrite_messages
from .safety import neutralise, strip_markers
from .settings import AnsweringSettings

MAX_NEW_TOKENS = 80
_MAX_WORDS = 60
_LABEL = re.compile(
    r"^\W*(?:(?:the )?(?:rewritten |stand-?alone |follow-?up )*question|answer|rewritten)\W*:[\s*_]*", re.I
)
_QUOTED = re.compile(r"[\"'“]([^\"“”]*)[\"'”]")
_NEW_TERMS = 0.34  # of the rewriting's terms, those that nobody has said: a model that answers, or talks of its own


def rewrite(
    turn: Turn,
    question: str,
    history: Sequence[Mapping[str, str]],
    settings: AnsweringSettings,
    draft: Draft,
    cancel: CancelToken,
) -> Generator[Event, None, str]:
    """Ask the model for the question's stand-alone wording.

    Args:
        turn: A place in the model's queue; it is kept for the answer.
        question: One line of text.
        history: Messages with ``role`` and ``content``, oldest first.
        settings: The longest wait.
        draft: Is told why the model is not used.
        cancel: Ends the waiting and stops the model.

    Returns:
        The wording; "" if there is none that can be used.
    """
    try:
        llm = yield from take_turn(turn, settings.max_wait_s, draft, cancel)
        if llm is None:
            return ""
        yield Status("rewrite", "Putting the question in its own words")
        return reworded(llm, question, history, cancel)
    except (GenerationError, ModelLoadError) as exc:
        draft.give_up(str(exc))
        return ""


def reworded(llm: LanguageModel, question: str, history: Sequence[Mapping[str, str]], cancel: CancelToken) -> str:
    """Return a model's stand-alone wording of a question; "" if there is none that can be used, or a stop came.

    Raises:
        GenerationError: If the model fails.
    """
    text = _first_line(llm, build_rewrite_messages(question, history), cancel)
    return "" if cancel.cancelled else accepted(text, question, history)  # a stop may have cut it anywhere


def accepted(text: str, question: str, history: Sequence[Mapping[str, str]]) -> str:
    """Return a rewriting as it will be searched; "" if it is none.

    It is one if it is no longer than a question, keeps a word of the question if that has any, and says nothing, or
    little, that was not said in the conversation.
    """
    text = neutralise(strip_markers(_bare(text)))
    terms, asked = set(question_terms(text)), set(question_terms(question))
    said = asked.union(*(question_terms(message["content"]) for message in history))
    if not terms or len(text.split()) > _MAX_WORDS or (asked and not terms & asked):
        return ""
    return text if len(terms - said) <= _NEW_TERMS * len(terms) else ""


def _bare(text: str) -> str:
    """Return a text without a label before it and quotation marks around it."""
    for _ in range(2):  # the label may stand inside the quotation marks or before them
        quoted = _QUOTED.fullmatch(text.strip())
        text = _LABEL.sub("", quoted[1] if quoted else text.strip())
    return text


def _first_line(llm: LanguageModel, messages: Messages, cancel: CancelToken) -> str:
    """Return the first line with words that the model writes after its thinking, and stop it there."""
    thinking, text = ThinkingFilter(llm.prompt(messages)), ""
    with closing(llm.stream(messages, MAX_NEW_TOKENS, cancel)) as pieces:
        for piece in pieces:
            for passed in thinking.feed(piece):
                text = "" if isinstance(passed, Restart) else text + passed
            if "\n" in text.strip():
                break
    text += thinking.end()
    return text.strip().partition("\n")[0]
