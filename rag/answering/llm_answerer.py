"""The answerer with a language model: the model writes, and every sentence is settled as it ends.

What no abstract supports, or repeats an earlier sentence, is dropped with the reason. If nothing of what the model
wrote is left, if it fails before its first supported sentence, or if its queue is too long, the draft stays empty and
says why in its notes; the caller then lets the evidence answer. If it fails later, what was settled stays, marked as
incomplete.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from index.errors import GenerationError, ModelLoadError

from ..answer import AnswerSentence, DroppedSentence
from ..citations import Markers
from ..events import CancelToken, Dropped, Event, Sentence, Status, Token, Verdict
from ..evidence.reader import EvidenceReader, PaperEvidence
from ..grounding import Grounded, ground
from ..llm.model import LanguageModel
from ..llm.shared import Turn
from ..prompts import build_messages
from ..retrieval import Hit, Query
from ..settings import AnsweringSettings
from .sentence_stream import SentenceStream, WrittenSentence

PROMPT_PAPERS = 5  # for a question that one paper answers; a list or a comparison takes all that were read
_CIRCLES = 2  # repeated sentences in a row after which a model is going round in circles
_CUT_MARGIN = 4  # tokens below its limit from which on a model may have been cut off
_REPEATS = "it repeats an earlier sentence"
EVIDENCE_ANSWERS = "the evidence reader answered."


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

    def settle(self, sentence: AnswerSentence, verdict: Verdict = "kept") -> Sentence:
        """Keep a sentence and return its event."""
        self.sentences.append(sentence)
        return Sentence(len(self.sentences) - 1, sentence, verdict)

    def drop(self, sentence: DroppedSentence) -> Dropped:
        """Leave a sentence out and return its event."""
        self.dropped.append(sentence)
        return Dropped(sentence)


Grounder = Callable[[WrittenSentence], Grounded | DroppedSentence]


class LLMAnswerer:
    """Writes answers with a language model.

    Args:
        reader: Judges whether an abstract supports what it writes.
        make_query: Puts what it writes into the form that the reader needs.
        settings: Lengths, and what may stay.
    """

    def __init__(self, reader: EvidenceReader, make_query: Callable[[str], Query], settings: AnsweringSettings) -> None:
        self._reader = reader
        self._make_query = make_query
        self._settings = settings

    def write(
        self,
        turn: Turn,
        question: str,
        evidence: Sequence[PaperEvidence],
        draft: Draft,
        cancel: CancelToken,
        markers: Markers,
        history: Sequence[Mapping[str, str]] = (),
        others: Sequence[Hit] = (),
        *,
        one_paper: bool = False,
    ) -> Iterator[Event]:
        """Write into ``draft``, yielding tokens as they come and sentences as they are settled.

        A settled sentence is final: it stays in the draft and its event is not sent again, whatever happens later.

        Args:
            turn: A place in the model's queue.
            question: One line of text.
            evidence: What is put into the prompt, the most relevant paper first.
            draft: Takes what is written.
            cancel: Stops the model.
            markers: Gives cited papers their numbers.
            history: Messages with ``role`` and ``content``, oldest first; the last exchange is told to the model.
            others: Further papers that were found; they may support a sentence, too.
            one_paper: Whether the question asks about one paper: a sentence that goes over to another has to say so.
        """
        try:
            llm = yield from take_turn(turn, self._settings.max_wait_s, draft, cancel)
            if llm is None:
                return
            yield Status("write", f"{llm.name} is writing")
            papers, messages = self._fit(llm, question, evidence, draft, history)
            if papers:
                hits = [*(found.hit for found in papers), *(found.hit for found in evidence[len(papers) :]), *others]
                grounder = partial(self._ground, hits, markers, draft, one_paper=one_paper)
                yield from self._stream(llm, messages, len(papers), draft, cancel, grounder)
        except (GenerationError, ModelLoadError) as exc:
            draft.stopped = cancel.cancelled
            if draft.sentences:
                draft.incomplete = f"The model failed before the end: {exc}"
                draft.notes.append(draft.incomplete)
            else:
                draft.notes.append(f"{exc} {EVIDENCE_ANSWERS.capitalize()}")

    def _stream(
        self,
        llm: LanguageModel,
        messages: Sequence[Mapping[str, str]],
        papers: int,
        draft: Draft,
        cancel: CancelToken,
        grounder: Grounder,
    ) -> Iterator[Event]:
        limit = self._settings.max_new_tokens
        stream, text, repeated = SentenceStream(papers, draft.prompt), "", 0
        with closing(llm.stream(messages, limit, cancel, papers)) as pieces:
            for piece in pieces:
                text += piece
                for part in stream.feed(piece):
                    event = self._settle(part, draft, grounder)
                    if not isinstance(event, Token):
                        repeated = repeated + 1 if _is_repetition(event) else 0
                    yield event
                stream.over = stream.over or repeated >= _CIRCLES
                if stream.over:
                    break
        draft.stopped = cancel.cancelled
        if draft.stopped:
            return  # the last sentence was cut in the middle
        for part in stream.end(cut=llm.count_tokens(text) >= limit - _CUT_MARGIN):
            yield self._settle(part, draft, grounder)
        if not draft.sentences:
            draft.notes.append(f"No sentence of {llm.name} was supported; {EVIDENCE_ANSWERS}")

    def _fit(
        self,
        llm: LanguageModel,
        question: str,
        evidence: Sequence[PaperEvidence],
        draft: Draft,
        history: Sequence[Mapping[str, str]],
    ) -> tuple[list[PaperEvidence], list[dict[str, str]]]:
        """Put as many papers in the prompt as fit whole; the least relevant is left out first."""
        most = self._settings.prompt_tokens
        if llm.window is not None:
            most = min(most, llm.window - self._settings.max_new_tokens)
        for count in range(len(evidence), 0, -1):
            messages = build_messages(question, evidence[:count], history)
            draft.prompt = llm.prompt(messages)
            if llm.count_tokens(draft.prompt) <= most:
                if count < len(evidence):
                    draft.notes.append(
                        f"{llm.name} was given {count} of {len(evidence)} papers: no more fit in {most:,} tokens."
                    )
                return list(evidence[:count]), messages
        draft.notes.append(f"Not one paper fits in the {max(0, most):,} tokens of {llm.name}; {EVIDENCE_ANSWERS}")
        return [], []

    def _ground(
        self, hits: Sequence[Hit], markers: Markers, draft: Draft, written: WrittenSentence, *, one_paper: bool
    ) -> Grounded | DroppedSentence:
        cited = [citation.paper_id for sentence in draft.sentences for citation in sentence.citations]
        spoken_of = cited[-1] if cited and one_paper else ""
        return ground(written, hits, self._reader, self._make_query, markers, spoken_of)

    def _settle(self, part: str | WrittenSentence, draft: Draft, grounder: Grounder) -> Event:
        """Return the event of a piece of text, or what becomes of a sentence."""
        if isinstance(part, str):
            return Token(part)
        if not part.whole:
            return draft.drop(DroppedSentence(part.text, "it was cut off before its end", 0.0))
        if part.text in (*(kept.text for kept in draft.sentences), *(left.text for left in draft.dropped)):
            return draft.drop(DroppedSentence(part.text, _REPEATS, 0.0))
        grounded = grounder(part)
        if isinstance(grounded, Grounded):
            return draft.settle(grounded.sentence, grounded.verdict)
        if self._settings.grounding == "strict":
            return draft.drop(grounded)
        reason = grounded.reason if self._settings.grounding == "mark" else ""
        return draft.settle(AnswerSentence(part.text, grounded.support, (), unsupported=reason), "unsupported")


def _is_repetition(event: Event) -> bool:
    return isinstance(event, Dropped) and event.sentence.reason == _REPEATS


def take_turn(
    turn: Turn, max_wait_s: float | None, draft: Draft, cancel: CancelToken
) -> Generator[Event, None, LanguageModel | None]:
    """Wait for the model and load it, telling the place in the queue; a turn that was taken already costs nothing.

    Args:
        turn: A place in the model's queue.
        max_wait_s: Longest wait, in seconds; None: any.
        draft: Is told why the model is not used.
        cancel: Ends the waiting.

    Returns:
        The model; None if the queue is full or too long, or a stop came first.

    Raises:
        ModelLoadError: If the model cannot be loaded.
    """
    shared = turn.shared
    if not turn.join():
        draft.notes.append(f"Too many answers are waiting for {shared.name}; {EVIDENCE_ANSWERS}")
        return None
    until = None if max_wait_s is None else time.monotonic() + max_wait_s
    while ahead := turn.ahead:
        late = until is not None and (time.monotonic() >= until or turn.expected_wait_s > (max_wait_s or 0.0))
        if late or cancel.cancelled:
            turn.leave()
            draft.stopped = cancel.cancelled
            if late:
                draft.notes.append(f"{shared.name} is busy for more than {max_wait_s:g} s; {EVIDENCE_ANSWERS}")
            return None
        yield Status("wait", f"Waiting for {shared.name}: {ahead} answer{'s go' if ahead > 1 else ' goes'} first")
        turn.wait(cancel, ahead, until)
    if not shared.loaded:
        yield Status("load", f"Loading {shared.name}")
    model = shared.model(cancel)
    draft.stopped = model is None
    return model
