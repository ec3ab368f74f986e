"""The way from a question to an answer, one stage after the other, as a stream of events.

Search, read, decide whether to answer, write, cite. Each stage is a module of its own; this one only orders them.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from index.filters import Where
from index.paper import Paper
from index.store import PaperStore

from .answer import Answer, Trace
from .answering.evidence_answerer import compose
from .answering.llm_answerer import Draft, LanguageModel, LLMAnswerer
from .answering.selection import Selection, select
from .citations import Markers
from .events import CancelToken, Done, Event, Sources, Status
from .evidence.reader import EvidenceReader
from .followup import refer
from .question import form_of
from .refusal import Answerability, answerability
from .retrieval import Hit, Retrieval, Retriever, marked
from .settings import Settings

NEAREST_ON_REFUSAL = 3


class _Clock:
    """Milliseconds per stage."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}
        self._began = self._last = time.perf_counter()

    def stage(self, name: str) -> None:
        now = time.perf_counter()
        self.timings[name] = round(1000 * (now - self._last), 2)
        self.timings["total"] = round(1000 * (now - self._began), 2)
        self._last = now


class Pipeline:
    """Answers questions over a store.

    Args:
        store: The collection.
        reader: Finds the sentences that answer.
        llm: Writes the answer; None for the evidence answerer.
        settings: All settings.
    """

    def __init__(
        self, store: PaperStore, reader: EvidenceReader, llm: LanguageModel | None, settings: Settings
    ) -> None:
        self._store = store
        self._reader = reader
        self._llm = llm
        self._settings = settings
        self._threshold = settings.refusal.threshold
        self._retriever = Retriever(store, settings.retrieval.candidates)

    def run(
        self,
        question: str,
        history: Sequence[Mapping[str, str]],
        where: Where | None,
        k: int,
        cancel: CancelToken,
        markers: Markers,
    ) -> Iterator[Event]:
        """Answer one question; the last event is :class:`~rag.events.Done`.

        Args:
            question: A cleaned question.
            history: Messages with ``role`` and ``content``, oldest first.
            where: Filter on papers.
            k: Papers to retrieve.
            cancel: Stops the answer.
            markers: Gives cited papers their numbers.
        """
        clock = _Clock()
        yield Status("search", "Searching the papers")
        reference = refer(question, history, self._retriever, where)
        found = self._retriever.retrieve(reference.wordings, k + bool(reference.left_out), where)
        retrieval = _without(found, reference.left_out, k)
        clock.stage("search")
        yield Sources(marked(retrieval.hits, {}))

        form = form_of(question)
        evidence = self._reader.read(retrieval.query, retrieval.hits, form)
        selection = select(form, retrieval.query, evidence, k)
        verdict = answerability(retrieval.query, retrieval.names, selection.papers, follow_up=reference.depends)
        clock.stage("read")
        trace = Trace(
            standalone_question=reference.text,
            answerer="evidence",
            embed_model=str(self._store.encoder.identity["model_name"]),
            answerability=verdict.score,
            threshold=self._threshold,
        )
        if not selection.papers or verdict.score < self._threshold:
            reason, nearest = self._explain(question, verdict, found, retrieval, where)
            trace = replace(trace, timings_ms=clock.timings)
            sources = marked(retrieval.hits, {})
            yield Done(Answer(question, "refused", sources=sources, nearest=nearest, reason=reason, trace=trace))
            return

        draft = Draft()
        if self._llm is not None:
            yield Status("write", f"{self._llm.name} is writing")
            writer = LLMAnswerer(self._llm, self._store.encoder, self._settings.answering.max_new_tokens)
            said_before = history if reference.depends else ()
            yield from writer.write(question, evidence, draft, cancel, markers, said_before)
            if draft.sentences:
                trace = replace(trace, answerer=self._llm.name)
        if not draft.sentences and not draft.stopped:
            yield from self._quote(selection, draft, cancel, markers)
        clock.stage("write")
        reason = "Stopped before the end." if draft.stopped else draft.incomplete or verdict.gap()
        cited = {c.paper_id: c.marker for sentence in draft.sentences for c in sentence.citations}
        yield Done(
            Answer(
                question=question,
                status="partial" if reason else "answered",
                sentences=tuple(draft.sentences),
                sources=marked(retrieval.hits, cited),
                dropped=tuple(draft.dropped),
                reason=reason,
                trace=replace(trace, prompt=draft.prompt, notes=tuple(draft.notes), timings_ms=clock.timings),
            )
        )

    def _explain(
        self, question: str, verdict: Answerability, found: Retrieval, kept: Retrieval, where: Where | None
    ) -> tuple[str, tuple[Paper, ...]]:
        """Return why a question is refused, and the nearest papers."""
        if kept.hits:
            return verdict.reason(), _papers(kept)
        if found.hits:
            return "The collection has no other paper that comes near.", _papers(found)
        if where is not None:
            outside = self._retriever.retrieve([(question, 1.0)], NEAREST_ON_REFUSAL)
            if outside.hits:
                return "No paper passes the filter; the nearest papers outside it are shown.", _papers(outside)
        return "The collection is empty. Add papers: citewell add FILE", ()

    def _quote(self, selection: Selection, draft: Draft, cancel: CancelToken, markers: Markers) -> Iterator[Event]:
        settings = self._settings.evidence
        for sentence in compose(selection, markers, settings.max_words, settings.max_sentences):
            if cancel.cancelled:
                draft.stopped = True
                return
            yield draft.settle(sentence)


def _papers(retrieval: Retrieval) -> tuple[Paper, ...]:
    return tuple(hit.source.paper for hit in retrieval.hits[:NEAREST_ON_REFUSAL])


def _without(retrieval: Retrieval, paper_id: str, k: int) -> Retrieval:
    """Leave out a paper and close the ranks."""
    kept = [hit for hit in retrieval.hits if hit.source.paper.id != paper_id][:k]
    hits = [Hit(replace(hit.source, rank=rank), hit.stored) for rank, hit in enumerate(kept, start=1)]
    return replace(retrieval, hits=tuple(hits))
