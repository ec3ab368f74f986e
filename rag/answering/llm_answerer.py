"""The answerer with a language model: the model writes, and every sentence is settled as it ends.

A sentence that no retrieved abstract supports, or that repeats one, is dropped with the reason. If nothing of what the
model wrote is supported, or it fails before its first supported sentence, the draft stays empty and says why in its
notes; the caller then lets the evidence answer. If it fails later, what was settled stays, marked as incomplete.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from index.errors import GenerationError

from ..answer import AnswerSentence, DroppedSentence
from ..citations import Markers
from ..events import CancelToken, Event, Sentence, Token
from ..evidence.reader import EvidenceReader, PaperEvidence
from ..grounding import ends_whole, ground, split_model_text, visible_text
from ..prompts import build_messages
from ..retrieval import Query
from ..safety import strip_markers

PROMPT_PAPERS = 5
_OPENS_THINKING = re.compile(r"<think(?:ing)?>\s*\Z", re.I)
_TAG_BEGUN = re.compile(r"</?[a-z]{0,8}\Z", re.I)
_MARKER_BEGUN = re.compile(r"[\[【［][^\[\]【】［］]{0,60}\Z")
_MARKER_CUT = re.compile(r"[\[【［]{1,2}[\d ,;–—-]*(?:†[^\[\]【】［］]{0,40})?\Z")
_WORD_BEGUN = re.compile(r"[^\s。！？]+\Z")


class LanguageModel(Protocol):
    """What can write an answer; see :class:`rag.answering.local_llm.LocalLLM`."""

    @property
    def name(self) -> str:
        """The model's name, for people."""
        ...

    def prompt(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return the text the model is given for chat messages."""
        ...

    def fits(self, prompt: str, max_new_tokens: int) -> bool:
        """Whether the prompt and the answer fit the model's window."""
        ...

    def stream(self, prompt: str, max_new_tokens: int, cancel: CancelToken) -> Iterator[str]:
        """Yield the model's text piece by piece; closing the iterator stops the model."""
        ...


@dataclass(slots=True)
class Draft:
    """An answer while it is being written.

    Attributes:
        sentences: Settled sentences.
        dropped: Sentences that nothing supports.
        notes: What a reader should know, for people.
        prompt: What the model was given.
        stopped: Whether it was stopped before its end.
        incomplete: Why it ends before its end although nobody stopped it, for people; "" if it does not.
    """

    sentences: list[AnswerSentence] = field(default_factory=list)
    dropped: list[DroppedSentence] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    prompt: str = ""
    stopped: bool = False
    incomplete: str = ""

    def settle(self, sentence: AnswerSentence) -> Sentence:
        """Keep a sentence and return its event."""
        self.sentences.append(sentence)
        return Sentence(len(self.sentences) - 1, sentence)


class LLMAnswerer:
    """Writes answers with a language model.

    Args:
        llm: The model.
        reader: Judges whether an abstract supports what it writes.
        make_query: Puts what it writes into the form that the reader needs.
        max_new_tokens: Most tokens per answer.
    """

    def __init__(
        self, llm: LanguageModel, reader: EvidenceReader, make_query: Callable[[str], Query], max_new_tokens: int
    ) -> None:
        self._llm = llm
        self._reader = reader
        self._make_query = make_query
        self._max_new_tokens = max_new_tokens

    def write(
        self,
        question: str,
        evidence: Sequence[PaperEvidence],
        draft: Draft,
        cancel: CancelToken,
        markers: Markers,
        history: Sequence[Mapping[str, str]] = (),
    ) -> Iterator[Event]:
        """Write into ``draft``, yielding tokens as they come and sentences as they are settled.

        A settled sentence is final: it stays in the draft and its event is not sent again, whatever happens later.

        Args:
            question: One line of text.
            evidence: What was found, the most relevant paper first.
            draft: Takes what is written.
            cancel: Stops the model.
            markers: Gives cited papers their numbers.
            history: Messages with ``role`` and ``content``, oldest first; the last exchange is told to the model.
        """
        try:
            papers = self._fit(question, evidence[:PROMPT_PAPERS], draft, history)
            if papers:
                yield from self._stream(papers, draft, cancel, markers)
        except GenerationError as exc:
            draft.stopped = cancel.cancelled
            if draft.sentences:
                draft.incomplete = f"The model failed before the end: {exc}"
                draft.notes.append(draft.incomplete)
            else:
                draft.notes.append(f"{exc} The evidence reader answered.")

    def _stream(
        self, papers: Sequence[PaperEvidence], draft: Draft, cancel: CancelToken, markers: Markers
    ) -> Iterator[Event]:
        opening = _OPENS_THINKING.search(draft.prompt)  # the template has begun the thinking, the model ends it
        text, seen, settled = opening[0] if opening else "", "", 0
        for piece in self._llm.stream(draft.prompt, self._max_new_tokens, cancel):
            text += piece
            visible = _TAG_BEGUN.sub("", visible_text(text))
            if not visible.startswith(seen):  # all of it was thinking: its end has come, without a beginning
                seen, settled = "", 0
            if new := visible[len(seen) :]:
                yield Token(new)
            seen = visible
            ended = _sentences_so_far(visible)
            for sentence in ended[settled:]:
                yield from self._settle(sentence, papers, draft, markers)
            settled = max(settled, len(ended))
        draft.stopped = cancel.cancelled
        if draft.stopped:
            return  # the last sentence was cut in the middle
        visible = visible_text(text)
        if new := visible[len(seen) :]:
            yield Token(new)
        for sentence in split_model_text(_MARKER_CUT.sub("", visible))[settled:]:
            if ends_whole(sentence):
                yield from self._settle(sentence, papers, draft, markers)
            else:
                draft.dropped.append(DroppedSentence(strip_markers(sentence), "it was cut off before its end", 0.0))
        if not draft.sentences:
            draft.notes.append(f"No sentence of {self._llm.name} was supported; the evidence reader answered.")

    def _fit(
        self, question: str, evidence: Sequence[PaperEvidence], draft: Draft, history: Sequence[Mapping[str, str]]
    ) -> list[PaperEvidence]:
        """Put as many papers in the prompt as fit whole; the least relevant is left out first."""
        for count in range(len(evidence), 0, -1):
            draft.prompt = self._llm.prompt(build_messages(question, evidence[:count], history))
            if self._llm.fits(draft.prompt, self._max_new_tokens):
                if count < len(evidence):
                    draft.notes.append(f"{count} of {len(evidence)} papers fit the window of {self._llm.name}.")
                return list(evidence[:count])
        draft.notes.append(f"No prompt fits the window of {self._llm.name}; the evidence reader answered.")
        return []

    def _settle(
        self, sentence: str, papers: Sequence[PaperEvidence], draft: Draft, markers: Markers
    ) -> Iterator[Event]:
        grounded = ground(sentence, papers, self._reader, self._make_query, markers)
        if isinstance(grounded, DroppedSentence):
            draft.dropped.append(grounded)
        elif any(grounded.text == kept.text for kept in draft.sentences):  # small models go round in circles
            draft.dropped.append(DroppedSentence(grounded.text, "it repeats an earlier sentence", grounded.support))
        else:
            yield draft.settle(grounded)


def _sentences_so_far(visible: str) -> list[str]:
    """Return the sentences that no further text can change.

    The last sentence may go on, a marker that has just begun belongs before its end, and whether a sentence ends may
    hang on the whole of the next word ("et al. The", "et al. Theory").
    """
    return split_model_text(_MARKER_BEGUN.sub("", _WORD_BEGUN.sub("", visible)))[:-1]
