"""The answerer with a language model: the model writes, and every sentence is settled as it ends.

A sentence that no retrieved abstract supports is dropped with the reason. If the model fails, or nothing of what it
wrote is supported, the draft stays empty and says why in its notes; the caller then lets the evidence answer.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from index.embedding.encoder import Encoder
from index.errors import GenerationError

from ..answer import AnswerSentence, DroppedSentence
from ..citations import Markers
from ..events import CancelToken, Event, Sentence, Token
from ..evidence.reader import PaperEvidence
from ..grounding import ground, split_model_text
from ..prompts import build_messages

PROMPT_PAPERS = 5
_THINKING_OPEN = re.compile(r"<think>(?!.*</think>)", re.S)


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
    """

    sentences: list[AnswerSentence] = field(default_factory=list)
    dropped: list[DroppedSentence] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    prompt: str = ""
    stopped: bool = False

    def settle(self, sentence: AnswerSentence) -> Sentence:
        """Keep a sentence and return its event."""
        self.sentences.append(sentence)
        return Sentence(len(self.sentences) - 1, sentence)


class LLMAnswerer:
    """Writes answers with a language model.

    Args:
        llm: The model.
        encoder: Embeds what it writes, to find what supports it.
        max_new_tokens: Most tokens per answer.
    """

    def __init__(self, llm: LanguageModel, encoder: Encoder, max_new_tokens: int) -> None:
        self._llm = llm
        self._encoder = encoder
        self._max_new_tokens = max_new_tokens

    def write(
        self, question: str, evidence: Sequence[PaperEvidence], draft: Draft, cancel: CancelToken, markers: Markers
    ) -> Iterator[Event]:
        """Write into ``draft``, yielding tokens as they come and sentences as they are settled."""
        papers = self._fit(question, evidence[:PROMPT_PAPERS], draft)
        if not papers:
            return
        text, settled = "", 0
        try:
            for piece in self._llm.stream(draft.prompt, self._max_new_tokens, cancel):
                text += piece
                if not _THINKING_OPEN.search(text):
                    yield Token(piece)
                ended = split_model_text(text)[:-1]
                for sentence in ended[settled:]:
                    yield from self._settle(sentence, papers, draft, markers)
                settled = max(settled, len(ended))
        except GenerationError as exc:
            draft.notes.append(f"{exc} The evidence reader answered.")
            draft.sentences.clear()
            return
        draft.stopped = cancel.cancelled
        if draft.stopped:
            return  # the last sentence was cut in the middle
        for sentence in split_model_text(text)[settled:]:
            yield from self._settle(sentence, papers, draft, markers)
        if not draft.sentences:
            draft.notes.append(f"No sentence of {self._llm.name} was supported; the evidence reader answered.")

    def _fit(self, question: str, evidence: Sequence[PaperEvidence], draft: Draft) -> list[PaperEvidence]:
        """Put as many papers in the prompt as fit whole; the least relevant is left out first."""
        for count in range(len(evidence), 0, -1):
            draft.prompt = self._llm.prompt(build_messages(question, evidence[:count]))
            if self._llm.fits(draft.prompt, self._max_new_tokens):
                if count < len(evidence):
                    draft.notes.append(f"{count} of {len(evidence)} papers fit the window of {self._llm.name}.")
                return list(evidence[:count])
        draft.notes.append(f"No prompt fits the window of {self._llm.name}; the evidence reader answered.")
        return []

    def _settle(
        self, sentence: str, papers: Sequence[PaperEvidence], draft: Draft, markers: Markers
    ) -> Iterator[Event]:
        grounded = ground(sentence, papers, self._encoder, markers)
        if isinstance(grounded, DroppedSentence):
            draft.dropped.append(grounded)
        else:
            yield draft.settle(grounded)
