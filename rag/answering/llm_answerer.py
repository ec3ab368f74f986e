"""The answerer with a language model: the model writes, and every sentence is settled as it ends.

What repeats an earlier sentence is dropped, as is what no abstract supports, unless ``answering.grounding`` lets it
stay. If nothing that an abstract supports is left, if the model fails before its first supported sentence, or if its
queue is too long, the draft stays empty and says why in its notes; the caller then lets the evidence answer. If it
fails later, what was settled stays, marked as incomplete.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial

from index.errors import GenerationError, ModelLoadError

from ..answer import AnswerSentence, DroppedSentence
from ..citations import Markers
from ..events import CancelToken, Event, Status, Token
from ..evidence.reader import EvidenceReader, PaperEvidence
from ..grounding import Grounded, ground
from ..llm.model import LanguageModel
from ..llm.shared import Turn
from ..prompts import build_messages
from ..retrieval import Hit, Query
from ..settings import AnsweringSettings
from .draft import Draft
from .sentence_stream import SentenceStream, WrittenSentence
from .thinking import Restart
from .waiting import take_turn

PROMPT_PAPERS = 5  # for a question that one paper answers; a list or a comparison takes all that were read
_CIRCLES = 2  # repeated sentences in a row after which a model is going round in circles

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
            else:
                draft.give_up(str(exc))

    def _stream(
        self,
        llm: LanguageModel,
        messages: Sequence[Mapping[str, str]],
        papers: int,
        draft: Draft,
        cancel: CancelToken,
        grounder: Grounder,
    ) -> Iterator[Event]:
        stream, settled = SentenceStream(papers, draft.prompt), _Settled(draft, grounder, self._settings.grounding)
        cut = False
        with closing(llm.stream(messages, self._settings.max_new_tokens, cancel, papers)) as pieces:
            while not stream.over:
                try:
                    piece = next(pieces)
                except StopIteration as end:
                    cut = bool(end.value)
                    break
                for part in stream.feed(piece):
                    yield from settled.take(part)
                stream.over = stream.over or settled.repeated >= _CIRCLES
        draft.stopped = cancel.cancelled
        if draft.stopped:
            return  # the last sentence was cut in the middle
        for part in stream.end(cut=cut):
            yield from settled.take(part)
        yield from settled.end()
        if not draft.sentences:
            draft.give_up(f"No sentence of {llm.name} was supported" if draft.dropped else f"{llm.name} wrote nothing")

    def _fit(
        self,
        llm: LanguageModel,
        question: str,
        evidence: Sequence[PaperEvidence],
        draft: Draft,
        history: Sequence[Mapping[str, str]],
    ) -> tuple[list[PaperEvidence], list[dict[str, str]]]:
        """Put as many papers in the prompt as fit whole; the least relevant is left out first."""
        most, limit = self._settings.prompt_tokens, self._settings.max_new_tokens
        if llm.window is not None:
            most = min(most, llm.window - limit)
        for count in range(len(evidence), 0, -1):
            messages = build_messages(question, evidence[:count], history)
            draft.prompt = llm.prompt(messages)
            if llm.count_tokens(draft.prompt) <= most:
                if count < len(evidence):
                    draft.notes.append(
                        f"{llm.name} was given {count} of {len(evidence)} papers: no more fit in {most:,} tokens."
                    )
                return list(evidence[:count]), messages
        if most < self._settings.prompt_tokens:
            why = f"its window has {llm.window:,} tokens, and answering.max_new_tokens keeps {limit:,} of them"
        else:
            why = f"answering.prompt_tokens is {most:,}"
        draft.give_up(f"Not one paper fits into a prompt of {llm.name}: {why}")
        return [], []

    def _ground(
        self, hits: Sequence[Hit], markers: Markers, draft: Draft, written: WrittenSentence, *, one_paper: bool
    ) -> Grounded | DroppedSentence:
        cited = [citation.paper_id for sentence in draft.sentences for citation in sentence.citations]
        spoken_of = cited[-1] if cited and one_paper else ""
        return ground(written, hits, self._reader, self._make_query, markers, spoken_of)


class _Settled:
    """Settles the sentences of one answer.

    Where unsupported ones stay ("mark", "off"), they are held back until the first supported one: an answer that has
    none is no answer.

    Attributes:
        repeated: How many sentences in a row repeat one before them.
    """

    def __init__(self, draft: Draft, grounder: Grounder, grounding: str) -> None:
        self._draft = draft
        self._grounder = grounder
        self._grounding = grounding
        self._held: list[DroppedSentence] = []
        self._said: set[str] = set()
        self.repeated = 0

    def take(self, part: str | WrittenSentence | Restart) -> Iterator[Event]:
        """Yield the event of a piece of text, or what becomes of a sentence."""
        if isinstance(part, str):
            yield Token(part)
        elif isinstance(part, Restart):  # all before was thinking; what of it the papers support stays
            self._draft.dropped.clear()
            self._held.clear()
            self._said.clear()
            self.repeated = 0
        elif not part.whole:
            yield self._draft.drop(DroppedSentence(part.text, "it was cut off before its end", 0.0))
        elif part.text in self._said:  # small models go round in circles
            self.repeated += 1
            yield self._draft.drop(DroppedSentence(part.text, "it repeats an earlier sentence", 0.0))
        else:
            self._said.add(part.text)
            self.repeated = 0
            if not any(part.text == kept.text for kept in self._draft.sentences):  # kept while it was thought
                yield from self._settle(self._grounder(part))

    def _settle(self, grounded: Grounded | DroppedSentence) -> Iterator[Event]:
        if isinstance(grounded, Grounded):
            yield from self._release()
            yield self._draft.settle(grounded.sentence, grounded.verdict)
        elif self._grounding == "strict":
            yield self._draft.drop(grounded)
        else:
            self._held.append(grounded)
            if self._draft.sentences:
                yield from self._release()

    def _release(self) -> Iterator[Event]:
        for held in self._held:
            reason = held.reason if self._grounding == "mark" else ""
            yield self._draft.settle(AnswerSentence(held.text, held.support, (), unsupported=reason), "unsupported")
        self._held.clear()

    def end(self) -> Iterator[Event]:
        """Yield what becomes of sentences that are still held back: no supported one has come."""
        for held in self._held:
            yield self._draft.drop(held)
        self._held.clear()
